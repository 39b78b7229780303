"""The built-in channel: real mail in a real Maildir, which readers that are not ours read back."""
import email.header
import os
import pathlib
import re
import subprocess
import time

import flows
import harness
import mails
import snapshot

PRACTICE = 'Praxis Dr. Müller & Söhne'
PHONE = '+1 202 555 0100'
KINDS = ('registration', 'pin', 'password_reset', 'deactivated', 'contact_changed',
         'account_contact_changed', 'request_decided', 'access_ended')


def practice(t, name=PRACTICE, **settings):
    db = t.database()
    for key, value in {'practice_name': name, 'practice_phone': PHONE, 'mail_from': 'portal@praxis.example',
                       'portal_url': 'https://portal.praxis.example', 'resend_seconds': 0, **settings}.items():
        db.execute('SELECT portal_setting(?, ?)', [key, value])
    return db


def every_kind(t, db, channel):
    """Brings every kind of message about on a channel; the patient has a contact of that one alone."""
    other = {'email': 'cell_phone', 'text': 'email'}[channel]
    patient_id = t.patient(db, **{other: None}, first_name='Zuzana', last_name='Quickley',
                           date_of_birth='1971-02-28')
    db.execute("SELECT portal_setting('ehr_requires', '')")
    session = flows.register(t, db, patient_id, 'zuzana', channel=channel)
    db.execute("SELECT forgot_password('zuzana')")
    db.execute('SELECT deliver()')
    field, new = {'email': ('email', 'new@example.com'), 'text': ('cell_phone', '202 555 0199')}[channel]
    flows.ask(t, db, 'SELECT submit_demographics(?, ?, json_object(?, ?))', session, patient_id, field, new)
    db.execute('SELECT accept_request(request_id) FROM pending_requests').fetchall()
    db.execute('SELECT set_account_contact(?, ?)', ['zuzana', new])
    # A revoke would cancel what waits.
    db.execute('SELECT deliver()')
    flows.outgrow(t, db, patient_id, 'rita', channel)
    db.execute('SELECT revoke_access(?)', [patient_id])
    db.execute('SELECT deliver()')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_message WHERE due_at IS NOT NULL'), 0)


def by_kind(t, db):
    """The newest mail of every kind, with its row: {kind: (mail, row)}."""
    mails = {int(re.match(r'<(\d+)\.', mail['Message-ID'])[1]): mail for mail in t.mails(db)}
    return {row[1]: (mails[row[0]], row) for row in db.execute(
        'SELECT message_id, kind, recipient, created_at FROM portal_message ORDER BY message_id')
        if row[0] in mails}


# What is in a message

def test_every_kind_of_message_is_sent_on_both_channels(t):
    for channel in ('email', 'text'):
        db = practice(t)
        every_kind(t, db, channel)
        t.equal(sorted(by_kind(t, db)), sorted(KINDS), channel)
        t.equal(t.all(db, 'SELECT DISTINCT channel, status FROM portal_message'), [(channel, 'sent')])


def test_every_mail_has_the_headers_that_mail_needs(t):
    db = practice(t)
    every_kind(t, db, 'email')
    for kind, (mail, row) in by_kind(t, db).items():
        t.equal(mail['From'].addresses[0].display_name, PRACTICE)
        t.equal(mail['From'].addresses[0].addr_spec, 'portal@praxis.example')
        t.equal([address.addr_spec for address in mail['To'].addresses], [row[2]], kind)
        t.true(mail['Subject'] and mail['Subject'].isprintable(), kind)
        t.equal(mail['Auto-Submitted'], 'auto-generated')
        t.equal(mail['MIME-Version'], '1.0')
        t.equal(mail['Date'].datetime.timestamp(), row[3])
        t.equal(mail['Date'].datetime.strftime('%z'), '-0500', 'not the local time of New York')
        t.true(re.fullmatch(rf'<{row[0]}\.[0-9a-f]{{16}}@praxis\.example>', mail['Message-ID']))
        for name in ('From', 'To', 'Subject', 'Date', 'Message-ID', 'Auto-Submitted', 'MIME-Version'):
            t.equal(len(mail.get_all(name)), 1, f'{kind} {name}')
        t.equal([name for name in mail if name.lower().startswith(('bcc', 'cc', 'return-receipt',
                                                                  'disposition', 'x-', 'list-'))], [])


