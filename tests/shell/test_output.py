"""What becomes of the command's output: closed pipes, full disks, no terminal, scripts; and of a database it can not write."""
import json
import os
import resource
import shutil
import signal
import subprocess
import time

import harness
import mailservers

DONE, REFUSED, PARTLY, DATABASE, BUSY, INTERRUPTED, PIPE = 0, 1, 3, 4, 5, 130, 141


def practice(t, patients=1):
    db = t.database()
    for _ in range(patients):
        t.patient(db)
    return db, (str(t.command), '-d', str(t.file(db)))


def run(t, *command, **options):
    """Without a terminal; its standard files may be others than those of t.portal()."""
    options = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, 'stdin': subprocess.DEVNULL, **options}
    done = subprocess.run([*map(str, command)], text=True, env=t.portal_environment(), check=False, **options)
    t.true(done.returncode >= 0, f'ended by signal {-done.returncode}: {done.stderr}')
    return done


# Output that nobody takes

def test_a_reader_who_has_seen_enough_ends_the_command_quietly(t):
    db, portal = practice(t)
    db.execute("""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
                  INSERT INTO patient (first_name, last_name, date_of_birth)
                  SELECT 'Ada', 'Lovelace', '1985-12-10' FROM n""")
    for form in ([], ['--json'], ['--csv']):
        read, write = os.pipe()
        with subprocess.Popen([*portal, *form, 'status'], stdout=write, stderr=subprocess.PIPE, text=True,
                              env=t.portal_environment()) as process:
            os.close(write)
            os.read(read, 10)
            os.close(read)
            t.equal(process.communicate()[1], '')
        t.equal(process.returncode, PIPE, form)


def test_what_was_done_stays_done_when_nobody_reads_the_answer(t):
    db, portal = practice(t)
    read, write = os.pipe()
    os.close(read)
    t.equal(run(t, *portal, 'send', 1, '--by', 'email', stdout=write).returncode, PIPE)
    os.close(write)
    t.equal(len(t.mails(db)), 1)
    t.equal(t.one(db, 'SELECT status FROM portal_status'), 'sent')


def test_output_that_can_not_be_written_is_told(t):
    _, portal = practice(t)
    with open('/dev/full', 'w') as full:
        for command in (['status'], ['--json', 'status'], ['--csv', 'status'], ['version'], ['help'], ['help', '--man']):
            done = run(t, *portal, *command, stdout=full)
            t.equal(done.returncode, REFUSED, command)
            t.contains(done.stderr, 'portal: the output is not whole: No space left on device')


def test_standard_files_that_are_closed_are_no_place_for_a_database(t):
    db, portal = practice(t)
    done = subprocess.run(['sh', '-c', '"$0" "$@" <&- >&- 2>&-', *portal, 'send', '1', '--by', 'email'],
                          env=t.portal_environment(), check=False)
    t.equal(done.returncode, REFUSED)
    t.equal(len(t.mails(db)), 1)
    t.contains(t.text(t.mails(db)[0]), '/r/')
    t.equal(t.one(db, 'PRAGMA integrity_check'), 'ok')
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


# A database that can not be read or written

@harness.release_only
def test_a_database_that_stays_locked_ends_the_command_with_a_code_of_its_own(t):
    db, portal = practice(t)
    db.execute('PRAGMA journal_mode = DELETE')
    # Its pauses are passed over.
    at_once = ['strace', '-o', '/dev/null', '--inject=clock_nanosleep,nanosleep:retval=0']
    for lock, command in (('IMMEDIATE', ['send', 1, '--by', 'email']), ('EXCLUSIVE', ['send', 1, '--by', 'email']),
                          ('EXCLUSIVE', ['status'])):
        db.execute(f'BEGIN {lock}')
        done = run(t, *at_once, *portal, *command)
        db.execute('ROLLBACK')
        t.equal((done.returncode, done.stdout), (BUSY, ''), (lock, command, done.stderr))
        t.contains(done.stderr, 'is locked')
    db.execute('BEGIN EXCLUSIVE')
    left = run(t, 'strace', '-o', '/dev/null', '--inject=clock_nanosleep,nanosleep:signal=INT:when=3', *portal, 'status')
    t.equal((left.returncode, left.stderr), (INTERRUPTED, 'portal: interrupted\n'))


