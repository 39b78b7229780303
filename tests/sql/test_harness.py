"""The plumbing itself: were it broken, other tests could pass without having looked."""
import importlib.machinery
import importlib.util
import os
import pathlib
import subprocess
import textwrap
import time

import harness
import memory

SUNDAY = 1795357200     # 2026-11-22 14:20:00 UTC


def plain_database(t):
    return t.connect(t.path('plain.db'), extension=False)


def run_runner(t, source, *arguments, **environment):
    """Runs the runner over one file of tests: exit code and output."""
    directory = t.path('tests')
    directory.mkdir(exist_ok=True)
    (directory / 'test_sample.py').write_text(textwrap.dedent(source))
    done = subprocess.run(
        [harness.ROOT / 'tests/run', '--tests', directory, '--variant', 'release', *arguments],
        env={'PATH': os.environ['PATH'], **environment}, capture_output=True, text=True)
    return done.returncode, done.stdout


def last_line(output):
    return output.splitlines()[-1]


# The clock

def test_a_test_starts_with_the_clock_frozen(t):
    db = plain_database(t)
    t.equal(t.one(db, "SELECT datetime('now')"), '2026-11-22 14:20:00')
    t.equal(t.now(), SUNDAY)


def test_the_clock_moves_the_now_of_sqlite(t):
    db = plain_database(t)
    t.advance(72 * 3600)
    t.equal(t.one(db, 'SELECT unixepoch()'), SUNDAY + 72 * 3600)
    t.equal(t.one(db, "SELECT strftime('%Y-%m-%d', 'now')"), '2026-11-25')
    t.equal(t.one(db, 'SELECT round(julianday(), 6)'), 2461370.097222)


def test_the_clock_can_be_set_back(t):
    db = plain_database(t)
    t.clock(0)
    t.equal(t.one(db, "SELECT datetime('now')"), '1970-01-01 00:00:00')


def test_the_real_clock_runs_and_can_be_moved(t):
    db = plain_database(t)
    real = t.real_clock()
    t.true(abs(real - time.time()) < 60)
    t.equal(t.one(db, 'SELECT unixepoch() >= ?', real), 1)
    t.true(t.advance(1000) >= real + 1000)


def test_the_clock_is_shared_with_the_shell(t):
    t.advance(60)
    done = t.shell(t.path('plain.db'), "SELECT datetime('now');\n", extension=False)
    t.equal(done, (0, '2026-11-22 14:21:00\n', ''))


def test_the_time_zone_is_fixed_and_has_summer_time(t):
    db = plain_database(t)
    t.equal(t.one(db, "SELECT time('2026-11-22 14:20', 'localtime')"), '09:20:00')
    t.equal(t.one(db, "SELECT time('2026-07-22 14:20', 'localtime')"), '10:20:00')


# Processes

def add_row(t, number, path):
    db = t.connect(path, extension=False)
    t.together()
    db.execute('INSERT INTO arrived VALUES(?, unixepoch())', [number])
    return os.getpid()


def die(t, number):
    os._exit(3)


def test_parallel_processes_share_the_directory_and_the_clock(t):
    db = plain_database(t)
    db.execute('CREATE TABLE arrived(number, at)')
    t.advance(5)
    results = t.parallel(3, add_row, t.file(db))
    t.equal(len(set(results)), 3)
    t.equal(t.all(db, 'SELECT * FROM arrived ORDER BY 1'), [(n, SUNDAY + 5) for n in range(3)])


def test_a_parallel_process_that_dies_is_an_exception(t):
    [result] = t.parallel(1, die)
    t.equal(str(result), 'process ended with 3')


# Mail

MAIL = '''\
From: Practice <practice@example.com>
To: ada@example.com
Subject: Registration
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

Your code is 012345. Open
https://example.com/r/{token}
or call 555-0100.
'''
TOKEN = 'abcdefghijklmnop-_ABCDEFGHIJKL01'


def put_mail(t, part, name, text):
    folder = t.path('outbox') / part
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    # All in one tick of the kernel's clock, as a fast delivery would be.
    os.utime(folder / name, ns=(10**18, 10**18))


def test_mails_are_read_in_order_of_delivery(t):
    for part, number in [('new', 10), ('cur', 9), ('new', 11)]:
        put_mail(t, part, f'1795357200.P7Q{number}.host', f'Subject: {number}\n\n')
    t.equal([mail['subject'] for mail in t.mails(t.path('outbox'))], ['9', '10', '11'])


