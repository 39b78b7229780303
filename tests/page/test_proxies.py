"""The pages behind real reverse proxies, configured as page/proxies says."""
import harness
from browser import Browser, Server
from proxies import CLIENT, Caddy, Nginx
from visits import practice, register, says, send, sign_in

FORM = 'application/x-www-form-urlencoded'


def behind(t, kind, path=''):
    """A practice that the world sees through a proxy."""
    db, server = practice(t)
    proxy = kind(t, server)
    server.end()
    db.execute('SELECT portal_setting(?, ?)', ['portal_url', proxy.url + path])
    server = Server(t, t.file(db), '--proxies', '127.0.0.1', port=server.port)
    return db, server, proxy


def walk(t, kind):
    db, server, proxy = behind(t, kind)
    browser = Browser(proxy, **{'X-Forwarded-For': '203.0.113.9', 'Forwarded': 'for=203.0.113.9', 'X-Real-IP': '203.0.113.9'})
    link = send(t, db)
    page = browser.ask('GET', link)
    t.equal((page.status, page.headers['Location'], page.headers['Strict-Transport-Security']), (303, '/register', 'max-age=31536000'))
    for cookie in page.headers.get_all('Set-Cookie'):
        t.contains(cookie, '__Host-', '; Secure')
    browser = register(t, db, proxy)
    sign_in(t, browser)
    browser.open('/demographics?patient=1')
    browser.submit('/demographics', city='Paris')
    t.equal(browser.ask('GET', '/callback/kannel?message=1&claim=a-secret-claim').status, 403)
    # Caddy before 2.7 has no word of its own for it.
    t.true(browser.ask('POST', '/sign-in', 'x' * 70000, Content_Type=FORM).status in (413, 502))
    # Whoever asked: neither the proxy nor who they say they were.
    t.contains(server.log.read_text(), f'{CLIENT} GET /r/ 303', f'{CLIENT} POST /sign-in 303')
    t.true('203.0.113.9' not in server.log.read_text())
    server.end()
    t.equal(browser.ask('GET', link).status, 502)
    proxy.end()
    logged = proxy.logged()
    t.contains(logged, '/r/', '/sign-in', '/callback/')
    for secret in (link[3:], 'a-secret-claim', browser.cookies['__Host-session'], browser.cookies['__Host-form']):
        t.true(secret not in logged, logged)


def below_a_path(t, kind):
    db, server, proxy = behind(t, kind, '/portal')
    browser = Browser(proxy)
    link = send(t, db)
    t.contains(t.mails(db)[-1].get_body(('plain',)).get_content(), f'{proxy.url}/portal{link}')
    browser.open(f'/portal{link}')
    says(t, browser, 'Register for the patient portal')
    t.contains(browser.page.html, 'href="/portal/register/who"', 'href="/portal/style.css"')
    t.equal(browser.open('/portal/style.css').status, 200)
    # As the poster has it.
    t.equal(browser.open('/portal/').status, 200)
    t.equal(Browser(server).open('/portal').status, 200)


@harness.release_only
def test_behind_nginx(t):
    walk(t, Nginx)


@harness.release_only
def test_behind_caddy(t):
    walk(t, Caddy)


@harness.release_only
def test_below_a_path_of_another_site_at_nginx(t):
    below_a_path(t, Nginx)


@harness.release_only
def test_below_a_path_of_another_site_at_caddy(t):
    below_a_path(t, Caddy)


def test_of_a_chain_of_proxies_the_first_that_is_none_of_ours_is_the_client(t):
    db, server = practice(t, '--proxies', '127.0.0.1,10.0.0.0/8,2001:db8:1::/48')
    for forwarded, client in [
            ('203.0.113.7', '203.0.113.7'), ('198.51.100.1, 203.0.113.7, 10.1.2.3', '203.0.113.7'), ('203.0.113.7,10.1.2.3,\t10.9.9.9', '203.0.113.7'),
            ('203.0.113.7:4711', '203.0.113.7'), ('[2001:db8:2::7]:443', '2001:db8:2::/64'), ('[2001:db8:2::7]', '2001:db8:2::/64'),
            ('2001:db8:2:0:1:2:3:4', '2001:db8:2::/64'), ('203.0.113.7, 2001:db8:1::5', '203.0.113.7'), ('::ffff:203.0.113.7', '203.0.113.7'),
            ('203.0.113.7, 11.0.0.1', '11.0.0.1'), ('203.0.113.7, garbage', '127.0.0.1'), ('', '127.0.0.1'), (',,,', '127.0.0.1'),
            ('203.0.113.7, 999.1.1.1', '127.0.0.1'), ('203.0.113.7, [', '127.0.0.1'), ('203.0.113.7, :', '127.0.0.1'), ('unknown', '127.0.0.1'),
            ('203.0.113.7, 10.0.0.1:', '203.0.113.7'), ('x' * 3000 + ', 203.0.113.7', '203.0.113.7'), ('10.0.0.1', '10.0.0.1')]:
        before = len(server.log.read_text())
        Browser(server, **{'X-Forwarded-For': forwarded, 'X-Real-IP': '192.0.2.1', 'Forwarded': 'for=192.0.2.1'}).ask('GET', '/sign-in')
        t.equal((forwarded[-40:], server.log.read_text()[before:].split()[1]), (forwarded[-40:], client))
