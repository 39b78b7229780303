"""Links, PINs, sessions, passwords, credentials and the key: nowhere but where they were given, and how they are scanned for."""
import base64
import os
import pathlib
import re
import sqlite3
import subprocess

import calls
import flows
import harness
import snapshot

PASSWORD, NEW, WRONG = 'Kartoffelsalat mit Speck', 'Pellkartoffeln mit Quark', 'Reibekuchen mit Apfelmus'
CREDENTIAL = 'hush-hush-0123456789'


class Life:
    """One patient's story through every call and refusal; what was secret in it, and all that was said."""

    def __init__(self, t, db):
        self.t, self.db = t, db
        self.said, self.pins = [], set()
        self.secrets = {'password': PASSWORD, 'new password': NEW, 'wrong password': WRONG, 'credential': CREDENTIAL}
        self.live()

    def ask(self, sql, *params, gives=None, of=None):
        """An answer, or None for an error; `gives` names what of it is the secret that was asked for."""
        try:
            answer = self.t.one(of or self.db, sql, *params)
        except sqlite3.Error as error:
            self.said.append(str(error))
            return None
        if gives is None:
            self.said.append(str(answer))
        return answer

    def new_link(self, patient, name):
        self.t.advance(60)
        self.secrets[name] = link = flows.send(self.t, self.db, patient)
        return link

    def new_pin(self, link, patient):
        pin = flows.pin(self.t, self.db, link, patient)
        self.pins |= {pin, flows.wrong_pin(pin)}
        return pin

    def login(self, password, name):
        self.secrets[name] = session = re.search(r'"session":"([\w-]{32})"', self.ask(
            "SELECT portal_login('ada', ?)", password, gives='session'))[1]
        return session

    def live(self):
        t, ask, patient = self.t, self.ask, self.t.patient(self.db)
        ask("SELECT portal_secret('smtp_password', ?)", CREDENTIAL)
        self.new_link(patient, 'superseded link')
        link = self.new_link(patient, 'link')
        pin = self.new_pin(link, patient)
        register = "SELECT register_patient(?, ?, 'ada', ?)"
        ask(register, link, flows.wrong_pin(pin), WRONG)
        ask(register, link, pin, 'short')
        ask(register, link, int(pin), PASSWORD)
        ask(register, link, pin, PASSWORD)
        ask("SELECT portal_login('ada', ?)", WRONG)
        session = self.login(PASSWORD, 'session')
        ask('SELECT portal_session(?)', session)
        ask('SELECT submit_demographics(?, ?, ?)', session, patient, '{"city": "London", "nonsense": 1}')
        ask('SELECT submit_demographics(?, ?, ?)', session, patient, '{"city": "London"}')
        ask("SELECT forgot_password('ada')")
        ask('SELECT deliver()')
        reset = re.search(r'/p/([\w-]{32})', t.text(t.mails(self.db)[-1]))[1]
        self.secrets['reset'] = reset
        ask('SELECT reset_password(?, ?)', reset, 'ada')
        ask('SELECT reset_password(?, ?)', reset, NEW)
        self.login(NEW, 'another session')
        self.misuse(link, pin, session, reset, patient)
        live = self.new_link(patient, 'live link')
        self.new_pin(live, patient)

    def misuse(self, link, pin, session, reset, patient):
        """Secrets as the wrong argument of every function and insert form, and where no call may be."""
        tokens, typed = [link, session, reset, self.secrets['superseded link']], [pin, PASSWORD, CREDENTIAL]
        patient_side = {name for name, in self.t.all(
            self.db, "SELECT name FROM portal_help WHERE applications = 'ehr, portal'")}
        for kind, form in (('function', 'SELECT {}({})'), ('insert', 'INSERT INTO {} VALUES ({})')):
            for name, words in calls.functions(self.db, kind):
                if name in ('portal_login', 'portal_key_rotate', 'portal_purge', 'portal_restored', 'portal_secret', 'portal_as'):
                    continue
                # What staff type is quoted when it is refused; a token is not, whoever passes it.
                for secret in tokens + (typed if name in patient_side else []):
                    for text in (secret, f'x{secret}') if secret in tokens and name in patient_side else (secret,):
                        self.ask(form.format(name, ', '.join('?' * len(words))), *[text] * len(words))
        self.db.execute('BEGIN')
        self.ask("SELECT portal_login('ada', ?)", PASSWORD)
        self.ask('SELECT request_pin(?, ?, ?)', link, pin, session)
        self.db.execute('ROLLBACK')
        reader = self.t.connect(f'file:{self.t.file(self.db)}?mode=ro', uri=True)
        for sql, *params in (("SELECT portal_login('ada', ?)", PASSWORD), ('SELECT reset_password(?, ?)', reset, NEW),
                             ("SELECT register_patient(?, ?, 'ada', ?)", link, pin, PASSWORD),
                             ("SELECT portal_secret('a', ?)", CREDENTIAL), ('SELECT portal_logout(?)', session),
                             ('SELECT revoke_access(?)', session), ('SELECT unlock_account(?)', link)):
            self.ask(sql, *params, of=reader)
        reader.close()


