"""Writes tests/bench/RESULTS.md and its plot from what tests/bench/run measured."""
import os
import pathlib
import platform
import re
import sqlite3
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
SIDES = ['floor', 'ours', 'python', 'node', 'postgresql']
NAMES = {'floor': 'floor', 'ours': 'ours', 'python': 'Python', 'node': 'Node', 'postgresql': 'PostgreSQL'}
COLORS = {'floor': '#999999', 'ours': '#0b6e4f', 'python': '#c9a227', 'node': '#7aa95c', 'postgresql': '#4a7ba6'}

INTRODUCTION = '''# How fast

Made by `make bench` on {when}, commit {commit}: {machine}.

Every figure is a median of several rounds, in each of which every side had its turn, on databases of
the same rows on the same disk. Rates are per second.

- The **floor** ([floor.c](floor.c)) is the same work as bare prepared statements in one loop in C, with
  the same SQLite, schema, indexes and triggers, writing rows of the same sizes (the run compares them),
  without any token, hash or check.
- The **peers** ([peer.py](peer.py), [peer.js](peer.js), [peer.sql](peer.sql)) are the same work as good
  application code: the same tables and rows, links, contacts and audit by HMAC, the checks of the chart
  and the cooldown.
- All SQLite databases are in WAL mode with a page cache of 64 MiB, synchronous NORMAL but where FULL is
  named, for which PostgreSQL has `synchronous_commit` off and on.

![Rates of every side as a part of the floor's](results.svg)
'''


DELIVERY = '''## Handing over

`deliver()` over ten connections with all that belongs to it: claiming, rendering, composing, handing over, and
recording with synchronous FULL ([deliveries.py](deliveries.py)). Mail goes to Postfix's `smtp-sink`; its
`smtp-source` sends one ready-made mail again and again, nodemailer composes each. Text messages go to Kannel;
`wrk` repeats one request. What is found of a rival is the median of the ratios of all rounds.

'''


def best_peer(row):
    peers = [side for side in SIDES[2:] if side in row['rate']]
    return max(peers, key=row['rate'].get, default=None)


def of_floor(row):
    return row['rate']['ours'] / row['rate']['floor']


def of_peer(row):
    return row['rate']['ours'] / row['rate'][best_peer(row)]


def met(is_met):
    return 'met' if is_met else '**not met**'


def table(head, rows):
    lines = [head, ['---'] + ['---:'] * (len(head) - 1), *rows]
    return ''.join(f'| {" | ".join(map(str, line))} |\n' for line in lines)


def rate(number):
    return f'{number:,.0f}'


# Sections

def floors(results):
    rows = [[row['name'], rate(row['rate']['floor']), rate(row['rate']['ours']), f'{of_floor(row):.2f}',
             f'{row["floor"]:.2f}', met(of_floor(row) >= row['floor'])]
            for row in results['rows'] if row['floor'] is not None]
    return '## Against the floor\n\n' + table(
        ['what', 'floor', 'ours', 'of the floor', 'wanted', ''], rows)


def peers(results):
    rows = []
    for row in results['rows']:
        if best_peer(row) is None:
            continue
        wanted = [f'{row["peer"]:.1f}', met(of_peer(row) >= row['peer'])] if row['peer'] else ['', '']
        rows.append([row['name'], *(rate(row['rate'][side]) if side in row['rate'] else '' for side in SIDES[1:]),
                     f'{of_peer(row):.2f}', *wanted])
    return '## Against the peers\n\n' + table(
        ['what', *(NAMES[side] for side in SIDES[1:]), 'of the best', 'wanted', ''], rows)


def delivery(results):
    rows = []
    for row in results['handed']:
        seconds = row['count'] / row['rate']['ours']
        found = [(f'{rival}, {rate(row["rate"][rival])}', f'{ratio:.2f}', f'{row["rivals"][rival]:.1f}',
                  ratio >= row['rivals'][rival]) for rival, ratio in row['ratio'].items()]
        if row['wanted_seconds']:
            found.append(('', f'{seconds:.2f} s', f'at most {row["wanted_seconds"]} s', seconds <= row['wanted_seconds']))
        if row['wanted_memory']:
            found.append(('', f'{row["memory"]:.1f} MiB', f'under {row["wanted_memory"]} MiB',
                          row['memory'] < row['wanted_memory']))
        rows += [[row['name'], rate(row['rate']['ours']), *each[:3], met(each[3])] for each in found]
    return DELIVERY + table(['what', 'ours', 'rival', 'found', 'wanted', ''], rows)


