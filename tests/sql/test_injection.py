"""SQL in every argument, setting, name and field: it comes back byte for byte or is refused, and is never run."""
import json
import sqlite3

import calls
import flows
import snapshot

PASSWORD = flows.PASSWORD
# Ends a string, a name, a blob or a comment; is a parameter, a format, a JSON path, a pattern; looks like a quote.
SQL = (
    "'; DELETE FROM treasure; --", '"; DROP TABLE patient; --', "' OR '1'='1", "x') ; UPDATE patient SET city = 'x'; --",
    "' UNION SELECT key, sealed FROM portal_secret --", "'||(SELECT password FROM portal_account)||'", 'patient_id', '1 OR 1=1',
    '1; DETACH main', '?1', ':token', '@a', '$.city', '%s%n%Q', "''", '""', '`;', '[x]', '\\\'; --', '/* ', '-- ', '*/', 'NULL',
    '{{link}}', "\u02bc; DELETE FROM treasure", "\uff07; DELETE FROM treasure", 'x" , "y', 'main.patient', '%', '_', 'GLOB *')
QUOTING = tuple(text for text in SQL if set(text) & set('\'";'))


def guarded(db):
    """Puts a table there that nobody may touch; gives the schema that must stay."""
    db.execute("CREATE TABLE treasure AS SELECT 'gold' AS x")
    return schema_of(db)


def schema_of(db):
    return db.execute('SELECT type, name, sql FROM sqlite_schema ORDER BY 1, 2').fetchall()


def unharmed(t, db, schema, what):
    t.equal(t.all(db, 'SELECT * FROM treasure'), [('gold',)], what)
    t.equal(schema_of(db), schema, what)
    t.equal([row[1] for row in t.all(db, 'PRAGMA database_list') if row[1] != 'temp'], ['main'], what)


def leaks_nothing(t, db, answer, what):
    """None of what an injected SELECT asks for came back."""
    text = str(answer)
    t.true('argon2' not in text and 'gold' not in text, f'{what}: {text}')


def test_sql_in_any_argument_of_any_function_is_not_run(t):
    db, fit = calls.practice(t)
    db.execute('PRAGMA synchronous = off')
    schema, tried = guarded(db), 0
    for kind, form in (('function', 'SELECT {}({})'), ('insert', 'INSERT INTO {} VALUES ({})')):
        for name, words in calls.functions(db, kind):
            # A name and a password cost a hash each: they are tried with less.
            texts = SQL[:6] if name in ('portal_login', 'reset_password') else SQL
            for place in range(len(words)):
                for text in texts:
                    tried += 1
                    values = [f':{word}' if at == place else fit[word] for at, word in enumerate(words)]
                    try:
                        answer = db.execute(form.format(name, ', '.join(values)), {words[place]: text}).fetchall()
                    except sqlite3.Error as error:
                        answer = str(error)
                    leaks_nothing(t, db, answer, f'{name} {words[place]} {text}')
            unharmed(t, db, schema, name)
    t.true(tried > 2000, str(tried))
    t.equal(t.one(db, 'SELECT count(*) FROM patient WHERE city IS NOT NULL'), 0)
    snapshot.whole(t, db)


def test_sql_in_the_constraint_of_any_table_finds_nothing(t):
    db, fit = calls.practice(t)
    schema = guarded(db)
    for name, in t.all(db, "SELECT name FROM portal_help WHERE kind = 'table'"):
        columns = [row[1] for row in t.all(db, f'PRAGMA table_xinfo({name})')]
        argument = {'portal_claimed': 'claim', 'portal_find': 'text'}.get(name)
        for text in SQL:
            for column in columns:
                also = f" AND {argument} = 'x'" if argument not in (None, column) else ''
                t.equal(t.all(db, f'SELECT * FROM {name} WHERE {column} = ?{also}', text), [], f'{name}.{column} {text}')
            if name == 'pending_requests':
                t.refuses(db, f'UPDATE {name} SET decision = ?', text, says='decision')
    unharmed(t, db, schema, 'constraints')


