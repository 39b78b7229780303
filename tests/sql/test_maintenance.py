"""expire_links(), portal_purge() and portal_check(): the nightly work and what it finds."""

import flows
import harness

HOUR, DAY, YEAR = 3600, 86400, 365 * 86400


def practice(t, count=1):
    db = t.database()
    return db, [t.patient(db) for _ in range(count)]


def findings(t, db):
    return t.all(db, 'SELECT problem, subject FROM portal_check')


def finding(t, db, problem, subject):
    """Claims that the self-check finds one thing, and says what to do."""
    rows = t.all(db, 'SELECT problem, subject, remedy FROM portal_check')
    t.equal(len(rows), 1, f'{rows}')
    t.contains(rows[0][0], problem)
    t.contains(rows[0][1], subject)
    t.true(len(rows[0][2]) > 5, f'{rows}')


def story(t):
    """A practice in the middle of its life: connection, patients, session of the first."""
    db, patients = practice(t, 5)
    session = flows.register(t, db, patients[0], 'ada')
    flows.register_representative(t, db, patients[1], 'rita')
    flows.send(t, db, patients[2])
    db.execute("INSERT INTO send_registration VALUES (?, 'text')", [patients[3]])
    t.one(db, "SELECT submit_demographics(?, ?, '{\"city\":\"Springfield\"}')", session, patients[0])
    return db, patients, session


# expire_links()

def test_expire_links_marks_and_counts_the_links_that_are_over(t):
    db, patients = practice(t, 3)
    token = flows.send(t, db, patients[0])
    flows.send(t, db, patients[1])
    t.advance(HOUR)
    young = flows.send(t, db, patients[2])
    t.equal(t.one(db, 'SELECT expire_links()'), 0)
    t.advance(71 * HOUR)
    t.equal(t.one(db, 'SELECT expire_links()'), 2)
    t.equal(t.one(db, 'SELECT expire_links()'), 0)
    t.equal(t.all(db, 'SELECT status, ended_at = expires_at FROM portal_registration'),
            [('expired', 1), ('expired', 1), ('live', None)])
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'expired')
    t.equal(t.one(db, 'SELECT token_status(?)', young), 'valid')
    t.equal(t.all(db, "SELECT detail FROM portal_audit WHERE action = 'links.expired'"), [('2 links, 0 sessions',)])


def test_expire_links_writes_no_event_when_nothing_is_over(t):
    db, patients = practice(t)
    flows.send(t, db, patients[0])
    before = t.one(db, 'SELECT max(event_id) FROM portal_audit')
    t.one(db, 'SELECT expire_links()')
    t.equal(t.one(db, 'SELECT max(event_id) FROM portal_audit'), before)


def test_expire_links_ends_sessions_pins_and_resets(t):
    db, patients = practice(t, 2)
    flows.register(t, db, patients[0], 'ada')
    token = flows.send(t, db, patients[1])
    flows.pin(t, db, token, patients[1])
    t.one(db, "SELECT forgot_password('ada')")
    t.one(db, 'SELECT deliver()')
    live = 'SELECT (SELECT count(*) FROM portal_session WHERE ended_at IS NULL),' \
           " (SELECT count(*) FROM portal_pin WHERE status = 'live')," \
           " (SELECT count(*) FROM portal_reset WHERE status = 'live')"
    t.one(db, 'SELECT expire_links()')
    t.equal(t.all(db, live), [(1, 1, 1)])
    t.advance(13 * HOUR)
    t.one(db, 'SELECT expire_links()')
    t.equal(t.all(db, live), [(0, 0, 0)])


def test_no_check_waits_for_expire_links(t):
    db, patients = practice(t, 2)
    session = flows.register(t, db, patients[0], 'ada')
    token = flows.send(t, db, patients[1])
    pin = flows.pin(t, db, token, patients[1])
    before = t.all(db, 'SELECT status FROM portal_registration')
    t.advance(11 * 60)
    t.equal(flows.ask(t, db, "SELECT register_patient(?, ?, 'bob', ?)", token, pin, flows.PASSWORD)['result'], 'refused')
    t.advance(30 * 60)
    t.equal(t.one(db, 'SELECT portal_session(?)', session), None)
    t.advance(72 * HOUR)
    t.equal(t.one(db, 'SELECT token_valid(?)', token), 0)
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'expired')
    t.equal(flows.status(t, db, patients[1]), 'expired')
    t.equal(flows.ask(t, db, 'SELECT request_pin(?, ?, ?)', token, *flows.chart(t, db, patients[1])), {'result': 'refused'})
    t.equal(t.one(db, 'SELECT status FROM portal_registrations WHERE patient_id = ?', patients[1]), 'expired')
    t.equal(t.all(db, 'SELECT status FROM portal_registration'), before)
    t.equal(t.all(db, 'SELECT * FROM portal_check'), [])