def forms(secret):
    """How a secret may lie in bytes: as it is, in hexadecimal, in UTF-16; of a token the keyed part as well."""
    raw = [secret.encode(), secret.encode('utf-16-le'), secret.encode('utf-16-be')]
    if re.fullmatch(r'[\w-]{32}', secret):
        # Id and nonce are in the row; what must not be there is the keyed hash over them.
        raw.append(base64.urlsafe_b64decode(secret)[8:])
    return [form for each in raw for form in (each, each.hex().encode(), each.hex().upper().encode())]


def find(content, secrets):
    return {what for what, secret in secrets.items() for form in forms(secret) if form in content}


def key_of(t, db):
    return bytes.fromhex(pathlib.Path(f'{t.file(db)}.portal-key').read_text().split()[-1])


def clean(t, secrets, **contents):
    for where, content in contents.items():
        t.equal(find(content, secrets), set(), f'{where} holds a secret in clear')


def texts_without_pins(t, pins, texts):
    t.equal({pin for pin in pins for text in texts if re.search(rf'(?<!\d){pin}(?!\d)', text)}, set(), 'a PIN in clear')


def cells(db):
    return [str(cell) for name in [*snapshot.portal_tables(db), 'patient'] for row in db.execute(f'SELECT * FROM {name}')
            for cell in row if isinstance(cell, (str, int))]


# On disk

def test_no_file_dump_or_backup_holds_a_secret(t):
    for journal, encoding in (('wal', 'UTF-8'), ('persist', 'UTF-16le')):
        db = t.database(init=False)
        db.execute(f"PRAGMA encoding = '{encoding}'")
        db.execute(f'PRAGMA journal_mode = {journal}')
        db.execute('SELECT portal_init()')
        other = t.connect(t.file(db))     # so that the WAL is not checkpointed away
        life = Life(t, db)
        files = {file.name: file.read_bytes() for file in t.directory.glob(t.file(db).name + '*')
                 if file.is_file() and not file.name.endswith('portal-key')}
        t.true(len(files) >= 2, f'{[*files]} should be a database and its log')
        db.execute('VACUUM INTO ?', [str(t.path(f'{journal}.copy'))])
        backup = t.connect(t.path(f'{journal}.backup'), extension=False)
        db.backup(backup)
        dump = subprocess.run(['sqlite3', t.file(db), '.dump'], capture_output=True, check=True).stdout
        t.contains(dump.decode(), 'INSERT INTO portal_registration')
        clean(t, life.secrets, dump=dump, **files, **{file: t.path(file).read_bytes() for file in
                                                      (f'{journal}.copy', f'{journal}.backup')})
        key = key_of(t, db)
        for name, content in files.items():
            t.true(key not in content and key.hex().encode() not in content, f'{name} holds the key')
        texts_without_pins(t, life.pins, cells(db))
        other.close()


