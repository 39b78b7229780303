"""Templates: what is shipped, what a practice may write instead, and whose language is chosen."""
import itertools
import re

import flows
import test_messages

KINDS = test_messages.KINDS
URL = 'https://portals.of-forty-characters.test'
FITTING = {'registration': '{{practice_name}}: {{link}} STOP', 'pin': '{{practice_name}}: {{pin}}'}


def text_of(t, db, kind, language='en', channel='text'):
    return t.one(db, 'SELECT text FROM portal_template WHERE kind = ? AND channel = ? AND language = ?',
                 kind, channel, language)


def edit(t, db, kind, text, language='en', channel='text'):
    db.execute('UPDATE portal_template SET text = ? WHERE kind = ? AND channel = ? AND language = ?',
               [text, kind, channel, language])
    t.equal(text_of(t, db, kind, language, channel), text)


def refuses_text(t, db, text, *says, kind='registration', channel='text'):
    return t.refuses(db, f"UPDATE portal_template SET text = ? WHERE kind = '{kind}' AND channel = '{channel}'"
                         " AND language = 'en'", text, says=says)


def refuses_html(t, db, html, *says):
    return t.refuses(db, "UPDATE portal_template SET html = '<p>{{link}}</p>' || ? WHERE kind = 'registration'"
                         " AND channel = 'email' AND language = 'en'", html, says=says)


def newest_text(t, db):
    return t.text(t.mails(db)[-1])


# What is shipped

def test_every_kind_is_shipped_for_email_and_text_in_english_and_spanish(t):
    db = t.database()
    t.equal(t.all(db, 'SELECT kind, channel, language FROM portal_template ORDER BY 1, 2, 3'),
            sorted([(kind, channel, language) for language in ('en', 'es') for kind, channel in
                    [*itertools.product(KINDS, ('email', 'text')), ('registration', 'print'), ('poster', 'print')]]))
    t.equal(t.one(db, 'SELECT count(edited) FROM portal_template'), 0)


def test_a_shipped_template_keeps_to_what_is_asked_of_those_that_a_practice_writes(t):
    db = t.database()
    db.execute('UPDATE portal_template SET text = text, html = html, subject = subject')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_template WHERE edited IS NULL'), 0)
    t.equal(t.all(db, 'SELECT problem, subject FROM portal_check'), [])


def test_a_shipped_text_message_takes_one_segment_in_either_language(t):
    db = t.database()
    for key, value in test_messages.LONG_SETTINGS.items():
        t.one(db, 'SELECT portal_setting(?, ?)', key, value)
    t.equal(t.all(db, "SELECT kind, language FROM portal_template WHERE channel = 'text' AND segments <> 1"), [])
    for (text,) in t.all(db, "SELECT text FROM portal_template WHERE channel = 'text'"):
        t.equal(set(re.sub(r'\{\{\w+\}\}', '', text)) - test_messages.GSM7, set(), text)


def test_a_mail_in_spanish_is_wrapped_and_its_html_says_what_the_text_says(t):
    db = t.database()
    for text, html in t.all(db, "SELECT text, html FROM portal_template WHERE channel = 'email' AND language = 'es'"):
        t.true(all(len(line) <= 72 for line in text.splitlines()), text)
        t.equal(set(re.findall(r'\{\{\w+\}\}', text)), set(re.findall(r'\{\{\w+\}\}', html)), html)
        seen = re.sub(r'<[^>]+>', ' ', html)
        missing = {word for word in re.findall(r'\w{4,}', text) if word.lower() not in seen.lower()}
        t.equal(missing - {'Abra', 'empezar', 'elegirla', 'para'}, set())


# The language

