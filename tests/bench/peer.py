"""The peer in Python: the same work as good application code, with sqlite3, hmac and secrets.

The tables and indexes are the portal's, without its triggers, and so is what stands in them: a link is
an HMAC over its row's id and nonce, a contact and a person are known by an HMAC, an event is chained by
one. Checked is what an application would: the chart, the contact, the cooldown. Called as
build/bench/bench is, without a side.
"""
import base64
import hmac
import pathlib
import re
import resource
import secrets
import sqlite3
import sys
import time

KEY = b'a key that only this bench uses.'
USER = 'anna'
ADDRESS = re.compile(r'[^@\s]+@[^@\s]+\.[^@\s]+')
CHUNK = 1000
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

CHART = '''
SELECT p.patient_id, p.email, p.email_consent, p.active, p.deceased_on,
       p.first_name || p.date_of_birth AS person, p.preferred_language, r.registration_id, r.created_at
  FROM patient AS p
  LEFT JOIN portal_registration AS r
    ON r.registration_id = (SELECT max(registration_id) FROM portal_registration
                             WHERE patient_id = +p.patient_id)
'''
DUE = '''
SELECT m.message_id, m.recipient, r.nonce, p.email, p.email_consent, p.active, p.deceased_on
  FROM portal_message AS m
  JOIN portal_registration AS r ON r.registration_id = m.message_id
  JOIN patient AS p ON p.patient_id = r.patient_id
 WHERE m.channel = 'email' AND m.due_at <= ? ORDER BY m.due_at LIMIT 100
'''
READ_LINK = 'SELECT nonce, status, expires_at FROM portal_registration WHERE registration_id = ?'
WRITES = {
    'messages': '''INSERT INTO portal_message (message_id, kind, channel, patient_id, recipient, status,
                   created_at, due_at) VALUES (?, 'registration', 'email', ?, ?, 'queued', ?, ?)''',
    'registrations': '''INSERT INTO portal_registration (registration_id, patient_id, destination,
                        identity, nonce, status, created_at, sent_by, language)
                        VALUES (?, ?, ?, ?, ?, 'queued', ?, ?, ?)''',
    'events': '''INSERT INTO portal_audit (event_id, at, application, actor, action, patient_id, subject,
                 detail, hash) VALUES (?, ?, 'ehr', ?, ?, ?, ?, ?, ?)''',
    'superseded': '''UPDATE portal_registration SET status = 'superseded', ended_at = ?
                     WHERE registration_id = ? AND status IN ('queued', 'live', 'expired')''',
    'cancelled': '''UPDATE portal_message SET status = 'cancelled', due_at = NULL
                    WHERE message_id = ? AND due_at IS NOT NULL''',
}


class Refused(Exception):
    pass


def keyed(text):
    """What tells a contact or a person apart without naming them."""
    return int.from_bytes(hmac.digest(KEY, text.encode(), 'sha256')[:8], 'big') >> 1


# Links

def token_make(registration_id, nonce, key=KEY):
    body = registration_id.to_bytes(4, 'big') + nonce
    return base64.urlsafe_b64encode(body + hmac.digest(key, b'link' + body, 'sha256')[:17]).decode()


def token_valid(db, token, now):
    try:
        raw = base64.urlsafe_b64decode(token)
    except ValueError:
        return False
    body, mac = raw[:7], raw[7:]
    if not hmac.compare_digest(hmac.digest(KEY, b'link' + body, 'sha256')[:17], mac):
        return False
    row = db.execute(READ_LINK, (int.from_bytes(body[:4], 'big'),)).fetchone()
    return row is not None and row[0] == body[4:] and row[1] == 'live' and row[2] > now


def tokens_at_once(table):
    def check(db, count):
        now = int(time.time())
        start()
        return 2 * sum(token_valid(db, token, now) for token, in db.execute(f'SELECT token FROM {table}'))
    return check


def tokens_each(db, count):
    tokens = [token for token, in db.execute('SELECT token FROM bench_scattered')]
    start()
    return 2 * sum(token_valid(db, token, int(time.time())) for token in tokens)


# Sending

