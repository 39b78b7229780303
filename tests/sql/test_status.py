"""portal_status: what staff see of each patient."""
import re

import flows
import harness

HOUR = 3600
COLUMNS = ['patient_id', 'patient_name', 'status', 'message', 'next_step', 'sent_at', 'channel', 'sent_by', 'expires_at',
           'registered_at', 'last_login_at', 'revoked_at']


def row(t, db, patient_id):
    found = t.all(db, 'SELECT * FROM portal_status WHERE patient_id = ?', patient_id)
    t.equal(len(found), 1)
    return dict(zip(COLUMNS, found[0]))


def queue(t, db, patient_id, channel='email'):
    db.execute('BEGIN')
    t.one(db, 'SELECT send_registration(?, ?)', patient_id, channel)
    db.execute('COMMIT')


def report(t, db, status, detail=None):
    """Claims all that is due and reports it."""
    claim = t.one(db, 'SELECT claim_messages(100)')
    for message in t.all(db, 'SELECT message_id FROM portal_claimed(?)', claim):
        t.one(db, 'SELECT report_delivery(?, ?, ?, ?)', claim, message[0], status, detail)
    return claim


# The sentence of every state

def test_the_columns_are_those_that_the_reference_names(t):
    db = t.database()
    t.equal([column[0] for column in t.all(db, "SELECT name FROM pragma_table_info('portal_status')")], COLUMNS)


def test_a_patient_who_was_never_sent_anything(t):
    db = t.database()
    ada = t.patient(db)
    t.equal(row(t, db, ada), {
        **dict.fromkeys(COLUMNS), 'patient_id': ada, 'patient_name': 'Ada Lovelace', 'status': 'not sent',
        'message': 'No portal registration has been sent.', 'next_step': 'send a registration'})


def test_a_registration_that_is_queued(t):
    db = t.database()
    ada = t.patient(db, email='ada@example.com')
    t.one(db, "SELECT portal_as('ehr', 'anna')")
    queue(t, db, ada)
    found = row(t, db, ada)
    t.equal(found['status'], 'queued')
    t.equal(found['message'], 'Portal registration queued by email to a•••@example.com on 2026-11-22 09:20 EST, '
                              'not handed over yet.')
    t.contains(found['next_step'], 'deliver()')
    t.equal([found[name] for name in ('sent_at', 'channel', 'sent_by', 'expires_at')], [None, 'email', 'ehr:anna', None])


def test_a_claimed_registration_is_queued_until_it_is_reported(t):
    db = t.database()
    ada = t.patient(db)
    queue(t, db, ada)
    t.one(db, 'SELECT claim_messages(10)')
    t.equal(row(t, db, ada)['status'], 'queued')


def test_a_registration_that_was_sent(t):
    db = t.database()
    ada = t.patient(db, cell_phone='202-555-0143')
    t.one(db, "SELECT portal_as('scheduling', 'sam')")
    t.one(db, "SELECT send_registration(?, 'text')", ada)
    found = row(t, db, ada)
    t.equal(found['message'], 'Portal registration sent by text to •••0143 on 2026-11-22 09:20 EST (written to the '
                              'Maildir practice.db-outbox). The link is valid for 72 hours, until 2026-11-25 09:20 EST.')
    t.equal({name: found[name] for name in COLUMNS[5:9]},
            {'sent_at': '2026-11-22 14:20:00', 'channel': 'text', 'sent_by': 'scheduling:sam',
             'expires_at': '2026-11-25 14:20:00'})
    t.equal([found['status'], found['next_step']], ['sent', 'wait for the patient to open the link and register'])


def test_the_sentence_of_sending_is_that_of_the_status(t):
    db = t.database()
    ada = t.patient(db)
    t.equal(t.one(db, "SELECT send_registration(?, 'email')", ada), row(t, db, ada)['message'])


