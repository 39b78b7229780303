"""Processes that work on one database at once, or are killed at random moments, and what must hold then.

The tests run a few of each, `make soak` many more.
"""
import collections
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import time
import traceback

import aftermath
import mailservers
import workload

WORKERS = 3
TOGETHER = 8
FOREVER = 3600
PATIENCE = 60           # busy timeout: what waits longer is stuck
# Leases, retries, PINs, sessions and links run out between two kills, or do not.
PAUSES = (0, 1, 11, 61, 700, 3 * 3600, 80 * 3600)


def fork(function, *args):
    """A process that goes on from here, for a caller without an open database; gives its id."""
    process = os.fork()
    if process != 0:
        return process
    code = 1
    try:
        function(*args)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)      # what the caller would clean up is not ours


def kill(t, process):
    """Kills a process, unless it has come to its end, which then was a good one; whether it did."""
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    code = os.waitstatus_to_exitcode(status)
    t.true(code in (-signal.SIGKILL, 0), 'a process failed before it was killed')
    return code != 0


def seconds_of(t, function, *args):
    """Lets a process come to its end; gives how long it took."""
    started = time.monotonic()
    _, status = os.waitpid(fork(function, *args), 0)
    t.equal(status, 0)
    return time.monotonic() - started


def kill_within(t, chance, seconds, function, *args):
    process = fork(function, *args)
    time.sleep(chance.uniform(0, seconds))      # how far it gets is what is tried out
    kill(t, process)


def workers_killed(t, seed, journal, kills):
    """Kills one worker or all of them, again and again; gives how many successes were told."""
    chance = random.Random(seed)
    path = workload.practice(t, journal)
    at_work = []
    started = 0
    while kills > 0:
        while len(at_work) < WORKERS:
            started += 1
            at_work.append(fork(workload.work, t, started, path, seed, FOREVER, PATIENCE))
        time.sleep(chance.uniform(0, 0.3))
        doomed = list(at_work) if chance.random() < 0.5 else chance.sample(at_work, 1)
        for process in doomed:
            at_work.remove(process)
            kill(t, process)
        kills -= len(doomed)
        aftermath.sound(t, path, others=bool(at_work))
        if not at_work:
            t.advance(chance.choice(PAUSES))
    for process in at_work:
        kill(t, process)
    aftermath.quiet(t, path)
    return aftermath.told(path)[0].total()


def workers_together(t, seed, journal, seconds, timeout):
    """Lets workers do all they can; gives how many calls were done, and refused as busy, by each."""
    t.real_clock()
    path = workload.practice(t, journal)
    # Not waiting for the disk, they meet more often.
    results = t.parallel(TOGETHER, workload.work, path, seed, seconds, timeout, 'off')
    for result in results:
        if isinstance(result, Exception):
            raise result
    t.true(all(done > 0 for done, _ in results), f'some did nothing: {results}')
    if timeout > 0:
        t.equal([busy for _, busy in results], [0] * TOGETHER, 'some were refused instead of waiting')
    # Every success was told, and a refusal has done nothing; what a mailer reports, deliver() may have sent.
    t.equal(aftermath.sound(t, path).keys() - {'message.sent'}, set())
    aftermath.quiet(t, path)
    return results


# Claims

LEASE = 10


