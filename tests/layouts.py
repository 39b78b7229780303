"""Practices that keep their patients in tables of their own: each has Ada and Grace on file in its own way."""
import dataclasses
import json

import harness

MAPPINGS = harness.ROOT / 'sql/mappings'


@dataclasses.dataclass
class Layout:
    name: str
    schema: str             # all that the practice has; its patients too
    mapping: dict
    born: object            # how it writes 1982-03-23
    key: type = int
    city: str = None        # SQL that writes Ada's city, as the practice's own programs would
    consent: str = None     # SQL that has Ada decline email


def mapping(name):
    return json.loads((MAPPINGS / f'{name}.json').read_text())


# OpenEMR 7, table patient_data, as it is in SQLite: the same columns in the same order.
OPENEMR = '''
CREATE TABLE patient_data (
    id INTEGER PRIMARY KEY AUTOINCREMENT, uuid binary(16) DEFAULT NULL UNIQUE,
    {title}, {language}, {financial}, {fname}, {lname}, {mname}, DOB date DEFAULT NULL,
    {street}, {postal_code}, {city}, {state}, {country_code}, {drivers_license}, {ss}, occupation longtext,
    {phone_home}, {phone_biz}, {phone_contact}, {phone_cell}, pharmacy_id int(11) NOT NULL DEFAULT 0,
    {status}, {contact_relationship}, date datetime DEFAULT NULL, {sex}, {referrer}, {referrerID},
    providerID int(11) DEFAULT NULL, ref_providerID int(11) DEFAULT NULL, {email}, {email_direct},
    {ethnoracial}, {race}, {ethnicity}, {religion}, {interpretter}, {migrantseasonal}, {family_size}, {monthly_income},
    billing_note text, {homeless}, financial_review datetime DEFAULT NULL, {pubpid},
    pid bigint(20) NOT NULL DEFAULT 0, {genericname1}, {genericval1}, {genericname2}, {genericval2},
    {hipaa_mail}, {hipaa_voice}, {hipaa_notice}, {hipaa_message},
    hipaa_allowsms varchar(3) NOT NULL DEFAULT 'NO', hipaa_allowemail varchar(3) NOT NULL DEFAULT 'NO',
    {squad}, fitness int(11) NOT NULL DEFAULT 0, {referral_source},
    {usertext1}, {usertext2}, {usertext3}, {usertext4}, {usertext5}, {usertext6}, {usertext7}, {usertext8},
    {userlist1}, {userlist2}, {userlist3}, {userlist4}, {userlist5}, {userlist6}, {userlist7},
    pricelevel varchar(255) NOT NULL DEFAULT 'standard', regdate datetime DEFAULT NULL, contrastart date DEFAULT NULL,
    completed_ad varchar(3) NOT NULL DEFAULT 'NO', ad_reviewed date DEFAULT NULL, {vfc}, {mothersname}, guardiansname text,
    {allow_imm_reg_use}, {allow_imm_info_share}, {allow_health_info_ex}, {allow_patient_portal},
    deceased_date datetime DEFAULT NULL, {deceased_reason}, soap_import_status tinyint(4) DEFAULT NULL, {cmsportal_login},
    care_team_provider text, care_team_facility text, care_team_status text, {county}, industry text,
    imm_reg_status text, imm_reg_stat_effdate text, publicity_code text, publ_code_eff_date text,
    protect_indicator text, prot_indi_effdate text, guardianrelationship text, guardiansex text, guardianaddress text,
    guardiancity text, guardianstate text, guardianpostalcode text, guardiancountry text, guardianphone text,
    guardianworkphone text, guardianemail text, sexual_orientation text, gender_identity text,
    birth_fname text, birth_lname text, birth_mname text, dupscore int NOT NULL DEFAULT -9,
    name_history tinytext, suffix tinytext, street_line_2 tinytext, patient_groups text, prevent_portal_apps text,
    provider_since_date tinytext, created_by bigint(20) DEFAULT NULL, updated_by bigint(20) DEFAULT NULL,
    preferred_name tinytext);
CREATE UNIQUE INDEX pid ON patient_data (pid);
CREATE INDEX idx_patient_dob ON patient_data (DOB);
INSERT INTO patient_data (pid, fname, lname, DOB, email, phone_cell, city, hipaa_allowemail, hipaa_allowsms, deceased_date, language)
VALUES (11, 'Ada', 'Lovelace', '1985-12-10', 'ada@example.com', '202-555-0101', 'Paris', 'YES', 'YES', '0000-00-00 00:00:00', 'English'),
       (7, 'Grace', 'Hopper', '1906-12-09', 'grace@example.com', '', '', 'YES', 'NO', NULL, 'Spanish');
'''


def openemr_schema():
    class Texts(dict):
        def __missing__(self, name):
            return f"{name} varchar(255) NOT NULL DEFAULT ''"
    return OPENEMR.format_map(Texts())