def test_text_and_html_say_the_same_and_load_nothing(t):
    db = practice(t)
    every_kind(t, db, 'email')
    for kind, (mail, row) in by_kind(t, db).items():
        t.equal(mail.get_content_type(), 'multipart/alternative', kind)
        t.equal([part.get_content_type() for part in mail.iter_parts()], ['text/plain', 'text/html'])
        page, text = mails.Page(t.html(mail)), t.text(mail)
        t.equal(page.links, set(re.findall(r'https?://\S+', text)), kind)
        t.equal(page.elements - {'p', 'a', 'br', 'strong', 'em', 'html', 'body', 'head', 'meta', 'title'}, set())
        t.equal(page.attributes - {'href', 'lang', 'charset'}, set())
        numbers = lambda string: set(re.findall(r'\d+', string))
        t.equal(numbers(' '.join(page.words)), numbers(text), f'{kind}: hours, minutes, PIN, telephone')


def test_only_messages_that_carry_a_link_have_one_and_only_the_pin_message_a_pin(t):
    for channel in ('email', 'text'):
        db = practice(t)
        every_kind(t, db, channel)
        for kind, (mail, row) in by_kind(t, db).items():
            everything = t.text(mail) + (t.html(mail) or '') + str(mail['Subject'])
            links = set(re.findall(r'https?://[^\s"<]+', everything))
            t.equal(len(links), 1 if kind in ('registration', 'password_reset') else 0, f'{kind}: {links}')
            t.equal({link.partition('example/')[2][:2] for link in links},
                    {'registration': {'r/'}, 'password_reset': {'p/'}}.get(kind, set()))
            t.equal(bool(re.search(r'(?<![\w-])\d{6}(?![\w-])', everything)), kind == 'pin', kind)


def test_no_message_tells_who_the_patient_is(t):
    for channel in ('email', 'text'):
        db = practice(t)
        every_kind(t, db, channel)
        db.execute("UPDATE portal_message SET detail = NULL")
        for mail in t.mails(db):
            everything = t.text(mail) + (t.html(mail) or '') + ''.join(
                str(value) for name, value in mail.items() if name != 'To')
            for secret in ('Quickley', 'Zuzana', 'quickley', '1971', 'zuzana', '02/28', 'Feb'):
                t.true(secret not in everything, f'{secret} in:\n{everything}')


def test_a_notice_of_deactivation_says_who_did_it_and_nothing_else(t):
    db = practice(t)
    every_kind(t, db, 'email')
    mail, row = by_kind(t, db)['deactivated']
    t.contains(t.text(mail), 'deactivated by your healthcare provider', 'contact them with any questions',
               PRACTICE, PHONE)


def test_a_text_message_is_a_short_mail_whose_body_is_exactly_the_text(t):
    db = practice(t)
    every_kind(t, db, 'text')
    for kind, (mail, row) in by_kind(t, db).items():
        t.equal((mail.get_content_type(), mail.is_multipart()), ('text/plain', False), kind)
        t.contains(mail['To'], row[2].lstrip('+'))
        body = mail.get_payload(decode=True).decode()
        t.equal(body, body.strip(), f'{kind} has white space around its text')
        t.true('\n' not in body and len(body) > 40, body)
        t.equal(mail['Subject'], None)


def test_what_was_claimed_is_what_is_stored(t):
    db = practice(t, text_channel='none')
    t.patient(db)
    db.execute("SELECT send_registration(1, 'text')")
    claim = t.one(db, 'SELECT claim_messages(1)')
    text, header = db.execute('SELECT text, message_id_header FROM portal_claimed(?)', [claim]).fetchone()
    db.execute("SELECT portal_setting('text_channel', NULL)")
    db.execute("SELECT report_delivery(?, 1, 'retry')", [claim])
    t.advance(80)
    db.execute('SELECT deliver()')
    mail, = t.mails(db)
    t.equal((mail.get_payload(decode=True).decode(), mail['Message-ID']), (text, header))


def test_with_the_default_settings_every_text_is_one_segment(t):
    db = t.database()
    every_kind(t, db, 'text')
    gsm7 = set('@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ'
               'ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà')
    for kind, (mail, row) in by_kind(t, db).items():
        body = mail.get_payload(decode=True).decode()
        t.equal(set(body) - gsm7, set(), kind)
        t.true(len(body) <= 160, f'{kind} has {len(body)} characters: {body}')


