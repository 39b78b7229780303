"""Where and how a database is opened: a clear refusal or the same answers, and nothing half done."""
import os
import re
import resource
import sqlite3
import subprocess

import flows
import harness
import snapshot

INIT = 'run SELECT portal_init()'
NO_TABLES_NEEDED = ('portal_init', 'portal_as', 'portal_version', 'portal_help')


def help_of(db):
    return db.execute('SELECT name, kind, usage FROM portal_help').fetchall()


def arguments(usage):
    """The names of the arguments that can not be left out."""
    return re.findall(r'\w+', usage.partition('(')[2].partition('[')[0])


def staffed(t, **options):
    """A database with two patients, one invited."""
    db = t.database(**options)
    t.patient(db)
    t.patient(db)
    db.execute("SELECT send_registration(1, 'email')")
    return db


# A call of every sort; each is allowed and has something to do.
CALLS = (
    "SELECT send_registration(2, 'email')", "INSERT INTO send_registration VALUES (2, 'email')",
    "SELECT quick_add('Zoe', 'Zed', '1990-01-01', 'email', 'zoe@example.com')",
    "INSERT INTO quick_add(first_name, last_name, date_of_birth) VALUES ('Zoe', 'Zed', '1990-01-01')",
    'SELECT revoke_access(1)', 'INSERT INTO revoke_access(patient_id) VALUES (1)',
    "SELECT portal_setting('link_hours', 24)", "SELECT portal_secret('a', 'b')",
)


def refused_everywhere(t, db, *says):
    """Every writing call is refused in one of these ways, and nothing changes, not even the audit."""
    before = snapshot.contents(db, ())
    for sql in CALLS:
        text = t.refuses(db, sql)
        t.true(any(word in text for word in says), f'{sql}: {text}')
        t.true(not db.in_transaction, f'{sql} left a transaction open')
    t.equal(snapshot.contents(db, ()), before)


# A database that is not ready

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
            t.refuses(db, f'SELECT * FROM {name}' + ("('x')" if name == 'portal_claimed' else ''), says=INIT)
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


# Read-only, locked, full

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


# The key file

def with_key(t, change, *says):
    db = staffed(t)
    key = t.path(f'{t.file(db).name}.portal-key')
    change(key)
    other = t.connect(t.file(db))
    before = snapshot.contents(other, ())
    for sql in ("SELECT send_registration(2, 'email')", 'SELECT portal_audit_verify()',
                "SELECT portal_setting('link_hours', 24)", 'SELECT portal_init()',
                "INSERT INTO send_registration VALUES (2, 'email')"):
        text = t.refuses(other, sql, says=('key file', *says))
        t.contains(text, key.name)
    t.equal(snapshot.contents(other, ()), before)


def test_a_missing_key_file_is_named_and_not_made_anew(t):
    with_key(t, lambda key: key.unlink(), 'missing')


def test_a_key_file_that_others_may_read_or_change_is_refused_with_the_remedy(t):
    for mode in (0o604, 0o620, 0o602, 0o601, 0o666):
        with_key(t, lambda key: key.chmod(mode), 'chmod 600')


def test_a_key_file_of_another_database_is_told_from_a_damaged_one(t):
    other = t.path(f'{t.file(t.database()).name}.portal-key').read_bytes()
    with_key(t, lambda key: key.write_bytes(other), 'another database')


def test_a_damaged_key_file_is_refused(t):
    for text in (b'', b'# nothing\n', b'1 abc\n', b'x' * 5000, b'1 ' + b'0' * 63 + b'\n', b'0 ' + b'0' * 64,
                 b'256 ' + b'0' * 64, b'1 ' + b'g' * 64, b'2 ' + b'0' * 64 + b'\n1 ' + b'0' * 64,
                 b'1 ' + b'0' * 64 + b' more', b'\x00' * 70, b'1'):
        with_key(t, lambda key: key.write_bytes(text))


def test_a_key_file_with_a_zero_byte_is_damaged_whatever_stands_before_it(t):
    later = b'\x00\n2 ' + b'0' * 64 + b'\n'
    with_key(t, lambda key: key.write_bytes(key.read_bytes() + later), 'is damaged')


def test_a_folder_in_place_of_the_key_file_is_refused(t):
    def change(key):
        key.unlink()
        key.mkdir(0o700)
    with_key(t, change, 'is not a file')


def test_a_key_file_that_changes_under_a_connection_is_noticed(t):
    db = staffed(t)
    key = t.path('practice.db.portal-key')
    right = key.read_bytes()
    key.chmod(0o644)
    # It is looked at once a second at most.
    deadline = os.times().elapsed + 5
    while os.times().elapsed < deadline:
        try:
            db.execute("SELECT portal_setting('link_hours', 24)")
        except sqlite3.Error as error:
            t.contains(str(error), 'chmod 600')
            break
    else:
        raise AssertionError('never noticed')
    key.chmod(0o600)
    t.equal(key.read_bytes(), right)
    db.execute("SELECT portal_setting('link_hours', 24)")


