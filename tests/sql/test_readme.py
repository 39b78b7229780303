"""The README: its sessions go as it shows them, its reference is what the extension says of itself."""
import os
import pathlib
import re
import subprocess

import flows
import harness
import readme

README = harness.ROOT / 'README.md'


def played(t):
    text = README.read_text()
    place = t.path('clone')
    place.mkdir()
    readme.furnish(place, text)
    os.environ['MBLAZE'] = str(place)
    return text, readme.play(text, place)


# The sessions

@harness.release_only
def test_every_session_goes_as_it_is_shown(t):
    text, came = played(t)
    t.equal(came, text)


def test_the_programs_that_are_shown_are_those_that_are_tested(t):
    section = re.search('^## From your programs$.*?^## ', README.read_text(), re.M | re.S)[0]
    shown = re.findall(r'^```(python|js|php|perl|tcl)\n(.*?)^```$', section, re.M | re.S)
    t.equal([language for language, _ in shown], ['python', 'python', 'js', 'php', 'perl', 'tcl'])
    files = ['practice.py', 'pool.py', 'practice.mjs', 'practice.php', 'practice.pl', 'practice.tcl']
    for file, (_, code) in zip(files, shown):
        t.contains(pathlib.Path(harness.ROOT, 'tests/clients', file).read_text(), code.rstrip())


def test_the_mailer_that_is_shown_is_the_one_that_is_tested(t):
    mailer = pathlib.Path(harness.ROOT, 'tests/clients/mailer.py').read_text()
    t.contains(mailer, readme.code(README.read_text(), 'python', 'claim_messages').rstrip())


def test_every_file_that_is_linked_is_there(t):
    links = re.findall(r'\]\(([^)#:]+)\)', README.read_text())
    t.true('LICENSE' in links, links)
    t.equal([link for link in links if not (harness.ROOT / link).exists()], [])


def test_the_player_of_sessions_finds_what_is_shown_and_did_not_come(t):
    place = t.path('place')
    place.mkdir()
    shown = '```console\n$ echo one\none\n$ echo two\nthree\n```\n'
    t.equal(readme.play(shown, place), shown.replace('three', 'two'))


def test_a_session_that_begins_with_an_answer_is_an_error(t):
    try:
        readme.play('```console\nanswer\n```\n', t.directory)
    except AssertionError as error:
        t.contains(str(error), 'begins with a prompt')
    else:
        raise AssertionError('it was played')


# The reference

@harness.release_only
def test_the_reference_is_what_make_reference_writes(t):
    done = subprocess.run(['sh', 'ext/reference.sh', 'README.md'], cwd=harness.ROOT,
                          capture_output=True, text=True)
    t.equal((done.returncode, done.stderr), (0, ''))
    t.equal(README.read_text(), done.stdout, 'run make reference')


def test_the_reference_names_every_function_table_view_setting_and_column(t):
    reference = README.read_text().partition('<!-- reference: begin')[2]
    db = t.database()
    names = [row[0] for row in t.all(db, 'SELECT name FROM portal_help')]
    names += [row[0] for row in t.all(db, 'SELECT key FROM portal_settings')]
    names += [row[0] for row in t.all(
        db, "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')"
            " AND name NOT LIKE 'sqlite%'")]
    t.equal([name for name in names if not re.search(rf'`{name}[`(]', reference)], [])
    columns = [row[0] for row in t.all(
        db, "SELECT c.name FROM sqlite_schema AS s, pragma_table_info(s.name) AS c"
            " WHERE s.type = 'table' AND s.name NOT LIKE 'sqlite%'")]
    t.true(len(columns) > 100, len(columns))
    t.equal([name for name in columns if f'| `{name}` |' not in reference], [])


# What the README claims beyond what its sessions show

def test_last_insert_rowid_survives_a_call_and_is_the_new_patient_after_an_insert(t):
    db = t.database()
    patient = t.patient(db)
    t.one(db, "SELECT send_registration(?, 'email')", patient)
    t.equal(t.one(db, 'SELECT last_insert_rowid()'), patient)
    db.execute("INSERT INTO quick_add(first_name, last_name, date_of_birth)"
               " VALUES ('Mary', 'Somerville', '1980-12-26')")
    t.equal(t.one(db, 'SELECT last_insert_rowid()'), patient + 1)


def test_a_call_of_the_scalar_form_changes_changes(t):
    db = t.database()
    first, second = t.patient(db), t.patient(db)
    db.execute('UPDATE patient SET city = ?', ['Ashford'])
    t.equal(t.one(db, 'SELECT changes()'), second)
    t.one(db, "SELECT send_registration(?, 'email')", first)
    t.true(t.one(db, 'SELECT changes()') != second, 'unchanged: the README says otherwise')


