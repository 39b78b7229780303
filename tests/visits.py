"""The steps of people at the portal's pages, for tests that need somebody invited, registered, signed in."""
import flows
from browser import Browser, Server

PASSWORD = flows.PASSWORD


def practice(t, *options, **patient):
    """A database with Ada, patient 1, and the pages served."""
    db = t.database()
    t.patient(db, **patient)
    server = Server(t, t.file(db), *options)
    db.execute('SELECT portal_setting(?, ?)', ['portal_url', server.url])
    db.execute("SELECT portal_setting('practice_name', 'Elm Street'), portal_setting('practice_phone', '(202) 555-0100')")
    return db, server


def send(t, db, patient=1):
    """A new link, as the patient's mail has it: its path."""
    if t.one(db, "SELECT send_problem(?, 'email')", patient):
        t.advance(60)
    return f'/r/{flows.send(t, db, patient)}'


def says(t, browser, *words, status=200):
    t.equal(browser.page.status, status, browser.text())
    t.contains(browser.text(), *words)


def new_pin(t, db, browser):
    """Proves who the patient is on the page; the PIN from its message."""
    before = {mail.file for mail in t.mails(db)}
    browser.submit('/register/who', last_name='Lovelace', date_of_birth='1985-12-10')
    says(t, browser, 'We have sent a PIN')
    [mail] = [mail for mail in t.mails(db) if mail.file not in before]
    return t.pin(mail)


def register(t, db, server, username='ada', patient=1):
    """Registers the patient at the pages; the browser that did."""
    browser = Browser(server)
    browser.open(send(t, db, patient))
    browser.open('/register/who')
    browser.submit('/register/account', pin=new_pin(t, db, browser), username=username, password=PASSWORD)
    says(t, browser, 'You are registered')
    return browser


def sign_in(t, browser, username='ada'):
    browser.open('/sign-in')
    browser.submit('/sign-in', username=username, password=PASSWORD)
    says(t, browser, 'My patients', f'signed in as {username}')