def test_a_registration_that_expired_marked_or_not(t):
    db = t.database()
    ada = t.patient(db, email='ada@example.com')
    flows.send(t, db, ada)
    t.advance(72 * HOUR - 1)
    t.equal(row(t, db, ada)['status'], 'sent')
    t.advance(1)
    before = row(t, db, ada)
    t.equal(before['status'], 'expired')
    t.equal(before['message'], 'Portal registration sent by email to a•••@example.com on 2026-11-22 09:20 EST '
                               'expired on 2026-11-25 09:20 EST without a registration.')
    t.equal(before['next_step'], 'send the registration again')
    t.equal(t.one(db, 'SELECT expire_links()'), 1)
    t.equal(row(t, db, ada), before)


def test_a_registration_that_failed_says_what_the_channel_said(t):
    db = t.database()
    ada = t.patient(db, email='ada@example.com')
    queue(t, db, ada)
    report(t, db, 'undeliverable', '550 no such user')
    found = row(t, db, ada)
    t.equal([found['status'], found['message'], found['next_step']],
            ['failed', 'Portal registration by email to a•••@example.com failed on 2026-11-22 09:20 EST: '
             '550 no such user.', 'send the registration again'])


def test_a_registration_that_bounced_later_failed(t):
    db = t.database()
    ada = t.patient(db)
    queue(t, db, ada)
    claim = report(t, db, 'sent')
    t.equal(row(t, db, ada)['status'], 'sent')
    t.advance(HOUR)
    t.one(db, "SELECT report_delivery(?, (SELECT registration_id FROM portal_registration), 'bounced', 'full')", claim)
    t.equal(row(t, db, ada)['status'], 'failed')
    t.contains(row(t, db, ada)['message'], 'failed on 2026-11-22 10:20 EST: it bounced (full).')


def test_a_registration_whose_last_try_failed(t):
    db = t.database()
    ada = t.patient(db)
    t.one(db, "SELECT portal_setting('link_hours', 1)")
    queue(t, db, ada)
    report(t, db, 'retry', 'greylisted')
    t.equal(row(t, db, ada)['status'], 'queued')
    t.contains(row(t, db, ada)['message'], 'not handed over yet: greylisted.')
    t.advance(HOUR - 30)
    report(t, db, 'retry', 'still greylisted')
    t.equal(row(t, db, ada)['status'], 'failed')
    t.contains(row(t, db, ada)['message'], 'still greylisted')


def test_a_link_spent_by_wrong_answers_failed(t):
    db = t.database()
    ada = t.patient(db)
    token = flows.send(t, db, ada)
    for guess in range(10):
        t.one(db, "SELECT request_pin(?, 'Wrong', '1985-12-10')", token)
        if guess == 3:
            t.contains(row(t, db, ada)['next_step'], '4 wrong')
    found = row(t, db, ada)
    t.equal(found['status'], 'failed')
    t.contains(found['message'], 'too many wrong answers')
    t.contains(t.one(db, 'SELECT group_concat(problem) FROM portal_check'), 'spent')


def test_a_registered_patient_who_never_signed_in(t):
    db = t.database()
    ada = t.patient(db)
    token = flows.send(t, db, ada)
    t.advance(HOUR)
    pin = flows.pin(t, db, token, ada)
    t.one(db, 'SELECT register_patient(?, ?, ?, ?)', token, pin, 'ada.l', flows.PASSWORD)
    found = row(t, db, ada)
    t.equal(found['status'], 'registered')
    t.equal(found['message'], 'The patient has successfully registered on 2026-11-22 10:20 EST. Last login: never.')
    t.equal([found[name] for name in ('next_step', 'registered_at', 'last_login_at', 'revoked_at')],
            [None, '2026-11-22 15:20:00', None, None])


def test_a_registered_patient_stays_registered_without_the_row_of_the_link(t):
    db = t.database()
    patient = t.patient(db)
    flows.register(t, db, patient, 'ada')
    db.execute('DELETE FROM portal_registration')
    t.equal(row(t, db, patient)['status'], 'registered')


def test_a_registered_patient_and_the_last_login(t):
    db = t.database()
    ada = t.patient(db)
    flows.register(t, db, ada, 'ada.l')
    t.advance(25 * HOUR)
    flows.login(t, db, 'ada.l')
    t.one(db, "SELECT portal_login('ada.l', 'wrong password')")
    t.advance(HOUR)
    found = row(t, db, ada)
    t.equal(found['message'], 'The patient has successfully registered on 2026-11-22 09:20 EST. '
                              'Last login: 2026-11-23 10:20 EST.')
    t.equal([found['registered_at'], found['last_login_at']], ['2026-11-22 14:20:00', '2026-11-23 15:20:00'])


