"""Whatever a driver binds to any argument or column: an answer or a refusal, never half a write."""
import sqlite3

import calls
import flows
import snapshot

# As SQL, because a driver could not bind some of them.
ODD = {
    'NULL': 'NULL',
    'a blob': "x'00ff'",
    'an empty blob': "x''",
    'a megabyte': "printf('%.*c', 1000000, 'x')",
    'the longest text': "printf('%.*c', 4096, 'x')",
    'a megabyte of digits': "printf('%.*c', 1000000, '7')",
    'an embedded NUL': "CAST(x'610062' AS TEXT)",
    'a NUL alone': "CAST(x'00' AS TEXT)",
    'invalid UTF-8': "CAST(x'ff' AS TEXT)",
    'UTF-8 cut short': "CAST(x'61e282' AS TEXT)",
    'a surrogate': "CAST(x'eda080' AS TEXT)",
    'empty text': "''",
    'a space': "' '",
    'a line break': "'a' || char(13, 10) || 'b'",
    'an invisible character': "'a' || char(8238) || 'b'",
    'a format': "'%s%n%q'",
    'quotes': "''';--\"'",
    'zero': '0',
    'a negative number': '-1',
    'the largest integer': '9223372036854775807',
    'the smallest integer': '-9223372036854775807 - 1',
    'an integral REAL': '1.0',
    'a fraction': '1.5',
    'infinity': '9e999',
    'negative infinity': '-9e999',
    'a number that is none': '9e999 - 9e999',
    'a huge REAL': '1e300',
    'JSON': '\'{"city": "London"}\'',
    'deep JSON': "printf('%.*c', 60000, '[')",
}


def try_sql(t, db, sql):
    """Runs it: None for an answer, else the refusal, which must be one and must say something."""
    try:
        db.execute(sql).fetchall()
    except sqlite3.Error as error:
        text = str(error)
        t.true(len(text) < 600, f'a refusal of {len(text)} characters: {sql[:200]}')
        t.true(text.isprintable(), f'{text!r}\n{sql[:200]}')
        for unclear in ('not an error', 'bad parameter', 'unknown error', 'SQL logic error', 'disk I/O'):
            t.true(unclear not in text, f'{text}\n{sql[:200]}')
        return text
    return None


def changes(before, after, apart_from=()):
    return {name: (before[name], after[name]) for name in before
            if before[name] != after[name] and name not in apart_from}


def call_all(t, db, kind, statement):
    """Each argument of each function in turn odd, the others fit: the statements, named."""
    for name, arguments in calls.functions(db, kind):
        for place in range(len(arguments)):
            for what, odd in ODD.items():
                yield f'{name}: {arguments[place]} is {what}', statement(name, arguments, place, odd)


def test_the_fit_values_cover_every_argument(t):
    db, fit = calls.practice(t)
    t.equal([f'{name}({word})' for name, words in calls.functions(db) for word in words if word not in fit], [])
    t.true(sum(1 for _ in calls.functions(db)) > 30)


GUESSES = ('request_pin', 'register_patient', 'register_representative', 'portal_login', 'reset_password')


def test_an_odd_argument_of_any_function_is_answered_or_refused_without_a_trace(t):
    db, fit = calls.practice(t)

    def statement(name, arguments, place, odd):
        values = [odd if at == place else fit[word] for at, word in enumerate(arguments)]
        return f'SELECT {name}({", ".join(values)})'

    tried = 0
    for what, sql in call_all(t, db, 'function', statement):
        if what.partition(':')[0] in GUESSES:
            continue
        tried += 1
        before = snapshot.contents(db)
        text = try_sql(t, db, sql)
        if text is not None:
            t.equal(changes(before, snapshot.contents(db)), {}, f'{what} was refused, but wrote: {text}')
    t.true(tried > 500)
    snapshot.whole(t, db)


def test_an_odd_argument_of_a_guess_spends_nothing_but_the_guess(t):
    db, fit = calls.practice(t)
    for name, arguments in calls.functions(db):
        if name not in GUESSES:
            continue
        for place, word in enumerate(arguments):
            for what, odd in ODD.items():
                values = [odd if at == place else fit[word] for at, word in enumerate(arguments)]
                # A right password costs Argon2id at each try: most tries are given a wrong link.
                if name != 'portal_login' and word != 'token':
                    values[0] = "'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'"
                before = snapshot.contents(db)
                try_sql(t, db, f'SELECT {name}({", ".join(values)})')
                t.equal(changes(before, snapshot.contents(db),
                                ('portal_throttle', 'portal_session', 'portal_account')), {}, f'{name}: {word} is {what}')
    snapshot.whole(t, db)


