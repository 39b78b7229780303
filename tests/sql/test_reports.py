"""sql/reports: what analysts ask, with the figures of a practice that was made by hand."""
import json
import re

import flows
import harness

REPORTS = {file.stem: file for file in sorted((harness.ROOT / 'sql/reports').glob('*.sql'))}
HOUR, DAY = 3600, 86400
SEPTEMBER, OCTOBER = 1788220800, 1790812800     # the first of the month, 2026, UTC
# What the plan of each may take from tables that grow with the practice.
LINKS = ['SEARCH r USING INDEX portal_registration_created (created_at>?)',
         'SEARCH m USING INTEGER PRIMARY KEY (rowid=?) LEFT-JOIN']
PLANS = {
    'funnel': LINKS, 'speed': LINKS, 'unused': LINKS,
    'requests': ['SCAN portal_request USING INDEX portal_request_pending',
                 'SEARCH portal_request USING INDEX portal_request_decided (decided_at>?)'],
    'unreachable': ['SCAN portal_status VIRTUAL TABLE INDEX 0:'],
}
# A million patients, as ANALYZE would tell of them.
GROUP = [('patient', None, '1000000'), ('portal_registration', 'portal_registration_created', '10000000 2'),
         ('portal_registration', 'portal_registration_patient', '10000000 10'),
         ('portal_registration', 'portal_registration_destination', '10000000 10'),
         ('portal_registration', 'portal_registration_expiry', '50000 2'),
         ('portal_message', 'portal_message_due', '1000 500 2'), ('portal_message', 'portal_message_patient', '9000000 9'),
         ('portal_request', 'portal_request_pending', '1000000 2 1'), ('portal_request', 'portal_request_decided', '9000000 2'),
         ('portal_request', 'portal_request_account', '10000000 20 2')]


def report(t, db, name, since=None):
    cursor = db.execute(REPORTS[name].read_text(), {'since': since} if name != 'unreachable' else {})
    return [column[0] for column in cursor.description], cursor.fetchall()


def link(t, db, sent_at, channel='email', language=None, message='sent', status='superseded', ended_at=None, pins=0):
    """A registration as it might have been; `sent_at` None: never handed over."""
    created = sent_at if sent_at is not None else OCTOBER
    number = db.execute('INSERT INTO portal_message (kind, channel, patient_id, recipient, status, created_at, sent_at)'
                        " VALUES ('registration', ?, 1, 'x', ?, ?, ?)", [channel, message, created, sent_at]).lastrowid
    db.execute('INSERT INTO portal_registration (registration_id, patient_id, destination, identity, nonce, status,'
               " created_at, expires_at, ended_at, pins, sent_by, language) VALUES (?, 1, 0, 0, x'00', ?, ?, ?, ?, ?, 'ehr:x', ?)",
               [number, status, created, created + 72 * HOUR if sent_at is not None else None, ended_at, pins, language])


def asked(t, db, field, status, submitted_at, decided_at=None):
    db.execute('INSERT INTO portal_request (patient_id, field, account_id, submitted_as, submitted_at, status, decided_at)'
               " VALUES (1, ?, 1, 'patient', ?, ?, ?)", [field, submitted_at, status, decided_at])


def practice(t):
    db = t.database()
    t.patient(db)
    for hours in (1, 2, 3, 4, 5, 6, 7, 8, 9, 60):       # ten used by email, in Spanish
        link(t, db, SEPTEMBER + DAY, language='es', message='delivered', status='used', pins=1,
             ended_at=SEPTEMBER + DAY + hours * HOUR)
    link(t, db, SEPTEMBER + DAY, language='es', status='expired', ended_at=SEPTEMBER + 4 * DAY, pins=2)
    link(t, db, SEPTEMBER + DAY, language='es', message='bounced', status='failed', ended_at=SEPTEMBER + DAY + 60)
    link(t, db, OCTOBER + 12 * HOUR, 'text', status='used', pins=1, ended_at=OCTOBER + 13 * HOUR)
    link(t, db, OCTOBER + 12 * HOUR, 'text', status='superseded', ended_at=OCTOBER + 20 * DAY)    # after it expired
    link(t, db, OCTOBER + 12 * HOUR, 'text', status='superseded', ended_at=OCTOBER + 13 * HOUR)   # before
    link(t, db, OCTOBER + 12 * HOUR, 'text', status='live')                                       # expired, not marked
    link(t, db, t.now() - HOUR, 'text', status='live')                                            # good still
    link(t, db, None, message='cancelled', status='revoked', ended_at=OCTOBER + 60)
    return db


