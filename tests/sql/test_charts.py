"""Who a link and an access were for: deceased, inactive, deleted patients, and ids used again."""
import flows

HOUR = 3600


def found(t, db):
    """What portal_check() says, one text."""
    return '\n'.join(' | '.join(map(str, row)) for row in t.all(db, 'SELECT * FROM portal_check'))


def set_chart(db, patient_id, **columns):
    for name, value in columns.items():
        db.execute(f'UPDATE patient SET {name} = ? WHERE patient_id = ?', [value, patient_id])


def replace(t, db, patient_id, **columns):
    """Deletes the patient and uses the id again, with the same contacts, for another person."""
    row = dict(zip(('email', 'cell_phone', 'last_name', 'date_of_birth'), db.execute(
        'SELECT email, cell_phone, last_name, date_of_birth FROM patient WHERE patient_id = ?',
        [patient_id]).fetchone()))
    db.execute('DELETE FROM patient WHERE patient_id = ?', [patient_id])
    t.equal(t.patient(db, patient_id=patient_id, **{**row, 'first_name': 'Augusta', **columns}), patient_id)


OTHERS = [
    ('a twin', {}),
    ('somebody born another day', {'first_name': 'Ada', 'date_of_birth': '1999-01-02'}),
    ('another person altogether', {'last_name': 'Byron', 'date_of_birth': '1999-01-02'}),
]


# An id used again, while a link lives

def test_a_link_does_not_work_for_whoever_has_the_id_now(t):
    for who, columns in OTHERS:
        db = t.database()
        ada = t.patient(db)
        token = flows.send(t, db, ada)
        old = flows.chart(t, db, ada)
        replace(t, db, ada, **columns)
        t.contains(flows.status(t, db, ada, 'next_step'), 'first name or date of birth')
        t.contains(found(t, db), f'patient {ada}', 'send again')
        for proof in (old, flows.chart(t, db, ada)):
            answer = flows.ask(t, db, 'SELECT request_pin(?, ?, ?)', token, *proof)
            t.equal(answer, {'result': 'refused'}, who)
        t.equal(t.one(db, 'SELECT token_status(?)', token), 'revoked')
        t.equal(flows.status(t, db, ada), 'failed')
        t.contains(flows.status(t, db, ada, 'message'), 'chart has changed')


def test_a_pin_does_not_work_for_whoever_has_the_id_now(t):
    for who, columns in OTHERS:
        db = t.database()
        ada = t.patient(db)
        token = flows.send(t, db, ada)
        pin = flows.pin(t, db, token, ada)
        replace(t, db, ada, **columns)
        answer = flows.ask(t, db, 'SELECT register_patient(?, ?, ?, ?)', token, pin, 'ada.l', flows.PASSWORD)
        t.equal(answer['result'], 'refused', who)
        answer = flows.ask(t, db, "SELECT register_representative(?, ?, ?, ?, 'Rita', 'parent')", token, pin,
                           'rita', flows.PASSWORD)
        t.equal(answer['result'], 'refused', who)
        t.equal(t.one(db, 'SELECT count(*) FROM portal_account'), 0)


def test_a_queued_link_is_not_sent_to_whoever_has_the_id_now(t):
    for who, columns in OTHERS:
        db = t.database()
        ada = t.patient(db)
        db.execute('BEGIN')
        t.one(db, "SELECT send_registration(?, 'email')", ada)
        db.execute('COMMIT')
        replace(t, db, ada, **columns)
        t.contains(flows.status(t, db, ada, 'next_step'), 'first name or date of birth')
        t.one(db, 'SELECT deliver()')
        t.equal(t.mails(db), [], who)
        t.equal(flows.status(t, db, ada), 'failed')


# An id used again, after somebody registered

def test_an_access_does_not_work_for_whoever_has_the_id_now(t):
    for who, columns in OTHERS:
        db = t.database()
        ada = t.patient(db)
        own = flows.register(t, db, ada, 'ada.l')
        hers = flows.register_representative(t, db, ada, 'rita')
        replace(t, db, ada, **columns)
        for session, username in ((own, 'ada.l'), (hers, 'rita')):
            t.true(not flows.patients_of(t, db, session), f'{who}: {username} still sees somebody')
            answer = flows.ask(t, db, "SELECT submit_demographics(?, ?, '{\"city\":\"Rome\"}')", session, ada)
            t.equal(answer['result'], 'refused', who)
            t.true(not flows.can_login(t, db, username), who)
        t.equal(t.one(db, 'SELECT count(*) FROM portal_request'), 0)
        t.contains(flows.status(t, db, ada, 'next_step'), 'ada.l', 'does not work', 'first name or date of birth')
        t.contains(found(t, db), f'patient {ada}, ada.l', f'patient {ada}, rita')


