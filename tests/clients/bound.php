<?php
// What is understood of what PDO binds: all as text but what bindValue() is told to be a number.
// Usage: php -d sqlite3.extension_dir=/usr/lib/portal bound.php DATABASE KEYED-BY-TEXT KEY
require 'practice.php';

const PROBLEM = "SELECT coalesce(send_problem(?, 'email'), 'may be sent')";

function tell(PDO $db, string $sql, ...$bound): void
{
    $statement = $db->prepare($sql);
    $statement->bindValue(1, ...$bound);
    echo refusal(fn() => $statement->execute()) ?? $statement->fetchColumn(), "\n";
}

[, $numbered, $keyed, $key] = $argv;
$db = connect($numbered);
foreach ([[2, PDO::PARAM_INT], [2.0], ['2'], [null, PDO::PARAM_NULL]] as $patient) {
    tell($db, PROBLEM, ...$patient);
}
foreach ([[99, PDO::PARAM_INT], [99.0], ['99']] as $request) {
    tell($db, 'SELECT accept_request(?)', ...$request);
}
tell(connect($keyed), PROBLEM, $key);
