"""People at the pages: some while the processes that serve them are killed or stopped, some who guess.

The tests run a few of each, `make soak` many more.
"""
import concurrent.futures
import contextlib
import hashlib
import http.client
import itertools
import pathlib
import random
import signal
import threading

import aftermath
import flows
import harness
import visits
from browser import Browser, Server
from waiting import wait_for

SERVERS = 2
AT_ONCE = 8
PASSWORD = flows.PASSWORD
GONE = (ConnectionError, http.client.HTTPException)     # the process that served has been killed

LOST = """
    SELECT value FROM json_each(?) WHERE value NOT IN (
        SELECT patient_id FROM portal_access JOIN portal_account USING (account_id)
         WHERE username = 'visitor' || patient_id)"""


# Those whose pages die

class Visitor:
    """A patient who registers, signs in and asks for a change, and begins again whenever no answer comes."""

    def __init__(self, t, path, servers, number, seed):
        self.t, self.path, self.servers, self.number = t, path, servers, number
        self.chance = random.Random(f'{seed} {number}')
        self.username = f'visitor{number}'
        # A sign-in that dies counts as failed, of an address as well: each comes from one of their own.
        self.address = f'198.18.{number // 256}.{number % 256}'

    def live(self):
        for step in (self.registers, self.asks):
            for _ in range(30):
                with contextlib.suppress(*GONE):
                    if step(Browser(self.chance.choice(self.servers), X_Forwarded_For=self.address)):
                        break
            else:
                raise AssertionError(f'{self.username} {step.__name__} in vain')

    def newest(self, what):
        """The PIN or the link of the newest mail that has one."""
        files = pathlib.Path(f'{self.path}-outbox', 'new').iterdir()
        mine = [file for file in files if f'v{self.number}@example.com' in file.read_text()]
        for file in sorted(mine, key=harness.delivery_order, reverse=True):
            with contextlib.suppress(AssertionError):
                return what(harness.parse_mail(file))
        raise AssertionError(f'no such mail for {self.username}')

    def registers(self, browser):
        """False when it has to be tried again."""
        browser.open('/r/' + self.newest(self.t.token))
        if 'has been used' in browser.text():
            return True         # the answer died, not what it told
        browser.open('/register/who')
        browser.submit('/register/who', last_name='Visitor', date_of_birth='1980-01-01')
        if 'We have sent a PIN' not in browser.text():
            self.sent_again()
            return False
        browser.submit('/register/account', pin=self.newest(self.t.pin), username=self.username, password=PASSWORD)
        return 'You are registered' in browser.text()

    def sent_again(self):
        """All PINs of the link died on their way: staff send another."""
        self.t.equal(self.t.portal('-d', self.path, 'send', self.number, 'email').code, 0)

    def asks(self, browser):
        browser.open('/sign-in')
        browser.submit('/sign-in', username=self.username, password=PASSWORD)
        browser.open(f'/demographics?patient={self.number}')
        if browser.page.status != 200:
            return False
        browser.submit('/demographics', city=f'City {self.number}')
        return 'waiting for the practice' in browser.text()


def practice(t, journal, people):
    """A practice that has sent its people links, and the processes that serve its pages."""
    with contextlib.closing(t.database(journal=journal)) as db:
        path = pathlib.Path(t.file(db))
        servers = [Server(t, path, '--posts', '1000000', '--proxies', '127.0.0.1') for _ in range(SERVERS)]
        for key, value in (('portal_url', servers[0].url), ('resend_seconds', 0), ('sends_per_day', 100)):
            t.one(db, 'SELECT portal_setting(?, ?)', key, value)
        for number in range(1, people + 1):
            t.patient(db, first_name=f'V{number}', last_name='Visitor', date_of_birth='1980-01-01',
                      email=f'v{number}@example.com', cell_phone=None)
        t.one(db, "INSERT INTO send_registration SELECT patient_id, 'email' FROM patient")
        t.one(db, 'SELECT deliver()')
    return path, servers


def kill_now_and_then(chance, servers, kills, done):
    """Kills one of the processes, starts it again, and so on; gives how often."""
    for count in range(kills):
        if done.wait(chance.uniform(0, 0.5)):
            return count
        server = chance.choice(servers)
        server.process.kill()
        server.process.wait()
        server.start()
    return kills


