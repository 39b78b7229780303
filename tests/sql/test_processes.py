"""Several processes on one database, and processes that are killed: nothing is lost, done twice or forked."""
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time

import flows
import harness

KILLS = 36

# What a process does in a loop; it tells each success once the call has returned.
WORKER = '''
import os, sqlite3, sys
path, extension, task, number = sys.argv[1:]
db = sqlite3.connect(path, isolation_level=None, timeout=30)
db.enable_load_extension(True)
db.load_extension(extension)

def one(sql, *params):
    return db.execute(sql, params).fetchone()[0]

def tell(text):
    os.write(1, (text + "\\n").encode())

at = 0
tell("ready")
while True:
    at += 1
    if task == "send":
        patient = one("SELECT quick_add(?, 'Crash', '1980-01-01', 'email', ?)", f"P{number}x{at}", f"p{number}x{at}@example.com")
        tell(f"added {patient}")
    elif task == "queue":
        with db:
            db.execute("BEGIN IMMEDIATE")
            first = one("SELECT coalesce(max(patient_id), 0) + 1 FROM patient")
            db.executemany("INSERT INTO quick_add VALUES (?, 'Crash', '1980-01-01', 'text', ?)",
                           [(f"Q{number}x{at}x{i}", f"+1202{2000000 + int(number) * 10000 + at * 10 + i}") for i in range(5)])
        tell(f"added {first}")
    elif task == "deliver":
        tell("delivered " + one("SELECT deliver(5)"))
    elif task == "claim":
        claim = one("SELECT claim_messages(3)")
        rows = db.execute("SELECT message_id FROM portal_claimed(?)", [claim]).fetchall()
        for message, in rows:
            one("SELECT report_delivery(?, ?, 'sent', 'own mailer')", claim, message)
            tell(f"sent {message}")
'''