# Independent readers

def test_mblaze_reads_what_python_reads(t):
    db = practice(t)
    every_kind(t, db, 'email')
    for kind, (mail, row) in by_kind(t, db).items():
        path = str(mail.file)
        for name in ('Subject', 'Message-ID', 'Auto-Submitted'):
            t.equal(mails.tool('mhdr', '-d', '-h', name, path).strip(), mail[name], f'{kind} {name}')
        t.contains(mails.tool('mhdr', '-d', '-h', 'From', path), PRACTICE, '<portal@praxis.example>')
        shown = mails.tool('mshow', '-n', '-A', 'text/plain', path)
        t.contains(' '.join(shown.split()), ' '.join(t.text(mail).split()))
        t.contains(mails.tool('mshow', '-t', path), 'text/plain', 'text/html')


def test_mblaze_finds_the_messages_of_the_maildir(t):
    db = practice(t)
    t.patient(db)
    t.patient(db)
    db.execute("SELECT send_registration(patient_id, 'email') FROM patient").fetchall()
    db.execute('SELECT deliver()')
    root = f'{t.file(db)}-outbox'
    t.equal(sorted(mails.tool('mlist', root).split()), sorted(str(mail.file) for mail in t.mails(root)))
    t.equal(len(t.mails(root)), 2)


def test_a_name_of_several_encoded_words_comes_back_in_one_piece(t):
    name = 'É' * 60
    db = practice(t, name)
    t.patient(db)
    db.execute("SELECT send_registration(1, 'email')")
    mail, = t.mails(db)
    # Not by the address parser of Python 3.11, which puts spaces between encoded words.
    raw = re.search(rb'^From: (.*?)\n(?! )', mail.file.read_bytes(), re.M | re.S)[1].decode()
    t.true(raw.count('=?') > 1)
    t.equal(str(email.header.make_header(email.header.decode_header(raw))), f'{name} <portal@praxis.example>')
    t.contains(mails.tool('mhdr', '-d', '-h', 'From', str(mail.file)), name)


# The folder and its files

def traced(t, db, *options):
    """Sends a registration to patient 1 in a shell under strace; what it saw."""
    trace = t.path('trace')
    subprocess.run(['strace', '-f', '-o', str(trace), *options, 'sqlite3', '-cmd', f'.load {t.extension}',
                    str(t.file(db)), "SELECT send_registration(1, 'email')"], capture_output=True)
    return trace.read_text()


def test_files_are_private_uniquely_named_and_nothing_is_left_in_tmp(t):
    os.umask(0)
    db = practice(t)
    for _ in range(30):
        t.patient(db)
    db.execute("INSERT INTO send_registration SELECT patient_id, 'email' FROM patient")
    db.execute('SELECT deliver()')
    root = pathlib.Path(f'{t.file(db)}-outbox')
    t.equal(sorted(path.name for path in root.iterdir()), ['cur', 'new', 'tmp'])
    t.equal({oct(path.stat().st_mode & 0o777) for path in [root, *root.iterdir()]}, {'0o700'})
    files = list((root / 'new').iterdir())
    t.equal({oct(path.stat().st_mode & 0o777) for path in files}, {'0o600'})
    t.equal((len(files), len(list((root / 'tmp').iterdir()))), (30, 0))
    t.equal(len({mail['Message-ID'] for mail in t.mails(root)}), 30)
    t.true(all(re.fullmatch(r'[\w.]+', path.name) for path in files), 'a name that a Maildir may not have')


def test_a_draft_of_a_killed_sender_goes_after_36_hours_and_nothing_else_does(t):
    db = practice(t)
    drafts = pathlib.Path(f'{t.file(db)}-outbox', 'tmp')
    drafts.mkdir(parents=True)
    ours = '1795357200.1.0123456789abcdef.4711'
    others = ('1795357200.M1P2.host', f'{ours}.x', f'x{ours}', '1795357200.1.0123456789ABCDEF.1', 'notes', '1.2.3', '.hidden')
    now = time.time()
    for name, age in ((ours, 36.1), (f'{ours}1', 35.9), *((other, 999) for other in others)):
        (drafts / name).write_text('https://praxis.example/r/...')
        os.utime(drafts / name, (now - age * 3600,) * 2)
    (drafts / '1.2.3.4').mkdir()
    (drafts / '1.2.3.5').symlink_to('notes')
    os.utime(drafts / '1.2.3.4', (0, 0))
    os.utime(drafts / '1.2.3.5', (0, 0), follow_symlinks=False)
    t.patient(db)
    t.contains(t.one(db, "SELECT send_registration(1, 'email')"), 'sent')
    t.equal({path.name for path in drafts.iterdir()}, {f'{ours}1', *others, '1.2.3.4', '1.2.3.5'})


