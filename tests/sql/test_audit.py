"""The audit: what was done stays as it was written, and whatever else shows."""
import os
import sqlite3

import harness

EVENTS = 8
COLUMNS = {
    'event_id': '100', 'at': 'at + 1', 'application': "'portal'", 'actor': "'somebody'",
    'action': "'access.granted'", 'patient_id': '7', 'subject': "'message 7'",
    'detail': "'all is well'", 'hash': 'randomblob(32)',
}
SIX_YEARS = 2192 * 86400


def chain(t, events=EVENTS):
    """A database whose audit has so many events, and the last of them."""
    db = t.database()
    while (count := t.one(db, 'SELECT count(*) FROM portal_audit')) < events:
        db.execute("SELECT portal_setting('link_hours', ?)", [count + 1])
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
    return db


def tamper(t, db, sql):
    """Changes the file as somebody would who has it, but not the key."""
    with sqlite3.connect(t.file(db), isolation_level=None) as other:
        for name, in other.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            other.execute(f'DROP TRIGGER {name}')
        other.executescript(sql)
    other.close()


def broken(t, db, event):
    t.contains(t.one(db, 'SELECT portal_audit_verify()'), f'event {event} ')


def test_a_new_database_has_a_whole_audit_of_one_event(t):
    db = t.database()
    t.equal(t.all(db, 'SELECT event_id, application, action FROM portal_audit'),
            [(1, 'ehr', 'portal.initialised')])
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_an_event_says_when_who_for_which_application_and_what(t):
    db = t.database()
    db.execute("SELECT portal_as('ehr', 'anna')")
    patient_id = t.patient(db)
    t.one(db, 'SELECT send_registration(?, ?)', patient_id, 'email')
    row = db.execute("SELECT at, application, actor, patient_id FROM portal_audit"
                     " WHERE action = 'registration.queued'").fetchall()
    t.equal(row, [(t.now(), 'ehr', 'anna', patient_id)])


def test_an_event_edited_in_any_column_is_named(t):
    for column, value in COLUMNS.items():
        db = chain(t)
        tamper(t, db, f'UPDATE portal_audit SET {column} = {value} WHERE event_id = 5')
        broken(t, db, 5)


def test_a_value_of_another_type_that_reads_the_same_is_named(t):
    for change in ('at = CAST(CAST(at AS TEXT) AS BLOB)', 'actor = CAST(actor AS BLOB)',
                   "patient_id = ''", 'hash = CAST(hash AS TEXT)', 'hash = NULL',
                   "detail = coalesce(detail, '') || char(0) || 'x'"):
        db = chain(t)
        # As constraints are the file's as well, they go first.
        tamper(t, db, "PRAGMA writable_schema = on; UPDATE sqlite_schema SET"
                      " sql = replace(sql, 'NOT NULL', '') WHERE name = 'portal_audit'")
        tamper(t, db, f'UPDATE portal_audit SET {change} WHERE event_id = 5')
        t.contains(f"{change}: {t.one(db, 'SELECT portal_audit_verify()')}", 'event 5 ')


def test_a_patient_id_of_another_type_is_named(t):
    db = chain(t, 3)
    t.refuses(db, "SELECT send_registration(12345, 'email')")
    last = t.one(db, 'SELECT max(event_id) FROM portal_audit')
    t.equal(t.one(db, 'SELECT patient_id FROM portal_audit WHERE event_id = ?', last), 12345)
    for value in ("'12345'", "CAST('12345' AS BLOB)"):
        tamper(t, db, f'UPDATE portal_audit SET patient_id = {value} WHERE event_id = {last}')
        broken(t, db, last)


def test_a_deleted_event_is_named(t):
    for event in (1, 5, EVENTS):
        db = chain(t)
        tamper(t, db, f'DELETE FROM portal_audit WHERE event_id = {event}')
        broken(t, db, event)


def test_a_deleted_event_whose_gap_was_closed_is_named(t):
    db = chain(t)
    tamper(t, db, 'DELETE FROM portal_audit WHERE event_id = 5;'
                  'UPDATE portal_audit SET event_id = event_id - 1 WHERE event_id > 5')
    broken(t, db, 5)


def test_an_inserted_event_is_named(t):
    for event in (-3, 0, EVENTS + 1, EVENTS + 7):
        db = chain(t)
        tamper(t, db, "INSERT INTO portal_audit(event_id, at, application, actor, action, hash)"
                      f" VALUES ({event}, 1, 'ehr', 'a', 'b', randomblob(32))")
        broken(t, db, min(event, EVENTS + 1))


