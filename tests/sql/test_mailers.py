"""Mailers of one's own, in Python and in Node, against a mail server: tests/clients."""
import asyncio
import email
import email.policy
import subprocess
import sys
import threading

import aiosmtpd.smtp
import harness

CLIENTS = {
    'python': [sys.executable, 'tests/clients/mailer.py'],
    'node': ['node', 'build/clients/mailer.mjs'],
}


class Server:
    """Takes mail on a port of its own; what it does with a message is told by the local part it goes to."""

    def __init__(self, refuses_all=False):
        self.mails = []
        self.refuses_all = refuses_all
        self.loop = asyncio.new_event_loop()
        listening = self.loop.create_server(lambda: aiosmtpd.smtp.SMTP(self, enable_SMTPUTF8=True), '127.0.0.1', 0)
        self.port = self.loop.run_until_complete(listening).sockets[0].getsockname()[1]
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    async def handle_MAIL(self, server, session, envelope, address, options):
        if self.refuses_all:
            return '550 5.7.1 who are you?'
        envelope.mail_from, envelope.mail_options = address, options
        return '250 2.1.0 ok'

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = {'full': '452 4.2.2 mailbox is full', 'nobody': '550 5.1.1 no such user'}.get(address.split('@')[0])
        if not answer:
            envelope.rcpt_tos.append(address)
        return answer or '250 2.1.5 ok'

    async def handle_DATA(self, server, session, envelope):
        [recipient] = envelope.rcpt_tos
        if recipient.startswith('spam@'):
            return '554 5.7.1 not wanted here'
        self.mails.append((recipient, email.message_from_string(envelope.content.decode(), policy=email.policy.default)))
        if recipient.startswith('lost@'):
            server.transport.abort()
        return '250 2.0.0 taken'


def practice(t, recipients):
    """Queued registrations to each of these; the mailers read the machine's clock."""
    t.real_clock()
    db = t.database()
    for recipient in recipients:
        t.patient(db, email=recipient)
    t.one(db, "SELECT portal_setting('practice_name', 'Praxis Dr. Müller, Ulm')")
    db.execute("INSERT INTO send_registration(patient_id, channel) SELECT patient_id, 'email' FROM patient")
    return db


def start(t, client, db, port):
    if client == 'node':
        t.from_npm('node_modules/nodemailer')
    return subprocess.Popen([*CLIENTS[client], t.file(db), '127.0.0.1', str(port)], cwd=harness.ROOT,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(t, process):
    output, _ = process.communicate()
    t.equal((process.returncode, output), (0, ''))


def rows(t, db):
    return {row[0]: row[1:] for row in t.all(db, 'SELECT recipient, status, duplicate, detail FROM portal_message')}


def delivers_and_reports(t, client):
    plain = ['ada@example.com', 'o\'neill+tag@example.com', 'josé@example.com']
    db = practice(t, [*plain, 'full@example.com', 'nobody@example.com', 'spam@example.com', 'lost@example.com'])
    server = Server()
    ended(t, start(t, client, db, server.port))
    t.equal(sorted(recipient for recipient, _ in server.mails), sorted([*plain, 'lost@example.com']))
    for recipient, mail in server.mails:
        t.equal(mail['from'].addresses[0].display_name, 'Praxis Dr. Müller, Ulm')
        t.equal(mail['to'].addresses[0].addr_spec, recipient)
        t.equal(t.one(db, 'SELECT token_valid(?)', t.token(mail)), 1)
        t.contains(t.html(mail), t.link(mail))
        t.true(mail['message-id'].startswith('<') and mail['subject'] and mail['date'], mail)
    t.equal(len({mail['message-id'] for _, mail in server.mails}), len(server.mails))
    became = rows(t, db)
    t.equal({recipient: became[recipient][0] for recipient in plain}, dict.fromkeys(plain, 'sent'))
    for recipient, status, duplicate, words in (
            ('full', 'queued', 0, '452 4.2.2 mailbox is full'), ('nobody', 'failed', 0, '550 5.1.1 no such user'),
            ('spam', 'failed', 0, '554 5.7.1 not wanted here'), ('lost', 'queued', 1, '')):
        row = became[f'{recipient}@example.com']
        t.equal(row[:2], (status, duplicate), recipient)
        t.contains(row[2], words)


def shares_the_work(t, client):
    """Of mail that the practice wants without HTML."""
    recipients = [f'ada{number}@example.com' for number in range(60)]
    db = practice(t, recipients)
    db.execute("UPDATE portal_template SET html = NULL WHERE channel = 'email'")
    server = Server()
    for process in [start(t, client, db, server.port) for _ in range(2)]:
        ended(t, process)
    t.equal(sorted(recipient for recipient, _ in server.mails), sorted(recipients))
    t.equal({mail.get_content_type() for _, mail in server.mails}, {'text/plain'})
    t.equal(t.all(db, 'SELECT status, duplicate, count(*) FROM portal_message GROUP BY 1, 2'), [('sent', 0, 60)])


def keeps_what_it_can_not_hand_over(t, client):
    nobody_listens = 1
    for port, words in ((nobody_listens, 'refused'), (Server(refuses_all=True).port, '550 5.7.1 who are you?')):
        db = practice(t, ['ada@example.com', 'grace@example.com'])
        ended(t, start(t, client, db, port))
        for status, duplicate, detail in rows(t, db).values():
            t.equal((status, duplicate), ('queued', 0))
            t.contains(detail.lower(), words)


@harness.release_only
def test_the_mailer_in_python_hands_over_and_reports_each_failure_as_what_it_is(t):
    delivers_and_reports(t, 'python')


@harness.release_only
def test_two_mailers_in_python_send_every_message_once(t):
    shares_the_work(t, 'python')


@harness.release_only
def test_the_mailer_in_python_keeps_what_no_server_takes(t):
    keeps_what_it_can_not_hand_over(t, 'python')


@harness.release_only
def test_the_mailer_in_node_hands_over_and_reports_each_failure_as_what_it_is(t):
    delivers_and_reports(t, 'node')


@harness.release_only
def test_two_mailers_in_node_send_every_message_once(t):
    shares_the_work(t, 'node')


@harness.release_only
def test_the_mailer_in_node_keeps_what_no_server_takes(t):
    keeps_what_it_can_not_hand_over(t, 'node')
