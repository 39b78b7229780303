"""The whole story at the portal's pages, as browsers without JavaScript have it."""
import html
import re

import flows
import harness
import paper
import snapshot
from browser import Browser, Server
from visits import PASSWORD, new_pin, practice, register, says, send, sign_in


def test_a_patient_registers_signs_in_changes_something_and_signs_out(t):
    db, server = practice(t)
    browser = Browser(server)
    browser.open(send(t, db))
    says(t, browser, 'Elm Street invites you', '(202) 555-0100')
    t.equal(browser.page.path, '/register')
    browser.open('/register/who')
    pin = new_pin(t, db, browser)
    browser.submit('/register/account', pin=pin, username='ada', password=PASSWORD)
    says(t, browser, 'You are registered')
    t.equal(flows.status(t, db, 1), 'registered')
    sign_in(t, browser)
    browser.open('/demographics?patient=1')
    says(t, browser, 'Ada Lovelace')
    t.equal(browser.fields('/demographics')['email'], 'ada1@example.com')
    browser.submit('/demographics', city='Paris')
    says(t, browser, 'waiting for the practice: Paris')
    t.equal(t.all(db, 'SELECT field, proposed_value, submitted_as FROM pending_requests'), [('city', 'Paris', 'patient')])
    db.execute("UPDATE pending_requests SET decision = 'accept'")
    browser.open('/demographics?patient=1')
    says(t, browser, 'The practice accepted: Paris')
    browser.submit('/sign-out')
    says(t, browser, 'Sign in')
    browser.open('/patients')
    says(t, browser, 'You have been signed out', status=403)


def test_a_field_of_the_practices_own_is_asked_for_as_it_is_called(t):
    db, server = practice(t)
    db.execute('ALTER TABLE patient ADD COLUMN family_doctor TEXT')
    db.execute("""SELECT portal_map_patient(json_patch(portal_map_patient(),
                  '{"family_doctor": "family_doctor", "requests": ["city", "family_doctor"]}'))""")
    browser = register(t, db, server)
    sign_in(t, browser)
    browser.open('/demographics?patient=1')
    says(t, browser, 'Family doctor')
    t.equal(sorted(name for name in browser.fields('/demographics') if not name.startswith(('before.', 'form'))), ['city', 'family_doctor'])
    browser.submit('/demographics', family_doctor='x' * 201)
    says(t, browser, 'Please note: Family doctor : it is too long', status=422)
    browser.submit('/demographics', family_doctor='Dr Grey <b>')
    says(t, browser, 'waiting for the practice: Dr Grey <b>')
    db.execute("UPDATE pending_requests SET decision = 'accept'")
    t.equal(t.one(db, 'SELECT family_doctor FROM patient'), 'Dr Grey <b>')
    # The last field of the form, which may be emptied as any other.
    browser.open('/demographics?patient=1')
    t.equal([*browser.fields('/demographics')][-1], 'family_doctor')
    browser.submit('/demographics', family_doctor='')
    says(t, browser, 'waiting for the practice: (empty)')
    db.execute("UPDATE pending_requests SET decision = 'accept'")
    t.equal(t.one(db, 'SELECT family_doctor FROM patient'), None)


def test_as_many_fields_of_its_own_as_a_practice_may_have_are_asked_for(t):
    db, server = practice(t, city='Ludlow\r\nVermont\n')
    for number in range(40):
        db.execute(f'ALTER TABLE patient ADD COLUMN own_{number} TEXT')
    db.execute('''SELECT portal_map_patient(json_set(json_patch(portal_map_patient(), json_group_object(name, name)), '$.requests',
                  (SELECT json_group_array(value) FROM (SELECT value FROM json_each(portal_map_patient(), '$.requests')
                                                        UNION ALL SELECT name FROM pragma_table_info('patient') WHERE name LIKE 'own%'))))
                  FROM pragma_table_info('patient') WHERE name LIKE 'own%' ''')
    browser = register(t, db, server)
    sign_in(t, browser)
    browser.open('/demographics?patient=1')
    # A browser takes ends of lines out of what is shown in an input, and leaves them in what is hidden.
    shown = browser.fields('/demographics')
    t.equal((shown['city'], shown['before.city']), ('Ludlow  Vermont ',) * 2)
    browser.submit('/demographics', own_39='last', first_name='Augusta')
    says(t, browser, 'wait for the practice: 2', 'waiting for the practice: last')


