"""Tables of an older version: tests/fixtures has a practice as each version left it."""
import json
import shutil
import sqlite3

import flows
import harness
import snapshot

FIXTURES = harness.ROOT / 'tests/fixtures'
OLDER = {version: json.loads((FIXTURES / f'schema-{version}.json').read_text()) for version in (1, 2)}
FIRST = OLDER[1]
OBJECTS = "SELECT type, name, sql FROM sqlite_schema WHERE name LIKE 'portal%' ORDER BY 1, 2"


def older(t, version):
    """The practice of a version, restored: Ada registered, Grace was sent a link, Alan is revoked, Emmy's waits."""
    name = f'version{version}.db'
    t.clock(OLDER[version]['clock'])
    shutil.copy(FIXTURES / f'schema-{version}.portal-key', t.path(f'{name}.portal-key'))
    t.path(f'{name}.portal-key').chmod(0o600)
    db = t.connect(t.path(name))
    db.executescript((FIXTURES / f'schema-{version}.sql').read_text())
    t.equal(t.one(db, 'SELECT schema_version FROM portal_state'), version)
    return db


def first(t):
    return older(t, 1)


def rows(db):
    """Whatever the portal's tables hold, but for the one that changes with every event."""
    names = [name for name, in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'portal%'")]
    return {name: [dict(zip((column[0] for column in cursor.description), row)) for row in cursor]
            for name in names if name != 'portal_state' for cursor in [db.execute(f'SELECT * FROM {name}')]}


def test_until_it_is_upgraded_every_call_says_how(t):
    db = first(t)
    for sql in ("SELECT send_registration(2, 'email')", 'SELECT deliver()', 'SELECT * FROM portal_status', 'SELECT portal_audit_verify()',
                'SELECT * FROM portal_check', "SELECT portal_setting('practice_name', 'x')", 'SELECT portal_key_rotate()',
                f"SELECT token_valid('{FIRST['link']}')", "INSERT INTO revoke_access(patient_id) VALUES (1)"):
        t.refuses(db, sql, says=('schema version 1', 'SELECT portal_init()'))


def test_an_upgrade_makes_the_tables_those_of_a_new_portal_and_keeps_every_row(t):
    for version in OLDER:
        upgrade_and_compare(t, older(t, version), version)


def upgrade_and_compare(t, db, version):
    before = rows(db)
    t.equal(t.one(db, 'SELECT portal_init()'), "The portal's tables and key file were upgraded (schema version 3).")
    t.contains(t.one(db, 'SELECT portal_init()'), 'are there')
    new = t.database(name=f'new{version}.db')
    t.equal(t.all(db, OBJECTS), t.all(new, OBJECTS))
    after = rows(db)
    t.equal(t.one(db, 'SELECT detail FROM portal_audit ORDER BY event_id DESC'), f'from schema version {version}')
    t.equal(after['portal_audit'].pop()['action'], 'portal.upgraded')
    for name, kept in before.items():
        t.equal([{column: row[column] for column in old} for row, old in zip(after[name], kept, strict=True)], kept, name)
    t.equal(t.all(db, "SELECT * FROM portal_check WHERE problem NOT LIKE '%due%'"), [])
    snapshot.whole(t, db)


def test_after_an_upgrade_links_sessions_accounts_requests_and_secrets_work_as_before(t):
    for version, practice in OLDER.items():
        upgrade_and_work(t, older(t, version), practice)


def upgrade_and_work(t, db, practice):
    db.execute('SELECT portal_init()')
    t.equal(t.all(db, 'SELECT patient_id, status FROM portal_status'), [(1, 'registered'), (2, 'sent'), (3, 'revoked'), (4, 'queued')])
    t.equal(t.one(db, 'SELECT token_status(?)', practice['link']), 'valid')
    t.contains(t.one(db, 'SELECT portal_session(?)', practice['session']), 'ada.lovelace')
    flows.login(t, db, practice['username'], practice['password'])
    t.equal(t.all(db, 'SELECT field, proposed_value FROM pending_requests ORDER BY 1'), [('cell_phone', '202-555-0199'), ('city', 'Turin')])
    db.execute("UPDATE pending_requests SET decision = 'accept'")
    t.equal(t.one(db, 'SELECT city FROM patient'), 'Turin')
    t.advance(120)
    t.equal(json.loads(t.one(db, 'SELECT deliver()'))['failed'], 0)
    flows.enroll(t, db, practice['link'], flows.pin(t, db, practice['link'], 2), 'grace.hopper')
    t.equal(flows.status(t, db, 2), 'registered')
    t.contains(t.one(db, 'SELECT portal_key_rotate()'), 'sealed anew: 1')
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_an_upgrade_that_can_not_be_ended_leaves_all_as_it_was(t):
    db = first(t)
    before = [*db.iterdump()]
    t.refuses(db, 'SELECT portal_init() FROM patient', says='using the table')
    t.equal([*db.iterdump()], before)
    db.execute('BEGIN')
    t.contains(t.one(db, 'SELECT portal_init()'), 'were upgraded')
    db.execute('ROLLBACK')
    t.equal([*db.iterdump()], before)


def test_wherever_the_disk_is_full_an_upgrade_is_done_whole_or_not_at_all(t):
    db = first(t)
    before = [*db.iterdump()]
    pages = t.one(db, 'PRAGMA page_count')
    answer = None
    while answer is None:
        db.execute(f'PRAGMA max_page_count = {pages}')
        try:
            answer = t.one(db, 'SELECT portal_init()')
        except sqlite3.OperationalError as error:
            t.contains(str(error), 'disk is full')
            t.equal((db.in_transaction, [*db.iterdump()] == before), (False, True), str(pages))
        pages += 1
    t.contains(answer, 'were upgraded')
    t.true(pages > t.one(db, 'PRAGMA page_count') - 2, pages)
    snapshot.whole(t, db)


def test_views_and_references_of_a_practice_still_name_the_tables_after_an_upgrade(t):
    db = first(t)
    db.execute('PRAGMA foreign_keys = ON')
    db.execute('CREATE VIEW late AS SELECT message_id FROM portal_message WHERE attempts > 2')
    db.execute('CREATE TABLE note (message_id REFERENCES portal_message ON DELETE CASCADE, text)')
    db.execute("INSERT INTO note VALUES (1, 'rang')")
    db.execute('SELECT portal_init()')
    t.equal(t.all(db, 'SELECT * FROM late'), [])
    t.equal((t.all(db, 'SELECT * FROM note'), t.all(db, 'PRAGMA foreign_key_check')), ([(1, 'rang')], []))
    t.equal(t.one(db, "SELECT count(*) FROM sqlite_schema WHERE sql GLOB '*older_*'"), 0)
    t.equal((t.one(db, 'PRAGMA legacy_alter_table'), t.one(db, 'PRAGMA foreign_keys')), (0, 1))


def test_names_in_a_hostile_database_are_names_and_no_statements(t):
    db = first(t)
    db.execute('CREATE TRIGGER "portal_x""; DROP TABLE patient; --" AFTER INSERT ON portal_pin BEGIN SELECT 1; END')
    for name in ('portal_y', 'older_portal_y'):
        db.execute(f'CREATE TABLE "{name}; DROP TABLE patient; --" (x)')
    db.execute('SELECT portal_init()')
    t.equal(t.one(db, 'SELECT count(*) FROM patient'), 4)
    t.equal(t.one(db, "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'portal_x%'"), 0)
    t.equal(t.one(db, "SELECT count(*) FROM sqlite_schema WHERE name LIKE '%portal_y%'"), 2)


def upgrade_at_once(t, number, path):
    db = t.connect(path)
    t.together()
    return t.one(db, 'SELECT portal_init()')


def test_processes_that_upgrade_at_once_upgrade_once(t):
    first(t)
    answers = t.parallel(4, upgrade_at_once, t.path('version1.db'))
    t.equal(sorted('were upgraded' in str(answer) for answer in answers), [False, False, False, True], str(answers))


def test_tables_of_this_version_that_give_themselves_out_as_1_are_upgraded_too(t):
    db = t.database()
    before = t.all(db, OBJECTS)
    db.execute('UPDATE portal_state SET schema_version = 1')
    t.contains(t.one(db, 'SELECT portal_init()'), 'were upgraded')
    t.equal(t.all(db, OBJECTS), before)
    snapshot.whole(t, db)
