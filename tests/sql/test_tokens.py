"""Links as a patient's browser, a mail scanner and a forger ask about them: token_valid, token_status."""
import base64
import re

import flows
import harness

HOUR = 3600


def status(t, db, token):
    return t.one(db, 'SELECT token_status(?)', token)


def says(t, db, token, expected):
    """Claims what a link is, by both functions."""
    t.equal(status(t, db, token), expected)
    t.equal(t.one(db, 'SELECT token_valid(?)', token), 1 if expected == 'valid' else 0, expected)


def sent(t, **columns):
    db = t.database()
    patient = t.patient(db, **columns)
    return db, patient, flows.send(t, db, patient)


def test_a_link_that_was_sent_is_valid(t):
    db, patient, token = sent(t)
    t.true(re.fullmatch(r'[A-Za-z0-9_-]{32}', token), token)
    says(t, db, token, 'valid')


def test_a_link_is_valid_to_the_last_second_of_72_hours(t):
    db, patient, token = sent(t)
    t.advance(72 * HOUR - 1)
    says(t, db, token, 'valid')
    t.advance(1)
    says(t, db, token, 'expired')


def test_the_72_hours_begin_with_the_hand_over_not_with_the_call(t):
    db = t.database()
    patient = t.patient(db)
    db.execute('BEGIN')
    t.contains(t.one(db, "SELECT send_registration(?, 'email')", patient), 'queued')
    db.execute('COMMIT')
    t.advance(HOUR)
    t.one(db, 'SELECT deliver()')
    token = t.token(t.mails(db)[-1])
    t.advance(72 * HOUR - 1)
    says(t, db, token, 'valid')
    t.advance(1)
    says(t, db, token, 'expired')


def test_an_expired_link_stays_expired_after_expire_links(t):
    db, patient, token = sent(t)
    t.advance(72 * HOUR)
    says(t, db, token, 'expired')
    t.equal(t.one(db, 'SELECT expire_links()'), 1)
    says(t, db, token, 'expired')


def test_link_hours_changes_the_life_of_links_sent_from_then_on(t):
    db, patient, token = sent(t)
    t.one(db, "SELECT portal_setting('link_hours', 1)")
    short = flows.send(t, db, t.patient(db))
    t.advance(HOUR)
    says(t, db, short, 'expired')
    says(t, db, token, 'valid')


def test_a_link_that_registered_somebody_is_used_for_ever(t):
    db, patient, token = sent(t)
    flows.register_with(t, db, token, patient, 'ada.lovelace')
    says(t, db, token, 'used')
    t.advance(100 * HOUR)
    t.one(db, 'SELECT expire_links()')
    says(t, db, token, 'used')
    t.one(db, 'SELECT revoke_access(?)', patient)
    says(t, db, token, 'used')


def test_an_older_link_is_superseded(t):
    db, patient, token = sent(t)
    t.advance(60)
    newer = flows.send(t, db, patient)
    says(t, db, token, 'superseded')
    says(t, db, newer, 'valid')


def test_an_older_link_that_had_expired_is_superseded_too(t):
    db, patient, token = sent(t)
    t.advance(73 * HOUR)
    flows.send(t, db, patient)
    says(t, db, token, 'superseded')


def test_a_revoked_link_is_revoked_even_when_it_expired_or_was_superseded_before(t):
    db, patient, token = sent(t)
    t.advance(60)
    newer = flows.send(t, db, patient)
    t.advance(73 * HOUR)
    t.one(db, 'SELECT revoke_access(?)', patient)
    says(t, db, token, 'revoked')
    says(t, db, newer, 'revoked')


def test_a_revoked_link_stays_dead_after_granting_again(t):
    db, patient, token = sent(t)
    t.one(db, 'SELECT revoke_access(?)', patient)
    newer = flows.send(t, db, patient)
    says(t, db, token, 'revoked')
    says(t, db, newer, 'valid')


def test_a_spent_link_is_revoked(t):
    db, patient, token = sent(t)
    for _ in range(10):
        t.one(db, "SELECT request_pin(?, 'Nobody', '1985-12-10')", token)
    says(t, db, token, 'revoked')


def claimed(t, db):
    """Claims the one message that waits; the claim and its id."""
    claim = t.one(db, 'SELECT claim_messages(1)')
    return claim, t.all(db, 'SELECT message_id, text FROM portal_claimed(?)', claim)[0]


def queue(t, db, patient, channel='email'):
    db.execute('BEGIN')
    t.one(db, 'SELECT send_registration(?, ?)', patient, channel)
    db.execute('COMMIT')


def test_a_link_is_good_from_the_claim_that_may_hand_it_over(t):
    db = t.database()
    queue(t, db, t.patient(db))
    claim, (message, text) = claimed(t, db)
    token = re.search(r'/r/([\w-]{32})', text)[1]
    says(t, db, token, 'valid')
    t.advance(30)
    t.one(db, "SELECT report_delivery(?, ?, 'sent')", claim, message)
    t.advance(72 * HOUR - 1)
    says(t, db, token, 'valid')
    t.advance(1)
    says(t, db, token, 'expired')


