"""Yesterday's database put back with the right key: what works again, and the one call that ends it."""
import re

import flows
import snapshot

NEW = 'a password that came later'
MINUTE, HOUR = 60, 3600


class Practice:
    """A database, its backup, and what people held when it was made; all of it was used up since."""

    def __init__(self, t):
        self.t, self.db = t, t.database()
        self.ada, self.ben, self.eve, self.guest = (t.patient(self.db, first_name=name)
                                                    for name in ('Ada', 'Ben', 'Eve', 'Guest'))
        self.session = flows.register(t, self.db, self.ada, 'ada')
        flows.register(t, self.db, self.eve, 'eve')
        self.reset = self.forgot('ada')
        self.link = flows.send(t, self.db, self.ben)
        self.pin = flows.pin(t, self.db, self.link, self.ben)
        self.queue(self.guest)
        self.backup = t.connect(t.path('backup.db'), extension=False)
        self.db.backup(self.backup)

    def forgot(self, username):
        self.t.one(self.db, 'SELECT forgot_password(?)', username)
        self.t.one(self.db, 'SELECT deliver()')
        return re.search(r'/p/([\w-]{32})', self.t.text(self.t.mails(self.db)[-1]))[1]

    def queue(self, patient):
        self.db.execute('BEGIN')
        self.t.one(self.db, "SELECT send_registration(?, 'email')", patient)
        self.db.execute('COMMIT')

    def use_up(self):
        t, db = self.t, self.db
        t.one(db, 'SELECT portal_logout(?)', self.session)
        t.equal(self.register(), 'registered')
        t.equal(self.reset_password(), 'reset')
        t.one(db, 'SELECT deliver()')
        t.one(db, 'SELECT revoke_access(?)', self.eve)
        t.equal(self.working(), set())

    def put_back(self):
        self.backup.backup(self.db)
        return self.db

    def register(self):
        return flows.ask(self.t, self.db, 'SELECT register_patient(?, ?, ?, ?)', self.link, self.pin,
                         'ben', flows.PASSWORD)['result']

    def reset_password(self):
        return flows.ask(self.t, self.db, 'SELECT reset_password(?, ?)', self.reset, NEW)['result']

    def working(self):
        """What of that which was handed out works; that it was used is undone again."""
        t, db = self.t, self.db
        now = t.connect(':memory:', extension=False)
        db.backup(now)
        works = {'link': t.one(db, 'SELECT token_valid(?)', self.link) == 1,
                 'session': t.one(db, 'SELECT portal_session(?)', self.session) is not None,
                 'reset': self.reset_password() == 'reset', 'pin': self.register() == 'registered'}
        now.backup(db)
        return {what for what, does in works.items() if does}


def test_what_works_again_is_what_still_has_time_left(t):
    practice = Practice(t)
    practice.use_up()
    practice.put_back()
    t.equal(practice.working(), {'link', 'session', 'pin', 'reset'})
    t.advance(10 * MINUTE)
    t.equal(practice.working(), {'link', 'session', 'reset'})
    t.advance(20 * MINUTE)
    t.equal(practice.working(), {'link', 'reset'})
    t.advance(30 * MINUTE)
    t.equal(practice.working(), {'link'})
    t.advance(71 * HOUR)
    t.equal(practice.working(), set())


def test_one_call_ends_all_that_works_again(t):
    practice = Practice(t)
    practice.use_up()
    db = practice.put_back()
    t.contains(t.one(db, 'SELECT portal_restored()'), 'links (2), PINs (1), resets (1), sessions (2)',
               'Revoke again')
    t.equal(practice.working(), set())
    t.equal(t.one(db, 'SELECT token_status(?)', practice.link), 'revoked')
    snapshot.whole(t, db)


def test_nothing_that_waited_is_sent_again(t):
    practice = Practice(t)
    claim = t.one(practice.db, 'SELECT claim_messages(1)')
    practice.db.backup(practice.backup)
    message = t.all(practice.db, 'SELECT message_id FROM portal_claimed(?)', claim)[0][0]
    t.advance(MINUTE)
    practice.queue(practice.eve)
    t.contains(t.one(practice.db, 'SELECT deliver()'), '"sent":1')
    db = practice.put_back()
    before = len(t.mails(db))
    t.one(db, 'SELECT portal_restored()')
    t.advance(HOUR)
    t.equal(t.one(db, 'SELECT deliver()'), '{"sent":0,"failed":0,"retrying":0,"waiting":0}')
    t.equal(len(t.mails(db)), before)
    # The mailer of before comes back late: the truth is kept, and the link stays dead.
    t.equal(t.one(db, "SELECT report_delivery(?, ?, 'sent')", claim, message), 1)
    t.equal(t.one(db, 'SELECT status FROM portal_registration WHERE registration_id = ?', message), 'failed')


