"""Pending requests, one for each changed field, that staff decide."""
import flows
from submissions import SUBMIT, chart, decided, pending, practice, request, submit

# Deciding one

def test_accepting_writes_the_chart_and_declining_does_not(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, city='Shelbyville', state='IL')
    accepted, declined = request(t, db, 'city'), request(t, db, 'state')
    t.contains(t.one(db, 'SELECT accept_request(?)', accepted), str(accepted), 'accepted')
    t.contains(t.one(db, "SELECT decline_request(?, 'not on your letter')", declined), str(declined), 'declined')
    t.equal(t.all(db, 'SELECT city, state FROM patient'), [('Shelbyville', None)])
    t.equal(pending(t, db), [])
    t.equal(t.all(db, "SELECT status, substr(decided_by, 1, 4), decided_at, reason FROM portal_request"),
            [('accepted', 'ehr:', t.now(), None), ('declined', 'ehr:', t.now(), 'not on your letter')])
    t.equal(t.all(db, "SELECT action, patient_id, subject FROM portal_audit WHERE action GLOB 'request.*ed'"
                      " AND action <> 'request.submitted'"),
            [('request.accepted', patient, f'request {accepted}'), ('request.declined', patient, f'request {declined}')])


def test_a_request_is_decided_once(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, city='Shelbyville', state='IL')
    first, second = request(t, db, 'city'), request(t, db, 'state')
    t.one(db, 'SELECT accept_request(?)', first)
    t.one(db, 'SELECT decline_request(?)', second)
    for call in ('accept_request(?)', "accept_request(?, 'force')", 'decline_request(?)'):
        t.refuses(db, f'SELECT {call}', first, says=[f'request {first}', 'accepted already'])
        t.refuses(db, f'SELECT {call}', second, says=[f'request {second}', 'declined already'])


def test_an_unknown_request_is_refused(t):
    db = t.database()
    for number in (1, 0, -1, 2**62):
        t.refuses(db, 'SELECT accept_request(?)', number, says=str(number))
        t.refuses(db, 'SELECT decline_request(?)', number, says=str(number))
    for wrong in (None, 'x', '1x', '', '1.5', 1.5, b'1'):
        t.refuses(db, 'SELECT accept_request(?)', wrong, says='request_id')
    t.refuses(db, "SELECT accept_request(1, 'please')", says='force')


def test_a_number_bound_as_text_or_as_a_real_names_the_same_request_and_patient(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, city='Shelbyville', state='IL', sex='other')
    for column in ('patient_id', 'request_id'):
        for value in (1, 1.0, '1'):
            t.equal(t.all(db, f'SELECT min(request_id) FROM pending_requests WHERE {column} = ?', value), [(1,)])
    t.contains(t.one(db, 'SELECT accept_request(?)', '1'), 'Request 1')
    t.contains(t.one(db, 'SELECT decline_request(?)', 2.0), 'Request 2')
    t.contains(t.one(db, 'SELECT accept_request(?)', '3.0'), 'Request 3')


def test_requests_of_a_patient_who_is_off_the_file_are_found_by_the_key(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, city='Shelbyville')
    db.execute('DELETE FROM patient')
    t.equal(t.all(db, 'SELECT field FROM pending_requests WHERE patient_id = ?', patient), [('city',)])


def test_the_insert_forms_decide_in_bulk(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, city='Shelbyville', state='IL', sex='other')
    db.execute("INSERT INTO accept_request(request_id) SELECT request_id FROM pending_requests"
               " WHERE field IN ('city', 'state')")
    db.execute("INSERT INTO decline_request(request_id, reason) SELECT request_id, 'ask us' FROM pending_requests")
    t.equal(t.all(db, 'SELECT field, status, reason FROM portal_request ORDER BY request_id'),
            [('city', 'accepted', None), ('state', 'accepted', None), ('sex', 'declined', 'ask us')])


