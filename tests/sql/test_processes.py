"""Several processes on one database at once: no deadlock, nothing lost, and a refusal is a clean one."""
import errno
import os
import pathlib
import re
import sqlite3
import subprocess
import threading
import time

import flows
import harness
import test_plugins
import trials
import workload

# All at once

def test_the_workers_make_every_call_there_is(t):
    source = pathlib.Path(workload.__file__).read_text()
    calls = t.all(t.database(), "SELECT name FROM portal_help WHERE usage LIKE '%(%'")
    t.equal([name for name, in calls if not re.search(rf'\b{name}\b', source)], [])


@harness.release_only
def test_eight_processes_with_a_rollback_journal_neither_deadlock_nor_lose_a_write(t):
    trials.workers_together(t, 1, 'delete', 8, trials.PATIENCE)


@harness.release_only
def test_eight_processes_in_wal_mode_neither_deadlock_nor_lose_a_write(t):
    trials.workers_together(t, 2, 'wal', 8, trials.PATIENCE)


@harness.release_only
def test_eight_processes_without_a_busy_timeout_are_refused_cleanly(t):
    for number, journal in enumerate(('delete', 'wal')):
        trials.workers_together(t, 3 + number, journal, 4, 0)


@harness.release_only
def test_mailers_of_which_some_die_never_have_a_message_in_two_hands(t):
    for number, journal in enumerate(('delete', 'wal')):
        t.true(trials.mailers_dying(t, number, journal, 80) > 0, 'none died with a message in hand')


# A slow channel

HAND_OVERS = [
    "SELECT send_registration(1, 'email')",
    "SELECT quick_add('Slow', 'Channel', '1980-01-01', 'email', 'slow@example.com')",
    'SELECT revoke_access(1)',
    'SELECT deliver(3)',
]

WRITES = [
    'BEGIN EXCLUSIVE; ROLLBACK', 'UPDATE patient SET city = hex(randomblob(4))', 'VACUUM',
    "SELECT portal_setting('pin_minutes', 7)", "INSERT INTO send_registration VALUES (2, 'text')",
    "SELECT quick_add('A', hex(randomblob(4)), '1980-01-01')", "SELECT portal_login('nobody', 'a password')",
    'SELECT claim_messages(1)', 'SELECT expire_links()', 'SELECT portal_purge(1)',
]


def opened(t, gate):
    """Opens the gate for the plugin that stands there, which waits until it is closed; None: nobody is."""
    try:
        return os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        t.equal(error.errno, errno.ENXIO)
        return None


def writes_go_on(t, path, gate, sql):
    """Lets a process hand over, and writes while the channel has a message in hand; gives how many it had."""
    writer = t.connect(path, timeout=0)
    command = ['sqlite3', '-batch', '-cmd', '.timeout 60000', '-cmd', f'.load {t.extension}', path, sql]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, 'SPOOL_GATE': gate})
    met = 0
    while process.poll() is None:
        at_gate = opened(t, gate)
        if at_gate is None:
            time.sleep(0.005)
            continue
        for write in WRITES:
            writer.executescript(write)
        # The next one to be met is at another gate: this one may be seen here for a while after it may go on.
        os.unlink(gate)
        os.mkfifo(gate)
        os.close(at_gate)
        met += 1
    t.equal(process.returncode, 0, sql)
    return met


@harness.release_only
def test_a_slow_channel_never_blocks_a_writer(t):
    t.real_clock()
    test_plugins.installed(t, 'spool')
    for journal in ('delete', 'wal'):
        db = t.database(journal=journal)
        for key, value in (('email_channel', 'spool'), ('text_channel', 'spool'), ('resend_seconds', 0),
                           ('sends_per_day', 1000)):
            t.one(db, 'SELECT portal_setting(?, ?)', key, value)
        t.patient(db)
        t.patient(db)
        gate = t.path(f'{journal}-gate')
        os.mkfifo(gate)
        for sql in HAND_OVERS:
            db.executemany("INSERT INTO quick_add VALUES (?, ?, '1980-01-01', 'email', 'b@example.com')",
                           [(f'Waits{number}', sql) for number in range(6)])
            t.true(writes_go_on(t, t.file(db), gate, sql) > 0, f'{sql}: the channel was not met at work')


