"""The channel kannel, against a Kannel of the test's own with its fake network."""
import re
import signal

import flows
import gateways
import harness
from waiting import listens, wait_for

SENDER = 'Clinic'


def gateway(t, patients=0, retries=0, **settings):
    """A running Kannel, and a practice that sends through it."""
    kannel = gateways.Kannel(t.path('kannel'), retries)
    return kannel, practice(t, kannel.url, patients, **settings)


def practice(t, url, patients=0, **settings):
    return gateways.practice(t, 'kannel', patients, **{
        'kannel_url': url, 'kannel_user': gateways.Kannel.USER, 'kannel_from': SENDER,
        'kannel_password': gateways.Kannel.PASSWORD, **settings})


def deliver(t, db, **results):
    t.equal(flows.ask(t, db, 'SELECT deliver()'),
            {'sent': 0, 'failed': 0, 'retrying': 0, 'waiting': 0, **results})


def stopped(t, db, *says, **results):
    answer = flows.ask(t, db, 'SELECT deliver()')
    t.contains(answer.pop('stopped'), 'channel kannel', *says)
    t.equal(answer, {'sent': 0, 'failed': 0, 'retrying': 0, 'waiting': 0, **results})


def arrive(t, kannel, count):
    wait_for(lambda: len(kannel.arrived()) >= count, f'{count} messages arrive')
    t.equal(len(kannel.arrived()), count)
    return kannel.arrived()


def token(text):
    return re.search(r'/r/([\w-]{32})', text)[1]


def link_works(t, db, text):
    t.equal(t.one(db, 'SELECT token_valid(?)', token(text)), 1)


def test_a_registration_goes_through_the_gateway_letter_by_letter(t):
    kannel, db = gateway(t, patients=1, practice_name='Praxis Ñ & Ö+50%20 @ [1]')
    t.contains(t.one(db, "SELECT send_registration(1, 'text')"), 'sent by text')
    t.equal(gateways.rows(t, db, 'status, detail, duplicate'),
            [('sent', '0: Accepted for delivery, as 1 segment', 0)])
    (sender, recipient, text), = arrive(t, kannel, 1)
    t.equal((sender, recipient), (SENDER, '+12025550001'))
    t.true(text.startswith('Praxis Ñ & Ö+50%20 @ [1]: join'), text)
    link_works(t, db, text)


def test_a_text_of_other_letters_goes_as_ucs_2_in_parts(t):
    kannel, db = gateway(t, patients=1, practice_name='Клиника 和 🏥')
    t.contains(t.one(db, "SELECT send_registration(1, 'text')"), 'sent by text')
    t.equal(gateways.rows(t, db, 'detail'), [('0: Accepted for delivery, as 2 segments',)])
    (_, _, text), = arrive(t, kannel, 1)
    t.true(text.startswith('Клиника 和 🏥: join') and text.endswith('STOP to opt out'), text)
    link_works(t, db, text)


def test_the_gateways_report_names_the_message_and_its_claim(t):
    service = gateways.Service(lambda request: (200, ''))
    kannel, db = gateway(t, patients=1, portal_url=service.url)
    db.execute("SELECT send_registration(1, 'text')")
    wait_for(lambda: service.requests, 'a report comes')
    report = service.requests[0]
    t.equal((report.path, report.query['message'], report.query['status']), ('/callback/kannel', '1', '1'))
    db.execute("SELECT report_delivery(?, 1, 'delivered')", [report.query['claim']])
    t.equal(gateways.rows(t, db), [('delivered',)])


def test_what_the_gateway_queues_for_its_network_counts_as_sent(t):
    kannel, db = gateway(t, patients=1)
    kannel.stop_network()
    db.execute("SELECT send_registration(1, 'text')")
    t.equal(gateways.rows(t, db, 'status, detail'), [('sent', '3: Queued for later delivery, as 1 segment')])
    kannel.start_network()
    arrive(t, kannel, 1)


def test_a_number_that_the_gateway_denies_fails_at_once_and_the_others_go(t):
    kannel, db = gateway(t, patients=1)
    t.patient(db, cell_phone='+442071838750')
    t.patient(db)
    gateways.queue(t, db)
    deliver(t, db, sent=2, failed=1)
    t.equal([row[0] for row in gateways.rows(t, db)], ['sent', 'failed', 'sent'])
    t.contains(gateways.rows(t, db, 'detail')[1][0], 'Kannel says 400 Number(s) has/have been denied')
    t.equal(len(arrive(t, kannel, 2)), 2)


def test_a_wrong_password_stops_the_sending_and_says_what_to_check(t):
    kannel, db = gateway(t, patients=3, kannel_password='wrong-one', kannel_connections='1')
    gateways.queue(t, db)
    stopped(t, db, '403 Authorization failed', 'check kannel_user and kannel_password', retrying=1, waiting=3)
    t.equal(gateways.rows(t, db, 'status, attempts'), [('queued', 1), ('queued', 0), ('queued', 0)])
    db.execute('SELECT portal_secret(?, ?)', ['kannel_password', kannel.PASSWORD])
    t.advance(90)
    deliver(t, db, sent=3)
    t.true('wrong-one' not in str(t.all(db, 'SELECT * FROM portal_message')), 'the password is in a row')


