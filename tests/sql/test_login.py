"""Signing in, sessions, and what wrong passwords cost."""
import base64
import ctypes
import pathlib
import resource
import sqlite3

import flows
import harness

PASSWORD = flows.PASSWORD
REFUSED = '{"result":"refused"}'
MINUTE, HOUR = 60, 3600


def practice(t, journal='delete', username='ada'):
    """A patient with a login, and a connection of the web page."""
    db = t.database(journal=journal)
    patient = t.patient(db)
    flows.register(t, db, patient, username)
    return db, patient, t.connect(t.file(db), application='portal')


def client(t, db, address):
    web = t.connect(t.file(db))
    web.execute("SELECT portal_as('portal', ?)", [address])
    return web


def answer(t, web, username, password):
    return t.one(web, 'SELECT portal_login(?, ?)', username, password)


def fail(t, web, times, username='ada'):
    for _ in range(times):
        t.equal(answer(t, web, username, 'wrong password'), REFUSED)


def alive(t, web, session):
    return t.one(web, 'SELECT portal_session(?)', session) is not None


# Signing in

def test_a_login_gives_a_session_of_32_url_safe_characters(t):
    db, patient, web = practice(t)
    said = answer(t, web, 'ada', PASSWORD)
    session = flows.login(t, web, 'ada')
    t.true(said.startswith('{"result":"ok","session":"') and said.endswith('"}') and len(said) == 60, said)
    t.equal(len(session), 32)
    base64.urlsafe_b64decode(session)


def test_user_names_are_compared_as_people_write_them(t):
    db, patient, web = practice(t, username='Núria.Bell')
    for name in ('Núria.Bell', 'nuria.bell', 'NURIA.BELL', ' núria.bell ', 'Nu\u0301ria.Bell'):
        flows.login(t, web, name)
    for name in ('nuriabell', 'nuria bell', 'nuria.bel', 'nuria.bell1'):
        t.equal(answer(t, web, name, PASSWORD), REFUSED)


def test_a_password_is_compared_after_nfkc_and_nothing_else(t):
    db = t.database()
    flows.register(t, db, t.patient(db), 'ada', 'Ma\u00f1ana ﬁnal')
    t.true(flows.can_login(t, db, 'ada', 'Man\u0303ana final'))
    for password in ('manana final', 'mañana final', 'Mañana final ', ' Mañana final', 'Manana final', 'Mañanafinal'):
        t.one(db, "SELECT unlock_account('ada')")
        t.true(not flows.can_login(t, db, 'ada', password), password)


def test_a_password_of_128_code_points_is_not_cut(t):
    db = t.database()
    long = 'é' * 127
    flows.register(t, db, t.patient(db), 'ada', long + 'a')
    t.true(flows.can_login(t, db, 'ada', long + 'a'))
    t.true(not flows.can_login(t, db, 'ada', long + 'b'))
    t.true(not flows.can_login(t, db, 'ada', long))


def test_a_login_is_remembered_and_audited(t):
    db, patient, web = practice(t)
    t.advance(5 * MINUTE)
    now = t.now()
    flows.login(t, web, 'ada')
    t.equal(t.one(db, 'SELECT last_login_at FROM portal_account'), now)
    t.equal(t.one(db, 'SELECT last_login_at = datetime(?, ?) FROM portal_status', now, 'unixepoch'), 1)
    t.equal(t.all(db, "SELECT application, subject FROM portal_audit WHERE action = 'account.signed_in'"
                      ' ORDER BY event_id DESC LIMIT 1'), [('portal', 'ada')])


def test_a_wrong_password_does_not_change_the_last_login(t):
    db, patient, web = practice(t)
    before = t.all(db, 'SELECT last_login_at FROM portal_account')
    t.advance(MINUTE)
    fail(t, web, 2)
    t.equal(t.all(db, 'SELECT last_login_at FROM portal_account'), before)


# Refusals; test_timing.py has what they tell

