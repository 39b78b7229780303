"""Whatever stands in names, addresses, settings and reasons: every mail has the headers and parts that it has."""
import email.policy
import re
import sqlite3

import flows
import harness
import mails

# What each of them tries is plain from it; all are appended to, put before, and put in place of a fit value.
HOSTILE = (
    '\r\nBcc: evil@example.com', '\nBcc: evil@example.com', '\rBcc: evil@example.com', '\r\n\r\n<b>body</b>', '\0Bcc: x',
    '\x0bBcc: x', '\x0cBcc: x', '\x1b[31m', '\x7f', '\x85Bcc: x', '\u2028Bcc: x', '\u2029Bcc: x', '\u202emoc.live',
    '\u2066x\u2069', '\u200b', '\ufeff', '\U000e0041', '=?utf-8?q?=0D=0ABcc:_evil@example.com?=', '=?utf-8?b?DQpCY2M6IHg=?=',
    '\n.\n', '.', '\nFrom evil@example.com', '--=_portal_boundary--', ', evil@example.com', '; evil@example.com',
    '<evil@example.com>', ' (comment)', '"quoted" ', '\\', '%0d%0aBcc:%20x', '&#13;&#10;', '<script>alert(1)</script>',
    '"><a href="https://evil.example/">x</a>', "' onload='x", '{{link}}', '{{pin}}', '{{', '}}', '%s%n', 'é' * 30, '王小明诊所',
    '😀', '@evil.example', ' ', '\t')
SETTINGS = {'practice_name': 'Clinic', 'practice_phone': '+1 202 555 0100', 'portal_url': 'https://portal.example',
            'mail_from': 'portal@example.com'}
HEADERS = {'Auto-Submitted', 'Content-Language', 'Content-Transfer-Encoding', 'Content-Type', 'Date', 'From',
           'MIME-Version', 'Message-ID', 'To'}
PART_HEADERS = {'Content-Type', 'Content-Transfer-Encoding'}
ELEMENTS = {'p', 'a', 'br', 'strong', 'em', 'html', 'body', 'head', 'meta', 'title'}


def placed(fit, hostile):
    return (fit + hostile, hostile + fit, hostile, fit[:4] + hostile + fit[4:])


def accepted(db, sql, *params):
    """Whether a call took its arguments; a refusal is one as well as an error."""
    try:
        answer = db.execute(sql, params).fetchall()
    except (sqlite3.Error, UnicodeError):
        return False
    return 'refused' not in str(answer)


def shown(address):
    return address if address.isascii() else 'a@example.com'


def well_formed(t, db, mail, settings):
    """Claims that a mail, read strictly, is what its row and the settings say, and nothing beside it."""
    number = int(re.match(r'<(\d+)\.', mail['Message-ID'])[1])
    channel, recipient = t.all(db, 'SELECT channel, recipient FROM portal_message WHERE message_id = ?', number)[0]
    t.equal((sorted(mail.keys()), mail.defects), (sorted(HEADERS | ({'Subject'} if channel == 'email' else set())), []))
    raw = mail.file.read_bytes()
    # An address may be UTF-8 (RFC 6532); nothing else is, and nothing is a control character.
    for address in (settings['mail_from'], recipient):
        if not address.isascii():
            raw = raw.replace(address.encode(), b'a@example.com')
    mail = email.message_from_bytes(raw, policy=email.policy.default.clone(raise_on_defect=True))
    t.true(all(byte in b'\n' or 32 <= byte < 127 for byte in raw), f'not printable ASCII on the wire: {raw!r}')
    t.true(max(map(len, raw.split(b'\n'))) <= 78 or b'/r/' in raw or b'/p/' in raw, raw)
    t.equal([address.addr_spec for address in mail['From'].addresses], [shown(settings['mail_from'])])
    text = t.text(mail) if channel == 'email' else mail.get_payload(decode=True).decode()
    t.contains(text, settings['practice_name'])
    t.true(text.replace('\n', '').isprintable(), repr(text))
    if channel == 'text':
        t.equal((mail.get_content_type(), mail.is_multipart()), ('text/plain', False))
        return
    t.equal([address.addr_spec for address in mail['To'].addresses], [shown(recipient)])
    t.true(re.fullmatch(r'[^\s@,;<>()"\\]+@[\w.-]+', recipient) is not None, recipient)
    t.equal([(part.get_content_type(), set(part.keys()) - PART_HEADERS) for part in mail.iter_parts()],
            [('text/plain', set()), ('text/html', set())])
    page = mails.Page(t.html(mail))
    t.equal((page.elements - ELEMENTS, page.attributes - {'href', 'lang', 'charset'}), (set(), set()))
    t.true(all(link.startswith(settings['portal_url'] + '/') for link in page.links), str(page.links))
    t.true(len(page.links) <= 1, str(page.links))


