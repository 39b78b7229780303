"""portal_key_rotate(): what was made before stays good, and whenever it is killed nothing is lost."""
import base64
import contextlib
import itertools
import os
import pathlib
import re
import subprocess
import time

import flows
import harness
import snapshot

SECRET = 'hush, hush'


def key_of(db_file):
    return pathlib.Path(os.environ.get('PORTAL_KEY_FILE') or f'{db_file}.portal-key')


def generations(t, db):
    return [int(line.split()[0]) for line in key_of(t.file(db)).read_text().splitlines() if not line.startswith('#')]


def rotate(t, db):
    return t.one(db, 'SELECT portal_key_rotate()')


def sealed_by(t, db):
    return {seal[0] for seal, in t.all(db, 'SELECT sealed FROM portal_secret')}


def practice(t, journal='delete'):
    """Somebody with a link, a PIN, a session and a reset that live, and secrets."""
    db = t.database(journal=journal)
    ada, ben = t.patient(db), t.patient(db, first_name='Ben')
    lives = {'session': flows.register(t, db, ada, 'ada'), 'patient': ben}
    lives['link'] = flows.send(t, db, ben)
    lives['pin'] = flows.pin(t, db, lives['link'], ben)
    flows.ask(t, db, "SELECT forgot_password('ada')")
    t.one(db, 'SELECT deliver()')
    lives['reset'] = re.search(r'/p/([\w-]{32})', t.text(flows.newest(t, db, 'password')))[1]
    t.one(db, "SELECT portal_secret('smtp_password', ?)", SECRET)
    t.one(db, "SELECT portal_secret('twilio_token', ?)", SECRET)
    return db, lives


def still_good(t, db, lives):
    t.equal(t.one(db, 'SELECT token_status(?)', lives['link']), 'valid')
    t.equal(flows.patients_of(t, db, lives['session']), [1])
    t.equal(flows.enroll(t, db, lives['link'], lives['pin'], 'ben')['result'], 'registered')
    t.contains(t.one(db, 'SELECT reset_password(?, ?)', lives['reset'], 'another good password'), '"reset"')
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_links_pins_sessions_and_resets_of_before_stay_good_and_secrets_are_sealed_anew(t):
    db, lives = practice(t)
    other = t.connect(t.file(db))
    t.equal(flows.patients_of(t, other, lives['session']), [1])
    said = rotate(t, db)
    t.contains(said, 'generation 2 is in force', 'sealed anew: 2', f'Back up {key_of(t.file(db))} now')
    t.equal((generations(t, db), sealed_by(t, db)), ([1, 2], {2}))
    t.equal(t.all(db, "SELECT subject, detail FROM portal_audit WHERE action = 'key.rotated'"),
            [('generation 2', '2 secrets sealed anew')])
    # A connection that had read the key file before uses the new one at once.
    token = flows.send(t, other, t.patient(other, first_name='Cleo'))
    t.equal(base64.urlsafe_b64decode(token)[0], 2)
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'valid')
    still_good(t, other, lives)


def test_a_message_that_was_queued_before_carries_the_same_link_at_every_try(t):
    db = t.database()
    db.execute("SELECT portal_setting('email_channel', 'none')")
    t.one(db, "SELECT send_registration(?, 'email')", t.patient(db))
    claim = t.one(db, 'SELECT claim_messages(1)')
    first = t.one(db, 'SELECT text FROM portal_claimed(?)', claim)
    t.one(db, "SELECT report_delivery(?, 1, 'uncertain')", claim)
    rotate(t, db)
    t.advance(3600)
    t.equal(t.one(db, 'SELECT text FROM portal_claimed(?)', t.one(db, 'SELECT claim_messages(1)')), first)


def test_a_generation_goes_when_nothing_needs_it_but_for_the_first_and_the_one_before(t):
    db = t.database()
    token = None
    for expected in ([1, 2], [1, 2, 3], [1, 3, 4]):
        rotate(t, db)
        t.equal(generations(t, db), expected)
    token = flows.send(t, db, t.patient(db))
    for expected in ([1, 4, 5], [1, 4, 5, 6], [1, 4, 6, 7]):
        rotate(t, db)
        t.equal(generations(t, db), expected)
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'valid')
    t.advance(73 * 3600)
    t.one(db, 'SELECT expire_links()')
    rotate(t, db)
    t.equal(generations(t, db), [1, 7, 8])
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_the_numbers_of_generations_begin_anew_after_255(t):
    db = t.database()
    key = key_of(t.file(db))
    lines = key.read_text()
    key.write_text(lines + f'2 {"b" * 64}\n254 {"c" * 64}\n')
    db.execute("UPDATE portal_state SET settings_stamp = 1")
    token = flows.send(t, db, t.patient(db))
    # The first brings into force what somebody wrote.
    for expected in ([1, 2, 254], [1, 254, 255], [1, 254, 255, 2], [1, 254, 2, 3]):
        rotate(t, db)
        t.equal(generations(t, db), expected)
    t.equal(t.one(db, 'SELECT token_status(?)', token), 'valid')