def test_somebody_whose_every_patient_is_gone_is_refused(t):
    for change in ('DELETE FROM patient', "UPDATE patient SET deceased_on = '2026-11-01'",
                   'UPDATE patient SET active = 0', "UPDATE patient SET date_of_birth = '1950-01-01'",
                   "UPDATE patient SET first_name = 'Somebody', last_name = 'Else'"):
        db, patient, web = practice(t)
        session = flows.login(t, web, 'ada')
        db.execute(change)
        t.equal(answer(t, web, 'ada', PASSWORD), REFUSED, change)
        t.equal(t.one(web, 'SELECT portal_session(?)', session), None, change)


def test_blobs_and_other_arities_are_misuse(t):
    db, patient, web = practice(t)
    for arguments in ((b'ada', PASSWORD), ('ada', PASSWORD.encode())):
        t.refuses(web, 'SELECT portal_login(?, ?)', *arguments, says='must be text, not a blob')
    for function in ('portal_session', 'portal_logout'):
        t.refuses(web, f'SELECT {function}(?)', b'x' * 32, says='must be text, not a blob')
        t.refuses(web, f'SELECT {function}()', says='wrong number of arguments')
    for arguments in ('', '1', '1, 2, 3'):
        t.refuses(web, f'SELECT portal_login({arguments})', says='wrong number of arguments')
    t.equal(t.one(db, 'SELECT sum(failures) FROM portal_throttle WHERE account <> 0'), None)


def test_invalid_utf8_and_embedded_nul_are_wrong_passwords(t):
    db, patient, web = practice(t)
    for bytes_ in (PASSWORD.encode() + b'\xff', PASSWORD.encode() + b'\0', PASSWORD.encode() + b'\0more', b'\xff'):
        db.execute('DELETE FROM portal_throttle')
        t.equal(t.one(web, "SELECT portal_login('ada', CAST(? AS TEXT))", bytes_), REFUSED)
        t.equal(t.one(web, 'SELECT portal_login(CAST(? AS TEXT), ?)', b'ada\0x', PASSWORD), REFUSED)


# Delays

def test_three_wrong_passwords_cost_nothing(t):
    db, patient, web = practice(t)
    fail(t, web, 3)
    flows.login(t, web, 'ada')


def first_second_that_works(t, web, limit):
    """How long from now the right password is refused."""
    for seconds in range(limit + 1):
        if flows.can_login(t, web, 'ada'):
            return seconds
        t.advance(1)
    raise AssertionError(f'delayed for more than {limit} seconds')


def test_a_clock_that_is_set_back_keeps_nobody_out_who_has_tries_left(t):
    db, patient, web = practice(t)
    flows.login(t, web, 'ada')
    fail(t, web, 2)
    t.advance(-HOUR)
    flows.login(t, web, 'ada')


def test_the_delay_grows_with_every_wrong_password(t):
    db, patient, web = practice(t)
    fail(t, web, 3)
    delays = []
    for _ in range(6):
        fail(t, web, 1)
        delays.append(seconds_delayed(t, db, patient))
        t.advance(delays[-1])
    t.equal(delays, [2, 4, 8, 16, 32, 64])
    flows.login(t, web, 'ada')


def seconds_delayed(t, db, patient):
    """How long staff are told that the account has to wait; the clock is back where it was."""
    start = t.now()
    for seconds in range(1000):
        if flows.status(t, db, patient, 'next_step') is None:
            t.clock(start)
            return seconds
        t.advance(1)
    raise AssertionError('delayed for more than 1000 seconds')


def test_a_delay_is_never_more_than_15_minutes_and_ends_by_itself(t):
    db, patient, web = practice(t)
    for _ in range(40):
        fail(t, web, 1)
        t.advance(15 * MINUTE)
    fail(t, web, 1)
    t.advance(15 * MINUTE - 1)
    t.equal(answer(t, web, 'ada', PASSWORD), REFUSED)
    t.advance(1)
    flows.login(t, web, 'ada')


def test_a_right_password_forgives_the_wrong_ones(t):
    db, patient, web = practice(t)
    for _ in range(5):
        fail(t, web, 3)
        flows.login(t, web, 'ada')


def test_tries_while_delayed_do_not_make_it_longer(t):
    db, patient, web = practice(t)
    fail(t, web, 4)
    fail(t, web, 30)
    t.advance(10)
    flows.login(t, web, 'ada')


