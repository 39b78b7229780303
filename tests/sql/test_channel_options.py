"""Settings and credentials that a channel brings along, as rows of its own table."""
import os

import flows
from test_plugins import practice, queue_all, spooled


def options(t, db):
    """What the channel reads when it is handed something."""
    queue_all(t, db)
    db.execute('SELECT deliver()')
    return spooled(t, 'options')[-1][1:]


def put(t, db, key, value):
    return t.one(db, 'SELECT portal_setting(?, ?)', key, value)


def test_a_channel_reads_its_defaults(t):
    db = practice(t, patients=1)
    t.equal(options(t, db), ['hello', '', '10', 'none'])


def test_a_channel_reads_what_was_set_by_the_name_of_its_channel(t):
    db = practice(t, patients=1)
    t.equal(put(t, db, 'spool_greeting', 'good day'), 'good day')
    t.equal(put(t, db, 'spool_url', 'https://spool.example.com/in'), 'https://spool.example.com/in')
    t.equal(put(t, db, 'spool_limit', 50), '50')
    t.equal(t.one(db, "SELECT portal_secret('spool_password', 'open sesame')"), 'spool_password was stored.')
    t.equal(options(t, db), ['good day', 'https://spool.example.com/in', '50', 'open sesame'])
    t.equal(put(t, db, 'spool_greeting', None), 'hello')


def test_a_setting_of_a_channel_is_checked_like_every_other(t):
    db = practice(t)
    for key, value, says in (('spool_limit', '0', 'from 1 to 50'), ('spool_limit', '51', 'from 1 to 50'),
                             ('spool_limit', 'ten', 'whole number'), ('spool_url', 'spool', 'scheme://host'),
                             ('spool_url', 'https://', 'scheme://host'), ('spool_url', 'https://a b', 'character'),
                             ('spool_greeting', '', 'not be empty'), ('spool_greeting', 'x', 'too short'),
                             ('spool_greeting', 'x' * 21, 'too long'), ('spool_greeting', 'a\nb', 'invisible'),
                             ('spool_password', 'x', 'portal_secret'), ('spool_none', 'x', 'no setting'),
                             ('spool_', 'x', 'no setting'), ('_greeting', 'x', 'no setting'),
                             ('nothing_greeting', 'x', 'no setting'), ('a' * 64 + '_greeting', 'x', 'no setting'),
                             ('spool_url', '://host', 'scheme://host'), ('../spool_greeting', 'x', 'no setting')):
        t.refuses(db, 'SELECT portal_setting(?, ?)', key, value, says=says)
        if says == 'no setting':
            t.refuses(db, 'SELECT portal_setting(?)', key, says=says)
    t.refuses(db, "SELECT portal_secret('spool_greeting', 'x')", says='use portal_setting')


def test_a_credential_that_no_channel_asks_for_is_told(t):
    db = practice(t)
    for key in ('spool_pasword', 'nothing_password', 'password'):
        t.equal(t.one(db, "SELECT portal_secret(?, 'x')", key),
                f'{key} was stored, but there is no channel that asks for it.')
    t.equal(t.one(db, "SELECT portal_secret('spool_pasword', NULL)"), 'spool_pasword was removed.')


def test_a_value_that_was_put_there_past_the_checks_counts_as_unset(t):
    db = practice(t, patients=1)
    db.execute("INSERT INTO portal_setting VALUES ('spool_limit', '99'), ('spool_url', 'nowhere')")
    t.equal(options(t, db)[1:3], ['', '10'])
    t.equal(t.all(db, "SELECT subject FROM portal_check WHERE problem LIKE 'a setting%' ORDER BY 1"),
            [('spool_limit',), ('spool_url',)])
    put(t, db, 'spool_limit', 7)
    put(t, db, 'spool_url', '')
    t.equal(t.all(db, 'SELECT * FROM portal_check'), [])


def test_settings_of_channels_are_listed_and_credentials_are_not(t):
    db = practice(t)
    put(t, db, 'spool_greeting', 'good day')
    t.one(db, "SELECT portal_secret('spool_password', 'open sesame')")
    t.equal(t.all(db, "SELECT * FROM portal_settings WHERE key LIKE 'spool%'"),
            [('spool_greeting', 'good day', 'hello', 'What the spool says.'),
             ('spool_url', '', '', 'Where the spool is.'), ('spool_limit', '10', '10', 'What the spool takes.')])
    t.true('open sesame' not in '\n'.join(db.iterdump()), 'the password is in a dump')


def test_a_credential_may_come_from_the_environment(t):
    db = practice(t, patients=1)
    os.environ['PORTAL_SPOOL_PASSWORD'] = 'from outside'
    t.equal(options(t, db)[3], 'from outside')
    t.one(db, "SELECT portal_secret('spool_password', 'stored')")
    flows.ask(t, db, 'SELECT deliver()')
    t.advance(120)
    t.equal(options(t, db)[3], 'stored')
    t.one(db, "SELECT portal_secret('spool_password', NULL)")
    os.environ['PORTAL_SPOOL_PASSWORD'] = ''
    t.advance(120)
    t.equal(options(t, db)[3], 'none')


def test_only_the_ehr_sets_up_channels(t):
    db = practice(t)
    for application in 'scheduling', 'portal':
        other = t.connect(t.file(db))
        t.one(other, 'SELECT portal_as(?)', application)
        t.refuses(other, "SELECT portal_setting('spool_greeting', 'x')", says=application)
