"""Representatives of minors: they lose access when the patient is of age, unless staff confirm it."""
import flows
import harness

DAY = 86400
BIRTHDAY = 1796083200           # 2026-12-01 00:00:00 UTC
BORN = '2008-12-01'


def minor(t, db, **columns):
    """A patient of 17 with a representative, who is signed in: the patient, the session."""
    t.clock(BIRTHDAY - 40 * DAY)
    child = t.patient(db, **{'first_name': 'Mia', 'date_of_birth': BORN, **columns})
    return child, flows.register_representative(t, db, child, 'rita.p')


def accesses(t, db):
    return t.all(db, 'SELECT patient_id, username, status FROM portal_people ORDER BY rowid')


def works(t, db, session, patient):
    """Whether the session sees the patient, its owner can sign in, and can enter something."""
    signs_in = flows.ask(t, db, "SELECT portal_login('rita.p', ?)", flows.PASSWORD)['result'] == 'ok'
    seen = patient in (flows.patients_of(t, db, session) or [])
    entered = flows.ask(t, db, 'SELECT submit_demographics(?, ?, \'{"city":"Ashford"}\')', session, patient)
    asked = flows.ask(t, db, 'SELECT portal_demographics(?, ?)', session, patient)
    found = {signs_in, seen, entered['result'] == 'submitted', asked is not None and asked.get('result') != 'refused'}
    t.equal(len(found), 1, f'{found}: {entered} {asked}')
    return found.pop()


def test_access_ends_with_the_birthday_and_no_night_has_to_pass(t):
    db = t.database()
    child, session = minor(t, db)
    t.clock(BIRTHDAY - 1)
    session = flows.login(t, db, 'rita.p')
    t.true(works(t, db, session, child))
    t.clock(BIRTHDAY)
    t.true(not works(t, db, session, child))
    t.equal(accesses(t, db), [(child, 'rita.p', 'active')])
    t.clock(BIRTHDAY - 1)
    t.equal(flows.patients_of(t, db, session), [child], 'the clock was wrong and is right again')


def test_the_nightly_run_marks_ends_tells_and_records_once(t):
    db = t.database()
    child, session = minor(t, db, preferred_language='es')
    t.clock(BIRTHDAY)
    t.equal(t.one(db, 'SELECT end_representatives()'), 1)
    t.equal(t.one(db, 'SELECT end_representatives()'), 0)
    t.equal(accesses(t, db), [(child, 'rita.p', 'outgrown')])
    t.equal(t.one(db, 'SELECT count(*) FROM portal_session WHERE ended_at IS NULL'), 0)
    t.equal(t.all(db, "SELECT patient_id, subject, detail FROM portal_events WHERE action = 'representative.outgrown'"),
            [(child, 'rita.p', None)])
    t.equal(t.all(db, "SELECT patient_id, recipient, status FROM portal_message WHERE kind = 'access_ended'"),
            [(None, t.one(db, 'SELECT contact FROM portal_account'), 'queued')])
    t.one(db, 'SELECT deliver()')
    mail = t.mails(db)[-1]
    t.contains(t.text(mail), 'en nombre de otra')
    t.true('Mia' not in str(mail) and 'Lovelace' not in str(mail), str(mail))
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
    t.contains(flows.status(t, db, child, 'next_step'), 'send a registration')


def test_the_sqlite3_shell_and_the_command_do_it_by_night(t):
    nightly = (harness.ROOT / 'sql/nightly.sql').read_text().replace('build/portal', str(t.extension))
    for run in (lambda db: t.shell(t.file(db), nightly, extension=False),
                lambda db: t.portal('nightly', '--database', t.file(db))):
        db = t.database()
        child, _ = minor(t, db)
        t.clock(BIRTHDAY)
        t.contains(run(db).stdout, 'Representatives outgrown: 1\n', 'Messages handed over:     1')
        t.equal(accesses(t, db), [(child, 'rita.p', 'outgrown')])


