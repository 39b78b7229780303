"""How a database is opened and a connection used: the same answers, or a clean refusal."""
import sqlite3

import flows
import snapshot
from refusals import staffed

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
    t.refuses(db, "SELECT send_registration(2, 'email')", says='run SELECT portal_init()')
    t.refuses(db, 'SELECT * FROM portal_status', says='run SELECT portal_init()')
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
