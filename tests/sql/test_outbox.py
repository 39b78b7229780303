"""The transactional outbox and deliver(): what is queued leaves once, after its write, with no lock held."""
import os
import pathlib
import re
import subprocess
import time

import flows
import gateways
import harness

HOUR, DAY = 3600, 86400


def practice(t, count=1, **settings):
    db = t.database()
    for key, value in settings.items():
        t.one(db, 'SELECT portal_setting(?, ?)', key, value)
    return db, [t.patient(db) for _ in range(count)]


def queue(t, db, patients=None):
    """Queues registrations without handing any over."""
    db.execute("INSERT INTO send_registration(patient_id, channel) SELECT patient_id, 'email' FROM patient"
               + (f' WHERE patient_id IN ({", ".join(map(str, patients))})' if patients else ''))


def deliver(t, db, *limit):
    return flows.ask(t, db, f'SELECT deliver({", ".join("?" * len(limit))})', *limit)


def break_maildir(t, db):
    """A Maildir that can not be: its path leads through a file."""
    t.path('file').write_text('')
    t.one(db, "SELECT portal_setting('maildir', ?)", str(t.path('file') / 'maildir'))


def mend_maildir(t, db):
    t.one(db, "SELECT portal_setting('maildir', NULL)")


def message(t, db, columns, message_id=1):
    return db.execute(f'SELECT {columns} FROM portal_message WHERE message_id = ?', [message_id]).fetchone()


def counts(sent=0, failed=0, retrying=0, waiting=0):
    return {'sent': sent, 'failed': failed, 'retrying': retrying, 'waiting': waiting}


# Transactional

def test_a_rolled_back_send_leaves_no_row_and_no_file(t):
    db, [patient] = practice(t)
    audit = t.one(db, 'SELECT count(*) FROM portal_audit')
    db.execute('BEGIN')
    t.contains(t.one(db, "SELECT send_registration(?, 'email')", patient), 'queued')
    t.equal(t.mails(db), [])
    db.execute('ROLLBACK')
    t.equal(deliver(t, db), counts())
    t.equal(t.mails(db), [])
    t.true(not t.path('practice.db-outbox').exists())
    for table, count in (('portal_message', 0), ('portal_registration', 0), ('portal_audit', audit)):
        t.equal(t.one(db, f'SELECT count(*) FROM {table}'), count, table)
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
    t.equal(flows.status(t, db, patient), 'not sent')


def test_a_send_rolled_back_to_a_savepoint_leaves_nothing(t):
    db, [patient, other] = practice(t, 2)
    db.execute('BEGIN')
    t.one(db, "SELECT send_registration(?, 'email')", other)
    db.execute('SAVEPOINT own')
    t.one(db, "SELECT send_registration(?, 'email')", patient)
    db.execute('ROLLBACK TO own')
    db.execute('COMMIT')
    t.equal(deliver(t, db), counts(sent=1))
    t.equal([mail['To'] for mail in t.mails(db)], ['ada2@example.com'])
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_a_scalar_call_hands_over_only_when_it_holds_no_lock(t):
    db, patients = practice(t, 4)
    t.contains(t.one(db, "SELECT send_registration(?, 'email')", patients[0]), 'sent by email', 'Maildir')
    t.equal(len(t.mails(db)), 1)
    for sentence, in t.all(db, "SELECT send_registration(patient_id, 'email') FROM patient WHERE patient_id > 2"):
        t.contains(sentence, 'queued')
    t.equal(len(t.mails(db)), 1)
    reading = db.execute('SELECT patient_id FROM patient')
    reading.fetchone()
    t.contains(t.one(db, "SELECT send_registration(?, 'email')", patients[1]), 'queued')
    reading.close()
    t.equal(len(t.mails(db)), 1)
    t.equal(deliver(t, db), counts(sent=3))


def test_the_insert_form_never_hands_over_by_itself(t):
    db, patients = practice(t, 3)
    queue(t, db)
    t.equal(t.mails(db), [])
    t.equal(deliver(t, db), counts(sent=3))
    t.equal(len(t.mails(db)), 3)


# deliver()

def test_deliver_counts_and_takes_a_limit(t):
    db, _ = practice(t, 7)
    queue(t, db)
    t.equal(deliver(t, db, 0), counts(waiting=7))
    t.equal(deliver(t, db, 3), counts(sent=3, waiting=4))
    t.equal(deliver(t, db, 1.0), counts(sent=1, waiting=3))
    t.equal(deliver(t, db, 100), counts(sent=3))
    t.equal(deliver(t, db), counts())
    t.equal(len(t.mails(db)), 7)


