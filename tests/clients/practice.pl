# A practice's portal from Perl's DBI: staff send, decide and revoke, a patient signs in.
# Usage: perl practice.pl DATABASE [PATIENT]
use v5.36;
use DBI;
use JSON::PP;

# Runs for every new connection, those that connect_cached() makes among them.
my $connected = sub {
    my $db = shift;
    $db->sqlite_enable_load_extension(1);
    $db->sqlite_load_extension('build/portal');
    $db->sqlite_enable_load_extension(0);
    return;
};

# With AutoCommit every statement is its own but after begin_work(): the calls that check a guess want it so.
# A connection that has become the portal's stays so: the cache knows the two apart by the private attribute.
sub portal($path, $application = 'ehr', $user = undef) {
    my $db = DBI->connect_cached("dbi:SQLite:$path", '', '', {
        AutoCommit => 1, RaiseError => 1, PrintError => 0, Callbacks => { connected => $connected },
        private_application => $application });
    ask($db, 'SELECT portal_as(?, ?)', $application, $user);
    return $db;
}

sub ask($db, $sql, @values) {
    my ($answer) = $db->selectrow_array($sql, undef, @values);
    return $answer;
}

sub status($db, $patient) {
    return ask($db, 'SELECT status FROM portal_status WHERE patient_id = ?', $patient);
}

# What a function dies of, in words.
sub refusal($call) {
    eval { $call->() };
    return DBI->errstr;
}

sub main($path) {
    my $db = portal($path);
    $db->begin_work;
    ask($db, 'SELECT send_registration(?, ?)', 2, 'email');
    $db->rollback;
    say status($db, 2);
    say ask($db, 'SELECT send_registration(?, ?)', 2, 'email');
    say refusal(sub { ask($db, 'SELECT send_registration(?, ?)', 99, 'email') });

    $db->begin_work;
    my $requests = $db->selectall_arrayref('SELECT request_id, field FROM pending_requests WHERE patient_id = ?', undef, 1);
    for (@$requests) {
        my ($request, $field) = @$_;
        my $decide = $field eq 'city' ? 'accept' : 'decline';
        say $field, ' ', ask($db, "SELECT ${decide}_request(?)", $request);
    }
    $db->commit;

    my $web = portal($path, 'portal', '203.0.113.7');
    my $sign_in = sub { ask($web, 'SELECT portal_login(?, ?)', 'ada', 'analytical engine') };
    $web->begin_work;
    say refusal($sign_in);
    $web->rollback;
    my $login = decode_json($sign_in->());
    my $session = decode_json(ask($web, 'SELECT portal_session(?)', $login->{session}));
    say $login->{result}, ' ', encode_json($session->{patients}[0]{patient_id});
    say ask($db, 'SELECT revoke_access(?, ?)', 1, 'asked for by phone');
    say ask($web, "SELECT coalesce(portal_session(?), 'signed out')", $login->{session});
}

if (!caller) {
    my ($path, $patient) = @ARGV;
    $patient ? ask(portal($path), 'SELECT send_registration(?, ?)', $patient, 'email') : main($path);
}
1;