def test_expire_links_rolls_back(t):
    db, patients = practice(t)
    flows.send(t, db, patients[0])
    t.advance(73 * HOUR)
    db.execute('BEGIN')
    t.equal(t.one(db, 'SELECT expire_links()'), 1)
    db.execute('ROLLBACK')
    t.equal(t.one(db, 'SELECT expire_links()'), 1)


def test_an_expired_link_is_sent_again_as_before(t):
    db, patients = practice(t)
    flows.send(t, db, patients[0])
    t.advance(80 * HOUR)
    t.one(db, 'SELECT expire_links()')
    token = flows.send(t, db, patients[0])
    t.equal(t.one(db, 'SELECT token_valid(?)', token), 1)
    t.equal(t.all(db, 'SELECT status FROM portal_registration'), [('superseded',), ('live',)])


# portal_purge()

def rows_of(t, db):
    tables = ('session', 'pin', 'reset', 'registration', 'message', 'audit', 'account', 'access', 'request')
    return {table: t.one(db, f'SELECT count(*) FROM portal_{table}') for table in tables}


def test_purge_refuses_days_that_are_none(t):
    db, _ = practice(t)
    for days in (0, -1, 36501, None, 'x', 1.5, b'1', 2**62):
        t.refuses(db, 'SELECT portal_purge(?)', days, says='days')
    t.contains(t.one(db, 'SELECT portal_purge(30.0)'), '0 rows', '30 days')


def test_purge_keeps_what_is_young(t):
    db, patients, session = story(t)
    before = rows_of(t, db)
    t.advance(DAY - 300)
    t.one(db, 'SELECT portal_purge(1)')
    t.equal(rows_of(t, db), before)


def test_purge_removes_what_is_finished_and_old_and_keeps_the_newest_of_each_patient(t):
    db, patients = practice(t, 2)
    for _ in range(3):
        flows.send(t, db, patients[0])
        t.advance(HOUR)
    flows.register(t, db, patients[0], 'ada')
    flows.send(t, db, patients[1])
    t.advance(100 * DAY)
    t.one(db, 'SELECT expire_links()')
    before = rows_of(t, db)
    t.contains(t.one(db, 'SELECT portal_purge(90)'), 'rows', '90 days')
    after = rows_of(t, db)
    t.equal(t.all(db, 'SELECT patient_id, status FROM portal_registration'),
            [(patients[0], 'used'), (patients[1], 'expired')])
    t.equal((after['session'], after['pin'], after['reset']), (0, 0, 0))
    t.equal((after['account'], after['access'], after['audit']), (1, 1, before['audit'] + 1))
    t.equal(t.one(db, 'SELECT count(*) FROM portal_registration LEFT JOIN portal_message'
                      ' ON message_id = registration_id WHERE message_id IS NULL'), 0)
    t.equal(findings(t, db), [])
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
    t.equal(t.one(db, "SELECT count(*) FROM portal_audit WHERE action = 'portal.purged'"), 1)


def test_purge_says_how_many_rows_it_removed(t):
    db, patients = practice(t)
    flows.register(t, db, patients[0], 'ada')
    t.one(db, "SELECT portal_logout(portal_login('ada', ?) ->> 'session')", flows.PASSWORD)
    t.advance(40 * DAY)
    t.one(db, 'SELECT expire_links()')
    before = rows_of(t, db)
    sentence = t.one(db, 'SELECT portal_purge(30)')
    after = rows_of(t, db)
    gone = sum(before.values()) - sum(after.values()) + 1        # one event more
    t.equal(gone, 3)        # two sessions and the PIN; its message is the newest
    t.contains(sentence, f'{gone} rows and 0 audit events')


