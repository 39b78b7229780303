"""What the extension adds to SQL: no more and no less than is listed here, and all of it is told."""
import pathlib
import re

import harness

FUNCTIONS = '''
accept_request claim_messages confirm_representative decline_request deliver end_representatives expire_links
forgot_password merge_patients portal_api portal_as portal_audit_verify portal_callback portal_demographics
portal_everywhere portal_init portal_key_rotate portal_letter portal_login portal_logout portal_map_patient portal_opt_in
portal_opt_out portal_poster portal_practice portal_purge portal_restored portal_secret portal_session portal_setting portal_try_channel portal_version
preview_message quick_add register_patient register_representative remove_representative report_delivery
request_pin reset_password revoke_access send_problem send_registration set_account_contact submit_demographics
token_status token_valid unlock_account
'''.split()
INSERTABLE = '''
accept_request confirm_representative decline_request merge_patients quick_add remove_representative
revoke_access send_registration set_account_contact unlock_account
'''.split()
TABLES = '''
pending_requests portal_channels portal_check portal_claimed portal_find portal_help portal_opt_outs portal_settings
portal_status portal_template
'''.split()
# Only plugins call it, through portal_api_from_db().
NOT_FOR_PEOPLE = ['portal_api']


def added(t, pragma):
    """What loading adds to one of SQLite's lists."""
    db = t.connect(t.path('surface.db'), extension=False)
    before = {row[0] for row in db.execute(f'SELECT name FROM {pragma}')}
    t.load(db, t.extension)
    return {row[0] for row in db.execute(f'SELECT name FROM {pragma}')} - before


def help_of(t):
    db = t.connect(':memory:')
    rows = db.execute('SELECT * FROM portal_help')
    names = [column[0] for column in rows.description]
    return [dict(zip(names, row)) for row in rows]


def arities(usage):
    """Of "name(a, b [, c, d])": how many arguments are needed, and how many there can be."""
    inside = usage.partition('(')[2].rstrip(')')
    needed, _, optional = inside.partition('[')
    count = lambda text: len(re.findall(r'\w+', text))
    return {count(needed), count(needed) + count(optional)}


def test_loading_adds_these_functions_and_no_others(t):
    t.equal(sorted(added(t, 'pragma_function_list')), FUNCTIONS)


def test_loading_adds_these_tables_and_no_others(t):
    t.equal(sorted(added(t, 'pragma_module_list')), sorted(INSERTABLE + TABLES))


def test_loading_writes_nothing_and_needs_no_file(t):
    db = t.connect(t.path('surface.db'))
    t.equal(t.all(db, 'SELECT * FROM sqlite_schema'), [])
    db.execute('PRAGMA user_version')
    t.equal(sorted(path.name for path in t.directory.glob('surface.db*') if path.stat().st_size), [])


def test_the_help_lists_all_that_was_added_once(t):
    rows = help_of(t)
    t.equal(sorted(row['name'] for row in rows if row['kind'].startswith('function')),
            [name for name in FUNCTIONS if name not in NOT_FOR_PEOPLE])
    t.equal(sorted(row['name'] for row in rows if 'insert' in row['kind']), INSERTABLE)
    t.equal(sorted(row['name'] for row in rows if row['kind'] == 'table'), TABLES)


def test_the_help_says_everything_about_everything(t):
    for row in help_of(t):
        for column in ('usage', 'result', 'applications', 'description'):
            t.true(row[column], f'{row["name"]} has no {column}')
        t.true(row['usage'].startswith(row['name']), row['usage'])
        t.true(row['description'].endswith('.'), row['description'])


def test_the_help_tells_the_arguments_that_each_function_takes(t):
    db = t.connect(':memory:')
    for row in help_of(t):
        if row['kind'].startswith('function'):
            registered = {narg for narg, in db.execute(
                'SELECT narg FROM pragma_function_list WHERE name = ?', [row['name']])}
            needed, most = min(arities(row['usage'])), max(arities(row['usage']))
            t.equal(sorted({min(registered), max(registered)}), sorted({needed, most}), row['usage'])


def test_the_help_tells_the_columns_of_every_table(t):
    db = t.database()
    for row in help_of(t):
        if 'function' not in row['kind'] or 'insert' in row['kind']:
            columns = [name for name, in db.execute(
                'SELECT name FROM pragma_table_xinfo(?)', [row['name']])]
            text = row['result'] if row['kind'] == 'table' else row['usage'].partition('(')[2]
            told = [re.match(r'\W*(\w+)', part)[1] for part in text.split(',')]
            t.equal(told, columns, row['name'])


def test_an_insertable_table_has_the_arguments_of_its_function_as_columns(t):
    db = t.database()
    t.equal([name for name, in db.execute("SELECT name FROM pragma_table_xinfo('quick_add')")],
            ['first_name', 'last_name', 'date_of_birth', 'channel', 'contact'])
    for name in INSERTABLE:
        t.equal(t.all(db, f'SELECT * FROM {name}'), [], f'{name} is there to be inserted into')


def test_every_function_and_table_is_used_by_a_test(t):
    tests = pathlib.Path(harness.ROOT, 'tests/sql')
    text = '\n'.join(file.read_text() for file in tests.glob('test_*.py')
                     if file.name != pathlib.Path(__file__).name)
    t.equal([name for name in sorted({*FUNCTIONS, *INSERTABLE, *TABLES} - {*NOT_FOR_PEOPLE})
             if not re.search(rf'\b{name}\b', text)], [])


def test_the_readme_tells_of_every_function_table_and_setting(t):
    readme = pathlib.Path(harness.ROOT, 'README.md').read_text()
    settings = [key for key, in t.database().execute('SELECT key FROM portal_settings')]
    names = sorted({*FUNCTIONS, *INSERTABLE, *TABLES} - {*NOT_FOR_PEOPLE}) + settings
    t.equal([name for name in names if not re.search(rf'\b{name}\b', readme)], [])


def test_no_function_may_be_called_by_a_schema_that_somebody_sent(t):
    db = t.connect(':memory:')
    direct = 0x80000     # SQLITE_DIRECTONLY
    t.equal([name for name, flags in db.execute('SELECT name, flags FROM pragma_function_list')
             if name in FUNCTIONS and not flags & direct], [])
