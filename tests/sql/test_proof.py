"""Proving who the patient is, and the PIN: what is compared, where the PIN goes, what a guess costs."""
import flows

REFUSED = {'result': 'refused'}
prove, register, refused = flows.prove, flows.enroll, flows.refused


def pin_sent(channel='text'):
    return {'result': 'pin_sent', 'channel': channel}


def sent(t, channel='email', settings=(), journal='delete', **columns):
    db = t.database(journal=journal)
    for key, value in dict(settings).items():
        t.one(db, 'SELECT portal_setting(?, ?)', key, value)
    patient = t.patient(db, **columns)
    return db, patient, flows.send(t, db, patient, channel)


def guesses(t, db):
    return t.one(db, 'SELECT guesses FROM portal_registration ORDER BY registration_id DESC')


def newest_pin(t, db):
    return t.pin(flows.newest(t, db, 'PIN'))


def break_channels(t, db):
    """No mail and no text message can be handed over from here on."""
    t.one(db, "SELECT portal_setting('maildir', '/dev/null/nowhere')")


def mend_channels(t, db):
    t.one(db, "SELECT portal_setting('maildir', NULL)")


# Names as people write them

def accepts_names(t, on_file, *typed):
    db, patient, token = sent(t, settings={'resend_seconds': 0}, last_name=on_file)
    for name in typed:
        db.execute('UPDATE portal_registration SET pins = 0')
        t.equal(prove(t, db, token, name), pin_sent(), f'{name!r} for {on_file!r}')
    t.equal(guesses(t, db), 0)


def refuses_names(t, on_file, *typed):
    db, patient, token = sent(t, last_name=on_file)
    for name in typed:
        db.execute('UPDATE portal_registration SET guesses = 0')
        t.equal(prove(t, db, token, name), REFUSED, f'{name!r} for {on_file!r}')
        t.equal(guesses(t, db), 1)


def test_case_does_not_matter(t):
    accepts_names(t, 'Lovelace', 'lovelace', 'LOVELACE', 'LoveLace')


def test_accents_do_not_matter_composed_or_decomposed(t):
    accepts_names(t, 'Núñez', 'Nunez', 'NÚÑEZ', 'Nu\u0301n\u0303ez', 'nunèz')
    accepts_names(t, 'Nu\u0301n\u0303ez', 'Núñez', 'Nunez')
    accepts_names(t, 'Nunez', 'Núñez')
    accepts_names(t, 'Nguyễn', 'nguyen', 'Nguyên')


def test_apostrophes_typewriter_or_typographic_do_not_matter(t):
    accepts_names(t, "O'Brien", 'O’Brien', 'OBrien', "o 'brien", 'O‘Brien', 'O´Brien', 'Oʼbrien', 'O`Brien')
    accepts_names(t, 'O’Brien', "O'Brien", 'obrien')


def test_hyphens_and_spaces_do_not_matter(t):
    accepts_names(t, 'Smith-Jones', 'Smith Jones', 'SmithJones', 'Smith–Jones', 'Smith - Jones', 'smith‐jones',
                  'Smith‑Jones')
    accepts_names(t, 'van der Berg', 'Van Der Berg', 'vanderberg', '  van  der\u00a0Berg ')


def test_a_sharp_s_is_a_double_s(t):
    accepts_names(t, 'Weiß', 'Weiss', 'WEISS', 'weiß', 'WEIẞ')
    accepts_names(t, 'Weiss', 'Weiß')


def test_other_scripts_are_names_too(t):
    accepts_names(t, 'Ελύτης', 'ΕΛΥΤΗΣ', 'ελυτης')
    accepts_names(t, 'Достоевский', 'ДОСТОЕВСКИЙ')
    accepts_names(t, '山田', ' 山田 ')
    accepts_names(t, 'ﬁsher', 'Fisher')


def test_another_name_is_refused(t):
    refuses_names(t, 'Lovelace', '', None, 'Lovelac', 'Lovelacee', 'Byron', 'Ada', 'Ada Lovelace', '%', '_' * 8, '*',
                  "' OR 1=1 --", 'Lovelace\0', 'x' * 100_000, 'Lovelace;', 'Lovelacе')


