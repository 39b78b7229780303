"""PDFs as people and their programs read them: the text, the QR code, the fonts, where the words stand."""
import re
import subprocess

PRACTICE = {'practice_name': 'Lakeside Family Medicine', 'practice_phone': '(617) 555-0100',
            'portal_url': 'https://portal.lakeside.example'}


def practice(t, **settings):
    """A database whose practice can be named."""
    db = t.database()
    for key, value in {**PRACTICE, **settings}.items():
        db.execute('SELECT portal_setting(?, ?)', [key, value])
    return db


def unreached(t, db, **columns):
    """A patient whom no message reaches."""
    return t.patient(db, **{'email': None, 'cell_phone': None, **columns})


class Sheet:
    def __init__(self, t, pdf):
        t.true(pdf.startswith(b'%PDF-'), pdf[:40])
        self.t = t
        self.file = t.path('sheet.pdf')
        self.file.write_bytes(pdf)
        self.text = ' '.join(self._run('pdftotext', '-layout', self.file, '-').split())

    def _run(self, *command):
        done = subprocess.run([*map(str, command)], capture_output=True, text=True)
        self.t.equal((done.returncode, done.stderr), (0, ''), command[0])
        return done.stdout

    def whole(self):
        """A PDF without a fault, on one page, whose fonts are in it; gives the size of the page."""
        self.t.contains(self._run('qpdf', '--check', self.file), 'No syntax or stream encoding errors')
        for font in self._run('pdffonts', self.file).splitlines()[2:]:
            self.t.true(re.search(r' yes yes yes ', font), font)
        facts = dict(re.split(r':\s+', line, maxsplit=1) for line in self._run('pdfinfo', self.file).splitlines() if ': ' in line)
        self.t.equal(facts['Pages'], '1')
        self.facts = facts
        return facts['Page size']

    def letters(self):
        """Of every embedded font the glyphs that are drawn, and those that they are made of, Ё of E and two dots."""
        self._run('qpdf', '--qdf', '--object-streams=disable', self.file, self.t.path('plain.pdf'))
        for font in re.findall(rb'\nstream\n(\x00\x01\x00\x00.*?)\nendstream', self.t.path('plain.pdf').read_bytes(), re.S):
            tables = {font[at:at + 4]: int.from_bytes(font[at + 8:at + 12], 'big') for at in range(12, 12 + 16 * font[5], 16)}
            number = lambda at, size=2: int.from_bytes(font[at:at + size], 'big')
            wide = 2 << number(tables[b'head'] + 50)
            place = lambda glyph: number(tables[b'loca'] + wide * glyph, wide) * 4 // wide
            drawn = {glyph for glyph in range(number(tables[b'maxp'] + 4)) if place(glyph) < place(glyph + 1)}
            parts = set()
            for at in (tables[b'glyf'] + place(glyph) for glyph in drawn):
                at, more = at + 10, number(at) == 0xFFFF
                while more:
                    flags = number(at)
                    parts.add(number(at + 2))
                    at += 6 + 2 * (flags & 1) + 2 * (flags >> 3 & 1) + 4 * (flags >> 6 & 1) + 8 * (flags >> 7 & 1)
                    more = flags & 32
            yield drawn, parts

    def within_margins(self):
        """No word stands outside the page, or nearer to its edge than a printer prints."""
        page, *words = re.findall(r'<(?:page width="([\d.]+)" height="([\d.]+)"|word xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)"'
                                  r' yMax="([\d.]+)")', self._run('pdftotext', '-bbox', self.file, '-'))
        width, height = float(page[0]), float(page[1])
        self.t.true(len(words) > 20, words)
        for word in words:
            left, top, right, bottom = map(float, word[2:])
            self.t.true(left >= 30 and top >= 10 and right <= width - 30 and bottom <= height - 15, f'{word} on {page}')

    def link(self):
        """What a telephone's camera reads."""
        self._run('pdftoppm', '-r', '150', '-png', '-singlefile', self.file, self.t.path('sheet'))
        done = subprocess.run(['zbarimg', '-q', '--raw', self.t.path('sheet.png')], capture_output=True, text=True)
        self.t.equal(done.returncode, 0, done.stderr)
        return done.stdout.removesuffix('\n')


class Letter(Sheet):
    """A letter: its token and its PIN."""
    def __init__(self, t, db, patient, *paper):
        super().__init__(t, t.one(db, f'SELECT portal_letter({", ".join("?" * (1 + len(paper)))})', patient, *paper))
        self.pin = re.search(r'(?<!\S)\d{6}(?!\S)', self.text)[0]
        # Of two lines, with the PIN's words beside them.
        self.token = re.search(r'(?<!\S)[\w-]{32}(?!\S)', self.text)[0]