def test_the_environment_may_name_the_key_file(t):
    os.environ['PORTAL_KEY_FILE'] = str(t.path('elsewhere.key'))
    db = staffed(t)
    t.true(t.path('elsewhere.key').exists() and not t.path('practice.db.portal-key').exists())
    snapshot.whole(t, db)
    del os.environ['PORTAL_KEY_FILE']
    t.refuses(t.connect(t.file(db)), 'SELECT portal_audit_verify()', says='practice.db.portal-key is missing')
    os.environ['PORTAL_KEY_FILE'] = str(t.path('none/such.key'))
    t.refuses(t.database(init=False), 'SELECT portal_init()', says='such.key')


def test_a_folder_that_can_not_be_written_gets_no_portal(t):
    os.environ['PORTAL_KEY_FILE'] = '/proc/portal.key'
    db = t.database(init=False)
    t.refuses(db, 'SELECT portal_init()', says=('/proc/portal.key', 'can not be made'))
    t.equal(t.all(db, 'SELECT name FROM sqlite_schema'), [])


@harness.release_only
def test_the_key_is_made_too_where_a_file_needs_a_name(t):
    keys = t.path('keys')
    keys.mkdir()
    # The first time that the folder is opened is for a file without a name.
    done = subprocess.run(['strace', '-f', '-o', t.path('trace'), '-P', f'{keys}/', '-e', 'inject=openat:error=EOPNOTSUPP:when=1',
                           'sqlite3', '-cmd', f'.load {t.extension}', 'practice.db', 'SELECT portal_init()'],
                          env={**os.environ, 'PORTAL_KEY_FILE': f'{keys}/key'}, capture_output=True, text=True)
    t.contains(done.stdout, 'were made')
    t.contains(t.path('trace').read_text(), 'O_TMPFILE', 'EOPNOTSUPP')
    t.equal([(file.name, file.stat().st_mode & 0o777) for file in keys.iterdir()], [('key', 0o600)])


# Other databases on the same connection

def test_a_database_in_memory_works_with_a_key_of_its_own(t):
    db = t.connect(':memory:')
    db.execute('SELECT portal_init()')
    db.execute("SELECT portal_setting('maildir', ?)", [str(t.path('mail'))])
    t.patient(db)
    t.contains(t.one(db, "SELECT send_registration(1, 'email')"), 'sent')
    t.equal(t.one(db, 'SELECT token_valid(?)', t.token(t.mails(t.path('mail'))[0])), 1)
    t.equal(list(t.directory.glob('*portal-key*')), [])
    snapshot.whole(t, db)


def test_a_database_in_memory_restored_from_elsewhere_says_that_its_key_is_not_here(t):
    db = t.connect(':memory:')
    staffed(t).backup(db)
    t.refuses(db, "SELECT send_registration(2, 'email')", says='in-memory')


def test_attached_databases_are_not_touched_and_do_not_confuse(t):
    db, other = staffed(t), staffed(t)
    before = snapshot.contents(other, ())
    db.execute('ATTACH ? AS other', [str(t.file(other))])
    t.contains(t.one(db, "SELECT send_registration(2, 'email')"), 'sent')
    db.execute('SELECT revoke_access(1)')
    db.execute('SELECT deliver()')
    t.equal(snapshot.contents(other, ()), before)
    t.equal(t.one(db, 'SELECT count(*) FROM portal_status'), 2)
    snapshot.whole(t, db)
    snapshot.whole(t, other)


def test_a_plain_database_with_a_portal_attached_has_no_portal_itself(t):
    other = staffed(t)
    db = t.connect(t.path('plain.db'))
    db.execute('ATTACH ? AS practice', [str(t.file(other))])
    before = snapshot.contents(other, ())
    t.refuses(db, "SELECT send_registration(2, 'email')", says=INIT)
    t.refuses(db, 'SELECT * FROM portal_status', says=INIT)
    t.equal(snapshot.contents(other, ()), before)


def test_a_write_transaction_on_an_attached_database_keeps_the_network_away(t):
    db = staffed(t)
    db.execute('ATTACH ? AS other', [str(t.path('other.db'))])
    db.execute('CREATE TABLE other.note(text)')
    db.execute('BEGIN')
    db.execute("INSERT INTO other.note VALUES ('x')")
    t.contains(t.one(db, "SELECT send_registration(2, 'email')"), 'queued')
    db.execute('COMMIT')
    t.contains(t.one(db, 'SELECT deliver()'), '"sent":1')


