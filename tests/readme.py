"""Plays the sessions of a README: types what stands after its prompts and compares what comes.

Blocks marked `console` or `sql` are played in their order, in one directory.  "$ " is a shell
command, "sqlite> " (continued by "   ...> ") goes to the sqlite3 shell that "$ sqlite3 FILE" opened.
Other blocks are not played.  Tokens, PINs, hashes and names of temporary things are other ones every
time: what the README shows stands for what came instead, from there on.
"""
import os
import re
import shutil
import subprocess

import harness

BLOCK = re.compile(r'^```(console|sql)\n(.*?)^```$', re.M | re.S)
PLACE = '/srv/practice'
SECRET = re.compile(r'A[Qgw][\w-]{30}(?![\w-])|(?<![\w-])\d{6}(?![\w-])|\b[0-9a-f]{64}\b')


class Shell:
    """A sqlite3 shell under the clock of the test, with errors told as at its prompt."""

    def __init__(self, directory, database):
        self.result = directory / '.result'
        self.process = subprocess.Popen(
            ['sqlite3', database], cwd=directory, stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def type(self, statement):
        """What it prints.  The result goes to a file, so that an error comes after it."""
        self.process.stdin.write(f'.once {self.result}\n{statement}\n.shell echo +++ >&2\n')
        self.process.stdin.flush()
        errors = ''
        while (line := self.process.stderr.readline()) != '+++\n':
            if not line:
                raise AssertionError(f'the sqlite3 shell has ended after: {statement}')
            errors += re.sub(r' near line \d+:', ':', line)
        return self.result.read_text() + errors

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stderr.close()


class Player:
    def __init__(self, directory):
        self.directory = directory
        self.shell = None
        self.known = {}         # what the README shows, and what it really is

    def play(self, block):
        """The block with what really came, in the README's own tokens where it has some."""
        played = ''
        for prompt, shown in steps(block):
            came = self.step(prompt)
            expected, real = SECRET.findall(shown), SECRET.findall(came)
            self.known.update(zip(expected, real))
            played += prompt + self.as_shown(came)
        return played

    def step(self, prompt):
        typed = re.sub(r'^(\$ |sqlite> |   \.\.\.> )', '', prompt, flags=re.M).rstrip('\n')
        typed = SECRET.sub(lambda found: self.known.get(found[0], found[0]), typed)
        if prompt.startswith('sqlite> '):
            return self.shell.type(typed)
        if found := re.fullmatch(r'sqlite3 (\S+)', typed):
            self.close()
            self.shell = Shell(self.directory, found[1])
            return ''
        done = subprocess.run(['bash', '-c', typed], cwd=self.directory, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.stdout

    def as_shown(self, text):
        shown = {real: name for name, real in self.known.items()}
        text = text.replace(str(self.directory), PLACE)
        return SECRET.sub(lambda found: shown.get(found[0], found[0]), text)

    def close(self):
        if self.shell:
            self.shell.close()
        self.shell = None


def steps(block):
    """Prompt lines with what is shown after them."""
    step = r'((?:\$ .*\n|sqlite> .*\n(?:   \.\.\.> .*\n)*))((?:(?!\$ |sqlite> ).*\n)*)'
    found = re.findall(step, block)
    if ''.join(prompt + shown for prompt, shown in found) != block:
        raise AssertionError(f'a session begins with a prompt:\n{block}')
    return found


def play(text, directory):
    """The text with every session as it went."""
    player = Player(directory)
    try:
        return BLOCK.sub(lambda found: f'```{found[1]}\n{player.play(found[2])}```', text)
    finally:
        player.close()


def furnish(directory, text):
    """A folder as after `make` in a clone: sources that are only read, and a build of its own."""
    shutil.copytree(harness.ROOT / 'build/portal.d', directory / 'build/portal.d')
    (directory / 'build/portal.so').write_bytes((harness.ROOT / 'build/portal.so').read_bytes())
    shutil.copy(harness.ROOT / 'build/portal', directory / 'build/portal')
    for name in ('ext', 'sql'):
        os.symlink(harness.ROOT / name, directory / name)
    (directory / 'letters.c').write_text(code(text, 'c'))
    programs = directory / 'bin'
    programs.mkdir()
    for name, script in (('sqlite3', CLOCKED_SHELL), ('portal', CLOCKED_PORTAL.format(directory))):
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    os.environ['PATH'] = f'{programs}:{os.environ["PATH"]}'


def code(text, language, part=''):
    """The one block of a language that has a part."""
    (found,) = [block for block in re.findall(rf'^```{language}\n(.*?)^```$', text, re.M | re.S) if part in block]
    return found


# sqlite3 FILE ARGUMENTS..., with the clock of the test under the file.
CLOCKED_SHELL = f'''#!/bin/sh
file=$1
shift
exec /usr/bin/sqlite3 -batch -init /dev/null -cmd '.load {harness.CLOCK_VFS}' -cmd ".open $file" \\
    :memory: "$@"
'''
CLOCKED_PORTAL = f'''#!/bin/sh
LD_PRELOAD={harness.CLOCK_PRELOAD} exec {{}}/build/portal "$@"
'''
