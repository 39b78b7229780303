"""What providers say later, as portal_callback() takes it: what staff see of it, and what nobody can forge."""
import base64
import hashlib
import hmac
import json
import time
import urllib.parse

import gateways
import harness
import snapshot
import test_kannel
import test_twilio
from gateways import Service

TAKEN, REFUSED, UNKNOWN = ({'result': result} for result in ('taken', 'refused', 'unknown'))
PASSWORD = 'brought-by-the-gateway'


def page(t, db):
    """A connection of the page's."""
    other = t.connect(t.file(db))
    other.execute("SELECT portal_as('portal', '203.0.113.7')")
    return other


def call(t, db, channel, query='', headers=None, body=None):
    return json.loads(t.one(db, 'SELECT portal_callback(?, ?, ?, ?)', channel, query, json.dumps(headers or {}), body))


def kannel(t, patients=1, **settings):
    """A practice, and the query of the report on its first message, but for its status."""
    service = Service(lambda request: (202, '0: Accepted for delivery'))
    db = test_kannel.practice(t, f'{service.url}/sendsms', patients, portal_url='http://127.0.0.1:8080',
                              kannel_reply_password=PASSWORD, **settings)
    db.execute("SELECT send_registration(1, 'text')")
    request = service.requests[0]
    return db, urllib.parse.urlsplit(request.headers['X-Kannel-DLR-URL']).query, request.body


def twilio(t, portal_url='https://p.example', **settings):
    """A practice, and the URL of the report on its first message."""
    service, db = test_twilio.twilio(t, patients=1, portal_url=portal_url, **settings)
    db.execute("SELECT send_registration(1, 'text')")
    return db, service.requests[0].form['StatusCallback']


def signature(url, form, token=test_twilio.TOKEN):
    """As https://www.twilio.com/docs/usage/security has it."""
    data = url + ''.join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.digest(token.encode(), data.encode(), hashlib.sha1)).decode()


def twilio_calls(t, db, url, form, signed=None, name='X-Twilio-Signature'):
    query = urllib.parse.urlsplit(url).query
    return call(t, db, 'twilio', query, {name: signed or signature(url, form)}, urllib.parse.urlencode(form))


def opt_outs(t, db):
    return t.all(db, 'SELECT contact, opted_out_by FROM portal_opt_outs')


# Kannel

def test_what_kannel_reports_staff_see_and_the_audit_says_who_told(t):
    for status, became in ('2', 'failed'), ('16', 'failed'), ('1', 'delivered'), ('8', 'sent'), ('4', 'sent'), ('99', 'sent'):
        db, query, text = kannel(t)
        web = page(t, db)
        for _ in range(2):
            t.equal(call(t, web, 'kannel', query.replace('%d', status)), TAKEN)
            t.equal(gateways.rows(t, db), [(became,)], status)
        t.equal(t.one(db, 'SELECT token_valid(?)', test_kannel.token(text)), int(became != 'failed'))
        if became == 'failed':
            t.contains(t.one(db, 'SELECT message FROM portal_status'), f'Kannel reports {status}')
            t.equal(t.all(db, "SELECT application, actor FROM portal_audit WHERE action = 'message.failed'"),
                    [('portal', 'kannel')])
        t.equal(t.one(web, "SELECT portal_as('portal')"), 'portal as 203.0.113.7')
        t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_a_report_that_comes_before_the_answer_holds_and_no_other_message_suffers(t):
    for status, became in ('2', 'failed'), ('1', 'delivered'):
        for answered in (202, '0: Accepted for delivery'), (503, 'Temporal failure'), Service.DROP:
            def answer(request):
                if not request.headers['X-Kannel-To'].endswith('5'):
                    return 202, '0: Accepted for delivery'
                query = urllib.parse.urlsplit(request.headers['X-Kannel-DLR-URL']).query
                asked.append(call(t, t.connect(file, check_same_thread=False), 'kannel', query.replace('%d', status)))
                return answered
            asked = []
            service = Service(answer)
            db = test_kannel.practice(t, f'{service.url}/sendsms', patients=10)
            gateways.queue(t, db)
            file = t.file(db)
            test_kannel.deliver(t, db, sent=10)
            t.equal(asked, [TAKEN])
            t.equal(sorted(gateways.rows(t, db)), sorted([('sent',)] * 9 + [(became,)]))
            text, = [request.body for request in service.requests if request.headers['X-Kannel-To'].endswith('5')]
            t.equal(t.one(db, 'SELECT token_valid(?)', test_kannel.token(text)), int(became == 'delivered'))


