"""portal import: what a file of patients may look like, what is told of its bad lines, and that all or none go in."""
import json
import signal
import subprocess
import time

import synthea
from terminal import Terminal
from waiting import wait_for

DONE, REFUSED, USAGE, PARTLY, INTERRUPTED = 0, 1, 2, 3, 130
HEAD = 'First Name,Last Name,DOB,Email,Cell\n'
ADA = 'Ada,Lovelace,1985-12-10,ada@example.com,(202) 555-0142\n'


def practice(t):
    db = t.database()
    return db, ('-d', t.file(db))


def file(t, content, name='new.csv'):
    path = t.path(name)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def imported(t, database, content, *options):
    return t.portal(*database, 'import', file(t, content), *options)


def patients(t, db, columns='first_name, last_name'):
    return t.all(db, f'SELECT {columns} FROM patient ORDER BY patient_id')


def bad(t, content, *says, options=(), code=REFUSED):
    """A file of which nothing is added."""
    db, database = practice(t)
    answer = imported(t, database, content, *options)
    t.equal((answer.code, answer.stdout), (code, ''), answer.stderr)
    t.contains(answer.stderr, *says)
    t.equal(patients(t, db), [])
    return answer.stderr


# What goes in

def test_headers_are_guessed_shown_and_what_no_header_has_gets_its_default(t):
    db, database = practice(t)
    answer = imported(t, database, 'Surname,given name,D.O.B.,Shoe size\nLovelace,Ada,1985-12-10,38\n')
    t.equal((answer.code, answer.stdout), (DONE, '1 patient was added, 0 lines left out.\n'))
    t.contains(answer.stderr, "first_name is filled from 'given name'", "date_of_birth is filled from 'D.O.B.'",
               "left out: 'Shoe size'")
    t.equal(patients(t, db, 'first_name, last_name, date_of_birth, email, email_consent, active'),
            [('Ada', 'Lovelace', '1985-12-10', None, 1, 1)])


def test_a_guess_is_corrected_by_map(t):
    db, database = practice(t)
    content = 'Name,Last,Born,Phone,Mail\nAda,Lovelace,1985-12-10,202-555-0142,ada@example.com\n'
    t.contains(imported(t, database, content).stderr, 'no header is known to mean first_name', '--map first_name=HEADER')
    answer = imported(t, database, content, '--map', 'first_name=name,cell_phone=PHONE,email=')
    t.equal(answer.code, DONE, answer.stderr)
    t.equal(patients(t, db, 'first_name, cell_phone, home_phone, email'), [('Ada', '202-555-0142', None, None)])
    for wrong in ('shoe_size=Phone', 'email', 'email=Fax'):
        t.equal(imported(t, database, content, '--map', wrong).code, USAGE, wrong)


def test_headers_of_any_alphabet_can_be_mapped_and_tell_apart(t):
    db, database = practice(t)
    answer = imported(t, database, 'Имя,Фамилия,Рождён\nАда,Лавлейс,10.12.1985\n', '--map',
                      'first_name=Имя,last_name=Фамилия,date_of_birth=Рождён')
    t.equal(answer.code, DONE, answer.stderr)
    t.equal(patients(t, db), [('Ада', 'Лавлейс')])


def test_values_are_written_as_the_chart_keeps_them(t):
    db, database = practice(t)
    rows = ['  Ada , Lovelace,12/10/1985,F,yes,N,', 'Alan,Turing,23.6.1912,m,TRUE,0,6/7/1954', 'Grace,Hopper,1906-12-09,Female,,1,']
    head = 'first,last,birthdate,gender,email_consent,text_consent,death date\n'
    t.equal(imported(t, database, head + '\n'.join(rows)).code, DONE)
    t.equal(patients(t, db, 'first_name, date_of_birth, sex, email_consent, text_consent, deceased_on'), [
        ('Ada', '1985-12-10', 'female', 1, 0, None), ('Alan', '1912-06-23', 'male', 1, 0, '1954-06-07'),
        ('Grace', '1906-12-09', 'female', None, 1, None)])


def test_a_day_may_come_first(t):
    db, database = practice(t)
    t.contains(bad(t, HEAD + 'Ada,Lovelace,23/12/1985,,\n'), "date_of_birth '23/12/1985' has no such month", '--day-first')
    t.equal(imported(t, database, HEAD + 'Ada,Lovelace,10/12/1985,,\n', '--day-first').code, DONE)
    t.equal(patients(t, db, 'date_of_birth'), [('1985-12-10',)])


