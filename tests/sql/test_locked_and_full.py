"""A database that can only be read, that another one writes, or that has no room: nothing is half done."""
import resource
import sqlite3

import flows
import snapshot
from refusals import CALLS, refused_everywhere, staffed


def test_a_read_only_connection_reads_and_refuses_to_write(t):
    db = staffed(t)
    token = flows.send(t, db, 2)
    read = t.connect(f'file:{t.file(db)}?mode=ro', uri=True)
    refused_everywhere(t, read, 'can only be read', 'readonly database')
    t.equal(t.one(read, 'SELECT token_valid(?)', token), 1)
    t.equal(t.one(read, 'SELECT token_status(?)', token), 'valid')
    t.equal(t.one(read, 'SELECT count(*) FROM portal_status'), 2)
    t.equal(t.one(read, 'SELECT portal_audit_verify()'), None)
    t.equal(t.one(read, "SELECT send_problem(999, 'email') IS NOT NULL"), 1)
    t.refuses(read, "SELECT portal_login('ada', 'x')", says='can only be read')
    snapshot.whole(t, db)


def test_query_only_refuses_to_write(t):
    db = staffed(t)
    db.execute('PRAGMA query_only = on')
    refused_everywhere(t, db, 'can only be read', 'readonly database')
    db.execute('PRAGMA query_only = off')
    snapshot.whole(t, db)


def test_a_database_that_another_connection_writes_is_busy_and_nothing_half_done(t):
    for journal in ('delete', 'wal'):
        db = staffed(t, journal=journal)
        other = t.connect(t.file(db))
        db.execute('PRAGMA busy_timeout = 0')
        other.execute('BEGIN IMMEDIATE')
        refused_everywhere(t, db, 'another connection is writing', 'database is locked')
        t.refuses(db, "SELECT portal_login('ada', 'x')", says='another connection is writing')
        other.execute('ROLLBACK')
        t.contains(t.one(db, "SELECT send_registration(2, 'email')"), 'sent')
        snapshot.whole(t, db)


def test_a_lock_on_the_whole_file_is_busy_too(t):
    db = staffed(t)
    other = t.connect(t.file(db))
    db.execute('PRAGMA busy_timeout = 0')
    other.execute('BEGIN EXCLUSIVE')
    for sql in (*CALLS, 'SELECT * FROM portal_status', 'SELECT portal_audit_verify()'):
        text = t.refuses(db, sql)
        t.true('another connection is writing' in text or 'locked' in text, f'{sql}: {text}')
    other.execute('ROLLBACK')
    snapshot.whole(t, db)


def test_a_busy_timeout_waits(t):
    db = staffed(t)
    t.equal(t.parallel(3, send_in_turn, t.file(db)), [1, 1, 1])
    snapshot.whole(t, db)


def send_in_turn(t, number, path):
    db = t.connect(path)
    db.execute('PRAGMA busy_timeout = 30000')
    t.together()
    for _ in range(10):
        db.execute("SELECT portal_setting('link_hours', ?)", [number + 1])
    return 1


def test_a_full_database_is_a_clear_error_and_nothing_half_done(t):
    db = staffed(t)
    db.execute(f'PRAGMA max_page_count = {t.one(db, "PRAGMA page_count")}')
    before, done, full = None, 0, None
    while full is None and done < 500:
        before = snapshot.contents(db, ())
        try:
            db.execute("SELECT quick_add('Zoe', ?, '1990-01-01', 'email', ?)",
                       [f'Zed{done:04}'.translate(str.maketrans('0123456789', 'abcdefghij')),
                        f'zoe{done}@example.com'])
            done += 1
        except sqlite3.Error as error:
            full = str(error)
    t.contains(full, 'disk is full')
    t.true(not db.in_transaction)
    t.equal(snapshot.contents(db, ()), before)
    db.execute('PRAGMA max_page_count = 100000')
    t.contains(t.one(db, "SELECT send_registration(2, 'email')"), 'sent')
    snapshot.whole(t, db)


def test_a_full_database_rolls_an_insert_of_many_rows_back(t):
    db = t.database()
    for number in range(300):
        t.patient(db)
    before = snapshot.contents(db, ())
    db.execute(f'PRAGMA max_page_count = {t.one(db, "PRAGMA page_count") + 2}')
    for sql in ("INSERT INTO send_registration SELECT patient_id, 'email' FROM patient",
                "INSERT OR IGNORE INTO send_registration SELECT patient_id, 'email' FROM patient"):
        t.contains(t.refuses(db, sql), 'full')
        t.equal(snapshot.contents(db, ()), before)
        t.true(not db.in_transaction)
    snapshot.whole(t, db)


def test_a_full_database_within_a_transaction_leaves_no_half_of_a_call(t):
    for form in ('INSERT INTO quick_add VALUES', 'INSERT OR IGNORE INTO quick_add VALUES', 'SELECT quick_add'):
        for room in range(4):
            db = t.database()
            before = snapshot.contents(db, ())
            db.execute(f'PRAGMA max_page_count = {t.one(db, "PRAGMA page_count") + room}')
            db.execute('BEGIN')
            added = 0
            try:
                while added < 400:
                    name = f'Z{chr(97 + added // 26)}{chr(97 + added % 26)}'
                    db.execute(f"{form} ('{name}', 'Zed', '1990-01-01', 'email', '{name}@example.com')")
                    added += 1
            except sqlite3.Error as error:
                t.contains(str(error), 'full')
            t.true(added < 400, 'never full')
            if db.in_transaction:
                db.execute('COMMIT')
                # All or nothing of each: as many messages and registrations as patients.
                t.equal([t.one(db, f'SELECT count(*) FROM {name}') for name in (
                    'patient', 'portal_message', 'portal_registration')], [added] * 3, form)
            else:
                t.equal(snapshot.contents(db, ()), before, form)
            db.execute('PRAGMA max_page_count = 100000')
            snapshot.whole(t, db)


def test_a_file_that_may_not_grow_is_an_error_and_nothing_half_done(t):
    db = staffed(t)
    before = snapshot.contents(db, ())
    size = t.file(db).stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    text = t.refuses(db, "INSERT INTO quick_add SELECT 'A' || char(97 + value % 26) || char(97 + value / 26),"
                         " 'Zed', '1990-01-01', 'email', 'a' || value || '@example.com'"
                         " FROM (WITH RECURSIVE n(value) AS (SELECT 0 UNION ALL SELECT value + 1 FROM n"
                         " LIMIT 400) SELECT value FROM n)")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    t.true('full' in text or 'failed' in text or 'I/O' in text, text)
    t.equal(snapshot.contents(db, ()), before)
    snapshot.whole(t, db)
