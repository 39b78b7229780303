"""portal init: what it asks, what it refuses, and what it leaves as it is."""
import os
import socket
import stat
import subprocess

from terminal import Terminal

DONE, REFUSED, DATABASE, INTERRUPTED = 0, 1, 4, 130
QUESTIONS = ['Name of the practice [Your medical practice]:', 'Its telephone number []:',
             "Address of the portal's pages [http://localhost:8080]:", 'Sender address of mail [',
             'Channel for mail: maildir or smtp [maildir]:', 'Channel for text messages: maildir, kannel or twilio [maildir]:']


def settings(t, path):
    return dict(t.all(t.connect(path), 'SELECT key, value FROM portal_setting'))


def test_it_makes_the_tables_and_the_key_file_and_tells_what_comes_next(t):
    answer = t.portal('-d', 'my practice.db', 'init')
    t.equal((answer.code, answer.stdout), (DONE, "The portal's tables and key file were made (schema version 3).\n"))
    t.contains(answer.stderr, 'Keep a copy of my practice.db.portal-key', "portal -d 'my practice.db' send PATIENT --by email")
    t.equal(settings(t, t.path('my practice.db')), {})
    modes = [stat.S_IMODE(t.path(f'my practice.db{end}').stat().st_mode) & 0o007 for end in ('', '.portal-key')]
    t.equal(modes, [0, 0], 'not for everybody to read')


def test_every_answer_is_an_option_too(t):
    options = {'practice-name': 'Ashford Medical', 'practice-phone': '+12025550100', 'portal-url': 'https://p.example.com',
               'mail-from': 'clinic@example.com', 'mail-channel': 'smtp', 'text-channel': 'twilio'}
    answer = t.portal('-d', 'x.db', 'init', *(f'--{name}={value}' for name, value in options.items()))
    t.equal(answer.code, DONE, answer.stderr)
    t.equal(settings(t, t.path('x.db')), {
        'practice_name': 'Ashford Medical', 'practice_phone': '+12025550100', 'portal_url': 'https://p.example.com',
        'mail_from': 'clinic@example.com', 'email_channel': 'smtp', 'text_channel': 'twilio'})


def test_an_option_that_is_refused_is_told(t):
    for option, says in [('--practice-name=', 'practice_name must not be empty'), ('--portal-url=nonsense', 'portal_url')]:
        answer = t.portal('-d', 'x.db', 'init', option)
        t.equal(answer.code, REFUSED, f'{option}: {answer.stderr}')
        t.contains(answer.stderr, says)
    t.equal(settings(t, t.path('x.db')), {})


def test_what_keeps_messages_from_being_sent_is_told(t):
    answer = t.portal('-d', 'x.db', 'init', '--mail-channel', 'pigeon', '--text-channel', 'kannel')
    t.equal(answer.code, DONE)
    t.contains(answer.stderr, 'email_channel: there is no channel pigeon', 'text_channel: the channel kannel is not ready: set kannel_url')


def test_again_it_keeps_what_is_there(t):
    t.portal('-d', 'x.db', 'init', '--practice-name', 'Ashford Medical')
    key = t.path('x.db.portal-key').read_bytes()
    answer = t.portal('-d', 'x.db', 'init', '--practice-phone', '+12025550100')
    t.equal((answer.code, answer.stdout), (DONE, "The portal's tables and key file are there (schema version 3).\n"))
    t.equal(settings(t, t.path('x.db')), {'practice_name': 'Ashford Medical', 'practice_phone': '+12025550100'})
    t.equal(t.path('x.db.portal-key').read_bytes(), key)


# At a terminal

def at_terminal(t, path, *options):
    return Terminal(t, t.command, '-d', path, 'init', *options, columns=120)


def test_it_asks_what_no_option_gives_and_asks_again_after_a_bad_answer(t):
    terminal = at_terminal(t, 'x.db', '--practice-phone', '+12025550100')
    for question, answer in [(QUESTIONS[0], 'Ashford Medical'), (QUESTIONS[2], 'nonsense')]:
        terminal.wait(question)
        terminal.type(f'{answer}\n')
    terminal.wait(f'{QUESTIONS[2]} nonsense\nportal: ', f'\n{QUESTIONS[2]}\n')
    terminal.type('https://p.example.com\n')
    for question in QUESTIONS[3:]:
        terminal.wait(question)
        terminal.type('\n')
    t.equal(terminal.exit_code(), DONE)
    t.contains(terminal.screen(), 'Keep a copy of x.db.portal-key')
    t.true('telephone' not in terminal.screen(), 'it asks for what an option gave')
    t.equal(settings(t, t.path('x.db')), {'practice_name': 'Ashford Medical', 'practice_phone': '+12025550100',
                                          'portal_url': 'https://p.example.com'})


def test_the_end_of_the_input_and_an_interrupt_end_the_questions_and_keep_the_answers(t):
    for key, code in [('C-d', REFUSED), ('C-c', INTERRUPTED)]:
        path = t.path(f'{code}.db')
        terminal = at_terminal(t, path)
        terminal.wait(QUESTIONS[0])
        terminal.type('Ashford Medical\n')
        terminal.wait(QUESTIONS[1])
        terminal.press(key)
        t.equal(terminal.exit_code(), code)
        t.contains(terminal.screen(), 'what was answered is kept; portal init asks for the rest')
        t.equal(settings(t, path), {'practice_name': 'Ashford Medical'})
        at_terminal(t, path).wait('Name of the practice [Ashford Medical]:')


def test_with_yes_or_without_a_terminal_it_asks_nothing(t):
    terminal = at_terminal(t, 'x.db', '--yes')
    t.equal(terminal.exit_code(), DONE)
    t.true('?' not in terminal.screen() and QUESTIONS[0] not in terminal.screen(), terminal.screen())
    t.equal(t.portal('-d', 'y.db', 'init', input='Ashford Medical\n').code, DONE)
    t.equal(settings(t, t.path('y.db')), {})


# Where nothing can be made

def test_a_database_with_tables_but_no_patients_is_told_what_to_add(t):
    db = t.database(init=False)
    db.execute('CREATE TABLE appointment (a)')
    answer = t.portal('-d', t.file(db), 'init')
    t.equal((answer.code, answer.stdout), (REFUSED, ''))
    t.contains(answer.stderr, 'none named patient')
    t.equal(t.all(db, 'SELECT name FROM sqlite_schema'), [('appointment',)])


def test_what_can_be_no_database_is_refused(t):
    os.mkfifo('pipe')
    listening = socket.socket(socket.AF_UNIX)
    listening.bind('socket')
    t.path('text').write_text('this is no database, and it is long enough to be seen as none')
    for path, says in [('pipe', 'is no file'), ('.', 'is no file'), ('/dev/null', 'is no file'), ('socket', 'is no file'),
                       ('missing/x.db', 'missing: No such file or directory'), ('text', 'file is not a database')]:
        answer = t.portal('-d', path, 'init')
        t.equal((answer.code, answer.stdout), (DATABASE, ''), f'{path}: {answer.stderr}')
        t.contains(answer.stderr, says)
    t.equal(sorted(path.name for path in t.directory.iterdir() if path.suffix), [])


def test_a_folder_that_can_not_be_written_is_told(t):
    folder = t.path('closed')
    folder.mkdir()
    folder.chmod(0o555)
    answer = subprocess.run([*t.held_to_modes(), t.command, '-d', folder / 'x.db', 'init'], capture_output=True, text=True,
                            env=t.portal_environment())
    t.equal(answer.returncode, DATABASE, answer.stderr)
    t.contains(answer.stderr, 'Permission denied')
