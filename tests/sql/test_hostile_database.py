"""A database file, or a connection, whose triggers, views, tables, collations and functions are not ours."""
import sqlite3

import calls
import flows
import snapshot

PROBLEM = 'a table, view or trigger of the portal is not as it was made'


def outcome(t, db, sql, *params):
    """'refused' when nothing but the audit of it changed, else 'done'; half of a call fails the test."""
    before = snapshot.contents(db)
    try:
        db.execute(sql, params).fetchall()
    except sqlite3.Error:
        t.true(not db.in_transaction, f'left a transaction open: {sql}')
        t.equal(snapshot.contents(db), before, f'refused, but wrote: {sql}')
        return 'refused'
    t.true(not db.in_transaction, f'left a transaction open: {sql}')
    return 'done'


def findings(t, db):
    return [subject for problem, subject in t.all(db, 'SELECT problem, subject FROM portal_check')
            if problem == PROBLEM]


def staffed(t):
    """A database with two patients, one invited; and the token of its link."""
    db = t.database()
    for _ in range(2):
        t.patient(db)
    return db, flows.send(t, db, 1)


# A schema that calls us

def test_no_view_trigger_or_default_of_a_schema_can_call_us_whatever_is_trusted(t):
    db, fit = calls.practice(t)
    for trusted in ('on', 'off'):
        db.execute(f'PRAGMA trusted_schema = {trusted}')
        before = snapshot.contents(db, ())
        for name, words in calls.functions(db):
            call = calls.fit_call(name, words, fit)
            db.execute(f'CREATE VIEW v AS SELECT {call} AS x')
            t.refuses(db, 'SELECT * FROM v', says=f'unsafe use of {name}')
            db.execute(f'CREATE TRIGGER g AFTER UPDATE ON patient BEGIN SELECT {call}; END')
            t.refuses(db, 'UPDATE patient SET city = NULL', says=f'unsafe use of {name}')
            db.execute('DROP VIEW v')
            db.execute('DROP TRIGGER g')
        for name, words in calls.functions(db, 'insert'):
            values = ', '.join(fit[word] for word in words)
            db.execute(f'CREATE TRIGGER g AFTER UPDATE ON patient BEGIN INSERT INTO {name} VALUES ({values}); END')
            t.refuses(db, 'UPDATE patient SET city = NULL', says='unsafe use')
            db.execute('DROP TRIGGER g')
        t.equal(snapshot.contents(db, ()), before)


def test_of_our_tables_a_view_shows_those_that_hold_no_secret_and_decides_nothing(t):
    db, fit = calls.practice(t)
    shown = {}
    for trusted in ('on', 'off'):
        db.execute(f'PRAGMA trusted_schema = {trusted}')
        shown[trusted] = set()
        for name, in t.all(db, "SELECT name FROM portal_help WHERE kind = 'table'"):
            db.execute(f"CREATE VIEW v AS SELECT * FROM {name}{'(1)' if name in ('portal_claimed', 'portal_find') else ''}")
            if outcome(t, db, 'SELECT * FROM v') == 'done':
                shown[trusted].add(name)
            db.execute('DROP VIEW v')
    t.equal(shown, {'on': {'portal_status', 'portal_settings', 'portal_opt_outs', 'portal_help'}, 'off': set()})
    db.execute('PRAGMA trusted_schema = on')
    db.execute("CREATE TRIGGER g AFTER INSERT ON patient BEGIN UPDATE pending_requests SET decision = 'accept'; END")
    t.refuses(db, "INSERT INTO patient(first_name, last_name, date_of_birth) VALUES ('a', 'b', '1990-01-01')",
              says='unsafe use')