def test_an_event_inserted_between_two_others_is_named(t):
    db = chain(t)
    tamper(t, db, 'UPDATE portal_audit SET event_id = -event_id - 1 WHERE event_id > 4;'
                  'UPDATE portal_audit SET event_id = -event_id WHERE event_id < 0;'
                  'INSERT INTO portal_audit SELECT 5, at, application, actor, action, patient_id,'
                  ' subject, detail, hash FROM portal_audit WHERE event_id = 4')
    broken(t, db, 5)


def test_two_events_swapped_are_named(t):
    db = chain(t)
    tamper(t, db, 'UPDATE portal_audit SET event_id = -4 WHERE event_id = 4;'
                  'UPDATE portal_audit SET event_id = 4 WHERE event_id = 6;'
                  'UPDATE portal_audit SET event_id = 6 WHERE event_id = -4')
    broken(t, db, 4)


def test_an_event_replaced_by_another_one_of_the_same_chain_is_named(t):
    db = chain(t)
    tamper(t, db, 'REPLACE INTO portal_audit SELECT 5, at, application, actor, action, patient_id,'
                  ' subject, detail, hash FROM portal_audit WHERE event_id = 3')
    broken(t, db, 5)


def test_events_of_another_practice_do_not_pass_for_own_ones(t):
    db, other = chain(t), chain(t)
    tamper(t, db, f"ATTACH '{t.file(other)}' AS other;"
                  'DELETE FROM portal_audit; INSERT INTO portal_audit SELECT * FROM other.portal_audit')
    broken(t, db, 1)
    tamper(t, db, f"ATTACH '{t.file(other)}' AS other;"
                  'DELETE FROM portal_state; INSERT INTO portal_state SELECT * FROM other.portal_state')
    t.refuses(t.connect(t.file(db)), 'SELECT portal_audit_verify()', says='key file')


def test_a_cut_tail_is_named(t):
    db = chain(t)
    tamper(t, db, 'DELETE FROM portal_audit WHERE event_id > 5')
    broken(t, db, 6)


def test_a_cut_tail_shows_also_with_count_and_head_set_back(t):
    db = chain(t)
    tamper(t, db, 'DELETE FROM portal_audit WHERE event_id > 5;'
                  'UPDATE portal_state SET audit_count = 5,'
                  ' audit_head = (SELECT hash FROM portal_audit WHERE event_id = 5)')
    t.contains(t.one(db, 'SELECT portal_audit_verify()'), 'newest event')


def test_a_head_that_was_sealed_once_does_not_hide_the_events_after_it(t):
    db = chain(t)
    tamper(t, db, 'CREATE TABLE older AS SELECT audit_count, audit_head, audit_seal FROM portal_state')
    db.execute("SELECT portal_setting('link_hours', 48)")
    tamper(t, db, 'UPDATE portal_state SET (audit_count, audit_head, audit_seal) = (SELECT * FROM older)')
    broken(t, db, EVENTS + 1)


def test_a_head_that_was_sealed_in_a_copy_of_the_database_shows(t):
    db = chain(t)
    copy = t.connect(t.path('copy.db'))
    db.backup(copy)
    for one, hours in ((db, 48), (copy, 96)):
        os.environ['PORTAL_KEY_FILE'] = f'{t.file(db)}.portal-key'
        one.execute("SELECT portal_setting('link_hours', ?)", [hours])
    tamper(t, db, f"ATTACH '{t.file(copy)}' AS copy;"
                  'UPDATE portal_state SET (audit_count, audit_head, audit_seal) ='
                  ' (SELECT audit_count, audit_head, audit_seal FROM copy.portal_state)')
    broken(t, db, EVENTS + 1)


def test_an_emptied_audit_shows(t):
    db = chain(t)
    tamper(t, db, 'DELETE FROM portal_audit')
    broken(t, db, 1)
    tamper(t, db, 'UPDATE portal_state SET audit_count = 0, audit_head = zeroblob(32)')
    t.contains(t.one(db, 'SELECT portal_audit_verify()'), 'newest event')


def test_a_checkpoint_moved_by_hand_shows(t):
    db = chain(t)
    tamper(t, db, 'UPDATE portal_state SET checkpoint_id = 5,'
                  ' checkpoint_hash = (SELECT hash FROM portal_audit WHERE event_id = 5);'
                  'DELETE FROM portal_audit WHERE event_id <= 5')
    t.contains(t.one(db, 'SELECT portal_audit_verify()'), 'checkpoint')