def test_the_newcomer_is_sent_a_link_and_is_not_shown_as_registered(t):
    db = t.database()
    ada = t.patient(db)
    flows.register(t, db, ada, 'ada.l')
    replace(t, db, ada)
    t.advance(60)
    token = flows.send(t, db, ada)
    t.equal(flows.status(t, db, ada), 'sent')
    t.contains(flows.status(t, db, ada, 'message'), 'sent by email')
    t.equal([flows.status(t, db, ada, column) for column in ('registered_at', 'last_login_at')], [None, None])
    session = flows.register_with(t, db, token, ada, 'augusta')
    t.equal(flows.status(t, db, ada), 'registered')
    t.equal(flows.patients_of(t, db, session), [ada])
    t.true(not flows.can_login(t, db, 'ada.l'))


def test_requests_of_the_one_before_are_in_conflict_for_the_newcomer(t):
    db = t.database()
    ada = t.patient(db, city='Paris')
    session = flows.register(t, db, ada, 'ada.l')
    t.one(db, "SELECT submit_demographics(?, ?, '{\"city\":\"Rome\"}')", session, ada)
    replace(t, db, ada, city='Oslo')
    t.refuses(db, 'SELECT accept_request(request_id) FROM portal_request', says='force')
    t.equal(t.one(db, 'SELECT city FROM patient'), 'Oslo')


def test_a_representative_of_two_keeps_the_other_when_one_id_is_used_again(t):
    db = t.database()
    ada, bob = t.patient(db), t.patient(db, first_name='Bob')
    flows.register_representative(t, db, ada, 'rita')
    session = flows.register_representative(t, db, bob, 'rita')
    replace(t, db, ada)
    t.equal(flows.patients_of(t, db, session), [bob])
    answer = flows.ask(t, db, "SELECT submit_demographics(?, ?, '{\"city\":\"Rome\"}')", session, ada)
    t.equal(answer['result'], 'refused')


def test_granting_again_after_the_id_was_used_again_lets_nobody_of_before_in(t):
    db = t.database()
    ada = t.patient(db)
    flows.register(t, db, ada, 'ada.l')
    t.one(db, 'SELECT revoke_access(?)', ada)
    replace(t, db, ada)
    flows.send(t, db, ada)
    t.true(not flows.can_login(t, db, 'ada.l'))
    t.equal(flows.status(t, db, ada), 'sent')


def test_a_corrected_date_of_birth_is_told_and_a_new_link_mends_it(t):
    db = t.database()
    ada = t.patient(db)
    flows.register(t, db, ada, 'ada.l')
    set_chart(db, ada, date_of_birth='1985-12-11')
    t.true(not flows.can_login(t, db, 'ada.l'))
    t.equal(flows.status(t, db, ada), 'registered')
    t.contains(flows.status(t, db, ada, 'next_step'), 'ada.l', 'send a registration')
    t.advance(60)
    token = flows.send(t, db, ada)
    session = flows.register_with(t, db, token, ada, 'ada.l')
    t.equal(flows.patients_of(t, db, session), [ada])
    t.equal(flows.status(t, db, ada), 'registered')
    t.equal(flows.status(t, db, ada, 'next_step'), None)
    t.equal(found(t, db), '')


def test_a_correction_taken_back_makes_the_access_work_again(t):
    db = t.database()
    ada = t.patient(db)
    session = flows.register(t, db, ada, 'ada.l')
    set_chart(db, ada, first_name='Augusta')
    t.true(not flows.patients_of(t, db, session))
    set_chart(db, ada, first_name='Ada')
    flows.login(t, db, 'ada.l')
    t.equal(flows.status(t, db, ada, 'next_step'), None)


def test_a_first_name_written_otherwise_and_a_new_last_name_change_nothing(t):
    db = t.database()
    ada = t.patient(db, first_name='Zoë-Ann')
    session = flows.register(t, db, ada, 'zoe')
    set_chart(db, ada, first_name='ZOE ANN', last_name='Byron', email='new@example.net')
    t.equal(flows.patients_of(t, db, session), [ada])
    t.equal(found(t, db), '')


# Deceased, inactive, deleted

CLOSED = [({'deceased_on': '2026-11-20'}, 'deceased'), ({'active': 0}, 'active')]


def test_a_link_of_a_deceased_or_inactive_patient_does_not_work(t):
    for columns, word in CLOSED:
        db = t.database()
        ada = t.patient(db)
        token = flows.send(t, db, ada)
        set_chart(db, ada, **columns)
        t.contains(flows.status(t, db, ada, 'next_step'), word)
        t.contains(found(t, db), f'patient {ada}', word)
        t.equal(flows.ask(t, db, 'SELECT request_pin(?, ?, ?)', token, *flows.chart(t, db, ada)),
                {'result': 'refused'})
        t.contains(flows.status(t, db, ada, 'next_step'), word)
        t.refuses(db, "SELECT send_registration(?, 'email')", ada, says=word)