def test_the_preferred_language_of_the_patient_chooses(t):
    db = t.database()
    for language, expected in [('es', 'es'), ('es-MX', 'es'), ('ES_mx', 'es'), ('spa', 'es'), ('Spanish', 'es'),
                               ('en', 'en'), ('en-US', 'en'), (None, 'en'), ('', 'en'), ('fr', 'en'), ('x', 'en'),
                               ('est', 'en'), ('\x01', 'en'), ('es-419-x-practice', 'es'), ('es-' + 'x' * 500, 'en'), (7, 'en'),
                               (' SPANISH ', 'es'), ('Espan\u0303ol', 'es'), ('ESPAÑOL (México)', 'es'),
                               ('Spanish; Castilian', 'es'), ('Inglés', 'en'), ('Spanisch', 'en'), ('ñ' * 60, 'en')]:
        patient = t.patient(db, preferred_language=language)
        flows.send(t, db, patient)
        mail = t.mails(db)[-1]
        t.equal(mail['Content-Language'], expected, repr(language))
        t.contains(t.text(mail), {'es': 'Abra este enlace', 'en': 'Open this link'}[expected])


def test_a_language_of_a_country_goes_before_the_language_alone(t):
    db = t.database()
    db.execute("INSERT INTO portal_template (kind, channel, language, text)"
               " VALUES ('registration', 'text', 'es-MX', '{{link}} STOP MX')")
    for language, ends in [('es-MX', 'STOP MX'), ('es-mx', 'STOP MX'), ('es-AR', 'STOP: darse de baja'),
                           ('es', 'STOP: darse de baja'), ('es-MX-x', 'STOP MX')]:
        flows.send(t, db, t.patient(db, preferred_language=language), 'text')
        t.true(newest_text(t, db).rstrip().endswith(ends), f'{language}: {newest_text(t, db)}')


def test_messages_about_an_account_are_in_the_language_of_whom_it_is_for(t):
    db = t.database()
    patient = t.patient(db, preferred_language='es')
    flows.register(t, db, patient, 'ada')
    t.one(db, "SELECT forgot_password('ada')")
    t.one(db, "SELECT set_account_contact('ada', 'new@example.org')")
    t.one(db, 'SELECT deliver()')
    t.equal([mail['Content-Language'] for mail in t.mails(db)[-2:]], ['es', 'es'])
    t.contains(newest_text(t, db), 'El consultorio cambió el correo electrónico')
    t.advance(3600)
    t.one(db, "SELECT forgot_password('ada')")
    t.one(db, 'SELECT deliver()')
    t.contains(str(t.mails(db)[-1]['subject']), 'Elija una contraseña nueva')


# Editing

def test_what_is_written_is_sent_from_the_next_message_on_and_by_other_connections(t):
    db = t.database()
    other = t.connect(t.file(db))
    flows.send(t, other, t.patient(db), 'text')
    edit(t, db, 'registration', 'Hi from {{practice_name}}: {{link}} STOP')
    flows.send(t, other, t.patient(db), 'text')
    t.contains(newest_text(t, db), 'Hi from Your medical practice: http://localhost:8080/r/')


def test_an_edit_that_is_rolled_back_is_not_used(t):
    db = t.database()
    before = text_of(t, db, 'pin')
    db.execute('BEGIN')
    edit(t, db, 'pin', FITTING['pin'])
    patient = t.patient(db)
    t.equal(t.one(db, "SELECT preview_message('pin', ?, 'text')", patient), 'Your medical practice: 000000')
    db.execute('SAVEPOINT one')
    edit(t, db, 'pin', '{{pin}}')
    db.execute('ROLLBACK TO one')
    t.equal(text_of(t, db, 'pin'), FITTING['pin'])
    db.execute('ROLLBACK')
    t.equal(text_of(t, db, 'pin'), before)


def test_deleting_goes_back_to_what_was_shipped(t):
    db = t.database()
    before = t.all(db, 'SELECT * FROM portal_template ORDER BY 1, 2, 3')
    edit(t, db, 'pin', FITTING['pin'])
    db.execute("INSERT INTO portal_template (kind, channel, language, text) VALUES ('pin', 'text', 'fr', '{{pin}}')")
    t.equal(t.one(db, 'SELECT count(*) FROM portal_template'), len(before) + 1)
    t.equal(t.one(db, "SELECT edited FROM portal_template WHERE text = '{{pin}}'"), t.one(db, "SELECT datetime('now')"))
    db.execute('DELETE FROM portal_template')
    t.equal(t.all(db, 'SELECT * FROM portal_template ORDER BY 1, 2, 3'), before)
    t.equal(t.all(db, 'SELECT * FROM portal_wording'), [])


