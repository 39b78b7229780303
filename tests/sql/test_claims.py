"""claim_messages(), portal_claimed() and report_delivery(): a mailer of one's own."""
import re

import flows

HOUR, DAY = 3600, 86400


def practice(t, count=1):
    """A practice with queued registrations by email."""
    db = t.database()
    patients = [t.patient(db) for _ in range(count)]
    db.execute("INSERT INTO send_registration(patient_id, channel) SELECT patient_id, 'email' FROM patient")
    return db, patients


def claim(t, db, limit=10, *channel):
    return t.one(db, f'SELECT claim_messages(?{", ?" * len(channel)})', limit, *channel)


def claimed(t, db, name, columns='message_id'):
    return t.all(db, f'SELECT {columns} FROM portal_claimed(?)', name)


def report(t, db, name, status, *detail, message_id=1):
    return t.one(db, f'SELECT report_delivery(?, ?, ?{", ?" * len(detail)})', name, message_id, status, *detail)


def state(t, db, columns='status', message_id=1):
    return db.execute(f'SELECT {columns} FROM portal_message WHERE message_id = ?', [message_id]).fetchone()


def token(t, db, name):
    return re.search(r'/r/([\w-]{32})(?![\w-])', claimed(t, db, name, 'text')[0][0]).group(1)


# Claiming

def test_a_claim_shows_its_messages_rendered(t):
    db, [patient] = practice(t)
    name = claim(t, db)
    rows = db.execute('SELECT * FROM portal_claimed(?)', [name])
    t.equal([column[0] for column in rows.description],
            ['message_id', 'kind', 'channel', 'recipient', 'subject', 'text', 'html', 'message_id_header'])
    [(message_id, kind, channel, recipient, subject, text, html, header)] = rows.fetchall()
    t.equal((message_id, kind, channel, recipient), (1, 'registration', 'email', 'ada1@example.com'))
    t.true(subject and '\n' not in subject)
    t.equal(t.one(db, 'SELECT token_valid(?)', re.search(r'/r/([\w-]{32})', text).group(1)), 1)
    t.contains(html, re.search(r'https?://\S+/r/[\w-]{32}', text).group(0))
    t.true(re.fullmatch(r'<[^<>@\s]+@[^<>@\s]+>', header), header)
    t.equal(claimed(t, db, name, 'text'), [(text,)])        # as often as one asks


def test_a_text_message_has_neither_subject_nor_html(t):
    db = t.database()
    patient = t.patient(db)
    db.execute("INSERT INTO send_registration VALUES (?, 'text')", [patient])
    t.equal(claimed(t, db, claim(t, db), 'channel, recipient, subject, html'),
            [('text', '+12025550001', '', None)])


def test_nothing_due_is_null(t):
    db = t.database()
    t.equal(claim(t, db), None)
    db, _ = practice(t)
    t.true(claim(t, db))
    t.equal(claim(t, db), None)


def test_a_claim_takes_up_to_its_limit_the_oldest_first(t):
    db, _ = practice(t, 5)
    first, second, third = claim(t, db, 2), claim(t, db, 2.0), claim(t, db, 2)
    t.equal([claimed(t, db, name) for name in (first, second, third)], [[(1,), (2,)], [(3,), (4,)], [(5,)]])
    t.equal(len({first, second, third}), 3)


def test_a_claim_of_many_is_whole(t):
    db, _ = practice(t, 230)
    t.equal(len(claimed(t, db, claim(t, db, 250))), 230)


def test_a_claim_takes_one_channel(t):
    db, patients = practice(t, 2)
    t.advance(60)
    db.execute("INSERT INTO send_registration VALUES (?, 'text')", patients[:1])
    t.equal(claimed(t, db, claim(t, db, 10, 'sms'), 'channel'), [('text',)])
    t.equal(claim(t, db, 10, 'text'), None)
    t.equal(claimed(t, db, claim(t, db, 10, 'email'), 'message_id'), [(2,)])


