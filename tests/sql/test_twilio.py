"""The channel twilio, against a service that answers as Twilio's public specification says."""
import base64
import json
import os
import re
import threading

import flows
import gateways
import harness
from gateways import Service
from waiting import wait_for

ACCOUNT, TOKEN = 'AC' + '5' * 32, 'a-token-that-nobody-may-see'

# Codes with their status, and what becomes of the message; or what is to be checked before any other goes.
UNDELIVERABLE = {21211: 400, 21214: 400, 21217: 400, 21219: 400, 21265: 400, 21266: 400, 21408: 403,
                 21608: 400, 21612: 400, 21614: 400, 21617: 400, 21619: 400, 21635: 400}
STOPPING = {20003: (401, 'twilio_token'), 20404: (404, 'twilio_account'), 21212: (400, 'twilio_from'),
            21603: (400, 'twilio_from'), 21606: (400, 'twilio_from'), 21609: (400, 'portal_url'),
            21659: (400, 'twilio_from'), 21660: (400, 'twilio_from'), 21703: (400, 'twilio_from')}
OPTED_OUT, WAITING = {21610: 400}, {21611: 429}


def accepted(request):
    """What the specification gives as the answer to a message, as far as it matters."""
    return 201, json.dumps({
        'account_sid': ACCOUNT, 'api_version': '2010-04-01', 'body': request.form['Body'],
        'error_code': None, 'error_message': None, 'num_segments': '1', 'sid': 'SM' + '0' * 32,
        'status': 'queued', 'to': request.form['To'], 'uri': request.path})


def refused(status, code, message='It can not be.', headers=None):
    return status, json.dumps({'code': code, 'message': message, 'status': status,
                               'more_info': f'https://www.twilio.com/docs/errors/{code}'}), headers or {}


def twilio(t, answer=accepted, patients=0, certificate=None, **settings):
    """The service, and a practice that sends through it."""
    service = Service(answer, certificate)
    return service, gateways.practice(t, 'twilio', patients, **{
        'twilio_url': service.url, 'twilio_account': ACCOUNT, 'twilio_token': TOKEN,
        'twilio_from': '+15005550006', **settings})


def deliver(t, db, **results):
    t.equal(flows.ask(t, db, 'SELECT deliver()'),
            {'sent': 0, 'failed': 0, 'retrying': 0, 'waiting': 0, **results})


def stopped(t, db, *says, **results):
    answer = flows.ask(t, db, 'SELECT deliver()')
    t.contains(answer.pop('stopped'), 'channel twilio', *says)
    t.equal(answer, {'sent': 0, 'failed': 0, 'retrying': 0, 'waiting': 0, **results})


def test_a_message_is_posted_as_the_specification_has_it(t):
    service, db = twilio(t, patients=1, practice_name='Praxis Ñ & Ö+50% = 和', portal_url='https://p.example')
    t.contains(t.one(db, "SELECT send_registration(1, 'text')"), 'sent by text')
    request, = service.requests
    t.equal(request.path, f'/2010-04-01/Accounts/{ACCOUNT}/Messages.json')
    t.equal(request.headers['Content-Type'], 'application/x-www-form-urlencoded')
    t.equal(base64.b64decode(request.headers['Authorization'].removeprefix('Basic ')).decode(),
            f'{ACCOUNT}:{TOKEN}')
    claim, = t.one(db, 'SELECT claim FROM portal_message'),
    t.equal({name: value for name, value in request.form.items() if name != 'Body'},
            {'To': '+12025550001', 'From': '+15005550006',
             'StatusCallback': f'https://p.example/callback/twilio?message=1&claim={claim}'})
    t.true(request.form['Body'].startswith('Praxis Ñ & Ö+50% = 和: join'), request.form['Body'])
    t.equal(gateways.rows(t, db, 'status, detail'),
            [('sent', f'SM{"0" * 32} queued, as 2 segments')])


def test_whatever_is_set_as_the_account_stays_one_piece_of_the_path(t):
    service, db = twilio(t, patients=1, twilio_account='AC/../../x?y')
    t.one(db, "SELECT send_registration(1, 'text')")
    request, = service.requests
    t.equal((request.path, request.query), ('/2010-04-01/Accounts/AC%2F..%2F..%2Fx%3Fy/Messages.json', {}))


def test_reports_are_asked_for_only_where_twilio_can_bring_them(t):
    service, db = twilio(t, patients=1)
    db.execute("SELECT send_registration(1, 'text')")
    t.true('StatusCallback' not in service.requests[0].form)


def test_a_messaging_service_may_be_the_sender(t):
    service, db = twilio(t, patients=1, twilio_from='MG' + '7' * 32)
    db.execute("SELECT send_registration(1, 'text')")
    t.equal((service.requests[0].form.get('From'), service.requests[0].form['MessagingServiceSid']),
            (None, 'MG' + '7' * 32))


