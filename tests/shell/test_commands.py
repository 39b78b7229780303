"""The commands of `portal`: each does what its statement of SQL does, and says no as clearly."""
import json
import os
import subprocess

import flows

DONE, REFUSED, USAGE, DATABASE = 0, 1, 2, 4


def practice(t, patients=1):
    """A database with patients, all of the name Ada Lovelace, and the options that name it."""
    db = t.database()
    for _ in range(patients):
        t.patient(db)
    return db, ('-d', t.file(db))


def done(t, *arguments, **options):
    """What a command that does its work writes."""
    answer = t.portal(*arguments, **options)
    t.equal((answer.code, answer.stderr), (DONE, ''), f'portal {arguments}')
    return answer.stdout


def refused(t, code, arguments, *says, **options):
    """A command that does not do its work: the reason is on standard error, and no data on standard output."""
    answer = t.portal(*arguments, **options)
    t.equal((answer.code, answer.stdout), (code, ''), f'portal {arguments}: {answer.stderr}')
    t.contains(answer.stderr, *says)
    return answer.stderr


def names(t):
    """All commands, as the help names them."""
    return [line.split()[0] for line in done(t).splitlines() if line.startswith('  ') and not line.startswith('  -')]


# What each does

def test_send_sends_and_status_shows_it(t):
    db, database = practice(t)
    t.contains(done(t, *database, 'send', 1, '--by', 'email'), 'Portal registration sent by email', '2026-11-22 09:20 EST')
    t.equal(len(t.mails(db)), 1)
    t.contains(done(t, *database, 'status', 1), 'sent', 'wait for the patient to open the link')


def test_a_patient_is_named_by_whatever_one_knows(t):
    db, database = practice(t)
    for known in ['1', 'ada lovelace', 'Lovelace, Ada', '1985-12-10', 'ADA1@example.com', '(202) 555-0001']:
        t.equal(json.loads(done(t, *database, '--json', 'status', known))[0]['patient_id'], 1, known)


def test_nobody_and_several_are_told_and_nothing_is_sent(t):
    db, database = practice(t, 2)
    refused(t, REFUSED, [*database, 'send', 'Grace Hopper', '--by', 'email'], "'Grace Hopper'")
    refused(t, REFUSED, [*database, 'send', 'Lovelace', '--by', 'email'], 'several', 'ada1@example.com', 'ada2@example.com')
    t.equal(t.mails(db), [])


def test_revoke_ends_access_and_grant_gives_it_again(t):
    db, database = practice(t)
    flows.register(t, db, 1, 'ada.lovelace')
    t.advance(60)
    t.contains(done(t, *database, 'revoke', 1, '--reason', 'she asked'), 'revoked')
    t.true(not flows.can_login(t, db, 'ada.lovelace'))
    t.equal(t.one(db, "SELECT detail FROM portal_events WHERE action = 'access.revoked'"), 'she asked')
    t.contains(done(t, *database, 'grant', 1, '--by', 'email'), 'sent by email')
    t.true(flows.can_login(t, db, 'ada.lovelace'))


def test_quick_add_adds_and_sends_only_with_a_contact(t):
    db, database = practice(t, 0)
    t.equal(done(t, *database, 'quick-add', 'Grace', 'Hopper', '1906-12-09'), '1\n')
    t.equal(t.mails(db), [])
    t.equal(done(t, *database, 'quick-add', 'Alan', 'Turing', '1912-06-23', '--by', 'email', '--contact', 'alan@example.com'), '2\n')
    t.equal(len(t.mails(db)), 1)
    for half in (['--by', 'email'], ['--contact', 'x@example.com']):
        refused(t, USAGE, [*database, 'quick-add', 'A', 'B', '1990-01-01', *half], '--by and --contact go together')
    refused(t, REFUSED, [*database, 'quick-add', 'grace', 'HOPPER', '1906-12-09'], 'patient 1')
    refused(t, REFUSED, [*database, 'quick-add', 'A', 'B', '1990-13-01'], 'YYYY-MM-DD')
    t.equal(t.one(db, 'SELECT count(*) FROM patient'), 2)


