-- Who can not be reached, and why?
--
-- why           what keeps a registration from being sent to somebody without access
-- patients      how many it keeps
-- remedy        what helps
-- for_example   the first of them; portal_status WHERE next_step IS NOT NULL names them all
WITH person AS (
    SELECT patient_id,
           iif(typeof(patient_id) = 'text', char(39) || patient_id || char(39), patient_id) AS id,
           next_step
      FROM portal_status
     WHERE status IN ('not sent', 'failed', 'expired', 'revoked') AND next_step NOT LIKE 'send %'
), told AS (
    SELECT patient_id,
           replace(replace(next_step, 'patient ' || id, 'the patient'), '(' || id || ')', '(patient_id)') || ';' AS step
      FROM person
)
SELECT substr(step, 1, instr(step, ';') - 1) AS why,
       count(*) AS patients,
       trim(substr(step, instr(step, ';') + 1), '; ') AS remedy,
       min(patient_id) AS for_example
  FROM told
 GROUP BY why, remedy
 ORDER BY patients DESC, why;
