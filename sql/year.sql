.load build/portal
-- Half a year of an imaginary practice, for a look at the reports:
--     sqlite3 year.db < sql/year.sql
--     portal -d year.db report funnel
-- Written past the extension, for nobody waits half a year; its links open nothing.
.bail on
SELECT portal_init();
BEGIN;

INSERT INTO patient (first_name, last_name, date_of_birth, email, cell_phone, email_consent, text_consent, active, deceased_on)
SELECT 'Patient', 'Number ' || value, date('1940-01-01', (value * 83) || ' days'),
       CASE WHEN value % 17 = 0 THEN NULL WHEN value % 41 = 0 THEN 'none' ELSE 'p' || value || '@example.com' END,
       format('202-555-%04d', value),
       value % 29 > 0, value % 29 > 0, value % 61 > 0,
       iif(value % 53 = 0, '2026-03-04', NULL)
  FROM (WITH n (value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < 400) SELECT value FROM n);

-- Six a day from June on, the last of them in the evening; texts and mornings do best.
CREATE TEMP TABLE link AS
WITH n (value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < 1000)
SELECT value AS link_id,
       iif(value % 5 < 2, 'text', 'email') AS channel,
       iif(value % 7 < 2, 'es', NULL) AS language,
       unixepoch('2026-06-01 12:30') + value / 6 * 86400 + iif(value % 6 = 5, 12, value % 6 * 2) * 3600 AS sent_at,
       value * 37 % 100 AS fate,                                          -- below `used` it becomes a login
       44 + 18 * (value % 5 < 2) - 24 * (value % 6 = 5) AS used,
       (value * 7919 % 1000) * (value * 7919 % 1000) * 240 / 1000 AS seconds
  FROM n;

INSERT INTO portal_message (message_id, kind, channel, patient_id, recipient, status, created_at, sent_at)
SELECT link_id, 'registration', channel, link_id % 400 + 1, 'somebody',
       CASE WHEN fate >= 96 THEN 'failed' WHEN channel = 'text' THEN 'delivered' ELSE 'sent' END, sent_at, sent_at
  FROM link;
INSERT INTO portal_registration (registration_id, patient_id, destination, identity, nonce, status, created_at,
                                 expires_at, ended_at, pins, sent_by, language)
SELECT link_id, link_id % 400 + 1, 0, 0, x'00',
       CASE WHEN fate >= 96 THEN 'failed' WHEN fate < used THEN 'used' ELSE 'expired' END, sent_at, sent_at + 72 * 3600,
       CASE WHEN fate >= 96 THEN sent_at + 60 WHEN fate < used THEN sent_at + seconds ELSE sent_at + 72 * 3600 END,
       fate < used + 9, 'ehr:anna', language
  FROM link;

-- Every eighth who registered asked for a change.
INSERT INTO portal_request (patient_id, field, proposed_value, account_id, submitted_as, submitted_at, status, decided_at)
SELECT link_id % 400 + 1, iif(link_id % 2, 'cell_phone', 'city'), 'new', 1, 'patient', sent_at + seconds,
       CASE WHEN link_id > 950 THEN 'pending' WHEN link_id % 9 = 0 THEN 'declined' ELSE 'accepted' END,
       iif(link_id > 950, NULL, sent_at + seconds + seconds * 3)
  FROM link
 WHERE fate < used AND (link_id % 8 = 0 OR link_id > 990);
COMMIT;
