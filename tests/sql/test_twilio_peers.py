"""The channel twilio and what others know of Twilio: Prism, which serves its public specification, and its own
library for Node, a second client of the same service."""
import json
import subprocess

import gateways
import harness
import test_twilio
from test_twilio import ACCOUNT, TOKEN
from waiting import free_ports, listens, wait_for

MESSAGES = '/2010-04-01/Accounts/{AccountSid}/Messages.json'


def specification(t):
    """Twilio's, of the resource that takes messages."""
    everything = json.loads(t.from_npm('twilio_api_v2010.json').read_text())
    return {**everything, 'paths': {MESSAGES: everything['paths'][MESSAGES]}}


def prism(t):
    """The URL of a service that takes and answers what the specification says."""
    t.path('specification.json').write_text(json.dumps(specification(t)))
    port, = free_ports(1)
    with t.path('prism.log').open('w') as log:
        subprocess.Popen(['node', t.from_npm('node_modules/.bin/prism'), 'mock', '-h', '127.0.0.1',
                          '-p', str(port), 'specification.json'], stdout=log, stderr=log, cwd=t.directory)
    wait_for(lambda: listens(port), 'Prism listens')
    return f'http://127.0.0.1:{port}'


def library(t, service, messages):
    """What Twilio's library reads in the answers to these messages."""
    t.from_npm('node_modules/twilio')
    url = service.url.replace('localhost', '127.0.0.1')     # for Node 18 localhost is ::1 alone
    done = subprocess.run(['node', t.from_npm('twilio.mjs'), url, ACCOUNT, TOKEN],
                          input=json.dumps(messages), capture_output=True, text=True)
    t.equal((done.returncode, done.stderr), (0, ''))
    return json.loads(done.stdout)


@harness.release_only
def test_what_is_posted_is_what_twilios_specification_takes(t):
    service, db = test_twilio.twilio(t, twilio_url=prism(t), portal_url='https://p.example')
    sent = ('sent', f'SM{"a" * 32} queued, as 1 segment')
    refused = ('queued', 'Twilio says 422 ')
    for settings, became in (({}, sent), ({'twilio_from': 'MG' + '7' * 32}, sent),
                             ({'twilio_from': 'MG7'}, refused), ({'twilio_from': '+15005550006'}, sent),
                             ({'twilio_account': 'AC5'}, refused)):
        for key, value in settings.items():
            db.execute('SELECT portal_setting(?, ?)', [key, value])
        db.execute("SELECT send_registration(?, 'text')", [t.patient(db)])
        t.equal(gateways.rows(t, db, 'status, detail')[-1], became, str(settings))


@harness.release_only
def test_twilios_library_posts_the_same_and_reads_the_same_in_every_answer(t):
    codes = {**test_twilio.UNDELIVERABLE, **test_twilio.OPTED_OUT, **test_twilio.WAITING, 20429: 429, 29999: 400,
             **{code: status for code, (status, _) in test_twilio.STOPPING.items()}}
    answers = [None, *codes]
    service, db = test_twilio.twilio(t, portal_url='https://p.example', practice_name='Praxis Ñ & Ö+50% = 和')

    def answer(request):
        code = answers[(len(service.requests) - 1) % len(answers)]
        return test_twilio.refused(codes[code], code, f'It is {code}.') if code else test_twilio.accepted(request)
    service.answer = answer
    for _ in answers:
        # A connection of its own, because some answers make the channel wait before the next message.
        other = t.connect(t.file(db))
        other.execute("SELECT send_registration(?, 'text')", [t.patient(other)])
        other.close()
    ours = [*service.requests]
    read = library(t, service, [
        {name[0].lower() + name[1:]: value for name, value in request.form.items()} for request in ours])
    theirs = service.requests[len(ours):]
    t.equal(len(ours), len(answers))
    for mine, other in zip(ours, theirs, strict=True):
        t.equal((mine.path, mine.query, mine.form), (other.path, other.query, other.form))
        t.equal(mine.headers['Authorization'], other.headers['Authorization'])
        t.equal(mine.headers['Content-Type'], other.headers['Content-Type'].partition(';')[0])
    details = [detail for detail, in gateways.rows(t, db, 'detail')]
    t.equal(details[0], f'{read[0]["sid"]} {read[0]["status"]}, as 2 segments')
    for detail, error in zip(details[1:], read[1:], strict=True):
        t.contains(detail, f'Twilio says {error["status"]}, error {error["code"]} {error["words"]}')
