"""portal deliver --watch: what any process queues is handed over at once, whatever befalls the database meanwhile."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import gateways
import harness
from waiting import wait_for

DONE, USAGE, DATABASE = 0, 2, 4


class Watch:
    """A running service, the socket that its manager listens at, and what it writes."""

    def __init__(self, t, path, address='manager', **environment):
        self.path, self.output, self.errors = path, t.path('watch.out'), t.path('watch.err')
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind('\0' + address[1:] if address.startswith('@') else address)
        self.manager.settimeout(60)
        self.states = []
        with open(self.output, 'w') as output, open(self.errors, 'w') as errors:
            self.process = subprocess.Popen(
                [t.command, '-d', path, 'deliver', '--watch'], stdout=output, stderr=errors,
                env=t.portal_environment({'NOTIFY_SOCKET': address, **environment}))
        t.at_end(self.manager.close)
        t.at_end(self.process.wait)
        t.at_end(self.process.kill)

    def hears(self, state):
        """Waits until the service tells its manager this."""
        while not any(state in told for told in self.states):
            self.states.append(self.manager.recv(1000).decode())

    def ready(self):
        self.hears('READY=1')
        return self

    def ends(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(60)

    def busy(self):
        """Seconds of a processor that it has used."""
        return int(pathlib.Path(f'/proc/{self.process.pid}/schedstat').read_text().split()[0]) / 1e9

    def said(self, text):
        return text in self.errors.read_text()


def watching(t, patients=1, journal='wal', **settings):
    """A practice with patients whom nothing was sent to, and a service that watches it, in real time."""
    t.real_clock()
    db = t.database(journal=journal)
    for key, value in settings.items():
        db.execute('SELECT portal_setting(?, ?)', [key, value])
    for _ in range(patients):
        t.patient(db)
    return db, Watch(t, t.file(db)).ready()


def queue(db, channel='email', patients=-1):
    """Queues for those who have no message yet, as another process that does not hand over."""
    db.execute('BEGIN')
    db.execute("INSERT INTO send_registration SELECT patient_id, ? FROM patient"
               " WHERE patient_id NOT IN (SELECT patient_id FROM portal_message) LIMIT ?", [channel, patients])
    db.execute('COMMIT')


def statuses(t, db):
    return [status for status, in t.all(db, 'SELECT status FROM portal_message ORDER BY message_id')]


def sent(t, db, count):
    """Waits until so many messages are sent."""
    wait_for(lambda: statuses(t, db).count('sent') == count, f'{count} messages sent')


# What it hands over

def test_what_another_process_queues_is_sent_within_a_second(t):
    db, watch = watching(t, patients=5)
    took = []
    for number in range(1, 6):
        queue(db, patients=1)
        begun = time.monotonic()
        sent(t, db, number)
        took.append(time.monotonic() - begun)
    # The others may have waited for a busy processor.
    t.true(min(took) < 1, f'{took} seconds')
    t.equal(len(t.mails(db)), 5)
    t.contains(watch.output.read_text(), '1 sent, 0 failed, 0 to be tried again, 0 waiting')
    t.equal((watch.ends(), watch.errors.read_text()), (DONE, ''))


def test_what_was_queued_before_it_began_and_what_becomes_due_later_is_sent(t):
    t.real_clock()
    db = t.database()
    t.patient(db), t.patient(db)
    queue(db)
    db.execute('UPDATE portal_message SET due_at = unixepoch() + 2 WHERE message_id = 2')
    watch = Watch(t, t.file(db)).ready()
    sent(t, db, 1)
    sent(t, db, 2)
    t.equal(watch.ends(), DONE)


def test_settings_that_another_process_changes_count_for_the_next_message(t):
    db, _ = watching(t, patients=2, portal_url='https://old.example.org')
    queue(db, patients=1)
    sent(t, db, 1)
    db.execute("SELECT portal_setting('portal_url', 'https://new.example.org')")
    queue(db)
    sent(t, db, 2)
    links = [t.link(mail).split('/r/')[0] for mail in t.mails(db)]
    t.equal(links, ['https://old.example.org', 'https://new.example.org'])


def test_two_of_them_share_the_work(t):
    t.real_clock()
    db = t.database(journal='wal')
    for _ in range(300):
        t.patient(db)
    both = [Watch(t, t.file(db), address).ready() for address in ('one', '@portal-test-two')]
    queue(db, patients=100)
    sent(t, db, 100)
    queue(db)
    sent(t, db, 300)
    t.equal([watch.ends() for watch in both], [DONE, DONE])
    recipients = [str(mail['To']) for mail in t.mails(db)]
    t.equal((len(recipients), len(set(recipients))), (300, 300))


def test_nothing_is_lost_when_it_is_killed(t):
    db, watch = watching(t, patients=400)
    queue(db)
    wait_for(lambda: 'sent' in statuses(t, db), 'a message sent')
    watch.process.kill()
    watch.process.wait()
    t.clock(t.now() + 400)
    again = Watch(t, t.file(db), 'again').ready()
    sent(t, db, 400)
    t.equal(again.ends(), DONE)
    t.equal({str(mail['To']) for mail in t.mails(db)}, {email for email, in t.all(db, 'SELECT email FROM patient')})


# How it waits

@harness.release_only
def test_waiting_costs_next_to_nothing(t):
    _, watch = watching(t)
    time.sleep(0.5)
    before, begun = watch.busy(), time.monotonic()
    time.sleep(2)
    part = (watch.busy() - before) / (time.monotonic() - begun)
    t.true(part < 0.002, f'{100 * part:.3f} % of a processor')


@harness.release_only
def test_a_channel_that_is_not_ready_is_not_asked_again_and_again(t):
    db, watch = watching(t, text_channel='kannel')
    queue(db, 'text')
    watch.hears('STATUS=')
    wait_for(lambda: watch.said('kannel'), 'the trouble told')
    before = watch.busy()
    time.sleep(1)
    t.true(watch.busy() - before < 0.02, f'{watch.busy() - before} seconds of one')
    db.execute("SELECT portal_setting('text_channel', 'maildir')")
    sent(t, db, 1)
    t.equal(len(watch.errors.read_text().splitlines()), 1, watch.errors.read_text())


def test_the_network_may_go_and_come_back(t):
    answer = [gateways.Service.DROP]
    service = gateways.Service(lambda request: answer[0])
    db, watch = watching(t, patients=2, text_channel='kannel', kannel_url=service.url, kannel_user='clinic', kannel_from='Clinic')
    db.execute("SELECT portal_secret('kannel_password', 'secret')")
    queue(db, 'text')
    # Nobody has them in hand then, and changes when they are due.
    wait_for(lambda: t.all(db, 'SELECT DISTINCT status, attempts > 0 FROM portal_message') == [('queued', 1)],
               'both messages wait for another try')
    t.true(watch.process.poll() is None)
    answer[0] = (202, '0: Accepted for delivery')
    db.execute('UPDATE portal_message SET due_at = unixepoch() WHERE due_at IS NOT NULL')
    sent(t, db, 2)
    t.equal(watch.ends(), DONE)


# What befalls the database

@harness.release_only
def test_a_locked_database_is_waited_for(t):
    db, watch = watching(t, journal='delete')
    queue(db)
    sent(t, db, 1)
    db.execute('BEGIN EXCLUSIVE')
    t.patient(db)
    wait_for(lambda: watch.said('database is locked'), 'it says so')
    db.execute('COMMIT')
    queue(db)
    sent(t, db, 2)
    t.equal((watch.ends(), watch.errors.read_text().count('database is locked')), (DONE, 1))


def test_it_ends_at_once_though_the_database_is_locked(t):
    db, watch = watching(t, journal='delete')
    db.execute('BEGIN EXCLUSIVE')
    time.sleep(0.5)
    begun = time.monotonic()
    t.equal(watch.ends(), DONE)
    t.true(time.monotonic() - begun < 5, 'it waited for the lock')


def test_a_backup_that_is_put_in_its_place_is_worked_on(t):
    db, watch = watching(t, patients=2, journal='delete')
    queue(db, patients=1)
    sent(t, db, 1)
    path = t.file(db)
    db.execute('VACUUM INTO ?', [str(t.path('backup.db'))])
    os.replace(t.path('backup.db'), path)
    restored = t.connect(path)
    queue(restored)
    sent(t, restored, 2)
    t.equal((watch.ends(), watch.errors.read_text()), (DONE, ''))


def test_what_is_no_database_in_its_place_is_told_and_the_next_file_is_tried_at_once(t):
    db, watch = watching(t, journal='delete')
    path = t.file(db)
    db.close()
    shutil.copy(path, t.path('good.db'))
    t.path('bad.db').write_text('this is no database, and it is long enough to be seen as none')
    os.replace(t.path('bad.db'), path)
    wait_for(lambda: watch.said('file is not a database'), 'it says so')
    os.replace(t.path('good.db'), path)
    restored = t.connect(path)
    queue(restored)
    sent(t, restored, 1)
    t.equal((watch.ends(), set(watch.errors.read_text().splitlines())), (DONE, {f'portal: {path}: file is not a database'}))


def test_a_database_that_is_gone_is_waited_for_and_that_is_told_once(t):
    db, watch = watching(t, journal='delete')
    path = t.file(db)
    db.close()
    path.rename(t.path('elsewhere.db'))
    wait_for(lambda: watch.said('No such file or directory; waiting for it'), 'it says so')
    time.sleep(0.6)
    shutil.copy(t.path('elsewhere.db'), t.path('copy.db'))
    t.path('copy.db').rename(path)
    restored = t.connect(path)
    queue(restored)
    sent(t, restored, 1)
    t.equal((watch.ends(), len(watch.errors.read_text().splitlines())), (DONE, 1), watch.errors.read_text())


def test_what_is_no_practice_ends_it_at_once(t):
    db = t.database(init=False)
    db.execute('CREATE TABLE own (a)')
    for path in (t.file(db), t.path('none.db')):
        answer = t.portal('-d', path, 'deliver', '--watch')
        t.equal((answer.code, answer.stdout), (DATABASE, ''))
        t.contains(answer.stderr, 'portal init')
    t.equal(t.portal('-d', t.file(t.database()), 'deliver', '--watch', '--limit', 3).code, USAGE)


# How it begins and ends

def test_the_service_manager_is_told(t):
    db, watch = watching(t)
    t.contains(watch.states[0], 'READY=1')
    queue(db)
    watch.hears('STATUS=1 sent, 0 failed')
    t.equal(watch.ends(), DONE)
    watch.hears('STOPPING=1')


def test_it_works_without_a_service_manager_and_with_one_that_does_not_listen(t):
    t.real_clock()
    db = t.database()
    for number, address in enumerate(['', '/nowhere/socket', 'x' * 200], 1):
        t.patient(db)
        process = subprocess.Popen([t.command, '-d', t.file(db), 'deliver', '--watch'], stdout=subprocess.DEVNULL,
                                   env=t.portal_environment({'NOTIFY_SOCKET': address}))
        t.at_end(process.kill)
        queue(db)
        sent(t, db, number)
        process.terminate()
        t.equal(process.wait(60), DONE)


def test_an_interrupt_ends_it_as_well(t):
    _, watch = watching(t)
    t.equal(watch.ends(signal.SIGINT), DONE)


def test_what_is_under_way_when_it_is_ended_is_recorded(t):
    import threading
    asked, goes_on = threading.Event(), threading.Event()

    def answer(request):
        asked.set()
        goes_on.wait(60)
        return 202, '0: Accepted for delivery'
    service = gateways.Service(answer)
    db, watch = watching(t, patients=30, text_channel='kannel', kannel_url=service.url, kannel_user='clinic', kannel_from='Clinic',
                         kannel_connections=1)
    db.execute("SELECT portal_secret('kannel_password', 'secret')")
    queue(db, 'text')
    t.true(asked.wait(60))
    watch.process.terminate()
    time.sleep(0.3)
    goes_on.set()
    t.equal(watch.process.wait(60), DONE)
    t.equal((statuses(t, db).count('sent'), statuses(t, db).count('queued')), (len(service.requests), 30 - len(service.requests)))
    t.true(len(service.requests) < 30)
