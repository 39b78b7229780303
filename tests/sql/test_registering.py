"""Registering as the patient or for one: once only, what is refused and spends nothing, who may act for whom."""
import flows

PASSWORD = flows.PASSWORD
refused = flows.refused


def registered(username):
    return {'result': 'registered', 'username': username}


def as_patient(t, db, token, pin, username='ada.lovelace', password=PASSWORD):
    return flows.ask(t, db, 'SELECT register_patient(?, ?, ?, ?)', token, pin, username, password)


def as_representative(t, db, token, pin, username='rita', password=PASSWORD, name='Rita Parent',
                      relationship='parent'):
    return flows.ask(t, db, 'SELECT register_representative(?, ?, ?, ?, ?, ?)', token, pin, username, password,
                     name, relationship)


def ready(t, db=None, settings=(), **columns):
    """A patient whose link was opened and whose PIN has come."""
    db = db or t.database()
    for key, value in dict(settings).items():
        t.one(db, 'SELECT portal_setting(?, ?)', key, value)
    patient = t.patient(db, **columns)
    token = flows.send(t, db, patient)
    return db, patient, token, flows.pin(t, db, token, patient)


def failures(t, db):
    """Wrong passwords that count against an account."""
    return t.one(db, 'SELECT coalesce(sum(failures), 0) FROM portal_throttle'
                    ' WHERE client = 0 AND account <> 0')


def again(t, db, patient):
    """Another link and PIN for a patient, after the cooldown."""
    t.advance(60)
    token = flows.send(t, db, patient)
    return token, flows.pin(t, db, token, patient)


# What registering makes

def test_registering_makes_one_account_with_access_to_the_patient(t):
    db, patient, token, pin = ready(t)
    t.equal(t.one(db, "SELECT register_patient(?, ?, 'Ada.Lovelace', ?)", token, pin, PASSWORD),
            '{"result":"registered","username":"Ada.Lovelace"}')
    t.equal(t.all(db, 'SELECT username, name FROM portal_account'),
            [('Ada.Lovelace', 'Ada Lovelace')])
    t.equal(t.all(db, 'SELECT patient_id, username, role, relationship, status FROM portal_people'),
            [(patient, 'Ada.Lovelace', 'patient', None, 'active')])
    t.equal(flows.status(t, db, patient), 'registered')
    t.equal(t.all(db, 'SELECT status FROM portal_registration UNION ALL SELECT status FROM portal_pin'),
            [('used',), ('used',)])


def test_registering_is_audited_without_secrets(t):
    db, patient, token, pin = ready(t)
    as_patient(t, db, token, pin)
    t.equal(t.one(db, "SELECT count(*) FROM portal_audit WHERE action = 'account.registered' AND patient_id = ?",
                  patient), 1)
    for row in t.all(db, 'SELECT actor, action, subject, detail FROM portal_audit'):
        for secret in (token, pin, PASSWORD):
            t.true(secret not in ' '.join(map(str, row)), f'{row} holds a secret')


def test_a_new_account_keeps_the_contact_that_received_its_pin(t):
    for channel, contact in (('email', ('text', '+12025550100')), ('text', ('email', 'ada@example.com'))):
        db = t.database()
        patient = t.patient(db, email='ada@example.com', cell_phone='(202) 555-0100')
        token = flows.send(t, db, patient, channel)
        as_patient(t, db, token, flows.pin(t, db, token, patient))
        t.equal(t.all(db, 'SELECT channel, contact FROM portal_account'), [contact])


def test_the_contact_of_an_account_does_not_follow_the_chart(t):
    db, patient, token, pin = ready(t, cell_phone='+12025550100')
    db.execute("UPDATE patient SET cell_phone = '+12025550199'")
    t.equal(as_patient(t, db, token, pin), registered('ada.lovelace'))
    db.execute("UPDATE patient SET cell_phone = '+12025550177'")
    t.equal(t.one(db, 'SELECT contact FROM portal_account'), '+12025550100')