def test_a_representative_registers_and_acts_for_the_patient(t):
    db, server = practice(t)
    browser = Browser(server)
    browser.open(send(t, db))
    browser.open('/register/who')
    before = len(t.mails(db))
    browser.submit('/register/who', **{'as': 'representative', 'last_name': 'Lovelace', 'date_of_birth': '1985-12-10'})
    t.equal(browser.page.path, '/register/representative')
    pin = t.pin(t.mails(db)[before])
    browser.submit('/register/representative', pin=pin, name='Rita Parent', relationship='parent', username='rita',
                   password=PASSWORD)
    says(t, browser, 'You are registered')
    sign_in(t, browser, 'rita')
    says(t, browser, 'Ada Lovelace')
    t.equal(t.one(db, 'SELECT relationship FROM portal_access'), 'parent')


@harness.release_only
def test_whoever_has_a_letter_is_told_that_the_pin_is_on_it_in_either_language(t):
    db, server = practice(t, email=None, cell_phone=None)
    words = {'en': ('printed on your letter', 'the code of six digits on your letter', 'newest message or letter'),
             'es': ('están en su carta', 'el código de seis cifras de su carta', 'último mensaje o su carta')}
    for language, (before, after, wrong) in words.items():
        letter = paper.Letter(t, db, 1)
        browser = Browser(server)
        browser.open(letter.link().removeprefix(server.url))
        browser.open(f'/register?language={language}')
        says(t, browser, before)
        browser.open('/register/who')
        browser.submit('/register/who', last_name='Lovelace', date_of_birth='1985-12-10')
        says(t, browser, after)
        t.true('We have sent' not in browser.text() and 'Hemos enviado' not in browser.text(), browser.text())
        browser.submit('/register/account', pin=flows.wrong_pin(letter.pin), username='ada', password=PASSWORD)
        says(t, browser, wrong, after, status=422)
        t.advance(60)
    browser.submit('/register/account', pin=letter.pin, username='ada', password=PASSWORD)
    t.equal(flows.status(t, db, 1), 'registered')
    t.equal(t.mails(db), [])
    # The next one in the same browser is sent a PIN, and told so.
    db.execute("UPDATE patient SET email = 'ada@example.com'")
    browser.open(send(t, db))
    browser.open('/register/who')
    browser.submit('/register/who', last_name='Lovelace', date_of_birth='1985-12-10')
    t.true('carta' not in browser.text(), browser.text())


def test_another_field_does_not_take_back_what_waits(t):
    db, server = practice(t)
    browser = register(t, db, server)
    sign_in(t, browser)
    browser.open('/demographics?patient=1')
    browser.submit('/demographics', city='Paris')
    browser.submit('/demographics', state='TX')
    t.equal(sorted(t.all(db, 'SELECT field, proposed_value FROM pending_requests')), [('city', 'Paris'), ('state', 'TX')])


def test_a_revoke_signs_out_at_the_next_click_and_the_same_password_works_after_a_new_link(t):
    db, server = practice(t)
    browser = register(t, db, server)
    sign_in(t, browser)
    browser.open('/demographics?patient=1')
    db.execute('SELECT revoke_access(1)')
    browser.submit('/demographics', city='Paris')
    says(t, browser, 'You have been signed out', status=403)
    browser.submit('/sign-in', username='ada', password=PASSWORD)
    says(t, browser, 'not right, or the account can not be used at present', status=422)
    send(t, db)
    sign_in(t, browser)


def test_a_forgotten_password_is_replaced_by_the_link_in_the_message(t):
    db, server = practice(t)
    browser = register(t, db, server)
    for username in ('nobody', 'ada'):
        browser.open('/forgot')
        browser.submit('/forgot', username=username)
        says(t, browser, 'If there is an account of that name')
    db.execute('SELECT deliver()')
    link = next(word for word in t.text(flows.newest(t, db, 'password')).split() if '/p/' in word)
    browser.open(link.removeprefix(server.url))
    t.equal(browser.page.path, '/reset')
    browser.submit('/reset', password='short')
    says(t, browser, 'too short', status=422)
    browser.submit('/reset', password='another analytical engine')
    says(t, browser, 'Your password was changed')
    browser.open('/sign-in')
    browser.submit('/sign-in', username='ada', password='another analytical engine')
    says(t, browser, 'My patients')