def test_one_update_edits_many_or_none(t):
    db = t.database()
    db.execute("UPDATE portal_template SET text = replace(text, 'STOP', 'Say STOP')"
               " WHERE kind = 'registration' AND channel = 'text' AND language = 'en'")
    t.contains(text_of(t, db, 'registration'), 'Say STOP')
    t.refuses(db, "UPDATE portal_template SET text = '{{pin}}' WHERE channel = 'text'", says='which is not for it')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_wording'), 1)
    db.execute("UPDATE portal_template SET subject = '{{practice_name}}: ' || subject WHERE channel = 'email'")
    t.equal(t.one(db, "SELECT count(*) FROM portal_template WHERE subject LIKE '{{practice_name}}: %'"), 16)


def test_an_update_from_another_table_edits_too(t):
    db = t.database()
    db.execute("CREATE TABLE mine AS SELECT 'pin' AS kind, 'text' AS channel, 'en' AS language, 'PIN {{pin}}' AS text")
    db.execute('UPDATE portal_template SET text = m.text FROM mine AS m WHERE portal_template.kind = m.kind'
               ' AND portal_template.channel = m.channel AND portal_template.language = m.language')
    t.equal(text_of(t, db, 'pin'), 'PIN {{pin}}')


def test_what_a_template_is_for_can_not_be_changed(t):
    db = t.database()
    for column, value in [('kind', 'deactivated'), ('channel', 'email'), ('language', 'fr'), ('edited', 'today'),
                          ('segments', 2), ('segments', None)]:
        t.refuses(db, f"UPDATE portal_template SET {column} = ? WHERE kind = 'pin' AND channel = 'text'"
                      " AND language = 'en'", value, says='only subject, text and html can be set')


def test_only_what_there_can_be_a_message_for_is_added(t):
    db = t.database()
    insert = 'INSERT INTO portal_template (kind, channel, language, text) VALUES (?, ?, ?, ?)'
    t.refuses(db, insert, 'birthday', 'text', 'fr', 'x', says="no kind of message 'birthday'")
    t.refuses(db, insert, 'pin', 'fax', 'fr', '{{pin}}', says="pin does not go by 'fax'")
    t.refuses(db, insert, 'pin', 'print', 'fr', '{{pin}}', says="pin does not go by 'print'")
    t.refuses(db, insert, 'pin', 'text', 'en', '{{pin}}', says='there is a template for pin by text in en; UPDATE it')
    for language in ['', 'f', 'français', '12', 'fr-!', None]:
        t.refuses(db, insert, 'pin', 'text', language, '{{pin}}', says='is no language tag')
    t.refuses(db, insert, None, None, None, None, says='no kind of message')
    t.refuses(db, insert, 'pin', 'text', 'fr', None, says='text is missing')
    t.refuses(db, insert, 'pin', 'text', 'fr', b'{{pin}}', says='text must be text')
    t.refuses(db, insert, 'pin', 'text', 'fr', '{{pin}}\0', says='text must be text')
    db.execute(insert.replace('INSERT', 'INSERT OR REPLACE'), ['pin', 'text', 'en', '{{pin}}'])
    t.equal(text_of(t, db, 'pin'), '{{pin}}')


def test_mail_without_html_goes_as_text_alone(t):
    db = t.database()
    db.execute("UPDATE portal_template SET html = NULL WHERE kind = 'registration' AND channel = 'email'")
    flows.send(t, db, t.patient(db))
    mail = t.mails(db)[-1]
    t.equal([mail.get_content_type(), t.html(mail)], ['text/plain', None])
    t.contains(t.text(mail), '/r/')


def test_line_ends_of_a_web_form_become_line_feeds(t):
    db = t.database()
    db.execute("UPDATE portal_template SET text = ? WHERE kind = 'pin' AND channel = 'email' AND language = 'en'",
               ['Hello,\r\n\r\n{{pin}}\r\n'])
    t.equal(text_of(t, db, 'pin', channel='email'), 'Hello,\n\n{{pin}}\n')
    refuses_text(t, db, '{{pin}}\r', 'control or an invisible character', kind='pin')


