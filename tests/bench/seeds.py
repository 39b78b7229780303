"""The databases that benchmarks begin with, each made once, and the programs that make them."""
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BENCH = str(ROOT / 'build/bench/bench')
PEERS = {'python': ['/usr/bin/python3', ROOT / 'tests/bench/peer.py'],
         'node': ['node', ROOT / 'tests/bench/peer.js']}
SEEDED_ON = {'patients': None, 'queued': 'patients', 'texts': 'patients', 'sent': 'queued', 'practice': 'sent', 'group': 'sent'}


class Seeds:
    """Databases made once, by kind and size, each out of the one before it; the peers' have a change."""

    def __init__(self, directory):
        self.directory = directory

    def get(self, kind, size):
        return self.made(f'{kind}-{size}.db', SEEDED_ON[kind] and [SEEDED_ON[kind], size],
                         [BENCH, 'seed', kind], size)

    def peers(self, kind, size):
        return self.made(f'peer-{kind}-{size}.db', [kind, size], [*PEERS['python'], 'seed'], size)

    def made(self, name, before, command, size):
        path = self.directory / name
        if not path.exists():
            if before:
                copy(self.get(*before), path)
            tell(f'making {name}')
            # What takes minutes says how far it is, and what fails says why.
            if subprocess.run([*command, path, str(size)], cwd=ROOT, stdout=subprocess.DEVNULL).returncode != 0:
                sys.exit(f'{name} could not be made')
            sync(path)
        return path


def run(*command):
    try:
        return subprocess.run([str(part) for part in command], check=True, cwd=ROOT,
                              capture_output=True, text=True).stdout
    except subprocess.CalledProcessError as error:
        sys.exit(f'{" ".join(error.cmd)}:\n{error.stderr}')


def sync(path):
    """What is still to be written of it must not slow down what is timed."""
    with open(path, 'rb') as file:
        os.fsync(file.fileno())


def copy(database, path):
    for end in ('', '.portal-key'):
        shutil.copy2(f'{database}{end}', f'{path}{end}')
        sync(f'{path}{end}')


def remove(database):
    for end in ('', '-wal', '-shm', '.portal-key'):
        pathlib.Path(f'{database}{end}').unlink(missing_ok=True)


def tell(text):
    if sys.stderr.isatty():
        print(f'\r\x1b[K{text}', end='', file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr)