def test_the_tests_know_every_code_that_the_channel_knows(t):
    source = (harness.ROOT / 'ext/plugins/twilio.c').read_text()
    t.equal({int(code) for code in re.findall(r'\{(\d{5}), PORTAL', source)},
            {*UNDELIVERABLE, *STOPPING, *OPTED_OUT, *WAITING})


def test_a_code_that_is_about_the_message_fails_it_and_the_others_go(t):
    codes = {**UNDELIVERABLE, **OPTED_OUT}
    service, db = twilio(t, patients=len(codes) + 1)
    by_number = {f'+1202555{number:04}': code for number, code in enumerate(codes, 1)}
    service.answer = lambda request: accepted(request) if request.form['To'] not in by_number else refused(
        codes[by_number[request.form['To']]], by_number[request.form['To']], 'That number will not do.')
    gateways.queue(t, db)
    deliver(t, db, sent=1, failed=len(codes))
    for recipient, status, detail in gateways.rows(t, db, 'recipient, status, detail'):
        code = by_number.get(recipient)
        t.equal(status, 'sent' if code is None else 'opted_out' if code in OPTED_OUT else 'failed', str(code))
        if code:
            t.equal(detail, f'Twilio says {codes[code]}, error {code} That number will not do.')


def test_a_code_that_is_about_the_account_stops_the_sending_and_says_what_to_check(t):
    service, db = twilio(t, patients=2, twilio_connections='1')
    gateways.queue(t, db)
    for code, (status, remedy) in STOPPING.items():
        service.answer = lambda request: refused(status, code, 'Not so.')
        stopped(t, db, f'error {code} Not so.', remedy, retrying=1, waiting=2)
        t.advance(6 * 3600)
    t.equal(sum(attempts for attempts, in gateways.rows(t, db, 'attempts')), len(STOPPING))
    service.answer = lambda request: (403, 'no JSON')
    stopped(t, db, '403', 'twilio_token', retrying=1, waiting=2)
    t.true(TOKEN not in str(t.all(db, 'SELECT * FROM portal_message')), 'the token is in a row')


def test_too_many_requests_are_waited_out_as_told(t):
    service, db = twilio(t, lambda request: refused(429, 20429, 'Too many.', {'Retry-After': '77'}),
                         patients=3, twilio_connections='1')
    gateways.queue(t, db)
    deliver(t, db, retrying=1, waiting=3)
    t.equal(len(service.requests), 1)
    due, = t.one(db, 'SELECT due_at - unixepoch() FROM portal_message WHERE attempts = 1'),
    t.true(due >= 77, f'due in {due} seconds')
    # The others are not begun before: the same connection remembers, whatever the clock of the rows says.
    deliver(t, db, waiting=3)
    t.equal(len(service.requests), 1)


def test_a_full_queue_of_the_sender_waits_too(t):
    service, db = twilio(t, lambda request: refused(429, 21611), patients=2, twilio_connections='1')
    gateways.queue(t, db)
    deliver(t, db, retrying=1, waiting=2)
    t.equal(len(service.requests), 1)


def test_a_fault_of_the_service_is_tried_again_and_an_outage_stops_the_sending(t):
    service, db = twilio(t, patients=30, twilio_connections='3')
    service.answer = lambda request: (503, 'down') if len(service.requests) == 5 else accepted(request)
    gateways.queue(t, db)
    deliver(t, db, sent=29, retrying=1, waiting=1)
    for _ in range(30):
        t.patient(db)
    gateways.queue(t, db)
    service.requests.clear()
    service.answer = lambda request: refused(500, 20500, 'Internal.')
    t.contains(flows.ask(t, db, 'SELECT deliver()')['stopped'], '500, error 20500 Internal.')
    t.true(3 <= len(service.requests) <= 6, f'{len(service.requests)} requests')


def test_an_unknown_code_waits_and_does_not_hold_up_the_others(t):
    service, db = twilio(t, patients=6, twilio_connections='2')
    service.answer = lambda request: (
        refused(400, 29999) if request.form['To'].endswith('3') else accepted(request))
    gateways.queue(t, db)
    deliver(t, db, sent=5, retrying=1, waiting=1)
    t.contains(t.one(db, "SELECT detail FROM portal_message WHERE status = 'queued'"), 'error 29999')


def test_connections_are_kept_across_calls(t):
    service, db = twilio(t, patients=60, twilio_connections='3')
    gateways.queue(t, db)
    for _ in range(4):
        db.execute('SELECT deliver(15)')
    t.equal(len(service.requests), 60)
    t.true(service.connections <= 3, f'{service.connections} connections')


