"""What the programs of a practice do all day: processes that make calls of every sort on one database,
picked at random from one table, until their time is up or they are killed.

Each tells what the calls that succeeded have promised, a line to a file of its own. What must hold of the
database then, whatever became of the processes, is in aftermath.py.
"""
import contextlib
import faulthandler
import json
import os
import pathlib
import random
import re
import shutil
import sqlite3
import time

import aftermath
import flows

PATIENTS = 12
UNREACHED = PATIENTS + 1        # by any message
HANGS_AFTER = 90        # seconds in one call, busy timeout and all: a deadlock
REFUSED = ('was sent a registration a moment ago', 'which is the limit', 'is revoked since', 'nothing to revoke',
           'is no representative of', 'is the login of', 'there is no account', 'has that contact already',
           'is accepted already', 'is declined already', 'is superseded already', 'is in conflict',
           'is not of the claim', 'can not be reported', 'patient may not be sent', 'has opted out',
           'grant it again, then confirm')
FIELDS = ('city', 'address_line1', 'home_phone', 'email')


def practice(t, journal):
    """A database with patients to work on; gives its path, with no connection left open."""
    with contextlib.closing(t.database(journal=journal)) as db:
        for number in range(PATIENTS):
            t.patient(db, first_name=f'Patient{number}')
        t.patient(db, first_name='Unreached', email=None, cell_phone=None)
        path = t.file(db)
        setup = Worker(t, path, 'setup', 0, 0, 'full')
        for key, value in (('resend_seconds', 0), ('sends_per_day', 1000), ('requests_per_day', 10000), ('lease_seconds', 10),
                           ('practice_name', 'Elm Street'), ('practice_phone', '202 555 0100'), ('portal_url', 'https://elm.example')):
            t.one(db, 'SELECT portal_setting(?, ?)', key, value)
            setup.tell(('setting.changed', None))
    setup.db.close()
    return path


def story(path, number):
    """The file in which a worker tells."""
    return pathlib.Path(f'{path}-told-{number}')


# The calls

