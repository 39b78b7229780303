"""Demographics entered on the portal: what may be asked for, and what it becomes."""
import json
import random

import flows
from submissions import SUBMIT, chart, decided, pending, practice, refused, request, submit

# Submitting

def test_each_changed_field_is_one_pending_request_and_the_chart_stays(t):
    db, patient, session = practice(t)
    t.equal(submit(t, db, session, patient, city='Shelbyville', state='IL', email='new@example.com'), 3)
    t.equal(t.all(db, 'SELECT patient_id, patient_name, field, current_value, proposed_value,'
                      ' submitted_by, submitted_as, submitted_at, conflict FROM pending_requests ORDER BY field'),
            [(patient, 'Ada Lovelace', field, now, then, 'ada', 'patient', '2026-11-22 14:20:00', 0)
             for field, now, then in [('city', 'Springfield', 'Shelbyville'),
                                      ('email', 'ada@example.com', 'new@example.com'),
                                      ('state', None, 'IL')]])
    t.equal(chart(t, db, patient, 'city'), 'Springfield')
    t.equal(chart(t, db, patient, 'email'), 'ada@example.com')


def test_a_request_of_a_representative_says_the_relationship(t):
    db = t.database()
    patient = t.patient(db)
    session = flows.register_representative(t, db, patient, 'rita', relationship='parent')
    submit(t, db, session, patient, city='Shelbyville')
    t.equal(t.all(db, 'SELECT submitted_by, submitted_as FROM pending_requests'), [('rita', 'parent')])


def test_unchanged_values_make_no_request(t):
    db, patient, session = practice(t, state=None, email_consent=1)
    t.equal(submit(t, db, session, patient, first_name='Ada', last_name='Lovelace', city='Springfield',
                   state=None, email_consent=True, text_consent=1, sex='female'), 0)
    t.equal(pending(t, db), [])


def test_contacts_are_compared_normalised(t):
    db, patient, session = practice(t)
    t.equal(submit(t, db, session, patient, email=' ada@EXAMPLE.com ', cell_phone='(202) 555-0100'), 0)
    t.equal(submit(t, db, session, patient, cell_phone='+1 202 555 0101'), 1)


def test_an_empty_field_of_the_form_is_the_same_as_an_empty_one_of_the_chart(t):
    db, patient, session = practice(t, state='', address_line2=None)
    t.equal(submit(t, db, session, patient, state='', address_line2=''), 0)
    t.equal(submit(t, db, session, patient, state=None, address_line2=None), 0)
    t.equal(submit(t, db, session, patient, state='IL', address_line2='2nd floor'), 2)


def test_spaces_around_a_value_are_dropped(t):
    db, patient, session = practice(t)
    t.equal(submit(t, db, session, patient, city='  Springfield  '), 0)
    submit(t, db, session, patient, city='  Shelby ville  ')
    t.equal(pending(t, db), [('city', 'Shelby ville')])


def test_a_field_can_be_emptied(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, city='', home_phone=None, cell_phone=None)
    t.equal(pending(t, db), [('city', None), ('cell_phone', None)])
    t.one(db, 'SELECT accept_request(?)', request(t, db, 'city'))
    t.equal(chart(t, db, patient, 'city'), None)


def test_consent_is_given_and_withdrawn_as_a_number_a_boolean_or_text(t):
    db, patient, session = practice(t)
    for value in (0, False, '0'):
        t.equal(submit(t, db, session, patient, email_consent=value), 1, f'{value!r}')
        t.equal(pending(t, db), [('email_consent', '0')])
    t.one(db, 'SELECT accept_request(?)', request(t, db, 'email_consent'))
    t.equal(t.all(db, 'SELECT email_consent, typeof(email_consent) FROM patient'), [(0, 'integer')])


def test_a_newer_submission_supersedes_the_older_of_its_field_alone(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, city='Shelbyville', state='IL')
    older = request(t, db, 'city')
    submit(t, db, session, patient, city='Ogdenville')
    t.equal(pending(t, db), [('state', 'IL'), ('city', 'Ogdenville')])
    t.equal(decided(t, db, older), 'superseded')
    t.refuses(db, 'SELECT accept_request(?)', older, says=[f'request {older}', 'superseded'])
    t.equal(chart(t, db, patient, 'city'), 'Springfield')