def test_a_chart_that_moved_is_a_conflict_unless_forced(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, city='Shelbyville')
    db.execute("UPDATE patient SET city = 'Ogdenville'")
    t.equal(t.all(db, 'SELECT current_value, conflict FROM pending_requests'), [('Ogdenville', 1)])
    number = request(t, db, 'city')
    t.refuses(db, 'SELECT accept_request(?)', number, says=[f'request {number}', 'conflict', 'city', 'force'])
    t.equal(chart(t, db, patient, 'city'), 'Ogdenville')
    t.equal(len(pending(t, db)), 1)
    t.one(db, "SELECT accept_request(?, 'force')", number)
    t.equal(chart(t, db, patient, 'city'), 'Shelbyville')


def test_a_conflict_can_be_declined(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, city='Shelbyville')
    db.execute("UPDATE patient SET city = NULL")
    t.one(db, 'SELECT decline_request(?)', request(t, db, 'city'))
    t.equal(chart(t, db, patient, 'city'), None)


def test_a_chart_that_moved_and_came_back_is_no_conflict(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, city='Shelbyville')
    db.execute("UPDATE patient SET city = 'Ogdenville'")
    db.execute("UPDATE patient SET city = 'Springfield'")
    t.equal(t.one(db, 'SELECT conflict FROM pending_requests'), 0)
    t.one(db, 'SELECT accept_request(?)', request(t, db, 'city'))


def test_accepting_writes_the_patient_of_the_request_alone(t):
    db, patient, session = practice(t)
    other = t.patient(db, first_name='Eve', city='Springfield')
    submit(t, db, session, patient, city='Shelbyville')
    t.one(db, 'SELECT accept_request(?)', request(t, db, 'city'))
    t.equal([chart(t, db, who, 'city') for who in (patient, other)], ['Shelbyville', 'Springfield'])


def test_the_old_email_address_is_told_once_and_nothing_of_health_or_name(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, email='new@example.com')
    before = len(t.mails(db))
    t.one(db, 'SELECT accept_request(?)', request(t, db, 'email'))
    t.one(db, 'SELECT deliver()')
    [mail] = [mail for mail in t.mails(db)[before:] if mail['To'] == 'ada@example.com']
    t.contains(str(mail['Subject']), 'contact details were changed')
    told = f'{mail.as_string()} {t.text(mail)} {t.html(mail)}'
    for secret in ('Ada', 'Lovelace', '1985', 'new@example.com', 'http'):
        t.true(secret not in told, secret)


def test_the_old_phone_is_told_by_text(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, cell_phone='+12025550177')
    before = len(t.mails(db))
    t.one(db, 'SELECT accept_request(?)', request(t, db, 'cell_phone'))
    [mail] = t.mails(db)[before:]
    t.contains(mail['To'], '12025550100')
    t.true('0177' not in mail.as_string() and 'Ada' not in mail.as_string())
    t.equal(t.html(mail), None)


def test_no_old_contact_is_told_when_there_was_none_or_another_field_changed(t):
    db, patient, session = practice(t)
    db.execute('UPDATE patient SET email = NULL')
    submit(t, db, session, patient, email='new@example.com', home_phone='+12025550188', city='Shelbyville')
    before = len(t.mails(db))
    t.equal(db.execute("UPDATE pending_requests SET decision = 'accept'").rowcount, 3)
    t.one(db, 'SELECT deliver()')
    told = [t.text(mail) for mail in t.mails(db)[before:]]
    t.equal([text for text in told if 'reviewed what you entered' not in text], [])
    t.equal(chart(t, db, patient, 'email'), 'new@example.com')


def test_bulk_accepting_tells_the_old_address_at_the_next_delivery(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, email='new@example.com', cell_phone='+12025550177')
    before = len(t.mails(db))
    db.execute("UPDATE pending_requests SET decision = 'accept'")
    t.equal(len(t.mails(db)), before)
    # The third tells whoever asked that it was decided.
    t.equal(flows.ask(t, db, 'SELECT deliver()')['sent'], 3)
    t.equal(sorted(mail['To'].split('@')[0] for mail in t.mails(db)[before:])[-1], 'ada')


