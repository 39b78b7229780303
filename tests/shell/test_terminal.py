"""The command in a real terminal: the interactive shell, tables that fit, questions, bars, Ctrl-C."""
import re

import harness
import mailservers
from terminal import Terminal

NAMES = [('Ada', 'Lovelace'), ('דוד', 'בן־גוריון'), ('太郎', '山田'), ('Jose\u0301', 'Nuñez')]


def practice(t, name='practice.db'):
    db = t.database(name=name)
    db.execute("SELECT portal_setting('practice_name', 'Harbor Clinic')")
    return db


def shell(t, db, *options):
    return Terminal(t, t.command, *options, t.file(db), columns=100)


# The interactive shell

def test_the_shell_greets_with_what_waits_and_is_sqlite3_itself(t):
    db = practice(t)
    t.patient(db)
    db.execute("SELECT send_registration(1, 'email')")
    t.advance(71 * 3600)
    terminal = shell(t, db)
    terminal.wait('Harbor Clinic: no requests to decide, no messages failed this week, 1 link expiring today',
                  'Enter ".help" for usage hints.', 'practice ehr>')
    terminal.type('SELECT patient_id, status FROM portal_status;\n')
    terminal.wait('│ patient_id │ status │', '│ 1          │ sent   │')
    terminal.type('SELECT 6 *\n')
    terminal.wait('   ...>')
    terminal.type('7;\n')
    terminal.wait('42')
    # The history, and a word changed in its line.
    terminal.press('Up', 'Up', 'Up')
    terminal.wait('practice ehr> SELECT patient_id, status FROM portal_status;\n')
    terminal.press('C-a', 'M-d')
    terminal.type('SELECT 7000 AS changed,')
    terminal.press('Enter')
    terminal.wait('7000')
    terminal.type('.quit\n')
    t.equal(terminal.exit_code(), 0)


def test_a_file_may_have_any_name(t):
    for name, prompt in (('with space.db', 'with space ehr>'), ('qu"ot\'e.db', 'qu"ot\'e ehr>'),
                         ('back\\slash.db', 'back\\slash ehr>'), ('line\nbreak', 'line?break ehr>'),
                         ('-dash.db', '-dash ehr>'),
                         ('a name far too long.db', 'a name far to ehr>'), ('väterchen und.db', 'väterchen un ehr>')):
        db = practice(t, name)
        terminal = shell(t, db) if not name.startswith('-') else None
        if terminal:
            terminal.wait('Harbor Clinic: ', '\n' + prompt)
            terminal.type('SELECT count(*) AS tables FROM portal_settings;\n')
            terminal.wait('tables')
            terminal.close()
        answer = t.portal('--', name, 'SELECT file <> 0 FROM pragma_database_list')
        t.equal((answer.code, answer.stderr), (0, ''), name)


def test_a_database_without_the_tables_is_opened_and_told(t):
    db = t.database(init=False)
    terminal = shell(t, db)
    terminal.wait('This database has no tables of the portal; SELECT portal_init(); makes them.', 'practice ehr>')
    terminal.type('SELECT portal_init();\n')
    terminal.wait('were made')


def test_the_shell_may_do_no_more_than_its_application(t):
    db = practice(t)
    terminal = shell(t, db, '--as', 'scheduling')
    terminal.wait('Harbor Clinic: ', 'practi scheduling>')
    for sql, answer in (('SELECT revoke_access(1);', 'revoke_access is not available to the application scheduling'),
                        ("SELECT portal_as('ehr');", 'open another one for ehr'),
                        ('SELECT count(*) AS requests FROM pending_requests;', '│ requests │')):
        terminal.type(f'{sql}\n')
        terminal.wait(answer)


def test_what_can_not_be_opened_is_told_and_no_shell_begins(t):
    t.path('text.db').write_text('no database, but a text of some length\n' * 100)
    terminal = Terminal(t, t.command, t.path('text.db'))
    terminal.wait('file is not a database')
    t.equal(terminal.exit_code(), 4)


# Tables

def people(t):
    db = practice(t)
    for first, last in NAMES:
        t.patient(db, first_name=first, last_name=last)
    t.patient(db, first_name='Eve\x1b[31m', last_name='\u202etxt')
    return db


