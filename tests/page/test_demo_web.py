"""The demo that somebody clicks through."""
import os
import re
import signal
import subprocess
import time

import harness
from browser import Address, Browser
from visits import PASSWORD, says
from waiting import free_port


def read_until(process, pattern):
    """What it prints until a pattern comes; its match."""
    text = ''
    while line := process.stdout.readline():
        text += line
        if found := re.search(pattern, text):
            return found
    raise AssertionError(f'no {pattern} in: {text}')


@harness.release_only
def test_the_link_of_the_demo_leads_to_its_pages_and_messages_are_shown(t):
    port = free_port()
    process = subprocess.Popen([harness.ROOT / 'shell/demo-web', t.path('the demo'), f'127.0.0.1:{port}'], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    t.at_end(process.wait)
    t.at_end(os.killpg, process.pid, signal.SIGTERM)
    found = read_until(process, r'(/r/\S+)\s+Last name: +(.+)\nDate of birth: +(.+)\n')
    browser = Browser(Address(port))
    browser.open(found[1])
    says(t, browser, 'Riverside Family Practice invites you')
    browser.open('/register/who')
    born = time.strftime('%Y-%m-%d', time.strptime(found[3], '%B %d, %Y'))
    browser.submit('/register/who', last_name=found[2], date_of_birth=born)
    pin = read_until(process, r'PIN is (\d{6})')[1]
    browser.submit('/register/account', pin=pin, username='somebody', password=PASSWORD)
    says(t, browser, 'You are registered')