class Outbox:
    """A practice whose mail goes to a new folder for each round, so that a round sees its own alone."""

    def __init__(self, t):
        self.t, self.db, self.rounds, self.seen = t, t.database(), 0, 0
        self.settings = dict(SETTINGS)
        self.db.execute('PRAGMA synchronous = off')
        for key, value in (('resend_seconds', 0), ('sends_per_day', 1000), ('ehr_requires', '')):
            t.one(self.db, 'SELECT portal_setting(?, ?)', key, value)
        self.set(**SETTINGS)

    def set(self, **settings):
        for key, value in settings.items():
            accepted(self.db, 'SELECT portal_setting(?, ?)', key, value)
            self.settings[key] = self.t.one(self.db, 'SELECT portal_setting(?)', key)

    def begin(self):
        self.rounds += 1
        self.folder = self.t.path(f'mail{self.rounds}')
        self.t.one(self.db, "SELECT portal_setting('maildir', ?)", str(self.folder))

    def send(self, patient, *channels):
        for channel in channels:
            accepted(self.db, 'SELECT send_registration(?, ?)', patient, channel)

    def end(self):
        found = self.t.mails(self.folder)
        self.seen += len(found)
        for mail in found:
            well_formed(self.t, self.db, mail, self.settings)


def test_a_setting_adds_nothing_to_any_mail(t):
    outbox = Outbox(t)
    patient = t.patient(outbox.db)
    taken = {key: 0 for key in SETTINGS}
    for hostile in HOSTILE:
        for values in zip(*(placed(fit, hostile) for fit in SETTINGS.values())):
            given = dict(zip(SETTINGS, values))
            outbox.begin()
            outbox.set(**SETTINGS)
            outbox.set(**given)
            for key, value in given.items():
                taken[key] += outbox.settings[key] == value
            outbox.send(patient, 'email', 'text')
            outbox.end()
    t.equal(outbox.seen, 2 * outbox.rounds)
    t.true(taken['practice_name'] > 60 and taken['portal_url'] > 2 and taken['mail_from'] > 5, str(taken))


@harness.release_only
def test_a_chart_adds_nothing_to_any_mail(t):
    outbox = Outbox(t)
    for hostile in HOSTILE:
        for address, phone, name in zip(placed('ada@example.com', hostile), placed('202-555-0142', hostile),
                                      placed('Ada', hostile)):
            outbox.begin()
            outbox.send(t.patient(outbox.db, email=address), 'email')
            outbox.send(t.patient(outbox.db, cell_phone=phone), 'text')
            outbox.send(t.patient(outbox.db, first_name=name, last_name=name, preferred_language=name), 'email')
            outbox.end()
    t.true(outbox.seen > outbox.rounds, f'only {outbox.seen} mails')


