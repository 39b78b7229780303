"""What a test in tests/sql is given: fresh databases, a clock that it can move, the mail sent.

A test is a function `def test_<sentence>(t)`; `t` is a Test, made anew for each one in a process,
a home and a working directory of its own, all thrown away afterwards.
"""
import collections
import contextlib
import difflib
import importlib
import os
import pathlib
import re
import sqlite3
import subprocess
import sys
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLOCK_VFS = ROOT / 'build/tests/clock_vfs.so'
CLOCK_PRELOAD = ROOT / 'build/tests/clock_preload.so'
EXTENSION = 'TEST_EXTENSION'        # environment: the portal.so of the variant
COMMAND = 'TEST_PORTAL'             # environment: the command `portal` of the variant
CLOCK = 'PORTAL_TEST_CLOCK'         # environment: where the clock of a new process stands frozen
EXIT_FAILED, EXIT_PASSED, EXIT_SKIPPED = 1, 76, 77  # not 0, which a test could leave with

Finished = collections.namedtuple('Finished', 'code stdout stderr')


class Skip(Exception):
    """Raised by a test that can not run here; its text says why."""


def release_only(function):
    """Marks a test whose point is speed or volume: it runs with the release build alone."""
    return function


def time_limit(seconds):
    """Gives a test another time limit than the runner's."""
    return lambda function: function


class Test:
    def __init__(self, directory, barrier=None):
        self.directory = pathlib.Path(directory)
        self.extension = pathlib.Path(os.environ.get(EXTENSION, ROOT / 'build/portal.so'))
        self.command = pathlib.Path(os.environ.get(COMMAND, ROOT / 'build/portal'))
        self._barrier = barrier
        self._closing = contextlib.ExitStack()
        self._patients = 0
        self._control = self._open_clock()

    def close(self):
        self._closing.close()

    def at_end(self, function, *args):
        """Calls a function when the test has ended, the latest first."""
        self._closing.callback(function, *args)

    # Databases

    def path(self, name):
        return self.directory / name

    def database(self, journal='delete', init=True, application=None, name=None):
        """A connection to a new on-disk database, with portal_init() done unless told otherwise."""
        path = self.path(name) if name else self._unused_path()
        db = self.connect(path)
        db.execute(f'PRAGMA journal_mode = {journal}')
        if init:
            db.execute('SELECT portal_init()')
        if application:
            db.execute('SELECT portal_as(?)', [application])
        return db

    def connect(self, path, application=None, extension=True, **options):
        """A connection in autocommit mode, closed at the end of the test."""
        options = {'isolation_level': None, **options}
        db = sqlite3.connect(path, **options)
        self._closing.callback(db.close)
        if extension:
            self.load(db, self.extension)
        if application:
            db.execute('SELECT portal_as(?)', [application])
        return db

    def load(self, db, library):
        db.enable_load_extension(True)
        db.load_extension(str(library))
        db.enable_load_extension(False)

    def file(self, db):
        """The path of a connection's database."""
        return pathlib.Path(db.execute('PRAGMA database_list').fetchone()[2])

    def patient(self, db, **columns):
        """Adds a patient, no two with the same contacts; a column given as None is left NULL."""
        self._patients += 1
        row = {
            'first_name': 'Ada', 'last_name': 'Lovelace', 'date_of_birth': '1985-12-10',
            'sex': 'female', 'email': f'ada{self._patients}@example.com',
            'cell_phone': f'+1202555{self._patients:04}', **columns}
        names, marks = ', '.join(row), ', '.join('?' * len(row))
        return db.execute(f'INSERT INTO patient({names}) VALUES({marks})', [*row.values()]).lastrowid

    def one(self, db, sql, *params):
        """The first column of the first row; None when there is no row."""
        row = db.execute(sql, params).fetchone()
        return row[0] if row else None

    def all(self, db, sql, *params):
        return db.execute(sql, params).fetchall()

    def shell(self, path, sql, env=None, clock=True, extension=True):
        """Runs SQL in the sqlite3 shell with the extension loaded: exit code, output, errors."""
        first = [f'.load {CLOCK_VFS}', f'.open {path}'] if clock else []
        first += [f'.load {self.extension}'] if extension else []
        command = ['sqlite3', '-batch', ':memory:' if clock else str(path)]
        for line in first:
            command += ['-cmd', line]
        done = subprocess.run(command, input=sql, capture_output=True, text=True,
                              env={**os.environ, **(env or {})})
        self.true(done.returncode >= 0, f'the shell crashed ({done.returncode}):\n{done.stderr}')
        return Finished(done.returncode, done.stdout, done.stderr)

    def portal(self, *arguments, input='', env=None):
        """Runs the command `portal`, without a terminal: exit code, output, errors."""
        done = subprocess.run([self.command, *map(str, arguments)], input=input, capture_output=True,
                              text=True, env=self.portal_environment(env))
        self.true(done.returncode >= 0, f'portal crashed ({done.returncode}):\n{done.stderr}')
        return Finished(done.returncode, done.stdout, done.stderr)

    def portal_environment(self, changes=None):
        """The environment of `portal`: its clock is the tests', and under ASan it must not leak."""
        preloaded = ' '.join(filter(None, [os.environ.get('LD_PRELOAD'), str(CLOCK_PRELOAD)]))
        sanitizer = os.environ.get('ASAN_OPTIONS', '').replace('detect_leaks=0', 'detect_leaks=1')
        return {**os.environ, 'LD_PRELOAD': preloaded, 'ASAN_OPTIONS': sanitizer, **(changes or {})}

    def held_to_modes(self):
        """What stands before a command so that the modes of files hold for it, also when its user is root."""
        capabilities = '-dac_override,-dac_read_search'
        return ['setpriv', '--bounding-set', capabilities, '--inh-caps', capabilities] if os.geteuid() == 0 else []

    # The clock: frozen at the start, shared with the processes that a test starts from then on

    def now(self):
        return self.one(self._control, 'SELECT unixepoch()')

    def clock(self, seconds):
        """Freezes the clock at a unix time, for the product and for SQLite's own 'now'."""
        return self._share_clock(self.one(self._control, 'SELECT clock_set(?)', seconds))

    def advance(self, seconds):
        return self._share_clock(self.one(self._control, 'SELECT clock_advance(?)', seconds))

    def real_clock(self):
        os.environ.pop(CLOCK, None)
        return self.one(self._control, 'SELECT clock_real()')

    # Mail

    def mails(self, where):
        """The messages of a Maildir, or of the default one of a connection, oldest first."""
        if isinstance(where, sqlite3.Connection):
            where = f'{self.file(where)}-outbox'
        files = [file for part in ('new', 'cur') for file in pathlib.Path(where, part).glob('*')]
        return [parse_mail(file) for file in sorted(files, key=delivery_order)]

    def text(self, mail):
        return mail.get_body(('plain',)).get_content()

    def html(self, mail):
        part = mail.get_body(('html',))
        return part.get_content() if part else None

    def link(self, mail):
        return only(r'https?://\S+/r/[\w-]{32}(?![\w-])', self.text(mail), 'registration link')

    def token(self, mail):
        return self.link(mail)[-32:]

    def pin(self, mail):
        return only(r'(?<!\d)\d{6}(?!\d)', self.text(mail), 'PIN')

    # Programs of others

    def from_npm(self, name):
        """A file of those that tests/clients/clients.mk brings with npm; without it the test skips."""
        file = ROOT / 'build/clients' / name
        if not file.exists():
            self.skip(f'npm did not bring {name}')
        return file

    # Several processes at once

    def parallel(self, count, function, *args):
        """Runs function(t, number, *args) in processes that start together, number from 0 on.

        Returns their results in order; the result of one that failed is its exception.
        """
        import processes
        return processes.run(self.directory, count, function, args)

    def together(self):
        """Within parallel(): waits until every process has come here."""
        self._barrier.wait()

    # Claims

    def refuses(self, db, sql, *params, says=()):
        """Claims that SQL is refused with a message that holds each of the strings."""
        try:
            rows = db.execute(sql, params).fetchall()
        except sqlite3.Error as error:
            self.contains(str(error), *([says] if isinstance(says, str) else says))
            return str(error)
        raise AssertionError(f'not refused: {sql} {params}\nanswered: {rows}')

    def equal(self, actual, expected, why=''):
        if actual != expected:
            raise AssertionError(f'{why or "not equal"}\n{difference(actual, expected)}')

    def contains(self, text, *parts):
        for part in parts:
            if part not in text:
                raise AssertionError(f'lacks:    {part!r}\nthe text: {text!r}')

    def true(self, condition, why=''):
        if not condition:
            raise AssertionError(why or f'not true: {condition!r}')

    def skip(self, reason):
        raise Skip(reason)

    # Inner workings

    def _unused_path(self):
        names = ['practice.db', *(f'practice{number}.db' for number in range(2, 100))]
        return next(path for path in map(self.path, names) if not path.exists())

    def _open_clock(self):
        # The first connection makes the clock the default VFS; only later ones open with it.
        with contextlib.closing(sqlite3.connect(':memory:')) as throw_away:
            self.load(throw_away, CLOCK_VFS)
        control = self.connect(':memory:', extension=False)
        self.load(control, CLOCK_VFS)
        return control

    def _share_clock(self, seconds):
        os.environ[CLOCK] = str(seconds)
        return seconds


