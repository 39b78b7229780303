"""Channels that are libraries of their own, built from portal.h alone and dropped into portal.d."""
import concurrent.futures
import os
import pathlib
import shutil
import time

import flows
import harness
import snapshot

PLUGINS = harness.ROOT / 'build/tests/portal.d'


def installed(t, *names):
    """A copy of the extension with these plugins beside it."""
    folder = t.path('lib')
    (folder / 'portal.d').mkdir(parents=True, exist_ok=True)
    t.extension = pathlib.Path(shutil.copy(t.extension, folder / 'portal.so'))
    for name in names:
        shutil.copy(PLUGINS / f'{name}.so', folder / 'portal.d')
    os.environ['SPOOL_FILE'] = str(t.path('spool'))
    return folder / 'portal.d'


def practice(t, *names, patients=0):
    """A database whose messages go through the plugin spool, and so many patients."""
    installed(t, 'spool', *names)
    db = t.database()
    db.execute("SELECT portal_setting('email_channel', 'spool')")
    db.execute("SELECT portal_setting('text_channel', 'spool')")
    for _ in range(patients):
        t.patient(db)
    return db


def spooled(t, kind=None):
    """The lines that the plugin wrote; of one kind of message, split."""
    path = t.path('spool')
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.split('|') for line in lines if line.startswith(f'{kind}|')] if kind else lines


def queue_all(t, db):
    db.execute('BEGIN')
    db.execute("INSERT INTO send_registration SELECT patient_id, 'email' FROM patient")
    db.execute('COMMIT')


def deliver(t, db, **results):
    t.equal(flows.ask(t, db, 'SELECT deliver()'),
            {'sent': 0, 'failed': 0, 'retrying': 0, 'waiting': 0, **results})


def stopped(t, db, **results):
    """deliver() tells what it handed over before the channel broke, and that it did."""
    answer = flows.ask(t, db, 'SELECT deliver()')
    t.contains(answer.pop('stopped'), 'channel spool', 'tried again')
    t.equal(answer, {'sent': 0, 'failed': 0, 'retrying': 0, 'waiting': 0, **results})


def messages(t, db, columns='status'):
    return t.all(db, f'SELECT {columns} FROM portal_message ORDER BY message_id')


def channel(t, db, name):
    return db.execute('SELECT serves, plugin, version, ready, detail FROM portal_channels'
                      ' WHERE name = ?', [name]).fetchone()


def test_without_plugins_the_built_in_channel_is_the_only_one(t):
    installed(t)
    t.equal(t.all(t.database(), 'SELECT name, serves, plugin, ready, detail FROM portal_channels'),
            [('maildir', 'email, text', 'built in', 1, None)])


def test_a_library_dropped_into_the_folder_is_a_channel(t):
    installed(t, 'spool')
    db = t.database()
    t.equal(channel(t, db, 'spool'), ('email, text', 'portal.d', '0.9', 1, None))
    t.contains(t.one(db, 'SELECT portal_version()'), 'spool 0.9', 'maildir')


def test_a_plugin_is_not_loaded_before_its_channel_is_used(t):
    db = practice(t, patients=1)
    loaded = lambda: 'spool.so' in pathlib.Path('/proc/self/maps').read_text()
    t.true(not loaded(), 'loaded without use')
    db.execute("SELECT send_registration(1, 'email')")
    t.true(loaded())


def test_a_registration_goes_through_the_plugin_and_its_link_works(t):
    db = practice(t, patients=1)
    os.environ['SPOOL_DETAIL'] = '250 OK'
    sentence = t.one(db, "SELECT send_registration(1, 'email')")
    t.contains(sentence, 'Portal registration sent by email', 'valid for 72 hours')
    t.equal(t.mails(db), [])
    kind, serves, recipient, header, attempt, html, size, link = spooled(t, 'registration')[0]
    t.equal((serves, recipient, attempt, html), ('1', 'ada1@example.com', '1', '1'))
    t.true(int(size) > 500 and header.startswith('<1.') and header.endswith('>'))
    t.equal(messages(t, db, 'status, detail, attempts'), [('sent', '250 OK', 1)])
    t.equal(t.one(db, 'SELECT token_valid(?)', link.split()[0][-32:]), 1)