def test_deliver_refuses_a_limit_that_is_none(t):
    db, _ = practice(t)
    for limit in (-1, 'x', None, 1.5, b'1', -2**63):
        t.refuses(db, 'SELECT deliver(?)', limit, says='limit')


def test_more_messages_than_a_batch_are_all_delivered(t):
    db, _ = practice(t, 230)
    queue(t, db)
    t.equal(deliver(t, db), counts(sent=230))
    mails = t.mails(db)
    t.equal(len({mail['To'] for mail in mails}), 230)
    t.equal(len({t.token(mail) for mail in mails}), 230)
    t.equal(len({mail['Message-ID'] for mail in mails}), 230)


def test_deliver_refuses_while_a_lock_is_held(t):
    db, [patient] = practice(t)
    queue(t, db)
    for begin in ('BEGIN', 'BEGIN IMMEDIATE', 'SAVEPOINT own'):
        db.execute(begin)
        t.refuses(db, 'SELECT deliver()', says=['transaction', 'network', 'COMMIT'])
        db.execute('ROLLBACK')
    t.refuses(db, 'SELECT deliver() FROM patient', says='statement that reads')
    t.refuses(db, 'SELECT (SELECT deliver()) FROM patient WHERE last_name = deliver()', says='statement that reads')
    t.refuses(db, 'UPDATE patient SET city = deliver()', says='transaction')
    t.refuses(db, 'CREATE TABLE x AS SELECT deliver()', says='transaction')
    reading = db.execute('SELECT patient_id FROM patient UNION ALL SELECT 1')
    reading.fetchone()
    t.refuses(db, 'SELECT deliver()', says='statement that reads')
    reading.close()
    t.equal(t.mails(db), [])
    t.equal(deliver(t, db), counts(sent=1))


def test_deliver_works_in_wal_mode_and_holds_no_read_lock(t):
    db = t.database(journal='wal')
    t.patient(db)
    queue(t, db)
    t.equal(deliver(t, db), counts(sent=1))
    t.equal(t.one(db, 'PRAGMA wal_checkpoint(TRUNCATE)'), 0)


# Retries

def test_a_retry_backs_off_and_keeps_message_id_and_link(t):
    db, [patient] = practice(t)
    break_maildir(t, db)
    queue(t, db)
    t.equal(deliver(t, db), counts(retrying=1, waiting=1))
    t.equal(deliver(t, db), counts(waiting=1))
    waits = []
    for _ in range(6):
        due = message(t, db, 'due_at')[0]
        waits.append(due - t.now())
        t.clock(due - 1)
        t.equal(deliver(t, db), counts(waiting=1))
        t.clock(due)
        t.equal(deliver(t, db), counts(retrying=1, waiting=1))
    for wait, least in zip(waits, (60, 120, 240, 480, 960, 1920)):
        t.true(least <= wait <= least * 5 // 4, f'{waits}')
    t.equal(message(t, db, 'status, attempts, duplicate'), ('queued', 7, 0))
    mend_maildir(t, db)
    t.clock(message(t, db, 'due_at')[0])
    t.equal(deliver(t, db), counts(sent=1))
    [mail] = t.mails(db)
    t.equal(t.one(db, 'SELECT token_valid(?)', t.token(mail)), 1)
    t.equal(t.one(db, 'SELECT expires_at FROM portal_registration'), t.now() + 72 * HOUR)


def test_the_message_id_and_the_link_are_the_same_at_every_try(t):
    db, [patient] = practice(t)
    queue(t, db)
    seen = set()
    for _ in range(3):
        claim = t.one(db, 'SELECT claim_messages(10)')
        seen.add(t.all(db, 'SELECT message_id_header, text FROM portal_claimed(?)', claim)[0])
        t.one(db, "SELECT report_delivery(?, 1, 'retry')", claim)
        t.advance(HOUR)
    t.equal(deliver(t, db), counts(sent=1))
    [mail] = t.mails(db)
    seen.add((mail['Message-ID'], t.text(mail)))
    t.equal(len(seen), 1)


def test_a_message_that_is_of_no_use_any_more_has_failed_and_staff_are_told(t):
    db, [patient] = practice(t)
    break_maildir(t, db)
    queue(t, db)
    t.equal(deliver(t, db), counts(retrying=1, waiting=1))
    t.advance(DAY)
    t.equal(deliver(t, db), counts(retrying=1, waiting=1))
    t.advance(2 * DAY - 60)
    t.equal(deliver(t, db), counts(failed=1))
    t.equal(message(t, db, 'status, due_at, attempts'), ('failed', None, 3))
    t.equal(flows.status(t, db, patient), 'failed')
    t.contains(flows.status(t, db, patient, 'message'), 'failed on', 'Not a directory')
    t.contains(flows.status(t, db, patient, 'next_step'), 'send the registration again')
    t.equal(t.all(db, 'SELECT problem FROM portal_check'), [('a message could not be delivered',)])
    t.equal(t.one(db, "SELECT count(*) FROM portal_audit WHERE action = 'message.failed'"), 1)
    mend_maildir(t, db)
    flows.send(t, db, patient)
    t.equal(t.all(db, 'SELECT * FROM portal_check'), [])


def test_the_link_of_a_failed_message_is_dead(t):
    db, [patient] = practice(t, link_hours=1)
    queue(t, db)
    t.advance(HOUR - 30)
    claim = t.one(db, 'SELECT claim_messages(1)')
    token = re.search(r'/r/([\w-]{32})', t.one(db, 'SELECT text FROM portal_claimed(?)', claim)).group(1)
    t.equal(t.one(db, 'SELECT token_valid(?)', token), 1)
    t.one(db, "SELECT report_delivery(?, 1, 'retry', 'greylisted')", claim)
    t.equal(message(t, db, 'status, detail'), ('failed', 'greylisted'))
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'revoked')