def test_a_schema_made_with_functions_named_like_ours_can_not_use_ours(t):
    # Made where the names stood for something harmless, and opened where they are ours.
    path = t.file(staffed(t)[0])
    maker = t.connect(path, extension=False)
    for name, arguments in (('token_valid', 1), ('portal_login', 2), ('revoke_access', 1)):
        maker.create_function(name, arguments, lambda *_: 1, deterministic=True)
    ways = {
        'an index': 'CREATE INDEX hostile ON patient(revoke_access(patient_id))',
        'a partial index': "CREATE INDEX hostile ON patient(city) WHERE portal_login(city, 'x') = 1",
        'a generated column': 'ALTER TABLE patient ADD COLUMN hostile AS (token_valid(city))',
        'a check': "CREATE TABLE hostile(x CHECK (revoke_access(x)))",
        'a default': 'CREATE TABLE hostile(x, y DEFAULT (revoke_access(1)))',
    }
    for what, ddl in ways.items():
        maker.execute('BEGIN')
        maker.execute(ddl)
        maker.execute('COMMIT')
        db = t.connect(path)
        use = 'INSERT INTO hostile(x) VALUES (1)' if 'TABLE hostile' in ddl else 'UPDATE patient SET city = 1'
        if what == 'a generated column':
            use = 'SELECT hostile FROM patient'
        t.refuses(db, use)
        t.equal(t.one(maker, 'SELECT count(*) FROM portal_revocation'), 0, what)
        db.close()
        maker.execute('ALTER TABLE patient DROP COLUMN hostile' if 'COLUMN' in ddl else
                      f'DROP {ddl.split()[1]} hostile')


# A schema that meddles with what we write

MEDDLING = {
    # Each is refused, or done as it was meant; the self-check names all but those on the chart.
    'a link is redirected': ('AFTER INSERT ON portal_message', "UPDATE portal_message SET recipient = 'x@evil.example'", 'done'),
    'a message is dropped': ('BEFORE INSERT ON portal_message', 'SELECT RAISE(IGNORE)', 'done'),
    'a message is deleted again': ('AFTER INSERT ON portal_message', 'DELETE FROM portal_message WHERE message_id = NEW.message_id', 'done'),
    'a registration is dropped': ('BEFORE INSERT ON portal_registration', 'SELECT RAISE(IGNORE)', 'done'),
    'an event is dropped': ('BEFORE INSERT ON portal_audit', 'SELECT RAISE(IGNORE)', 'done'),
    'an event is refused': ('BEFORE INSERT ON portal_audit', "SELECT RAISE(ABORT, 'no')", 'refused'),
    'all is rolled back': ('AFTER INSERT ON portal_registration', "SELECT RAISE(ROLLBACK, 'no')", 'refused'),
    'it fails half way': ('AFTER INSERT ON portal_registration', "SELECT RAISE(FAIL, 'no')", 'refused'),
    'the head of the audit stays': ('BEFORE UPDATE ON portal_state', 'SELECT RAISE(IGNORE)', 'refused'),
    'it feeds itself': ('AFTER INSERT ON portal_message', "INSERT INTO portal_message(kind, channel, recipient, status, created_at)"
                        " VALUES ('x', 'email', 'x', 'x', 1)", 'refused'),
    'the settings are changed': ('AFTER INSERT ON portal_message', "INSERT INTO portal_setting VALUES ('link_hours', '1')", 'done'),
    'the tables are emptied': ('AFTER INSERT ON portal_registration', 'DELETE FROM portal_state', 'refused'),
}


def test_a_trigger_that_meddles_with_a_send_is_refused_or_harmless_and_named(t):
    for what, (event, body, answer) in MEDDLING.items():
        db, token = staffed(t)
        db.execute('PRAGMA recursive_triggers = on')
        db.execute(f'CREATE TRIGGER meddling {event} BEGIN {body}; END')
        t.equal(findings(t, db), ['trigger meddling'], what)
        t.equal(outcome(t, db, "SELECT send_registration(2, 'email')"), answer, what)
        t.equal(t.one(db, 'PRAGMA integrity_check'), 'ok', what)
        db.execute('DROP TRIGGER meddling')
        t.equal(findings(t, db), [])
        t.equal(t.one(db, 'SELECT portal_audit_verify() IS NOT NULL'), int(what == 'an event is dropped'), what)
        t.equal(t.one(db, 'SELECT token_valid(?)', token), 1, what)