def mail_or_die(t, number, path, seed):
    """A mailer that claims what is due, tells of it, and reports it sent unless it dies of something."""
    chance = random.Random(f'{seed} {number}')
    log = os.open(workload.story(path, number), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with contextlib.closing(t.connect(path, timeout=PATIENCE)) as db:
        while name := t.one(db, 'SELECT claim_messages(?)', chance.randint(1, 5)):
            claimed = [row[0] for row in t.all(db, 'SELECT message_id FROM portal_claimed(?)', name)]
            os.write(log, ''.join(f'{t.now()} claimed {message} {name}\n' for message in claimed).encode())
            for message in claimed:
                if chance.random() < 0.1:
                    os.kill(os.getpid(), signal.SIGKILL)
                t.one(db, "SELECT report_delivery(?, ?, 'sent')", name, message)
                os.write(log, f'{t.now()} sent {message} {name}\n'.encode())


def mailers_dying(t, seed, journal, messages):
    """Lets mailers share messages, half a lease and more between their turns; gives how many claims lapsed."""
    with contextlib.closing(t.database(journal=journal)) as db:
        path = t.file(db)
        t.one(db, "SELECT portal_setting('lease_seconds', ?)", LEASE)
        db.executemany("INSERT INTO quick_add VALUES (?, 'Mailed', '1980-01-01', 'email', ?)",
                       [(f'M{i}', f'm{i}@example.com') for i in range(messages)])
    turn = 0
    waiting = messages
    while waiting:
        for process in [fork(mail_or_die, t, f'{turn}x{number}', path, seed) for number in range(WORKERS)]:
            _, status = os.waitpid(process, 0)
            t.true(os.waitstatus_to_exitcode(status) in (-signal.SIGKILL, 0), 'a mailer failed')
        t.advance(LEASE // 2 + 1)
        turn += 1
        with contextlib.closing(t.connect(path)) as db:
            waiting = t.one(db, "SELECT count(*) FROM portal_message WHERE status <> 'sent'")
    return leases_apart(t, path, messages)


def leases_apart(t, path, messages):
    """Claims that no message was in two hands at once, and that each was sent by one; gives how many lapsed."""
    lines = [line.split() for file in path.parent.glob(f'{path.name}-told-*')
             for line in file.read_text().splitlines()]
    claims = collections.defaultdict(list)
    for at, what, message, name in lines:
        if what == 'claimed':
            claims[message].append((int(at), int(name.partition('-')[0])))
    for message, held in claims.items():
        held.sort()
        for (_, lease_end), (claimed_at, _) in zip(held, held[1:]):
            t.true(claimed_at >= lease_end, f'message {message} was in two hands: {held}')
    sent = [message for _, what, message, _ in lines if what == 'sent']
    t.equal(len(sent), len(set(sent)), 'reported twice')
    t.true(len(sent) <= messages == len(claims), f'{len(claims)} of {messages} were claimed')
    return sum(len(held) - 1 for held in claims.values())


# Mail

MAIL_SIZE = 2250        # about, as smtp-sink keeps it


def is_running(process):
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def hand_over(t, path):
    with contextlib.closing(t.connect(path, timeout=PATIENCE)) as db:
        t.one(db, 'SELECT deliver()')


def killed_at_work(t, process, kept, messages):
    """Kills a process that hands over mail when a server has kept so many messages more; whether it did."""
    enough = kept.stat().st_size + messages * MAIL_SIZE
    while kept.stat().st_size < enough and is_running(process):
        time.sleep(0.001)
    return kill(t, process)


def senders_killed(t, seed, journal, messages, most):
    """Kills one or two that hand over mail by smtp, each after half of `most` messages to `most`, until all are sent.

    Gives how many were killed, and how many messages arrived more than once.
    """
    chance = random.Random(seed)
    port, kept = mailservers.keeping_sink(t)
    with contextlib.closing(t.database(journal=journal)) as db:
        path = t.file(db)
        for key, value in (('lease_seconds', LEASE), ('smtp_url', f'smtp://127.0.0.1:{port}'),
                           ('email_channel', 'smtp')):
            t.one(db, 'SELECT portal_setting(?, ?)', key, value)
        # In one statement: each would be a write of its own.
        t.one(db, "INSERT INTO quick_add SELECT 'M' || value, 'Mailed', '1980-01-01', 'email',"
                  " 'm' || value || '@example.com' FROM json_each(?)", json.dumps(list(range(messages))))
    killed = 0
    waiting = messages
    while waiting:
        at_work = [fork(hand_over, t, path) for _ in range(chance.randint(1, 2))]
        killed += sum(killed_at_work(t, process, kept, chance.randint(most // 2, most)) for process in at_work)
        t.advance(LEASE + 1)
        with contextlib.closing(t.connect(path)) as db:
            waiting = t.one(db, 'SELECT count(*) FROM portal_message WHERE due_at IS NOT NULL')
    with contextlib.closing(t.connect(path)) as db:
        aftermath.whole(t, db)
        rows = t.all(db, 'SELECT message_id, status, attempts, duplicate, detail FROM portal_message')
    headers = aftermath.message_ids(kept)
    aftermath.accounted(t, rows, headers)
    t.equal(collections.Counter(status for _, status, *_ in rows), {'sent': messages})
    return killed, len(headers) - messages


# portal_init() and portal_purge()

def initialise(t, path):
    with contextlib.closing(t.connect(path, timeout=PATIENCE)) as db:
        t.one(db, 'SELECT portal_init()')


def initialising_killed(t, seed, journal, kills):
    """Kills the first portal_init() of a database, then runs it again; gives how often it had not happened."""
    chance = random.Random(seed)
    seconds = seconds_of(t, initialise, t, t.path('whole.db'))
    unfinished = 0
    for number in range(kills):
        path = t.path(f'{journal}{number}.db')
        with contextlib.closing(t.connect(path)) as db:
            t.one(db, f'PRAGMA journal_mode = {journal}')
        kill_within(t, chance, seconds, initialise, t, path)
        with contextlib.closing(t.connect(path)) as db:
            tables = t.one(db, "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'portal%'")
            unfinished += tables == 0
            t.contains(t.one(db, 'SELECT portal_init()'), 'were made' if tables == 0 else 'are there')
            aftermath.whole(t, db)
            t.contains(t.one(db, "SELECT send_registration(?, 'email')", t.patient(db)), 'sent')
        t.equal([file.name for file in path.parent.glob(f'{path.name}.portal-key*')], [f'{path.name}.portal-key'])
    return unfinished


PURGED = [f'SELECT count(*) FROM {table}' for table in
          ('portal_message', 'portal_registration', 'portal_pin', 'portal_session', 'portal_audit')]


def purge(t, path):
    with contextlib.closing(t.connect(path, timeout=PATIENCE)) as db:
        t.one(db, 'SELECT portal_purge(400)')


def purging_killed(t, seed, journal, kills):
    """Kills portal_purge() on copies of an old practice; gives how often it had not happened."""
    chance = random.Random(seed)
    path = workload.practice(t, journal)
    workload.work(t, 'old', path, seed, 1, PATIENCE)
    aftermath.quiet(t, path)
    t.advance(7 * 366 * 86400)
    shutil.copy(path, old := t.path('old.db'))
    rows = lambda db: [t.one(db, query) for query in PURGED]
    with contextlib.closing(t.connect(path)) as db:
        before = rows(db)
    seconds = seconds_of(t, purge, t, path)
    with contextlib.closing(t.connect(path)) as db:
        after = rows(db)
    t.true(before != after, f'nothing to purge: {before}')
    outcomes = []
    for _ in range(kills):
        for left in ('journal', 'wal', 'shm'):
            pathlib.Path(f'{path}-{left}').unlink(missing_ok=True)
        shutil.copy(old, path)
        kill_within(t, chance, seconds, purge, t, path)
        with contextlib.closing(t.connect(path)) as db:
            outcomes.append(rows(db))
            t.true(outcomes[-1] in (before, after), f'{before} became {outcomes[-1]}, and not {after}')
            t.equal(t.one(db, 'PRAGMA integrity_check'), 'ok')
            t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
    return outcomes.count(before)
