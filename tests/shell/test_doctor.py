"""portal doctor: each thing that can be wrong is found, with its remedy; what is well is said too."""
import json
import os

import flows
import mailservers as servers
from waiting import free_port

DONE, REFUSED, PARTLY, DATABASE = 0, 1, 3, 4


def practice(t, name='practice.db'):
    """One in which all is well."""
    os.umask(0o077)
    db = t.database(name=name)
    for key, value in (('practice_name', 'Clinic'), ('practice_phone', '202 555 0100'),
                       ('portal_url', 'https://portal.example.com'), ('mail_from', 'portal@example.com')):
        db.execute('SELECT portal_setting(?, ?)', [key, value])
    return db


def findings(t, db, *options, env=None):
    """Exit code, and level, finding and remedy of each that is checked; the worst of several."""
    said = t.portal('-d', t.file(db), 'doctor', '--json', *options, env=env)
    worst = {}
    for row in json.loads(said.stdout):
        entry = (row['level'], row['finding'], row['remedy'])
        if row['checked'] not in worst or row['level'] in ('problem', 'warning'):
            worst[row['checked']] = entry
    return said.code, worst


def ill(t, db, checked, says, remedy, level='problem', **options):
    """One check finds something, with the remedy; all others are well."""
    code, worst = findings(t, db, **options)
    t.equal(code, REFUSED if level == 'problem' else PARTLY, worst)
    t.equal({name for name, entry in worst.items() if entry[0] in ('problem', 'warning')}, {checked}, worst)
    t.equal(worst[checked][0], level)
    t.contains(worst[checked][1], says)
    t.contains(str(worst[checked][2]), remedy)


def test_where_all_is_well_it_says_so_of_each_and_changes_nothing(t):
    db = practice(t)
    before = t.all(db, 'SELECT * FROM portal_state'), t.all(db, 'SELECT name FROM sqlite_schema')
    said = t.portal('-d', t.file(db), 'doctor')
    t.equal((said.code, said.stderr), (DONE, ''))
    t.contains(said.stdout, 'well   version        portal ', 'maildir 1', 'the database is whole', 'the audit is whole',
               'schema version', 'nothing waits for long', 'maildir: it lets us in')
    t.equal([line for line in said.stdout.splitlines() if line.startswith(('problem', 'warning'))], [])
    t.equal((t.all(db, 'SELECT * FROM portal_state'), t.all(db, 'SELECT name FROM sqlite_schema')), before)


def test_what_is_not_set_is_told_with_the_command_that_sets_it(t):
    for key in ('practice_name', 'practice_phone', 'portal_url', 'mail_from'):
        db = practice(t, f'{key}.db')
        db.execute('SELECT portal_setting(?, NULL)', [key])
        ill(t, db, 'settings', f'{key} is not set', f'portal setting {key} ...')


def test_files_that_others_can_read_or_change_are_told_with_the_mode_that_they_need(t):
    db = practice(t)
    file = t.file(db)
    file.chmod(0o644)
    ill(t, db, 'database file', '(mode 644)', f"chmod go-w,o-rwx '{file}'")
    file.chmod(0o660)
    ill(t, db, 'database file', '(mode 660)', 'chmod')
    file.chmod(0o640)
    t.directory.chmod(0o777)
    ill(t, db, 'folder', 'replace what is in it', f"chmod o-w '{t.directory}/'")
    t.directory.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(f'{file}.portal-key', 65534, 65534)
        ill(t, db, 'key file', 'belongs to another user than the database', "chown 0 '", level='warning')


def test_a_key_file_that_is_readable_missing_or_of_another_database_is_told(t):
    db = practice(t)
    key = t.path('practice.db.portal-key')
    right = key.read_bytes()

    def worst():
        code, found = findings(t, db)
        t.equal(code, REFUSED)
        return found

    key.chmod(0o644)
    t.contains(worst()['key file'][2], "chmod go-w,o-rwx '")
    key.chmod(0o600)
    practice(t, 'other.db')
    key.write_bytes(t.path('other.db.portal-key').read_bytes())
    t.contains(worst()['audit and key'][1], 'belongs to another database; put the right one back')
    key.unlink()
    found = worst()
    t.contains(found['key file'][2], 'put it back from its backup')
    t.contains(found['audit and key'][1], 'is missing; restore it from its backup')
    # Named by the environment, that is the one which is looked at.
    t.path('elsewhere').write_bytes(right)
    t.path('elsewhere').chmod(0o600)
    code, found = findings(t, db, env={'PORTAL_KEY_FILE': str(t.path('elsewhere'))})
    t.equal((code, found['key file'][:2]), (DONE, ('well', f'{t.path("elsewhere")} (mode 600)')))