def test_a_delay_is_of_one_client_at_one_account(t):
    db, patient, web = practice(t)
    flows.register(t, db, t.patient(db), 'grace')
    attacker, victim = client(t, db, '192.0.2.1'), client(t, db, '192.0.2.2')
    fail(t, attacker, 8)
    t.equal(answer(t, attacker, 'ada', PASSWORD), REFUSED)
    flows.login(t, victim, 'ada')
    flows.login(t, attacker, 'grace')


def test_an_account_guessed_at_from_many_clients_is_delayed_for_all(t):
    db, patient, web = practice(t)
    for number in range(30):
        fail(t, client(t, db, f'192.0.2.{number}'), 1)
    t.equal(answer(t, client(t, db, '198.51.100.1'), 'ada', PASSWORD), REFUSED)
    t.advance(15 * MINUTE)
    flows.login(t, client(t, db, '198.51.100.1'), 'ada')


def test_a_client_that_tries_many_names_is_delayed_for_all(t):
    db, patient, web = practice(t)
    attacker = client(t, db, '192.0.2.1')
    for number in range(60):
        fail(t, attacker, 1, f'name{number}')
    t.equal(answer(t, attacker, 'ada', PASSWORD), REFUSED)
    flows.login(t, client(t, db, '192.0.2.2'), 'ada')
    t.advance(15 * MINUTE)
    flows.login(t, attacker, 'ada')


def test_live_sessions_go_on_while_their_account_is_delayed(t):
    db, patient, web = practice(t)
    session = flows.login(t, web, 'ada')
    fail(t, web, 8)
    t.equal(answer(t, web, 'ada', PASSWORD), REFUSED)
    t.true(alive(t, web, session))
    t.equal(flows.ask(t, web, 'SELECT submit_demographics(?, ?, ?)', session, patient, '{"city":"London"}'),
            {'result': 'submitted', 'requests': 1})


def test_forgot_password_works_while_the_account_is_delayed(t):
    db, patient, web = practice(t)
    fail(t, web, 8)
    t.one(web, "SELECT forgot_password('ada')")
    t.equal(t.one(db, "SELECT count(*) FROM portal_message WHERE kind = 'password_reset'"), 1)


def test_staff_see_a_delay_and_unlock_account_ends_it(t):
    db, patient, web = practice(t)
    fail(t, web, 8)
    t.contains(flows.status(t, db, patient, 'next_step'), 'wrong passwords', "unlock_account('ada')")
    t.contains(t.one(db, "SELECT unlock_account(' ADA ')"), 'may sign in')
    flows.login(t, web, 'ada')
    t.equal(t.one(db, "SELECT count(*) FROM portal_audit WHERE action = 'account.unlocked' AND subject = 'ada'"), 1)
    t.equal(flows.status(t, db, patient, 'next_step'), None)


def test_unlock_account_refuses_a_name_that_is_not_there(t):
    db = t.database()
    for name in ('nobody', ''):
        t.refuses(db, 'SELECT unlock_account(?)', name, says='no account')
    t.refuses(db, 'SELECT unlock_account(NULL)', says='username is NULL')


def test_a_delay_is_one_audit_event_and_unknown_names_are_none(t):
    db, patient, web = practice(t)
    before = t.one(db, 'SELECT count(*) FROM portal_audit')
    fail(t, web, 20)
    fail(t, web, 20, 'nobody')
    t.equal(t.all(db, 'SELECT action, subject FROM portal_audit WHERE event_id > ?', before),
            [('account.delayed', 'ada')])


def test_expire_links_forgets_wrong_passwords_of_yesterday(t):
    db, patient, web = practice(t)
    fail(t, web, 3)
    t.advance(25 * HOUR)
    t.one(db, 'SELECT expire_links()')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_throttle'), 0)


def test_logins_of_many_at_once_all_work(t):
    db, patient, web = practice(t, journal='wal')
    for number in range(8):
        flows.register(t, db, t.patient(db), f'user{number}')
    answers = t.parallel(8, sign_in, str(t.file(db)))
    t.equal(len(set(answers)), 8, str(answers))
    t.true(all(alive(t, web, session) for session in answers))


def sign_in(t, number, path):
    web = t.connect(path, application='portal', timeout=50)
    t.together()
    return flows.login(t, web, f'user{number}')