def test_nothing_of_a_name_is_no_name(t):
    # What normalising leaves nothing of must not equal a name that is missing on the chart.
    for on_file in ('-', "'", ' '):
        refuses_names(t, on_file, '', '-', ' ', "'", None)


def test_invalid_utf8_is_a_wrong_name_and_a_blob_is_misuse(t):
    db, patient, token = sent(t)
    for bytes_ in (b'Lovelace\xff', b'\xff', b'\xc0\x80'):
        t.equal(flows.ask(t, db, "SELECT request_pin(?, CAST(? AS TEXT), '1985-12-10')", token, bytes_), REFUSED)
        t.equal(flows.ask(t, db, "SELECT request_pin(?, 'Lovelace', CAST(? AS TEXT))", token, bytes_), REFUSED)
    for arguments in ((b'x', 'a', 'b'), (token, b'x', 'b'), (token, 'a', b'x')):
        t.refuses(db, 'SELECT request_pin(?, ?, ?)', *arguments, says='must be text, not a blob')
    t.equal(guesses(t, db), 6)


def test_other_arities_are_misuse(t):
    db = t.database()
    for arguments in ('', '1', '1, 2', '1, 2, 3, 4'):
        t.refuses(db, f'SELECT request_pin({arguments})', says='wrong number of arguments')


def test_numbers_are_wrong_proofs(t):
    db, patient, token = sent(t)
    for last_name, birth in ((1, 2), (1.5, 2.5), (19851210, 19851210)):
        t.equal(prove(t, db, token, last_name, birth), REFUSED)
    t.equal(guesses(t, db), 3)


def test_a_date_of_birth_is_an_iso_date(t):
    db, patient, token = sent(t)
    for date in ('12/10/1985', '10.12.1985', '1985-12-1', '19851210', '1985-12-10T00:00:00', '1985-12-11', '',
                 None, '85-12-10'):
        db.execute('UPDATE portal_registration SET guesses = 0')
        t.equal(prove(t, db, token, date_of_birth=date), REFUSED, str(date))
        t.equal(guesses(t, db), 1)


def test_the_proof_is_about_the_patient_not_the_first_name_or_another_patient(t):
    db, patient, token = sent(t)
    t.patient(db, first_name='Grace', last_name='Hopper', date_of_birth='1906-12-09')
    t.equal(prove(t, db, token, 'Hopper', '1906-12-09'), REFUSED)
    t.equal(prove(t, db, token, 'Hopper', '1985-12-10'), REFUSED)
    t.equal(prove(t, db, token, 'Ada', '1985-12-10'), REFUSED)
    t.equal(prove(t, db, token), pin_sent())


# What is told

def test_a_wrong_proof_and_every_link_that_does_not_work_get_the_same_bytes(t):
    def answer(token, name='Lovelace'):
        return t.one(db, "SELECT request_pin(?, ?, '1985-12-10')", token, name)

    db, patient, token = sent(t)
    answers = [answer(token, 'Wrong'), answer('x' * 32), answer('x'), answer(''), answer(None)]
    t.advance(60)
    newer = flows.send(t, db, patient)
    answers += [answer(token)]                                   # superseded
    flows.register_with(t, db, newer, patient, 'ada')
    answers += [answer(newer)]                                   # used
    other = t.patient(db)
    expired = flows.send(t, db, other)
    t.advance(72 * 3600)
    answers += [answer(expired)]
    revoked = flows.send(t, db, other)
    t.one(db, 'SELECT revoke_access(?)', other)
    answers += [answer(revoked)]
    t.equal(set(answers), {'{"result":"refused"}'})


def test_wait_is_told_only_after_a_right_proof_and_with_the_seconds_left(t):
    db, patient, token = sent(t)
    t.equal(prove(t, db, token), pin_sent())
    t.equal(prove(t, db, token), {'result': 'wait', 'seconds': 60})
    t.equal(prove(t, db, token, 'Wrong'), REFUSED)
    t.equal(prove(t, db, token, date_of_birth='1985-12-11'), REFUSED)
    t.advance(59)
    t.equal(t.one(db, "SELECT request_pin(?, 'Lovelace', '1985-12-10')", token), '{"result":"wait","seconds":1}')
    t.advance(1)
    t.equal(prove(t, db, token), pin_sent())


