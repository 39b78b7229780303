"""Every staff action as an insertable table: INSERT INTO action(arguments) ..."""
import sqlite3

import flows
import harness

ACTIONS = {
    'send_registration': 'patient_id, channel',
    'quick_add': 'first_name, last_name, date_of_birth, channel, contact',
    'revoke_access': 'patient_id, reason',
    'remove_representative': 'patient_id, username, reason',
    'confirm_representative': 'patient_id, username',
    'merge_patients': 'from_id, into_id, reason',
    'accept_request': 'request_id, force',
    'decline_request': 'request_id, reason',
    'unlock_account': 'username',
    'set_account_contact': 'username, contact',
}
SEND = "INTO send_registration(patient_id, channel) SELECT patient_id, 'email' FROM patient ORDER BY patient_id"


def changes(t, db):
    return t.one(db, 'SELECT changes()')


def deliver(t, db):
    return flows.ask(t, db, 'SELECT deliver()')


def three_of_whom_one_is_refused(t):
    """A database with three patients, the second without an email address."""
    db = t.database()
    return db, [t.patient(db), t.patient(db, email=None), t.patient(db)]


def registrations(t, db):
    return [row[0] for row in t.all(db, 'SELECT patient_id FROM portal_registration ORDER BY registration_id')]


def requests(t, db, count=2):
    """A registered patient with pending requests; gives patient and request ids."""
    ada = t.patient(db)
    session = flows.register(t, db, ada, 'ada.l')
    fields = ('city', 'state', 'address_line1')[:count]
    json = '{' + ', '.join(f'"{field}": "New {field}"' for field in fields) + '}'
    t.equal(flows.ask(t, db, 'SELECT submit_demographics(?, ?, ?)', session, ada, json)['requests'], count)
    return ada, [row[0] for row in t.all(db, 'SELECT request_id FROM pending_requests ORDER BY request_id')]


# What is there

def test_the_columns_are_named_as_the_arguments(t):
    db = t.database()
    for action, columns in ACTIONS.items():
        found = [row[0] for row in t.all(db, 'SELECT name FROM pragma_table_xinfo(?)', action)]
        t.equal(', '.join(found), columns, action)


def test_reading_them_finds_nothing(t):
    db = t.database()
    ada = t.patient(db)
    for action in ACTIONS:
        t.equal(t.all(db, f'SELECT * FROM {action}'), [])
        t.equal(t.one(db, f'SELECT count(*) FROM {action}'), 0)
    t.equal(t.all(db, "SELECT * FROM send_registration WHERE patient_id = ? AND channel = 'email'", ada), [])
    t.equal(registrations(t, db), [])


def test_nothing_can_be_updated_or_deleted_in_them(t):
    db = t.database()
    t.patient(db)
    for action, columns in ACTIONS.items():
        first = columns.split(',')[0]
        db.execute(f'UPDATE {action} SET {first} = 1')
        db.execute(f'DELETE FROM {action}')
        t.equal(changes(t, db), 0)
    t.equal(registrations(t, db), [])


# Each of them does what its function does

def test_send_registration_sends(t):
    db = t.database()
    ada = t.patient(db)
    db.execute('INSERT INTO send_registration(patient_id, channel) VALUES (?, ?)', [ada, 'text'])
    t.equal(changes(t, db), 1)
    t.equal(flows.status(t, db, ada), 'queued')
    t.equal(t.mails(db), [])
    t.equal(deliver(t, db)['sent'], 1)
    t.equal(flows.status(t, db, ada), 'sent')


def test_quick_add_adds(t):
    db = t.database()
    db.execute("INSERT INTO quick_add(first_name, last_name, date_of_birth) VALUES ('Ada', 'Lovelace', '1985-12-10')")
    t.equal(changes(t, db), 1)
    t.equal(t.all(db, 'SELECT first_name FROM patient'), [('Ada',)])
    db.execute("INSERT INTO quick_add(contact, channel, date_of_birth, last_name, first_name)"
               " VALUES ('bob@example.com', 'email', '1985-12-10', 'Lovelace', 'Bob')")
    t.equal(deliver(t, db)['sent'], 1)