def test_a_wrong_limit_or_channel_is_refused(t):
    db, _ = practice(t)
    for limit in (0, -1, 1001, None, 'x', 1.5, b'1', 2**62):
        t.refuses(db, 'SELECT claim_messages(?)', limit, says='limit')
    for channel in ('fax', '', b'email', 7):
        t.refuses(db, 'SELECT claim_messages(1, ?)', channel, says='channel')
    t.equal(claimed(t, db, claim(t, db, 10, None)), [(1,)])


def test_the_argument_of_a_claim_is_no_column(t):
    db, *_ = practice(t, 1)
    t.equal(t.all(db, 'SELECT claim FROM portal_claimed(?)', claim(t, db, 1)), [(None,)])


def test_an_unknown_claim_shows_nothing(t):
    db, _ = practice(t)
    name = claim(t, db)
    lease_end = name.split('-')[0]
    for other in ('', 'x', name + 'x', name[:-1], lease_end, f'{lease_end}-', None, 7, int(lease_end), b'x', "' OR 1"):
        t.equal(claimed(t, db, other), [], f'{other!r}')
    t.refuses(db, 'SELECT * FROM portal_claimed', says='argument')


def test_a_claim_rolled_back_is_none(t):
    db, _ = practice(t)
    db.execute('BEGIN')
    name = claim(t, db)
    t.equal(len(claimed(t, db, name)), 1)
    db.execute('ROLLBACK')
    t.equal(claimed(t, db, name), [])
    t.refuses(db, "SELECT report_delivery(?, 1, 'sent')", name, says='not of the claim')
    t.equal(state(t, db, 'status, attempts'), ('queued', 0))


def test_the_links_hours_start_at_the_report(t):
    db, [patient] = practice(t)
    name = claim(t, db)
    link = token(t, db, name)
    t.equal(t.one(db, 'SELECT token_valid(?)', link), 1)
    t.advance(200)
    report(t, db, name, 'sent')
    t.equal(t.one(db, 'SELECT expires_at FROM portal_registration'), t.now() + 72 * HOUR)
    t.advance(72 * HOUR - 1)
    t.equal(t.one(db, 'SELECT token_valid(?)', link), 1)
    t.advance(1)
    t.equal(t.one(db, 'SELECT token_status(?)', link), 'expired')


def test_claimed_messages_are_for_the_ehr_alone(t):
    db, _ = practice(t)
    name = claim(t, db)
    for application in ('portal', 'scheduling'):
        other = t.connect(t.file(db), application=application)
        for sql in ('SELECT claim_messages(1)', f"SELECT * FROM portal_claimed('{name}')",
                    f"SELECT report_delivery('{name}', 1, 'sent')", 'SELECT deliver()'):
            t.refuses(other, sql, says=f'not available to the application {application}')
    t.equal(state(t, db), ('claimed',))


# Reporting

def test_sent_is_what_staff_see(t):
    db, [patient] = practice(t)
    t.equal(report(t, db, claim(t, db), 'sent', '250 2.0.0 queued as 4711'), 1)
    t.equal(state(t, db, 'status, due_at, sent_at, detail'), ('sent', None, t.now(), '250 2.0.0 queued as 4711'))
    t.equal(flows.status(t, db, patient), 'sent')
    t.contains(flows.status(t, db, patient, 'message'), 'sent by email', '250 2.0.0')


def test_sent_reported_twice_does_not_lengthen_the_link(t):
    db, [patient] = practice(t)
    name = claim(t, db)
    report(t, db, name, 'sent')
    sent = t.now()
    t.advance(DAY)
    t.equal(report(t, db, name, 'sent'), 1)
    t.equal(t.one(db, 'SELECT expires_at FROM portal_registration'), sent + 72 * HOUR)
    t.equal(state(t, db, 'sent_at'), (sent,))


def test_delivered_without_sent_before_fixes_the_hours_too(t):
    db, [patient] = practice(t)
    name = claim(t, db)
    t.advance(200)
    report(t, db, name, 'delivered')
    t.equal(state(t, db, 'status, sent_at'), ('delivered', t.now()))
    t.equal(t.one(db, 'SELECT expires_at FROM portal_registration'), t.now() + 72 * HOUR)
    t.equal(flows.status(t, db, patient), 'sent')


