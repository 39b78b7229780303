"""The poster: what hangs on the wall says how to register, and its code opens the portal."""
import harness

import paper

SIZES = {'A4': '595.276 x 841.89 pts (A4)', 'Letter': '612 x 792 pts (letter)'}
WORDS = {'en': ['See your health information online', 'Open the link', 'Questions? Call'],
         'es': ['Vea su información de salud en línea', 'Abra el enlace', '¿Preguntas? Llame al']}


def poster(t, db, *arguments):
    return t.one(db, f'SELECT portal_poster({", ".join("?" * len(arguments))})', *arguments)


@harness.release_only
def test_it_names_the_practice_and_tells_four_steps_and_its_code_is_the_address_of_the_portal(t):
    db = paper.practice(t)
    for size, pages in SIZES.items():
        for language, words in WORDS.items():
            sheet = paper.Sheet(t, poster(t, db, size, language))
            t.equal(sheet.whole(), pages)
            sheet.within_margins()
            t.contains(sheet.text, *words, 'Lakeside Family Medicine', '(617) 555-0100', 'https://portal.lakeside.example')
            places = [sheet.text.index(f' {number} ') for number in '1234']
            t.equal(places, sorted(places))
            t.equal(sheet.link(), 'https://portal.lakeside.example')
            t.equal(sheet.facts['Title'], words[0])
            t.true(f'/Lang ({language})'.encode() in sheet.file.read_bytes())


@harness.release_only
def test_a_code_of_the_longest_address_is_read_and_the_longest_name_has_its_place(t):
    url = 'https://portal.example/' + 'a-long-path/' * 14 + 'end'
    for name in ('W' * 60, 'Wide Words ' * 5 + 'Wide', 'Đặng & Ελληνικό Ιατρείο — Поликлиника № 5, Łódź'):
        db = paper.practice(t, portal_url=url, practice_name=name)
        sheet = paper.Sheet(t, poster(t, db, 'A4'))
        sheet.whole()
        sheet.within_margins()
        t.equal(sheet.link(), url)
        t.contains(sheet.text.replace(' ', ''), name.replace(' ', ''))


@harness.release_only
def test_accents_are_the_same_however_they_were_typed_and_what_a_pdf_means_is_text(t):
    names = ['José Núñez', 'Jose\u0301 Nu\u0301n\u0303ez', r'(Tj) ET \) Q endstream <</X>> %', "O’Brien & Sons <b>", 'Ada\\(1\\) \\n']
    sheets = [paper.Sheet(t, poster(t, paper.practice(t, practice_name=name))) for name in names]
    for name, sheet in zip([names[0], *names[:1], *names[2:]], sheets):
        sheet.whole()
        t.contains(sheet.text, ' '.join(name.split()))


def test_a_letter_with_accents_is_embedded_with_all_its_parts(t):
    sheet = paper.Sheet(t, poster(t, paper.practice(t, practice_name='Ёж, Nguyễn & Šimůnek: Ωὖ')))
    fonts = list(sheet.letters())
    t.equal([len(drawn) > 10 for drawn, _ in fonts], [True, True])
    t.equal([parts - drawn for drawn, parts in fonts], [set(), set()])
    t.true(any(len(parts) > 5 for _, parts in fonts))


def test_what_the_fonts_have_not_is_refused_by_the_setting_that_has_it(t):
    for name in ('東京クリニック', 'عيادة', 'מרפאה', 'Clinic 😀', 'क्लिनिक', 'x\u0304 Practice', 'Ⴧ Practice'):
        db = paper.practice(t, practice_name=name)
        error = t.refuses(db, 'SELECT portal_poster()', says='the setting practice_name has ')
        t.true(any(character in error for character in name if ord(character) > 0x2FF), error)
    db = paper.practice(t)
    db.execute("INSERT INTO portal_template(kind, channel, language, subject, text) VALUES ('poster', 'print', 'ja', '患者', '{{link}}')")
    t.refuses(db, "SELECT portal_poster('A4', 'ja')", says="the template has '患'")


def test_it_is_the_same_twice_and_says_nothing_of_anybody_and_writes_nothing(t):
    db = paper.practice(t)
    t.patient(db, first_name='Xaverine', last_name='Quillfeather')
    changes = db.total_changes
    first = poster(t, db)
    t.equal(poster(t, db, None, None), first)
    t.equal(poster(t, db, 'Letter', 'en'), first)
    t.true(poster(t, db, 'A4') != first)
    db.execute('BEGIN')
    t.equal(poster(t, db), first)
    db.execute('ROLLBACK')
    t.equal(db.total_changes, changes)
    t.advance(86400)
    t.true(poster(t, db) != first)      # the date of the file
    t.equal(t.one(db, "SELECT count(*) FROM portal_message"), 0)