def test_texts_go_through_the_channel_of_texts(t):
    db = practice(t, patients=1)
    db.execute("SELECT portal_setting('email_channel', NULL)")
    t.contains(t.one(db, "SELECT send_registration(1, 'text')"), 'sent by text')
    kind, serves, recipient, header, attempt, html, *rest = spooled(t, 'registration')[0]
    t.equal((serves, recipient, html), ('2', '+12025550001', '0'))


def test_a_plugin_takes_as_many_as_there_are(t):
    db = practice(t, patients=120)
    queue_all(t, db)
    deliver(t, db, sent=120)
    t.equal([line for line in spooled(t) if line.startswith('batch')], ['batch for Your medical practice'])
    t.equal(len({row[3] for row in spooled(t, 'registration')}), 120)
    snapshot.whole(t, db)


def test_every_result_of_a_batch_is_kept_for_its_message(t):
    db = practice(t, patients=4)
    os.environ.update(SPOOL_RESULTS='sent retry undeliverable uncertain', SPOOL_DETAIL='they said so')
    queue_all(t, db)
    deliver(t, db, sent=1, failed=1, retrying=2, waiting=2)
    t.equal(messages(t, db, 'status, duplicate, detail, attempts'),
            [('sent', 0, 'they said so', 1), ('queued', 0, 'they said so', 1),
             ('failed', 0, 'they said so', 1), ('queued', 1, 'they said so', 1)])
    t.equal(t.all(db, 'SELECT status FROM portal_status ORDER BY patient_id'),
            [('sent',), ('queued',), ('failed',), ('queued',)])
    snapshot.whole(t, db)


def test_a_retried_message_goes_later_under_the_same_id_and_link(t):
    db = practice(t, patients=1)
    os.environ['SPOOL_RESULTS'] = 'retry'
    t.contains(t.one(db, "SELECT send_registration(1, 'email')"), 'queued')
    deliver(t, db, waiting=1)
    t.equal(len(spooled(t, 'registration')), 1)
    t.advance(80)
    os.environ['SPOOL_RESULTS'] = 'sent'
    deliver(t, db, sent=1)
    first, second = spooled(t, 'registration')
    t.equal((first[3], first[-1]), (second[3], second[-1]))
    t.equal((first[4], second[4]), ('1', '2'))


def test_retries_back_off_and_the_last_one_fails_the_message(t):
    db = practice(t, patients=1)
    db.execute("SELECT portal_setting('link_hours', 4)")
    os.environ.update(SPOOL_RESULTS='retry', SPOOL_DETAIL='try later')
    db.execute("SELECT send_registration(1, 'email')")
    waits = []
    for _ in range(7):
        due = t.one(db, 'SELECT due_at FROM portal_message')
        waits.append(due - t.now())
        t.clock(due - 1)
        deliver(t, db, waiting=1)
        t.clock(due)
        db.execute('SELECT deliver()')
    t.equal(messages(t, db, 'status, attempts, due_at, detail'), [('failed', 8, None, 'try later')])
    t.equal([60 * 2 ** n <= wait <= 75 * 2 ** n for n, wait in enumerate(waits)], [True] * 7, str(waits))
    t.equal(flows.status(t, db, 1), 'failed')
    t.equal(len(spooled(t, 'registration')), 8)


def test_an_undeliverable_message_kills_its_link_and_staff_are_told(t):
    db = practice(t, patients=1)
    os.environ.update(SPOOL_RESULTS='undeliverable', SPOOL_DETAIL='550 no such user')
    sentence = t.one(db, "SELECT send_registration(1, 'email')")
    t.contains(sentence, '550 no such user')
    link = spooled(t, 'registration')[0][-1].split()[0]
    t.equal(t.one(db, 'SELECT token_valid(?)', link[-32:]), 0)
    t.equal(t.one(db, 'SELECT token_status(?)', link[-32:]), 'revoked')
    t.contains(str(t.all(db, 'SELECT * FROM portal_check')), '550 no such user')
    t.contains(flows.status(t, db, 1, 'message'), '550 no such user')