def test_an_accepted_first_name_keeps_access_and_live_links_working(t):
    db, patient, session = practice(t)
    t.advance(60)
    token = flows.send(t, db, patient)
    submit(t, db, session, patient, first_name='Augusta')
    t.one(db, 'SELECT accept_request(?)', request(t, db, 'first_name'))
    t.equal(chart(t, db, patient, 'first_name'), 'Augusta')
    t.equal(flows.patients_of(t, db, session), [patient])
    flows.pin(t, db, token, patient)
    t.equal(submit(t, db, session, patient, city='Shelbyville'), 1)
    t.equal(t.all(db, 'SELECT * FROM portal_check'), [])


def test_requests_of_a_revoked_person_are_still_decided(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, city='Shelbyville', state='IL')
    t.one(db, 'SELECT revoke_access(?)', patient)
    t.equal(flows.ask(t, db, SUBMIT, session, patient, '{"city":"X"}')['result'], 'refused')
    t.one(db, 'SELECT accept_request(?)', request(t, db, 'city'))
    t.one(db, 'SELECT decline_request(?)', request(t, db, 'state'))
    t.equal(t.all(db, 'SELECT city, state FROM patient'), [('Shelbyville', None)])


def test_an_accepted_first_name_of_a_suspended_access_keeps_it_restorable(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, first_name='Augusta')
    t.one(db, 'SELECT revoke_access(?)', patient)
    t.one(db, 'SELECT accept_request(?)', request(t, db, 'first_name'))
    flows.send(t, db, patient)
    t.equal(flows.patients_of(t, db, flows.login(t, db, 'ada')), [patient])


def test_requests_of_a_deleted_patient_are_shown_and_can_be_declined_only(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, city='Shelbyville')
    number = request(t, db, 'city')
    db.execute('DELETE FROM patient')
    t.equal(t.all(db, 'SELECT patient_id, patient_name, current_value, conflict FROM pending_requests'),
            [(patient, None, None, 1)])
    t.refuses(db, 'SELECT accept_request(?)', number, says='not on file')
    t.refuses(db, "SELECT accept_request(?, 'force')", number, says='not on file')
    t.one(db, 'SELECT decline_request(?)', number)
    t.equal(pending(t, db), [])


def test_a_request_does_not_reach_another_person_under_the_same_id(t):
    db, patient, session = practice(t, city=None)
    submit(t, db, session, patient, city='Shelbyville')
    db.execute("UPDATE patient SET first_name = 'Grace', last_name = 'Hopper', date_of_birth = '1906-12-09'")
    number = request(t, db, 'city')
    t.equal(t.one(db, 'SELECT conflict FROM pending_requests'), 1)
    t.refuses(db, 'SELECT accept_request(?)', number, says=['conflict', 'first name or date of birth'])
    t.equal(db.execute("UPDATE OR IGNORE pending_requests SET decision = 'accept'").rowcount, 0)
    t.equal(chart(t, db, patient, 'city'), None)
    t.one(db, 'SELECT decline_request(?)', number)


def test_the_practices_own_check_refuses_and_leaves_all_as_it_was(t):
    db, patient, session = practice(t)
    db.execute("CREATE TRIGGER own BEFORE UPDATE OF email ON patient BEGIN"
               " SELECT RAISE(ABORT, 'no email today'); END")
    submit(t, db, session, patient, email='new@example.com', city='Shelbyville')
    number, before = request(t, db, 'email'), t.all(db, 'SELECT message_id FROM portal_message')
    t.refuses(db, 'SELECT accept_request(?)', number, says='no email today')
    t.refuses(db, "UPDATE pending_requests SET decision = 'accept'", says='no email today')
    t.equal(len(pending(t, db)), 2)
    t.equal(t.all(db, 'SELECT email, city FROM patient'), [('ada@example.com', 'Springfield')])
    t.equal(t.all(db, 'SELECT message_id FROM portal_message'), before)
    t.equal(db.execute("UPDATE OR IGNORE pending_requests SET decision = 'accept'").rowcount, 1)
    t.equal(pending(t, db), [('email', 'new@example.com')])