def test_a_representative_counts_as_somebody_who_has_access(t):
    db = t.database()
    ada = t.patient(db)
    session = flows.register_representative(t, db, ada, 'rita')
    t.equal(row(t, db, ada)['status'], 'registered')
    t.equal(flows.patients_of(t, db, session), [ada])
    t.one(db, "SELECT remove_representative(?, 'rita')", ada)
    t.true(row(t, db, ada)['status'] != 'registered')


def test_revoked_access(t):
    db = t.database()
    ada = t.patient(db)
    flows.register(t, db, ada, 'ada.l')
    t.advance(HOUR)
    t.one(db, "SELECT portal_as('ehr', 'anna')")
    t.one(db, 'SELECT revoke_access(?)', ada)
    found = row(t, db, ada)
    t.equal([found['status'], found['message'], found['next_step']],
            ['revoked', 'Portal access was revoked on 2026-11-22 10:20 EST by ehr:anna.',
             'send a registration to grant access again'])
    t.equal([found['revoked_at'], found['registered_at']], ['2026-11-22 15:20:00', None])


# Which applies first

def test_registered_stays_whatever_is_sent_afterwards(t):
    db = t.database()
    ada = t.patient(db)
    flows.register(t, db, ada, 'ada.l')
    t.advance(60)
    flows.send(t, db, ada)
    t.equal(row(t, db, ada)['status'], 'registered')
    t.advance(100 * HOUR)
    t.equal(row(t, db, ada)['status'], 'registered')
    queue(t, db, ada)
    t.equal(row(t, db, ada)['status'], 'registered')
    report(t, db, 'undeliverable')
    t.equal(row(t, db, ada)['status'], 'registered')
    t.equal(row(t, db, ada)['next_step'], None)


def test_revoked_stays_until_something_is_sent(t):
    db = t.database()
    ada = t.patient(db)
    flows.send(t, db, ada)
    t.one(db, 'SELECT revoke_access(?)', ada)
    t.advance(100 * HOUR)
    t.one(db, 'SELECT expire_links()')
    t.equal(row(t, db, ada)['status'], 'revoked')
    queue(t, db, ada)
    t.equal(row(t, db, ada)['status'], 'queued')
    t.equal(row(t, db, ada)['revoked_at'], None)
    t.one(db, 'SELECT deliver()')
    t.equal(row(t, db, ada)['status'], 'sent')


def test_the_newest_registration_decides(t):
    db = t.database()
    ada = t.patient(db)
    queue(t, db, ada)
    report(t, db, 'undeliverable')
    t.equal(row(t, db, ada)['status'], 'failed')
    flows.send(t, db, ada)
    t.equal(row(t, db, ada)['status'], 'sent')
    t.advance(80 * HOUR)
    queue(t, db, ada, 'text')
    t.equal([row(t, db, ada)[name] for name in ('status', 'channel')], ['queued', 'text'])


# Why somebody can not get in

def test_what_is_missing_is_the_next_step(t):
    db = t.database()
    ada = t.patient(db, email=None)
    t.equal(row(t, db, ada)['next_step'], f'patient {ada} has no email address on file; add one, then send again')
    t.contains(row(t, db, t.patient(db, email='nonsense'))['next_step'], 'correct email')


def test_somebody_who_can_be_sent_a_text_is_not_held_up_by_email(t):
    db = t.database()
    ada = t.patient(db, email_consent=0)
    t.equal(row(t, db, ada)['next_step'], 'send a registration')
    bob = t.patient(db, email_consent=0, text_consent=0)
    t.contains(row(t, db, bob)['next_step'], 'declined')


def test_the_next_step_knows_the_requirements_of_the_application(t):
    db = t.database()
    ada = t.patient(db, cell_phone=None)
    desk = t.connect(t.file(db), application='scheduling')
    t.equal(row(t, db, ada)['next_step'], 'send a registration')
    t.contains(row(t, desk, ada)['next_step'], 'cell phone')


