"""quick_add: a new patient in one call, with or without the registration."""
import flows

COLUMNS = 'first_name, last_name, date_of_birth, email, cell_phone, phr_active'


def add(t, db, *arguments):
    return t.one(db, f'SELECT quick_add({", ".join("?" * len(arguments))})', *arguments)


def refused(t, db, *arguments, says=()):
    """Claims a refusal that adds nobody and queues nothing."""
    before = counts(t, db)
    error = t.refuses(db, f'SELECT quick_add({", ".join("?" * len(arguments))})', *arguments, says=says)
    t.equal(counts(t, db), before)
    return error


def counts(t, db):
    return [t.one(db, f'SELECT count(*) FROM {table}')
            for table in ('patient', 'portal_message', 'portal_registration')]


def chart(t, db, patient_id, columns=COLUMNS):
    return db.execute(f'SELECT {columns} FROM patient WHERE patient_id = ?', [patient_id]).fetchone()


# What it does

def test_three_arguments_add_a_patient_and_send_nothing(t):
    db = t.database()
    ada = add(t, db, 'Ada', 'Lovelace', '1985-12-10')
    t.equal(chart(t, db, ada), ('Ada', 'Lovelace', '1985-12-10', None, None, 0))
    t.equal(flows.status(t, db, ada), 'not sent')
    t.equal(counts(t, db), [1, 0, 0])


def test_a_channel_and_its_contact_activate_the_portal_and_send(t):
    db = t.database()
    ada = add(t, db, 'Ada', 'Lovelace', '1985-12-10', 'email', ' ada@Example.com ')
    t.equal(chart(t, db, ada), ('Ada', 'Lovelace', '1985-12-10', 'ada@example.com', None, 1))
    bob = add(t, db, 'Bob', 'Lovelace', '1985-12-10', 'text', '(202) 555-0143')
    t.equal(chart(t, db, bob), ('Bob', 'Lovelace', '1985-12-10', None, '+12025550143', 1))
    t.equal([flows.status(t, db, patient) for patient in (ada, bob)], ['sent', 'sent'])
    t.equal(len(t.mails(db)), 2)


def test_sms_is_another_word_for_text(t):
    db = t.database()
    ada = add(t, db, 'Ada', 'Lovelace', '1985-12-10', 'sms', '202-555-0143')
    t.equal(flows.status(t, db, ada, 'channel'), 'text')


def test_whoever_was_quick_added_can_register(t):
    db = t.database()
    ada = add(t, db, 'Ada', 'Lovelace', '1985-12-10', 'email', 'ada@example.com')
    session = flows.register_with(t, db, t.token(t.mails(db)[0]), ada, 'ada.l')
    t.equal(flows.patients_of(t, db, session), [ada])


def test_names_are_trimmed_and_kept_as_written(t):
    db = t.database()
    ada = add(t, db, ' Zoë ', "  O'Brien-Díaz ", '1985-12-10')
    t.equal(chart(t, db, ada, 'first_name, last_name'), ('Zoë', "O'Brien-Díaz"))


def test_quick_add_needs_only_the_contact_of_its_channel_in_either_application(t):
    db = t.database()
    desk = t.connect(t.file(db), application='scheduling')
    for number, connection in enumerate((db, desk)):
        add(t, connection, f'Ada{number}', 'Lovelace', '1985-12-10', 'text', f'202-555-014{number}')
        add(t, connection, f'Bob{number}', 'Lovelace', '1985-12-10', 'email', f'bob{number}@example.com')
    t.equal(len(t.mails(db)), 4)


def test_the_portal_may_not_add_patients(t):
    db = t.database()
    page = t.connect(t.file(db), application='portal')
    t.refuses(page, "SELECT quick_add('Ada', 'Lovelace', '1985-12-10')", says='portal')
    t.equal(counts(t, db), [0, 0, 0])


def test_an_addition_is_audited(t):
    db = t.database()
    ada = add(t, db, 'Ada', 'Lovelace', '1985-12-10')
    t.equal(t.all(db, "SELECT patient_id FROM portal_audit WHERE action = 'patient.quick_added'"), [(ada,)])
    refused(t, db, 'Ada', 'Lovelace', '1985-12-10')
    t.equal(t.one(db, "SELECT subject FROM portal_audit WHERE action = 'call.refused'"), 'quick_add')


# Arity and types