def requesting(t):
    """A practice where patient 1 asks for two changes."""
    db, database = practice(t)
    session = flows.register(t, db, 1, 'ada.lovelace')
    flows.ask(t, db, 'SELECT submit_demographics(?, 1, ?)', session, '{"city": "Paris", "state": "TX"}')
    return db, database


def test_requests_are_shown_accepted_and_declined(t):
    db, database = requesting(t)
    shown = json.loads(done(t, *database, '--json', 'requests'))
    t.equal({row['field']: row['proposed_value'] for row in shown}, {'city': 'Paris', 'state': 'TX'})
    number = {row['field']: row['request_id'] for row in shown}
    t.contains(done(t, *database, 'accept', number['city']), 'accepted')
    t.contains(done(t, *database, 'decline', number['state'], '--reason', 'no'), 'declined')
    t.equal(t.all(db, 'SELECT city, state FROM patient'), [('Paris', None)])
    t.equal(done(t, *database, 'requests'), 'No requests are waiting.\n')
    t.equal(done(t, *database, 'requests', 1), 'No requests are waiting.\n')
    refused(t, REFUSED, [*database, 'accept', number['city']], str(number['city']))


def test_accept_refuses_what_the_chart_has_overtaken_unless_forced(t):
    db, database = requesting(t)
    number = t.one(db, "SELECT request_id FROM pending_requests WHERE field = 'city'")
    db.execute("UPDATE patient SET city = 'Rome'")
    refused(t, REFUSED, [*database, 'accept', number], 'force')
    t.contains(done(t, *database, 'accept', number, '--force'), 'accepted')
    t.equal(t.one(db, 'SELECT city FROM patient'), 'Paris')


def test_deliver_hands_over_what_waits_up_to_a_limit(t):
    db, database = practice(t, 3)
    db.execute("BEGIN")
    db.execute("INSERT INTO send_registration SELECT patient_id, 'email' FROM patient")
    db.execute("COMMIT")
    t.equal(json.loads(done(t, *database, '--json', 'deliver', '--limit', 2))[0]['sent'], 2)
    t.equal(json.loads(done(t, *database, '--json', 'deliver'))[0]['sent'], 1)
    t.equal(len(t.mails(db)), 3)


def test_expire_tells_how_many_links_it_marked(t):
    db, database = practice(t)
    flows.send(t, db, 1)
    t.advance(72 * 3600 + 1)
    t.equal((done(t, *database, 'expire'), done(t, *database, 'expire')), ('1\n', '0\n'))


def test_setting_shows_and_changes_settings(t):
    db, database = practice(t)
    t.equal(done(t, *database, 'setting', 'link_hours'), '72\n')
    t.equal(done(t, *database, 'setting', 'link_hours', 48), '48\n')
    t.contains(done(t, *database, '--json', 'setting'), '"key": "link_hours", "value": "48"')
    refused(t, REFUSED, [*database, 'setting', 'link_hours', 'soon'], 'link_hours')
    refused(t, REFUSED, [*database, 'setting', 'nope'], 'nope')


def test_secret_stores_a_line_that_nothing_shows(t):
    db, database = practice(t)
    stored = t.portal(*database, '--sql', 'secret', 'smtp_password', input='s3cret pass\n')
    t.equal(stored, (DONE, 'smtp_password was stored.\n', 'SELECT portal_secret(:key, :value) AS message;\n'))
    t.equal(t.all(db, 'SELECT key FROM portal_secret'), [('smtp_password',)])
    t.contains(t.portal(*database, 'secret', 'smtp_pasword', input='x\n').stdout, 'no channel that asks for it')
    t.true(b's3cret' not in t.file(db).read_bytes())
    for nothing in ('', '\n'):
        refused(t, REFUSED, [*database, 'secret', 'smtp_password'], 'a line of standard input', input=nothing)