def test_a_message_of_uncertain_fate_goes_once_more_and_says_so(t):
    db = practice(t, patients=1)
    os.environ['SPOOL_RESULTS'] = 'uncertain'
    db.execute("SELECT send_registration(1, 'email')")
    t.advance(60)
    db.execute('SELECT deliver()')
    t.equal(messages(t, db, 'status, duplicate, attempts'), [('sent', 1, 2)])
    t.advance(86400)
    deliver(t, db)
    first, second = spooled(t, 'registration')
    t.equal((first[3], first[-1]), (second[3], second[-1]))
    t.equal(t.one(db, "SELECT count(*) FROM portal_audit WHERE detail LIKE '%duplicate%'"), 1)


def test_a_message_without_a_report_is_taken_again_after_its_lease_and_says_so(t):
    db = practice(t, patients=2)
    os.environ['SPOOL_RESULTS'] = 'silent sent'
    queue_all(t, db)
    deliver(t, db, sent=1, waiting=1)
    t.equal(messages(t, db, 'status'), [('claimed',), ('sent',)])
    t.advance(299)
    deliver(t, db, waiting=1)
    t.advance(2)
    os.environ['SPOOL_RESULTS'] = 'sent'
    deliver(t, db, sent=1)
    t.equal(messages(t, db, 'status, duplicate, attempts'), [('sent', 1, 2), ('sent', 0, 1)])
    t.equal(t.one(db, "SELECT subject FROM portal_audit WHERE action = 'message.claimed_again'"), 'message 1')


def test_a_message_that_no_report_ever_comes_for_fails_in_the_end(t):
    db = practice(t, patients=1)
    os.environ['SPOOL_RESULTS'] = 'silent'
    db.execute("SELECT send_registration(1, 'email')")
    for _ in range(9):
        t.advance(301)
        db.execute('SELECT deliver()')
    t.equal(messages(t, db, 'status, attempts'), [('failed', 8)])
    t.equal(flows.status(t, db, 1), 'failed')


def test_a_report_that_comes_twice_or_for_nothing_changes_nothing(t):
    db = practice(t, patients=2)
    os.environ['SPOOL_RESULTS'] = 'twice stray'
    queue_all(t, db)
    deliver(t, db, sent=1, waiting=1)
    t.equal(messages(t, db), [('sent',), ('claimed',)])
    snapshot.whole(t, db)


def test_a_channel_that_breaks_keeps_what_was_reported_and_gives_back_the_rest(t):
    db = practice(t, patients=3)
    os.environ['SPOOL_RESULTS'] = 'sent broken'
    queue_all(t, db)
    stopped(t, db, sent=1, waiting=2)
    t.equal(messages(t, db), [('sent',), ('claimed',), ('queued',)])
    os.environ['SPOOL_RESULTS'] = 'broken'
    t.advance(301)
    t.refuses(db, 'SELECT deliver()', says=('channel spool', 'tried again'))
    os.environ['SPOOL_RESULTS'] = 'sent'
    t.advance(301)
    deliver(t, db, sent=2)
    snapshot.whole(t, db)


def test_a_broken_channel_does_not_stop_the_other_one(t):
    db = practice(t, patients=1)
    db.execute("SELECT portal_setting('text_channel', NULL)")
    os.environ['SPOOL_RESULTS'] = 'broken'
    db.execute('BEGIN')
    db.execute("SELECT send_registration(1, 'email')")
    t.patient(db)
    db.execute("SELECT send_registration(2, 'text')")
    db.execute('COMMIT')
    stopped(t, db, sent=1, waiting=1)
    t.equal(messages(t, db), [('claimed',), ('sent',)])


def test_what_a_server_says_is_shown_on_one_line_without_controls(t):
    db = practice(t, patients=1)
    os.environ.update(SPOOL_RESULTS='retry', SPOOL_DETAIL='421 \x1b[31mlater\r\nBcc: x\x7f\u202e' + 'é' * 500)
    t.true(t.one(db, "SELECT send_registration(1, 'email')").isprintable())
    detail, = messages(t, db, 'detail')[0]
    t.true(detail.isprintable() and detail.startswith('421  [31mlater  Bcc: x'), ascii(detail))
    t.true(len(detail.encode()) < 400)


