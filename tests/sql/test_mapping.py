"""A practice's own patient table: the whole workflow on each layout, and what mapping one refuses."""
import json
import re

import flows
import layouts
import synthea
from layouts import LAYOUTS

BORN = {'Ada': '1985-12-10', 'Grace': '1906-12-09', 'Emmy': '1982-03-23'}


def practice(t, layout):
    """A database with the practice's tables, mapped."""
    db = t.database(init=False)
    db.executescript(layout.schema)
    before = own_schema(db)
    t.contains(t.one(db, 'SELECT portal_init(?)', json.dumps(layout.mapping)), 'were made', 'Patients are kept in')
    t.equal(own_schema(db), before)
    return db


def own_schema(db):
    """All of the practice's schema."""
    return db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE tbl_name NOT LIKE 'portal\\_%' ESCAPE '\\'"
                      ' ORDER BY 1, 2').fetchall()


def key_of(t, db, name):
    return t.one(db, 'SELECT patient_id FROM portal_find(?)', name)


def token_of(t, db):
    return t.token(flows.newest(t, db, '/r/'))


def prove(t, db, token, last, first):
    answer = flows.prove(t, db, token, last, BORN[first])
    t.equal(answer['result'], 'pin_sent', f'{first}: {answer}')
    return t.pin(t.mails(db)[-1])


def raw(t, db, mapping, field, key):
    """What stands in the practice's own column."""
    column = mapping[field]['column'] if isinstance(mapping[field], dict) else mapping[field]
    id_column = mapping['patient_id']['column'] if isinstance(mapping['patient_id'], dict) else mapping['patient_id']
    quoted = [name.replace('"', '""') for name in (column, mapping['table'], id_column)]
    return t.one(db, 'SELECT "{}" FROM "{}" WHERE "{}" = ?'.format(*quoted), key)


def invited_and_registered(t, db, ada):
    t.equal(t.all(db, "SELECT patient_name, date_of_birth FROM portal_find('12/10/1985')"), [('Ada Lovelace', '1985-12-10')])
    t.equal(t.all(db, 'SELECT patient_id, status FROM portal_status WHERE patient_id = ?', ada), [(ada, 'not sent')])
    t.contains(t.one(db, "SELECT send_registration(?, 'email')", ada), 'sent by email to a•••@example.com')
    token = token_of(t, db)
    t.equal(flows.prove(t, db, token, 'Lovelace', '1985-12-11')['result'], 'refused')
    pin = prove(t, db, token, 'Lovelace', 'Ada')
    t.equal(flows.enroll(t, db, token, pin, 'ada.l')['result'], 'registered')
    session = flows.login(t, db, 'ada.l')
    t.equal(flows.patients_of(t, db, session), [ada])
    return session


def asked_and_decided(t, db, layout, ada, session):
    """City and email by the patient; one accepted, one in conflict."""
    asked = {'city': 'Turin', 'email': 'countess@example.com'}
    own = [name for name in layout.mapping['requests'] if name in ('occupation', 'shoe_size')]
    asked.update({name: 'Thirty-nine' for name in own})
    t.equal(flows.ask(t, db, 'SELECT submit_demographics(?, ?, ?)', session, ada, json.dumps(asked)),
            {'result': 'submitted', 'requests': len(asked)})
    chart = flows.ask(t, db, 'SELECT portal_demographics(?, ?)', session, ada)
    fields = {field['field']: field for field in chart['fields']}
    t.equal(sorted(fields), sorted(layout.mapping['requests']))
    t.equal((fields['city']['value'], fields['city']['request']['value']), ('Paris', 'Turin'))
    db.execute(layout.city, ['Oslo'])
    t.equal(t.all(db, "SELECT current_value, proposed_value, conflict FROM pending_requests WHERE field = 'city'"), [('Oslo', 'Turin', 1)])
    t.refuses(db, "SELECT accept_request(request_id) FROM pending_requests WHERE field = 'city'", says='in conflict')
    t.one(db, "SELECT accept_request((SELECT request_id FROM pending_requests WHERE field = 'city'), 'force')")
    db.execute("UPDATE pending_requests SET decision = 'accept'")
    for field, value in asked.items():
        t.equal(raw(t, db, layout.mapping, field, ada), value, f'{layout.name}: {field}')


def added(t, db, layout):
    """Quick Add: with a channel and without, and nobody twice."""
    emmy = t.one(db, "SELECT quick_add('Emmy', 'Noether', '1982-03-23', 'text', '202-555-0142')")
    t.true(isinstance(emmy, layout.key), f'{layout.name}: {emmy!r}')
    t.equal(emmy, key_of(t, db, 'Noether'))
    t.equal(raw(t, db, layout.mapping, 'date_of_birth', emmy), layout.born)
    t.equal(raw(t, db, layout.mapping, 'cell_phone', emmy), '+12025550142')
    t.refuses(db, "SELECT quick_add('emmy', 'noether', '1982-03-23')", says=('the same name', str(emmy)))
    token = token_of(t, db)
    before = len(t.mails(db))
    t.equal(flows.prove(t, db, token, 'Noether', '1982-03-23')['result'], 'pin_sent')
    t.equal(len(t.mails(db)), before + 1)
    t.one(db, "SELECT quick_add('Mary', 'Somerville', '1980-12-26')")
    t.equal(t.one(db, "SELECT patient_name FROM portal_find('1980-12-26')"), 'Mary Somerville')


