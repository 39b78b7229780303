"""A channel of somebody else's: tests/plugins/webhook.c, compiled with nothing of ours but portal.h."""
import json
import pathlib
import shutil

import flows
import gateways
import harness
from gateways import Service


def webhook(t, answer, patients=1):
    """The plugin in portal.d beside a copy of the extension, and a practice that sends both media by it."""
    folder = t.path('lib')
    (folder / 'portal.d').mkdir(parents=True)
    t.extension = pathlib.Path(shutil.copy(t.extension, folder / 'portal.so'))
    shutil.copy(harness.ROOT / 'build/tests/portal.d/webhook.so', folder / 'portal.d')
    service = Service(answer)
    return service, gateways.practice(t, 'webhook', patients, email_channel='webhook',
                                      webhook_url=f'{service.url}/messages')


def test_each_message_is_posted_as_json(t):
    service, db = webhook(t, lambda request: (204, ''), patients=2)
    db.execute("SELECT send_registration(1, 'text')")
    db.execute("SELECT send_registration(2, 'email')")
    text, mail = [json.loads(request.body) for request in service.requests]
    t.equal((text['kind'], text['to'], text['subject']), ('registration', '+12025550001', ''))
    t.equal((mail['kind'], mail['to']), ('registration', 'ada2@example.com'))
    t.true('/r/' in text['text'] and '/r/' in mail['text'] and mail['subject'])
    t.equal(gateways.rows(t, db, 'status, detail'), [('sent', 'the webhook answers 204')] * 2)


def test_its_settings_are_asked_for_listed_and_checked(t):
    service, db = webhook(t, lambda request: (200, ''))
    t.equal(t.one(db, "SELECT value FROM portal_settings WHERE key = 'webhook_url'"), f'{service.url}/messages')
    t.refuses(db, "SELECT portal_setting('webhook_url', 'nowhere')", says='scheme://host')
    db.execute("SELECT portal_setting('webhook_url', NULL)")
    t.equal(gateways.problem(t, db, 'webhook'), 'set webhook_url')


def test_what_the_webhook_answers_decides(t):
    answers = [(200, ''), (422, ''), (500, ''), Service.DROP]
    service, db = webhook(t, lambda request: answers[len(service.requests) - 1], patients=4)
    gateways.queue(t, db)
    t.equal(flows.ask(t, db, 'SELECT deliver()'), {'sent': 1, 'failed': 1, 'retrying': 2, 'waiting': 2})
    t.equal(gateways.rows(t, db, 'status, duplicate'),
            [('sent', 0), ('failed', 0), ('queued', 0), ('queued', 1)])