def test_an_access_of_a_deceased_or_inactive_patient_does_not_work(t):
    for columns, word in CLOSED:
        db = t.database()
        ada = t.patient(db)
        session = flows.register(t, db, ada, 'ada.l')
        set_chart(db, ada, **columns)
        t.true(not flows.patients_of(t, db, session))
        t.true(not flows.can_login(t, db, 'ada.l'))
        answer = flows.ask(t, db, "SELECT submit_demographics(?, ?, '{\"city\":\"Rome\"}')", session, ada)
        t.equal(answer['result'], 'refused')
        t.contains(flows.status(t, db, ada, 'next_step'), word)
        t.contains(found(t, db), f'patient {ada}, ada.l', word)
        set_chart(db, ada, deceased_on=None, active=1)
        t.equal(flows.patients_of(t, db, flows.login(t, db, 'ada.l')), [ada])
        t.equal(found(t, db), '')


def test_a_patient_never_sent_anything_is_told_to_be_closed(t):
    for columns, word in CLOSED:
        db = t.database()
        ada = t.patient(db, **columns)
        t.equal(flows.status(t, db, ada), 'not sent')
        t.contains(flows.status(t, db, ada, 'next_step'), word)


def test_a_pin_waiting_for_a_patient_who_died_is_not_sent(t):
    for columns, _ in CLOSED:
        db = t.database()
        ada = t.patient(db)
        token = flows.send(t, db, ada)
        blocked = t.path(t.file(db).name + '.blocked')
        blocked.write_text('')
        t.one(db, "SELECT portal_setting('maildir', ?)", str(blocked))
        t.one(db, 'SELECT request_pin(?, ?, ?)', token, *flows.chart(t, db, ada))
        blocked.unlink()
        set_chart(db, ada, **columns)
        t.advance(300)
        t.one(db, 'SELECT deliver()')
        t.equal(t.mails(blocked) if blocked.exists() else [], [])


def test_a_deleted_patient_takes_link_and_access_along(t):
    db = t.database()
    ada, bob = t.patient(db), t.patient(db, first_name='Bob')
    token = flows.send(t, db, ada)
    session = flows.register(t, db, bob, 'bob')
    proof = flows.chart(t, db, ada)
    db.execute('DELETE FROM patient')
    t.equal(flows.ask(t, db, 'SELECT request_pin(?, ?, ?)', token, *proof), {'result': 'refused'})
    t.true(not flows.patients_of(t, db, session))
    t.true(not flows.can_login(t, db, 'bob'))
    answer = flows.ask(t, db, "SELECT submit_demographics(?, ?, '{\"city\":\"Rome\"}')", session, bob)
    t.equal(answer['result'], 'refused')
    t.equal(t.all(db, 'SELECT * FROM portal_status'), [])
    t.contains(found(t, db), f'patient {bob}, bob', 'not on file')
    t.refuses(db, "SELECT send_registration(?, 'email')", ada, says='not on file')
    t.contains(t.one(db, 'SELECT revoke_access(?)', bob), 'was revoked')
    t.true(f'patient {bob}, bob' not in found(t, db))


def test_requests_of_a_deleted_patient_can_be_declined(t):
    db = t.database()
    ada = t.patient(db)
    session = flows.register(t, db, ada, 'ada.l')
    t.one(db, "SELECT submit_demographics(?, ?, '{\"city\":\"Rome\"}')", session, ada)
    request = t.one(db, 'SELECT request_id FROM portal_request')
    db.execute('DELETE FROM patient')
    t.refuses(db, 'SELECT accept_request(?)', request, says='not on file')
    t.one(db, 'SELECT decline_request(?)', request)
    t.equal(t.one(db, 'SELECT status FROM portal_request'), 'declined')


# What can not be read as a name or a date

def test_a_chart_that_lost_its_names_lets_nobody_in(t):
    db = t.database()
    ada = t.patient(db)
    session = flows.register(t, db, ada, 'ada.l')
    for name in ('', "'", '\x01', b'\xff', 'x' * 5000, 'Ada\0'):
        set_chart(db, ada, first_name=name)
        t.true(not flows.patients_of(t, db, session), f'{name!r} counts as Ada')


def test_a_proof_against_a_chart_without_a_last_name_fails(t):
    db = t.database()
    for name in ('', "'", '  ', b'\xff', 'Love\0lace'):
        ada = t.patient(db)
        token = flows.send(t, db, ada)
        set_chart(db, ada, last_name=name)
        for guess in ('', "'", None, 'Lovelace', 'Love'):
            t.equal(flows.ask(t, db, "SELECT request_pin(?, ?, '1985-12-10')", token, guess), {'result': 'refused'})