def test_a_mail_yields_its_token_and_its_pin(t):
    put_mail(t, 'new', 'one', MAIL.format(token=TOKEN))
    [mail] = t.mails(t.path('outbox'))
    t.equal(t.link(mail), f'https://example.com/r/{TOKEN}')
    t.equal(t.token(mail), TOKEN)
    t.equal(t.pin(mail), '012345')


def test_a_longer_token_is_no_token(t):
    put_mail(t, 'new', 'one', MAIL.format(token=TOKEN + 'x'))
    try:
        t.token(t.mails(t.path('outbox'))[0])
    except AssertionError as error:
        return t.contains(str(error), '0 times a registration link')
    t.true(False, 'a token of 33 characters was taken')


def test_a_malformed_mail_is_an_error(t):
    put_mail(t, 'new', 'one', 'Content-Type: multipart/mixed; boundary=x\n\nno parts\n')
    try:
        t.mails(t.path('outbox'))
    except Exception as error:
        return t.contains(type(error).__name__, 'Defect')
    t.true(False, 'nothing was found wrong')


# Claims

def test_refuses_wants_a_refusal_that_says_the_words(t):
    db = plain_database(t)
    t.refuses(db, 'SELECT * FROM missing', says=['no such table', 'missing'])
    for sql, says in [('SELECT 1', 'anything'), ('SELECT * FROM missing', 'another reason')]:
        try:
            t.refuses(db, sql, says=says)
        except AssertionError:
            continue
        t.true(False, f'{sql} counted as refused with {says}')


def test_a_shell_that_crashes_is_a_failure(t):
    try:
        t.shell(t.path('plain.db'), '.system kill -SEGV $PPID', extension=False)
    except AssertionError as error:
        return t.contains(str(error), 'the shell crashed')
    t.true(False, 'the crash went unseen')


# The runner

def test_the_runner_counts_and_tells_failures(t):
    code, output = run_runner(t, '''
        def test_good(t): pass
        def test_bad_sum(t): t.equal(1 + 1, 3)
        def test_bad_error(t): raise KeyError('lost')
        ''')
    t.equal((code, last_line(output)), (1, '1 passed, 2 failed, 0 skipped'))
    t.contains(output, 'not ok - release tests/sample: bad sum', 'expected: 3',
               "KeyError: 'lost'", 'test_sample.py')


def test_the_runner_fails_when_nothing_ran(t):
    code, output = run_runner(t, '')
    t.equal((code, last_line(output)), (1, '0 passed, 0 failed, 0 skipped'))


SKIPPING = '''
    def test_good(t): pass
    def test_skipping(t): t.skip('no network here')
    '''


def test_a_skip_is_counted_and_names_its_reason(t):
    code, output = run_runner(t, SKIPPING)
    t.equal((code, last_line(output)), (0, '1 passed, 0 failed, 1 skipped'))
    t.contains(output, 'no network here')


def test_a_skip_in_continuous_integration_is_a_failure(t):
    code, output = run_runner(t, SKIPPING, CI='true')
    t.equal((code, last_line(output)), (1, '1 passed, 1 failed, 0 skipped'))


def test_a_crash_is_one_failed_test(t):
    code, output = run_runner(t, '''
        import os, signal
        def test_good(t): pass
        def test_crashing(t): os.kill(os.getpid(), signal.SIGSEGV)
        ''')
    t.equal((code, last_line(output)), (1, '1 passed, 1 failed, 0 skipped'))
    t.contains(output, 'ended by SIGSEGV')


def test_an_early_exit_is_no_pass(t):
    code, output = run_runner(t, '''
        import os, sys
        def test_leaving_with_success(t): sys.exit(0)
        def test_vanishing_with_success(t): os._exit(0)
        ''')
    t.equal((code, last_line(output)), (1, '0 passed, 2 failed, 0 skipped'))


