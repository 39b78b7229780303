"""Opt-outs: contacts that no message goes to, and what the portal does instead."""
import json

import flows


def opt_out(t, db, contact):
    return t.one(db, 'SELECT portal_opt_out(?)', contact)


def opt_in(t, db, contact):
    return t.one(db, 'SELECT portal_opt_in(?)', contact)


def problem(t, db, patient, channel='email'):
    return t.one(db, 'SELECT send_problem(?, ?)', patient, channel)


def step(t, db, patient):
    return flows.status(t, db, patient, 'next_step')


def listed(t, db):
    return t.all(db, 'SELECT * FROM portal_opt_outs')


def events(t, db):
    return t.all(db, "SELECT action, subject FROM portal_audit WHERE action LIKE 'contact.opted%'")


def claim(t, db):
    return t.one(db, 'SELECT claim_messages(10)')


def report(t, db, name, status, message_id=1):
    return t.one(db, "SELECT report_delivery(?, ?, ?, 'they said so')", name, message_id, status)


def practice(t):
    """A practice and one patient, ada1@example.com and +12025550001."""
    db = t.database()
    return db, t.patient(db)


def opted_out_of_all(t, db):
    opt_out(t, db, 'ada1@example.com')
    opt_out(t, db, '+12025550001')


# Saying so

def test_an_opt_out_is_listed_with_who_told_it_and_when_and_is_audited_masked(t):
    db, _ = practice(t)
    db.execute("SELECT portal_as('ehr', 'anna')")
    t.equal(opt_out(t, db, ' ADA1@Example.com '), 'a•••@example.com has opted out: no message goes there any more.')
    t.equal(opt_out(t, db, '(202) 555-0001'), '•••0001 has opted out: no message goes there any more.')
    now = t.one(db, 'SELECT datetime()')
    t.equal(listed(t, db), [('+12025550001', 'text', now, 'ehr:anna'), ('ada1@example.com', 'email', now, 'ehr:anna')])
    t.equal(events(t, db), [('contact.opted_out', 'a•••@example.com'), ('contact.opted_out', '•••0001')])
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_opting_out_twice_keeps_the_first_and_opting_in_ends_it(t):
    db, patient = practice(t)
    opt_out(t, db, 'ada1@example.com')
    first = listed(t, db)
    t.advance(60)
    opt_out(t, db, 'ada1@example.com')
    t.equal(listed(t, db), first)
    t.equal(opt_in(t, db, 'Ada1@example.com'), 'a•••@example.com has opted in: messages may go there again.')
    opt_in(t, db, 'ada1@example.com')
    t.equal(listed(t, db), [])
    t.equal([action for action, _ in events(t, db)], ['contact.opted_out', 'contact.opted_in'])
    flows.send(t, db, patient)


def test_a_reply_comes_in_through_the_portal_but_only_staff_see_the_list(t):
    db, patient = practice(t)
    portal = t.connect(t.file(db), application='portal')
    opt_out(t, portal, '+12025550001')
    t.refuses(portal, 'SELECT * FROM portal_opt_outs', says='not available to the application portal')
    front_desk = t.connect(t.file(db), application='scheduling')
    t.equal(t.one(front_desk, 'SELECT opted_out_by FROM portal_opt_outs')[:7], 'portal:')
    opt_in(t, portal, '+12025550001')
    opt_out(t, front_desk, '+12025550001')
    t.contains(problem(t, db, patient, 'text'), 'opted out')


def test_what_is_no_contact_can_not_opt_out(t):
    db, _ = practice(t)
    for wrong in ('', 'ada', 'ada@', 'a@b@c.org', '555', None, b'x', 7, 'ada1@example.com\u200b'):
        t.refuses(db, 'SELECT portal_opt_out(?)', wrong, says='contact')
        t.refuses(db, 'SELECT portal_opt_in(?)', wrong, says='contact')
    t.equal(listed(t, db), [])