def start(t, path, task, number):
    return subprocess.Popen([sys.executable, '-c', WORKER, str(path), str(t.extension), task, str(number)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill_after(t, process, calls, seconds):
    """Kills a process in the middle of its work, so many calls on; gives what it told of as done."""
    told = [process.stdout.readline() for _ in range(calls + 1)]
    t.equal(told[0], 'ready\n', process.stderr.read() if not told[0] else '')
    time.sleep(seconds)     # not for time: how far it gets is what is tried out
    process.send_signal(signal.SIGKILL)
    output, errors = process.communicate()
    t.equal(errors, '')
    return [line.rstrip('\n') for line in told[1:]] + output.split('\n')[:-1]


def sound(t, db):
    """Claims that a database is whole, however its last user ended."""
    t.equal(t.one(db, 'PRAGMA integrity_check'), 'ok')
    t.equal(t.all(db, 'PRAGMA foreign_key_check'), [])
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
    problems = {row[0] for row in t.all(db, 'SELECT problem FROM portal_check')}
    t.equal(problems - {'a sender claimed a message and did not report'}, set())


def nothing_lost(t, db):
    """Claims that every message is with the recipient or still due, and every patient has one."""
    in_maildir = {re.search(r'<(\d+)\.', mail['Message-ID']).group(1) for mail in t.mails(db)}
    for message_id, status, due_at, detail in t.all(
            db, 'SELECT message_id, status, due_at, detail FROM portal_message'):
        if status == 'sent':
            t.true(str(message_id) in in_maildir or detail == 'own mailer', f'message {message_id} was lost')
        else:
            t.true(status in ('queued', 'claimed') and due_at is not None, f'message {message_id} is {status}')
    t.equal(t.one(db, 'SELECT count(*) FROM patient WHERE phr_active AND patient_id NOT IN'
                      ' (SELECT patient_id FROM portal_registration)'), 0)
    t.equal(t.one(db, 'SELECT count(*) FROM portal_registration WHERE patient_id NOT IN (SELECT patient_id FROM patient)'), 0)
    t.equal(t.one(db, 'SELECT (SELECT count(*) FROM portal_registration) ='
                      " (SELECT count(*) FROM portal_audit WHERE action = 'registration.queued')"), 1)


def killed_again_and_again(t, task, journal):
    os.environ.pop(harness.CLOCK, None)
    t.real_clock()
    db = t.database(journal=journal)
    t.one(db, "SELECT portal_setting('lease_seconds', 10)")
    chance = random.Random(f'{task} {journal}')
    told = 0
    for number in range(KILLS):
        if task in ('deliver', 'claim'):
            first = t.one(db, 'SELECT coalesce(max(patient_id), 0) + 1 FROM patient')
            db.executemany("INSERT INTO quick_add VALUES (?, 'Crash', '1980-01-01', 'email', ?)",
                           [(f'D{i}', f'd{i}@example.com') for i in range(first, first + 20)])
        done = kill_after(t, start(t, t.file(db), task, number), chance.randint(0, 3), chance.uniform(0, 0.02))
        told += len(done)
        sound(t, db)
        for line in done:
            word, what = line.split(' ', 1)
            if word == 'added':
                t.equal(t.one(db, 'SELECT count(*) FROM patient JOIN portal_registration USING (patient_id)'
                                  ' WHERE patient_id = ?', int(what)), 1, line)
            elif word == 'sent':
                t.equal(t.one(db, 'SELECT status FROM portal_message WHERE message_id = ?', int(what)), 'sent', line)
    nothing_lost(t, db)
    t.true(told > KILLS / 2, f'only {told} calls were done')
    t.real_clock()
    t.advance(3600)     # all leases are over
    while flows.ask(t, db, 'SELECT deliver()')['waiting']:
        t.advance(3600)
    sound(t, db)
    nothing_lost(t, db)
    t.equal(t.all(db, 'SELECT DISTINCT status FROM portal_message'), [('sent',)])
    t.equal({t.one(db, 'SELECT token_valid(?)', t.token(mail)) for mail in t.mails(db)[::20]} - {0, 1}, set())


@harness.release_only
def test_senders_killed_in_the_middle_lose_nothing(t):
    killed_again_and_again(t, 'send', 'delete')


@harness.release_only
def test_senders_killed_in_the_middle_lose_nothing_in_wal_mode(t):
    killed_again_and_again(t, 'send', 'wal')


@harness.release_only
def test_transactions_killed_in_the_middle_lose_nothing(t):
    killed_again_and_again(t, 'queue', 'wal')


@harness.release_only
def test_deliverers_killed_in_the_middle_lose_nothing(t):
    killed_again_and_again(t, 'deliver', 'delete')


@harness.release_only
def test_deliverers_killed_in_the_middle_lose_nothing_in_wal_mode(t):
    killed_again_and_again(t, 'deliver', 'wal')


@harness.release_only
def test_mailers_killed_in_the_middle_lose_nothing(t):
    killed_again_and_again(t, 'claim', 'wal')


# Registering, killed

REGISTRANT = '''
import os, sqlite3, sys
path, extension, token, pin = sys.argv[1:]
db = sqlite3.connect(path, isolation_level=None, timeout=30)
db.enable_load_extension(True)
db.load_extension(extension)
os.write(1, b"ready\\n")
answer = db.execute("SELECT register_patient(?, ?, 'ada', 'correct horse battery staple')", [token, pin]).fetchone()[0]
os.write(1, (answer + "\\n").encode())
'''


@harness.release_only
def test_a_registration_killed_in_the_middle_is_whole_or_not_there(t):
    outcomes = set()
    for number in range(24):
        db = t.database()
        patient = t.patient(db)
        token = flows.send(t, db, patient)
        pin = flows.pin(t, db, token, patient)
        process = subprocess.Popen(
            [sys.executable, '-c', REGISTRANT.replace('db = sqlite3', f'''
first = sqlite3.connect(":memory:")
first.enable_load_extension(True)
first.load_extension({str(harness.CLOCK_VFS)!r})
db = sqlite3'''), str(t.file(db)), str(t.extension), token, pin],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        told = kill_after(t, process, number // 23, number * 0.005)     # the last is let finish
        sound(t, db)
        state = t.all(db, "SELECT (SELECT count(*) FROM portal_account), (SELECT count(*) FROM portal_access),"
                          " (SELECT count(*) FROM portal_registration WHERE status = 'used'),"
                          " (SELECT count(*) FROM portal_pin WHERE status = 'used')")
        t.true(state in ([(0, 0, 0, 0)], [(1, 1, 1, 1)]), f'half a registration: {state}')
        if told:
            t.equal(told, ['{"result":"registered","username":"ada"}'])
            t.equal(state, [(1, 1, 1, 1)])
        outcomes.add(state[0][0])
        t.equal(t.one(db, 'SELECT token_status(?)', token), 'used' if state[0][0] else 'valid')
        if state[0][0] == 0:
            answer = flows.ask(t, db, "SELECT register_patient(?, ?, 'ada', ?)", token, pin, flows.PASSWORD)
            t.equal(answer['result'], 'registered')
        t.true(flows.can_login(t, db, 'ada'))
    t.equal(outcomes, {0, 1}, 'every process was killed at the same point')


# All at once

def mix(t, number, path, patients, seconds, timeout):
    """Calls of every sort, in a random order; gives how many were done and how many refused as busy."""
    db = t.connect(path, timeout=timeout)
    chance = random.Random(number)
    t.together()
    done, busy, end = 0, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        patient = chance.choice(patients)
        call, params, refusals = chance.choice([
            ("SELECT send_registration(?, 'email')", [patient], ['a moment ago', 'the limit']),
            ("SELECT send_problem(?, 'text')", [patient], []),
            ('SELECT deliver(3)', [], []),
            ('SELECT expire_links()', [], []),
            ('SELECT count(*) FROM portal_status', [], []),
            ("SELECT revoke_access(?)", [patient], ['is revoked since', 'nothing to revoke']),
            ("SELECT portal_setting('pin_minutes', ?)", [chance.randint(1, 60)], []),
            ("SELECT quick_add(?, 'Mix', '1990-01-01')", [f'N{number}x{done}x{busy}'], []),
            ("SELECT portal_login('nobody', 'wrong password')", [], []),
            ('SELECT count(*) FROM portal_check', [], []),
            ('SELECT portal_audit_verify()', [], []),
            ("INSERT OR IGNORE INTO send_registration SELECT patient_id, 'text' FROM patient LIMIT 3", [], []),
            ("UPDATE OR IGNORE pending_requests SET decision = 'decline'", [], []),
            ('SELECT portal_purge(1)', [], []),
        ])
        try:
            rows = db.execute(call, params).fetchall()
            if 'verify' in call:
                t.equal(rows, [(None,)])
            done += 1
        except Exception as error:
            text = str(error)
            if 'try again' in text or 'database is locked' in text:
                busy += 1
            elif not any(part in text for part in refusals):
                raise
        if db.in_transaction:
            raise AssertionError(f'a transaction was left open by {call}')
    return done, busy


def mixed(t, journal, timeout):
    t.real_clock()
    db = t.database(journal=journal)
    patients = [t.patient(db) for _ in range(6)]
    results = t.parallel(8, mix, t.file(db), patients, 4, timeout)
    for result in results:
        t.true(isinstance(result, tuple), f'{result!r}')
    sound(t, db)
    t.true(all(done > 0 for done, _ in results), f'{results}')
    for status, count in t.all(db, "SELECT patient_id, count(*) FROM portal_registration"
                                   " WHERE status IN ('queued', 'live') GROUP BY 1"):
        t.equal(count, 1)
    return results


@harness.release_only
def test_eight_processes_mixing_all_calls_neither_deadlock_nor_fail(t):
    results = mixed(t, 'wal', 30)
    t.equal([busy for _, busy in results], [0] * 8)


@harness.release_only
def test_eight_processes_without_a_busy_timeout_are_refused_cleanly(t):
    mixed(t, 'delete', 0)


@harness.release_only
def test_eight_processes_with_a_rollback_journal_neither_deadlock_nor_fail(t):
    mixed(t, 'delete', 30)


# Two that meet

def test_a_refusal_for_another_writer_says_so_and_changes_nothing(t):
    for journal in ('delete', 'wal'):
        db = t.database(journal=journal)
        patient = t.patient(db)
        token = flows.send(t, db, patient)
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


def initialise(t, number, path):
    db = t.connect(path, timeout=30)
    t.together()
    return t.one(db, 'SELECT portal_init()')


def test_processes_that_initialise_at_once_make_one_key(t):
    path = t.path('new.db')
    results = t.parallel(6, initialise, path)
    t.equal([result for result in results if not isinstance(result, str)], [])
    db = t.connect(path)
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
    flows.send(t, db, t.patient(db))
    t.equal(t.all(db, 'SELECT * FROM portal_check'), [])