def test_a_trigger_that_undoes_a_count_of_guesses_gives_no_guess_away(t):
    # What is not counted is not compared; a count set back afterwards is what the self-check names.
    for table in ('portal_registration', 'portal_pin'):
        db, token = staffed(t)
        pin = flows.pin(t, db, token, 1)
        db.execute(f'CREATE TRIGGER meddling BEFORE UPDATE ON {table} BEGIN SELECT RAISE(IGNORE); END')
        for _ in range(12):
            t.equal(flows.ask(t, db, "SELECT register_patient(?, ?, 'eve', 'long password')", token, pin)['result'],
                    'refused', table)
        t.equal(findings(t, db), ['trigger meddling'])


def test_what_of_the_portal_was_remade_is_named(t):
    for ddl, subject in (
            ('DROP VIEW portal_people; CREATE VIEW portal_people AS SELECT 1 AS patient_id', 'view portal_people'),
            ('ALTER TABLE portal_reset ADD COLUMN token', 'table portal_reset'),
            ('DROP TRIGGER portal_audit_no_delete; CREATE TRIGGER portal_audit_no_delete BEFORE DELETE ON portal_audit'
             ' BEGIN SELECT 1; END', 'trigger portal_audit_no_delete'),
            ('DROP TABLE portal_throttle; CREATE TABLE portal_throttle(account, client, failures, last_failed_at)',
             'table portal_throttle'),
            ('DROP TABLE portal_throttle; CREATE VIEW portal_throttle AS SELECT 1', 'view portal_throttle')):
        db, token = staffed(t)
        db.executescript(ddl)
        t.equal(findings(t, db), [subject])
    db, token = staffed(t)
    db.executescript('CREATE TRIGGER own AFTER UPDATE ON patient BEGIN SELECT 1; END;'
                     'CREATE TABLE portal_notes(x); CREATE VIEW portal_report AS SELECT * FROM portal_people')
    t.equal(findings(t, db), [], "the practice's own things are named")


def test_a_view_in_the_place_of_one_of_our_tables_is_refused(t):
    for name in snapshot.portal_tables(staffed(t)[0]):
        db, token = staffed(t)
        columns = ', '.join(f'NULL AS {row[1]}' for row in t.all(db, f'PRAGMA table_info({name})'))
        db.executescript(f'DROP TABLE {name}; CREATE VIEW {name} AS SELECT {columns}')
        for sql in ("SELECT send_registration(2, 'email')", 'SELECT revoke_access(1)',
                    "SELECT portal_login('ada', 'long password')", "SELECT portal_setting('link_hours', 2)",
                    f"SELECT request_pin('{token}', 'Lovelace', '1985-12-10')", 'SELECT expire_links()'):
            try:
                db.execute(sql).fetchall()
            except sqlite3.Error:
                pass
            t.true(not db.in_transaction, f'{name}: {sql}')
        t.equal(t.one(db, 'PRAGMA integrity_check'), 'ok')


def test_collations_of_the_chart_do_not_mix_up_patients(t):
    db = t.database()
    sql = t.one(db, "SELECT sql FROM sqlite_schema WHERE name = 'patient'")
    db.execute('DROP TABLE patient')
    db.execute(sql.replace('INTEGER PRIMARY KEY AUTOINCREMENT', 'TEXT COLLATE NOCASE PRIMARY KEY', 1))
    t.patient(db, patient_id='Ada-1')
    session = flows.register(t, db, 'Ada-1', 'ada')
    t.equal(flows.patients_of(t, db, session), ['Ada-1'])
    t.advance(60)
    t.contains(t.one(db, "SELECT send_registration('ADA-1', 'email')"), 'sent')
    t.equal(t.all(db, 'SELECT DISTINCT patient_id FROM portal_registration'), [('Ada-1',)])
    t.contains(t.one(db, "SELECT revoke_access('aDa-1')"), 'revoked')
    t.equal(t.one(db, 'SELECT portal_session(?)', session), None)
    db.execute('DROP TABLE patient')
    db.execute(sql.replace('first_name TEXT', 'first_name TEXT COLLATE nowhere', 1)
               .replace('first_name    TEXT', 'first_name TEXT COLLATE nowhere', 1))
    t.equal(outcome(t, db, "SELECT send_registration('Ada-1', 'email')"), 'refused')