def test_an_opt_out_that_is_rolled_back_is_none(t):
    db, patient = practice(t)
    db.execute('BEGIN')
    opt_out(t, db, 'ada1@example.com')
    t.contains(problem(t, db, patient), 'opted out')
    db.execute('ROLLBACK')
    t.equal(problem(t, db, patient), None)


def test_opt_outs_are_found_whoever_wrote_them_and_looked_for_only_where_there_are_some(t):
    db, patient = practice(t)
    flag = lambda: t.one(db, 'SELECT opt_outs FROM portal_state')
    t.equal(flag(), 0)
    db.execute("INSERT INTO portal_opt_out VALUES ('ada1@example.com', 0, 'the old system'), ('b@example.com', 0, '')")
    t.contains(problem(t, db, patient), 'opted out')
    opt_in(t, db, 'ada1@example.com')
    t.equal((flag(), problem(t, db, patient)), (1, None))
    db.execute('DELETE FROM portal_opt_out')
    t.equal(flag(), 0)
    db.execute('DROP TRIGGER portal_opt_out_inserted')
    t.equal(t.all(db, 'SELECT subject FROM portal_check'), [('portal_opt_out_inserted',)])


# Sending

def test_sending_to_an_opted_out_contact_is_refused_and_says_what_to_do(t):
    db, patient = practice(t)
    opt_out(t, db, '+12025550001')
    says = ['cell phone number of patient 1 has opted out', 'send by email', 'portal_opt_in(contact)']
    t.refuses(db, "SELECT send_registration(?, 'text')", patient, says=says)
    t.refuses(db, "INSERT INTO send_registration VALUES (?, 'text')", patient, says=says)
    t.contains(problem(t, db, patient, 'text'), *says)
    t.equal(step(t, db, patient), 'send a registration')        # by email, that is
    opt_out(t, db, 'ada1@example.com')
    t.contains(step(t, db, patient), 'email address of patient 1 has opted out', 'portal_opt_in')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_message'), 0)


def test_an_opt_out_is_the_contacts_whoever_has_it(t):
    db, patient = practice(t)
    child = t.patient(db, first_name='Byron', email='Ada1@Example.COM')
    opt_out(t, db, 'ada1@example.com')
    t.contains(problem(t, db, child), 'opted out')
    db.execute("UPDATE patient SET email = 'new@example.com' WHERE patient_id = ?", [patient])
    t.equal(problem(t, db, patient), None)


def test_an_opted_out_contact_that_is_required_but_not_sent_to_does_no_harm(t):
    db, patient = practice(t)
    t.one(db, "SELECT portal_setting('ehr_requires', 'email, cell_phone')")
    opt_out(t, db, '+12025550001')
    t.equal(problem(t, db, patient), None)


def test_quick_add_and_a_new_contact_for_resets_refuse_an_opted_out_one(t):
    db, patient = practice(t)
    flows.register_with(t, db, flows.send(t, db, patient), patient, 'ada')
    opt_out(t, db, 'grace@example.com')
    for sql in ("SELECT quick_add('Grace', 'Hopper', '1986-12-09', 'email', 'Grace@example.com')",
                "SELECT set_account_contact('ada', 'grace@example.com')"):
        t.refuses(db, sql, says=['contact', 'opted out', 'portal_opt_in(contact)'])
    t.equal(t.one(db, 'SELECT count(*) FROM patient'), 1)


# What was queued before

def test_a_message_whose_recipient_opted_out_meanwhile_is_not_sent_and_its_link_is_dead(t):
    db, patient = practice(t)
    db.execute("INSERT INTO send_registration VALUES (?, 'email')", [patient])
    opt_out(t, db, 'ada1@example.com')
    t.equal(flows.ask(t, db, 'SELECT deliver()'), {'sent': 0, 'failed': 1, 'retrying': 0, 'waiting': 0})
    t.equal(t.mails(db), [])
    t.equal(t.all(db, 'SELECT status, due_at FROM portal_message'), [('opted_out', None)])
    t.equal(t.one(db, 'SELECT status FROM portal_registration'), 'failed')
    t.equal(flows.status(t, db, patient), 'failed')
    t.contains(flows.status(t, db, patient, 'message'), 'failed on', ': the recipient has opted out of messages.')
    t.contains(step(t, db, patient), 'has opted out of messages; send by text')
    flows.send(t, db, patient, 'text')


