"""What servers of all sorts say and do to the channel smtp, step by step."""
import collections
import itertools
import re
import shutil
import subprocess
import time

import harness
import mailservers as servers
import test_smtp as smtp
from waiting import wait_for


def sent_to(t, db, **columns):
    """Sends a registration to a new patient: the status, duplicate and detail of its message."""
    patient_id = t.patient(db, **columns)
    db.execute("SELECT send_registration(?, 'email')", [patient_id]).fetchall()
    return db.execute('SELECT status, duplicate, detail FROM portal_message WHERE patient_id = ?',
                      [patient_id]).fetchone()


def told(outcome, expected):
    """Is it the expected status, duplicate and words?"""
    return outcome[:2] == tuple(expected[:2]) and expected[2] in outcome[2]


# Connections that break

BEFORE_TLS = [('EHLO', b'250-localhost\r\n250 STARTTLS\r\n'), ('STARTTLS', b'220 go ahead\r\n')]
AFTER_TLS = [('EHLO in TLS', b'250-localhost\r\n250 AUTH PLAIN\r\n'), ('AUTH', b'334 \r\n'),
             ('password', b'235 welcome\r\n')]
MESSAGE = [('MAIL', b'250 ok\r\n'), ('RCPT', b'250 ok\r\n'), ('DATA', b'354 go\r\n')]


def breaking(certificate, taken, breaks_at):
    """A talk with STARTTLS and AUTH that hangs up at the step that breaks_at() names, if any."""
    context = servers.tls(certificate)

    def reached(step):
        if step == breaks_at():
            raise ConnectionError(step)

    def answer(connection, lines, steps):
        """Lines of the client, and whether there was another."""
        for step, reply in steps:
            line = lines.readline()
            if not line or line.startswith(b'QUIT'):
                reached('QUIT')
                return False
            reached(step)
            connection.sendall(reply)
        return True

    def talk(connection):
        reached('connect')
        connection.sendall(b'220 lo')
        reached('greeting')
        connection.sendall(b'calhost ESMTP\r\n')
        answer(connection, connection.makefile('rb'), BEFORE_TLS)
        reached('handshake')
        with context.wrap_socket(connection, server_side=True) as secured:
            lines = secured.makefile('rb')
            answer(secured, lines, AFTER_TLS)
            while answer(secured, lines, MESSAGE):
                content = [lines.readline()]
                reached('content')
                while content[-1] != b'.\r\n':
                    content.append(lines.readline())
                taken.append(int(re.search(rb'(?m)^Message-ID: <(\d+)', b''.join(content))[1]))
                reached('.')
                secured.sendall(b'250 taken\r\n')
                reached('end')
    return talk


def test_a_connection_that_breaks_at_any_step_loses_nothing_and_doubles_only_what_may_have_arrived(t):
    certificate = servers.certificate(t, 'localhost')
    surely_not = ('queued', 0, '')
    steps = dict.fromkeys(['connect', 'greeting', 'handshake', *dict(BEFORE_TLS + AFTER_TLS + MESSAGE)], surely_not)
    # All was written; whether all arrived, only the server knows.
    steps.update(dict.fromkeys(['content', '.'], ('queued', 1, 'closed the connection')))
    steps.update(dict.fromkeys(['end', 'QUIT'], ('sent', 0, '250 taken')))
    taken = []
    port = servers.conversation(t, breaking(certificate, taken, lambda: step))
    db = smtp.practice(t, 0, smtp_url=smtp.url(port, 'localhost'), smtp_ca_file=str(certificate), **smtp.TRUST)
    db.execute("SELECT portal_secret('smtp_password', ?)", [servers.PASSWORD])
    wrong = []
    for step, expected in steps.items():
        outcome = sent_to(t, db)
        if not told(outcome, expected):
            wrong.append((step, outcome))
    t.equal(wrong, [])
    # Another account: the connection that was kept is left with QUIT.
    smtp.configure(db, smtp_timeout=61)
    sent_to(t, db)
    step = None
    t.advance(80)
    t.equal(smtp.deliver(db), None)
    t.equal(smtp.outcomes(t, db), {('sent', 1, 0): 3, ('sent', 2, 0): len(steps) - 4, ('sent', 2, 1): 2})
    times = collections.Counter(taken)
    t.equal(len(times), len(steps) + 1, 'some were lost')
    twice = {message for message, count in times.items() if count > 1}
    t.equal(len(twice), 1)
    t.equal(twice - {row[0] for row in t.all(db, 'SELECT message_id FROM portal_message WHERE duplicate')}, set())


# Silence

def trickle(connection):
    """A server that would be done some day."""
    connection.sendall(b'220 slow\r\n')
    connection.recv(100)
    connection.sendall(b'250 slow\r\n')
    for _ in range(60):
        connection.sendall(b'2')
        time.sleep(1)