@harness.release_only
def test_the_draft_of_a_sender_that_was_killed_is_sent_again_and_goes_when_it_is_old(t):
    db = practice(t)
    t.patient(db)
    renames = 'rename,renameat,renameat2'
    traced(t, db, '-e', f'trace={renames}', '-e', f'inject={renames}:error=EIO:signal=KILL')
    draft, = pathlib.Path(f'{t.file(db)}-outbox', 'tmp').iterdir()
    t.contains(draft.read_text(), '/r/')
    t.clock(int(time.time()) + 3600)
    t.equal(flows.ask(t, db, 'SELECT deliver()')['sent'], 1)
    t.equal(t.mails(db)[0].file.name, draft.name.rpartition('.')[0] + '.portal')
    t.true(draft.exists(), 'its writer may be at work yet')
    os.utime(draft, (time.time() - 37 * 3600,) * 2)
    t.patient(db)
    t.contains(t.one(db, "SELECT send_registration(2, 'email')"), 'sent')
    t.equal((draft.exists(), len(t.mails(db))), (False, 2))


def test_two_practices_may_share_one_maildir(t):
    shared = str(t.path('shared'))
    for _ in range(2):
        db = practice(t, maildir=shared)
        t.patient(db)
        db.execute("SELECT send_registration(1, 'email')")
    t.equal(len(t.mails(shared)), 2)


def test_a_mail_reader_that_moves_a_message_does_not_disturb(t):
    db = practice(t)
    t.patient(db)
    db.execute("SELECT send_registration(1, 'email')")
    mail = t.mails(db)[0]
    mail.file.rename(mail.file.parent.parent / 'cur' / f'{mail.file.name}:2,S')
    t.patient(db)
    db.execute("SELECT send_registration(2, 'email')")
    t.equal(len(t.mails(db)), 2)


def test_another_folder_may_be_set(t):
    db = practice(t, maildir=str(t.path('elsewhere')))
    t.patient(db)
    t.contains(t.one(db, "SELECT send_registration(1, 'email')"), 'written to the Maildir elsewhere')
    t.equal((len(t.mails(t.path('elsewhere'))), t.mails(db)), (1, []))
    db.execute("SELECT portal_setting('maildir', NULL)")
    t.contains(t.one(db, "SELECT send_registration(1, 'email')"), 'written to the Maildir practice.db-outbox')


def waits(t, db, *says):
    """Sending is queued and staff read why; when `repaired`, it goes under the same identity."""
    t.patient(db)
    sentence = t.one(db, "SELECT send_registration(1, 'email')")
    t.contains(sentence, 'queued')
    status, detail = db.execute('SELECT status, detail FROM portal_message').fetchone()
    t.equal(status, 'queued')
    t.contains(detail, *says)


def test_a_file_in_place_of_the_folder_keeps_messages_waiting_and_says_so(t):
    db = practice(t)
    blocking = pathlib.Path(f'{t.file(db)}-outbox')
    blocking.write_text('in the way')
    waits(t, db, 'practice.db-outbox', 'File exists')
    t.equal(blocking.read_text(), 'in the way')
    blocking.unlink()
    t.advance(80)
    t.equal(flows.ask(t, db, 'SELECT deliver()')['sent'], 1)
    mail, = t.mails(db)
    t.equal(t.one(db, 'SELECT token_valid(?)', t.token(mail)), 1)
    t.equal(mail['Date'].datetime.timestamp(), t.now() - 80, 'the date is when it was queued')


def test_a_folder_that_can_not_be_made_keeps_messages_waiting_and_says_so(t):
    db = practice(t, maildir='/proc/none/outbox')
    waits(t, db, '/proc/none/outbox', 'No such file')
    db.execute("SELECT portal_setting('maildir', NULL)")
    t.advance(80)
    t.equal(flows.ask(t, db, 'SELECT deliver()')['sent'], 1)