def test_revoke_access_revokes(t):
    db = t.database()
    ada, bob = t.patient(db), t.patient(db)
    for patient in (ada, bob):
        flows.send(t, db, patient)
    db.execute('INSERT INTO revoke_access(patient_id) VALUES (?)', [ada])
    db.execute('INSERT INTO revoke_access VALUES (?, ?)', [bob, 'moved away'])
    t.equal([flows.status(t, db, patient) for patient in (ada, bob)], ['revoked', 'revoked'])
    t.equal(t.all(db, 'SELECT reason FROM portal_revocation ORDER BY patient_id'), [(None,), ('moved away',)])
    t.equal(deliver(t, db)['sent'], 2)


def test_remove_representative_removes(t):
    db = t.database()
    ada = t.patient(db)
    flows.register_representative(t, db, ada, 'rita')
    flows.register_representative(t, db, ada, 'paul')
    db.execute("INSERT INTO remove_representative(patient_id, username) VALUES (?, 'rita')", [ada])
    db.execute("INSERT INTO remove_representative VALUES (?, 'paul', 'divorced')", [ada])
    t.equal(changes(t, db), 1)
    t.equal([flows.can_login(t, db, name) for name in ('rita', 'paul')], [False, False])


def test_accept_and_decline_request_decide(t):
    db = t.database()
    ada, (first, second, third) = requests(t, db, 3)
    db.execute('INSERT INTO accept_request(request_id) VALUES (?)', [first])
    db.execute('INSERT INTO decline_request VALUES (?, ?)', [second, 'a typing error'])
    db.execute("UPDATE patient SET address_line1 = 'moved' WHERE patient_id = ?", [ada])
    t.refuses(db, 'INSERT INTO accept_request(request_id) VALUES (?)', third, says='force')
    db.execute("INSERT INTO accept_request VALUES (?, 'force')", [third])
    t.equal(db.execute('SELECT city, state, address_line1 FROM patient').fetchone(),
            ('New city', None, 'New address_line1'))
    t.equal(t.one(db, 'SELECT count(*) FROM pending_requests'), 0)


def test_unlock_account_unlocks(t):
    db = t.database()
    ada = t.patient(db)
    flows.register(t, db, ada, 'ada.l')
    for _ in range(12):
        t.one(db, "SELECT portal_login('ada.l', 'wrong')")
    t.true(not flows.can_login(t, db, 'ada.l'))
    db.execute("INSERT INTO unlock_account(username) VALUES ('ada.l')")
    t.true(flows.can_login(t, db, 'ada.l'))


def test_set_account_contact_sets_it(t):
    db = t.database()
    ada = t.patient(db)
    flows.register(t, db, ada, 'ada.l')
    db.execute("INSERT INTO set_account_contact VALUES ('ada.l', 'new@example.net')")
    t.equal(t.all(db, 'SELECT channel, contact FROM portal_account'), [('email', 'new@example.net')])


def test_a_driver_that_binds_every_number_as_a_real_is_understood(t):
    db = t.database()
    ada, (first, second) = requests(t, db)
    t.advance(60)
    db.execute('INSERT INTO send_registration VALUES (?, ?)', [float(ada), 'email'])
    db.execute('INSERT INTO accept_request(request_id) VALUES (?)', [float(first)])
    db.execute('INSERT INTO revoke_access(patient_id) VALUES (?)', [float(ada)])
    t.equal(t.all(db, 'SELECT DISTINCT patient_id, typeof(patient_id) FROM portal_registration'), [(ada, 'integer')])


# One is refused

