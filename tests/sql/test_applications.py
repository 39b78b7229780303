"""Who may call what: one table of every name, deny by default."""
import getpass
import json
import sqlite3

import flows

EHR, SCHEDULING, PORTAL = 'ehr', 'scheduling', 'portal'
APPLICATIONS = (EHR, SCHEDULING, PORTAL)
STAFF, PATIENT_SIDE, ADMIN, ANYBODY = (EHR, SCHEDULING), (EHR, PORTAL), (EHR,), APPLICATIONS

# Every function, a call of it, and who may make it: the contract, not what the product says of itself.
FUNCTIONS = {
    'send_registration': ("(1, 'email')", STAFF),
    'send_problem': ("(1, 'email')", STAFF),
    'preview_message': ("('pin', 1, 'email')", STAFF),
    'quick_add': ("('Grace', 'Hopper', '1906-12-09')", STAFF),
    'portal_poster': ('()', STAFF),
    'portal_letter': ('(1)', STAFF),
    'accept_request': ('(1)', STAFF),
    'decline_request': ('(1)', STAFF),
    'revoke_access': ('(1)', ADMIN),
    'remove_representative': ("(1, 'ada')", ADMIN),
    'confirm_representative': ("(1, 'ada')", ADMIN),
    'merge_patients': ('(1, 2)', ADMIN),
    'unlock_account': ("('ada')", ADMIN),
    'set_account_contact': ("('ada', 'new@example.com')", ADMIN),
    'token_valid': ("('x')", PATIENT_SIDE),
    'token_status': ("('x')", PATIENT_SIDE),
    'request_pin': ("('x', 'Lovelace', '1985-12-10')", PATIENT_SIDE),
    'register_patient': ("('x', '123456', 'ada', 'long password')", PATIENT_SIDE),
    'register_representative': ("('x', '123456', 'ada', 'long password', 'Rita', 'parent')", PATIENT_SIDE),
    'portal_login': ("('ada', 'long password')", PATIENT_SIDE),
    'portal_session': ("('x')", PATIENT_SIDE),
    'portal_logout': ("('x')", PATIENT_SIDE),
    'submit_demographics': ("('x', 1, '{}')", PATIENT_SIDE),
    'forgot_password': ("('ada')", PATIENT_SIDE),
    'reset_password': ("('x', 'long password')", PATIENT_SIDE),
    'portal_practice': ('()', PATIENT_SIDE),
    'portal_demographics': ("('x', 1)", PATIENT_SIDE),
    'portal_callback': ("('kannel', '', NULL, NULL)", PATIENT_SIDE),
    'portal_init': ('()', ADMIN),
    'portal_everywhere': ('()', ADMIN),
    'portal_setting': ("('link_hours')", ADMIN),
    'portal_secret': ("('smtp_password', 'hush')", ADMIN),
    'expire_links': ('()', ADMIN),
    'end_representatives': ('()', ADMIN),
    'deliver': ('()', ADMIN),
    'claim_messages': ('(1)', ADMIN),
    'report_delivery': ("('x', 1, 'sent')", ADMIN),
    'portal_audit_verify': ('()', ADMIN),
    'portal_key_rotate': ('()', ADMIN),
    'portal_map_patient': ('()', ADMIN),
    'portal_purge': ('(365)', ADMIN),
    'portal_try_channel': ("('maildir')", ADMIN),
    'portal_restored': ('()', ADMIN),
    'portal_as': ("('scheduling')", None),      # its own tests, below
    'portal_opt_out': ("('nobody@example.com')", ANYBODY),
    'portal_opt_in': ("('nobody@example.com')", ANYBODY),
    'portal_version': ('()', ANYBODY),
}
INSERTABLE = {
    'send_registration': ("(patient_id, channel) VALUES (1, 'email')", STAFF),
    'quick_add': ("(first_name, last_name, date_of_birth) VALUES ('Mary', 'Shelley', '1797-08-30')", STAFF),
    'accept_request': ('(request_id) VALUES (1)', STAFF),
    'decline_request': ('(request_id) VALUES (1)', STAFF),
    'revoke_access': ('(patient_id) VALUES (1)', ADMIN),
    'remove_representative': ("(patient_id, username) VALUES (1, 'ada')", ADMIN),
    'confirm_representative': ("(patient_id, username) VALUES (1, 'ada')", ADMIN),
    'merge_patients': ('(from_id, into_id) VALUES (1, 2)', ADMIN),
    'unlock_account': ("(username) VALUES ('ada')", ADMIN),
    'set_account_contact': ("(username, contact) VALUES ('ada', 'newer@example.com')", ADMIN),
}
TABLES = {
    'pending_requests': ('SELECT * FROM pending_requests', STAFF),
    'portal_status': ('SELECT * FROM portal_status', STAFF),
    'portal_settings': ('SELECT * FROM portal_settings', ADMIN),
    'portal_opt_outs': ('SELECT * FROM portal_opt_outs', STAFF),
    'portal_channels': ('SELECT * FROM portal_channels', ADMIN),
    'portal_template': ('SELECT * FROM portal_template', ADMIN),
    'portal_check': ('SELECT * FROM portal_check()', ADMIN),
    'portal_claimed': ("SELECT * FROM portal_claimed('x')", ADMIN),
    'portal_find': ("SELECT * FROM portal_find('x')", STAFF),
    'portal_help': ('SELECT * FROM portal_help', ANYBODY),
}


