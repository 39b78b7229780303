"""Guessing proofs, PINs and passwords: in a row, at once, across links, clients and crashes, never more than the budget."""
import os
import signal
import subprocess
import sys
import threading

import flows
import harness
import processes

REFUSED = {'result': 'refused'}
MINUTE, HOUR = 60, 3600
prove, register, refused, wrong = flows.prove, flows.enroll, flows.refused, flows.wrong_pin
LINK, PIN = refused('link'), refused('pin')


def sent(t, journal='delete'):
    db = t.database(journal=journal)
    patient = t.patient(db)
    return db, patient, flows.send(t, db, patient)


def guesses(t, db):
    return t.one(db, 'SELECT guesses FROM portal_registration ORDER BY registration_id DESC')


def events(t, db, action):
    return t.one(db, 'SELECT count(*) FROM portal_audit WHERE action = ?', action)


def guess_pin(t, db, token, pin, times):
    for number in range(times):
        t.equal(register(t, db, token, wrong(pin, number)), PIN)


# In a row: what is one too many, and that the right answer comes too late then

def five_at_one_pin(t, db, token, patient, count):
    pin = flows.pin(t, db, token, patient)
    guess_pin(t, db, token, pin, count)
    return pin


def a_new_pin_for_each(t, db, token, patient, count):
    for number in range(count):
        if number < 5:
            pin = flows.pin(t, db, token, patient)
        guess_pin(t, db, token, pin, 1)
        t.advance(MINUTE)
    return pin


def two_pins(t, db, token, patient, count):
    five_at_one_pin(t, db, token, patient, 5)
    t.advance(MINUTE)
    return five_at_one_pin(t, db, token, patient, count - 5)


def proofs_and_a_pin(t, db, token, patient, count):
    for _ in range(count - 4):
        t.equal(prove(t, db, token, 'Wrong'), REFUSED)
    return five_at_one_pin(t, db, token, patient, 4)


# The way of guessing, how many wrong ones it has, what the right PIN is told after one less and after those.
BUDGETS = ((five_at_one_pin, 5, 'registered', PIN), (a_new_pin_for_each, 9, 'registered', PIN),
           (two_pins, 10, 'registered', LINK), (proofs_and_a_pin, 10, 'registered', LINK))


def test_after_so_many_wrong_pins_the_right_one_is_refused_and_not_before(t):
    for way, count, before, after in BUDGETS:
        db, patient, token = sent(t)
        t.equal(register(t, db, token, way(t, db, token, patient, count - 1))['result'], before, way.__name__)
        db, patient, token = sent(t)
        t.equal(register(t, db, token, way(t, db, token, patient, count)), after, way.__name__)
        t.equal(t.one(db, 'SELECT count(*) FROM portal_account'), 0)


def test_after_ten_wrong_proofs_the_right_one_is_refused_and_not_before(t):
    db, patient, token = sent(t)
    for _ in range(9):
        t.equal(prove(t, db, token, 'Wrong'), REFUSED)
    pin = flows.pin(t, db, token, patient)
    t.equal(prove(t, db, token, 'Wrong'), REFUSED)
    t.advance(MINUTE)
    t.equal(prove(t, db, token), REFUSED)
    t.equal(register(t, db, token, pin), LINK)
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'revoked')


def test_right_answers_in_between_give_no_wrong_one_back(t):
    db, patient, token = sent(t)
    for _ in range(10):
        t.equal(prove(t, db, token)['result'] in ('pin_sent', 'wait'), True)
        t.equal(prove(t, db, token, 'Wrong'), REFUSED)
    t.equal(prove(t, db, token), REFUSED)
    # The right PIN with a name that is taken spends nothing, and gives nothing back.
    other = t.patient(db)
    flows.register(t, db, other, 'ada.lovelace')
    db.execute('DELETE FROM portal_throttle')
    t.advance(MINUTE)
    link = flows.send(t, db, patient)
    pin = flows.pin(t, db, link, patient)
    for number in range(4):
        t.equal(register(t, db, link, wrong(pin, number)), PIN)
        t.equal(register(t, db, link, pin, password='not the one of that account'), refused('username taken'))
    t.equal(register(t, db, link, wrong(pin, 4)), PIN)
    t.equal(register(t, db, link, pin), PIN)


