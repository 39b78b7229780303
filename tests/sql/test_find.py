"""portal_find(text): whom somebody at the desk may mean, by whatever they know of a patient."""
import re


def found(t, db, text):
    """The first names of those found, in the order of the chart; those found by a beginning with '...'."""
    return [name.split()[0] + ('' if exact else '...') for name, exact in
            t.all(db, 'SELECT patient_name, exact FROM portal_find(?)', text)]


def practice(t):
    db = t.database()
    t.patient(db, email='Ada@Example.com', cell_phone='+12025550101')
    t.patient(db, first_name='José', last_name='Núñez de la Cruz', date_of_birth='1960-04-03')
    t.patient(db, first_name='Siobhán', last_name="O'Brien", date_of_birth='1960-03-04')
    t.patient(db, first_name='Anna', last_name='Ben-Gurion', date_of_birth='1970-01-02')
    t.patient(db, first_name='Ann', last_name='Ben-Gurion', date_of_birth='1971-01-22')
    t.patient(db, first_name='太郎', last_name='山田', date_of_birth='1972-01-02')
    return db


def test_a_number_of_the_chart_finds_its_patient_alone(t):
    db = practice(t)
    t.patient(db, first_name='2', last_name='Two')
    for text in (2, '2'):
        t.equal(found(t, db, text), ['José'])
    t.equal(found(t, db, '99'), [])


def test_a_text_key_finds_its_patient(t):
    template = t.database()
    own = t.one(template, "SELECT sql FROM sqlite_schema WHERE name = 'patient'")
    db = t.database(init=False)
    db.execute(re.sub(r'patient_id +INTEGER PRIMARY KEY AUTOINCREMENT', 'patient_id TEXT PRIMARY KEY', own))
    db.execute('SELECT portal_init()')
    t.patient(db, patient_id='MRN-7', email='a@b.example')
    t.patient(db, patient_id='Ada', first_name='Charles', last_name='Babbage')
    t.equal(found(t, db, 'MRN-7'), ['Ada'])
    t.equal(found(t, db, 'Ada'), ['Charles'])
    t.equal(t.one(db, "SELECT patient_id FROM portal_find('a@b.example')"), 'MRN-7')


def test_words_of_a_name_find_it_in_any_order_whatever_their_case_and_accents(t):
    db = practice(t)
    for text in ('Ada Lovelace', 'Lovelace, Ada', 'LOVELACE ada', '  ada\t lovelace ', 'Lovelace'):
        t.equal(found(t, db, text), ['Ada'])
    for text in ('jose nunez', 'NÚÑEZ JOSÉ', 'Nu\u0301n\u0303ez', 'de la cruz', 'Cruz, José'):
        t.equal(found(t, db, text), ['José'])
    for text in ("O'Brien", 'O’Brien', 'obrien', 'O Brien', 'siobhan o brien'):
        t.equal([name.rstrip('.') for name in found(t, db, text)], ['Siobhán'], text)
    for text in ('Ben Gurion, Ann', 'ann ben-gurion'):
        t.equal(found(t, db, text), ['Anna...', 'Ann'])
    t.equal(found(t, db, '山田'), ['太郎'])


def test_a_beginning_is_told_from_the_whole_word(t):
    db = practice(t)
    t.equal(found(t, db, 'love'), ['Ada...'])
    t.equal(found(t, db, 'ann'), ['Anna...', 'Ann'])
    t.equal(found(t, db, 'bengur'), ['Anna...', 'Ann...'])
    t.equal(found(t, db, 'ovelace'), [])
    t.equal(found(t, db, 'Ada Byron'), [])


def test_a_date_of_birth_finds_in_every_way_it_is_written(t):
    db = practice(t)
    for text in ('1985-12-10', '12/10/1985', '10.12.1985', '10/12/1985'):
        t.equal(found(t, db, text), ['Ada'])
    t.equal(found(t, db, '22/1/1971'), ['Ann'])
    t.equal(found(t, db, '1960-03-04'), ['Siobhán'])
    # Which of the numbers is the month is not guessed.
    t.equal(found(t, db, '3/4/1960'), ['José', 'Siobhán'])
    t.equal(found(t, db, "4/3/1960 o'brien"), ['Siobhán'])
    t.equal(found(t, db, 'ada 1985-12-10'), ['Ada'])
    t.equal(found(t, db, 'ada 1985-12-11'), [])
    for nobody in ('1985-02-30', '1985-13-01', '10.13.1985', '12345-1-1', '1985-12-10x'):
        t.equal(found(t, db, nobody), [])


def test_a_contact_finds_however_it_is_written(t):
    db = practice(t)
    for text in ('ada@example.com', 'ADA@EXAMPLE.COM', '+1 202 555 0101', '(202) 555-0101', '2025550101'):
        t.equal(found(t, db, text), ['Ada'])
    t.equal(found(t, db, 'ada@example.org'), [])
    t.patient(db, first_name='Home', home_phone='202-555-0199')
    t.equal(found(t, db, '+1 (202) 555 0199'), ['Home'])


def test_nothing_is_found_by_what_is_no_name(t):
    db = practice(t)
    for text in ('', ' ', '%', '_', '*', 'A%', "'", '-', '" OR 1=1 --', 'x' * 10000, 'Ada ' * 5000, 'Ada ' + 'x' * 10000,
                 '\ufffe', None, b'\xff\xfe'):
        t.equal(found(t, db, text), [], repr(text)[:40])


def test_patients_who_left_or_died_are_found(t):
    db = t.database()
    t.patient(db, active=0)
    t.patient(db, deceased_on='2026-01-01')
    t.equal(found(t, db, 'Ada Lovelace'), ['Ada', 'Ada'])


def test_scheduling_finds_patients_and_the_portal_does_not(t):
    db = practice(t)
    scheduling = t.connect(t.file(db), application='scheduling')
    t.equal(found(t, scheduling, 'ada'), ['Ada'])
    portal = t.connect(t.file(db), application='portal')
    t.refuses(portal, "SELECT * FROM portal_find('ada')", says='portal_find')


def test_finding_needs_a_text(t):
    t.refuses(practice(t), 'SELECT * FROM portal_find')
