-- Views for analysts: times as text, UTC; contacts masked as little as the tables mask them.

CREATE VIEW IF NOT EXISTS main.portal_registrations AS
-- Every registration: to whom, how, by whom, and what became of it.
SELECT r.registration_id,
       r.patient_id,
       m.channel,
       m.recipient,
       r.sent_by,
       CASE WHEN r.status = 'live' AND r.expires_at <= unixepoch() THEN 'expired' ELSE r.status END AS status,
       datetime(r.created_at, 'unixepoch') AS created_at,
       datetime(m.sent_at, 'unixepoch') AS sent_at,
       datetime(r.expires_at, 'unixepoch') AS expires_at,
       datetime(r.ended_at, 'unixepoch') AS ended_at
  FROM portal_registration AS r
  LEFT JOIN portal_message AS m ON m.message_id = r.registration_id;

CREATE VIEW IF NOT EXISTS main.portal_outcomes AS
-- Every registration as the reports in sql/reports count it: 1 or 0, and seconds.
SELECT r.registration_id,
       r.patient_id,
       r.created_at,
       m.sent_at,
       m.channel,
       coalesce(r.language, '') AS language,
       m.status = 'delivered' AS delivered,
       m.status IN ('failed', 'bounced', 'opted_out') AS failed,
       r.pins > 0 OR r.status = 'used' AS proved,
       r.status = 'used' AS registered,
       r.status <> 'used' AND r.expires_at <= coalesce(r.ended_at, unixepoch()) AS expired,
       iif(r.status = 'used', r.ended_at - coalesce(m.sent_at, r.created_at), NULL) AS seconds_to_register
  FROM portal_registration AS r
  LEFT JOIN portal_message AS m ON m.message_id = r.registration_id;

CREATE VIEW IF NOT EXISTS main.portal_people AS
-- Who may act, or might, for which patient.
SELECT x.patient_id,
       a.username,
       a.name,
       x.role,
       x.relationship,
       x.status,
       datetime(x.granted_at, 'unixepoch') AS granted_at,
       datetime(x.ended_at, 'unixepoch') AS ended_at,
       datetime(x.confirmed_at, 'unixepoch') AS confirmed_at,
       datetime(a.last_login_at, 'unixepoch') AS last_login_at
  FROM portal_access AS x
  JOIN portal_account AS a USING (account_id);

CREATE VIEW IF NOT EXISTS main.portal_outbox AS
-- Messages that wait for a channel, and those that failed.
SELECT message_id,
       kind,
       channel,
       patient_id,
       recipient,
       status,
       attempts,
       datetime(created_at, 'unixepoch') AS created_at,
       datetime(due_at, 'unixepoch') AS due_at,
       detail
  FROM portal_message
 WHERE due_at IS NOT NULL OR status IN ('failed', 'bounced', 'opted_out');

CREATE VIEW IF NOT EXISTS main.portal_events AS
-- The audit, readable.
SELECT event_id,
       datetime(at, 'unixepoch') AS at,
       application,
       actor,
       action,
       patient_id,
       subject,
       detail
  FROM portal_audit;
