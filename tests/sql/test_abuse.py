"""What else somebody tries who wants in, or wants it to fall over: keys, clocks, sizes, numbers at their end."""
import base64
import os
import pathlib
import re
import secrets
import sqlite3
import time

import flows
import snapshot

DAY = 86400


def practice(t):
    db = t.database()
    patient = t.patient(db)
    flows.register(t, db, patient, 'ada')
    return db, patient, t.connect(t.file(db), application='portal')


def add_generation(t, db, number):
    """Rotates the key by hand; a new connection notices at once."""
    key = pathlib.Path(f'{t.file(db)}.portal-key')
    key.write_text(key.read_text() + f'{number} {secrets.token_hex(32)}\n')
    return t.connect(t.file(db))


# Keys

def test_a_link_of_an_older_key_works_and_one_of_a_key_that_is_not_there_does_not(t):
    db, patient, web = practice(t)
    t.advance(60)
    older = flows.send(t, db, t.patient(db))
    rotated = add_generation(t, db, 7)
    newer = flows.send(t, rotated, t.patient(rotated))
    t.equal([base64.urlsafe_b64decode(token)[0] for token in (older, newer)], [1, 7])
    t.equal([t.one(rotated, 'SELECT token_status(?)', token) for token in (older, newer)], ['valid', 'valid'])
    for generation in (0, 2, 6, 8, 255):
        for token in (older, newer):
            raw = base64.urlsafe_b64decode(token)
            forged = base64.urlsafe_b64encode(bytes([generation]) + raw[1:]).decode()
            t.equal(t.one(rotated, 'SELECT token_status(?)', forged), 'unknown')
    # One made with the right key, but said to be of the other.
    for token, generation in ((older, 7), (newer, 1)):
        raw = base64.urlsafe_b64decode(token)
        t.equal(t.one(rotated, 'SELECT token_status(?)', base64.urlsafe_b64encode(bytes([generation]) + raw[1:]).decode()),
                'unknown')


def test_each_key_is_not_another_chance_for_a_guessed_pin(t):
    db = t.database()
    patient = t.patient(db)
    token = flows.send(t, db, patient)
    pin = flows.pin(t, db, token, patient)
    rotated = add_generation(t, db, 2)
    # What the same row would have under the other key.
    rotated.execute("UPDATE portal_pin SET nonce = x'02' || substr(nonce, 2)")
    t.equal(flows.enroll(t, rotated, token, pin), flows.refused('pin'))
    rotated.execute("UPDATE portal_pin SET nonce = x'01' || substr(nonce, 2)")
    t.equal(flows.enroll(t, rotated, token, pin)['result'], 'registered')


def test_a_key_that_was_replaced_makes_no_link_for_what_was_sent_since(t):
    db = t.database()
    key = pathlib.Path(f'{t.file(db)}.portal-key')
    stolen = t.path('stolen.key')
    stolen.write_bytes(key.read_bytes())
    t.one(db, 'SELECT portal_key_rotate()')
    token = flows.send(t, db, t.patient(db))
    # With the stolen key and the database of now; what it derives, it derives for the generation that it knows.
    copy = t.path('copy.db')
    db.execute('VACUUM INTO ?', [str(copy)])
    t.path('copy.db.portal-key').write_bytes(stolen.read_bytes())
    t.path('copy.db.portal-key').chmod(0o600)
    thief = t.connect(copy)
    thief.execute("UPDATE portal_registration SET nonce = x'01' || substr(nonce, 2), status = 'queued', expires_at = NULL")
    thief.execute("UPDATE portal_message SET status = 'queued', due_at = 0")
    t.one(thief, 'SELECT deliver()')
    forged = t.token(t.mails(thief)[-1])
    t.equal(t.one(thief, 'SELECT token_status(?)', forged), 'valid')
    t.equal([t.one(db, 'SELECT token_status(?)', each) for each in (forged, token)], ['unknown', 'valid'])


# Clocks

