-- Who can not be reached, and why?
--
-- why           what keeps a registration from being sent to somebody without access
-- patients      how many it keeps
-- remedy        what helps
-- for_example   the first of them; portal_status WHERE next_step IS NOT NULL names them all
WITH person AS (
    SELECT patient_id,
           replace(next_step,
                   'patient ' || iif(typeof(patient_id) = 'text', char(39) || patient_id || char(39), patient_id),
                   'the patient') || ';' AS step
      FROM portal_status
     WHERE status IN ('not sent', 'failed', 'expired', 'revoked') AND next_step NOT LIKE 'send %'
)
SELECT substr(step, 1, instr(step, ';') - 1) AS why,
       count(*) AS patients,
       trim(substr(step, instr(step, ';') + 1), '; ') AS remedy,
       min(patient_id) AS for_example
  FROM person
 GROUP BY why, remedy
 ORDER BY patients DESC, why;
