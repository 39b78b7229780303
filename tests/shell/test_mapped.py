"""The command on a practice's own tables: init --map, and what it does with them."""
import json

import layouts

DONE, REFUSED, USAGE, PARTLY = 0, 1, 2, 3


def test_init_takes_the_mapping_of_a_file_and_sends_to_all_of_that_table(t):
    db = t.database(init=False, name='openemr.db')
    db.executescript(layouts.openemr_schema())
    answer = t.portal('-d', 'openemr.db', 'init')
    t.equal(answer.code, REFUSED)
    t.contains(answer.stderr, 'portal_init(mapping)')
    for path, says in (('nowhere.json', 'nowhere.json: No such file'), (layouts.MAPPINGS / 'synthea.json', 'there is no table or view patients'),
                       (layouts.MAPPINGS, 'Is a directory'), ('/dev/null', 'no JSON object'), ('/dev/zero', 'too long')):
        answer = t.portal('-d', 'openemr.db', 'init', '--map', path)
        t.equal((answer.code, answer.stdout), (REFUSED, ''), f'{path}: {answer.stderr}')
        t.contains(answer.stderr, says)
    answer = t.portal('-d', 'openemr.db', 'init', '--map', layouts.MAPPINGS / 'openemr.json')
    t.equal(answer.code, DONE, answer.stderr)
    t.contains(answer.stdout, 'were made', 'Patients are kept in patient_data')
    t.true('send PATIENT' in answer.stderr and 'import' not in answer.stderr, answer.stderr)
    again = t.portal('-d', 'openemr.db', 'init')
    t.contains(again.stdout, 'are there')
    t.equal(json.loads(t.one(db, 'SELECT portal_map_patient()'))['table'], 'patient_data')
    shown = t.portal('-d', 'openemr.db', 'send-all', '--by', 'text', '--dry-run', '--where', "lname <> ''")
    t.contains(shown.stdout, 'Grace Hopper', 'patient 7 has no cell phone number on file')
    sent = t.portal('-d', 'openemr.db', 'send-all', '--by', 'email', '--yes')
    t.equal(sent.code, DONE, sent.stderr)
    t.contains(sent.stderr, '2 can be sent to, 0 not.')
    t.contains(t.portal('-d', 'openemr.db', 'status', 'lovelace').stdout, '11', 'sent')
    t.path('more.csv').write_text('first_name,last_name,date_of_birth\nEmmy,Noether,1982-03-23\n')
    refused = t.portal('-d', 'openemr.db', 'import', 'more.csv')
    t.equal((refused.code, refused.stdout), (REFUSED, ''))
    t.contains(refused.stderr, 'patients are kept in patient_data')
    t.equal(t.one(db, 'SELECT count(*) FROM patient_data'), 2)


def test_import_fills_our_own_table_also_where_patients_may_ask_for_less(t):
    db = t.database(name='own.db')
    t.one(db, "SELECT portal_map_patient(json_patch(portal_map_patient(), '{\"requests\": [\"city\"]}'))")
    t.path('more.csv').write_text('first_name,last_name,date_of_birth\nEmmy,Noether,1982-03-23\n')
    answer = t.portal('-d', 'own.db', 'import', 'more.csv', '--yes')
    t.equal((answer.code, t.one(db, 'SELECT count(*) FROM patient')), (DONE, 1), answer.stderr)
    db.execute("UPDATE portal_mapping SET source = 'home_phone' WHERE field = 'cell_phone'")
    t.contains(t.portal('-d', 'own.db', 'import', 'more.csv', '--yes').stderr, 'import fills the portal')
