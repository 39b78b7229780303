"""What must hold of a database on which processes of workload.py were at work, however they ended."""
import collections
import contextlib
import json
import pathlib
import re

import flows

# portal_check() may find these: they are what became of somebody's work, and it says what to do.
EXPECTED = {
    'a sender claimed a message and did not report', 'a message has waited for more than an hour',
    'the chart has changed since a link was sent, which does not work any more',
    'the contact on the chart has changed since a link was sent, which will not work',
    'a message could not be delivered',
}

# What there is of each that the processes promise: never less than they told.
COUNTS = """
    SELECT action, patient_id, count(*) FROM portal_audit GROUP BY 1, 2
    UNION ALL SELECT kind || '.queued', patient_id, count(*) FROM portal_message
     WHERE kind = 'pin' AND channel <> 'print' GROUP BY 2
    UNION ALL SELECT 'message.sent', NULL, count(*) FROM portal_message WHERE sent_at IS NOT NULL"""

# Each finds what only half of a call would have left.
HALVES = {
    'registrations and their events differ':
        "SELECT 1 WHERE (SELECT count(*) FROM portal_registration)"
        "  <> (SELECT count(*) FROM portal_audit WHERE action IN ('registration.queued', 'registration.printed'))",
    'used links and the events of registering differ':
        "SELECT 1 WHERE (SELECT count(*) FROM portal_registration WHERE status = 'used')"
        "  <> (SELECT count(*) FROM portal_audit WHERE action = 'account.registered')",
    'a link was used without its PIN, or a PIN without its link':
        "SELECT registration_id FROM portal_registration WHERE (status = 'used')"
        "  <> (registration_id IN (SELECT registration_id FROM portal_pin WHERE status = 'used'))",
    'a link was used, and nobody has access':
        "SELECT registration_id FROM portal_registration WHERE status = 'used'"
        "  AND patient_id NOT IN (SELECT patient_id FROM portal_access)",
    'an account has no access':
        "SELECT username FROM portal_account WHERE account_id NOT IN (SELECT account_id FROM portal_access)",
    'access works although it is revoked':
        "SELECT patient_id FROM portal_access JOIN portal_revocation USING (patient_id) WHERE status = 'active'",
    'a link works although access is revoked':
        "SELECT patient_id FROM portal_registration JOIN portal_revocation USING (patient_id)"
        "  WHERE status IN ('queued', 'live')",
    'a message is neither finished nor due':
        "SELECT message_id FROM portal_message WHERE (due_at IS NULL) = (status IN ('queued', 'claimed'))",
    'a message has lost what it carries, or the reverse':
        "SELECT message_id FROM portal_message WHERE"
        "  (kind = 'registration') <> (message_id IN (SELECT registration_id FROM portal_registration))"
        "  OR (kind = 'pin') <> (message_id IN (SELECT pin_id FROM portal_pin))"
        "  OR (kind = 'password_reset') <> (message_id IN (SELECT reset_id FROM portal_reset))"
        " UNION ALL SELECT id FROM (SELECT registration_id AS id FROM portal_registration"
        "  UNION SELECT pin_id FROM portal_pin UNION SELECT reset_id FROM portal_reset)"
        "  WHERE id NOT IN (SELECT message_id FROM portal_message)",
    'a quick add with a contact has no registration':
        "SELECT patient_id FROM patient WHERE phr_active"
        "  AND patient_id NOT IN (SELECT patient_id FROM portal_registration)",
    'requests and their events differ':
        "SELECT status FROM (SELECT 'submitted' AS status, count(*) AS rows FROM portal_request"
        "  UNION ALL SELECT status, count(*) FROM portal_request GROUP BY 1)"
        " WHERE status IN ('submitted', 'accepted', 'declined')"
        "   AND rows <> (SELECT count(*) FROM portal_audit WHERE action = 'request.' || status)",
    'part of a statement of three':
        "SELECT first_name FROM patient WHERE last_name = 'Family'"
        " GROUP BY substr(first_name, 1, length(first_name) - 2) HAVING count(*) <> 3",
}

# The newest accepted request of each field, and what the chart has instead.
LOST_UPDATES = """
    SELECT q.patient_id, q.field, q.proposed_value FROM portal_audit AS a
      JOIN portal_request AS q ON a.subject = 'request ' || q.request_id
      JOIN patient AS p USING (patient_id)
     WHERE a.action = 'request.accepted'
     GROUP BY q.patient_id, q.field HAVING max(a.event_id) > 0
       AND q.proposed_value IS NOT CASE q.field WHEN 'city' THEN p.city WHEN 'email' THEN p.email
           WHEN 'home_phone' THEN p.home_phone ELSE p.address_line1 END"""


