"""merge_patients(): two records of one patient become one, with one history and the other's access."""
import flows

HOUR = 3600


def two(t, db, **columns):
    """Two records of one patient."""
    return t.patient(db, **columns), t.patient(db, first_name='Augusta', **columns)


def merge(t, db, *arguments):
    return t.one(db, f"SELECT merge_patients({', '.join('?' * len(arguments))})", *arguments)


def rows(t, db, table, patient):
    return t.one(db, f'SELECT count(*) FROM {table} WHERE patient_id = ?', patient)


def submit(t, db, session, patient, field, value):
    t.advance(1)
    answer = flows.ask(t, db, 'SELECT submit_demographics(?, ?, json_object(?, ?))', session, patient, field, value)
    t.equal(answer['requests'], 1)


def history(t, db):
    """Both registered; rita represents both, paul the first alone: the two and three sessions."""
    first, second = two(t, db)
    sessions = {'ada.l': flows.register(t, db, first, 'ada.l'), 'augusta': flows.register(t, db, second, 'augusta')}
    flows.register_representative(t, db, first, 'paul', name='Paul Parent')
    flows.register_representative(t, db, first, 'rita')
    token = flows.send(t, db, second, 'text')
    flows.ask(t, db, 'SELECT register_representative(?, ?, ?, ?, ?, ?)', token, flows.pin(t, db, token, second), 'rita',
              flows.PASSWORD, 'Rita', 'parent')
    t.advance(60)
    return first, second, sessions


def test_history_goes_over_and_access_does_not(t):
    db = t.database()
    first, second, sessions = history(t, db)
    link = flows.send(t, db, first)
    registrations = rows(t, db, 'portal_registration', first)
    messages = t.one(db, 'SELECT count(*) FROM portal_message')
    events = t.all(db, 'SELECT * FROM portal_audit')
    t.equal(merge(t, db, first, second, 'twice on file'),
            f'Patient {first} was merged into patient {second}. Moved: registrations {registrations}, requests 0, '
            f'messages 7. People who lost access: 2.')
    for table in ('portal_registration', 'portal_message', 'portal_request', 'portal_revocation'):
        t.equal(rows(t, db, table, first), 0, table)
    t.equal(t.one(db, 'SELECT count(*) FROM portal_message'), messages + 2)
    t.equal(t.all(db, 'SELECT username, patient_id, status FROM portal_people ORDER BY username, patient_id'), [
        ('ada.l', second, 'removed'), ('augusta', second, 'active'), ('paul', second, 'removed'),
        ('rita', first, 'removed'), ('rita', second, 'active')])
    t.equal(t.one(db, 'SELECT token_status(?)', link), 'revoked')
    t.equal(flows.patients_of(t, db, sessions['ada.l']), None)
    t.equal(flows.patients_of(t, db, sessions['augusta']), [second])
    for username, signs_in in (('ada.l', False), ('paul', False), ('rita', True), ('augusta', True)):
        t.equal(flows.can_login(t, db, username), signs_in, username)
    t.equal(t.all(db, 'SELECT * FROM portal_audit')[:len(events)], events, 'the audit stays as it was written')
    t.equal(t.all(db, "SELECT action, patient_id, subject, detail FROM portal_audit WHERE action LIKE 'patient.merged%'"),
            [('patient.merged_into', first, str(second), 'twice on file'),
             ('patient.merged_from', second, str(first), 'twice on file')])
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
    t.equal(t.one(db, 'SELECT count(*) FROM patient'), 2)


def test_only_who_lost_access_is_told_and_at_their_own_contact(t):
    db = t.database()
    first, second, _ = history(t, db)
    lost = t.all(db, "SELECT contact FROM portal_account WHERE username IN ('ada.l', 'paul') ORDER BY account_id")
    merge(t, db, first, second)
    t.equal(t.all(db, "SELECT recipient, status FROM portal_message WHERE kind = 'deactivated' ORDER BY message_id"),
            [(contact, 'sent') for contact, in lost])


