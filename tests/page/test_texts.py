"""What the pages say: the same in both languages, and something for all that the extension answers."""
import re

import harness

PAGES = harness.ROOT / 'page/pages'
PLACEHOLDER = re.compile(r'{{([^}]*)}}')
# Keys that a value chooses: {{t.reason:reason}}.
CHOSEN = re.compile(r't\.(\w+):')


def texts(language):
    lines = (PAGES / f'texts.{language}').read_text().splitlines()
    rows = [line.partition(' = ') for line in lines if line and not line.startswith('#')]
    return {key: text for key, _, text in rows}


def templates():
    return ''.join(file.read_text() for file in sorted(PAGES.iterdir()) if not file.name.startswith('texts.'))


def test_both_languages_have_the_same_texts_with_the_same_placeholders(t):
    english, spanish = texts('en'), texts('es')
    t.equal(sorted(spanish), sorted(english))
    for key, text in english.items():
        t.true(text.strip() and spanish[key].strip(), f'{key} is empty')
        t.equal((key, sorted(PLACEHOLDER.findall(spanish[key]))), (key, sorted(PLACEHOLDER.findall(text))))


def test_every_text_that_a_page_names_is_there_and_none_is_left_over(t):
    there = set(texts('en'))
    used = PLACEHOLDER.findall(templates() + '\n'.join(texts('en').values()))
    named = {name[2:] for name in used if name.startswith('t.') and ':' not in name}
    t.equal(sorted(named - there), [])
    chosen = {found[1] for name in used if (found := CHOSEN.match(name))}
    t.equal(sorted(key for key in there - named if key.partition('.')[0] not in chosen), [])


def test_every_page_that_is_shown_has_a_title_and_every_template_is_used(t):
    placeholders = PLACEHOLDER.findall(templates() + '\n'.join(texts('en').values()))
    parts = {name.lstrip('>') for name in placeholders if name[0] == '>'}
    code = ''.join(file.read_text() for file in (harness.ROOT / 'page').glob('*pages.c'))
    there = {file.stem for file in PAGES.glob('*.html')}
    shown = there & set(re.findall(r'"(\w+)"', code)) - parts
    t.equal(sorted({f'title.{name}' for name in shown} - set(texts('en'))), [])
    t.equal(sorted(there - shown - parts - {'layout'}), [])


def literals(pattern, *files):
    return {text for file in files for text in re.findall(pattern, (harness.ROOT / 'ext' / file).read_text())}


def test_every_reason_that_the_extension_answers_is_told_in_words(t):
    said = texts('en')
    reasons = literals(r'(?:return|reason =) "([^"]+)"', 'enrollment.c', 'password.c', 'reset.c')
    reasons |= literals(r'return "(username [^"]+)"', 'account.c')
    reasons |= literals(r'reason, "([^"%]+)"', 'request.c') | literals(r'\? "(opted out[^"]+)"', 'person.c')
    # A dead link has a page of its own.
    reasons.discard('link')
    t.true(len(reasons) > 20, reasons)
    t.equal(sorted(reason for reason in reasons if f'reason.{reason}' not in said), [])


def test_everything_that_can_be_wrong_with_a_field_is_told_in_words(t):
    said = texts('en')
    problems = literals(r'(?:return|\*?problem =|\?|:|, field,) "([a-z]+ [^"%]+)"', 'field.c', 'contact.c', 'request.c')
    problems |= set(re.findall(r'return "([^"]+)"', (harness.ROOT / 'ext/patient.c').read_text().partition('patient_name_problem')[2]))
    problems = {problem for problem in problems if re.match(r'(is|has|must|starts|can) ', problem)}
    t.true(len(problems) > 30, problems)
    t.equal(sorted(problem for problem in problems if f'phrase.{problem}' not in said), [])
