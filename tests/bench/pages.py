"""How the pages serve: against libmicrohttpd's own handler, driven by many people at once, and in how much memory."""
import collections
import concurrent.futures
import contextlib
import ctypes
import ctypes.util
import email
import email.policy
import os
import pathlib
import re
import resource
import select
import socket
import sqlite3
import statistics
import subprocess
import threading
import time
import urllib.parse

from seeds import ROOT, run, tell

PORTAL = ROOT / 'build/portal'
HELLO = ROOT / 'build/bench/hello'
CORES = len(os.sched_getaffinity(0))
PASSWORD = 'correct horse battery staple'


# A server of a practice, and what people have of it

class Practice:
    """`portal serve` of so many patients, each with a link; they call at once, so that no limit of forms is in the way."""

    def __init__(self, directory, patients):
        self.folder = directory / 'pages'
        self.folder.mkdir()
        self.mail = self.folder / 'mail'
        self.port = free_port()
        self.database = self.folder / 'practice.db'
        with contextlib.closing(sqlite3.connect(self.database, isolation_level=None)) as db:
            db.enable_load_extension(True)
            db.load_extension(str(ROOT / 'build/portal'))
            db.execute('PRAGMA journal_mode = WAL')
            db.execute('SELECT portal_init()').fetchall()
            for key, value in [('portal_url', f'http://127.0.0.1:{self.port}'), ('maildir', str(self.mail)),
                               ('practice_name', 'Elm Street Family Medicine'), ('practice_phone', '(202) 555-0100')]:
                db.execute('SELECT portal_setting(?, ?)', [key, value]).fetchall()
            db.executemany("""INSERT INTO patient (patient_id, first_name, last_name, date_of_birth, email)
                              VALUES (?, 'Ada', 'Lovelace', '1985-12-10', ?)""",
                           ((number, f'p{number}@example.com') for number in range(1, patients + 1)))
            db.execute("INSERT INTO send_registration (patient_id, channel) SELECT patient_id, 'email' FROM patient")
            db.execute('SELECT deliver()').fetchall()
        self.links = {address: re.search(r'/r/([\w-]+)', text)[1] for address, text in self.mails()}
        self.log = (self.folder / 'log').open('w')
        self.process = subprocess.Popen([PORTAL, '-d', self.database, 'serve', '--listen', f'127.0.0.1:{self.port}',
                                         '--posts', '100000000'], stdout=self.log, stderr=self.log)
        wait_for(self.port)

    def mails(self):
        """Whom the mails are to and what they say; they are taken away."""
        for path in (self.mail / 'new').iterdir():
            with contextlib.suppress(FileNotFoundError):
                taken = path.rename(self.mail / path.name)
                message = email.message_from_bytes(taken.read_bytes(), policy=email.policy.default)
                taken.unlink()
                yield str(message['To']), message.get_body(['plain']).get_content()

    def memory(self, what='VmRSS'):
        """MiB that the server has, or had at most (VmHWM)."""
        return int(re.search(rf'{what}:\s*(\d+)', pathlib.Path(f'/proc/{self.process.pid}/status').read_text())[1]) / 1024

    def registered(self):
        with contextlib.closing(sqlite3.connect(self.database)) as db:
            return db.execute("SELECT count(*), count(DISTINCT account_id) FROM portal_access").fetchone()

    def end(self):
        self.process.terminate()
        code = self.process.wait()
        self.log.close()
        if code != 0:
            raise SystemExit(f'portal serve ended with {code}: {(self.folder / "log").read_text()[-2000:]}')


