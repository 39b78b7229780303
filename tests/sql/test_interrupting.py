"""sqlite3_interrupt(), Ctrl-C in the shell, at any moment: no transaction stays open, nothing that was sent is forgotten."""


def interrupted_at(db, sql, moment):
    """Runs SQL and interrupts its connection at the so-manieth step of it; True when it came so far."""
    left = [moment]

    def step():
        left[0] -= 1
        if left[0] == 0:
            db.interrupt()

    db.set_progress_handler(step, 10)
    try:
        db.execute(sql).fetchall()
    except Exception as error:
        if 'interrupted' not in str(error):
            raise
    finally:
        db.set_progress_handler(None, 0)
    return left[0] <= 0


def test_a_hand_over_that_is_interrupted_anywhere_keeps_no_lock_and_forgets_no_mail(t):
    db = t.database()
    other = t.connect(t.file(db))
    other.execute('PRAGMA busy_timeout = 0')
    for _ in range(30):
        t.patient(db)
    moment = 1
    while True:
        db.execute('BEGIN')
        db.execute("INSERT INTO send_registration (patient_id, channel) SELECT patient_id, 'email' FROM patient")
        db.execute('COMMIT')
        came = interrupted_at(db, 'SELECT deliver()', moment)
        t.true(not db.in_transaction, f'a transaction is open after an interrupt at {moment}')
        other.execute('SELECT deliver()')
        t.equal(t.all(db, "SELECT message_id FROM portal_message WHERE status NOT IN ('sent', 'cancelled')"), [], moment)
        t.equal(t.one(db, 'SELECT count(*) FROM portal_message WHERE duplicate'), 0)
        if not came:
            break
        moment += 7 if moment < 100 else 41
        t.advance(86400)
    t.true(moment > 100, f'all was done by {moment}')
    t.equal(len(t.mails(db)), t.one(db, "SELECT count(*) FROM portal_message WHERE status = 'sent'"))
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_a_send_that_is_interrupted_anywhere_is_whole_or_not_there(t):
    db = t.database()
    for _ in range(10):
        t.patient(db)
    moment = 1
    while interrupted_at(db, "INSERT INTO send_registration (patient_id, channel) SELECT patient_id, 'email' FROM patient",
                         moment):
        t.true(not db.in_transaction, f'a transaction is open after an interrupt at {moment}')
        t.true(t.one(db, 'SELECT count(*) FROM portal_message') in (0, 10), moment)
        if t.one(db, 'SELECT count(*) FROM portal_message') == 10:
            break
        moment += 5
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
