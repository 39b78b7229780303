"""revoke_access, remove_representative, and granting access again."""
import json

import flows

HOUR = 3600


def revoke(t, db, patient_id, *reason):
    return t.one(db, f'SELECT revoke_access(?{", ?" * len(reason)})', patient_id, *reason)


def queue(t, db, sql, *params):
    """Runs a statement in a transaction of its own, so that what it queues is not handed over."""
    db.execute('BEGIN')
    answer = t.one(db, sql, *params)
    db.execute('COMMIT')
    return answer


def notices(t, db):
    return [mail for mail in t.mails(db) if 'deactivated' in t.text(mail)]


def sent(t, db):
    """A patient with a live link: the patient, its token."""
    ada = t.patient(db)
    return ada, flows.send(t, db, ada)


# All that a revoke ends

def test_the_link_is_dead(t):
    db = t.database()
    ada, token = sent(t, db)
    revoke(t, db, ada)
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'revoked')
    t.equal(t.one(db, 'SELECT token_valid(?)', token), 0)
    t.equal(flows.ask(t, db, "SELECT request_pin(?, 'Lovelace', '1985-12-10')", token), {'result': 'refused'})


def test_older_and_expired_links_are_revoked_as_well(t):
    db = t.database()
    ada, first = sent(t, db)
    t.advance(60)
    second = flows.send(t, db, ada)
    t.advance(73 * HOUR)
    t.one(db, 'SELECT expire_links()')
    revoke(t, db, ada)
    t.equal([t.one(db, 'SELECT token_status(?)', token) for token in (first, second)], ['revoked', 'revoked'])


def test_a_used_link_stays_used(t):
    db = t.database()
    ada, token = sent(t, db)
    flows.register_with(t, db, token, ada, 'ada.l')
    revoke(t, db, ada)
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'used')


def test_the_pin_is_dead(t):
    db = t.database()
    ada, token = sent(t, db)
    pin = flows.pin(t, db, token, ada)
    revoke(t, db, ada)
    answer = flows.ask(t, db, 'SELECT register_patient(?, ?, ?, ?)', token, pin, 'ada.l', flows.PASSWORD)
    t.equal(answer, {'result': 'refused', 'reason': 'link'})
    t.equal(t.all(db, 'SELECT status FROM portal_pin'), [('revoked',)])


def test_the_sessions_are_dead_and_nobody_signs_in(t):
    db = t.database()
    ada = t.patient(db)
    own = flows.register(t, db, ada, 'ada.l')
    hers = flows.register_representative(t, db, ada, 'rita')
    revoke(t, db, ada)
    for session, username in ((own, 'ada.l'), (hers, 'rita')):
        t.equal(flows.patients_of(t, db, session), None)
        t.equal(t.one(db, 'SELECT portal_login(?, ?)', username, flows.PASSWORD), '{"result":"refused"}')
        answer = flows.ask(t, db, "SELECT submit_demographics(?, ?, '{\"city\":\"London\"}')", session, ada)
        t.equal(answer['result'], 'refused')
    t.equal(t.one(db, "SELECT count(*) FROM portal_access WHERE status = 'suspended'"), 2)
    t.equal(t.one(db, 'SELECT count(*) FROM portal_request'), 0)


def test_a_password_reset_is_dead(t):
    db = t.database()
    ada = t.patient(db)
    flows.register(t, db, ada, 'ada.l')
    t.one(db, "SELECT forgot_password('ada.l')")
    t.one(db, 'SELECT deliver()')
    token = t.text(flows.newest(t, db, '/p/')).split('/p/')[1][:32]
    revoke(t, db, ada)
    answer = flows.ask(t, db, "SELECT reset_password(?, 'another good passphrase')", token)
    t.equal(answer['result'], 'refused')