def test_failed_messages_do_not_hold_up_others(t):
    db, patients = practice(t, 3)
    queue(t, db)
    db.execute("UPDATE portal_registration SET nonce = x'00' WHERE registration_id = 2")
    t.equal(deliver(t, db), counts(sent=2, retrying=1, waiting=1))
    t.contains(message(t, db, 'detail', 2)[0], 'lost what it carries')
    t.equal(len(t.mails(db)), 2)
    for _ in range(3):
        t.advance(DAY)
        answer = deliver(t, db)
    t.equal(answer, counts(failed=1))
    t.equal(message(t, db, 'status', 2), ('failed',))
    t.equal(flows.status(t, db, patients[1]), 'failed')


def test_a_message_of_an_unknown_kind_or_without_its_registration_is_not_sent(t):
    db, patients = practice(t, 3)
    queue(t, db)
    db.execute("UPDATE portal_message SET kind = 'advertisement' WHERE message_id = 1")
    db.execute('DELETE FROM portal_registration WHERE registration_id = 2')
    t.equal(deliver(t, db), counts(sent=1))
    t.equal(t.all(db, 'SELECT status FROM portal_message'), [('cancelled',), ('cancelled',), ('sent',)])


def test_a_channel_that_is_not_there_lets_messages_wait_and_says_so(t):
    db, [patient] = practice(t, email_channel='pigeon')
    t.contains(t.one(db, "SELECT send_registration(?, 'email')", patient), 'queued', 'pigeon')
    why = 'there is no channel pigeon: no pigeon.so in portal.d beside portal.so'
    t.equal(deliver(t, db), {**counts(waiting=1), 'stopped': why})
    t.equal(message(t, db, 'status, attempts'), ('queued', 0))
    t.one(db, "SELECT portal_setting('email_channel', NULL)")
    t.equal(deliver(t, db), counts(sent=1))


def test_one_medium_without_a_channel_does_not_hold_up_the_other(t):
    db, patients = practice(t, 2, email_channel='pigeon')
    db.execute("INSERT INTO send_registration VALUES (?, 'email'), (?, 'text')", patients)
    answer = deliver(t, db)
    t.contains(answer.pop('stopped'), 'no channel pigeon')
    t.equal(answer, counts(sent=1, waiting=1))
    t.equal(t.all(db, 'SELECT channel, status FROM portal_message'), [('email', 'queued'), ('text', 'sent')])


# What must not be sent