def revoked_and_granted(t, db, layout, ada):
    t.one(db, 'SELECT revoke_access(?)', ada)
    t.true(not flows.can_login(t, db, 'ada.l'))
    t.advance(60)
    t.one(db, "SELECT send_registration(?, 'email')", ada)
    t.true(flows.can_login(t, db, 'ada.l'))
    t.equal(flows.status(t, db, ada), 'registered')
    if layout.consent:
        db.execute(layout.consent)
        t.refuses(db, "SELECT send_registration(?, 'email')", ada, says='has declined email')


def story(t, layout):
    db = practice(t, layout)
    before = own_schema(db)
    ada = key_of(t, db, 'Lovelace')
    t.true(isinstance(ada, layout.key))
    session = invited_and_registered(t, db, ada)
    asked_and_decided(t, db, layout, ada, session)
    added(t, db, layout)
    t.equal(t.all(db, 'SELECT * FROM portal_check'), [], layout.name)
    revoked_and_granted(t, db, layout, ada)
    t.equal(own_schema(db), before, 'nothing of the practice is altered')
    t.equal(json.loads(t.one(db, 'SELECT portal_map_patient()'))['table'], layout.mapping['table'])
    t.equal((t.one(db, 'PRAGMA integrity_check'), t.one(db, 'SELECT portal_audit_verify()')), ('ok', None))


def test_the_whole_workflow_runs_on_openemr(t):
    story(t, LAYOUTS[0])


def test_the_whole_workflow_runs_on_a_view_over_several_tables(t):
    story(t, LAYOUTS[1])


def test_the_whole_workflow_runs_on_keys_dates_and_consents_of_every_kind(t):
    for layout in LAYOUTS[2:]:
        story(t, layout)


# What a mapping may be

CLINIC = LAYOUTS[2]


def changed(**columns):
    """The mapping of the clinic with other columns; None leaves one out."""
    return json.dumps({name: value for name, value in {**CLINIC.mapping, **columns}.items() if value is not None})


def test_a_mapping_that_does_not_fit_is_refused_with_the_reason(t):
    db = practice(t, CLINIC)
    db.execute('CREATE VIEW v AS SELECT "No." AS n FROM "our patients"')
    db.execute('CREATE TABLE b (k BLOB PRIMARY KEY, f, l, d)')
    db.execute("INSERT INTO b VALUES (x'00', 'a', 'b', '1990-01-01')")
    before = t.all(db, 'SELECT * FROM portal_mapping')
    for mapping, says in (
            (None, 'is NULL'), (17, 'must be JSON text'), ('nonsense', 'no JSON object'), ('[]', 'no JSON object'),
            ('{"table": "x"', 'no JSON object'), ('{"table": "our patients"} x', 'no JSON object'), ('{"table": 1}', 'table must be the name'),
            (changed(table=None), 'names no table'), (changed(table='gone'), 'there is no table or view gone'),
            (changed(table='portal_message'), 'portal_message is no table of the practice'),
            (changed(table='portal_status'), 'portal_status is no table of the practice'),
            (changed(table='sqlite_schema'), 'is no table of the practice'),
            (changed(patient_id=None), 'has no patient_id'), (changed(first_name=None), 'has no first_name'),
            (changed(last_name=None), 'has no last_name'), (changed(date_of_birth=None), 'has no date_of_birth'),
            (changed(name='full_name'), 'by the last name alone'), (changed(last_name='Given'), 'by the last name alone'),
            (changed(email='fax'), 'has no column fax (email)'), (changed(patient_id='town'), 'town of our patients may be the same of two'),
            (changed(fax='mobile'), "'fax' is no field of the portal (patient_id, first_name"),
            (changed(Fax='mobile', requests=['Fax']), "'Fax' is no field"), (changed(requests=['fax']), "'fax' is no field"),
            (changed(requests=['home_phone']), 'requests: home_phone has no column'),
            (changed(requests=['date_of_birth']), 'is nothing that a patient may ask to change'),
            (changed(requests='email'), 'requests is an array'), (changed(requests=[1]), 'requests is an array'),
            (changed(city='full_name'), 'full_name is computed by our patients'),
            (changed(date_of_birth={'column': 'born', 'format': 'YY'}), "date_of_birth: format 'YY' is none of YYYY-MM-DD, M/D/YYYY"),
            (changed(email_consent={'column': 'mails', 'format': 'yes'}), 'none of 0/1, YES/NO, Y/N, true/false'),
            (changed(patient_id={'column': 'No.', 'format': 'guid'}), 'none of default, uuid, next'),
            (changed(city={'column': 'town', 'case': 'upper'}), 'city: a column is its name, or'),
            (changed(city={'format': 'text'}), 'city: a column is its name, or'), (changed(city=['town']), 'city'),
            (changed(city={'column': 1}), 'city: a column is its name, or'), (changed(city=[['"\\']]), 'city: a column is its name, or'),
            (changed(requests=[{'email': '\\"]'}]), 'requests is an array'), ('{"table": {"x', 'table must be the name'),
            ('{"table": {"x\\', 'table must be the name'), ('{"requests": [{}', 'requests is an array'),
            (changed(requests=['Fax']), "'Fax' is no field"), (changed(requests=['x' * 99]), 'is no field'), ('{"requests": [x]}', 'requests is an array'),
            ('{"city": {', 'city: a column is its name, or'), (changed(**{f'own{n}': 'town' for n in range(200)}), 'is no field'),
            (changed(city=''), 'city must be the name'), ('{"table": {"a": "}"}}', 'table must be the name'),
            ('{}', 'no such table: main.patient'), ('x' * 70000, 'too long'), (b'\xff\xfe', 'is not valid text'),
            (json.dumps({'table': 'b', 'patient_id': 'k', 'first_name': 'f', 'last_name': 'l', 'date_of_birth': 'd'}),
             'neither a whole number nor text (blob)')):
        t.refuses(db, 'SELECT portal_map_patient(?)', mapping, says=says)
        t.equal(t.all(db, 'SELECT * FROM portal_mapping'), before, f'{mapping}')
        t.equal(flows.status(t, db, 20), 'not sent', 'what was in force still is')
    t.true(t.one(db, "SELECT count(*) FROM portal_audit WHERE action = 'call.refused' AND subject = 'portal_map_patient'") > 30)
    t.equal(t.one(db, "SELECT count(*) FROM portal_audit WHERE action = 'mapping.changed' AND subject = 'our patients'"), 1)