def test_a_used_link_registers_nobody_else(t):
    db, patient, token, pin = ready(t)
    as_patient(t, db, token, pin)
    t.equal(as_patient(t, db, token, pin, 'somebody.else'), refused('link'))
    t.equal(as_representative(t, db, token, pin), refused('link'))
    t.equal(t.one(db, 'SELECT count(*) FROM portal_account'), 1)


def test_a_link_without_a_pin_registers_nobody(t):
    db = t.database()
    token = flows.send(t, db, t.patient(db))
    for pin in ('000000', '', None):
        t.equal(as_patient(t, db, token, pin), refused('pin'))
    t.equal(t.one(db, 'SELECT count(*) FROM portal_account'), 0)


def test_a_link_that_does_not_work_is_reason_link_whatever_the_rest(t):
    db, patient, token, pin = ready(t)
    for link in ('x' * 32, '', None, 42, token + 'A', token.swapcase()):
        t.equal(as_patient(t, db, link, pin), refused('link'))
        t.equal(as_representative(t, db, link, pin, name=None), refused('link'))
        t.equal(as_patient(t, db, link, pin, 'x', 'short'), refused('link'))


# Exactly once

def race(t, number, path, token, pin, same):
    db = t.connect(path, application='portal')
    db.execute('PRAGMA busy_timeout = 10000')
    t.together()
    if number % 2 and not same:
        return as_representative(t, db, token, pin, f'racer{number}')
    return as_patient(t, db, token, pin, 'ada' if same else f'racer{number}')


def one_of_sixteen(t, journal, same):
    db = t.database(journal=journal)
    db, patient, token, pin = ready(t, db)
    answers = t.parallel(16, race, str(t.file(db)), token, pin, same)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    winners = [answer for answer in answers if answer['result'] == 'registered']
    t.equal(len(winners), 1, str(answers))
    t.true(all(answer['reason'] in ('link', 'pin', 'username taken') for answer in answers
               if answer not in winners), str(answers))
    t.equal(t.one(db, 'SELECT count(*) FROM portal_account'), 1)
    t.equal(t.all(db, 'SELECT patient_id, username, status FROM portal_people'),
            [(patient, winners[0]['username'], 'active')])
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'used')
    t.equal(t.one(db, "SELECT count(*) FROM portal_audit WHERE action = 'account.registered'"), 1)
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_of_sixteen_processes_with_the_right_pin_one_registers(t):
    one_of_sixteen(t, 'delete', False)


def test_of_sixteen_processes_with_the_right_pin_one_registers_in_a_wal_database(t):
    one_of_sixteen(t, 'wal', False)


def test_of_sixteen_double_clicks_with_one_user_name_one_registers(t):
    one_of_sixteen(t, 'wal', True)


def take_name(t, number, path, links):
    db = t.connect(path, application='portal')
    db.execute('PRAGMA busy_timeout = 10000')
    t.together()
    return as_patient(t, db, *links[number], 'the.same', f'{PASSWORD} {number}')


def test_of_eight_patients_who_want_one_user_name_one_gets_it_and_the_others_keep_link_and_pin(t):
    db = t.database(journal='wal')
    links = [ready(t, db)[2:] for _ in range(8)]
    answers = t.parallel(8, take_name, str(t.file(db)), links)
    t.equal(sorted(map(str, answers)), sorted(map(str, [registered('the.same')] + [refused('username taken')] * 7)))
    for number, (answer, link) in enumerate(zip(answers, links)):
        if answer == refused('username taken'):
            t.equal(as_patient(t, db, *link, f'patient{number}'), registered(f'patient{number}'))


# What spends neither link nor PIN