def test_superseded_revoked_and_changed_links_are_not_sent(t):
    db, patients = practice(t, 4)
    queue(t, db)
    t.advance(60)
    queue(t, db, patients[:1])
    t.one(db, 'SELECT revoke_access(?)', patients[1])
    db.execute("UPDATE patient SET email = 'moved@example.com' WHERE patient_id = ?", [patients[2]])
    before = len(t.mails(db))       # the notice of the revoke
    t.equal(deliver(t, db), counts(sent=2))
    t.equal([mail['To'] for mail in t.mails(db)[before:]], ['ada4@example.com', 'ada1@example.com'])
    t.equal(t.all(db, "SELECT message_id, status FROM portal_message WHERE kind = 'registration'"),
            [(1, 'cancelled'), (2, 'cancelled'), (3, 'cancelled'), (4, 'sent'), (5, 'sent')])
    t.equal(flows.status(t, db, patients[2]), 'failed')


def test_a_deceased_deleted_or_inactive_patient_is_not_written_to(t):
    db, patients = practice(t, 3)
    queue(t, db)
    db.execute("UPDATE patient SET deceased_on = '2026-11-20' WHERE patient_id = ?", [patients[0]])
    db.execute('UPDATE patient SET active = 0 WHERE patient_id = ?', [patients[1]])
    db.execute('DELETE FROM patient WHERE patient_id = ?', [patients[2]])
    t.equal(deliver(t, db), counts())
    t.equal(t.mails(db), [])
    t.equal(t.one(db, "SELECT count(*) FROM portal_registration WHERE status = 'changed'"), 3)


# A sender that crashed

def claimed_and_lost(t, **settings):
    db, [patient] = practice(t, **settings)
    queue(t, db)
    return db, patient, t.one(db, 'SELECT claim_messages(10)')


def test_a_lapsed_claim_is_taken_over_as_a_possible_duplicate(t):
    db, patient, claim = claimed_and_lost(t)
    t.advance(299)
    t.equal(deliver(t, db), counts(waiting=1))
    t.advance(1)
    t.equal(deliver(t, db), counts(sent=1))
    t.equal(message(t, db, 'status, duplicate, attempts'), ('sent', 1, 2))
    t.equal(t.all(db, "SELECT subject, patient_id FROM portal_audit WHERE action = 'message.claimed_again'"),
            [('message 1', patient)])
    t.refuses(db, "SELECT report_delivery(?, 1, 'sent')", claim, says='not of the claim')


def test_a_message_whose_senders_always_crash_has_failed(t):
    db, patient, claim = claimed_and_lost(t)
    for _ in range(7):
        t.advance(300)
        t.true(t.one(db, 'SELECT claim_messages(1)'))
    t.advance(300)
    t.equal(t.one(db, 'SELECT claim_messages(1)'), None)
    t.equal(message(t, db, 'status, due_at'), ('failed', None))
    t.equal(flows.status(t, db, patient), 'failed')


def test_one_crash_after_many_refusals_is_not_the_end_of_a_message(t):
    db, _ = practice(t)
    queue(t, db)
    for _ in range(9):
        t.one(db, "SELECT report_delivery(claim_messages(1), 1, 'retry')")
        t.advance(5 * HOUR)
    t.one(db, 'SELECT claim_messages(1)')
    t.advance(300)
    t.equal(deliver(t, db), counts(sent=1))
    t.equal(message(t, db, 'status, duplicate, attempts'), ('sent', 1, 11))


def test_a_claim_that_nobody_took_over_may_still_report_after_its_lease(t):
    db, patient, claim = claimed_and_lost(t)
    t.advance(DAY)
    t.one(db, "SELECT report_delivery(?, 1, 'sent')", claim)
    t.equal(deliver(t, db), counts())
    t.equal(message(t, db, 'status, duplicate'), ('sent', 0))


def test_a_claimed_link_that_was_superseded_is_not_taken_over(t):
    db, patient, claim = claimed_and_lost(t)
    t.advance(60)
    flows.send(t, db, patient)
    t.advance(300)
    t.equal(deliver(t, db), counts())
    t.equal(len(t.mails(db)), 1)


# Several at once

def deliver_some(t, number, path):
    db = t.connect(path, timeout=30)
    t.together()
    sent = 0
    while True:
        answer = flows.ask(t, db, 'SELECT deliver(7)')
        sent += answer['sent']
        t.equal(answer['failed'] + answer['retrying'], 0)
        if answer['sent'] == 0:
            return sent


def test_several_processes_deliver_each_message_once(t):
    db, _ = practice(t, 150)
    queue(t, db)
    sent = t.parallel(4, deliver_some, t.file(db))
    t.equal(sum(sent), 150, f'{sent}')
    t.equal(len(t.mails(db)), 150)
    t.equal(t.all(db, 'SELECT DISTINCT status, attempts, duplicate FROM portal_message'), [('sent', 1, 0)])