def test_an_opt_out_while_a_sender_is_at_work_stops_what_it_has_not_claimed(t):
    db = t.database()
    for _ in range(3):
        t.patient(db)
    db.execute("INSERT INTO send_registration(patient_id, channel) SELECT patient_id, 'email' FROM patient")
    first = t.one(db, 'SELECT claim_messages(1)')
    other = t.connect(t.file(db), application='portal')
    opt_out(t, other, 'ada2@example.com')
    t.equal(t.all(db, 'SELECT recipient FROM portal_claimed(?)', claim(t, db)), [('ada3@example.com',)])
    t.equal(t.one(db, 'SELECT status FROM portal_message WHERE recipient = ?', 'ada2@example.com'), 'opted_out')
    opt_out(t, other, 'ada1@example.com')
    t.one(db, "SELECT report_delivery(?, 1, 'retry')", first)
    t.advance(3600)
    t.equal(t.all(db, 'SELECT recipient FROM portal_claimed(?)', claim(t, db)), [('ada3@example.com',)])


def test_a_password_reset_to_an_opted_out_contact_answers_as_ever_and_is_not_sent(t):
    db, patient = practice(t)
    flows.register_with(t, db, flows.send(t, db, patient), patient, 'ada')
    opted_out_of_all(t, db)
    before = len(t.mails(db))
    t.equal(t.one(db, "SELECT forgot_password('ada')"), t.one(db, "SELECT forgot_password('nobody')"))
    t.one(db, 'SELECT deliver()')
    t.equal(len(t.mails(db)), before)
    t.equal(t.one(db, 'SELECT status FROM portal_reset'), 'failed')
    t.contains(step(t, db, patient), "'ada'", 'opted out', "set_account_contact('ada', contact)")
    t.one(db, "SELECT set_account_contact('ada', 'countess@example.com')")
    t.equal(step(t, db, patient), None)


# PINs and notices

def test_a_link_that_was_sent_still_works_and_its_pin_goes_to_the_other_contact(t):
    db, patient = practice(t)
    for channel, contact, other in (('email', '+12025550001', 'email'), ('text', '+12025550001', 'email'),
                                    ('email', 'ada1@example.com', 'text')):
        t.advance(60)
        link = flows.send(t, db, patient, channel)
        opt_out(t, db, contact)
        t.equal(t.one(db, 'SELECT token_valid(?)', link), 1)
        t.equal(step(t, db, patient), 'wait for the patient to open the link and register')
        t.equal(flows.prove(t, db, link), {'result': 'pin_sent', 'channel': other})
        opt_in(t, db, contact)


def test_a_pin_that_can_go_nowhere_is_refused_as_data_with_what_to_do(t):
    db, patient = practice(t)
    link = flows.send(t, db, patient)
    opted_out_of_all(t, db)
    t.equal(flows.prove(t, db, link), flows.refused('opted out of messages; ask the practice to send them again'))
    t.equal(flows.prove(t, db, link, 'Wrong'), {'result': 'refused'})
    t.equal(t.one(db, 'SELECT guesses FROM portal_registration'), 1)
    t.contains(step(t, db, patient), 'no PIN can be sent', 'has opted out', 'portal_opt_in')
    t.equal(t.one(db, "SELECT count(*) FROM portal_message WHERE kind = 'pin'"), 0)
    opt_in(t, db, 'ada1@example.com')
    t.equal(flows.prove(t, db, link), {'result': 'pin_sent', 'channel': 'email'})