PERSONS = '''
CREATE TABLE person (person_id INTEGER PRIMARY KEY, birthdate TEXT, gender TEXT, death_date TEXT, voided INTEGER NOT NULL DEFAULT 0);
CREATE INDEX person_birthdate ON person (birthdate);
CREATE TABLE person_name (person_id INTEGER REFERENCES person, given_name TEXT, family_name TEXT, preferred INTEGER);
CREATE INDEX person_name_of ON person_name (person_id);
CREATE TABLE person_address (person_id INTEGER PRIMARY KEY REFERENCES person, street TEXT, city TEXT, postal_code TEXT);
CREATE TABLE contact (person_id INTEGER REFERENCES person, kind TEXT, value TEXT, PRIMARY KEY (person_id, kind)) WITHOUT ROWID;
INSERT INTO person (person_id, birthdate) VALUES (3, '1985-12-10'), (4, '1906-12-09');
INSERT INTO person_name VALUES (3, 'Ada', 'Lovelace', 1), (3, 'Augusta', 'Byron', 0), (4, 'Grace', 'Hopper', 1);
INSERT INTO person_address VALUES (3, 'Saint James Square 12', 'Paris', '10115');
INSERT INTO contact VALUES (3, 'email', 'ada@example.com'), (3, 'mobile', '202-555-0101'), (4, 'email', 'grace@example.com');
'''

# As a spreadsheet's export is imported: texts, an index by staff, and the contacts that staff added.
CLINIC = '''
CREATE TABLE "our patients" ("No." {key}, Given TEXT NOT NULL, "Family ""Name""" TEXT NOT NULL CHECK (length("Family ""Name""") < 60),
    born {type}, mail TEXT UNIQUE, mobile TEXT, town TEXT, mails TEXT {consent}, "shoe size" TEXT, clinic INTEGER DEFAULT 1 REFERENCES clinic,
    full_name TEXT AS (Given || ' ' || "Family ""Name"""){end};
CREATE TABLE clinic (clinic_id INTEGER PRIMARY KEY);
CREATE TABLE "write log" (what);
CREATE TRIGGER "on add" AFTER INSERT ON "our patients" BEGIN INSERT INTO "write log" VALUES (NEW.Given); END;
CREATE INDEX "by birth" ON "our patients" (born);
INSERT INTO clinic VALUES (1);
INSERT INTO "our patients" ("No.", Given, "Family ""Name""", born, mail, mobile, town, mails)
VALUES ({ada}, 'Ada', 'Lovelace', {born[0]}, 'ada@example.com', '202-555-0101', 'Paris', {yes}),
       ({grace}, 'Grace', 'Hopper', {born[1]}, 'grace@example.com', NULL, NULL, {yes});
'''


def clinic(name, born, date_format, key='INTEGER PRIMARY KEY', type='TEXT', flag='0/1', yes="'1'", no="'0'", end=')', **more):
    """A practice that differs in its key, in how it writes dates, and in how it says yes."""
    ids = ("'ada-1'", "'grace-2'") if 'TEXT' in key else (20, 21)
    columns = {'table': 'our patients', 'patient_id': 'No.', 'first_name': 'Given', 'last_name': 'Family "Name"',
               'date_of_birth': {'column': 'born', 'format': date_format}, 'email': 'mail', 'cell_phone': 'mobile',
               'city': 'town', 'email_consent': {'column': 'mails', 'format': flag}, 'shoe_size': 'shoe size',
               'requests': ['email', 'cell_phone', 'city', 'email_consent', 'shoe_size']}
    return Layout(name, CLINIC.format(key=key, type=type, consent=f'DEFAULT {no}', end=end, ada=ids[0], grace=ids[1], born=born, yes=yes),
                  columns, more['emmy'], str if 'TEXT' in key else int,
                  """UPDATE "our patients" SET town = ? WHERE Given = 'Ada'""",
                  f"""UPDATE "our patients" SET mails = {no} WHERE Given = 'Ada'""")


LAYOUTS = [
    Layout('OpenEMR', openemr_schema(), mapping('openemr'), '1982-03-23', int,
           'UPDATE patient_data SET city = ? WHERE pid = 11', "UPDATE patient_data SET hipaa_allowemail = 'NO' WHERE pid = 11"),
    Layout('persons', PERSONS + (MAPPINGS / 'persons.sql').read_text(), mapping('persons'), '1982-03-23', int,
           'UPDATE person_address SET city = ? WHERE person_id = 3'),
    clinic('integer key, D.M.YYYY', ("'10.12.1985'", "'09.12.1906'"), 'D.M.YYYY', emmy='23.3.1982'),
    clinic('text key, M/D/YYYY, YES/NO', ("'12/10/1985'", "'12/9/1906'"), 'M/D/YYYY', emmy='3/23/1982',
           key='TEXT PRIMARY KEY', flag='YES/NO', yes="'YES'", no="'NO'"),
    clinic('WITHOUT ROWID, Julian days', ('2446409.5', '2417553.5'), 'julian', emmy=2445051.5,
           key='TEXT PRIMARY KEY NOT NULL', type='REAL', flag='true/false', yes="'true'", no="'false'", end=') WITHOUT ROWID'),
    clinic('a default for keys, Unix seconds', ('503020800', '-1990137600'), 'unix', emmy=385689600,
           key="TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(8))))", type='INTEGER', flag='Y/N', yes="'Y'", no="'N'"),
]
