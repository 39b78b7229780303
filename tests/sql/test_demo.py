"""The demo that a newcomer runs, and the report that an administrator reads every morning."""
import os
import pty
import re
import subprocess

import flows
import harness

NIGHTLY = harness.ROOT / 'sql/nightly.sql'
HOUR, DAY = 3600, 86400


# The demo

def run_demo(t, directory, **environment):
    done = subprocess.run([harness.ROOT / 'shell/demo', directory], capture_output=True, text=True,
                          env={**os.environ, **environment})
    return harness.Finished(done.returncode, done.stdout, done.stderr)


@harness.release_only
def test_the_demo_tells_the_whole_story_and_can_be_repeated(t):
    for _ in range(2):
        done = run_demo(t, t.path('the demo'))
        t.equal((done.code, done.stderr), (0, ''))
        t.contains(done.stdout, 'SELECT portal_init();', 'has no email address on file',
                   '"result":"pin_sent"', 'password too short', 'pending_requests',
                   'register_representative', 'portal_as(\'scheduling\'', 'INSERT OR IGNORE',
                   'superseded|valid', 'was revoked', 'All is well.', 'portal_audit_verify')
    db = t.connect(t.path('the demo/practice.db'))
    t.equal(t.one(db, 'SELECT count(*) FROM patient'), 23)
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


@harness.release_only
def test_the_demo_leaves_no_placeholder_unfilled_and_no_statement_without_a_name(t):
    output = run_demo(t, t.path('demo')).stdout
    for placeholder in ('{{', '}}', '%s', '$token', '$pin', '$session', '(null)', "''"):
        t.true(placeholder not in output, placeholder)
    t.equal(re.findall(r'near line', output), [])


@harness.release_only
def test_the_demo_shows_every_message_that_it_sends(t):
    output = run_demo(t, t.path('demo')).stdout
    mails = t.mails(t.path('demo/practice.db-outbox'))
    t.true(len(mails) > 10, f'{len(mails)} mails')
    shown = re.findall(r'\| (?:To: |TO:)(\S+)', output)
    t.equal(sorted(shown), sorted(str(mail['to']) for mail in mails))


@harness.release_only
def test_the_demo_writes_nowhere_but_into_its_directory(t):
    before = sorted(path.name for path in t.directory.iterdir())
    run_demo(t, t.path('demo'))
    t.equal(sorted(path.name for path in t.directory.iterdir()), sorted([*before, 'demo']))


@harness.release_only
def test_the_demo_is_not_misled_by_the_settings_of_whoever_runs_it(t):
    t.path('.sqliterc').write_text('.mode json\n.headers on\n')
    done = run_demo(t, t.path('demo'), LC_ALL='C', TZ='Asia/Kathmandu', COLUMNS='20')
    t.equal((done.code, done.stderr), (0, ''))


@harness.release_only
def test_the_demo_is_coloured_on_a_terminal_alone_and_never_with_no_color(t):
    t.true('\x1b' not in run_demo(t, t.path('demo')).stdout, 'colours in a pipe')
    t.true('\x1b' in on_terminal(t), 'no colours on a terminal')
    t.true('\x1b' not in on_terminal(t, NO_COLOR='1'), 'colours in spite of NO_COLOR')


def on_terminal(t, **environment):
    ours, theirs = pty.openpty()
    process = subprocess.Popen([harness.ROOT / 'shell/demo', t.path('demo')], stdout=theirs,
                               stderr=theirs, env={**os.environ, **environment})
    os.close(theirs)
    output = b''
    while True:
        try:
            output += os.read(ours, 65536)
        except OSError:         # what a terminal says when the last writer has gone
            break
    os.close(ours)
    t.equal(process.wait(), 0)
    return output.decode()


@harness.release_only
def test_the_demo_fails_when_a_step_does_not_do_what_the_story_says(t):
    fake = t.path('bin/minc')
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\n')
    fake.chmod(0o755)
    done = run_demo(t, t.path('demo'), PATH=f'{fake.parent}:{os.environ["PATH"]}')
    t.equal((done.code, done.stderr), (1, '\nshell/demo: expected 1 new messages, found 0\n'))


# The nightly report

def nightly(t, path):
    """The report as cron mails it, under the clock of the test."""
    done = subprocess.run(
        ['sqlite3', '-batch', '-cmd', f'.load {harness.CLOCK_VFS}', '-cmd', f'.open {path}',
         ':memory:'], input=NIGHTLY.read_text(), capture_output=True, text=True, cwd=harness.ROOT)
    return harness.Finished(done.returncode, done.stdout, done.stderr)


def report(t, db):
    done = nightly(t, t.file(db))
    t.equal((done.code, done.stderr), (0, ''))
    return done.stdout


def head(t, db):
    return t.one(db, "SELECT format('Audit: %d events, head %s', audit_count,"
                     ' lower(hex(audit_head))) FROM portal_state')


@harness.release_only
def test_the_nightly_report_is_short_when_all_is_well(t):
    db = t.database()
    text = report(t, db)
    t.equal(text.splitlines(), [
        'Patient portal of Your medical practice, 2026-11-22 14:20:00 UTC',
        '',
        'Links that have expired:  0',
        'Representatives outgrown: 0',
        'Messages handed over:     0',
        'Messages still waiting:   0',
        'Requests to be decided:   0',
        '',
        head(t, db),
        '',
        'All is well.'])