def practice(t):
    db = t.database()
    t.patient(db)
    return db


def connections(t, db):
    for application in APPLICATIONS:
        web = t.connect(t.file(db))
        t.one(web, "SELECT portal_as(?, 'somebody')", application)
        yield application, web


def denial(db, sql):
    """The sentence that denies a call to an application; None when it was let in, whatever came of it."""
    try:
        db.execute(sql).fetchall()
    except sqlite3.Error as error:
        return str(error) if 'is not available to the application' in str(error) else None


def events(t, db):
    return t.all(db, "SELECT application, actor, subject, detail FROM portal_audit WHERE action = 'call.refused'"
                     ' ORDER BY event_id')


def check(t, names):
    """Claims, for each name and application, that it is let in or denied as the table says."""
    db = practice(t)
    for application, connection in connections(t, db):
        for name, (sql, allowed) in names.items():
            if allowed is None:
                continue
            said = denial(connection, sql)
            if application in allowed:
                t.equal(said, None, f'{name} as {application}')
            else:
                t.equal(said, f'{name} is not available to the application {application}', f'{name} as {application}')
    return db


def test_every_function_is_let_in_or_denied_as_the_table_says(t):
    check(t, {name: (f'SELECT {name}{arguments}', allowed) for name, (arguments, allowed) in FUNCTIONS.items()})


def test_every_insertable_table_is_let_in_or_denied_as_the_table_says(t):
    check(t, {name: (f'INSERT INTO {name}{rest}', allowed) for name, (rest, allowed) in INSERTABLE.items()})


def test_every_table_to_read_is_let_in_or_denied_as_the_table_says(t):
    check(t, TABLES)


def test_there_is_no_name_that_this_table_does_not_know(t):
    db = practice(t)
    rows = t.all(db, 'SELECT name, kind, applications FROM portal_help')
    t.equal(sorted(name for name, kind, _ in rows if 'function' in kind), sorted(FUNCTIONS))
    t.equal(sorted(name for name, kind, _ in rows if 'insert' in kind), sorted(INSERTABLE))
    t.equal(sorted(name for name, kind, _ in rows if kind == 'table'), sorted(TABLES))
    for name, kind, applications in rows:
        _, allowed = (FUNCTIONS if 'function' in kind else TABLES)[name]
        t.equal(applications, ', '.join(allowed or ANYBODY), f'what portal_help says of {name}')


def test_sqlite_knows_no_function_or_module_of_ours_beside_these(t):
    plain, loaded = t.connect(':memory:', extension=False), t.connect(':memory:')
    for pragma, known in (('function_list', {*FUNCTIONS, 'portal_api'}), ('module_list', {*INSERTABLE, *TABLES})):
        ours = {name for name, in t.all(loaded, f'SELECT name FROM pragma_{pragma}')} - {
            name for name, in t.all(plain, f'SELECT name FROM pragma_{pragma}')}
        t.equal(ours - known - {'pragma_function_list', 'pragma_module_list'}, set())