def spends_nothing(t, cases, **columns):
    """Claims the reason of each refusal, and that link and PIN are as good as before."""
    db, patient, token, pin = ready(t, **columns)
    for reason, arguments in cases:
        answer = as_patient(t, db, token, pin, *arguments)
        t.equal(answer, refused(reason), repr(arguments)[:100])
    t.equal(t.all(db, 'SELECT tries, status FROM portal_pin'), [(0, 'live')])
    t.equal(t.all(db, 'SELECT guesses, status FROM portal_registration'), [(0, 'live')])
    t.equal(t.one(db, 'SELECT count(*) FROM portal_account'), 0)
    t.equal(as_patient(t, db, token, pin), registered('ada.lovelace'))


def test_a_password_has_8_to_128_code_points(t):
    spends_nothing(t, [('password too short', ('ada', password)) for password in ('', None, 'x', '1234567', 'ñ' * 7,
                                                                                 '\U0001f600' * 7)])
    spends_nothing(t, [('password too long', ('ada', password)) for password in ('x' * 129, 'ñ' * 129, 'x' * 5000,
                                                                                'x' * 1_000_000)])
    for password in ('12345678', 'ñ' * 8, '\U0001f600' * 8, 'x' * 128, 'ñ' * 128, '\U0001f600' * 128, ' ' * 8,
                     'aaaaaaaa', 'tr\u00f3is mots'):
        db, patient, token, pin = ready(t)
        t.equal(as_patient(t, db, token, pin, 'ada.l', password), registered('ada.l'), password)
        flows.login(t, db, 'ada.l', password)


def test_a_password_must_not_be_the_user_name(t):
    spends_nothing(t, [('password equal to user name', ('ada.lovelace1', password)) for password in
                       ('ada.lovelace1', 'ADA.Lovelace1', 'áda.lovelace1', ' ada.lovelace1 ')])


def test_a_password_must_not_be_the_patients_name(t):
    spends_nothing(t, [('password equal to name', ('ada', password)) for password in
                       ('Lovelace', 'lovelace', 'Ada Lovelace', 'adalovelace', 'LovelaceAda', 'Lovelace Ada',
                        'lóvelace', 'Love-lace')])


def test_a_password_must_not_be_the_date_of_birth(t):
    spends_nothing(t, [('password equal to date of birth', ('ada', password)) for password in
                       ('1985-12-10', '19851210', '12/10/1985', '10.12.1985', '12101985', '10121985', '12/10/85')])


def test_a_password_that_is_not_valid_text_is_refused(t):
    db, patient, token, pin = ready(t)
    for bytes_ in (b'long enough \xff', b'long\0enough', b'\xed\xa0\x80 surrogate'):
        answer = flows.ask(t, db, "SELECT register_patient(?, ?, 'ada', CAST(? AS TEXT))", token, pin, bytes_)
        t.equal(answer['result'], 'refused')
        t.contains(answer['reason'], 'password')
    t.equal(t.one(db, 'SELECT tries FROM portal_pin'), 0)
    t.equal(as_patient(t, db, token, pin), registered('ada.lovelace'))


def test_a_representatives_password_must_not_be_their_own_name_or_the_patients(t):
    db, patient, token, pin = ready(t)
    for password in ('Ada Lovelace', 'Rita Parent', 'ritaparent', 'Lovelace'):
        t.equal(as_representative(t, db, token, pin, password=password), refused('password equal to name'))
    t.equal(as_representative(t, db, token, pin, password='1985-12-10'), refused('password equal to date of birth'))
    t.equal(as_representative(t, db, token, pin), registered('rita'))


def test_user_names_have_3_to_64_characters(t):
    spends_nothing(t, [('username too short', (name, PASSWORD)) for name in ('', None, 'a', 'ab', '  a  ', 'ñá')])
    spends_nothing(t, [('username too long', (name, PASSWORD)) for name in ('x' * 65, 'ñ' * 65, 'x' * 5000,
                                                                           'x' * 1_000_000)])
    for name in ('abc', 'ñáé', 'x' * 64, 'ñ' * 64, 'ada@example.com', 'Ада', '山田太'):
        db, patient, token, pin = ready(t)
        t.equal(as_patient(t, db, token, pin, name), registered(name))
        flows.login(t, db, name)


