"""portal_setting(), portal_settings and portal_secret()."""
import pathlib

import flows

# Every setting: its default, values that fit, values that do not.
BAD_TEXT = ['two\nlines', 'nul\x00', 'bell\a', 'zero\u200bwidth', '\u202eright to left']


def number(standard, least, most):
    return (standard, [str(least), str(most)], [str(least - 1), str(most + 1), '', ' 5', '5 ', '1.5', '0x10',
            '+5', '1e2', 'five', '9' * 12, '\u0665'])


SETTINGS = {
    'practice_name': ('Your medical practice', ['Cabinet Médical', 'x' * 60, '東京クリニック', "O'Neil & Sons <Ltd>"],
                      ['', 'x' * 61] + BAD_TEXT),
    'practice_phone': ('', ['', '+1 (202) 555-0100', '020/7946-0958'], ['call us', '1' * 41, '555;0100'] + BAD_TEXT),
    'portal_url': ('http://localhost:8080', ['https://portal.example.com', 'https://example.com:8443/portal',
                   'http://127.0.0.1:80', 'http://[::1]:8080', 'http://localhost', 'http://localhost/p'],
                   ['', 'https://', 'https:///p', 'https://:80', 'http://example.com', 'https://example.com/', 'ftp://example.com',
                    'https://exa mple.com', 'https://example.com/?a=1', 'https://example.com/#x', 'javascript:alert(1)',
                    'http://localhost.example.com', 'http://127.0.0.1.example.com', 'https://user@example.com',
                    'HTTPS://example.com', 'https://' + 'x' * 200, 'https://example.com/"onclick'] + BAD_TEXT),
    'portal_color': ('#0b5f83', ['#000000', '#FFffFF', '#aB0012'], ['', 'blue', '#fff', '#0000000', '#gggggg', ' #000000']),
    'mail_from': ('portal@localhost.localdomain', ['portal@example.com'],
                  ['', 'portal', '@example.com', 'a@b@c', 'a b@example.com', ' portal@example.com', 'portal@example.com ',
                   'a@example.com\r\nBcc: b@example.com', 'x' * 250 + '@example.com', '<a@example.com>'] + BAD_TEXT),
    'country_code': ('1', ['1', '44', '998'], ['', '0', '01', '+1', '1234', 'US', '4 4']),
    'link_hours': number('72', 1, 720),
    'pin_minutes': number('10', 1, 60),
    'reset_minutes': number('60', 1, 1440),
    'resend_seconds': number('60', 0, 3600),
    'sends_per_day': number('10', 1, 1000),
    'requests_per_day': number('200', 1, 10000),
    'email_channel': ('maildir', ['smtp', 'my_mail_2'], ['', 'SMTP', 'a/b', '../x', 'a b', 'x' * 41, 'a.so']),
    'text_channel': ('maildir', ['twilio', 'kannel'], ['', 'Twilio', '/x', 'x' * 41]),
    'print_channel': ('poster', ['press'], ['', 'Poster', '/x', 'x' * 41]),
    'paper': ('Letter', ['A4'], ['', 'a4', 'letter', 'A3', 'Legal']),
    'text_segments': number('1', 1, 10),
    'maildir': ('', ['', '/var/mail/practice', 'Mail Dir'], ['x' * 1001] + BAD_TEXT),
    'ehr_requires': ('email', ['', 'email', 'cell_phone', 'email, cell_phone', 'cell_phone,email', 'email,'],
                     ['phone', 'email cell_phone fax', 'email, email', 'Email', 'email; cell_phone', 'emails', 'home_phone'] + BAD_TEXT),
    'scheduling_requires': ('email, cell_phone', ['', 'email'], ['fax', 'cell_phone, cell_phone'] + BAD_TEXT),
    'self_registration_age': number('0', 0, 120),
    'representative_age': number('18', 0, 120),
    'session_idle_minutes': number('30', 1, 1440),
    'session_hours': number('12', 1, 168),
    'lease_seconds': number('300', 10, 86400),
}


def get(t, db, key):
    """A setting by its function, which the table must agree with."""
    value = t.one(db, 'SELECT portal_setting(?)', key)
    t.equal(t.one(db, 'SELECT value FROM portal_settings WHERE key = ?', key), value, key)
    return value


# Not of the channels in portal.d, whose keys begin with their names.
OURS = "NOT EXISTS (SELECT 1 FROM portal_channels WHERE plugin = 'portal.d' AND key GLOB name || '_*')"


def put(t, db, key, value):
    return t.one(db, 'SELECT portal_setting(?, ?)', key, value)


def test_every_setting_is_listed_with_default_and_description(t):
    db = t.database()
    rows = t.all(db, f'SELECT key, value, default_value FROM portal_settings WHERE {OURS}')
    t.equal(rows, [(key, standard, standard) for key, (standard, _, _) in SETTINGS.items()])
    t.equal(t.one(db, "SELECT count(*) FROM portal_settings WHERE length(description) > 10 AND description LIKE '%.'"),
            t.one(db, 'SELECT count(*) FROM portal_settings'))