def test_what_is_wrong_comes_back_with_what_was_entered_but_for_secrets(t):
    db, server = practice(t)
    browser = Browser(server)
    browser.open(send(t, db))
    browser.open('/register/who')
    browser.submit('/register/who', last_name='Smith & "Co"', date_of_birth='1985-12-10')
    says(t, browser, 'does not match', status=422)
    t.equal(browser.fields('/register/who')['last_name'], 'Smith & "Co"')
    pin = new_pin(t, db, browser)
    browser.submit('/register/account', pin=flows.wrong_pin(pin), username='ada', password=PASSWORD)
    says(t, browser, 'The PIN is not right', status=422)
    browser.submit('/register/account', pin=pin, username='ada', password='short')
    says(t, browser, 'The password is too short', status=422)
    t.equal({browser.fields('/register/account')[name] for name in ('pin', 'password')}, {''})
    browser.submit('/register/account', pin=pin, username='ada', password=PASSWORD)
    says(t, browser, 'You are registered')


def test_every_dead_link_says_which_it_is_what_to_do_and_the_phone(t):
    db, server = practice(t)
    old, newer = send(t, db), send(t, db)
    browser = Browser(server)
    for path, status, words in [(old, 410, 'Only the newest one works'), ('/r/' + 'A' * 32, 404, 'This link does not work.'),
                                ('/r/nonsense', 404, 'This link does not work.')]:
        browser.open(path)
        says(t, browser, words, '(202) 555-0100', status=status)
    t.advance(72 * 3600 + 1)
    server.end()
    server = Server(t, t.file(db))
    browser = Browser(server)
    browser.open(newer)
    says(t, browser, 'it has expired', 'ask the practice for a new one', status=410)
    third = send(t, db)
    db.execute('SELECT revoke_access(1)')
    browser.open(third)
    says(t, browser, 'no longer good', status=410)


def test_a_used_link_says_so(t):
    db, server = practice(t)
    link = send(t, db)
    browser = Browser(server)
    browser.open(link)
    browser.open('/register/who')
    browser.submit('/register/account', pin=new_pin(t, db, browser), username='ada', password=PASSWORD)
    browser.open(link)
    says(t, browser, 'This link has been used already', 'please sign in', status=410)


def test_opening_a_link_changes_nothing_however_often(t):
    db, server = practice(t)
    link = send(t, db)
    before = snapshot.contents(db, ())
    for _ in range(50):
        browser = Browser(server)
        for method in ('GET', 'HEAD'):
            browser.ask(method, link)
            browser.ask(method, '/register')
            browser.ask(method, '/register/who')
    t.equal(snapshot.contents(db, ()), before)


def test_a_text_key_names_a_patient_as_well(t):
    db = t.connect(t.path('text.db'))
    db.execute('CREATE TABLE patient (patient_id TEXT PRIMARY KEY, first_name, last_name, date_of_birth, sex, email,'
               ' cell_phone, home_phone, address_line1, address_line2, city, state, postal_code, preferred_language,'
               ' email_consent DEFAULT 1, text_consent DEFAULT 1, phr_active, active DEFAULT 1, deceased_on)')
    db.execute('SELECT portal_init()')
    key = '42 a&"' + 'é' * 50
    t.patient(db, patient_id=key)
    server = Server(t, t.path('text.db'))
    browser = Browser(server)
    browser.open(f"/r/{flows.send(t, db, key)}")
    browser.open('/register/who')
    browser.submit('/register/account', pin=new_pin(t, db, browser), username='ada', password=PASSWORD)
    sign_in(t, browser)
    path = browser.page.html.partition('/demographics?patient=')[2].partition('"')[0]
    browser.open(f'/demographics?patient={path}')
    browser.submit('/demographics', city='Paris')
    says(t, browser, 'waiting for the practice: Paris')


def test_a_patient_below_the_age_is_told_of_a_representative_and_the_same_pin_serves_one(t):
    db, server = practice(t, date_of_birth='1985-12-10')
    db.execute("SELECT portal_setting('self_registration_age', 99)")
    browser = Browser(server)
    browser.open(send(t, db))
    browser.open('/register/who')
    pin = new_pin(t, db, browser)
    browser.submit('/register/account', pin=pin, username='ada', password=PASSWORD)
    says(t, browser, 'A parent or another representative can register instead', status=422)
    t.contains(browser.page.html, 'href="/register/representative"')
    browser.open('/register/representative')
    browser.submit('/register/representative', pin=pin, username='rita', password=PASSWORD, name='Rita', relationship='parent')
    says(t, browser, 'You are registered')


def test_a_contact_that_wants_no_messages_is_told_so(t):
    db, server = practice(t, cell_phone=None)
    browser = Browser(server)
    browser.open(send(t, db))
    browser.open('/register/who')
    db.execute("SELECT portal_opt_out('ada1@example.com')")
    browser.submit('/register/who', last_name='Lovelace', date_of_birth='1985-12-10')
    says(t, browser, 'does not want messages from us any more', status=422)