# Pragmas and how a connection is used

PRAGMAS = ['foreign_keys', 'recursive_triggers', 'ignore_check_constraints', 'count_changes',
           'trusted_schema', 'full_column_names', 'short_column_names', 'reverse_unordered_selects',
           'case_sensitive_like', 'cell_size_check', 'defer_foreign_keys', 'legacy_alter_table',
           'secure_delete', 'empty_result_callbacks']


def whole_story(t, db):
    ada = t.patient(db)
    session = flows.register(t, db, ada, 'ada.l')
    t.equal(flows.ask(t, db, 'SELECT submit_demographics(?, ?, ?)', session, ada,
                      '{"city": "Rome", "state": "NY"}')['requests'], 2)
    db.execute("UPDATE pending_requests SET decision = 'accept' WHERE field = 'city'")
    db.execute('SELECT decline_request(request_id) FROM pending_requests').fetchall()
    t.equal(t.all(db, 'SELECT city, state FROM patient'), [('Rome', None)])
    db.execute('SELECT revoke_access(?)', [ada])
    t.equal(flows.status(t, db, ada), 'revoked')
    t.equal(t.one(db, "SELECT quick_add('Zoe', 'Zed', '1990-01-01', 'email', 'zoe@example.com')"), ada + 1)
    db.execute("SELECT portal_setting('practice_name', 'Dr. Who')")
    t.equal(t.one(db, "SELECT value FROM portal_settings WHERE key = 'practice_name'"), 'Dr. Who')
    t.advance(7 * 86400)
    t.equal(t.one(db, 'SELECT expire_links()'), 1)
    t.advance(400 * 86400)
    t.contains(t.one(db, 'SELECT portal_purge(30)'), 'rows')
    snapshot.whole(t, db)


def test_the_whole_story_goes_with_every_pragma_turned(t):
    for value in ('on', 'off'):
        db = t.database()
        for pragma in PRAGMAS:
            db.execute(f'PRAGMA {pragma} = {value}')
        whole_story(t, db)


def test_the_whole_story_goes_in_every_journal_mode(t):
    for journal in ('wal', 'truncate', 'persist', 'memory'):
        whole_story(t, t.database(journal=journal))


def test_the_whole_story_goes_with_utf16_and_odd_page_sizes(t):
    for encoding, size in (('UTF-16le', 512), ('UTF-16be', 65536)):
        db = t.database(init=False)
        db.execute(f"PRAGMA encoding = '{encoding}'")
        db.execute(f'PRAGMA page_size = {size}')
        db.execute('SELECT portal_init()')
        whole_story(t, db)


def test_exclusive_locking_works(t):
    db = t.database(init=False)
    db.execute('PRAGMA locking_mode = exclusive')
    db.execute('SELECT portal_init()')
    whole_story(t, db)


def test_loading_twice_works(t):
    db = t.database()
    t.load(db, t.extension)
    t.patient(db)
    t.contains(t.one(db, "SELECT send_registration(1, 'email')"), 'sent')
    t.load(db, t.extension)
    t.contains(t.one(db, 'SELECT revoke_access(1)'), 'revoked')
    snapshot.whole(t, db)


def test_loading_again_gives_no_rights_back(t):
    db = staffed(t)
    db.execute("SELECT portal_as('scheduling', 'desk')")
    t.load(db, t.extension)
    t.refuses(db, 'SELECT revoke_access(1)', says='scheduling')
    t.equal(t.one(t.connect(t.file(db)), "SELECT actor FROM portal_audit ORDER BY event_id DESC"), 'desk')


def test_two_connections_of_one_process_see_what_the_other_did(t):
    db = t.database(journal='wal')
    other = t.connect(t.file(db))
    t.patient(db)
    t.equal(t.one(other, "SELECT value FROM portal_settings WHERE key = 'link_hours'"), '72')
    db.execute("SELECT portal_setting('link_hours', 1)")
    t.equal(t.one(other, "SELECT value FROM portal_settings WHERE key = 'link_hours'"), '1')
    token = flows.send(t, other, 1)
    t.advance(3600)
    t.equal(t.one(db, 'SELECT token_valid(?)', token), 0)
    t.equal(t.one(other, 'SELECT portal_audit_verify()'), None)


def test_vacuum_drop_and_alter_work_after_calls(t):
    db = staffed(t)
    t.all(db, 'SELECT * FROM portal_status')
    t.all(db, 'SELECT * FROM portal_check')
    db.execute('VACUUM')
    db.execute('ALTER TABLE patient ADD COLUMN note')
    db.execute('CREATE TABLE appointment(id)')
    db.execute('DROP TABLE appointment')
    db.execute('PRAGMA wal_checkpoint')
    db.execute('PRAGMA journal_mode = wal')
    t.contains(t.one(db, "SELECT send_registration(2, 'email')"), 'sent')
    db.execute('REINDEX')
    db.execute('ANALYZE')
    snapshot.whole(t, db)