def test_an_undeliverable_or_bounced_link_is_revoked(t):
    for fate in (['undeliverable'], ['sent', 'bounced'], ['sent', 'opted_out']):
        db = t.database()
        queue(t, db, t.patient(db))
        claim, (message, text) = claimed(t, db)
        for step in fate:
            t.one(db, 'SELECT report_delivery(?, ?, ?)', claim, message, step)
        says(t, db, re.search(r'/r/([\w-]{32})', text)[1], 'revoked')


def test_a_changed_chart_shows_at_proof_and_not_before(t):
    db, patient, token = sent(t)
    db.execute("UPDATE patient SET email = 'moved@example.com' WHERE patient_id = ?", [patient])
    says(t, db, token, 'valid')
    t.equal(flows.ask(t, db, "SELECT request_pin(?, 'Lovelace', '1985-12-10')", token),
            {'result': 'refused'})
    says(t, db, token, 'revoked')


def test_null_asks_about_nothing(t):
    db = t.database()
    t.equal(t.all(db, 'SELECT token_valid(NULL), token_status(NULL)'), [(None, None)])


def flipped(token):
    """The token with one bit changed, for each of its 24 bytes and each bit."""
    raw = base64.urlsafe_b64decode(token)
    for place in range(len(raw)):
        for bit in range(8):
            forged = bytearray(raw)
            forged[place] ^= 1 << bit
            yield base64.urlsafe_b64encode(forged).decode()


def test_a_token_with_any_bit_changed_is_unknown(t):
    db, patient, token = sent(t)
    for forged in flipped(token):
        says(t, db, forged, 'unknown')
    says(t, db, token, 'valid')


def test_what_is_malformed_is_unknown(t):
    db, patient, token = sent(t)
    for text in ['', ' ', token[:-1], token + 'A', token + ' ', ' ' + token, token + '\n', token.swapcase(),
                 token + '=' * 4, token[:31] + '=', token[:31] + '+', token[:31] + 'é', '/' * 32, 'x' * 10_000_000,
                 token + '\0', token[:16] + '\0' + token[17:], '\0' + token, "'; DROP TABLE patient; --",
                 'A' * 32, '_' * 32, f'http://localhost:8080/r/{token}']:
        says(t, db, text, 'unknown')


def test_numbers_are_unknown_tokens(t):
    db = t.database()
    for number in (0, -1, 42, 2**63 - 1, 1.5, 1e308, float('inf')):
        says(t, db, number, 'unknown')


def test_invalid_utf8_is_unknown(t):
    db, patient, token = sent(t)
    for bytes_ in (b'\xff' * 32, token.encode()[:31] + b'\xc3', token.encode() + b'\x80', b'\xed\xa0\x80'):
        t.equal(t.all(db, 'SELECT token_status(CAST(? AS TEXT)), token_valid(CAST(? AS TEXT))',
                      bytes_, bytes_), [('unknown', 0)])


def test_a_blob_is_misuse(t):
    db, patient, token = sent(t)
    for function in ('token_valid', 'token_status'):
        t.refuses(db, f'SELECT {function}(?)', token.encode(), says=['token must be text', 'blob'])


def test_other_arities_are_misuse(t):
    db = t.database()
    for function in ('token_valid', 'token_status'):
        for arguments in ('', '1, 2'):
            t.refuses(db, f'SELECT {function}({arguments})', says='wrong number of arguments')


def test_a_session_and_a_reset_token_are_no_links_and_a_link_is_neither(t):
    db, patient, link = sent(t)
    session = flows.register_with(t, db, link, patient, 'ada.lovelace')
    t.one(db, "SELECT forgot_password('ada.lovelace')")
    t.one(db, 'SELECT deliver()')
    reset = re.search(r'/p/([\w-]{32})', t.text(t.mails(db)[-1]))[1]
    t.equal(len({link, session, reset}), 3)
    says(t, db, session, 'unknown')
    says(t, db, reset, 'unknown')
    for token in (link, reset):
        t.equal(t.one(db, 'SELECT portal_session(?)', token), None)
        t.equal(t.one(db, 'SELECT portal_logout(?)', token), 0)
    for token in (link, session):
        t.equal(flows.ask(t, db, "SELECT reset_password(?, 'another fine password')", token),
                {'result': 'refused', 'reason': 'link'})
    t.equal(flows.patients_of(t, db, session), [patient])


def test_a_link_of_another_database_is_unknown(t):
    db, patient, token = sent(t)
    other = t.database()
    flows.send(t, other, t.patient(other))
    says(t, other, token, 'unknown')