def test_the_state_of_the_one_who_stays_is_as_it_was(t):
    db = t.database()
    first, second = two(t, db)
    link = flows.send(t, db, second)
    t.advance(60)
    flows.register(t, db, first, 'ada.l')
    before = t.all(db, 'SELECT status, message, channel, expires_at FROM portal_status WHERE patient_id = ?', second)
    t.equal(before[0][0], 'sent')
    merge(t, db, first, second)
    t.equal(t.all(db, 'SELECT status, message, channel, expires_at FROM portal_status WHERE patient_id = ?', second), before)
    t.equal(t.one(db, 'SELECT token_valid(?)', link), 1)
    t.equal(t.all(db, "SELECT * FROM portal_check WHERE problem NOT LIKE '%maildir%'"), [])
    newer = flows.send(t, db, second)
    t.equal([t.one(db, 'SELECT token_status(?)', token) for token in (link, newer)], ['superseded', 'valid'])
    t.advance(400 * 24 * HOUR)
    t.one(db, 'SELECT expire_links()')
    t.one(db, 'SELECT portal_purge(30)')
    t.equal(flows.status(t, db, second), 'expired', 'the newest of its own is what a purge leaves')


def test_of_two_pending_requests_for_a_field_the_newer_stays(t):
    db = t.database()
    first, second, _ = history(t, db)
    ada, augusta = flows.login(t, db, 'ada.l'), flows.login(t, db, 'augusta')
    submit(t, db, ada, first, 'city', 'Older')
    submit(t, db, augusta, second, 'city', 'Newer')
    submit(t, db, augusta, second, 'state', 'OL')
    submit(t, db, ada, first, 'state', 'NE')
    submit(t, db, ada, first, 'postal_code', '05001')
    t.contains(merge(t, db, first, second), 'requests 3,')
    t.equal(t.all(db, 'SELECT field, proposed_value, patient_id FROM pending_requests ORDER BY field'),
            [('city', 'Newer', second), ('postal_code', '05001', second), ('state', 'NE', second)])
    t.equal(t.all(db, "SELECT field, proposed_value, decided_at IS NOT NULL FROM portal_request"
                      " WHERE status = 'superseded' ORDER BY field"), [('city', 'Older', 1), ('state', 'OL', 1)])
    t.equal(t.all(db, 'SELECT count(*) FROM portal_request WHERE patient_id = ?', first), [(0,)])
    t.one(db, "SELECT accept_request(request_id, 'force') FROM pending_requests WHERE field = 'state'")
    t.equal(t.one(db, 'SELECT state FROM patient WHERE patient_id = ?', second), 'NE')


def test_what_waits_to_be_sent_to_the_first_is_not_sent(t):
    db = t.database()
    first, second = two(t, db)
    db.execute('BEGIN')
    t.one(db, "SELECT send_registration(?, 'email')", first)
    db.execute('COMMIT')
    merge(t, db, first, second)
    t.one(db, 'SELECT deliver()')
    t.equal(t.all(db, 'SELECT patient_id, status FROM portal_message'), [(second, 'cancelled')])
    t.equal(t.mails(db), [])


def test_the_first_may_be_gone_from_the_chart_and_its_id_serves_again(t):
    for key in (1, 'c5e7'):
        db = t.database()
        if key == 'c5e7':
            chart = t.one(db, "SELECT sql FROM sqlite_schema WHERE name = 'patient'")
            db.execute('DROP TABLE patient')
            db.execute(chart.replace('INTEGER PRIMARY KEY AUTOINCREMENT', 'TEXT PRIMARY KEY'))
        for patient in (key, f'{key}9' if key == 'c5e7' else 2):
            t.patient(db, patient_id=patient)
        other = t.one(db, 'SELECT max(patient_id) FROM patient')
        session = flows.register(t, db, key, 'ada.l')
        db.execute('DELETE FROM patient WHERE patient_id = ?', [key])
        t.contains(merge(t, db, key, other), 'People who lost access: 1')
        t.equal(flows.patients_of(t, db, session), None)
        t.refuses(db, 'SELECT merge_patients(?, ?)', key, other, says='is neither on file nor known to the portal')
        t.patient(db, patient_id=key, first_name='Other')
        flows.register(t, db, key, 'other.o')
        t.equal((flows.status(t, db, key), flows.status(t, db, other)), ('registered', 'not sent'))