def is_over(state):
    """Whether a killed process is gone, or about to be collected; the kernel may take a moment."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            if ') Z ' in state.read_text():
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def test_a_hanging_test_fails_by_name_with_all_it_started(t):
    code, output = run_runner(t, f'''
        import harness, subprocess
        @harness.time_limit(1)
        def test_hanging(t):
            child = subprocess.Popen(['sleep', '600'])
            open('{t.path("pid")}', 'w').write(str(child.pid))
            child.wait()
        ''')
    t.equal((code, last_line(output)), (1, '0 passed, 1 failed, 0 skipped'))
    t.contains(output, 'tests/sample: hanging', 'not finished within 1 seconds')
    state = pathlib.Path('/proc', t.path('pid').read_text(), 'stat')
    t.true(is_over(state), 'the child is still running')


def test_two_tests_of_one_name_are_a_failure(t):
    code, output = run_runner(t, '''
        def test_twin(t): pass
        def test_twin(t): pass
        ''')
    t.equal((code, last_line(output)), (1, '0 passed, 1 failed, 0 skipped'))
    t.contains(output, 'two tests named test_twin')


def test_tests_are_selected_by_part_of_their_name(t):
    code, output = run_runner(t, '''
        def test_wanted(t): pass
        def test_other(t): pass
        def test_unwanted(t): raise KeyError('run')
        ''', 'want', '--without', 'unwanted', '-v')
    t.equal((code, last_line(output)), (0, '1 passed, 0 failed, 0 skipped'))


def test_the_environment_of_the_caller_does_not_reach_a_test(t):
    code, output = run_runner(t, '''
        import os
        def test_sealed(t):
            t.equal([os.environ.get(name) for name in ('PORTAL_KEY_FILE', 'TZ', 'LANG')],
                    [None, 'America/New_York', None])
            t.true(os.environ['HOME'] == os.getcwd())
        ''', PORTAL_KEY_FILE='/nowhere', TZ='Asia/Tokyo', LANG='de_DE')
    t.equal((code, output), (0, '1 passed, 0 failed, 0 skipped\n'))


# Unit test programs

def judged(text, code):
    runner = load_runner()
    job = runner.Job('release unit/sample', [], {}, runner.judge_unit, 1)
    return [(result.name, result.outcome, result.detail.strip())
            for result in runner.judge(job, runner.Output(code, text, 0.1, False))]


def load_runner():
    loader = importlib.machinery.SourceFileLoader('runner', str(harness.ROOT / 'tests/run'))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader('runner', loader))
    loader.exec_module(module)
    return module


def test_each_line_of_a_unit_program_is_a_test(t):
    t.equal(judged('ok - one\nnot ok - two: 3 is not 4\n', 1),
            [('release unit/sample: one', 'passed', ''),
             ('release unit/sample: two', 'failed', '3 is not 4')])


def test_a_unit_program_that_says_nothing_is_a_failure(t):
    t.equal(judged('', 0), [('release unit/sample: ends well', 'failed', 'exit code 0')])


def test_a_unit_program_that_crashes_after_its_tests_is_a_failure(t):
    t.equal(judged('ok - one\n', -6)[1:],
            [('release unit/sample: ends well', 'failed', 'ok - one\n\nended by SIGABRT')])


def test_a_unit_program_where_valgrind_finds_an_error_is_a_failure(t):
    t.equal(judged('ok - one\n==1== definitely lost\n', 99)[1][:2],
            ('release unit/sample: ends well', 'failed'))


# SQL tests under valgrind

def valgrind_log(*libraries):
    """A log with one error for each of the libraries it came from."""
    return ''.join(
        f'<error><kind>UninitCondition</kind><what>a jump</what><stack><frame><obj>{library}</obj>'
        '<fn>send</fn><file>a.c</file><line>7</line></frame></stack></error>' for library in libraries)


def under_valgrind(code, log):
    return memory.judge(code, 'printed', log)[0]


def test_an_error_that_portal_so_has_a_part_in_fails_a_passed_test(t):
    log = valgrind_log('/x/portal.so') + '</valgrindoutput>\n'
    t.equal(memory.judge(harness.EXIT_PASSED, '', log),
            ('failed', 'UninitCondition: a jump\n    send (a.c:7)'))


def test_errors_of_python_itself_fail_no_test(t):
    log = valgrind_log('/usr/bin/python3.11', '/lib/notportal.so') + '</valgrindoutput>\n'
    t.equal(under_valgrind(harness.EXIT_PASSED, log), 'passed')
    t.equal(under_valgrind(harness.EXIT_FAILED, log), 'failed')
    t.equal(under_valgrind(harness.EXIT_SKIPPED, log), 'skipped')


def test_a_test_that_valgrind_tells_nothing_of_has_failed(t):
    t.equal(under_valgrind(harness.EXIT_PASSED, ''), 'failed')
    t.equal(under_valgrind(harness.EXIT_PASSED, valgrind_log('/usr/bin/python3.11')), 'failed')