def test_a_defensive_connection_and_a_writable_schema_change_nothing(t):
    db, token = staffed(t)
    done = t.shell(t.file(db), '.dbconfig defensive on\n.dbconfig trusted_schema off\nSELECT portal_init();'
                   "SELECT send_registration(2, 'email'); SELECT count(*) FROM portal_status; SELECT deliver();")
    t.equal((done.code, done.stderr), (0, ''))
    t.contains(done.stdout, 'are there', 'sent by email', '\n2\n')
    db.execute('PRAGMA writable_schema = on')
    t.contains(t.one(db, 'SELECT revoke_access(1)'), 'revoked')
    # A trigger smuggled into the schema, past the parser, is one as any other.
    db.execute("INSERT INTO sqlite_schema VALUES ('trigger', 'smuggled', 'portal_pin', 0,"
               " 'CREATE TRIGGER smuggled AFTER INSERT ON portal_pin BEGIN SELECT revoke_access(2); END')")
    other = t.connect(t.file(db))
    t.equal(findings(t, other), ['trigger smuggled'])
    token = flows.send(t, other, 1)
    t.refuses(other, "SELECT request_pin(?, 'Lovelace', '1985-12-10')", token, says='unsafe use of revoke_access')


# A connection that gets in the way: TEMP and attached databases, functions of the application

def test_temp_tables_and_tables_of_an_attached_database_change_nothing(t):
    for schema in ('temp', 'aux1'):
        db, token = staffed(t)
        db.execute("ATTACH ':memory:' AS aux1")
        for name in [*snapshot.portal_tables(db), 'patient', 'json_each', 'pragma_table_info']:
            columns = f'SELECT * FROM main.{name} WHERE 0' if name.startswith(('portal', 'patient')) else 'SELECT 1 AS value'
            db.execute(f'CREATE TABLE {schema}.{name} AS {columns}')
        before = {name: t.all(db, f'SELECT * FROM {schema}.{name}') for name, in
                  t.all(db, f'SELECT name FROM {schema}.sqlite_schema')}
        pin = flows.pin(t, db, token, 1) if schema == 'aux1' else pin_past_temp(t, db, token)
        flows.ask(t, db, 'SELECT register_patient(?, ?, ?, ?)', token, pin, 'ada.l', flows.PASSWORD)
        session = flows.login(t, db, 'ada.l')
        t.equal(flows.ask(t, db, 'SELECT submit_demographics(?, 1, ?)', session, '{"city": "Rome"}')['requests'], 1)
        t.contains(t.one(db, 'SELECT accept_request(1)'), 'accepted')
        t.equal(t.one(db, 'SELECT city FROM main.patient WHERE patient_id = 1'), 'Rome')
        t.equal(t.one(db, 'SELECT count(*) FROM portal_status'), 2)
        db.execute('SELECT revoke_access(1)')
        db.execute('SELECT expire_links()')
        t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
        t.equal({name: t.all(db, f'SELECT * FROM {schema}.{name}') for name in before}, before)


def test_a_practice_may_have_tables_named_as_sqlites_own_functions(t):
    for kind in ('TABLE {} AS SELECT 1 AS value', 'VIEW {} AS SELECT 1 AS value', 'TEMP TABLE {} AS SELECT 1 AS value'):
        db, token = staffed(t)
        for name in ('json_each', 'json_tree', 'json', 'json_type', 'pragma_table_info', 'pragma_table_list', 'pragma_table_xinfo',
                     'generate_series', 'needed', 'fts5', 'value', 'key'):
            db.execute(f'CREATE {kind.format(name)}')
        t.contains(t.one(db, 'SELECT portal_init()'), 'are there')
        session = flows.register(t, db, 2, 'grace')
        t.equal(flows.ask(t, db, 'SELECT submit_demographics(?, 2, ?)', session, '{"city": "Rome"}'),
                {'result': 'submitted', 'requests': 1})
        t.contains(t.one(db, 'SELECT accept_request(1)'), 'accepted')
        subjects = 'SELECT subject FROM portal_check ORDER BY 1'
        t.equal(t.all(db, subjects), [])
        db.execute('CREATE TEMP TABLE Send_Registration (patient_id)')
        db.execute('DROP TRIGGER portal_audit_no_update')
        t.equal(t.all(db, subjects), [('portal_audit_no_update',), ('temp.Send_Registration',)])
        db.execute('ALTER TABLE patient RENAME COLUMN city TO town')
        t.equal(t.all(db, "SELECT subject FROM portal_check WHERE problem LIKE '%has no column city'"), [('patient',)])