def command(results):
    rows = [[row['name'], row['ours'], row['rival'], f'{row["found"]:.2f}' if row['rival'] else '', row['wanted'],
             met(row['met'])] for row in results['commands']]
    return ('## The command\n\nWhole processes ([commands.py](commands.py)), beside `sqlite3 x.db "select 1"` and\n'
            '`.import` of the `sqlite3` shell: the median of the ratios of all rounds, which had both by turns.\n\n'
            + table(['what', 'portal', 'sqlite3', 'ratio', 'wanted', ''], rows))


def pages(results):
    rows = [[row['name'], row['ours'], row['rival'], row['found'], row['wanted'], met(row['met'])]
            for row in results['pages']]
    return ("## The pages\n\nThe landing page by `wrk`, beside libmicrohttpd's own handler with the same threads and limits\n"
            '([hello.c](hello.c)) and an answer of the same size, by turns; whole registrations, from the link to the account,\n'
            'by clients on the same machine ([pages.py](pages.py)): what share of its processors Argon2id takes alone.\n\n'
            + table(['what', 'portal', 'libmicrohttpd', 'found', 'wanted', ''], rows))


def memory(results):
    rows = [[row['name'], f'{row["memory"] / 1024:.1f} MiB', '64 MiB', met(row['memory'] < 64 * 1024)]
            for row in results['rows'] if row['work'] == 'send']
    return ('## Memory\n\nThe peak of the whole process, over the page cache.\n\n'
            + table(['what', 'over the cache', 'wanted, under', ''], rows))


def loading(results):
    cost = 1000 * (results['load']['loaded'] - results['load']['bare'])
    rows = [[f'{1000 * results["load"]["bare"]:.2f} ms', f'{1000 * results["load"]["loaded"]:.2f} ms',
             f'{cost:.2f} ms', '2 ms', met(cost < 2)]]
    return (f'## Loading\n\nStarts of the `sqlite3` shell, the median of {results["load"]["starts"]} by '
            'turns.\n\n' + table(['bare', 'with `.load`', 'more', 'wanted, under', ''], rows))


def expiry(results):
    small, big = (row['seconds']['ours'] for row in results['big'])
    rows = [[f'{1000 * small:.1f} ms', f'{1000 * big:.1f} ms', f'{big / small:.2f}', '1.30',
             met(big / small <= 1.3)]]
    return (f'## Expiry follows what is due\n\n`expire_links()` with 10,000 due (`make bench-big`, '
            f'{results["big_when"]}).\n\n'
            + table(['among 1,000,000', 'among 10,000,000', 'ratio', 'wanted, at most', ''], rows))


GROUP = '''## A practice group

A practice group of 1,000,000 patients, 10,000,000 registrations and 1,000,000 pending requests beside a practice of 1,000
patients, by turns, one call after another, each about patients that none before was about ([groups.py](groups.py)); medians, in
microseconds (`make bench-big`, {}). The system has all of both files in memory; the connections, of which each has looked at 20,000
patients before, have a page cache of 64 MiB.

'''
ON_DISK = '''
On disk each registration takes {portal_registration:.0f} bytes, its message {portal_message:.0f} and its events in the audit
{portal_audit:.0f}, with their indexes; the whole database, with patients, accounts and requests, has {file:.0f} bytes for each
of the {registrations:,} registrations.
'''


def group(results):
    rows = [[row['name'], f'{1e6 * row["small"]:,.0f}', f'{1e6 * row["big"]:,.0f}', f'{row["ratio"]:.2f}', '2.00',
             met(row['ratio'] <= 2)] for row in results['group']['rows']]
    return (GROUP.format(results['big_when'])
            + table(['what', 'of 1,000', 'of 1,000,000', 'ratio', 'wanted, at most', ''], rows)
            + ON_DISK.format(**results['group']['size']))


