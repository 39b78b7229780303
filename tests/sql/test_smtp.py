"""The channel smtp against real mail servers, and against what no real one would do."""
import collections
import itertools
import json
import re
import sqlite3
import subprocess
import threading
import time

import aftermath
import harness
import mailservers as servers
from waiting import free_port, wait_for

TRUST = {'smtp_tls': 'required', 'smtp_user': servers.USER}


def practice(t, messages, **settings):
    """A practice with so many mails queued, sent by nobody yet; the settings are those of smtp."""
    db = t.database(journal='wal')
    configure(db, practice_name='Praxis Dr. Müller', mail_from='portal@praxis.example', email_channel='none')
    db.execute('BEGIN')
    for _ in range(messages):
        t.patient(db)
    db.execute("INSERT INTO send_registration SELECT patient_id, 'email' FROM patient")
    db.execute('COMMIT')
    configure(db, email_channel='smtp', **settings)
    return db


def configure(db, **settings):
    for key, value in settings.items():
        db.execute('SELECT portal_setting(?, ?)', [key, value])


def url(port, host='127.0.0.1', scheme='smtp'):
    return f'{scheme}://{host}:{port}'


def rows(t, db):
    """How many messages there are of each status, attempts, duplicate and detail."""
    return collections.Counter(t.all(db, 'SELECT status, attempts, duplicate, detail FROM portal_message'))


def outcomes(t, db):
    """The rows of messages without their details."""
    return collections.Counter(t.all(db, 'SELECT status, attempts, duplicate FROM portal_message'))


def sent(t, db):
    return t.one(db, "SELECT count(*) FROM portal_message WHERE status = 'sent'")


def headers(envelopes):
    return sorted(re.search(rb'(?m)^Message-ID: (\S+)', envelope.content)[1] for envelope in envelopes)


# Servers that work

def test_every_mail_is_found_once_in_the_maildir_of_postfix_over_starttls_and_auth(t):
    certificate = servers.certificate(t, 'localhost')
    postfix = servers.Postfix(t, certificate)
    db = practice(t, 100, smtp_url=url(postfix.port, 'localhost'), smtp_ca_file=str(certificate), **TRUST)
    db.execute("SELECT portal_secret('smtp_password', ?)", [servers.PASSWORD])
    db.execute('SELECT deliver()')
    t.equal(outcomes(t, db), {('sent', 1, 0): 100})
    wait_for(lambda: len(postfix.delivered()) >= 100, 'mail in the Maildir')
    mails = [harness.parse_mail(file) for file in postfix.delivered()]
    t.equal(sorted(mail['To'] for mail in mails),
            sorted(row[0] for row in t.all(db, 'SELECT recipient FROM portal_message')))
    t.equal(len({mail['Message-ID'] for mail in mails}), 100)
    for mail in mails:
        t.true(t.link(mail) and t.html(mail), 'no link')
        t.equal(mail['From'].addresses[0].display_name, 'Praxis Dr. Müller')
    for address, outcome, words in (('nosuch', 'failed', '550 5.1.1'), ('busy', 'queued', '451 4.2.1')):
        patient_id = t.patient(db, email=f'{address}@example.com')
        db.execute("SELECT send_registration(?, 'email')", [patient_id])
        status, detail = db.execute('SELECT status, detail FROM portal_message WHERE patient_id = ?',
                                    [patient_id]).fetchone()
        t.equal(status, outcome)
        t.contains(detail, words)


def test_connections_are_kept_from_one_delivery_to_the_next(t):
    handler = servers.Handler()
    db = practice(t, 0, smtp_url=url(servers.aiosmtpd(t, handler)))
    for _ in range(5):
        db.execute("SELECT send_registration(?, 'email')", [t.patient(db)])
    t.equal((len(handler.envelopes), handler.connections), (5, 1))
    configure(db, smtp_timeout=7)
    db.execute("SELECT send_registration(?, 'email')", [t.patient(db)])
    t.equal((len(handler.envelopes), handler.connections), (6, 2), 'another account')