def own_patient_table(t, extra=''):
    """A practice with a patient table of its own and TEXT keys."""
    db = t.database(init=False)
    db.executescript(f'''PRAGMA foreign_keys = on; CREATE TABLE place (name TEXT PRIMARY KEY);
        INSERT INTO place VALUES ('Springfield');
        CREATE TABLE patient (patient_id TEXT PRIMARY KEY, first_name TEXT, last_name TEXT,
        date_of_birth TEXT, sex TEXT, email TEXT, cell_phone TEXT, home_phone TEXT, address_line1 TEXT,
        address_line2 TEXT, city TEXT {extra}, state TEXT CHECK (length(state) = 2), postal_code TEXT,
        preferred_language TEXT, email_consent INTEGER DEFAULT 1, text_consent INTEGER DEFAULT 1,
        phr_active INTEGER, active INTEGER DEFAULT 1, deceased_on TEXT);''')
    db.execute('SELECT portal_init()')
    t.patient(db, patient_id='A-17', city='Springfield')
    return db, 'A-17', flows.register(t, db, 'A-17', 'ada')


def test_text_patient_ids_work_throughout(t):
    db, patient, session = own_patient_table(t)
    submit(t, db, session, patient, address_line1='1 Main St', state='IL', city='Shelbyville')
    t.equal(t.all(db, "SELECT patient_id, typeof(patient_id) FROM pending_requests WHERE patient_id = 'A-17'"),
            [('A-17', 'text')] * 3)
    t.equal(t.all(db, "SELECT 1 FROM pending_requests WHERE patient_id = 'A-18'"), [])
    t.one(db, 'SELECT accept_request(?)', request(t, db, 'state'))
    t.equal(db.execute("UPDATE pending_requests SET decision = 'accept' WHERE patient_id = 'A-17'").rowcount, 2)
    t.equal(t.all(db, 'SELECT patient_id, address_line1, state, city FROM patient'),
            [('A-17', '1 Main St', 'IL', 'Shelbyville')])
    t.equal(t.one(db, "SELECT patient_id FROM portal_audit WHERE action = 'request.accepted'"), 'A-17')


def test_a_check_constraint_of_the_practice_is_a_refusal(t):
    db, patient, session = own_patient_table(t)
    submit(t, db, session, patient, state='Illinois', address_line1='1 Main St')
    t.refuses(db, 'SELECT accept_request(?)', request(t, db, 'state'), says='CHECK')
    t.equal(db.execute("UPDATE OR IGNORE pending_requests SET decision = 'accept'").rowcount, 1)
    t.equal(pending(t, db), [('state', 'Illinois')])
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_a_foreign_key_of_the_practice_is_a_refusal(t):
    for extra in ('REFERENCES place', 'REFERENCES place DEFERRABLE INITIALLY DEFERRED'):
        db, patient, session = own_patient_table(t, extra)
        submit(t, db, session, patient, city='Nowhere', email='new@example.com')
        number = request(t, db, 'city')
        t.refuses(db, 'SELECT accept_request(?)', number, says='FOREIGN KEY')
        t.equal(t.one(db, 'SELECT city FROM patient'), 'Springfield')
        t.equal(decided(t, db, number), 'pending')
        t.equal(db.in_transaction, False)
        t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_triggers_of_the_practice_that_roll_back_ignore_or_fail_leave_all_as_it_was(t):
    for action in ("RAISE(ROLLBACK, 'own rule')", "RAISE(FAIL, 'own rule')", 'RAISE(IGNORE)'):
        db, patient, session = practice(t)
        db.executescript(f'''CREATE TABLE own_log (x);
            CREATE TRIGGER own BEFORE UPDATE ON patient BEGIN
            INSERT INTO own_log VALUES (1); SELECT {action}; END''')
        submit(t, db, session, patient, city='Shelbyville')
        number = request(t, db, 'city')
        t.refuses(db, 'SELECT accept_request(?)', number)
        t.refuses(db, "UPDATE pending_requests SET decision = 'accept'")
        t.equal(db.in_transaction, False, action)
        t.equal(decided(t, db, number), 'pending', action)
        t.equal(t.one(db, "SELECT city || (SELECT count(*) FROM own_log) FROM patient"), 'Springfield0', action)
        t.equal(t.one(db, 'SELECT portal_audit_verify()'), None, action)