def test_unlock_lets_an_account_sign_in_after_wrong_passwords(t):
    db, database = practice(t)
    flows.register(t, db, 1, 'ada.lovelace')
    for _ in range(10):
        flows.can_login(t, db, 'ada.lovelace', 'wrong password')
    t.true(not flows.can_login(t, db, 'ada.lovelace'))
    t.contains(done(t, *database, 'unlock', 'ada.lovelace'), 'ada.lovelace')
    t.true(flows.can_login(t, db, 'ada.lovelace'))
    refused(t, REFUSED, [*database, 'unlock', 'nobody'], 'nobody')


def test_audit_shows_what_happened_of_one_patient_or_all(t):
    db, database = practice(t, 2)
    flows.send(t, db, 2)
    every = json.loads(done(t, *database, '--json', 'audit'))
    of_one = json.loads(done(t, *database, '--json', 'audit', '--patient', 2))
    t.true(len(every) > len(of_one) > 0)
    t.equal({event['patient_id'] for event in of_one}, {2})


def test_version_needs_no_database(t):
    for arguments in (['version'], ['--version'], ['-d', '/nowhere', 'version']):
        t.contains(done(t, *arguments), 'portal 0', 'SQLite 3.')
    t.contains(done(t, 'version', '--plugins'), 'portal 0', 'maildir 1')


# Forms of output

def test_json_and_csv_hold_the_same_rows_as_the_table(t):
    import csv
    db, database = practice(t, 0)
    t.patient(db, first_name='Ann, "Nan"', last_name="O'Hara\nJr")
    t.patient(db, first_name='中村', last_name='שלום')
    expected = t.all(db, 'SELECT patient_id, patient_name FROM portal_status')
    rows = json.loads(done(t, *database, '--json', 'status'))
    t.equal([(row['patient_id'], row['patient_name']) for row in rows], expected)
    rows = csv.DictReader(done(t, *database, '--csv', 'status').splitlines(keepends=True))
    t.equal([(int(row['patient_id']), row['patient_name']) for row in rows], expected)


def test_json_without_rows_is_an_empty_list_and_a_refusal_writes_none(t):
    db, database = practice(t)
    t.equal(json.loads(done(t, *database, '--json', 'requests')), [])
    for form in ('--json', '--csv'):
        refused(t, REFUSED, [*database, form, 'revoke', 1], 'never sent')


def test_sql_shows_statements_that_do_the_same_in_sqlite3(t):
    db, database = practice(t)
    shown = t.portal(*database, '--sql', 'send', 'Ada Lovelace', '--by', 'email')
    t.equal(shown.code, DONE)
    t.contains(shown.stderr, "portal_find('Ada Lovelace');\n", "SELECT send_registration(1, 'email') AS message;\n")
    t.advance(60)
    again = t.shell(t.file(db), shown.stderr)
    t.equal((again.code, again.stderr), (0, ''))
    t.equal(len(t.mails(db)), 2)


# Help and errors

def test_help_names_every_command_and_each_has_its_own(t):
    commands = names(t)
    t.equal(commands, sorted(set(commands), key=commands.index))
    for command in commands:
        for way in (['help', command], [command, '--help'], [command, '-h']):
            text = done(t, *way)
            t.true(text.startswith(f'portal {command}'), text)
        t.contains(text, '.\n')