def test_a_kept_connection_that_the_server_has_closed_costs_no_attempt(t):
    handler = servers.Handler()
    db = practice(t, 0, smtp_url=url(servers.aiosmtpd(t, handler, timeout=1)))
    for _ in range(2):
        db.execute("SELECT send_registration(?, 'email')", [t.patient(db)])
        time.sleep(1.5)
    t.equal(outcomes(t, db), {('sent', 1, 0): 2})
    t.equal(handler.connections, 2)


def test_a_server_that_ends_its_connections_after_some_messages_gets_the_rest_on_others(t):
    class Few(servers.Handler):
        async def handle_MAIL(self, server, session, envelope, address, options):
            session.taken = getattr(session, 'taken', 0) + 1
            if session.taken > 3:
                return '421 4.7.0 too many messages in this connection'
            envelope.mail_from = address
            return '250 ok'
    handler = Few()
    db = practice(t, 40, smtp_url=url(servers.aiosmtpd(t, handler)), smtp_connections=2)
    db.execute('SELECT deliver()')
    t.equal(outcomes(t, db), {('sent', 1, 0): 40}, str(rows(t, db)))
    t.equal(len(set(headers(handler.envelopes))), len(handler.envelopes))


def test_a_server_that_takes_few_connections_gets_everything_on_those(t):
    lock = threading.Lock()
    counts = {'open': 0, 'taken': 0}

    def reply(verb):
        if verb == '.':
            with lock:
                counts['taken'] += 1
        return b'354 go\r\n' if verb == 'DATA' else b'250 ok\r\n'

    def talk(connection):
        with lock:
            counts['open'] += 1
            allowed = counts['open'] <= 2
        if not allowed:
            connection.sendall(b'421 4.7.0 too many connections\r\n')
            return
        servers.answering(reply)(connection)
    db = practice(t, 30, smtp_url=url(servers.conversation(t, talk)))
    db.execute('SELECT deliver()')
    t.equal((counts['taken'], outcomes(t, db)), (30, {('sent', 1, 0): 30}), str(rows(t, db)))


def test_an_internationalised_address_goes_only_to_a_server_that_takes_such(t):
    for utf8, status in ((True, 'sent'), (False, 'failed')):
        handler = servers.Handler()
        db = practice(t, 0, smtp_url=url(servers.aiosmtpd(t, handler, enable_SMTPUTF8=utf8)))
        db.execute("SELECT send_registration(?, 'email')", [t.patient(db, email='josé@example.com')])
        t.equal(t.one(db, 'SELECT status FROM portal_message'), status)
        t.equal([envelope.rcpt_tos for envelope in handler.envelopes], [['josé@example.com']] if utf8 else [])


def test_one_slow_reply_does_not_hold_up_the_rest(t):
    db = practice(t, 20, smtp_url=url(servers.sink(t, '-W', '.:1')))
    start = time.monotonic()
    db.execute('SELECT deliver()')
    t.equal(sent(t, db), 20)
    t.true(time.monotonic() - start < 10, 'as slow as one after the other')


def deliver_together(t, number, path):
    db = t.connect(path, timeout=60)
    t.together()
    return json.loads(t.one(db, 'SELECT deliver()'))['sent']


def test_processes_that_hand_over_at_once_send_each_mail_once(t):
    port, kept = servers.keeping_sink(t)
    db = practice(t, 1000, smtp_url=url(port))
    counts = t.parallel(3, deliver_together, t.file(db))
    t.equal((sum(counts), outcomes(t, db)), (1000, {('sent', 1, 0): 1000}))
    headers = aftermath.message_ids(kept)
    t.equal((len(headers), len(set(headers))), (1000, 1000), f'{counts}')


# Refusals