def test_a_full_disk_leaves_the_database_as_it_was(t):
    db, portal = practice(t, 300)
    size = t.file(db).stat().st_size
    limit = lambda: (resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)), signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
    done = run(t, *portal, 'send-all', '--by', 'email', '--yes', preexec_fn=limit)
    t.equal(done.returncode, DATABASE, done)
    t.contains(done.stderr, 'nothing was sent')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_message'), 0)
    t.equal(t.one(db, 'PRAGMA integrity_check'), 'ok')


def test_a_database_that_may_be_read_alone_is_read_and_not_written(t):
    db, portal = practice(t)
    closed = t.path('closed')
    closed.mkdir()
    for file in t.directory.glob('practice.db*'):
        if file.is_file():
            shutil.copy(file, closed)
    copy = closed / t.file(db).name
    copy.chmod(0o444)
    closed.chmod(0o555)
    command = [*t.held_to_modes(), t.command, '-d', copy]
    shown = run(t, *command, 'requests', cwd='/')
    t.equal((shown.returncode, shown.stdout), (DONE, 'No requests are waiting.\n'), shown)
    refused = run(t, *command, 'decline', 1, cwd='/')
    t.true(refused.returncode in (REFUSED, DATABASE) and refused.stderr.startswith('portal: '), refused)
    t.equal(refused.stderr.count('\n'), 1)


# No terminal

def test_without_a_terminal_nothing_is_asked(t):
    _, portal = practice(t, 2)
    several = run(t, 'setsid', *portal, 'send', 'Ada', '--by', 'email')
    t.equal((several.returncode, several.stdout), (REFUSED, ''))
    t.contains(several.stderr, 'several patients', 'name one by the patient_id')
    unsure = run(t, 'setsid', *portal, 'send-all', '--by', 'email')
    t.equal((unsure.returncode, unsure.stdout), (REFUSED, ''))
    t.contains(unsure.stderr, '2 can be sent to, 0 not.', 'portal: nothing was sent')
    sent = run(t, 'setsid', *portal, 'send-all', '--by', 'email', '--yes')
    t.equal((sent.returncode, sent.stdout), (DONE, ''))


def test_a_script_or_sql_is_run_as_the_sqlite3_shell_runs_it(t):
    db, _ = practice(t)
    file = str(t.file(db))
    # The shell complains when SQLite was begun before it, as the tests' clock does.
    env = {'LD_PRELOAD': os.environ.get('LD_PRELOAD', '')}
    t.equal(t.portal(file, env=env, input='SELECT 1, 2;\nSELECT status FROM portal_status;\n').stdout, '1|2\nnot sent\n')
    t.equal(t.portal(file, 'SELECT 42', env=env).stdout, '42\n')
    t.equal(json.loads(t.portal('--json', file, 'SELECT 42 AS it', env=env).stdout), [{'it': 42}])
    bad = t.portal(file, 'SELECT nonsense', env=env)
    t.true(bad.code != DONE and bad.stdout == '', bad)
    t.contains(bad.stderr, 'no such column: nonsense')
    shrunk = t.portal(file, '--as', 'scheduling', "SELECT portal_as('ehr')", env=env)
    t.equal((shrunk.code, shrunk.stdout), (1, ''))
    t.contains(t.portal(file, 'status', 'Ada').stdout, 'Ada Lovelace')


def test_without_the_sqlite3_shell_its_package_is_named(t):
    db, _ = practice(t)
    t.path('empty').mkdir()
    done = t.portal(t.file(db), env={'PATH': str(t.path('empty'))})
    t.equal((done.code, done.stdout), (REFUSED, ''))
    t.contains(done.stderr, 'install the package sqlite3')


def test_a_missing_database_is_told_with_what_makes_one(t):
    done = t.portal(t.path('missing.db'))
    t.equal(done.code, DATABASE)
    t.contains(done.stderr, 'missing.db', 'portal init')
    t.true(not t.path('missing.db').exists())


# Sending to many