def test_every_setting_takes_values_that_fit_and_null_restores_the_default(t):
    db = t.database()
    for key, (standard, good, _) in SETTINGS.items():
        for value in good:
            t.equal(put(t, db, key, value), value)
            t.equal(get(t, db, key), value)
        t.equal(put(t, db, key, None), standard)
        t.equal(get(t, db, key), standard)
    t.equal(t.all(db, 'SELECT * FROM portal_setting'), [])
    t.equal(t.all(db, 'SELECT * FROM portal_check'), [])


def test_every_setting_refuses_values_that_do_not_fit_naming_the_key(t):
    db = t.database()
    for key, (standard, _, bad) in SETTINGS.items():
        for value in bad + [b'x', 1.5, 'x' * 100_000]:
            t.refuses(db, 'SELECT portal_setting(?, ?)', key, value)
            t.equal(get(t, db, key), standard)
        t.refuses(db, 'SELECT portal_setting(?, ?)', key, bad[-1])
    t.equal(t.one(db, "SELECT count(*) FROM portal_audit WHERE action = 'setting.changed'"), 0)
    t.refuses(db, "SELECT portal_setting('link_hours', 721)", says=['link_hours', 'from 1 to 720'])
    t.refuses(db, "SELECT portal_setting('portal_url', 'http://example.com')", says=['portal_url', 'https'])
    for color in ('crimson', '#fff', '#0000000'):
        t.refuses(db, "SELECT portal_setting('portal_color', ?)", color, says='must be a colour as #rrggbb')


def test_numbers_are_taken_as_numbers_and_as_text(t):
    db = t.database()
    for value in (48, 48.0, '48'):
        put(t, db, 'link_hours', None)
        t.equal(put(t, db, 'link_hours', value), '48')
    for value in (48.5, 1e300, float('inf'), -1, 0, 2**62):
        t.refuses(db, "SELECT portal_setting('link_hours', ?)", value)
    t.equal(get(t, db, 'link_hours'), '48')


def test_an_unknown_key_is_refused(t):
    db = t.database()
    for key in ('', 'link_hour', 'LINK_HOURS', 'link_hours ', 'x' * 5000, "a'b", '%s%n'):
        t.refuses(db, 'SELECT portal_setting(?)', key)
        t.refuses(db, "SELECT portal_setting(?, 'x')", key)
    t.refuses(db, "SELECT portal_setting('nonsense')", says=['nonsense', 'portal_settings'])
    for key in (None, 7, b'link_hours', 'link_hours\x00'):
        t.refuses(db, 'SELECT portal_setting(?)', key, says='key')


def test_a_change_is_audited_by_its_key(t):
    db = t.database()
    put(t, db, 'link_hours', 48)
    t.equal(t.all(db, "SELECT subject, detail FROM portal_audit WHERE action = 'setting.changed'"), [('link_hours', '48')])


def test_reading_a_setting_writes_nothing(t):
    db = t.database()
    before = t.one(db, 'PRAGMA data_version'), t.all(db, 'SELECT * FROM portal_audit')
    reader = t.connect(f'file:{t.file(db)}?mode=ro', uri=True)
    t.equal(get(t, reader, 'link_hours'), '72')
    t.equal((t.one(db, 'PRAGMA data_version'), t.all(db, 'SELECT * FROM portal_audit')), before)


def test_other_applications_neither_read_nor_set(t):
    db = t.database()
    for application in ('scheduling', 'portal'):
        other = t.connect(t.file(db), application=application)
        for sql in ("SELECT portal_setting('link_hours')", "SELECT portal_setting('link_hours', 1)",
                    'SELECT * FROM portal_settings', "SELECT portal_secret('smtp_password', 'x')"):
            t.refuses(other, sql, says=f'not available to the application {application}')
    t.equal(get(t, db, 'link_hours'), '72')


# Changes that others make

def test_plain_sql_on_the_table_is_noticed_at_once(t):
    db = t.database()
    t.equal(get(t, db, 'link_hours'), '72')
    for sql, value in (("INSERT INTO portal_setting VALUES ('link_hours', '48')", '48'),
                       ("UPDATE portal_setting SET value = '24'", '24'),
                       ("REPLACE INTO portal_setting VALUES ('link_hours', '12')", '12'),
                       ("INSERT INTO portal_setting VALUES ('link_hours', '6') ON CONFLICT (key) DO UPDATE SET value = '6'", '6'),
                       ('DELETE FROM portal_setting', '72')):
        db.execute(sql)
        t.equal(get(t, db, 'link_hours'), value)