def test_who_opted_out_is_not_told_and_the_audit_says_so(t):
    db = t.database()
    minor(t, db)
    t.one(db, 'SELECT portal_opt_out(contact) FROM portal_account')
    t.clock(BIRTHDAY)
    t.equal(t.one(db, 'SELECT end_representatives()'), 1)
    t.equal(t.one(db, "SELECT count(*) FROM portal_message WHERE kind = 'access_ended'"), 0)
    t.contains(t.one(db, "SELECT detail FROM portal_events WHERE action = 'representative.outgrown'"), 'opted out')


def test_a_confirmed_representative_keeps_access(t):
    db = t.database()
    child, _ = minor(t, db)
    t.contains(t.one(db, "SELECT confirm_representative(?, 'RITA.P')", child),
               "The representative 'RITA.P' keeps access to patient")
    t.clock(BIRTHDAY + DAY)
    t.equal(t.one(db, 'SELECT end_representatives()'), 0)
    t.true(works(t, db, flows.login(t, db, 'rita.p'), child))
    t.equal(t.one(db, 'SELECT confirmed_at FROM portal_people'), '2026-10-22 00:00:00')


def test_confirming_after_the_birthday_gives_access_back_before_and_after_the_night(t):
    for night in (False, True):
        db = t.database()
        child, _ = minor(t, db)
        t.clock(BIRTHDAY + DAY)
        if night:
            t.one(db, 'SELECT end_representatives()')
        t.contains(t.one(db, "SELECT confirm_representative(?, 'rita.p')", child),
                   'again has access' if night else 'keeps access')
        t.true(works(t, db, flows.login(t, db, 'rita.p'), child))
        t.equal(t.one(db, 'SELECT end_representatives()'), 0)


def test_confirming_is_refused_with_the_remedy(t):
    confirm = "SELECT confirm_representative(?, 'rita.p')"
    db = t.database()
    child, _ = minor(t, db)
    flows.register_with(t, db, flows.send(t, db, other := t.patient(db), 'text'), other, 'ada.l')
    for patient, username, said in (
            (child, 'nobody', 'is no representative of patient'), (4711, 'rita.p', 'is no representative of patient 4711'),
            (other, 'ada.l', 'is the login of patient'), (None, 'rita.p', 'patient_id is NULL')):
        t.refuses(db, 'SELECT confirm_representative(?, ?)', patient, username, says=said)
    t.clock(BIRTHDAY)
    t.one(db, 'SELECT end_representatives()')
    t.one(db, 'SELECT revoke_access(?)', child)
    t.refuses(db, confirm, child, says='is revoked; send a registration to grant it again, then confirm')
    t.equal(accesses(t, db)[0], (child, 'rita.p', 'outgrown'))
    t.advance(60)
    t.one(db, "SELECT send_registration(?, 'email')", child)
    t.equal(accesses(t, db)[0], (child, 'rita.p', 'outgrown'), 'granting again is not for who is outgrown')
    t.one(db, confirm, child)
    t.one(db, "SELECT remove_representative(?, 'rita.p')", child)
    t.refuses(db, confirm, child, says='is no representative')


def test_who_was_given_access_to_an_adult_keeps_it_and_so_does_everybody_without_the_setting(t):
    db = t.database()
    child, _ = minor(t, db)
    t.clock(BIRTHDAY)
    adult = t.patient(db, first_name='Max', date_of_birth=BORN)
    flows.register_representative(t, db, adult, 'sam.spouse', relationship='spouse')
    t.one(db, "SELECT portal_setting('representative_age', 0)")
    t.equal(t.one(db, 'SELECT end_representatives()'), 0)
    t.true(works(t, db, flows.login(t, db, 'rita.p'), child))
    t.one(db, "SELECT portal_setting('representative_age', NULL)")
    t.advance(400 * DAY)
    t.equal(t.one(db, 'SELECT end_representatives()'), 1)
    t.equal(accesses(t, db), [(child, 'rita.p', 'outgrown'), (adult, 'sam.spouse', 'active')])


def test_registering_anew_with_a_link_to_the_grown_patient_counts_from_then(t):
    db = t.database()
    child, _ = minor(t, db)
    t.clock(BIRTHDAY)
    t.one(db, 'SELECT end_representatives()')
    token = flows.send(t, db, child)
    flows.ask(t, db, 'SELECT register_representative(?, ?, ?, ?, ?, ?)', token, flows.pin(t, db, token, child), 'rita.p',
              flows.PASSWORD, 'Rita', 'guardian')
    t.equal(t.one(db, 'SELECT end_representatives()'), 0)
    t.true(works(t, db, flows.login(t, db, 'rita.p'), child))