def test_a_mapping_is_given_as_json_that_can_be_edited_and_given_back(t):
    db = practice(t, CLINIC)
    told = json.loads(t.one(db, 'SELECT portal_map_patient()'))
    t.equal(told, {**CLINIC.mapping, 'email_consent': 'mails'})
    patch = {'city': None, 'shoe_size': None, 'requests': ['email']}
    t.one(db, 'SELECT portal_map_patient(json_patch(portal_map_patient(), ?))', json.dumps(patch))
    t.equal(json.loads(t.one(db, 'SELECT portal_map_patient()')),
            {**{name: value for name, value in told.items() if name not in patch}, 'requests': ['email']})


def test_without_a_list_of_requests_patients_may_ask_for_whatever_can_be_written(t):
    db = practice(t, CLINIC)
    t.one(db, 'SELECT portal_map_patient(?)', changed(requests=None, shoe_size=None, home_phone='full_name'))
    t.equal(json.loads(t.one(db, 'SELECT portal_map_patient()'))['requests'],
            ['first_name', 'last_name', 'email', 'cell_phone', 'city', 'email_consent'])


def test_our_own_table_is_told_as_a_mapping_and_can_be_gone_back_to(t):
    db = t.database()
    own = json.loads(t.one(db, 'SELECT portal_map_patient()'))
    t.equal((own['table'], own['postal_code'], 'sex' in own['requests']), ('patient', 'postal_code', True))
    t.patient(db)
    t.contains(t.one(db, 'SELECT portal_map_patient(?)', json.dumps({**own, 'requests': ['city']})), 'to change 1 of')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_mapping'), 20)
    t.contains(t.one(db, "SELECT portal_map_patient('{}')"), 'in patient; they may ask to change 14')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_mapping'), 0)
    t.contains(t.one(db, "SELECT send_registration(1, 'email')"), 'sent')


