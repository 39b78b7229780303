"""What messages say: to whom they are written, what they leave out, and how long they are."""
import re

import flows
import harness

TEMPLATES = [file for file in sorted((harness.ROOT / 'sql/messages').glob('*.en.txt')) if '.print.' not in file.name]
KINDS = ['access_ended', 'account_contact_changed', 'contact_changed', 'deactivated', 'password_reset', 'pin',
         'registration', 'request_decided']
# 3GPP TS 23.038: the basic character set, without its extension table.
GSM7 = set('@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?¡'
           'ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà')
LONG_SETTINGS = {'practice_name': 'Riverside Family Practice', 'practice_phone': '(202) 555-0100',
                 'portal_url': 'https://portal.riverside-family.example'}
PERSON = {'first_name': 'Wilhelmina', 'last_name': 'Featherstone', 'date_of_birth': '1985-12-10'}


def template_text(file):
    text = file.read_text()
    if file.name.endswith('.email.en.txt'):
        text = text.partition('\n\n')[2].partition('\n---\n')[0] + '\n'
    return text


def as_pattern(file):
    return re.compile(re.sub(r'\\{\\{\w+\\}\\}', '.+', re.escape(template_text(file))))


def every_message(t, settings):
    """Has every kind of message sent by email and by text; gives the mails by template."""
    db = t.database(name=f'practice-{len(settings)}.db')
    for key, value in {**settings, 'ehr_requires': ''}.items():
        t.one(db, 'SELECT portal_setting(?, ?)', key, value)
    lived_through_by_email(t, db)
    lived_through_by_text(t, db)
    mails = t.mails(db)
    found = {file.name: [mail for mail in mails if as_pattern(file).fullmatch(t.text(mail))]
             for file in TEMPLATES}
    t.equal([name for name, given in found.items() if not given], [], 'never sent')
    t.equal(sum(map(len, found.values())), len(mails), 'a mail is none of the templates')
    return found


def lived_through_by_email(t, db):
    patient = t.patient(db, **PERSON)
    session = flows.register(t, db, patient, 'wilhelmina')
    t.one(db, "SELECT forgot_password('wilhelmina')")
    t.one(db, 'SELECT deliver()')
    t.one(db, "SELECT set_account_contact('wilhelmina', 'other@example.org')")
    t.advance(1200)
    t.one(db, "SELECT forgot_password('wilhelmina')")
    t.one(db, 'SELECT deliver()')
    flows.ask(t, db, 'SELECT submit_demographics(?, ?, ?)', session, patient,
              '{"email": "new@example.org", "cell_phone": "202-555-0177"}')
    for (request,) in t.all(db, 'SELECT request_id FROM pending_requests'):
        t.one(db, 'SELECT accept_request(?)', request)
    t.one(db, 'SELECT deliver()')
    flows.outgrow(t, db, patient, 'rita.p', channel='text')
    t.one(db, 'SELECT revoke_access(?)', patient)


def lived_through_by_text(t, db):
    patient = t.patient(db, **{**PERSON, 'first_name': 'Wilbur'})
    session = flows.register(t, db, patient, 'wilbur', channel='text')
    t.one(db, "SELECT set_account_contact('wilbur', '202-555-0188')")
    flows.ask(t, db, 'SELECT submit_demographics(?, ?, ?)', session, patient, '{"city": "Ashford"}')
    t.one(db, 'SELECT decline_request(max(request_id)) FROM pending_requests')
    t.one(db, 'SELECT deliver()')
    t.one(db, 'UPDATE patient SET email = NULL WHERE patient_id = ?', patient)
    flows.outgrow(t, db, patient, 'rita.by.text', channel='text')
    t.one(db, 'SELECT revoke_access(?)', patient)


def of_channel(messages, channel):
    return [(name, mail) for name, mails in messages.items() if f'.{channel}.' in name
            for mail in mails]


def test_every_kind_of_message_has_a_template_for_email_and_one_for_text(t):
    t.equal([file.name for file in TEMPLATES],
            [f'{kind}.{channel}.en.txt' for kind in KINDS for channel in ('email', 'text')])


