"""send_registration and send_problem: who may be sent a link, and what is said about it."""
import hashlib

import flows
from sends import link_status, problem, refused, send, set_chart

HOUR = 3600


def digest(t, db):
    return hashlib.sha256(t.file(db).read_bytes()).hexdigest()


# What the sentence says

def test_the_sentence_says_how_to_whom_when_and_until_when(t):
    db = t.database()
    ada = t.patient(db, email='ada@example.com')
    t.equal(send(t, db, ada),
            'Portal registration sent by email to a•••@example.com on 2026-11-22 09:20 EST (written to the '
            'Maildir practice.db-outbox). The link is valid for 72 hours, until 2026-11-25 09:20 EST.')


def test_the_sentence_of_a_text_shows_the_end_of_the_number(t):
    db = t.database()
    ada = t.patient(db, cell_phone='+12025550143')
    t.contains(send(t, db, ada, 'text'), 'sent by text to •••0143 on 2026-11-22 09:20 EST')


def test_the_validity_spans_a_change_to_daylight_saving_time(t):
    db = t.database()
    ada = t.patient(db)
    t.clock(1772884800)     # Saturday, 2026-03-07 12:00 UTC
    t.contains(send(t, db, ada), 'on 2026-03-07 07:00 EST', 'until 2026-03-10 08:00 EDT')


def test_sms_is_another_word_for_text(t):
    db = t.database()
    ada = t.patient(db, cell_phone='+12025550143')
    t.contains(send(t, db, ada, 'sms'), 'sent by text to •••0143')
    t.equal(t.one(db, 'SELECT channel FROM portal_message'), 'text')
    t.contains(problem(t, db, ada, 'sms'), 'wait')


def test_an_unknown_channel_is_refused_by_name(t):
    db = t.database()
    ada = t.patient(db)
    for channel in ('fax', '', 'e-mail', 'emailx'):
        refused(t, db, ada, channel, says=['channel', 'email', 'text'])


def test_the_link_hours_setting_shows_in_sentence_mail_and_expiry(t):
    db = t.database()
    ada = t.patient(db)
    t.one(db, "SELECT portal_setting('link_hours', '1')")
    t.contains(send(t, db, ada), 'valid for 1 hour, until 2026-11-22 10:20 EST')
    mail = t.mails(db)[-1]
    token = t.token(mail)
    t.advance(HOUR - 1)
    t.equal(link_status(t, db, token), 'valid')
    t.advance(1)
    t.equal(link_status(t, db, token), 'expired')


def test_a_patient_who_is_registered_is_sent_a_link_too(t):
    db = t.database()
    ada = t.patient(db)
    session = flows.register(t, db, ada, 'ada.lovelace')
    t.advance(60)
    token = flows.send(t, db, ada)
    t.equal(link_status(t, db, token), 'valid')
    t.equal(flows.patients_of(t, db, session), [ada])


# Requirements

def test_the_ehr_needs_an_email_address_whatever_the_channel(t):
    db = t.database()
    ada = t.patient(db, email=None)
    refused(t, db, ada, 'email', says=f'patient {ada} has no email address on file; add one, then send again')
    refused(t, db, ada, 'text', says=f'patient {ada} has no email address on file; add one, then send again')
    set_chart(db, ada, email='ada@example.com')
    t.contains(send(t, db, ada, 'text'), 'sent by text')


def test_the_ehr_needs_the_phone_only_to_send_by_text(t):
    db = t.database()
    ada = t.patient(db, cell_phone=None)
    refused(t, db, ada, 'text', says=f'patient {ada} has no cell phone number on file')
    t.equal(problem(t, db, ada), None)
    t.contains(send(t, db, ada), 'sent by email')


def test_scheduling_needs_both_contacts(t):
    db = t.database()
    ada, bob, eve = t.patient(db, email=None), t.patient(db, cell_phone=None), t.patient(db)
    desk = t.connect(t.file(db), application='scheduling')
    for channel in ('email', 'text'):
        refused(t, desk, ada, channel, says='no email address on file')
        refused(t, desk, bob, channel, says='no cell phone number on file')
        t.equal(problem(t, desk, eve, channel), None)
    t.contains(send(t, desk, eve), 'sent by email')


