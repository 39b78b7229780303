-- One row per patient, as portal_status reads it.  ?1 is the time now; portal_status adds
-- "WHERE p.patient_id = ?2" when one patient is asked for.
-- The plus keeps the affinity of the chart's key away, with which no index of ours could be used.
SELECT p.patient_id,
       p.first_name,
       p.date_of_birth,
       p.last_name,
       p.email,
       p.cell_phone,
       p.deceased_on,
       p.email_consent,
       p.text_consent,
       p.active,
       nullif(trim(coalesce(p.first_name, '') || ' ' || coalesce(p.last_name, '')), '') AS patient_name,
       -- What became of the newest registration; status.c puts access and a revoke before it.
       CASE
           WHEN r.status = 'queued' THEN 'queued'
           WHEN r.status = 'live' AND r.expires_at <= ?1 THEN 'expired'
           WHEN r.status = 'live' AND m.status IN ('queued', 'claimed') THEN 'queued'
           WHEN r.status = 'live' THEN 'sent'
           WHEN r.status IN ('failed', 'changed', 'spent', 'revoked') THEN 'failed'
           WHEN r.status = 'expired' THEN 'expired'
           ELSE 'not sent'
       END AS status,
       m.sent_at,
       m.channel,
       r.sent_by,
       r.expires_at,
       (SELECT min(a.granted_at) FROM main.portal_access AS a
         WHERE a.patient_id = +p.patient_id AND a.status = 'active') AS registered_at,
       (SELECT max(u.last_login_at)
          FROM main.portal_access AS a JOIN main.portal_account AS u USING (account_id)
         WHERE a.patient_id = +p.patient_id AND a.status = 'active') AS last_login_at,
       v.revoked_at,
       v.revoked_by,
       m.recipient,
       m.detail,
       m.status AS message_status,
       r.registration_id,
       r.status AS registration_status,
       r.created_at,
       r.ended_at,
       r.guesses,
       r.pins,
       r.destination,
       r.identity,
       EXISTS (SELECT 1 FROM main.portal_access AS a
                WHERE a.patient_id = +p.patient_id AND a.status = 'active'
                  AND a.identity = r.identity) AS same_person
  FROM main.patient AS p
  LEFT JOIN main.portal_registration AS r
         ON r.registration_id = (SELECT max(n.registration_id) FROM main.portal_registration AS n
                                  WHERE n.patient_id = +p.patient_id AND n.merged_from IS NULL)
  LEFT JOIN main.portal_message AS m ON m.message_id = r.registration_id
  LEFT JOIN main.portal_revocation AS v ON v.patient_id = +p.patient_id
