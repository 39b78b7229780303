"""A practice's portal from Python: staff send, decide and revoke, a patient signs in.

Usage: practice.py DATABASE. For Debian's Python; some others are built without SQLite's loading of extensions.
"""
import json
import sqlite3
import sys
import threading


def connect(path, application='ehr', user=None):
    # Left to itself Python opens transactions, in which the calls that check a guess are refused.
    db = sqlite3.connect(path, timeout=10, isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension('build/portal')
    db.enable_load_extension(False)
    ask(db, 'SELECT portal_as(?, ?)', application, user)
    return db


def ask(db, sql, *values):
    return db.execute(sql, values).fetchone()[0]


def status(db, patient):
    return ask(db, 'SELECT status FROM portal_status WHERE patient_id = ?', patient)


def send(path, patient):
    """In a thread: a connection for each."""
    ask(connect(path), 'SELECT send_registration(?, ?)', patient, 'email')


def main(path):
    db = connect(path)
    db.execute('BEGIN')
    ask(db, 'SELECT send_registration(?, ?)', 2, 'email')
    db.execute('ROLLBACK')
    print(status(db, 2))
    print(ask(db, 'SELECT send_registration(?, ?)', 2, 'email'))
    try:
        ask(db, 'SELECT send_registration(?, ?)', 99, 'email')
    except sqlite3.Error as error:
        print(error)

    db.execute('BEGIN')
    requests = db.execute('SELECT request_id, field FROM pending_requests WHERE patient_id = ?', [1]).fetchall()
    for request, field in requests:
        decide = 'accept' if field == 'city' else 'decline'
        print(field, ask(db, f'SELECT {decide}_request(?)', request))
    db.execute('COMMIT')

    web = connect(path, 'portal', '203.0.113.7')
    web.execute('BEGIN')
    try:
        ask(web, 'SELECT portal_login(?, ?)', 'ada', 'analytical engine')
    except sqlite3.Error as error:
        print(error)
    web.execute('ROLLBACK')
    login = json.loads(ask(web, 'SELECT portal_login(?, ?)', 'ada', 'analytical engine'))
    session = json.loads(ask(web, 'SELECT portal_session(?)', login['session']))
    print(login['result'], session['patients'][0]['patient_id'])
    print(ask(db, 'SELECT revoke_access(?, ?)', 1, 'asked for by phone'))
    print(ask(web, "SELECT coalesce(portal_session(?), 'signed out')", login['session']))

    threads = [threading.Thread(target=send, args=[path, patient]) for patient in (3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(status(db, 3), status(db, 4))


if __name__ == '__main__':
    main(*sys.argv[1:])