def test_user_names_have_no_control_or_invisible_characters(t):
    spends_nothing(t, [('username not valid text', (name, PASSWORD)) for name in
                       ('ada\u200blove', 'ada\nlove', 'ada\tlove', 'ada\u202elove', '\ufeffada', 'ada\u00adlove',
                        'ada\u3164', 'ada\x7f', 'ada\ue000')])
    db, patient, token, pin = ready(t)
    for bytes_ in (b'ada\xff', b'ada\0love'):
        answer = flows.ask(t, db, 'SELECT register_patient(?, ?, CAST(? AS TEXT), ?)', token, pin, bytes_, PASSWORD)
        t.equal(answer['result'], 'refused')
        t.contains(answer['reason'], 'username')
    t.equal(as_patient(t, db, token, pin), registered('ada.lovelace'))


def test_a_taken_user_name_spends_nothing(t):
    db, patient, token, pin = ready(t)
    as_patient(t, db, token, pin, 'Núria')
    db, other, token, pin = ready(t, db)
    for name in ('Núria', 'núria', 'NURIA', 'nuria', ' Nuria ', 'Nu\u0301ria', 'Ｎuria'):
        t.one(db, "SELECT unlock_account('nuria')")
        t.equal(as_patient(t, db, token, pin, name, 'another password'), refused('username taken'), name)
    t.equal(t.all(db, 'SELECT tries, status FROM portal_pin WHERE status = ?', 'live'), [(0, 'live')])
    t.equal(t.one(db, 'SELECT count(*) FROM portal_account'), 1)
    t.equal(as_patient(t, db, token, pin, 'nuria2'), registered('nuria2'))


def test_a_user_name_keeps_the_way_it_was_typed_without_the_space_around_it(t):
    db, patient, token, pin = ready(t)
    t.equal(as_patient(t, db, token, pin, '  Ada Lóvelace '), registered('Ada Lóvelace'))
    session = flows.login(t, db, 'ada lovelace')
    t.equal(flows.ask(t, db, 'SELECT portal_session(?)', session)['username'], 'Ada Lóvelace')


def test_blobs_and_other_arities_are_misuse(t):
    db, patient, token, pin = ready(t)
    for place in range(4):
        arguments = [token, pin, 'ada', PASSWORD]
        arguments[place] = b'ada lovelace'
        t.refuses(db, 'SELECT register_patient(?, ?, ?, ?)', *arguments, says='must be text, not a blob')
    for place in range(6):
        arguments = [token, pin, 'ada', PASSWORD, 'Rita', 'parent']
        arguments[place] = b'ada lovelace'
        t.refuses(db, 'SELECT register_representative(?, ?, ?, ?, ?, ?)', *arguments,
                  says='must be text, not a blob')
    for function, arity in (('register_patient', 4), ('register_representative', 6)):
        for count in (0, 1, arity - 1, arity + 1):
            t.refuses(db, f'SELECT {function}({", ".join("1" * count)})', says='wrong number of arguments')
    t.equal(t.one(db, 'SELECT guesses FROM portal_registration'), 0)
    t.equal(as_patient(t, db, token, pin), registered('ada.lovelace'))


# An existing user name

def test_an_existing_user_name_with_its_right_password_is_linked(t):
    db, patient, token, pin = ready(t, cell_phone='+12025550100')
    as_patient(t, db, token, pin)
    before = t.all(db, 'SELECT account_id, username, password, name, channel, contact FROM portal_account')
    db, child, token, pin = ready(t, db, first_name='Byron', date_of_birth='2020-05-12')
    t.equal(as_representative(t, db, token, pin, ' ADA.Lovelace '), registered('ada.lovelace'))
    t.equal(t.all(db, 'SELECT account_id, username, password, name, channel, contact FROM portal_account'), before)
    t.equal(flows.patients_of(t, db, flows.login(t, db, 'ada.lovelace')), [patient, child])


