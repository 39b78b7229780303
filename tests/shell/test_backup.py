"""portal backup: whole and private or not there, whatever others write and wherever it is killed."""
import os
import subprocess

import flows
import harness

DONE, REFUSED, USAGE, PARTLY = 0, 1, 2, 3


def practice(t, journal='delete'):
    db = t.database(journal=journal)
    flows.send(t, db, t.patient(db))
    return db


def backup(t, db, name='copy.db', **options):
    return t.portal('-d', t.file(db), 'backup', t.path(name), **options)


def beside(t, name='copy.db'):
    return sorted(file.name for file in t.directory.glob(f'{name}*'))


def whole(t, copy, key):
    """Opens a copy with a key: whole, and its audit verifies."""
    os.environ['PORTAL_KEY_FILE'] = str(key)
    db = t.connect(copy)
    t.equal((t.one(db, 'PRAGMA integrity_check'), t.one(db, 'SELECT portal_audit_verify()')), ('ok', None))
    del os.environ['PORTAL_KEY_FILE']
    return db


def strace(t, db, *inject, name='copy.db', output='/dev/null'):
    """Makes a backup with a fault in a system call: its exit code, negative for a signal, and what it said."""
    command = ['strace', '-o', output, *(f'--inject={each}' for each in inject), t.command, '-d', t.file(db), 'backup', t.path(name)]
    done = subprocess.run(command, capture_output=True, text=True, env=t.portal_environment())
    return done.returncode, done.stderr


def test_a_backup_holds_all_but_the_key_and_says_where_that_is(t):
    for journal in ('delete', 'wal'):
        db = practice(t, journal)
        name = f'{journal}.copy'
        os.umask(0)
        made = backup(t, db, name)
        t.equal((made.code, made.stderr), (DONE, ''))
        t.equal(made.stdout, f'{t.path(name)} holds all but the key: keep {t.file(db)}.portal-key as well, in another place.\n')
        t.equal((beside(t, name), t.path(name).stat().st_mode & 0o777), ([name], 0o600))
        copy = whole(t, t.path(name), f'{t.file(db)}.portal-key')
        for table in ('patient', 'portal_registration', 'portal_message', 'portal_audit', 'portal_state'):
            t.equal(t.all(copy, f'SELECT * FROM {table}'), t.all(db, f'SELECT * FROM {table}'))


def test_the_key_file_that_the_environment_names_is_the_one_to_keep(t):
    os.environ['PORTAL_KEY_FILE'] = str(t.path('elsewhere.key'))
    db = practice(t)
    t.contains(backup(t, db).stdout, f'keep {t.path("elsewhere.key")} as well')
    whole(t, t.path('copy.db'), t.path('elsewhere.key'))


def test_nothing_that_is_there_is_overwritten(t):
    db = practice(t)
    t.path('file').write_text('kept')
    t.path('folder').mkdir()
    t.path('link').symlink_to('nowhere')
    for name in ('file', 'folder', 'link', 'practice.db'):
        said = backup(t, db, name)
        t.equal((said.code, said.stdout), (REFUSED, ''))
        t.contains(said.stderr, 'is there already; name another file')
    t.equal((t.path('file').read_text(), os.readlink(t.path('link'))), ('kept', 'nowhere'))
    said = t.portal('-d', t.file(db), 'backup', '-')
    t.equal((said.code, said.stdout), (USAGE, ''))
    said = backup(t, db, 'missing/copy.db')
    t.equal((said.code, said.stdout), (REFUSED, ''))
    t.contains(said.stderr, 'missing/copy.db: No such file or directory; there is no backup')


@harness.release_only
def test_it_is_private_from_its_first_byte_and_on_the_disk_before_it_has_its_name(t):
    db = practice(t)
    os.umask(0)
    strace(t, db, output=t.path('trace'))
    lines = t.path('trace').read_text().splitlines()
    first = next(line for line in lines if 'copy.db.' in line and 'openat' in line)
    t.contains(first, 'O_CREAT|O_EXCL', '0600')
    t.equal([line for line in lines if 'openat' in line and 'O_CREAT' in line and 'copy.db' in line], [first])
    named = next(number for number, line in enumerate(lines) if line.startswith('renameat2') and 'RENAME_NOREPLACE' in line)
    t.true(any(line.startswith('fsync') for line in lines[:named]) and any(line.startswith('fsync') for line in lines[named:]))


@harness.release_only
def test_a_disk_that_is_full_or_fails_leaves_nothing(t):
    db = practice(t)
    for fault in ('pwrite64:error=ENOSPC:when=3+', 'fsync:error=EIO', 'renameat2:error=EROFS'):
        code, said = strace(t, db, fault)
        t.equal((code != DONE, beside(t)), (True, []), fault)
    code, said = strace(t, db, 'pwrite64:error=ENOSPC:when=3+')
    t.contains(said, 'disk is full; there is no backup')


@harness.release_only
def test_a_killed_backup_is_none(t):
    db = practice(t)
    killed = 0
    for call in ('pwrite64', 'fsync', 'renameat2', 'pread64'):
        for number in (1, 2, 5, 20, 60):
            code, said = strace(t, db, f'{call}:signal=KILL:when={number}')
            if code == DONE:
                break
            killed += 1
            # The name comes last: after that, it is whole.
            if t.path('copy.db').exists():
                whole(t, t.path('copy.db'), f'{t.file(db)}.portal-key').close()
            t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
            for file in t.directory.glob('copy.db*'):
                t.equal(file.stat().st_mode & 0o777, 0o600)
                file.unlink()
        for file in t.directory.glob('copy.db*'):
            file.unlink()
    t.true(killed >= 6, killed)