def test_waiting_costs_neither_a_guess_nor_a_message(t):
    db, patient, token = sent(t)
    t.equal(prove(t, db, token), pin_sent())
    for _ in range(20):
        t.equal(prove(t, db, token)['result'], 'wait')
    t.equal(t.all(db, 'SELECT guesses, pins FROM portal_registration'), [(0, 1)])
    t.equal(t.one(db, "SELECT count(*) FROM portal_message WHERE kind = 'pin'"), 1)


def test_resend_seconds_is_the_cooldown(t):
    db, patient, token = sent(t, settings={'resend_seconds': 300})
    t.equal(prove(t, db, token), pin_sent())
    t.advance(299)
    t.equal(prove(t, db, token), {'result': 'wait', 'seconds': 1})
    t.advance(1)
    t.equal(prove(t, db, token), pin_sent())


# Where the PIN goes

def pin_goes(t, link, channel, recipient, **columns):
    db, patient, token = sent(t, link, **columns)
    t.equal(prove(t, db, token), pin_sent(channel))
    t.equal(t.all(db, "SELECT channel, recipient, status FROM portal_message WHERE kind = 'pin'"),
            [(channel, recipient, 'sent')])


def test_the_pin_goes_to_the_other_channel_than_the_links(t):
    pin_goes(t, 'email', 'text', '+12025550100', cell_phone='(202) 555-0100')
    pin_goes(t, 'text', 'email', 'ada@example.com', email='ada@example.com')
    pin_goes(t, 'sms', 'email', 'ada@example.com', email='ada@example.com')


def test_the_pin_goes_the_links_way_when_the_other_is_not_on_file(t):
    pin_goes(t, 'email', 'email', 'ada@example.com', email='ada@example.com', cell_phone=None)
    pin_goes(t, 'email', 'email', 'ada@example.com', email='ada@example.com', cell_phone='')


def test_a_text_link_without_an_email_on_file_sends_the_pin_by_text(t):
    db = t.database()
    t.one(db, "SELECT portal_setting('ehr_requires', 'cell_phone')")
    patient = t.patient(db, email=None, cell_phone='202-555-0100')
    token = flows.send(t, db, patient, 'text')
    t.equal(prove(t, db, token), pin_sent('text'))
    t.equal(t.one(db, "SELECT recipient FROM portal_message WHERE kind = 'pin'"), '+12025550100')


def test_the_pin_goes_the_links_way_when_the_other_may_not_be_used(t):
    pin_goes(t, 'email', 'email', 'ada@example.com', email='ada@example.com', text_consent=0)
    pin_goes(t, 'text', 'text', '+12025550100', cell_phone='202-555-0100', email_consent=0)


def test_the_pin_goes_the_links_way_when_the_other_is_malformed(t):
    pin_goes(t, 'email', 'email', 'ada@example.com', email='ada@example.com', cell_phone='call my mother')
    pin_goes(t, 'email', 'email', 'ada@example.com', email='ada@example.com', cell_phone='12')


def test_the_pin_mail_has_six_digits_and_no_link(t):
    for cell_phone in (None, '+12025550100'):
        db, patient, token = sent(t, cell_phone=cell_phone)
        prove(t, db, token)
        mail = flows.newest(t, db, 'PIN')
        t.equal(len(t.pin(mail)), 6)
        for part in (t.text(mail), t.html(mail) or ''):
            t.true('http' not in part and token not in part, part)
            t.true('Lovelace' not in part and '1985' not in part, part)


def test_the_home_phone_never_gets_a_pin(t):
    pin_goes(t, 'email', 'email', 'ada@example.com', email='ada@example.com', cell_phone=None,
             home_phone='+12025550199')


# The PIN

def test_a_pin_registers(t):
    db, patient, token = sent(t)
    t.equal(register(t, db, token, flows.pin(t, db, token, patient)),
            {'result': 'registered', 'username': 'ada.lovelace'})


