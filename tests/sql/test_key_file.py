"""The key file: made once, private, the right one, or a refusal that names it and the remedy."""
import os
import sqlite3
import subprocess

import harness
import snapshot
from refusals import staffed


def with_key(t, change, *says):
    db = staffed(t)
    key = t.path(f'{t.file(db).name}.portal-key')
    change(key)
    other = t.connect(t.file(db))
    before = snapshot.contents(other, ())
    for sql in ("SELECT send_registration(2, 'email')", 'SELECT portal_audit_verify()',
                "SELECT portal_setting('link_hours', 24)", 'SELECT portal_init()',
                "INSERT INTO send_registration VALUES (2, 'email')"):
        text = t.refuses(other, sql, says=('key file', *says))
        t.contains(text, key.name)
    t.equal(snapshot.contents(other, ()), before)


def test_a_missing_key_file_is_named_and_not_made_anew(t):
    with_key(t, lambda key: key.unlink(), 'missing')


def test_a_key_file_that_others_may_read_or_change_is_refused_with_the_remedy(t):
    for mode in (0o604, 0o620, 0o602, 0o601, 0o666):
        with_key(t, lambda key: key.chmod(mode), 'chmod 600')


def test_a_key_file_of_another_database_is_told_from_a_damaged_one(t):
    other = t.path(f'{t.file(t.database()).name}.portal-key').read_bytes()
    with_key(t, lambda key: key.write_bytes(other), 'another database')


def test_a_damaged_key_file_is_refused(t):
    for text in (b'', b'# nothing\n', b'1 abc\n', b'x' * 5000, b'1 ' + b'0' * 63 + b'\n', b'0 ' + b'0' * 64,
                 b'256 ' + b'0' * 64, b'1 ' + b'g' * 64, b'2 ' + b'0' * 64 + b'\n1 ' + b'0' * 64,
                 b'1 ' + b'0' * 64 + b' more', b'1 ' + b'0' * 64 + b'\n1 ' + b'1' * 64, b'\x00' * 70, b'1'):
        with_key(t, lambda key: key.write_bytes(text))


def test_a_key_file_with_a_zero_byte_is_damaged_whatever_stands_before_it(t):
    later = b'\x00\n2 ' + b'0' * 64 + b'\n'
    with_key(t, lambda key: key.write_bytes(key.read_bytes() + later), 'is damaged')


def test_a_folder_in_place_of_the_key_file_is_refused(t):
    def change(key):
        key.unlink()
        key.mkdir(0o700)
    with_key(t, change, 'is not a file')


def test_a_key_file_that_changes_under_a_connection_is_noticed(t):
    db = staffed(t)
    key = t.path('practice.db.portal-key')
    right = key.read_bytes()
    key.chmod(0o644)
    # It is looked at once a second at most.
    deadline = os.times().elapsed + 5
    while os.times().elapsed < deadline:
        try:
            db.execute("SELECT portal_setting('link_hours', 24)")
        except sqlite3.Error as error:
            t.contains(str(error), 'chmod 600')
            break
    else:
        raise AssertionError('never noticed')
    key.chmod(0o600)
    t.equal(key.read_bytes(), right)
    db.execute("SELECT portal_setting('link_hours', 24)")


def test_the_environment_may_name_the_key_file(t):
    os.environ['PORTAL_KEY_FILE'] = str(t.path('elsewhere.key'))
    db = staffed(t)
    t.true(t.path('elsewhere.key').exists() and not t.path('practice.db.portal-key').exists())
    snapshot.whole(t, db)
    del os.environ['PORTAL_KEY_FILE']
    t.refuses(t.connect(t.file(db)), 'SELECT portal_audit_verify()', says='practice.db.portal-key is missing')
    os.environ['PORTAL_KEY_FILE'] = str(t.path('none/such.key'))
    t.refuses(t.database(init=False), 'SELECT portal_init()', says='such.key')


def test_a_folder_that_can_not_be_written_gets_no_portal(t):
    os.environ['PORTAL_KEY_FILE'] = '/proc/portal.key'
    db = t.database(init=False)
    t.refuses(db, 'SELECT portal_init()', says=('/proc/portal.key', 'can not be made'))
    t.equal(t.all(db, 'SELECT name FROM sqlite_schema'), [])


@harness.release_only
def test_the_key_is_made_too_where_a_file_needs_a_name(t):
    keys = t.path('keys')
    keys.mkdir()
    # The first time that the folder is opened is for a file without a name.
    done = subprocess.run(['strace', '-f', '-o', t.path('trace'), '-P', f'{keys}/', '-e', 'inject=openat:error=EOPNOTSUPP:when=1',
                           'sqlite3', '-cmd', f'.load {t.extension}', 'practice.db', 'SELECT portal_init()'],
                          env={**os.environ, 'PORTAL_KEY_FILE': f'{keys}/key'}, capture_output=True, text=True)
    t.contains(done.stdout, 'were made')
    t.contains(t.path('trace').read_text(), 'O_TMPFILE', 'EOPNOTSUPP')
    t.equal([(file.name, file.stat().st_mode & 0o777) for file in keys.iterdir()], [('key', 0o600)])