def layers(results):
    names = ['statement', 'call', 'lookup', 'hash', 'write', 'audit', 'hand-over']
    rows = [[cost['name'], rate(cost['instructions']), rate(cost['budget']),
             *(rate(cost['layers'].get(name, 0)) for name in names)] for cost in results['costs']]
    return ('## What a call costs, and where\n\nInstructions of one call, by callgrind. The test suite holds '
            'each to its budget ([budgets.txt](budgets.txt)). *statement* is SQLite around the call, *call* '
            'the glue and the checks, *lookup* and *write* are nested statements, *audit* is an event with '
            'its hash and its writes, *hand-over* rendering and the Maildir.\n\n'
            + table(['call', 'all', 'budget', *names], rows))


def page(results):
    sections = [floors, peers, delivery, memory, loading, command, pages, layers]
    sections[6:6] = [section for found, section in (('big', expiry), ('group', group)) if results.get(found)]
    return '\n'.join([INTRODUCTION.format(**results), *(section(results) for section in sections)])


def machine():
    """The machine and the versions, in a line."""
    def said(*command):
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    cpu = re.search(r'model name\s*: (.*)', pathlib.Path('/proc/cpuinfo').read_text())
    kib = re.search(r'MemTotal:\s*(\d+)', pathlib.Path('/proc/meminfo').read_text())
    postgres = re.search(r'[\d.]+', said('psql', '--version'))
    return (f'{cpu.group(1) if cpu else platform.machine()}, {len(os.sched_getaffinity(0))} cores, '
            f'{int(kib.group(1)) // 1048576} GiB, {platform.system()}; SQLite {sqlite3.sqlite_version}, '
            f'Python {platform.python_version()}, Node {said("node", "--version").lstrip("v")}, '
            f'PostgreSQL {postgres.group()}')


# The plot: a group of bars for each benchmark, the floor at 1

WIDTH, LEFT, BAR, GAP, MOST = 900, 250, 9, 12, 1.5


def plot(results):
    scale = (WIDTH - LEFT - 60) / MOST
    parts, y = [legend()], 50
    for row in results['rows']:
        sides = [side for side in SIDES[1:] if side in row['rate']]
        height = BAR * len(sides)
        parts.append(text(LEFT - 8, y + height / 2 + 4, row['name'], 'end'))
        for number, side in enumerate(sides):
            ratio = row['rate'][side] / row['rate']['floor']
            top, width = y + BAR * number, min(ratio, MOST) * scale
            parts.append(f'<rect x="{LEFT}" y="{top}" width="{width:.1f}" height="{BAR - 1}" '
                         f'fill="{COLORS[side]}"/>')
            parts.append(text(LEFT + width + 4, top + BAR - 1, f'{ratio:.2f}', 'start', 9))
        if row['floor'] is not None:
            parts.append(upright(LEFT + row['floor'] * scale, y - 3, BAR + 5, '#c1121f', 2))
        y += height + GAP
    parts.append(upright(LEFT + scale, 40, y - 40 - GAP, COLORS['floor'], 1))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 10}" '
            f'font-family="sans-serif">\n<rect width="100%" height="100%" fill="white"/>\n'
            + '\n'.join(parts) + '\n</svg>\n')


def legend():
    parts, x = [], LEFT
    for side in SIDES[1:]:
        parts.append(f'<rect x="{x}" y="14" width="12" height="12" fill="{COLORS[side]}"/>')
        parts.append(text(x + 17, 24, NAMES[side], 'start'))
        x += 100
    parts.append(upright(x, 13, 14, '#c1121f', 2) + text(x + 8, 24, 'wanted of ours', 'start'))
    parts.append(upright(x + 110, 13, 14, COLORS['floor'], 1) + text(x + 118, 24, 'the floor', 'start'))
    return '\n'.join(parts)


def text(x, y, words, anchor, size=12):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{words}</text>'


def upright(x, y, height, color, width):
    return f'<path d="M{x:.1f} {y:.1f}v{height:.1f}" stroke="{color}" stroke-width="{width}"/>'


def write(results):
    (HERE / 'RESULTS.md').write_text(page(results))
    (HERE / 'results.svg').write_text(plot(results))


def today():
    return time.strftime('%Y-%m-%d')