def test_of_several_broken_events_the_first_is_named(t):
    db = chain(t)
    tamper(t, db, "UPDATE portal_audit SET detail = 'x' WHERE event_id IN (3, 6)")
    broken(t, db, 3)


def test_a_broken_chain_goes_on_and_stays_broken(t):
    db = chain(t)
    tamper(t, db, "UPDATE portal_audit SET detail = 'x' WHERE event_id = 3")
    db.execute("SELECT portal_setting('link_hours', 24)")
    broken(t, db, 3)


def test_another_connection_finds_what_the_first_one_wrote_whole(t):
    db = chain(t)
    t.equal(t.one(t.connect(t.file(db)), 'SELECT portal_audit_verify()'), None)


def test_a_wrong_or_missing_key_is_an_error_about_the_key_and_no_verdict(t):
    db, other = chain(t), chain(t)
    key, wrong = (t.path(f'{t.file(each).name}.portal-key') for each in (db, other))
    right = key.read_bytes()
    key.write_bytes(wrong.read_bytes())
    t.refuses(t.connect(t.file(db)), 'SELECT portal_audit_verify()', says=('key file', 'another database'))
    key.unlink()
    t.refuses(t.connect(t.file(db)), 'SELECT portal_audit_verify()', says=('key file', 'missing'))
    key.write_bytes(right)
    key.chmod(0o600)
    t.equal(t.one(t.connect(t.file(db)), 'SELECT portal_audit_verify()'), None)


def test_plain_sql_can_not_change_delete_or_replace_an_event(t):
    db = chain(t)
    before = t.all(db, 'SELECT * FROM portal_audit')
    for recursive in ('off', 'on'):
        db.execute(f'PRAGMA recursive_triggers = {recursive}')
        for sql in ("UPDATE portal_audit SET detail = 'x' WHERE event_id = 3",
                    "UPDATE OR REPLACE portal_audit SET event_id = 2 WHERE event_id = 3",
                    "UPDATE OR IGNORE portal_audit SET detail = 'x'",
                    'DELETE FROM portal_audit', 'DELETE FROM portal_audit WHERE event_id = 8',
                    "REPLACE INTO portal_audit(event_id, at, application, actor, action, hash)"
                    " VALUES (3, 1, 'ehr', 'a', 'b', x'00')",
                    "INSERT INTO portal_audit(event_id, at, application, actor, action, hash)"
                    " VALUES (3, 1, 'ehr', 'a', 'b', x'00') ON CONFLICT DO UPDATE SET detail = 'x'",
                    "INSERT INTO portal_audit(event_id, at, application, actor, action, hash)"
                    " VALUES (-1, 1, 'ehr', 'a', 'b', x'00')"):
            t.refuses(db, sql, says='append-only')
    t.equal(t.all(db, 'SELECT * FROM portal_audit'), before)


def test_a_missing_trigger_is_told_by_the_self_check(t):
    db = chain(t)
    t.equal(t.all(db, 'SELECT subject FROM portal_check'), [])
    db.execute('DROP TRIGGER portal_audit_no_update')
    t.equal(t.all(db, 'SELECT subject FROM portal_check'), [('portal_audit_no_update',)])


def test_events_of_less_than_six_years_are_not_purged(t):
    db = chain(t)
    t.advance(SIX_YEARS - 86400)
    t.contains(t.one(db, 'SELECT portal_purge(1)'), '0 audit events')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_audit'), EVENTS)


def test_events_beyond_six_years_are_purged_and_the_rest_verifies(t):
    db = chain(t)
    t.advance(SIX_YEARS + 86400)
    db.execute("SELECT portal_setting('link_hours', 24)")
    t.contains(t.one(db, 'SELECT portal_purge(1)'), f'{EVENTS} audit events')
    t.equal(t.all(db, 'SELECT event_id, action FROM portal_audit'),
            [(EVENTS + 1, 'setting.changed'), (EVENTS + 2, 'portal.purged')])
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_a_purge_of_all_events_leaves_a_checkpoint_that_new_events_follow(t):
    db = chain(t)
    t.advance(2 * SIX_YEARS)
    t.contains(t.one(db, 'SELECT portal_purge(1)'), f'{EVENTS} audit events')
    db.execute("SELECT portal_setting('link_hours', 24)")
    t.equal(t.one(db, 'SELECT min(event_id) FROM portal_audit'), EVENTS + 1)
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_a_longer_purge_keeps_events_longer_than_six_years(t):
    db = chain(t)
    t.advance(SIX_YEARS + 86400)
    t.contains(t.one(db, 'SELECT portal_purge(3000)'), '0 audit events')