def test_a_link_whose_row_was_purged_or_never_committed_is_unknown(t):
    db, patient, token = sent(t)
    db.execute('DELETE FROM portal_registration')
    says(t, db, token, 'unknown')


def test_a_rolled_back_link_is_unknown_though_its_id_is_used_again(t):
    db = t.database()
    patient = t.patient(db)
    db.execute('BEGIN')
    t.one(db, "SELECT send_registration(?, 'email')", patient)
    claim, (message, text) = claimed(t, db)
    token = re.search(r'/r/([\w-]{32})', text)[1]
    db.execute('ROLLBACK')
    says(t, db, token, 'unknown')
    again = flows.send(t, db, patient)
    t.true(again != token)
    says(t, db, token, 'unknown')
    says(t, db, again, 'valid')


def trace(db, file):
    """What a write would change: the file's bytes and what SQLite counts."""
    return (file.read_bytes(), db.total_changes, db.execute('PRAGMA data_version').fetchone()[0])


@harness.release_only
def test_a_mail_scanner_that_asks_a_million_times_changes_nothing(t):
    db, patient, token = sent(t)
    observer = t.connect(t.file(db), extension=False)
    file = t.file(db)
    before = trace(db, file), trace(observer, file)
    count = 1_000_000
    numbers = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)'
    t.equal(t.all(db, f'{numbers} SELECT sum(token_valid(?)), count(*) FROM n', count, token),
            [(count, count)])
    t.equal(t.all(db, f'{numbers} SELECT count(*) FROM n WHERE token_status(?) = ?', count, token, 'valid'),
            [(count,)])
    t.equal((trace(db, file), trace(observer, file)), before)
    says(t, db, token, 'valid')
    t.equal(t.one(db, 'SELECT guesses + pins FROM portal_registration'), 0)


def test_asking_in_a_wal_database_adds_nothing_to_the_wal(t):
    db = t.database(journal='wal')
    token = flows.send(t, db, t.patient(db))
    wal = t.file(db).with_name(t.file(db).name + '-wal')
    before = wal.read_bytes(), trace(db, t.file(db))
    for _ in range(100):
        says(t, db, token, 'valid')
        says(t, db, 'x' * 32, 'unknown')
    t.equal((wal.read_bytes(), trace(db, t.file(db))), before)


def test_a_connection_that_can_only_read_may_ask(t):
    db, patient, token = sent(t)
    reader = t.connect(f'file:{t.file(db)}?mode=ro', uri=True)
    says(t, reader, token, 'valid')
    says(t, reader, 'x' * 32, 'unknown')
    query_only = t.connect(t.file(db))
    query_only.execute('PRAGMA query_only = 1')
    says(t, query_only, token, 'valid')


def test_asking_works_while_another_connection_writes(t):
    db, patient, token = sent(t)
    for journal in ('delete', 'wal'):
        db.execute(f'PRAGMA journal_mode = {journal}')
        writer = t.connect(t.file(db))
        reader = t.connect(t.file(db), timeout=0)
        writer.execute('BEGIN IMMEDIATE')
        writer.execute('UPDATE patient SET city = 1')
        says(t, reader, token, 'valid')
        writer.execute('ROLLBACK')
        reader.close()
        writer.close()


def test_asking_inside_a_transaction_and_a_writing_statement_is_allowed(t):
    db, patient, token = sent(t)
    db.execute('CREATE TABLE seen(status)')
    db.execute('BEGIN')
    says(t, db, token, 'valid')
    db.execute('INSERT INTO seen SELECT token_status(?)', [token])
    db.execute('COMMIT')
    t.equal(t.all(db, 'SELECT * FROM seen'), [('valid',)])


def test_what_the_tables_tell_does_not_make_a_link(t):
    # Somebody with the database alone: every id, nonce and generation, and no key.
    db, patient, token = sent(t)
    message, kept = t.all(db, 'SELECT registration_id, nonce FROM portal_registration')[0]
    real = base64.urlsafe_b64decode(token)
    t.equal(real[:8], kept[:1] + message.to_bytes(4, 'big') + kept[1:])
    for mac in (bytes(16), b'\xff' * 16, real[:16]):
        says(t, db, base64.urlsafe_b64encode(real[:8] + mac).decode(), 'unknown')


def test_a_forged_token_costs_no_row(t):
    db, patient, token = sent(t)
    file = t.file(db)
    before = trace(db, file)
    forged = next(flipped(token))
    for sql in ("request_pin(?, 'Lovelace', '1985-12-10')", "register_patient(?, '123456', 'ada', 'long password')",
                "register_representative(?, '123456', 'ada', 'long password', 'Rita', 'parent')",
                "reset_password(?, 'long password')", 'portal_session(?)', 'portal_logout(?)'):
        t.one(db, f'SELECT {sql}', forged)
    t.equal(trace(db, file), before)
