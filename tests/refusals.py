"""A practice, and calls of every sort that have something to do there, for tests of what keeps them from it."""
import snapshot


def staffed(t, **options):
    """A database with two patients, one invited."""
    db = t.database(**options)
    t.patient(db)
    t.patient(db)
    db.execute("SELECT send_registration(1, 'email')")
    return db


# A call of every sort; each is allowed and has something to do.
CALLS = (
    "SELECT send_registration(2, 'email')", "INSERT INTO send_registration VALUES (2, 'email')",
    "SELECT quick_add('Zoe', 'Zed', '1990-01-01', 'email', 'zoe@example.com')",
    "INSERT INTO quick_add(first_name, last_name, date_of_birth) VALUES ('Zoe', 'Zed', '1990-01-01')",
    'SELECT revoke_access(1)', 'INSERT INTO revoke_access(patient_id) VALUES (1)',
    "SELECT portal_setting('link_hours', 24)", "SELECT portal_secret('a', 'b')",
)


def refused_everywhere(t, db, *says):
    """Every writing call is refused in one of these ways, and nothing changes, not even the audit."""
    before = snapshot.contents(db, ())
    for sql in CALLS:
        text = t.refuses(db, sql)
        t.true(any(word in text for word in says), f'{sql}: {text}')
        t.true(not db.in_transaction, f'{sql} left a transaction open')
    t.equal(snapshot.contents(db, ()), before)