def test_scheduling_decides_and_the_portal_does_not(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, city='Shelbyville', state='IL')
    scheduling = t.connect(t.file(db), application='scheduling')
    t.equal(len(pending(t, scheduling)), 2)
    t.one(scheduling, 'SELECT accept_request(?)', request(t, db, 'city'))
    t.equal(scheduling.execute("UPDATE pending_requests SET decision = 'decline'").rowcount, 1)
    t.equal(t.all(db, 'SELECT status, substr(decided_by, 1, 11) FROM portal_request'),
            [('accepted', 'scheduling:'), ('declined', 'scheduling:')])
    portal = t.connect(t.file(db), application='portal')
    for sql in ('SELECT * FROM pending_requests', "UPDATE pending_requests SET decision = 'accept'",
                'SELECT accept_request(1)', 'SELECT decline_request(1)', 'INSERT INTO accept_request VALUES (1, NULL)'):
        t.refuses(portal, sql, says='not available to the application portal')


# Deciding many

def many(t, count=6):
    """A practice with requests of several patients: connection and the patients."""
    db = t.database()
    patients = [t.patient(db, city=f'Town {number}') for number in range(count)]
    flows.register(t, db, patients[0], 'ada')
    db.executemany("INSERT INTO portal_request (patient_id, field, base_value, proposed_value, account_id,"
                   " submitted_as, submitted_at, status) VALUES (?, 'city', ?, ?, 1, 'patient', 0, 'pending')",
                   [(patient, f'Town {number}', f'City {number}') for number, patient in enumerate(patients)])
    db.execute('INSERT OR IGNORE INTO portal_access (account_id, patient_id, role, identity, status, granted_at)'
               " SELECT 1, patient_id, 'representative', identity, 'active', 0 FROM patient,"
               ' (SELECT identity FROM portal_access)')
    return db, patients


def cities(t, db):
    return [city for city, in t.all(db, 'SELECT city FROM patient ORDER BY patient_id')]


def test_an_update_decides_in_bulk_and_counts(t):
    db, patients = many(t)
    t.equal(db.execute("UPDATE pending_requests SET decision = 'accept' WHERE patient_id > ?", [patients[2]]).rowcount, 3)
    t.equal(cities(t, db), ['Town 0', 'Town 1', 'Town 2', 'City 3', 'City 4', 'City 5'])
    t.equal(db.execute("UPDATE pending_requests SET decision = 'decline'").rowcount, 3)
    t.equal(pending(t, db), [])


def test_a_plain_update_refuses_all_for_one_conflict(t):
    for verb in ('UPDATE', 'UPDATE OR ABORT', 'UPDATE OR ROLLBACK', 'UPDATE OR FAIL'):
        db, patients = many(t)
        db.execute("UPDATE patient SET city = 'Moved' WHERE patient_id = ?", [patients[3]])
        before = cities(t, db)
        t.refuses(db, f"{verb} pending_requests SET decision = 'accept'", says=['conflict', 'request 4'])
        if verb != 'UPDATE OR FAIL':
            t.equal(cities(t, db), before, verb)
            t.equal(len(pending(t, db)), 6, verb)
        t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_or_ignore_skips_conflicts_and_changes_counts_those_done(t):
    db, patients = many(t)
    db.execute("UPDATE patient SET city = 'Moved' WHERE patient_id IN (?, ?)", [patients[0], patients[3]])
    t.equal(db.execute("UPDATE OR IGNORE pending_requests SET decision = 'accept'").rowcount, 4)
    t.equal(t.one(db, 'SELECT changes()'), 4)
    t.equal(cities(t, db), ['Moved', 'City 1', 'City 2', 'Moved', 'City 4', 'City 5'])
    t.equal(t.one(db, 'SELECT count(*) FROM pending_requests WHERE conflict'), 2)
    t.equal(t.one(db, 'SELECT count(*) FROM pending_requests'), 2)


