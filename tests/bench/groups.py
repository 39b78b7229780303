"""What each action takes in a practice group of a thousand times as many patients, by turns; and what it takes on disk.

The same calls on both: each round is about four patients that no round before was about, far from the last ones, so
that in the large database what is read of them is not in the page cache yet.
"""
import collections
import contextlib
import http.client
import random
import sqlite3
import statistics
import subprocess
import sys
import time

from pages import free_port, wait_for
from seeds import ROOT, run, tell

PORTAL = ROOT / 'build/portal'
WARM = ['SELECT * FROM portal_status WHERE patient_id = ?', 'SELECT * FROM pending_requests WHERE patient_id = ?',
        "SELECT send_problem(?, 'email')"]

# name, how it is measured, which SQL, path or command, rounds. Of four patients in a row the first has registered, who
# represents the second as well; the third and the fourth have links. Each finds them as those before it left them.
Action = collections.namedtuple('Action', 'name measure what rounds')


class Side:
    """One of the two databases, as an application and the pages have it."""

    def __init__(self, database, closing):
        self.database = database
        self.db = sqlite3.connect(database, isolation_level=None)
        closing.callback(self.db.close)
        self.db.enable_load_extension(True)
        self.db.load_extension(str(ROOT / 'build/portal'))
        for pragma in ('synchronous = normal', 'cache_size = -65536'):
            self.db.execute(f'PRAGMA {pragma}')
        for key, value in [('maildir', f'{database}-mail'), ('text_channel', 'none')]:
            self.db.execute('SELECT portal_setting(?, ?)', [key, value]).fetchall()
        self.doors = [self.door(*row) for row in self.db.execute('SELECT * FROM bench_door').fetchall()]
        self.work(20_000)
        self.page = self.serve(closing)

    def work(self, patients):
        """Looks at patients in no order, so that the page cache has what that of an application at work has."""
        count, = self.db.execute('SELECT max(patient_id) FROM patient').fetchone()
        chance = random.Random(1)
        for patient in (chance.randint(1, count) for _ in range(patients)):
            for statement in WARM:
                self.db.execute(statement, [patient]).fetchall()

    def door(self, patient, link, session):
        """What the calls of a round are about, by name."""
        requests = dict(self.db.execute(
            "SELECT field, request_id FROM portal_request WHERE patient_id = ? AND status = 'pending'", [patient]))
        born, = self.db.execute('SELECT date_of_birth FROM patient WHERE patient_id = ?', [patient + 3]).fetchone()
        return {'registered': patient, 'represented': patient + 1, 'third': patient + 2, 'fourth': patient + 3,
                'username': f'user{patient}', 'accepted': requests['city'], 'declined': requests['state'],
                'link': link, 'session': session, 'last_name': f'Number{patient + 3}', 'born': born}

    def serve(self, closing):
        port = free_port()
        process = subprocess.Popen([PORTAL, '-d', self.database, 'serve', '--listen', f'127.0.0.1:{port}'],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        closing.callback(process.wait)
        closing.callback(process.terminate)
        wait_for(port)
        page = http.client.HTTPConnection('127.0.0.1', port)
        closing.callback(page.close)
        return page


# Ways to measure: each does a round on a side and gives the seconds

def sql(side, statement, door):
    begun = time.perf_counter()
    rows = side.db.execute(statement, {name: door[name] for name in door if f':{name}' in statement}).fetchall()
    took = time.perf_counter() - begun
    if rows and isinstance(rows[0][0], str) and '"refused"' in rows[0][0]:
        sys.exit(f'{statement} was refused: {rows}')
    return took


def get(side, path, door):
    begun = time.perf_counter()
    side.page.request('GET', path.format(**door), headers={'Cookie': f'__Host-link={door["link"]}; __Host-session={door["session"]}'})
    answer = side.page.getresponse()
    answer.read()
    took = time.perf_counter() - begun
    if answer.status != 200:
        sys.exit(f'{path} was answered with {answer.status}')
    return took


def command(side, arguments, door):
    begun = time.perf_counter()
    run(PORTAL, '-d', side.database, *arguments.format(**door).split())
    return time.perf_counter() - begun


ACTIONS = [
    Action('portal_status of a patient', sql, 'SELECT * FROM portal_status WHERE patient_id = :third', 250),
    Action('pending_requests of a patient', sql, 'SELECT * FROM pending_requests WHERE patient_id = :registered', 250),
    Action('send_problem', sql, "SELECT send_problem(:third, 'email')", 250),
    Action('token_valid', sql, 'SELECT token_valid(:link)', 250),
    Action('request_pin', sql, 'SELECT request_pin(:link, :last_name, :born)', 250),
    Action('portal_session', sql, 'SELECT portal_session(:session)', 250),
    Action('portal_demographics', sql, 'SELECT portal_demographics(:session, :registered)', 250),
    Action('landing page', get, '/register', 250),
    Action('page of the patients', get, '/patients', 250),
    Action('page of the demographics', get, '/demographics?patient={registered}', 250),
    Action('portal status of a patient, the command', command, 'status {fourth}', 101),
    Action('submit_demographics', sql,
           "SELECT submit_demographics(:session, :registered, json_object('address_line1', 'Elsewhere'))", 250),
    Action('accept_request', sql, 'INSERT INTO accept_request (request_id) VALUES (:accepted)', 250),
    Action('decline_request', sql, 'INSERT INTO decline_request (request_id) VALUES (:declined)', 250),
    Action('send_registration', sql, "INSERT INTO send_registration VALUES (:third, 'email')", 250),
    Action('deliver, a message', sql, 'SELECT deliver(1)', 250),
    Action('quick_add', sql, "SELECT quick_add('Quick', :last_name, :born)", 250),
    Action('quick_add with a registration', sql,
           "SELECT quick_add('Quicker', :last_name, :born, 'email', 'p' || :fourth || '@example.org')", 250),
    Action('unlock_account', sql, 'INSERT INTO unlock_account VALUES (:username)', 250),
    Action('set_account_contact', sql,
           "INSERT INTO set_account_contact VALUES (:username, 'u' || :registered || '@example.org')", 250),
    Action('confirm_representative', sql,
           'INSERT INTO confirm_representative VALUES (:represented, :username)', 250),
    Action('remove_representative', sql,
           'INSERT INTO remove_representative (patient_id, username) VALUES (:represented, :username)', 250),
    Action('revoke_access', sql, 'INSERT INTO revoke_access (patient_id) VALUES (:registered)', 250),
    Action('merge_patients', sql, 'INSERT INTO merge_patients (from_id, into_id) VALUES (:third, :fourth)', 250),
    Action('expire_links, none due', sql, 'SELECT expire_links()', 101),
]
SIZES = 1_000, 1_000_000


def measure(action, sides):
    """What RESULTS.md needs of it: medians."""
    took = [[], []]
    for number in range(min(action.rounds, len(sides[0].doors))):
        for side, times in zip(sides, took):
            times.append(action.measure(side, action.what, side.doors[number]))
    small, big = map(statistics.median, took)
    return {'name': action.name, 'small': small, 'big': big, 'ratio': big / small}


# The size on disk

def sizes(database):
    """Bytes that each registration takes in the tables that grow with it, with their indexes, and in all."""
    with contextlib.closing(sqlite3.connect(database)) as db:
        count, = db.execute('SELECT count(*) FROM portal_registration').fetchone()
        tables = dict(db.execute("""SELECT s.tbl_name, sum(d.pgsize) FROM dbstat('main', 1) AS d
                                      JOIN sqlite_schema AS s USING (name) GROUP BY s.tbl_name"""))
    parts = {table: tables[table] / count for table in ('portal_registration', 'portal_message', 'portal_audit')}
    return {'registrations': count, 'file': database.stat().st_size / count, **parts}


def measure_all(actions, seeds, scale):
    if not actions:
        return None
    small, big = (seeds.get('group', size if size == SIZES[0] else int(size * scale)) for size in SIZES)
    size = sizes(big)
    print(*(f'{name} {each:,.0f}' for name, each in size.items()), flush=True)
    rows = []
    with contextlib.ExitStack() as closing:
        sides = [Side(database, closing) for database in (small, big)]
        for action in actions:
            tell(action.name)
            rows.append(measure(action, sides))
            tell('')
            print('{name:44} {small:10.6f} {big:10.6f} {ratio:6.2f}'.format(**rows[-1]), flush=True)
    return {'size': size, 'rows': rows}