def test_each_begins_with_its_question_and_tells_of_its_columns(t):
    db = t.database()
    t.equal(sorted(REPORTS), sorted(PLANS))
    for name, file in REPORTS.items():
        text = file.read_text()
        t.true(re.match(r'-- [A-Z].*\?\n--\n', text), name)
        told = re.findall(r'^-- (\w+)  ', text, re.M)
        t.equal(told, report(t, db, name)[0], name)
        t.equal(':since' in re.findall(r'^-- (:\w+)', text, re.M), ':since' in re.sub('--.*', '', text), name)


def test_an_empty_practice_has_nothing_to_report(t):
    db = t.database()
    for name in REPORTS:
        t.equal(report(t, db, name)[1], [], name)


def test_the_funnel_counts_what_became_of_links_by_month_channel_and_language(t):
    db = practice(t)
    t.equal(report(t, db, 'funnel')[1], [
        ('2026-09', 'email', 'es', 12, 10, 1, 11, 10, 83.3), ('2026-10', 'email', '', 0, 0, 0, 0, 0, None),
        ('2026-10', 'text', '', 4, 0, 0, 1, 1, 25.0), ('2026-11', 'text', '', 1, 0, 0, 0, 0, 0.0)])
    t.equal([row[0] for row in report(t, db, 'funnel', '2026-10')[1]], ['2026-10', '2026-10', '2026-11'])


def test_the_speed_is_a_median_and_nine_in_ten(t):
    db = practice(t)
    t.equal(report(t, db, 'speed')[1], [('email', 10, 5.0, 9.0), ('text', 1, 1.0, 1.0)])
    t.equal(report(t, db, 'speed', '2026-10')[1], [('text', 1, 1.0, 1.0)])


def test_unused_links_are_those_that_expired_whatever_came_later(t):
    db = practice(t)
    rows = report(t, db, 'unused')[1]
    t.equal([(row[0], row[1], row[3], row[4], row[5]) for row in rows],
            [('2026-09', 'email', 12, 1, 8.3), ('2026-10', 'text', 4, 2, 50.0), ('2026-11', 'text', 1, 0, 0.0)])
    t.equal([row[2] for row in rows], [t.one(db, "SELECT strftime('%H', ?, 'unixepoch', 'localtime')", sent) for sent in
                                       (SEPTEMBER + DAY, OCTOBER + 12 * HOUR, t.now() - HOUR)])


def test_requests_are_told_by_how_long_they_waited_and_what_became_of_them(t):
    db = practice(t)
    for field, age in (('city', HOUR), ('state', 2 * DAY), ('email', 5 * DAY), ('sex', 30 * DAY)):
        asked(t, db, field, 'pending', t.now() - age)
    for hours in (1, 2, 30):
        asked(t, db, 'city', 'accepted', OCTOBER, OCTOBER + hours * HOUR)
    asked(t, db, 'city', 'declined', SEPTEMBER, SEPTEMBER + 8 * DAY)
    pending = ('pending', 4, 1, 1, 1, 1, 48.0)
    t.equal(report(t, db, 'requests')[1], [pending, ('accepted', 3, 2, 1, 0, 0, 2.0), ('declined', 1, 0, 0, 0, 1, 192.0)])
    t.equal(report(t, db, 'requests', '2026-10')[1], [pending, ('accepted', 3, 2, 1, 0, 0, 2.0)])


