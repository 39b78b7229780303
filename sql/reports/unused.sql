-- Which links expire unused: sent when, and how?
--
-- month     of sending, UTC
-- channel   email, text or print
-- hour      of sending, local time: when people are written to at a bad hour, it shows
-- sent      handed over to the channel
-- expired   of those, without having been used, whatever was sent later
-- percent   expired, of those sent
--
-- :since    the first month, as 2026-01; NULL: all
SELECT strftime('%Y-%m', created_at, 'unixepoch') AS month,
       channel,
       strftime('%H', sent_at, 'unixepoch', 'localtime') AS hour,
       count(*) AS sent,
       sum(expired) AS expired,
       round(100.0 * sum(expired) / count(*), 1) AS percent
  FROM portal_outcomes
 WHERE created_at >= coalesce(unixepoch(:since || '-01'), 0) AND sent_at IS NOT NULL
 GROUP BY 1, 2, 3
 ORDER BY 1, 2, 3;