def test_no_clock_however_wrong_lets_anybody_in_or_breaks_a_call(t):
    db, patient, web = practice(t)
    token, now = flows.send(t, db, t.patient(db)), t.now()
    for seconds in (-10**10, -1, 0, 1, 2**31, 2**33, 253402300799, 253402300800, 10**11):
        t.clock(seconds)
        t.equal(t.one(web, "SELECT portal_login('ada', 'wrong password')"), '{"result":"refused"}')
        t.equal(t.one(db, 'SELECT token_valid(?)', token), int(seconds < now), str(seconds))
        for sql in ('SELECT deliver()', 'BEGIN', 'SELECT * FROM portal_status', 'SELECT * FROM portal_check',
                    'SELECT expire_links()', "SELECT send_problem(1, 'email')", "SELECT send_registration(1, 'email')",
                    'SELECT portal_purge(36500)', 'SELECT revoke_access(1)', 'ROLLBACK'):
            try:
                t.all(db, sql)
            except sqlite3.Error as error:
                t.true(str(error).isprintable() and len(str(error)) > 10, str(error))
        snapshot.whole(t, db)
    t.clock(now)
    t.equal(t.one(db, 'SELECT token_valid(?)', token), 1)


# Sizes

EXPANDING = {'grows 18 times': '\ufdfa' * 128, 'only marks': '\u0301' * 5000, 'a letter and marks': 'a' + '\u0301' * 5000,
             'a long emoji': '\U0001f468\u200d' * 500, 'a megabyte of sharp s': 'ß' * 500_000,
             'twenty megabytes': 'x' * 20_000_000, 'Hangul in pieces': '\u1100\u1161\u11a8' * 3000}


def test_no_text_however_it_grows_breaks_a_call_or_costs_more_than_a_hash(t):
    db, patient, web = practice(t)
    token = flows.send(t, db, t.patient(db))
    pin = '000000'
    before = t.one(db, 'SELECT count(*) FROM portal_account')
    for what, text in EXPANDING.items():
        start = time.thread_time()
        for sql, *params in (('SELECT portal_login(?, ?)', text, text), ('SELECT portal_login(?, ?)', 'ada', text),
                             ('SELECT forgot_password(?)', text), ('SELECT token_status(?)', text),
                             ('SELECT portal_session(?)', text), ('SELECT reset_password(?, ?)', text, text),
                             ('SELECT request_pin(?, ?, ?)', token, text, text),
                             ('SELECT register_patient(?, ?, ?, ?)', token, pin, text, text),
                             ('SELECT register_representative(?, ?, ?, ?, ?, ?)', token, text, text, text, text, text)):
            answer = t.one(web, sql, *params)
            t.true(answer in (None, 'unknown', '{"result":"queued"}') or 'refused' in answer, f'{what}: {sql}: {answer}')
        for sql in ('SELECT unlock_account(?)', "SELECT quick_add(?, 'b', '1990-01-01')", "SELECT send_registration(?, 'email')",
                    "SELECT portal_setting('practice_name', ?)", 'SELECT revoke_access(?)'):
            text_of_error = t.refuses(db, sql, text)
            t.true(len(text_of_error) < 100_000, f'{what}: {sql}: an error of {len(text_of_error)} characters')
        t.true(time.thread_time() - start < 5, what)
        db.execute("UPDATE portal_registration SET guesses = 0 WHERE status = 'live'")
        db.execute('DELETE FROM portal_throttle')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_account'), before)
    snapshot.whole(t, db)


# Once and twice

def test_one_statement_that_uses_a_link_twice_uses_it_once(t):
    db = t.database()
    patient = t.patient(db)
    token = flows.send(t, db, patient)
    pin = flows.pin(t, db, token, patient)
    call = f"register_patient('{token}', '{pin}', 'ada' || value, 'correct horse battery')"
    answers = [answer for row in t.all(db, f"SELECT {call}, {call} FROM json_each('[1, 2, 3]')") for answer in row]
    t.equal(sum('registered' in answer for answer in answers), 1, str(answers))
    t.equal(t.all(db, 'SELECT username FROM portal_account'), [('ada1',)])


def test_a_session_works_for_its_own_patients_alone_by_whatever_id(t):
    db, patient, web = practice(t)
    other = t.patient(db, first_name='Eve')
    session = flows.login(t, web, 'ada')
    for wrong in (other, float(other), str(other), -1, 0, 2**63 - 1, f'{other} ', f'0{other}', f'{other}.0', f'{other}e0', '0x1', '1 x'):
        answer = flows.ask(t, web, 'SELECT submit_demographics(?, ?, ?)', session, wrong, '{"city": "Rome"}')
        t.equal(answer, flows.refused('patient'), repr(wrong))
    for wrong in (None, b'1', 1.5, float('inf'), '', 'x' * 1000):
        t.refuses(web, 'SELECT submit_demographics(?, ?, ?)', session, wrong, '{"city": "Rome"}', says='patient_id')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_request'), 0)