def test_submitting_the_charts_value_withdraws_what_was_asked(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, city='Shelbyville')
    older = request(t, db, 'city')
    t.equal(submit(t, db, session, patient, city='Springfield'), 0)
    t.equal(pending(t, db), [])
    t.equal(decided(t, db, older), 'superseded')
    t.equal(t.one(db, "SELECT count(*) FROM portal_audit WHERE action = 'request.withdrawn'"
                      " AND subject = ?", f'request {older}'), 1)


def test_another_persons_submission_supersedes_as_well(t):
    db, patient, session = practice(t)
    other = flows.register_representative(t, db, patient, 'rita')
    submit(t, db, session, patient, city='Shelbyville')
    submit(t, db, other, patient, city='Ogdenville')
    t.equal(t.all(db, 'SELECT proposed_value, submitted_by FROM pending_requests'), [('Ogdenville', 'rita')])


# What may be asked

def test_values_are_checked_as_strictly_as_in_quick_add(t):
    db, patient, session = practice(t)
    bad = {
        'email': ['ada', 'ada@', '@example.com', 'a b@example.com', 'ada@example.com\r\nBcc: x@example.com',
                  'ada@exam\u200bple.com', 'a' * 250 + '@example.com', 'ada@example.com, b@example.com',
                  '<ada@example.com>', 7, True, 'ada@localhost@example.com'],
        'cell_phone': ['12', 'call me', '+1202555010x', '2025550100 ext 5', '+1' + '2' * 30,
                       '\u202e+12025550100', True, '+1\n2025550100'],
        'home_phone': ['letters', '0'],
        'first_name': ['', None, '   ', 'A' * 101, 'Ada\u0007', 'A\u200bda', 'Ada\nLovelace', '---', '\u202eadA',
                       True, 'A\u2028da'],
        'last_name': ['', None, 'L' * 101, 'Love\tlace'],
        'city': ['C' * 201, 'Spring\nfield', 'Spring\u2066field', True, False],
        'address_line1': ['1 Main St\r\nApt 2', 'x' * 5000],
        'postal_code': ['1' * 21, '62\u00ad704'],
        'sex': ['f' * 21],
        'preferred_language': ['e n', '-', 'en-', 'x' * 40, 'english!', True],
        'email_consent': ['yes', 2, -1, None, '', 1.5, 'true'],
        'text_consent': [10, ' '],
    }
    for field, values in bad.items():
        for value in values:
            t.contains(refused(t, db, session, patient, {field: value}), field)


def test_good_values_are_taken_as_people_write_them(t):
    db, patient, session = practice(t)
    good = {'first_name': 'Zoë-Ann', 'last_name': "O'Connor", 'email': 'zoe.o+portal@example.co.uk',
            'cell_phone': '(202) 555-0199', 'home_phone': '+44 20 7946 0958', 'address_line1': '1 Rue de l’Été',
            'address_line2': 'Nr. 5', 'city': '東京', 'state': 'IL', 'postal_code': '62704-1234',
            'preferred_language': 'es-MX', 'sex': 'other'}
    t.equal(submit(t, db, session, patient, **good), len(good))
    t.equal(dict(pending(t, db)), good)
    t.equal(db.execute("UPDATE pending_requests SET decision = 'accept'").rowcount, len(good))
    for field, value in good.items():
        t.equal(chart(t, db, patient, field), value)


def test_a_number_is_taken_as_its_text(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, postal_code=62704, address_line2=7)
    t.equal(pending(t, db), [('postal_code', '62704'), ('address_line2', '7')])


def test_one_bad_field_refuses_the_whole_submission(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, state='IL')
    for document in ({'city': 'Shelbyville', 'email': 'bad'}, {'email': 'bad', 'city': 'Shelbyville'},
                     {'state': 'Illinois', 'date_of_birth': '2000-01-01'},
                     {'city': 'Shelbyville', 'state': ['IL']}):
        refused(t, db, session, patient, document)
    t.equal(pending(t, db), [('state', 'IL')])