def test_an_existing_user_name_with_a_wrong_password_is_a_failed_login_of_that_account(t):
    db, patient, token, pin = ready(t)
    as_patient(t, db, token, pin)
    db, child, token, pin = ready(t, db)
    for number in range(4):
        t.equal(as_representative(t, db, token, pin, 'ada.lovelace', 'wrong password'), refused('username taken'))
        t.equal(failures(t, db), number + 1)
    # Now the account is delayed, for linking and for signing in alike, and the right password is refused too.
    t.equal(as_representative(t, db, token, pin, 'ada.lovelace'), refused('username taken'))
    t.true(not flows.can_login(t, db, 'ada.lovelace'))
    t.equal(t.one(db, "SELECT tries FROM portal_pin WHERE status = 'live'"), 0)
    t.advance(500)
    t.equal(as_representative(t, db, token, pin, 'ada.lovelace'), registered('ada.lovelace'))
    t.equal(failures(t, db), 0)


def test_failed_logins_delay_linking_too(t):
    db, patient, token, pin = ready(t)
    as_patient(t, db, token, pin)
    db, child, token, pin = ready(t, db)
    for _ in range(4):
        t.true(not flows.can_login(t, db, 'ada.lovelace', 'wrong password'))
    t.equal(as_representative(t, db, token, pin, 'ada.lovelace'), refused('username taken'))
    t.advance(60)
    t.equal(as_representative(t, db, token, pin, 'ada.lovelace'), registered('ada.lovelace'))


def test_linking_does_not_judge_the_password_that_is_there(t):
    # An old password that equals this patient's name is the account's own business.
    db, patient, token, pin = ready(t, first_name='Rita', last_name='Parent')
    as_patient(t, db, token, pin, 'rita', 'Lovelace')
    db, child, token, pin = ready(t, db)
    t.equal(as_representative(t, db, token, pin, 'rita', 'Lovelace'), registered('rita'))


def test_a_wrong_pin_does_not_tell_whether_a_user_name_is_taken(t):
    db, patient, token, pin = ready(t)
    as_patient(t, db, token, pin)
    db, child, token, pin = ready(t, db)
    t.equal(as_patient(t, db, token, f'{(int(pin) + 1) % 1000000:06}', 'ada.lovelace', 'wrong password'),
            refused('pin'))
    t.equal(failures(t, db), 0)


# Representatives

def test_a_representative_is_recorded_with_name_and_relationship(t):
    db, patient, token, pin = ready(t)
    t.equal(as_representative(t, db, token, pin, name='Ríta Pärent', relationship='foster parent'),
            registered('rita'))
    t.equal(t.all(db, 'SELECT name, role, relationship, status FROM portal_people'),
            [('Ríta Pärent', 'representative', 'foster parent', 'active')])
    session = flows.ask(t, db, 'SELECT portal_session(?)', flows.login(t, db, 'rita'))
    t.equal(session, {'username': 'rita', 'name': 'Ríta Pärent', 'patients': [
        {'patient_id': patient, 'first_name': 'Ada', 'last_name': 'Lovelace', 'as': 'foster parent'}]})


def test_a_representative_needs_a_name_and_a_relationship(t):
    db, patient, token, pin = ready(t)
    for name, relationship, reason in (
            ('', 'parent', 'name missing'), (None, 'parent', 'name missing'), ('   ', 'parent', 'name missing'),
            ('Rita', '', 'relationship missing'), ('Rita', None, 'relationship missing'),
            ('Rita', '  ', 'relationship missing'),
            ('Ri\nta', 'parent', 'name not valid text'), ('Rita', 'par\u200bent', 'relationship not valid text'),
            ('x' * 201, 'parent', 'name too long'), ('x' * 100_000, 'parent', 'name too long'),
            ('Rita', 'x' * 200, 'relationship too long'), ('Rita', 'x' * 100_000, 'relationship too long')):
        t.equal(as_representative(t, db, token, pin, name=name, relationship=relationship), refused(reason))
    t.equal(t.all(db, 'SELECT tries, status FROM portal_pin'), [(0, 'live')])
    t.equal(t.one(db, 'SELECT guesses FROM portal_registration'), 0)
    t.equal(as_representative(t, db, token, pin), registered('rita'))