def test_four_arguments_are_refused(t):
    db = t.database()
    refused(t, db, 'Ada', 'Lovelace', '1985-12-10', 'email')
    refused(t, db, 'Ada', 'Lovelace')
    refused(t, db, 'Ada', 'Lovelace', '1985-12-10', 'email', 'ada@example.com', 'more')


def test_null_for_channel_and_contact_in_the_insert_form_is_as_left_out(t):
    db = t.database()
    db.execute("INSERT INTO quick_add VALUES ('Ada', 'Lovelace', '1985-12-10', NULL, NULL)")
    t.equal(counts(t, db), [1, 0, 0])


def test_a_channel_without_a_contact_or_the_reverse_is_refused(t):
    db = t.database()
    for channel, contact, word in (('email', None, 'contact'), (None, 'ada@example.com', 'channel'),
                                   ('email', '', 'contact'), ('fax', 'ada@example.com', 'fax')):
        refused(t, db, 'Ada', 'Lovelace', '1985-12-10', channel, contact, says=word)
        t.refuses(db, "INSERT INTO quick_add VALUES ('Ada', 'Lovelace', '1985-12-10', ?, ?)", channel, contact,
                  says=word)
        t.equal(counts(t, db), [0, 0, 0])


def test_a_name_that_is_none_is_refused_by_its_column(t):
    db = t.database()
    for name in (None, '', '   ', "'", '-', 'Ada\nLovelace', 'Ada\0', 'A\u202eda', 'A\u200bda', 'x' * 101,
                 b'Ada', 12, 1.5):
        refused(t, db, name, 'Lovelace', '1985-12-10', says='first_name')
        refused(t, db, 'Ada', name, '1985-12-10', says='last_name')


def test_a_date_that_is_none_is_refused(t):
    db = t.database()
    for date in (None, '', '1985-2-3', '12/10/1985', '1985-02-29', '1985-13-01', '1985-00-10', '1849-12-31',
                 '1985-12-10 ', '1985-12-10T00:00', '19851210', 'yesterday', 19851210, b'1985-12-10'):
        refused(t, db, 'Ada', 'Lovelace', date, says='date_of_birth')


def test_a_birth_in_the_future_is_refused(t):
    db = t.database()       # 2026-11-22 14:20 UTC: nowhere is it later than the 23rd
    refused(t, db, 'Ada', 'Lovelace', '2026-11-24', says=['date_of_birth', 'future'])
    refused(t, db, 'Ada', 'Lovelace', '2085-12-10', says='future')
    add(t, db, 'Ada', 'Lovelace', '2026-11-22')


def test_a_malformed_contact_adds_nobody(t):
    db = t.database()
    for contact in ('ada', 'ada@', 'a b@example.com', 'ada@example.com\nBcc: x@example.com', 'ada\u202e@example.com',
                    'x' * 250 + '@example.com', '202-555-0143'):
        refused(t, db, 'Ada', 'Lovelace', '1985-12-10', 'email', contact, says=['contact', 'email address'])
    for contact in ('202-555-CALL', '555', '202\n5550143', 'ada@example.com', '+' + '1' * 40):
        refused(t, db, 'Ada', 'Lovelace', '1985-12-10', 'text', contact, says=['contact', 'phone'])
    refused(t, db, 'Ada', 'Lovelace', '1985-12-10', 'email', 'ada\0@example.com', says='contact')
    t.equal(t.mails(db), [])


# Namesakes

def test_the_same_name_and_date_of_birth_is_refused_naming_that_patient(t):
    db = t.database()
    t.patient(db, first_name='Eve')
    ada = t.patient(db)
    refused(t, db, 'Ada', 'Lovelace', '1985-12-10', says=f'patient {ada} ')
    refused(t, db, 'Ada', 'Lovelace', '1985-12-10', 'email', 'new@example.com', says=f'patient {ada} ')


def test_a_namesake_is_found_however_the_name_is_written(t):
    db = t.database()
    ada = t.patient(db, first_name='Zoë Ann', last_name="O'Brien-Díaz", date_of_birth='2001-02-03')
    for first, last in (('ZOE ANN', "O'BRIEN-DIAZ"), ('zoë-ann', 'obrien díaz'), ('Zoe\u0308Ann', 'O’Brien Dı́az'),
                        ('Zoeann', 'OBrienDiaz'), (' Zoë  Ann ', 'O`Brien–Díaz')):
        refused(t, db, first, last, '2001-02-03', says=f'patient {ada} ')