def test_edits_stand_in_the_audit_without_their_text(t):
    db = t.database()
    edit(t, db, 'pin', FITTING['pin'])
    db.execute("DELETE FROM portal_template WHERE kind = 'pin'")
    t.equal(t.all(db, "SELECT action, subject, detail FROM portal_audit WHERE action LIKE 'template.%'"),
            [('template.edited', 'pin.text.en', None), ('template.restored', 'pin.text.en', None)])
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_only_the_ehr_edits(t):
    db = t.database()
    for application in ('scheduling', 'portal'):
        other = t.connect(t.file(db), application=application)
        for sql in ('SELECT * FROM portal_template', 'DELETE FROM portal_template',
                    "INSERT INTO portal_template (kind, channel, language, text) VALUES ('pin', 'text', 'fr', '{{pin}}')"):
            t.refuses(other, sql, says=['portal_template', application])


# What is refused

def test_a_template_that_would_not_do_its_work_is_refused(t):
    db = t.database()
    refuses_text(t, db, 'STOP', 'registration.text.en', 'lacks {{link}}')
    refuses_text(t, db, 'hello', 'pin.text.en', 'lacks {{pin}}', kind='pin')
    refuses_text(t, db, '{{link}} {{foo}} STOP', 'unknown placeholder {{foo}}', '{{practice_name}}', '{{hours}}')
    refuses_text(t, db, '{{link}} {{minutes}} STOP', '{{minutes}}, which is not for it')
    refuses_text(t, db, '{{pin}} {{link}}', '{{link}}, which is not for it', kind='pin')
    refuses_text(t, db, '{{link}}', 'does not say how to opt out')
    refuses_text(t, db, f'{{{{{"x" * 31}}}}}', f'unknown placeholder {{{{{"x" * 30}}}}}')
    for more in (31, 32):
        refuses_text(t, db, '{{link}}' + '{{hours}}' * more, 'more than 31 placeholders')
    t.refuses(db, "UPDATE portal_template SET subject = 'x' WHERE channel = 'text'", says='for email and what is printed alone')
    t.refuses(db, "UPDATE portal_template SET subject = NULL WHERE channel = 'email'", says='subject is missing')
    t.refuses(db, "UPDATE portal_template SET html = '<p>hello</p>' WHERE kind = 'registration'"
                  " AND channel = 'email'", says='html lacks {{link}}')


def test_a_text_message_that_takes_too_many_segments_is_refused_and_told_how_many(t):
    db = t.database()
    room = 160 - len('Your medical practice: ') - len(URL + '/r/') - 32 - len(' STOP')
    edit(t, db, 'registration', '{{practice_name}}: {{link}} STOP' + 'x' * room)
    refuses_text(t, db, '{{practice_name}}: {{link}} STOP' + 'x' * (room + 1), 'registration.text.en: ',
                 '2 segments (GSM-7) with a portal_url of 40 characters')
    refuses_text(t, db, '{{link}} STOP í', "2 segments (UCS-2, for 'í')")
    t.one(db, "SELECT portal_setting('text_segments', 2)")
    edit(t, db, 'registration', '{{link}} STOP í')
    t.equal(t.one(db, "SELECT segments FROM portal_template WHERE text = '{{link}} STOP í'"), 2)


def test_a_longer_portal_url_of_the_practice_counts_as_it_is(t):
    db = t.database()
    counted = "SELECT segments FROM portal_template WHERE kind = 'registration' AND channel = 'text' AND language = 'en'"
    t.one(db, "SELECT portal_setting('portal_url', 'https://' || replace(hex(zeroblob(40)), '00', 'x') || '.test')")
    t.equal(t.one(db, counted), 2)
    t.contains(str(t.all(db, 'SELECT subject FROM portal_check')), 'registration.text.en: 2 segments (GSM-7)')
    refuses_text(t, db, '{{practice_name}}, a practice for all of the family and its friends: {{link}} STOP',
                 '2 segments (GSM-7) with a portal_url of 53 characters')