def status(t, db, **terminal):
    shown = Terminal(t, t.command, '-d', t.file(db), 'status', **terminal)
    t.equal(shown.exit_code(), 0)
    return shown


def test_a_table_fits_the_terminal_and_loses_nothing(t):
    db = people(t)
    db.execute("SELECT send_registration(1, 'email')")
    for columns in (200, 100, 80):
        screen = status(t, db, columns=columns, lines=60).screen()
        t.equal(screen.splitlines()[0].split()[:3], ['patient_id', 'patient_name', 'status'])
        t.true(all(len(line) <= columns for line in screen.splitlines()), screen)
        words = set(screen.split())
        for word in t.one(db, 'SELECT message FROM portal_status WHERE patient_id = 1').split():
            t.true(word in words, f'{word!r} is not in\n{screen}')


def test_names_of_any_script_stand_in_their_columns(t):
    screen = status(t, people(t), columns=100, lines=60).screen().replace('\u2068', '').replace('\u2069', '')
    rows = [line for line in screen.splitlines() if 'not sent' in line]
    t.equal(len(rows), 5, screen)
    # Ideographs take two columns of the terminal, combining marks none.
    t.equal([terminal_columns(row[:row.index('not sent')]) for row in rows],
            [terminal_columns(rows[0][:rows[0].index('not sent')])] * 5, screen)
    t.contains(screen, 'Eve?[31m ?txt')


def terminal_columns(text):
    import unicodedata
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) == 'W' else 1 for c in text)


def test_a_tiny_terminal_shows_a_line_for_each_value(t):
    db = people(t)
    screen = status(t, db, columns=20, lines=60).screen()
    t.contains(screen, 'patient_id\n  1\n', 'patient_name\n  Ada Lovelace\n', 'message\n  No portal\n  registration has\n')
    t.contains(status(t, db, columns=40, lines=60).screen(), 'patient_id    1\npatient_name  Ada Lovelace\n')


def test_times_are_local_for_people_and_utc_for_scripts(t):
    db = practice(t)
    t.patient(db)
    db.execute("SELECT send_registration(1, 'email')")
    options = ('-d', t.file(db))
    t.contains(t.portal(*options, 'status', 1).stdout, '2026-11-22 09:20 EST', '2026-11-25 09:20 EST')
    for form in ('--json', '--csv'):
        t.contains(t.portal(*options, form, 'status', 1).stdout, '2026-11-22 14:20:00', '2026-11-25 14:20:00')


def test_colours_are_for_a_terminal_alone_and_not_with_no_color(t):
    db = practice(t)
    t.patient(db)
    db.execute("SELECT send_registration(1, 'email')")
    t.advance(73 * 3600)
    red, bold = '\x1b[31m', '\x1b[1m'
    t.contains(status(t, db).screen(escapes=True), bold, red + 'expired')
    for env in ({'NO_COLOR': '1'}, {'TERM': 'dumb'}):
        screen = status(t, db, env=env).screen(escapes=True)
        t.true('\x1b[' not in screen and 'expired' in screen, repr(screen))
    t.true('\x1b' not in t.portal('-d', t.file(db), 'status').stdout)


# Questions

def test_one_of_several_patients_is_chosen_from_a_list(t):
    db = practice(t)
    for born in ('1985-12-10', '1990-01-01'):
        t.patient(db, date_of_birth=born)
    terminal = Terminal(t, t.command, '-d', t.file(db), 'send', 'Ada', '--by', 'email')
    terminal.wait("'Ada' may mean several patients", '1985-12-10', '1990-01-01', 'Which patient_id? (Enter: none)')
    terminal.type('3\n')
    terminal.wait('3 is none of those shown')
    terminal.type('2\n')
    t.equal(terminal.exit_code(), 0)
    t.equal(t.all(db, 'SELECT patient_id FROM portal_registration'), [(2,)])