class Sending:
    """Collects the rows of sends and writes them a thousand at a time."""

    def __init__(self, db):
        self.db = db
        self.now = int(time.time())
        self.message_id = db.execute('SELECT coalesce(max(message_id), 0) FROM portal_message').fetchone()[0]
        self.event_id, self.head = db.execute('SELECT audit_count, audit_head FROM portal_state').fetchone()
        self.rows = {name: [] for name in WRITES}

    def send(self, chart):
        patient_id, email, consent, active, deceased_on, person, language, previous, created_at = chart
        check_chart(patient_id, email, consent, active, deceased_on)
        if created_at is not None and created_at > self.now - 60:
            raise Refused(f'patient {patient_id} was sent a registration a moment ago')
        self.message_id += 1
        rows = self.rows
        rows['messages'].append((self.message_id, patient_id, email, self.now, self.now))
        rows['registrations'].append((self.message_id, patient_id, keyed(email), keyed(person),
                                      secrets.token_bytes(3), self.now, f'ehr:{USER}', language))
        if previous is not None:
            rows['superseded'].append((self.now, previous))
            rows['cancelled'].append((previous,))
        self.event('registration.queued', patient_id, f'message {self.message_id}', 'email')
        if len(rows['messages']) == CHUNK:
            self.write()

    def event(self, action, patient_id, subject, detail):
        self.event_id += 1
        told = f'{self.event_id}|{self.now}|{USER}|{action}|{patient_id}|{subject}|{detail}'
        self.head = hmac.digest(KEY, self.head + told.encode(), 'sha256')
        self.rows['events'].append((self.event_id, self.now, USER, action, patient_id, subject, detail,
                                    self.head))

    def write(self):
        for name, sql in WRITES.items():
            if self.rows[name]:
                self.db.executemany(sql, self.rows[name])
                self.rows[name].clear()

    def close(self):
        self.write()
        self.db.execute('UPDATE portal_state SET audit_count = ?, audit_head = ?, audit_seal = ?',
                        (self.event_id, self.head, hmac.digest(KEY, self.head, 'sha256')))


def check_chart(patient_id, email, consent, active, deceased_on):
    if deceased_on is not None or not active:
        raise Refused(f'patient {patient_id} is deceased or inactive')
    if email is None or not ADDRESS.fullmatch(email):
        raise Refused(f'patient {patient_id} has no email address on file')
    if not consent:
        raise Refused(f'patient {patient_id} has declined email')


def send(db, count):
    start()
    db.execute('BEGIN IMMEDIATE')
    sending = Sending(db)
    done = 0
    for chart in db.execute(CHART):
        sending.send(chart)
        done += 1
    sending.close()
    db.execute('COMMIT')
    return done


def send_each(db, count):
    start()
    for patient_id in range(1, count + 1):
        db.execute('BEGIN IMMEDIATE')
        sending = Sending(db)
        sending.send(db.execute(f'{CHART} WHERE p.patient_id = ?', (patient_id,)).fetchone())
        sending.close()
        db.execute('COMMIT')
    return count


def send_each_full(db, count):
    db.execute('PRAGMA synchronous = full')
    return send_each(db, count)


# Handing over

def templates():
    text = (ROOT / 'sql/messages/registration.email.en.txt').read_text()
    text = text.replace('{{practice_name}}', 'Your medical practice').replace('{{hours}}', '72')
    head, _, html = text.replace('{{practice}}', 'Your medical practice').partition('\n---\n')
    subject, _, plain = head.partition('\n\n')
    return subject.removeprefix('Subject: '), plain, html


def render(template, message_id, recipient, nonce):
    subject, plain, html = template
    link = f'http://localhost:8080/r/{token_make(message_id, nonce)}'
    identifier = f'<{message_id}.{hmac.digest(KEY, str(message_id).encode(), "sha256").hex()[:16]}@localhost>'
    return recipient, identifier, subject, plain.replace('{{link}}', link), html.replace('{{link}}', link)