def test_all_that_is_missing_is_named(t):
    db = t.database()
    ada = t.patient(db, email=None, cell_phone=None)
    refused(t, db, ada, 'text', says=['email address', 'cell phone'])
    desk = t.connect(t.file(db), application='scheduling')
    refused(t, desk, ada, 'email', says=['email address', 'cell phone'])
    refused(t, desk, ada, 'text', says=['email address', 'cell phone'])


def test_requirements_are_settings_of_each_application(t):
    db = t.database()
    ada = t.patient(db, email=None)
    bob = t.patient(db, cell_phone=None)
    t.one(db, "SELECT portal_setting('ehr_requires', '')")
    t.equal(problem(t, db, ada, 'text'), None)
    t.contains(problem(t, db, ada, 'email'), 'no email address')
    t.one(db, "SELECT portal_setting('ehr_requires', 'email, cell_phone')")
    t.contains(problem(t, db, bob), 'no cell phone number')
    t.one(db, "SELECT portal_setting('scheduling_requires', 'email')")
    desk = t.connect(t.file(db), application='scheduling')
    t.equal(problem(t, desk, bob), None)


def test_somebody_quick_added_by_text_needs_the_email_for_the_next_link(t):
    db = t.database()
    ada = t.one(db, "SELECT quick_add('Ada', 'Lovelace', '1985-12-10', 'text', '202-555-0143')")
    t.equal(len(t.mails(db)), 1)
    t.advance(60)
    refused(t, db, ada, 'text', says='no email address on file')


def test_somebody_quick_added_by_email_needs_the_phone_in_scheduling(t):
    db = t.database()
    desk = t.connect(t.file(db), application='scheduling')
    ada = t.one(desk, "SELECT quick_add('Ada', 'Lovelace', '1985-12-10', 'email', 'ada@example.com')")
    t.equal(len(t.mails(db)), 1)
    t.advance(60)
    refused(t, desk, ada, 'email', says='no cell phone number on file')


def test_a_required_contact_must_be_well_formed_also_when_it_is_not_sent_to(t):
    db = t.database()
    ada = t.patient(db, email='ada at example.com')
    refused(t, db, ada, 'text', says=['email', 'correct email'])


def test_declining_a_channel_that_is_not_used_does_no_harm(t):
    db = t.database()
    ada = t.patient(db, email_consent=0)
    t.equal(problem(t, db, ada, 'text'), None)


def test_a_declined_channel_is_refused_by_name(t):
    db = t.database()
    ada = t.patient(db, email_consent=0, text_consent=0)
    refused(t, db, ada, 'email', says=['declined', 'email_consent'])
    refused(t, db, ada, 'text', says=['declined', 'text_consent'])


def test_a_consent_that_nobody_asked_for_counts_as_given(t):
    db = t.database()
    ada = t.patient(db, email_consent=None, text_consent=None, active=None)
    t.equal(problem(t, db, ada), None)
    t.equal(problem(t, db, ada, 'text'), None)


def test_a_patient_who_is_not_on_file_is_refused(t):
    db = t.database()
    refused(t, db, 4242, says='patient 4242 is not on file')


def test_deceased_and_inactive_patients_are_refused(t):
    db = t.database()
    refused(t, db, t.patient(db, deceased_on='2026-01-02'), says='deceased')
    refused(t, db, t.patient(db, active=0), says='active')


def test_a_date_of_birth_that_nobody_could_prove_is_refused(t):
    db = t.database()
    for birth in ('', '12/10/1985', '1985-02-30', '1985-12-1'):
        refused(t, db, t.patient(db, date_of_birth=birth), says='date_of_birth')


# Malformed contacts

