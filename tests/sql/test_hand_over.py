"""How deliver() hands over: as a stream, with reports written together, and an end that loses nothing."""
import concurrent.futures
import contextlib
import os
import sqlite3
import time

import flows
import snapshot
from test_plugins import deliver, messages, practice, queue_all, spooled


@contextlib.contextmanager
def at_the_gate(t, db):
    """deliver() in a thread of its own, which stops before each report until it is met at the gate."""
    gate = t.path('gate')
    os.mkfifo(gate)
    os.environ['SPOOL_GATE'] = str(gate)
    other = t.connect(t.file(db), check_same_thread=False)

    @contextlib.contextmanager
    def met():
        with open(gate, 'w'):
            # Another gate for the next meeting: through one, the same might be met twice.
            gate.unlink()
            os.mkfifo(gate)
            yield

    def delivered():
        try:
            return flows.ask(t, other, 'SELECT deliver()')
        except sqlite3.OperationalError as error:
            return str(error)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        yield other, pool.submit(delivered), met
    gate.unlink()
    del os.environ['SPOOL_GATE']


def interrupted(t, journal):
    db = practice(t, patients=4)
    db.execute(f'PRAGMA journal_mode = {journal}')
    queue_all(t, db)
    with at_the_gate(t, db) as (other, answer, met):
        with met():
            pass
        with met():
            other.interrupt()
        t.contains(str(answer.result()), 'interrupt')
    t.equal(messages(t, db, 'status, attempts, duplicate'),
            [('sent', 1, 0), ('sent', 1, 0), ('queued', 0, 0), ('queued', 0, 0)])
    deliver(t, db, sent=2)
    t.equal(len({row[3] for row in spooled(t, 'registration')}), len(spooled(t, 'registration')))
    snapshot.whole(t, db)


def test_an_interrupt_records_what_was_handed_over_and_gives_back_the_rest(t):
    interrupted(t, 'delete')


def test_an_interrupt_loses_nothing_in_wal_mode_either(t):
    interrupted(t, 'wal')


def test_what_waits_for_a_slow_channel_is_claimed_anew_before_its_lease_ends(t):
    db = practice(t, patients=2)
    queue_all(t, db)
    with at_the_gate(t, db) as (_, answer, met):
        with met():
            first = messages(t, db, 'claim')[1]
            t.advance(150)
        with met():
            pass
        t.equal(answer.result(), {'sent': 2, 'failed': 0, 'retrying': 0, 'waiting': 0})
    t.true(messages(t, db, 'claim')[1] != first, 'the second kept its claim')
    t.equal(messages(t, db, 'status, attempts, duplicate'), [('sent', 1, 0)] * 2)


def test_what_dies_while_it_waits_for_a_slow_channel_is_not_sent(t):
    db = practice(t, patients=5)
    queue_all(t, db)
    with at_the_gate(t, db) as (_, answer, met):
        with met():
            db.execute('INSERT INTO revoke_access (patient_id) VALUES (2)')
            db.execute('UPDATE portal_registration SET status = ? WHERE patient_id = 3', ['superseded'])
            t.one(db, "SELECT portal_opt_out(recipient) FROM portal_message WHERE patient_id = 4 AND kind = 'registration'")
            t.advance(5)
        for _ in range(2):
            with met():
                pass
        t.equal(answer.result(), {'sent': 3, 'failed': 1, 'retrying': 0, 'waiting': 0})
    t.equal(messages(t, db, 'patient_id, kind, status, attempts'),
            [(1, 'registration', 'sent', 1), (2, 'registration', 'cancelled', 1), (3, 'registration', 'cancelled', 0),
             (4, 'registration', 'opted_out', 0), (5, 'registration', 'sent', 1), (2, 'deactivated', 'sent', 1)])


def test_a_message_that_another_sender_took_over_spoils_no_report_of_others(t):
    db = practice(t, patients=3)
    queue_all(t, db)
    with at_the_gate(t, db) as (_, answer, met):
        with met():
            db.execute("UPDATE portal_message SET claim = 'other' WHERE message_id = 1")
        for _ in range(2):
            with met():
                pass
        answer.result()
    t.equal(messages(t, db), [('claimed',), ('sent',), ('sent',)])


def test_a_report_that_the_database_does_not_take_is_told(t):
    db = practice(t, patients=1)
    queue_all(t, db)
    db.execute("CREATE TRIGGER theirs BEFORE UPDATE ON portal_message WHEN new.status = 'sent'"
               " BEGIN SELECT raise(ABORT, 'not today'); END")
    t.refuses(db, 'SELECT deliver()', says='not today')
    t.equal(messages(t, db), [('claimed',)])


def test_reports_are_durable_a_moment_after_they_are_made(t):
    db = practice(t, patients=3)
    queue_all(t, db)
    with at_the_gate(t, db) as (_, answer, met):
        for before in ['claimed'] * 3, ['claimed'] * 3, ['sent', 'sent', 'claimed']:
            with met():
                t.equal(messages(t, db), [(status,) for status in before])
                # Longer than a report may wait for others.
                time.sleep(0.15)
        answer.result()
    t.equal(messages(t, db), [('sent',)] * 3)


def test_a_channel_that_is_told_when_to_try_again_is_heeded(t):
    db = practice(t, patients=1)
    os.environ.update(SPOOL_RESULTS='retry', SPOOL_RETRY_AFTER='7200')
    queue_all(t, db)
    deliver(t, db, retrying=1, waiting=1)
    t.equal(t.one(db, 'SELECT due_at FROM portal_message') - t.now(), 7200)
    os.environ['SPOOL_RETRY_AFTER'] = '5'
    t.advance(7200)
    deliver(t, db, retrying=1, waiting=1)
    t.true(t.one(db, 'SELECT due_at FROM portal_message') - t.now() >= 60, 'sooner than the outbox would')


def test_what_stopped_a_channel_is_told_in_its_words(t):
    db = practice(t, patients=2)
    os.environ.update(SPOOL_RESULTS='sent broken', SPOOL_EXPLAIN='the gateway\nis closed')
    queue_all(t, db)
    t.contains(flows.ask(t, db, 'SELECT deliver()')['stopped'], 'the channel spool stopped: the gateway is closed;')


def test_a_backlog_of_one_medium_does_not_hold_up_the_other(t):
    db = practice(t, patients=1)
    queue_all(t, db)
    db.execute("INSERT INTO portal_message (kind, channel, recipient, status, created_at, due_at)"
               " WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)"
               " SELECT 'deactivated', 'email', 'patient' || i || '@example.com', 'queued', ?1, ?1 FROM n",
               [t.now()])
    db.execute("INSERT INTO portal_message (kind, channel, recipient, status, created_at, due_at)"
               " VALUES ('deactivated', 'text', '+12025550143', 'queued', ?1, ?1)", [t.now()])
    deliver(t, db, sent=1502)
    t.equal([row[1] for row in spooled(t, 'deactivated')].index('2'), 0)
