"""How the pages are run: where they listen, how they end, and what they do when the database is not as they knew it."""
import concurrent.futures
import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.parse

import harness
from browser import Browser, Form, Server
from test_hostile import FORM
from visits import PASSWORD, practice, register, says, send, sign_in
from waiting import free_port, wait_for


def serve(t, db, *options, before=()):
    """The command itself, started for what it says; its process and its log."""
    log = t.path(f'log-{time.monotonic_ns()}')
    with log.open('w') as output:
        process = subprocess.Popen([*before, t.command, '-d', t.file(db), 'serve', *options], env=t.portal_environment(),
                                   stdout=output, stderr=subprocess.STDOUT)
    t.at_end(process.wait)
    t.at_end(process.terminate)
    return process, log


def refused(t, db, *options):
    process, log = serve(t, db, *options)
    t.equal(process.wait(), 1, log.read_text())
    return log.read_text()


def get(host, port, path='/healthz'):
    """The answer of one request, whole."""
    with socket.create_connection((host, port), timeout=60) as connection:
        connection.sendall(f'GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'.encode())
        return b''.join(iter(lambda: connection.recv(65536), b''))


def processor_seconds(process):
    """What a process has used so far, for itself and in the kernel."""
    fields = pathlib.Path(f'/proc/{process.pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def guess(server, form='', **headers):
    """A wrong password, which waits for the database; what becomes of it."""
    browser = Browser(server, **headers)
    browser.open('/sign-in')
    return browser.submit('/sign-in', username='ada', password='wrong password')


# Where it listens

def test_it_listens_at_a_port_of_its_choice_and_says_which_on_either_protocol(t):
    db = t.database()
    for host, written in (('127.0.0.1', '127.0.0.1'), ('::1', '[::1]'), ('127.0.0.1', '0.0.0.0')):
        _, log = serve(t, db, '--listen', f'{written}:0')
        wait_for(lambda: 'on port' in log.read_text(), log)
        t.contains(get(host, int(re.search(r'on port (\d+)', log.read_text())[1])).decode(), 'HTTP/1.1 200', '\r\nok\n')


def test_what_it_can_not_serve_it_says_at_once(t):
    db, server = practice(t)
    t.contains(refused(t, db, '--listen', f'127.0.0.1:{server.port}'), f'127.0.0.1:{server.port}: Address already in use')
    for listen in ('8080', ':8080', '127.0.0.1:', '127.0.0.1:99999', 'localhost:x', '[::1:80', '1.2.3.4.5:80'):
        t.contains(refused(t, db, '--listen', listen), f'{listen}: is no address and port')
    t.contains(refused(t, db, '--listen', '192.0.2.1:0'), 'Cannot assign requested address')
    t.contains(refused(t, db, '--listen', '127.0.0.1:0', '--proxies', '10.0.0.0/99'), 'is no list of addresses')


def test_a_service_manager_hands_over_the_socket_and_is_told_how_it_goes(t):
    db, port = t.database(), free_port()
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind('notify')
    told.settimeout(60)
    process, log = serve(t, db, before=['systemd-socket-activate', '-l', f'127.0.0.1:{port}', '-E', f'NOTIFY_SOCKET={t.path("notify")}',
                                        *(word for name in ('LD_PRELOAD', 'ASAN_OPTIONS') for word in ('-E', name))])
    wait_for(lambda: 'Listening' in log.read_text(), log)
    t.contains(get('127.0.0.1', port).decode(), 'HTTP/1.1 200')
    t.equal(told.recv(100), b'READY=1')
    process.terminate()
    t.equal(told.recv(100), b'STOPPING=1')
    t.equal(process.wait(), 0, log.read_text())


@harness.release_only
def test_it_opens_more_files_than_a_shell_allows_when_it_may(t):
    db = t.database()
    server = Server(t, t.file(db), before=['prlimit', '--nofile=256:4096'])
    idle = [socket.create_connection(('127.0.0.1', server.port)) for _ in range(1200)]
    t.equal(Browser(server).open('/healthz').html, 'ok\n')
    for connection in idle:
        connection.close()


@harness.release_only
def test_connections_beyond_its_limit_and_beyond_its_files_wait_until_others_leave(t):
    db = t.database()
    for limit, most in (('4096:4096', 2050), ('100:100', 100)):
        server = Server(t, t.file(db), before=['prlimit', f'--nofile={limit}'])
        first = server.connection()
        first.request('GET', '/healthz')
        t.equal(first.getresponse().read(), b'ok\n')
        others = [socket.create_connection(('127.0.0.1', server.port)) for _ in range(most)]
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(get, '127.0.0.1', server.port)
            with contextlib.suppress(concurrent.futures.TimeoutError):
                t.equal(asked.result(timeout=0.5), None)
            before = processor_seconds(server.process)
            time.sleep(1)
            t.true(processor_seconds(server.process) - before < 0.5, 'it is busy with what has to wait')
            # Who is there already is answered, for which the database is opened.
            first.request('GET', '/patients')
            t.equal(first.getresponse().status, 403)
            first.close()
            for connection in others:
                connection.close()
            t.contains(asked.result().decode(), 'HTTP/1.1 200')
        server.end()


# How it ends

def test_what_was_asked_is_answered_before_it_ends(t):
    db, server = practice(t)
    other = t.connect(t.file(db))
    browser = Browser(server)
    browser.open('/sign-in')
    other.execute('BEGIN IMMEDIATE')
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(guess, server) for _ in range(3)]
        wait_for(lambda: server.log.read_text().count('GET /sign-in 200') == 4, server.log)
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        t.equal(server.process.poll(), None)
        other.execute('ROLLBACK')
        t.equal([one.result().status for one in asked], [422] * 3)
    t.equal(server.process.wait(), 0)


