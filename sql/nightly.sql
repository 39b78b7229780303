.load build/portal
-- The night's work and a report of it, short when all is well.  From cron:
--     sqlite3 practice.db < nightly.sql
-- Mail is no safe place: the report names patients by their number alone.
.bail on
.timeout 10000
.mode list
.headers off

SELECT format('Patient portal of %s, %s UTC', portal_setting('practice_name'), datetime('now'));
SELECT format('%sLinks that have expired:  %d', char(10), expire_links());
SELECT '  of patient ' || patient_id || ' on ' || expires_at || ' UTC'
  FROM portal_registrations
 WHERE status = 'expired' AND expires_at > datetime('now', '-1 day')
 ORDER BY registration_id;

SELECT format('Representatives outgrown: %d', end_representatives());

-- deliver() runs by itself, because it may not use the network within another statement; once, because
-- MATERIALIZED.
WITH delivered (answer) AS MATERIALIZED (SELECT deliver())
SELECT format('Messages handed over:     %d%s', answer ->> 'sent', coalesce(', then: ' || (answer ->> 'stopped'), ''))
  FROM delivered;
SELECT format('Messages still waiting:   %d', count(*)) FROM portal_message WHERE due_at IS NOT NULL;
SELECT format('Requests to be decided:   %d', count(*)) FROM pending_requests;

CREATE TEMP TABLE finding (heading TEXT, line TEXT);

INSERT INTO finding
SELECT 'Messages that will be tried again',
       format('message %d (%s by %s%s), tries so far: %d, next at %s UTC: %s', message_id, kind, channel,
              coalesce(', patient ' || patient_id, ''), attempts, due_at, coalesce(detail, 'no reason given'))
  FROM portal_outbox
 WHERE status = 'queued' AND attempts > 0;

INSERT INTO finding
SELECT 'Messages of the last seven days that have failed',
       format('message %d (%s by %s%s), %s: %s', message_id, kind, channel,
              coalesce(', patient ' || patient_id, ''), replace(status, '_', ' '),
              coalesce(detail, 'no reason given'))
  FROM portal_outbox
 WHERE status IN ('failed', 'bounced', 'opted_out') AND created_at > datetime('now', '-7 days');

INSERT INTO finding
SELECT 'Requests that have waited for more than three days',
       format('request %d, patient %s, %s, since %s UTC', request_id, patient_id, field, submitted_at)
  FROM pending_requests
 WHERE submitted_at < datetime('now', '-3 days')
 ORDER BY request_id;

INSERT INTO finding
SELECT 'Findings of the self-check', format('%s: %s (%s)', subject, problem, remedy)
  FROM portal_check;

INSERT INTO finding
SELECT 'The audit is broken', broken
  FROM (SELECT portal_audit_verify() AS broken)
 WHERE broken IS NOT NULL;

SELECT iif(lag(heading) OVER (ORDER BY rowid) IS heading, '', char(10) || heading || char(10))
       || '  ' || line
  FROM finding
 ORDER BY rowid;

-- Keep these reports: a database put back from a backup together with its older state shows only
-- against them.
SELECT format('%sAudit: %d events, head %s', char(10), audit_count, lower(hex(audit_head)))
  FROM portal_state;
SELECT char(10) || 'All is well.' WHERE NOT EXISTS (SELECT 1 FROM finding);