def test_a_byte_a_second_and_silence_after_a_message_end_with_the_claim_and_only_the_latter_may_double(t):
    heard = []
    silent = True

    def reply(verb):
        if verb == '.' and not silent:
            raise ConnectionError
        return {'.': None, 'DATA': b'354 go\r\n'}.get(verb, b'250 ok\r\n')
    talks = itertools.chain([trickle], itertools.repeat(servers.answering(reply, heard)))
    port = servers.conversation(t, lambda connection: next(talks)(connection))
    db = smtp.practice(t, 2, smtp_url=smtp.url(port), lease_seconds=10)
    started = time.monotonic()
    smtp.deliver(db)
    t.true(time.monotonic() - started < 30)
    slow = 'the mail server took too long to answer'
    t.equal(smtp.rows(t, db), {('queued', 1, 0, slow): 1, ('queued', 1, 1, slow): 1})
    silent = False
    for outcomes in ({('queued', 2, 1): 1, ('sent', 2, 1): 1}, {('sent', 2, 1): 1, ('sent', 3, 1): 1}):
        t.advance(150)
        smtp.deliver(db)
        t.equal(smtp.outcomes(t, db), outcomes)
    t.advance(86400)
    smtp.deliver(db)
    # Each twice, under the same Message-ID.
    times = collections.Counter(line for line in heard if line.startswith(b'Message-ID: '))
    t.equal(sorted(times.values()), [2, 2])


# What servers say

def speaker(t):
    """A server whose replies can be changed: its port, the replies, and what was sent to it."""
    replies, heard = {}, []

    def reply(verb):
        return replies.get(verb) or {'EHLO': b'250 localhost\r\n', 'DATA': b'354 go\r\n'}.get(verb, b'250 ok\r\n')
    return servers.conversation(t, servers.answering(reply, heard)), replies, heard


ANNOUNCED = b'250-%s\r\n250 ok\r\n'
LETS_IN = ANNOUNCED % b'AUTH PLAIN LOGIN'
FLOOD = 1_000_000