def test_it_is_drawn_where_a_program_leaves_sqlite_little_memory(t):
    db = paper.practice(t)
    db.execute('PRAGMA hard_heap_limit = 1500000')
    paper.Sheet(t, poster(t, db)).whole()


def test_it_names_the_settings_that_are_missing(t):
    db = t.database()
    t.refuses(db, 'SELECT portal_poster()', says='set practice_name, practice_phone, portal_url')
    db.execute("SELECT portal_setting('practice_name', 'Elm'), portal_setting('portal_url', 'https://elm.example')")
    t.refuses(db, 'SELECT portal_poster()', says='set practice_phone with portal_setting')
    db.execute("SELECT portal_setting('practice_phone', '5550100'), portal_setting('print_channel', 'maildir')")
    t.refuses(db, 'SELECT portal_poster()', says='the channel maildir does not print')
    db.execute("SELECT portal_setting('print_channel', 'press')")
    t.refuses(db, 'SELECT portal_poster()', says='no press.so in portal.d')
    db.execute("SELECT portal_setting('print_channel', NULL)")
    t.refuses(db, "SELECT portal_poster('A3')", says="paper 'A3' is neither A4 nor Letter")
    t.refuses(db, "SELECT portal_setting('paper', 'a4')", says='neither A4 nor Letter')
    t.refuses(db, 'SELECT portal_poster(1)', says='paper must be text')
    for language in ('fr', 'english', ''):
        t.refuses(db, 'SELECT portal_poster(NULL, ?)', language, says=f"there is no poster in the language '{language}'")
    t.equal(t.all(db, "SELECT serves, ready FROM portal_channels WHERE name = 'poster'"), [('print', 1)])


def test_what_it_says_is_the_practice_to_write(t):
    db = paper.practice(t)
    t.refuses(db, "UPDATE portal_template SET text = 'Ask us.' WHERE kind = 'poster' AND language = 'en'", says='lacks {{link}}')
    t.refuses(db, "UPDATE portal_template SET html = '<p>{{link}}</p>' WHERE kind = 'poster'", says='html is for email alone')
    t.refuses(db, "INSERT INTO portal_template(kind, channel, language, subject, text) VALUES ('poster', 'email', 'de', 'x', '{{link}}')",
              says='poster does not go by')
    t.refuses(db, "UPDATE portal_template SET text = '{{pin}} {{link}}' WHERE kind = 'poster'", says='which is not for it')
    db.execute("UPDATE portal_template SET text = ? WHERE kind = 'poster' AND language = 'en'", ['{{link}}\n\n' + 'Very much to say. ' * 400])
    t.refuses(db, 'SELECT portal_poster()', says='does not fit on one sheet')
    db.execute("UPDATE portal_template SET subject = 'Come in', text = ? WHERE kind = 'poster' AND language = 'en'",
               ['Here: {{link}} Welcome.\n\n \n\n24 hours a day.'])
    t.equal(paper.Sheet(t, poster(t, db)).link(), 'https://portal.lakeside.example')


@harness.release_only
def test_headings_can_be_read_in_any_colour(t):
    import subprocess
    for color in ('#0b5f83', '#ffe600', '#ffffff', '#000000', '#777777'):
        db = paper.practice(t, portal_color=color)
        sheet = paper.Sheet(t, poster(t, db))
        subprocess.run(['pdftoppm', '-r', '40', '-singlefile', sheet.file, t.path('sheet')], check=True)
        pixels = t.path('sheet.ppm').read_bytes()
        width, height = map(int, pixels.split()[1:3])
        row = lambda y: pixels[-width * height * 3:][y * width * 3:(y + 1) * width * 3]
        t.equal('#' + row(2)[:3].hex(), color)
        def luminance(pixel):
            parts = [part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in pixel]
            return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
        # The band with the name, then the title on white.
        for top, bottom, ground in ((0.02, 0.13, tuple(bytes.fromhex(color[1:]))), (0.17, 0.28, (255, 255, 255))):
            inks = [tuple(row(y)[x:x + 3]) for y in range(int(height * top), int(height * bottom)) for x in range(0, width * 3, 3)]
            contrasts = [(max(a, b) + 0.05) / (min(a, b) + 0.05) for a, b in ((luminance(ink), luminance(ground)) for ink in set(inks))]
            t.true(max(contrasts) > 4.3, f'{color}: {max(contrasts)}')