def test_nobody_is_chosen_by_enter_the_end_of_the_input_or_ctrl_c(t):
    db = practice(t)
    for _ in range(25):
        t.patient(db)
    for key, code in (('Enter', 1), ('C-d', 1), ('C-c', 130)):
        terminal = Terminal(t, t.command, '-d', t.file(db), 'send', 'Ada', '--by', 'email', lines=40)
        terminal.wait('... and 5 more', 'Which patient_id?')
        terminal.press(key)
        t.equal(terminal.exit_code(), code)
        t.contains(terminal.screen(), 'nobody was chosen')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_registration'), 0)


def test_a_lone_patient_found_by_a_beginning_is_asked_for_and_never_taken(t):
    db = practice(t)
    t.patient(db)
    options = ('-d', t.file(db), 'revoke', 'Love')
    refused = t.portal(*options)
    t.equal((refused.code, refused.stdout), (1, ''))
    t.contains(refused.stderr, "'Love' may mean this patient", 'Ada Lovelace', 'name one by the patient_id')
    terminal = Terminal(t, t.command, *options)
    terminal.wait('Which patient_id?')
    terminal.press('Enter')
    t.equal(terminal.exit_code(), 1)
    t.equal(t.one(db, 'SELECT count(*) FROM portal_revocation'), 0)


# What takes long

def waiting(t, count, *switches):
    """A practice with so many messages to be handed over to a server that is slow."""
    db = practice(t)
    port = mailservers.sink(t, '-w', '1', *switches)
    for key, value in (('email_channel', 'smtp'), ('smtp_url', f'smtp://127.0.0.1:{port}'), ('smtp_tls', 'off'),
                       ('mail_from', 'portal@example.com')):
        db.execute('SELECT portal_setting(?, ?)', [key, value])
    for _ in range(count):
        t.patient(db)
    db.execute("BEGIN")
    db.execute("INSERT INTO send_registration (patient_id, channel) SELECT patient_id, 'email' FROM patient")
    db.execute("COMMIT")
    return db


@harness.release_only
def test_a_bar_shows_how_far_a_hand_over_is_and_ctrl_c_says_what_was_sent(t):
    db = waiting(t, 200)
    terminal = Terminal(t, t.command, '-d', t.file(db), 'deliver', columns=34)
    t.true('of 200' not in terminal.wait('sending ', ' %, ', ' s left'))
    terminal.resize(90)
    terminal.wait('sending [', ' of 200 messages, ', '/s, ', ' left')
    terminal.press('C-c')
    t.equal(terminal.exit_code(), 130)
    screen = terminal.screen()
    sent, left = map(int, re.search(r'interrupted: (\d+) were sent, the\s+other (\d+) wait', screen).groups())
    t.equal((sent + left, sent > 0, left > 0), (200, True, True))
    t.equal(t.one(db, "SELECT count(*) FROM portal_message WHERE status = 'sent'"), sent)
    t.true('[=' not in screen and ' %, ' not in screen, screen)


@harness.release_only
def test_a_bar_is_gone_at_the_end_and_never_there_for_what_is_quick(t):
    db = waiting(t, 12)
    terminal = Terminal(t, t.command, '-d', t.file(db), 'deliver', '--limit', '12')
    t.equal(terminal.exit_code(), 0)
    t.equal(re.findall(r'^sent +failed.*\n12 +0 ', terminal.screen(), re.M) != [], True)
    t.true('sending' not in terminal.screen(), terminal.screen())


def test_ctrl_c_at_the_question_of_send_all_sends_nothing(t):
    db = practice(t)
    t.patient(db)
    for press, code in (('C-c', 130), ('n', 1)):
        terminal = Terminal(t, t.command, '-d', t.file(db), 'send-all', '--by', 'email')
        terminal.wait('1 can be sent to, 0 not.', 'Send to 1 by email? [y/N]')
        terminal.press(press, 'Enter') if press == 'n' else terminal.press(press)
        t.equal(terminal.exit_code(), code)
        terminal.wait('nothing was sent')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_message'), 0)
    terminal = Terminal(t, t.command, '-d', t.file(db), 'send-all', '--by', 'email')
    terminal.wait('[y/N]')
    terminal.type('y\n')
    t.equal(terminal.exit_code(), 0)
    t.equal(len(t.mails(db)), 1)