def test_a_link_has_five_pin_messages(t):
    db, patient, token = sent(t)
    for _ in range(5):
        pin = flows.pin(t, db, token, patient)
        t.advance(MINUTE)
    for _ in range(3):
        t.equal(prove(t, db, token), REFUSED)
        t.advance(MINUTE)
    t.equal(t.one(db, "SELECT count(*) FROM portal_message WHERE kind = 'pin'"), 5)
    t.equal(events(t, db, 'registration.pins_spent'), 1)
    t.contains(flows.status(t, db, patient, 'next_step'), '5 PIN messages', 'send the registration again')
    t.equal(register(t, db, token, pin)['result'], 'registered')


def test_a_spent_link_is_one_audit_event_and_staff_see_it(t):
    db, patient, token = sent(t)
    before = t.one(db, 'SELECT count(*) FROM portal_audit')
    for number in range(30):
        prove(t, db, token, 'Wrong')
        # Wrong guesses are counters and no events.
        t.equal(t.one(db, 'SELECT count(*) FROM portal_audit') - before, int(number >= 9))
    t.equal(events(t, db, 'registration.spent'), 1)
    t.equal(flows.status(t, db, patient), 'failed')
    t.contains(flows.status(t, db, patient, 'message').lower(), 'wrong')
    t.advance(MINUTE)
    t.contains(flows.status(t, db, patient, 'next_step'), 'send')
    t.equal(register(t, db, *new_link(t, db, patient))['result'], 'registered')


def new_link(t, db, patient):
    """A link with budgets of its own, and its PIN."""
    token = flows.send(t, db, patient)
    t.equal(t.all(db, "SELECT guesses, pins FROM portal_registration WHERE status = 'live'"), [(0, 0)])
    return token, flows.pin(t, db, token, patient)


# Across links: each has its budget, and there are ten links a day to a patient and to a contact

def test_ten_links_a_day_are_a_hundred_guesses_and_no_more(t):
    for patients in (1, 2):
        db = t.database()
        family = [t.patient(db, email='family@example.com', cell_phone=None) for _ in range(patients)]
        links = 0
        for number in range(12):
            patient = family[number % patients]
            if t.one(db, 'SELECT send_problem(?, ?)', patient, 'email') is None:
                token = flows.send(t, db, patient)
                links += 1
                for _ in range(12):
                    t.equal(prove(t, db, token, 'Wrong'), REFUSED)
                t.equal(prove(t, db, token), REFUSED)
            t.advance(MINUTE)
        t.equal(links, 10)
        t.equal(t.one(db, 'SELECT sum(guesses) FROM portal_registration'), 100)
        t.refuses(db, "SELECT send_registration(?, 'email')", family[0], says='sends_per_day')


def test_a_pin_of_one_link_or_patient_is_no_guess_at_another(t):
    db = t.database()
    family = [t.patient(db, email='family@example.com', cell_phone='202-555-0100') for _ in range(2)]
    links = [flows.send(t, db, patient) for patient in family]
    pins = [flows.pin(t, db, *pair) for pair in zip(links, family)]
    t.equal(register(t, db, links[1], pins[0]), PIN)
    t.equal(t.all(db, 'SELECT guesses FROM portal_registration'), [(0,), (1,)])
    t.equal(register(t, db, links[0], pins[0])['result'], 'registered')
    t.equal(register(t, db, links[1], pins[1], 'another')['result'], 'registered')


# What does not give a guess back

def reopened(t, db):
    return t.connect(t.file(db), application='portal')


def test_neither_reopening_nor_expiry_nor_a_clock_set_back_gives_a_guess_back(t):
    db, patient, token = sent(t)
    pin = flows.pin(t, db, token, patient)
    start = t.now()
    ways = (lambda: t.clock(start - 2 * HOUR), lambda: t.clock(start + 5 * MINUTE),
            lambda: t.one(db, 'SELECT expire_links()'), lambda: t.one(db, 'SELECT portal_purge(1)'),
            lambda: db.execute('VACUUM'), lambda: db.execute('PRAGMA journal_mode = wal'))
    for number in range(5):
        t.equal(register(t, reopened(t, db), token, wrong(pin, number)), PIN)
        ways[number]()
    for way in ways:
        way()
        t.true(register(t, reopened(t, db), token, pin) in (PIN, LINK))
    t.equal(t.all(db, 'SELECT tries FROM portal_pin'), [(5,)])
    t.equal(guesses(t, db), 10)
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'revoked')