def test_asking_for_another_pin_at_once_says_when_and_keeps_the_first(t):
    db, server = practice(t)
    browser = Browser(server)
    browser.open(send(t, db))
    browser.open('/register/who')
    pin = new_pin(t, db, browser)
    browser.open('/register/who')
    browser.submit('/register/who', last_name='Lovelace', date_of_birth='1985-12-10')
    says(t, browser, 'We sent a PIN a moment ago', 'in 60 seconds')
    browser.submit('/register/account', pin=pin, username='ada', password=PASSWORD)
    says(t, browser, 'You are registered')


def test_an_account_that_is_there_gets_another_patient_with_its_own_password_alone(t):
    db, server = practice(t)
    t.patient(db, first_name='Byron')
    browser = register(t, db, server)
    browser.open(send(t, db, 2))
    browser.open('/register/who')
    pin = new_pin(t, db, browser)
    browser.submit('/register/account', pin=pin, username='ada', password='some other password')
    says(t, browser, 'If it is your own, enter the password that belongs to it', status=422)
    browser.submit('/register/account', pin=pin, username='ada', password=PASSWORD)
    says(t, browser, 'You are registered')
    sign_in(t, browser)
    says(t, browser, 'Ada Lovelace', 'Byron Lovelace')


def test_what_another_person_asked_for_is_seen_to_wait_and_is_not_taken_over(t):
    db, server = practice(t)
    first, second = register(t, db, server), register(t, db, server, 'rita')
    sign_in(t, first)
    sign_in(t, second, 'rita')
    first.open('/demographics?patient=1')
    first.submit('/demographics', city='Paris', email_consent='0')
    second.open('/demographics?patient=1')
    says(t, second, 'waiting for the practice: Paris', 'waiting for the practice: No')
    second.submit('/demographics', state='TX')
    t.equal(t.all(db, 'SELECT field, submitted_by FROM pending_requests ORDER BY field'),
            [('city', 'ada'), ('email_consent', 'ada'), ('state', 'rita')])
    db.execute("UPDATE pending_requests SET decision = 'decline'")
    second.open('/demographics?patient=1')
    says(t, second, 'did not accept: TX')
    t.true('Paris' not in second.text(), 'what another was refused')


def test_a_form_of_the_chart_without_a_change_asks_for_nothing_and_says_so(t):
    db, server = practice(t)
    browser = register(t, db, server)
    sign_in(t, browser)
    browser.open('/demographics?patient=1')
    browser.submit('/demographics')
    says(t, browser, 'You have not changed anything', status=422)
    browser.submit('/demographics', city='Paris')
    browser.submit('/demographics', city='')
    t.equal(t.all(db, 'SELECT * FROM pending_requests'), [])


def test_who_can_not_act_for_a_patient_any_more_is_told_at_the_next_form_and_keeps_the_others(t):
    db, server = practice(t)
    t.patient(db, first_name='Byron')
    browser = register(t, db, server)
    browser.open(send(t, db, 2))
    browser.open('/register/who')
    browser.submit('/register/account', pin=new_pin(t, db, browser), username='ada', password=PASSWORD)
    sign_in(t, browser)
    browser.open('/demographics?patient=2')
    db.execute('UPDATE patient SET active = 0 WHERE patient_id = 2')
    browser.submit('/demographics', city='Paris')
    t.contains(browser.text(), 'can not act for this patient any more', 'Ada Lovelace')


def test_a_link_for_a_new_password_that_is_over_says_so_and_offers_another(t):
    db, server = practice(t)
    browser = Browser(server)
    browser.open('/p/' + 'A' * 32)
    browser.submit('/reset', password=PASSWORD)
    says(t, browser, 'This link can not be used', 'Have a new link sent', status=410)
    browser.open('/reset')
    says(t, browser, 'This link can not be used', status=410)


def test_the_language_that_is_chosen_stays_and_so_does_the_patient(t):
    db, server = practice(t)
    browser = register(t, db, server)
    sign_in(t, browser)
    browser.open('/demographics?patient=1')
    [query] = re.findall(r'href="([?][^"]*)"', browser.page.html)
    browser.open('/demographics' + html.unescape(query))
    says(t, browser, 'Datos personales', 'Ada Lovelace')
    browser.open('/patients')
    says(t, browser, 'Mis pacientes')