def pin_past_temp(t, db, token):
    """As flows.pin(), which would read the chart that hides the real one."""
    t.equal(flows.ask(t, db, "SELECT request_pin(?, 'Lovelace', '1985-12-10')", token)['result'], 'pin_sent')
    return t.pin(flows.newest(t, db, 'PIN'))


def test_temp_views_of_our_names_change_nothing(t):
    db, token = staffed(t)
    for name in snapshot.portal_tables(db):
        db.execute(f"CREATE TEMP VIEW {name} AS SELECT 'nothing' AS x")
    t.contains(t.one(db, "SELECT send_registration(2, 'email')"), 'sent')
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_the_database_attached_once_more_gives_no_second_guess(t):
    db, token = staffed(t)
    db.execute('ATTACH ? AS again', [str(t.file(db))])
    wrong = "SELECT request_pin(?, 'Wrong', '1985-12-10')"
    # Held by itself under another name, a guess can not be counted: then it is not compared.
    db.execute('BEGIN')
    db.execute('DELETE FROM again.portal_pin')
    t.refuses(db, wrong, token, says='autocommit')
    db.execute('ROLLBACK')
    for _ in range(10):
        t.one(db, wrong, token)
        db.execute('UPDATE again.patient SET city = 1')
    t.equal(flows.ask(t, db, "SELECT request_pin(?, 'Lovelace', '1985-12-10')", token), {'result': 'refused'})


def test_a_temp_trigger_that_calls_us_within_our_own_call_leaves_nothing_half_done(t):
    db, token = staffed(t)
    for body in ('SELECT revoke_access(1)', 'INSERT INTO revoke_access(patient_id) VALUES (1)',
                 "SELECT send_registration(2, 'email')", 'SELECT portal_init()', 'SELECT deliver()',
                 "SELECT portal_login('ada', 'x')", 'SELECT portal_restored()',
                 "UPDATE pending_requests SET decision = 'accept'"):
        for event in ('INSERT ON main.portal_message', 'INSERT ON main.portal_audit',
                      'UPDATE ON main.portal_registration'):
            db.execute(f'CREATE TEMP TRIGGER g AFTER {event} BEGIN {body}; END')
            outcome(t, db, "SELECT send_registration(2, 'email')")
            db.execute('DROP TRIGGER g')
            t.advance(3600)
    snapshot.whole(t, db)


def mischief(t, db, fit):
    """What a function of the application may do to its connection while we are at work."""
    yield from (f'SELECT {calls.fit_call(name, words, fit)}' for name, words in calls.functions(db))
    yield from (f'INSERT INTO {name} VALUES ({", ".join(fit[word] for word in words)})'
                for name, words in calls.functions(db, 'insert'))
    yield from (f'SELECT * FROM {name}' for name, in t.all(db, "SELECT name FROM portal_help WHERE kind = 'table'"))
    yield from ("UPDATE pending_requests SET decision = 'accept'", 'COMMIT', 'ROLLBACK', 'RELEASE portal',
                'ROLLBACK TO portal', 'SAVEPOINT portal', 'VACUUM', 'DETACH main', 'PRAGMA journal_mode = wal',
                'DROP TABLE portal_pin', 'DELETE FROM portal_registration', 'PRAGMA query_only = on',
                "ATTACH ':memory:' AS another", 'CREATE TABLE late(x)')


