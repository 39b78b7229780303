"""Sending as staff do it and are refused it, for tests of the first link and of those after it."""


def send(t, db, patient_id, channel='email'):
    return t.one(db, 'SELECT send_registration(?, ?)', patient_id, channel)


def problem(t, db, patient_id, channel='email'):
    return t.one(db, 'SELECT send_problem(?, ?)', patient_id, channel)


def refused(t, db, patient_id, channel='email', says=()):
    """Claims a refusal, that send_problem() gives it word for word, and that nothing was queued."""
    before = t.all(db, 'SELECT * FROM portal_registration')
    told = problem(t, db, patient_id, channel)
    error = t.refuses(db, 'SELECT send_registration(?, ?)', patient_id, channel, says=says)
    t.equal(told, error, 'send_problem() and the refusal differ')
    t.equal(t.all(db, 'SELECT * FROM portal_registration'), before)
    return error


def set_chart(db, patient_id, **columns):
    for name, value in columns.items():
        db.execute(f'UPDATE patient SET {name} = ? WHERE patient_id = ?', [value, patient_id])


def link_status(t, db, token):
    return t.one(db, 'SELECT token_status(?)', token)