def test_purge_keeps_what_waits_or_lives_however_old(t):
    db, patients = practice(t, 2)
    t.one(db, "SELECT portal_setting('email_channel', 'pigeon')")
    db.execute("INSERT INTO send_registration VALUES (?, 'email')", patients[:1])
    t.one(db, "SELECT portal_setting('link_hours', 720)")
    token = flows.send(t, db, patients[1], 'text')
    t.advance(20 * DAY)
    t.one(db, 'SELECT portal_purge(1)')
    t.equal(t.all(db, 'SELECT status FROM portal_registration'), [('queued',), ('live',)])
    t.equal(t.one(db, 'SELECT token_valid(?)', token), 1)
    t.one(db, "SELECT portal_setting('email_channel', NULL)")
    t.equal(flows.ask(t, db, 'SELECT deliver()')['sent'], 1)


def test_a_purged_link_stays_dead_and_unknown(t):
    db, patients = practice(t)
    old = flows.send(t, db, patients[0])
    t.advance(HOUR)
    flows.send(t, db, patients[0])
    t.advance(40 * DAY)
    t.one(db, 'SELECT portal_purge(30)')
    t.equal(t.one(db, 'SELECT token_status(?)', old), 'unknown')
    t.equal(t.one(db, 'SELECT token_valid(?)', old), 0)


def test_the_number_of_a_purged_message_is_not_given_again(t):
    db, patients = practice(t)
    flows.send(t, db, patients[0])
    t.one(db, 'SELECT revoke_access(?)', patients[0])
    newest = t.one(db, 'SELECT max(message_id) FROM portal_message')
    t.advance(40 * DAY)
    t.one(db, 'SELECT portal_purge(1)')
    flows.send(t, db, patients[0])
    t.true(t.one(db, 'SELECT max(message_id) FROM portal_message') > newest)


def test_after_a_purge_the_workflow_goes_on(t):
    db, patients, _ = story(t)
    t.advance(400 * DAY)
    t.one(db, 'SELECT deliver()')
    t.one(db, 'SELECT expire_links()')
    t.one(db, 'SELECT portal_purge(30)')
    session = flows.login(t, db, 'ada')
    t.equal(flows.patients_of(t, db, session), patients[:1])
    t.equal(db.execute("UPDATE pending_requests SET decision = 'accept'").rowcount, 1)
    t.one(db, 'SELECT revoke_access(?)', patients[0])
    flows.send(t, db, patients[0])
    t.true(flows.can_login(t, db, 'ada'))
    flows.register(t, db, patients[4], 'eve')
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_audit_events_go_after_six_years_and_leave_a_checkpoint(t):
    db, patients, _ = story(t)
    events = t.one(db, 'SELECT count(*) FROM portal_audit')
    t.advance(6 * YEAR)
    t.one(db, 'SELECT deliver()')
    t.contains(t.one(db, 'SELECT portal_purge(1)'), '0 audit events')
    t.advance(10 * DAY)
    t.contains(t.one(db, 'SELECT portal_purge(1)'), f'{events} audit events')
    t.equal(t.one(db, 'SELECT min(event_id) FROM portal_audit'), events + 1)
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
    flows.send(t, db, patients[4])
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
    t.refuses(db, 'DELETE FROM portal_audit', says='append-only')
    t.advance(7 * YEAR)
    t.one(db, 'SELECT portal_purge(365)')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_audit'), 1)
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_a_purge_of_more_than_six_years_keeps_events_as_long(t):
    db, patients = practice(t)
    flows.send(t, db, patients[0])
    t.advance(7 * YEAR)
    t.contains(t.one(db, 'SELECT portal_purge(3000)'), '0 audit events')


def test_purge_rolls_back(t):
    db, patients, _ = story(t)
    t.advance(8 * YEAR)
    t.one(db, 'SELECT expire_links()')
    before = rows_of(t, db)
    db.execute('BEGIN')
    t.one(db, 'SELECT portal_purge(1)')
    t.true(rows_of(t, db) != before)
    db.execute('ROLLBACK')
    t.equal(rows_of(t, db), before)
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_scheduling_and_the_portal_do_no_maintenance(t):
    db, _ = practice(t)
    for application in ('scheduling', 'portal'):
        other = t.connect(t.file(db), application=application)
        for sql in ('SELECT expire_links()', 'SELECT portal_purge(1)', 'SELECT * FROM portal_check',
                    'SELECT portal_audit_verify()'):
            t.refuses(other, sql, says=f'not available to the application {application}')


# portal_check(), one finding each

def test_a_fresh_database_has_no_findings(t):
    t.equal(findings(t, t.database()), [])
    t.equal(findings(t, t.database(journal='wal')), [])