def test_delivered_after_sent_changes_no_hours(t):
    db, [patient] = practice(t)
    name = claim(t, db)
    report(t, db, name, 'sent')
    sent = t.now()
    t.advance(HOUR)
    report(t, db, name, 'delivered', 'read receipt')
    t.equal(state(t, db, 'status, sent_at, detail'), ('delivered', sent, 'read receipt'))
    t.equal(t.one(db, 'SELECT expires_at FROM portal_registration'), sent + 72 * HOUR)


def test_a_retry_is_due_later_and_keeps_its_headers(t):
    db, [patient] = practice(t)
    name = claim(t, db)
    before = claimed(t, db, name, '*')
    report(t, db, name, 'retry', '451 greylisted')
    t.equal(state(t, db, 'status, detail'), ('queued', '451 greylisted'))
    t.contains(flows.status(t, db, patient, 'message'), 'not handed over yet', '451 greylisted')
    t.equal(claim(t, db), None)
    t.equal(claimed(t, db, name), [])
    t.advance(76)
    t.equal(claimed(t, db, claim(t, db), '*'), before)


def test_undeliverable_kills_the_link_and_tells_staff(t):
    for before in ([], ['sent']):
        db, [patient] = practice(t)
        name = claim(t, db)
        link = token(t, db, name)
        for status in before + ['undeliverable']:
            report(t, db, name, status, '550 no such user')
        t.equal(state(t, db, 'status, due_at'), ('failed', None))
        t.equal(t.one(db, 'SELECT token_status(?)', link), 'revoked')
        t.equal(flows.status(t, db, patient), 'failed')
        t.contains(flows.status(t, db, patient, 'message'), '550 no such user')
        t.contains(t.one(db, 'SELECT subject FROM portal_check'), '550 no such user')
        flows.send(t, db, patient)      # no cooldown after a failure


def test_undelivered_bounced_and_opted_out_later_kill_the_link(t):
    for status, shown in (('undelivered', 'failed'), ('bounced', 'bounced'), ('opted_out', 'opted_out')):
        for before in ([], ['sent'], ['sent', 'delivered']):
            db, [patient] = practice(t)
            name = claim(t, db)
            link = token(t, db, name)
            for step in before:
                report(t, db, name, step)
                t.advance(HOUR)
            t.equal(report(t, db, name, status, 'mailbox is full'), 1)
            t.equal(state(t, db), (shown,))
            t.equal(t.one(db, 'SELECT token_valid(?)', link), 0)
            t.equal(flows.status(t, db, patient), 'failed')
            t.contains(flows.status(t, db, patient, 'message'), 'mailbox is full')


def test_a_bounce_after_registering_takes_no_access(t):
    db, [patient] = practice(t)
    name = claim(t, db)
    link = token(t, db, name)
    report(t, db, name, 'sent')
    session = flows.register_with(t, db, link, patient, 'ada')
    report(t, db, name, 'bounced', 'late')
    t.equal(flows.status(t, db, patient), 'registered')
    t.equal(flows.patients_of(t, db, session), [patient])
    t.equal(t.one(db, 'SELECT token_status(?)', link), 'used')


def test_a_bounce_of_an_older_link_does_not_touch_the_newer(t):
    db, [patient] = practice(t)
    name = claim(t, db)
    report(t, db, name, 'sent')
    t.advance(60)
    link = flows.send(t, db, patient)
    report(t, db, name, 'bounced', 'late')
    t.equal(t.one(db, 'SELECT token_valid(?)', link), 1)
    t.equal(flows.status(t, db, patient), 'sent')


def test_uncertain_is_tried_once_more_and_then_counts_as_sent(t):
    db, [patient] = practice(t)
    first = claim(t, db)
    header = claimed(t, db, first, 'message_id_header')
    report(t, db, first, 'uncertain', 'connection lost after the dot')
    t.equal(state(t, db, 'status, duplicate'), ('queued', 1))
    t.equal(t.one(db, "SELECT count(*) FROM portal_audit WHERE action = 'message.uncertain'"), 1)
    t.advance(60)
    second = claim(t, db)
    t.equal(claimed(t, db, second, 'message_id_header'), header)
    report(t, db, second, 'uncertain')
    t.equal(state(t, db, 'status, duplicate'), ('sent', 1))
    t.equal(flows.status(t, db, patient), 'sent')