BAD_EMAIL = {
    'no at sign': 'ada.example.com',
    'nothing before': '@example.com',
    'nothing after': 'ada@',
    'two at signs': 'ada@b@example.com',
    'a space within': 'ada lovelace@example.com',
    'a line feed': 'ada@example.com\nBcc: eve@example.net',
    'a carriage return': 'ada@example.com\r\nBcc: eve@example.net',
    'a control character': 'ada\x01@example.com',
    'an escape': 'ada\x1b[2J@example.com',
    'a delete': 'ada\x7f@example.com',
    'a NUL': 'ada\0@example.com',
    'a zero width space': 'ada\u200b@example.com',
    'a bidi override': 'ada\u202e@example.com',
    'a soft hyphen': 'ada\u00ad@example.com',
    'a word joiner': 'ada@exam\u2060ple.com',
    'two addresses': 'ada@example.com, eve@example.net',
    'a display name': 'Ada <ada@example.com>',
    'too long': 'a' * 250 + '@example.com',
    'no domain dot and trailing dot': 'ada@example..com',
}
BAD_PHONE = {
    'letters': '202-555-CALL',
    'an extension': '202-555-0143 ext 5',
    'a line feed': '202-555-0143\n9',
    'a control character': '202\x01555-0143',
    'a bidi override': '\u202e202-555-0143',
    'a zero width space': '202\u200b5550143',
    'too short': '555-0143',
    'too long': '+' + '1' * 30,
    'an email address': 'ada@example.com',
    'nothing but signs': '()- -',
}


def test_a_malformed_email_address_is_refused_naming_the_field(t):
    db = t.database()
    for why, email in BAD_EMAIL.items():
        ada = t.patient(db, email=email)
        error = refused(t, db, ada, says=['correct email', f'patient {ada}'])
        t.true(email not in error and '\n' not in error, f'{why}: the refusal repeats the contact: {error!r}')
    t.equal(t.mails(db), [])


def test_a_malformed_phone_number_is_refused_naming_the_field(t):
    db = t.database()
    for phone in BAD_PHONE.values():
        ada = t.patient(db, cell_phone=phone)
        refused(t, db, ada, 'text', says=['correct cell_phone', f'patient {ada}'])
    t.equal(t.mails(db), [])


def test_contacts_of_other_types_are_refused(t):
    db = t.database()
    refused(t, db, t.patient(db, email=b'\xff\xfe@example.com'), says='email')
    refused(t, db, t.patient(db, email=12345), says='email')
    refused(t, db, t.patient(db, email=''), says='no email address on file')
    refused(t, db, t.patient(db, email='   '), says='email')


def test_a_contact_that_went_bad_in_the_transaction_is_refused_at_hand_over(t):
    for channel, column, contacts in (('email', 'email', BAD_EMAIL), ('text', 'cell_phone', BAD_PHONE)):
        db = t.database()
        patients = []
        db.execute('BEGIN')
        for contact in contacts.values():
            ada = t.patient(db)
            patients.append(ada)
            t.contains(send(t, db, ada, channel), 'queued')
            set_chart(db, ada, **{column: contact})
        db.execute('COMMIT')
        t.one(db, 'SELECT deliver()')
        t.equal(t.mails(db), [])
        noun = {'email': 'email address', 'text': 'cell phone'}[channel]
        for ada in patients:
            t.equal(flows.status(t, db, ada), 'failed')
            t.contains(flows.status(t, db, ada, 'message'), 'failed on', noun)
        t.equal(t.all(db, 'SELECT DISTINCT status FROM portal_registration'), [('changed',)])


def test_a_phone_is_understood_however_it_is_written(t):
    db = t.database()
    for phone in ('(202) 555-0143', '202.555.0143', '+1 202 555 0143', '12025550143', '1-202-555-0143'):
        ada = t.patient(db, cell_phone=phone)
        t.contains(send(t, db, ada, 'text'), '•••0143')
    t.equal(t.all(db, 'SELECT DISTINCT recipient FROM portal_message'), [('+12025550143',)])


# send_problem never writes

def test_send_problem_never_writes(t):
    db = t.database()
    ada, bob = t.patient(db), t.patient(db, email=None)
    send(t, db, ada)
    audit = t.all(db, 'SELECT * FROM portal_audit')
    changes, before = db.total_changes, digest(t, db)
    for patient_id in (ada, bob, 4242, None, 'x', b'x', 1.5):
        for channel in ('email', 'text', 'sms', 'fax'):
            try:
                t.all(db, 'SELECT send_problem(?, ?)', patient_id, channel)
            except Exception:
                pass
    t.equal(db.total_changes, changes)
    t.equal(digest(t, db), before)
    t.equal(t.all(db, 'SELECT * FROM portal_audit'), audit)