def deliver_impatiently(t, number, path):
    """A shell has no busy timeout: it is refused at once while another one writes."""
    db = t.connect(path, timeout=0)
    t.together()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if flows.ask(t, db, 'SELECT deliver(7)')['waiting'] == 0:
                return
        except Exception as error:
            t.contains(str(error), 'try again')
            time.sleep(0.005)   # not for time: two processors and four that spin
    raise AssertionError('never done')


def test_processes_without_a_busy_timeout_deliver_each_message_once(t):
    db, _ = practice(t, 100)
    queue(t, db)
    t.equal(t.parallel(4, deliver_impatiently, t.file(db)), [None] * 4)
    t.equal(len(t.mails(db)), 100)
    t.equal(t.all(db, 'SELECT DISTINCT status, attempts, duplicate FROM portal_message'), [('sent', 1, 0)])


def in_the_way(t, db, lock, when):
    """Takes a lock from another connection before the first statement that begins after `when`."""
    other = t.connect(t.file(db), extension=False, timeout=0)
    db.execute('PRAGMA busy_timeout = 0')

    def before_each(statement):
        if not other.in_transaction and other.execute(f'SELECT {when}').fetchone()[0]:
            other.execute(lock)

    db.set_trace_callback(before_each)
    return other


def test_deliver_stopped_by_another_writer_tells_what_it_had_handed_over(t):
    sent = "(SELECT count(*) FROM portal_message WHERE status = 'sent')"
    for journal, lock, messages, count, waiting in (('wal', 'BEGIN IMMEDIATE', 101, 100, 1),
                                                    ('delete', 'BEGIN EXCLUSIVE', 2, 2, None)):
        db, _ = practice(t, messages)
        db.execute(f'PRAGMA journal_mode = {journal}')
        queue(t, db)
        other = in_the_way(t, db, lock, f'{sent} = {count}')
        answer = deliver(t, db)
        t.contains(answer.pop('stopped'), 'try again')
        t.equal(answer, {**counts(sent=count), 'waiting': waiting})
        if waiting is None:
            t.refuses(db, 'SELECT deliver()', says='try again')
        db.set_trace_callback(None)
        other.execute('ROLLBACK')
        # Was the one more handed over, and could not be recorded, then its lease has to run out.
        t.advance(300)
        t.equal(deliver(t, db), counts(sent=messages - count))
        t.equal(t.all(db, '''SELECT status, count(*), max(attempts) - 1 = max(duplicate)
                             FROM portal_message'''), [('sent', messages, 1)])
        t.equal(len({mail['To'] for mail in t.mails(db)}), messages)


def test_a_claim_that_was_undone_counts_for_nothing(t):
    # What can not be rendered is recorded within the claim, which a reader keeps from its commit.
    db, _ = practice(t)
    queue(t, db)
    db.execute("UPDATE portal_registration SET nonce = x'00'")
    other = in_the_way(t, db, 'BEGIN', 1)
    other.execute('BEGIN')
    other.execute('SELECT count(*) FROM portal_message').fetchone()
    t.refuses(db, 'SELECT deliver()', says='try again')
    other.execute('ROLLBACK')
    t.equal(message(t, db, 'status, attempts'), ('queued', 0))
    db.set_trace_callback(None)
    t.equal(deliver(t, db), counts(retrying=1, waiting=1))