def test_a_file_in_place_of_new_keeps_messages_waiting_and_leaves_nothing_in_tmp(t):
    db = practice(t)
    root = pathlib.Path(f'{t.file(db)}-outbox')
    root.mkdir()
    (root / 'new').write_text('in the way')
    waits(t, db, 'practice.db-outbox')
    t.equal([path.name for path in root.rglob('*') if path.is_file()], ['new'])


def test_a_file_in_place_of_tmp_keeps_messages_waiting(t):
    db = practice(t)
    root = pathlib.Path(f'{t.file(db)}-outbox')
    root.mkdir()
    (root / 'tmp').symlink_to('/dev/full')
    waits(t, db, 'practice.db-outbox')
    t.equal(t.mails(db), [])


def test_a_message_tried_again_replaces_itself(t):
    db = practice(t)
    t.patient(db)
    db.execute("SELECT send_registration(1, 'email')")
    first, = t.mails(db)
    whole = first.file.read_bytes()
    # As if the sender had died between writing the file and reporting it.
    db.execute("UPDATE portal_message SET status = 'claimed', due_at = ? WHERE message_id = 1", [t.now() - 1])
    db.execute('SELECT deliver()')
    second, = t.mails(db)
    t.equal((second.file.name, second.file.read_bytes()), (first.file.name, whole))
    t.equal(t.all(db, 'SELECT status, duplicate, attempts FROM portal_message'), [('sent', 1, 2)])
    snapshot.whole(t, db)


@harness.release_only
def test_a_message_is_synced_before_it_is_reported(t):
    db = practice(t)
    t.patient(db)
    trace = traced(t, db, '-y', '-e', 'trace=fsync,rename,renameat,renameat2')
    calls = [line for line in trace.splitlines() if '-outbox' in line]
    t.equal([re.search(r'(fsync|rename)\w*\(.*?-outbox/?(tmp|new|)', line).groups() for line in calls][-3:],
            [('fsync', 'tmp'), ('rename', 'tmp'), ('fsync', 'new')])


def test_a_folder_that_leads_nowhere_keeps_the_messages_waiting(t):
    db = t.database()
    patient = t.patient(db)
    box = t.path(f'{t.file(db).name}-outbox')
    box.mkdir()
    (box / 'new').symlink_to('nowhere')
    t.contains(t.one(db, "SELECT send_registration(?, 'email')", patient), 'queued')
    (box / 'new').unlink()
    t.advance(3600)
    t.contains(str(t.one(db, 'SELECT deliver()')), '"sent":1')


def test_a_maildir_may_be_named_with_a_slash_at_its_end(t):
    db = t.database()
    t.one(db, "SELECT portal_setting('maildir', ?)", f'{t.path("box")}/')
    t.contains(t.one(db, "SELECT send_registration(?, 'email')", t.patient(db)), 'sent by email')
    t.equal(len(t.mails(t.path('box'))), 1)


def test_of_very_many_old_drafts_a_delivery_removes_a_part(t):
    db = t.database()
    drafts = pathlib.Path(f'{t.file(db)}-outbox', 'tmp')
    drafts.mkdir(parents=True)
    for number in range(1100):
        path = drafts / f'1.{number}.a.1'
        path.touch()
        os.utime(path, (time.time() - 37 * 3600,) * 2)
    flows.send(t, db, t.patient(db))
    t.true(0 < len([*drafts.iterdir()]) < 200)
    flows.send(t, db, t.patient(db))
    t.equal([*drafts.iterdir()], [])


def test_an_interrupt_stops_after_the_message_at_hand_which_is_recorded(t):
    db = practice(t)
    for _ in range(3):
        t.patient(db)
    db.execute('BEGIN')
    db.execute("INSERT INTO send_registration SELECT patient_id, 'email' FROM patient")
    db.execute('COMMIT')
    new = pathlib.Path(f'{t.file(db)}-outbox/new')
    db.set_progress_handler(lambda: new.exists() and len([*new.iterdir()]), 1)
    t.refuses(db, 'SELECT deliver()', says='interrupted')
    db.set_progress_handler(None, 1)
    arrived = len(t.mails(db))
    t.true(0 < arrived < 3, str(arrived))
    t.equal(t.all(db, 'SELECT status, count(*) FROM portal_message GROUP BY status ORDER BY status'),
            [('queued', 3 - arrived), ('sent', arrived)])
