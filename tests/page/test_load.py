"""Many at once at the pages: what waits for what, and what is told to come again."""
import concurrent.futures
import http.client
import sqlite3
import time
import urllib.parse

import harness
from browser import Browser
from visits import practice, register

FORM = 'application/x-www-form-urlencoded'


def names_the_practice(server):
    page = Browser(server).open('/sign-in')
    return page.status, 'Elm Street' in page.html


def test_pages_that_the_write_of_another_process_keeps_from_reading_are_shown_after_it(t):
    db, server = practice(t)
    db.execute('PRAGMA journal_mode = DELETE')
    other = sqlite3.connect(t.file(db), isolation_level=None)
    other.execute('BEGIN EXCLUSIVE')
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(names_the_practice, server) for _ in range(20)]
        time.sleep(1.5)
        other.execute('COMMIT')
        t.equal({each.result() for each in asked}, {(200, True)})
    other.close()


def test_of_several_lines_of_a_proxy_the_last_counts(t):
    db, server = practice(t, '--posts', '2', '--proxies', '127.0.0.1')
    browser = Browser(server)
    browser.open('/sign-in')
    form = browser.cookies['__Host-form']
    body = urllib.parse.urlencode({'form': form, 'username': 'x', 'password': 'y'})
    statuses = []
    for number in range(4):
        connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=60)
        connection.putrequest('POST', '/sign-in')
        for name, value in [('X-Forwarded-For', f'198.51.100.{number}'), ('X-Forwarded-For', '203.0.113.7'), ('Content-Type', FORM),
                            ('Content-Length', len(body)), ('Cookie', f'__Host-form={form}')]:
            connection.putheader(name, value)
        connection.endheaders(body.encode())
        statuses.append(connection.getresponse().status)
        connection.close()
    t.equal(statuses, [422, 422, 429, 429])


@harness.release_only
def test_a_thousand_sign_ins_at_once_are_answered_or_told_at_once_to_come_again(t):
    db, server = practice(t, '--posts', '1000000')
    browser = register(t, db, server)
    browser.open('/sign-in')
    form = browser.cookies['__Host-form']
    body = urllib.parse.urlencode({'form': form, 'username': 'ada', 'password': 'a guess'})
    opened = [http.client.HTTPConnection('127.0.0.1', server.port, timeout=60) for _ in range(1000)]
    for connection in opened:
        connection.connect()
    for connection in opened:
        connection.request('POST', '/sign-in', body, {'Content-Type': FORM, 'Cookie': f'__Host-form={form}'})
    answers = [connection.getresponse() for connection in opened]
    statuses = [answer.status for answer in answers]
    refused = [answer for answer in answers if answer.status == 503]
    t.equal({*statuses}, {422, 503})
    t.true(statuses.count(422) >= 128, statuses.count(422))
    t.equal({answer.headers['Retry-After'] for answer in refused}, {'5'})
    t.equal(Browser(server).open('/healthz').status, 200)
    for connection in opened:
        connection.close()


def test_a_link_adds_nothing_to_the_cookie_that_keeps_it(t):
    db, server = practice(t)
    for path in ('/r/x;%20Domain=example.com', '/p/x;Max-Age=1', '/r/x%0d%0aX-Evil:%20y', '/r/x,y', '/r/x%22'):
        answer = Browser(server).ask('GET', path)
        cookies = [cookie for cookie in answer.headers.get_all('Set-Cookie') if not cookie.startswith('__Host-form')]
        t.true(all('=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0' in cookie for cookie in cookies), (path, cookies))
        t.equal((answer.status, answer.headers['X-Evil']), (303, None))
