-- How long do changes that patients enter wait, and what becomes of them?
--
-- outcome        pending, accepted, declined or superseded (a newer one for the same field)
-- requests       how many
-- under_1_day    of those, by how long they waited, or have waited so far
-- under_3_days   from one day on
-- under_7_days   from three days on
-- longer         from seven days on
-- median_hours   half of them waited no longer
--
-- :since         the first month of deciding, as 2026-01; NULL: all.  Pending ones count always.
WITH request AS (
    SELECT 'pending' AS outcome, unixepoch() - submitted_at AS seconds
      FROM portal_request
     WHERE status = 'pending'
    UNION ALL
    SELECT status, decided_at - submitted_at
      FROM portal_request
     WHERE decided_at >= coalesce(unixepoch(:since || '-01'), 0)
), placed AS (
    SELECT outcome,
           seconds,
           row_number() OVER (PARTITION BY outcome ORDER BY seconds) AS place,
           count(*) OVER (PARTITION BY outcome) AS requests
      FROM request
)
SELECT outcome,
       requests,
       count(*) FILTER (WHERE seconds < 86400) AS under_1_day,
       count(*) FILTER (WHERE seconds >= 86400 AND seconds < 3 * 86400) AS under_3_days,
       count(*) FILTER (WHERE seconds >= 3 * 86400 AND seconds < 7 * 86400) AS under_7_days,
       count(*) FILTER (WHERE seconds >= 7 * 86400) AS longer,
       round(max(seconds) FILTER (WHERE place = (requests + 1) / 2) / 3600.0, 1) AS median_hours
  FROM placed
 GROUP BY outcome
 ORDER BY outcome = 'pending' DESC, outcome;