class Worker:
    """One process at work: its connection, what it has at hand, and where it tells of its successes."""

    def __init__(self, t, path, number, seed, timeout, synchronous):
        self.t, self.path, self.number = t, path, number
        self.db = t.connect(path, timeout=HANGS_AFTER)
        self.db.execute(f'PRAGMA synchronous = {synchronous}')
        self.db.execute(f'PRAGMA busy_timeout = {1000 * timeout}')
        self.random = random.Random(f'{seed} {number}')
        self.told = os.open(story(path, number), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.sessions = []
        self.calls = 0

    def ask(self, sql, *params):
        return self.t.one(self.db, sql, *params)

    def answer(self, sql, *params):
        return json.loads(self.ask(sql, *params))

    def patient(self):
        return self.random.randint(1, PATIENTS)

    def one_of(self, sql):
        """A row that a query finds; None when it finds none."""
        rows = self.db.execute(sql).fetchall()
        return self.random.choice(rows) if rows else None

    def username(self):
        """Of somebody who has registered, as far as there is one."""
        return (self.one_of('SELECT username FROM portal_account') or ['nobody'])[0]

    def new_name(self):
        return f'P{self.number}x{self.calls}'

    def tell(self, *promises):
        """One write, so that a line is there or not; what a killed process has written stays."""
        os.write(self.told, (json.dumps(promises) + '\n').encode())

    def mailed(self, pattern, message_id):
        """What a pattern finds in a message; None when it has not arrived."""
        for file in pathlib.Path(f'{self.path}-outbox').glob(f'*/*.{message_id}.*'):
            with contextlib.suppress(FileNotFoundError):        # a reader has moved it
                found = re.search(pattern, file.read_text().replace('=\n', ''))
                return found and found.group(1)
        return None


def send(w):
    patient = w.patient()
    w.ask('SELECT send_registration(?, ?)', patient, w.random.choice(['email', 'text']))
    return [('registration.queued', patient)]


def send_row(w):
    patient = w.patient()
    w.ask("INSERT INTO send_registration VALUES (?, 'email')", patient)
    return [('registration.queued', patient)]


def letter(w):
    w.ask('SELECT portal_letter(?)', UNREACHED)
    return [('registration.printed', UNREACHED)]


def send_set(w):
    done = w.db.execute("INSERT OR IGNORE INTO send_registration"
                        " SELECT patient_id, 'text' FROM patient WHERE patient_id <= ? AND patient_id % 3 = ?",
                        [PATIENTS, w.random.randint(0, 2)])
    return [('registration.queued', None)] * done.rowcount


def add(w):
    contact = w.random.choice([[], ['email', f'{w.new_name()}@example.com']])
    marks = ', ?' * len(contact)
    patient = w.ask(f"SELECT quick_add(?, 'Added', '1980-01-01'{marks})", w.new_name(), *contact)
    return [('patient.quick_added', patient)] + [('registration.queued', patient)] * bool(contact)


def add_set(w):
    """Three of a family in one statement, who are all there or none."""
    rows = [value for i in range(3) for value in (f'{w.new_name()}x{i}', f'{w.new_name()}x{i}@example.com')]
    w.ask('INSERT INTO quick_add VALUES ' + ', '.join(["(?, 'Family', '1980-01-01', 'email', ?)"] * 3), *rows)
    return [('patient.quick_added', None), ('registration.queued', None)] * 3


def atomically(w, calls):
    w.ask('BEGIN IMMEDIATE')
    try:
        promises = [promise for call in calls for promise in call(w)]
        w.ask('COMMIT')
    finally:
        if w.db.in_transaction:
            w.ask('ROLLBACK')
    return promises


def transaction(w):
    return atomically(w, (send, add_set, revoke, send_row)[:w.random.randint(1, 4)])


def revoke(w):
    patient = w.patient()
    w.ask('SELECT revoke_access(?)', patient)
    return [('access.revoked', patient)]


def decide(w):
    pending = w.one_of('SELECT request_id, patient_id FROM pending_requests')
    if pending is None:
        return []
    request, patient = pending
    call, promise = w.random.choice([
        ("SELECT accept_request(?)", 'request.accepted'), ("SELECT accept_request(?, 'force')", 'request.accepted'),
        ("SELECT decline_request(?)", 'request.declined')])
    w.ask(call, request)
    return [(promise, patient)]


def decide_set(w):
    decision, promise = w.random.choice([('accept', 'request.accepted'), ('decline', 'request.declined')])
    patient = w.patient()
    done = w.db.execute('UPDATE OR IGNORE pending_requests SET decision = ? WHERE patient_id = ?', [decision, patient])
    return [(promise, patient)] * done.rowcount


def prove(w):
    """Opens a link that works and asks for a PIN."""
    link = w.one_of("SELECT registration_id, patient_id FROM portal_registration WHERE status = 'live'")
    token = link and w.mailed(r'/r/([\w-]{32})', link[0])
    if token is None:
        return []
    if not w.ask('SELECT token_valid(?)', token):
        w.t.true(w.ask('SELECT token_status(?)', token) != 'unknown', f'the link of message {link[0]} is unknown')
    answer = w.answer('SELECT request_pin(?, ?, ?)', token, *flows.chart(w.t, w.db, link[1]))
    return [('pin.queued', link[1])] if answer['result'] == 'pin_sent' else []


def register(w):
    """As the patient or as a representative, with a new login or with one that is there."""
    ids = w.one_of("SELECT registration_id, pin_id, patient_id FROM portal_registration"
                   "  JOIN portal_pin USING (registration_id) WHERE portal_pin.status = 'live'")
    if ids is None:
        return []
    link, pin, patient = ids
    token, digits = w.mailed(r'/r/([\w-]{32})', link), w.mailed(r'is\s+(\d{6})\b', pin)
    if token is None or digits is None:
        return []
    username = w.random.choice([w.new_name(), w.username()])
    call, more = w.random.choice([('register_patient(?, ?, ?, ?)', []),
                                  ('register_representative(?, ?, ?, ?, ?, ?)', ['Rita Parent', 'parent'])])
    answer = w.answer(f'SELECT {call}', token, digits, username, flows.PASSWORD, *more)
    return [('account.registered', patient)] if answer['result'] == 'registered' else []


def login(w):
    answer = w.answer('SELECT portal_login(?, ?)', w.username(), flows.PASSWORD)
    if answer['result'] != 'ok':
        return []
    w.sessions.append(answer['session'])
    return [('account.signed_in', None)]


def submit(w):
    if not w.sessions:
        return []
    session = w.random.choice(w.sessions)
    who = w.ask('SELECT portal_session(?)', session)
    if who is None:
        w.sessions.remove(session)
        return []
    patient = w.random.choice(json.loads(who)['patients'])['patient_id']
    values = {'city': w.new_name(), 'address_line1': w.new_name(), 'home_phone': f'+1202555{w.calls % 10000:04}',
              'email': f'{w.new_name()}@example.org'}
    fields = {field: values[field] for field in w.random.sample(FIELDS, w.random.randint(1, 3))}
    answer = w.answer('SELECT submit_demographics(?, ?, ?)', session, patient, json.dumps(fields))
    return [('request.submitted', patient)] * answer.get('requests', 0)


def look(w):
    """What somebody sees who is signed in: nothing once the access has ended."""
    for session in w.sessions[-1:]:
        who = w.ask('SELECT portal_session(?)', session)
        for patient in json.loads(who)['patients'] if who else []:
            w.ask('SELECT portal_demographics(?, ?)', session, patient['patient_id'])
    return []


def logout(w):
    if len(w.sessions) > 2:
        w.ask('SELECT portal_logout(?)', w.sessions.pop())
    return []


def forget(w):
    w.ask('SELECT forgot_password(?)', w.username())
    return []


def reset(w):
    link = w.one_of("SELECT reset_id FROM portal_reset WHERE status = 'live'")
    token = link and w.mailed(r'/p/([\w-]{32})', link[0])
    answer = w.answer('SELECT reset_password(?, ?)', token, flows.PASSWORD)
    return [('account.password_reset', None)] if answer['result'] != 'refused' else []


def remove(w):
    patient, username = w.one_of('SELECT patient_id, username FROM portal_people') or (1, 'nobody')
    w.ask('SELECT remove_representative(?, ?)', patient, username)
    return [('representative.removed', patient)]


def confirm(w):
    patient, username = w.one_of('SELECT patient_id, username FROM portal_people') or (1, 'nobody')
    w.ask('SELECT confirm_representative(?, ?)', patient, username)
    return [('representative.confirmed', patient)]


def add_twice(w):
    """Somebody who was sent a link, then added a second time: two records become one."""
    first, second = (w.ask("SELECT quick_add(?, 'Twice', '1980-01-01')", f'{w.new_name()}{end}') for end in 'ab')
    w.ask('UPDATE patient SET email = ? WHERE patient_id = ?', f'{w.new_name()}@example.com', first)
    w.ask("SELECT send_registration(?, 'email')", first)
    w.ask('SELECT merge_patients(?, ?)', first, second)
    return [('patient.quick_added', first), ('patient.quick_added', second), ('registration.queued', first),
            ('patient.merged_into', first), ('patient.merged_from', second)]


def merge(w):
    return atomically(w, [add_twice])


def unlock(w):
    w.ask('SELECT unlock_account(?)', w.username())
    return [('account.unlocked', None)]


def set_contact(w):
    w.ask('SELECT set_account_contact(?, ?)', w.username(), f'{w.new_name()}@example.net')
    return [('account.contact_changed', None)]


def deliver(w):
    return [('message.sent', None)] * w.answer('SELECT deliver(?)', w.random.randint(1, 5))['sent']


# What a mailer of one's own says of a message, then later perhaps; whether it has handed it over
REPORTS = [
    (['sent'], True), (['sent', 'delivered'], True), (['sent', 'bounced'], True), (['sent', 'opted_out'], True),
    (['uncertain'], True), (['retry'], False), (['undeliverable'], False),
]


def claim(w):
    """A mailer of one's own: what it hands over is a line that it tells."""
    name = w.ask('SELECT claim_messages(?)', w.random.randint(1, 4))
    messages = w.t.all(w.db, 'SELECT message_id, message_id_header FROM portal_claimed(?)', name)
    promises = []
    for message_id, header in messages:
        reports, handed_over = w.random.choices(REPORTS, (12, 4, 1, 1, 2, 2, 1))[0]
        if handed_over:
            w.tell(['mailed', header])
        for report in reports:
            w.ask("SELECT report_delivery(?, ?, ?, 'by its own mailer')", name, message_id, report)
        promises += [('message.sent', None)] * ('sent' in reports)
    return promises


def opt_out(w):
    """Somebody sends STOP, and somebody else START: more often, so that there is still something to send."""
    contact = w.one_of('SELECT email FROM patient WHERE email IS NOT NULL UNION SELECT cell_phone FROM patient'
                       ' WHERE cell_phone IS NOT NULL')
    w.ask('SELECT portal_opt_out(?)', *contact)
    for contact in w.t.all(w.db, 'SELECT contact FROM portal_opt_outs')[:2]:
        w.ask('SELECT portal_opt_in(?)', *contact)
    return []


def read_mail(w):
    """What a mail reader does: it moves what it has shown."""
    outbox = pathlib.Path(f'{w.path}-outbox')
    for file in sorted(outbox.glob('new/*'))[:1]:
        with contextlib.suppress(FileNotFoundError):
            file.rename(outbox / 'cur' / f'{file.name}:2,S')
    return []


def change_setting(w):
    w.ask("SELECT portal_setting('pin_minutes', ?)", w.random.randint(5, 60))
    return [('setting.changed', None)]


def store_secret(w):
    w.ask("SELECT portal_secret('mail_password', ?)", w.new_name())
    return [('secret.stored', None)]


def backup(w):
    """A copy that was made while all others go on is a whole database."""
    copy = w.t.path(f'backup{w.number}.db')
    shutil.copy(f'{w.path}.portal-key', f'{copy}.portal-key')
    with contextlib.closing(sqlite3.connect(copy)) as target:
        w.db.backup(target)
    with contextlib.closing(w.t.connect(copy)) as db:
        aftermath.whole(w.t, db)
    return []


def rotate(w):
    w.ask('SELECT portal_key_rotate()')
    return [('key.rotated', None)]


def restored(w):
    w.ask('SELECT portal_restored()')
    return [('portal.restored', None)]


def reading(sql):
    def read(w):
        w.db.execute(sql).fetchall()
        return []
    return read


def verify(w):
    w.t.equal(w.ask('SELECT portal_audit_verify()'), None)
    return []


# How often each is picked
CALLS = [
    (3, send), (2, send_row), (1, send_set), (2, add), (1, add_set), (1, transaction), (1, revoke),
    (8, decide), (3, decide_set), (12, prove), (12, register), (8, login), (12, submit), (1, logout),
    (2, forget), (2, reset), (1, remove), (1, confirm), (1, merge), (1, unlock), (1, set_contact), (3, deliver), (3, claim), (1, opt_out),
    (2, read_mail), (1, change_setting), (1, store_secret), (1, verify), (1, backup), (0.2, restored), (0.2, rotate),
    (1, reading('SELECT portal_init()')), (1, reading('SELECT expire_links()')), (1, reading('SELECT end_representatives()')),
    (1, reading('SELECT portal_purge(36500)')), (1, reading('SELECT * FROM portal_check')),
    (1, reading('SELECT * FROM portal_status')), (1, reading("SELECT send_problem(1, 'email')")),
    (1, reading("SELECT preview_message('registration', 1, 'email')")),
    (1, reading("SELECT portal_as('ehr', 'front desk')")), (0.2, reading("SELECT portal_try_channel('maildir')")), (1, reading('SELECT portal_version()')), (1, reading('SELECT portal_everywhere()')),
    (0.5, reading('SELECT portal_map_patient()')),
    (1, reading("SELECT * FROM portal_find('patient1')")), (1, reading('SELECT portal_practice()')),
    (1, letter), (0.5, reading('SELECT portal_poster()')),
    (1, reading("SELECT portal_callback('maildir', '', '{}', '')")), (3, look),
]


def work(t, number, path, seed, seconds, timeout, synchronous='full'):
    """Makes calls; gives how many were done and how many were refused because the database was busy."""
    w = Worker(t, path, number, seed, timeout, synchronous)
    weights, calls = zip(*CALLS)
    done = busy = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        faulthandler.dump_traceback_later(HANGS_AFTER, exit=True)
        w.calls += 1
        try:
            promises = w.random.choices(calls, weights)[0](w)
            done += 1
            if promises:
                w.tell(*promises)
        except sqlite3.Error as error:
            if 'database is locked' in str(error):
                busy += 1
            elif not any(part in str(error) for part in REFUSED):
                raise
    faulthandler.cancel_dump_traceback_later()
    w.db.close()
    return done, busy