def test_a_detail_that_is_not_utf8_is_kept_as_valid_text(t):
    db = practice(t, patients=1)
    os.environb[b'SPOOL_DETAIL'] = b'250 \xff\xfe ok \xc3'
    db.execute("SELECT send_registration(1, 'email')")
    t.equal(messages(t, db, 'detail'), [('250    ok  ',)])


def test_a_plugin_that_is_not_configured_keeps_messages_waiting_and_says_what_is_missing(t):
    db = practice(t, patients=1)
    os.environ['SPOOL_PROBLEM'] = 'set SPOOL_URL'
    t.contains(t.one(db, "SELECT send_registration(1, 'email')"), 'queued')
    t.equal(channel(t, db, 'spool')[3:], (0, 'set SPOOL_URL'))
    t.contains(str(t.all(db, 'SELECT * FROM portal_check')), 'set SPOOL_URL')
    deliver(t, db, waiting=1, stopped='the channel spool is not ready: set SPOOL_URL')
    del os.environ['SPOOL_PROBLEM']
    deliver(t, db, sent=1)


def test_a_plugin_that_can_not_start_is_shown_with_the_reason_and_harms_no_other(t):
    installed(t, 'spool', 'newer', 'empty', 'failing', 'misnamed')
    (t.path('lib') / 'portal.d/garbage.so').write_bytes(b'\x7fELF garbage' * 100)
    (t.path('lib') / 'portal.d/truncated.so').write_bytes((PLUGINS / 'spool.so').read_bytes()[:40])
    (t.path('lib') / 'portal.d/folder.so').mkdir()
    (t.path('lib') / 'portal.d/README.txt').write_text('no plugin')
    db = t.database()
    reasons = {'newer': 'needs version 99', 'empty': 'portal_plugin_init', 'failing': 'did not start',
               'misnamed': 'no channel of its name', 'garbage': 'can not be loaded',
               'truncated': 'can not be loaded', 'folder': 'can not be loaded'}
    for name, reason in reasons.items():
        serves, plugin, version, ready, detail = channel(t, db, name)
        t.equal((plugin, ready), ('portal.d', 0), name)
        t.contains(detail, reason)
        t.patient(db)
        db.execute("SELECT portal_setting('email_channel', ?)", [name])
        t.contains(str(t.all(db, 'SELECT * FROM portal_check')), reason)
    t.equal(channel(t, db, 'spool')[3], 1)
    t.equal(channel(t, db, 'README'), None)
    t.contains(t.one(db, 'SELECT portal_version()'), 'garbage (not loaded)', 'spool 0.9')
    t.contains(t.one(db, "SELECT send_registration(1, 'email')"), 'queued')
    t.advance(60)
    t.contains(t.one(db, "SELECT send_registration(1, 'text')"), 'sent by text')
    db.execute("SELECT portal_setting('email_channel', NULL)")
    t.advance(3600)
    t.contains(t.one(db, "SELECT send_registration(2, 'email')"), 'sent by email')
    snapshot.whole(t, db)


def test_channels_are_listed_by_name_whichever_was_used_first(t):
    db = practice(t, 'textonly', 'mailonly', patients=1)
    db.execute("SELECT portal_setting('text_channel', 'textonly')")
    t.contains(t.one(db, "SELECT send_registration(1, 'text')"), 'sent by text')
    t.equal([name for name, in t.all(db, 'SELECT name FROM portal_channels')],
            ['maildir', 'mailonly', 'spool', 'textonly'])
    t.contains(t.one(db, 'SELECT portal_version()'), 'maildir 1, mailonly 0.9, spool 0.9, textonly 0.9')


def test_every_channel_of_a_plugin_is_told_to_be_of_the_folder(t):
    installed(t, 'misnamed')
    t.equal(t.all(t.database(), 'SELECT name, plugin FROM portal_channels'),
            [('another', 'portal.d'), ('maildir', 'built in'), ('misnamed', 'portal.d')])