def test_odd_names_and_pins_with_a_live_link_are_refused_as_data_and_counted(t):
    db, fit = calls.practice(t)
    for what, odd in ODD.items():
        if 'blob' in what:
            continue
        guesses = t.one(db, 'SELECT guesses FROM portal_registration ORDER BY 1, registration_id DESC')
        answers = [flows.ask(t, db, f'SELECT request_pin({fit["token"]}, {odd}, \'1985-12-10\')'),
                   flows.ask(t, db, f'SELECT request_pin({fit["token"]}, \'Lovelace\', {odd})'),
                   flows.ask(t, db, f'SELECT register_patient({fit["token"]}, {odd}, \'zoe\', \'{flows.PASSWORD}\')')]
        t.equal([answer['result'] for answer in answers], ['refused'] * 3, what)
        db.execute("UPDATE portal_registration SET guesses = 0, status = 'live', ended_at = NULL"
                   " WHERE registration_id = (SELECT max(registration_id) FROM portal_registration)")
    t.equal(guesses, 0)
    t.equal(t.one(db, f'SELECT token_valid({fit["token"]})'), 1)


def test_a_blob_where_a_patient_types_is_misuse(t):
    db, fit = calls.practice(t)
    for sql in (f"SELECT request_pin({fit['token']}, x'41', '1985-12-10')", "SELECT token_valid(x'41')",
                "SELECT portal_login(x'41', 'x')", "SELECT portal_session(x'41')",
                "SELECT portal_logout(x'41')", "SELECT forgot_password(x'41')"):
        t.refuses(db, sql, says='blob')


def test_an_odd_value_in_any_column_of_an_insert_refuses_the_row_alone(t):
    db, fit = calls.practice(t)

    def statement(name, arguments, place, odd):
        values = [odd if at == place else fit[word] for at, word in enumerate(arguments)]
        return f'INSERT INTO {name} VALUES ({", ".join(values)})'

    tried = 0
    for what, sql in call_all(t, db, 'insert', statement):
        tried += 1
        before = snapshot.contents(db, ())
        db.execute('BEGIN')
        text = try_sql(t, db, sql)
        if text is not None:
            t.true(db.in_transaction, f'{what} rolled the transaction back: {text}')
            t.equal(changes(before, snapshot.contents(db, ())), {}, f'{what} was refused, but wrote: {text}')
        db.execute('ROLLBACK')
        t.equal(changes(before, snapshot.contents(db, ())), {}, what)
        ignored = sql.replace('INSERT', 'INSERT OR IGNORE', 1)
        db.execute('BEGIN')
        if text is not None:
            t.equal(db.execute(ignored).rowcount, 0, f'{what}: or ignore counted a refused row')
            t.equal(changes(before, snapshot.contents(db, ())), {}, f'{what}: or ignore wrote')
        db.execute('ROLLBACK')
    t.true(tried > 300)
    snapshot.whole(t, db)


def test_a_wrong_number_of_arguments_is_refused(t):
    db, fit = calls.practice(t)
    before = snapshot.contents(db, ())
    for name, arguments in calls.functions(db):
        for count in range(0, 9):
            taken = t.one(db, 'SELECT count(*) FROM pragma_function_list WHERE name = ? AND narg = ?',
                          name, count)
            if not taken:
                marks = ', '.join(['NULL'] * count)
                t.refuses(db, f'SELECT {name}({marks})', says='wrong number of arguments')
        t.true(len(arguments) < 9)
    for name, arguments in calls.functions(db, 'insert'):
        t.refuses(db, f'INSERT INTO {name} VALUES ({", ".join(["NULL"] * (len(arguments) + 1))})',
                  says='columns')
    t.equal(changes(before, snapshot.contents(db, ())), {})


def test_columns_left_out_of_an_insert_are_named_in_the_refusal(t):
    db, fit = calls.practice(t)
    for name, arguments in calls.functions(db, 'insert'):
        text = t.refuses(db, f'INSERT INTO {name} DEFAULT VALUES')
        t.contains(text.replace('patient id', 'patient_id'), arguments[0])


def test_an_insertable_table_takes_neither_updates_nor_deletes(t):
    db, fit = calls.practice(t)
    for name, arguments in calls.functions(db, 'insert'):
        db.execute(f'DELETE FROM {name}')
        db.execute(f'UPDATE {name} SET {arguments[0]} = 1')
        t.equal(db.execute('SELECT changes()').fetchone()[0], 0)
    snapshot.whole(t, db)