def test_wrong_passwords_are_the_reason_and_the_remedy_is_told(t):
    db = t.database()
    ada = t.patient(db)
    flows.register(t, db, ada, 'ada.l')
    for _ in range(12):
        t.one(db, "SELECT portal_login('ada.l', 'wrong')")
    t.contains(row(t, db, ada)['next_step'], 'ada.l', 'wrong passwords', "unlock_account('ada.l')")
    t.one(db, "SELECT unlock_account('ada.l')")
    t.equal(row(t, db, ada)['next_step'], None)


def test_a_link_left_behind_by_the_chart_says_why(t):
    db = t.database()
    ada = t.patient(db)
    flows.send(t, db, ada)
    db.execute("UPDATE patient SET email = 'new@example.net'")
    t.equal(row(t, db, ada)['next_step'], 'the link will not work: the email address on the chart has changed; '
                                          'send the registration again')
    db.execute('UPDATE patient SET email = NULL')
    t.equal(row(t, db, ada)['next_step'], 'the link will not work: the email address on the chart is gone, malformed or '
                                          f'declined; patient {ada} has no email address on file; add one, then send '
                                          'again')


# Times, names, and how it is read

def test_sentences_are_in_the_time_zone_of_the_process_and_columns_in_utc(t):
    db = t.database()
    ada = t.patient(db)
    flows.send(t, db, ada)
    for zone, local in (('Europe/Berlin', '2026-11-22 15:20 CET'), ('UTC', '2026-11-22 14:20 UTC'),
                        ('Asia/Tokyo', '2026-11-22 23:20 JST')):
        done = t.shell(t.file(db), 'SELECT sent_at, message FROM portal_status;', env={'TZ': zone})
        t.contains(done.stdout, f'2026-11-22 14:20:00|Portal registration sent by email to a•••@example.com on {local}')


