-- Undecided requests, as pending_requests reads them; it adds a WHERE clause on r.patient_id or
-- r.request_id when one is asked for.
SELECT r.request_id,
       r.patient_id,
       nullif(trim(coalesce(p.first_name, '') || ' ' || coalesce(p.last_name, '')), '') AS patient_name,
       r.field,
       CASE r.field
           WHEN 'first_name' THEN p.first_name
           WHEN 'last_name' THEN p.last_name
           WHEN 'sex' THEN p.sex
           WHEN 'email' THEN p.email
           WHEN 'cell_phone' THEN p.cell_phone
           WHEN 'home_phone' THEN p.home_phone
           WHEN 'address_line1' THEN p.address_line1
           WHEN 'address_line2' THEN p.address_line2
           WHEN 'city' THEN p.city
           WHEN 'state' THEN p.state
           WHEN 'postal_code' THEN p.postal_code
           WHEN 'preferred_language' THEN p.preferred_language
           WHEN 'email_consent' THEN CAST(p.email_consent AS TEXT)
           WHEN 'text_consent' THEN CAST(p.text_consent AS TEXT)
           /* own fields of p */
       END AS current_value,
       r.proposed_value,
       u.username AS submitted_by,
       r.submitted_as,
       r.submitted_at,
       r.base_value,
       x.identity,
       p.first_name,
       p.date_of_birth
  FROM main.portal_request AS r
  LEFT JOIN main.patient AS p ON p.patient_id = r.patient_id
  LEFT JOIN main.portal_account AS u ON u.account_id = r.account_id
  LEFT JOIN main.portal_access AS x ON x.account_id = r.account_id AND x.patient_id = r.patient_id
 WHERE r.status = 'pending'