def test_a_wait_is_not_bypassed_by_anything(t):
    db, patient, token = sent(t)
    t.equal(prove(t, db, token), {'result': 'pin_sent', 'channel': 'text'})
    start = t.now()
    for ask in (lambda: prove(t, reopened(t, db), token), lambda: prove(t, db, token, ' LOVELACE '),
                lambda: prove(t, db, token, 'love-lace')):
        t.equal(ask(), {'result': 'wait', 'seconds': 60})
    t.refuses(db, "SELECT send_registration(?, 'email')", patient, says='wait 60 seconds')
    t.refuses(db, "INSERT INTO send_registration VALUES (?, 'EMAIL')", float(patient), says='wait 60 seconds')
    # Set back, it has more to wait for.
    t.clock(start - HOUR)
    t.equal(prove(t, db, token), {'result': 'wait', 'seconds': HOUR + 60})
    t.refuses(db, "SELECT send_registration(?, 'email')", patient, says=f'wait {HOUR + 60} seconds')
    t.clock(start + 60)
    t.equal(prove(t, db, token)['result'], 'pin_sent')


def keep_guessing(directory, path, token):
    """A process of its own that guesses until it is killed, and says after each answer that it has it."""
    t = harness.Test(directory)
    db = t.connect(path, application='portal')
    while True:
        prove(t, db, token, 'Wrong')
        os.write(1, b'.')


def test_a_killed_process_has_spent_what_it_guessed(t):
    for kills in (1, 2, 3, 5, 8):
        db, patient, token = sent(t, journal='wal')
        script = ('import sys, importlib; sys.path[:0] = sys.argv[1:3]\n'
                  'importlib.import_module("test_guessing").keep_guessing(*sys.argv[3:])')
        child = subprocess.Popen([sys.executable, '-c', script, str(harness.ROOT / 'tests'),
                                  str(harness.ROOT / 'tests/sql'), t.directory, t.file(db), token],
                                 stdout=subprocess.PIPE)
        answered = len(child.stdout.read(kills))
        child.send_signal(signal.SIGKILL)
        answered += len(child.stdout.read())
        child.wait()
        t.true(min(answered, 10) <= guesses(t, db) <= min(answered + 1, 10), f'{answered} {guesses(t, db)}')


# A guess that could be taken back

GUESSES = {
    'request_pin': "request_pin(:token, 'Wrong', '1985-12-10')",
    'register_patient': "register_patient(:token, '000000', 'ada', 'long password')",
    'register_representative': "register_representative(:token, '000000', 'ada', 'long password', 'Rita', 'parent')",
    'portal_login': "portal_login('ada', 'long password')",
    'reset_password': "reset_password(:token, 'long password')",
}


def refuses_guess(t, db, guess, token, around='SELECT {}'):
    message = t.refuses(db, around.format(guess).replace(':token', '?'), *([token] if ':token' in guess else []))
    t.contains(message, 'ROLLBACK', 'autocommit')


def test_a_guess_inside_a_transaction_is_refused_and_costs_nothing(t):
    db, patient, token = sent(t)
    flows.pin(t, db, token, patient)
    count = t.one(db, 'SELECT count(*) FROM portal_throttle')
    for begin in ('BEGIN', 'BEGIN IMMEDIATE', 'BEGIN EXCLUSIVE', 'SAVEPOINT mine'):
        for guess in GUESSES.values():
            db.execute(begin)
            for _ in range(12):
                refuses_guess(t, db, guess, token)
            db.execute('ROLLBACK')
    t.equal(guesses(t, db), 0)
    t.equal(t.one(db, 'SELECT count(*) FROM portal_throttle'), count)
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'valid')


def test_a_guess_inside_a_writing_statement_is_refused_and_costs_nothing(t):
    db, patient, token = sent(t)
    flows.pin(t, db, token, patient)
    db.execute('CREATE TABLE answers(answer)')
    db.execute('CREATE TEMP TABLE scratch(answer)')
    db.execute("ATTACH ':memory:' AS elsewhere")
    db.execute('CREATE TABLE elsewhere.answers(answer)')
    db.execute('INSERT INTO answers VALUES (1)')
    for guess in GUESSES.values():
        for around in ('INSERT INTO answers SELECT {}', 'INSERT INTO answers VALUES ({})',
                       'UPDATE answers SET answer = {}', 'DELETE FROM answers WHERE {} IS NULL',
                       'INSERT INTO scratch SELECT {}', 'CREATE TABLE copy AS SELECT {}',
                       'INSERT INTO elsewhere.answers SELECT {}', 'INSERT INTO answers VALUES (2) RETURNING {}'):
            refuses_guess(t, db, guess, token, around)
    t.equal(guesses(t, db), 0)
    t.equal(t.all(db, 'SELECT * FROM answers'), [(1,)])


