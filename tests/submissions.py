"""Demographics as patients submit them, for tests of submitting and of deciding."""
import json

import flows

SUBMIT = 'SELECT submit_demographics(?, ?, ?)'


def practice(t, **columns):
    """A database with a registered patient: connection, patient, session."""
    db = t.database()
    patient = t.patient(db, **{'email': 'ada@example.com', 'cell_phone': '+12025550100',
                               'city': 'Springfield', **columns})
    return db, patient, flows.register(t, db, patient, 'ada')


def submit(t, db, session, patient, **fields):
    answer = flows.ask(t, db, SUBMIT, session, patient, json.dumps(fields))
    t.equal(answer['result'], 'submitted', f'{fields}: {answer}')
    return answer['requests']


def refused(t, db, session, patient, document):
    """Claims that a document is refused as data and leaves nothing; gives the reason."""
    text = document if isinstance(document, str) else json.dumps(document)
    before = t.all(db, 'SELECT request_id, status FROM portal_request')
    answer = flows.ask(t, db, SUBMIT, session, patient, text)
    t.equal(answer['result'], 'refused', f'{text[:200]!a}')
    t.equal(t.all(db, 'SELECT request_id, status FROM portal_request'), before)
    return answer['reason']


def pending(t, db):
    """What is asked for: field and proposed value, in the order of asking."""
    return t.all(db, 'SELECT field, proposed_value FROM pending_requests ORDER BY request_id')


def request(t, db, field):
    return t.one(db, 'SELECT request_id FROM pending_requests WHERE field = ?', field)


def chart(t, db, patient, column):
    return t.one(db, f'SELECT {column} FROM patient WHERE patient_id = ?', patient)


def decided(t, db, request_id):
    return t.one(db, 'SELECT status FROM portal_request WHERE request_id = ?', request_id)