def test_reports_that_do_not_fit_the_state_are_refused(t):
    # A provider may have said more than a sender knows that waits for its answer: that holds.
    sender = {'sent', 'retry', 'undeliverable', 'uncertain'}
    allowed = {
        'claimed': {'sent', 'retry', 'undeliverable', 'uncertain', 'delivered', 'undelivered', 'bounced',
                    'opted_out'},
        'sent': {'sent', 'undeliverable', 'delivered', 'undelivered', 'bounced', 'opted_out'},
        'delivered': {*sender, 'delivered', 'undelivered', 'bounced', 'opted_out'},
        'bounced': {*sender, 'bounced', 'opted_out'}, 'opted_out': {*sender, 'opted_out'},
        'failed': {*sender, 'undelivered', 'opted_out'},
        'queued': set(),
    }
    paths = {'claimed': [], 'sent': ['sent'], 'delivered': ['sent', 'delivered'], 'bounced': ['bounced'],
             'opted_out': ['opted_out'], 'failed': ['undeliverable'], 'queued': ['retry']}
    db, _ = practice(t)
    for start, steps in paths.items():
        for status in sorted(allowed['claimed']):
            db.execute('BEGIN')
            name = claim(t, db)
            for step in steps:
                report(t, db, name, step)
            t.equal(state(t, db), (start,))
            if status in allowed[start]:
                t.equal(report(t, db, name, status), 1, f'{start} {status}')
                if status in sender and start not in ('claimed', 'sent'):
                    t.equal(state(t, db), (start,), status)
            else:
                t.refuses(db, 'SELECT report_delivery(?, 1, ?)', name, status, says=[f'is {start}', status])
                t.equal(state(t, db), (start,))
            db.execute('ROLLBACK')


def test_only_the_newest_claim_reports(t):
    db, [patient] = practice(t)
    old = claim(t, db)
    t.advance(300)
    new = claim(t, db)
    t.equal(claimed(t, db, old), [])
    for status in ('sent', 'retry', 'undeliverable', 'bounced'):
        t.refuses(db, 'SELECT report_delivery(?, 1, ?)', old, status, says=['message 1', 'not of the claim'])
    t.equal(state(t, db, 'status, duplicate'), ('claimed', 1))
    report(t, db, new, 'sent')


def test_a_wrong_claim_message_status_or_detail_is_refused(t):
    db, _ = practice(t, 2)
    name, other = claim(t, db, 1), claim(t, db, 1)
    for wrong in ('', 'x', other, name.upper() + ' ', None, b'x'):
        t.refuses(db, "SELECT report_delivery(?, 1, 'sent')", wrong, says='claim')
    for wrong in (2, 99, -1, None, 'x', 1.5):
        t.refuses(db, "SELECT report_delivery(?, ?, 'sent')", name, wrong, says='message')
    for wrong in ('SENT', '', 'queued', 'claimed', 'cancelled', 'failed', None, 7):
        t.refuses(db, 'SELECT report_delivery(?, 1, ?)', name, wrong)
    for wrong in ('a\x00b', b'x', 7):
        t.refuses(db, "SELECT report_delivery(?, 1, 'sent', ?)", name, wrong, says='detail')
    t.equal(state(t, db), ('claimed',))


def test_no_report_is_lost_for_the_words_that_come_with_it(t):
    db, _ = practice(t)
    name = claim(t, db)
    for words, detail in [('250-2.0.0 Ok:\r\n250 queued \u202eas 7', '250-2.0.0 Ok:  250 queued  as 7'),
                          ('é' * 5000, 'é' * 199 + ' '), ('', ''), (None, None)]:
        report(t, db, name, 'delivered', words)
        t.equal(state(t, db, 'status, detail'), ('delivered', detail))