def test_rows_edited_by_hand_are_in_force_on_every_connection_at_its_next_call(t):
    db = practice(t, CLINIC)
    other = t.connect(t.file(db))
    t.contains(t.one(other, "SELECT send_problem(21, 'text')"), 'has no cell phone')
    db.execute('ALTER TABLE "our patients" ADD COLUMN pager')
    db.execute('UPDATE "our patients" SET pager = \'+12025550177\'')
    db.execute("UPDATE portal_mapping SET source = 'pager' WHERE field = 'cell_phone'")
    t.equal(t.one(other, "SELECT send_problem(21, 'text')"), None)
    for row, says in (("UPDATE portal_mapping SET format = 'y' WHERE field = 'date_of_birth'", 'portal_mapping: date_of_birth has an unknown format'),
                      ("DELETE FROM portal_mapping WHERE field = 'last_name'", 'portal_mapping: last_name is missing'),
                      ('UPDATE portal_mapping SET requests = 1', 'date_of_birth is nothing that a patient may ask to change'),
                      ("UPDATE portal_mapping SET requests = 1 WHERE field = 'patient_id'", 'patient_id is nothing that a patient may ask'),
                      ("DELETE FROM portal_mapping WHERE field = 'table'", 'portal_mapping: table is missing'),
                      ("INSERT INTO portal_mapping VALUES ('a b', 'x', NULL, 1)", "portal_mapping: a b is no name of a field"),
                      ("UPDATE portal_mapping SET source = 'gone' WHERE field = 'table'", 'gone can not be read (no such table: main.gone)'),
                      ("UPDATE portal_mapping SET source = 'patient' WHERE field = 'table'", 'main.patient'),
                      ("""UPDATE portal_mapping SET source = 'x"; DROP TABLE clinic; --' WHERE field = 'city'""", 'has no column x"; DROP')):
        mapping = t.one(db, 'SELECT portal_map_patient()')
        db.execute(row)
        for connection in (db, other):
            t.refuses(connection, "SELECT send_registration(20, 'email')", says=(says, 'portal_map_patient()'))
            t.refuses(connection, 'SELECT * FROM portal_status', says=says)
            t.true([row for row in t.all(connection, 'SELECT * FROM portal_check') if says in row[0]], says)
        t.contains(t.one(db, 'SELECT portal_map_patient(?)', mapping), 'our patients')
        t.equal(t.one(other, "SELECT send_problem(20, 'email')"), None)
    t.equal(t.one(db, 'SELECT count(*) FROM clinic'), 1)


def test_a_mapping_that_is_rolled_back_is_not_in_force(t):
    db = practice(t, CLINIC)
    db.execute('BEGIN')
    t.one(db, 'SELECT portal_map_patient(?)', changed(email=None, requests=['city'], shoe_size=None))
    t.contains(t.one(db, "SELECT send_problem(20, 'email')"), 'no column of the patient table our patients is mapped as email')
    db.execute('ROLLBACK')
    t.equal(t.one(db, "SELECT send_problem(20, 'email')"), None)


# The practice's schema

def test_what_the_practices_schema_lost_is_told_by_every_call_and_by_the_check(t):
    for number, (schema, says) in enumerate((('ALTER TABLE "our patients" RENAME COLUMN born TO birthday', 'has no column born (date_of_birth)'),
                                            ('ALTER TABLE "our patients" RENAME TO people', 'our patients can not be read'),
                                            ('DROP TABLE "our patients"', 'our patients can not be read'))):
        db = t.database(init=False, name=f'{number}.db')
        db.executescript(CLINIC.schema)
        t.one(db, 'SELECT portal_init(?)', json.dumps(CLINIC.mapping))
        other = t.connect(t.file(db))
        flows.status(t, other, 20)
        db.execute('PRAGMA foreign_keys = OFF')
        db.execute(schema)
        for connection in (db, other):
            for sql in ("SELECT send_registration(20, 'email')", 'SELECT * FROM portal_status', "SELECT quick_add('a', 'b', '1990-01-01')",
                        "SELECT * FROM portal_find('Ada')"):
                t.refuses(connection, sql, says=(says, 'portal_map_patient()'))
            t.true([row for row in t.all(connection, 'SELECT * FROM portal_check') if says in row[0]], says)
    db = t.database(name='own.db')
    t.patient(db)
    db.execute('ALTER TABLE patient RENAME COLUMN email TO mail')
    t.refuses(db, "SELECT send_registration(1, 'text')", says=('the patient table patient has no column email;', 'portal_map_patient()'))
    t.contains(t.one(db, "SELECT portal_map_patient(json_patch(portal_map_patient(), '{\"email\": \"mail\"}'))"), 'patient')
    t.contains(t.one(db, "SELECT send_registration(1, 'email')"), 'sent')


def test_what_the_practices_schema_refuses_is_a_refusal_in_its_words_and_leaves_nothing(t):
    db = practice(t, CLINIC)
    session = invited_and_registered(t, db, 20)
    db.execute('PRAGMA foreign_keys = ON')
    db.execute('CREATE TRIGGER strict BEFORE UPDATE OF town ON "our patients" WHEN NEW.town = \'Atlantis\''
               " BEGIN SELECT RAISE(ABORT, 'there is no such town'); END")
    t.one(db, 'SELECT submit_demographics(?, 20, ?)', session,
          json.dumps({'city': 'Atlantis', 'email': 'grace@example.com', 'shoe_size': '39'}))
    for field, says in (('city', 'there is no such town'), ('email', 'UNIQUE constraint failed: our patients.mail')):
        t.refuses(db, 'SELECT accept_request(request_id) FROM pending_requests WHERE field = ?', field, says=('refuses it', says))
    db.execute('INSERT OR IGNORE INTO accept_request (request_id) SELECT request_id FROM pending_requests')
    t.equal(t.all(db, 'SELECT field FROM pending_requests ORDER BY 1'), [('city',), ('email',)])
    rows = t.one(db, 'SELECT count(*) FROM "our patients"')
    db.execute('PRAGMA foreign_keys = OFF')
    db.execute('DELETE FROM clinic')
    db.execute('PRAGMA foreign_keys = ON')
    for sql, says in ((f"SELECT quick_add('A', '{'b' * 70}', '1990-01-01')", 'CHECK constraint failed'),
                      ("SELECT quick_add('A', 'B', '1990-01-01', 'email', 'grace@example.com')", 'UNIQUE constraint failed')):
        t.refuses(db, sql, says=('refuses it', says))
    t.refuses(db, "SELECT quick_add('A', 'B', '1990-01-01')", says='FOREIGN KEY constraint failed')
    t.equal(t.one(db, 'SELECT count(*) FROM "our patients"'), rows)
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_a_key_of_a_format_that_the_table_does_not_take_is_a_refusal(t):
    db = practice(t, CLINIC)
    t.one(db, 'SELECT portal_map_patient(?)', changed(patient_id={'column': 'No.', 'format': 'uuid'}))
    t.refuses(db, "SELECT quick_add('Emmy', 'Noether', '1982-03-23')", says='the patient table refuses it: datatype mismatch')