def test_a_normal_story_has_no_findings(t):
    db, patients, session = story(t)
    t.equal(findings(t, db), [])
    t.one(db, 'SELECT deliver()')
    t.one(db, 'SELECT accept_request(1)')
    t.one(db, "SELECT remove_representative(?, 'rita')", patients[1])
    t.one(db, 'SELECT revoke_access(?)', patients[0])
    t.one(db, 'SELECT revoke_access(?)', patients[2])
    t.advance(60)
    flows.send(t, db, patients[0])
    t.one(db, "SELECT forgot_password('ada')")
    t.one(db, 'SELECT deliver()')
    t.equal(findings(t, db), [])
    t.advance(100 * HOUR)
    t.equal(findings(t, db), [])
    t.one(db, 'SELECT expire_links()')
    t.equal(findings(t, db), [])


def test_a_message_that_waits_is_found(t):
    db, patients = practice(t)
    db.execute("INSERT INTO send_registration VALUES (?, 'email')", patients)
    t.advance(HOUR)
    t.equal(findings(t, db), [])
    t.advance(1)
    finding(t, db, 'waited for more than an hour', 'message 1')
    t.one(db, 'SELECT deliver()')
    t.equal(findings(t, db), [])


def test_a_sender_that_did_not_report_is_found(t):
    db, patients = practice(t)
    db.execute("INSERT INTO send_registration VALUES (?, 'email')", patients)
    t.one(db, 'SELECT claim_messages(1)')
    t.equal(findings(t, db), [])
    t.advance(301)
    finding(t, db, 'did not report', 'message 1')
    t.one(db, 'SELECT deliver()')
    t.equal(findings(t, db), [])


def test_a_message_that_could_not_be_delivered_is_found(t):
    db, patients = practice(t)
    db.execute("INSERT INTO send_registration VALUES (?, 'email')", patients)
    t.one(db, "SELECT report_delivery(claim_messages(1), 1, 'undeliverable', 'no such user')")
    finding(t, db, 'could not be delivered', f'message 1, patient {patients[0]}: no such user')
    flows.send(t, db, patients[0])
    t.equal(findings(t, db), [])


def test_a_link_spent_by_wrong_answers_is_found(t):
    db, patients = practice(t)
    token = flows.send(t, db, patients[0])
    for _ in range(10):
        t.one(db, "SELECT request_pin(?, 'Nobody', '1999-09-09')", token)
    finding(t, db, 'spent by wrong answers', f'patient {patients[0]}')


def test_a_chart_that_changed_before_the_hand_over_is_found(t):
    db, patients = practice(t)
    db.execute("INSERT INTO send_registration VALUES (?, 'email')", patients)
    db.execute("UPDATE patient SET email = 'moved@example.com'")
    t.one(db, 'SELECT deliver()')
    finding(t, db, 'chart has changed since a link was sent', f'patient {patients[0]}')


def test_a_live_link_whose_chart_changed_is_found(t):
    changes = {"email = 'moved@example.com'": 'contact', 'email = NULL': 'contact', 'email_consent = 0': 'contact',
               "date_of_birth = '1999-09-09'": 'date of birth', "first_name = 'Grace'": 'first name',
               "deceased_on = '2026-11-20'": 'deceased', 'active = 0': 'not active'}
    for change, problem in changes.items():
        db, patients = practice(t)
        flows.send(t, db, patients[0])
        db.execute(f'UPDATE patient SET {change}')
        finding(t, db, problem, f'patient {patients[0]}, live link')
        t.advance(73 * HOUR)
        t.equal(findings(t, db), [])        # an expired link works no worse
    db, patients = practice(t)
    flows.send(t, db, patients[0])
    db.execute('DELETE FROM patient')
    finding(t, db, 'not on file any more', f'patient {patients[0]}, live link')


def test_an_access_whose_chart_changed_is_found(t):
    changes = {"UPDATE patient SET date_of_birth = '1999-09-09'": 'date of birth',
               "UPDATE patient SET deceased_on = '2026-11-20'": 'deceased', 'DELETE FROM patient': 'not on file'}
    for change, problem in changes.items():
        db, patients = practice(t)
        flows.register(t, db, patients[0], 'ada')
        db.execute(change)
        finding(t, db, problem, f'patient {patients[0]}, ada')


def test_other_changes_of_the_chart_are_no_findings(t):
    db, patients = practice(t)
    flows.register(t, db, patients[0], 'ada')
    db.execute("UPDATE patient SET last_name = 'King', city = 'Springfield', email = 'new@example.com', sex = NULL")
    t.equal(findings(t, db), [])