def test_what_is_not_a_json_object_is_refused_as_data(t):
    db, patient, session = practice(t)
    for text in ('', ' ', 'null', '[]', '[{"city":"X"}]', '1', '"city"', 'true', '{', '{"city"}', '{city: 1}',
                 "{'city': 'X'}", '{"city": "X",}', '{"city": "X"} x', '{"city": "X"}{"state": "IL"}',
                 '{"city": "\x01"}', '{"city": NaN}', '\ufeff{"city":"X"}', '[' * 5000 + ']' * 5000,
                 '{"city": "X', '{"city": "\\u12', '{"city": "X\\', '{"city": "X"', '{"city": "\\x"}', '{"city": "\\u12"}', '{"city": "\\u00g0"}',
                 '{"city": 01}', '{"city": 1.}', '{"city": .5}', '{"city": -}', '{"city": 1e}', '{"city": +1}', '{"city": 1x}',
                 '{"city": tru}', '{"city": nullx}', '{"city":}', '{"city": "X" "state": "IL"}', '{,}', '{"city": "X"}}',
                 '{city: "X"}', '{"city" "X"}', '{"city": "X", "state"}', '{"city": 0x1}', '{"city": "X" /* */}'):
        t.contains(refused(t, db, session, patient, text), 'JSON object')
    t.equal(flows.ask(t, db, SUBMIT, session, patient, None)['result'], 'refused')
    t.equal(flows.ask(t, db, SUBMIT, session, patient, '{}'), {'result': 'submitted', 'requests': 0})


# A document, and what the reason for refusing it names.
BAD_DOCUMENTS = [
    *(({field: '1'}, (field, 'can not be changed')) for field in (
        'date_of_birth', 'patient_id', 'active', 'phr_active', 'deceased_on', 'rowid', 'EMAIL', 'Email', 'nonsense',
        'email ', '', "email = 'x' --", 'first_name, last_name', '*')),
    ({'e' * 5000: 'x'}, ('can not be changed',)),
    ('{"a":' * 3000 + '1' + '}' * 3000, ('a ', 'can not be changed')),
    ('{"city": "A", "city": "B"}', ('city', 'twice')), ('{"city": "A", "c\\u0069ty": "B"}', ('city', 'twice')),
    *(({'city': value}, ('city',)) for value in ({}, [], {'x': 1}, ['Shelbyville'], [[]])),
    # An escaped NUL would be cut off; half of a surrogate pair is no character.
    *((text, ()) for text in (
        '{"city": "Shelby\\u0000ville"}', '{"city\\u0000": "Shelbyville"}', '{"city": "\\u0000"}',
        '{"email": "new@example.com\\u0000"}', '{"city": "a\\\\\\u0000b"}', '{"city": "\\ud800"}',
        '{"city": "a\\udc00b"}', '{"email": "a\\ud800@example.com"}',
        '{"city": "\\ud800\\u0041"}', '{"city": "\\ud800\\ue000"}')),
    ({'preferred_language': 'en-' * 40 + 'en'}, ('preferred_language',)),
]


def test_a_bad_document_is_refused_and_named(t):
    db, patient, session = practice(t)
    for document, named in BAD_DOCUMENTS:
        t.contains(refused(t, db, session, patient, document), *named)
    # A backslash and letters are no escape, and a whole pair is a character.
    t.equal(submit(t, db, session, patient, city='C:\\u0000'), 1)
    t.equal(submit(t, db, session, patient, city='\U0001d4d0'), 1)


def test_json_is_read_as_python_reads_it(t):
    db, patient, session = practice(t)
    numbers = ('0', '-0', '12', '-1.50', '1e3', '2E-7', '3.25e+10', '123456789012345678')
    strings = ('', '\u00e9\u4eac', '\U0001d4d0', '"', '\\', '/', '\\"', 'a' * 200, '{"city": 1}', "it's")
    blanks = ('', ' ', '\t', '\n', '\r\n  ')
    choose = random.Random(3).choice
    texts = [value if value in numbers else json.dumps(value, ensure_ascii=ascii)
             for value in (*numbers, *strings) for ascii in (False, True)]
    for text in (*texts, r'"\u00E9\ud835\udcd0\/"', 'null'):
        document = ''.join(part + choose(blanks) for part in (
            '', '{', '"state"', ':', '"IL"', ',', r'"c\u0069ty"', ':', text, ',', '"postal_code"', ':', '7', '}'))
        db.execute('DELETE FROM portal_request')
        t.equal(flows.ask(t, db, SUBMIT, session, patient, document)['result'], 'submitted', document)
        wanted = json.loads(document, parse_int=str, parse_float=str)
        t.equal(dict(pending(t, db)), {field: value or None for field, value in wanted.items()}, document)