def test_unsent_messages_die(t):
    db = t.database()
    ada = t.patient(db)
    flows.register(t, db, ada, 'ada.l')
    t.advance(60)
    queue(t, db, "SELECT send_registration(?, 'email')", ada)
    t.one(db, "SELECT forgot_password('ada.l')")
    before = len(t.mails(db))
    revoke(t, db, ada)
    t.one(db, 'SELECT deliver()')
    t.equal(len(t.mails(db)), before + 1, 'more than the notice was sent')
    t.equal(len(notices(t, db)), 1)
    t.equal(t.all(db, "SELECT kind FROM portal_message WHERE due_at IS NOT NULL"), [])


def test_a_pin_message_that_waits_dies(t):
    db = t.database()
    ada, token = sent(t, db)
    page = t.connect(t.file(db))
    blocked = t.path('blocked')
    blocked.write_text('')
    t.one(db, "SELECT portal_setting('maildir', ?)", str(blocked))
    t.one(page, "SELECT request_pin(?, 'Lovelace', '1985-12-10')", token)
    t.equal(t.all(db, "SELECT kind FROM portal_message WHERE due_at IS NOT NULL"), [('pin',)])
    revoke(t, db, ada)
    t.equal(t.all(db, "SELECT kind FROM portal_message WHERE due_at IS NOT NULL"), [('deactivated',)])


def test_a_claimed_message_stays_dead_when_it_is_reported_sent_later(t):
    db = t.database()
    ada = t.patient(db)
    queue(t, db, "SELECT send_registration(?, 'email')", ada)
    claim = t.one(db, 'SELECT claim_messages(10)')
    message_id, text = db.execute('SELECT message_id, text FROM portal_claimed(?)', [claim]).fetchone()
    token = text.split('/r/')[1][:32]
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'valid')
    revoke(t, db, ada)
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'revoked')
    t.one(db, "SELECT report_delivery(?, ?, 'sent')", claim, message_id)
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'revoked')
    t.equal(flows.ask(t, db, "SELECT request_pin(?, 'Lovelace', '1985-12-10')", token), {'result': 'refused'})
    t.equal(flows.status(t, db, ada), 'revoked')


def test_a_claimed_message_that_is_reported_otherwise_is_never_sent(t):
    for report in ('retry', 'undeliverable'):
        db = t.database()
        ada = t.patient(db)
        queue(t, db, "SELECT send_registration(?, 'email')", ada)
        claim = t.one(db, 'SELECT claim_messages(10)')
        message_id = t.one(db, 'SELECT message_id FROM portal_claimed(?)', claim)
        revoke(t, db, ada)
        t.one(db, 'SELECT report_delivery(?, ?, ?)', claim, message_id, report)
        t.advance(24 * HOUR)
        t.one(db, 'SELECT deliver()')
        t.equal([mail['subject'] for mail in t.mails(db)], [notices(t, db)[0]['subject']])
        t.equal(t.one(db, 'SELECT status FROM portal_registration'), 'revoked')
        t.equal(flows.status(t, db, ada), 'revoked')


def test_a_claim_that_nobody_reports_is_never_sent(t):
    db = t.database()
    ada = t.patient(db)
    queue(t, db, "SELECT send_registration(?, 'email')", ada)
    claim = t.one(db, 'SELECT claim_messages(10)')
    revoke(t, db, ada)
    t.equal(t.all(db, 'SELECT * FROM portal_claimed(?)', claim), [])
    t.advance(HOUR)
    t.one(db, 'SELECT deliver()')
    t.equal(len(t.mails(db)), 1)


def test_a_message_claimed_before_a_revoke_and_a_grant_stays_dead(t):
    db = t.database()
    ada = t.patient(db)
    queue(t, db, "SELECT send_registration(?, 'email')", ada)
    claim = t.one(db, 'SELECT claim_messages(10)')
    message_id, text = db.execute('SELECT message_id, text FROM portal_claimed(?)', [claim]).fetchone()
    old = text.split('/r/')[1][:32]
    revoke(t, db, ada)
    new = flows.send(t, db, ada)
    t.one(db, "SELECT report_delivery(?, ?, 'sent')", claim, message_id)
    t.equal([t.one(db, 'SELECT token_status(?)', token) for token in (old, new)], ['revoked', 'valid'])