def test_a_bulk_decision_rolls_back_with_its_transaction(t):
    db, patients = many(t)
    db.execute('BEGIN')
    db.execute("UPDATE pending_requests SET decision = 'accept'")
    db.execute('ROLLBACK')
    t.equal(cities(t, db)[0], 'Town 0')
    t.equal(len(pending(t, db)), 6)


def test_patient_id_and_request_id_are_keys_and_not_scanned(t):
    db, patients = many(t)
    for column, index in (('patient_id', 1), ('request_id', 2)):
        plan = str(t.all(db, f'EXPLAIN QUERY PLAN SELECT * FROM pending_requests WHERE {column} = 3'))
        t.contains(plan, f'VIRTUAL TABLE INDEX {index}:')
    plan = str(t.all(db, 'EXPLAIN QUERY PLAN SELECT * FROM patient JOIN pending_requests USING (patient_id)'))
    t.true('VIRTUAL TABLE INDEX 1' in plan or 'SEARCH' in plan, plan)
    t.equal(t.all(db, 'SELECT field FROM pending_requests WHERE request_id = 3 AND patient_id = ?', patients[2]),
            [('city',)])
    t.equal(t.all(db, 'SELECT field FROM pending_requests WHERE request_id = 3 AND patient_id = ?', patients[1]), [])
    t.equal(t.all(db, 'SELECT request_id FROM pending_requests WHERE request_id IN (2, 5, 99, NULL)'), [(2,), (5,)])
    t.equal(t.all(db, 'SELECT request_id FROM pending_requests WHERE rowid = 4'), [(4,)])
    t.equal(t.all(db, 'SELECT rowid FROM pending_requests ORDER BY 1'), [(id,) for id in range(1, 7)])
    db.execute("SELECT decline_request(4)").fetchall()
    t.equal(t.all(db, 'SELECT rowid FROM pending_requests WHERE rowid > 2 ORDER BY 1'), [(3,), (5,), (6,)])
    t.equal(t.one(db, 'SELECT count(*) FROM pending_requests'), 5)


def test_the_lookup_by_key_reads_no_more_rows_than_it_gives(t):
    db, patients = many(t)
    for clause in ('r.patient_id = 1', 'r.request_id = 1'):
        plan = [row[3] for row in t.all(db, 'EXPLAIN QUERY PLAN SELECT * FROM portal_request AS r'
                                            f" WHERE r.status = 'pending' AND {clause}")]
        t.true(all(step.startswith('SEARCH') for step in plan), f'{clause}: {plan}')


def test_requests_are_decided_through_subqueries_and_joins(t):
    db, patients = many(t)
    t.equal(db.execute("UPDATE pending_requests SET decision = 'accept' WHERE patient_id IN"
                       " (SELECT patient_id FROM patient WHERE city IN ('Town 1', 'Town 2'))").rowcount, 2)
    t.equal(db.execute("UPDATE pending_requests SET decision = 'decline' WHERE request_id ="
                       " (SELECT min(request_id) FROM pending_requests)").rowcount, 1)
    t.equal(db.execute("UPDATE pending_requests SET decision = 'accept' FROM patient AS p"
                       " WHERE p.patient_id = pending_requests.patient_id AND p.city = 'Town 4'").rowcount, 1)
    t.equal(cities(t, db), ['Town 0', 'City 1', 'City 2', 'Town 3', 'City 4', 'Town 5'])
    t.equal(db.execute("UPDATE pending_requests SET decision = CASE WHEN proposed_value = 'City 3'"
                       " THEN 'accept' ELSE 'decline' END").rowcount, 2)
    t.equal(cities(t, db), ['Town 0', 'City 1', 'City 2', 'City 3', 'City 4', 'Town 5'])


def test_an_update_that_decides_nothing_is_no_error(t):
    db, patients = many(t)
    t.equal(db.execute("UPDATE pending_requests SET decision = 'accept' WHERE request_id = 999").rowcount, 0)
    t.equal(db.execute("UPDATE pending_requests SET decision = 'accept' WHERE patient_id = NULL").rowcount, 0)