def test_a_report_without_the_claim_is_refused_and_changes_nothing(t):
    db, query, _ = kannel(t)
    web, good = page(t, db), query.replace('%d', '2')
    before = snapshot.contents(db, ())
    for bad in (good.replace('claim=', 'claim=0'), good.replace('message=1', 'message=2'), good.replace('message=1', 'message='),
                good.replace('message=1', 'message=1e0'), good.replace('message=1', 'message=' + '9' * 30),
                good.replace('&claim', '&other'), good + '&%00', good.replace('claim=', 'claim=%00'), good.replace('claim=', 'claim=' + 'x' * 99),
                'claim=x&' + good, '&' * 5000, 'x&' * 101 + good, '', '=', 'claim=', 'x' * 70000, 'message=1&claim=%',
                good.replace('claim=', 'claim=0').replace('status=2', 'status=8')):
        t.equal(call(t, web, 'kannel', bad), REFUSED, bad[:80])
        t.equal(snapshot.contents(db, ()), before, bad[:80])
    t.equal(call(t, web, 'kannel', good + '&x=%&%zz'), TAKEN)
    t.equal(gateways.rows(t, db), [('failed',)])


def test_a_report_that_comes_too_late_is_taken_and_changes_nothing(t):
    db, query, _ = kannel(t)
    web = page(t, db)
    t.equal(call(t, web, 'kannel', query.replace('%d', '2')), TAKEN)
    before = snapshot.contents(db, ())
    for status in '1', '2', '8':
        t.equal(call(t, web, 'kannel', query.replace('%d', status)), TAKEN)
        t.equal(snapshot.contents(db, ()), before)


def reply(password=PASSWORD, sender='+12025550001', text='STOP'):
    return urllib.parse.urlencode({'password': password, 'from': sender, 'text': text})


def test_stop_opts_the_number_out_and_start_in_again_in_all_their_words(t):
    db, _, _ = kannel(t)
    web = page(t, db)
    for word in ('STOP', 'stop', ' Stop:. ', 'STOPALL', 'stop all', 'UNSUBSCRIBE', 'Cancel', 'END', 'Quit', 'revoke', 'Opt-out'):
        t.equal(call(t, web, 'kannel', reply(text=word)), TAKEN)
        t.equal(opt_outs(t, db), [('+12025550001', 'portal:kannel')], word)
        again = ('START', 'Yes', 'unstop')[len(word) % 3]
        t.equal(call(t, web, 'kannel', reply(text=again)), TAKEN)
        t.equal(opt_outs(t, db), [], again)
    for word in ('HELP', 'Please do not stop', 'stopp', 'stop2', 'STOP ñ', 'unsubscribeunsubscribe', '', '停止', 'yes please'):
        t.equal(call(t, web, 'kannel', reply(text=word)), TAKEN)
        t.equal(opt_outs(t, db), [], word)
    t.equal({row[0] for row in t.all(db, "SELECT actor FROM portal_audit WHERE action LIKE 'contact.opted%'")}, {'kannel'})


def test_the_number_of_a_reply_is_read_however_the_gateway_writes_it(t):
    db, _, _ = kannel(t)
    web = page(t, db)
    for sender in ('+12025550001', '12025550001', '2025550001', '0012025550001'):
        t.equal(call(t, web, 'kannel', reply(sender=sender)), TAKEN)
        t.equal(opt_outs(t, db), [('+12025550001', 'portal:kannel')], sender)
        call(t, web, 'kannel', reply(sender=sender, text='START'))
    for sender in ('100', '', 'Clinic', 'x' * 400, '+1', '\x01', 'ada'):
        t.equal(call(t, web, 'kannel', reply(sender=sender)), TAKEN)
        t.equal(opt_outs(t, db), [], sender)