def test_an_emptied_field_is_an_empty_text_where_the_practice_takes_no_null(t):
    db = practice(t, LAYOUTS[0])
    session = invited_and_registered(t, db, 11)
    t.one(db, "SELECT submit_demographics(?, 11, ?)", session, json.dumps({'cell_phone': None, 'occupation': ''}))
    db.execute("UPDATE pending_requests SET decision = 'accept'")
    t.equal(t.all(db, 'SELECT phone_cell, occupation FROM patient_data WHERE pid = 11'), [('', None)])


def test_a_mapping_under_which_people_would_lose_their_access_is_refused(t):
    db = practice(t, CLINIC)
    session = invited_and_registered(t, db, 20)
    db.execute('ALTER TABLE "our patients" ADD COLUMN mrn INTEGER')
    db.execute('UPDATE "our patients" SET mrn = 41 - "No."')
    db.execute('CREATE UNIQUE INDEX mrn ON "our patients" (mrn)')
    t.refuses(db, 'SELECT portal_map_patient(?)', changed(patient_id='mrn'), says=('1 of 1 logins would lose', 'revoke_access'))
    t.refuses(db, 'SELECT portal_map_patient(?)', changed(date_of_birth={'column': 'born', 'format': 'julian'}), says='would lose')
    t.equal(flows.patients_of(t, db, session), [20])
    t.one(db, 'SELECT revoke_access(20)')
    t.contains(t.one(db, 'SELECT portal_map_patient(?)', changed(patient_id='mrn')), 'our patients')
    t.equal(t.one(db, "SELECT patient_id FROM portal_find('Lovelace')"), 21)


def rebuilt_with_text_keys(db):
    """The clinic's table as an import of its own export would make it."""
    db.executescript(CLINIC.schema.replace('"No." INTEGER', '"No." TEXT').replace('"our patients"', '"their patients"')
                     .replace('CREATE TABLE clinic', 'CREATE TABLE IF NOT EXISTS clinic').replace('INSERT INTO clinic', 'INSERT OR IGNORE INTO clinic')
                     .replace('CREATE TABLE "write log"', 'CREATE TABLE IF NOT EXISTS "write log"').replace('"on add"', '"on add too"').replace('"by birth"', '"by birth too"'))


def test_a_key_that_has_become_text_is_no_longer_the_one_that_access_was_given_for(t):
    db = practice(t, CLINIC)
    session = invited_and_registered(t, db, 20)
    rebuilt_with_text_keys(db)
    t.equal(t.one(db, """SELECT "No." FROM "their patients" WHERE Given = 'Ada'"""), '20')
    t.refuses(db, 'SELECT portal_map_patient(?)', changed(table='their patients'), says=('1 of 1 logins would lose', 'revoke_access'))
    # Where the practice does so underneath, nobody has what could not be revoked.
    db.executescript('DROP TABLE "our patients"; ALTER TABLE "their patients" RENAME TO "our patients"')
    t.equal(flows.patients_of(t, db, session), None)
    t.equal(t.all(db, "SELECT subject FROM portal_check WHERE problem LIKE '%not on file any more'"), [('patient 20, ada.l',)])


def test_patients_give_their_key_as_their_program_binds_it(t):
    db = practice(t, CLINIC)
    session = invited_and_registered(t, db, 20)
    for number, key in enumerate((20, 20.0, '20')):
        t.equal(flows.ask(t, db, 'SELECT portal_demographics(?, ?)', session, key)['first_name'], 'Ada', f'{key!r}')
        t.equal(flows.ask(t, db, 'SELECT submit_demographics(?, ?, ?)', session, key, json.dumps({'city': f'Oslo {number}'})),
                {'result': 'submitted', 'requests': 1}, f'{key!r}')
    t.equal(t.all(db, 'SELECT patient_id, proposed_value FROM pending_requests'), [(20, 'Oslo 2')])
    for key in ('21', 'twenty'):
        t.equal(t.one(db, 'SELECT portal_demographics(?, ?)', session, key), None)


