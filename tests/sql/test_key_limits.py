"""How a key file may be named, and what it may hold."""
import os
import pathlib
import secrets
import time


def key_of(t, db):
    return pathlib.Path(f'{t.file(db)}.portal-key')


def test_an_empty_name_is_none(t):
    os.environ['PORTAL_KEY_FILE'] = ''
    t.true(key_of(t, t.database()).exists())


def test_a_name_that_no_system_call_takes_is_refused(t):
    os.environ['PORTAL_KEY_FILE'] = 'x/' * 2100 + 'key'
    t.refuses(t.database(init=False), 'SELECT portal_init()', says='has too long a name')


def test_a_file_whose_folder_can_not_be_made_durable_is_no_key_file(t):
    os.environ['PORTAL_KEY_FILE'] = '/proc/version'
    t.refuses(t.database(init=False), 'SELECT portal_init()', says='can not be made durable')


def test_a_key_file_of_too_many_keys_or_of_other_than_digits_is_damaged(t):
    db = t.database()
    key = key_of(t, db)
    first = key.read_text()
    most = ''.join(f'{number} {secrets.token_hex(32)}\n' for number in range(2, 33))
    for text in (first + most * 10, first + f'2 {"zz" * 32}\n', first + f'2 {"ab" * 31}zz\n'):
        key.write_text(text)
        t.refuses(t.connect(t.file(db)), 'SELECT portal_audit_verify()', says='is damaged')
    generations = 1
    while True:
        key.write_text(first + ''.join(f'{number} {secrets.token_hex(32)}\n' for number in range(2, generations + 2)))
        try:
            t.connect(t.file(db)).execute('SELECT portal_audit_verify()')
        except Exception as error:
            t.contains(str(error), 'is damaged')
            break
        generations += 1
    t.true(generations >= 16, generations)


def test_a_change_within_the_same_second_is_seen(t):
    db = t.database()
    key = key_of(t, db)
    was = key.stat().st_mtime_ns
    key.write_text(f'1 {secrets.token_hex(32)}\n')
    os.utime(key, ns=(was, was // 10**9 * 10**9 + (was + 1) % 10**9))
    time.sleep(1.2)     # the file is looked at once a second
    t.refuses(db, 'SELECT portal_audit_verify()', says='belongs to another database')