def test_each_fault_of_a_server_has_its_result(t):
    """The switches of smtp-sink: what becomes of the message, at the first try and a minute later."""
    lost = 'the mail server closed the connection'
    hard, soft, gone = '500 5.3.0', '450 4.3.0', '421'
    cases = {
        '-r MAIL': ('queued', 0, soft), '-r RCPT': ('queued', 0, soft), '-r DATA': ('queued', 0, soft),
        '-r .': ('queued', 0, soft), '-r CONNECT': ('queued', 0, '450'), '-r EHLO,HELO': ('queued', 0, 'Remote access denied: 450'),
        '-f MAIL': ('failed', 0, hard), '-f RCPT': ('failed', 0, hard), '-f DATA': ('failed', 0, hard),
        '-f .': ('failed', 0, hard), '-f CONNECT': ('queued', 0, '500'),
        '-Q CONNECT': ('queued', 0, '421'), '-Q MAIL': ('queued', 0, gone), '-Q RCPT': ('queued', 0, gone),
        '-Q DATA': ('queued', 0, gone), '-Q .': ('queued', 0, gone),
        '-q MAIL': ('queued', 0, lost), '-q RCPT': ('queued', 0, lost), '-q DATA': ('queued', 0, lost),
        '-q .': ('queued', 1, lost), '-A 0': ('failed', 0, '550'),
        '-q RSET': ('sent', 0, '250'), '-q QUIT': ('sent', 0, '250'), '-p': ('sent', 0, '250'),
        '-e -8 -N': ('sent', 0, '250'),
    }
    wrong = []
    for switches, expected in cases.items():
        db = practice(t, 1, smtp_url=url(servers.sink(t, *switches.split())))
        deliver(db)
        status, duplicate, detail = db.execute('SELECT status, duplicate, detail FROM portal_message').fetchone()
        if (status, duplicate) != expected[:2] or expected[2] not in detail:
            wrong.append((switches, status, duplicate, detail))
    t.equal(wrong, [])


def deliver(db):
    """What stopped it, or None."""
    try:
        return json.loads(db.execute('SELECT deliver()').fetchone()[0]).get('stopped')
    except sqlite3.Error as error:
        return str(error)


def test_what_was_dropped_after_its_end_is_tried_once_more_and_may_be_a_duplicate(t):
    db = practice(t, 1, smtp_url=url(servers.sink(t, '-q', '.')))
    deliver(db)
    t.equal(outcomes(t, db), {('queued', 1, 1): 1})
    t.advance(61)
    deliver(db)
    t.equal(outcomes(t, db), {('sent', 2, 1): 1})
    t.advance(86400)
    deliver(db)
    t.equal(outcomes(t, db), {('sent', 2, 1): 1})


def test_what_was_refused_for_now_goes_out_when_the_server_takes_it(t):
    db = practice(t, 30, smtp_url=url(servers.sink(t, '-r', 'RCPT')))
    deliver(db)
    t.equal(outcomes(t, db), {('queued', 1, 0): 30})
    configure(db, smtp_url=url(servers.sink(t)))
    deliver(db)
    t.equal(outcomes(t, db), {('queued', 1, 0): 30}, 'not before a minute')
    t.advance(80)
    deliver(db)
    t.equal(outcomes(t, db), {('sent', 2, 0): 30})


def test_a_server_that_is_down_costs_only_the_messages_that_were_begun_an_attempt(t):
    db = practice(t, 300, smtp_url=url(free_port()), smtp_connections=4)
    t.contains(deliver(db), 'smtp', 'onnect')
    t.equal(outcomes(t, db), {('queued', 1, 0): 4, ('queued', 0, 0): 296})
    configure(db, smtp_url=url(servers.sink(t)))
    deliver(db)
    t.equal(outcomes(t, db), {('queued', 1, 0): 4, ('sent', 1, 0): 296})


def test_a_server_that_drops_every_connection_does_not_get_the_whole_backlog(t):
    for command in ('MAIL', 'RCPT', '.'):
        db = practice(t, 300, smtp_url=url(servers.sink(t, '-q', command)), smtp_connections=4)
        t.contains(deliver(db), 'closed the connection')
        begun = t.one(db, 'SELECT count(*) FROM portal_message WHERE attempts > 0')
        t.true(begun <= 20, f'{begun} messages were begun')
        t.equal(t.one(db, "SELECT count(*) FROM portal_message WHERE status <> 'queued'"), 0)


