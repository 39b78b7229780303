"""What SMS gateways call while the pages are served: a real Kannel, Twilio as its own library signs, and others."""
import concurrent.futures
import http.client
import json
import subprocess
import urllib.parse

import flows
import gateways
import harness
import snapshot
from browser import Browser, Server
from gateways import Service
from waiting import wait_for

FORM = 'application/x-www-form-urlencoded'
PASSWORD = 'brought-by-the-gateway'
TOKEN = 'the-auth-token'


def practice(t, channel, *options, patients=1, **settings):
    """A practice that sends through a channel, and its pages."""
    db = gateways.practice(t, channel, patients, **settings)
    server = Server(t, t.file(db), *options)
    db.execute("SELECT portal_setting('portal_url', ?)", [server.url])
    return db, server


def kannel(t, retries=0):
    """A Kannel that knows where replies go, and the practice that sends through it."""
    db, server = practice(t, 'kannel', kannel_reply_password=PASSWORD, kannel_password=gateways.Kannel.PASSWORD,
                          kannel_user=gateways.Kannel.USER, kannel_from='Clinic')
    gateway = gateways.Kannel(t.path('kannel'), retries,
                              f'{server.url}/callback/kannel?password={PASSWORD}&from=%p&text=%a')
    db.execute("SELECT portal_setting('kannel_url', ?)", [gateway.url])
    return db, server, gateway


def reported(t, *options):
    """The pages of a practice whose gateway took a message, and the path it is to report at, but for the status."""
    service = Service(lambda request: (202, '0: Accepted for delivery'))
    db, server = practice(t, 'kannel', *options, kannel_url=f'{service.url}/sendsms', kannel_user='clinic',
                          kannel_password='x', kannel_reply_password=PASSWORD)
    db.execute("SELECT send_registration(1, 'text')")
    return db, server, service.requests[0].headers['X-Kannel-DLR-URL'].removeprefix(server.url)


def ask(server, path, method='GET', body=None, **headers):
    return Browser(server).ask(method, path, body, **headers).status


def opted_out(t, db):
    return [contact for contact, in t.all(db, 'SELECT contact FROM portal_opt_outs')]


# Kannel

def test_what_kannel_reports_arrives_and_a_stop_and_a_start_do_as_they_say(t):
    db, server, gateway = kannel(t)
    db.execute("SELECT send_registration(1, 'text')")
    wait_for(lambda: gateways.rows(t, db) == [('delivered',)], 'the report comes')
    t.equal(flows.status(t, db, 1), 'sent')
    gateway.reply('+12025550001', 'Stop')
    wait_for(lambda: opted_out(t, db) == ['+12025550001'], 'STOP comes')
    t.contains(t.one(db, "SELECT send_problem(1, 'text')"), 'opted out')
    gateway.reply('+12025550001', 'START')
    wait_for(lambda: opted_out(t, db) == [], 'START comes')
    t.equal(len(gateway.arrived()), 1, 'nothing is sent back')
    for secret in (PASSWORD, t.one(db, 'SELECT claim FROM portal_message')):
        t.true(secret not in server.log.read_text(), 'a secret is in the log')


@harness.release_only
def test_what_kannel_reports_of_hundreds_is_taken_while_others_are_handed_over(t):
    db, server, gateway = kannel(t, retries=30)
    for _ in range(299):
        t.patient(db)
    gateways.queue(t, db)
    t.equal(flows.ask(t, db, 'SELECT deliver()')['sent'], 300)
    wait_for(lambda: gateways.rows(t, db) == [('delivered',)] * 300, 'all is reported')
    t.true('/callback/ 429 ' not in server.log.read_text(), 'the gateway was told to wait')


@harness.release_only
def test_a_report_that_nobody_took_is_brought_again(t):
    db, server, gateway = kannel(t, retries=30)
    server.end()
    db.execute("SELECT send_registration(1, 'text')")
    wait_for(gateway.arrived, 'the message arrives')
    server.start()
    wait_for(lambda: gateways.rows(t, db) == [('delivered',)], 'the report comes again')


# Twilio

def signed(t, requests):
    """What Twilio's library signs, and whether it believes the signatures given."""
    t.from_npm('node_modules/twilio')
    done = subprocess.run(['node', t.from_npm('callbacks.mjs'), TOKEN], input=json.dumps(requests),
                          capture_output=True, text=True)
    t.equal((done.returncode, done.stderr), (0, ''))
    return json.loads(done.stdout)