def test_a_reply_without_the_password_of_the_practice_is_refused(t):
    db, _, _ = kannel(t)
    web = page(t, db)
    for password in ('', 'x', PASSWORD[:-1], PASSWORD + 'x', PASSWORD.upper(), 'x' * 500):
        t.equal(call(t, web, 'kannel', reply(password)), REFUSED)
    db.execute("SELECT portal_secret('kannel_reply_password', NULL)")
    for password in ('', PASSWORD):
        t.equal(call(t, web, 'kannel', reply(password)), REFUSED)
    t.equal(opt_outs(t, db), [])


# Twilio

def test_what_twilio_reports_under_its_signature_staff_see(t):
    for status, error, became in (('sent', None, 'sent'), ('queued', None, 'sent'), ('delivered', None, 'delivered'),
                                  ('undelivered', '30003', 'failed'), ('failed', '30005', 'failed'),
                                  ('failed', '21610', 'opted_out')):
        db, url = twilio(t)
        web = page(t, db)
        form = {'MessageSid': f'SM{"0" * 32}', 'MessageStatus': status, 'From': '+15005550006', 'ApiVersion': '2010-04-01',
                'To': 'Ñ & Ö+50% = 和', 'Empty': '', **({'ErrorCode': error} if error else {})}
        for name in ('X-Twilio-Signature', 'x-twilio-signature'):
            t.equal(twilio_calls(t, web, url, form, name=name), TAKEN)
        t.equal(gateways.rows(t, db), [(became,)], status)
        t.equal(len(opt_outs(t, db)), int(became == 'opted_out'))
        if became == 'failed':
            t.contains(t.one(db, 'SELECT message FROM portal_status'), f'Twilio reports {status}, error {error}')


def test_what_twilio_did_not_sign_is_refused_and_changes_nothing(t):
    db, url = twilio(t)
    web = page(t, db)
    form = {'MessageStatus': 'undelivered', 'ErrorCode': '30003'}
    good = signature(url, form)
    before = snapshot.contents(db, ())
    for wrong in (None, '', 'x', good[:-1], good + '=', good.lower(), 'A' * 27 + '=', signature(url, form, ''), signature(url, form, 'other'),
                  signature(url.replace('https', 'http'), form), signature(url, {}), signature(url + '&x=y', form)):
        t.equal(call(t, web, 'twilio', urllib.parse.urlsplit(url).query, {'X-Twilio-Signature': wrong}, urllib.parse.urlencode(form)),
                REFUSED, wrong)
    for changed in ({**form, 'MessageStatus': 'delivered'}, {**form, 'x': 'y'}, {'MessageStatus': 'undelivered'}, {}):
        t.equal(twilio_calls(t, web, url, changed, good), REFUSED, changed)
    t.equal(twilio_calls(t, web, url.replace('message=1', 'message=2'), form, good), REFUSED)
    t.equal(twilio_calls(t, web, f'{url}&%00', form), REFUSED, 'signed, and no query')
    t.equal(twilio_calls(t, web, url.replace('claim=', 'claim=0'), form), REFUSED)
    t.equal(snapshot.contents(db, ()), before)
    db.execute("SELECT portal_secret('twilio_token', NULL)")
    t.equal(twilio_calls(t, web, url, form, signature(url, form, '')), REFUSED)
    t.equal(gateways.rows(t, db), [('sent',)])


def test_the_signature_holds_whether_twilio_writes_the_port_or_not(t):
    form = {'MessageStatus': 'delivered'}
    for portal_url, signed in (('https://p.example', 'https://p.example:443'), ('https://p.example:8443', 'https://p.example'),
                               ('https://p.example:8443/portal', 'https://p.example/portal'),
                               ('https://p.example/portal', 'https://p.example/portal')):
        db, url = twilio(t, portal_url)
        t.equal(twilio_calls(t, page(t, db), url, form, signature(url.replace(portal_url, signed), form)), TAKEN, portal_url)


def test_a_reply_that_twilio_signed_opts_out_and_in_and_its_own_word_goes_before_the_text(t):
    db, _ = twilio(t)
    web, url = page(t, db), 'https://p.example/callback/twilio'
    for text, kind, out in (('Stop', None, 1), ('Hello', None, 1), ('START', None, 0), ('ALTO', 'STOP', 1), ('STOP', 'HELP', 1),
                            ('Hola', 'START', 0), ('STOP', 'HELP', 0)):
        form = {'From': '+12025550001', 'To': '+15005550006', 'Body': text, **({'OptOutType': kind} if kind else {})}
        t.equal(twilio_calls(t, web, url, form), TAKEN)
        t.equal(opt_outs(t, db), [('+12025550001', 'portal:twilio')] * out, (text, kind))
    query = urllib.parse.urlencode({'From': '+12025550001', 'Body': 'STOP'})
    t.equal(call(t, web, 'twilio', query, {'X-Twilio-Signature': signature(f'{url}?{query}', {})}), TAKEN)
    t.equal(len(opt_outs(t, db)), 1, 'by GET')


