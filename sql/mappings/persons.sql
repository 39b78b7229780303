-- A practice whose patients are spread over several tables, given to the portal as a view: as OpenMRS and many
-- others keep them, a row for the person, one for each name, address and way to reach them.  The triggers
-- write what the portal writes to where it belongs; mapped by persons.json.
CREATE VIEW patient_view AS
SELECT p.person_id,
       n.given_name,
       n.family_name,
       p.birthdate,
       p.gender,
       (SELECT value FROM contact WHERE person_id = p.person_id AND kind = 'email') AS email,
       (SELECT value FROM contact WHERE person_id = p.person_id AND kind = 'mobile') AS mobile,
       a.street,
       a.city,
       a.postal_code,
       p.death_date,
       NOT p.voided AS active
  FROM person AS p
  JOIN person_name AS n ON n.person_id = p.person_id AND n.preferred
  LEFT JOIN person_address AS a ON a.person_id = p.person_id;

-- Quick Add.
CREATE TRIGGER patient_view_added INSTEAD OF INSERT ON patient_view BEGIN
    INSERT INTO person (birthdate) VALUES (NEW.birthdate);
    INSERT INTO person_name (person_id, given_name, family_name, preferred)
    VALUES (last_insert_rowid(), NEW.given_name, NEW.family_name, 1);
    INSERT INTO contact (person_id, kind, value)
    SELECT (SELECT max(person_id) FROM person), kind, value
      FROM (SELECT 'email' AS kind, NEW.email AS value UNION ALL SELECT 'mobile', NEW.mobile)
     WHERE value IS NOT NULL;
END;

-- Requests that staff accept, a field each.
CREATE TRIGGER patient_view_named INSTEAD OF UPDATE OF given_name, family_name ON patient_view BEGIN
    UPDATE person_name SET given_name = NEW.given_name, family_name = NEW.family_name
     WHERE person_id = NEW.person_id AND preferred;
END;
CREATE TRIGGER patient_view_reached INSTEAD OF UPDATE OF email, mobile ON patient_view BEGIN
    DELETE FROM contact WHERE person_id = NEW.person_id AND kind IN ('email', 'mobile');
    INSERT INTO contact (person_id, kind, value)
    SELECT NEW.person_id, kind, value
      FROM (SELECT 'email' AS kind, NEW.email AS value UNION ALL SELECT 'mobile', NEW.mobile)
     WHERE value IS NOT NULL;
END;
CREATE TRIGGER patient_view_moved INSTEAD OF UPDATE OF street, city, postal_code ON patient_view BEGIN
    INSERT INTO person_address (person_id, street, city, postal_code)
    VALUES (NEW.person_id, NEW.street, NEW.city, NEW.postal_code)
        ON CONFLICT (person_id) DO UPDATE
       SET street = excluded.street, city = excluded.city, postal_code = excluded.postal_code;
END;