def test_all_of_it_is_one_write(t):
    db = t.database()
    ada = t.patient(db)
    session = flows.register(t, db, ada, 'ada.l')
    t.advance(60)
    token = flows.send(t, db, ada)
    audit = t.one(db, 'SELECT count(*) FROM portal_audit')
    db.execute('BEGIN')
    revoke(t, db, ada)
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'revoked')
    t.equal(flows.patients_of(t, db, session), None)
    db.execute('ROLLBACK')
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'valid')
    t.equal(flows.patients_of(t, db, session), [ada])
    t.equal(flows.status(t, db, ada), 'registered')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_audit'), audit)
    t.one(db, 'SELECT deliver()')
    t.equal(notices(t, db), [])


# What goes on

def test_access_to_other_patients_stays(t):
    db = t.database()
    ada, bob = t.patient(db), t.patient(db, first_name='Bob')
    flows.register_representative(t, db, ada, 'rita')
    session = flows.register_representative(t, db, bob, 'rita')
    t.equal(sorted(flows.patients_of(t, db, session)), [ada, bob])
    revoke(t, db, ada)
    t.equal(flows.patients_of(t, db, session), None)
    again = flows.login(t, db, 'rita')
    t.equal(flows.patients_of(t, db, again), [bob])
    answer = flows.ask(t, db, "SELECT submit_demographics(?, ?, '{\"city\":\"London\"}')", again, ada)
    t.equal(answer['result'], 'refused')
    answer = flows.ask(t, db, "SELECT submit_demographics(?, ?, '{\"city\":\"London\"}')", again, bob)
    t.equal(answer['result'], 'submitted')
    t.equal([flows.status(t, db, patient) for patient in (ada, bob)], ['revoked', 'registered'])


def test_the_sessions_and_links_of_others_stay(t):
    db = t.database()
    ada, token = sent(t, db)
    bob = t.patient(db)
    session = flows.register(t, db, bob, 'bob')
    eve = t.patient(db)
    other = flows.send(t, db, eve)
    revoke(t, db, ada)
    t.equal(flows.patients_of(t, db, session), [bob])
    t.equal([t.one(db, 'SELECT token_status(?)', link) for link in (token, other)], ['revoked', 'valid'])


def test_requests_of_a_revoked_person_can_still_be_decided(t):
    db = t.database()
    ada = t.patient(db)
    session = flows.register(t, db, ada, 'ada.l')
    t.one(db, "SELECT submit_demographics(?, ?, '{\"city\":\"London\", \"state\":\"NY\"}')", session, ada)
    revoke(t, db, ada)
    first, second = [row[0] for row in t.all(db, 'SELECT request_id FROM pending_requests ORDER BY request_id')]
    t.one(db, 'SELECT accept_request(?)', first)
    t.one(db, 'SELECT decline_request(?)', second)
    t.equal(t.one(db, 'SELECT count(*) FROM pending_requests'), 0)


# The notice

def test_one_notice_goes_out_by_email(t):
    db = t.database()
    ada, _ = sent(t, db)
    t.contains(revoke(t, db, ada), 'notice goes')
    t.equal(len(notices(t, db)), 1)
    notice = notices(t, db)[0]
    t.equal(notice['to'], t.one(db, 'SELECT email FROM patient'))
    t.contains(' '.join(t.text(notice).split()), 'Your patient portal was deactivated by your healthcare provider',
               'contact them with any questions')
    t.equal(t.all(db, "SELECT channel, status FROM portal_message WHERE kind = 'deactivated'"), [('email', 'sent')])