@harness.release_only
def test_what_people_type_adds_nothing_to_any_mail(t):
    outbox = Outbox(t)
    db = outbox.db
    for hostile in HOSTILE:
        patient = t.patient(db)
        outbox.begin()
        t.one(db, "SELECT send_registration(?, 'text')", patient)
        token = t.token(t.mails(outbox.folder)[0])
        flows.prove(t, db, token)
        pin = [t.pin(mail) for mail in t.mails(outbox.folder) if 'PIN' in t.text(mail)][0]
        sql = "SELECT register_representative(?, ?, ?, ?, ?, ?)"
        for username, name, relationship in ((f'ada{hostile}', f'Rita{hostile}', f'parent{hostile}'),
                                             (f'ada{hostile}', 'Rita', 'parent'),
                                             (f'ada{outbox.rounds}', f'Rita{hostile}', 'parent'),
                                             (f'ada{outbox.rounds}', 'Rita', f'parent{hostile}'),
                                             (f'ada{outbox.rounds}', 'Rita', 'parent')):
            accepted(db, sql, token, pin, username, flows.PASSWORD, name, relationship)
        username = t.one(db, 'SELECT username FROM portal_account ORDER BY account_id DESC')
        session = flows.login(t, db, username)
        accepted(db, 'SELECT submit_demographics(?, ?, json_object(?, ?, ?, ?))', session, patient,
                 'email', f'new{hostile}@example.com', 'cell_phone', f'202 555 0199{hostile}')
        accepted(db, "SELECT submit_demographics(?, ?, json_object('city', ?))", session, patient, hostile)
        db.execute("SELECT accept_request(request_id, 'force') FROM pending_requests").fetchall()
        accepted(db, 'SELECT set_account_contact(?, ?)', username, f'other{hostile}@example.com')
        accepted(db, 'SELECT set_account_contact(?, ?)', username, 'other@example.com')
        t.one(db, 'SELECT forgot_password(?)', username)
        t.one(db, 'SELECT deliver()')
        accepted(db, 'SELECT revoke_access(?, ?)', patient, f'because{hostile}')
        accepted(db, 'SELECT revoke_access(?)', patient)
        outbox.end()
    t.true(outbox.seen >= 6 * outbox.rounds, f'only {outbox.seen} mails')


def test_names_of_practices_come_back_as_they_were_given(t):
    outbox = Outbox(t)
    patient = t.patient(outbox.db)
    for name in ('Müller, Schmidt & Co.', '"The" Practice', "O'Brien <Clinic>", 'Dr. (med.) Who; PhD', '王小明诊所',
                 'مركز الصحة', 'מרפאה', 'Clinic 😀', 'a@b', '=?utf-8?q?x?=', 'back\\slash', '<b>Bold</b> & "Co"',
                 '{{link}}', '%s%n', 'x' * 60, 'From here', '.'):
        outbox.begin()
        outbox.set(practice_name=name)
        outbox.send(patient, 'email')
        outbox.end()
        mail, = t.mails(outbox.folder)
        t.equal(mail['From'].addresses[0].display_name, name)
        page = mails.Page(t.html(mail))
        t.contains(' '.join(''.join(page.words).split()), f'patient portal of {name}')


def test_a_setting_written_past_its_check_adds_nothing_and_is_told(t):
    outbox = Outbox(t)
    patient = t.patient(outbox.db)
    outbox.db.execute("UPDATE portal_setting SET value = value || char(13, 10) || 'Bcc: x@example.com'"
                      " WHERE key IN ('practice_name', 'mail_from', 'portal_url')")
    outbox.begin()
    outbox.settings = {row[0]: row[1] for row in t.all(outbox.db, 'SELECT key, default_value FROM portal_settings')}
    outbox.send(patient, 'email', 'text')
    outbox.end()
    t.equal(outbox.seen, 2)
    t.equal(len(t.all(outbox.db, 'SELECT * FROM portal_check')), 3)


def test_a_recipient_written_past_its_check_gets_no_mail_and_is_told(t):
    for recipient in ("a@example.com' || char(10) || 'Bcc: b@example.com", "a@example.com, b@example.com", "",
                      "a@example.com' || char(0) || '"):
        db = t.database()
        t.patient(db)
        db.execute('BEGIN')
        db.execute("SELECT send_registration(1, 'email')")
        db.execute(f"UPDATE portal_message SET recipient = '{recipient}'")
        db.execute('COMMIT')
        db.execute('SELECT deliver()')
        t.equal(t.mails(db), [])
        t.true(t.one(db, 'SELECT status FROM portal_message') in ('failed', 'cancelled'), recipient)
