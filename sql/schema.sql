-- The tables of the portal, schema version 3.  portal_init() runs this file in one transaction; ext/upgrade.c
-- brings older tables there.  What is changed here needs another SCHEMA_VERSION.
--
-- Times are INTEGER seconds UTC.  A patient_id has the type of the practice's own key, so those
-- columns have no type.  No table holds a link, a PIN, a session or a readable password: what a
-- person is given is derived from a row's id and nonce with the key file, and without it nothing
-- here can be turned back into one.

CREATE TABLE IF NOT EXISTS main.portal_state (
    -- One row: what every call looks at first.
    state_id        INTEGER PRIMARY KEY CHECK (state_id = 1),
    schema_version  INTEGER NOT NULL,   -- which version of these tables they are
    settings_stamp  INTEGER NOT NULL,   -- random, new with every change of a setting, a template or the mapping
    opt_outs        INTEGER NOT NULL,   -- 1: there are some in portal_opt_out, to be looked at
    key_check       BLOB NOT NULL,      -- tells the right key file from a wrong one
    audit_count     INTEGER NOT NULL,   -- events ever written
    audit_head      BLOB NOT NULL,      -- hash of the newest event
    audit_seal      BLOB NOT NULL,      -- keyed hash over audit_count and audit_head
    checkpoint_id   INTEGER NOT NULL,   -- events up to this one may have been purged
    checkpoint_hash BLOB NOT NULL,      -- hash of that event
    checkpoint_seal BLOB NOT NULL       -- keyed hash over the two
);

CREATE TABLE IF NOT EXISTS main.portal_setting (
    -- Settings that differ from their default; portal_settings shows them all.
    key   TEXT PRIMARY KEY,             -- as in portal_settings
    value TEXT NOT NULL                 -- as it was given
) WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS main.portal_setting_inserted AFTER INSERT ON portal_setting BEGIN
    UPDATE portal_state SET settings_stamp = random();
END;
CREATE TRIGGER IF NOT EXISTS main.portal_setting_updated AFTER UPDATE ON portal_setting BEGIN
    UPDATE portal_state SET settings_stamp = random();
END;
CREATE TRIGGER IF NOT EXISTS main.portal_setting_deleted AFTER DELETE ON portal_setting BEGIN
    UPDATE portal_state SET settings_stamp = random();
END;

CREATE TABLE IF NOT EXISTS main.portal_mapping (
    -- Where the practice keeps its patients; no rows: in the table patient, under our own names.
    field    TEXT PRIMARY KEY,          -- first_name, email, ...; table; or what the practice calls it
    source   TEXT NOT NULL,             -- the practice's column, or its table
    format   TEXT,                      -- how that is written there; NULL: as we do
    requests INTEGER NOT NULL DEFAULT 0 -- 1: a patient may ask to change it
) WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS main.portal_mapping_inserted AFTER INSERT ON portal_mapping BEGIN
    UPDATE portal_state SET settings_stamp = random();
END;
CREATE TRIGGER IF NOT EXISTS main.portal_mapping_updated AFTER UPDATE ON portal_mapping BEGIN
    UPDATE portal_state SET settings_stamp = random();
END;
CREATE TRIGGER IF NOT EXISTS main.portal_mapping_deleted AFTER DELETE ON portal_mapping BEGIN
    UPDATE portal_state SET settings_stamp = random();
END;

CREATE TABLE IF NOT EXISTS main.portal_wording (
    -- Templates of messages that the practice wrote; portal_template shows them all, and checks what is written.
    kind      TEXT NOT NULL,            -- registration, pin, ...
    channel   TEXT NOT NULL,            -- email, text or print
    language  TEXT NOT NULL,            -- en, es, es-mx, ...
    subject   TEXT,                     -- of mail; of what is printed, its title
    text      TEXT NOT NULL,            -- with {{placeholders}}
    html      TEXT,                     -- of mail; NULL: it goes as text alone
    edited_at INTEGER NOT NULL,         -- when
    PRIMARY KEY (kind, channel, language)
) WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS main.portal_wording_inserted AFTER INSERT ON portal_wording BEGIN
    UPDATE portal_state SET settings_stamp = random();