def test_plain_and_abort_refuse_all_when_one_is_refused(t):
    for form in ('INSERT', 'INSERT OR ABORT'):
        db, (_, bob, _) = three_of_whom_one_is_refused(t)
        t.refuses(db, f'{form} {SEND}', says=f'patient {bob} has no email address on file; add one')
        t.equal(registrations(t, db), [])
        t.equal(t.one(db, 'SELECT count(*) FROM portal_message'), 0)
        t.equal(deliver(t, db)['waiting'], 0)
        t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_abort_in_a_transaction_keeps_what_was_before(t):
    db, (ada, _, eve) = three_of_whom_one_is_refused(t)
    db.execute('BEGIN')
    db.execute("UPDATE patient SET city = 'London'")
    t.one(db, "SELECT send_registration(?, 'text')", eve)
    t.refuses(db, f'INSERT {SEND}')
    t.true(db.in_transaction)
    db.execute('COMMIT')
    t.equal(registrations(t, db), [eve])
    t.equal(t.one(db, 'SELECT count(*) FROM patient WHERE city IS NOT NULL'), 3)
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_or_ignore_skips_those_refused_and_counts_those_done(t):
    db, (ada, bob, eve) = three_of_whom_one_is_refused(t)
    db.execute(f'INSERT OR IGNORE {SEND}')
    t.equal(changes(t, db), 2)
    t.equal(registrations(t, db), [ada, eve])
    db.execute(f'INSERT OR IGNORE {SEND}')          # all within the cooldown now
    t.equal(changes(t, db), 0)
    t.equal(registrations(t, db), [ada, eve])
    t.equal(deliver(t, db)['sent'], 2)
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_or_ignore_in_a_transaction_skips_too(t):
    db, (ada, bob, eve) = three_of_whom_one_is_refused(t)
    db.execute('BEGIN')
    for patient_id in (ada, bob, eve):
        db.execute("INSERT OR IGNORE INTO send_registration VALUES (?, 'email')", [patient_id])
        t.equal(changes(t, db), int(patient_id != bob))
    db.execute('COMMIT')
    t.equal(registrations(t, db), [ada, eve])


def test_or_ignore_skips_in_every_action(t):
    db = t.database()
    refusals = {
        'send_registration': (4242, 'email'),
        'quick_add': ('Ada', 'Lovelace', 'no date', None, None),
        'revoke_access': (4242, None),
        'remove_representative': (4242, 'nobody', None),
        'confirm_representative': (4242, 'nobody'),
        'merge_patients': (4242, 4243, None),
        'accept_request': (4242, None),
        'decline_request': (4242, None),
        'unlock_account': ('nobody',),
        'set_account_contact': ('nobody', 'ada@example.com'),
    }
    t.equal(sorted(refusals), sorted(ACTIONS))
    for action, values in refusals.items():
        marks = ', '.join('?' * len(values))
        scalar = [value for value in values if value is not None]
        error = t.refuses(db, f'INSERT INTO {action} VALUES ({marks})', *values)
        told = t.refuses(db, f'SELECT {action}({", ".join("?" * len(scalar))})', *scalar)
        t.equal(error, told, 'the two forms refuse in other words')
        db.execute(f'INSERT OR IGNORE INTO {action} VALUES ({marks})', values)
        t.equal(changes(t, db), 0, action)


def test_or_fail_keeps_those_before_the_one_refused(t):
    db, (ada, bob, eve) = three_of_whom_one_is_refused(t)
    t.refuses(db, f'INSERT OR FAIL {SEND}', says=f'patient {bob} ')
    t.true(registrations(t, db) in ([ada], []))
    t.equal(t.one(db, 'SELECT count(*) FROM portal_message'), len(registrations(t, db)))
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
    t.equal(t.all(db, 'SELECT * FROM portal_check'), [])


def test_or_rollback_takes_the_whole_transaction_back(t):
    db, (ada, bob, eve) = three_of_whom_one_is_refused(t)
    db.execute('BEGIN')
    t.one(db, "SELECT send_registration(?, 'text')", eve)
    t.refuses(db, f'INSERT OR ROLLBACK {SEND}', says=f'patient {bob} ')
    t.true(not db.in_transaction)
    t.equal(registrations(t, db), [])
    t.equal(deliver(t, db)['waiting'], 0)
    t.contains(t.one(db, "SELECT send_registration(?, 'email')", ada), 'sent by email')


def test_or_replace_replaces_nothing(t):
    db, (ada, bob, eve) = three_of_whom_one_is_refused(t)
    t.refuses(db, f'INSERT OR REPLACE {SEND}', says=f'patient {bob} ')
    t.equal(registrations(t, db), [])
    db.execute("REPLACE INTO send_registration VALUES (?, 'email')", [ada])
    t.equal(registrations(t, db), [ada])
    t.refuses(db, "REPLACE INTO send_registration VALUES (?, 'email')", ada, says='wait')
    t.equal(registrations(t, db), [ada])


def test_what_an_insert_form_queued_in_a_transaction_rolls_back(t):
    db, _ = three_of_whom_one_is_refused(t)
    db.execute('BEGIN')
    db.execute(f'INSERT OR IGNORE {SEND}')
    db.execute('ROLLBACK')
    t.equal(registrations(t, db), [])
    t.equal(deliver(t, db)['waiting'], 0)
    t.equal(t.mails(db), [])