def test_a_field_that_comes_twice_counts_once_in_the_signature(t):
    db, url = twilio(t)
    for body, signed in (('a=2&a=1&a=2', 'a1a2'), ('a=1&a=1', 'a1'), ('ab=c&a=bc', 'abcabc')):
        body, signed = f'{body}&MessageStatus=sent', f'{url}MessageStatussent{signed}'
        digest = base64.b64encode(hmac.digest(test_twilio.TOKEN.encode(), signed.encode(), hashlib.sha1)).decode()
        t.equal(call(t, db, 'twilio', urllib.parse.urlsplit(url).query, {'X-Twilio-Signature': digest}, body), TAKEN)


# Anybody

def test_what_is_no_callback_is_answered_as_data_and_changes_nothing(t):
    db, query, _ = kannel(t)
    web, good = page(t, db), query.replace('%d', '2')
    before = snapshot.contents(db, ())
    for channel in ('maildir', 'smtp', 'nothing', '', '../portal.d/kannel', 'Kannel', 'kannel.so', 'kannel\n', 'x' * 5000, None, 'é', b'\xff'.decode('latin1')):
        t.equal(json.loads(t.one(web, "SELECT portal_callback(?, ?, '{}', '')", channel, good)), UNKNOWN, channel)
    for headers in ('[', '{"x"', '{"x": {}}', '[]', 'x', '{"x": "\\u0000"}', '{"x": null', '{' + ','.join(f'"{n}": "x"' for n in range(200)) + '}', '{}x'):
        t.equal(json.loads(t.one(web, "SELECT portal_callback('kannel', ?, ?, '')", good, headers)), REFUSED, headers[:40])
    for sides in (('{"x": "' + 'x' * 65536 + '"}', ''), ('{}', 'x' * 65537)):
        t.equal(json.loads(t.one(web, "SELECT portal_callback('kannel', ?, ?, ?)", good, *sides)), REFUSED)
    for sql in ("'a' || char(0)", "CAST(x'ff' AS TEXT)", 'NULL', 'zeroblob(0) || 1', 'hex(zeroblob(40000))', '1e308', '7'):
        t.equal(json.loads(t.one(web, f"SELECT portal_callback('kannel', {sql}, NULL, NULL)")), REFUSED, sql)
    t.equal(snapshot.contents(db, ()), before)
    t.equal(json.loads(t.one(web, "SELECT portal_callback('kannel', ?, NULL, NULL)", good)), TAKEN)


def test_the_scheduling_application_takes_no_callbacks(t):
    db, query, _ = kannel(t)
    db.execute("SELECT portal_as('scheduling')")
    t.refuses(db, "SELECT portal_callback('kannel', ?, NULL, NULL)", query, says='not available')


def test_a_database_that_another_connection_writes_to_says_so_that_the_provider_comes_again(t):
    db, query, _ = kannel(t)
    web = page(t, db)
    web.execute('PRAGMA busy_timeout = 1')
    db.execute('BEGIN IMMEDIATE')
    t.refuses(web, "SELECT portal_callback('kannel', ?, NULL, NULL)", query.replace('%d', '1'), says='locked')
    # What is forged never waits for the lock.
    t.equal(call(t, web, 'kannel', query.replace('claim=', 'claim=0')), REFUSED)
    db.execute('ROLLBACK')
    t.equal(call(t, web, 'kannel', query.replace('%d', '1')), TAKEN)


@harness.release_only
def test_hundreds_of_reports_a_second_are_taken(t):
    db, query, _ = kannel(t)
    web, start = page(t, db), time.monotonic()
    for _ in range(500):
        t.equal(call(t, web, 'kannel', query.replace('%d', '1')), TAKEN)
    t.true(time.monotonic() - start < 20, time.monotonic() - start)