def test_a_journal_caught_in_the_middle_of_a_transaction_holds_no_secret(t):
    for journal in ('wal', 'delete'):
        db = t.database(journal=journal)
        life = Life(t, db)
        db.execute('PRAGMA cache_size = 1')
        db.execute('BEGIN')
        db.execute("SELECT portal_secret('another', ?)", [CREDENTIAL])
        for _ in range(60):
            t.patient(db)
        db.execute("INSERT OR IGNORE INTO send_registration SELECT patient_id, 'email' FROM patient")
        claim = t.one(db, 'SELECT claim_messages(60)')
        for number, (text,) in enumerate(t.all(db, 'SELECT text FROM portal_claimed(?)', claim)):
            life.secrets[f'claimed {number}'] = re.search(r'/r/([\w-]{32})', text)[1]
        files = {file.name: file.read_bytes() for file in t.directory.glob(t.file(db).name + '-*') if file.is_file()}
        t.true(sum(map(len, files.values())) > 10_000, f'{[*files]} should hold a transaction that spilled')
        clean(t, life.secrets, database=t.file(db).read_bytes(), **files)
        db.execute('ROLLBACK')


# What is said, traced, logged, and seen by triggers

def test_no_answer_or_error_repeats_a_secret(t):
    life = Life(t, t.database())
    t.true(len(life.said) > 150, str(len(life.said)))
    t.contains('\n'.join(life.said), 'refused', 'autocommit', f"no account '{'*' * 32}'",
               f"patient '{'*' * 32}' was never sent")
    clean(t, life.secrets, said='\n'.join(life.said).encode())
    texts_without_pins(t, life.pins, life.said)


def test_what_an_application_traces_shows_what_it_bound_and_nothing_of_ours(t):
    db, traced = t.database(), []
    db.set_trace_callback(traced.append)
    life = Life(t, db)
    db.set_trace_callback(None)
    own = [statement for statement in traced if not statement.startswith('-- ')]
    ours = [statement for statement in traced if statement.startswith('-- ')]
    t.true(len(ours) > 500)
    clean(t, life.secrets, ours='\n'.join(ours).encode())
    texts_without_pins(t, life.pins, ours)
    # Stated: its own statements with their values are the application's to keep.
    t.contains(find('\n'.join(own).encode(), life.secrets), 'password', 'link', 'session', 'reset')


def test_a_trigger_on_every_table_sees_no_secret(t):
    db = t.database()
    db.execute('CREATE TABLE seen(what)')
    for name in snapshot.portal_tables(db):
        columns = [row[1] for row in t.all(db, f'PRAGMA table_info({name})')]
        for event in ('INSERT', 'UPDATE'):
            values = " || ' ' || ".join(f'hex(NEW.{column})' for column in columns)
            db.execute(f'CREATE TRIGGER seen_{name}_{event} AFTER {event} ON {name} BEGIN'
                       f' INSERT INTO seen VALUES ({values}); END')
    life = Life(t, db)
    seen = '\n'.join(what for what, in t.all(db, 'SELECT what FROM seen'))
    t.true(len(seen) > 10_000)
    clean(t, life.secrets, triggers=seen.encode())


def test_sqlites_error_log_holds_no_secret(t):
    db = t.database()
    life = Life(t, db)
    log = t.path('errors.log')
    done = t.shell(t.file(db), '\n'.join([
        f'.log {log}', f""".param set :link "'{life.secrets['live link']}'\"""", f""".param set :password "'{PASSWORD}'\"""",
        '.param set :pin 123456', 'CREATE TABLE once(x UNIQUE); INSERT INTO once VALUES (1);', 'PRAGMA max_page_count = 1;',
        "SELECT register_patient(:link, :pin, 'zoe', :password);", "SELECT portal_login('zoe', :password);",
        'BEGIN;', 'SELECT reset_password(:link, :password);', 'ROLLBACK;', 'SELECT portal_secret(:link, :password);',
        'CREATE TRIGGER no BEFORE INSERT ON portal_throttle BEGIN SELECT RAISE(ABORT, no); END;',
        "CREATE TRIGGER no BEFORE INSERT ON portal_throttle BEGIN SELECT RAISE(ABORT, 'no'); END;",
        "SELECT portal_login('zoe', :password);", 'INSERT INTO once VALUES (1);']))
    logged = log.read_text()
    t.contains(logged, 'UNIQUE constraint failed')
    clean(t, life.secrets, log=logged.encode(), shell=(done.stdout + done.stderr).encode())


