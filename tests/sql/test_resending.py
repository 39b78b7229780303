"""Sending again: what becomes of the older link, how soon, and how often."""
import flows
from sends import link_status, refused, send, set_chart

HOUR, DAY = 3600, 86400


# Sending again

def test_sending_again_supersedes_the_older_link(t):
    db = t.database()
    ada = t.patient(db)
    first = flows.send(t, db, ada)
    t.advance(60)
    second = flows.send(t, db, ada)
    t.equal([link_status(t, db, token) for token in (first, second)], ['superseded', 'valid'])
    t.advance(60)
    third = flows.send(t, db, ada, 'text')
    t.equal([link_status(t, db, token) for token in (first, second, third)],
            ['superseded', 'superseded', 'valid'])


def test_sending_again_gives_a_fresh_full_72_hours(t):
    db = t.database()
    ada = t.patient(db)
    flows.send(t, db, ada)
    t.advance(71 * HOUR)
    token = flows.send(t, db, ada)
    t.advance(72 * HOUR - 1)
    t.equal(link_status(t, db, token), 'valid')
    t.advance(1)
    t.equal(link_status(t, db, token), 'expired')


def test_sending_again_after_expiry_is_the_same_call(t):
    db = t.database()
    ada = t.patient(db)
    first = flows.send(t, db, ada)
    t.advance(72 * HOUR)
    t.equal(link_status(t, db, first), 'expired')
    second = flows.send(t, db, ada)
    t.equal([link_status(t, db, token) for token in (first, second)], ['superseded', 'valid'])
    t.advance(72 * HOUR - 1)
    t.equal(link_status(t, db, second), 'valid')


def test_sending_again_after_expire_links_marked_the_older_supersedes_it(t):
    db = t.database()
    ada = t.patient(db)
    first = flows.send(t, db, ada)
    t.advance(73 * HOUR)
    t.equal(t.one(db, 'SELECT expire_links()'), 1)
    second = flows.send(t, db, ada)
    t.equal([link_status(t, db, token) for token in (first, second)], ['superseded', 'valid'])


def test_the_72_hours_begin_at_the_hand_over_not_when_it_was_queued(t):
    db = t.database()
    ada = t.patient(db)
    db.execute('BEGIN')
    send(t, db, ada)
    db.execute('COMMIT')
    t.advance(10 * HOUR)
    t.one(db, 'SELECT deliver()')
    token = t.token(t.mails(db)[-1])
    t.advance(72 * HOUR - 1)
    t.equal(link_status(t, db, token), 'valid')
    t.advance(1)
    t.equal(link_status(t, db, token), 'expired')


def test_the_older_link_ends_in_the_write_that_queues_the_newer(t):
    db = t.database()
    ada = t.patient(db)
    first = flows.send(t, db, ada)
    t.advance(60)
    db.execute('BEGIN')
    t.contains(send(t, db, ada), 'queued')
    t.equal(link_status(t, db, first), 'superseded')
    other = t.connect(t.file(db))
    t.equal(link_status(t, other, first), 'valid')
    db.execute('COMMIT')
    t.equal(link_status(t, other, first), 'superseded')


def test_a_pin_of_the_older_link_is_dead(t):
    db = t.database()
    ada = t.patient(db)
    first = flows.send(t, db, ada)
    pin = flows.pin(t, db, first, ada)
    t.advance(60)
    second = flows.send(t, db, ada)
    for token in (first, second):
        answer = flows.ask(t, db, 'SELECT register_patient(?, ?, ?, ?)', token, pin, 'ada.l', flows.PASSWORD)
        t.equal(answer['result'], 'refused')
    t.equal(t.all(db, 'SELECT status FROM portal_pin'), [('superseded',)])
    t.equal(t.one(db, 'SELECT count(*) FROM portal_account'), 0)


def test_a_refused_resend_leaves_the_older_link_and_its_pin(t):
    db = t.database()
    ada = t.patient(db)
    token = flows.send(t, db, ada)
    pin = flows.pin(t, db, token, ada)
    refused(t, db, ada, says='wait')
    set_chart(db, ada, email_consent=0)
    t.advance(60)
    refused(t, db, ada, says='declined')
    set_chart(db, ada, email_consent=1)
    answer = flows.ask(t, db, 'SELECT register_patient(?, ?, ?, ?)', token, pin, 'ada.l', flows.PASSWORD)
    t.equal(answer['result'], 'registered')