def test_extended_result_codes_make_no_difference(t):
    db, (ada, bob, eve) = three_of_whom_one_is_refused(t)
    out = t.shell(t.file(db), '\n'.join([
        f'INSERT OR IGNORE {SEND};', 'SELECT changes();',
        "INSERT OR IGNORE INTO quick_add VALUES ('Ada', 'Lovelace', '1985-12-10', 'email', 'x');",
        'SELECT changes();', f'INSERT {SEND};']))
    t.equal(out.stdout.split(), ['2', '0'])
    t.contains(out.stderr, 'a moment ago')


# Faults

def test_a_fault_is_an_error_in_every_form(t):
    db = t.database()
    t.patient(db)
    locked = t.connect(t.file(db))
    locked.execute('BEGIN IMMEDIATE')
    db.execute('PRAGMA busy_timeout = 0')
    for form in ('', 'OR ABORT', 'OR IGNORE', 'OR FAIL', 'OR ROLLBACK', 'OR REPLACE'):
        t.refuses(db, f'INSERT {form} {SEND}', says='locked')
    locked.execute('ROLLBACK')
    t.equal(registrations(t, db), [])


def test_a_fault_of_the_key_file_or_tables_is_an_error_under_or_ignore(t):
    db = t.database(init=False)
    db.execute('CREATE TABLE patient (patient_id INTEGER PRIMARY KEY)')
    error = t.refuses(db, "INSERT OR IGNORE INTO send_registration VALUES (1, 'email')", says='portal_init()')
    t.true(error)
    other = t.database()
    t.patient(other)
    key = t.path(t.file(other).name + '.portal-key')
    again = t.connect(t.file(other))
    key.unlink()
    t.refuses(again, f'INSERT OR IGNORE {SEND}', says='key')
    t.equal(registrations(t, again), [])


def test_a_read_only_database_is_an_error_in_every_form(t):
    db = t.database()
    t.patient(db)
    reader = t.connect(f'file:{t.file(db)}?mode=ro', uri=True)
    for form in ('INSERT', 'INSERT OR IGNORE'):
        t.refuses(reader, f'{form} {SEND}', says='read')


def test_a_full_disk_leaves_nothing_half_done(t):
    db = t.database()
    for _ in range(50):
        t.patient(db)
    pages = t.one(db, 'PRAGMA page_count')
    done = 0
    for extra in range(0, 12):
        db.execute(f'PRAGMA max_page_count = {pages + extra}')
        for form in ('INSERT', 'INSERT OR IGNORE'):
            db.execute('BEGIN')
            try:
                db.execute(f'{form} {SEND}')
                db.execute('COMMIT')
                done += 1
            except sqlite3.Error as error:
                t.contains(str(error), 'full')
                if db.in_transaction:
                    db.execute('COMMIT')
                t.equal(registrations(t, db), [])
            t.equal(t.one(db, 'SELECT count(*) FROM portal_message'), len(registrations(t, db)))
            t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
        if done:
            break
    t.true(done or extra == 11)


# Feeding it from what it grows, and double use

def test_feeding_it_from_the_registrations_it_makes_ends(t):
    db = t.database()
    for _ in range(3):
        flows.send(t, db, t.patient(db))
    t.advance(60)
    feed = "INTO send_registration SELECT patient_id, 'email' FROM portal_registration"
    t.refuses(db, f'INSERT {feed} UNION ALL SELECT patient_id, channel FROM portal_registrations', says='wait')
    t.equal(len(registrations(t, db)), 3)
    db.execute(f'INSERT OR IGNORE {feed}')
    t.equal(len(registrations(t, db)), 6)
    t.advance(60)
    for (sentence,) in t.all(db, "SELECT send_problem(patient_id, 'email') FROM portal_registration"):
        t.equal(sentence, None)
    t.refuses(db, "SELECT send_registration(patient_id, 'email') FROM portal_registration", says='wait')
    t.true(len(registrations(t, db)) < 20)


def test_feeding_it_without_any_cooldown_ends_at_ten_a_day(t):
    db = t.database()
    ada = t.patient(db)
    t.one(db, "SELECT portal_setting('resend_seconds', '0')")
    flows.send(t, db, ada)
    db.execute("INSERT OR IGNORE INTO send_registration SELECT patient_id, 'email' FROM portal_registration")
    t.true(len(registrations(t, db)) <= 10)
    t.refuses(db, "SELECT send_registration(patient_id, 'email') FROM portal_registration, (SELECT 1 UNION SELECT 2"
                  " UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6)", says='sends_per_day')
    t.equal(len(registrations(t, db)), 10)