def test_a_huge_document_and_invalid_text_are_refused_as_data(t):
    db, patient, session = practice(t)
    refused(t, db, session, patient, json.dumps({'city': 'x' * 70_000}))
    refused(t, db, session, patient, json.dumps({'city': 'x' * 60_000}))
    t.equal(t.one(db, """SELECT submit_demographics(?, ?, CAST(x'7b2263697479223a22ff227d' AS TEXT)) ->> 'result'""",
                  session, patient), 'refused')
    t.equal(t.one(db, """SELECT submit_demographics(?, ?, '{"city":"X"}' || char(0) || 'x') ->> 'result'""",
                  session, patient), 'refused')


def test_a_document_that_is_no_text_is_misuse(t):
    db, patient, session = practice(t)
    for value in (b'{"city":"X"}', 7, 1.5):
        t.refuses(db, SUBMIT, session, patient, value, says='json must be text')


def test_a_session_of_another_patient_or_none_is_refused(t):
    db, patient, session = practice(t)
    other = t.patient(db, first_name='Eve')
    for who, whom in ((session, other), (session, 999), (session, 'x'), ('', patient), ('x' * 32, patient),
                      (session[:-1] + ('A' if session[-1] != 'A' else 'B'), patient), (None, patient)):
        answer = flows.ask(t, db, SUBMIT, who, whom, '{"city":"X"}')
        t.equal(answer['result'], 'refused', f'{who} {whom}')
    t.equal(pending(t, db), [])


def test_a_signed_out_or_idle_session_can_not_submit(t):
    db, patient, session = practice(t)
    idle = flows.login(t, db, 'ada')
    t.one(db, 'SELECT portal_logout(?)', session)
    t.equal(refused(t, db, session, patient, {'city': 'X'}), 'session')
    t.advance(31 * 60)
    t.equal(refused(t, db, idle, patient, {'city': 'X'}), 'session')


def test_a_person_may_submit_so_many_changes_in_24_hours_and_no_more(t):
    db, patient, session = practice(t)
    child = t.patient(db, first_name='Anne')
    flows.register_representative(t, db, child, 'ada')
    other = flows.register_representative(t, db, patient, 'rita')
    db.execute("SELECT portal_setting('requests_per_day', 5)")
    spent = "SELECT count(*) FROM portal_audit WHERE action = 'account.requests_spent'"
    for number in range(3):
        t.equal(submit(t, db, session, patient, city=f'City {number}'), 1)
    t.equal(submit(t, db, session, patient, city='Springfield'), 0, 'what changes nothing costs nothing')
    t.advance(1200)
    t.equal((t.one(db, spent), submit(t, db, session, child, city='Rome', state='IL', sex='female'), t.one(db, spent)),
            (0, 2, 1))
    rows = t.all(db, 'SELECT count(*) FROM portal_request') + t.all(db, 'SELECT count(*) FROM portal_audit')
    for whose in (patient, child):
        for _ in range(20):
            t.contains(refused(t, db, session, whose, {'city': 'Paris'}), 'too many changes in 24 hours')
    t.equal(t.all(db, 'SELECT count(*) FROM portal_request') + t.all(db, 'SELECT count(*) FROM portal_audit'), rows)
    t.equal(submit(t, db, other, patient, city='Turin'), 1, "another person's is not spent")
    t.advance(86400 - 1200)
    session = flows.login(t, db, 'ada')
    t.equal(submit(t, db, session, patient, city='Oslo'), 1, 'three of the five are a day old')


def test_a_submission_rolled_back_leaves_nothing(t):
    db, patient, session = practice(t)
    submit(t, db, session, patient, city='Shelbyville')
    db.execute('BEGIN')
    submit(t, db, session, patient, city='Ogdenville', state='IL')
    db.execute('ROLLBACK')
    t.equal(pending(t, db), [('city', 'Shelbyville')])