def test_another_decision_or_column_is_refused(t):
    db, patients = many(t)
    for decision in ("'Accept'", "'accepted'", "''", 'NULL', '1', "'force'", "x'616363657074'", "'accept '"):
        t.refuses(db, f'UPDATE pending_requests SET decision = {decision}', says="'accept' or 'decline'")
    for column in ('proposed_value', 'field', 'patient_id', 'request_id', 'conflict', 'current_value', 'rowid'):
        t.refuses(db, f"UPDATE pending_requests SET {column} = 7", says='decision')
        t.refuses(db, f"UPDATE pending_requests SET decision = 'accept', {column} = 7", says='decision')
    t.equal(len(pending(t, db)), 6)
    t.equal(cities(t, db)[0], 'Town 0')


def test_a_column_that_is_null_can_not_be_set_beside_the_decision(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, state='IL')
    null = [name for name, in t.all(db, "SELECT name FROM pragma_table_info('pending_requests')")
            if t.one(db, f'SELECT {name} IS NULL FROM pending_requests')]
    t.true(null)
    for name in null:
        t.refuses(db, f"UPDATE pending_requests SET {name} = 'x', decision = 'accept'", says='only decision')


def test_requests_are_neither_inserted_nor_deleted_through_the_table(t):
    db, patients = many(t)
    t.refuses(db, 'DELETE FROM pending_requests', says='UPDATE')
    t.refuses(db, "INSERT INTO pending_requests (patient_id, field) VALUES (1, 'city')", says='UPDATE')
    t.refuses(db, "REPLACE INTO pending_requests (request_id, decision) VALUES (1, 'accept')", says='UPDATE')
    t.equal(len(pending(t, db)), 6)


def test_decision_is_hidden_and_never_read(t):
    db, patients = many(t)
    t.equal([row[1] for row in t.all(db, 'PRAGMA table_info(pending_requests)')],
            ['request_id', 'patient_id', 'patient_name', 'field', 'current_value', 'proposed_value',
             'submitted_by', 'submitted_as', 'submitted_at', 'conflict'])
    t.equal(t.all(db, 'SELECT DISTINCT decision FROM pending_requests'), [(None,)])


def test_deciding_while_reading_the_list_decides_each_once(t):
    db, patients = many(t)
    answers = t.all(db, 'SELECT accept_request(request_id) FROM pending_requests')
    t.equal(len(answers), 6)
    t.equal(cities(t, db), [f'City {number}' for number in range(6)])


def decide_all(t, number, path, barrier_first=True):
    db = t.connect(path, timeout=30)
    t.together()
    done = []
    for request_id in range(1, 13):
        try:
            call = 'accept_request' if (number + request_id) % 2 else 'decline_request'
            t.one(db, f'SELECT {call}(?)', request_id)
            done.append(request_id)
        except Exception as error:
            t.contains(str(error), 'already')
    return done


def test_eight_processes_decide_each_request_once(t):
    db, patients = many(t, 12)
    results = t.parallel(8, decide_all, t.file(db))
    t.equal(sorted(sum(results, [])), list(range(1, 13)))
    for number, (city, status) in enumerate(t.all(
            db, 'SELECT city, status FROM patient JOIN portal_request USING (patient_id) ORDER BY request_id')):
        t.equal(city, f'City {number}' if status == 'accepted' else f'Town {number}')
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
    t.equal(t.one(db, "SELECT count(*) FROM portal_audit WHERE action IN ('request.accepted', 'request.declined')"), 12)


def test_a_request_for_a_field_that_nobody_may_change_is_shown_and_not_accepted(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, city='Shelbyville')
    db.execute("UPDATE portal_request SET field = 'date_of_birth'")
    t.equal(t.all(db, 'SELECT field, proposed_value FROM pending_requests'), [('date_of_birth', 'Shelbyville')])
    t.refuses(db, "SELECT accept_request(1, 'force')", says="field 'date_of_birth' can not be changed")
    t.contains(t.one(db, 'SELECT decline_request(1)'), 'declined')