def test_any_setting_keeps_sql_as_it_is_or_refuses_it(t):
    db = t.database()
    schema, kept = guarded(db), 0
    for key, default in t.all(db, 'SELECT key, default_value FROM portal_settings'):
        for text in SQL:
            try:
                t.equal(t.one(db, 'SELECT portal_setting(?, ?)', key, text), text)
                kept += 1
            except sqlite3.Error:
                pass
            expected = t.one(db, 'SELECT value FROM portal_setting WHERE key = ?', key)
            t.equal(t.one(db, 'SELECT value FROM portal_settings WHERE key = ?', key), default if expected is None else expected)
            t.refuses(db, 'SELECT portal_setting(?, 1)', text, says='no setting')
        db.execute('SELECT portal_setting(?, NULL)', [key])
    t.true(kept >= 2 * len(SQL), f'{kept}: a practice and a folder may be called anything')
    unharmed(t, db, schema, 'settings')


def test_a_chart_of_sql_goes_through_the_whole_story_byte_for_byte(t):
    db = t.database()
    schema = guarded(db)
    for number, text in enumerate(QUOTING):
        name = f'N{text}'
        patient = t.patient(db, first_name=name, last_name=name, address_line1=text, city=text)
        t.one(db, "SELECT portal_as('ehr', ?)", f'u{text}')
        session = flows.register(t, db, patient, f'user{number}')
        who = json.loads(t.one(db, 'SELECT portal_session(?)', session))
        t.equal((who['name'], who['patients'][0]['last_name']), (f'{name} {name}', name))
        t.equal(flows.status(t, db, patient, 'patient_name'), f'{name} {name}')
        t.equal(flows.status(t, db, patient, 'sent_by'), f'ehr:u{text}')
        answer = flows.ask(t, db, 'SELECT submit_demographics(?, ?, ?)', session, patient,
                           json.dumps({'address_line1': f'{text}!', 'address_line2': f'{text}?'}))
        t.equal(answer, {'result': 'submitted', 'requests': 2})
        t.equal(t.all(db, 'SELECT current_value, proposed_value, patient_name FROM pending_requests'
                          ' WHERE patient_id = ? AND field = ?', patient, 'address_line1'),
                [(text, f'{text}!'.strip(), f'{name} {name}')])
        db.execute("UPDATE pending_requests SET decision = 'accept' WHERE patient_id = ?", [patient])
        t.equal(t.all(db, 'SELECT address_line1, address_line2, city FROM patient WHERE patient_id = ?', patient),
                [(f'{text}!'.strip(), f'{text}?'.strip(), text)])
        t.equal(flows.ask(t, db, 'SELECT submit_demographics(?, ?, ?)', session, patient,
                          json.dumps({text: 'x'}))['result'], 'refused')
        t.one(db, 'SELECT revoke_access(?, ?)', patient, text)
        t.equal(t.all(db, 'SELECT reason, revoked_by FROM portal_revocation WHERE patient_id = ?', patient),
                [(text, f'ehr:u{text}')])
        unharmed(t, db, schema, text)
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_people_and_keys_of_sql_go_through_the_whole_story_byte_for_byte(t):
    db = t.database()
    sql = t.one(db, "SELECT sql FROM sqlite_schema WHERE name = 'patient'")
    db.execute('DROP TABLE patient')
    db.execute(sql.replace('INTEGER PRIMARY KEY AUTOINCREMENT', 'TEXT PRIMARY KEY', 1))
    schema = guarded(db)
    for text in QUOTING:
        t.patient(db, patient_id=text)
        username, name = f'a{text}'[:64].strip(), f'Rita {text}'.strip()
        session = flows.register_representative(t, db, text, username, name=name, relationship=text.strip())
        t.equal(flows.patients_of(t, db, session), [text])
        t.equal(t.all(db, 'SELECT username, name, relationship FROM portal_people WHERE patient_id = ?', text),
                [(username, name, text.strip())])
        t.equal(flows.ask(t, db, 'SELECT submit_demographics(?, ?, ?)', session, text, '{"city": "Rome"}')['requests'], 1)
        request = t.one(db, 'SELECT request_id FROM pending_requests WHERE patient_id = ?', text)
        t.one(db, 'SELECT decline_request(?, ?)', request, text)
        t.equal(t.all(db, 'SELECT patient_id, reason FROM portal_request WHERE request_id = ?', request), [(text, text)])
        t.equal(flows.status(t, db, text), 'registered')
        t.one(db, 'SELECT remove_representative(?, ?, ?)', text, username, text)
        t.equal(t.all(db, "SELECT patient_id, subject, detail FROM portal_audit WHERE action = 'representative.removed'"
                          ' ORDER BY event_id DESC LIMIT 1'), [(text, username, text)])
        unharmed(t, db, schema, text)
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
