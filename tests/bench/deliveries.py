"""How fast deliver() hands over, against other programs that speak to the same server, by turns.

Every run has a database and a server of its own.  What is wanted is a part of a rival's rate, a time, or an
amount of memory.
"""
import collections
import contextlib
import email
import email.policy
import json
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
import types

from seeds import BENCH, ROOT, copy, remove, run, tell

sys.path.insert(0, str(ROOT / 'tests'))
import gateways
import mailservers

CONNECTIONS = 10


# What hands over: each hands messages to a server and gives their rate, and the KiB of memory

Handed = collections.namedtuple('Handed', 'rate memory')


def configure(database, secrets=(), **settings):
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.enable_load_extension(True)
        db.load_extension(str(ROOT / 'build/portal'))
        for key, value in settings.items():
            db.execute('SELECT portal_setting(?, ?)', [key, value]).fetchall()
        for key, value in secrets:
            db.execute('SELECT portal_secret(?, ?)', [key, value]).fetchall()


def ours(seed, **settings):
    """deliver() of all that is queued there."""
    database = seed.with_name('delivered.db')
    copy(seed, database)
    configure(database, **settings)
    seconds, done, memory = run(BENCH, 'ours', 'deliver', database).split()
    remove(database)
    return Handed(int(done) / float(seconds), int(memory))


def smtp_source(mail, count, port):
    start = time.monotonic()
    run('/usr/sbin/smtp-source', '-s', CONNECTIONS, '-d', '-m', count, '-F', mail.file,
        '-f', mail.sender, '-t', mail.recipient, f'127.0.0.1:{port}')
    return Handed(count / (time.monotonic() - start), None)


def nodemailer(mail, count, port):
    said = subprocess.run(['node', ROOT / 'build/clients/pool.mjs', str(port), str(CONNECTIONS), str(count)],
                          input=mail.json, stdout=subprocess.PIPE, text=True, check=True)
    return Handed(count / float(said.stdout), None)


def wrk(script, url):
    said = run('wrk', '-t1', f'-c{CONNECTIONS}', '-d3s', '-s', script, url)
    if 'Non-2xx' in said:
        sys.exit(f'wrk was refused:\n{said}')
    return Handed(float(re.search(r'Requests/sec:\s*([\d.]+)', said)[1]), None)


# Mail, to smtp-sink

class Mail:
    """A mail as the extension writes it, for the rivals, which have to be given one."""

    def __init__(self, seed, directory):
        database, folder = directory / 'mail.db', directory / 'mail'
        copy(seed, database)
        configure(database, maildir=str(folder))
        run('sqlite3', database, '.load build/portal', 'SELECT deliver(1)')
        remove(database)
        written, = (folder / 'new').iterdir()
        self.file = written.rename(directory / 'mail.eml')
        shutil.rmtree(folder)
        message = email.message_from_bytes(self.file.read_bytes(), policy=email.policy.default)
        self.sender, self.recipient = message['From'].addresses[0].addr_spec, str(message['To'])
        self.json = json.dumps({'from': str(message['From']), 'to': self.recipient, 'subject': message['Subject'],
                                'text': message.get_body(['plain']).get_content(),
                                'html': message.get_body(['html']).get_content()})


@contextlib.contextmanager
def sink(*switches):
    """The port of a mail server for a run."""
    with contextlib.ExitStack() as closing:
        yield mailservers.sink(types.SimpleNamespace(at_end=closing.callback), '-m', '1000', *switches)


def mails(*switches):
    def sides(seed, count, directory):
        mail = Mail(seed, directory)

        def to_sink(send, *arguments):
            with sink(*switches) as port:
                return send(*arguments, port)
        return {'ours': lambda: to_sink(lambda port: ours(seed, email_channel='smtp', smtp_connections=CONNECTIONS,
                                                          smtp_url=f'smtp://127.0.0.1:{port}')),
                'smtp-source': lambda: to_sink(smtp_source, mail, count),
                'nodemailer': lambda: to_sink(nodemailer, mail, count)}
    return sides


# Text messages, to Kannel