def test_a_claim_that_was_made_up_shows_and_reports_nothing(t):
    db, patient, web = practice(t)
    t.advance(60)
    db.execute('BEGIN')
    t.one(db, "SELECT send_registration(?, 'email')", patient)
    db.execute('COMMIT')
    claim = t.one(db, 'SELECT claim_messages(1)')
    end, _, name = claim.partition('-')
    message = t.one(db, "SELECT message_id FROM portal_message WHERE status = 'claimed'")
    for forged in ('', end, f'{end}-', f'-{name}', name, f'{end}-{"0" * 16}', f'{int(end) + 1}-{name}', f'{end}-{name} ',
                   f'+{claim}', claim.upper() + 'X', '9' * 400, f'{end}-%', None):
        t.equal(t.all(db, 'SELECT * FROM portal_claimed(?)', forged), [], forged)
        t.refuses(db, "SELECT report_delivery(?, ?, 'sent')", forged, message)
    t.equal(len(t.all(db, 'SELECT * FROM portal_claimed(?)', claim)), 1)


def test_numbers_at_their_end_are_refused_and_wrap_to_nobody(t):
    db, patient, web = practice(t)
    session = flows.login(t, web, 'ada')
    # The next session and message would not fit into a token.
    db.execute("INSERT INTO portal_session(session_id, account_id, nonce, created_at, last_used_at)"
               " VALUES (4294967295, 1, x'000000', 0, 0)")
    db.execute("INSERT INTO portal_message(message_id, kind, channel, recipient, status, created_at)"
               " VALUES (4294967295, 'registration', 'email', 'x', 'sent', 0)")
    t.refuses(db, "SELECT send_registration(?, 'email')", t.patient(db), says='the outbox is full')
    answer = flows.ask(t, web, "SELECT portal_login('ada', ?)", flows.PASSWORD)
    if 'session' in answer:
        t.equal(t.one(web, 'SELECT portal_session(?)', answer['session']), None)
    t.equal(flows.patients_of(t, web, session), [patient])
    t.equal(t.one(db, "SELECT count(*) FROM portal_message WHERE message_id > 4294967295"), 0)


# Files

def test_a_key_file_exchanged_while_a_connection_is_open_opens_nothing(t):
    db, patient, web = practice(t)
    other = t.database()
    session = flows.login(t, web, 'ada')
    key, wrong = (pathlib.Path(f'{t.file(each)}.portal-key') for each in (db, other))
    right = key.read_bytes()
    t.true(t.one(web, 'SELECT portal_session(?)', session) is not None)
    key.write_bytes(wrong.read_bytes())
    os.utime(key, (1, 1))
    # It is looked at once a second at most.
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            t.one(web, 'SELECT portal_session(?)', session)
        except sqlite3.Error as error:
            t.contains(str(error), 'another database')
            break
    else:
        raise AssertionError('never noticed')
    key.write_bytes(right)
    t.true(t.one(t.connect(t.file(db)), 'SELECT portal_session(?)', session) is not None)


def test_a_link_to_the_key_file_is_as_good_as_what_it_leads_to(t):
    db, patient, web = practice(t)
    key, moved = pathlib.Path(f'{t.file(db)}.portal-key'), t.path('elsewhere.key')
    key.rename(moved)
    key.symlink_to(moved)
    flows.login(t, t.connect(t.file(db)), 'ada')
    moved.chmod(0o644)
    t.refuses(t.connect(t.file(db)), "SELECT portal_login('ada', 'x')", says='chmod 600')
    key.unlink()
    key.symlink_to('/dev/zero')
    t.refuses(t.connect(t.file(db)), "SELECT portal_login('ada', 'x')", says='key file')
    key.unlink()
    os.mkfifo(key, 0o600)
    t.refuses(t.connect(t.file(db)), "SELECT portal_login('ada', 'x')", says='is not a file')
    t.true(re.fullmatch(r'[0-9a-f]+', moved.read_text().split()[-1]) is not None)