# Sessions

def test_a_session_says_who_and_for_whom(t):
    db = t.database()
    patient = t.patient(db, first_name='Zoë "Z"', last_name="O'Neil\\Sons")
    session = flows.register(t, db, patient, 'Zoë')
    t.equal(t.one(db, 'SELECT portal_session(?)', session),
            '{"username":"Zoë","name":"Zoë \\"Z\\" O\'Neil\\\\Sons","patients":['
            '{"patient_id":%d,"first_name":"Zoë \\"Z\\"","last_name":"O\'Neil\\\\Sons","as":"patient"}]}' % patient)


def test_a_session_ends_after_30_minutes_without_use(t):
    db, patient, web = practice(t)
    for wait, lives in ((30 * MINUTE - 1, True), (30 * MINUTE, False)):
        session = flows.login(t, web, 'ada')
        t.advance(wait)
        t.equal(alive(t, web, session), lives)


def test_use_keeps_a_session_alive_for_12_hours_at_most(t):
    db, patient, web = practice(t)
    session = flows.login(t, web, 'ada')
    for _ in range(12 * 3 - 1):
        t.advance(20 * MINUTE)
        t.true(alive(t, web, session))
    t.advance(20 * MINUTE - 1)
    t.true(alive(t, web, session))
    t.advance(1)
    t.true(not alive(t, web, session))


def test_submitting_is_use(t):
    db, patient, web = practice(t)
    session = flows.login(t, web, 'ada')
    t.advance(29 * MINUTE)
    t.one(web, 'SELECT submit_demographics(?, ?, ?)', session, patient, '{"city":"London"}')
    t.advance(29 * MINUTE)
    t.true(alive(t, web, session))


def test_settings_say_how_long_a_session_lives(t):
    db, patient, web = practice(t)
    t.one(db, "SELECT portal_setting('session_idle_minutes', 5)")
    t.one(db, "SELECT portal_setting('session_hours', 1)")
    session = flows.login(t, web, 'ada')
    t.advance(5 * MINUTE)
    t.true(not alive(t, web, session))
    session = flows.login(t, web, 'ada')
    for _ in range(14):
        t.advance(4 * MINUTE)
        t.true(alive(t, web, session))
    t.advance(4 * MINUTE)
    t.true(not alive(t, web, session))


def test_logging_out_ends_one_session_once(t):
    db, patient, web = practice(t)
    one, other = flows.login(t, web, 'ada'), flows.login(t, web, 'ada')
    t.true(one != other)
    t.equal([t.one(web, 'SELECT portal_logout(?)', one) for _ in range(2)], [1, 0])
    t.true(not alive(t, web, one))
    t.true(alive(t, web, other))


def test_an_idle_session_can_not_be_logged_out_of_or_revived(t):
    db, patient, web = practice(t)
    session = flows.login(t, web, 'ada')
    t.advance(30 * MINUTE)
    t.equal(t.one(web, 'SELECT portal_logout(?)', session), 0)
    t.equal(flows.ask(t, web, 'SELECT submit_demographics(?, ?, ?)', session, patient, '{"city":"London"}')['result'],
            'refused')
    t.clock(t.now() - 10 * MINUTE)
    t.advance(10 * MINUTE)
    t.true(not alive(t, web, session))


def test_a_tampered_session_is_none(t):
    db, patient, web = practice(t)
    session = flows.login(t, web, 'ada')
    raw = base64.urlsafe_b64decode(session)
    for place in range(24):
        for bit in range(8):
            forged = bytearray(raw)
            forged[place] ^= 1 << bit
            text = base64.urlsafe_b64encode(forged).decode()
            t.equal(t.all(web, 'SELECT portal_session(?), portal_logout(?)', text, text), [(None, 0)])
    for text in ('', None, 'x' * 32, session + 'A', session[:-1], session.swapcase(), 42, 1.5, 'x' * 1_000_000,
                 session + '\0'):
        t.equal(t.all(web, 'SELECT portal_session(?), portal_logout(?)', text, text), [(None, 0)])
    t.true(alive(t, web, session))