def parse_mail(file):
    """A message that is not well-formed raises what is wrong with it."""
    import email.policy
    strict = email.policy.default.clone(raise_on_defect=True)
    with file.open('rb') as stream:
        mail = email.message_from_binary_file(stream, policy=strict)
    mail.file = file
    return mail


def delivery_order(file):
    # File times are only as fine as the kernel's tick; within one, a counter in the name decides.
    numbers = [int(part) if part.isdigit() else 0 for part in re.split(r'(\d+)', file.name)]
    return file.stat().st_mtime_ns, numbers, file.name


def only(pattern, text, what):
    found = set(re.findall(pattern, text))
    if len(found) != 1:
        raise AssertionError(f'{len(found)} times a {what} in:\n{text}')
    return found.pop()


def difference(actual, expected):
    if isinstance(actual, str) and isinstance(expected, str) and '\n' in actual + expected:
        lines = difflib.unified_diff(expected.splitlines(), actual.splitlines(),
                                     'expected', 'actual', lineterm='')
        return '\n'.join(lines)
    return f'actual:   {actual!r}\nexpected: {expected!r}'


def load_module(file):
    sys.path.insert(0, str(pathlib.Path(file).parent))
    return importlib.import_module(pathlib.Path(file).stem)


def report_failure(error):
    """Prints where in the test it went wrong; the harness's own frames explain nothing."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if frame.filename != __file__]
    print(''.join(traceback.format_list(frames)), end='')
    print(''.join(traceback.format_exception_only(error)), end='')


def main():
    """Runs one test; the runner calls this in a new process: arguments are file and function."""
    return run(*sys.argv[1:])


def run(file, name):
    """Runs a test in the working directory; one of the exit codes."""
    t = None
    try:
        function = getattr(load_module(file), name)
        t = Test(os.getcwd())
        function(t)
    except Skip as skip:
        print(skip)
        return EXIT_SKIPPED
    except Exception as error:
        report_failure(error)
        return EXIT_FAILED
    finally:
        if t:
            t.close()
    return EXIT_PASSED