def test_the_notice_names_nobody_and_nothing(t):
    db = t.database()
    t.one(db, "SELECT portal_setting('practice_name', 'Elm Street Pediatrics')")
    t.one(db, "SELECT portal_setting('practice_phone', '202-555-0100')")
    for channel in ('email', 'text'):
        ada = t.patient(db, first_name='Adelheid', last_name='Zwingli', email_consent=int(channel == 'email'))
        t.one(db, "SELECT send_registration(?, 'text')", ada)
        revoke(t, db, ada, 'abusive phone calls')
        notice = t.mails(db)[-1]
        whole = notice.file.read_bytes().decode().replace('=\r\n', '').replace('=\n', '')
        for word in ('Adelheid', 'Zwingli', '1985', 'abusive', '/r/', '/p/', 'http', 'href'):
            t.true(word not in whole, f'{word!r} is in the notice by {channel}:\n{whole}')
        t.contains(t.text(notice), '202-555-0100')


def test_the_notice_goes_by_text_where_no_email_is_on_file(t):
    db = t.database()
    ada = t.one(db, "SELECT quick_add('Ada', 'Lovelace', '1985-12-10', 'text', '202-555-0143')")
    t.contains(revoke(t, db, ada), 'notice goes')
    t.equal(t.all(db, "SELECT channel, recipient, status FROM portal_message WHERE kind = 'deactivated'"),
            [('text', '+12025550143', 'sent')])
    t.equal(len(notices(t, db)), 1)


def test_the_notice_goes_by_text_where_email_was_declined_or_is_malformed(t):
    db = t.database()
    for column, value in (('email_consent', 0), ('email', 'not an address')):
        ada, _ = sent(t, db)
        db.execute(f'UPDATE patient SET {column} = ? WHERE patient_id = ?', [value, ada])
        revoke(t, db, ada)
        t.equal(t.one(db, "SELECT channel FROM portal_message WHERE kind = 'deactivated' AND patient_id = ?", ada),
                'text')


def test_without_any_contact_no_notice_goes_and_the_sentence_says_so(t):
    db = t.database()
    for sql in ('UPDATE patient SET email = NULL, cell_phone = NULL WHERE patient_id = ?',
                'UPDATE patient SET email_consent = 0, text_consent = 0 WHERE patient_id = ?',
                'DELETE FROM patient WHERE patient_id = ?'):
        ada, token = sent(t, db)
        db.execute(sql, [ada])
        t.contains(revoke(t, db, ada), 'was revoked', 'No notice')
        t.equal(t.one(db, 'SELECT token_status(?)', token), 'revoked')
    t.equal(notices(t, db), [])


def test_the_family_of_a_deceased_patient_gets_no_notice(t):
    db = t.database()
    ada, token = sent(t, db)
    db.execute("UPDATE patient SET deceased_on = '2026-11-21'")
    t.contains(revoke(t, db, ada), 'was revoked', 'No notice')
    t.equal(notices(t, db), [])
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'revoked')


# Refusals

def test_a_second_revoke_says_since_when(t):
    db = t.database()
    ada, _ = sent(t, db)
    revoke(t, db, ada)
    t.advance(HOUR)
    before = t.all(db, 'SELECT * FROM portal_revocation')
    t.refuses(db, 'SELECT revoke_access(?)', ada, says=['revoked since 2026-11-22 09:20 EST', 'send'])
    t.equal(t.all(db, 'SELECT * FROM portal_revocation'), before)
    t.equal(len(notices(t, db)), 1)


def test_a_patient_who_was_never_sent_anything_is_refused(t):
    db = t.database()
    ada = t.patient(db)
    t.refuses(db, 'SELECT revoke_access(?)', ada, says=[f'patient {ada}', 'never sent'])
    t.refuses(db, 'SELECT revoke_access(4242)', says='patient 4242')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_revocation'), 0)
    t.equal(t.mails(db), [])