def test_merging_is_refused_with_the_remedy_and_changes_nothing(t):
    db = t.database()
    first, second = two(t, db)
    dead, left = t.patient(db, deceased_on='2026-01-01'), t.patient(db, active=0)
    flows.register(t, db, first, 'ada.l')
    before = t.all(db, 'SELECT * FROM portal_access')
    for source, target, said in (
            (first, first, f'patient {first} can not be merged into itself; name the record that stays second'),
            (str(first), first, 'can not be merged into itself'), (first, float(first), 'can not be merged into itself'),
            (first, 4711, 'patient 4711 is not on file'), (4711, second, 'patient 4711 is neither on file nor known'),
            (first, dead, 'is deceased; correct the chart'), (first, left, 'is not an active patient; correct the chart'),
            (None, second, 'NULL'), (first, None, 'NULL'), (b'1', second, 'blob')):
        t.refuses(db, 'SELECT merge_patients(?, ?)', source, target, says=said)
        t.refuses(db, 'INSERT INTO merge_patients(from_id, into_id) VALUES (?, ?)', source, target, says=said)
    t.refuses(db, 'SELECT merge_patients(?, ?, ?)', first, second, 'x' * 501, says='reason is too long')
    t.equal(t.all(db, 'SELECT * FROM portal_access'), before)
    t.equal(t.one(db, "SELECT count(*) FROM portal_audit WHERE action LIKE 'patient.merged%'"), 0)
    t.true(t.one(db, "SELECT count(*) FROM portal_audit WHERE action = 'call.refused' AND patient_id = ?", first) > 0)


def test_a_set_is_merged_in_one_statement_and_rolls_back(t):
    db = t.database()
    pairs = [two(t, db) for _ in range(3)]
    for number, (first, _) in enumerate(pairs):
        flows.register(t, db, first, f'ada.{number}')
    before = [t.all(db, f'SELECT * FROM portal_{table}') for table in ('access', 'message', 'registration', 'state')]
    db.execute('CREATE TABLE twice(a, b)')
    db.executemany('INSERT INTO twice VALUES (?, ?)', pairs)
    db.execute('BEGIN')
    db.execute('INSERT INTO merge_patients(from_id, into_id) SELECT a, b FROM twice')
    db.execute('ROLLBACK')
    t.equal([t.all(db, f'SELECT * FROM portal_{table}') for table in ('access', 'message', 'registration', 'state')], before)
    db.execute('INSERT INTO twice VALUES (4711, 1)')
    t.refuses(db, 'INSERT INTO merge_patients(from_id, into_id) SELECT a, b FROM twice', says='4711')
    t.equal(t.all(db, 'SELECT * FROM portal_access'), before[0])
    t.equal(db.execute('INSERT OR IGNORE INTO merge_patients(from_id, into_id) SELECT a, b FROM twice').rowcount, 3)
    t.equal(t.all(db, 'SELECT DISTINCT status FROM portal_access'), [('removed',)])


def test_a_revoke_outlives_the_merge_where_nothing_was_sent_to_the_other(t):
    db = t.database()
    first, second = two(t, db)
    flows.register(t, db, first, 'ada.l')
    t.one(db, "SELECT revoke_access(?, 'asked for')", first)
    merge(t, db, first, second)
    t.equal(flows.status(t, db, second), 'revoked')
    third = t.patient(db)
    flows.send(t, db, third)
    merge(t, db, second, third)
    t.equal((flows.status(t, db, third), t.one(db, 'SELECT count(*) FROM portal_revocation')), ('sent', 0))
    t.equal(t.one(db, 'SELECT DISTINCT merged_from FROM portal_registration WHERE merged_from IS NOT NULL'), first)


def test_sending_grants_again_what_was_revoked_of_a_record_that_all_came_to_by_merging(t):
    db = t.database()
    for number, steps in enumerate((('revoke_access', 'merge'), ('merge', 'revoke_access'))):
        first, second = two(t, db)
        flows.send(t, db, first)
        for step in steps:
            if step == 'merge':
                merge(t, db, first, second)
            else:
                t.one(db, 'SELECT revoke_access(?)', first if number == 0 else second)
        t.equal(flows.status(t, db, second), 'revoked')
        t.advance(60)
        flows.register(t, db, second, f'augusta.{number}')
        t.equal(t.one(db, 'SELECT count(*) FROM portal_revocation'), 0)
        t.one(db, 'SELECT revoke_access(?)', second)
        t.true(not flows.can_login(t, db, f'augusta.{number}'))
        db.execute('DELETE FROM portal_revocation')


def test_nothing_is_scanned_that_grows_with_the_practice(t):
    db = t.database()
    for table, sql in (
            ('message', "UPDATE portal_message SET patient_id = 2 WHERE patient_id = 1 AND kind <> 'registration'"),
            ('request', 'UPDATE portal_request SET patient_id = 2 WHERE patient_id = 1 AND account_id IN'
                        ' (SELECT account_id FROM portal_access WHERE patient_id = 1)')):
        plan = [row[3] for row in t.all(db, f'EXPLAIN QUERY PLAN {sql}')]
        t.equal([step for step in plan if step.startswith('SCAN')], [], table)
