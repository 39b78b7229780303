#!/usr/bin/python3
"""Tells what calls cost in instructions, as callgrind counts them in build/bench/calls, by layer.

Instructions, unlike seconds, are the same in every run, so that a budget can be held to them:
tests/bench/budgets.txt. Whoever makes a call dearer than its budget, or cheaper, writes it anew with
`make budgets`, and says why in the commit.
"""
import argparse
import collections
import pathlib
import re
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / 'build/bench/calls'
BUDGETS = ROOT / 'tests/bench/budgets.txt'
HEADROOM = 1.125    # for other processors, whose libraries take other ways

# Where the instructions of a call go, by the outermost function on the way to them that is of a layer.
LAYERS = {
    'audit': re.compile('audit_'),
    'hand-over': re.compile('message_render|delivery_|maildir_'),
    'hash': re.compile('token_|connection_prove|patient_destination|patient_identity|crypto_|randombytes_'),
    'write': re.compile('statement_run|statement_change|scope_'),
    'lookup': re.compile('statement_'),
}
# What is left of a call, and what is left of the statement that it stands in.
REST, OUTSIDE = 'call', 'statement'
INSIDE = re.compile('call_run|table_|call_function')

TRIGGER = 'desc: Trigger: Client Request: '

# Of one call: instructions, all together and by layer when that was asked for.
Cost = collections.namedtuple('Cost', 'name instructions layers')


def count(directory, layers=False):
    """Runs the calls in a directory; a Cost for each, in their order."""
    directory = pathlib.Path(directory).resolve()
    options = ['--separate-callers=60'] if layers else []
    done = subprocess.run(['valgrind', '--tool=callgrind', '--quiet', '--instr-atstart=no', *options,
                           f'--callgrind-out-file={directory}/callgrind', PROGRAM, 'calls.db'],
                          cwd=directory, check=True, capture_output=True, text=True)
    dumps = dict(read(dump, layers) for dump in directory.glob('callgrind.*'))
    costs = []
    for line in done.stdout.splitlines():
        times, name = line.split(' ', 1)
        total = {layer: each // int(times) for layer, each in dumps[name].items()}
        costs.append(Cost(name, sum(total.values()), total))
    return costs


def read(dump, layers):
    """The call that a dump is of, and its instructions by layer."""
    name, found = None, collections.Counter()
    functions, layer, self_cost = {}, OUTSIDE, True
    with open(dump) as lines:
        for line in lines:
            if line[0].isdigit() or line[0] in '+-*':
                # The line after calls= has the cost of what was called, which counts itself.
                if self_cost:
                    found[layer] += int(line.split()[1])
                self_cost = True
            elif line.startswith('calls='):
                self_cost = False
            elif layers and line.startswith(('fn=', 'cfn=')):
                kind, number, path = re.match(r'(c?fn)=(\(\d+\)) ?(.*)', line).groups()
                if path:
                    functions[number] = layer_of(path)
                if kind == 'fn':
                    layer = functions[number]
            elif line.startswith(TRIGGER):
                name = line.removeprefix(TRIGGER).strip()
    return name, found


def layer_of(path):
    """A path is a function, its caller, that one's caller, and so on."""
    callers = path.split("'")[::-1]
    for function in callers:
        for layer, pattern in LAYERS.items():
            if pattern.match(function):
                return layer
    return REST if any(map(INSIDE.match, callers)) else OUTSIDE


def budgets():
    """{name: instructions}."""
    lines = [line.split(None, 1) for line in BUDGETS.read_text().splitlines()]
    return {name: int(budget) for budget, name in lines}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--set', action='store_true', help='write the budgets anew')
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix='portal-costs-') as directory:
        costs = count(directory, layers=not options.set)
    if options.set:
        BUDGETS.write_text(''.join(f'{round(cost.instructions * HEADROOM, -2):9.0f} {cost.name}\n'
                                   for cost in costs))
        return
    for cost in costs:
        layers = ', '.join(f'{layer} {each:,}' for layer, each in cost.layers.items() if each)
        print(f'{cost.instructions:9,} {cost.name}: {layers}')


if __name__ == '__main__':
    main()
