"""The steps of the workflow as people take them, for tests that need somebody sent, registered, in.

Each takes the test and a connection of staff, which may do what patients do as well. A step that
does not go the way it should fails the test, so that no test goes on without what it needs.
"""
import json

PASSWORD = 'correct horse battery staple'


def ask(t, db, sql, *params):
    """The answer of a function that answers in JSON, as a Python value; None for NULL."""
    answer = t.one(db, sql, *params)
    return None if answer is None else json.loads(answer)


def refused(reason):
    return {'result': 'refused', 'reason': reason}


def chart(t, db, patient_id):
    """The last name and the date of birth of a patient, which the proof asks for."""
    return db.execute('SELECT last_name, date_of_birth FROM patient WHERE patient_id = ?',
                      [patient_id]).fetchone()


def newest(t, db, subject):
    """The newest mail whose subject, or for a text message its body, holds a word."""
    found = [mail for mail in t.mails(db) if subject in f'{mail["subject"]} {t.text(mail)}']
    t.true(found, f'no mail about {subject!r} among {[mail["subject"] for mail in t.mails(db)]}')
    return found[-1]


def send(t, db, patient_id, channel='email'):
    """Sends a registration and gives the token of its link, read from the mail."""
    before = {mail.file for mail in t.mails(db)}
    sentence = t.one(db, 'SELECT send_registration(?, ?)', patient_id, channel)
    t.contains(sentence, 'Portal registration sent by')
    new = [mail for mail in t.mails(db) if mail.file not in before]
    t.equal(len(new), 1, f'not one new mail after: {sentence}')
    return t.token(new[0])


def pin(t, db, token, patient_id):
    """Proves who the patient is and gives the PIN, read from its mail."""
    before = {mail.file for mail in t.mails(db)}
    answer = ask(t, db, 'SELECT request_pin(?, ?, ?)', token, *chart(t, db, patient_id))
    t.equal(answer['result'], 'pin_sent')
    new = [mail for mail in t.mails(db) if mail.file not in before]
    t.equal(len(new), 1, 'not one new mail after request_pin()')
    return t.pin(new[0])


def prove(t, db, token, last_name='Lovelace', date_of_birth='1985-12-10'):
    """What asking for a PIN answers; the names are those of Test.patient()."""
    return ask(t, db, 'SELECT request_pin(?, ?, ?)', token, last_name, date_of_birth)


def enroll(t, db, token, pin, username='ada.lovelace', password=PASSWORD):
    """What registering as the patient answers."""
    return ask(t, db, 'SELECT register_patient(?, ?, ?, ?)', token, pin, username, password)


def wrong_pin(pin, number=0):
    """Another PIN; for another number still another one."""
    return f'{(int(pin) + 1 + number) % 1000000:06}'


def login(t, db, username, password=PASSWORD):
    """Signs in and gives the session."""
    answer = ask(t, db, 'SELECT portal_login(?, ?)', username, password)
    t.equal(answer['result'], 'ok', f'{username} can not sign in')
    return answer['session']


def can_login(t, db, username, password=PASSWORD):
    return ask(t, db, 'SELECT portal_login(?, ?)', username, password)['result'] == 'ok'


def register_with(t, db, token, patient_id, username, password=PASSWORD):
    """Registers the patient with a link that is there already; gives a session."""
    answer = ask(t, db, 'SELECT register_patient(?, ?, ?, ?)', token, pin(t, db, token, patient_id),
                 username, password)
    t.equal(answer, {'result': 'registered', 'username': username})
    return login(t, db, username, password)


def register(t, db, patient_id, username, password=PASSWORD, channel='email'):
    """Sends a link, proves, registers as the patient and signs in; gives the session."""
    return register_with(t, db, send(t, db, patient_id, channel), patient_id, username, password)


def register_representative(t, db, patient_id, username, password=PASSWORD, name='Rita Parent',
                            relationship='parent', channel='email'):
    """The same as a representative.  Sent within the cooldown, the clock moves on by it."""
    if t.one(db, 'SELECT send_problem(?, ?)', patient_id, channel):
        t.advance(60)
    token = send(t, db, patient_id, channel)
    answer = ask(t, db, 'SELECT register_representative(?, ?, ?, ?, ?, ?)', token,
                 pin(t, db, token, patient_id), username, password, name, relationship)
    t.equal(answer, {'result': 'registered', 'username': username})
    return login(t, db, username, password)


def outgrow(t, db, patient_id, username, channel='email'):
    """A representative who has had access since the patient's youth, and loses it now."""
    register_representative(t, db, patient_id, username, channel=channel)
    db.execute("UPDATE portal_access SET granted_at = 0 WHERE role = 'representative'")
    t.equal(t.one(db, 'SELECT end_representatives()'), 1)
    t.one(db, 'SELECT deliver()')


def patients_of(t, db, session):
    """The ids of the patients that a session may act for; None when it is not alive."""
    answer = ask(t, db, 'SELECT portal_session(?)', session)
    return None if answer is None else [patient['patient_id'] for patient in answer['patients']]


def status(t, db, patient_id, column='status'):
    """A column of the patient's row in portal_status."""
    return t.one(db, f'SELECT {column} FROM portal_status WHERE patient_id = ?', patient_id)