def test_a_file_that_is_full_of_keys_in_use_is_refused_with_what_to_do(t):
    db = t.database()
    db.execute("SELECT portal_setting('email_channel', 'none')")
    for number in range(31):
        t.one(db, "SELECT send_registration(?, 'email')", t.patient(db))
        rotate(t, db)
    full = key_of(t.file(db)).read_bytes()
    t.refuses(db, 'SELECT portal_key_rotate()', says='rotate again when they have expired')
    t.equal(key_of(t.file(db)).read_bytes(), full)
    t.equal(len(generations(t, db)), 32)


def test_it_runs_by_itself_alone_because_a_rollback_would_not_undo_it(t):
    db = t.database()
    db.execute('CREATE TABLE once (x)')
    db.execute('INSERT INTO once VALUES (1)')
    db.execute('BEGIN')
    t.refuses(db, 'SELECT portal_key_rotate()', says=('inside a transaction', 'ROLLBACK', 'COMMIT first'))
    db.execute('ROLLBACK')
    t.refuses(db, 'SELECT portal_key_rotate() FROM once', says='inside a transaction')
    t.refuses(db, 'INSERT INTO once SELECT portal_key_rotate()', says='inside a transaction')
    t.equal(generations(t, db), [1])


def test_the_key_of_a_database_in_memory_is_rotated_too(t):
    db = t.connect(':memory:')
    db.execute('SELECT portal_init()')
    t.one(db, "SELECT portal_secret('smtp_password', ?)", SECRET)
    t.equal(rotate(t, db), 'Key generation 2 is in force; secrets sealed anew: 1.')
    t.equal(sealed_by(t, db), {2})


def test_the_file_keeps_its_mode_and_owner_and_a_symbolic_link_stays_one(t):
    real, link = t.path('keys'), t.path('practice.key')
    real.mkdir()
    os.environ['PORTAL_KEY_FILE'] = str(link)
    link.symlink_to(real / 'key')
    (real / 'key').touch()
    db = t.database(init=False)
    link.unlink()
    (real / 'key').unlink()
    db.execute('SELECT portal_init()')
    link.rename(real / 'key')
    link.symlink_to(real / 'key')
    (real / 'key').chmod(0o640)
    owner = (65534, 65534) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(real / 'key', *owner)
    rotate(t, db)
    status = (real / 'key').stat()
    t.equal((status.st_mode & 0o7777, status.st_uid, status.st_gid, link.is_symlink()), (0o640, *owner, True))
    t.equal([file.name for file in real.iterdir()], ['key'])
    t.equal(generations(t, db), [1, 2])


def test_a_secret_that_can_not_be_opened_stays_and_keeps_nobody_from_rotating(t):
    db, lives = practice(t)
    db.execute("UPDATE portal_secret SET sealed = CAST(substr(sealed, 1, 40) || zeroblob(16) AS BLOB) WHERE key = 'smtp_password'")
    db.execute("INSERT INTO portal_secret VALUES ('short', x'01')")
    t.contains(rotate(t, db), 'sealed anew: 1')
    t.equal(sealed_by(t, db), {1, 2})


def strace(t, db, *inject):
    """Rotates in a shell of its own, with a fault in a system call; whether it was done, and what it said."""
    trace = ['strace', '-f', '-o', '/dev/null', *itertools.chain(*(('-e', f'inject={each}') for each in inject))]
    done = subprocess.run([*trace, 'sqlite3', '-bail', '-cmd', f'.load {t.extension}', t.file(db), 'SELECT portal_key_rotate()'],
                          capture_output=True, text=True)
    return 'in force' in done.stdout, done.stderr


def files_beside(t, db):
    return sorted(file.name for file in t.file(db).parent.glob(f'{t.file(db).name}.portal-key*'))