def test_whatever_a_server_says_has_its_result(t):
    """Replies, settings, address: status, duplicate and words."""
    utf8 = {'email': 'josé@example.com'}
    required = {'smtp_tls': 'required'}
    user = {'smtp_user': 'portal'}
    many = b''.join(b'250-X%d\r\n' % number for number in range(10_000))
    cases = [
        # Long ones
        ({'EHLO': many + b'250 ok\r\n'}, {}, {}, 'queued', 0, 'Too large'),
        ({'EHLO': b'250-' + FLOOD * b'x' + b'\r\n250 ok\r\n'}, {}, {}, 'queued', 0, 'Too large'),
        ({'EHLO': FLOOD * b'x'}, {}, {}, 'queued', 0, 'Too large'),
        ({'MAIL': many + b'250 ok\r\n'}, {}, {}, 'sent', 0, '250'),
        ({'.': many + b'250 ok\r\n'}, {}, {}, 'sent', 0, '250 X0 X1 '),
        ({'RCPT': b'550-' + FLOOD * b'x' + b'\r\n550 nobody\r\n'}, {}, {}, 'failed', 0, '550 xxx'),
        # No replies
        ({'EHLO': b'HTTP/1.1 400 Bad Request\r\n\r\n'}, {'smtp_timeout': 1}, {}, 'queued', 0, ': HTTP/1.1 400 Bad Request'),
        ({'MAIL': b'999 what\r\n'}, {}, {}, 'queued', 0, '999 what'),
        ({'RCPT': b'OK\r\n'}, {}, {}, 'queued', 0, 'what is no reply'),
        ({'DATA': b'250 ok\r\n'}, {}, {}, 'queued', 0, '250 ok'),
        ({'.': b'999 what\r\n'}, {}, {}, 'queued', 1, '999 what'),
        ({'.': b'taken, thank you\r\n'}, {}, {}, 'queued', 1, 'what is no reply'),
        ({'MAIL': b'250 ok\r\n250 ok\r\n'}, {}, {}, 'queued', 0, ''),
        # Words
        ({'.': b'250 o\0k \x1b[2J\xff\r\n'}, {}, {}, 'sent', 0, '250 ok  [2J'),
        ({'RCPT': b'550 5.1.1 no\0body\r\n'}, {}, {}, 'failed', 0, '550 5.1.1 nobody'),
        # What is announced and what is needed
        ({'EHLO': ANNOUNCED % b'SMTPUTF8'}, {}, utf8, 'sent', 0, '250'),
        ({'EHLO': ANNOUNCED % b'8BITMIME'}, {}, utf8, 'failed', 0, 'SMTPUTF8'),
        ({}, {}, {'email': 'jose@example.com', 'first_name': 'José'}, 'sent', 0, '250'),
        ({'EHLO': ANNOUNCED % b'SIZE 100', 'MAIL': b'552 5.3.4 too big\r\n'}, {}, {}, 'failed', 0, '552 5.3.4 too big'),
        # Signing in
        ({'EHLO': LETS_IN, 'AUTH': b'535-5.7.8 wrong\r\n535 see /help\r\n'}, user, {}, 'queued', 0, 'Login denied: 535-5.7.8 wrong'),
        ({'EHLO': LETS_IN, 'AUTH': b'454 4.7.0 not now\r\n'}, user, {}, 'queued', 0, '454 4.7.0 not now'),
        ({'EHLO': LETS_IN, 'AUTH': b'502 5.5.1 what\r\n'}, user, {}, 'queued', 0, '502 5.5.1 what'),
        ({'EHLO': LETS_IN, 'AUTH': b'250 ok\r\n'}, user, {}, 'queued', 0, 'Login denied'),
        ({'EHLO': ANNOUNCED % b'AUTH KERBEROS_V4'}, user, {}, 'queued', 0, 'Login denied'),
        ({'EHLO': ANNOUNCED % b'HELP'}, user, {}, 'queued', 0, 'lets nobody sign in'),
        # TLS that is taken away, refused, or into which something is slipped (CVE-2011-0411, CVE-2021-22947)
        ({}, required, {}, 'queued', 0, 'STARTTLS not supported'),
        ({'EHLO': ANNOUNCED % b'STARTTLS', 'STAR': b'454 4.7.0 not now\r\n'}, required, {}, 'queued', 0, '454 4.7.0 not now'),
        ({'EHLO': ANNOUNCED % b'STARTTLS', 'STAR': b'220 go\r\n250-AUTH PLAIN\r\n250 ok\r\n'}, required, {}, 'queued', 0, 'Weird'),
        ({'EHLO': ANNOUNCED % b'STARTTLS', 'STAR': b'220 go\r\n220 ok\r\n250 ok\r\n'}, required, {}, 'queued', 0, 'Weird'),
    ]
    port, replies, heard = speaker(t)
    db = smtp.practice(t, 0, smtp_url=smtp.url(port))
    db.execute("SELECT portal_secret('smtp_password', ?)", [servers.PASSWORD])
    wrong = []
    for number, (said, settings, patient, *expected) in enumerate(cases):
        replies.clear()
        replies.update(said)
        # Other settings are another account: each has a connection of its own.
        smtp.configure(db, **{'smtp_tls': 'auto', 'smtp_user': '', 'smtp_timeout': 60 + number, **settings})
        heard.clear()
        outcome = sent_to(t, db, **patient)
        if not told(outcome, expected):
            wrong.append((str(said)[:80], settings, outcome))
        if settings == required:
            t.true(not any(line.startswith((b'MAIL', b'AUTH')) for line in heard), f'said too much: {heard}')
        t.true(all(byte < 128 for line in heard for byte in line) or patient == utf8, f'8-bit: {heard}')
    t.equal(wrong, [])


# TLS and signing in

def test_a_server_that_knows_login_alone_is_signed_in_to_over_starttls_and_over_implicit_tls(t):
    certificate = servers.certificate(t, 'localhost')
    for implicit in (False, True):
        handler = servers.Handler()
        port = smtp.secured(t, certificate, handler, implicit, auth_exclude_mechanism=['PLAIN'])
        scheme = 'smtps' if implicit else 'smtp'
        db = smtp.practice(t, 20, smtp_url=smtp.url(port, 'localhost', scheme), smtp_ca_file=str(certificate), **smtp.TRUST)
        db.execute("SELECT portal_secret('smtp_password', ?)", [servers.PASSWORD])
        t.equal(smtp.deliver(db), None)
        t.equal((smtp.outcomes(t, db), len(handler.envelopes)), ({('sent', 1, 0): 20}, 20), scheme)


def test_a_file_of_certificates_to_trust_takes_the_place_of_those_of_the_system(t):
    certificate = servers.certificate(t, 'localhost')
    other = servers.certificate(t, 'mail.example.com')
    port = smtp.secured(t, certificate, servers.Handler())
    for file in ('', str(other)):
        db = smtp.practice(t, 1, smtp_url=smtp.url(port, 'localhost'), smtp_tls='required', smtp_ca_file=file)
        trace = t.path('trace')
        subprocess.run(['strace', '-f', '-e', 'trace=%file', '-o', trace, 'sqlite3', '-cmd', f'.load {t.extension}',
                        t.file(db), 'SELECT deliver()'], capture_output=True)
        t.contains(smtp.rows(t, db).popitem()[0][3], 'SSL')
        t.equal('/etc/ssl/certs' in trace.read_text(), file == '')


# What arrives