def test_a_practice_name_outside_gsm_7_shows_what_it_costs(t):
    db = t.database()
    t.one(db, "SELECT portal_setting('practice_name', 'Клиника')")
    t.equal(t.one(db, "SELECT segments FROM portal_template WHERE kind = 'registration' AND channel = 'text'"
                      " AND language = 'en'"), 3)
    refuses_text(t, db, '{{practice_name}} {{link}} STOP', "2 segments (UCS-2, for 'К')")
    t.contains(str(t.all(db, 'SELECT problem, subject FROM portal_check')), "registration.text.en: 3 segments (UCS-2, for 'К')")


def test_html_that_does_more_than_say_something_is_refused(t):
    db = t.database()
    refuses_html(t, db, '<b>', 'does not balance')
    refuses_html(t, db, '</p>', 'does not balance')
    refuses_html(t, db, '<script>x</script>', '<script>')
    refuses_html(t, db, '<img src="cid:x">', '<img>')
    refuses_html(t, db, '<p onclick="x">y</p>', 'onclick')
    refuses_html(t, db, '<a href="mailto:evil@example.org">x</a>', 'something else than {{link}}')
    refuses_html(t, db, 'https://evil.example', 'an address to open')
    refuses_html(t, db, '&#x202E;', 'has an &')
    refuses_html(t, db, f'<{"b" * 21}>', f'has <{"b" * 20}>, which no message may have')
    refuses_html(t, db, '<b href="{{link}}">x</b>', 'href')
    refuses_html(t, db, '<a href="12345678">x</a>', 'something else than {{link}}')
    refuses_html(t, db, '<br onclick="x">', 'onclick')
    refuses_html(t, db, '<em href="{{link}}">x</em>', 'href')
    refuses_html(t, db, '<a name="here">x</a>', 'name')


def test_characters_that_hide_something_are_refused_in_every_part(t):
    db = t.database()
    for hidden in ['\u202e', '\u2066', '\u200b', '\ufeff', '\u00ad', '\x07', '\x9b', '\t', '\u2028']:
        for column in ('subject', 'text', 'html'):
            t.refuses(db, f"UPDATE portal_template SET {column} = {column} || ? WHERE channel = 'email'", hidden,
                      says=[column, 'invisible character'])
    t.refuses(db, "UPDATE portal_template SET subject = subject || char(10) || 'Bcc: evil@example.org'"
                  " WHERE channel = 'email'", says='line break')


def test_a_placeholder_in_the_name_of_the_practice_stays_as_it_is(t):
    db = t.database()
    t.one(db, "SELECT portal_setting('practice_name', '{{link}} & <b>')")
    flows.send(t, db, t.patient(db))
    mail = t.mails(db)[-1]
    t.contains(t.text(mail), 'portal of\n{{link}} & <b>.')
    t.contains(t.html(mail), '{{link}} &amp; &lt;b&gt;')


def test_a_row_that_was_stored_past_the_table_is_not_used_and_told(t):
    db = t.database()
    store = 'INSERT INTO portal_wording VALUES (?, ?, ?, ?, ?, ?, 1)'
    for row in [('registration', 'text', 'en', None, 'http://evil.example STOP', None),
                ('pin', 'text', 'en', None, '{{pin}} {{link}}', None), ('pin', 'email', 'en', None, '{{pin}}', None),
                ('birthday', 'text', 'en', None, 'x', None), ('pin', 'fax', 'en', None, '{{pin}}', None),
                ('pin', 'text', 'EN', None, '{{pin}}', None), ('pin', 'text', '', None, '{{pin}}', None),
                ('pin', 'text', 'es', None, '{{pin}}\0', None)]:
        db.execute(store, row)
    patient = t.patient(db)
    flows.send(t, db, patient, 'text')
    t.contains(newest_text(t, db), 'join our patient portal')
    t.equal(t.one(db, 'SELECT count(edited) FROM portal_template'), 0)
    t.equal(t.one(db, "SELECT count(*) FROM portal_check WHERE problem LIKE 'a template is not used%'"), 8)


# Previews