def test_send_problem_works_where_the_database_can_only_be_read(t):
    db = t.database()
    ada, bob = t.patient(db), t.patient(db, email=None)
    reader = t.connect(f'file:{t.file(db)}?mode=ro', uri=True)
    t.equal(problem(t, reader, ada), None)
    t.contains(problem(t, reader, bob), 'no email address')


def test_send_problem_names_every_patient_who_can_not_be_sent(t):
    db = t.database()
    ada = t.patient(db)
    t.patient(db, email=None)
    t.equal(t.all(db, "SELECT patient_id FROM patient WHERE send_problem(patient_id, 'email') IS NULL"), [(ada,)])


# Transactions

def test_inside_a_transaction_the_sentence_says_queued_and_deliver_sends_it(t):
    db = t.database()
    ada = t.patient(db, email='ada@example.com')
    db.execute('BEGIN')
    t.equal(send(t, db, ada),
            'Portal registration queued by email to a•••@example.com on 2026-11-22 09:20 EST, not handed '
            'over yet.')
    t.refuses(db, 'SELECT deliver()', says='transaction')
    db.execute('COMMIT')
    t.equal(t.mails(db), [])
    t.equal(flows.status(t, db, ada), 'queued')
    t.equal(flows.ask(t, db, 'SELECT deliver()'), {'sent': 1, 'failed': 0, 'retrying': 0, 'waiting': 0})
    t.equal(flows.status(t, db, ada), 'sent')
    t.equal(len(t.mails(db)), 1)


def test_last_insert_rowid_survives_the_scalar_form(t):
    db = t.database()
    ada = t.patient(db)
    t.equal(t.one(db, 'SELECT last_insert_rowid()'), ada)
    send(t, db, ada)
    t.one(db, 'SELECT revoke_access(?)', ada)
    t.equal(t.one(db, 'SELECT last_insert_rowid()'), ada)


def test_a_hand_over_that_can_not_be_made_now_is_told_and_made_later(t):
    db = t.database()
    ada = t.patient(db)
    blocked = t.path('blocked')
    blocked.write_text('a file where a folder should be')
    t.one(db, "SELECT portal_setting('maildir', ?)", str(blocked))
    sentence = send(t, db, ada)
    for told in (sentence, flows.status(t, db, ada, 'message')):
        t.contains(told, 'queued', 'not handed over yet', 'blocked')
    t.equal(flows.status(t, db, ada), 'queued')
    t.contains(flows.status(t, db, ada, 'next_step'), 'deliver()')
    blocked.unlink()
    t.advance(600)
    t.equal(flows.ask(t, db, 'SELECT deliver()')['sent'], 1)
    t.equal(flows.status(t, db, ada), 'sent')
    t.equal(link_status(t, db, t.token(t.mails(blocked)[0])), 'valid')


# The chart between queueing, hand-over and proof

def chart_changes(t):
    """What may happen to a chart while a link is under way, and a word that staff are told."""
    return [
        ({'email': 'other@example.net'}, 'email address'),
        ({'email': None}, 'email address'),
        ({'email': 'ada\nBcc: x@example.net'}, 'email address'),
        ({'email_consent': 0}, 'declined'),
        ({'date_of_birth': '1985-12-11'}, 'date of birth'),
        ({'first_name': 'Augusta'}, 'first name'),
        ({'deceased_on': '2026-11-22'}, 'deceased'),
        ({'active': 0}, 'active'),
    ]


def test_a_chart_that_changed_before_the_hand_over_keeps_the_link_from_leaving(t):
    db = t.database()
    for columns, word in chart_changes(t):
        ada = t.patient(db)
        db.execute('BEGIN')
        send(t, db, ada)
        set_chart(db, ada, **columns)
        db.execute('COMMIT')
        t.one(db, 'SELECT deliver()')
        t.equal(t.mails(db), [])
        t.equal(flows.status(t, db, ada), 'failed')
        t.contains(flows.status(t, db, ada, 'message'), word)


