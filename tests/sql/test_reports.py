"""What gateways report later, through tests/clients/reports.py: what staff see of it."""
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

import gateways
import harness
import test_kannel
import test_twilio
from gateways import Service


def listener(t, db, port=None):
    """The program that takes reports for a practice; its portal_url, and the process."""
    port = port or gateways.free_ports(1)[0]
    process = subprocess.Popen([sys.executable, harness.ROOT / 'tests/clients/reports.py', t.file(db), str(port)],
                               cwd=harness.ROOT, stderr=t.path('reports.log').open('w'))
    gateways.wait_until(lambda: gateways.listens(port), 'reports are taken')
    return f'http://127.0.0.1:{port}', process


def reported(t, db):
    """A Kannel, and a practice whose reports are taken."""
    kannel = gateways.Kannel(t.path('kannel'))
    for key, value in {'kannel_url': kannel.url, 'portal_url': listener(t, db)[0]}.items():
        db.execute('SELECT portal_setting(?, ?)', [key, value])
    return kannel


def ask(url, form=None):
    """The status of the answer to a report."""
    try:
        with urllib.request.urlopen(url, form and urllib.parse.urlencode(form).encode()) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@harness.release_only
def test_what_kannel_reports_as_delivered_staff_see_as_delivered(t):
    db = test_kannel.practice(t, 'http://127.0.0.1:1', patients=200)
    kannel = reported(t, db)
    gateways.queue(t, db)
    # Reports come in while others are still handed over.
    test_kannel.deliver(t, db, sent=200)
    delivered = lambda: gateways.rows(t, db) == [('delivered',)] * 200
    gateways.wait_until(delivered, 'all is reported')
    t.equal(len(kannel.arrived()), 200)
    t.equal(t.one(db, 'SELECT token_valid(?)', test_kannel.token(kannel.arrived()[0][2])), 1)


@harness.release_only
def test_a_report_that_nobody_took_is_brought_again(t):
    kannel, db = test_kannel.gateway(t, patients=1, retries=30)
    port, = gateways.free_ports(1)
    db.execute("SELECT portal_setting('portal_url', ?)", [f'http://127.0.0.1:{port}'])
    db.execute("SELECT send_registration(1, 'text')")
    test_kannel.arrive(t, kannel, 1)
    listener(t, db, port)
    gateways.wait_until(lambda: gateways.rows(t, db) == [('delivered',)], 'the report comes again')


def test_what_kannel_reports_as_undelivered_has_failed_and_its_link_is_dead(t):
    """As it does with a network that tells: it puts a number where the address it was given has %d."""
    for status, became in ('2', 'failed'), ('16', 'failed'), ('1', 'delivered'), ('8', 'sent'), ('4', 'sent'):
        service = Service(lambda request: (202, '0: Accepted for delivery'))
        db = test_kannel.practice(t, f'{service.url}/sendsms', patients=1)
        db.execute("SELECT portal_setting('portal_url', ?)", [listener(t, db)[0]])
        db.execute("SELECT send_registration(1, 'text')")
        request = service.requests[0]
        t.equal(ask(request.headers['X-Kannel-DLR-URL'].replace('%d', status)), 200)
        t.equal(gateways.rows(t, db), [(became,)], status)
        t.equal(t.one(db, 'SELECT token_valid(?)', test_kannel.token(request.body)), int(became != 'failed'))
        if became == 'failed':
            t.contains(t.one(db, 'SELECT message FROM portal_status'), f'the gateway reports {status}')


def test_what_twilio_reports_later_staff_see(t):
    for status, error, became in (('sent', None, 'sent'), ('delivered', None, 'delivered'),
                                  ('undelivered', '30003', 'failed'), ('failed', '30005', 'failed')):
        service, db = test_twilio.twilio(t, patients=1, portal_url='https://p.example')
        db.execute("SELECT send_registration(1, 'text')")
        url = service.requests[0].form['StatusCallback'].replace('https://p.example', listener(t, db)[0])
        form = {'MessageSid': f'SM{"0" * 32}', 'MessageStatus': status, **({'ErrorCode': error} if error else {})}
        t.equal(ask(url, form), 200)
        t.equal(gateways.rows(t, db), [(became,)], status)
        if error:
            t.contains(t.one(db, 'SELECT message FROM portal_status'), f'the gateway reports {status} {error}')


def test_a_report_that_comes_before_the_answer_holds_and_no_other_message_suffers(t):
    for status, became in ('2', 'failed'), ('1', 'delivered'):
        for answered in (202, '0: Accepted for delivery'), (503, 'Temporal failure'), Service.DROP:
            def answer(request):
                if not request.headers['X-Kannel-To'].endswith('5'):
                    return 202, '0: Accepted for delivery'
                asked.append(ask(request.headers['X-Kannel-DLR-URL'].replace('%d', status)))
                return answered
            asked = []
            service = Service(answer)
            db = test_kannel.practice(t, f'{service.url}/sendsms', patients=10)
            db.execute("SELECT portal_setting('portal_url', ?)", [listener(t, db)[0]])
            gateways.queue(t, db)
            test_kannel.deliver(t, db, sent=10)
            t.equal(asked, [200])
            t.equal(sorted(gateways.rows(t, db)), sorted([('sent',)] * 9 + [(became,)]))
            text, = [request.body for request in service.requests if request.headers['X-Kannel-To'].endswith('5')]
            t.equal(t.one(db, 'SELECT token_valid(?)', test_kannel.token(text)), int(became == 'delivered'))


def test_a_report_without_the_claim_changes_nothing(t):
    service = Service(lambda request: (202, '0: Accepted for delivery'))
    db = test_kannel.practice(t, f'{service.url}/sendsms', patients=1)
    url, _ = listener(t, db)
    db.execute("SELECT portal_setting('portal_url', ?)", [url])
    db.execute("SELECT send_registration(1, 'text')")
    good = service.requests[0].headers['X-Kannel-DLR-URL'].replace('%d', '2')
    before = list(db.iterdump())
    for bad in (good.replace('claim=', 'claim=0'), good.replace('message=1', 'message=2'),
                good.replace('message=1', 'message='), good.replace('&claim', '&other'), f'{url}/reports/other',
                f'{url}/', good.replace('status=2', 'status=1').replace('claim=', 'claim=%00')):
        t.equal(ask(bad), 404, bad)
    t.equal(list(db.iterdump()), before)
    t.equal(ask(good), 200)
    t.equal(gateways.rows(t, db), [('failed',)])