@contextlib.contextmanager
def serving(seeds, patients):
    practice = Practice(seeds.directory, patients)
    try:
        yield practice
    finally:
        practice.end()
        run('rm', '-r', practice.folder)


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def wait_for(port):
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(('127.0.0.1', port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f'nobody listens on port {port}')


class Visitor:
    """A connection that is kept, with cookies: what a browser is, in as little time as can be."""

    def __init__(self, port):
        self.cookies = {}
        self.socket = socket.create_connection(('127.0.0.1', port))
        self.file = self.socket.makefile('rb')

    def send(self, method, path, **fields):
        fields = {'form': self.cookies.get('__Host-form', ''), **fields} if method == 'POST' else fields
        body = urllib.parse.urlencode(fields)
        cookies = '; '.join(f'{name}={value}' for name, value in self.cookies.items())
        self.socket.sendall(f'{method} {path} HTTP/1.1\r\nHost: x\r\nCookie: {cookies}\r\nContent-Length: {len(body)}\r\n'
                            f'Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}'.encode())

    def receive(self):
        """The status and the body."""
        status, length = int(self.file.readline().split()[1]), 0
        while (line := self.file.readline()) != b'\r\n':
            name, _, value = line.partition(b':')
            if name.lower() == b'content-length':
                length = int(value)
            elif name.lower() == b'set-cookie':
                cookie, _, text = value.decode().strip().partition('=')
                self.cookies[cookie] = text.partition(';')[0]
        return status, self.file.read(length)

    def ask(self, expected, method, path, **fields):
        self.send(method, path, **fields)
        status, body = self.receive()
        if status != expected:
            raise SystemExit(f'{method} {path} answered {status}: {body.decode()}')

    def close(self):
        self.file.close()
        self.socket.close()


# The landing page

@contextlib.contextmanager
def hello(size):
    """The port of the floor, which answers with so many bytes."""
    port = free_port()
    process = subprocess.Popen([HELLO, str(port), str(size), str(min(CORES, 16))], stdin=subprocess.PIPE)
    wait_for(port)
    yield port
    process.communicate(b'\n')


def wrk(port, link):
    said = run('wrk', '-t1', '-c64', '-d3s', '-H', f'Cookie: __Host-link={link}; __Host-form={"0" * 32}',
               f'http://127.0.0.1:{port}/register')
    if 'Non-2xx' in said or 'Socket errors' in said:
        raise SystemExit(f'wrk was refused:\n{said}')
    return float(re.search(r'Requests/sec:\s*([\d.]+)', said)[1])


def landing(page, seeds):
    with serving(seeds, 1) as practice:
        [link] = practice.links.values()
        visitor = Visitor(practice.port)
        visitor.cookies['__Host-link'] = link
        visitor.send('GET', '/register')
        status, body = visitor.receive()
        visitor.close()
        if status != 200:
            raise SystemExit(f'the landing page answered {status}')
        with hello(len(body)) as floor:
            rates = [(wrk(practice.port, link), wrk(floor, link)) for _ in range(page.rounds)]
    ours, its = (statistics.median(each) for each in zip(*rates))
    found = statistics.median(mine / its for mine, its in rates)
    return [row(page.name, f'{ours:,.0f} a second', f'{its:,.0f} a second', found, 'of the floor', least=0.5)]


# Registering

PASSES, MEMORY_BYTES = 2, 19456 * 1024


def hash_seconds():
    """What Argon2id takes alone, one in each core at a time, as passwords are hashed (ext/password.c)."""
    sodium = ctypes.CDLL(ctypes.util.find_library('sodium'))
    out = [ctypes.create_string_buffer(128) for _ in range(CORES)]

    def some(number, count=20):
        for _ in range(count):
            sodium.crypto_pwhash_str(out[number], PASSWORD.encode(), ctypes.c_ulonglong(len(PASSWORD)),
                                     ctypes.c_ulonglong(PASSES), ctypes.c_size_t(MEMORY_BYTES))
        return count
    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
        hashed = sum(pool.map(some, range(CORES)))
    return (time.monotonic() - begun) * CORES / hashed


class Pins:
    """The PINs that came by mail, by address."""

    def __init__(self, practice):
        self.practice, self.lock, self.found = practice, threading.Lock(), {}

    def of(self, address):
        while True:
            with self.lock:
                if address in self.found:
                    return self.found.pop(address)
                self.found.update((to, re.search(r'\b\d{6}\b', text)[0]) for to, text in self.practice.mails())


def register(practice, pins, address, link):
    visitor = Visitor(practice.port)
    visitor.ask(303, 'GET', f'/r/{link}')
    visitor.ask(200, 'GET', '/register')
    visitor.ask(200, 'GET', '/register/who')
    visitor.ask(303, 'POST', '/register/who', **{'as': 'patient', 'last_name': 'Lovelace', 'date_of_birth': '1985-12-10'})
    visitor.ask(200, 'GET', '/register/account')
    visitor.ask(303, 'POST', '/register/account', pin=pins.of(address), username=f'ada{address.partition("@")[0]}', password=PASSWORD)
    visitor.ask(200, 'GET', '/register/done')
    visitor.close()


def registrations(page, seeds):
    alone = [hash_seconds()]
    with serving(seeds, page.size) as practice:
        pins = Pins(practice)
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(4 * CORES) as pool:
            for _ in pool.map(lambda item: register(practice, pins, *item), practice.links.items()):
                pass
        took = time.monotonic() - begun
        if practice.registered() != (page.size, page.size):
            raise SystemExit(f'of {page.size} registrations {practice.registered()} are there')
    alone.append(hash_seconds())
    share = statistics.mean(alone) * page.size / (took * CORES)
    return [row(page.name, f'{page.size / took:,.0f} a second', '', share, 'of the time is Argon2id', least=0.6)]


# Many at once

def files_allow(count):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, count + 200), most))