def test_a_registration_without_its_message_is_found(t):
    db, patients = practice(t)
    flows.register(t, db, patients[0], 'ada')
    db.execute('DELETE FROM portal_message WHERE message_id = 1')
    finding(t, db, 'lost its message', 'registration 1')


def test_two_working_links_are_found(t):
    db, patients = practice(t)
    flows.send(t, db, patients[0])
    t.advance(60)
    flows.send(t, db, patients[0])
    db.execute("UPDATE portal_registration SET status = 'live'")
    finding(t, db, 'two links that work', f'patient {patients[0]}')


def test_a_session_without_any_access_is_found(t):
    db, patients = practice(t)
    flows.register(t, db, patients[0], 'ada')
    db.execute("UPDATE portal_access SET status = 'removed'")
    finding(t, db, 'session is alive', 'session 1')


def test_a_missing_trigger_is_found(t):
    for name in ('portal_audit_no_replace', 'portal_audit_no_update', 'portal_audit_no_delete',
                 'portal_setting_inserted', 'portal_setting_updated', 'portal_setting_deleted'):
        db = t.database()
        db.execute(f'DROP TRIGGER {name}')
        finding(t, db, 'trigger', name)


def test_a_setting_that_does_not_fit_is_found(t):
    db = t.database()
    db.execute("INSERT INTO portal_setting VALUES ('link_hours', 'seventy')")
    finding(t, db, 'setting', 'link_hours')
    db.execute("UPDATE portal_setting SET value = '70'")
    t.equal(findings(t, db), [])


def test_a_channel_that_is_not_there_is_found(t):
    for setting in ('email_channel', 'text_channel'):
        db = t.database()
        t.one(db, "SELECT portal_setting(?, 'pigeon')", setting)
        finding(t, db, 'pigeon', setting)


def test_a_column_that_the_patient_table_lost_is_found(t):
    db = t.database()
    db.execute('ALTER TABLE patient DROP COLUMN postal_code')
    rows = findings(t, db)
    t.true([row for row in rows if 'has no column postal_code' in row[0] and row[1] == 'patient'], f'{rows}')


def test_a_table_that_hides_one_of_ours_is_found(t):
    db = t.database()
    for name, in t.all(db, "SELECT name FROM portal_help WHERE kind IN ('table', 'function, insert')"):
        db.execute(f'CREATE TEMP TABLE {name} (patient_id, channel)')
        if name != 'portal_check':
            finding(t, db, 'hides', f'temp.{name}')
        db.execute(f'DROP TABLE {name}')
    t.equal(findings(t, db), [])
    db.execute('CREATE TABLE send_registration (patient_id, channel)')
    finding(t, db, 'hides', 'main.send_registration')


def test_findings_come_together(t):
    db, patients = practice(t, 3)
    db.execute("INSERT INTO send_registration(patient_id, channel) SELECT patient_id, 'email' FROM patient")
    db.execute("INSERT INTO portal_setting VALUES ('colour', 'blue')")
    t.advance(2 * HOUR)
    t.equal([subject for _, subject in findings(t, db)], ['colour', 'message 1', 'message 2', 'message 3'])
    t.equal(t.one(db, "SELECT count(*) FROM portal_check WHERE problem LIKE '%waited%'"), 3)


def test_the_check_writes_nothing_and_reads_a_read_only_database(t):
    db, patients, _ = story(t)
    t.advance(2 * HOUR)
    before = findings(t, db)
    t.true(before)
    other = t.connect(f'file:{t.file(db)}?mode=ro', uri=True)
    t.equal(findings(t, other), before)


# Large practices

def test_reading_the_status_of_all_patients_scans_the_chart_alone(t):
    for key in ('INTEGER PRIMARY KEY', 'TEXT PRIMARY KEY'):
        db = t.database()
        if key.startswith('TEXT'):
            chart = t.one(db, "SELECT sql FROM sqlite_schema WHERE name = 'patient'")
            db.execute('DROP TABLE patient')
            db.execute(chart.replace('INTEGER PRIMARY KEY AUTOINCREMENT', key))
        sql = (harness.ROOT / 'sql/status.sql').read_text()
        plan = [row[3] for row in t.all(db, f'EXPLAIN QUERY PLAN {sql}', 0)]
        t.equal([step for step in plan if step.startswith('SCAN')], ['SCAN p'], key)
        t.equal([step for step in plan if step.startswith('SEARCH') and 'USING' not in step], [], key)