# Two that meet

def test_a_refusal_for_another_writer_says_so_and_changes_nothing(t):
    for journal in ('delete', 'wal'):
        db = t.database(journal=journal)
        patient = t.patient(db)
        token = flows.send(t, db, patient)
        # Something to deliver: without it no lock is wanted.
        db.execute("INSERT INTO send_registration VALUES (?, 'text')", [t.patient(db, first_name='Grace')])
        writer = t.connect(t.file(db))
        other = t.connect(t.file(db), timeout=0)
        writer.execute('BEGIN IMMEDIATE')
        before = t.all(writer, 'SELECT count(*) FROM portal_audit')
        for sql in ('SELECT revoke_access(1)', "SELECT quick_add('A', 'B', '1980-01-01')", 'SELECT expire_links()',
                    "SELECT portal_setting('link_hours', 5)", 'SELECT claim_messages(1)', 'SELECT portal_purge(1)',
                    'SELECT deliver()', "INSERT INTO send_registration VALUES (1, 'text')",
                    f"SELECT request_pin('{token}', 'Lovelace', '1985-12-10')",
                    "SELECT portal_login('nobody', 'x')", "SELECT forgot_password('nobody')"):
            text = t.refuses(other, sql)
            t.true('try again' in text or 'locked' in text, f'{sql}: {text}')
            t.equal(other.in_transaction, False, sql)
        t.equal(t.one(other, 'SELECT token_valid(?)', token), 1)
        writer.execute('ROLLBACK')
        t.equal(t.all(db, 'SELECT count(*) FROM portal_audit'), before)
        t.one(other, 'SELECT revoke_access(?)', patient)


SPENT = """
    SELECT 'guess', sum(guesses) FROM portal_registration HAVING sum(guesses) > 0
    UNION ALL SELECT 'try of the PIN', tries FROM portal_pin WHERE tries > 0
    UNION ALL SELECT 'wrong password', failures FROM portal_throttle WHERE account <> 0 AND failures > 0"""


def meeting(t, db, at, sql, *params):
    """Makes a call whose at-th write meets another writer, and again if that refuses it.

    Gives the answer, and how many writes the call has begun.
    """
    writer = t.connect(t.file(db), check_same_thread=False)
    caller = t.connect(t.file(db), timeout=0)
    writes = []

    def statement_begins(text):
        if 'SAVEPOINT portal' in text:
            writes.append(text)
            if len(writes) == at:
                writer.execute('BEGIN IMMEDIATE')
                leaves.start()

    leaves = threading.Timer(0.05, writer.execute, ['ROLLBACK'])
    caller.set_trace_callback(statement_begins)
    try:
        return flows.ask(t, caller, sql, *params)['result'], len(writes)
    except sqlite3.OperationalError as error:
        t.contains(str(error), 'try again')
        t.equal(t.all(db, SPENT), [], f'write {at} of {sql}')
        leaves.join()
        return flows.ask(t, caller, sql, *params)['result'], len(writes)


def test_a_right_answer_that_is_refused_as_busy_has_spent_nothing(t):
    db = t.database(journal='wal')
    for at in range(1, 8):
        patient = t.patient(db, first_name=f'Guest{at}')
        token = flows.send(t, db, patient)
        result, proving = meeting(t, db, at, 'SELECT request_pin(?, ?, ?)', token, *flows.chart(t, db, patient))
        t.equal(result, 'pin_sent')
        t.one(db, 'SELECT deliver()')
        pin = t.pin(flows.newest(t, db, 'PIN'))
        result, registering = meeting(t, db, at, 'SELECT register_patient(?, ?, ?, ?)', token, pin, f'guest{at}',
                                      flows.PASSWORD)
        t.equal(result, 'registered')
        result, signing_in = meeting(t, db, at, 'SELECT portal_login(?, ?)', f'guest{at}', flows.PASSWORD)
        t.equal(result, 'ok')
        t.equal(t.all(db, SPENT), [])
    t.true(max(proving, registering, signing_in) < at, 'some writes have not met another writer')