def idle(page, seeds):
    files_allow(page.size)
    with serving(seeds, 1) as practice:
        before = practice.memory()
        visitors = [Visitor(practice.port) for _ in range(page.size)]
        for visitor in visitors:
            visitor.ask(200, 'GET', '/sign-in')
        found = practice.memory()
        for visitor in visitors:
            visitor.close()
    return [row(page.name, f'{found:.1f} MiB, {1024 * (found - before) / page.size:.1f} KiB each', '', found, 'MiB', most=64)]


def sign_ins(page, seeds):
    """All are sent before any answer is read; when each has come is told by threads that read."""
    files_allow(page.size)
    with serving(seeds, 1) as practice:
        first = Visitor(practice.port)
        first.ask(200, 'GET', '/sign-in')
        first.close()
        visitors = [Visitor(practice.port) for _ in range(page.size)]
        for visitor in visitors:
            visitor.cookies = first.cookies
        begun = time.monotonic()
        for number, visitor in enumerate(visitors):
            visitor.send('POST', '/sign-in', username=f'nobody{number}', password=PASSWORD)
        came = collections.defaultdict(list)
        waiting = {visitor.socket.fileno(): visitor for visitor in visitors}
        for visitor in answered(waiting):
            came[visitor.receive()[0]].append(time.monotonic() - begun)
        memory = practice.memory('VmHWM')
        for visitor in visitors:
            visitor.close()
    if not set(came) <= {422, 503}:
        raise SystemExit(f'sign-ins were answered {sorted(came)}')
    longest = max(map(max, came.values()))
    return [row(f'{page.name}: the last to come again told after', f'{max(came[503], default=0):.2f} s, of {len(came[503]):,}', '',
                max(came[503], default=0), 's', most=2),
            row(f'{page.name}: the longest wait of the others', f'{longest:.2f} s, of {len(came[422]):,}', '', longest, 's', most=10),
            row(f'{page.name}: memory at most', f'{memory:.1f} MiB', '', memory, 'MiB', most=64 + 32 * CORES)]


def answered(waiting):
    """Each visitor when its answer comes."""
    poll = select.poll()
    for number in waiting:
        poll.register(number, select.POLLIN)
    left = len(waiting)
    while left:
        for number, _ in poll.poll():
            poll.unregister(number)
            left -= 1
            yield waiting[number]


# What is measured

# name, how, of how many, rounds
Page = collections.namedtuple('Page', 'name measure size rounds')
PAGES = [
    Page('landing page, 64 connections', landing, 1, 9),
    Page('registrations, whole', registrations, 10_000, 1),
    Page('1,000 idle connections', idle, 1000, 1),
    Page('2,000 sign-ins at once', sign_ins, 2000, 1),
]


def row(name, ours, rival, found, unit, least=None, most=None):
    """What RESULTS.md needs of it."""
    return {'name': name, 'ours': ours, 'rival': rival, 'found': f'{found:.2f} {unit}',
            'wanted': f'{least} or more' if most is None else f'under {most}', 'met': found >= least if most is None else found < most}


def measure_all(pages, seeds):
    rows = []
    for page in pages:
        tell(page.name)
        found = page.measure(page, seeds)
        rows += found
        tell('')
        for each in found:
            print(f'{each["name"]:60} {each["ours"]}  {each["rival"]}  {each["found"]}', flush=True)
    return rows
