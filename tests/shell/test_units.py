"""The units for systemd: as installed, for a practice called main."""
import os
import re
import shutil
import subprocess

import browser
import harness
import mailservers
from test_install import UNITS, make
from waiting import wait_for


def units(t):
    """The units as instances, which nothing else does to templates that are checked by their path."""
    prefix = t.path('usr')
    make(t, 'install', f'prefix={prefix}')
    folder = prefix / 'lib/systemd/system'
    for name in UNITS:
        shutil.copy(folder / name, t.path(name.replace('@', '@main')))
    return [t.path(name.replace('@', '@main')) for name in UNITS]


def services(t):
    return [unit for unit in units(t) if unit.suffix == '.service']


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
    for unit in services(t):
        code, told = analyze('security', '--offline=yes', '--threshold=15', unit)
        t.equal(code, 0, told)


def syscalls(group):
    """The names in a group of systemd's, with those of the groups in it."""
    told = subprocess.run(['systemd-analyze', 'syscall-filter', group], capture_output=True, text=True, check=True).stdout
    names = re.findall(r'^ +(@?\w[\w-]*)$', told, re.M)
    return {call for name in names for call in (syscalls(name) if name.startswith('@') else [name])}


def traced(t, practice, *command):
    """What a command asks of the kernel, line by line."""
    trace = t.path('trace')
    done = subprocess.run(['strace', '-f', '-o', trace, t.command, '-d', practice, *command], capture_output=True, text=True)
    t.equal((done.returncode, done.stderr), (0, ''))
    return [re.sub(r'^\d+ +', '', line) for line in trace.read_text().splitlines()]


def traced_pages(t, practice):
    """The same of the pages, with TLS, from their start to SIGTERM."""
    trace = t.path('trace-pages')
    certificate = mailservers.certificate(t, 'localhost')
    # With -D the tracer is a child of what it traces, and that gets our signals.
    server = browser.Server(t, practice, '--certificate', certificate, before=['strace', '-D', '-f', '-o', trace])
    subprocess.run(['curl', '-sS', '--fail', '--cacert', certificate, '-d', 'x=y', f'https://localhost:{server.port}/sign-in'],
                   capture_output=True)
    server.end()
    wait_for(lambda: 'exited with 0' in trace.read_text(), trace)
    return [re.sub(r'^\d+ +', '', line) for line in trace.read_text().splitlines()]


@harness.release_only
def test_the_confinement_allows_whatever_the_services_do(t):
    """Against the list that systemd filters by, because a filter of its own runs only where systemd does."""
    text = (harness.ROOT / 'shell/units/confinement').read_text()
    allowed = syscalls('@system-service')
    for group in re.search(r'^SystemCallFilter=~(.*)$', text, re.M)[1].split():
        allowed -= syscalls(group)
    families = re.search(r'^RestrictAddressFamilies=(.*)$', text, re.M)[1].split()
    db = t.database()
    t.patient(db)
    for key, value in (('email_channel', 'smtp'), ('smtp_url', f'smtp://localhost:{mailservers.sink(t)}')):
        db.execute('SELECT portal_setting(?, ?)', [key, value])
    db.execute('INSERT INTO send_registration (patient_id, channel) SELECT 1, ?', ['email'])
    trace = traced(t, t.file(db), 'deliver') + traced(t, t.file(db), 'nightly') + traced_pages(t, t.file(db))
    t.equal(t.one(db, 'SELECT status FROM portal_message'), 'sent')
    # Of root alone SQLite changes the owner of a journal, and does not mind that it can not.
    t.equal({line.partition('(')[0] for line in trace if re.match(r'\w+\(', line)} - allowed - {'fchown'}, set())
    t.equal({found[1] for line in trace if (found := re.match(r'socket\((\w+)', line))} - set(families), set())
    t.equal([line for line in trace if 'PROT_WRITE' in line and 'PROT_EXEC' in line], [])


@harness.release_only
def test_the_services_run_commands_that_there_are_on_the_database_of_the_instance(t):
    t.path('main').mkdir()
    db = t.database(name='main/practice.db')
    for unit in services(t):
        text = unit.read_text()
        command = re.search(r'^ExecStart=(.*)$', text, re.M)[1].split()
        path = re.search(r'^Environment=PORTAL_DB=(.*)$', text, re.M)[1]
        t.equal(path, '/var/lib/portal/%i/practice.db')
        env = {**os.environ, 'PORTAL_DB': path.replace('/var/lib/portal/%i', str(t.path('main')))}
        command = [arg for arg in command if arg not in ('--watch', '$PORTAL_SERVE')]
        if command[1] == 'serve':
            browser.Server(t, None, command=command, **env).end()
            continue
        done = subprocess.run(command, capture_output=True, text=True, env=env)
        t.equal((done.returncode, done.stderr), (0, ''), str(command))
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