def test_a_pin_is_good_for_ten_minutes(t):
    for seconds, result in ((599, 'registered'), (600, 'refused')):
        db, patient, token = sent(t)
        pin = flows.pin(t, db, token, patient)
        t.advance(seconds)
        t.equal(register(t, db, token, pin)['result'], result, f'after {seconds} seconds')


def test_the_ten_minutes_of_a_pin_begin_at_its_hand_over(t):
    db, patient, token = sent(t)
    break_channels(t, db)
    prove(t, db, token)
    t.advance(500)
    mend_channels(t, db)
    t.equal(flows.ask(t, db, 'SELECT deliver()')['sent'], 1)
    pin = newest_pin(t, db)
    t.advance(599)
    t.equal(register(t, db, token, pin)['result'], 'registered')


def test_pin_minutes_is_the_life_of_a_pin(t):
    db, patient, token = sent(t, settings={'pin_minutes': 1})
    pin = flows.pin(t, db, token, patient)
    t.contains(t.text(flows.newest(t, db, 'PIN')), '1 minute')
    t.advance(60)
    t.equal(register(t, db, token, pin), refused('pin'))


def test_an_expired_pin_is_refused_after_expire_links_too_and_a_new_one_works(t):
    db, patient, token = sent(t)
    pin = flows.pin(t, db, token, patient)
    t.advance(600)
    t.one(db, 'SELECT expire_links()')
    t.equal(register(t, db, token, pin), refused('pin'))
    t.equal(register(t, db, token, flows.pin(t, db, token, patient))['result'], 'registered')


def test_a_new_pin_supersedes_the_older(t):
    db, patient, token = sent(t)
    older = flows.pin(t, db, token, patient)
    t.advance(60)
    newer = flows.pin(t, db, token, patient)
    while newer == older:      # one in a million
        t.advance(60)
        newer = flows.pin(t, db, token, patient)
    t.equal(register(t, db, token, older), refused('pin'))
    t.equal(register(t, db, token, newer)['result'], 'registered')


def test_a_pin_belongs_to_its_link(t):
    db, patient, token = sent(t)
    other = t.patient(db)
    others = flows.send(t, db, other)
    pin = flows.pin(t, db, token, patient)
    t.equal(register(t, db, others, pin), refused('pin'))
    t.equal(register(t, db, token, pin)['result'], 'registered')


def test_a_pin_dies_with_its_link(t):
    db, patient, token = sent(t)
    pin = flows.pin(t, db, token, patient)
    t.advance(60)
    newer = flows.send(t, db, patient)
    t.equal(register(t, db, token, pin), refused('link'))
    t.equal(register(t, db, newer, pin), refused('pin'))


def test_a_link_that_expires_between_pin_and_registering_is_refused(t):
    db, patient, token = sent(t)
    t.advance(72 * 3600 - 5)
    pin = flows.pin(t, db, token, patient)
    t.advance(5)
    t.equal(register(t, db, token, pin), refused('link'))


def test_what_is_no_pin_is_a_wrong_pin(t):
    for typed in ('', None, '12345', '1234567', 'abcdef', '١٢٣٤٥٦', 12345678, -1, 1.5, 1e300, float('inf'),
                  '123456\0', 'x' * 1_000_000, "' OR 1=1"):
        db, patient, token = sent(t)
        flows.pin(t, db, token, patient)
        t.equal(register(t, db, token, typed), refused('pin'), repr(typed)[:40])
        t.equal(guesses(t, db), 1)
    t.refuses(db, "SELECT register_patient(?, ?, 'ada', 'long password')", token, b'123456',
              says='pin must be text, not a blob')


def test_a_pin_bound_as_a_number_has_its_leading_zeros_back(t):
    for convert in (int, float):
        db, patient, token = sent(t, settings={'resend_seconds': 0})
        for _ in range(200):       # a PIN with a leading zero is one in ten
            pin = flows.pin(t, db, token, patient)
            if pin[0] == '0':
                break
            db.execute('UPDATE portal_registration SET pins = 0')
        t.equal(register(t, db, token, convert(pin))['result'], 'registered', pin)


# What a failed hand-over gives back