def test_while_the_gateway_is_down_messages_wait_and_then_go(t):
    kannel, db = gateway(t, patients=3, kannel_connections='1')
    kannel.stop(kannel.smsbox)
    gateways.queue(t, db)
    stopped(t, db, 'connect', 'tried again', retrying=1, waiting=3)
    t.equal(gateways.rows(t, db, 'status, attempts, duplicate'),
            [('queued', 1, 0), ('queued', 0, 0), ('queued', 0, 0)])
    kannel.start_smsbox()
    t.advance(90)
    deliver(t, db, sent=3)
    arrive(t, kannel, 3)


def test_a_gateway_that_breaks_down_loses_nothing_and_doubles_only_what_the_rows_say(t):
    kannel, db = gateway(t, patients=20, kannel_connections='2')
    gateways.queue(t, db)
    t.equal(flows.ask(t, db, 'SELECT deliver(5)')['sent'], 5)
    arrive(t, kannel, 5)
    kannel.stop(kannel.bearerbox)
    wait_for(lambda: not listens(kannel.ports['sendsms']), 'smsbox takes none either')
    answer = flows.ask(t, db, 'SELECT deliver()')
    t.contains(answer['stopped'], 'channel kannel', 'tried again')
    t.equal((answer['sent'], answer['waiting']), (0, 15))
    kannel.restart()
    t.advance(3600)
    deliver(t, db, sent=15)
    wait_for(lambda: len({to for _, to, _ in kannel.arrived()}) == 20, 'all arrive')
    doubtful = sum(duplicate for duplicate, in gateways.rows(t, db, 'duplicate'))
    t.true(len(kannel.arrived()) <= 20 + doubtful, f'{len(kannel.arrived())} came, {doubtful} are in doubt')


@harness.release_only
def test_a_gateway_that_stands_still_is_left_before_the_lease_ends_and_tried_once_more(t):
    kannel, db = gateway(t, patients=3, lease_seconds='10')
    gateways.queue(t, db)
    kannel.smsbox.send_signal(signal.SIGSTOP)
    deliver(t, db, retrying=3, waiting=3)
    t.equal(gateways.rows(t, db, 'status, duplicate, attempts'), [('queued', 1, 1)] * 3)
    kannel.smsbox.send_signal(signal.SIGCONT)
    t.advance(3600)
    deliver(t, db, sent=3)
    t.equal(gateways.rows(t, db, 'status, duplicate, attempts'), [('sent', 1, 2)] * 3)
    wait_for(lambda: len({to for _, to, _ in kannel.arrived()}) == 3, 'all arrive')


@harness.release_only
def test_hundreds_of_messages_arrive_once_each(t):
    kannel, db = gateway(t, patients=300)
    gateways.queue(t, db)
    deliver(t, db, sent=300)
    t.equal(len({recipient for _, recipient, _ in arrive(t, kannel, 300)}), 300)


def test_every_answer_of_a_gateway_has_its_meaning(t):
    """Those that a Kannel gives only when its networks or its configuration are odd."""
    answers = [(403, 'Not routable. Do not try again.', 'failed', False),
               (503, 'Temporal failure, try again later.', 'queued', False),
               (400, 'Sender missing and no global set, rejected', 'queued', 'set kannel_from'),
               (400, 'Charset or body misformed, rejected', 'queued', 'misformed'),
               (404, '<html>nothing here', 'queued', 'check kannel_url'),
               (302, 'elsewhere', 'queued', '302'),
               (202, 'what?', 'queued', '202 what?'),
               (200, '<html>welcome', 'queued', '200')]
    service = gateways.Service(lambda request: answers[len(service.requests) - 1][:2])
    db = practice(t, f'{service.url}/sendsms', kannel_connections='2')
    for status, words, became, stops in answers:
        t.patient(db)
        gateways.queue(t, db)
        answer = flows.ask(t, db, 'SELECT deliver(1)')
        t.equal(gateways.rows(t, db)[-1][0], became, words)
        t.equal('stopped' in answer, bool(stops), f'{words}: {answer}')
        if stops:
            t.contains(answer['stopped'], stops)
    t.equal([row[0] for row in gateways.rows(t, db, 'duplicate')], [0, 0, 0, 0, 0, 0, 1, 1])


def test_a_channel_that_lacks_something_says_what(t):
    db = t.database()
    for key, value, lacks in (('url', 'http://127.0.0.1:1/x', 'set kannel_url'),
                              ('user', 'clinic', 'set kannel_user'),
                              ('password', 'two\nlines', "portal_secret('kannel_password', ...)"),
                              ('password', 'one', 'has a line break')):
        t.contains(gateways.problem(t, db, 'kannel'), lacks)
        kind = 'portal_secret' if key == 'password' else 'portal_setting'
        db.execute(f'SELECT {kind}(?, ?)', [f'kannel_{key}', value])
    t.equal(gateways.problem(t, db, 'kannel'), None)
