"""The pages in a real browser: Debian's Chromium, driven by tests/clients/pages.mjs.  Pictures of every page go to
build/screenshots."""
import json
import shutil
import subprocess

import harness
from browser import Server
from visits import send

DAY = 86400


def practice(t, *options):
    """A practice with three patients of one name, links of every dead kind, and the pages served."""
    program = t.from_npm('pages.mjs')
    t.from_npm('node_modules/playwright-core/package.json')
    chromium = shutil.which('chromium') or t.skip('there is no chromium')
    db = t.database(journal='wal')
    for _ in range(5):
        t.patient(db, first_name='Anne-Marie', last_name="D'Angelo", date_of_birth='1979-08-14', city='Ludlow', state='VT')
    expired = send(t, db, 5)
    t.advance(4 * DAY)
    older, revoked = send(t, db, 3), send(t, db, 4)
    send(t, db, 3)
    db.execute('SELECT revoke_access(4)')
    server = Server(t, t.file(db), '--posts', '1000', *options)
    for key, value in [('portal_url', server.url), ('practice_name', 'Riverside Family Practice'),
                       ('practice_phone', '(202) 555-0100')]:
        db.execute('SELECT portal_setting(?, ?)', [key, value])
    told = {'url': server.url, 'chromium': chromium, 'outbox': f'{t.file(db)}-outbox',
            'pictures': str(harness.ROOT / 'build/screenshots'),
            'shell': ['-batch', '-cmd', f'.load {harness.CLOCK_VFS}', '-cmd', f'.open {t.file(db)}',
                      '-cmd', f'.load {t.extension}', ':memory:'],
            'dead': {'expired': expired, 'superseded': older, 'revoked': revoked, 'unknown': '/r/' + 'A' * 32}}
    return db, program, told


def tell(t, program, story, told):
    done = subprocess.run(['node', program, story, json.dumps(told)], capture_output=True, text=True, cwd=t.directory)
    t.equal((done.returncode, done.stderr), (0, ''))


@harness.release_only
def test_a_patient_is_invited_registers_asks_for_changes_is_revoked_and_let_in_again(t):
    db, program, told = practice(t)
    tell(t, program, 'patient', told)


@harness.release_only
def test_a_representative_does_the_same_in_spanish(t):
    db, program, told = practice(t)
    tell(t, program, 'representative', told)


@harness.release_only
def test_every_page_works_without_javascript(t):
    db, program, told = practice(t)
    tell(t, program, 'scriptless', told)


@harness.release_only
def test_tab_and_enter_alone_register_somebody(t):
    db, program, told = practice(t)
    tell(t, program, 'keyboard', told)
    t.equal(t.one(db, 'SELECT relationship FROM portal_access'), 'parent')


@harness.release_only
def test_double_clicks_older_tabs_and_the_back_button_do_no_harm(t):
    db, program, told = practice(t)
    tell(t, program, 'moves', told)