def test_after_a_purge_events_are_protected_and_tampering_is_named_as_before(t):
    for change, event in (
            (f'DELETE FROM portal_audit WHERE event_id = {EVENTS + 1}', EVENTS + 1),
            (f"UPDATE portal_audit SET actor = 'x' WHERE event_id = {EVENTS + 2}", EVENTS + 2),
            ("INSERT INTO portal_audit(event_id, at, application, actor, action, hash)"
             " VALUES (3, 1, 'ehr', 'a', 'b', randomblob(32))", 3)):
        db = chain(t)
        t.advance(SIX_YEARS + 86400)
        db.execute("SELECT portal_setting('link_hours', 24)")
        t.one(db, 'SELECT portal_purge(1)')
        t.refuses(db, 'DELETE FROM portal_audit', says='append-only')
        tamper(t, db, change)
        broken(t, db, event)


def test_a_clock_set_back_does_not_make_newer_events_purgeable_out_of_order(t):
    db = chain(t, 3)
    now = t.now()
    t.clock(now + 20 * SIX_YEARS)
    db.execute("SELECT portal_setting('link_hours', 24)")
    t.clock(now + 10)
    db.execute("SELECT portal_setting('link_hours', 25)")
    t.clock(now + SIX_YEARS + 86400)
    t.contains(t.one(db, 'SELECT portal_purge(1)'), '3 audit events')
    t.equal(t.one(db, 'SELECT min(event_id) FROM portal_audit'), 4)
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_a_rolled_back_call_leaves_no_event_and_a_whole_chain(t):
    db = chain(t, 3)
    db.execute('BEGIN')
    db.execute("SELECT portal_setting('link_hours', 24)")
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)
    db.execute('ROLLBACK')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_audit'), 3)
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_a_refused_staff_call_is_an_event_and_a_refused_insert_is_none(t):
    db = chain(t, 3)
    reason = t.refuses(db, "SELECT send_registration(999, 'email')")
    t.refuses(db, "INSERT INTO send_registration VALUES (999, 'email')")
    t.equal(t.all(db, 'SELECT action, patient_id, subject, detail FROM portal_audit WHERE event_id > 3'),
            [('call.refused', 999, 'send_registration', reason)])
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def write_events(t, number, path, count):
    db = t.connect(path)
    db.execute('PRAGMA busy_timeout = 60000')
    db.execute('PRAGMA synchronous = off')
    t.together()
    for event in range(count):
        if event % 3 == 0:
            t.refuses(db, "SELECT send_registration(?, 'email')", 10_000 + number, says='not on file')
        else:
            db.execute("SELECT portal_setting('link_hours', ?)", [event % 100 + 1])


def two_writers(t, journal, count):
    db = t.database(journal=journal)
    t.equal(t.parallel(2, write_events, t.file(db), count), [None, None])
    t.equal(t.one(db, 'SELECT count(*) FROM portal_audit'), 2 * count + 1)
    t.equal(t.one(db, 'SELECT portal_audit_verify()'), None)


def test_two_processes_writing_events_do_not_fork_the_chain(t):
    two_writers(t, 'delete', 30)


@harness.release_only
def test_two_processes_writing_1500_events_each_do_not_fork_the_chain(t):
    two_writers(t, 'delete', 1500)


@harness.release_only
def test_two_processes_writing_1500_events_each_do_not_fork_the_chain_in_wal_mode(t):
    two_writers(t, 'wal', 1500)


def write_or_verify(t, number, path):
    db = t.connect(path)
    db.execute('PRAGMA busy_timeout = 60000')
    db.execute('PRAGMA synchronous = off')
    t.together()
    if number == 0:
        for event in range(400):
            db.execute("SELECT portal_setting('link_hours', ?)", [event % 100 + 1])
        return None
    return [answer for answer in (t.one(db, 'SELECT portal_audit_verify()') for _ in range(300)) if answer]


def test_events_written_meanwhile_are_not_taken_for_broken_ones(t):
    for journal in ('wal', 'delete'):
        db = t.database(journal=journal)
        t.equal(t.parallel(2, write_or_verify, t.file(db)), [None, []])


def test_a_purge_stops_at_an_event_whose_hash_is_none(t):
    db = chain(t)
    t.advance(SIX_YEARS + 100 * 86400)
    tamper(t, db, "UPDATE portal_audit SET hash = x'00'")
    t.refuses(db, 'SELECT portal_purge(2200)', says='portal_audit_verify()')
    t.equal(t.one(db, 'SELECT count(*) FROM portal_audit'), EVENTS)
