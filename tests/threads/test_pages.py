"""The web server under ThreadSanitizer, with many clients at once; what it finds fails the server's end."""
import concurrent.futures
import signal
import socket
import ssl

from browser import Browser
from mailservers import certificate
from visits import practice, register, send, sign_in

CLIENTS, ROUNDS = 12, 6


def visit(server, link, signed_in):
    """What everybody does, with the statuses that come of it."""
    browser = Browser(server)
    browser.cookies = {**signed_in.cookies}
    statuses = []
    for number in range(ROUNDS):
        statuses += [browser.open(path).status for path in (link, '/', '/patients', '/demographics?patient=1', '/style.css', '/healthz', '/x')]
        statuses.append(browser.open('/demographics?patient=1').status)
        statuses.append(browser.submit('/demographics', city=f'Paris {number}').status if statuses[-1] == 200 else 503)
        stranger = Browser(server)
        stranger.open('/sign-in')
        statuses.append(stranger.submit('/sign-in', username='ada', password='wrong password').status)
    return statuses


def test_many_clients_at_once_do_not_disturb_each_other(t):
    db, server = practice(t, '--posts', '100000')
    browser = register(t, db, server)
    sign_in(t, browser)
    t.patient(db)
    link = send(t, db, 2)
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        asked = [pool.submit(visit, server, link, browser) for _ in range(CLIENTS)]
        db.execute("SELECT portal_setting('practice_name', 'Oak Road')")
        db.execute('SELECT portal_key_rotate()')
        statuses = {status for one in asked for status in one.result()}
    t.true(statuses <= {200, 404, 422, 503}, statuses)
    t.true({200, 404} <= statuses, statuses)
    server.end()


def test_it_ends_while_it_is_asked(t):
    db, server = practice(t, '--posts', '100000')
    browser = register(t, db, server)
    sign_in(t, browser)

    def ask_on(_):
        try:
            while True:
                visit(server, '/register', browser)
        except OSError:
            return True
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        asked = [pool.submit(ask_on, number) for number in range(CLIENTS)]
        Browser(server).open('/sign-in')
        server.end()
        t.true(all(one.result() for one in asked))


def test_a_certificate_is_renewed_while_handshakes_are_made(t):
    db, server = practice(t, '--certificate', certificate(t, 'localhost'))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def shake(_):
        for _ in range(10):
            with socket.create_connection(('127.0.0.1', server.port)) as plain, context.wrap_socket(plain) as secure:
                secure.sendall(b'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
                if b'200 OK' not in secure.recv(1000):
                    return False
        return True
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(shake, number) for number in range(4)]
        while not all(one.done() for one in asked):
            server.process.send_signal(signal.SIGHUP)
            concurrent.futures.wait(asked, 0.05)
        t.true(all(one.result() for one in asked))
    server.end()
