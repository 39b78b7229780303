"""The head of the audit follows insert forms late: at the end of a statement of many rows, before a
savepoint, before a commit. Whatever happens in between, the chain is whole."""
SEND = "INSERT INTO send_registration(patient_id, channel) VALUES (?, 'email')"
SEND_ALL = "INSERT INTO send_registration(patient_id, channel) SELECT patient_id, 'email' FROM patient"


def patients(t, count, journal='delete'):
    db = t.database(journal)
    return db, [t.patient(db) for _ in range(count)]


def whole(t, db, sent):
    """Another connection finds the chain whole, and an event for each message."""
    other = t.connect(t.file(db))
    t.equal(t.one(other, 'SELECT portal_audit_verify()'), None)
    t.equal(t.one(other, "SELECT count(*) FROM portal_audit WHERE action = 'registration.queued'"), sent)
    t.equal(t.one(other, 'SELECT count(*) FROM portal_message'), sent)
    t.equal(t.one(other, 'SELECT audit_count - max(event_id) FROM portal_state, portal_audit'), 0)
    other.close()


def test_an_insert_of_many_rows_leaves_a_whole_chain_in_and_outside_a_transaction(t):
    for journal in ('delete', 'wal'):
        db, _ = patients(t, 20, journal)
        db.execute(SEND_ALL)
        t.equal(t.one(db, 'SELECT changes()'), 20)
        whole(t, db, 20)
        t.advance(61)
        db.execute('BEGIN')
        db.execute(SEND_ALL)
        t.equal(t.one(db, 'SELECT changes()'), 20)
        t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
        db.execute('COMMIT')
        t.equal(t.one(db, 'SELECT changes()'), 20)
        whole(t, db, 40)


def test_rows_inserted_one_by_one_in_a_transaction_leave_a_whole_chain(t):
    db, ids = patients(t, 6)
    db.execute('BEGIN')
    for patient_id in ids:
        db.execute(SEND, [patient_id])
        if patient_id % 2 == 0:
            t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
    db.execute('COMMIT')
    whole(t, db, 6)


def test_a_rollback_takes_the_events_of_inserted_rows_along(t):
    db, ids = patients(t, 3)
    db.execute('BEGIN')
    db.execute(SEND, [ids[0]])
    db.execute(SEND, [ids[1]])
    db.execute('ROLLBACK')
    whole(t, db, 0)
    db.execute(SEND, [ids[2]])
    whole(t, db, 1)


def test_a_savepoint_rolled_back_takes_only_its_own_events_along(t):
    db, ids = patients(t, 4)
    db.execute('BEGIN')
    db.execute(SEND, [ids[0]])
    db.execute('SAVEPOINT inner')
    db.execute(SEND, [ids[1]])
    t.one(db, "SELECT send_registration(?, 'email')", ids[2])
    db.execute('ROLLBACK TO inner')
    db.execute(SEND, [ids[3]])
    db.execute('RELEASE inner')
    db.execute('COMMIT')
    whole(t, db, 2)


def test_a_refused_statement_takes_only_its_own_events_along(t):
    db, ids = patients(t, 3)
    db.execute('BEGIN')
    db.execute(SEND, [ids[0]])
    t.refuses(db, "INSERT INTO send_registration(patient_id, channel) VALUES (?, 'email'), (99, 'email')",
              ids[1], says='patient 99 is not on file')
    db.execute(SEND, [ids[2]])
    db.execute('COMMIT')
    whole(t, db, 2)


def test_scalar_calls_and_inserted_rows_take_turns_in_one_transaction(t):
    db, ids = patients(t, 3)
    db.execute('CREATE TABLE note(text)')
    db.execute('BEGIN')
    db.execute(SEND, [ids[0]])
    t.one(db, "SELECT send_registration(?, 'email')", ids[1])
    t.refuses(db, "SELECT send_registration(99, 'email')", says='not on file')
    db.execute(SEND, [ids[2]])
    db.execute('INSERT INTO note VALUES (revoke_access(?))', [ids[0]])
    db.execute('COMMIT')
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
    t.equal(t.one(t.connect(t.file(db)), 'SELECT portal_audit_verify()'), None)


def test_a_setting_changed_between_two_inserted_rows_holds_for_the_second(t):
    db, ids = patients(t, 2)
    db.execute('BEGIN')
    db.execute(SEND, [ids[0]])
    db.execute("INSERT INTO portal_setting VALUES ('ehr_requires', 'email, cell_phone')")
    db.execute('UPDATE patient SET cell_phone = NULL')
    t.refuses(db, SEND, ids[1], says='no cell phone')
    db.execute('COMMIT')
    whole(t, db, 1)


def test_a_setting_changed_by_another_process_between_two_transactions_holds_for_the_second(t):
    db, ids = patients(t, 2)
    other = t.connect(t.file(db))
    db.execute(SEND, [ids[0]])
    t.one(other, "SELECT portal_setting('ehr_requires', 'email, cell_phone')")
    db.execute('UPDATE patient SET cell_phone = NULL')
    t.refuses(db, SEND, ids[1], says='no cell phone')


def test_a_commit_that_has_to_wait_for_a_reader_can_be_tried_again(t):
    db, ids = patients(t, 1)
    reader = t.connect(t.file(db))
    db.execute('PRAGMA busy_timeout = 0')
    reader.execute('BEGIN')
    t.one(reader, 'SELECT count(*) FROM patient')
    db.execute('BEGIN')
    db.execute(SEND, ids)
    t.refuses(db, 'COMMIT', says='locked')
    reader.execute('COMMIT')
    db.execute('COMMIT')
    whole(t, db, 1)


def test_a_head_that_was_moved_by_hand_in_the_same_transaction_fails_its_commit(t):
    db, ids = patients(t, 1)
    db.execute('BEGIN')
    db.execute(SEND, ids)
    db.execute('UPDATE portal_state SET audit_count = audit_count + 1 WHERE state_id = 1')
    t.refuses(db, 'COMMIT', says='the audit head has moved')
    whole(t, db, 0)