def test_a_chart_that_changed_after_the_hand_over_makes_the_link_not_work(t):
    db = t.database()
    for columns, word in chart_changes(t):
        ada = t.patient(db)
        token = flows.send(t, db, ada)
        set_chart(db, ada, **columns)
        t.contains(flows.status(t, db, ada, 'next_step'), word)
        found = t.all(db, 'SELECT problem FROM portal_check WHERE subject GLOB ?', f'patient {ada}[^0-9]*')
        t.equal(len(found), 1, f'portal_check() about {columns}: {found}')
        answer = flows.ask(t, db, 'SELECT request_pin(?, ?, ?)', token, *flows.chart(t, db, ada))
        t.equal(answer, {'result': 'refused'}, f'after {columns}')
        t.equal(link_status(t, db, token), 'revoked')
        t.equal(flows.status(t, db, ada), 'failed')
        t.contains(flows.status(t, db, ada, 'message'), 'failed on 2026-11-22 09:20 EST', 'chart')
        t.equal(t.one(db, 'SELECT count(*) FROM portal_pin'), 0)


def test_a_chart_that_changed_between_pin_and_registering_lets_nobody_in(t):
    db = t.database()
    for columns, _ in chart_changes(t):
        ada = t.patient(db)
        token = flows.send(t, db, ada)
        pin = flows.pin(t, db, token, ada)
        set_chart(db, ada, **columns)
        answer = flows.ask(t, db, 'SELECT register_patient(?, ?, ?, ?)', token, pin, f'ada{ada}', flows.PASSWORD)
        t.equal(answer['result'], 'refused', f'after {columns}')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_account'), 0)


def test_a_patient_deleted_before_the_hand_over_is_sent_nothing(t):
    db = t.database()
    ada = t.patient(db)
    db.execute('BEGIN')
    send(t, db, ada)
    db.execute('DELETE FROM patient WHERE patient_id = ?', [ada])
    db.execute('COMMIT')
    t.one(db, 'SELECT deliver()')
    t.equal(t.mails(db), [])
    t.equal(t.one(db, 'SELECT status FROM portal_registration'), 'changed')


def test_a_new_last_name_keeps_the_link_working(t):
    db = t.database()
    ada = t.patient(db)
    token = flows.send(t, db, ada)
    set_chart(db, ada, last_name='Byron')
    t.equal(flows.ask(t, db, "SELECT request_pin(?, 'Lovelace', '1985-12-10')", token), {'result': 'refused'})
    flows.register_with(t, db, token, ada, 'ada.byron')


def test_an_address_written_differently_is_the_same_address(t):
    db = t.database()
    ada = t.patient(db, email='Ada@Example.com', cell_phone='202-555-0143')
    token = flows.send(t, db, ada)
    set_chart(db, ada, email='ada@EXAMPLE.COM ', cell_phone='+1 (202) 555 0143')
    flows.register_with(t, db, token, ada, 'ada.l')


# What a link must not be

def test_refused_sends_are_audited_with_the_reason(t):
    db = t.database()
    ada = t.patient(db, email=None)
    error = refused(t, db, ada)
    row = db.execute('SELECT action, patient_id, subject, detail FROM portal_audit ORDER BY event_id DESC').fetchone()
    t.equal(row, ('call.refused', ada, 'send_registration', error))
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_a_sent_registration_is_audited_with_who_sent_it(t):
    db = t.database()
    ada = t.patient(db)
    t.one(db, "SELECT portal_as('ehr', 'anna')")
    send(t, db, ada)
    row = db.execute("SELECT application, actor, patient_id FROM portal_audit"
                     " WHERE action = 'registration.queued'").fetchone()
    t.equal(row, ('ehr', 'anna', ada))
    t.equal(t.one(db, 'SELECT sent_by FROM portal_registration'), 'ehr:anna')


def test_the_portal_may_not_send(t):
    db = t.database()
    ada = t.patient(db)
    page = t.connect(t.file(db), application='portal')
    t.refuses(page, "SELECT send_registration(?, 'email')", ada, says='portal')
    t.refuses(page, "SELECT send_problem(?, 'email')", ada, says='portal')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_registration'), 0)


def test_a_double_use_in_one_statement_sends_once(t):
    db = t.database()
    ada = t.patient(db)
    t.refuses(db, "SELECT send_registration(?1, 'email'), send_registration(?1, 'email')", ada, says='wait')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_registration'), 1)
