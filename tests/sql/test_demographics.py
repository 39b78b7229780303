"""portal_demographics() and portal_practice(): what the portal's pages show."""
import json

import flows


def fields(t, db, session, patient=1):
    """What the person sees of each field."""
    shown = flows.ask(t, db, 'SELECT portal_demographics(?, ?)', session, patient)
    return shown and {field.pop('field'): field for field in shown['fields']}


def submit(t, db, session, **values):
    answer = flows.ask(t, db, 'SELECT submit_demographics(?, 1, ?)', session, json.dumps(values))
    t.equal(answer['result'], 'submitted')


def decide(t, db, field, decision):
    db.execute('UPDATE pending_requests SET decision = ? WHERE field = ?', [decision, field])


def test_it_shows_the_chart_in_every_field_that_may_be_changed(t):
    db = t.database()
    t.patient(db, city='Paris', home_phone=None)
    session = flows.register(t, db, 1, 'ada')
    shown = flows.ask(t, db, 'SELECT portal_demographics(?, 1)', session)
    t.equal({key: shown[key] for key in ('first_name', 'last_name', 'role')},
            {'first_name': 'Ada', 'last_name': 'Lovelace', 'role': 'patient'})
    t.equal([field['field'] for field in shown['fields']],
            ['first_name', 'last_name', 'sex', 'email', 'cell_phone', 'home_phone', 'address_line1', 'address_line2', 'city',
             'state', 'postal_code', 'preferred_language', 'email_consent', 'text_consent'])
    t.equal(fields(t, db, session)['city'], {'value': 'Paris'})
    t.equal(fields(t, db, session)['home_phone'], {'value': None})
    t.equal(fields(t, db, session)['email_consent'], {'value': '1'})


def test_it_shows_what_waits_and_what_became_of_the_rest(t):
    db = t.database()
    t.patient(db)
    session = flows.register(t, db, 1, 'ada')
    submit(t, db, session, city='Paris', state='TX', sex='other')
    decide(t, db, 'city', 'accept')
    decide(t, db, 'state', 'decline')
    shown = fields(t, db, session)
    at = '2026-11-22 14:20:00'
    t.equal(shown['city'], {'value': 'Paris', 'request': {'status': 'accepted', 'value': 'Paris', 'at': at}})
    t.equal(shown['state'], {'value': None, 'request': {'status': 'declined', 'value': 'TX', 'at': at}})
    t.equal(shown['sex']['request'], {'status': 'pending', 'value': 'other', 'at': at})
    submit(t, db, session, city='Rome')
    t.equal(fields(t, db, session)['city']['request']['value'], 'Rome')
    t.advance(91 * 86400)
    session = flows.login(t, db, 'ada')
    t.equal([name for name, field in fields(t, db, session).items() if 'request' in field], ['sex', 'city'])


def test_what_another_was_refused_is_not_shown_but_what_waits_is(t):
    db = t.database()
    t.patient(db)
    first = flows.register(t, db, 1, 'ada')
    second = flows.register_representative(t, db, 1, 'rita')
    submit(t, db, first, city='Paris', state='TX')
    decide(t, db, 'city', 'decline')
    t.true('request' not in fields(t, db, second)['city'])
    t.equal(fields(t, db, second)['state']['request']['status'], 'pending')


def test_it_shows_nothing_to_whom_it_does_not_concern(t):
    db = t.database()
    t.patient(db)
    t.patient(db)
    session = flows.register(t, db, 1, 'ada')
    for other in (session[:-1] + 'x', 'nonsense', '', None):
        t.equal(fields(t, db, other), None)
    t.equal(fields(t, db, session, 2), None)
    t.equal(fields(t, db, session, 99), None)
    t.refuses(db, "SELECT portal_demographics('nonsense', NULL)", says='patient_id')
    t.refuses(db, "SELECT submit_demographics('nonsense', NULL, '{}')", says='patient_id')
    db.execute('SELECT revoke_access(1)')
    t.equal(fields(t, db, session), None)
    t.refuses(db, 'SELECT portal_demographics(?, NULL)', session, says='patient_id')


def test_it_keeps_the_session_from_idling_out_and_not_longer(t):
    db = t.database()
    t.patient(db)
    session = flows.register(t, db, 1, 'ada')
    for _ in range(3):
        t.advance(29 * 60)
        t.true(fields(t, db, session))
    t.advance(31 * 60)
    t.equal(fields(t, db, session), None)


def test_scheduling_does_not_see_what_patients_see(t):
    db = t.database(application='scheduling')
    t.refuses(db, "SELECT portal_demographics('x', 1)", says='scheduling')


def test_the_practice_is_told_as_it_is_set(t):
    db = t.database()
    db.execute("SELECT portal_setting('practice_name', 'Elm \"St\"'), portal_setting('practice_phone', '(202) 555-0100')")
    db.execute("SELECT portal_setting('portal_color', '#aB0012')")
    page = t.connect(t.file(db), application='portal')
    t.equal(flows.ask(t, page, 'SELECT portal_practice()'),
            {'name': 'Elm "St"', 'phone': '(202) 555-0100', 'color': '#aB0012', 'url': 'http://localhost:8080'})
    for color in ('red', '#12345', '#1234567', 'aabbcc#', '#gggggg', ''):
        t.refuses(db, "SELECT portal_setting('portal_color', ?)", color, says='portal_color')
