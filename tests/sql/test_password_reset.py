"""A forgotten password: what is told, to whom the link goes, how long and how often it works."""
import re

import flows

PASSWORD = flows.PASSWORD
refused = flows.refused
NEW = 'a new password for me'
QUEUED = '{"result":"queued"}'
RESET = {'result': 'reset'}
MINUTE, HOUR = 60, 3600


def practice(t, journal='delete', **columns):
    """A patient with a login, a connection of staff and one of the web page."""
    db = t.database(journal=journal)
    patient = t.patient(db, **columns)
    flows.register(t, db, patient, 'ada')
    return db, patient, t.connect(t.file(db), application='portal')


def forgot(t, web, username='ada'):
    t.equal(t.one(web, 'SELECT forgot_password(?)', username), QUEUED)


def reset(t, web, token, password=NEW):
    return flows.ask(t, web, 'SELECT reset_password(?, ?)', token, password)


def token_of(t, mail):
    found = re.findall(r'http://localhost:8080/p/([\w-]{32})(?![\w-])', t.text(mail))
    t.equal(len(found), 1, t.text(mail))
    return found[0]


def reset_token(t, db, web=None, username='ada'):
    """Forgets, delivers, and gives the token that came."""
    before = len(t.mails(db))
    forgot(t, web or db, username)
    t.one(db, 'SELECT deliver()')
    new = t.mails(db)[before:]
    t.equal(len(new), 1, 'not one mail with a reset link')
    return token_of(t, new[0])


def resets(t, db):
    return t.one(db, "SELECT count(*) FROM portal_message WHERE kind = 'password_reset'")


# forgot_password

def test_forgot_password_says_the_same_for_known_and_unknown(t):
    db, patient, web = practice(t)
    for username in ('ada', 'ADA', 'nobody', '', None, 'a\nb', 'x' * 100_000, 42, "' OR 1=1 --"):
        forgot(t, web, username)
    t.equal(t.one(web, 'SELECT forgot_password(CAST(? AS TEXT))', b'ada\xff'), QUEUED)
    t.equal(resets(t, db), 1)


def test_forgot_password_only_queues(t):
    db, patient, web = practice(t)
    before = len(t.mails(db))
    for connection in (web, db):
        forgot(t, connection)
        t.advance(MINUTE)
    t.equal(len(t.mails(db)), before)
    t.equal(t.all(db, "SELECT status FROM portal_message WHERE kind = 'password_reset' ORDER BY message_id DESC"
                      ' LIMIT 1'), [('queued',)])
    t.one(db, 'SELECT deliver()')
    t.equal(len(t.mails(db)), before + 1)


def test_a_blob_and_other_arities_are_misuse(t):
    db, patient, web = practice(t)
    token = reset_token(t, db, web)
    t.refuses(web, 'SELECT forgot_password(?)', b'ada', says='must be text, not a blob')
    t.refuses(web, 'SELECT reset_password(?, ?)', token.encode(), NEW, says='must be text, not a blob')
    t.refuses(web, 'SELECT reset_password(?, ?)', token, NEW.encode(), says='must be text, not a blob')
    for call in ('forgot_password()', 'forgot_password(1, 2)', 'reset_password()', 'reset_password(1)',
                 'reset_password(1, 2, 3)'):
        t.refuses(web, f'SELECT {call}', says='wrong number of arguments')
    t.equal(reset(t, web, token), RESET)


def test_asking_again_within_the_cooldown_sends_nothing_more(t):
    db, patient, web = practice(t)
    for _ in range(20):
        forgot(t, web)
    t.equal(resets(t, db), 1)
    t.advance(MINUTE)
    forgot(t, web)
    t.equal(resets(t, db), 2)


def test_no_more_than_ten_resets_go_out_in_a_day(t):
    db, patient, web = practice(t)
    for _ in range(30):
        forgot(t, web)
        t.advance(MINUTE)
    t.equal(resets(t, db), 10)
    t.advance(24 * HOUR)
    forgot(t, web)
    t.equal(resets(t, db), 11)


