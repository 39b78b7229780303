"""What a database holds, to compare before and after something that must change nothing."""


def portal_tables(db):
    """Names of the tables that portal_init() makes."""
    return [name for name, in db.execute(
        "SELECT name FROM main.sqlite_schema WHERE type = 'table'"
        " AND name LIKE 'portal\\_%' ESCAPE '\\' ORDER BY name")]


def contents(db, without=('portal_audit', 'portal_state')):
    """Every row of the chart and of the portal; the audit tells of refusals and may grow."""
    names = [name for name in [*portal_tables(db), 'patient'] if name not in without]
    return {name: db.execute(f'SELECT * FROM main.{name} ORDER BY 1').fetchall() for name in names}


def whole(t, db):
    """Fails the test unless the file is sound, nothing dangles and the audit verifies."""
    t.equal(t.one(db, 'PRAGMA integrity_check'), 'ok')
    t.equal(t.all(db, 'PRAGMA foreign_key_check'), [])
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
    t.equal(t.all(db, 'SELECT * FROM portal_registration WHERE registration_id NOT IN'
                      ' (SELECT message_id FROM portal_message)'), [])
    t.equal(t.all(db, "SELECT * FROM portal_message WHERE kind = 'registration' AND message_id"
                      ' NOT IN (SELECT registration_id FROM portal_registration)'), [])
