"""The units for systemd: as installed, for a practice called main."""
import os
import re
import shutil
import subprocess

import harness
from test_install import UNITS, make


def units(t):
    """The units as instances, which nothing else does to templates that are checked by their path."""
    prefix = t.path('usr')
    make(t, 'install', f'prefix={prefix}')
    folder = prefix / 'lib/systemd/system'
    for name in UNITS:
        shutil.copy(folder / name, t.path(name.replace('@', '@main')))
    return [t.path(name.replace('@', '@main')) for name in UNITS]


def analyze(*arguments):
    done = subprocess.run(['systemd-analyze', *map(str, arguments)], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@harness.release_only
def test_systemd_finds_nothing_wrong_with_the_units(t):
    for unit in units(t):
        t.equal(analyze('verify', '--man=no', unit), (0, ''))
    unit.write_text(unit.read_text() + 'Nonsense=yes\n')
    t.contains(analyze('verify', '--man=no', unit)[1], 'Nonsense')


@harness.release_only
def test_services_are_confined(t):
    for unit in units(t)[:2]:
        code, told = analyze('security', '--offline=yes', '--threshold=15', unit)
        t.equal(code, 0, told)


@harness.release_only
def test_the_services_run_commands_that_there_are_on_the_database_of_the_instance(t):
    t.path('main').mkdir()
    db = t.database(name='main/practice.db')
    for unit in units(t)[:2]:
        text = unit.read_text()
        command = re.search(r'^ExecStart=(.*)$', text, re.M)[1].split()
        path = re.search(r'^Environment=PORTAL_DB=(.*)$', text, re.M)[1]
        t.equal(path, '/var/lib/portal/%i/practice.db')
        env = {**os.environ, 'PORTAL_DB': path.replace('/var/lib/portal/%i', str(t.path('main')))}
        done = subprocess.run([arg for arg in command if arg != '--watch'], capture_output=True, text=True, env=env)
        t.equal((done.returncode, done.stderr), (0, ''), str(command))
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
