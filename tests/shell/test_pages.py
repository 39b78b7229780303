"""Manual pages, made of the table of commands and of what the extension says of itself."""
import os
import re
import subprocess

import harness

PAGES = [harness.ROOT / f'build/pages/portal.{section}' for section in '17']


def output(t, *command):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, env={**os.environ, 'MANWIDTH': '1000'})
    t.equal((done.returncode, done.stderr), (0, ''), f'{command}:\n{done.stdout[-1000:]}')
    return done.stdout


def blanks(text):
    return re.sub(r'\s+', ' ', text)


def text(t, page):
    return blanks(output(t, 'man', '--local-file', page))


def commands(t):
    return re.findall(r'^  (\S+) {2,}', t.portal('help').stdout.partition('\n\n')[2].partition('\n\n')[0], re.M)


@harness.release_only
def test_pages_are_formatted_without_a_warning(t):
    for page in PAGES:
        output(t, 'man', '--warnings', '--encoding=UTF-8', '--local-file', page)
        t.equal(output(t, 'mandoc', '-T', 'lint', '-W', 'warning', page), '')


@harness.release_only
def test_apropos_finds_what_pages_are_about(t):
    for page, about in zip(PAGES, ('register patients of a medical practice', 'patient portal registration in SQL')):
        t.contains(output(t, 'lexgrog', page), f'"portal - {about}')


@harness.release_only
def test_the_page_of_the_command_has_every_command_with_its_options(t):
    page = text(t, PAGES[0])
    names = commands(t)
    t.true('send-all' in names and len(names) > 10, names)
    for name in names:
        told = t.portal('help', name).stdout.splitlines()
        t.contains(page, blanks(told[1]))
        for option in re.findall(r'(?<=--)[a-z-]+', told[0]):
            t.contains(page, f'--{option}')


@harness.release_only
def test_the_page_of_the_extension_has_every_call_table_and_setting(t):
    page = text(t, PAGES[1])
    db = t.database()
    rows = t.all(db, 'SELECT usage, description FROM portal_help UNION ALL SELECT key, description FROM portal_settings')
    t.true(len(rows) > 60, len(rows))
    for row in rows:
        t.contains(page, *(blanks(part) for part in row))


def test_parts_of_pages_and_completion_are_printed_without_a_database(t):
    for option, part in (('--man', '.Sh COMMANDS'), ('--reference', '.Sh SETTINGS'), ('--bash', '_portal_value()'),
                         ('--zsh', '_portal_arguments()')):
        done = t.portal('help', option)
        t.equal((done.code, done.stderr), (0, ''))
        t.contains(done.stdout, part)
