<?php
// A practice's portal from PHP's PDO: staff send, decide and revoke, a patient signs in.
// Usage: php -d sqlite3.extension_dir=/usr/lib/portal practice.php DATABASE [PATIENT]

// PDO loads no extension before PHP 8.4. SQLite3 does, from the folder sqlite3.extension_dir of php.ini, and both have the
// same library: what one connection asks for there, every later one of the process gets.
function connect(string $path, string $application = 'ehr', ?string $user = null): PDO
{
    static $loaded = false;
    if (!$loaded) {
        $loader = new SQLite3(':memory:');
        $loader->enableExceptions(true);
        $loaded = $loader->loadExtension('portal.so') && $loader->querySingle('SELECT portal_everywhere()');
    }
    $db = new PDO("sqlite:$path", options: [PDO::ATTR_TIMEOUT => 10]);
    ask($db, 'SELECT portal_as(?, ?)', $application, $user);
    return $db;
}

// The statement ends with the function: one that is still read keeps what is sent in the queue.
function ask(PDO $db, string $sql, ...$values): mixed
{
    $statement = $db->prepare($sql);
    $statement->execute($values);
    return $statement->fetchColumn();
}

function status(PDO $db, $patient): string
{
    return ask($db, 'SELECT status FROM portal_status WHERE patient_id = ?', $patient);
}

// What a function throws, in words.
function refusal(callable $call): ?string
{
    try {
        $call();
    } catch (PDOException $error) {
        return $error->errorInfo[2];
    }
    return null;
}

function main(string $path): void
{
    $db = connect($path);
    $db->beginTransaction();
    ask($db, 'SELECT send_registration(?, ?)', 2, 'email');
    $db->rollBack();
    echo status($db, 2), "\n";
    echo ask($db, 'SELECT send_registration(?, ?)', 2, 'email'), "\n";
    echo refusal(fn() => ask($db, 'SELECT send_registration(?, ?)', 99, 'email')), "\n";

    $db->beginTransaction();
    $pending = $db->prepare('SELECT request_id, field FROM pending_requests WHERE patient_id = ?');
    $pending->execute([1]);
    foreach ($pending->fetchAll(PDO::FETCH_KEY_PAIR) as $request => $field) {
        $decide = $field == 'city' ? 'accept' : 'decline';
        echo $field, ' ', ask($db, "SELECT {$decide}_request(?)", $request), "\n";
    }
    $db->commit();

    // Between commit() and the next beginTransaction() the calls that check a guess are at home.
    $web = connect($path, 'portal', '203.0.113.7');
    $sign_in = fn() => ask($web, 'SELECT portal_login(?, ?)', 'ada', 'analytical engine');
    $web->beginTransaction();
    echo refusal($sign_in), "\n";
    $web->rollBack();
    $login = json_decode($sign_in());
    $session = json_decode(ask($web, 'SELECT portal_session(?)', $login->session));
    echo $login->result, ' ', json_encode($session->patients[0]->patient_id), "\n";
    echo ask($db, 'SELECT revoke_access(?, ?)', 1, 'asked for by phone'), "\n";
    echo ask($web, "SELECT coalesce(portal_session(?), 'signed out')", $login->session), "\n";
}

if (realpath($_SERVER['SCRIPT_FILENAME']) === __FILE__) {
    isset($argv[2]) ? ask(connect($argv[1]), 'SELECT send_registration(?, ?)', $argv[2], 'email') : main($argv[1]);
}
