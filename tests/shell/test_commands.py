"""The commands of `portal`: each does what its statement of SQL does, and says no as clearly."""
import harness


def practice(t):
    """A database with Ada, patient 1, and the options that name it."""
    db = t.database()
    t.patient(db)
    return db, ('-d', t.file(db))


def test_send_sends_and_status_shows_it(t):
    db, database = practice(t)
    sent = t.portal(*database, 'send', 'Ada Lovelace', '--by', 'email')
    t.equal((sent.code, sent.stderr), (0, ''))
    t.contains(sent.stdout, 'Portal registration sent by email', '2026-11-22 09:20 EST')
    t.equal(len(t.mails(db)), 1)
    t.contains(t.portal(*database, 'status', 1).stdout, 'sent')
