"""However many patients there are, a call looks at those whom it is about: no statement reads a growing table through."""
import re

import flows

GROWING = '''
patient portal_access portal_account portal_audit portal_message portal_opt_out portal_pin portal_registration
portal_request portal_reset portal_revocation portal_session portal_throttle
'''.split()
# What is read through, because there are few at any time, alone in a table or an index.
FEW = {
    'portal_session USING INDEX portal_session_alive': 'who is signed in',
    'portal_message USING COVERING INDEX portal_message_due': 'what waits to be sent',
    'portal_message USING INDEX portal_message_due': 'what waits to be sent',
    'portal_throttle': 'wrong passwords of a day',
}


def scans(db, statement):
    """What of a statement reads a whole table or index."""
    numbers = [int(number) for number in re.findall(r'\?(\d+)', statement)]
    plan = db.execute(f'EXPLAIN QUERY PLAN {statement}', [None] * max(numbers, default=0)).fetchall()
    found = [row[3].removeprefix('SCAN ').removeprefix('main.') for row in plan if row[3].startswith('SCAN ')]
    aliases = dict((alias, table) for table, alias in re.findall(r'main\.(\w+) AS (\w+)', statement))
    named = [re.sub(r'^\w+', lambda word: aliases.get(word[0], word[0]), scan) for scan in found]
    return [scan for scan in named if scan.split()[0] in GROWING and scan not in FEW]


def workflow(t, db, ada, ben):
    """Everything that staff, patients and the night do, on a connection that is traced."""
    session = flows.register(t, db, ada, 'ada.l')
    rita = flows.register_representative(t, db, ada, 'rita.p')
    flows.ask(t, db, 'SELECT submit_demographics(?, ?, ?)', session, ada, '{"city": "London", "state": "NY", "sex": "other"}')
    t.all(db, 'SELECT portal_demographics(?, ?)', session, ada)
    t.all(db, 'SELECT * FROM pending_requests WHERE patient_id = ?', ada)
    t.one(db, 'SELECT accept_request(1)')
    db.execute('INSERT INTO decline_request (request_id) VALUES (2)')
    db.execute("UPDATE pending_requests SET decision = 'accept' WHERE request_id = 3")
    flows.ask(t, db, 'SELECT forgot_password(?)', 'ada.l')
    t.one(db, 'SELECT deliver()')
    token = re.search(r'/p/([\w-]{32})', t.text(flows.newest(t, db, 'password')))[1]
    flows.ask(t, db, 'SELECT reset_password(?, ?)', token, 'another good password')
    t.one(db, 'SELECT portal_logout(?)', rita)
    t.one(db, "SELECT set_account_contact('rita.p', 'rita@example.org')")
    t.one(db, "SELECT unlock_account('rita.p')")
    t.one(db, 'SELECT confirm_representative(?, ?)', ada, 'rita.p')
    t.one(db, 'SELECT remove_representative(?, ?)', ada, 'rita.p')
    t.one(db, 'SELECT revoke_access(?)', ada)
    t.one(db, "SELECT send_registration(?, 'text')", ada)
    t.one(db, "SELECT send_problem(?, 'email')", ben)
    db.execute("INSERT INTO send_registration VALUES (?, 'email')", [ben])
    t.one(db, "SELECT preview_message('registration', ?, 'email')", ben)
    t.one(db, "SELECT quick_add('Zoe', 'New', '1990-01-01', 'email', 'zoe@example.com')")
    claim = t.one(db, 'SELECT claim_messages(1)')
    for message, in t.all(db, 'SELECT message_id FROM portal_claimed(?)', claim):
        t.one(db, "SELECT report_delivery(?, ?, 'sent')", claim, message)
    t.one(db, 'SELECT merge_patients(?, ?)', ada, ben)
    t.one(db, "SELECT portal_opt_out('nobody@example.com')")
    t.one(db, "SELECT portal_opt_in('nobody@example.com')")
    t.one(db, 'SELECT expire_links()')
    t.all(db, 'SELECT * FROM portal_status WHERE patient_id = ?', ada)
    t.all(db, 'SELECT * FROM portal_find(?)', str(ada))


def test_no_call_about_a_patient_reads_a_table_through(t):
    db = t.database()
    ada, ben = t.patient(db), t.patient(db, first_name='Ben')
    statements = set()
    db.set_trace_callback(statements.add)
    workflow(t, db, ada, ben)
    db.set_trace_callback(None)
    # Statements within a call are traced as comments.
    plain = {re.sub('^-- ', '', statement, flags=re.M) for statement in statements}
    ours = [statement for statement in plain if re.match(r'(--.*\n)*(SELECT|INSERT|UPDATE|DELETE|WITH)\b', statement)]
    t.true(len(ours) > 80, len(ours))
    found = {}
    for statement in ours:
        if scan := scans(db, statement):
            found[statement] = scan
    t.equal(found, {})