def test_a_field_of_the_practices_own_may_be_called_like_anything_of_ours(t):
    db = practice(t, CLINIC)
    names = ['born', 'table_name', 'rowid', 'patient_name', 'status', 'p', 't', 'o', 'select', 'field', 'account_id', 'registration_id']
    t.one(db, 'SELECT portal_map_patient(?)', changed(**dict.fromkeys(names, 'shoe size'), shoe_size=None, requests=names))
    t.equal(t.all(db, "SELECT patient_name FROM portal_find('1985-12-10')"), [('Ada Lovelace',)])
    t.refuses(db, "SELECT quick_add('ada', 'lovelace', '1985-12-10')", says=('the same name', '20'))
    session = invited_and_registered(t, db, 20)
    for name in names:
        flows.ask(t, db, 'SELECT submit_demographics(?, 20, ?)', session, json.dumps({name: '39'}))
        t.equal(t.all(db, 'SELECT field, current_value FROM pending_requests'), [(name, None)])
        t.one(db, 'SELECT accept_request(request_id) FROM pending_requests')
        db.execute('UPDATE "our patients" SET "shoe size" = NULL')


def test_names_of_the_practices_that_look_like_our_sql_are_names(t):
    key, first, last = 'date_of_birth = ?1', '/* own fields of p */', 'x main.patient y'
    db = t.database(init=False)
    db.executescript(f'''CREATE TABLE "main.patient" ("{key}" INTEGER PRIMARY KEY, "{first}", "{last}", "?1", "o.email", "main.patient");
                     INSERT INTO "main.patient" VALUES (1, 'Ada', 'Lovelace', '1985-12-10', 'ada@example.com', 'Paris')''')
    t.one(db, 'SELECT portal_init(?)', json.dumps({'table': 'main.patient', 'patient_id': key, 'first_name': first, 'last_name': last,
                                                   'date_of_birth': '?1', 'email': 'o.email', 'city': 'main.patient'}))
    session = invited_and_registered(t, db, 1)
    flows.ask(t, db, 'SELECT submit_demographics(?, 1, ?)', session, json.dumps({'city': 'Turin', 'last_name': 'Byron'}))
    db.execute("UPDATE pending_requests SET decision = 'accept'")
    t.one(db, "SELECT quick_add('Emmy', 'Noether', '1982-03-23', 'email', 'e@example.com')")
    t.equal(t.all(db, 'SELECT * FROM "main.patient"'), [(1, 'Ada', 'Byron', '1985-12-10', 'ada@example.com', 'Turin'),
                                                        (2, 'Emmy', 'Noether', '1982-03-23', 'e@example.com', None)])


def test_a_view_of_patients_that_reads_our_list_of_patients_is_refused(t):
    db = practice(t, CLINIC)
    own = 'SELECT 1 AS id, \'Ada\' AS f, \'Lovelace\' AS l, \'1985-12-10\' AS d'
    db.executescript(f"CREATE VIEW a AS SELECT patient_id AS id, patient_name AS f, 'x' AS l, '1985-12-10' AS d FROM portal_status;"
                     f'CREATE VIEW b AS {own} UNION ALL SELECT * FROM a; CREATE VIEW c AS {own} WHERE EXISTS (SELECT message FROM portal_status)')
    columns = {'patient_id': 'id', 'first_name': 'f', 'last_name': 'l', 'date_of_birth': 'd'}
    before = t.all(db, 'SELECT * FROM portal_mapping')
    for view in 'abc':
        t.refuses(db, 'SELECT portal_map_patient(?)', json.dumps({'table': view, **columns}), says='portal_status is read by the patient table')
        t.equal(t.all(db, 'SELECT * FROM portal_mapping'), before)
        db.executemany('REPLACE INTO portal_mapping VALUES (?, ?, NULL, 0)', [('table', view), *columns.items()])
        db.execute("DELETE FROM portal_mapping WHERE field NOT IN ('table', 'patient_id', 'first_name', 'last_name', 'date_of_birth')")
        t.refuses(db, 'SELECT * FROM portal_status', says='portal_status is read by the patient table')
        db.execute('DELETE FROM portal_mapping')
        db.executemany('INSERT INTO portal_mapping VALUES (?, ?, ?, ?)', before)
    t.equal(t.one(db, 'SELECT count(*) FROM portal_status'), 2)


