"""TLS without a proxy: certificates good and bad, and renewed while it runs."""
import pathlib
import select
import signal
import socket
import subprocess

from browser import Server
from mailservers import certificate
from test_operation import refused
from waiting import wait_for


def fetch(server, trusted, *options):
    """What curl makes of a page: its exit code and what it printed."""
    done = subprocess.run(['curl', '-sSi', '--cacert', trusted, *options, f'https://localhost:{server.port}/healthz'],
                          capture_output=True, text=True, env={'PATH': '/usr/bin:/bin'})
    return done.returncode, done.stdout + done.stderr


def practice(t, *options):
    db = t.database()
    db.execute("SELECT portal_setting('portal_url', 'https://localhost')")
    return Server(t, t.file(db), *options)


def test_it_speaks_tls_of_today_alone(t):
    file = certificate(t, 'localhost')
    server = practice(t, '--certificate', file)
    for version in ('--tls-max', '1.2'), ('--tlsv1.3',), ('--http1.1',):
        code, told = fetch(server, file, *version)
        t.equal(code, 0, told)
        t.contains(told, '200 OK', 'ok\n', 'Strict-Transport-Security: max-age=31536000')
    for version in ('-tls1', '-tls1_1'):
        done = subprocess.run(['openssl', 's_client', version, '-cipher', 'ALL:@SECLEVEL=0', '-connect', f'localhost:{server.port}'],
                              input='', capture_output=True, text=True, env={'PATH': '/usr/bin:/bin'})
        t.contains(done.stdout, 'Cipher is (NONE)')
    t.equal(fetch(server, certificate(t, 'elsewhere'))[0], 60)
    t.true(b'HTTP/1.1 2' not in plain(server))


def plain(server):
    with socket.create_connection(('127.0.0.1', server.port), timeout=60) as connection:
        connection.sendall(b'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
        return connection.recv(1000)


def test_a_certificate_that_is_of_no_use_is_told_at_the_start(t):
    db = t.database()
    good, other, expired = certificate(t, 'localhost'), certificate(t, 'other'), certificate(t, 'localhost', '2020-01-01')
    chain = pathlib.Path(f'{good}.crt')
    nonsense = t.path('nonsense')
    nonsense.write_text('nonsense')
    for options, words in [
            (('--certificate', 'nowhere.pem'), 'nowhere.pem: No such file or directory'),
            (('--certificate', nonsense), 'nonsense: '), (('--certificate', t.directory), f'{t.directory}: '),
            (('--certificate', chain), f'{chain}: '), (('--certificate', chain, '--key', 'nowhere.key'), 'nowhere.key: No such file'),
            (('--certificate', chain, '--key', nonsense), 'nonsense: '),
            (('--certificate', good, '--key', other), f'{other}: it is not the key of the certificate'),
            (('--certificate', expired), 'the certificate has expired')]:
        t.contains(refused(t, db, '--listen', '127.0.0.1:0', *map(str, options)), words)


def test_a_renewed_certificate_is_read_at_sighup_and_a_bad_one_is_not_taken(t):
    file = certificate(t, 'localhost')
    former = t.path('former.pem')
    former.write_bytes(file.read_bytes())
    server = practice(t, '--certificate', file)
    t.equal(fetch(server, former)[0], 0)
    certificate(t, 'localhost')
    t.equal(fetch(server, file)[0], 60)
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: 'certificate read again' in server.log.read_text(), server.log)
    t.equal((fetch(server, file)[0], fetch(server, former)[0]), (0, 60))
    renewed = file.read_bytes()
    file.write_text('half of a fi')
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: 'the former certificate stays' in server.log.read_text(), server.log)
    file.write_bytes(renewed)
    t.equal(fetch(server, file)[0], 0)


def test_without_tls_sighup_does_nothing(t):
    db = t.database()
    server = Server(t, t.file(db))
    server.process.send_signal(signal.SIGHUP)
    t.equal(server.end(), 0)


def ended(connections):
    """How many the server has closed: on none anything was said."""
    return len(select.select(connections, [], [], 0)[0])


def test_one_address_can_not_take_all_connections_unless_a_proxy_has_it(t):
    file = certificate(t, 'localhost')
    for options, closed in (((), 50), (('--proxies', '127.0.0.1'), 0)):
        server = practice(t, '--certificate', file, *options)
        taken = [socket.create_connection(('127.0.0.1', server.port), timeout=60) for _ in range(300)]
        wait_for(lambda: ended(taken) == closed, f'the end of {closed} connections')
        t.equal(fetch(server, file)[0] == 0, closed == 0)
        t.equal(ended(taken), closed)
        for connection in taken:
            connection.close()
        wait_for(lambda: fetch(server, file)[0] == 0, 'an answer to the next')
