-- How many of the registrations that were sent became logins?
--
-- month        of sending, UTC
-- channel      email, text or print
-- language     of the patient's chart by then; empty: none
-- sent         handed over to the channel
-- delivered    as the provider told, where it tells anything
-- failed       undeliverable, bounced, or opted out of
-- proved       somebody opened the link and proved who the patient is
-- registered   the link became a login
-- percent      registered, of those sent
--
-- :since       the first month, as 2026-01; NULL: all
SELECT strftime('%Y-%m', created_at, 'unixepoch') AS month,
       channel,
       language,
       count(sent_at) AS sent,
       sum(delivered) AS delivered,
       sum(failed) AS failed,
       sum(proved) AS proved,
       sum(registered) AS registered,
       round(100.0 * sum(registered) / count(sent_at), 1) AS percent
  FROM portal_outcomes
 WHERE created_at >= coalesce(unixepoch(:since || '-01'), 0)
 GROUP BY 1, 2, 3
 ORDER BY 1, 2, 3;