def test_a_twin_and_a_namesake_born_another_day_are_added(t):
    db = t.database()
    t.patient(db)
    for person in (('Adam', 'Lovelace', '1985-12-10'), ('Ada', 'Love', '1985-12-10'),
                   ('Ada', 'Lovelace', '1985-12-11'), ('Lovelace', 'Ada', '1985-12-10')):
        add(t, db, *person)
    t.equal(t.one(db, 'SELECT count(*) FROM patient'), 5)


def test_the_full_profile_takes_a_namesake(t):
    db = t.database()
    ada, twin = t.patient(db), t.patient(db)
    t.true(ada != twin)
    flows.send(t, db, ada)
    flows.send(t, db, twin)


def test_the_first_of_two_in_one_statement_makes_the_second_a_namesake(t):
    db = t.database()
    t.refuses(db, "INSERT INTO quick_add(first_name, last_name, date_of_birth)"
                  " VALUES ('Ada', 'Lovelace', '1985-12-10'), ('ada', 'LOVELACE', '1985-12-10')", says='same name')
    t.equal(counts(t, db), [0, 0, 0])
    t.refuses(db, "SELECT quick_add('Ada', 'Lovelace', '1985-12-10'), quick_add('Ada', 'Lovelace', '1985-12-10')",
              says='same name')


# One write

def practice(t, extra='', key='INTEGER PRIMARY KEY', options=''):
    """A database whose patient table is the practice's own."""
    db = t.database(init=False)
    db.executescript(f'''
        CREATE TABLE patient (
            patient_id {key}, first_name TEXT, last_name TEXT, date_of_birth TEXT, sex TEXT, email TEXT,
            cell_phone TEXT, home_phone TEXT, address_line1 TEXT, address_line2 TEXT, city TEXT, state TEXT,
            postal_code TEXT, preferred_language TEXT, email_consent INTEGER, text_consent INTEGER,
            phr_active INTEGER, active INTEGER, deceased_on TEXT {extra}) {options}''')
    db.execute('SELECT portal_init()')
    return db


REFUSING = {
    'a CHECK': ", CHECK (last_name <> 'Lovelace')",
    'a NOT NULL': ', chart_number TEXT NOT NULL',
    'a UNIQUE': ', CONSTRAINT one_per_day UNIQUE (date_of_birth)',
}


def refusing_practices(t):
    for name, extra in REFUSING.items():
        db = practice(t, extra)
        if 'UNIQUE' in name:
            db.execute("INSERT INTO patient(first_name, last_name, date_of_birth) VALUES('E', 'F', '1985-12-10')")
        yield name, db
    for name, action in (('a BEFORE trigger', 'BEFORE'), ('an AFTER trigger', 'AFTER')):
        for kind in ('ABORT', 'FAIL', 'IGNORE'):
            if (action, kind) in (('AFTER', 'IGNORE'), ('AFTER', 'FAIL')):
                continue            # these leave the row; the next tests are about them
            db = practice(t)
            error = 'IGNORE' if kind == 'IGNORE' else f"{kind}, 'the practice says no'"
            db.execute(f'CREATE TRIGGER guard {action} INSERT ON patient BEGIN SELECT RAISE({error}); END')
            yield f'{name} with {kind}', db


def test_a_row_that_the_practices_schema_refuses_leaves_nothing(t):
    for name, db in refusing_practices(t):
        before = counts(t, db)
        for arguments in (('Ada', 'Lovelace', '1985-12-10'),
                          ('Ada', 'Lovelace', '1985-12-10', 'email', 'ada@example.com')):
            t.refuses(db, f'SELECT quick_add({", ".join("?" * len(arguments))})', *arguments)
            t.equal(counts(t, db), before, f'{name}: the scalar form left something')
            columns = 'first_name, last_name, date_of_birth, channel, contact'.split(', ')[:len(arguments)]
            insert = f'INTO quick_add({", ".join(columns)}) VALUES ({", ".join("?" * len(arguments))})'
            t.refuses(db, f'INSERT {insert}', *arguments)
            t.equal(counts(t, db), before, f'{name}: the insert form left something')
            db.execute(f'INSERT OR IGNORE {insert}', arguments)
            t.equal(t.one(db, 'SELECT changes()'), 0, name)
            db.execute('BEGIN')
            db.execute("UPDATE patient SET city = 'London'")
            db.execute(f'INSERT OR IGNORE {insert}', arguments)
            t.refuses(db, f'INSERT {insert}', *arguments)
            t.refuses(db, f'SELECT quick_add({", ".join("?" * len(arguments))})', *arguments)
            t.true(db.in_transaction, f'{name}: a refusal rolled the application back')
            db.execute('COMMIT')
            t.equal(counts(t, db), before, f'{name}: something was left in a transaction')
        t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
        t.equal(t.all(db, "SELECT * FROM portal_audit WHERE action IN ('patient.quick_added', 'registration.queued')"),
                [])