def test_a_channel_that_does_not_exist_keeps_messages_waiting(t):
    db = practice(t, patients=1)
    db.execute("SELECT portal_setting('email_channel', 'pigeon')")
    t.contains(t.one(db, "SELECT send_registration(1, 'email')"), 'queued')
    t.contains(str(t.all(db, 'SELECT * FROM portal_check')), 'pigeon')


def test_a_plugin_name_can_not_leave_the_folder(t):
    db = practice(t)
    for name in ('../spool', '/tmp/spool', 'a/b', '.', '..', 'spool.so', 'SPOOL', ''):
        t.refuses(db, "SELECT portal_setting('email_channel', ?)", name, says='email_channel')


def test_a_library_whose_name_no_setting_can_hold_is_no_channel(t):
    folder = installed(t, 'spool')
    (folder / 'spool.so').rename(folder / 'Spool.so')
    t.equal(t.all(t.database(), 'SELECT name FROM portal_channels'), [('maildir',)])


def test_a_channel_is_given_only_what_it_carries(t):
    db = practice(t, 'mailonly', 'textonly', patients=1)
    db.execute("SELECT portal_setting('text_channel', 'mailonly')")
    t.equal(channel(t, db, 'mailonly')[0], 'email')
    t.contains(t.one(db, "SELECT send_registration(1, 'text')"), 'queued')
    t.contains(str(t.all(db, 'SELECT * FROM portal_check')), 'does not carry text')
    db.execute("SELECT portal_setting('email_channel', 'textonly')")
    t.contains(str(t.all(db, 'SELECT * FROM portal_check')), 'does not carry email')
    t.equal(spooled(t, 'registration'), [])


def test_each_connection_has_a_channel_of_its_own_which_goes_with_it(t):
    db = practice(t, patients=2)
    db.execute("SELECT send_registration(1, 'email')")
    other = t.connect(t.file(db))
    other.execute("SELECT send_registration(2, 'email')")
    t.equal(spooled(t).count('destroyed'), 0)
    other.close()
    t.equal(spooled(t).count('destroyed'), 1)
    t.equal(channel(t, db, 'spool')[3], 1)
    db.close()
    t.equal(spooled(t).count('destroyed'), 2)


def test_the_plugin_api_is_not_for_sql(t):
    db = t.database()
    for argument in ('1', "'portal_api'", "x'00'", 'NULL'):
        t.equal(t.one(db, f'SELECT portal_api({argument})'), None)


def test_staff_of_scheduling_send_through_a_plugin_too(t):
    db = practice(t, patients=1)
    desk = t.connect(t.file(db), application='scheduling')
    t.contains(t.one(desk, "SELECT send_registration(1, 'email')"), 'sent by email')
    t.equal(len(spooled(t, 'registration')), 1)


def test_a_library_of_a_name_too_long_for_a_setting_is_no_channel(t):
    folder = installed(t, 'spool')
    shutil.copy(PLUGINS / 'spool.so', folder / f'{"s" * 100}.so')
    db = t.database()
    t.equal(t.all(db, 'SELECT name FROM portal_channels'), [('maildir',), ('spool',)])


@harness.release_only
def test_a_report_waits_ten_seconds_for_another_writer_and_then_says_who_is_in_the_way(t):
    db = practice(t, patients=1)
    queue_all(t, db)
    gate = t.path('gate')
    os.mkfifo(gate)
    os.environ['SPOOL_GATE'] = str(gate)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        writer = t.connect(t.file(db))
        # Its busy timeout is waited for at each try, and counts.
        other = t.connect(t.file(db), check_same_thread=False, timeout=1)
        told = pool.submit(t.refuses, other, 'SELECT deliver()', says='another connection is writing')
        with open(gate, 'w'):
            writer.execute('BEGIN IMMEDIATE')
        start = time.monotonic()
        told.result()
        t.true(9 < time.monotonic() - start < 60)
        writer.execute('ROLLBACK')
