# What is understood of what DBI binds: all as text but what bind_param() is told to be a number.
# Usage: perl bound.pl DATABASE KEYED-BY-TEXT KEY
use v5.36;
use DBI qw(:sql_types);
use FindBin;
require "$FindBin::Bin/practice.pl";

my $problem = "SELECT coalesce(send_problem(?, 'email'), 'may be sent')";

sub told($db, $sql, @bound) {
    my $statement = $db->prepare($sql);
    $statement->bind_param(1, @bound);
    my ($answer) = eval { $db->selectrow_array($statement) };
    say $answer // $db->errstr;
}

my ($numbered, $keyed, $key) = @ARGV;
my $db = portal($numbered);
told($db, $problem, @$_) for [2, SQL_INTEGER], [2.0, SQL_REAL], ['2'], [undef];
told($db, 'SELECT accept_request(?)', @$_) for [99, SQL_INTEGER], [99.0, SQL_REAL], ['99'];
told(portal($keyed), $problem, $key);
