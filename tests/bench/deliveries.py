"""How fast deliver() hands over, against another program that speaks to the same server, by turns.

A delivery is a function of a directory, a seed and a count; it gives its sides by name, each a function that
runs once and gives the rate.
"""
import collections
import contextlib
import pathlib
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / 'tests'))

import gateways

CONNECTIONS = 10

# name, its sides, what is queued and how many, rounds, the least wanted of each rival's rate.
Delivery = collections.namedtuple('Delivery', 'name sides queued count rounds wanted')


def settle(database, url):
    """Has text messages go to a Kannel at this URL."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.enable_load_extension(True)
        db.load_extension(str(ROOT / 'build/portal'))
        for key, value in {'text_channel': 'kannel', 'kannel_url': url, 'kannel_user': gateways.Kannel.USER,
                           'kannel_from': 'Clinic', 'kannel_connections': str(CONNECTIONS)}.items():
            db.execute('SELECT portal_setting(?, ?)', [key, value])
        db.execute('SELECT portal_secret(?, ?)', ['kannel_password', gateways.Kannel.PASSWORD])


def bench(database):
    """deliver() of all that is queued there: the rate."""
    done = subprocess.run([ROOT / 'build/bench/bench', 'ours', 'deliver', database], cwd=ROOT, check=True,
                          capture_output=True, text=True)
    seconds, count, _ = done.stdout.split()
    return int(count) / float(seconds)


@contextlib.contextmanager
def copied(database, directory):
    """A copy with its key file, for the time of a run."""
    copy = directory / 'delivery.db'
    for end in ('', '.portal-key'):
        shutil.copy2(f'{database}{end}', f'{copy}{end}')
    yield copy
    for file in directory.glob('delivery.db*'):
        file.unlink()


@contextlib.contextmanager
def kannel(directory):
    """A fresh Kannel for a run. Without a network it queues: what is timed is taking messages."""
    folder = directory / 'kannel'
    gateway = gateways.Kannel(folder)
    gateway.stop_network()
    yield gateway
    for process in (gateway.smsbox, gateway.bearerbox):
        gateway.stop(process)
    shutil.rmtree(folder)


def request_script(database, directory):
    """The channel's first request, for wrk to repeat."""
    service = gateways.Service(lambda request: (503, ''))
    with copied(database, directory) as copy:
        settle(copy, service.url)
        bench(copy)
    headers = {name: value for name, value in service.requests[0].headers.items()
               if name not in ('Host', 'Accept', 'Content-Length')}
    script = directory / 'request.lua'
    script.write_text('wrk.method = "POST"\nwrk.body = [==[' + service.requests[0].body + ']==]\n'
                      + ''.join(f'wrk.headers["{name}"] = [==[{value}]==]\n' for name, value in headers.items()))
    return script


def texts_to_kannel(database, directory):
    script = request_script(database, directory)

    def ours():
        with kannel(directory) as gateway, copied(database, directory) as copy:
            settle(copy, gateway.url)
            return bench(copy)

    def wrk():
        with kannel(directory) as gateway:
            said = subprocess.run(['wrk', '-t1', f'-c{CONNECTIONS}', '-d3s', '-s', script, gateway.url],
                                  check=True, capture_output=True, text=True).stdout
        if 'Non-2xx' in said:
            sys.exit(f'wrk was refused:\n{said}')
        return float(re.search(r'Requests/sec:\s*([\d.]+)', said)[1])
    return {'ours': ours, 'wrk': wrk}


DELIVERIES = [
    Delivery('text messages to Kannel', texts_to_kannel, 'texts', 20_000, 9, {'wrk': 0.7}),
]


def measure(delivery, database, directory, tell):
    """What RESULTS.md needs of it: medians of the rates, and of what ours is of each rival's in a round."""
    sides = delivery.sides(database, directory)
    rates = {name: [] for name in sides}
    for number in range(delivery.rounds):
        for name, side in sides.items():
            tell(f'{delivery.name}: round {number + 1} of {delivery.rounds}, {name}')
            rates[name].append(side())
    return {'name': delivery.name, 'wanted': delivery.wanted,
            'rate': {name: statistics.median(each) for name, each in rates.items()},
            'ratio': {rival: statistics.median(ours / theirs for ours, theirs in zip(rates['ours'], rates[rival]))
                      for rival in delivery.wanted}}
