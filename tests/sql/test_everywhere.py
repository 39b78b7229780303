"""portal_everywhere(): every connection that the process opens from then on has the portal."""
import subprocess
import sys
import threading

import flows

VERSION = 'SELECT portal_version()'


def plain(t, path=':memory:'):
    return t.connect(path, extension=False, check_same_thread=False)


def test_a_connection_opened_after_it_has_the_portal_and_none_before(t):
    before, db = plain(t), t.database()
    t.contains(t.one(db, 'SELECT portal_everywhere()'), 'from now on')
    t.refuses(before, VERSION, says='no such function')
    after = plain(t, t.file(db))
    ada = t.patient(after)
    t.contains(t.one(after, "SELECT send_registration(?, 'email')", ada), 'sent by email')
    t.equal(flows.status(t, after, ada), 'sent')
    db.close()
    t.contains(t.one(plain(t), VERSION), 'portal ')


def test_connections_of_all_threads_have_it(t):
    t.one(t.connect(':memory:'), 'SELECT portal_everywhere()')
    versions = []
    threads = [threading.Thread(target=lambda: versions.append(t.one(plain(t), VERSION))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    t.equal(len(versions), 4)


def test_once_is_enough_and_more_does_no_harm(t):
    for _ in range(3):
        t.one(t.connect(':memory:'), 'SELECT portal_everywhere()')
    db = plain(t)
    t.load(db, t.extension)
    t.contains(t.one(db, VERSION), 'portal ')


def test_loading_again_by_hand_gives_no_right_back(t):
    t.one(t.connect(':memory:'), 'SELECT portal_everywhere()')
    db = plain(t)
    t.one(db, "SELECT portal_as('portal', '192.0.2.1')")
    t.load(db, t.extension)
    t.refuses(db, 'SELECT portal_everywhere()', says='not available')


def test_another_process_has_nothing_of_it(t):
    t.one(t.connect(':memory:'), 'SELECT portal_everywhere()')
    done = subprocess.run([sys.executable, '-c', f"import sqlite3; sqlite3.connect(':memory:').execute('{VERSION}')"],
                          capture_output=True, text=True)
    t.contains(done.stderr, 'no such function: portal_version')