def pages_killed(t, seed, journal, people, kills):
    """Kills those that serve while people register; gives how many were killed."""
    path, servers = practice(t, journal, people)
    done = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE + 1) as pool:
        killer = pool.submit(kill_now_and_then, random.Random(seed), servers, kills, done)
        lives = [pool.submit(Visitor(t, path, servers, number, seed).live) for number in range(1, people + 1)]
        for life in lives:
            life.result()
        done.set()
        killed = killer.result()
    with contextlib.closing(t.connect(path)) as db:
        aftermath.whole(t, db)
        t.equal(t.all(db, LOST, str([*range(1, people + 1)])), [], 'registered, and without access')
        t.equal(t.one(db, 'SELECT count(*) FROM portal_account'), people)
        t.equal(t.all(db, "SELECT proposed_value, count(*) FROM portal_request WHERE status = 'pending' GROUP BY 1"
                          " HAVING count(*) <> 1 OR proposed_value <> 'City ' || patient_id"), [])
        t.equal(t.one(db, "SELECT count(*) FROM portal_request WHERE status = 'pending'"), people)
    return killed


# Those whose server is stopped

def go_on_asking(server, cookies, answered):
    """Asks on connections that stay and on new ones until none is answered; `answered` gets each status, and whether all came."""
    with contextlib.suppress(*GONE):
        for number in itertools.count():
            if number % 10 == 0:
                connection = server.connection()
            connection.request('GET', '/patients', headers={'Cookie': cookies})
            answer = connection.getresponse()
            try:
                answered.append((answer.status, answer.read().endswith(b'</html>\n')))
            except http.client.IncompleteRead:
                answered.append((answer.status, False))


def stopped(t, seed, stops):
    """Ends a server while its clients go on asking, again and again: it ends well, and no answer is half one."""
    db, server = visits.practice(t)
    chance = random.Random(seed)
    browser = visits.register(t, db, server)
    visits.sign_in(t, browser)
    cookies = '; '.join(f'{name}={value}' for name, value in browser.cookies.items())
    for stop in range(stops):
        if stop > 0:
            server.start()
        answered = []
        clients = [threading.Thread(target=go_on_asking, args=(server, cookies, answered)) for _ in range(12)]
        for client in clients:
            client.start()
        enough = chance.randint(20, 100)
        wait_for(lambda: len(answered) >= enough, server.log)
        server.process.send_signal(signal.SIGTERM)
        for client in clients:
            client.join()
        server.end()
        t.true({*answered} <= {(200, True), (503, True)}, {*answered})


# Those who guess

CLIENTS = 16

# What is sent with the form's token, a number for each guess: of a password, a link, a name, a PIN
GUESSES = [
    ('/sign-in', lambda n: {'username': 'ada', 'password': f'guess {n}'}),
    ('/r/', lambda n: hashlib.blake2b(b'%d' % n, digest_size=16).hexdigest()),
    ('/register/who', lambda n: {'last_name': f'Guess {n}', 'date_of_birth': '1985-12-10'}),
    ('/register/account', lambda n: {'pin': f'{n % 1_000_000:06}', 'username': 'mallory', 'password': PASSWORD}),
]


def guess(browser, number):
    """One guess with what a browser has; the status of the answer."""
    path, made = GUESSES[number % len(GUESSES)]
    one = Browser(browser.server)
    one.cookies = dict(browser.cookies)
    if path == '/r/':
        return one.open(path + made(number)).status
    return one.post(path, {'form': browser.cookies['__Host-form'], **made(number)}).status


def rows(t, db):
    """How many all tables have."""
    tables = t.all(db, "SELECT name FROM sqlite_schema WHERE type = 'table'")
    return sum(t.one(db, f'SELECT count(*) FROM "{name}"') for name, in tables)


def guessed(t, guesses):
    """Guesses from many clients at one account and one link, whose PIN was sent: nobody gets in; gives how many rows that left."""
    db, server = visits.practice(t, '--posts', '1000000')
    visits.register(t, db, server)
    t.patient(db, first_name='Grace', email='grace@example.com')
    browser = Browser(server)
    browser.open(visits.send(t, db, 2))
    browser.open('/register/who')
    visits.new_pin(t, db, browser)
    before = rows(t, db)
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        statuses = {*pool.map(lambda number: guess(browser, number), range(guesses))}
    t.true(statuses <= {404, 410, 422, 503}, statuses)
    t.equal(t.one(db, 'SELECT count(*) FROM portal_session'), 0)
    t.equal(t.all(db, 'SELECT username FROM portal_account'), [('ada',)])
    t.equal(t.one(db, 'SELECT status FROM portal_registration WHERE patient_id = 2'), 'spent')
    return rows(t, db) - before