def test_the_notice_of_a_revoke_goes_to_the_contact_that_wants_it(t):
    for opted_out, recipient in ((['ada1@example.com'], '+12025550001'), (['+12025550001'], 'ada1@example.com')):
        db = t.database()
        patient = t.patient(db, email='ada1@example.com', cell_phone='+12025550001')
        flows.send(t, db, patient)
        for contact in opted_out:
            opt_out(t, db, contact)
        t.contains(t.one(db, 'SELECT revoke_access(?)', patient), 'A notice goes to the patient')
        t.equal(t.one(db, "SELECT recipient FROM portal_message WHERE kind = 'deactivated'"), recipient)


def test_a_revoke_of_somebody_who_wants_no_messages_says_that_no_notice_went(t):
    db, patient = practice(t)
    flows.send(t, db, patient)
    opted_out_of_all(t, db)
    t.contains(t.one(db, 'SELECT revoke_access(?)', patient), 'No notice could be sent')


def test_an_opted_out_address_is_not_told_that_it_was_changed(t):
    db, patient = practice(t)
    session = flows.register_with(t, db, flows.send(t, db, patient), patient, 'ada')
    t.one(db, 'SELECT submit_demographics(?, ?, ?)', session, patient, json.dumps({'email': 'new@example.com'}))
    opt_out(t, db, 'ada1@example.com')
    t.one(db, 'SELECT accept_request(1)')
    t.equal(t.one(db, "SELECT count(*) FROM portal_message WHERE kind = 'contact_changed'"), 0)


# What a provider reports

def test_a_report_of_an_opt_out_is_one(t):
    for before in ([], ['sent'], ['sent', 'delivered'], ['undeliverable'], ['bounced']):
        db, patient = practice(t)
        db.execute("INSERT INTO send_registration VALUES (?, 'email')", [patient])
        name = claim(t, db)
        for status in [*before, 'opted_out', 'opted_out']:
            report(t, db, name, status)
        contact = t.one(db, 'SELECT recipient FROM portal_message')
        t.equal([row[0] for row in listed(t, db)], [contact])
        t.equal(len(events(t, db)), 1)
        t.contains(flows.status(t, db, patient, 'message'), 'the recipient has opted out of messages (they said so).')
        t.contains(problem(t, db, patient), 'opted out')


def test_an_opt_out_that_is_reported_again_does_not_undo_an_opt_in(t):
    db, _ = practice(t)
    db.execute("INSERT INTO send_registration SELECT patient_id, 'email' FROM patient")
    name = t.one(db, 'SELECT claim_messages(1)')
    for opted_out in ([('ada1@example.com',)], []):
        t.one(db, "SELECT report_delivery(?, 1, 'opted_out')", name)
        t.equal(t.all(db, 'SELECT contact FROM portal_opt_outs'), opted_out)
        opt_in(t, db, 'ada1@example.com')


def test_an_opt_out_reported_of_a_message_that_was_cancelled_counts_too(t):
    db, patient = practice(t)
    db.execute("INSERT INTO send_registration VALUES (?, 'email')", [patient])
    name = claim(t, db)
    t.one(db, 'SELECT revoke_access(?)', patient)
    report(t, db, name, 'opted_out')
    t.equal(len(listed(t, db)), 1)
    t.equal(flows.status(t, db, patient), 'revoked')


def test_staff_see_what_the_provider_reported(t):
    expected = {
        'delivered': ('sent', 'Portal registration sent and delivered by email to a•••@example.com on '),
        'undelivered': ('failed', ': they said so.'),
        'bounced': ('failed', ': it bounced (they said so).'),
        'opted_out': ('failed', ': the recipient has opted out of messages (they said so).'),
    }
    for status, (shown, words) in expected.items():
        db, patient = practice(t)
        link = flows.send(t, db, patient)
        name = t.one(db, 'SELECT claim FROM portal_message')
        report(t, db, name, status)
        t.equal(flows.status(t, db, patient), shown)
        t.contains(flows.status(t, db, patient, 'message'), words)
        t.equal(t.one(db, 'SELECT token_valid(?)', link), int(shown == 'sent'))