def test_somebody_registered_long_ago_can_be_revoked_after_a_purge(t):
    db = t.database()
    ada = t.patient(db)
    flows.register(t, db, ada, 'ada.l')
    t.advance(400 * 24 * HOUR)
    t.one(db, 'SELECT portal_purge(30)')
    t.contains(revoke(t, db, ada), 'was revoked')
    t.true(not flows.can_login(t, db, 'ada.l'))


def test_an_expired_or_failed_registration_can_be_revoked(t):
    db = t.database()
    ada, _ = sent(t, db)
    t.advance(80 * HOUR)
    t.contains(revoke(t, db, ada), 'was revoked')


def test_a_reason_that_can_not_stand_in_the_audit_is_refused(t):
    db = t.database()
    ada, token = sent(t, db)
    for reason in ('two\nlines', 'x' * 501, 'a\u202eb', b'blob', 12):
        t.refuses(db, 'SELECT revoke_access(?, ?)', ada, reason, says='reason')
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'valid')
    t.contains(revoke(t, db, ada, None), 'was revoked')


def test_the_reason_is_kept_with_who_revoked(t):
    db = t.database()
    ada, _ = sent(t, db)
    t.one(db, "SELECT portal_as('ehr', 'anna')")
    revoke(t, db, ada, 'moved away')
    t.equal(db.execute('SELECT revoked_by, reason FROM portal_revocation').fetchone(), ('ehr:anna', 'moved away'))
    t.equal(db.execute("SELECT actor, patient_id, detail FROM portal_audit WHERE action = 'access.revoked'").fetchone(),
            ('anna', ada, 'moved away'))


def test_neither_scheduling_nor_the_portal_can_revoke_and_both_tries_are_audited(t):
    for application in ('scheduling', 'portal'):
        db = t.database()
        ada, token = sent(t, db)
        other = t.connect(t.file(db), application=application)
        t.refuses(other, 'SELECT revoke_access(?)', ada, says=['revoke_access', application])
        t.refuses(other, 'INSERT INTO revoke_access(patient_id) VALUES (?)', ada, says=['revoke_access', application])
        t.refuses(other, "SELECT remove_representative(?, 'rita')", ada, says=application)
        t.equal(t.one(db, 'SELECT token_status(?)', token), 'valid')
        events = t.all(db, "SELECT application, subject FROM portal_audit WHERE action = 'call.refused'")
        t.contains(str(events), str((application, 'revoke_access')), str((application, 'remove_representative')))
        t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


# Granting again

def test_granting_again_restores_the_same_credentials(t):
    db = t.database()
    ada = t.patient(db)
    own = flows.register(t, db, ada, 'ada.l')
    flows.register_representative(t, db, ada, 'rita', 'quite another passphrase')
    revoke(t, db, ada)
    flows.send(t, db, ada)
    t.equal(flows.patients_of(t, db, own), None)
    t.equal(flows.patients_of(t, db, flows.login(t, db, 'ada.l')), [ada])
    t.equal(flows.patients_of(t, db, flows.login(t, db, 'rita', 'quite another passphrase')), [ada])
    t.equal(flows.status(t, db, ada), 'registered')
    t.equal(flows.status(t, db, ada, 'revoked_at'), None)
    t.equal(t.one(db, "SELECT count(*) FROM portal_audit WHERE action = 'access.granted_again'"), 1)


def test_old_links_pins_sessions_and_resets_stay_dead_when_access_is_granted_again(t):
    db = t.database()
    ada = t.patient(db)
    session = flows.register(t, db, ada, 'ada.l')
    t.one(db, "SELECT forgot_password('ada.l')")
    t.one(db, 'SELECT deliver()')
    reset = t.text(flows.newest(t, db, '/p/')).split('/p/')[1][:32]
    t.advance(60)
    token = flows.send(t, db, ada)
    pin = flows.pin(t, db, token, ada)
    revoke(t, db, ada)
    flows.send(t, db, ada)
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'revoked')
    t.equal(flows.patients_of(t, db, session), None)
    for sql, params in (('SELECT register_patient(?, ?, ?, ?)', (token, pin, 'new', flows.PASSWORD)),
                        ('SELECT reset_password(?, ?)', (reset, 'another good passphrase'))):
        t.equal(flows.ask(t, db, sql, *params)['result'], 'refused')


