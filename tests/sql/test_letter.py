"""Letters: a registration on paper, for whom no message reaches."""
import sqlite3

import harness

import flows
import paper
from paper import Letter

HOUR = 3600


def messages(t, db):
    return t.all(db, 'SELECT kind, channel, recipient, status, due_at FROM portal_message')


@harness.release_only
def test_whoever_is_handed_one_registers_with_its_link_and_its_pin(t):
    db = paper.practice(t)
    ada = paper.unreached(t, db)
    t.contains(flows.status(t, db, ada, 'next_step'), 'add one, then send again', f'portal_letter({ada})')
    letter = Letter(t, db, ada, 'A4')
    letter.whole()
    letter.within_margins()
    t.equal(letter.link(), f'https://portal.lakeside.example/r/{letter.token}')
    t.contains(letter.text, 'Dear Ada Lovelace,', 'Lakeside Family Medicine', 'https://portal.lakeside.example/r/')
    t.contains(flows.status(t, db, ada, 'message'), 'sent as a printed letter on', 'valid for 72 hours')
    until = flows.status(t, db, ada, 'message').rpartition('until ')[2].rstrip('.')
    t.contains(letter.text, f'works until {until}.')
    t.equal(messages(t, db), [('registration', 'print', '', 'sent', None), ('pin', 'print', '', 'sent', None)])
    t.equal(t.one(db, 'SELECT token_status(?)', letter.token), 'valid')
    # Link and PIN alone are what somebody who finds the letter has.
    t.equal(flows.enroll(t, db, letter.token, letter.pin), flows.refused('pin'))
    t.equal(flows.prove(t, db, letter.token, 'Byron'), {'result': 'refused'})
    t.equal(t.one(db, 'SELECT guesses FROM portal_registration'), 2)
    for _ in range(7):      # no cooldown, and no number of PIN messages: none is sent
        t.equal(flows.prove(t, db, letter.token), {'result': 'pin_sent', 'channel': 'print'})
    t.equal(flows.status(t, db, ada, 'next_step')[:34], 'the patient has given 2 wrong answ')
    t.equal(flows.enroll(t, db, letter.token, flows.wrong_pin(letter.pin)), flows.refused('pin'))
    t.equal(flows.enroll(t, db, letter.token, letter.pin, password='short'), flows.refused('password too short'))
    t.equal(flows.enroll(t, db, letter.token, letter.pin), {'result': 'registered', 'username': 'ada.lovelace'})
    t.equal(flows.enroll(t, db, letter.token, letter.pin, 'again'), flows.refused('link'))
    session = flows.login(t, db, 'ada.lovelace')
    t.equal(flows.patients_of(t, db, session), [ada])
    # Nobody knows where to send anything.
    t.contains(flows.status(t, db, ada, 'next_step'), 'having come with a letter', "set_account_contact('ada.lovelace', contact)")
    t.equal(flows.ask(t, db, "SELECT forgot_password('ada.lovelace')"), flows.ask(t, db, "SELECT forgot_password('nobody')"))
    request = flows.ask(t, db, "SELECT submit_demographics(?, ?, '{\"city\": \"London\"}')", session, ada)
    t.equal(request['requests'], 1)
    db.execute("UPDATE pending_requests SET decision = 'accept'")
    t.equal((len(messages(t, db)), t.mails(db)), (2, []))
    t.contains(t.one(db, "SELECT set_account_contact('ada.lovelace', 'ada@example.com')"), 'new contact')
    t.equal([row[2] for row in messages(t, db)[2:]], ['ada@example.com'])
    db.execute("SELECT forgot_password('ada.lovelace'), deliver()")
    flows.newest(t, db, 'password')
    t.equal(t.all(db, 'SELECT * FROM portal_check'), [])
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


@harness.release_only
def test_five_wrong_pins_end_the_link_and_staff_are_told(t):
    db = paper.practice(t)
    letter = Letter(t, db, paper.unreached(t, db))
    flows.prove(t, db, letter.token)
    for number in range(5):
        t.equal(flows.enroll(t, db, letter.token, flows.wrong_pin(letter.pin, number)), flows.refused('pin'))
    t.equal(flows.enroll(t, db, letter.token, letter.pin), flows.refused('link'))
    t.equal(flows.prove(t, db, letter.token), {'result': 'refused'})
    t.equal(t.one(db, 'SELECT token_status(?)', letter.token), 'revoked')
    t.equal(t.all(db, "SELECT detail FROM portal_audit WHERE action = 'registration.spent'"),
            [('5 wrong codes of a letter, which has no other',)])
    t.equal(t.one(db, 'SELECT problem FROM portal_check'), 'a link was spent by wrong answers')
    t.contains(flows.status(t, db, 1, 'message'), 'as a printed letter failed', 'too many wrong answers or PINs')
    t.advance(60)
    t.equal(flows.status(t, db, 1, 'next_step'), 'print another letter')


