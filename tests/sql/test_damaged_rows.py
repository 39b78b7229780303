"""Rows of the portal's own tables that somebody damaged: named, or of no use, and never taken for good."""
import re

import flows


def reset_token(t):
    return re.search(r'/p/([\w-]{32})', t.text(t.mails(t.path('practice.db-outbox'))[-1]))[1]


def test_a_seal_of_another_length_is_broken(t):
    db = t.database()
    for column, says in (('audit_head', 'newest event'), ('checkpoint_hash', 'checkpoint')):
        db.execute('BEGIN')
        db.execute(f"UPDATE portal_state SET {column} = x'00'")
        t.contains(t.one(db, 'SELECT portal_audit_verify()'), f'the seal of the {says}', 'broken')
        db.execute('ROLLBACK')
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_nothing_is_done_behind_a_head_of_another_length(t):
    db = t.database()
    db.execute("UPDATE portal_state SET audit_head = x'00'")
    t.refuses(db, "SELECT portal_setting('link_hours', 3)", says='the audit head in portal_state is damaged; run SELECT portal_audit_verify()')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_setting'), 0)


def test_a_column_that_a_table_of_the_portal_lost_is_named(t):
    db = t.database()
    db.execute('ALTER TABLE portal_state DROP COLUMN opt_outs')
    t.refuses(db, "SELECT portal_setting('link_hours', 3)", says='no such column: opt_outs')


def test_a_session_whose_secret_was_damaged_is_none(t):
    db = t.database()
    session = flows.register(t, db, t.patient(db), 'ada')
    db.execute("UPDATE portal_session SET nonce = x'00'")
    t.equal(flows.patients_of(t, db, session), None)


def test_a_template_written_past_the_extension_for_no_message_counts_for_none(t):
    db = t.database()
    db.execute("INSERT INTO portal_wording VALUES ('pin', 'print', 'en', 'x', '{{pin}}', NULL, 1)")
    t.contains(str(t.all(db, 'SELECT * FROM portal_check')), 'it is for no message')


def test_a_key_check_of_another_length_fits_no_key(t):
    db = t.database()
    db.execute("UPDATE portal_state SET key_check = x'00'")
    other = t.connect(t.file(db))
    t.refuses(other, 'SELECT send_registration(?, ?)', t.patient(db), 'email', says='key')


def test_a_pin_or_a_reset_whose_number_was_damaged_opens_nothing(t):
    db = t.database()
    patient = t.patient(db)
    token = flows.send(t, db, patient)
    pin = flows.pin(t, db, token, patient)
    db.execute("UPDATE portal_pin SET nonce = x'00'")
    t.equal(flows.enroll(t, db, token, pin)['result'], 'refused')
    flows.register(t, db, t.patient(db, email='b@example.com'), 'ben')
    db.execute("SELECT forgot_password('ben')")
    db.execute('SELECT deliver()')
    reset = reset_token(t)
    db.execute('UPDATE portal_reset SET nonce = randomblob(length(nonce))')
    t.equal(flows.ask(t, db, 'SELECT reset_password(?, ?)', reset, 'another good long password')['result'], 'refused')


def test_a_request_for_a_field_that_is_none_can_not_be_accepted(t):
    db = t.database()
    session = flows.register(t, db, t.patient(db, city='Springfield'), 'ada')
    flows.ask(t, db, "SELECT submit_demographics(?, 1, '{\"city\":\"Shelbyville\"}')", session)
    db.execute("UPDATE portal_request SET field = 'nonsense'")
    t.refuses(db, 'SELECT accept_request(request_id) FROM portal_request', says='nonsense')
    t.equal(t.one(db, 'SELECT city FROM patient'), 'Springfield')


def test_a_name_that_is_no_text_is_nobodys(t):
    db = t.database()
    db.execute("INSERT INTO patient (first_name, last_name, date_of_birth)"
               " VALUES (CAST(x'416461FF' AS TEXT), 'Lovelace', '1985-12-10')")
    t.one(db, "SELECT quick_add('Ada', 'Lovelace', '1985-12-10', 'email', 'ada@example.com')")
    t.equal(t.one(db, 'SELECT count(*) FROM patient'), 2)


def test_a_request_is_not_decided_together_with_a_change_of_it(t):
    db = t.database()
    session = flows.register(t, db, t.patient(db, city='Springfield'), 'ada')
    flows.ask(t, db, "SELECT submit_demographics(?, 1, '{\"city\":\"Shelbyville\"}')", session)
    t.refuses(db, "UPDATE pending_requests SET proposed_value = NULL, decision = 'accept'")
    t.equal(t.one(db, 'SELECT city FROM patient'), 'Springfield')