def test_a_failed_hand_over_gives_the_cooldown_back(t):
    db, patient, web = practice(t)
    t.one(db, "SELECT portal_setting('reset_minutes', 1)")
    t.one(db, "SELECT portal_setting('maildir', '/dev/null/nowhere')")
    forgot(t, web)
    t.one(db, 'SELECT deliver()')
    t.one(db, "SELECT portal_setting('maildir', NULL)")
    t.equal(reset(t, web, reset_token(t, db, web)), RESET)


# Where it goes

def test_the_link_goes_to_the_accounts_own_contact_not_to_the_charts(t):
    db, patient, web = practice(t, cell_phone='+12025550100', email='ada@example.com')
    db.execute("UPDATE patient SET cell_phone = '+12025550199', email = 'new@example.com'")
    forgot(t, web)
    t.equal(t.all(db, "SELECT channel, recipient, patient_id FROM portal_message WHERE kind = 'password_reset'"),
            [('text', '+12025550100', None)])


def test_the_link_goes_by_email_where_the_pin_came_by_email(t):
    db = t.database()
    patient = t.patient(db, cell_phone=None, email='ada@example.com')
    flows.register(t, db, patient, 'ada')
    forgot(t, db)
    t.one(db, 'SELECT deliver()')
    mail = t.mails(db)[-1]
    t.equal(mail['To'], 'ada@example.com')
    token = token_of(t, mail)
    t.true(token in t.html(mail))
    for part in (t.text(mail), t.html(mail)):
        t.true('Ada' not in part and 'Lovelace' not in part and '1985' not in part, part)
    t.equal(reset(t, db, token), RESET)


def test_a_representatives_link_goes_to_the_contact_that_received_their_pin_only(t):
    db = t.database()
    first = t.patient(db, cell_phone='+12025550111')
    second = t.patient(db, cell_phone='+12025550122')
    flows.register_representative(t, db, first, 'rita')
    flows.register_representative(t, db, second, 'rita')
    forgot(t, db, 'rita')
    t.equal(t.all(db, "SELECT recipient FROM portal_message WHERE kind = 'password_reset'"), [('+12025550111',)])


def test_a_revoked_account_gets_none(t):
    db, patient, web = practice(t)
    t.one(db, 'SELECT revoke_access(?)', patient)
    forgot(t, web)
    t.equal(resets(t, db), 0)
    flows.send(t, db, patient)
    t.equal(reset(t, web, reset_token(t, db, web)), RESET)


def test_a_removed_representative_gets_none(t):
    db = t.database()
    patient = t.patient(db)
    flows.register_representative(t, db, patient, 'rita')
    t.one(db, "SELECT remove_representative(?, 'rita')", patient)
    forgot(t, db, 'rita')
    t.equal(resets(t, db), 0)


def test_a_parent_of_a_revoked_child_and_another_still_gets_one(t):
    db = t.database()
    first, second = t.patient(db), t.patient(db)
    flows.register_representative(t, db, first, 'rita')
    flows.register_representative(t, db, second, 'rita')
    t.one(db, 'SELECT revoke_access(?)', first)
    t.equal(reset(t, db, reset_token(t, db, username='rita')), RESET)
    t.equal(flows.patients_of(t, db, flows.login(t, db, 'rita', NEW)), [second])


# reset_password

def test_a_reset_sets_the_new_password_and_the_old_is_gone(t):
    db, patient, web = practice(t)
    token = reset_token(t, db, web)
    t.equal(t.one(web, 'SELECT reset_password(?, ?)', token, NEW), '{"result":"reset"}')
    t.true(not flows.can_login(t, web, 'ada', PASSWORD))
    t.equal(flows.patients_of(t, web, flows.login(t, web, 'ada', NEW)), [patient])