@harness.release_only
def test_a_disk_that_fails_leaves_the_key_as_it_was(t):
    db, lives = practice(t)
    key = key_of(t.file(db))
    before, whole = key.read_bytes(), snapshot.contents(db, ())
    # The first fsync() is of the key file; SQLite syncs by fdatasync().
    for fault, says in (('write:error=ENOSPC:when=1', 'can not be written'), ('fsync:error=EIO:when=1', 'can not be written'),
                        ('fchmod:error=EPERM:when=1', 'belongs to another user'), ('rename:error=EROFS', 'can not be replaced'),
                        ('access:error=EACCES:when=1+', 'can not be')):
        done, said = strace(t, db, fault)
        t.true(not done, fault)
        t.contains(said, 'key file', says)
        t.equal((key.read_bytes(), files_beside(t, db)), (before, [key.name]), fault)
    t.equal(snapshot.contents(db, ()), whole)
    still_good(t, db, lives)


@harness.release_only
def test_killed_at_any_step_it_loses_nothing_and_the_next_one_ends_what_it_began(t):
    db, lives = practice(t)
    file, key = t.file(db), key_of(t.file(db))
    db.execute('PRAGMA wal_checkpoint')
    killed = 0
    for call in ('rename', 'fsync', 'write', 'fchmod', 'unlink', 'pwrite64', 'fdatasync'):
        for number in range(1, 40):
            done, said = strace(t, db, f'{call}:signal=KILL:when={number}')
            with_key = t.connect(file)
            t.equal(t.one(with_key, 'SELECT token_status(?)', lives['link']), 'valid', f'{call} {number}')
            t.true(sealed_by(t, with_key) <= set(generations(t, with_key)), f'{call} {number}')
            t.equal(key.stat().st_mode & 0o777, 0o600)
            t.equal(t.one(with_key, 'SELECT portal_audit_verify()'), None)
            with_key.close()
            if done:
                break
            killed += 1
    t.true(killed >= 12, f'only {killed} were killed')
    rotate(t, db)
    t.equal(sealed_by(t, db), {generations(t, db)[-1]})
    t.true(len(generations(t, db)) <= 4, generations(t, db))
    t.equal(files_beside(t, db), [key.name])
    still_good(t, db, lives)


def test_a_connection_makes_nothing_with_a_key_that_it_knew_a_moment_ago_and_is_gone(t):
    db = t.database()
    rotate(t, db)
    for attempt in range(3):        # the file is looked at once a second anyhow: that may be now
        other = t.connect(t.file(db))
        t.one(other, "SELECT token_valid('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')")
        rotate(t, db)
        rotate(t, db)
        token = flows.send(t, other, t.patient(other))
        t.equal(t.one(db, 'SELECT token_status(?)', token), 'valid')


TURNS, WORKERS, ROTATIONS = 20, 2, 10


def use(t, number, path):
    """Sessions, and on a connection that does nothing else, links: it looks at the key file for these alone."""
    with contextlib.closing(t.connect(path, timeout=60)) as db, contextlib.closing(t.connect(path, timeout=60)) as staff:
        for turn in range(TURNS):
            session = flows.login(t, db, 'ada')
            t.equal(flows.patients_of(t, db, session), [1])
            t.equal(t.one(db, 'SELECT portal_logout(?)', session), 1)
            # What lives keeps its generation in the file, which has room for 32.
            if turn % 5 == 0:
                contact = f'n{number}x{turn}@example.com'
                t.one(staff, "SELECT quick_add(?, 'Worker', '1980-01-01', 'email', ?)", f'N{number}x{turn}', contact)


def use_or_rotate(t, number, path):
    """One rotates for as long as the others work, and often enough."""
    t.together()
    if number > 0:
        try:
            return use(t, number, path)
        finally:
            t.path(f'done{number}').touch()
    rotations = 0
    with contextlib.closing(t.connect(path, timeout=60)) as db:
        while rotations < ROTATIONS or len([*t.directory.glob('done*')]) < WORKERS:
            time.sleep(0.01)        # or nobody else ever gets the write lock
            rotate(t, db)
            rotations += 1


def test_others_work_on_while_the_key_is_rotated_again_and_again(t):
    for journal in ('delete', 'wal'):
        db, lives = practice(t, journal)
        results = t.parallel(1 + WORKERS, use_or_rotate, t.file(db))
        t.equal(results, [None] * (1 + WORKERS))
        t.one(db, 'SELECT deliver()')
        tokens = [t.token(mail) for mail in t.mails(db) if '/r/' in t.text(mail)]
        valid = sum(t.one(db, 'SELECT token_status(?)', token) == 'valid' for token in tokens)
        t.equal(valid, WORKERS * TURNS // 5 + 1)
        still_good(t, db, lives)
        for file in t.directory.glob('done*'):
            file.unlink()
