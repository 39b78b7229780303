"""Channels that speak to servers, while memory, the network or the clock fails under them in every place."""
import collections
import ctypes
import json
import os
import random
import sqlite3
import subprocess
import sys

import harness
import mailservers
from gateways import Service

SHIM = harness.ROOT / 'build/tests/channel_faults.so'
# As channel_faults.c numbers them; and how many of each are tried besides the first from every place of
# a channel, drawn from all there are.
MEMORY, NETWORK, SHORT, BLOCKED, SIGNAL, CLOCK = range(6)
ONCE, LASTING = 0, 1
MORE = {(MEMORY, ONCE): 30, (MEMORY, LASTING): 10, (NETWORK, ONCE): 40, (NETWORK, LASTING): 10,
        (SHORT, ONCE): 5, (SHORT, LASTING): 5, (BLOCKED, ONCE): 10, (SIGNAL, ONCE): 5,
        (CLOCK, LASTING): 20}               # which never goes back
MESSAGES = 3


def preloaded(t, function):
    """Runs a function of this file as a test of its own that has the faults preloaded."""
    home = t.path(function.__name__)
    home.mkdir()
    done = subprocess.run([sys.executable, '-X', 'faulthandler', '-c', 'import harness, sys; sys.exit(harness.main())',
                           __file__, function.__name__], cwd=home, capture_output=True, text=True,
                          env={**os.environ, 'LD_PRELOAD': str(SHIM)})
    t.equal(done.returncode, harness.EXIT_PASSED, done.stdout + done.stderr)


class Sweep:
    """Messages queued one batch after another, each handed over while something else fails."""

    def __init__(self, t, arrived, medium, **settings):
        self.t, self.arrived, self.medium = t, arrived, medium     # what arrived, by recipient
        self.db = t.database(journal='wal')
        self.path = t.file(self.db)
        self.faults = ctypes.CDLL(SHIM)
        self.db.execute('PRAGMA synchronous = OFF')
        for key, value in settings.items():
            kind = 'portal_secret' if value == 'secret' else 'portal_setting'
            self.db.execute(f'SELECT {kind}(?, ?)', [key, value])
        # What is loaded and kept for the whole process is no leak.
        for _ in range(2):
            self.hand_over(MEMORY, 0, ONCE)
        self.kept = self.faults.faults_held()

    def queue(self):
        """The first of the new messages."""
        self.db.execute('BEGIN')
        for _ in range(MESSAGES):
            self.db.execute('SELECT send_registration(?, ?)', [self.t.patient(self.db), self.medium]).fetchall()
        self.db.execute('COMMIT')
        return self.t.one(self.db, 'SELECT max(message_id) FROM portal_message') - MESSAGES + 1

    def hand_over(self, kind, n, lasts):
        """How many operations there were."""
        first = self.queue()
        db = sqlite3.connect(self.path, isolation_level=None)
        self.t.load(db, self.t.extension)
        db.execute('PRAGMA synchronous = OFF')
        self.faults.faults_arm(kind, ctypes.c_long(n), lasts)
        try:
            told = db.execute('SELECT deliver()').fetchone()[0]
        except (sqlite3.Error, MemoryError) as error:
            told = str(error)
        count = self.faults.faults_disarm()
        db.close()
        self.judge(first, f'{kind} {n} {lasts}: {told}')
        return count

    def judge(self, first, what):
        for recipient, status, duplicate, detail in self.t.all(
                self.db, 'SELECT recipient, status, duplicate, detail FROM portal_message WHERE message_id >= ?', first):
            copies = self.arrived[recipient]
            why = f'{what}\n{recipient}: {status}, {copies} copies, duplicate {duplicate}, {detail}'
            self.t.true(status in ('sent', 'queued', 'claimed'), why)
            self.t.true(copies <= 1 and (copies or status != 'sent'), why)
            self.t.true(not copies or status in ('sent', 'claimed') or duplicate, why)

    def run(self):
        for (kind, lasts), more in MORE.items():
            self.db.execute('SELECT deliver()')
            for n in self.chosen(self.hand_over(kind, 0, ONCE), more, kind):
                self.hand_over(kind, n, lasts)
                self.t.equal(self.faults.faults_held(), self.kept, f'leaked: {kind} {n} {lasts}')
        self.end()

    def chosen(self, count, more, seed):
        """Each place, by its negative number, and some of the operations, by theirs."""
        drawn = random.Random(seed).sample(range(1, count + 1), min(more, count))
        return [*range(-self.faults.faults_places(), 0), *sorted(drawn)]

    def end(self):
        """Nothing fails any more: all arrive, none twice without its row saying so."""
        for _ in range(6):
            self.t.advance(4 * 3600)
            self.db.execute('SELECT deliver()')
        for recipient, status, duplicate, detail in self.t.all(
                self.db, 'SELECT recipient, status, duplicate, detail FROM portal_message'):
            why = f'{recipient}: {status}, {self.arrived[recipient]} copies, duplicate {duplicate}, {detail}'
            self.t.true(status == 'sent' and 1 <= self.arrived[recipient] <= 1 + duplicate, why)


def sweep_smtp(t):
    arrived = collections.Counter()

    class Keeper(mailservers.Handler):
        async def handle_DATA(self, server, session, envelope):
            arrived.update(envelope.rcpt_tos)
            return '250 2.0.0 taken'
    Sweep(t, arrived, 'email', email_channel='smtp', smtp_connections=2,
          smtp_url=f'smtp://127.0.0.1:{mailservers.aiosmtpd(t, Keeper())}').run()


def sweep_kannel(t):
    arrived = collections.Counter()

    def answer(request):
        arrived[request.headers['X-Kannel-To']] += 1
        return 202, '0: Accepted for delivery'
    Sweep(t, arrived, 'text', text_channel='kannel', kannel_connections=2, kannel_url=Service(answer).url,
          kannel_user='clinic', kannel_password='secret').run()


def sweep_twilio(t):
    arrived = collections.Counter()

    def answer(request):
        arrived[request.form['To']] += 1
        return 201, json.dumps({'sid': 'SM1', 'status': 'queued'})
    Sweep(t, arrived, 'text', text_channel='twilio', twilio_connections=2, twilio_url=Service(answer).url,
          twilio_account='AC1', twilio_from='MG1', twilio_token='secret', portal_url='https://p.example').run()


@harness.release_only
def test_whatever_fails_under_smtp_nothing_is_lost_or_doubled_and_no_memory_leaks(t):
    preloaded(t, sweep_smtp)


@harness.release_only
def test_whatever_fails_under_kannel_nothing_is_lost_or_doubled_and_no_memory_leaks(t):
    preloaded(t, sweep_kannel)


@harness.release_only
def test_whatever_fails_under_twilio_nothing_is_lost_or_doubled_and_no_memory_leaks(t):
    preloaded(t, sweep_twilio)