END;
CREATE TRIGGER IF NOT EXISTS main.portal_wording_updated AFTER UPDATE ON portal_wording BEGIN
    UPDATE portal_state SET settings_stamp = random();
END;
CREATE TRIGGER IF NOT EXISTS main.portal_wording_deleted AFTER DELETE ON portal_wording BEGIN
    UPDATE portal_state SET settings_stamp = random();
END;

CREATE TABLE IF NOT EXISTS main.portal_secret (
    -- Credentials of channels, sealed with the key file (XChaCha20-Poly1305).
    key    TEXT PRIMARY KEY,            -- the name that the channel asks for
    sealed BLOB NOT NULL                -- nonce and sealed value
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS main.portal_message (
    -- The outbox: one row for every message, whatever becomes of it.  The text is rendered at
    -- hand-over and never stored.
    message_id INTEGER PRIMARY KEY,
    kind       TEXT NOT NULL,           -- registration, pin, deactivated, password_reset, ...
    channel    TEXT NOT NULL,           -- email, text or print
    patient_id,                         -- whose, where there is one
    account_id INTEGER,                 -- whose, of a message about an account
    recipient  TEXT NOT NULL,           -- normalised address or number; empty: handed over on paper
    status     TEXT NOT NULL,           -- queued, claimed, sent, delivered, failed, bounced, opted_out, cancelled
    created_at INTEGER NOT NULL,        -- when it was queued
    due_at     INTEGER,                 -- next try, or end of the claim's lease; NULL when finished
    attempts   INTEGER NOT NULL DEFAULT 0,  -- tries so far
    claim      TEXT,                    -- the newest claim
    sent_at    INTEGER,                 -- handed over to the channel
    duplicate  INTEGER NOT NULL DEFAULT 0,  -- 1: may have reached the recipient twice
    detail     TEXT                     -- what the channel said
);

CREATE INDEX IF NOT EXISTS main.portal_message_due ON portal_message (channel, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS main.portal_message_patient ON portal_message (patient_id)
    WHERE kind <> 'registration';

CREATE TABLE IF NOT EXISTS main.portal_opt_out (
    -- Contacts that no message goes to, because whoever has them said so.
    contact      TEXT PRIMARY KEY,      -- normalised address or number
    opted_out_at INTEGER NOT NULL,      -- when
    opted_out_by TEXT NOT NULL          -- application and user that told it
) WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS main.portal_opt_out_inserted AFTER INSERT ON portal_opt_out BEGIN
    UPDATE portal_state SET opt_outs = 1;
END;
CREATE TRIGGER IF NOT EXISTS main.portal_opt_out_deleted AFTER DELETE ON portal_opt_out BEGIN
    UPDATE portal_state SET opt_outs = EXISTS (SELECT 1 FROM portal_opt_out);
END;

CREATE TABLE IF NOT EXISTS main.portal_registration (
    -- A link that was sent, or is to be.  Only the newest of a patient works.
    registration_id INTEGER PRIMARY KEY,  -- message_id of the message that carries the link
    patient_id      NOT NULL,             -- who is invited
    destination     INTEGER NOT NULL,     -- keyed hash of the contact it goes to; of a letter, of patient_id
    identity        INTEGER NOT NULL,     -- keyed hash of who the patient was: first name, date of birth
    nonce           BLOB NOT NULL,        -- part of the link, useless without the key
    status          TEXT NOT NULL,        -- queued, live, used, revoked, superseded, expired, failed, changed, spent
    created_at      INTEGER NOT NULL,     -- when it was queued
    expires_at      INTEGER,              -- NULL until a channel may have it
    ended_at        INTEGER,              -- when it was used, revoked, ...
    guesses         INTEGER NOT NULL DEFAULT 0,  -- wrong proofs and PINs; at 10 the link is spent
    pins            INTEGER NOT NULL DEFAULT 0,  -- PIN messages; at most 5; of a letter 1 once its PIN counts
    sent_by         TEXT NOT NULL,        -- application and user, as "ehr:anna"
    language        TEXT,                 -- of the chart by then, as a tag: en, es-mx; NULL: none, or sent before version 3
    merged_from                           -- patient_id it was sent under, when that was merged into this one since
);

CREATE INDEX IF NOT EXISTS main.portal_registration_patient ON portal_registration (patient_id);
CREATE INDEX IF NOT EXISTS main.portal_registration_destination ON portal_registration (destination);
CREATE INDEX IF NOT EXISTS main.portal_registration_created ON portal_registration (created_at);
CREATE INDEX IF NOT EXISTS main.portal_registration_expiry ON portal_registration (expires_at) WHERE status = 'live';

CREATE TABLE IF NOT EXISTS main.portal_pin (
    -- A PIN that was sent to somebody who opened a link and proved who the patient is, or that is on a letter.
    pin_id          INTEGER PRIMARY KEY,  -- message_id of the message that carries it
    registration_id INTEGER NOT NULL,     -- the link it belongs to
    nonce           BLOB NOT NULL,        -- part of the PIN, useless without the key
    status          TEXT NOT NULL,        -- live, used, superseded, spent, revoked, expired, failed
    created_at      INTEGER NOT NULL,     -- when it was queued
    expires_at      INTEGER NOT NULL,     -- when it ends by itself
    tries           INTEGER NOT NULL DEFAULT 0   -- at 5 the PIN is spent
);

CREATE INDEX IF NOT EXISTS main.portal_pin_registration ON portal_pin (registration_id);
CREATE INDEX IF NOT EXISTS main.portal_pin_expiry ON portal_pin (expires_at) WHERE status = 'live';

CREATE TABLE IF NOT EXISTS main.portal_account (
    -- A person who can sign in: a patient, or a representative of one or several.
    account_id    INTEGER PRIMARY KEY,
    username      TEXT NOT NULL,          -- as typed
    username_key  TEXT NOT NULL UNIQUE,   -- as compared
    password      TEXT NOT NULL,          -- Argon2id, with its parameters
    name          TEXT NOT NULL,          -- of the person
    channel       TEXT NOT NULL,          -- where password resets go: email or text; print: nowhere yet
    contact       TEXT NOT NULL,          -- normalised address or number; empty: none, after a letter
    created_at    INTEGER NOT NULL,       -- when they registered
    last_login_at INTEGER                 -- NULL: never
);

CREATE TABLE IF NOT EXISTS main.portal_access (
    -- Who may act for which patient.
    access_id    INTEGER PRIMARY KEY,
    account_id   INTEGER NOT NULL REFERENCES portal_account (account_id),  -- whose login
    patient_id   NOT NULL,                -- for whom
    role         TEXT NOT NULL,           -- patient or representative
    relationship TEXT,                    -- of a representative: parent, spouse, ...
    identity     INTEGER NOT NULL,        -- as in portal_registration
    status       TEXT NOT NULL,           -- active, suspended (by a revoke), outgrown (of age), removed
    granted_at   INTEGER NOT NULL,        -- when they registered for this patient
    ended_at     INTEGER,                 -- when it was suspended, outgrown or removed
    confirmed_at INTEGER,                 -- when staff said that it goes on when the patient is of age
    UNIQUE (account_id, patient_id)
);

CREATE INDEX IF NOT EXISTS main.portal_access_patient ON portal_access (patient_id);

CREATE TABLE IF NOT EXISTS main.portal_revocation (
    -- Patients whose access is revoked; the row goes when a registration is sent again.
    patient_id PRIMARY KEY NOT NULL,    -- whose
    revoked_at INTEGER NOT NULL,        -- when
    revoked_by TEXT NOT NULL,           -- application and user
    reason     TEXT                     -- for staff alone: no message tells it
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS main.portal_session (
    -- Somebody who is signed in, or was.
    session_id   INTEGER PRIMARY KEY,
    account_id   INTEGER NOT NULL,        -- who signed in
    nonce        BLOB NOT NULL,           -- part of the session, useless without the key
    created_at   INTEGER NOT NULL,        -- when they signed in
    last_used_at INTEGER NOT NULL,        -- what idling is counted from
    ended_at     INTEGER                  -- NULL while alive
);

CREATE INDEX IF NOT EXISTS main.portal_session_alive ON portal_session (account_id) WHERE ended_at IS NULL;

CREATE TABLE IF NOT EXISTS main.portal_reset (
    -- A link to choose a new password, sent to the account's own contact.
    reset_id   INTEGER PRIMARY KEY,       -- message_id of the message that carries it
    account_id INTEGER NOT NULL,          -- whose
    nonce      BLOB NOT NULL,             -- part of the link, useless without the key
    status     TEXT NOT NULL,             -- live, used, superseded, revoked, expired, failed
    created_at INTEGER NOT NULL,          -- when it was asked for
    expires_at INTEGER NOT NULL           -- when it ends by itself
);

CREATE INDEX IF NOT EXISTS main.portal_reset_account ON portal_reset (account_id);
CREATE INDEX IF NOT EXISTS main.portal_reset_expiry ON portal_reset (expires_at) WHERE status = 'live';

CREATE TABLE IF NOT EXISTS main.portal_throttle (
    -- Wrong passwords, per account and client; each goes by itself. 0 and 0 counts every try.
    account        INTEGER NOT NULL,      -- keyed hash of the user name tried; 0: any
    client         INTEGER NOT NULL,      -- keyed hash of the client's address; 0: any
    failures       INTEGER NOT NULL,      -- wrong passwords
    last_failed_at INTEGER NOT NULL,      -- what the delay is counted from
    PRIMARY KEY (account, client)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS main.portal_request (
    -- One change of one field, entered on the portal, for staff to accept or decline.
    request_id     INTEGER PRIMARY KEY,
    patient_id     NOT NULL,              -- whose chart
    field          TEXT NOT NULL,         -- a column of the patient table
    base_value,                           -- on the chart when it was submitted
    proposed_value,                       -- what was entered
    account_id     INTEGER NOT NULL,      -- who entered it
    submitted_as   TEXT NOT NULL,         -- patient, or the representative's relationship
    submitted_at   INTEGER NOT NULL,      -- when
    status         TEXT NOT NULL,         -- pending, accepted, declined, superseded
    decided_at     INTEGER,               -- when
    decided_by     TEXT,                  -- application and user
    reason         TEXT                   -- of declining
);

CREATE UNIQUE INDEX IF NOT EXISTS main.portal_request_pending ON portal_request (patient_id, field)
    WHERE status = 'pending';

CREATE INDEX IF NOT EXISTS main.portal_request_decided ON portal_request (decided_at)
    WHERE decided_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS main.portal_request_account ON portal_request (account_id, submitted_at);

CREATE TABLE IF NOT EXISTS main.portal_audit (
    -- Append-only.  Every event carries a keyed hash over itself and the hash before it.
    event_id    INTEGER PRIMARY KEY,      -- counts from 1 without gaps
    at          INTEGER NOT NULL,         -- when
    application TEXT NOT NULL,            -- ehr, scheduling or portal
    actor       TEXT NOT NULL,            -- the user of that application
    action      TEXT NOT NULL,            -- registration.queued, access.revoked, ...
    patient_id,                           -- whose, where there is one
    subject     TEXT,                     -- what else it is about: a message, a user name, a field
    detail      TEXT,                     -- in words
    hash        BLOB NOT NULL             -- the chain
);

CREATE TRIGGER IF NOT EXISTS main.portal_audit_no_replace BEFORE INSERT ON portal_audit
WHEN NEW.event_id <= (SELECT audit_count FROM portal_state) BEGIN
    SELECT RAISE(ABORT, 'portal_audit is append-only');
END;
CREATE TRIGGER IF NOT EXISTS main.portal_audit_no_update BEFORE UPDATE ON portal_audit BEGIN
    SELECT RAISE(ABORT, 'portal_audit is append-only');
END;
CREATE TRIGGER IF NOT EXISTS main.portal_audit_no_delete BEFORE DELETE ON portal_audit
WHEN OLD.event_id > (SELECT checkpoint_id FROM portal_state) BEGIN
    SELECT RAISE(ABORT, 'portal_audit is append-only');
END;