def test_the_refusal_names_what_the_practices_schema_said(t):
    db = practice(t, ", CONSTRAINT no_poets CHECK (last_name <> 'Lovelace')")
    t.refuses(db, "SELECT quick_add('Ada', 'Lovelace', '1985-12-10')", says=['patient table', 'no_poets'])


def test_a_trigger_that_rolls_back_takes_all_along_and_the_connection_goes_on(t):
    db = practice(t)
    db.execute("CREATE TRIGGER guard BEFORE INSERT ON patient BEGIN SELECT RAISE(ROLLBACK, 'out'); END")
    for statement in ("SELECT quick_add('Ada', 'Lovelace', '1985-12-10', 'email', 'ada@example.com')",
                      "INSERT INTO quick_add VALUES ('Ada', 'Lovelace', '1985-12-10', 'email', 'ada@example.com')"):
        t.refuses(db, statement)
        db.execute('BEGIN')
        t.refuses(db, statement)
        t.true(not db.in_transaction)
        t.equal(counts(t, db), [0, 0, 0])
    db.execute('DROP TRIGGER guard')
    add(t, db, 'Ada', 'Lovelace', '1985-12-10', 'email', 'ada@example.com')
    t.equal(counts(t, db), [1, 1, 1])


def test_a_trigger_that_fails_after_the_row_leaves_nothing_either(t):
    db = practice(t)
    db.execute("CREATE TRIGGER guard AFTER INSERT ON patient BEGIN SELECT RAISE(FAIL, 'out'); END")
    for arguments in ("'Ada', 'Lovelace', '1985-12-10', NULL, NULL",
                      "'Ada', 'Lovelace', '1985-12-10', 'email', 'ada@example.com'"):
        t.refuses(db, f'SELECT quick_add({arguments.removesuffix(", NULL, NULL")})', says='out')
        for statement in ('INSERT', 'INSERT OR IGNORE', 'INSERT OR FAIL', 'INSERT OR REPLACE'):
            t.refuses(db, f'{statement} INTO quick_add VALUES ({arguments})', says='out')
            db.execute('BEGIN')
            t.refuses(db, f'{statement} INTO quick_add VALUES ({arguments})', says='out')
            if db.in_transaction:
                db.execute('COMMIT')
            t.equal(counts(t, db), [0, 0, 0], f'{statement} left something')


def test_a_practices_trigger_may_write_elsewhere(t):
    db = practice(t)
    db.executescript('''
        CREATE TABLE log (log_id INTEGER PRIMARY KEY, text);
        INSERT INTO log VALUES (1000, 'old');
        CREATE TRIGGER note AFTER INSERT ON patient BEGIN
            INSERT INTO log (text) VALUES ('new patient ' || NEW.patient_id);
        END''')
    ada = add(t, db, 'Ada', 'Lovelace', '1985-12-10', 'email', 'ada@example.com')
    t.equal(ada, 1)
    t.equal(flows.status(t, db, ada), 'sent')
    db.execute("INSERT INTO quick_add(first_name, last_name, date_of_birth) VALUES ('Bob', 'Lovelace', '1985-12-10')")
    t.equal(t.one(db, 'SELECT last_insert_rowid()'), 2)


def test_a_rolled_back_addition_leaves_nobody_and_sends_nothing(t):
    db = t.database()
    db.execute('BEGIN')
    add(t, db, 'Ada', 'Lovelace', '1985-12-10', 'email', 'ada@example.com')
    db.execute('ROLLBACK')
    t.one(db, 'SELECT deliver()')
    t.equal(counts(t, db), [0, 0, 0])
    t.equal(t.mails(db), [])


def test_a_refused_row_in_a_transaction_leaves_nothing_half_done(t):
    db = t.database()
    ada = t.patient(db)
    for contact in ('nonsense', 'new@example.com'):     # malformed; a namesake
        db.execute('BEGIN')
        db.execute("INSERT OR IGNORE INTO quick_add VALUES ('Ada', 'Lovelace', '1985-12-10', 'email', ?)", [contact])
        t.equal(t.one(db, 'SELECT changes()'), 0)
        db.execute('COMMIT')
        t.equal(counts(t, db), [1, 0, 0])
    t.equal(flows.status(t, db, ada), 'not sent')