def test_an_authorizer_that_denies_gives_a_clean_error_and_nothing_half_done(t):
    db = staffed(t)
    before = snapshot.contents(db, ())
    denied = set()

    def run(number):
        """Denies the number-th question; false when there were fewer."""
        seen = 0

        def authorizer(*question):
            nonlocal seen
            seen += 1
            if seen == number:
                denied.add(question[0])
            return sqlite3.SQLITE_DENY if seen == number else sqlite3.SQLITE_OK

        fresh = t.connect(t.file(db))
        fresh.execute('BEGIN')
        fresh.set_authorizer(authorizer)
        failed = None
        try:
            fresh.execute("SELECT send_registration(2, 'email')").fetchall()
        except sqlite3.Error as error:
            failed = str(error)
        fresh.set_authorizer(None)
        if fresh.in_transaction:
            fresh.execute('ROLLBACK')
        fresh.close()
        if number <= seen and failed is not None:
            t.true('not an error' not in failed, failed)
        return seen >= number

    number = 1
    while run(number):
        number += 3
    t.true(number > 50 and len(denied) > 3, f'{number}: {denied}')
    t.equal(snapshot.contents(db, ()), before)
    snapshot.whole(t, db)


def test_an_authorizer_that_denies_a_write_leaves_nothing_of_an_autocommitted_call(t):
    db = staffed(t)
    for table in ('portal_message', 'portal_registration', 'portal_audit', 'portal_state'):
        before = snapshot.contents(db, ())
        db.set_authorizer(lambda action, name, *rest: sqlite3.SQLITE_DENY if name == table and action in (
            sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE) else sqlite3.SQLITE_OK)
        t.refuses(db, "SELECT send_registration(2, 'email')")
        db.set_authorizer(None)
        t.true(not db.in_transaction)
        t.equal(snapshot.contents(db, ()), before, table)
    snapshot.whole(t, db)


def test_an_interrupted_call_leaves_nothing(t):
    db = t.database()
    for _ in range(60):
        t.patient(db)
    before = snapshot.contents(db, ())
    for steps in (1, 20, 100, 300):
        db.set_progress_handler(lambda: 1, steps)
        t.contains(t.refuses(db, "INSERT INTO send_registration SELECT patient_id, 'email' FROM patient"),
                   'interrupt')
        db.set_progress_handler(None, 0)
        t.true(not db.in_transaction)
        t.equal(snapshot.contents(db, ()), before)
    snapshot.whole(t, db)


def test_a_function_interrupted_anywhere_is_done_or_not_done(t):
    outcomes = set()
    for steps in (*range(1, 60, 4), *range(60, 400, 40)):
        db = staffed(t)
        before = snapshot.contents(db, ())
        answers = iter([0] * 3 + [1] * 1000)
        db.set_progress_handler(lambda: next(answers, 1), steps)
        try:
            done = 'sent' in t.one(db, "SELECT send_registration(2, 'email')")
        except sqlite3.Error as error:
            t.contains(str(error), 'interrupt')
            done = False
        db.set_progress_handler(None, 0)
        outcomes.add(done)
        t.true(not db.in_transaction)
        if not done and t.one(db, 'SELECT count(*) FROM portal_registration') == 1:
            t.equal(snapshot.contents(db, ()), before)
        snapshot.whole(t, db)
        db.close()
    t.equal(outcomes, {True, False})


def test_the_shell_closes_without_a_word_after_calls_and_in_the_middle_of_a_transaction(t):
    db = staffed(t)
    for sql in ('SELECT * FROM portal_status;', "BEGIN; SELECT send_registration(2, 'email');",
                "SELECT send_registration(2, 'email');", 'SELECT * FROM portal_check;'):
        done = t.shell(t.file(db), sql)
        t.equal((done.code, done.stderr), (0, ''))
    snapshot.whole(t, db)


def test_what_a_damaged_schema_says_is_shown_without_control_characters(t):
    db = staffed(t)
    plain = t.connect(t.file(db), extension=False)
    plain.execute('PRAGMA writable_schema = 1')
    plain.execute("UPDATE sqlite_master SET sql = replace(sql, 'nonce', 'n' || char(7, 10) || 'x')"
                  " WHERE name = 'portal_reset'")
    plain.close()
    other = t.connect(t.file(db))
    for sql in ("SELECT send_registration(2, 'email')", "SELECT portal_login('x', 'y')"):
        text = t.refuses(other, sql, says='damaged')
        t.true(text.isprintable(), repr(text))