def test_unfit_values_put_there_by_plain_sql_count_as_not_set(t):
    db = t.database()
    for key, (standard, _, bad) in SETTINGS.items():
        for value in bad[:3] + bad[-1:] + [b'\xff\xfe']:
            db.execute('REPLACE INTO portal_setting VALUES (?, ?)', [key, value])
            t.equal(get(t, db, key), standard, f'{key} {value!r}')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_check'), len(SETTINGS))
    patient = t.patient(db)
    t.contains(t.one(db, "SELECT send_registration(?, 'email')", patient), 'valid for 72 hours')


def test_unknown_keys_in_the_table_are_told_and_do_no_harm(t):
    db = t.database()
    db.execute("INSERT INTO portal_setting VALUES ('colour', 'blue')")
    t.equal(get(t, db, 'link_hours'), '72')
    t.equal(t.all(db, 'SELECT subject FROM portal_check'), [('colour',)])


def test_another_connection_sees_a_change_at_once(t):
    for journal in ('delete', 'wal'):
        db = t.database(journal=journal)
        other = t.connect(t.file(db))
        for value in ('48', '24', None):
            t.equal(get(t, other, 'link_hours'), get(t, db, 'link_hours'))
            put(t, db, 'link_hours', value)
            t.equal(get(t, other, 'link_hours'), value or '72')


def test_a_rolled_back_change_is_forgotten(t):
    db = t.database()
    put(t, db, 'link_hours', 48)
    db.execute('BEGIN')
    put(t, db, 'link_hours', 24)
    t.equal(get(t, db, 'link_hours'), '24')
    db.execute('ROLLBACK')
    t.equal(get(t, db, 'link_hours'), '48')
    db.execute('BEGIN')
    put(t, db, 'pin_minutes', 5)
    t.equal((get(t, db, 'link_hours'), get(t, db, 'pin_minutes')), ('48', '5'))
    db.execute('SAVEPOINT own')
    put(t, db, 'link_hours', 12)
    t.equal(get(t, db, 'link_hours'), '12')
    db.execute('ROLLBACK TO own')
    t.equal((get(t, db, 'link_hours'), get(t, db, 'pin_minutes')), ('48', '5'))
    db.execute('COMMIT')
    t.equal((get(t, db, 'link_hours'), get(t, db, 'pin_minutes')), ('48', '5'))


def test_a_rollback_and_another_set_are_not_confused(t):
    db = t.database()
    for value in range(10, 30):
        db.execute('BEGIN')
        put(t, db, 'link_hours', value)
        t.equal(get(t, db, 'link_hours'), str(value))
        db.execute('ROLLBACK')
        put(t, db, 'link_hours', value + 100)
        t.equal(get(t, db, 'link_hours'), str(value + 100))


def test_many_settings_are_changed_in_one_statement(t):
    db = t.database()
    t.all(db, f'SELECT portal_setting(key, default_value) FROM portal_settings WHERE {OURS}')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_setting'), len(SETTINGS))
    t.equal(t.all(db, 'SELECT * FROM portal_check'), [])
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


# Settings do what they say

def test_the_names_and_addresses_of_the_practice_are_in_the_mail(t):
    db = t.database()
    put(t, db, 'practice_name', 'Cabinet “Dupont” <& Söhne>')
    put(t, db, 'practice_phone', '+1 202 555 0100')
    put(t, db, 'mail_from', 'portal@dupont.example')
    put(t, db, 'portal_url', 'https://portal.dupont.example/p')
    flows.send(t, db, t.patient(db))
    [mail] = t.mails(db)
    t.equal(mail['From'].addresses[0].addr_spec, 'portal@dupont.example')
    t.equal(mail['From'].addresses[0].display_name, 'Cabinet “Dupont” <& Söhne>')
    t.contains(t.text(mail), 'Cabinet “Dupont” <& Söhne>', '+1 202 555 0100', 'https://portal.dupont.example/p/r/')
    t.contains(t.html(mail), '&lt;&amp; Söhne&gt;')


def test_the_hours_of_a_link_are_those_of_the_setting(t):
    db = t.database()
    put(t, db, 'link_hours', 1)
    token = flows.send(t, db, t.patient(db))
    t.contains(t.text(t.mails(db)[0]), '1 hour')
    t.advance(3599)
    t.equal(t.one(db, 'SELECT token_valid(?)', token), 1)
    t.advance(1)
    t.equal(t.one(db, 'SELECT token_valid(?)', token), 0)


def test_the_maildir_is_where_the_setting_says(t):
    db = t.database()
    put(t, db, 'maildir', str(t.path('Mail of the practice')))
    patient = t.patient(db)
    t.contains(t.one(db, "SELECT send_registration(?, 'email')", patient), 'Maildir Mail of the practice')
    t.equal(len(t.mails(t.path('Mail of the practice'))), 1)
    t.equal(t.mails(db), [])