@harness.release_only
def test_ten_wrong_proofs_end_it_as_they_end_any_link(t):
    db = paper.practice(t)
    letter = Letter(t, db, paper.unreached(t, db))
    for _ in range(10):
        t.equal(flows.prove(t, db, letter.token, 'Byron'), {'result': 'refused'})
    t.equal(flows.prove(t, db, letter.token), {'result': 'refused'})
    t.equal(t.one(db, 'SELECT status FROM portal_registration'), 'spent')


@harness.release_only
def test_link_and_pin_live_for_72_hours_from_printing(t):
    db = paper.practice(t)
    for left, result in ((1, 'registered'), (0, 'refused')):
        patient = paper.unreached(t, db, first_name=f'Ada{left}')
        letter = Letter(t, db, patient)
        t.equal(flows.prove(t, db, letter.token)['result'], 'pin_sent')
        t.advance(72 * HOUR - left)
        db.execute('SELECT expire_links(), portal_purge(1)')
        t.equal(flows.enroll(t, db, letter.token, letter.pin, f'ada{left}')['result'], result)
    t.equal(flows.status(t, db, patient), 'expired')
    t.contains(flows.status(t, db, patient, 'message'), 'sent as a printed letter on', 'expired on')


def test_it_is_refused_where_a_message_reaches_and_where_no_link_may_go(t):
    db = paper.practice(t)
    t.refuses(db, 'SELECT portal_letter(?)', t.patient(db), says="can be reached by email, and a letter is for whom no message reaches; send_registration(1, 'email')")
    t.refuses(db, 'SELECT portal_letter(?)', t.patient(db, email=None), says="send_registration(2, 'text')")
    t.refuses(db, 'SELECT portal_letter(?)', paper.unreached(t, db, deceased_on='2026-01-01'), says='is deceased')
    t.refuses(db, 'SELECT portal_letter(?)', paper.unreached(t, db, date_of_birth='1985'), says='no date of birth')
    t.refuses(db, 'SELECT portal_letter(99)', says='patient 99 is not on file')
    t.refuses(db, "SELECT portal_letter(1, 'A3')", says='neither A4 nor Letter')
    t.refuses(db, 'SELECT portal_letter(1, 4)', says='paper')
    t.refuses(db, 'SELECT portal_letter(NULL)', says='patient_id')
    t.refuses(db, "SELECT send_registration(1, 'print')", says="channel 'print' is neither email nor text")
    t.equal(t.all(db, 'SELECT count(*) FROM portal_message'), [(0,)])
    # Declined is not reached, nor is who has opted out.
    for columns in ({'email_consent': 0, 'cell_phone': None}, {'email': 'stopped@example.com', 'text_consent': 0}):
        patient = t.patient(db, **columns)
        db.execute("SELECT portal_opt_out('stopped@example.com')")
        t.equal(t.one(db, "SELECT send_problem(?, 'print')", patient), None)
        t.true(t.one(db, 'SELECT portal_letter(?)', patient).startswith(b'%PDF'))


def test_it_needs_the_practice_and_a_name_that_can_be_printed_or_nothing_is_written(t):
    db = t.database()
    patient = paper.unreached(t, db, last_name='東京')
    before = t.all(db, 'SELECT count(*), (SELECT audit_count FROM portal_state) FROM portal_message')
    t.refuses(db, 'SELECT portal_letter(?)', patient, says='set practice_name, practice_phone, portal_url')
    for key, value in paper.PRACTICE.items():
        db.execute('SELECT portal_setting(?, ?)', [key, value])
    t.refuses(db, 'SELECT portal_letter(?)', patient, says="the patient's name has '東'")
    for table in ('portal_message', 'portal_registration', 'portal_pin'):
        t.equal(t.all(db, f'SELECT * FROM {table}'), [])
    t.equal(t.all(db, "SELECT action FROM portal_audit WHERE action LIKE '%print%'"), [])
    t.equal(before[0][0], 0)


def test_no_rollback_could_undo_it_so_no_transaction_may_be_open(t):
    db = paper.practice(t)
    paper.unreached(t, db)
    db.execute('BEGIN')
    t.refuses(db, 'SELECT portal_letter(1)', says='does not run inside a transaction')
    db.execute('COMMIT')
    db.execute('CREATE TABLE kept(pdf)')
    for sql in ('INSERT INTO kept SELECT portal_letter(1)', 'SELECT portal_letter(patient_id) FROM patient'):
        t.refuses(db, sql, says='a ROLLBACK would not undo it')
    t.equal(messages(t, db), [])
    scheduling = t.connect(t.file(db), application='scheduling')
    t.true(t.one(scheduling, 'SELECT portal_letter(1)').startswith(b'%PDF'))
    t.refuses(t.connect(t.file(db), application='portal'), 'SELECT portal_letter(1)', says='not available')