def test_a_link_that_a_server_quotes_is_not_written_down(t):
    db, _ = practice(t)
    name = claim(t, db)
    link = token(t, db, name)
    report(t, db, name, 'delivered', f'spam? https://portal.example/r/{link} is listed')
    t.equal(state(t, db, 'detail'), ('spam? https://portal.example/r/' + '*' * 32 + ' is listed',))
    for start in range(360, 399):
        report(t, db, name, 'delivered', '.' * start + link)
        t.equal(state(t, db, 'detail'), ('.' * start + '*' * min(32, 399 - start),))


def test_a_failure_that_is_reported_again_is_one_event(t):
    for status in ('undeliverable', 'bounced', 'opted_out'):
        db, _ = practice(t)
        name = claim(t, db)
        report(t, db, name, status, 'first')
        count = t.one(db, 'SELECT count(*) FROM portal_audit')
        for _ in range(3):
            report(t, db, name, 'undelivered' if status == 'undeliverable' else status, 'again')
        t.equal(t.one(db, 'SELECT count(*) FROM portal_audit'), count)
        t.equal(state(t, db, 'detail'), ('first',))


def test_a_revoke_while_a_mailer_has_the_message_keeps_the_link_dead(t):
    for status in ('sent', 'retry', 'undeliverable', 'uncertain', 'delivered', 'bounced'):
        db, [patient] = practice(t)
        name = claim(t, db)
        link = token(t, db, name)
        t.one(db, 'SELECT revoke_access(?)', patient)
        t.equal(claimed(t, db, name), [])
        t.equal(report(t, db, name, status), 1)
        t.equal(t.one(db, 'SELECT token_status(?)', link), 'revoked')
        t.equal(flows.status(t, db, patient), 'revoked')
        t.equal(t.one(db, 'SELECT due_at FROM portal_message WHERE message_id = 1'), None)
        t.advance(DAY)
        t.equal(claim(t, db), None)


def test_a_superseded_message_is_not_shown_to_its_claim(t):
    db, [patient] = practice(t)
    name = claim(t, db)
    t.advance(60)
    newer = flows.send(t, db, patient)
    t.equal(claimed(t, db, name), [])
    t.equal(report(t, db, name, 'sent'), 1)
    t.equal(t.one(db, 'SELECT token_valid(?)', newer), 1)
    t.equal(t.one(db, 'SELECT status FROM portal_registration WHERE registration_id = 1'), 'superseded')


def test_a_notice_and_a_pin_can_be_claimed(t):
    db = t.database()
    patient = t.patient(db)
    link = flows.send(t, db, patient)
    t.one(db, "SELECT portal_setting('text_channel', 'pigeon')")
    t.one(db, "SELECT portal_setting('email_channel', 'pigeon')")
    t.one(db, 'SELECT request_pin(?, ?, ?)', link, *flows.chart(t, db, patient))
    [(kind, text)] = claimed(t, db, claim(t, db), 'kind, text')
    t.equal(kind, 'pin')
    pin = re.search(r'(?<!\d)\d{6}(?!\d)', text).group(0)
    t.equal(flows.ask(t, db, 'SELECT register_patient(?, ?, ?, ?)', link, pin, 'ada', flows.PASSWORD)['result'],
            'registered')
    t.one(db, 'SELECT revoke_access(?)', patient)
    t.equal(claimed(t, db, claim(t, db), 'kind, recipient'), [('deactivated', 'ada1@example.com')])


# Several mailers

def test_a_mailer_and_deliver_share_the_work(t):
    db, _ = practice(t, 10)
    name = claim(t, db, 4)
    t.equal(flows.ask(t, db, 'SELECT deliver()'), {'sent': 6, 'failed': 0, 'retrying': 0, 'waiting': 4})
    for message_id, in claimed(t, db, name):
        report(t, db, name, 'sent', message_id=message_id)
    t.equal(t.one(db, "SELECT count(*) FROM portal_status WHERE status = 'sent'"), 10)
    t.equal(len(t.mails(db)), 6)


def test_a_claimed_message_whose_link_is_gone_says_so(t):
    db, *_ = practice(t, 1)
    name = claim(t, db, 1)
    db.execute('DELETE FROM portal_registration')
    t.refuses(db, 'SELECT * FROM portal_claimed(?)', name, says='has lost what it carries')