def test_a_server_that_wants_a_signature_stops_the_delivery_and_kills_no_link(t):
    port = servers.conversation(t, servers.answering(
        lambda verb: b'530 5.7.0 sign in first\r\n' if verb == 'MAIL' else b'250 ok\r\n'))
    db = practice(t, 300, smtp_url=url(port), smtp_connections=4)
    t.contains(deliver(db), '530 5.7.0 sign in first')
    t.true(t.one(db, 'SELECT count(*) FROM portal_message WHERE attempts > 0') <= 8)
    t.equal(t.one(db, "SELECT count(*) FROM portal_message WHERE status <> 'queued'"), 0)


# TLS and signing in

def authenticator(server, session, envelope, mechanism, data):
    from aiosmtpd.smtp import AuthResult
    return AuthResult(success=data.password == servers.PASSWORD.encode(), handled=False)


def secured(t, certificate, handler, implicit=False, **options):
    return servers.aiosmtpd(t, handler, certificate, implicit, authenticator=authenticator, auth_required=True,
                            auth_require_tls=not implicit, **options)


def test_a_certificate_that_is_not_trusted_expired_or_of_another_host_is_refused(t):
    good = servers.certificate(t, 'localhost')
    bad = {'untrusted': (good, None), 'expired': (servers.certificate(t, 'localhost', '2020-01-01'),) * 2,
           'of another host': (servers.certificate(t, 'mail.example.com'),) * 2}
    for (name, (certificate, trusted)), scheme in itertools.product(bad.items(), ('smtp', 'smtps')):
        handler = servers.Handler()
        port = secured(t, certificate, handler, implicit=scheme == 'smtps')
        db = practice(t, 20, smtp_url=url(port, 'localhost', scheme), **TRUST, smtp_ca_file=str(trusted or ''),
                      smtp_connections=2)
        db.execute("SELECT portal_secret('smtp_password', ?)", [servers.PASSWORD])
        t.contains(deliver(db), 'SSL')
        t.equal(outcomes(t, db), {('queued', 1, 0): 2, ('queued', 0, 0): 18}, f'{scheme}, {name}')
        t.equal(handler.envelopes, [], name)


def test_a_wrong_password_stops_the_delivery_and_is_told_without_the_password(t):
    certificate = servers.certificate(t, 'localhost')
    handler = servers.Handler()
    db = practice(t, 20, smtp_url=url(secured(t, certificate, handler), 'localhost'), **TRUST,
                  smtp_ca_file=str(certificate), smtp_connections=2)
    db.execute("SELECT portal_secret('smtp_password', 'gu3ssed')")
    told = deliver(db)
    t.contains(told, 'Login denied: 535 5.7.8')
    t.true('gu3ssed' not in told + str(rows(t, db)))
    t.equal(outcomes(t, db), {('queued', 1, 0): 2, ('queued', 0, 0): 18})
    db.execute("SELECT portal_secret('smtp_password', ?)", [servers.PASSWORD])
    t.advance(80)
    t.equal(deliver(db), None)
    t.equal((sent(t, db), len(handler.envelopes)), (20, 20))


def test_nothing_leaves_this_machine_without_tls_unless_the_practice_says_so(t):
    # On Linux this address is this machine, without being a loopback address.
    port = servers.sink(t, host='0.0.0.0')
    db = practice(t, 1, smtp_url=url(port, '0.0.0.0'))
    t.contains(deliver(db), 'STARTTLS')
    t.equal(outcomes(t, db), {('queued', 1, 0): 1})
    configure(db, smtp_tls='off')
    t.advance(80)
    t.equal(deliver(db), None)
    t.equal(sent(t, db), 1)


def test_a_server_that_lets_nobody_sign_in_is_not_sent_to_when_there_is_a_user(t):
    db = practice(t, 1, smtp_url=url(servers.sink(t, '-a')), smtp_user='portal')
    db.execute("SELECT portal_secret('smtp_password', 'x')")
    t.contains(deliver(db), 'lets nobody sign in')
    t.equal(sent(t, db), 0)