NAME = 'Dr. Müller, "Zur Höhe" & Söhne =?x?='
TEXT = """{{link}}
.
.. two
From here on

ends with a space\x20
äöü ß 王小明 😀 = =3D =?utf-8?q?x?=
--=_x
%s
%s
{{practice_name}}""" % (300 * 'long ', 1200 * 'x')


def varied(t, **settings):
    """A practice with mails queued whose letters, lines and addresses are of all sorts."""
    db = smtp.practice(t, 0, **settings)
    smtp.configure(db, email_channel='none', practice_name=NAME, resend_seconds=0)
    t.patient(db)
    t.patient(db, email='josé@example.com')
    t.patient(db, preferred_language='es')
    db.execute("SELECT send_registration(patient_id, 'email') FROM patient").fetchall()
    db.execute("UPDATE portal_template SET text = ?, html = NULL WHERE kind = 'registration' AND channel = 'email'"
               " AND language = 'es'", [TEXT])
    smtp.configure(db, email_channel='smtp')
    return db


def rendered(t, db):
    """What the channel maildir writes of a practice's mails, by Message-ID, at a copy of it."""
    copy = t.path('copy.db')
    db.execute('VACUUM INTO ?', [str(copy)])
    shutil.copy(f'{t.file(db)}.portal-key', f'{copy}.portal-key')
    db = t.connect(copy)
    smtp.configure(db, email_channel='maildir')
    t.equal(smtp.deliver(db), None)
    # What does not end its last line has it ended on the way: RFC 5321 section 4.1.1.4.
    return {mail['Message-ID']: mail.file.read_bytes().removesuffix(b'\n') + b'\n' for mail in t.mails(db)}


def message_id(content):
    return re.search(rb'(?m)^Message-ID: (\S+)', content)[1].decode()


def test_what_goes_over_the_wire_is_what_was_rendered_and_nobody_has_to_recode_it(t):
    port, replies, heard = speaker(t)
    replies['EHLO'] = ANNOUNCED % b'SMTPUTF8'
    db = varied(t, smtp_url=smtp.url(port), smtp_connections=1)
    mails = rendered(t, db)
    t.equal(smtp.deliver(db), None)
    wire = b''.join(heard)
    t.equal(re.findall(rb'\r(?!\n)|(?<!\r)\n|\0', wire), [], 'a line break that is none')
    t.true(max(map(len, wire.split(b'\r\n'))) <= 998)
    # But for an address of such letters: RFC 6532.
    t.true(wire.replace('josé@example.com'.encode(), b'').isascii())
    contents = re.findall(rb'DATA\r\n(.*?\r\n)\.\r\n', wire, re.DOTALL)
    arrived = {message_id(content): content.replace(b'\r\n..', b'\r\n.') for content in contents}
    t.equal(arrived, {key: mail.replace(b'\n', b'\r\n') for key, mail in mails.items()})
    t.equal(len(arrived), 3)


@harness.release_only
def test_what_arrives_through_postfix_has_not_changed_by_a_byte_and_its_signature_holds(t):
    import dkim
    certificate = servers.certificate(t, 'localhost')
    postfix = servers.Postfix(t, certificate)
    db = varied(t, smtp_url=smtp.url(postfix.port, 'localhost'), smtp_ca_file=str(certificate), **smtp.TRUST)
    db.execute("SELECT portal_secret('smtp_password', ?)", [servers.PASSWORD])
    mails = rendered(t, db)
    t.equal(smtp.deliver(db), None)
    wait_for(lambda: len(postfix.delivered()) == len(mails) == 3, 'mail in the Maildir')
    key = subprocess.run(['openssl', 'genrsa', '2048'], capture_output=True, check=True).stdout
    public = subprocess.run(['openssl', 'rsa', '-pubout'], input=key, capture_output=True, check=True).stdout
    record = b'v=DKIM1; k=rsa; p=' + b''.join(public.splitlines()[1:-1])
    for file in postfix.delivered():
        arrived = file.read_bytes()
        mail = mails[message_id(arrived)]
        trace = arrived.removesuffix(mail)
        t.equal(re.findall(rb'(?m)^[\w-]+:', trace), [b'Return-Path:', b'X-Original-To:', b'Delivered-To:', b'Received:'])
        # Of all header fields and the body, none of which may be changed: RFC 6376 section 3.4.
        fields = [field.lower() for field in re.findall(rb'(?m)^([\w-]+):', mail.partition(b'\n\n')[0])]
        t.true({b'from', b'to', b'subject', b'date', b'message-id', b'mime-version', b'content-type'} <= {*fields})
        signature = dkim.sign(mail, b'test', b'praxis.example', key, canonicalize=(b'simple', b'simple'),
                              include_headers=fields)
        t.true(dkim.verify(signature + arrived, dnsfunc=lambda name, timeout=0: record), 'the signature does not hold')
        t.true(not dkim.verify(signature + arrived + b'.\n', dnsfunc=lambda name, timeout=0: record))
