"""portal report: the questions of analysts, from the installed program, and the funnel as bars."""
import csv
import io
import json
import shutil

import flows
import harness
from terminal import Terminal

DONE, USAGE = 0, 2
NAMES = sorted(file.stem for file in (harness.ROOT / 'sql/reports').glob('*.sql'))


def practice(t):
    """Four were sent a registration: two registered, one proved who the patient is."""
    db = t.database()
    for number in range(4):
        patient = t.patient(db, preferred_language='es' if number == 3 else None)
        if number < 2:
            flows.register(t, db, patient, f'ada.{number}')
        else:
            token = flows.send(t, db, patient)
            if number == 2:
                flows.pin(t, db, token, patient)
    return db, ('-d', t.file(db), 'report')


def test_it_lists_the_reports_and_their_questions(t):
    _, report = practice(t)
    rows = json.loads(t.portal(*report, '--json').stdout)
    t.equal([row['report'] for row in rows], NAMES)
    t.true(all(row['question'].endswith('?') for row in rows), rows)
    help_text = t.portal('help', 'report').stdout + t.portal('help', '--bash').stdout
    t.contains(help_text, ' '.join(NAMES))


def test_every_report_is_shown_as_a_table_json_and_csv(t):
    _, report = practice(t)
    for name in NAMES:
        answers = [t.portal(*report, name, *form) for form in ([], ['--json'], ['--csv'])]
        t.equal([(answer.code, answer.stderr) for answer in answers], [(DONE, '')] * 3, name)
        rows = json.loads(answers[1].stdout)
        t.equal([[str(value) for value in row.values()] for row in rows],
                [list(row.values()) for row in csv.DictReader(io.StringIO(answers[2].stdout))], name)
        t.true(rows or answers[0].stdout == 'Nothing to report.\n', name)


def test_the_funnel_is_drawn_as_bars(t):
    db, report = practice(t)
    t.equal(t.portal(*report, 'funnel').stdout.splitlines(), [
        'month    channel  language  sent  registered  percent  █ registered, ▒ proved',
        '2026-11  email              3     2           66.7     ███████████████▒▒▒▒▒▒▒',
        '2026-11  email    es        1     0           0.0      ░░░░░░░'])
    terminal = Terminal(t, t.command, *report, 'funnel', columns=80)
    terminal.wait('███████████████▒▒▒▒▒▒▒')
    t.true(all(len(line) <= 80 for line in terminal.screen().splitlines()))


def test_a_period_begins_with_a_month(t):
    db, report = practice(t)
    for since, count in (('2026-11', 2), ('2026-12', 0), ('1999-01', 2)):
        t.equal(len(json.loads(t.portal(*report, 'funnel', '--since', since, '--json').stdout)), count, since)
    t.equal(t.portal(*report, 'funnel', '--since', '2026-12').stdout, 'Nothing to report.\n')
    for since in ('2026', '2026-13', '2026-1', 'May', '', "2026-01'"):
        answer = t.portal(*report, 'funnel', '--since', since)
        t.equal((answer.code, answer.stdout), (USAGE, ''), since)
        t.contains(answer.stderr, 'is no month, such as 2026-01')


def test_a_report_that_is_not_there_is_told_with_the_way_to_those_that_are(t):
    _, report = practice(t)
    answer = t.portal(*report, 'funnels')
    t.equal(answer.code, USAGE)
    t.contains(answer.stderr, 'there is no report funnels', 'portal report')


def test_the_program_needs_no_file_beside_it(t):
    _, report = practice(t)
    shutil.copy(t.command, t.path('portal'))
    t.command = t.path('portal')
    t.contains(t.portal(*report, 'speed').stdout, 'median_hours')