@harness.release_only
def test_the_nightly_report_of_a_database_without_the_tables_says_what_to_run(t):
    done = nightly(t, t.path('empty.db'))
    t.contains(done.stderr, 'SELECT portal_init()')
    t.true('All is well' not in done.stdout, done.stdout)


@harness.release_only
def test_the_nightly_report_hands_over_what_is_queued(t):
    db = t.database()
    patient = t.patient(db)
    db.execute("INSERT INTO send_registration VALUES (?, 'email')", [patient])
    t.equal(t.mails(db), [])
    t.contains(report(t, db), 'Messages handed over:     1', 'All is well.')
    t.equal(len(t.mails(db)), 1)


@harness.release_only
def test_the_nightly_report_counts_and_names_links_that_have_expired(t):
    db = t.database()
    patient = t.patient(db)
    flows.send(t, db, patient)
    t.advance(73 * HOUR)
    t.contains(report(t, db), 'Links that have expired:  1\n',
               f'  of patient {patient} on 2026-11-25 14:20:00 UTC\n')
    t.contains(report(t, db), 'Links that have expired:  0\n', f'  of patient {patient} ')
    t.advance(DAY)
    t.true('of patient' not in report(t, db), 'told for more than a day')


@harness.release_only
def test_the_nightly_report_names_messages_to_be_tried_again_and_those_that_failed(t):
    db = t.database()
    patient = t.patient(db)
    t.path('practice.db-outbox').write_text('in the way')
    t.one(db, "SELECT send_registration(?, 'email')", patient)
    text = report(t, db)
    t.contains(text, 'Messages that will be tried again', f'(registration by email, patient {patient})',
               'File exists')
    t.true('All is well' not in text, text)
    t.one(db, "SELECT portal_setting('link_hours', 24)")
    t.advance(DAY)
    t.contains(report(t, db), 'Messages of the last seven days that have failed',
               f'(registration by email, patient {patient}), failed')
    t.advance(8 * DAY)
    t.true('Messages of the last seven days' not in report(t, db), 'told for ever')


@harness.release_only
def test_the_nightly_report_names_requests_that_have_waited_for_more_than_three_days(t):
    db = t.database()
    patient = t.patient(db)
    session = flows.register(t, db, patient, 'adalovelace')
    flows.ask(t, db, "SELECT submit_demographics(?, ?, '{\"city\": \"Ashford\"}')", session, patient)
    t.advance(3 * DAY)
    t.contains(report(t, db), 'Requests to be decided:   1', 'All is well.')
    t.advance(1)
    text = report(t, db)
    t.contains(text, 'Requests that have waited for more than three days',
               f'request 1, patient {patient}, city, since 2026-11-22 14:20:00 UTC')
    t.true('All is well' not in text, text)


@harness.release_only
def test_the_nightly_report_names_what_the_self_check_finds(t):
    db = t.database()
    patient = t.patient(db)
    flows.send(t, db, patient)
    db.execute('UPDATE patient SET active = 0 WHERE patient_id = ?', [patient])
    text = report(t, db)
    t.contains(text, 'Findings of the self-check', f'patient {patient}, live link')
    t.true('All is well' not in text, text)


@harness.release_only
def test_the_nightly_report_tells_a_broken_audit(t):
    db = t.database()
    flows.send(t, db, t.patient(db))
    db.execute('DROP TRIGGER portal_audit_no_update')
    db.execute("UPDATE portal_audit SET actor = 'somebody else' WHERE event_id = 1")
    text = report(t, db)
    t.contains(text, 'The audit is broken', 'event 1')
    t.true('All is well' not in text, text)


@harness.release_only
def test_the_nightly_report_never_says_that_all_is_well_with_a_wrong_key(t):
    db = t.database()
    t.path('practice.db.portal-key').unlink()
    done = nightly(t, t.file(db))
    t.true(done.code != 0 and 'key file' in done.stderr, done)
    t.true('All is well' not in done.stdout, done.stdout)


@harness.release_only
def test_the_nightly_report_names_no_patient_and_no_contact(t):
    db = t.database()
    patient = t.patient(db)
    session = flows.register(t, db, patient, 'countess')
    flows.ask(t, db, "SELECT submit_demographics(?, ?, '{\"city\": \"Ashford\"}')", session, patient)
    t.path('practice.db-outbox').rename(t.path('elsewhere'))
    t.path('practice.db-outbox').write_text('in the way')
    t.advance(4 * DAY)
    t.one(db, "SELECT send_registration(?, 'email')", patient)
    text = report(t, db)
    t.contains(text, 'tried again', 'three days')
    for private in ('Lovelace', 'Ada', '1985', '@', 'Ashford', '555'):
        t.true(private not in text, f'{private} is in\n{text}')


@harness.release_only
def test_an_older_database_put_back_shows_against_the_head_of_the_report(t):
    db = t.database()
    patient = t.patient(db)
    backup = t.connect(t.path('backup.db'), extension=False)
    db.backup(backup)
    flows.send(t, db, patient)
    reported = head(t, db)
    t.contains(report(t, db), reported)
    backup.backup(db)
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
    t.true(reported not in report(t, db), 'the older database has the same head')
