-- How long does it take from sending a registration to a login?
--
-- channel            email, text or print
-- registered         links that became a login
-- median_hours       half of them took no longer
-- nine_in_ten_hours  nine in ten took no longer
--
-- :since             the first month of sending, as 2026-01; NULL: all
WITH used AS (
    SELECT channel,
           seconds_to_register AS seconds,
           row_number() OVER (PARTITION BY channel ORDER BY seconds_to_register) AS place,
           count(*) OVER (PARTITION BY channel) AS people
      FROM portal_outcomes
     WHERE created_at >= coalesce(unixepoch(:since || '-01'), 0) AND registered
)
SELECT channel,
       count(*) AS registered,
       round(max(seconds) FILTER (WHERE place = (people + 1) / 2) / 3600.0, 1) AS median_hours,
       round(max(seconds) FILTER (WHERE place = (9 * people + 9) / 10) / 3600.0, 1) AS nine_in_ten_hours
  FROM used
 GROUP BY channel
 ORDER BY channel;
