-- The patient table of a database that has none: portal_init() adds it to a database without any
-- table of a user's own.
CREATE TABLE main.patient (
    patient_id         INTEGER PRIMARY KEY AUTOINCREMENT,
    first_name         TEXT NOT NULL,
    last_name          TEXT NOT NULL,
    date_of_birth      TEXT NOT NULL,              -- YYYY-MM-DD
    sex                TEXT,
    email              TEXT,
    cell_phone         TEXT,
    home_phone         TEXT,
    address_line1      TEXT,
    address_line2      TEXT,
    city               TEXT,
    state              TEXT,
    postal_code        TEXT,
    preferred_language TEXT,                       -- a language tag, such as en or es
    email_consent      INTEGER DEFAULT 1,          -- 0: may not be sent email
    text_consent       INTEGER DEFAULT 1,          -- 0: may not be sent text messages
    phr_active         INTEGER DEFAULT 0,          -- 1: Activate PHR was ticked
    active             INTEGER DEFAULT 1,          -- 0: no longer a patient of the practice
    deceased_on        TEXT                        -- YYYY-MM-DD
);
-- With the names: of a million patients thirty have a birthday in common, and Quick Add looks for namesakes.
CREATE INDEX main.patient_date_of_birth ON patient (date_of_birth, last_name, first_name);