# Servers that take their time

def test_a_server_that_accepts_and_never_answers_is_given_up(t):
    db = practice(t, 10, smtp_url=url(servers.conversation(t, lambda connection: time.sleep(60))),
                  smtp_timeout=1, smtp_connections=2)
    start = time.monotonic()
    t.true(re.search('timed out|timeout', deliver(db)))     # libcurl has a word for each of its clocks
    t.equal(outcomes(t, db), {('queued', 1, 0): 2, ('queued', 0, 0): 8})
    t.true(time.monotonic() - start < 20)


def test_a_server_that_stops_answering_at_any_step_is_given_up(t):
    for verb, duplicate in (('MAIL', 0), ('RCPT', 0), ('DATA', 0)):
        silent = servers.answering(lambda given, verb=verb: None if given == verb else
                                   b'354 go\r\n' if given == 'DATA' else b'250 ok\r\n')
        db = practice(t, 1, smtp_url=url(servers.conversation(t, silent)), smtp_timeout=1)
        deliver(db)
        t.equal(rows(t, db), {('queued', 1, duplicate, 'the mail server took too long to answer'): 1}, verb)


def test_an_interrupt_loses_and_doubles_nothing(t):
    class Slow(servers.Handler):
        async def handle_DATA(self, server, session, envelope):
            import asyncio
            await asyncio.sleep(0.1)
            return await super().handle_DATA(server, session, envelope)
    handler = Slow()
    db = practice(t, 200, smtp_url=url(servers.aiosmtpd(t, handler)), smtp_connections=3)
    threading.Timer(1.5, db.interrupt).start()
    t.contains(deliver(db), 'interrupted')
    t.true(0 < len(handler.envelopes) < 200, str(len(handler.envelopes)))
    t.equal(sent(t, db), len(handler.envelopes))
    t.equal(t.one(db, "SELECT count(*) FROM portal_message WHERE status = 'queued' AND attempts = 0"),
            200 - len(handler.envelopes), str(rows(t, db)))


# Settings

def test_what_keeps_smtp_from_working_is_told_by_portal_channels_and_portal_check(t):
    cases = {
        'set smtp_url': {},
        'must begin with smtp://': {'smtp_url': 'http://mail.example.com'},
        'names no host': {'smtp_url': 'smtp://:25'},
        'smtp_tls is auto': {'smtp_url': 'smtp://mail.example.com', 'smtp_tls': 'perhaps'},
        'can not be read': {'smtp_url': 'smtp://mail.example.com', 'smtp_ca_file': '/nowhere.pem'},
        'store the password': {'smtp_url': 'smtp://mail.example.com', 'smtp_user': 'portal'},
    }
    for says, settings in cases.items():
        db = practice(t, 1, **settings)
        ready, problem = db.execute("SELECT ready, detail FROM portal_channels WHERE name = 'smtp'").fetchone()
        t.equal(ready, 0)
        t.contains(problem, says)
        t.contains(str(t.all(db, 'SELECT * FROM portal_check')), says)
        deliver(db)
        t.equal(outcomes(t, db), {('queued', 0, 0): 1})


@harness.release_only
def test_a_clock_that_ticks_at_any_moment_gives_up_no_connection(t):
    """The clock goes on a third of a second whenever it is read."""
    handler = servers.Handler()
    db = practice(t, 5, smtp_url=url(servers.aiosmtpd(t, handler)), smtp_connections=1, smtp_timeout=300)
    library = subprocess.run(['faketime', '-f', '+0', 'printenv', 'LD_PRELOAD'], capture_output=True, text=True,
                             check=True)
    done = t.shell(t.file(db), 'SELECT deliver()', clock=False,
                   env={'LD_PRELOAD': library.stdout.strip(), 'FAKETIME': '+0 i0.3'})
    t.equal((done.code, done.stderr), (0, ''))
    t.equal((outcomes(t, db), len(handler.envelopes)), ({('sent', 1, 0): 5}, 5))
