"""The example programs, one in each language: all do the same, and whatever their drivers bind is understood."""
import re
import subprocess
import sys

import flows
import harness

CLIENTS = harness.ROOT / 'tests/clients'
COMMANDS = {
    'py': [sys.executable, CLIENTS],
    'mjs': ['node', harness.ROOT / 'build/clients'],
    'php': ['php', '-d', f'sqlite3.extension_dir={harness.ROOT}/build', CLIENTS],
    'pl': ['perl', CLIENTS],
    'tcl': ['tclsh', CLIENTS],
}
DRIVER = 'node_modules/better-sqlite3/build/Release/better_sqlite3.node'
UUID = '6c4f8a1e-3b52-4a0e-9a51-0d5d2f5c1b7e'

# What each program prints of the practice that it is given, with TIME for the times.
STORY = '''not sent
Portal registration sent by email to p•••@example.com on TIME (written to the Maildir practice.db-outbox). \
The link is valid for 72 hours, until TIME.
patient 99 is not on file
city Request 1 was accepted; the chart is updated.
state Request 2 was declined; the chart stays as it is.
portal_login does not run inside a transaction or a writing statement, because a ROLLBACK would give the guess back; \
COMMIT first, or open the connection in autocommit mode
ok 1
Portal access of patient 1 was revoked. A notice goes to the patient.
signed out
'''


def practice(t):
    """Ada has registered and asks for two changes; three others can be sent to."""
    db = t.database(journal='wal')
    for number in range(1, 5):
        t.patient(db, email=f'patient{number}@example.com')
    session = flows.register(t, db, 1, 'ada', 'analytical engine')
    flows.ask(t, db, "SELECT submit_demographics(?, 1, json_object('city', 'London', 'state', 'NY'))", session)
    return db


def keyed_by_text(t):
    """A practice with one patient, whose key is text."""
    own = t.one(t.database(), "SELECT sql FROM sqlite_schema WHERE name = 'patient'")
    db = t.database(init=False)
    db.execute(re.sub('INTEGER PRIMARY KEY AUTOINCREMENT', 'TEXT PRIMARY KEY', own))
    db.execute('SELECT portal_init()')
    t.patient(db, patient_id=UUID)
    return db


def start(t, program, *arguments):
    language = program.rpartition('.')[2]
    if language == 'mjs':
        t.from_npm(DRIVER)
    *command, folder = COMMANDS.get(language, [harness.ROOT / 'build/clients'])
    return subprocess.Popen([*map(str, [*command, folder / program, *arguments])], cwd=harness.ROOT,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(t, process):
    """What a program printed that ended well."""
    output, _ = process.communicate()
    t.equal(process.returncode, 0, output)
    return re.sub(r'\d{4}-\d\d-\d\d \d\d:\d\d \w+', 'TIME', output)


def goes_as_told(t, program, together):
    """The story; then two patients at once, by two threads of the program or by a process for each."""
    t.real_clock()
    db = practice(t)
    # What is bound as text is told in quotes.
    output = ended(t, start(t, program, t.file(db))).replace("'99'", '99')
    if together == 'threads':
        t.equal(output, STORY + 'sent sent\n')
    else:
        t.equal(output, STORY)
        for process in [start(t, program, t.file(db), patient) for patient in (3, 4)]:
            t.equal(ended(t, process), '')
    t.equal(t.all(db, 'SELECT patient_id, status FROM portal_status'),
            [(1, 'revoked'), (2, 'sent'), (3, 'sent'), (4, 'sent')])
    t.equal(t.all(db, 'SELECT city, state FROM patient WHERE patient_id = 1'), [('London', None)])
    t.equal(t.one(db, "SELECT application FROM portal_audit WHERE actor = '203.0.113.7'"), 'portal')
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def understands_what_is_bound(t, program):
    t.real_clock()
    numbered, keyed = practice(t), keyed_by_text(t)
    output = ended(t, start(t, program, t.file(numbered), t.file(keyed), UUID))
    t.equal(output.splitlines(), 3 * ['may be sent'] + ['patient_id is NULL'] + 3 * ['there is no request 99'] + ['may be sent'])


@harness.release_only
def test_the_program_in_python_does_all_that_it_shows(t):
    goes_as_told(t, 'practice.py', 'threads')


@harness.release_only
def test_the_program_in_node_does_all_that_it_shows(t):
    goes_as_told(t, 'practice.mjs', 'threads')


@harness.release_only
def test_the_program_in_php_does_all_that_it_shows(t):
    goes_as_told(t, 'practice.php', 'processes')


@harness.release_only
def test_the_program_in_perl_does_all_that_it_shows(t):
    goes_as_told(t, 'practice.pl', 'processes')


@harness.release_only
def test_the_program_in_tcl_does_all_that_it_shows(t):
    goes_as_told(t, 'practice.tcl', 'processes')


@harness.release_only
def test_the_program_in_c_does_all_that_it_shows(t):
    goes_as_told(t, 'practice', 'threads')


@harness.release_only
def test_whatever_python_binds_is_understood(t):
    understands_what_is_bound(t, 'bound.py')


@harness.release_only
def test_whatever_node_binds_is_understood(t):
    understands_what_is_bound(t, 'bound.mjs')


@harness.release_only
def test_whatever_php_binds_is_understood(t):
    understands_what_is_bound(t, 'bound.php')


@harness.release_only
def test_whatever_perl_binds_is_understood(t):
    understands_what_is_bound(t, 'bound.pl')


@harness.release_only
def test_whatever_tcl_binds_is_understood(t):
    understands_what_is_bound(t, 'bound.tcl')


@harness.release_only
def test_every_connection_of_a_pool_of_sqlalchemy_has_the_portal(t):
    t.real_clock()
    db = practice(t)
    output = ended(t, start(t, 'pool.py', t.file(db), 2, 3, 4))
    t.equal(output.count('Portal registration sent by email to p•••@example.com'), 3, output)