def test_it_ends_within_ten_seconds_whatever_hangs_on_to_it(t):
    db, server = practice(t)
    other = t.connect(t.file(db))
    other.execute('BEGIN IMMEDIATE')
    half = socket.create_connection(('127.0.0.1', server.port))
    half.sendall(b'POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nform=')
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(guess, server)
        wait_for(lambda: server.log.read_text().count('GET /sign-in 200') == 8, server.log)
        started = time.monotonic()
        server.end()
        seconds = time.monotonic() - started
        other.execute('ROLLBACK')
    t.true(seconds < 13, f'{seconds} s')


# Several processes, and other programs at the database

def test_a_session_of_one_process_is_one_of_another(t):
    db, server = practice(t)
    second = Server(t, t.file(db))
    browser = register(t, db, server)
    sign_in(t, browser)
    browser.server = second
    browser.open('/patients')
    says(t, browser, 'signed in as ada')
    db.execute("SELECT revoke_access(1)")
    browser.open('/patients')
    says(t, browser, 'signed out', status=403)


def test_what_waits_for_a_writer_too_long_is_told_to_come_again_and_the_rest_goes_on(t):
    db = t.database(journal='wal')
    t.patient(db)
    server = Server(t, t.file(db))
    reader = Browser(server)
    reader.open(send(t, db))
    says(t, reader, 'Register for the patient portal')
    db.execute('BEGIN IMMEDIATE')
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(guess, server)
        for _ in range(3):
            reader.open('/register')
            says(t, reader, 'Register for the patient portal')
        t.equal((asked.result().status, asked.result().headers['Retry-After']), (503, '5'))
    db.execute('ROLLBACK')
    t.equal(guess(server).status, 422)


def test_a_database_that_is_locked_altogether_is_no_hang(t):
    db, server = practice(t)
    db.execute('BEGIN EXCLUSIVE')
    started = time.monotonic()
    page = Browser(server).open('/register')
    t.equal((page.status, page.headers['Retry-After']), (503, '5'))
    t.equal(Browser(server).open('/healthz').status, 503)
    t.true(time.monotonic() - started < 60)
    db.execute('COMMIT')
    t.equal(Browser(server).open('/healthz').html, 'ok\n')


def test_another_file_in_the_place_of_the_database_is_followed(t):
    db, server = practice(t)
    file = t.file(db)
    t.contains(Browser(server).open('/sign-in').html, 'Elm Street')
    guess(server)
    other = t.database(name='other.db')
    other.execute("SELECT portal_setting('practice_name', 'Oak Road')")
    db.close()
    pathlib.Path(f'{t.file(other)}.portal-key').replace(f'{file}.portal-key')
    t.file(other).replace(file)
    for _ in range(4):
        t.contains(Browser(server).open('/sign-in').html, 'Oak Road')
        t.equal(guess(server).status, 422)
    t.patient(other := t.connect(file))
    register(t, other, server)
    t.equal(t.one(other, 'SELECT count(*) FROM portal_access'), 1)


def test_a_database_that_vanished_is_told_and_found_again(t):
    db, server = practice(t)
    file = t.file(db)
    file.rename(t.path('away'))
    page = Browser(server).open('/healthz')
    t.equal(page.status, 503)
    t.equal(Browser(server).open('/register').status, 503)
    t.path('away').rename(file)
    t.equal(Browser(server).open('/healthz').html, 'ok\n')
    t.equal(guess(server).status, 422)


def test_a_full_disk_is_told_and_takes_back_nothing_that_was_answered(t):
    db, server = practice(t)
    browser = register(t, db, server)
    sign_in(t, browser)
    allow = lambda most: subprocess.run(['prlimit', f'--fsize={most}:', '--pid', str(server.process.pid)], check=True)
    allow(t.file(db).stat().st_size)
    answered, status = 0, 303
    while status == 303:
        browser.open('/demographics?patient=1')
        shown = Form(browser.page.html, '/demographics')
        status = browser.ask('POST', shown.action, urllib.parse.urlencode({**shown.fields, 'address_line1': f'{answered + 1} {"x" * 150}'}),
                             Content_Type=FORM).status
        answered += status == 303
    t.equal(status, 500)
    t.equal(Browser(server).open('/healthz').html, 'ok\n')
    allow('unlimited')
    t.contains(t.one(db, 'SELECT proposed_value FROM pending_requests'), f'{answered} x')
    sign_in(t, browser)
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_a_key_rotated_by_another_process_is_used_at_once(t):
    db, server = practice(t)
    browser = register(t, db, server)
    sign_in(t, browser)
    t.patient(db, first_name='Grace', last_name='Lovelace')
    other = t.connect(t.file(db))
    other.execute('SELECT portal_key_rotate()')
    browser.open('/patients')
    says(t, browser, 'signed in as ada')
    fresh = Browser(server)
    fresh.open(send(t, db, 2))
    says(t, fresh, 'Register for the patient portal')


def test_without_the_key_file_nobody_gets_in_and_with_it_again_they_do(t):
    db, server = practice(t)
    browser = register(t, db, server)
    key = pathlib.Path(f'{t.file(db)}.portal-key')
    key.rename(t.path('key'))
    browser.open('/sign-in')
    t.true(browser.submit('/sign-in', username='ada', password=PASSWORD).status >= 400, browser.text())
    t.path('key').rename(key)
    sign_in(t, browser)