def test_what_is_wrong_with_a_command_line_is_told_and_where_help_is(t):
    db, database = practice(t)
    for arguments, says in [
            (['x'], "neither a command nor a database 'x'"), (['stauts'], 'did you mean status?'),
            (['--nope'], 'no option --nope'), (['-z'], 'no option -z'), (['-d'], '-d needs a value'),
            (['status'], 'no database is named'), (['help', 'x'], 'no command x'),
            ([*database, 'send'], 'patient is missing'), ([*database, 'send', '1'], '--by is missing'),
            ([*database, 'send', '1', '--by'], '--by needs a value'),
            ([*database, 'send', '1', '--by', 'fax'], "--by is email or text, not 'fax'"),
            ([*database, 'send', '1', '2', '--by', 'email'], "'2' is one argument too many"),
            ([*database, 'send', '1', '--to', 'email'], 'no option --to'),
            ([*database, 'status', '--json=x'], 'no option --json=x'),
            ([*database, 'accept', 'x'], "request is a whole number from 1 on, not 'x'"),
            ([*database, 'accept', '--', '-1'], "not '-1'"), ([*database, 'accept', '1e3'], "not '1e3'"),
            ([*database, 'accept', '9' * 30], "not '999"), ([*database, 'deliver', '--limit', '0'], "not '0'")]:
        t.contains(refused(t, USAGE, arguments, says), '; see portal help')


def test_what_is_no_practice_is_refused_by_its_name(t):
    folder, empty, text = t.path('folder'), t.path('empty.db'), t.path('text.db')
    folder.mkdir()
    empty.touch()
    text.write_text('no database, but long enough that somebody might take it for one\n' * 20)
    os.mkfifo(t.path('fifo.db'))
    for path, says in [(t.path('none.db'), 'no such file'), (folder, 'is no file'), (t.path('fifo.db'), 'is no file'),
                       (empty, 'portal init'), (text, 'not a database'), ('', 'no such file'),
                       (t.path('x' * 300), 'too long')]:
        refused(t, DATABASE, ['-d', path, 'status'], f'portal: {path}', says)
    t.true(not t.path('none.db').exists())


def test_the_database_is_the_one_of_the_environment_unless_named(t):
    db, database = practice(t)
    t.contains(done(t, 'status', env={'PORTAL_DB': str(t.file(db))}), 'Ada Lovelace')
    refused(t, DATABASE, ['-d', '/nowhere', 'status'], '/nowhere', env={'PORTAL_DB': str(t.file(db))})


def test_a_missing_key_file_is_told_and_stops_what_needs_it(t):
    db, database = practice(t)
    t.path('practice.db.portal-key').unlink()
    for command in (['send', 1, '--by', 'email'], ['status'], ['key', 'rotate']):
        t.contains(refused(t, DATABASE, [*database, *command], 'the key file'), 'is missing; restore it from its backup')


def test_scheduling_may_do_what_it_may_and_no_more(t):
    db, database = practice(t)
    t.contains(done(t, *database, '--as', 'scheduling', 'send', 1, '--by', 'email'), 'sent')
    refused(t, REFUSED, [*database, '--as', 'scheduling', 'revoke', 1], 'not available to the application scheduling')
    refused(t, REFUSED, [*database, '--as', 'nobody', 'status'], "'nobody'")


def test_a_locked_database_is_waited_for_and_then_told(t):
    db, database = practice(t)
    db.execute('BEGIN EXCLUSIVE')
    started = subprocess.Popen([t.command, *map(str, database), 'status'], env=t.portal_environment(),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        started.wait(0.5)
        t.true(False, 'did not wait')
    except subprocess.TimeoutExpired:
        db.execute('COMMIT')
    output, errors = started.communicate()
    t.equal((started.returncode, errors), (DONE, ''))
    t.contains(output, 'Ada Lovelace')


def test_hostile_arguments_stay_what_they_are(t):
    db, database = practice(t)
    before = t.all(db, 'SELECT * FROM patient')
    for text in ["1'; DROP TABLE patient; --", '%', '_', '\x1b[31m', '\x9b31m', '\udcff\udcfe', 'a' * 100000, '../../etc/passwd', '']:
        answer = t.portal(*database, 'status', text)
        t.equal((answer.code, answer.stdout), (REFUSED, ''), text[:50])
        t.true(not {'\x1b', '\x9b'} & {*answer.stderr}, repr(answer.stderr))
        t.true(len(answer.stderr) < 1100)
    t.equal(t.all(db, 'SELECT * FROM patient'), before)