def test_staff_see_whom_to_send_again_and_can_at_once(t):
    practice = Practice(t)
    db = practice.put_back()
    t.one(db, 'SELECT portal_restored()')
    for patient in (practice.ben, practice.guest):
        t.equal(flows.status(t, db, patient), 'failed')
        t.contains(flows.status(t, db, patient, 'message'), 'the database was restored from a backup')
        t.equal(flows.status(t, db, patient, 'next_step'), 'send the registration again')
        t.contains([subject for subject, in t.all(db, 'SELECT subject FROM portal_check')
                    if f'patient {patient}:' in subject][0], 'restored from a backup')
    db.execute("INSERT INTO send_registration SELECT patient_id, 'email' FROM portal_status WHERE status = 'failed'")
    t.contains(t.one(db, 'SELECT deliver()'), '"sent":2')
    t.equal(t.all(db, 'SELECT * FROM portal_check'), [])


def test_passwords_accesses_and_decisions_are_those_of_then(t):
    practice = Practice(t)
    practice.use_up()
    db = practice.put_back()
    t.one(db, 'SELECT portal_restored()')
    t.true(flows.can_login(t, db, 'ada') and not flows.can_login(t, db, 'ada', NEW))
    t.equal(flows.status(t, db, practice.eve), 'registered')
    t.true(flows.can_login(t, db, 'eve'), 'a revoke that was forgotten has to be made again')
    t.one(db, 'SELECT revoke_access(?)', practice.eve)
    t.true(not flows.can_login(t, db, 'eve'))
    # A reset of the password needs no cooldown to end.
    t.true(practice.forgot('ada') != practice.reset)


def test_what_was_made_since_does_not_work_though_its_numbers_are_used_again(t):
    practice = Practice(t)
    t.advance(MINUTE)
    link = flows.send(t, practice.db, practice.eve)
    session = flows.login(t, practice.db, 'ada')
    db = practice.put_back()
    t.one(db, 'SELECT portal_restored()')
    t.advance(1)
    flows.send(t, db, practice.eve)
    flows.login(t, db, 'ada')
    t.equal(t.one(db, 'SELECT token_status(?)', link), 'unknown')
    t.equal(t.one(db, 'SELECT portal_session(?)', session), None)


def test_wrong_guesses_count_as_then_until_the_call_ends_their_link(t):
    practice = Practice(t)
    for _ in range(10):
        t.one(practice.db, "SELECT request_pin(?, 'Wrong', '1985-12-10')", practice.link)
    t.equal(t.one(practice.db, 'SELECT token_valid(?)', practice.link), 0)
    db = practice.put_back()
    t.equal(t.one(db, 'SELECT token_valid(?)', practice.link), 1)
    t.one(db, 'SELECT portal_restored()')
    t.equal(t.one(db, "SELECT request_pin(?, 'Lovelace', '1985-12-10')", practice.link), '{"result":"refused"}')


def test_it_is_audited_and_once_more_does_no_harm(t):
    practice = Practice(t)
    db = practice.put_back()
    t.one(db, 'SELECT portal_restored()')
    before = snapshot.contents(db)
    t.contains(t.one(db, 'SELECT portal_restored()'), 'links (0), PINs (0), resets (0), sessions (0)')
    t.equal(snapshot.contents(db), before)
    t.equal(t.all(db, "SELECT application, detail FROM portal_audit WHERE action = 'portal.restored'"),
            [('ehr', 'ended 2 links, 1 PINs, 1 resets, 2 sessions'),
             ('ehr', 'ended 0 links, 0 PINs, 0 resets, 0 sessions')])
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_it_rolls_back(t):
    practice = Practice(t)
    db = practice.put_back()
    before = snapshot.contents(db, ())
    db.execute('BEGIN')
    t.one(db, 'SELECT portal_restored()')
    db.execute('ROLLBACK')
    t.equal(snapshot.contents(db, ()), before)
    t.equal(practice.working(), {'link', 'session', 'pin', 'reset'})