def test_a_broken_audit_and_what_the_self_check_finds_are_told(t):
    db = practice(t)
    db.execute('DROP TRIGGER portal_audit_no_update')
    code, found = findings(t, db)
    t.equal((code, found['self-check'][0]), (REFUSED, 'problem'))
    t.contains(found['self-check'][1], 'portal_audit_no_update: a trigger that protects the audit')
    t.equal(found['audit and key'][0], 'well')
    db.execute("UPDATE portal_audit SET detail = 'else' WHERE event_id = 2")
    t.contains(findings(t, db)[1]['audit and key'][1], 'event 2 is not what was written')


def test_messages_that_wait_and_links_that_nobody_marks_are_told(t):
    db = practice(t)
    db.execute('BEGIN')
    t.one(db, "SELECT send_registration(?, 'email')", t.patient(db))
    db.execute('COMMIT')
    t.equal(findings(t, db)[0], DONE)
    t.advance(601)
    ill(t, db, 'delivery', '1 messages have waited', 'portal deliver --watch')
    t.one(db, 'SELECT deliver()')
    t.advance(72 * 3600 + 25 * 3600 + 1)
    ill(t, db, 'nightly run', '1 links expired', 'portal nightly every night', level='warning')
    t.equal(t.portal('-d', t.file(db), 'nightly').code, DONE)
    t.equal(findings(t, db)[0], DONE)


def test_a_damaged_database_is_told(t):
    db = practice(t)
    flows.send(t, db, t.patient(db))
    file = t.file(db)
    db.execute("PRAGMA writable_schema = on")
    db.execute("INSERT INTO portal_setting VALUES ('x', 'y')")
    db.execute("UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'portal_message_due')"
               " WHERE name = 'portal_registration_destination'")
    db.close()
    said = t.portal('-d', file, 'doctor', '--json')
    t.equal(said.code, REFUSED)
    t.contains(said.stdout, '"problem", "checked": "integrity"', 'restore the database from a backup')


def test_a_channel_is_tried_unless_told_otherwise(t):
    db = practice(t)
    db.execute("SELECT portal_setting('email_channel', 'smtp')")
    db.execute('SELECT portal_setting(?, ?)', ['smtp_url', f'smtp://127.0.0.1:{free_port()}'])
    ill(t, db, 'channel', 'smtp: smtp://127.0.0.1', 'None')
    code, found = findings(t, db, '--offline')
    t.equal((code, found['channel'][:2]), (DONE, ('not tried', 'smtp: --offline')))
    db.execute('SELECT portal_setting(?, ?)', ['smtp_url', f'smtp://127.0.0.1:{servers.sink(t)}'])
    t.equal(findings(t, db)[0], DONE)
    db.execute("SELECT portal_setting('email_channel', 'none')")
    code, found = findings(t, db)
    t.equal(code, REFUSED)
    t.contains(found['channel'][1] + found['self-check'][1], 'there is no channel none')


def test_without_a_database_or_its_tables_the_reason_is_told_at_once(t):
    said = t.portal('-d', t.path('missing.db'), 'doctor')
    t.equal((said.code, said.stdout), (DATABASE, ''))
    t.contains(said.stderr, 'there is no such file; portal init makes a database')
    t.database(init=False, name='empty.db').execute('CREATE TABLE x (y)')
    said = t.portal('-d', t.path('empty.db'), 'doctor')
    t.equal((said.code, said.stdout), (DATABASE, ''))
    t.contains(said.stderr, 'portal init makes them')


def test_scheduling_is_not_told_what_is_not_its_business(t):
    db = practice(t)
    said = t.portal('-d', t.file(db), '--as', 'scheduling', 'doctor')
    t.equal(said.code, REFUSED)
    t.contains(said.stdout, 'not available to the application scheduling')