def test_every_function_that_checks_a_guess_is_among_these(t):
    # The others that are given a secret take one of 128 bits, at which nobody guesses.
    db = t.database()
    arguments = {'pin', 'password', 'last_name'}
    taking = {name for name, usage in t.all(db, 'SELECT name, usage FROM portal_help')
              if arguments & {word.strip(' []') for word in usage.partition('(')[2].rstrip(')').split(',')}}
    t.equal(taking - {'quick_add'}, set(GUESSES))


def test_a_guess_in_a_reading_statement_counts_at_once(t):
    db, patient, token = sent(t)
    db.execute("SELECT request_pin(?, 'Wrong', '1985-12-10') FROM patient", [token]).fetchall()
    t.equal(t.one(t.connect(t.file(db)), 'SELECT guesses FROM portal_registration'), 1)


def test_a_guess_that_can_not_be_counted_is_not_compared(t):
    # A database that can not be written must not be an oracle.
    db, patient, token = sent(t)
    pin = flows.pin(t, db, token, patient)
    reader = t.connect(f'file:{t.file(db)}?mode=ro', uri=True)
    for last_name in ('Lovelace', 'Wrong'):
        t.refuses(reader, "SELECT request_pin(?, ?, '1985-12-10')", token, last_name, says='read')
    for guess in (pin, wrong(pin)):
        t.refuses(reader, "SELECT register_patient(?, ?, 'ada', 'long password')", token, guess, says='read')
    writer, guesser = t.connect(t.file(db)), t.connect(t.file(db), timeout=0)
    writer.execute('BEGIN IMMEDIATE')
    for last_name in ('Lovelace', 'Wrong'):
        t.refuses(guesser, "SELECT request_pin(?, ?, '1985-12-10')", token, last_name, says='try again')
    writer.execute('ROLLBACK')
    t.equal(guesses(t, db), 0)
    t.equal(prove(t, guesser, token)['result'], 'wait')


# Many at once

def guess_at_once(t, number, path, calls):
    """One call of `calls` in each of several processes that start together."""
    web = t.connect(path, application='portal', timeout=50)
    t.together()
    sql, *params = calls[number]
    return flows.ask(t, web, sql, *params)


def at_once(t, db, *calls):
    return t.parallel(len(calls), guess_at_once, str(t.file(db)), calls)


def test_parallel_wrong_proofs_spend_the_link_once(t):
    db, patient, token = sent(t, journal='wal')
    sql = "SELECT request_pin(?, 'Wrong', '1985-12-10')"
    t.equal(at_once(t, db, *[(sql, token)] * 16), [REFUSED] * 16)
    t.equal(t.all(db, 'SELECT status, guesses FROM portal_registration'), [('spent', 10)])
    t.equal(events(t, db, 'registration.spent'), 1)
    t.equal(prove(t, db, token), REFUSED)


def test_parallel_pins_are_never_more_tries_than_the_budget(t):
    for first in (0, 1):       # with the right one among them, and without
        db, patient, token = sent(t, journal='wal')
        pin = flows.pin(t, db, token, patient)
        sql = 'SELECT register_patient(?, ?, ?, ?)'
        answers = at_once(t, db, *[(sql, token, wrong(pin, number - 1), f'guesser{number}', flows.PASSWORD)
                                   for number in range(first, 16)])
        registered = [answer['result'] for answer in answers].count('registered')
        t.true(registered <= 1 - first, str(answers))
        t.true(all(answer in (PIN, LINK) for answer in answers if answer['result'] == 'refused'), str(answers))
        t.true(t.one(db, 'SELECT max(tries) FROM portal_pin') <= 5)
        t.true(guesses(t, db) <= 10)
        t.equal(t.one(db, 'SELECT count(*) FROM portal_account'), registered)
        t.true(first == 0 or register(t, db, token, pin) in (PIN, LINK))