def test_quick_add_refuses_what_the_practices_table_computes_itself(t):
    db = practice(t, CLINIC)
    db.executescript("CREATE TABLE p (k INTEGER PRIMARY KEY, whole, f AS (substr(whole, 1, instr(whole, ' ') - 1)), g, l, d, raw, m AS (lower(raw)))")
    columns = {'table': 'p', 'patient_id': 'k', 'first_name': 'f', 'last_name': 'l', 'date_of_birth': 'd', 'email': 'm'}
    t.one(db, 'SELECT portal_map_patient(?)', json.dumps(columns))
    t.refuses(db, "SELECT quick_add('Emmy', 'Noether', '1982-03-23')", says='first_name: f is computed by p')
    t.one(db, 'SELECT portal_map_patient(?)', json.dumps({**columns, 'first_name': 'g'}))
    t.refuses(db, "SELECT quick_add('Emmy', 'Noether', '1982-03-23', 'email', 'e@example.com')", says='email: m is computed by p')
    t.equal(t.one(db, "SELECT quick_add('Emmy', 'Noether', '1982-03-23')"), 1)


def test_a_key_is_a_column_that_the_schema_holds_unique(t):
    db = practice(t, CLINIC)
    db.executescript('CREATE TABLE p (k TEXT, f, l, d, PRIMARY KEY (k, f)); CREATE UNIQUE INDEX two ON p (k, l);'
                     'CREATE UNIQUE INDEX some ON p (k) WHERE l IS NOT NULL; CREATE UNIQUE INDEX other ON p (d)')
    mapping = json.dumps({'table': 'p', 'patient_id': 'k', 'first_name': 'f', 'last_name': 'l', 'date_of_birth': 'd'})
    t.refuses(db, 'SELECT portal_map_patient(?)', mapping, says='k of p may be the same of two patients')
    db.execute('CREATE UNIQUE INDEX one ON p (k)')
    t.contains(t.one(db, 'SELECT portal_map_patient(?)', mapping), 'Patients are kept in p')


def test_a_change_is_written_where_the_mapping_of_now_has_the_field(t):
    db = practice(t, CLINIC)
    ada = key_of(t, db, 'Lovelace')
    session = invited_and_registered(t, db, ada)
    db.execute('ALTER TABLE "our patients" ADD COLUMN place TEXT')
    for column, city in (('town', 'Turin'), ('place', 'Oslo'), ('town', 'Rome')):
        t.one(db, 'SELECT portal_map_patient(?)', changed(city=column))
        flows.ask(t, db, 'SELECT submit_demographics(?, ?, ?)', session, ada, json.dumps({'city': city}))
        t.one(db, "SELECT accept_request((SELECT request_id FROM pending_requests), 'force')")
        t.equal(raw(t, db, {**CLINIC.mapping, 'city': column}, 'city', ada), city)


def test_a_view_that_takes_no_row_has_added_nobody(t):
    db = practice(t, CLINIC)
    db.executescript('CREATE TABLE p (k INTEGER PRIMARY KEY, f, l, d); CREATE VIEW v AS SELECT * FROM p;'
                     'CREATE TRIGGER none INSTEAD OF INSERT ON v BEGIN SELECT 1; END')
    t.one(db, 'SELECT portal_map_patient(?)', json.dumps({'table': 'v', 'patient_id': 'k', 'first_name': 'f', 'last_name': 'l', 'date_of_birth': 'd'}))
    t.refuses(db, "SELECT quick_add('Emmy', 'Noether', '1982-03-23')", says='did not take the new row')


def test_a_view_that_gives_a_patient_twice_is_found(t):
    db = practice(t, LAYOUTS[1])
    db.execute("INSERT INTO person_name VALUES (3, 'Augusta', 'King', 1)")
    t.equal(t.all(db, "SELECT problem, subject FROM portal_check WHERE remedy LIKE '%view%'"), [('1 of person_id are of several rows', 'patient 3')])


def test_keys_that_are_numbers_of_no_type_are_told(t):
    db = practice(t, LAYOUTS[1])
    for key, says in (('person_id + 1000', [('2 of person_id are numbers without a type, not found by the command and by programs that bind text', 'patient 1003')]),
                      ('CAST(person_id + 1000 AS INTEGER)', []), ("'P' || person_id", []), ('person_id', [])):
        db.executescript('DROP VIEW IF EXISTS branches; CREATE VIEW branches AS SELECT'
                         f' {key} AS person_id, given_name, family_name, birthdate, email, mobile FROM patient_view')
        t.one(db, 'SELECT portal_map_patient(?)', json.dumps({'table': 'branches', 'patient_id': 'person_id', 'first_name': 'given_name',
              'last_name': 'family_name', 'date_of_birth': 'birthdate', 'email': 'email', 'cell_phone': 'mobile'}))
        t.equal(t.all(db, 'SELECT problem, subject FROM portal_check'), says, key)
        t.equal(t.one(db, "SELECT send_problem((SELECT '' || patient_id FROM portal_find('Lovelace')), 'email')") is None, says == [], key)