def write_on(t, number, path, journal):
    """One backs up three times, the other writes all the time, to two tables at once."""
    db = t.connect(path, timeout=60)
    t.together()
    if number == 0:
        codes = []
        for turn in range(3):
            codes.append(t.portal('-d', path, 'backup', t.path(f'{journal}{turn}.copy')).code)
        t.path('done').touch()
        return codes
    writes = 0
    while not t.path('done').exists():
        db.executescript("BEGIN IMMEDIATE; INSERT INTO a SELECT randomblob(100) FROM patient; INSERT INTO b SELECT randomblob(100) FROM patient; COMMIT")
        writes += 1
    return writes


def test_it_ends_and_is_of_one_moment_while_another_process_never_stops_writing(t):
    for journal in ('delete', 'wal'):
        db = practice(t, journal)
        db.execute('CREATE TABLE a (x)')
        db.execute('CREATE TABLE b (x)')
        db.execute('INSERT INTO a WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)'
                   ' SELECT randomblob(1000) FROM n')
        db.execute('INSERT INTO b SELECT randomblob(1000) FROM a')
        path, key = t.file(db), f'{t.file(db)}.portal-key'
        db.close()
        t.path('done').unlink(missing_ok=True)
        codes, writes = t.parallel(2, write_on, path, journal)
        t.equal(codes, [DONE] * 3)
        t.true(writes > 3, writes)
        for turn in range(3):
            copy = whole(t, t.path(f'{journal}{turn}.copy'), key)
            t.equal(t.one(copy, 'SELECT count(*) FROM a'), t.one(copy, 'SELECT count(*) FROM b'))
            copy.close()


def test_a_broken_audit_or_a_missing_key_is_told_and_no_reason_for_no_backup(t):
    db = practice(t)
    db.execute('DROP TRIGGER portal_audit_no_update')
    db.execute("UPDATE portal_audit SET actor = 'nobody' WHERE event_id = 1")
    said = backup(t, db)
    t.equal((said.code, beside(t)), (PARTLY, ['copy.db']))
    t.contains(said.stderr, 'it is what the database is, but: event 1 is not what was written')
    t.path('practice.db.portal-key').rename(t.path('lost'))
    said = backup(t, db, 'second.db')
    t.equal((said.code, beside(t, 'second.db')), (PARTLY, ['second.db']))
    t.contains(said.stderr, 'practice.db.portal-key is missing')


def test_a_damaged_database_gives_no_backup_that_looks_like_one(t):
    db = practice(t)
    file = t.file(db)
    root = t.one(db, "SELECT rootpage FROM sqlite_schema WHERE name = 'portal_registration_destination'")
    db.close()
    with file.open('r+b') as stream:
        stream.seek((root - 1) * 4096)
        stream.write(os.urandom(2000))
    said = t.portal('-d', file, 'backup', t.path('copy.db'))
    t.equal((said.code, said.stdout, beside(t)), (REFUSED, '', []))
    t.contains(said.stderr, 'there is no backup')


def test_put_back_with_its_key_it_is_the_practice_of_then(t):
    db = practice(t)
    key = t.path('practice.db.portal-key')
    backup(t, db)
    t.path('copy.key').write_bytes(key.read_bytes())
    then = t.one(db, 'SELECT audit_count FROM portal_state')
    t.one(db, 'SELECT portal_key_rotate()')
    flows.send(t, db, t.patient(db))
    db.close()
    for source, target in (('copy.db', 'practice.db'), ('copy.key', 'practice.db.portal-key')):
        t.path(source).rename(t.path(target))
        t.path(target).chmod(0o600)
    verified = t.portal('-d', t.path('practice.db'), 'audit', '--verify', '--json')
    t.equal(verified.code, DONE)
    t.contains(verified.stdout, '"audit": "whole"', f'"events": {then},')
    db = t.connect(t.path('practice.db'))
    t.contains(t.one(db, 'SELECT portal_restored()'), 'links (1)')
    t.advance(60)
    flows.register(t, db, t.patient(db), 'ben')


def test_key_rotate_is_the_only_use_of_key(t):
    db = practice(t)
    said = t.portal('-d', t.file(db), 'key', 'rotate')
    t.equal((said.code, said.stderr), (DONE, ''))
    t.contains(said.stdout, 'generation 2', 'Back up')
    for words in (('key',), ('key', 'turn'), ('key', 'rotate', 'twice')):
        t.equal(t.portal('-d', t.file(db), *words).code, USAGE, words)


def test_a_broken_audit_is_told_with_the_event_and_an_exit_code(t):
    db = practice(t)
    whole_audit = t.portal('-d', t.file(db), 'audit', '--verify')
    t.equal((whole_audit.code, whole_audit.stderr), (DONE, ''))
    head = t.one(db, 'SELECT lower(hex(audit_head)) FROM portal_state')
    t.contains(whole_audit.stdout, 'whole', head)
    db.execute('DROP TRIGGER portal_audit_no_update')
    db.execute("UPDATE portal_audit SET detail = 'else' WHERE event_id = 2")
    broken = t.portal('-d', t.file(db), 'audit', '--verify', '--json')
    t.equal(broken.code, REFUSED)
    t.contains(broken.stderr, 'the audit is broken: event 2 is not what was written')
    t.contains(broken.stdout, 'event 2 is not what was written')
    t.equal(t.portal('-d', t.file(db), 'audit', '--patient', '1', '--verify').code, USAGE)
