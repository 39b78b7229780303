"""Databases of another version, met by the command: the one in tests/fixtures is of the first."""
import shutil

import harness


def first(t):
    """The path of the practice as the first version left it, and the options that name it."""
    db = t.database(name='first.db', init=False)
    db.executescript((harness.ROOT / 'tests/fixtures/schema-1.sql').read_text())
    shutil.copy(harness.ROOT / 'tests/fixtures/schema-1.portal-key', t.path('first.db.portal-key'))
    t.path('first.db.portal-key').chmod(0o600)
    return db, ('-d', t.path('first.db'))


def test_init_upgrades_and_keeps_what_was_set(t):
    db, database = first(t)
    refused = t.portal(*database, 'status')
    t.equal((refused.code != 0, refused.stdout), (True, ''))
    t.contains(refused.stderr, 'schema version 1', 'portal_init()')
    done = t.portal(*database, 'init', '--yes')
    t.equal(done.code, 0, done.stderr)
    t.contains(done.stdout, 'were upgraded')
    t.contains(t.portal(*database, 'status').stdout, 'registered', 'sent', 'revoked', 'queued')
    t.contains(t.portal(*database, 'requests').stdout, 'Turin')
    t.contains(t.portal(*database, 'audit', '--verify').stdout, 'whole')
    t.equal(t.one(db, "SELECT portal_setting('practice_name')"), 'Noether Family Practice')


def test_a_database_of_a_newer_version_is_refused_clearly_and_left_alone(t):
    db = t.database()
    db.execute('UPDATE portal_state SET schema_version = 99')
    before = [*db.iterdump()]
    for command in (['status'], ['init', '--yes'], ['deliver'], ['audit', '--verify']):
        refused = t.portal('-d', t.file(db), *command)
        t.equal((refused.code != 0, refused.stdout), (True, ''), str(command))
        t.contains(refused.stderr, 'schema version 99', 'newer')
    t.equal([*db.iterdump()], before)