def test_who_can_not_be_reached_is_told_with_the_reason_and_the_remedy(t):
    for key, quoted in (('INTEGER PRIMARY KEY AUTOINCREMENT', False), ('TEXT PRIMARY KEY', True)):
        db = t.database()
        chart = t.one(db, "SELECT sql FROM sqlite_schema WHERE name = 'patient'")
        db.execute('DROP TABLE patient')
        db.execute(chart.replace('INTEGER PRIMARY KEY AUTOINCREMENT', key))
        for number, columns in enumerate(({}, {'email': None}, {'email': None}, {'email': 'none'},
                                          {'email_consent': 0, 'text_consent': 0}, {'deceased_on': '2026-01-01'}, {}), 1):
            t.patient(db, patient_id=f"o'{number}" if quoted else number, **columns)
        t.all(db, 'SELECT portal_opt_out(email), portal_opt_out(cell_phone) FROM patient WHERE rowid = 7')
        names = [row[3] for row in report(t, db, 'unreachable')[1]]
        t.equal(len(names), 5, names)
        rows = {why: (patients, remedy) for why, patients, remedy, _ in report(t, db, 'unreachable')[1]}
        t.equal(rows['the patient has no email address on file'], (2, 'add one, then send again'))
        t.equal(rows['the patient is deceased'][0], 1)
        t.contains(' '.join(rows), 'has declined email', 'opted out of messages')
        t.equal(sum(patients for patients, _ in rows.values()), 6)
        t.true(all(remedy for _, remedy in rows.values()), rows)


def test_the_language_of_a_registration_is_that_of_the_chart_as_a_tag(t):
    db = t.database()
    for language in ('es', 'Español', 'es_MX', 'en-US', None, '', 'Klingon, fluent', 'fr'):
        flows.send(t, db, t.patient(db, preferred_language=language))
    t.equal([row[0] for row in t.all(db, 'SELECT language FROM portal_registration ORDER BY registration_id')],
            ['es', 'es', 'es-mx', 'en-us', None, None, None, 'fr'])


def test_the_demo_practice_reports_what_it_did(t):
    db = t.database()
    db.executescript((harness.ROOT / 'sql/demo.sql').read_text())
    t.one(db, "SELECT portal_setting('resend_seconds', 0)")
    flows.register(t, db, 1, 'maria')
    flows.register(t, db, 2, 'carlos')
    flows.send(t, db, 10)
    t.equal(report(t, db, 'funnel')[1], [('2026-11', 'email', '', 1, 0, 0, 0, 0, 0.0), ('2026-11', 'email', 'es', 2, 0, 0, 2, 2, 100.0)])
    t.equal(report(t, db, 'speed')[1], [('email', 2, 0.0, 0.0)])
    reasons = ' '.join(row[0] for row in report(t, db, 'unreachable')[1])
    t.contains(reasons, 'is deceased', 'is not an active patient', 'no email address')


def test_no_report_scans_what_it_need_not_with_a_million_patients_or_without_statistics(t):
    db = t.database()
    for big in (False, True):
        if big:
            db.execute('ANALYZE')
            db.execute('DELETE FROM sqlite_stat1')
            db.executemany('INSERT INTO sqlite_stat1 VALUES (?, ?, ?)', GROUP)
            db = t.connect(t.file(db))
        for name, expected in PLANS.items():
            plan = [row[3] for row in t.all(db, f'EXPLAIN QUERY PLAN {REPORTS[name].read_text()}',
                                            *([None] if name != 'unreachable' else []))]
            t.equal([step for step in plan if 'AUTOMATIC' in step], [], name)
            t.equal([step for step in plan if ' INDEX ' in step or re.search(r'portal_| [rm]\b', step)
                     or 'PRIMARY KEY' in step], expected, f'{name} {"of many" if big else ""}')


def test_the_sqlite3_shell_runs_each_file_as_the_readme_says(t):
    db = practice(t)
    since = re.search('`([.]parameter set .*?)`', (harness.ROOT / 'README.md').read_text())[1]
    for name, file in REPORTS.items():
        answer = t.shell(t.file(db), f'.mode json\n{since}\n.read {file}\n')
        t.equal((answer.code, answer.stderr), (0, ''), name)
        t.equal([tuple(row.values()) for row in json.loads(answer.stdout or '[]')], report(t, db, name, '2026-10')[1], name)