def test_a_reset_works_once(t):
    db, patient, web = practice(t)
    token = reset_token(t, db, web)
    t.equal(reset(t, web, token), RESET)
    t.equal(reset(t, web, token, 'yet another password'), refused('link'))
    flows.login(t, web, 'ada', NEW)


def test_a_reset_works_for_one_hour_from_its_hand_over(t):
    for seconds, answer in ((HOUR - 1, RESET), (HOUR, refused('link'))):
        db, patient, web = practice(t)
        forgot(t, web)
        t.advance(30 * MINUTE)
        t.one(db, 'SELECT deliver()')
        token = token_of(t, t.mails(db)[-1])
        t.advance(seconds)
        t.equal(reset(t, web, token), answer)


def test_reset_minutes_is_the_life_of_a_reset(t):
    db, patient, web = practice(t)
    t.one(db, "SELECT portal_setting('reset_minutes', 5)")
    token = reset_token(t, db, web)
    t.contains(t.text(t.mails(db)[-1]), '5 minutes')
    t.advance(5 * MINUTE)
    t.equal(reset(t, web, token), refused('link'))


def test_a_newer_reset_supersedes_the_older(t):
    db, patient, web = practice(t)
    older = reset_token(t, db, web)
    t.advance(MINUTE)
    newer = reset_token(t, db, web)
    t.equal(reset(t, web, older), refused('link'))
    t.equal(reset(t, web, newer), RESET)


def test_a_superseded_reset_that_waits_in_the_outbox_is_never_sent(t):
    db, patient, web = practice(t)
    forgot(t, web)
    t.advance(MINUTE)
    before = len(t.mails(db))
    token = reset_token(t, db, web)
    t.equal(len(t.mails(db)), before + 1)
    t.equal(reset(t, web, token), RESET)


def test_a_weak_password_spends_nothing(t):
    db, patient, web = practice(t, date_of_birth='1985-12-10')
    token = reset_token(t, db, web)
    for password, reason in (
            ('', 'password too short'), (None, 'password too short'), ('1234567', 'password too short'),
            ('x' * 129, 'password too long'), ('x' * 100_000, 'password too long'),
            ('Ada Lovelace', 'password equal to name'), ('Lovelace', 'password equal to name'),
            ('lovelace ada', 'password equal to name'),
            ('1985-12-10', 'password equal to date of birth'), ('10.12.1985', 'password equal to date of birth')):
        t.equal(reset(t, web, token, password), refused(reason), repr(password)[:40])
    answer = flows.ask(t, web, 'SELECT reset_password(?, CAST(? AS TEXT))', token, b'long enough \xff')
    t.equal(answer['result'], 'refused')
    t.contains(answer['reason'], 'password')
    t.equal(reset(t, web, token), RESET)


def test_a_user_name_is_no_new_password(t):
    db = t.database()
    flows.register(t, db, t.patient(db), 'ada.lovelace')
    token = reset_token(t, db, username='ada.lovelace')
    t.equal(reset(t, db, token, 'Ada.Lovelace '), refused('password equal to user name'))


def test_the_names_of_the_patients_one_acts_for_are_no_new_passwords(t):
    db = t.database()
    flows.register_representative(t, db, t.patient(db, first_name='Annabella'), 'rita')
    flows.register_representative(t, db, t.patient(db, first_name='Byron', date_of_birth='2020-02-03'), 'rita')
    token = reset_token(t, db, username='rita')
    for password in ('Annabella', 'Byron Lovelace', 'Rita Parent'):
        t.equal(reset(t, db, token, password), refused('password equal to name'))
    t.equal(reset(t, db, token, '2020-02-03'), refused('password equal to date of birth'))
    t.equal(reset(t, db, token), RESET)