@harness.release_only
def test_what_twilios_library_signs_is_believed_and_nothing_else(t):
    service = Service(lambda request: (201, json.dumps({'sid': 'SM' + 'a' * 32, 'status': 'queued'})))
    db, server = practice(t, 'twilio', twilio_url=service.url, twilio_account='AC' + '0' * 32, twilio_token=TOKEN,
                          twilio_from='+15005550006')
    # As a proxy before the pages has it.
    db.execute("SELECT portal_setting('portal_url', 'https://p.example/portal')")
    db.execute("SELECT send_registration(1, 'text')")
    report = service.requests[0].form['StatusCallback']
    inbound = 'https://p.example/portal/callback/twilio'
    forms = [(report, {'MessageStatus': 'sent', 'To': '+1 202', 'Empty': '', 'ä': '和 & = % + 🏥', 'Zed': 'x', 'a': 'y'}),
             (report, {'MessageStatus': 'delivered', 'MessageSid': 'SM' + 'a' * 32}),
             (inbound, {'From': '+12025550001', 'Body': 'STOP', 'OptOutType': 'STOP'}),
             (inbound, {'From': '+12025550001', 'Body': 'Hello\r\nyou'}),
             (inbound.replace('p.example', 'p.example:443'), {'From': '+12025550001', 'Body': 'Hi'})]
    signatures = [one['signature'] for one in signed(t, [{'url': url, 'form': form} for url, form in forms])]
    # The library checks its own signatures as well.
    believed = signed(t, [{'url': url, 'form': form, 'signature': signature}
                          for (url, form), signature in zip(forms, signatures)])
    t.equal([one['believed'] for one in believed], [True] * len(forms))
    for (url, form), signature in zip(forms, signatures):
        path, body = url.partition('/portal')[2], urllib.parse.urlencode(form)
        for value, status in ((signature, 200), (signature.swapcase(), 403), ('', 403)):
            t.equal(ask(server, path, 'POST', body, Content_Type=FORM, X_Twilio_Signature=value), status, (url, value))
    t.equal(gateways.rows(t, db), [('delivered',)])
    t.equal(opted_out(t, db), ['+12025550001'])


# Anybody

def test_a_gateway_is_told_whether_it_was_believed_and_needs_no_form_of_ours(t):
    db, server, path = reported(t)
    before = snapshot.contents(db, ())
    for wrong, status in ((path.replace('claim=', 'claim=0'), 403), ('/callback/kannel', 403), ('/callback/kannel?password=x&from=1&text=STOP', 403),
                          ('/callback/other?x=y', 404), ('/callback/', 404), ('/callback', 404), ('/callback/kannel/x', 404),
                          ('/callback/' + 'x' * 500, 404), ('/callback/..%2fkannel', 404), ('/callback/%00', 404),
                          ('/callback/kannel?%ff', 403)):
        t.equal((wrong, ask(server, wrong)), (wrong, status))
        t.equal(ask(server, wrong, 'POST', 'x=y', Content_Type=FORM), status)
    t.equal(ask(server, path, 'PUT', 'x'), 405)
    t.equal(snapshot.contents(db, ()), before)
    t.equal(ask(server, path.replace('%d', '1')), 200)
    t.equal(gateways.rows(t, db), [('delivered',)])
    t.equal(ask(server, path.replace('%d', '2'), 'POST', '{}', Content_Type='application/json', Sec_Fetch_Site='cross-site'), 200)
    t.equal(gateways.rows(t, db), [('failed',)])
    t.true('claim' not in server.log.read_text() and 'message=1' not in server.log.read_text())


def test_a_body_of_any_kind_is_taken_up_to_its_limit(t):
    db, server, path = reported(t)
    path = path.replace('%d', '8')
    for body, status in ((b'', 200), (b'\xff\xfe', 200), (b'x' * 16384, 200), (b'x' * 16385, 413), (b'x' * 500000, 413), (b'a\0b', 400),
                         (b'&' * 16384, 200)):
        try:
            t.equal((len(body), ask(server, path, 'POST', body, Content_Type='application/octet-stream')), (len(body), status))
        except (http.client.RemoteDisconnected, ConnectionError):
            t.equal(status, 413)
    t.equal(gateways.rows(t, db), [('sent',)])


def test_who_forges_without_end_is_told_to_wait_and_a_gateway_never_is(t):
    db, server, path = reported(t, '--posts', '5', '--proxies', '127.0.0.1')
    good = path.replace('%d', '1')
    def call(wanted, address):
        return ask(server, wanted, X_Forwarded_For=address)
    t.equal([call(good.replace('claim=', 'claim=0'), '203.0.113.7') for _ in range(8)], [403] * 5 + [429] * 3)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        t.equal({*pool.map(lambda _: call(good, '203.0.113.8'), range(200))}, {200})
    t.equal(gateways.rows(t, db), [('delivered',)])


def test_while_another_process_writes_the_provider_is_asked_to_come_again(t):
    db, server, path = reported(t)
    good = path.replace('%d', '1')
    db.execute('BEGIN IMMEDIATE')
    page = Browser(server).ask('GET', good)
    t.equal((page.status, page.headers['Retry-After']), (503, '5'))
    t.equal(ask(server, good.replace('claim=', 'claim=0')), 403, 'a forged one does not wait')
    db.execute('ROLLBACK')
    t.equal(ask(server, good), 200)