def test_who_was_born_on_29_february_is_of_age_on_1_march(t):
    db = t.database()
    child, _ = minor(t, db, date_of_birth='2008-02-29')
    t.equal(t.one(db, "SELECT portal_setting('representative_age', 19)"), '19')
    for day, ended in (('2027-02-28', 0), ('2027-03-01', 1)):
        t.clock(t.one(db, 'SELECT unixepoch(?)', day))
        t.equal(t.one(db, 'SELECT end_representatives()'), ended, day)


def test_a_date_of_birth_that_can_not_be_read_ends_nothing_and_the_self_check_tells(t):
    db = t.database()
    child, _ = minor(t, db)
    db.execute("UPDATE patient SET date_of_birth = '1 December 2008'")
    t.clock(BIRTHDAY + DAY)
    t.equal(t.one(db, 'SELECT end_representatives()'), 0)
    t.contains(str(t.all(db, 'SELECT * FROM portal_check')), f'patient {child}, rita.p', 'date of birth')


def test_staff_see_it_30_days_before(t):
    db = t.database()
    child, _ = minor(t, db)
    told = "SELECT problem, subject, remedy FROM portal_check WHERE problem LIKE 'a representative %'"
    t.clock(BIRTHDAY - 30 * DAY - 1)
    t.equal((t.all(db, told), flows.status(t, db, child, 'next_step')), ([], None))
    for at, word in ((BIRTHDAY - 30 * DAY, 'loses'), (BIRTHDAY, 'lost')):
        t.clock(at)
        t.equal(t.all(db, told), [(f'a representative {word} access on 2026-12-01', f'patient {child}, rita.p',
                                   f"nothing, or confirm_representative({child}, 'rita.p') where they are to keep it")])
        t.equal(flows.status(t, db, child, 'next_step'),
                f"the representative 'rita.p' {word} access on 2026-12-01, when the patient is of age; where they are to "
                f"keep it: confirm_representative({child}, 'rita.p')")


def test_of_two_representatives_the_first_is_named(t):
    db = t.database()
    child, _ = minor(t, db)
    flows.register_representative(t, db, child, 'rob.p')
    t.clock(BIRTHDAY)
    t.contains(flows.status(t, db, child, 'next_step'), "the representative 'rita.p' lost access")
    t.equal(t.one(db, "SELECT count(*) FROM portal_check WHERE problem LIKE 'a representative %'"), 2)


def test_many_are_ended_in_batches(t):
    db = t.database()
    child, _ = minor(t, db)
    # Of the first thousand that are looked at all but one are of a sibling, who stays a minor.
    flows.register_representative(t, db, t.patient(db, first_name='Max', date_of_birth='2015-01-01'), 'rosa.p')
    db.execute("WITH n(i) AS (VALUES (3) UNION ALL SELECT i + 1 FROM n WHERE i < 1349)"
               " INSERT INTO portal_account SELECT i, 'rep' || i, 'rep' || i, password, name, channel,"
               "   'rep' || i || '@example.com', created_at, NULL FROM portal_account, n WHERE account_id = 1")
    db.execute("INSERT INTO portal_access (account_id, patient_id, role, relationship, identity, status, granted_at)"
               " SELECT u.account_id, x.patient_id, x.role, x.relationship, x.identity, 'active', x.granted_at"
               "   FROM portal_account AS u JOIN portal_access AS x ON x.access_id = iif(u.account_id > 1100, 1, 2)"
               "  WHERE u.account_id > 2 ORDER BY u.account_id")
    t.clock(BIRTHDAY)
    t.equal(t.one(db, 'SELECT end_representatives()'), 250)
    t.equal(t.one(db, "SELECT count(*) FROM portal_message WHERE kind = 'access_ended'"), 250)
    t.equal(t.all(db, 'SELECT status, count(*) FROM portal_access GROUP BY 1'), [('active', 1099), ('outgrown', 250)])