def test_the_cooldown_can_be_switched_off(t):
    db = t.database()
    put(t, db, 'resend_seconds', 0)
    patient = t.patient(db)
    flows.send(t, db, patient)
    flows.send(t, db, patient)


def test_national_numbers_follow_the_country_code(t):
    db = t.database()
    put(t, db, 'country_code', 49)
    flows.send(t, db, t.patient(db, cell_phone='030 901820'), 'text')
    t.equal(t.one(db, 'SELECT recipient FROM portal_message'), '+4930901820')


# Secrets

SECRET = 'correct-horse-of-the-gateway'


def test_a_secret_is_stored_and_never_given_back(t):
    db = t.database()
    answer = t.one(db, "SELECT portal_secret('twilio_token', ?)", SECRET)
    t.contains(answer, 'twilio_token', 'stored')
    t.true(SECRET not in answer)
    t.refuses(db, "SELECT portal_secret('twilio_token')")
    t.equal(t.one(db, 'SELECT count(*) FROM portal_secret'), 1)
    dump = t.shell(t.file(db), '.dump\nSELECT * FROM portal_events;\nSELECT * FROM portal_settings;\n').stdout
    t.contains(dump, 'INSERT INTO portal_secret', 'secret.stored')
    for form in (SECRET, SECRET.encode().hex(), SECRET[:14]):
        t.true(form not in dump)
    for file in t.directory.iterdir():
        if file.is_file():
            t.true(SECRET.encode() not in file.read_bytes(), file.name)


def test_the_same_secret_looks_different_each_time(t):
    db = t.database()
    sealed = set()
    for key in ('a', 'b', 'a'):
        t.one(db, 'SELECT portal_secret(?, ?)', key, SECRET)
        sealed.add(t.one(db, 'SELECT sealed FROM portal_secret WHERE key = ?', key))
    t.equal(len(sealed), 3)


def test_a_secret_is_replaced_and_removed(t):
    db = t.database()
    t.one(db, "SELECT portal_secret('a', 'one')")
    before = t.one(db, 'SELECT sealed FROM portal_secret')
    t.one(db, "SELECT portal_secret('a', 'two')")
    t.true(t.one(db, 'SELECT sealed FROM portal_secret') != before)
    t.contains(t.one(db, "SELECT portal_secret('a', NULL)"), 'a', 'removed')
    t.equal(t.all(db, 'SELECT * FROM portal_secret'), [])
    t.equal(t.all(db, "SELECT action, subject, detail FROM portal_audit WHERE action GLOB 'secret.*'"),
            [('secret.stored', 'a', None)] * 2 + [('secret.removed', 'a', None)])


def test_a_secret_rolled_back_is_none(t):
    db = t.database()
    db.execute('BEGIN')
    t.one(db, "SELECT portal_secret('a', 'one')")
    db.execute('ROLLBACK')
    t.equal(t.all(db, 'SELECT * FROM portal_secret'), [])


def test_bad_names_and_values_of_secrets_are_refused_without_telling_the_value(t):
    db = t.database()
    for key in ('', 'Upper', 'with space', 'a-b', 'x' * 65, 'é', None, 7, b'a', 'a\x00'):
        t.true(SECRET not in t.refuses(db, 'SELECT portal_secret(?, ?)', key, SECRET))
    t.refuses(db, "SELECT portal_secret('link_hours', 'x')", says=['link_hours', 'portal_setting'])
    for value in ('', 'x' * 4097, 'x' * 100_000, 7, 1.5, b'x', 'a\x00b'):
        t.refuses(db, "SELECT portal_secret('a', ?)", value, says='value')
    t.equal(t.all(db, 'SELECT * FROM portal_secret'), [])


def test_a_secret_needs_the_key_file(t):
    db = t.database()
    pathlib.Path(f'{t.file(db)}.portal-key').unlink()
    other = t.connect(t.file(db))
    t.true(SECRET not in t.refuses(other, "SELECT portal_secret('a', ?)", SECRET, says='key file'))
    t.equal(t.all(db, 'SELECT * FROM portal_secret'), [])


def test_a_value_that_is_no_text_and_no_number_is_refused(t):
    db = t.database()
    t.refuses(db, "SELECT portal_setting('link_hours', x'3432')", says='value must be text')
    t.refuses(db, "SELECT portal_setting('link_hours', 1.5)", says='whole number')
    t.refuses(db, "SELECT portal_setting(NULL, 5)", says='key is NULL')


def test_a_sender_of_a_very_long_domain_has_message_ids_of_localhost(t):
    db = t.database()
    t.one(db, "SELECT portal_setting('mail_from', ?)", f'portal@{"a" * 60}.{"b" * 60}.example')
    flows.send(t, db, t.patient(db))
    t.contains(t.mails(db)[0]['Message-ID'], '@localhost>')