def test_a_patient_named_twice_in_one_statement_is_sent_once(t):
    db = t.database()
    ada = t.patient(db)
    t.refuses(db, "INSERT INTO send_registration VALUES (?1, 'email'), (?1, 'email')", ada, says='wait')
    t.equal(registrations(t, db), [])
    db.execute("INSERT OR IGNORE INTO send_registration VALUES (?1, 'email'), (?1, 'email')", [ada])
    t.equal(changes(t, db), 1)
    t.equal(registrations(t, db), [ada])


def test_a_request_named_twice_is_decided_once(t):
    db = t.database()
    _, (first, _) = requests(t, db)
    db.execute('INSERT OR IGNORE INTO accept_request(request_id) VALUES (?1), (?1)', [first])
    t.equal(changes(t, db), 1)
    t.equal(t.one(db, "SELECT count(*) FROM portal_audit WHERE action LIKE 'request.accept%'"), 1)


def test_those_left_out_can_be_asked_why_in_the_same_script(t):
    db, (ada, bob, eve) = three_of_whom_one_is_refused(t)
    db.execute(f'INSERT OR IGNORE {SEND}')
    left = t.all(db, "SELECT patient_id, send_problem(patient_id, 'email') FROM patient"
                     ' WHERE patient_id NOT IN (SELECT patient_id FROM portal_registration)')
    t.equal(left, [(bob, f'patient {bob} has no email address on file; add one, then send again')])


# Who may

def test_each_application_may_insert_what_it_may_call(t):
    db = t.database()
    t.patient(db)
    allowed = {'scheduling': {'send_registration', 'quick_add', 'accept_request', 'decline_request'}, 'portal': set()}
    for application, actions in allowed.items():
        other = t.connect(t.file(db), application=application)
        for action, columns in ACTIONS.items():
            marks = ', '.join('?' for _ in columns.split(','))
            try:
                other.execute(f'INSERT INTO {action} VALUES ({marks})', [None for _ in columns.split(',')])
                error = ''
            except sqlite3.Error as refusal:
                error = str(refusal)
            t.equal('not available' in error, action not in actions, f'{application} {action}: {error}')
            if action not in actions:
                t.refuses(other, f'INSERT OR IGNORE INTO {action} VALUES ({marks})',
                          *[None for _ in columns.split(',')], says=[action, application])
    t.equal(registrations(t, db), [])


def test_a_statement_of_the_insert_form_can_be_kept_and_the_connection_closed(t):
    db = t.database()
    ada, bob = t.patient(db), t.patient(db)
    other = t.connect(t.file(db))
    for patient_id in (ada, bob):
        other.execute("INSERT INTO send_registration VALUES (?, 'email')", [patient_id])
    other.close()
    t.equal(registrations(t, db), [ada, bob])


# Volume

@harness.release_only
def test_five_thousand_patients_are_queued_in_one_statement_and_mailed(t):
    db = t.database()
    db.execute('''INSERT INTO patient (first_name, last_name, date_of_birth, email)
                  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
                  SELECT 'Ada', 'Lovelace', '1985-12-10', 'ada' || i || '@example.com' FROM n''')
    db.execute(f'INSERT {SEND}')
    t.equal(changes(t, db), 5000)
    t.equal(t.one(db, "SELECT count(*) FROM portal_status WHERE status = 'queued'"), 5000)
    t.equal(deliver(t, db), {'sent': 5000, 'failed': 0, 'retrying': 0, 'waiting': 0})
    folder = t.path('practice.db-outbox')
    t.equal(len({file.name for file in (folder / 'new').iterdir()}), 5000)
    t.equal([*(folder / 'tmp').iterdir()], [])
    tokens = {t.token(harness.parse_mail(file)) for file in list((folder / 'new').iterdir())[:200]}
    t.equal(len(tokens), 200)
    t.equal({t.one(db, 'SELECT token_status(?)', token) for token in tokens}, {'valid'})
    t.equal(t.one(db, "SELECT count(*) FROM portal_status WHERE status = 'sent'"), 5000)
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