def test_a_temp_table_named_like_an_action_takes_its_rows_and_the_self_check_tells(t):
    db = t.database()
    patient = t.patient(db)
    db.execute('CREATE TEMP TABLE send_registration (patient_id, channel)')
    db.execute("INSERT INTO send_registration VALUES (?, 'email')", [patient])
    t.equal(flows.status(t, db, patient), 'not sent')
    t.equal(t.all(db, 'SELECT subject FROM portal_check'), [('temp.send_registration',)])


def test_within_a_transaction_a_registration_is_queued_and_says_so(t):
    db = t.database()
    patient = t.patient(db)
    db.execute('BEGIN')
    t.contains(t.one(db, "SELECT send_registration(?, 'email')", patient), 'queued')
    db.execute('COMMIT')
    t.equal(t.mails(db), [])


def test_while_a_statement_is_read_a_registration_is_queued_and_says_so(t):
    db = t.database()
    patient = t.patient(db)
    reading = db.execute('SELECT patient_id FROM patient UNION ALL SELECT 2')
    reading.fetchone()
    t.contains(t.one(db, "SELECT send_registration(?, 'email')", patient), 'queued')
    reading.close()


def test_a_key_file_that_the_group_may_read_works_and_one_for_everybody_does_not(t):
    db = t.database()
    key = t.path('practice.db.portal-key')
    t.equal(key.stat().st_mode & 0o777, 0o600)
    key.chmod(0o640)
    flows.send(t, t.connect(t.file(db)), t.patient(db))
    key.chmod(0o644)
    other = t.connect(t.file(db))
    t.refuses(other, "SELECT send_registration(?, 'email')", t.patient(db), says='chmod 600')


def test_without_the_key_file_nothing_is_sent_proved_signed_in_to_or_verified(t):
    db = t.database()
    patient = t.patient(db)
    token = flows.send(t, db, patient)
    t.path('practice.db.portal-key').rename(t.path('elsewhere'))
    db = t.connect(t.file(db))
    t.refuses(db, "SELECT send_registration(?, 'text')", patient, says='key file')
    t.refuses(db, 'SELECT token_valid(?)', token, says='key file')
    t.refuses(db, "SELECT request_pin(?, 'Lovelace', '1985-12-10')", token, says='key file')
    t.refuses(db, "SELECT portal_login('ada', 'analytical engine')", says='key file')
    t.refuses(db, 'SELECT portal_audit_verify()', says='key file')
    t.refuses(db, 'SELECT portal_init()', says='key file')


def test_initialising_again_finds_the_tables_and_a_newer_schema_is_refused(t):
    db = t.database()
    t.contains(t.one(db, 'SELECT portal_init()'), 'are there')
    db.execute('UPDATE portal_state SET schema_version = schema_version + 1')
    t.refuses(t.connect(t.file(db)), 'SELECT portal_init()', says='newer')


def test_a_password_is_hashed_with_argon2id_19_mib_and_two_passes(t):
    db = t.database()
    flows.register(t, db, t.patient(db), 'ada')
    t.contains(t.one(db, 'SELECT password FROM portal_account'), '$argon2id$v=19$m=19456,t=2,p=1$')


def test_the_limits_are_those_of_the_table(t):
    db = t.database()
    patient = t.patient(db)
    token = flows.send(t, db, patient)
    pin = flows.pin(t, db, token, patient)
    tries = [('ab', flows.PASSWORD), ('a' * 65, flows.PASSWORD), ('countess', '1234567'),
             ('countess', 'x' * 129)]
    for username, password in tries:
        answer = flows.ask(t, db, 'SELECT register_patient(?, ?, ?, ?)', token, pin, username, password)
        t.equal(answer['result'], 'refused', username)
    answer = flows.ask(t, db, 'SELECT register_patient(?, ?, ?, ?)', token, pin, 'a' * 64, 'x' * 128)
    t.equal(answer['result'], 'registered')
    t.refuses(db, 'SELECT claim_messages(1001)', says='1000')
    t.refuses(db, 'SELECT revoke_access(?, ?)', patient, 'x' * 4097)


def test_purging_keeps_audit_events_of_the_last_six_years(t):
    db = t.database()
    flows.send(t, db, t.patient(db))
    events = t.one(db, 'SELECT count(*) FROM portal_audit')
    t.advance(2191 * 86400)
    t.one(db, 'SELECT portal_purge(1)')
    t.true(t.one(db, 'SELECT count(*) FROM portal_audit') >= events, 'events of six years were purged')
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