def test_integral_reals_are_as_good_as_integers_everywhere(t):
    db, fit = calls.practice(t)
    t.advance(3600)
    t.contains(t.one(db, 'SELECT send_registration(2.0, ?)', 'email'), 'Portal registration sent')
    t.equal(t.one(db, 'SELECT typeof(patient_id) FROM portal_registration ORDER BY 1 DESC'), 'integer')
    t.equal(t.one(db, "SELECT send_problem(999.0, 'email')"), t.one(db, "SELECT send_problem(999, 'email')"))
    t.equal(len(t.all(db, 'SELECT * FROM portal_status WHERE patient_id = 1.0')), 1)
    t.equal(len(t.all(db, 'SELECT * FROM pending_requests WHERE request_id = 1.0 AND patient_id = 1.0')), 1)
    t.contains(t.one(db, "SELECT accept_request(1.0, 'force')"), 'Request 1 was accepted')
    t.equal(t.one(db, "SELECT portal_setting('link_hours', 24.0)"), '24')
    t.contains(t.one(db, 'SELECT portal_purge(30.0)'), '30 days')
    t.contains(t.one(db, 'SELECT deliver(5.0)'), '"sent"')
    t.contains(t.one(db, 'SELECT revoke_access(1.0)'), 'patient 1 ')
    t.equal(t.all(db, "SELECT DISTINCT typeof(patient_id) FROM portal_audit WHERE patient_id IS NOT NULL"),
            [('integer',)])
    snapshot.whole(t, db)


def test_odd_values_in_the_constraints_of_tables_find_nothing_and_break_nothing(t):
    db, fit = calls.practice(t)
    for what, odd in ODD.items():
        for table, column in (('portal_status', 'patient_id'), ('pending_requests', 'patient_id'),
                              ('pending_requests', 'request_id'), ('portal_settings', 'key'),
                              ('portal_claimed', 'claim'), ('portal_help', 'name')):
            found = t.all(db, f'SELECT count(*) FROM {table} WHERE {column} = ({odd})')[0][0]
            plain = sum(1 for value, in db.execute(f'SELECT {column} FROM {table}'
                                                   + (" WHERE claim = ''" if table == 'portal_claimed' else ''))
                        if what == 'an integral REAL' and value == 1)
            t.equal(found, plain, f'{table}.{column} = {what}')


def test_odd_decisions_are_refused_and_decide_nothing(t):
    db, fit = calls.practice(t)
    for what, odd in ODD.items():
        t.refuses(db, f'UPDATE pending_requests SET decision = {odd}', says='decision')
    for column in ('proposed_value', 'patient_id', 'request_id', 'conflict', 'submitted_by'):
        t.refuses(db, f"UPDATE pending_requests SET {column} = 'x'")
        t.refuses(db, f"UPDATE pending_requests SET {column} = 'x', decision = 'accept'", says='decision')
    t.refuses(db, 'UPDATE pending_requests SET rowid = 7')
    t.refuses(db, 'DELETE FROM pending_requests')
    t.refuses(db, "INSERT INTO pending_requests(decision) VALUES ('accept')")
    t.equal(t.one(db, 'SELECT count(*) FROM pending_requests'), 1)
    snapshot.whole(t, db)


def test_an_odd_chart_breaks_no_table_and_is_refused_when_sending(t):
    db, fit = calls.practice(t)
    for column in ('first_name', 'last_name', 'date_of_birth', 'email', 'cell_phone', 'active',
                   'deceased_on', 'email_consent', 'preferred_language'):
        for what, odd in ODD.items():
            try:
                patient_id = db.execute(f'INSERT INTO patient({column}) VALUES ({odd})').lastrowid
            except sqlite3.IntegrityError:
                continue
            before = snapshot.contents(db)
            text = try_sql(t, db, f"SELECT send_registration({patient_id}, 'email')")
            t.true(text is not None, f'{column} is {what}')
            t.equal(changes(before, snapshot.contents(db)), {}, f'{column} is {what}')
            t.equal(len(t.all(db, 'SELECT * FROM portal_status WHERE patient_id = ?', patient_id)), 1)
            db.execute('DELETE FROM patient WHERE patient_id = ?', [patient_id])
    t.equal(t.all(db, 'SELECT * FROM portal_check'), [])
    snapshot.whole(t, db)