def test_the_new_link_registers_another_person(t):
    db = t.database()
    ada = t.patient(db)
    flows.register(t, db, ada, 'ada.l')
    revoke(t, db, ada)
    session = flows.register_representative(t, db, ada, 'rita')
    t.equal(flows.patients_of(t, db, session), [ada])


def test_a_removed_representative_stays_out(t):
    db = t.database()
    ada = t.patient(db)
    flows.register(t, db, ada, 'ada.l')
    flows.register_representative(t, db, ada, 'rita')
    t.one(db, "SELECT remove_representative(?, 'rita', 'divorced')", ada)
    t.true(not flows.can_login(t, db, 'rita'))
    revoke(t, db, ada)
    flows.send(t, db, ada)
    t.true(flows.can_login(t, db, 'ada.l'))
    t.true(not flows.can_login(t, db, 'rita'))


def test_a_representative_removed_while_suspended_stays_out(t):
    db = t.database()
    ada = t.patient(db)
    flows.register(t, db, ada, 'ada.l')
    flows.register_representative(t, db, ada, 'rita')
    revoke(t, db, ada)
    t.one(db, "SELECT remove_representative(?, 'rita')", ada)
    flows.send(t, db, ada)
    t.true(flows.can_login(t, db, 'ada.l'))
    t.true(not flows.can_login(t, db, 'rita'))


def test_granting_in_a_rolled_back_transaction_grants_nothing(t):
    db = t.database()
    ada = t.patient(db)
    flows.register(t, db, ada, 'ada.l')
    flows.register_representative(t, db, ada, 'rita')
    revoke(t, db, ada)
    db.execute('BEGIN')
    t.one(db, "SELECT send_registration(?, 'email')", ada)
    t.equal(flows.status(t, db, ada), 'registered')
    db.execute('ROLLBACK')
    t.equal(flows.status(t, db, ada), 'revoked')
    t.true(not flows.can_login(t, db, 'ada.l'))
    t.one(db, "SELECT remove_representative(?, 'rita')", ada)
    flows.send(t, db, ada)
    t.true(flows.can_login(t, db, 'ada.l'))
    t.true(not flows.can_login(t, db, 'rita'))


def test_removing_in_a_rolled_back_transaction_removes_nobody(t):
    db = t.database()
    ada = t.patient(db)
    session = flows.register_representative(t, db, ada, 'rita')
    db.execute('BEGIN')
    t.one(db, "SELECT remove_representative(?, 'rita')", ada)
    t.equal(flows.patients_of(t, db, session), None)
    db.execute('ROLLBACK')
    t.equal(flows.patients_of(t, db, session), [ada])


def test_a_refused_send_grants_nothing(t):
    db = t.database()
    ada = t.patient(db)
    flows.register(t, db, ada, 'ada.l')
    revoke(t, db, ada)
    db.execute('UPDATE patient SET email = NULL')
    t.refuses(db, "SELECT send_registration(?, 'email')", ada, says='no email')
    t.equal(flows.status(t, db, ada), 'revoked')
    t.true(not flows.can_login(t, db, 'ada.l'))


def test_scheduling_grants_again_by_sending(t):
    db = t.database()
    ada = t.patient(db)
    flows.register(t, db, ada, 'ada.l')
    revoke(t, db, ada)
    desk = t.connect(t.file(db), application='scheduling')
    t.one(desk, "SELECT send_registration(?, 'email')", ada)
    t.true(flows.can_login(t, db, 'ada.l'))