def test_what_was_denied_changed_nothing(t):
    db = practice(t)
    tables = [name for name, in t.all(db, "SELECT name FROM sqlite_schema WHERE type = 'table'"
                                          " AND name NOT IN ('portal_audit', 'portal_state')")]
    before = [t.all(db, f'SELECT * FROM {table}') for table in tables]
    for application, connection in connections(t, db):
        for name, (arguments, allowed) in FUNCTIONS.items():
            if allowed and application not in allowed:
                denial(connection, f'SELECT {name}{arguments}')
        for name, (rest, allowed) in INSERTABLE.items():
            if application not in allowed:
                for conflict in ('', 'OR ABORT', 'OR IGNORE', 'OR REPLACE', 'OR FAIL', 'OR ROLLBACK'):
                    denial(connection, f'INSERT {conflict} INTO {name}{rest}')
                    t.equal(t.one(connection, 'SELECT changes()'), 0) if conflict == 'OR IGNORE' else None
    t.equal([t.all(db, f'SELECT * FROM {table}') for table in tables], before)
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_deciding_in_bulk_is_for_staff(t):
    db = practice(t)
    session = flows.register(t, db, 1, 'ada')
    t.one(db, 'SELECT submit_demographics(?, 1, ?)', session, json.dumps({'city': 'London', 'state': 'NY'}))
    web = t.connect(t.file(db), application='portal')
    t.contains(denial(web, "UPDATE pending_requests SET decision = 'accept'"), 'not available')
    t.equal(t.one(db, 'SELECT city FROM patient'), None)
    scheduling = t.connect(t.file(db), application='scheduling')
    scheduling.execute("UPDATE pending_requests SET decision = 'accept' WHERE field = 'city'")
    t.equal(t.one(db, 'SELECT city FROM patient'), 'London')


# Who a connection acts for

def test_a_connection_is_of_the_ehr_until_it_says_otherwise(t):
    db = practice(t)
    t.one(db, "SELECT send_registration(1, 'email')")
    t.equal(t.one(db, 'SELECT sent_by FROM portal_registration'), f'ehr:{getpass.getuser()}')


def test_the_user_named_is_who_did_it(t):
    db = practice(t)
    scheduling = t.connect(t.file(db))
    t.contains(t.one(scheduling, "SELECT portal_as('scheduling', 'Ánna Front-Desk')"), 'scheduling', 'Ánna Front-Desk')
    t.one(scheduling, "SELECT send_registration(1, 'email')")
    t.equal(t.one(db, 'SELECT sent_by FROM portal_registration'), 'scheduling:Ánna Front-Desk')
    t.equal(t.all(db, "SELECT application, actor FROM portal_audit WHERE action = 'registration.queued'"),
            [('scheduling', 'Ánna Front-Desk')])


def test_rights_only_shrink(t):
    db = practice(t)
    for first in (SCHEDULING, PORTAL):
        connection = t.connect(t.file(db))
        t.one(connection, 'SELECT portal_as(?)', first)
        for other in APPLICATIONS:
            if other != first:
                t.refuses(connection, 'SELECT portal_as(?)', other, says=[first, 'open another'])
                t.refuses(connection, "SELECT portal_as(?, 'root')", other, says=first)
        t.contains(denial(connection, 'SELECT revoke_access(1)'), first)


def test_a_rollback_gives_no_right_back(t):
    db = practice(t)
    db.execute('BEGIN')
    t.one(db, "SELECT portal_as('portal')")
    db.execute('ROLLBACK')
    t.contains(denial(db, 'SELECT revoke_access(1)'), 'portal')


def test_the_ehr_may_stay_the_ehr_and_name_its_user(t):
    db = practice(t)
    for user in ('anna', 'bert', 'anna'):
        t.contains(t.one(db, "SELECT portal_as('ehr', ?)", user), user)
    t.one(db, "SELECT send_registration(1, 'email')")
    t.equal(t.one(db, 'SELECT sent_by FROM portal_registration'), 'ehr:anna')


def test_the_same_application_may_be_named_again_with_another_user(t):
    db = practice(t)
    for application in APPLICATIONS:
        connection = t.connect(t.file(db))
        for user in ('192.0.2.1', '2001:db8::1', 'anna'):
            t.contains(t.one(connection, 'SELECT portal_as(?, ?)', application, user), application, user)
        t.contains(t.one(connection, 'SELECT portal_as(?)', application), application)


def test_the_address_of_a_client_is_whom_a_delay_is_of(t):
    db = practice(t)
    flows.register(t, db, 1, 'ada')
    web = t.connect(t.file(db))
    t.one(web, "SELECT portal_as('portal', '192.0.2.1')")
    for _ in range(8):
        t.one(web, "SELECT portal_login('ada', 'wrong password')")
    t.true(not flows.can_login(t, web, 'ada'))
    t.one(web, "SELECT portal_as('portal', '192.0.2.2')")
    t.true(flows.can_login(t, web, 'ada'))