# last_insert_rowid()

def test_last_insert_rowid_is_the_new_patient_after_the_insert_form(t):
    db = t.database()
    for number, extra in enumerate((', NULL, NULL', ", 'email', 'ada@example.com'", ", 'text', '202-555-0143'")):
        db.execute(f"INSERT INTO quick_add VALUES ('Ada{number}', 'Lovelace', '1985-12-10'{extra})")
        ada = t.one(db, 'SELECT patient_id FROM patient WHERE first_name = ?', f'Ada{number}')
        t.equal(t.one(db, 'SELECT last_insert_rowid()'), ada)


def test_last_insert_rowid_survives_the_scalar_form(t):
    db = t.database()
    db.execute('CREATE TABLE note (note_id INTEGER PRIMARY KEY)')
    db.execute('INSERT INTO note VALUES (777)')
    add(t, db, 'Ada', 'Lovelace', '1985-12-10', 'email', 'ada@example.com')
    t.equal(t.one(db, 'SELECT last_insert_rowid()'), 777)
    t.refuses(db, "SELECT quick_add('Ada', 'Lovelace', '1985-12-10')")
    t.equal(t.one(db, 'SELECT last_insert_rowid()'), 777)


def test_last_insert_rowid_is_the_rowid_where_the_key_is_text(t):
    db = practice(t, key='TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16))))')
    db.execute("INSERT INTO quick_add VALUES ('Ada', 'Lovelace', '1985-12-10', 'email', 'ada@example.com')")
    t.equal(t.one(db, 'SELECT rowid FROM patient'), t.one(db, 'SELECT last_insert_rowid()'))


# Keys of the practice's own

def test_a_key_from_a_default_is_given_back(t):
    for options in ('', 'WITHOUT ROWID'):
        db = practice(t, key='TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16))))', options=options)
        ada = add(t, db, 'Ada', 'Lovelace', '1985-12-10', 'email', 'ada@example.com')
        t.equal(t.all(db, 'SELECT patient_id FROM patient'), [(ada,)])
        t.equal((len(ada), flows.status(t, db, ada)), (32, 'sent'))


def test_a_key_from_a_trigger_is_given_back(t):
    db = practice(t, key='TEXT PRIMARY KEY')
    db.execute('''CREATE TRIGGER key AFTER INSERT ON patient WHEN NEW.patient_id IS NULL BEGIN
                  UPDATE patient SET patient_id = 'P-' || rowid WHERE rowid = NEW.rowid; END''')
    t.equal(add(t, db, 'Ada', 'Lovelace', '1985-12-10', 'email', 'ada@example.com'), 'P-1')
    t.equal(flows.status(t, db, 'P-1'), 'sent')


def test_a_table_that_gives_no_key_is_told_and_adds_nobody(t):
    db = practice(t, key='TEXT PRIMARY KEY')
    for arguments in (('Ada', 'Lovelace', '1985-12-10'),
                      ('Ada', 'Lovelace', '1985-12-10', 'email', 'ada@example.com')):
        refused(t, db, *arguments, says=['patient_id', 'default'])
    t.refuses(db, "INSERT INTO quick_add VALUES ('Ada', 'Lovelace', '1985-12-10', NULL, NULL)", says='patient_id')
    t.equal(counts(t, db), [0, 0, 0])
    t.true(not db.in_transaction)