def test_a_preview_is_what_would_be_sent_but_for_the_link(t):
    db = t.database()
    for language in ('en', 'es'):
        for channel in ('email', 'text'):
            patient = t.patient(db, preferred_language=language)
            preview = t.one(db, 'SELECT preview_message(?, ?, ?)', 'registration', patient, channel)
            flows.send(t, db, patient, channel)
            mail = t.mails(db)[-1]
            sent = f"Subject: {mail['subject']}\n\n{t.text(mail)}" if channel == 'email' else t.text(mail)
            t.equal(preview.rstrip('\n'), sent.replace(t.token(mail), 'SAMPLE-LINK-THAT-OPENS-NOTHING--').rstrip('\n'))


def test_every_kind_can_be_previewed_and_nothing_is_written(t):
    db = t.database()
    patient = t.patient(db)
    before = [*db.iterdump()]
    for kind in KINDS:
        for channel in ('email', 'text', 'sms'):
            preview = t.one(db, 'SELECT preview_message(?, ?, ?)', kind, patient, channel)
            t.true('{{' not in preview and 'Your medical practice' in preview, preview)
    t.equal([*db.iterdump()], before)


def test_what_a_preview_shows_opens_nothing(t):
    db = t.database()
    patient = t.patient(db)
    token = 'SAMPLE-LINK-THAT-OPENS-NOTHING--'
    t.contains(t.one(db, "SELECT preview_message('password_reset', ?, 'text')", patient), f'/p/{token}')
    t.equal([t.one(db, 'SELECT token_valid(?)', token), t.one(db, 'SELECT token_status(?)', token)], [0, 'unknown'])


def test_a_preview_names_what_it_can_not_show(t):
    db = t.database()
    patient = t.patient(db)
    t.refuses(db, "SELECT preview_message('birthday', ?, 'email')", patient, says="no kind of message 'birthday'")
    t.refuses(db, "SELECT preview_message('pin', 99, 'email')", says='patient 99 is not on file')
    t.refuses(db, "SELECT preview_message('pin', ?, 'fax')", patient, says='fax')
    t.one(db, "SELECT portal_as('portal', '203.0.113.7')")
    t.refuses(db, "SELECT preview_message('pin', ?, 'email')", patient, says='portal')


# A request was decided

def decided(t, db, username='ada', **columns):
    patient = t.patient(db, **columns)
    session = flows.register(t, db, patient, username)
    flows.ask(t, db, 'SELECT submit_demographics(?, ?, ?)', session, patient,
              '{"city": "Ashford", "state": "KS", "address_line1": "Secret Lane 1"}')
    return patient


def notices(t, db):
    return t.all(db, "SELECT recipient, status FROM portal_message WHERE kind = 'request_decided' ORDER BY 1")


def test_whoever_asked_is_told_that_staff_decided_and_not_what(t):
    db = t.database()
    decided(t, db)
    db.execute("UPDATE pending_requests SET decision = 'decline' WHERE field = 'city'")
    t.one(db, 'SELECT deliver()')
    mail = t.mails(db)[-1]
    contact = t.one(db, 'SELECT contact FROM portal_account')
    t.equal(notices(t, db), [(contact, 'sent')])
    for told in (t.text(mail), t.html(mail) or '', str(mail['subject'])):
        for secret in ('Ashford', 'city', 'Lovelace', 'declin', 'accept', 'Secret Lane'):
            t.true(secret.lower() not in told.lower(), told)


def test_what_is_decided_at_a_time_is_told_once(t):
    db = t.database()
    decided(t, db)
    db.execute("UPDATE pending_requests SET decision = 'accept'")
    t.equal([status for _, status in notices(t, db)], ['queued'])


def test_who_lost_the_access_or_whose_patient_died_is_told_nothing(t):
    db = t.database()
    patient = decided(t, db)
    t.one(db, 'UPDATE patient SET deceased_on = ? WHERE patient_id = ?', '2026-01-01', patient)
    db.execute("UPDATE pending_requests SET decision = 'decline' WHERE field = 'city'")
    t.equal(notices(t, db), [])
    t.one(db, 'UPDATE patient SET deceased_on = NULL')
    db.execute("UPDATE portal_access SET status = 'removed'")
    db.execute("UPDATE pending_requests SET decision = 'decline' WHERE field = 'state'")
    t.equal(notices(t, db), [])
