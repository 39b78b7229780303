"""portal_init(), and a database that it has not made ready: every call says so."""
import re

import snapshot
from refusals import refused_everywhere, staffed

INIT = 'run SELECT portal_init()'
NO_TABLES_NEEDED = ('portal_init', 'portal_as', 'portal_everywhere', 'portal_version', 'portal_help')


def help_of(db):
    return db.execute('SELECT name, kind, usage FROM portal_help').fetchall()


def arguments(usage):
    """The names of the arguments that can not be left out."""
    return re.findall(r'\w+', usage.partition('(')[2].partition('[')[0])


def test_without_the_tables_every_function_and_table_says_how_to_make_them(t):
    db = t.database(init=False)
    seen = 0
    for name, kind, usage in help_of(db):
        if name in NO_TABLES_NEEDED:
            continue
        seen += 1
        marks = ', '.join('1' for _ in arguments(usage))
        if 'function' in kind:
            t.refuses(db, f'SELECT {name}({marks})', says=INIT)
        if 'insert' in kind:
            t.refuses(db, f'INSERT INTO {name} VALUES ({", ".join(["1"] * (usage.count(",") + 1))})', says=INIT)
        if kind == 'table':
            t.refuses(db, f'SELECT * FROM {name}' + ("('x')" if name in ('portal_claimed', 'portal_find') else ''), says=INIT)
    t.true(seen > 30)
    t.equal(t.all(db, 'SELECT name FROM sqlite_schema'), [])
    t.true(not t.path('practice.db.portal-key').exists())


def test_without_the_tables_help_version_and_application_answer(t):
    db = t.database(init=False)
    t.true(len(help_of(db)) > 30)
    t.contains(t.one(db, 'SELECT portal_version()'), 'portal ')
    t.contains(t.one(db, "SELECT portal_as('scheduling', 'desk')"), 'desk')


def test_init_in_an_empty_database_makes_everything_and_again_changes_nothing(t):
    db = t.database(init=False)
    t.contains(t.one(db, 'SELECT portal_init()'), 'were made')
    t.equal(t.one(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'patient'"), 1)
    before = snapshot.contents(db, ()), t.all(db, 'SELECT * FROM sqlite_schema')
    key = t.path('practice.db.portal-key')
    was = key.read_bytes()
    t.contains(t.one(db, 'SELECT portal_init()'), 'are there')
    t.equal((snapshot.contents(db, ()), t.all(db, 'SELECT * FROM sqlite_schema')), before)
    t.equal((key.read_bytes(), oct(key.stat().st_mode & 0o777)), (was, '0o600'))
    snapshot.whole(t, db)


def test_init_in_a_database_with_other_tables_asks_for_the_patient_table(t):
    db = t.database(init=False)
    db.execute('CREATE TABLE appointment(id)')
    t.refuses(db, 'SELECT portal_init()', says='patient')
    t.equal(t.all(db, 'SELECT name FROM sqlite_schema'), [('appointment',)])
    t.true(not t.path('practice.db.portal-key').exists(), 'a refused init made a key')


def test_init_names_the_columns_that_the_patient_table_lacks(t):
    db = t.database(init=False)
    db.execute('CREATE TABLE patient(patient_id INTEGER PRIMARY KEY, first_name, last_name, email)')
    t.refuses(db, 'SELECT portal_init()', says=('date_of_birth', 'cell_phone'))
    t.equal(t.all(db, 'SELECT name FROM sqlite_schema'), [('patient',)])


def test_init_beside_a_complete_patient_table_leaves_that_as_it_is(t):
    made = t.database()
    sql = t.one(made, "SELECT sql FROM sqlite_schema WHERE name = 'patient'")
    db = t.database(init=False)
    db.execute(sql)
    db.execute('CREATE TABLE appointment(id)')
    t.patient(db)
    db.execute('SELECT portal_init()')
    t.equal(t.one(db, "SELECT sql FROM sqlite_schema WHERE name = 'patient'"), sql)
    t.contains(t.one(db, "SELECT send_registration(1, 'email')"), 'sent')


def test_init_that_is_rolled_back_leaves_no_table_and_works_again(t):
    db = t.database(init=False)
    for end in ('ROLLBACK', 'COMMIT'):
        db.execute('BEGIN')
        db.execute('SELECT portal_init()')
        db.execute(end)
    t.patient(db)
    t.contains(t.one(db, "SELECT send_registration(1, 'email')"), 'sent')
    snapshot.whole(t, db)


def init_at_once(t, number, path):
    db = t.connect(path)
    db.execute('PRAGMA busy_timeout = 20000')
    t.together()
    return t.one(db, 'SELECT portal_init()')


def test_processes_that_initialise_at_once_make_one_portal(t):
    path = t.path('race.db')
    answers = t.parallel(4, init_at_once, path)
    t.equal(sorted('were made' in str(answer) for answer in answers), [False, False, False, True], str(answers))
    db = t.connect(path)
    t.equal(t.one(db, 'SELECT count(*) FROM portal_audit'), 1)
    snapshot.whole(t, db)


def test_tables_of_a_newer_version_are_left_alone(t):
    db = staffed(t)
    db.execute('UPDATE portal_state SET schema_version = 99')
    refused_everywhere(t, db, 'version 99')
    for sql in ('SELECT * FROM portal_status', 'SELECT deliver()',
                'SELECT portal_init()', 'SELECT portal_audit_verify()', 'SELECT * FROM portal_check'):
        t.refuses(db, sql, says=('99', 'newer'))


def test_an_emptied_state_table_is_a_clear_refusal(t):
    db = staffed(t)
    db.execute('DELETE FROM portal_state')
    refused_everywhere(t, db, 'portal_state is empty')
    t.refuses(db, 'SELECT portal_audit_verify()', says='portal_state is empty')


def test_a_missing_table_of_the_portal_is_a_clear_refusal(t):
    for name in ('portal_message', 'portal_registration', 'portal_audit', 'portal_access', 'portal_throttle'):
        db = staffed(t)
        db.execute(f'DROP TABLE {name}')
        t.refuses(db, 'SELECT revoke_access(1)' if name == 'portal_access' else
                  "SELECT portal_login('ada', 'x')" if name == 'portal_throttle' else
                  "SELECT send_registration(2, 'email')")
        t.true(not db.in_transaction)
        t.equal(t.one(db, 'PRAGMA integrity_check'), 'ok')
