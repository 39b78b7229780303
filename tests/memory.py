"""Runs SQL tests one after another in one Python under valgrind, for tests/run.

Starting Python there costs more than most tests: it is started once and forks for each test. Python's
own errors and leaks are not ours: what counts is an error, or memory definitely lost, with portal.so
anywhere on its stack, so the libraries that it calls are held to the same.

Arguments are FILE:FUNCTION; a line of JSON for each says how it ended.
"""
import json
import os
import pathlib
import re
import sys
import time

import harness

LOG = 'memory-%p.xml'
SUPPRESSIONS = pathlib.Path(__file__).with_name('valgrind.supp')
VALGRIND = ['valgrind', '-q', '--leak-check=full', '--show-leak-kinds=definite',
            '--num-callers=40', f'--suppressions={SUPPRESSIONS}', '--xml=yes', f'--xml-file={LOG}']


def run_test(file, name, home):
    """In the forked process: never returns."""
    output = os.open(home / '.output', os.O_CREAT | os.O_WRONLY)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.update(HOME=str(home), TMPDIR=str(home))
    os.chdir(home)
    code = harness.run(file, name)
    sys.stdout.flush()
    os._exit(code)


def field(error, name):
    found = re.search(f'<{name}>(.*?)</{name}>', error)
    return found.group(1) if found else '?'


def ours(log):
    """The errors in valgrind's log that portal.so has a part in, each with its stack."""
    for error in re.findall('<error>.*?</error>', log, re.S):
        if re.search(r'<obj>[^<]*/portal\.so</obj>', error):
            frames = re.findall('<frame>.*?</frame>', error, re.S)
            what = field(error, 'text' if '<xwhat>' in error else 'what')
            yield '\n    '.join([f"{field(error, 'kind')}: {what}", *(
                f"{field(frame, 'fn')} ({field(frame, 'file')}:{field(frame, 'line')})" for frame in frames)])


def judge(code, output, log):
    """How a test ended and why, from its exit code, what it printed, and what valgrind saw."""
    if not log.rstrip().endswith('</valgrindoutput>'):
        return 'failed', f'{output}\nvalgrind told nothing; exit code {code}'
    errors = [*ours(log)]
    if errors:
        return 'failed', '\n'.join(errors)
    if code == harness.EXIT_SKIPPED:
        return 'skipped', output
    return ('passed', '') if code == harness.EXIT_PASSED else ('failed', f'{output}\nexit code {code}')


def main():
    top = pathlib.Path.cwd()
    for test in sys.argv[1:]:
        file, name = test.rsplit(':', 1)
        home = top / f'{pathlib.Path(file).stem}.{name}'[:200]
        home.mkdir()
        started = time.monotonic()
        process = os.fork()
        if process == 0:
            run_test(file, name, home)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        log = top / LOG.replace('%p', str(process))
        outcome, detail = judge(code, (home / '.output').read_text(errors='backslashreplace'),
                                log.read_text(errors='backslashreplace') if log.exists() else '')
        print(json.dumps({'test': test, 'outcome': outcome, 'detail': detail,
                          'seconds': time.monotonic() - started}), flush=True)