def test_parallel_right_proofs_send_one_pin(t):
    db, patient, token = sent(t)
    answers = at_once(t, db, *[("SELECT request_pin(?, 'Lovelace', '1985-12-10')", token)] * 12)
    results = [answer['result'] for answer in answers]
    t.equal(results.count('pin_sent'), 1, str(answers))
    t.true(set(results) <= {'pin_sent', 'wait', 'refused'}, str(answers))
    t.equal(t.one(db, "SELECT count(*) FROM portal_message WHERE kind = 'pin'"), 1)
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'valid')
    t.equal(guesses(t, db), 0)


def test_parallel_wrong_passwords_are_never_compared_more_often_than_in_a_row(t):
    db = t.database(journal='wal')
    flows.register(t, db, t.patient(db), 'ada')
    t.equal(at_once(t, db, *[("SELECT portal_login('ada', 'wrong password')",)] * 12), [REFUSED] * 12)
    t.true(t.one(db, 'SELECT max(failures) FROM portal_throttle WHERE account <> 0') <= 4,
           'more than four were counted, and compared')
    t.advance(15 * MINUTE)
    t.true(flows.can_login(t, t.connect(t.file(db), application='portal'), 'ada'))


def test_threads_of_one_process_share_the_budget(t):
    db, patient, token = sent(t, journal='wal')
    answers = []

    def guess(connection):
        for _ in range(4):
            answers.append(prove(t, connection, token, 'Wrong'))

    connections = [t.connect(t.file(db), application='portal', timeout=50, check_same_thread=False)
                   for _ in range(6)]
    threads = [threading.Thread(target=guess, args=[connection]) for connection in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(processes.TIME_LIMIT)
    t.equal(answers, [REFUSED] * 24)
    t.equal(t.all(db, 'SELECT status, guesses FROM portal_registration'), [('spent', 10)])


# A whole day of passwords

def client(t, db, address):
    web = t.connect(t.file(db))
    web.execute("SELECT portal_as('portal', ?)", [address])
    return web


def delay(t, db):
    """Seconds until every delay that was imposed is over; the contract's, not the product's sum."""
    free = {(True, True): 3, (True, False): 20, (False, True): 50}
    until = [last + min(900, 2 ** (failures - free[account != 0, client != 0]))
             for account, client, failures, last in t.all(db, 'SELECT * FROM portal_throttle')
             if (account, client) != (0, 0) and failures > free[account != 0, client != 0]]
    return max(until, default=0) - t.now()


def a_day_of_passwords(t, name_of, client_of):
    """Tries as soon as the delay is over, for a day; how often. One try too early is not compared."""
    db = t.database()
    flows.register(t, db, t.patient(db), 'ada')
    end, tried = t.now() + 24 * HOUR, 0
    while t.now() < end:
        web = client(t, db, client_of(tried))
        web.execute('PRAGMA synchronous = off')
        sql = f"SELECT portal_login('{name_of(tried)}', 'wrong password')"
        t.equal(flows.ask(t, web, sql), REFUSED)
        tried += 1
        wait = delay(t, db)
        if tried == 100:
            before = t.all(db, 'SELECT account, client, failures FROM portal_throttle WHERE account <> 0 OR client <> 0')
            t.advance(wait - 1)
            t.equal(flows.ask(t, web, sql), REFUSED)
            t.equal(t.all(db, 'SELECT account, client, failures FROM portal_throttle WHERE account <> 0 OR client <> 0'),
                    before, 'a try that came too early was counted, and compared')
            wait = 1
        web.close()
        t.advance(max(wait, 0))
    t.equal(t.one(db, 'SELECT sum(failures) FROM portal_throttle WHERE account <> 0 AND client <> 0'), tried)
    return tried


@harness.release_only
def test_a_day_of_passwords_is_about_a_hundred_however_they_are_spread(t):
    spread = {
        'one client at one account': (lambda number: 'ada', lambda number: '192.0.2.1'),
        'many clients at one account': (lambda number: 'ada', lambda number: f'192.0.2.{number}'),
        'one client at many accounts': (lambda number: f'name{number}', lambda number: '192.0.2.1'),
    }
    tried = {what: a_day_of_passwords(t, *ways) for what, ways in spread.items()}
    # A quarter of an hour each, after those that are free and those until the delay is that long.
    most = {what: free + 10 + 96 for what, free in zip(spread, (3, 20, 50))}
    t.true(all(most[what] - 5 < tried[what] <= most[what] for what in spread), f'{tried} of {most}')