# In memory

class Bystander:
    """A sqlite3 shell whose memory is looked at from outside; it is never told the secrets looked for."""

    def __init__(self, t, path):
        self.process = subprocess.Popen(
            ['sqlite3', '-batch', '-cmd', f'.load {harness.CLOCK_VFS}', '-cmd', f'.open {path}',
             '-cmd', f'.load {t.extension}', ':memory:'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def say(self, line):
        self.process.stdin.write(f'{line}\n.print +++\n')
        self.process.stdin.flush()
        return ''.join(iter(self.process.stdout.readline, '+++\n'))

    def memory(self):
        """All that it may write to, as bytes."""
        found = []
        with open(f'/proc/{self.process.pid}/maps') as maps, open(f'/proc/{self.process.pid}/mem', 'rb', 0) as memory:
            for start, end in re.findall(r'^([0-9a-f]+)-([0-9a-f]+) rw', maps.read(), re.M):
                memory.seek(int(start, 16))
                found.append(memory.read(int(end, 16) - int(start, 16)))
        return b''.join(found)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


@harness.release_only
def test_what_we_made_or_derived_is_wiped_from_memory(t):
    db = t.database()
    patient = t.patient(db)
    flows.register(t, db, patient, 'ada', PASSWORD)
    t.advance(60)
    shell = Bystander(t, t.file(db))
    t.contains(shell.say(f"SELECT send_registration({patient}, 'email');"), 'sent by email')
    link = t.token(t.mails(db)[-1])
    clean(t, {'link': link}, memory=shell.memory())
    t.contains(shell.say(f"SELECT request_pin('{link}', 'Lovelace', '1985-12-10');"), 'pin_sent')
    pin = t.pin(flows.newest(t, db, 'PIN'))
    t.equal(re.findall(rf'PIN[^\0]{{0,20}}{pin}'.encode(), shell.memory()), [], 'the PIN')
    # What a caller types and binds is in memory that is not ours: stated, not wiped.
    t.contains(shell.say(f"SELECT portal_login('ada', '{PASSWORD}') LIKE '%session%';"), '1')
    t.true(PASSWORD.encode() in shell.memory())
    t.contains(shell.say("SELECT forgot_password('ada'); SELECT deliver();"), '"sent":1')
    reset = re.search(r'/p/([\w-]{32})', t.text(t.mails(db)[-1]))[1]
    clean(t, {'reset': reset}, memory=shell.memory())
    key = key_of(t, db)
    t.true(shell.memory().count(key) == 1, 'the key lies once in memory while the connection is open')
    shell.say('.open :memory:')
    left = shell.memory()
    shell.close()
    t.true(key not in left and key.hex().encode() not in left, 'the key is left when the connection is closed')


def test_what_looks_like_a_link_is_told_as_it_is_unless_the_key_says_it_is_one_or_can_not_say(t):
    db = t.database()
    patient = t.patient(db)
    link = flows.send(t, db, patient)
    text = 'x' * 32
    t.refuses(db, 'SELECT portal_as(?)', text, says=text)
    t.true(link not in t.refuses(db, 'SELECT portal_as(?)', link))
    keyless = t.connect(t.file(db))
    os.unlink(f'{t.file(db)}.portal-key')
    for secret in (text, link):
        t.true(secret not in t.refuses(keyless, 'SELECT portal_as(?)', secret))
