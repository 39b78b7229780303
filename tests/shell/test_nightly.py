"""portal nightly: the report of sql/nightly.sql, and an exit code that says whether somebody should look at it."""
import re
import shutil
import subprocess

import flows
import harness

DONE, PARTLY, DATABASE = 0, 3, 4
DAY = 86400


def copied(t, db, name):
    for end in ('', '.portal-key'):
        shutil.copy(f'{t.file(db)}{end}', t.path(f'{name}{end}'))
    return t.path(name)


@harness.release_only
def test_it_reports_word_for_word_what_the_script_reports_in_the_sqlite3_shell(t):
    db = t.database()
    for _ in range(4):
        t.patient(db)
    session = flows.register(t, db, 1, 'ada.lovelace')
    flows.ask(t, db, "SELECT submit_demographics(?, 1, '{\"city\": \"Ashford\"}')", session)
    flows.send(t, db, 2)
    t.advance(3 * DAY + 60)
    db.execute("INSERT INTO send_registration VALUES (3, 'email'), (4, 'email')")
    db.execute("UPDATE patient SET email = 'nowhere' WHERE patient_id = 4")
    script = (harness.ROOT / 'sql/nightly.sql').read_text()
    by_hand = subprocess.run(['sqlite3', '-batch', '-cmd', f'.load {harness.CLOCK_VFS}', '-cmd', f'.open {copied(t, db, "a.db")}',
                              ':memory:'], input=script, capture_output=True, text=True, cwd=harness.ROOT)
    answer = t.portal('-d', copied(t, db, 'b.db'), 'nightly')
    t.contains(answer.stdout, 'Links that have expired:  1\n  of patient 2 on ', 'Messages handed over:     1', 'Requests to be decided:   1',
               'Requests that have waited', 'Findings')
    t.equal(answer.stdout, by_hand.stdout)
    t.equal((answer.stderr, answer.code), ('', PARTLY))


def test_all_is_well_is_exit_code_0_and_a_finding_3(t):
    db = t.database()
    quiet = t.portal('-d', t.file(db), 'nightly')
    t.equal((quiet.code, quiet.stderr), (DONE, ''))
    t.contains(quiet.stdout, 'All is well.')
    flows.send(t, db, t.patient(db))
    db.execute('UPDATE patient SET active = 0')
    answer = t.portal('-d', t.file(db), 'nightly')
    t.equal((answer.code, answer.stderr), (PARTLY, ''))
    t.contains(answer.stdout, 'Findings of the self-check')


def test_without_the_key_file_it_says_so_and_never_that_all_is_well(t):
    db = t.database()
    t.path('practice.db.portal-key').unlink()
    answer = t.portal('-d', t.file(db), 'nightly')
    t.true(answer.code not in (DONE, PARTLY), answer)
    t.contains(answer.stderr, 'key file')
    t.true('All is well' not in answer.stdout, answer.stdout)


def test_its_statements_are_shown_on_request(t):
    db = t.database()
    answer = t.portal('-d', t.file(db), 'nightly', '--sql')
    t.contains(answer.stderr, 'expire_links()', 'CREATE TEMP TABLE finding', 'portal_audit_verify()')
    t.true(re.search(r'^\.', answer.stderr, re.M) is None, 'a line for the sqlite3 shell alone')
