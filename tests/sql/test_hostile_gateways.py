"""What web services answer that are broken or wish us harm, to both channels of text messages."""
import gzip
import itertools
import time

import flows
import gateways
from gateways import Service

SECRET = 'nobody/may+see%this'
SETTINGS = {'kannel': {'kannel_user': 'clinic', 'kannel_password': SECRET},
            'twilio': {'twilio_account': 'AC' + '5' * 32, 'twilio_token': SECRET, 'twilio_from': '+15005550006'}}


def head(status, *fields):
    return ''.join(f'{line}\r\n' for line in (f'HTTP/1.1 {status}', *fields, '')).encode()


# Pieces of answers, some of them without end, after which nobody knows whether the message was taken.
UNCLEAR = {
    'a body without end': lambda: itertools.chain([head('200 OK')], itertools.repeat(b'x' * 65536)),
    'a head without end': lambda: itertools.chain([head('201 OK')[:-2]], itertools.repeat(b'A: b\r\n' * 9999)),
    'a line without end': lambda: itertools.chain([b'HTTP/1.1 202 OK\r\nA: '], itertools.repeat(b'b' * 65536)),
    'patience without end': lambda: itertools.repeat(head('100 Continue') * 1000),
    'a head of a megabyte': lambda: [head('202 OK', f'A: {"b" * 1000000}'), b'0: Accepted'],
    'chunks that are none': lambda: [head('202 OK', 'Transfer-Encoding: chunked'), b'zz\r\n0: Accepted\r\n'],
    'a chunk too large': lambda: [head('202 OK', 'Transfer-Encoding: chunked'), b'f' * 20 + b'\r\n0: Accepted'],
    'less than announced': lambda: [head('202 OK', 'Content-Length: 1000'), b'0: Accepted'],
    'less than nothing': lambda: [head('202 OK', 'Content-Length: -1'), b'0: Accepted'],
    'what grows': lambda: [head('200 OK', 'Content-Encoding: gzip'), gzip.compress(b'0' * 10000000)],
    'what grows on the way': lambda: [head('200 OK', 'Transfer-Encoding: gzip'), gzip.compress(b'0' * 10000000)],
    'a page': lambda: [head('200 OK', 'Content-Type: text/html'), b'<html><title>Welcome</title>'],
    'depth': lambda: [head('201 OK'), b'{"sid":' * 10000],
    'no HTTP': lambda: [b'0: Accepted for delivery\n'],
    'a status too large': lambda: [head('99999999999 OK'), b'0: Accepted'],
    'nothing': lambda: [],
}
WAITS = {'-1': 60, '-99999999999999999999': 60, '1000000000000': 86400, '9' * 30: 60, 'tomorrow': 60,
         'Sun, 06 Nov 1994 08:49:37 GMT': 60, 'Sun, 06 Nov 2094 08:49:37 GMT': 86400}


def practice(t, channel, answer):
    """Of one patient, who waits for a text message."""
    service = Service(answer)
    db = gateways.practice(t, channel, 1, **SETTINGS[channel], **{f'{channel}_url': service.url})
    gateways.queue(t, db)
    return service, db


def test_an_answer_that_says_nothing_leaves_it_open_whether_the_message_arrived(t):
    started = time.monotonic()
    for channel in SETTINGS:
        service, db = practice(t, channel, lambda request: pieces())
        for what, pieces in UNCLEAR.items():
            t.equal(flows.ask(t, db, 'SELECT deliver(1)')['retrying'], 1, f'{channel}: {what}')
            t.equal(gateways.rows(t, db, 'status, duplicate')[-1], ('queued', 1), f'{channel}: {what}')
            t.patient(db)
            gateways.queue(t, db)
        t.equal(len(service.requests), len(UNCLEAR))
    t.true(time.monotonic() - started < 30, 'some answer was waited for to its end')


def test_a_patience_that_makes_no_sense_is_not_had(t):
    for channel in SETTINGS:
        for value, seconds in WAITS.items():
            service, db = practice(t, channel, lambda request: (429, '', {'Retry-After': value}))
            t.equal(flows.ask(t, db, 'SELECT deliver()'), {'sent': 0, 'failed': 0, 'retrying': 1, 'waiting': 1})
            due, = t.one(db, 'SELECT due_at - unixepoch() FROM portal_message'),
            t.true(seconds <= due <= 1.25 * seconds, f'{channel}, {value}: due in {due} seconds')


def test_a_service_that_repeats_the_credential_has_it_shown_to_nobody(t):
    for channel in SETTINGS:
        for status in 400, 403, 503:
            words = f'wrong: {SECRET} and {SECRET}{SECRET[:5]}'
            service, db = practice(t, channel, lambda request: (status, f'{{"message": "{words}"}}'))
            answer = t.one(db, 'SELECT deliver()')
            t.contains(gateways.rows(t, db, 'detail')[0][0], 'wrong: ***')
            everything = [answer, *db.iterdump(), *t.all(db, 'SELECT * FROM portal_outbox'),
                          *t.all(db, 'SELECT * FROM portal_events'), *t.all(db, 'SELECT * FROM portal_channels')]
            t.true(SECRET not in str(everything), f'{channel}: the credential is told')


def test_what_a_service_says_is_told_on_one_line_of_letters(t):
    for channel in SETTINGS:
        # JSON writes control characters as escapes; Kannel's words are its first line as it is.
        words = 'no\u202e' + {'twilio': r'\u001b[31m\r\n', 'kannel': '\x1b[31m\t'}[channel] + 'To: all \u200bäß'
        service, db = practice(t, channel, lambda request: (500, f'{{"message": "{words}"}}'))
        db.execute('SELECT deliver()')
        detail, = gateways.rows(t, db, 'detail')[0]
        t.contains(detail, '500', 'no', 'To: all', 'äß')
        t.equal([hex(ord(letter)) for letter in detail if not letter.isprintable()], [])