def test_the_representative_proves_who_the_patient_is_not_who_they_are(t):
    db = t.database()
    patient = t.patient(db)
    token = flows.send(t, db, patient)
    t.equal(flows.ask(t, db, "SELECT request_pin(?, 'Parent', '1960-01-01')", token), {'result': 'refused'})
    t.equal(as_representative(t, db, token, flows.pin(t, db, token, patient)), registered('rita'))


def test_a_second_representative_has_an_access_of_their_own(t):
    db = t.database()
    child = t.patient(db, date_of_birth='2020-05-12')
    mother = flows.register_representative(t, db, child, 'mother')
    father = flows.register_representative(t, db, child, 'father', name='Fred Parent')
    t.equal(flows.patients_of(t, db, mother), [child])
    t.equal(flows.patients_of(t, db, father), [child])
    t.equal(t.all(db, 'SELECT username, status FROM portal_people ORDER BY username'),
            [('father', 'active'), ('mother', 'active')])


def test_one_login_serves_two_children(t):
    db = t.database()
    first = t.patient(db, first_name='Byron', date_of_birth='2018-05-12')
    second = t.patient(db, first_name='Annabella', date_of_birth='2020-09-22')
    older = flows.register_representative(t, db, first, 'mother')
    newer = flows.register_representative(t, db, second, 'mother', name='ignored when linking', relationship='guardian')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_account'), 1)
    t.equal(flows.patients_of(t, db, older), [first, second])
    session = flows.ask(t, db, 'SELECT portal_session(?)', newer)
    t.equal(session['name'], 'Rita Parent')
    t.equal([(patient['first_name'], patient['as']) for patient in session['patients']],
            [('Byron', 'parent'), ('Annabella', 'guardian')])


def test_the_patient_may_register_after_the_representative(t):
    db = t.database()
    patient = t.patient(db)
    spouse = flows.register_representative(t, db, patient, 'spouse', relationship='spouse')
    t.advance(60)
    own = flows.register(t, db, patient, 'ada')
    t.equal(flows.patients_of(t, db, own), [patient])
    t.equal(flows.patients_of(t, db, spouse), [patient])
    t.equal(t.all(db, 'SELECT username, role FROM portal_people ORDER BY username'),
            [('ada', 'patient'), ('spouse', 'representative')])


def test_sending_to_a_registered_patient_keeps_the_access(t):
    db = t.database()
    patient = t.patient(db)
    session = flows.register(t, db, patient, 'ada')
    t.advance(60)
    token = flows.send(t, db, patient)
    t.equal(flows.patients_of(t, db, session), [patient])
    t.equal(flows.status(t, db, patient), 'registered')
    flows.login(t, db, 'ada')
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'valid')


def test_registering_again_with_the_same_login_links_it_once(t):
    db = t.database()
    patient = t.patient(db)
    session = flows.register(t, db, patient, 'ada')
    token, pin = again(t, db, patient)
    t.equal(as_patient(t, db, token, pin, 'ada'), registered('ada'))
    t.equal(flows.patients_of(t, db, session), [patient])
    t.equal(t.one(db, 'SELECT count(*) FROM portal_access'), 1)