def test_a_text_message_is_one_segment_with_the_default_settings(t):
    for name, mail in of_channel(every_message(t, {}), 'text'):
        one_segment(t, name, t.text(mail))


def test_a_text_message_is_one_segment_with_a_long_practice_name_and_portal_address(t):
    t.equal([len(LONG_SETTINGS['practice_name']), len(LONG_SETTINGS['portal_url'])], [25, 39])
    settings = {**LONG_SETTINGS, 'portal_url': LONG_SETTINGS['portal_url'] + 's'}
    for name, mail in of_channel(every_message(t, settings), 'text'):
        one_segment(t, name, t.text(mail))


def one_segment(t, name, text):
    t.equal(set(text) - GSM7, set(), f'{name} is not GSM-7: {text}')
    t.true(len(text) <= 160, f'{name} has {len(text)} characters: {text}')


def test_the_registration_text_says_for_how_long_and_how_to_opt_out(t):
    for mail in every_message(t, {})['registration.text.en.txt']:
        t.contains(t.text(mail), '72 hours', 'STOP to opt out')


def test_the_text_of_a_mail_goes_as_seven_bit_and_can_be_read_in_the_raw(t):
    for settings in ({}, LONG_SETTINGS):
        for name, mail in of_channel(every_message(t, settings), 'email'):
            part = mail.get_body(('plain',))
            t.equal(part['Content-Transfer-Encoding'], '7bit', name)


def test_the_text_of_a_mail_is_wrapped_at_72_columns(t):
    for name, mail in of_channel(every_message(t, LONG_SETTINGS), 'email'):
        for line in t.text(mail).splitlines():
            t.true(len(line) <= 72 or line.startswith('https://'), f'{name}: {line}')


def test_no_message_holds_a_name_of_the_patient_or_a_date_of_birth(t):
    for name, mails in every_message(t, LONG_SETTINGS).items():
        for mail in mails:
            told = f'{mail["subject"]} {t.text(mail)} {t.html(mail)} {mail["to"]}'
            for secret in ('Wilhelmina', 'Wilbur', 'Featherstone', '1985', '12-10', '12/10'):
                t.true(secret.lower() not in told.lower(), f'{name} tells {secret}: {told}')


def test_a_pin_message_carries_no_link_and_a_link_message_no_pin(t):
    messages = every_message(t, LONG_SETTINGS)
    for name, mails in messages.items():
        for mail in mails:
            bodies = f'{t.text(mail)} {t.html(mail) or ""}'
            carries_link = '://' in bodies or 'href' in bodies
            t.equal(carries_link, name.startswith(('registration.', 'password_reset.')), name)
            carries_pin = re.search(r'(?<![\w-])\d{6}(?![\w-])', bodies) is not None
            t.equal(carries_pin, name.startswith('pin.'), name)


def test_no_placeholder_is_left_in_any_message(t):
    for name, mails in every_message(t, LONG_SETTINGS).items():
        for mail in mails:
            told = f'{mail["subject"]} {t.text(mail)} {t.html(mail)}'
            t.true('{{' not in told and '}}' not in told, f'{name}: {told}')


def test_the_html_of_a_mail_says_who_writes_and_what_the_text_says(t):
    for name, mail in of_channel(every_message(t, LONG_SETTINGS), 'email'):
        t.contains(str(mail['from']), LONG_SETTINGS['practice_name'])
        seen = re.sub(r'<[^>]+>', ' ', t.html(mail)).split()
        missing = [word for word in re.findall(r'[\w-]{4,}', t.text(mail))
                   if word not in ' '.join(seen) and word not in ('Open', 'begin', 'choose')]
        t.equal(missing, [], name)


def test_a_notice_of_a_revoke_names_no_reason(t):
    for mail in every_message(t, {})['deactivated.email.en.txt']:
        t.equal(t.text(mail).split('\n\n')[1],
                'Your patient portal was deactivated by your healthcare provider.')
