"""What an answer and the time it takes tell of who is known: the same for everybody who is refused."""
import random
import statistics
import time

import flows
import harness

PASSWORD = flows.PASSWORD
REFUSED, QUEUED = '{"result":"refused"}', '{"result":"queued"}'
LOGIN = 'SELECT portal_login(?, ?)'


def practice(t):
    """A patient with a login, and a connection of the web page."""
    db = t.database()
    patient = t.patient(db)
    flows.register(t, db, patient, 'ada')
    return db, patient, t.connect(t.file(db), application='portal')


# Three measures: what is written to disk, what is run, and the processor's time

def commits(t, db):
    """SQLite's file change counter, at offset 24: one more with every commit in rollback mode."""
    return int.from_bytes(t.file(db).read_bytes()[24:28], 'big')


def statements(web, sql, *params):
    """The statements that a call runs, without their values; SQLite shows them as comments."""
    traced = []
    web.set_trace_callback(traced.append)
    web.execute(sql, params).fetchall()
    web.set_trace_callback(None)
    return [statement.removeprefix('--').strip('; ') for statement in traced[1:]]


def cpu_times(rounds, ways):
    """The processor's time of each way in turn: the lower quartile, to which busy neighbours add least."""
    took = {what: [] for what in ways}
    for number in range(rounds):
        for what in random.Random(number).sample(sorted(ways), len(ways)):
            prepare, call = ways[what]
            prepare()
            start = time.thread_time_ns()
            call()
            took[what].append(time.thread_time_ns() - start)
    return {what: statistics.quantiles(times)[0] for what, times in took.items()}


def takes_as_long(t, rounds, ways, bound):
    """Claims it of all ways. Noise is not the same three times in a row; a difference is."""
    for _ in range(3):
        times = cpu_times(rounds, ways)
        if max(times.values()) / min(times.values()) < bound:
            return times
    raise AssertionError(f'three times more than {bound} apart: {times}')


# Signing in

def refusals(t, db, patient, web):
    """Every way to be refused; each begins with no wrong password behind it."""
    def fresh():
        db.execute('DELETE FROM portal_throttle')

    def delayed():
        fresh()
        for _ in range(4):
            t.equal(t.one(web, LOGIN, 'ada', 'wrong password'), REFUSED)

    def revoked():
        fresh()
        t.one(db, 'SELECT revoke_access(?)', patient)

    ways = [('unknown', fresh, 'nobody', PASSWORD), ('wrong', fresh, 'ada', 'wrong password'),
            ('no password', fresh, 'ada', ''), ('no name', fresh, '', PASSWORD), ('null', fresh, None, None),
            ('not a name', fresh, 'a\nb', PASSWORD), ('huge', fresh, 'x' * 100_000, 'x' * 100_000),
            ('delayed, right', delayed, 'ada', PASSWORD), ('delayed, wrong', lambda: None, 'ada', 'wrong password'),
            ('injection', fresh, "ada' --", "' OR 1=1 --"),
            ('revoked', revoked, 'ada', PASSWORD), ('revoked, wrong', fresh, 'ada', 'wrong password')]
    for what, prepare, username, password in ways:
        prepare()
        yield what, username, password


def test_every_refused_login_gets_the_same_bytes_after_as_many_commits(t):
    # Commits cost milliseconds where all else but the hash costs microseconds.
    db, patient, web = practice(t)
    for what, username, password in refusals(t, db, patient, web):
        before = commits(t, db)
        t.equal(t.one(web, LOGIN, username, password), REFUSED, what)
        t.equal(commits(t, db) - before, 2, what)


def test_an_unknown_name_runs_the_statements_of_a_wrong_password(t):
    db, patient, web = practice(t)
    t.one(web, LOGIN, 'nobody', 'wrong password')
    ran = {what: statements(web, LOGIN, username, password) for what, username, password in
           refusals(t, db, patient, web) if what in ('unknown', 'wrong', 'no password', 'not a name', 'injection')}
    t.true(len(ran['wrong']) > 10)
    for what, these in ran.items():
        t.equal(these, ran['wrong'], what)


def login_ways(t, db, web):
    forget = lambda: db.execute('DELETE FROM portal_throttle')
    return {what: (forget, lambda name=name, password=password: t.one(web, LOGIN, name, password))
            for what, name, password in (('unknown', 'nobody', PASSWORD), ('wrong', 'ada', 'wrong password'),
                                         ('not a name', 'a\nb', PASSWORD), ('no password', 'ada', ''))}


@harness.release_only
def test_every_refused_login_hashes_one_password(t):
    # Argon2id takes far longer than all the rest: a refusal without it, or with two, would stand out.
    db, patient, web = practice(t)
    times = takes_as_long(t, 9, login_ways(t, db, web), 1.25)
    # Delayed and revoked, which can not be had nine times without a wait: in a practice of their own each time.
    usual, took = statistics.median(times.values()), {}
    for _ in range(5):
        db, patient, web = practice(t)
        for what, username, password in refusals(t, db, patient, web):
            start = time.thread_time_ns()
            t.one(web, LOGIN, username, password)
            took.setdefault(what, []).append(time.thread_time_ns() - start)
    took = {what: min(nanoseconds) for what, nanoseconds in took.items()}
    t.true(all(usual / 1.6 < nanoseconds < usual * 1.6 for nanoseconds in took.values()), f'{usual}: {took}')


@harness.release_only
def test_the_measure_finds_a_hash_that_costs_less(t):
    # Half the memory of what a new password gets; made with libsodium.
    db, patient, web = practice(t)
    db.execute("UPDATE portal_account SET password = replace(password, 'm=19456', 'm=9728')")
    times = cpu_times(9, login_ways(t, db, web))
    t.true(times['unknown'] / times['wrong'] > 1.4, str(times))