def test_revoking_and_granting_can_go_on_and_on(t):
    db = t.database()
    ada = t.patient(db)
    flows.register(t, db, ada, 'ada.l')
    for _ in range(3):
        t.contains(revoke(t, db, ada), 'was revoked')
        t.true(not flows.can_login(t, db, 'ada.l'))
        flows.send(t, db, ada)
        t.true(flows.can_login(t, db, 'ada.l'))
    t.equal(len(notices(t, db)), 3)


def test_a_representative_who_was_removed_can_be_let_in_anew(t):
    db = t.database()
    ada = t.patient(db)
    flows.register_representative(t, db, ada, 'rita')
    t.one(db, "SELECT remove_representative(?, 'rita')", ada)
    session = flows.register_representative(t, db, ada, 'rita')
    t.equal(flows.patients_of(t, db, session), [ada])


# Removing

def test_removing_tells_whom_and_ends_the_sessions(t):
    db = t.database()
    ada, bob = t.patient(db), t.patient(db, first_name='Bob')
    flows.register_representative(t, db, ada, 'Rita')
    session = flows.register_representative(t, db, bob, 'Rita')
    t.contains(t.one(db, "SELECT remove_representative(?, 'RITA', 'divorced')", ada), 'RITA', f'patient {ada} ')
    t.equal(flows.patients_of(t, db, session), None)
    t.equal(flows.patients_of(t, db, flows.login(t, db, 'rita')), [bob])
    t.equal(t.one(db, "SELECT detail FROM portal_audit WHERE action = 'representative.removed'"), 'divorced')


def test_removing_the_wrong_one_is_refused_with_the_remedy(t):
    db = t.database()
    ada = t.patient(db)
    flows.register(t, db, ada, 'ada.l')
    flows.register_representative(t, db, ada, 'rita')
    t.refuses(db, "SELECT remove_representative(?, 'ada.l')", ada, says=['ada.l', 'revoke_access'])
    t.refuses(db, "SELECT remove_representative(?, 'nobody')", ada, says='nobody')
    t.refuses(db, "SELECT remove_representative(?, NULL)", ada, says='username')
    t.one(db, "SELECT remove_representative(?, 'rita')", ada)
    t.refuses(db, "SELECT remove_representative(?, 'rita')", ada, says='rita')
    t.true(flows.can_login(t, db, 'ada.l'))


def test_the_sentence_of_a_revoke_can_be_shown(t):
    db = t.database()
    ada, _ = sent(t, db)
    t.equal(revoke(t, db, ada), f'Portal access of patient {ada} was revoked. A notice goes to the patient.')
    t.equal(flows.status(t, db, ada, 'message'),
            'Portal access was revoked on 2026-11-22 09:20 EST by ' + t.one(db, 'SELECT revoked_by FROM portal_revocation')
            + '.')


def test_session_json_lists_only_what_is_left(t):
    db = t.database()
    ada, bob = t.patient(db), t.patient(db, first_name='Bob')
    flows.register_representative(t, db, ada, 'rita')
    flows.register_representative(t, db, bob, 'rita')
    revoke(t, db, ada)
    session = flows.login(t, db, 'rita')
    answer = json.loads(t.one(db, 'SELECT portal_session(?)', session))
    t.equal([patient['first_name'] for patient in answer['patients']], ['Bob'])


def test_revoking_ends_what_waits_also_after_a_newer_link_came_by_a_merge(t):
    db = t.database()
    ada, twice = t.patient(db), t.patient(db)
    for patient in (ada, twice):
        db.execute("INSERT INTO send_registration VALUES (?, 'email')", [patient])
    t.one(db, 'SELECT merge_patients(?, ?)', twice, ada)
    t.equal(t.one(db, "SELECT count(*) FROM portal_message WHERE kind = 'registration' AND due_at IS NOT NULL"), 1)
    t.one(db, 'SELECT revoke_access(?)', ada)
    t.equal(t.one(db, "SELECT count(*) FROM portal_message WHERE kind = 'registration' AND due_at IS NOT NULL"), 0)