def test_patients_without_a_key_are_not_one_patient_given_twice(t):
    db = practice(t, CLINIC)
    db.executescript('CREATE TABLE p (k UNIQUE, f, l, d); '
                     "INSERT INTO p VALUES (NULL, 'Ada', 'Lovelace', '1985-12-10'), (NULL, 'Emmy', 'Noether', '1982-03-23')")
    said = t.one(db, 'SELECT portal_map_patient(?)', json.dumps({'table': 'p', 'patient_id': 'k', 'first_name': 'f', 'last_name': 'l', 'date_of_birth': 'd'}))
    t.true('several rows' not in said, said)
    t.equal(t.all(db, 'SELECT next_step FROM portal_status'), [('give the patient another patient_id: patient_id is NULL',)] * 2)


# Synthea

def test_synthea_is_mapped_as_imported_once_staff_have_added_an_index_and_contacts(t):
    file, rows = synthea.patients(t)
    path = t.path('synthea.db')
    done = t.shell(path, f'.mode csv\n.separator ";"\n.import {file} patients\n', clock=False, extension=False)
    t.equal(done.code, 0, done.stderr)
    db = t.connect(path)
    mapping = (layouts.MAPPINGS / 'synthea.json').read_text()
    t.refuses(db, 'SELECT portal_init()', says=('none named patient', 'portal_init(mapping)'))
    t.refuses(db, 'SELECT portal_init(?)', mapping, says=('Id of patients may be the same', 'unique index'))
    db.execute('CREATE UNIQUE INDEX patients_id ON patients (Id)')
    t.contains(t.one(db, 'SELECT portal_init(?)', mapping.encode()), 'Look at email: no column is mapped')
    id, first, last, born = (rows[0][column] for column in ('Id', 'FIRST', 'LAST', 'BIRTHDATE'))
    t.refuses(db, "SELECT send_registration(?, 'email')", id, says=('no column of the patient table patients is mapped as email', 'portal_map_patient()'))
    t.refuses(db, "SELECT quick_add('Emmy', 'Noether', '1982-03-23', 'email', 'e@example.com')", says='mapped as email')
    for column in ('EMAIL', 'CELL'):
        db.execute(f'ALTER TABLE patients ADD COLUMN {column} TEXT')
    t.one(db, "SELECT portal_map_patient(json_patch(portal_map_patient(), '{\"email\": \"EMAIL\", \"cell_phone\": \"CELL\"}'))")
    db.execute("UPDATE patients SET EMAIL = 'first@example.com' WHERE Id = ?", [id])
    t.equal(t.one(db, 'SELECT count(*) FROM portal_status'), len(rows))
    t.equal(t.all(db, 'SELECT * FROM portal_check'), [])
    month, day, year = (int(part) for part in born.split('/'))
    date = f'{year:04}-{month:02}-{day:02}'
    t.true((id, f'{first} {last}') in t.all(db, 'SELECT patient_id, patient_name FROM portal_find(?)', date))
    t.contains(t.one(db, "SELECT send_registration(?, 'email')", id), 'sent by email')
    t.equal(flows.prove(t, db, token_of(t, db), last, date)['result'], 'pin_sent')
    dead = [row['Id'] for row in rows if row['DEATHDATE']]
    t.true(all('is deceased' in t.one(db, "SELECT send_problem(?, 'email')", key) for key in dead), 'who has died is sent nothing')
    emmy = t.one(db, "SELECT quick_add('Emmy', 'Noether', '1982-03-23', 'email', 'e@example.com')")
    t.true(re.fullmatch('[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}', emmy), emmy)
    t.equal(t.all(db, 'SELECT BIRTHDATE, EMAIL FROM patients WHERE Id = ?', emmy), [('3/23/1982', 'e@example.com')])


# Indexes

def test_every_query_for_one_patient_uses_the_practices_own_indexes(t):
    for layout in (LAYOUTS[0], *LAYOUTS[2:]):
        db = t.database(init=False, name=f'{LAYOUTS.index(layout)}.db')
        db.executescript(layout.schema)
        t.one(db, 'SELECT portal_init(?)', json.dumps(layout.mapping))
        ada = key_of(t, db, 'Lovelace')
        seen = []
        db.set_trace_callback(lambda sql: seen.append(re.sub('^-- ', '', sql, flags=re.M)))
        session = invited_and_registered(t, db, ada)
        asked_and_decided(t, db, layout, ada, session)
        t.one(db, "SELECT quick_add('Emmy', 'Noether', '1982-03-23', 'text', '202-555-0142')")
        db.set_trace_callback(None)
        named = [sql for sql in dict.fromkeys(seen) if f'"{layout.mapping["table"]}"' in sql and not sql.startswith('PRAGMA')]
        t.true(len(named) > 10, f'{layout.name}: {len(named)} statements')
        plans = {sql: plan(db, sql) for sql in named}
        t.equal({sql: how for sql, how in plans.items() if re.search(r'SCAN (t|p|patient)\b|MATERIALIZE|AUTOMATIC', how)}, {},
                layout.name)


def plan(db, sql):
    marks = max([0, *map(int, re.findall(r'\?(\d+)', sql))])
    return ' | '.join(row[3] for row in db.execute(f'EXPLAIN QUERY PLAN {sql}', [None] * marks))