def test_a_rolled_back_resend_leaves_the_older_link_and_its_pin(t):
    db = t.database()
    ada = t.patient(db)
    token = flows.send(t, db, ada)
    pin = flows.pin(t, db, token, ada)
    t.advance(60)
    db.execute('BEGIN')
    send(t, db, ada)
    t.equal(link_status(t, db, token), 'superseded')
    db.execute('ROLLBACK')
    t.equal(link_status(t, db, token), 'valid')
    db.execute('BEGIN')
    db.execute('SAVEPOINT here')
    send(t, db, ada)
    db.execute('ROLLBACK TO here')
    db.execute('COMMIT')
    answer = flows.ask(t, db, 'SELECT register_patient(?, ?, ?, ?)', token, pin, 'ada.l', flows.PASSWORD)
    t.equal(answer['result'], 'registered')


def test_a_queued_link_that_was_superseded_is_never_sent(t):
    db = t.database()
    ada = t.patient(db)
    db.execute('BEGIN')
    send(t, db, ada)
    t.advance(60)
    send(t, db, ada)
    db.execute('COMMIT')
    t.one(db, 'SELECT deliver()')
    t.equal(len(t.mails(db)), 1)
    t.equal(link_status(t, db, t.token(t.mails(db)[0])), 'valid')
    t.equal(t.all(db, 'SELECT status FROM portal_message ORDER BY message_id'), [('cancelled',), ('sent',)])


def test_a_claimed_link_that_was_superseded_stays_dead_when_it_is_reported_sent(t):
    db = t.database()
    ada = t.patient(db)
    db.execute('BEGIN')
    send(t, db, ada)
    db.execute('COMMIT')
    claim = t.one(db, 'SELECT claim_messages(10)')
    message_id, text = db.execute('SELECT message_id, text FROM portal_claimed(?)', [claim]).fetchone()
    token = text.split('/r/')[1][:32]
    t.equal(link_status(t, db, token), 'valid')
    t.advance(60)
    newer = flows.send(t, db, ada)
    t.one(db, "SELECT report_delivery(?, ?, 'sent')", claim, message_id)
    t.equal([link_status(t, db, link) for link in (token, newer)], ['superseded', 'valid'])
    t.contains(flows.status(t, db, ada, 'message'), 'sent by email')


# The cooldown

def test_a_second_click_is_refused_for_60_seconds(t):
    db = t.database()
    ada = t.patient(db)
    send(t, db, ada)
    refused(t, db, ada, says=[f'patient {ada}', '60 seconds'])
    t.advance(59)
    refused(t, db, ada, says='wait')
    t.advance(1)
    t.contains(send(t, db, ada), 'sent by email')


def test_the_cooldown_is_of_one_contact(t):
    db = t.database()
    ada = t.patient(db)
    send(t, db, ada)
    t.contains(send(t, db, ada, 'text'), 'sent by text')


def test_sending_by_the_other_channel_does_not_end_the_cooldown(t):
    db = t.database()
    ada = t.patient(db)
    send(t, db, ada, 'email')
    send(t, db, ada, 'text')
    refused(t, db, ada, 'email', says='wait')
    refused(t, db, ada, 'text', says='wait')
    t.equal(len(t.mails(db)), 2)


def test_a_family_that_shares_an_address_is_sent_at_once(t):
    db = t.database()
    for name in ('Ada', 'Bob', 'Cyd'):
        send(t, db, t.patient(db, first_name=name, email='family@example.com'))
    t.equal(len(t.mails(db)), 3)


def test_the_cooldown_is_a_setting(t):
    db = t.database()
    ada = t.patient(db)
    t.one(db, "SELECT portal_setting('resend_seconds', '5')")
    send(t, db, ada)
    refused(t, db, ada, says='5 seconds')
    t.advance(5)
    send(t, db, ada)


def test_no_cooldown_after_a_contact_change(t):
    db = t.database()
    ada = t.patient(db, email='wrong@example.com')
    send(t, db, ada)
    set_chart(db, ada, email='right@example.com')
    t.contains(send(t, db, ada), 'r•••@example.com')


def test_no_cooldown_after_a_contact_change_was_found_at_hand_over(t):
    db = t.database()
    ada = t.patient(db, email='ada@example.com')
    db.execute('BEGIN')
    send(t, db, ada)
    set_chart(db, ada, email='other@example.com')
    db.execute('COMMIT')
    t.one(db, 'SELECT deliver()')
    set_chart(db, ada, email='ada@example.com')
    t.contains(send(t, db, ada), 'a•••@example.com')