def text(seed, url):
    return ours(seed, text_channel='kannel', kannel_url=url, kannel_user=gateways.Kannel.USER, kannel_from='Clinic',
                kannel_connections=CONNECTIONS, secrets=[('kannel_password', gateways.Kannel.PASSWORD)])


@contextlib.contextmanager
def kannel(directory):
    """A fresh Kannel for a run.  Without a network it queues: what is timed is taking messages."""
    gateway = gateways.Kannel(directory / 'kannel')
    gateway.stop_network()
    yield gateway
    for process in (gateway.smsbox, gateway.bearerbox):
        gateway.stop(process)
    shutil.rmtree(gateway.folder)


def request_script(seed, directory):
    """The channel's first request, for wrk to repeat."""
    service = gateways.Service(lambda request: (503, ''))
    text(seed, service.url)
    request = service.requests[0]
    headers = {name: value for name, value in request.headers.items()
               if name not in ('Host', 'Accept', 'Content-Length')}
    script = directory / 'request.lua'
    script.write_text(f'wrk.method = "POST"\nwrk.body = [==[{request.body}]==]\n'
                      + ''.join(f'wrk.headers["{name}"] = [==[{value}]==]\n' for name, value in headers.items()))
    return script


def texts(seed, _, directory):
    script = request_script(seed, directory)

    def to_kannel(send, what):
        with kannel(directory) as gateway:
            return send(what, gateway.url)
    return {'ours': lambda: to_kannel(text, seed), 'wrk': lambda: to_kannel(wrk, script)}


# What is measured

# name, its sides, what is queued and how many, rounds, {rival: the least part of its rate}, the most seconds,
# the most MiB over the page cache.
Delivery = collections.namedtuple('Delivery', 'name sides queued count rounds rivals seconds memory')
DELIVERIES = [
    Delivery('deliver 20,000 mails', mails(), 'queued', 20_000, 9,
             {'smtp-source': 0.7, 'nodemailer': 4}, None, None),
    Delivery('deliver 100 mails, each taken after a second', mails('-W', '.:1'), 'queued', 100, 1, {}, 11, None),
    Delivery('deliver 1,000,000 mails', mails(), 'queued', 1_000_000, 1, {}, None, 64),
    Delivery('deliver 20,000 text messages', texts, 'texts', 20_000, 9, {'wrk': 0.7}, None, None),
]


def measure(delivery, seeds, directory):
    """What RESULTS.md needs of it: medians of the rates, and of what ours is of each rival's in a round."""
    sides = delivery.sides(seeds.get(delivery.queued, delivery.count), delivery.count, directory)
    handed = {side: [] for side in ['ours', *delivery.rivals]}
    for number in range(delivery.rounds):
        for side in handed:
            tell(f'{delivery.name}: round {number + 1} of {delivery.rounds}, {side}')
            handed[side].append(sides[side]())
    tell('')
    rates = {side: [each.rate for each in runs] for side, runs in handed.items()}
    return {'name': delivery.name, 'count': delivery.count, 'rivals': delivery.rivals,
            'wanted_seconds': delivery.seconds, 'wanted_memory': delivery.memory,
            'rate': {side: statistics.median(each) for side, each in rates.items()},
            'ratio': {rival: statistics.median(mine / its for mine, its in zip(rates['ours'], rates[rival]))
                      for rival in delivery.rivals},
            'memory': max(each.memory for each in handed['ours']) / 1024}


def line(row):
    """A row as the run tells it."""
    rivals = ''.join(f'  {rival} {row["rate"][rival]:,.0f} ({ratio:.2f})' for rival, ratio in row['ratio'].items())
    seconds = row['count'] / row['rate']['ours']
    return f'{row["name"]:44} {row["rate"]["ours"]:,.0f}  {seconds:.2f} s  {row["memory"]:.1f} MiB{rivals}'


def measure_all(deliveries, seeds, directory):
    rows = []
    for delivery in deliveries:
        rows.append(measure(delivery, seeds, directory))
        print(line(rows[-1]), flush=True)
    return rows