@harness.release_only
def test_the_newest_link_alone_works_whether_it_is_on_paper_or_sent(t):
    db = paper.practice(t)
    ada = t.patient(db)
    sent = flows.send(t, db, ada)
    db.execute('UPDATE patient SET email_consent = 0, text_consent = 0')
    first = Letter(t, db, ada)
    t.equal(t.one(db, 'SELECT token_status(?)', sent), 'superseded')
    t.refuses(db, 'SELECT portal_letter(?)', ada, says='a moment ago; wait 60 seconds')
    t.advance(60)
    second = Letter(t, db, ada)
    t.equal(flows.enroll(t, db, first.token, first.pin), flows.refused('link'))
    t.equal(flows.prove(t, db, second.token)['channel'], 'print')
    t.equal(flows.enroll(t, db, second.token, first.pin), flows.refused('pin'))
    db.execute('UPDATE patient SET email_consent = 1')
    t.advance(60)
    flows.register_with(t, db, flows.send(t, db, ada), ada, 'ada.l')
    t.equal(t.one(db, 'SELECT token_status(?)', second.token), 'superseded')


@harness.release_only
def test_a_revoke_ends_it_and_the_next_one_gives_access_again(t):
    db = paper.practice(t)
    ada = paper.unreached(t, db)
    letter = Letter(t, db, ada)
    flows.prove(t, db, letter.token)
    flows.enroll(t, db, letter.token, letter.pin)
    t.contains(t.one(db, 'SELECT revoke_access(?)', ada), 'No notice could be sent')
    t.true(not flows.can_login(t, db, 'ada.lovelace'))
    t.equal(flows.status(t, db, ada), 'revoked')
    another = Letter(t, db, ada)
    t.true(flows.can_login(t, db, 'ada.lovelace'))
    t.equal(t.one(db, 'SELECT revoke_access(?)', ada)[:6], 'Portal')
    t.equal(t.one(db, 'SELECT token_status(?)', another.token), 'revoked')
    t.equal(t.all(db, "SELECT DISTINCT channel FROM portal_message"), [('print',)])


@harness.release_only
def test_another_person_on_the_chart_ends_it_and_a_contact_that_comes_does_not(t):
    db = paper.practice(t)
    ada = paper.unreached(t, db)
    letter = Letter(t, db, ada)
    db.execute("UPDATE patient SET email = 'ada@example.com'")
    t.equal(flows.prove(t, db, letter.token)['result'], 'pin_sent')
    t.equal(t.all(db, 'SELECT * FROM portal_check'), [])
    db.execute("UPDATE patient SET first_name = 'Grace'")
    t.equal(flows.prove(t, db, letter.token), {'result': 'refused'})
    t.contains(flows.status(t, db, ada, 'message'), 'as a printed letter failed', 'the chart has changed')


@harness.release_only
def test_it_is_in_the_language_of_the_patient_and_has_room_for_a_long_name(t):
    db = paper.practice(t)
    name = 'Nguyễn Thị ' + 'Ánh' * 20
    letter = Letter(t, db, paper.unreached(t, db, first_name=name, last_name='Wolfeschlegelsteinhausenbergerdorff' * 2, preferred_language='es'))
    letter.whole()
    letter.within_margins()
    t.contains(letter.text.replace(' ', ''), name.replace(' ', ''), 'Estacartasirvehastael', 'SuPIN')
    t.equal(letter.facts['Title'], 'Su invitación al portal del paciente')
    preview = t.one(db, "SELECT preview_message('registration', 1, 'print')")
    t.contains(preview, 'Subject: Su invitación', name, '000000', 'SAMPLE-LINK')
    t.refuses(db, "SELECT preview_message('pin', 1, 'print')", says='pin does not go by print')


@harness.release_only
def test_its_link_is_nowhere_but_on_it(t):
    db = paper.practice(t)
    letter = Letter(t, db, paper.unreached(t, db))
    flows.prove(t, db, letter.token)
    letter.file.unlink()
    for file in t.directory.rglob('*'):
        t.true(file.is_dir() or letter.token.encode() not in file.read_bytes(), file)
    with sqlite3.connect(t.file(db)) as copy:
        dump = '\n'.join(copy.iterdump())
    t.true(f"'{letter.pin}'" not in dump and letter.token not in dump)


def test_ten_a_day_are_the_most_for_one_patient_and_others_have_their_own(t):
    db = paper.practice(t, sends_per_day='2', resend_seconds='0')
    ada, ben = paper.unreached(t, db), paper.unreached(t, db, first_name='Ben')
    for patient in (ada, ada, ben):
        t.true(t.one(db, 'SELECT portal_letter(?)', patient).startswith(b'%PDF'))
    t.refuses(db, 'SELECT portal_letter(?)', ada, says=['2 registrations in 24 hours', 'sends_per_day'])