def test_an_answer_tells_of_the_try_that_was_committed(t):
    db = t.database(journal='delete')
    patient = t.patient(db)
    token = flows.send(t, db, patient)
    chart = flows.chart(t, db, patient)
    caller = t.connect(t.file(db), timeout=0)
    begun = []

    def statement_begins(text):
        begun.append(text.removeprefix('-- '))
        if text.endswith('RELEASE portal') and begun.count('RELEASE portal') == 2:
            # A reader keeps the PIN from being committed; then the link is revoked before the next try.
            db.execute('BEGIN')
            db.execute('SELECT * FROM patient').fetchall()
        if text.endswith('SAVEPOINT portal') and begun.count('SAVEPOINT portal') == 3:
            db.execute('ROLLBACK')
            t.one(db, 'SELECT revoke_access(?)', patient)

    caller.set_trace_callback(statement_begins)
    t.equal(flows.ask(t, caller, 'SELECT request_pin(?, ?, ?)', token, *chart), {'result': 'refused'})
    t.equal(t.one(db, 'SELECT count(*) FROM portal_pin'), 0)


def test_a_commit_that_meets_a_reader_is_not_told_in_the_words_of_a_skipped_row(t):
    db = t.database(journal='delete')
    flows.send(t, db, t.patient(db))
    t.patient(db)
    reader = t.connect(t.file(db))
    rows = reader.execute('SELECT * FROM patient')
    rows.fetchone()
    other = t.connect(t.file(db), timeout=0)
    text = t.refuses(other, "INSERT OR IGNORE INTO send_registration SELECT patient_id, 'email' FROM patient")
    t.contains(text, 'locked')
    rows.close()
    t.equal(t.one(db, 'SELECT count(*) FROM portal_registration'), 1)


def test_a_write_that_stands_is_no_error_when_its_sentence_can_not_be_read(t):
    db = t.database()
    patient = t.patient(db)
    db.set_authorizer(lambda action, table, column, *_: sqlite3.SQLITE_DENY
                      if (table, column) == ('portal_account', 'last_login_at') else sqlite3.SQLITE_OK)
    t.contains(t.one(db, "SELECT send_registration(?, 'email')", patient), 'Done')
    db.set_authorizer(None)
    t.equal(t.one(db, 'SELECT status FROM portal_status'), 'sent')


def test_a_call_after_a_stale_read_in_wal_mode_is_refused_as_busy(t):
    db = t.database(journal='wal')
    t.patient(db)
    other = t.connect(t.file(db), timeout=5)
    other.execute('BEGIN')
    other.execute('SELECT count(*) FROM patient').fetchall()
    t.one(db, "SELECT portal_setting('link_hours', 5)")
    t.refuses(other, "SELECT send_registration(1, 'email')", says='try again')
    other.execute('ROLLBACK')
    t.contains(t.one(other, "SELECT send_registration(1, 'email')"), 'sent')


def add_namesake(t, number, path):
    db = t.connect(path, timeout=30)
    t.together()
    try:
        return t.one(db, "SELECT quick_add('Grace', 'Hopper', '1906-12-09', 'email', 'grace@example.com')")
    except Exception as error:
        t.contains(str(error), 'same name and date of birth')
        return None


def test_processes_that_add_the_same_patient_add_one(t):
    db = t.database()
    results = t.parallel(6, add_namesake, t.file(db))
    t.equal(len([result for result in results if isinstance(result, int)]), 1, f'{results}')
    t.equal([result for result in results if result is not None and not isinstance(result, int)], [])
    t.equal(t.one(db, 'SELECT count(*) FROM portal_registration'), 1)


def send_at_once(t, number, path):
    db = t.connect(path, timeout=30)
    t.together()
    try:
        return t.one(db, "SELECT send_registration(1, 'email')")
    except Exception as error:
        t.contains(str(error), 'a moment ago')
        return None


def test_a_click_in_every_process_sends_one_link(t):
    db = t.database()
    t.patient(db)
    results = t.parallel(8, send_at_once, t.file(db))
    t.equal(len([result for result in results if isinstance(result, str)]), 1, f'{results}')
    t.equal(len(t.mails(db)), 1)
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