def test_forged_and_malformed_reset_links_are_refused(t):
    db, patient, web = practice(t)
    token = reset_token(t, db, web)
    for place in range(32):
        forged = token[:place] + ('A' if token[place] != 'A' else 'B') + token[place + 1:]
        t.equal(reset(t, web, forged), refused('link'))
    for text in ('', None, 'x', 'x' * 32, token + 'A', token + '\0', 42, 'x' * 1_000_000):
        t.equal(reset(t, web, text), refused('link'))
    t.equal(reset(t, web, token), RESET)


def test_a_link_that_does_not_work_says_so_whatever_the_password(t):
    db, patient, web = practice(t)
    t.equal(reset(t, web, 'x' * 32, 'weak'), refused('link'))


def test_a_reset_ends_every_session_of_the_account_and_no_other(t):
    db, patient, web = practice(t)
    other = flows.register(t, db, t.patient(db), 'grace')
    sessions = [flows.login(t, web, 'ada') for _ in range(3)]
    token = reset_token(t, db, web)
    t.true(all(flows.patients_of(t, web, session) for session in sessions))
    reset(t, web, token)
    t.true(not any(flows.patients_of(t, web, session) for session in sessions))
    t.true(flows.patients_of(t, web, other))


def test_a_reset_ends_the_delay_of_the_account(t):
    db, patient, web = practice(t)
    for _ in range(8):
        t.one(web, "SELECT portal_login('ada', 'wrong password')")
    reset(t, web, reset_token(t, db, web))
    flows.login(t, web, 'ada', NEW)


def test_a_revoke_ends_a_reset_and_granting_again_does_not_revive_it(t):
    db, patient, web = practice(t)
    token = reset_token(t, db, web)
    t.one(db, 'SELECT revoke_access(?)', patient)
    t.equal(reset(t, web, token), refused('link'))
    flows.send(t, db, patient)
    t.equal(reset(t, web, token), refused('link'))
    flows.login(t, web, 'ada', PASSWORD)


def test_a_reset_is_audited_without_secrets(t):
    db, patient, web = practice(t)
    token = reset_token(t, db, web)
    reset(t, web, token)
    actions = [action for action, in t.all(db, 'SELECT action FROM portal_audit ORDER BY event_id')]
    t.true('password_reset.queued' in actions and 'account.password_reset' in actions, str(actions))
    for row in t.all(db, 'SELECT actor, action, subject, detail FROM portal_audit'):
        t.true(token not in str(row) and NEW not in str(row) and '+1202' not in str(row), str(row))


def race(t, number, path, token):
    web = t.connect(path, application='portal')
    web.execute('PRAGMA busy_timeout = 10000')
    t.together()
    return reset(t, web, token, f'{NEW} {number}')


def test_of_sixteen_parallel_resets_one_counts(t):
    for journal in ('delete', 'wal'):
        db, patient, web = practice(t, journal)
        token = reset_token(t, db, web)
        answers = t.parallel(16, race, str(t.file(db)), token)
        t.equal(sorted(map(str, answers)), sorted(map(str, [RESET] + [refused('link')] * 15)))
        flows.login(t, web, 'ada', f'{NEW} {answers.index(RESET)}')


# set_account_contact

def told(t, db):
    return t.all(db, "SELECT channel, recipient FROM portal_message WHERE kind = 'account_contact_changed'"
                     ' ORDER BY message_id')


def test_set_account_contact_moves_resets_and_tells_the_old_and_the_new_contact(t):
    db, patient, web = practice(t, cell_phone='+12025550100')
    sentence = t.one(db, "SELECT set_account_contact(' ADA ', ' Ada.New@Example.COM ')")
    t.contains(sentence, 'which is told, as is the one before')
    t.equal([channel for channel, _ in told(t, db)], ['text', 'email'])
    t.equal(told(t, db)[0][1], '+12025550100')
    t.equal(told(t, db)[1][1].lower(), 'ada.new@example.com')
    t.equal(t.all(db, "SELECT DISTINCT status FROM portal_message WHERE kind = 'account_contact_changed'"), [('sent',)])
    token = reset_token(t, db, web)
    t.contains(t.mails(db)[-1]['To'].lower(), 'ada.new@example.com')
    t.equal(reset(t, web, token), RESET)