def test_a_login_that_a_corrected_date_of_birth_shut_out_is_linked_anew_by_another_link(t):
    db = t.database()
    patient = t.patient(db)
    flows.register(t, db, patient, 'ada')
    db.execute("UPDATE patient SET date_of_birth = '1985-12-11'")
    t.true(not flows.can_login(t, db, 'ada'))
    t.contains(flows.status(t, db, patient, 'next_step'), 'date of birth', 'send a registration')
    token, pin = again(t, db, patient)
    t.equal(as_patient(t, db, token, pin, 'ada'), registered('ada'))
    t.equal(flows.patients_of(t, db, flows.login(t, db, 'ada')), [patient])


def test_a_last_name_that_changes_leaves_the_access_alone(t):
    db = t.database()
    patient = t.patient(db)
    session = flows.register(t, db, patient, 'ada')
    db.execute("UPDATE patient SET last_name = 'King'")
    t.equal(flows.ask(t, db, 'SELECT portal_session(?)', session)['patients'][0]['last_name'], 'King')
    flows.login(t, db, 'ada')


def test_a_patients_second_login_is_another_account(t):
    db = t.database()
    patient = t.patient(db)
    first = flows.register(t, db, patient, 'ada')
    token, pin = again(t, db, patient)
    t.equal(as_patient(t, db, token, pin, 'ada2'), registered('ada2'))
    t.equal(flows.patients_of(t, db, first), [patient])
    t.equal(t.one(db, "SELECT count(*) FROM portal_people WHERE status = 'active'"), 2)


def test_a_removed_representative_may_register_again_with_a_new_link(t):
    db = t.database()
    patient = t.patient(db)
    flows.register_representative(t, db, patient, 'rita')
    t.one(db, "SELECT remove_representative(?, 'rita')", patient)
    t.true(not flows.can_login(t, db, 'rita'))
    token, pin = again(t, db, patient)
    t.equal(as_representative(t, db, token, pin), registered('rita'))
    t.equal(flows.patients_of(t, db, flows.login(t, db, 'rita')), [patient])


# Age

def test_self_registration_age_makes_younger_patients_register_through_a_representative(t):
    # The clock stands at 2026-11-22.
    for birth, young in (('2008-11-22', False), ('2008-11-23', True), ('2008-12-01', True), ('2007-01-01', False),
                         ('2026-11-01', True)):
        db, patient, token, pin = ready(t, settings={'self_registration_age': 18}, date_of_birth=birth)
        answer = as_patient(t, db, token, pin)
        t.equal(answer, refused('representative required') if young else registered('ada.lovelace'), birth)
        if young:
            t.equal(t.all(db, 'SELECT tries, status FROM portal_pin'), [(0, 'live')])
            t.equal(as_representative(t, db, token, pin), registered('rita'))


def test_on_the_birthday_itself_the_patient_is_old_enough(t):
    db = t.database()
    t.one(db, "SELECT portal_setting('self_registration_age', 18)")
    patient = t.patient(db, date_of_birth='2008-11-23')
    token = flows.send(t, db, patient)
    t.clock(1795391999)                                # 2026-11-22 23:59:59 UTC
    pin = flows.pin(t, db, token, patient)
    t.equal(as_patient(t, db, token, pin), refused('representative required'))
    t.advance(1)
    t.equal(as_patient(t, db, token, pin), registered('ada.lovelace'))


def test_without_self_registration_age_a_newborn_may_register(t):
    db, patient, token, pin = ready(t, date_of_birth='2026-11-22')
    t.equal(as_patient(t, db, token, pin), registered('ada.lovelace'))


def test_a_leap_day_child_is_a_year_older_on_the_first_of_march(t):
    db = t.database()
    t.one(db, "SELECT portal_setting('self_registration_age', 18)")
    t.clock(1898380800)                                # 2030-02-27
    patient = t.patient(db, date_of_birth='2012-02-29')
    token = flows.send(t, db, patient)
    t.clock(1898553599)                                # 2030-02-28 23:59:59 UTC
    pin = flows.pin(t, db, token, patient)
    t.equal(as_patient(t, db, token, pin), refused('representative required'))
    t.advance(1)
    t.equal(as_patient(t, db, token, pin), registered('ada.lovelace'))