def test_bad_names_are_refused_and_change_nothing(t):
    db = practice(t)
    for name in ('', 'EHR', 'Portal', 'admin', ' portal', 'portal ', 'x' * 5000, 'ehr\n', 'ehr, portal', '1'):
        t.refuses(db, 'SELECT portal_as(?)', name, says='application' if len(name) < 4096 else 'too long')
    for name in (None, 1, 1.5, b'portal'):
        t.refuses(db, 'SELECT portal_as(?)', name, says='application')
    t.refuses(db, 'SELECT portal_as(CAST(? AS TEXT))', b'portal\xff', says='not valid text')
    t.refuses(db, 'SELECT portal_as(CAST(? AS TEXT))', b'portal\0', says='not valid text')
    for user in ('', 'a\nb', 'a\0b', '\u200b', '\u202eanna', 'x' * 5000, 1, b'anna'):
        t.refuses(db, "SELECT portal_as('portal', ?)", user, says='user')
    for arguments in ('', "'portal', 'a', 'b'"):
        t.refuses(db, f'SELECT portal_as({arguments})', says='wrong number of arguments')
    t.equal(denial(db, 'SELECT revoke_access(1)'), None)


def test_portal_as_works_before_portal_init(t):
    db = t.database(init=False)
    t.contains(t.one(db, "SELECT portal_as('scheduling', 'anna')"), 'scheduling')
    t.contains(denial(db, 'SELECT portal_init()'), 'scheduling')
    t.equal(t.all(db, 'SELECT name FROM sqlite_schema'), [])


# What is left of a refused call

def test_a_denied_call_is_an_event_with_who_and_what(t):
    db = practice(t)
    for application, connection in connections(t, db):
        if application != EHR:
            denial(connection, 'SELECT revoke_access(1)')
            denial(connection, 'SELECT * FROM portal_settings')
    t.equal(events(t, db), [(application, 'somebody', name, f'{name} is not available to the application {application}')
                            for application in (SCHEDULING, PORTAL) for name in ('revoke_access', 'portal_settings')])


def test_every_denied_function_is_an_event(t):
    db = practice(t)
    for application, connection in connections(t, db):
        for name, (arguments, allowed) in FUNCTIONS.items():
            if allowed and application not in allowed:
                before = len(events(t, db))
                denial(connection, f'SELECT {name}{arguments}')
                t.equal([row[:3] for row in events(t, db)[before:]], [(application, 'somebody', name)])


def test_a_refused_try_to_get_rights_back_is_an_event(t):
    db = practice(t)
    web = t.connect(t.file(db))
    t.one(web, "SELECT portal_as('portal', '192.0.2.1')")
    t.refuses(web, "SELECT portal_as('ehr', 'root')")
    t.equal([row[:3] for row in events(t, db)], [('portal', '192.0.2.1', 'portal_as')])


def test_a_refused_staff_call_is_an_event_in_the_scalar_form(t):
    db = practice(t)
    t.refuses(db, "SELECT send_registration(42, 'email')", says='42')
    t.refuses(db, 'SELECT revoke_access(1)', says='never sent')
    t.equal([(application, subject) for application, _, subject, _ in events(t, db)],
            [('ehr', 'send_registration'), ('ehr', 'revoke_access')])
    t.refuses(db, "INSERT INTO send_registration VALUES (42, 'email')", says='42')
    t.equal(len(events(t, db)), 2)


def test_a_refused_patient_call_is_no_event(t):
    db = practice(t)
    flows.register(t, db, 1, 'ada')
    web = t.connect(t.file(db), application='portal')
    before = t.one(db, 'SELECT count(*) FROM portal_audit')
    for name, (arguments, allowed) in FUNCTIONS.items():
        if allowed == PATIENT_SIDE and name != 'forgot_password':
            web.execute(f'SELECT {name}{arguments}').fetchall()
    t.equal(t.one(db, 'SELECT count(*) FROM portal_audit'), before)


def test_a_denied_call_on_a_database_that_can_only_be_read_is_denied_all_the_same(t):
    db = practice(t)
    reader = t.connect(f'file:{t.file(db)}?mode=ro', uri=True, application='portal')
    t.contains(denial(reader, 'SELECT revoke_access(1)'), 'portal')
    t.contains(denial(reader, 'SELECT * FROM portal_status'), 'portal')


def test_it_guards_against_mistakes_and_says_that_plain_sql_is_not_its_business(t):
    db = practice(t)
    text = t.one(db, "SELECT description FROM portal_help WHERE name = 'portal_as'")
    t.contains(text, 'shrink', 'plain SQL')
