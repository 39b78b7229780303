-- Patients of an imaginary practice, for make demo.  Addresses at example.com and example.org and
-- numbers from 555-0100 to 555-0199 belong to nobody.  The married couples and the children of a
-- household share an address, as households do; children have a parent's contacts.
INSERT INTO patient (first_name, last_name, date_of_birth, sex, email, cell_phone,
                     address_line1, city, state, postal_code)
VALUES
    ('María',      'García-López',  '1984-03-17', 'female', 'maria@example.com',      '202-555-0101',   '12 Mill Lane',      'Riverside', 'VT', '05001'),
    ('Carlos',     'García',        '1982-09-05', 'male',   'carlos@example.com',     '202-555-0102',   '12 Mill Lane',      'Riverside', 'VT', '05001'),
    ('Lucía',      'García-López',  '2016-05-02', 'female', 'maria@example.com',      '202-555-0101',   '12 Mill Lane',      'Riverside', 'VT', '05001'),
    ('Mateo',      'García-López',  '2019-11-30', 'male',   'maria@example.com',      '202-555-0101',   '12 Mill Lane',      'Riverside', 'VT', '05001'),
    ('Patrick',    'O''Brien',      '1958-07-04', 'male',   'patrick@example.org',    '(202) 555-0105', '3 Orchard Street',  'Riverside', 'VT', '05001'),
    ('Siobhán',    'O''Brien',      '1961-01-22', 'female', NULL,                     '202.555.0106',   '3 Orchard Street',  'Riverside', 'VT', '05001'),
    ('Ingrid',     'Sørensen',      '1949-12-08', 'female', 'ingrid@example.org',     NULL,             '40 Station Road',   'Riverside', 'VT', '05001'),
    ('Jürgen',     'Weiß-Müller',   '1970-02-28', 'male',   'juergen@example.com',    '+1 202 555 0108', '7 Bridge Street',  'Riverside', 'VT', '05001'),
    ('Anne-Marie', 'D''Angelo',     '1979-08-14', 'female', 'annemarie@example.com',  '202-555-0109',   '21 Harbor View',    'Riverside', 'VT', '05001'),
    ('Hoa',        'Nguyễn',        '1990-06-19', 'female', 'hoa@example.org',        '202-555-0110',   '5 Maple Court',     'Riverside', 'VT', '05001'),
    ('Walter',     'Becker',        '1933-04-11', 'male',   'walter@example.com',     '202-555-0111',   '16 Church Street',  'Riverside', 'VT', '05001'),
    ('Gloria',     'Haynes',        '1966-10-27', 'female', 'gloria@example.com',     '202-555-0112',   '2 Quarry Road',     'Riverside', 'VT', '05001'),
    ('Jean-Luc',   'St. Clair',     '1975-05-25', 'male',   'jeanluc@example.org',    '202-555-0113',   '88 Lake Drive',     'Ashford',   'VT', '05009'),
    ('François',   'Lefèvre',       '1987-11-03', 'male',   'francois@example.org',   '202-555-0114',   '90 Lake Drive',     'Ashford',   'VT', '05009'),
    ('Emily',      'Chen',          '1993-02-16', 'female', 'emily@example.com',      '202-555-0115',   '14 Fern Street',    'Ashford',   'VT', '05009'),
    ('Daniel',     'Cohen',         '1968-08-30', 'male',   NULL,                     '202-555-0116',   '6 Fern Street',     'Ashford',   'VT', '05009'),
    ('Priya',      'Raman',         '1981-12-21', 'female', 'priya@example.com',      '202-555-0117',   '31 Market Square',  'Ashford',   'VT', '05009'),
    ('Łukasz',     'Wójcik',        '1996-03-09', 'male',   'lukasz@example',         '202-555-0118',   '11 Cedar Avenue',   'Ashford',   'VT', '05009'),
    ('Grace',      'Kim',           '2004-01-12', 'female', 'grace@example.org',      '202-555-0119',   '27 Cedar Avenue',   'Ashford',   'VT', '05009'),
    ('Noah',       'Okafor',        '2012-07-07', 'male',   'okafors@example.org',    '202-555-0120',   '9 Hilltop Road',    'Riverside', 'VT', '05001'),
    ('Adaeze',     'Okafor',        '1983-09-18', 'female', 'okafors@example.org',    '202-555-0120',   '9 Hilltop Road',    'Riverside', 'VT', '05001'),
    ('Chidi',      'Okafor',        '1980-04-02', 'male',   'okafors@example.org',    '202-555-0121',   '9 Hilltop Road',    'Riverside', 'VT', '05001');

UPDATE patient SET deceased_on = '2025-11-02' WHERE first_name = 'Walter' AND last_name = 'Becker';
UPDATE patient SET active = 0 WHERE first_name = 'Gloria' AND last_name = 'Haynes';
UPDATE patient SET email_consent = 0 WHERE first_name = 'Priya' AND last_name = 'Raman';
UPDATE patient SET preferred_language = 'es' WHERE last_name LIKE 'García%';