def test_no_lock_is_held_while_a_channel_works(t):
    for journal in ('delete', 'wal'):
        db = t.database(journal=journal)
        t.patient(db)
        queue(t, db)
        # The draft's name can be told before: a FIFO of that name makes the channel wait for us.
        claim = t.one(db, 'SELECT claim_messages(1)')
        header, = t.all(db, 'SELECT message_id_header FROM portal_claimed(?)', claim)[0]
        t.one(db, "SELECT report_delivery(?, 1, 'retry')", claim)
        t.advance(HOUR)
        created = message(t, db, 'created_at')[0]
        shell = subprocess.Popen(
            ['sqlite3', '-batch', ':memory:', '-cmd', f'.load {harness.CLOCK_VFS}', '-cmd', f'.open {t.file(db)}',
             '-cmd', f'.load {t.extension}'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        drafts = pathlib.Path(f'{t.file(db)}-outbox', 'tmp')
        for part in ('tmp', 'new', 'cur'):
            (drafts.parent / part).mkdir(parents=True)
        fifo = drafts / f'{created}.{header.strip("<>").split("@")[0]}.{shell.pid}'
        os.mkfifo(fifo)
        shell.stdin.write('.timeout 10000\nSELECT deliver();\n')
        shell.stdin.flush()
        deadline = time.monotonic() + 60
        while message(t, db, 'status') != ('claimed',):
            t.true(time.monotonic() < deadline and shell.poll() is None, 'it was never claimed')
        other = t.connect(t.file(db), timeout=0)
        for _ in range(20):
            other.execute('BEGIN EXCLUSIVE' if journal == 'delete' else 'BEGIN IMMEDIATE')
            t.patient(other)
            other.execute('COMMIT')
        t.equal(message(t, db, 'status'), ('claimed',))
        with open(fifo, 'rb') as channel:
            t.contains(channel.read().decode(), 'Message-ID')
        output, _ = shell.communicate()
        t.equal(output, '{"sent":0,"failed":0,"retrying":1,"waiting":1}\n')     # a FIFO can not be synced


def test_without_the_key_nothing_is_claimed_or_given_up(t):
    db, [patient] = practice(t)
    queue(t, db)
    db.execute('BEGIN')
    t.one(db, 'SELECT revoke_access(?)', patient)
    db.execute('COMMIT')
    key = pathlib.Path(f'{t.file(db)}.portal-key')
    key.rename(f'{key}.away')
    other = t.connect(t.file(db))
    before = t.all(db, 'SELECT status, attempts FROM portal_message')
    t.refuses(other, 'SELECT deliver()', says='key file')
    t.equal(t.all(db, 'SELECT status, attempts FROM portal_message'), before)
    t.refuses(other, 'SELECT * FROM portal_claimed(claim_messages(5))', says='key file')


def test_a_retry_waits_four_hours_and_a_quarter_at_most(t):
    db, _ = practice(t, email_channel='none')
    queue(t, db)
    db.execute('UPDATE portal_message SET attempts = 9')
    claim = t.one(db, 'SELECT claim_messages(1)')
    t.one(db, "SELECT report_delivery(?, 1, 'retry')", claim)
    wait = message(t, db, 'due_at')[0] - t.now()
    t.true(4 * HOUR <= wait <= 5 * HOUR, wait)


def test_a_message_of_an_unknown_kind_is_of_no_use_after_72_hours(t):
    db, _ = practice(t, email_channel='none')
    queue(t, db)
    db.execute("UPDATE portal_message SET kind = 'unheard_of'")
    t.advance(72 * HOUR)
    t.equal(t.one(db, 'SELECT claim_messages(1)'), None)
    t.equal(message(t, db, 'status')[0], 'failed')


def test_a_database_in_memory_keeps_its_mail_in_the_current_folder(t):
    db = t.connect(':memory:')
    db.execute('SELECT portal_init()')
    patient = t.patient(db)
    t.contains(t.one(db, "SELECT send_registration(?, 'email')", patient), 'sent by email')
    t.equal(len(t.mails(t.path('portal-outbox'))), 1)


def test_a_pin_that_is_gone_is_not_sent(t):
    db = t.database()
    patient = t.patient(db)
    token = flows.send(t, db, patient)
    db.execute("SELECT portal_setting('text_channel', 'none')")
    flows.prove(t, db, token)
    db.execute("SELECT portal_setting('text_channel', NULL)")
    db.execute('DELETE FROM portal_pin')
    deliver(t, db)
    t.equal(len(t.mails(db)), 1)
    t.equal(t.one(db, "SELECT detail FROM portal_message WHERE kind = 'pin'"), 'the PIN is not good any more')


def test_a_channel_whose_server_is_unset_while_another_works_keeps_its_messages_waiting(t):
    def answer(request):
        other.execute("SELECT portal_setting('smtp_url', NULL)")
        return 202, '0: Accepted for delivery'
    db = gateways.practice(t, 'kannel', 1, kannel_url=gateways.Service(answer).url, kannel_user='clinic',
                           kannel_password='secret', email_channel='smtp', smtp_url='smtp://127.0.0.1:9')
    other = t.connect(t.file(db), check_same_thread=False)
    gateways.queue(t, db)
    queue(t, db, [t.patient(db)])
    t.equal(deliver(t, db), {**counts(sent=1, waiting=1), 'stopped': 'the channel smtp is not ready: set smtp_url'})
    t.equal(t.all(db, 'SELECT channel, status, attempts FROM portal_message ORDER BY message_id'),
            [('text', 'sent', 1), ('email', 'queued', 0)])