def test_set_account_contact_ends_resets_and_gives_the_cooldown_back(t):
    db, patient, web = practice(t)
    token = reset_token(t, db, web)
    t.one(db, "SELECT set_account_contact('ada', '(202) 555-0188')")
    t.equal(reset(t, web, token), refused('link'))
    t.equal(reset(t, web, reset_token(t, db, web)), RESET)
    t.equal(t.all(db, "SELECT recipient FROM portal_message WHERE kind = 'password_reset'")[-1], ('+12025550188',))


def test_a_reset_that_waits_goes_neither_to_the_old_nor_to_the_new_contact(t):
    db, patient, web = practice(t)
    forgot(t, web)
    db.execute('BEGIN')
    t.one(db, "SELECT set_account_contact('ada', 'new@example.com')")
    db.execute('COMMIT')
    t.one(db, 'SELECT deliver()')
    t.equal(t.all(db, "SELECT count(*) FROM portal_message WHERE kind = 'password_reset' AND sent_at IS NOT NULL"),
            [(0,)])


def test_set_account_contact_leaves_the_chart_sessions_and_password_alone(t):
    db, patient, web = practice(t)
    session = flows.login(t, web, 'ada')
    before = t.all(db, 'SELECT * FROM patient')
    t.one(db, "SELECT set_account_contact('ada', 'new@example.com')")
    t.equal(t.all(db, 'SELECT * FROM patient'), before)
    t.equal(flows.patients_of(t, web, session), [patient])
    flows.login(t, web, 'ada')


def test_set_account_contact_is_audited_with_the_contact_masked(t):
    db, patient, web = practice(t)
    t.one(db, "SELECT set_account_contact('ada', 'secret.address@example.com')")
    rows = t.all(db, "SELECT subject, detail FROM portal_audit WHERE action = 'account.contact_changed'")
    t.equal(len(rows), 1)
    t.equal(rows[0][0], 'ada')
    t.true('secret.address' not in str(rows), str(rows))


def test_set_account_contact_refuses_what_is_no_contact_or_no_account(t):
    db, patient, web = practice(t)
    before = t.all(db, 'SELECT * FROM portal_account')
    for contact in ('', 'nonsense', 'a@b@c', '@', 'ada@exa mple.com', 'ada@example.com\r\nBcc: x@y.z', '12', '+',
                    '555-CALL-ME', 'x' * 300 + '@example.com', 'ada\u200b@example.com'):
        t.refuses(db, "SELECT set_account_contact('ada', ?)", contact, says='contact')
    t.refuses(db, "SELECT set_account_contact('nobody', 'new@example.com')", says='no account')
    t.refuses(db, "SELECT set_account_contact('ada', NULL)", says='contact is NULL')
    t.refuses(db, "SELECT set_account_contact(NULL, 'new@example.com')", says='username is NULL')
    t.refuses(db, "SELECT set_account_contact('ada', (SELECT contact FROM portal_account))", says='already')
    t.equal(t.all(db, 'SELECT * FROM portal_account'), before)
    t.equal(told(t, db), [])


def test_set_account_contact_and_unlock_account_take_sets(t):
    db, patient, web = practice(t)
    flows.register(t, db, t.patient(db), 'grace')
    db.execute("INSERT INTO set_account_contact(username, contact) SELECT username, username || '@example.com'"
               ' FROM portal_account')
    t.equal(t.all(db, 'SELECT contact FROM portal_account ORDER BY contact'), [('ada@example.com',), ('grace@example.com',)])
    db.execute('INSERT INTO unlock_account(username) SELECT username FROM portal_account')
    t.refuses(db, "INSERT INTO unlock_account(username) VALUES ('ada'), ('nobody')", says='no account')
