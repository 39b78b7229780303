"""How a practice writes dates and consent: every format is read, written and found."""
import json
import re

# Dates

DATES = {
    'YYYY-MM-DD': ('1985-12-10', '1985-12-10 00:00:00'), 'M/D/YYYY': ('12/10/1985',), 'MM/DD/YYYY': ('12/10/1985',),
    'M-D-YYYY': ('12-10-1985',), 'MM-DD-YYYY': ('12-10-1985',), 'D/M/YYYY': ('10/12/1985',), 'DD/MM/YYYY': ('10/12/1985',),
    'D-M-YYYY': ('10-12-1985',), 'DD-MM-YYYY': ('10-12-1985',), 'D.M.YYYY': ('10.12.1985',), 'DD.MM.YYYY': ('10.12.1985',),
    'YYYYMMDD': ('19851210', 19851210), 'julian': (2446409.5, 2446410), 'unix': (503020800, 503020800 + 3600),
    'unix milliseconds': (503020800000, 503020800001), 'excel': (31391, 31391.25)}
FORMATTED = {'table': 'p', 'patient_id': 'id', 'first_name': 'f', 'last_name': 'l', 'email': 'm', 'deceased_on': 'dead'}


def known_formats(t, db, field):
    error = t.refuses(db, 'SELECT portal_map_patient(?)', json.dumps({**FORMATTED, field: {'column': 'b', 'format': '?'}}))
    return re.search('is none of (.*)', error)[1].split(', ')


def formatted(t, name, date_format, column_type=''):
    db = t.database(init=False, name=name)
    db.execute(f'CREATE TABLE p (id INTEGER PRIMARY KEY, f, l, b {column_type}, m, dead)')
    db.execute('CREATE INDEX b ON p (b)')
    t.one(db, 'SELECT portal_init(?)', json.dumps({**FORMATTED, 'date_of_birth': {'column': 'b', 'format': date_format}}))
    return db


def test_dates_of_every_format_are_read_written_and_found_by_an_index(t):
    for number, (date_format, values) in enumerate(DATES.items()):
        db = formatted(t, f'{number}.db', date_format)
        for value in values:
            db.execute("INSERT INTO p (f, l, b, m) VALUES ('Ada', 'Lovelace', ?, 'a@example.com')", [value])
        for date in ('1905-03-04', '1969-12-31', '1970-01-01', '1988-02-29', '2005-11-30'):
            t.one(db, 'SELECT quick_add(?, ?, ?)', 'Emmy', 'Noether', date)
            t.refuses(db, 'SELECT quick_add(?, ?, ?)', 'Emmy', 'Noether', date, says='the same name')
            t.equal(t.all(db, 'SELECT patient_name, date_of_birth FROM portal_find(?)', date), [('Emmy Noether', date)], date_format)
        t.equal(t.all(db, "SELECT date_of_birth FROM portal_find('1985-12-10')"), [('1985-12-10',)] * len(values), date_format)
        t.equal(t.all(db, "SELECT problem FROM portal_check WHERE problem LIKE '%can not be read%'"), [])
    t.equal(sorted(DATES), sorted(known_formats(t, db, 'date_of_birth')), 'every format is tried here')


def test_dates_are_written_as_the_practice_does(t):
    for number, (date_format, written) in enumerate({
            'M/D/YYYY': '3/4/2005', 'MM/DD/YYYY': '03/04/2005', 'D.M.YYYY': '4.3.2005', 'DD.MM.YYYY': '04.03.2005',
            'YYYYMMDD': '20050304', 'julian': 2453433.5, 'unix': 1109894400, 'unix milliseconds': 1109894400000, 'excel': 38415}.items()):
        db = formatted(t, f'{number}.db', date_format)
        t.one(db, "SELECT quick_add('Emmy', 'Noether', '2005-03-04')")
        t.equal(t.one(db, 'SELECT b FROM p'), written, date_format)
        # However the zeros are written, it is the same day.
        if date_format == 'M/D/YYYY':
            for value in ('03/04/2005', '3/04/2005', '03/4/2005'):
                db.execute('UPDATE p SET b = ?', [value])
                t.refuses(db, "SELECT quick_add('Emmy', 'Noether', '2005-03-04')", says='the same name')