def test_every_time_is_text_of_one_form(t):
    db = t.database()
    ada, bob = t.patient(db), t.patient(db)
    flows.register(t, db, ada, 'ada.l')
    flows.send(t, db, bob)
    t.one(db, 'SELECT revoke_access(?)', bob)
    for patient_id in (ada, bob):
        for name, value in row(t, db, patient_id).items():
            if name.endswith('_at') and value is not None:
                t.true(re.fullmatch(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d', value), f'{name} is {value!r}')
    t.equal(t.one(db, "SELECT count(*) FROM portal_status WHERE sent_at <= datetime('now')"), 2)


def test_a_name_with_a_missing_part_is_still_shown(t):
    db = t.database(init=False)
    db.execute('''CREATE TABLE patient (
        patient_id INTEGER PRIMARY KEY, first_name, last_name, date_of_birth, sex, email, cell_phone, home_phone,
        address_line1, address_line2, city, state, postal_code, preferred_language, email_consent, text_consent,
        phr_active, active, deceased_on)''')
    db.execute('SELECT portal_init()')
    ada = t.patient(db, first_name=None)
    t.equal(row(t, db, ada)['patient_name'], 'Lovelace')


ODD_KEYS = {
    'NULL': 'is NULL', "x'3432'": 'not a blob', "x''": 'not a blob', "printf('%.*c', 100000, 'x')": 'too long',
    "printf('%.*c', 128, 'x')": 'too long', "''": 'empty', "'a' || char(0) || 'b'": 'not valid', "CAST(x'61ff' AS TEXT)": 'not valid',
    '1.5': 'whole number', '9e999': 'whole number', "'a' || char(10)": 'not valid',
}


def any_key(t):
    """A practice whose key takes anything, and two plain patients: 42, whom a careless reading would take for others, and 0."""
    db = t.database()
    schema = t.one(db, "SELECT sql FROM sqlite_schema WHERE name = 'patient'")
    db.execute('DROP TABLE patient')
    db.execute(schema.replace('INTEGER PRIMARY KEY AUTOINCREMENT', 'PRIMARY KEY', 1))
    for patient_id in (42, 0):
        flows.register(t, db, t.patient(db, patient_id=patient_id) and patient_id, f'ada{patient_id}')
    return db


def test_a_patient_whose_key_can_not_be_used_is_shown_with_the_reason_and_never_taken_for_another(t):
    db = any_key(t)
    for key, why in ODD_KEYS.items():
        rowid = t.patient(db, first_name='Eve', last_name='Odd', patient_id=None)
        db.execute(f'UPDATE patient SET patient_id = {key} WHERE rowid = ?', [rowid])
        whole, = t.all(db, """SELECT status, message, next_step, registered_at FROM portal_status
                               WHERE patient_name = 'Eve Odd'""")
        t.equal(whole[:2] + whole[3:], ('not sent', 'No portal registration has been sent.', None), key)
        t.contains(whole[2], 'another patient_id', why)
        keyed = 'patient_id IS NOT NULL AND patient_id = (SELECT patient_id FROM patient WHERE rowid = ?)'
        t.equal(t.all(db, f'SELECT next_step FROM portal_status WHERE {keyed}', rowid), [whole[2:3]] * (key != 'NULL'))
        for call in ("send_registration(patient_id, 'email')", 'revoke_access(patient_id)'):
            t.contains(t.refuses(db, f'SELECT {call} FROM patient WHERE rowid = ?', rowid), 'patient_id', why)
        t.contains(t.one(db, "SELECT send_problem(patient_id, 'email') FROM patient WHERE rowid = ?", rowid), why)
        t.contains(t.refuses(db, "SELECT quick_add('eve', 'odd', '1985-12-10')"), 'same name', why)
        db.execute("INSERT OR IGNORE INTO send_registration SELECT patient_id, 'email' FROM patient WHERE rowid = ?", [rowid])
        t.equal(t.one(db, 'SELECT changes()'), 0)
        t.equal(t.all(db, 'SELECT * FROM portal_check'), [])
        db.execute('DELETE FROM patient WHERE rowid = ?', [rowid])
    t.equal(t.all(db, "SELECT patient_id, status FROM portal_status"), [(42, 'registered'), (0, 'registered')])
    t.equal(t.one(db, 'SELECT count(*) FROM portal_registration'), 2)


def test_a_patient_table_that_gives_keys_which_can_not_be_used_is_refused_by_quick_add(t):
    db = any_key(t)
    schema = t.one(db, "SELECT sql FROM sqlite_schema WHERE name = 'patient'")
    db.execute('DROP TABLE patient')
    db.execute(schema.replace('PRIMARY KEY', 'PRIMARY KEY DEFAULT (randomblob(16))', 1))
    for call in ("SELECT quick_add('Eve', 'Odd', '1985-12-10')", "INSERT INTO quick_add VALUES ('Eve', 'Odd', '1985-12-10', NULL, NULL)"):
        t.contains(t.refuses(db, call), 'blob')
    t.equal(t.one(db, 'SELECT count(*) FROM patient'), 0)


def test_the_table_can_only_be_read(t):
    db = t.database()
    t.patient(db)
    for sql in ("UPDATE portal_status SET status = 'registered'", 'DELETE FROM portal_status',
                "INSERT INTO portal_status(patient_id) VALUES (1)"):
        t.refuses(db, sql, says='read')


def test_it_can_be_joined_filtered_and_grouped(t):
    db = t.database()
    ada, bob, eve = (t.patient(db, first_name=name) for name in ('Ada', 'Bob', 'Eve'))
    flows.send(t, db, ada)
    flows.send(t, db, bob)
    t.one(db, 'SELECT revoke_access(?)', bob)
    t.equal(t.all(db, 'SELECT p.first_name, s.status FROM patient AS p JOIN portal_status AS s USING (patient_id)'
                      ' ORDER BY p.first_name'), [('Ada', 'sent'), ('Bob', 'revoked'), ('Eve', 'not sent')])
    t.equal(t.all(db, 'SELECT status, count(*) FROM portal_status GROUP BY status ORDER BY status'),
            [('not sent', 1), ('revoked', 1), ('sent', 1)])
    t.equal(t.all(db, 'SELECT patient_id FROM portal_status WHERE patient_id IN (?, ?) ORDER BY 1', ada, eve),
            [(ada,), (eve,)])
    t.equal(t.all(db, 'SELECT * FROM portal_status WHERE patient_id = 4242'), [])
    t.equal(t.all(db, 'SELECT * FROM portal_status WHERE patient_id = NULL'), [])
    t.equal(t.all(db, "SELECT * FROM portal_status WHERE patient_id = 'x' OR patient_id = 1.5"), [])
    t.equal(t.one(db, 'SELECT count(*) FROM portal_status AS a, portal_status AS b WHERE a.patient_id = b.patient_id'), 3)
    t.equal(t.one(db, 'SELECT count(*) FROM portal_status'), 3)
    t.equal(t.one(db, 'SELECT count(*) FROM portal_status WHERE patient_id = ?', eve), 1)
    t.equal(t.one(db, 'SELECT count(*) FROM portal_status AS a, portal_status AS b'), 9)


def test_staff_and_the_portal_see_what_they_may(t):
    db = t.database()
    ada = t.patient(db)
    desk = t.connect(t.file(db), application='scheduling')
    t.equal(row(t, desk, ada)['status'], 'not sent')
    page = t.connect(t.file(db), application='portal')
    t.refuses(page, 'SELECT * FROM portal_status', says=['portal_status', 'portal'])


def test_reading_changes_nothing(t):
    db = t.database()
    ada = t.patient(db)
    flows.send(t, db, ada)
    t.advance(100 * HOUR)
    before, changes = t.file(db).read_bytes(), db.total_changes
    t.all(db, 'SELECT * FROM portal_status')
    row(t, db, ada)
    reader = t.connect(f'file:{t.file(db)}?mode=ro', uri=True)
    t.equal(row(t, reader, ada)['status'], 'expired')
    t.equal(db.total_changes, changes)
    t.true(t.file(db).read_bytes() == before, 'the database file changed')


def steps(db, sql, *params):
    """How many thousands of instructions of SQLite's machine a query takes."""
    count = [0]

    def tick():
        count[0] += 1
    db.set_progress_handler(tick, 100)
    rows = db.execute(sql, params).fetchall()
    db.set_progress_handler(None, 0)
    return count[0], rows


def many(t, db, count):
    db.execute('''INSERT INTO patient (first_name, last_name, date_of_birth, email, cell_phone)
                  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
                  SELECT 'Ada', 'Lovelace', '1985-12-10', 'ada' || i || '@example.com', NULL FROM n''', [count])


def test_one_patient_is_found_by_key_among_thousands(t):
    db = t.database()
    many(t, db, 3000)
    db.execute("INSERT INTO send_registration SELECT patient_id, 'email' FROM patient WHERE patient_id % 10 = 0")
    for sql in ('SELECT * FROM portal_status WHERE patient_id = ?',
                'SELECT s.* FROM patient AS p JOIN portal_status AS s USING (patient_id) WHERE p.patient_id = ?'):
        count, rows = steps(db, sql, 1500)
        t.equal([found[2] for found in rows], ['queued'])
        t.true(count < 20, f'{count} hundred steps for one patient: {sql}')


@harness.release_only
def test_all_of_ten_thousand_patients_are_listed(t):
    db = t.database()
    many(t, db, 10000)
    db.execute("INSERT INTO send_registration SELECT patient_id, 'email' FROM patient WHERE patient_id % 4 = 0")
    t.equal(t.all(db, 'SELECT status, count(*), count(message), count(next_step) FROM portal_status GROUP BY 1'
                      ' ORDER BY 1'), [('not sent', 7500, 7500, 7500), ('queued', 2500, 2500, 2500)])


def test_a_link_that_was_never_handed_over_expires_from_when_it_was_queued(t):
    db = t.database()
    patient = t.patient(db)
    db.execute("SELECT portal_setting('email_channel', 'none')")
    t.one(db, "SELECT send_registration(?, 'email')", patient)
    claim = t.one(db, 'SELECT claim_messages(1)')
    t.advance(30 * 86400)
    t.one(db, 'SELECT expire_links()')
    t.true(claim)
    t.true(t.one(db, 'SELECT message FROM portal_status') is not None)


def test_the_tables_that_are_computed_have_row_numbers(t):
    db = t.database()
    for table in ('portal_help', 'portal_settings'):
        numbers = [number for number, in t.all(db, f'SELECT rowid FROM {table}')]
        t.equal(numbers, [*range(1, len(numbers) + 1)])