def test_a_connection_lost_before_the_answer_leaves_it_open_whether_the_message_arrived(t):
    """A kept connection, after which a client would gladly send once more by itself."""
    service, db = twilio(t, patients=2, twilio_connections='1')
    service.answer = lambda request: Service.DROP if len(service.requests) == 2 else accepted(request)
    db.execute("SELECT send_registration(1, 'text')")
    db.execute("SELECT send_registration(2, 'text')")
    t.equal(len(service.requests), 2)
    t.equal(gateways.rows(t, db, 'status, duplicate, attempts'), [('sent', 0, 1), ('queued', 1, 1)])
    t.advance(3600)
    deliver(t, db, sent=1)
    t.equal(service.requests[1].form, service.requests[2].form)
    t.equal(gateways.rows(t, db, 'status, duplicate, attempts'), [('sent', 0, 1), ('sent', 1, 2)])


def test_an_answer_that_never_comes_is_given_up_before_the_deadline(t):
    service, db = twilio(t, lambda request: Service.HANG, patients=1, lease_seconds='10')
    t.contains(t.one(db, "SELECT send_registration(1, 'text')"), 'queued')
    t.equal(gateways.rows(t, db, 'status, duplicate'), [('queued', 1)])


def test_an_interrupt_ends_the_call_and_what_was_not_begun_is_as_before(t):
    service, db = twilio(t, patients=8, twilio_connections='3')
    service.answer = lambda request: Service.HANG if len(service.requests) > 2 else accepted(request)
    gateways.queue(t, db)
    interrupt = lambda: (wait_for(lambda: len(service.requests) == 5, 'all are under way'),
                         db.interrupt())
    watcher = threading.Thread(target=interrupt)
    watcher.start()
    t.refuses(db, 'SELECT deliver()', says='interrupted')
    watcher.join()
    t.equal(sorted(gateways.rows(t, db, 'status, attempts, duplicate')),
            [('queued', 0, 0)] * 3 + [('queued', 1, 1)] * 3 + [('sent', 1, 0)] * 2)
    t.equal(len(service.requests), 5)


def test_a_slow_answer_holds_up_no_other(t):
    gate = threading.Event()
    service, db = twilio(t, patients=20, twilio_connections='2')

    def answer(request):
        if request.form['To'].endswith('0001'):
            gate.wait(60)
        elif len(service.requests) == 20:
            gate.set()
        return accepted(request)
    service.answer = answer
    gateways.queue(t, db)
    deliver(t, db, sent=20)
    t.true(gate.is_set(), 'the slow one was waited for')


def test_an_answer_without_end_is_cut(t):
    service, db = twilio(t, lambda request: (201, 'x' * 1000000), patients=1)
    t.contains(t.one(db, "SELECT send_registration(1, 'text')"), 'queued')
    t.equal(gateways.rows(t, db, 'status, duplicate'), [('queued', 1)])


def test_a_certificate_is_verified(t):
    file, both = gateways.certificate(t.directory, 'localhost')
    service, db = twilio(t, patients=1, certificate=both)
    gateways.queue(t, db)
    stopped(t, db, 'certificate', retrying=1, waiting=1)
    db.execute("SELECT portal_setting('twilio_ca_file', ?)", [str(file)])
    t.advance(90)
    deliver(t, db, sent=1)
    t.equal(len(service.requests), 1)


def test_a_certificate_of_another_host_is_refused(t):
    file, both = gateways.certificate(t.directory, 'other.example')
    service, db = twilio(t, patients=1, certificate=both, twilio_ca_file=str(file))
    gateways.queue(t, db)
    stopped(t, db, 'certificate', retrying=1, waiting=1)
    t.equal(service.requests, [])


def test_plain_http_is_for_this_very_machine_alone(t):
    service, db = twilio(t)
    for url, tls, ready in (('http://127.0.0.1:1', 'auto', True), ('http://[::1]:1', 'auto', True),
                            ('http://127.0.0.1:1', 'required', False), ('http://192.0.2.1', 'auto', False),
                            ('http://127.0.0.1.example.com', 'auto', False),
                            ('http://127.example.com', 'auto', False), ('http://192.0.2.1', 'off', True),
                            ('ftp://127.0.0.1', 'off', False), ('https://api.twilio.com', 'auto', True),
                            ('https://api.twilio.com', 'never', False)):
        db.execute("SELECT portal_setting('twilio_url', ?), portal_setting('twilio_tls', ?)", [url, tls])
        t.equal(gateways.problem(t, db, 'twilio') is None, ready, f'{url} {tls}')


def test_what_goes_without_tls_is_shown_to_no_proxy(t):
    proxy = Service(accepted)
    os.environ['http_proxy'] = os.environ['ALL_PROXY'] = proxy.url
    service, db = twilio(t, patients=1)
    t.contains(t.one(db, "SELECT send_registration(1, 'text')"), 'sent by text')
    t.equal((len(service.requests), proxy.requests), (1, []))


def test_a_redirection_is_not_followed(t):
    other = Service(accepted)
    service, db = twilio(t, lambda request: (307, '', {'Location': f'{other.url}/stolen'}), patients=1)
    gateways.queue(t, db)
    stopped(t, db, '307', retrying=1, waiting=1)
    t.equal(other.requests, [])