def test_no_cooldown_after_a_failure(t):
    db = t.database()
    ada = t.patient(db)
    db.execute('BEGIN')
    send(t, db, ada)
    db.execute('COMMIT')
    claim = t.one(db, 'SELECT claim_messages(10)')
    message_id = t.one(db, 'SELECT message_id FROM portal_claimed(?)', claim)
    t.one(db, "SELECT report_delivery(?, ?, 'undeliverable', 'no such user')", claim, message_id)
    t.contains(flows.status(t, db, ada, 'message'), 'failed', 'no such user')
    t.contains(send(t, db, ada), 'sent by email')


def test_no_cooldown_after_a_revoke(t):
    db = t.database()
    ada = t.patient(db)
    send(t, db, ada)
    t.one(db, 'SELECT revoke_access(?)', ada)
    t.contains(send(t, db, ada), 'sent by email')


def test_a_rolled_back_send_starts_no_cooldown(t):
    db = t.database()
    ada = t.patient(db)
    db.execute('BEGIN')
    send(t, db, ada)
    db.execute('ROLLBACK')
    t.contains(send(t, db, ada), 'sent by email')


# Ten a day

def test_ten_registrations_a_day_go_to_one_patient(t):
    db = t.database()
    ada = t.patient(db)
    for count in range(10):
        set_chart(db, ada, email=f'ada{count}@example.org')
        send(t, db, ada)
        t.advance(60)
    set_chart(db, ada, email='ada.new@example.org')
    refused(t, db, ada, says=['24 hours', 'sends_per_day'])
    refused(t, db, ada, 'text', says='sends_per_day')
    t.advance(DAY - 10 * 60)
    t.contains(send(t, db, ada), 'sent by email')
    refused(t, db, ada, 'text', says='sends_per_day')


def test_ten_registrations_a_day_go_to_one_address(t):
    db = t.database()
    for _ in range(10):
        send(t, db, t.patient(db, email='family@example.com'))
    eve = t.patient(db, email='FAMILY@example.com')
    refused(t, db, eve, says='sends_per_day')
    t.contains(send(t, db, eve, 'text'), 'sent by text')
    t.advance(DAY)
    t.contains(send(t, db, eve), 'sent by email')


def test_ten_registrations_a_day_go_to_one_phone_however_written(t):
    db = t.database()
    for number in range(10):
        phone = ('(202) 555-0143', '+12025550143', '202.555.0143')[number % 3]
        send(t, db, t.patient(db, cell_phone=phone), 'text')
    refused(t, db, t.patient(db, cell_phone='1 202 555 0143'), 'text', says='sends_per_day')


def test_registrations_count_whatever_becomes_of_them(t):
    db = t.database()
    ada = t.patient(db)
    for _ in range(10):
        send(t, db, ada)
        t.one(db, 'SELECT revoke_access(?)', ada)
    refused(t, db, ada, says='sends_per_day')
    bob = t.patient(db)
    for _ in range(10):
        db.execute('BEGIN')
        send(t, db, bob)
        db.execute('COMMIT')
        claim = t.one(db, 'SELECT claim_messages(10)')
        for row in t.all(db, 'SELECT message_id FROM portal_claimed(?)', claim):
            t.one(db, "SELECT report_delivery(?, ?, 'undeliverable')", claim, row[0])
    refused(t, db, bob, says='sends_per_day')


def test_quick_add_counts_for_the_address(t):
    db = t.database()
    for number in range(10):
        t.one(db, "SELECT quick_add(?, 'Twain', '2001-02-03', 'email', 'family@example.com')", f'Kid{number + 1}')
    error = t.refuses(db, "SELECT quick_add('Zoe', 'Twain', '2001-02-03', 'email', 'family@example.com')",
                      says='sends_per_day')
    t.true('this patient' not in error.split(' or ')[0] or 'email address' in error)
    t.equal(t.one(db, 'SELECT count(*) FROM patient'), 10)


def test_the_number_a_day_is_a_setting(t):
    db = t.database()
    ada = t.patient(db)
    t.one(db, "SELECT portal_setting('sends_per_day', '1')")
    send(t, db, ada)
    t.advance(60)
    refused(t, db, ada, says='sends_per_day')
