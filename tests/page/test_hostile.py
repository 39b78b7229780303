"""What somebody would try at the pages who wants in, or wants them to fall over."""
import concurrent.futures
import contextlib
import http.client
import re
import socket
import urllib.parse

import harness
import snapshot
from browser import Browser
from visits import PASSWORD, new_pin, practice, register, says, send, sign_in

FORM = 'application/x-www-form-urlencoded'


def raw(server, data):
    """What the server answers to bytes; nothing when it closes without a word."""
    with socket.create_connection(('127.0.0.1', server.port), timeout=30) as connection:
        answer = b''
        with contextlib.suppress(OSError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                answer += chunk
        return answer


def status(answer):
    return int(answer.split(b' ')[1]) if answer else None


# Forms of others

def test_a_form_without_our_token_is_refused(t):
    db, server = practice(t)
    browser = register(t, db, server)
    browser.open('/sign-in')
    own = browser.cookies['__Host-form']
    for forged in ('', 'x', '0' * len(own), own[:-1], own + '0', own.upper() + ' '):
        page = browser.post('/sign-in', {'form': forged, 'username': 'ada', 'password': PASSWORD})
        t.equal((forged, page.status), (forged, 403))
    t.true('__Host-session' not in browser.cookies)
    t.equal(browser.post('/sign-in', {'form': own, 'username': 'ada', 'password': PASSWORD}).status, 200)


def test_a_form_that_another_site_sent_is_refused(t):
    db, server = practice(t)
    for site, expected in (('cross-site', 403), ('same-site', 403), ('same-origin', 422), ('none', 422)):
        browser = Browser(server, **{'Sec-Fetch-Site': site})
        browser.open('/sign-in')
        t.equal((site, browser.submit('/sign-in', username='x', password='y').status), (site, expected))


def test_a_token_of_before_signing_in_is_of_no_use_after_it(t):
    db, server = practice(t)
    browser = register(t, db, server)
    browser.open('/sign-in')
    before = browser.cookies['__Host-form']
    sign_in(t, browser)
    browser.open('/demographics?patient=1')
    t.true(browser.cookies['__Host-form'] != before)
    t.equal(browser.post('/demographics?patient=1', {'form': before, 'city': 'Paris'}).status, 403)
    t.equal(t.all(db, 'SELECT * FROM pending_requests'), [])


def test_a_session_that_somebody_brings_along_does_not_become_anybodys(t):
    db, server = practice(t)
    browser = register(t, db, server)
    fixed = 'AQ' + 'A' * 30
    browser.cookies['__Host-session'] = fixed
    sign_in(t, browser)
    t.true(browser.cookies['__Host-session'] != fixed)
    other = Browser(server)
    other.cookies['__Host-session'] = fixed
    other.open('/patients')
    says(t, other, 'signed out', status=403)


def test_a_session_of_another_patient_shows_and_changes_nothing(t):
    db, server = practice(t)
    t.patient(db)
    browser = register(t, db, server)
    sign_in(t, browser)
    for patient in ('2', '99', '%222%22', '1.5', 'x', '', 'null', '%5B%5D', '%00', '1%20OR%201', '[1]', '%7B%7D', '1e9', '-1', '9' * 40):
        browser.open(f'/demographics?patient={patient}')
        says(t, browser, 'My patients')
        t.true('Lovelace' not in browser.text() or browser.page.path == '/patients', f'{patient}: {browser.text()}')
        browser.post(f'/demographics?patient={patient}', {'form': browser.cookies['__Host-form'], 'city': 'Paris'})
    t.equal(browser.ask('GET', '/demographics?patient=%22%ff%22').status, 400)
    t.equal(t.all(db, 'SELECT * FROM pending_requests'), [])


# Guesses

def test_wrong_names_and_unknown_links_are_answered_in_the_same_words(t):
    db, server = practice(t)
    browser = register(t, db, server)
    answers = set()
    for username in ('ada', 'nobody', '', 'a' * 200, "' OR 1=1 --"):
        browser.open('/sign-in')
        browser.submit('/sign-in', username=username, password='wrong password')
        answers.add((browser.page.status, re.sub(r'value="[^"]*"', '', browser.page.html)))
    t.equal(len(answers), 1)


def test_proofs_of_a_link_are_counted_and_then_it_is_spent(t):
    db, server = practice(t)
    browser = Browser(server)
    browser.open(send(t, db))
    for _ in range(9):
        browser.open('/register/who')
        browser.submit('/register/who', last_name='Nobody', date_of_birth='1985-12-10')
        says(t, browser, 'does not match', status=422)
    browser.submit('/register/who', last_name='Nobody', date_of_birth='1985-12-10')
    says(t, browser, 'no longer good', status=410)
    browser.open('/register/who')
    says(t, browser, 'no longer good', status=410)


def test_a_client_that_sends_forms_without_end_is_told_to_wait_and_others_are_not(t):
    db, server = practice(t, '--posts', '5', '--proxies', '127.0.0.1')
    def guess(address):
        browser = Browser(server, **{'X-Forwarded-For': address})
        browser.open('/sign-in')
        return browser.submit('/sign-in', username='x', password='y').status
    t.equal([guess('203.0.113.7') for _ in range(8)], [422] * 5 + [429] * 3)
    t.equal(guess('203.0.113.8'), 422)
    t.equal(guess('evil, 203.0.113.7'), 429)
    t.equal(guess('198.51.100.1, 203.0.113.7'), 429)


def test_nobody_but_a_proxy_of_ours_says_who_the_client_is(t):
    db, server = practice(t, '--posts', '3')
    statuses = []
    for number in range(5):
        browser = Browser(server, **{'X-Forwarded-For': f'203.0.113.{number}'})
        browser.open('/sign-in')
        statuses.append(browser.submit('/sign-in', username='x', password='y').status)
    t.equal(statuses, [422] * 3 + [429] * 2)
    t.true('203.0.113' not in server.log.read_text())


# Bytes

def test_what_is_no_request_is_refused_and_the_next_one_is_answered(t):
    # libmicrohttpd can miss that the other side has finished: such a connection ends with the server's patience.
    db, server = practice(t, '--patience', '2')
    for data in (b'', b'\r\n' * 50, b'nonsense\r\n\r\n', b'GET\r\n\r\n', b'\x16\x03\x01\x02\x00\x01\x00' * 20, b'\x00' * 1000,
                 b'GET / HTTP/9.9\r\n\r\n', b'GET /' + b'a' * 20000 + b' HTTP/1.1\r\nHost: x\r\n\r\n',
                 b'GET / HTTP/1.1\r\nHost: x\r\n' + b'X: ' + b'y' * 40000 + b'\r\n\r\n',
                 b'GET / HTTP/1.1\r\nHost: x\r\n' + b'X: y\r\n' * 5000 + b'\r\n',
                 b'POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n',
                 b'POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n',
                 b'POST /sign-in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
                 b'GET http://elsewhere/ HTTP/1.1\r\nHost: x\r\n\r\n', b'CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n',
                 b'OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n', b'TRACE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'):
        answer = raw(server, data)
        t.true(not answer or 400 <= status(answer) < 600 or status(answer) == 200 and b'GET http' in data, (data[:60], answer[:100]))
    t.equal(Browser(server).open('/healthz').html, 'ok\n')


def test_no_request_hides_in_the_body_of_another(t):
    """A proxy before us may see the end of a body elsewhere: what is told in two ways is refused, and the rest not read."""
    db, server = practice(t)
    hidden = b'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'
    length = b'Content-Length: %d\r\n' % len(hidden)
    for headers, body, expected in [
            (length + b'Content-Length: 4\r\n', hidden, 400), (b'Content-Length: 0\r\n' + length, hidden, 400),
            (b'Content-Length: 5, 5\r\n', hidden, 400), (b'Content-Length: +5\r\n', hidden, 400), (b'Content-Length: 0x5\r\n', hidden, 400),
            (length + b'Transfer-Encoding: chunked\r\n', b'0\r\n\r\n' + hidden, 411),
            (b'Transfer-Encoding: chunked\r\n' + length, b'0\r\n\r\n' + hidden, 411),
            (b'Transfer-Encoding: chunked\r\n', b'0;a=b\r\n\r\n' + hidden, 411), (b'Transfer-Encoding: identity\r\n', hidden, 411),
            (b'Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n', b'0\r\n\r\n' + hidden, 411),
            (b'Transfer-Encoding:\r\n chunked\r\n', b'0\r\n\r\n' + hidden, 411), (b'Transfer-Encoding : chunked\r\n', b'0\r\n\r\n' + hidden, 411),
            (length.replace(b': ', b':\r\n\t'), hidden, 400), (b'Content-Length: 0\r\n %d\r\n' % len(hidden), hidden, 400),
            (length.replace(b':', b' :'), hidden, 400),
            (b'X: y\r\n Transfer-Encoding: chunked\r\nConnection: close\r\n', hidden, 403)]:
        for method in (b'POST /sign-in', b'GET /nowhere'):
            answer = raw(server, method + b' HTTP/1.1\r\nHost: x\r\n' + headers + b'\r\n' + body)
            t.true(b'HTTP/1.1 2' not in answer and answer.count(b'\nContent-Type: ') <= 1, answer)
            t.equal((headers, status(answer)), (headers, expected if expected != 403 or method.startswith(b'POST') else 404))


def test_a_body_that_is_too_large_or_no_form_is_refused(t):
    db, server = practice(t)
    browser = Browser(server)
    browser.open('/sign-in')
    form = browser.cookies['__Host-form']
    good = {'form': form, 'username': 'x', 'password': 'y'}
    for body, kind, expected in [
            (urllib.parse.urlencode({**good, 'x': 'y' * 70000}), FORM, 413), ('x' * 200000, FORM, 400),
            (urllib.parse.urlencode(good), 'application/json', 415), (urllib.parse.urlencode(good), 'multipart/form-data; boundary=x', 415),
            ('&'.join(f'f{number}=x' for number in range(500)), FORM, 400), ('', FORM, 403), ('=&=&=', FORM, 400), ('%', FORM, 403),
            ('form=%00' + form, FORM, 400), (f'form={form}&form=x&username=x&password=y', FORM, 422)]:
        t.equal((body[:40], browser.ask('POST', '/sign-in', body, Content_Type=kind).status), (body[:40], expected))


def test_bad_text_is_refused_and_comes_back_harmless(t):
    db, server = practice(t)
    browser = Browser(server)
    browser.open(send(t, db))
    browser.open('/register/who')
    form = browser.cookies['__Host-form']
    for name in ('%ff%fe', '%c0%af', '%00', '%3Cscript%3Ealert(1)%3C/script%3E', '%22%3E%3Cb%3E', '%E2%80%AE', '%0d%0aSet-Cookie:%20x=y'):
        body = f'form={form}&as=patient&last_name={name}&date_of_birth=1985-12-10'
        page = browser.ask('POST', '/register/who', body, Content_Type=FORM)
        t.true(page.status in (400, 422), page.status)
        t.true('<script' not in page.html and '"><b>' not in page.html, page.html)
        t.true('x' not in browser.cookies)


def test_paths_that_are_none_lead_nowhere(t):
    # To more of a query than it has room for libmicrohttpd says nothing, until the patience ends.
    db, server = practice(t, '--patience', '2')
    for path in ('/../etc/passwd', '/register/../../etc/passwd', '/r', '/r//', '/R/x', '/register/', '//', '/.git/config', '/style.css/', '/%2e%2e',
                 '/r/' + 'A' * 5000, '/register%00', '/healthz?' + 'x=y&' * 500):
        try:
            page = Browser(server).ask('GET', path)
        except http.client.RemoteDisconnected:
            continue
        t.true(page.status in (200, 303, 404, 414, 431, 400), (path[:40], page.status))
        t.true('root:' not in page.html)
    for method in ('PUT', 'DELETE', 'PATCH', 'POST'):
        page = Browser(server).ask(method, '/register')
        t.equal((page.status, page.headers['Allow']), (405, 'GET, HEAD'), method)
    t.equal([Browser(server).ask(method, path).headers['Allow'] for method, path in
             (('PUT', '/sign-in'), ('GET', '/sign-out'), ('PUT', '/r/x'), ('PUT', '/nowhere'))], ['GET, HEAD, POST', 'POST', 'GET, HEAD', None])


def test_a_redirect_stays_here_whatever_the_link_holds(t):
    db, server = practice(t)
    for rest in ('//evil.example', 'x%0d%0aLocation:%20http://evil.example', '%00', '?next=http://evil.example', '..;/'):
        page = Browser(server).ask('GET', f'/r/{rest}')
        t.true(page.status in (303, 404), page.status)
        if page.status == 303:
            t.equal(page.headers['Location'], '/register')
            t.equal(len(page.headers.get_all('Location')), 1)


# Several at once

def test_a_double_click_registers_once_and_two_tabs_do_not_get_in_each_others_way(t):
    db, server = practice(t)
    first = Browser(server)
    first.open(send(t, db))
    first.open('/register/who')
    second = Browser(server)
    second.cookies = first.cookies
    second.open('/register/who')
    pin = new_pin(t, db, first)
    entered = {'form': first.cookies['__Host-form'], 'pin': pin, 'username': 'ada', 'password': PASSWORD}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        pages = [one.result() for one in [pool.submit(lambda: Browser.ask(
            twin(first), 'POST', '/register/account', urllib.parse.urlencode(entered), Content_Type=FORM)) for _ in range(4)]]
    t.equal(sorted(page.status for page in pages)[0], 303)
    t.equal(t.one(db, "SELECT count(*) FROM portal_access"), 1)
    snapshot.whole(t, db)


def twin(browser):
    """Another browser with the same cookies."""
    copy = Browser(browser.server)
    copy.cookies = {**browser.cookies}
    return copy


def test_more_passwords_than_it_can_hash_are_turned_away_at_once_and_pages_still_come(t):
    db, server = practice(t, '--posts', '1000000')
    browser = Browser(server)
    browser.open('/sign-in')
    body = urllib.parse.urlencode({'form': browser.cookies['__Host-form'], 'username': 'x', 'password': 'y'})
    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        asked = [pool.submit(lambda: twin(browser).ask('POST', '/sign-in', body, Content_Type=FORM)) for _ in range(400)]
        t.equal(Browser(server).open('/register').status, 404)
        pages = [one.result() for one in asked]
    t.true({page.status for page in pages} <= {422, 503}, {page.status for page in pages})
    for page in pages:
        if page.status == 503:
            t.equal(page.headers['Retry-After'], '5')


def test_connections_that_send_nothing_or_too_slowly_are_ended(t):
    db, server = practice(t, '--patience', '2')
    for begun in (b'', b'GET / HT', b'POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: ' + FORM.encode() + b'\r\nContent-Length: 100\r\n\r\nform='):
        with socket.create_connection(('127.0.0.1', server.port), timeout=30) as connection:
            connection.sendall(begun)
            try:
                for _ in range(100):
                    connection.settimeout(0.2)
                    try:
                        if not connection.recv(100):
                            break
                    except TimeoutError:
                        connection.sendall(b'x')
                else:
                    raise AssertionError('it is still open')
            except (ConnectionResetError, BrokenPipeError):
                pass


@harness.release_only
def test_a_thousand_idle_connections_keep_nobody_from_the_pages(t):
    db, server = practice(t)
    idle = [socket.create_connection(('127.0.0.1', server.port)) for _ in range(1000)]
    t.equal(Browser(server).open('/sign-in').status, 200)
    memory = next(int(line.split()[1]) for line in open(f'/proc/{server.process.pid}/status') if line.startswith('VmRSS'))
    t.true(memory < 64 * 1024, f'{memory} KiB with 1,000 idle connections')
    for connection in idle:
        connection.close()


# What leaks

def test_no_link_password_pin_or_session_reaches_the_log_a_header_or_a_page(t):
    db, server = practice(t)
    browser = Browser(server)
    link = send(t, db)
    browser.open(link)
    t.true(link[3:] not in browser.page.html and link[3:] not in str(browser.page.headers))
    browser.open('/register/who')
    pin = new_pin(t, db, browser)
    browser.submit('/register/account', pin=pin, username='ada', password=PASSWORD)
    sign_in(t, browser)
    session = browser.cookies['__Host-session']
    for path in ('/', '/patients', '/demographics?patient=1'):
        browser.open(path)
        t.true(session not in browser.page.html)
    server.end()
    log = server.log.read_text()
    for secret in (link[3:], pin, PASSWORD, session, 'Lovelace', 'ada', '1985'):
        t.true(secret not in log, f'{secret} is in the log')
    t.contains(log, '127.0.0.1 GET /r/ 303', 'POST /sign-in 303')


def test_every_page_forbids_what_it_does_not_need_and_is_kept_by_nobody(t):
    db, server = practice(t)
    browser = register(t, db, server)
    sign_in(t, browser)
    for path in ('/', '/sign-in', '/register', '/register/who', '/patients', '/demographics?patient=1', '/forgot', '/reset', '/nowhere', '/r/x'):
        headers = browser.ask('GET', path).headers
        t.contains(headers['Content-Security-Policy'], "default-src 'none'", "frame-ancestors 'none'", "form-action 'self'")
        t.equal([headers[name] for name in ('Referrer-Policy', 'X-Content-Type-Options', 'Cache-Control', 'X-Frame-Options')],
                ['no-referrer', 'nosniff', 'no-store', 'DENY'])
        t.true('<script' not in browser.page.html and 'style=' not in browser.page.html and ' on' not in ''.join(re.findall(r'<[^>]*>', browser.page.html)).replace(' one-', ''))
    for cookie in browser.ask('GET', '/r/x').headers.get_all('Set-Cookie'):
        t.contains(cookie, '__Host-', 'Secure', 'HttpOnly', 'SameSite', 'Path=/')