def test_expire_links_ends_idle_sessions_for_good(t):
    db, patient, web = practice(t)
    db.execute('UPDATE portal_session SET ended_at = 1')
    idle = flows.login(t, web, 'ada')
    t.advance(31 * MINUTE)
    fresh = flows.login(t, web, 'ada')
    t.one(db, 'SELECT expire_links()')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_session WHERE ended_at IS NULL'), 1)
    t.true(alive(t, web, fresh) and not alive(t, web, idle))


def test_a_revoke_ends_the_session_and_granting_again_does_not_revive_it(t):
    db, patient, web = practice(t)
    session = flows.login(t, web, 'ada')
    t.one(db, 'SELECT revoke_access(?)', patient)
    t.true(not alive(t, web, session))
    flows.send(t, db, patient)
    t.true(not alive(t, web, session))
    flows.login(t, web, 'ada')


def test_sessions_of_several_accounts_are_their_own(t):
    db = t.database()
    ada, grace = t.patient(db), t.patient(db, first_name='Grace', last_name='Hopper')
    one, two = flows.register(t, db, ada, 'ada'), flows.register(t, db, grace, 'grace')
    both = flows.register_representative(t, db, ada, 'rita')
    flows.register_representative(t, db, grace, 'rita')
    t.equal([flows.patients_of(t, db, session) for session in (one, two, both)], [[ada], [grace], [ada, grace]])
    t.one(db, 'SELECT portal_logout(?)', one)
    t.equal([flows.patients_of(t, db, session) for session in (one, two, both)], [None, [grace], [ada, grace]])


def test_revoking_one_child_leaves_a_parent_the_other(t):
    db = t.database()
    first, second = t.patient(db, first_name='Byron'), t.patient(db, first_name='Annabella')
    flows.register_representative(t, db, first, 'rita')
    flows.register_representative(t, db, second, 'rita')
    t.one(db, 'SELECT revoke_access(?)', first)
    t.equal(flows.patients_of(t, db, flows.login(t, db, 'rita')), [second])


def test_a_session_can_be_asked_about_inside_a_transaction(t):
    db, patient, web = practice(t)
    session = flows.login(t, web, 'ada')
    t.advance(MINUTE)
    web.execute('BEGIN')
    t.true(alive(t, web, session))
    web.execute('ROLLBACK')
    t.true(alive(t, web, session))


def test_no_error_of_a_login_holds_what_was_typed(t):
    db, patient, web = practice(t)
    web.execute('BEGIN')
    try:
        web.execute("SELECT portal_login('ada', 'my secret password')").fetchall()
    except sqlite3.Error as error:
        t.true('secret' not in str(error) and 'ada' not in str(error), str(error))
        t.contains(str(error), 'autocommit')
        return
    raise AssertionError('a login ran inside a transaction')


@harness.release_only
def test_a_login_stands_when_there_is_no_memory_to_hash_the_password_anew(t):
    db = t.database()
    flows.register(t, db, t.patient(db), 'ada')
    sodium = ctypes.CDLL('libsodium.so.23')
    weak = ctypes.create_string_buffer(128)
    password = flows.PASSWORD.encode()
    t.equal(sodium.crypto_pwhash_str(weak, password, ctypes.c_ulonglong(len(password)), ctypes.c_ulonglong(1),
                                     ctypes.c_size_t(8192)), 0)
    db.execute('UPDATE portal_account SET password = ?', [weak.value.decode()])
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(pathlib.Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (8 << 20), limits[1]))
    t.true(flows.can_login(t, db, 'ada'))
    resource.setrlimit(resource.RLIMIT_AS, limits)
    t.equal(t.one(db, 'SELECT password FROM portal_account'), weak.value.decode())
    t.true(flows.can_login(t, db, 'ada'))
    t.true(t.one(db, 'SELECT password FROM portal_account') != weak.value.decode())


def test_a_control_character_on_the_chart_is_escaped_in_the_session(t):
    db = t.database()
    patient = t.patient(db)
    session = flows.register(t, db, patient, 'ada')
    db.execute("UPDATE patient SET last_name = 'Love' || char(9) || 'lace'")
    t.equal(flows.ask(t, db, 'SELECT portal_session(?)', session)['patients'][0]['last_name'], 'Love\tlace')