def test_a_failed_hand_over_gives_the_cooldown_back(t):
    db, patient, token = sent(t)
    break_channels(t, db)
    t.equal(prove(t, db, token), pin_sent())
    t.equal(t.all(db, "SELECT status, sent_at FROM portal_message WHERE kind = 'pin'"), [('queued', None)])
    mend_channels(t, db)
    t.equal(prove(t, db, token), pin_sent())
    t.equal(register(t, db, token, newest_pin(t, db))['result'], 'registered')
    t.one(db, 'SELECT deliver()')
    t.equal(len([mail for mail in t.mails(db) if 'PIN' in t.text(mail)]), 2, 'the older PIN went out as well')


def test_an_undeliverable_pin_gives_the_cooldown_back_and_does_not_work(t):
    db, patient, token = sent(t)
    t.one(db, "SELECT portal_setting('pin_minutes', 1)")
    break_channels(t, db)
    t.equal(prove(t, db, token), pin_sent())
    t.equal(t.one(db, "SELECT status FROM portal_message WHERE kind = 'pin'"), 'failed')
    t.equal(t.one(db, 'SELECT status FROM portal_pin'), 'failed')
    mend_channels(t, db)
    t.equal(prove(t, db, token), pin_sent())
    t.equal(register(t, db, token, newest_pin(t, db))['result'], 'registered')


def test_a_pin_to_a_contact_that_changed_meanwhile_is_not_handed_over(t):
    db, patient, token = sent(t)
    break_channels(t, db)
    prove(t, db, token)
    mend_channels(t, db)
    db.execute("UPDATE patient SET cell_phone = '+12025559999'")
    before = len(t.mails(db))
    t.advance(300)
    t.one(db, 'SELECT deliver()')
    t.equal(len(t.mails(db)), before)
    t.equal(prove(t, db, token), pin_sent())
    t.equal(t.all(db, "SELECT recipient FROM portal_message WHERE kind = 'pin' AND status = 'sent'"),
            [('+12025559999',)])


# The chart meanwhile

def test_a_last_name_that_staff_corrected_is_the_one_to_prove(t):
    db, patient, token = sent(t, last_name='Lovelcae')
    db.execute("UPDATE patient SET last_name = 'Lovelace'")
    t.equal(prove(t, db, token, 'Lovelcae'), REFUSED)
    t.equal(prove(t, db, token, 'Lovelace'), pin_sent())
    t.equal(register(t, db, token, newest_pin(t, db))['result'], 'registered')


def dies_when(t, change):
    db, patient, token = sent(t)
    pin = flows.pin(t, db, token, patient)
    db.execute(change)
    t.equal(register(t, db, token, pin), refused('link'), change)
    t.advance(60)
    last_name, birth = t.all(db, 'SELECT last_name, date_of_birth FROM patient')[0]
    t.equal(prove(t, db, token, last_name, birth), REFUSED)
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'revoked')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_account'), 0)


def test_a_link_dies_when_its_contact_changes_on_the_chart(t):
    dies_when(t, "UPDATE patient SET email = 'else@example.com'")
    dies_when(t, 'UPDATE patient SET email = NULL')


def test_a_link_dies_when_the_date_of_birth_changes_on_the_chart(t):
    dies_when(t, "UPDATE patient SET date_of_birth = '1985-12-11'")


def test_a_link_dies_when_the_patient_is_deceased_or_inactive(t):
    dies_when(t, "UPDATE patient SET deceased_on = '2026-11-20'")
    dies_when(t, 'UPDATE patient SET active = 0')


def test_a_link_dies_when_the_patient_id_belongs_to_somebody_else(t):
    dies_when(t, "UPDATE patient SET first_name = 'Bob', last_name = 'Marley'")


def test_a_link_dies_when_the_patient_is_deleted(t):
    db, patient, token = sent(t)
    db.execute('DELETE FROM patient')
    t.equal(prove(t, db, token), REFUSED)
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'revoked')


def test_the_same_email_written_another_way_keeps_the_link_alive(t):
    db, patient, token = sent(t, email='ada@example.com')
    db.execute("UPDATE patient SET email = ' Ada@Example.COM '")
    t.equal(prove(t, db, token), pin_sent())