def test_a_text_key_works_for_the_whole_story(t):
    db = practice(t, key='TEXT PRIMARY KEY')
    ada = '3f2b8c1e-0d4a-4b7e-9a55-0c1d2e3f4a5b'
    t.patient(db, patient_id=ada, email='ada@example.com')
    t.patient(db, patient_id='42', first_name='Bob')
    session = flows.register(t, db, ada, 'ada.l')
    t.equal(flows.patients_of(t, db, session), [ada])
    answer = flows.ask(t, db, "SELECT submit_demographics(?, ?, '{\"city\":\"London\"}')", session, ada)
    t.equal(answer, {'result': 'submitted', 'requests': 1})
    t.equal(t.all(db, 'SELECT patient_id, patient_name, field, proposed_value FROM pending_requests'
                      ' WHERE patient_id = ?', ada), [(ada, 'Ada Lovelace', 'city', 'London')])
    t.one(db, 'SELECT accept_request(request_id) FROM pending_requests')
    t.equal(t.one(db, 'SELECT city FROM patient WHERE patient_id = ?', ada), 'London')
    flows.register_representative(t, db, ada, 'rita')
    t.contains(t.one(db, "SELECT remove_representative(?, 'rita')", ada), f"patient '{ada}'")
    t.contains(t.one(db, 'SELECT revoke_access(?)', ada), f"patient '{ada}'")
    t.equal(flows.status(t, db, ada), 'revoked')
    t.true(not flows.can_login(t, db, 'ada.l'))
    flows.send(t, db, ada)
    t.equal(flows.status(t, db, ada), 'registered')
    flows.login(t, db, 'ada.l')
    t.true(not flows.can_login(t, db, 'rita'))
    t.contains(t.refuses(db, "SELECT send_registration('nobody', 'email')"), "patient 'nobody' is not on file")
    t.equal(t.all(db, 'SELECT * FROM portal_check'), [])
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_a_text_key_that_looks_like_a_number_is_found_by_either(t):
    db = practice(t, key='TEXT PRIMARY KEY')
    t.patient(db, patient_id='42')
    flows.send(t, db, 42)
    t.equal(t.all(db, 'SELECT patient_id, typeof(patient_id) FROM portal_registration'), [('42', 'text')])
    t.equal(flows.status(t, db, '42'), 'sent')
    t.refuses(db, "SELECT send_registration('42', 'email')", says='wait')
    t.contains(t.one(db, 'SELECT revoke_access(42)'), "patient '42'")


def test_an_integer_key_is_found_by_text_and_by_an_integral_real(t):
    db = t.database()
    ada = t.patient(db, patient_id=42)
    t.equal(ada, 42)
    flows.send(t, db, '42')
    t.equal(t.all(db, 'SELECT DISTINCT typeof(patient_id) FROM portal_registration'), [('integer',)])
    t.refuses(db, 'SELECT send_registration(42.0, ?)', 'email', says='wait')
    flows.register_representative(t, db, 42.0, 'rita')
    t.equal([flows.status(t, db, key) for key in (42, '42', 42.0)], ['registered'] * 3)
    t.contains(t.one(db, "SELECT remove_representative('42', 'rita')"), 'patient 42 ')
    t.contains(t.one(db, "SELECT revoke_access('42')"), 'patient 42 ')
    t.contains(t.refuses(db, 'SELECT revoke_access(42.0)'), 'revoked since')
    t.equal(t.all(db, 'SELECT patient_id, typeof(patient_id) FROM portal_revocation'), [(42, 'integer')])
    t.one(db, "SELECT send_registration('42', 'email')")
    t.equal(t.all(db, 'SELECT * FROM portal_revocation'), [])


def test_a_patient_id_that_is_none_is_refused(t):
    db = t.database()
    t.patient(db)
    for key in (1.5, None, b'1', '', '1\0', 'x' * 10000, float('inf'), 1e300):
        for call in ("send_registration(?, 'email')", "send_problem(?, 'email')", 'revoke_access(?)',
                     "remove_representative(?, 'rita')"):
            if call.startswith('send_problem'):
                t.true(t.one(db, f'SELECT {call}', key))
            else:
                t.refuses(db, f'SELECT {call}', key, says='patient')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_registration'), 0)


# Volume

def test_a_hundred_can_be_added_in_one_statement(t):
    db = t.database()
    db.execute('''INSERT INTO quick_add(first_name, last_name, date_of_birth, channel, contact)
                  SELECT 'Ada' || value, 'Lovelace', '1985-12-10', 'email', 'ada' || value || '@example.com'
                    FROM json_each(?)''', [str([*range(100)])])
    t.equal(t.one(db, 'SELECT changes()'), 100)
    t.equal(counts(t, db), [100, 100, 100])
    t.equal(t.mails(db), [])
    t.equal(flows.ask(t, db, 'SELECT deliver()')['sent'], 100)
    t.equal(len(t.mails(db)), 100)


def test_a_name_on_file_that_is_no_text_is_nobodys(t):
    db = t.database()
    t.patient(db)
    db.execute("UPDATE patient SET last_name = CAST(x'ff' AS TEXT)")
    t.true(t.one(db, "SELECT quick_add('Ada', 'Lovelace', '1985-12-10')") > 0)