def told(path):
    """What the workers of a database have told so far: promises, counted, and what mailers handed over."""
    promises = collections.Counter()
    mailed = []
    for file in path.parent.glob(f'{path.name}-told-*'):
        for line in file.read_text().splitlines():
            for what, whose in json.loads(line):
                if what == 'mailed':
                    mailed.append(whose)
                else:
                    promises[what, whose] += 1
    return promises, mailed


def by_action(counts):
    totals = collections.Counter()
    for (action, _), count in counts.items():
        totals[action] += count
    return totals


def kept(t, db, promises):
    """Claims that what was reported as a success is there; gives what there is beyond it."""
    counts = {(action, patient): count for action, patient, count in t.all(db, COUNTS)}
    for (action, patient), count in promises.items():
        if patient is not None:
            t.true(counts.get((action, patient), 0) >= count, f'{action} of patient {patient} was lost')
    totals, promised = by_action(counts), by_action(promises)
    for action, count in promised.items():
        t.true(totals[action] >= count, f'{action}: {count} were reported, {totals[action]} are there')
    return {action: totals[action] - count for action, count in promised.items() if totals[action] > count}


def message_ids(file):
    """Of the mail in a file, or of the many."""
    return re.findall(r'^Message-ID: (<\S+>)$', file.read_text(), re.M)


def arrived(path):
    """The Message-IDs of what has come, one for each copy: mail files, and what mailers told."""
    headers = []
    # In this order: a reader may be moving mail from one to the other.
    for folder in ('new', 'cur'):
        for file in pathlib.Path(f'{path}-outbox', folder).glob('*'):
            with contextlib.suppress(FileNotFoundError):
                headers += message_ids(file)
    return headers + told(path)[1]


def accounted(t, rows, headers):
    """Claims that no message is lost, and that none came twice without its row saying so."""
    copies = collections.Counter(headers)
    came = {int(header[1:].partition('.')[0]): count for header, count in copies.items()}
    t.equal(len(came), len(copies), 'a message came under two Message-IDs')
    t.equal(came.keys() - {row[0] for row in rows}, set(), 'messages without a row')
    for number, status, attempts, duplicate, detail in rows:
        times = came.get(number, 0)
        about = f'message {number}: {status}, {attempts} tries, {times} times there'
        t.true(times > 0 or status != 'sent', f'{about}, and lost')
        t.true(times < 2 or duplicate, f'{about}, and the row does not say so')
        t.true(times == 0 or attempts > 0, f'{about}, and nobody claimed it')
        t.true(status not in ('cancelled', 'failed') or detail, f'{about}, dead without a reason')


def whole(t, db):
    """Claims that there is nothing wrong and nothing half done in a database."""
    t.equal(t.one(db, 'PRAGMA integrity_check'), 'ok')
    t.equal(t.all(db, 'PRAGMA foreign_key_check'), [])
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
    t.equal({problem for problem, in t.all(db, 'SELECT problem FROM portal_check')} - EXPECTED, set())
    for problem, query in HALVES.items():
        t.equal(t.all(db, query), [], problem)
    t.equal(t.all(db, LOST_UPDATES), [], 'an accepted request is not on the chart')


def sound(t, path, others=False):
    """Claims that a database is whole; gives what was done beyond what was told.

    In one reading transaction, because others may be at work meanwhile; then their mail is in motion too, and
    only what it must have is looked for.
    """
    promises, _ = told(path)
    with contextlib.closing(t.connect(path, timeout=60)) as db:
        db.execute('BEGIN')
        whole(t, db)
        beyond = kept(t, db, promises)
        rows = t.all(db, 'SELECT message_id, status, attempts, duplicate, detail FROM portal_message'
                         " WHERE channel <> 'print'")
        db.execute('COMMIT')
    headers = arrived(path)
    if others:
        sent = {number for number, status, *_ in rows if status == 'sent'}
        t.equal(sent - {int(header[1:].partition('.')[0]) for header in headers}, set(), 'messages were lost')
    else:
        accounted(t, rows, headers)
    return beyond


def quiet(t, path):
    """Claims that everything which waits is handed over at last, once nobody is at work any more."""
    with contextlib.closing(t.connect(path)) as db:
        for _ in range(10):
            t.advance(4 * 3600)
            if flows.ask(t, db, 'SELECT deliver()')['waiting'] == 0:
                break
        t.equal(t.all(db, 'SELECT * FROM portal_message WHERE due_at IS NOT NULL'), [])
    return sound(t, path)
