"""What the command `portal` takes as a whole process, against the sqlite3 shell by turns; and what its service takes."""
import collections
import contextlib
import functools
import pathlib
import random
import sqlite3
import statistics
import subprocess
import time

from seeds import ROOT, copy, remove, run, tell

PORTAL = ROOT / 'build/portal'
IDLE = 60

# name, how it is measured, of how many rows, rounds, in what, how it is written, the most or the least that is wanted: of a
# rival's, or of itself.
Command = collections.namedtuple('Command', 'name measure size rounds unit form most least')


# Starting

def started(*arguments, command, seeds):
    """Milliseconds of every start, by turns with that of the shell on the same database."""
    database = seeds.get('practice', command.size)
    sides = {'ours': [PORTAL, '-d', database, *arguments], 'rival': ['sqlite3', database, 'select 1']}
    times = {side: [] for side in sides}
    for _ in range(command.rounds):
        for side, line in sides.items():
            begun = time.perf_counter()
            run(*line)
            times[side].append(1000 * (time.perf_counter() - begun))
    return times


# Importing

FIRST = ['Ada', 'Charles', 'Mary', 'José', 'Grace', 'Alan', 'Edsger', 'Barbara', 'Katherine', 'Dorothy', 'Annie', 'Joan']
LAST = ['Lovelace', 'Babbage', 'Somerville', 'Gómez', 'Hopper', 'Turing', 'Dijkstra', 'Liskov', "O'Brien", 'Vaughan']
COLUMNS = ('patient_id first_name last_name date_of_birth sex email cell_phone home_phone address_line1 address_line2'
           ' city state postal_code preferred_language email_consent text_consent phr_active active deceased_on').split()


def patients_write(path, count):
    """The whole patient table as CSV, which the shell needs."""
    chance = random.Random(1)
    with open(path, 'w') as file:
        print(*COLUMNS, sep=',', file=file)
        for number in range(1, count + 1):
            print(number, f'{chance.choice(FIRST)}{number}', chance.choice(LAST),
                  f'{chance.randrange(1920, 2020)}-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}',
                  chance.choice(['male', 'female']), f'p{number}@example.com', f'+1617{chance.randrange(10 ** 7):07}', '',
                  f'{number} Main Street', '', 'Boston', 'MA', f'{chance.randrange(10 ** 5):05}', 'en', 1, 1, 0, 1, '',
                  sep=',', file=file)


def imported(command, seeds):
    """Rows a second, into the same table with the same indexes."""
    file, empty, database = (seeds.directory / name for name in ('patients.csv', 'empty.db', 'imported.db'))
    patients_write(file, command.size)
    run(PORTAL, '-d', empty, 'init', '--yes')
    sides = {'ours': [PORTAL, '-d', database, 'import', file, '--yes'],
             'rival': ['sqlite3', database, f'.import --csv --skip 1 {file} patient']}
    rates = {side: [] for side in sides}
    for number in range(command.rounds):
        for side, line in sides.items():
            tell(f'{command.name}: round {number + 1} of {command.rounds}, {side}')
            copy(empty, database)
            begun = time.perf_counter()
            run(*line)
            rates[side].append(command.size / (time.perf_counter() - begun))
            remove(database)
    for path in (file, empty):
        remove(path)
    return rates


# Watching

@contextlib.contextmanager
def watching(command, seeds):
    """A connection to a practice, and the process that watches it."""
    database = seeds.directory / 'watched.db'
    copy(seeds.get('patients', command.size), database)
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.enable_load_extension(True)
        db.load_extension(str(ROOT / 'build/portal'))
        process = subprocess.Popen([PORTAL, '-d', database, 'deliver', '--watch'], stdout=subprocess.DEVNULL)
        time.sleep(1)
        try:
            yield db, process
        finally:
            process.terminate()
            process.wait()
    remove(database)


def sent_after(command, seeds):
    """Seconds from the commit of a message by another process until it is sent."""
    took = []
    with watching(command, seeds) as (db, _):
        for patient in range(1, command.rounds + 1):
            # At any moment between two looks.
            time.sleep(random.random() / 4)
            db.execute('INSERT INTO send_registration VALUES (?, ?)', [patient, 'email'])
            begun = time.perf_counter()
            while db.execute("SELECT count(*) FROM portal_message WHERE status = 'sent'").fetchone()[0] < patient:
                time.sleep(0.001)
            took.append(time.perf_counter() - begun)
    return {'ours': took}


def idle(command, seeds):
    """Per cent of a processor in a minute without anything to do."""
    def used(process):
        return int(pathlib.Path(f'/proc/{process.pid}/schedstat').read_text().split()[0]) / 1e9
    with watching(command, seeds) as (_, process):
        before = used(process)
        time.sleep(IDLE)
        return {'ours': [100 * (used(process) - before) / IDLE]}


COMMANDS = [
    Command('start of portal version', functools.partial(started, 'version'), 1_000_000, 201, 'ms', '.2f', 3, None),
    Command('start of portal status 42', functools.partial(started, 'status', '42'), 1_000_000, 201, 'ms', '.2f', 3, None),
    Command('portal import of 1,000,000', imported, 1_000_000, 5, 'a second', ',.0f', None, 0.5),
    Command('portal deliver --watch: a message is sent after', sent_after, 1000, 100, 's', '.3f', 1, None),
    Command('portal deliver --watch: waiting', idle, 1000, 1, '% of a processor', '.3f', 0.2, None),
]


def measure(command, seeds):
    """What RESULTS.md needs of it; with a rival, what is found is the median of the ratios of all rounds."""
    times = command.measure(command=command, seeds=seeds)
    ours = statistics.median(times['ours'])
    row = {'name': command.name, 'ours': f'{ours:{command.form}} {command.unit}', 'rival': '', 'found': ours}
    if 'rival' in times:
        row['rival'] = f'{statistics.median(times["rival"]):{command.form}} {command.unit}'
        row['found'] = statistics.median(mine / its for mine, its in zip(times['ours'], times['rival']))
    row['wanted'] = f'at most {command.most}' if command.least is None else f'{command.least}'
    row['met'] = row['found'] <= command.most if command.least is None else row['found'] >= command.least
    return row


def measure_all(commands, seeds):
    rows = []
    for command in commands:
        tell(command.name)
        rows.append(measure(command, seeds))
        tell('')
        print(f'{command.name:48} {rows[-1]["ours"]}  {rows[-1]["rival"]}  {rows[-1]["found"]:.3f}', flush=True)
    return rows