# Forgotten passwords

def forgotten(t):
    """A practice, and the names that forgot_password treats alike: name by why."""
    db, patient, web = practice(t)
    other = t.patient(db)
    flows.register(t, db, other, 'grace')
    t.one(db, 'SELECT revoke_access(?)', other)
    return db, web, {'known': 'ada', 'asked already': 'ada', 'unknown': 'nobody', 'revoked': 'grace',
                     'not a name': 'a\nb', 'empty': ''}


def test_forgot_password_answers_and_commits_alike_for_everybody(t):
    db, web, names = forgotten(t)
    for what, name in names.items():
        before = commits(t, db)
        t.equal(t.one(web, 'SELECT forgot_password(?)', name), QUEUED, what)
        t.equal(commits(t, db) - before, 1, what)
    t.equal(t.one(db, "SELECT count(*) FROM portal_message WHERE kind = 'password_reset'"), 1)


def test_an_unknown_name_runs_the_statements_of_a_forgotten_password(t):
    db, web, names = forgotten(t)
    t.one(web, 'SELECT forgot_password(?)', 'nobody')
    ran = {what: [text for text in statements(web, 'SELECT forgot_password(?)', name)
                  if text != 'ROLLBACK TO portal_reset'] for what, name in names.items()}
    t.true(len(ran['known']) > 10)
    for what, these in ran.items():
        t.equal(these, ran['known'], what)


def test_forgot_password_is_refused_where_its_time_would_tell(t):
    db, web, names = forgotten(t)
    db.execute('CREATE TABLE note (text)')
    web.execute('BEGIN')
    web.execute('INSERT INTO note VALUES (1)')
    for name in names.values():
        t.refuses(web, 'INSERT INTO note VALUES (forgot_password(?))', name, says='writing statement')
        t.equal(t.one(web, 'SELECT forgot_password(?)', name), QUEUED)
    web.execute('COMMIT')
    t.equal(t.one(db, 'SELECT count(*) FROM note'), 1)
    t.equal(t.one(db, "SELECT count(*) FROM portal_message WHERE kind = 'password_reset'"), 1)


@harness.release_only
def test_forgot_password_takes_as_long_for_an_unknown_name(t):
    # Without the work that is done and undone, an unknown name takes 0.7 of the time.
    db, web, names = forgotten(t)
    for connection in (db, web):
        connection.execute('PRAGMA synchronous = off')
    ask = lambda name: lambda: t.one(web, 'SELECT forgot_password(?)', name)
    again = lambda: db.execute('DELETE FROM portal_reset')
    takes_as_long(t, 150, {what: (again, ask(name)) for what, name in
                           (('known', 'ada'), ('unknown', 'nobody'), ('revoked', 'grace'))}, 1.2)


# Proofs, PINs and tokens

def proofs(t):
    """A live link with a PIN, and guesses at it that are wrong early, late, or all over."""
    db = t.database()
    patient = t.patient(db)
    token = flows.send(t, db, patient)
    pin = flows.pin(t, db, token, patient)
    flipped = lambda at: pin[:at] + str((int(pin[at]) + 1) % 10) + pin[at + 1:]
    proof, register = 'SELECT request_pin(?, ?, ?)', "SELECT register_patient(?, ?, 'grace', 'long password')"
    return db, {
        'the name is wrong': (proof, token, 'Lovelacx', '1985-12-10'),
        'the name is wrong at once': (proof, token, 'Xovelace', '1985-12-10'),
        'the date is wrong': (proof, token, 'Lovelace', '1985-12-11'),
        'both are': (proof, token, 'Nobodyxx', '1970-01-01')}, {
        'the first digit is wrong': (register, token, flipped(0)),
        'the last digit is wrong': (register, token, flipped(5))}


def test_how_wrong_a_guess_is_changes_neither_answer_nor_statements(t):
    db, *kinds = proofs(t)
    for ways in kinds:
        seen = []
        for what, call in ways.items():
            statements(db, *call)
            db.execute('UPDATE portal_registration SET guesses = 0')
            db.execute('UPDATE portal_pin SET tries = 0')
            seen.append((t.one(db, *call), statements(db, *call)))
            t.equal(seen[-1], seen[0], what)


@harness.release_only
def test_how_wrong_a_guess_is_changes_no_time(t):
    db, *kinds = proofs(t)
    db.execute('PRAGMA synchronous = off')

    def again():
        db.execute('UPDATE portal_registration SET guesses = 0')
        db.execute('UPDATE portal_pin SET tries = 0')

    for ways in kinds:
        takes_as_long(t, 100, {what: (again, lambda call=call: t.one(db, *call)) for what, call in ways.items()}, 1.2)


@harness.release_only
def test_a_forged_token_costs_a_hash_and_no_password_is_hashed_for_it(t):
    db, patient, web = practice(t)
    forged = 'AQAAAAF' + 'x' * 25
    calls = {name: f'SELECT {name}({arguments})' for name, arguments in (
        ('token_valid', '?'), ('portal_session', '?'), ('portal_logout', '?'), ('reset_password', "?, 'long password'"),
        ('request_pin', "?, 'Lovelace', '1985-12-10'"), ('register_patient', "?, '123456', 'ada', 'long password'"),
        ('submit_demographics', "?, 1, '{}'"))}
    times = cpu_times(20, {
        'a login': (lambda: None, lambda: t.one(web, LOGIN, 'ada', PASSWORD)),
        **{name: (lambda: None, lambda sql=sql: t.one(web, sql, forged)) for name, sql in calls.items()}})
    for name in calls:
        t.true(times[name] < times['a login'] / 20, f'{name}: {times}')