def test_a_date_that_its_format_can_not_read_is_told_and_proves_nobody(t):
    db = formatted(t, 'p.db', 'M/D/YYYY')
    db.executemany("INSERT INTO p (id, f, l, b, m) VALUES (?, 'Ada', 'Lovelace', ?, 'a@example.com')",
                   [(3, '12/10/1985'), (5, '13/10/1985'), (6, '1985-12-10'), (7, 'unknown'), (8, ''), (9, None), (10, '2/30/1985')])
    t.contains(t.one(db, 'SELECT portal_map_patient(portal_map_patient())'), 'Look at patient 5: 3 of b can not be read as M/D/YYYY')
    t.equal(t.all(db, "SELECT problem, subject FROM portal_check WHERE problem LIKE '%read%'"),
            [('3 of b can not be read as M/D/YYYY', 'patient 5')])
    for patient in (5, 7, 8, 9, 10):
        t.refuses(db, "SELECT send_registration(?, 'email')", patient, says=('no date of birth as M/D/YYYY', 'correct b'))
    t.contains(t.one(db, "SELECT send_registration(3, 'email')"), 'sent')
    t.equal(t.one(db, "SELECT group_concat(patient_id) FROM portal_find('12/10/1985')"), '3,6', 'ours is read beside theirs')


def test_dates_of_nobody_are_none_and_any_other_date_of_death_is_one(t):
    db = formatted(t, 'p.db', 'YYYY-MM-DD')
    alive, dead = (None, '', '0000-00-00', '0000-00-00 00:00:00', '0001-01-01'), ('2024-05-06', '2024-05-06 10:00:00', 'May 2024')
    for number, value in enumerate([*alive, *dead]):
        db.execute("INSERT INTO p VALUES (?, 'Ada', 'Lovelace', '1985-12-10', 'a@example.com', ?)", [number, value])
        problem = t.one(db, "SELECT send_problem(?, 'email')", number)
        t.equal('is deceased' in (problem or ''), value in dead, f'{value}: {problem}')


def test_what_is_no_date_in_any_format_is_nobodys_birthday_and_an_empty_one_nobodys_death(t):
    for number, date_format in enumerate(DATES):
        db = t.database(init=False, name=f'{number}.db')
        db.execute('CREATE TABLE p (id INTEGER PRIMARY KEY, f, l, b, m, dead)')
        db.executemany("INSERT INTO p VALUES (?, 'Ada', 'Lovelace', ?, 'a@example.com', '')",
                       [(1, DATES[date_format][0]), (2, ''), (3, 'unknown'), (4, '12 of 1985'), (5, '1-2-3')])
        columns = {name: {'column': FORMATTED.get(name, 'b'), 'format': date_format} for name in ('date_of_birth', 'deceased_on')}
        t.one(db, 'SELECT portal_init(?)', json.dumps({**FORMATTED, **columns}))
        t.equal(t.one(db, "SELECT send_problem(1, 'email')"), None, date_format)
        for patient in (2, 3, 4, 5):
            t.contains(t.one(db, "SELECT send_problem(?, 'email')", patient), f'no date of birth as {date_format}')
        t.equal(t.one(db, "SELECT problem FROM portal_check WHERE problem LIKE '%read%'"), f'3 of b can not be read as {date_format}')


# Consent

def test_consent_is_what_the_practice_writes_for_it(t):
    said = {'0/1': (('0',), ('1', '', None, '2')), 'YES/NO': (('NO', 'no', 'Unassigned', '0'), ('YES', 'yes', '', None)),
            'Y/N': (('N',), ('Y', 'y', None)), 'true/false': (('false', '0', 'f'), ('true', '1', 't'))}
    for number, (flag, (noes, yeses)) in enumerate(said.items()):
        db = t.database(init=False, name=f'{number}.db')
        db.execute('CREATE TABLE p (id INTEGER PRIMARY KEY, f, l, b, m, ok)')
        columns = {**FORMATTED, 'date_of_birth': 'b', 'email_consent': {'column': 'ok', 'format': flag}}
        del columns['deceased_on']
        t.one(db, 'SELECT portal_init(?)', json.dumps(columns))
        for value in (*noes, *yeses):
            db.execute('DELETE FROM p')
            db.execute("INSERT INTO p VALUES (1, 'Ada', 'Lovelace', '1985-12-10', 'a@example.com', ?)", [value])
            problem = t.one(db, "SELECT send_problem(1, 'email')")
            t.equal('has declined email (ok is ' in (problem or ''), value in noes, f'{flag}: {value}: {problem}')