def test_send_all_shows_whom_it_leaves_out_and_sends_to_the_others(t):
    db, _ = practice(t, 3)
    t.patient(db, first_name='No', last_name='Mail', email=None)
    options = ('-d', t.file(db))
    dry = t.portal(*options, '--json', 'send-all', '--by', 'email', '--dry-run')
    t.equal((dry.code, dry.stderr), (DONE, '3 can be sent to, 1 not.\n'))
    t.equal([row['patient_id'] for row in json.loads(dry.stdout)], [4])
    t.contains(json.loads(dry.stdout)[0]['problem'], 'no email address')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_message'), 0)
    some = t.portal(*options, 'send-all', '--by', 'email', '--yes', '--where', 'patient_id < 3 OR patient_id = 4 -- no more')
    t.equal(some.code, PARTLY)
    t.equal(t.all(db, 'SELECT patient_id FROM portal_registration'), [(1,), (2,)])
    none = t.portal(*options, 'send-all', '--by', 'email', '--yes', '--where', 'patient_id IN (1, 4)')
    t.equal((none.code, none.stderr), (REFUSED, '0 can be sent to, 2 not.\nportal: nothing was sent\n'))
    t.equal(t.portal(*options, 'send-all', '--by', 'email', '--yes', '--where', 'patient_id < 0').code, DONE)
    t.equal(len(t.mails(db)), 2)
    wrong = t.portal(*options, 'send-all', '--by', 'email', '--where', 'shoe_size > 40')
    t.equal((wrong.code, wrong.stdout), (REFUSED, ''))
    t.contains(wrong.stderr, 'no such column: shoe_size')


def test_send_all_tells_how_many_were_refused_when_their_turn_came(t):
    db, _ = practice(t, 0)
    for _ in range(12):
        t.patient(db, email='family@example.com')
    done = t.portal('-d', t.file(db), 'send-all', '--by', 'email', '--yes')
    t.equal(done.code, PARTLY)
    t.contains(done.stderr, '12 can be sent to, 0 not.', '2 more were refused')
    t.equal(len(t.mails(db)), 10)


# What takes long, without a terminal

@harness.release_only
def test_a_long_hand_over_tells_every_ten_seconds_and_sigterm_says_what_was_sent(t):
    db, portal = practice(t, 400)
    port = mailservers.sink(t, '-w', '1')
    for key, value in (('email_channel', 'smtp'), ('smtp_url', f'smtp://127.0.0.1:{port}'), ('smtp_tls', 'off')):
        db.execute('SELECT portal_setting(?, ?)', [key, value])
    db.execute('BEGIN')
    db.execute("INSERT INTO send_registration (patient_id, channel) SELECT patient_id, 'email' FROM patient")
    db.execute('COMMIT')
    with subprocess.Popen([*portal, 'deliver'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=t.portal_environment()) as process:
        began = time.monotonic()
        line = process.stderr.readline()
        t.true(time.monotonic() - began >= 9, f'too soon: {line}')
        t.contains(line, 'sending: ', ' of 400 messages, ', '/s, ', ' left\n')
        process.terminate()
        output, told = process.communicate()
    t.equal((process.returncode, output), (INTERRUPTED, ''))
    sent = t.one(db, "SELECT count(*) FROM portal_message WHERE status = 'sent'")
    t.equal(told.splitlines()[-1], f'portal: interrupted: {sent} were sent, the other {400 - sent} wait')
    t.true(0 < sent < 400)


def test_control_characters_of_the_data_reach_neither_tables_nor_errors(t):
    db, _ = practice(t, 0)
    t.patient(db, first_name='Ada\x1b]0;title\x07', last_name='\x9b2J\u202eLove\x7f\nlace')
    options = ('-d', t.file(db))
    for answer in (t.portal(*options, 'status'), t.portal(*options, 'status', '\x1b[31mAda'), t.portal(*options, 'send', 'Ad', '--by', 'email')):
        text = answer.stdout + answer.stderr
        t.equal([c for c in text if (ord(c) < 32 and c != '\n') or 127 <= ord(c) < 160 or c == '\u202e'], [], repr(text))
    t.equal(json.loads(t.portal(*options, '--json', 'status').stdout)[0]['patient_name'],
            'Ada\x1b]0;title\x07 \x9b2J\u202eLove\x7f\nlace')