def test_every_way_to_write_a_file_gives_the_same_patients(t):
    rows = [['first_name', 'last_name', 'date_of_birth', 'city'], ['Ada "Ace"', 'Love;lace', '1985-12-10', 'Ash,ford'],
            ['Grace', 'Hopper', '1906-12-09', '']]
    for separator, line_end, mark in [(',', '\n', ''), (';', '\r\n', '\ufeff'), ('\t', '\r', ''), ('|', '\n', '\ufeff')]:
        db = t.database()
        lines = [separator.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
        answer = imported(t, ('-d', t.file(db)), mark + line_end.join([*lines, '', '']))
        t.equal(answer.code, DONE, answer.stderr)
        t.equal(patients(t, db, 'first_name, last_name, city'), [('Ada "Ace"', 'Love;lace', 'Ash,ford'), ('Grace', 'Hopper', None)])


def test_a_line_break_within_quotes_counts_for_the_numbers_of_lines(t):
    error = bad(t, HEAD + '"Ada","Love\r\nlace",1985-12-10,,\n\nX,Y,1985-02-30,,\n')
    t.contains(error, 'line 2: last_name', "line 5: date_of_birth '1985-02-30' is")


def test_standard_input_is_a_file_like_any_other(t):
    db, database = practice(t)
    t.equal(t.portal(*database, 'import', '-', input=HEAD + ADA).code, DONE)
    t.equal(patients(t, db), [('Ada', 'Lovelace')])


def test_synthea_imports_as_it_comes_and_only_once(t):
    file, rows = synthea.patients(t)
    db, database = practice(t)
    answer = t.portal(*database, 'import', file)
    t.equal((answer.code, answer.stdout), (DONE, f'{len(rows):,} patients were added, 0 lines left out.\n'), answer.stderr)
    t.equal(t.all(db, 'SELECT first_name, date_of_birth, sex, city FROM patient WHERE patient_id = 1'),
            [('José Eduardo181', '1989-05-25', 'male', 'Chicopee')])
    again = t.portal(*database, 'import', file)
    t.equal(again.code, REFUSED)
    t.contains(again.stderr, 'line 2: the person is on file already as patient 1;')
    t.equal(f'and {len(rows) - 100} lines more are bad' in again.stderr, len(rows) > 100)
    t.equal(t.one(db, 'SELECT count(*) FROM patient'), len(rows))


def test_for_scripts_the_numbers_are_data(t):
    _, database = practice(t)
    t.equal(json.loads(imported(t, database, HEAD + ADA + 'x\n', '--skip-bad', '--json').stdout), [{'added': 1, 'left_out': 1}])


# Bad lines

BAD_ROWS = [
    ('Ada,,1985-12-10,,', 'last_name is missing'),
    ('Ada,Lovelace,,,', 'date_of_birth is missing'),
    ('Ada,Lovelace,1985-02-30,,', "date_of_birth '1985-02-30' is"),
    ('Ada,Lovelace,2/30/1985,,', "date_of_birth '2/30/1985' is a day that never was"),
    ('Ada,Lovelace,1/2/85,,', "'1/2/85' lacks the four digits"),
    ('Ada,Lovelace,10-12/1985,,', "'10-12/1985' is no date"),
    ('Ada,Lovelace,tomorrow,,', "'tomorrow' is no date"),
    ('Ada,Lovelace,2026-11-24,,', 'is in the future'),
    ('Ada,Lovelace,1899-12-31,,', 'is before 1900'),
    ('Ada,Lovelace,1985-12-10,ada.example.com,', "email 'ada.example.com' has no @"),
    ('Ada,Lovelace,1985-12-10,,call me', "cell_phone 'call me' has a letter in it"),
    ('Ada,Lovelace,1985-12-10,,,', 'has 6 fields, and the line of headers 5'),
    ('Ada,Lovelace,1985-12-10,', 'has 4 fields'),
    ('\u202eAda,Lovelace,1985-12-10,,', 'control or invisible character'),
    (f'{"A" * 101},Lovelace,1985-12-10,,', 'is too long (100 characters at most)'),
]


def test_every_bad_line_is_told_by_its_number_with_the_reason(t):
    error = bad(t, HEAD + '\n'.join(row for row, _ in BAD_ROWS) + '\n' + ADA)
    for number, (row, says) in enumerate(BAD_ROWS, 2):
        line = next(line for line in error.splitlines() if line.startswith(f'portal: line {number}: '))
        t.contains(line, says)
    t.contains(error, f'nothing was added; correct the bad lines ({len(BAD_ROWS)}), or leave them out with --skip-bad')


def test_sex_consent_death_and_length_are_checked(t):
    error = bad(t, 'first,last,born,sex,email_consent,deceased_on,city\nA,B,1985-12-10,Q,,,\nA,B,1985-12-10,,perhaps,,\n'
                   f'A,B,1985-12-10,,,1985-12-09,\nA,B,1985-12-10,,,,{"x" * 2000}\n')
    t.contains(error, 'line 5: city', 'is too long', "line 2: sex 'Q' is none of M, F", "line 3: email_consent 'perhaps' is none of yes, no",
               'line 4: deceased_on is before date_of_birth')


def test_skip_bad_adds_the_others_and_tells_scripts_so(t):
    db, database = practice(t)
    answer = imported(t, database, HEAD + 'x\n' + ADA + 'Ada,Lovelace,,,\n', '--skip-bad')
    t.equal((answer.code, answer.stdout), (PARTLY, '1 patient was added, 2 lines left out.\n'))
    t.contains(answer.stderr, 'line 2:', 'line 4:')
    t.equal(patients(t, db), [('Ada', 'Lovelace')])
    t.equal(imported(t, database, HEAD + 'x\n', '--skip-bad').code, REFUSED)


def test_a_dry_run_tells_the_same_and_adds_nothing(t):
    db, database = practice(t)
    answer = imported(t, database, HEAD + ADA + 'x\n', '--dry-run', '--skip-bad')
    t.equal((answer.code, answer.stdout), (PARTLY, '1 patient would be added, 1 line left out.\n'))
    t.equal(imported(t, database, HEAD + ADA + 'x\n', '--dry-run').code, REFUSED)
    t.equal(patients(t, db), [])


def test_of_many_bad_lines_a_hundred_are_told(t):
    error = bad(t, HEAD + 'x\n' * 250)
    t.contains(error, 'line 101: ', 'and 150 lines more are bad')
    t.true('line 102: ' not in error)


def test_what_the_practices_own_schema_refuses_is_a_bad_line(t):
    db, database = practice(t)
    db.execute("""CREATE TRIGGER own BEFORE INSERT ON patient WHEN NEW.first_name = 'Bob'
                  BEGIN SELECT RAISE(ABORT, 'no Bobs here'); END""")
    answer = imported(t, database, HEAD + 'Bob,Lovelace,1985-12-10,,\n' + ADA, '--skip-bad')
    t.equal(answer.code, PARTLY)
    t.contains(answer.stderr, 'line 2: the patient table refuses it: no Bobs here')
    db.execute("""CREATE TRIGGER ending BEFORE INSERT ON patient WHEN NEW.first_name = 'Eve'
                  BEGIN SELECT RAISE(ROLLBACK, 'all is undone'); END""")
    answer = imported(t, database, HEAD + 'Joe,Lovelace,1985-12-10,,\nEve,Lovelace,1985-12-10,,\nZoe,Lovelace,1985-12-10,,\n', '--skip-bad')
    t.equal(answer.code, REFUSED)
    t.contains(answer.stderr, 'all is undone', 'nothing was added')
    t.equal(patients(t, db), [('Ada', 'Lovelace')])


# The same person again

def test_a_person_on_file_or_twice_in_the_file_is_a_bad_line_unless_namesakes_are_wanted(t):
    db, database = practice(t)
    t.patient(db, first_name='José', last_name="O'Brien", date_of_birth='1985-12-10')
    content = HEAD + "jose,OBRIEN,12/10/1985,,\nAda,Love-Lace,1985-12-10,,\nADA,lovelace,10.12.1985,,\nJosé,O'Brien,1985-12-11,,\n"
    answer = imported(t, database, content)
    t.equal(answer.code, REFUSED)
    t.contains(answer.stderr, 'line 2: the person is on file already as patient 1;', 'line 4: the person is the one of line 3 again')
    t.true('line 5' not in answer.stderr, answer.stderr)
    t.equal(imported(t, database, content, '--namesakes').code, DONE)
    t.equal(t.one(db, 'SELECT count(*) FROM patient'), 5)


def test_own_numbers_of_patients_are_kept(t):
    db, database = practice(t)
    t.equal(imported(t, database, 'patient_id,first,last,born\n42,Ada,Lovelace,1985-12-10\n').code, DONE)
    t.equal(patients(t, db, 'patient_id'), [(42,)])
    answer = imported(t, database, 'patient_id,first,last,born\n42,Alan,Turing,1912-06-23\nx7,Grace,Hopper,1906-12-09\n')
    t.contains(answer.stderr, 'line 2: the patient table refuses it: UNIQUE', 'line 3: the patient table refuses it: datatype mismatch')


# Files that are none

def test_a_file_that_can_not_be_trusted_is_refused_whole(t):
    good = HEAD + ADA
    for content, *says in [
            ('', 'the line of headers is missing: the file is empty'),
            (ADA, 'no header is known to mean first_name'),
            (good.encode('utf-16'), 'line of headers has a NUL byte', 'iconv -f UTF-16 -t UTF-8'),
            (good.encode('utf-16-be'), 'has a NUL byte'),
            (good.encode() + 'José,Müller,1985-12-10,,\n'.encode('latin-1'), 'line 3 is not UTF-8', 'iconv -f WINDOWS-1252 -t UTF-8'),
            (good.replace('Ada', 'A\0da'), 'line 2 has a NUL byte'),
            (good + '"Grace,Hopper,1906-12-09,,\n' + ADA, 'line 3 has a quote that does not end'),
            (good + '"Grace"x,Hopper,1906-12-09,,\n', 'line 3 has text after a closing quote'),
            (good + '"' + 'x' * 2000000, 'line 3 is longer than a mebibyte'),
            (good + 'x' * 2000000, 'line 3 is longer than a mebibyte'),
            (good + ',' * 3000, 'line 3 has more than 2,000 fields'),
            ('Email,First,Last,DOB,e-mail\n', "the header 'Email' is there twice")]:
        bad(t, content, *says, options=['--skip-bad'])


def test_three_hundred_columns_are_read(t):
    db, database = practice(t)
    extra = ','.join(f'x{number}' for number in range(300))
    t.equal(imported(t, database, f'{extra},first,last,born\n{extra},Ada,Lovelace,1985-12-10\n').code, DONE)
    t.equal(patients(t, db), [('Ada', 'Lovelace')])


def test_what_is_no_file_is_told(t):
    _, database = practice(t)
    for name, says in [(t.path('none.csv'), 'No such file'), (t.directory, 'portal: the file can not be read: Is a directory')]:
        answer = t.portal(*database, 'import', name)
        t.equal((answer.code, answer.stdout), (REFUSED, ''))
        t.contains(answer.stderr, says)


# All or none, whatever happens

def begun(t, db, database):
    """An import that has added a patient and waits for more of its file, and where to write that."""
    process = subprocess.Popen([t.command, *database, 'import', '-'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=t.portal_environment())
    t.at_end(process.kill)
    process.stdin.write((HEAD + ADA * 4000).encode())
    process.stdin.flush()
    wait_for(lambda: is_locked(db), 'a lock')
    return process


def is_locked(db):
    try:
        db.execute('BEGIN IMMEDIATE')
    except Exception:
        return True
    db.execute('ROLLBACK')
    return False


def test_an_interrupted_import_adds_nothing(t):
    for number, ending in [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, INTERRUPTED), (signal.SIGKILL, -signal.SIGKILL)]:
        db = t.database()
        db.execute('PRAGMA busy_timeout = 0')
        process = begun(t, db, ('-d', t.file(db)))
        process.send_signal(number)
        output, error = process.communicate(timeout=60)
        t.equal((process.returncode, output), (ending, b''), error)
        t.true(number == signal.SIGKILL or b'nothing was added' in error, error)
        t.equal(patients(t, db), [])


def test_an_import_waits_for_another_writer(t):
    db, database = practice(t)
    path = file(t, HEAD + ADA)
    db.execute('BEGIN IMMEDIATE')
    waits = subprocess.Popen([t.command, *database, 'import', path], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=t.portal_environment())
    time.sleep(0.3)
    t.true(waits.poll() is None, 'it did not wait')
    db.execute('ROLLBACK')
    t.equal(waits.wait(60), DONE)
    t.equal(patients(t, db), [('Ada', 'Lovelace')])


def test_a_full_disk_adds_nothing(t):
    db, database = practice(t)
    rows = ''.join(f'A{number},B,1985-12-10,,\n' for number in range(3000))
    path = file(t, HEAD + rows)
    limited = subprocess.run(['sh', '-c', 'ulimit -f 300; trap "" XFSZ; exec "$@"', 'sh', t.command, *map(str, database), 'import', path],
                             capture_output=True, text=True, env=t.portal_environment())
    t.equal(limited.returncode, 4, limited.stderr)
    t.contains(limited.stderr, 'nothing was added')
    t.equal(patients(t, db), [])


# At a terminal

def test_it_asks_whether_the_headers_are_understood(t):
    db, database = practice(t)
    path = file(t, HEAD + ADA)
    for keys, code, count in [(['n', 'Enter'], REFUSED, 0), (['C-d'], REFUSED, 0), (['C-c'], INTERRUPTED, 0), (['y', 'Enter'], DONE, 1)]:
        terminal = Terminal(t, t.command, *database, 'import', path)
        terminal.wait("first_name is filled from 'First Name'", 'Add the patients of this file so? [y/N]')
        terminal.press(*keys)
        t.equal((terminal.exit_code(), len(patients(t, db))), (code, count), terminal.screen())
        t.true(code == DONE or 'nothing was added' in terminal.screen(), terminal.screen())
    t.equal(Terminal(t, t.command, *database, 'import', path, '--yes', '--namesakes').exit_code(), DONE)