def test_an_application_that_calls_back_within_our_writes_leaves_nothing_half_done(t):
    # SQL of the application's function runs in the middle of our statements, on the same connection.
    db, fit = calls.practice(t)
    called = []
    insert = "INSERT INTO quick_add VALUES ('Zoe', 'Zed', '1990-01-01', 'email', ?)"

    def act(sql):
        try:
            called.append(db.execute(sql).fetchall())
        except sqlite3.Error as error:
            called.append(str(error))

    for sql in mischief(t, db, fit):
        db.execute('CREATE TEMP TRIGGER g AFTER INSERT ON main.portal_message BEGIN SELECT mischief(); END')
        db.create_function('mischief', 0, lambda: act(sql))
        before, told = snapshot.contents(db), len(called)
        try:
            db.execute(insert, [f'zoe{told}@example.com'])
        except sqlite3.Error:
            if 'portal_pin' not in sql and 'DELETE' not in sql:
                t.equal(snapshot.contents(db), before, f'half done: {sql}')
        t.true(len(called) > told, f'never called: {sql}')
        if sql.startswith(('INSERT', 'UPDATE')) or sql.startswith('SELECT') and '(' in sql:
            t.contains(str(called[-1]), 'within another portal call')
        t.true(not db.in_transaction, sql)
        db.execute('PRAGMA query_only = off')
        db.execute('DROP TRIGGER IF EXISTS temp.g')
        db.execute("DELETE FROM patient WHERE first_name = 'Zoe'")
    t.equal(t.one(db, 'PRAGMA integrity_check'), 'ok')
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_a_temp_trigger_on_the_chart_may_send_a_registration(t):
    db = t.database()
    db.execute('CREATE TEMP TRIGGER g AFTER INSERT ON main.patient BEGIN'
               " SELECT send_registration(NEW.patient_id, 'email'); END")
    t.patient(db)
    t.equal(t.all(db, 'SELECT status FROM portal_message'), [('queued',)])
    t.contains(t.one(db, 'SELECT deliver()'), '"sent":1')
    snapshot.whole(t, db)


OVERRIDDEN = ('coalesce', 'count', 'datetime', 'format', 'group_concat', 'iif', 'instr', 'json_type', 'json_valid',
              'length', 'like', 'lower', 'max', 'min', 'nullif', 'random', 'substr', 'sum', 'trim', 'unixepoch')


def test_functions_of_sqlite_that_the_application_overrides_open_nothing(t):
    for answer in (None, 0, 1, 'x', 10**12):
        db, token = staffed(t)
        for name in OVERRIDDEN:
            for count in (-1, 1, 2):
                db.create_function(name, count, lambda *_: answer)
        for sql in ("SELECT send_registration(2, 'email')", 'SELECT * FROM portal_status', 'SELECT * FROM portal_check',
                    'SELECT expire_links()', 'SELECT portal_audit_verify()', 'SELECT deliver()'):
            try:
                db.execute(sql).fetchall()
            except sqlite3.Error:
                t.true(not db.in_transaction, f'{answer}: {sql}')
        t.equal([t.one(db, 'SELECT token_valid(?)', text) for text in (token, 'x' * 32)], [1, 0])
        for _ in range(12):
            t.equal(flows.ask(t, db, "SELECT request_pin(?, 'Wrong', '1985-12-10')", token), {'result': 'refused'})
        t.equal(flows.ask(t, db, "SELECT request_pin(?, 'Lovelace', '1985-12-10')", token), {'result': 'refused'})
        t.equal(flows.ask(t, db, "SELECT portal_login('ada', 'x')"), {'result': 'refused'})
        snapshot.whole(t, t.connect(t.file(db)))


def test_a_virtual_table_that_hides_a_table_of_the_portal_is_told(t):
    db = t.database()
    db.execute('CREATE VIRTUAL TABLE portal_help USING fts5(name)')
    t.equal(t.all(db, 'SELECT subject FROM portal_check'), [('main.portal_help',)])