def hand_over(db, count):
    template = templates()
    done = 0
    start()
    while True:
        now = int(time.time())
        claim = secrets.token_hex(8)
        db.execute('BEGIN IMMEDIATE')
        due = db.execute(DUE, (now,)).fetchall()
        for message_id, recipient, _, email, consent, active, deceased_on in due:
            check_chart(message_id, email, consent, active, deceased_on)
            if email != recipient:
                raise Refused(f'message {message_id}: the email address has changed')
        db.executemany('''UPDATE portal_message SET status = 'claimed', claim = ?, due_at = ?,
                          attempts = attempts + 1 WHERE message_id = ?''',
                       [(claim, now + 300, row[0]) for row in due])
        db.executemany('''UPDATE portal_registration SET status = 'live', expires_at = ?
                          WHERE registration_id = ?''', [(now + 259200, row[0]) for row in due])
        db.execute('COMMIT')
        if not due:
            return done
        mails = [render(template, row[0], row[1], row[2]) for row in due]
        db.execute('BEGIN IMMEDIATE')
        db.executemany('''UPDATE portal_message SET status = 'sent', due_at = NULL, sent_at = ?
                          WHERE message_id = ? AND claim = ?''', [(now, row[0], claim) for row in due])
        db.executemany('''UPDATE portal_registration SET expires_at = ?
                          WHERE registration_id = ? AND status = 'live' ''',
                       [(now + 259200, row[0]) for row in due])
        db.execute('COMMIT')
        done += len(mails)


def expire(db, count):
    db.execute('''UPDATE portal_registration SET status = 'live', ended_at = NULL,
                  expires_at = unixepoch() - 60 WHERE registration_id <= 10000''')
    db.execute('PRAGMA wal_checkpoint(truncate)')
    start()
    db.execute('BEGIN IMMEDIATE')
    done = db.execute('''UPDATE portal_registration SET status = 'expired', ended_at = expires_at
                         WHERE status = 'live' AND expires_at <= ?''', (int(time.time()),)).rowcount
    sending = Sending(db)
    sending.event('links.expired', None, None, f'{done} links')
    sending.close()
    db.execute('COMMIT')
    return done


# Reading: the queries of portal_status and pending_requests, as views on the bare tables

def lookup(view):
    def run(db, count):
        fourths = db.execute('SELECT max(patient_id) / 4 FROM patient').fetchone()[0]
        sql = f'SELECT * FROM {view} WHERE patient_id = ?'
        start()
        return sum(len(db.execute(sql, (i * 7919 % fourths * 4 + 1,)).fetchall()) for i in range(count))
    return run


def counting(view):
    return lambda db, count: db.execute(f'SELECT count(*) FROM {view}').fetchone()[0]


def listing(view):
    return lambda db, count: sum(1 for _ in db.execute(f'SELECT * FROM {view}'))


def seed(db, count):
    """Takes the portal's triggers away, and makes its links those of this peer and the next."""
    for name, in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        db.execute(f'DROP TRIGGER {name}')
    # Nor has a peer generations of keys, of which a byte tells.
    db.execute('UPDATE portal_registration SET nonce = substr(nonce, 2)')
    if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'bench_link'").fetchone():
        return 0
    db.create_function('token_make', 2, lambda number, nonce: token_make(
        number, nonce, bytes(32) if number % 4 == 3 else KEY))
    for table in 'bench_link', 'bench_scattered':
        db.execute(f'''UPDATE {table} SET token =
                       (SELECT token_make(r.registration_id, nonce) FROM portal_registration AS r
                         WHERE r.registration_id = {table}.registration_id)''')
    return count


WORKS = {
    'seed': seed,
    'send': send,
    'send_each_normal': send_each,
    'send_each_full': send_each_full,
    'tokens_at_once': tokens_at_once('bench_link'),
    'tokens_scattered': tokens_at_once('bench_scattered'),
    'tokens_each': tokens_each,
    'hand_over': hand_over,
    'expire': expire,
    'status_one': lookup('bench_status'),
    'status_count': counting('bench_status'),
    'status_list': listing('bench_status'),
    'requests_one': lookup('bench_pending'),
    'requests_count': counting('bench_pending'),
    'requests_list': listing('bench_pending'),
}
started = 0


def start():
    global started
    started = time.perf_counter()


def main():
    name, path, count = sys.argv[1:]
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript('PRAGMA journal_mode = wal; PRAGMA synchronous = normal; PRAGMA cache_size = -65536')
    for view in ('status', 'pending'):
        sql = (ROOT / f'sql/{view}.sql').read_text().replace('?1', str(int(time.time())))
        db.execute(f'CREATE TEMP VIEW bench_{view} AS {sql}')
    start()
    done = WORKS[name](db, int(count))
    seconds = time.perf_counter() - started
    print(seconds, done, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == '__main__':
    main()
