"""portal_try_channel(): connects and signs in as for delivering, sends nothing, and says what is wrong and the remedy."""
import json
import os
import pathlib
import subprocess
import time

import gateways
import harness
import mailservers as servers
import test_smtp as smtp
import test_twilio as twilio
from waiting import free_port, wait_for


def tried(t, db, channel):
    """What is wrong; and nothing was queued, sent or written of it."""
    before = t.all(db, 'SELECT audit_count, settings_stamp FROM portal_state')
    wrong = t.one(db, 'SELECT portal_try_channel(?)', channel)
    t.equal(t.all(db, 'SELECT audit_count, settings_stamp FROM portal_state'), before)
    return wrong


def mail_practice(t, **settings):
    return smtp.practice(t, 0, **settings)


def authority(t, host='localhost'):
    """A certificate of thirty days: without its key, and behind it, as Postfix wants them."""
    folder = t.path(f'authority-{host}')
    folder.mkdir()
    file, both = gateways.certificate(folder, host)
    both.write_text(pathlib.Path(f'{file}.key').read_text() + file.read_text())
    return file, both


# Mail servers

def test_postfix_lets_us_in_over_starttls_and_auth_or_says_that_the_password_is_wrong(t):
    file, both = authority(t)
    postfix = servers.Postfix(t, both)
    db = mail_practice(t, smtp_url=smtp.url(postfix.port, 'localhost'), smtp_ca_file=str(file), **smtp.TRUST)
    t.contains(tried(t, db, 'smtp'), "store the password of", "portal_secret('smtp_password'")
    t.one(db, "SELECT portal_secret('smtp_password', ?)", servers.PASSWORD)
    t.equal(tried(t, db, 'smtp'), None)
    t.one(db, "SELECT portal_secret('smtp_password', 'a wrong one')")
    wrong = tried(t, db, 'smtp')
    t.contains(wrong, '535', 'check smtp_user and smtp_password')
    t.true('a wrong one' not in wrong, wrong)
    t.equal(postfix.delivered(), [])


def test_a_certificate_that_ends_soon_has_ended_is_of_another_host_or_of_nobody_is_told(t):
    def attempt(certificate, trusted, host='localhost'):
        port = servers.aiosmtpd(t, servers.Handler(), certificate)
        db = t.connect(t.file(practice))
        smtp.configure(db, smtp_url=smtp.url(port, host), smtp_ca_file=str(trusted or ''))
        return tried(t, db, 'smtp')

    practice = mail_practice(t, smtp_tls='required')
    file, both = authority(t)
    t.equal(attempt(both, file), None)
    soon = servers.certificate(t, 'localhost')      # of two days
    t.contains(attempt(soon, soon), "the server's certificate ends in ", ' days; have it renewed')
    ended = servers.certificate(t, 'localhost', '2020-01-01')
    _, other = authority(t, 'elsewhere.example')
    for certificate, trusted in ((ended, ended), (other, other), (both, None)):
        t.contains(attempt(certificate, trusted), "have the server's certificate renewed, or name its authority in smtp_ca_file")


def test_each_way_that_a_mail_server_can_be_out_of_reach_has_its_remedy(t):
    db = mail_practice(t)
    t.contains(tried(t, db, 'smtp'), 'not ready: set smtp_url')
    smtp.configure(db, smtp_url=f'smtp://127.0.0.1:{free_port()}')
    t.contains(tried(t, db, 'smtp'), 'check host and port in smtp_url')
    smtp.configure(db, smtp_url='smtp://nosuch.invalid')
    t.contains(tried(t, db, 'smtp'), 'check the host in smtp_url')
    port = servers.sink(t)
    smtp.configure(db, smtp_url=smtp.url(port))
    t.equal(tried(t, db, 'smtp'), None)
    smtp.configure(db, smtp_tls='required')
    t.contains(tried(t, db, 'smtp'), 'STARTTLS')
    smtp.configure(db, smtp_tls='auto', smtp_url=smtp.url(port, scheme='smtps'))
    t.contains(tried(t, db, 'smtp'), 'check scheme and port in smtp_url')
    smtp.configure(db, smtp_url=smtp.url(port), smtp_user='anna')
    t.one(db, "SELECT portal_secret('smtp_password', 'x')")
    t.contains(tried(t, db, 'smtp'), 'smtp_user')


def test_a_mail_server_that_is_silent_or_talks_nonsense_takes_ten_seconds_at_most(t):
    heard = []

    def no_end(connection):
        while True:
            connection.sendall(b'220-more\r\n' * 1000)

    for talk in (lambda connection: time.sleep(60), lambda connection: connection.sendall(b'HTTP/1.1 200 OK\r\n\r\n'),
                 lambda connection: connection.close(), no_end):
        db = mail_practice(t, smtp_url=smtp.url(servers.conversation(t, talk)))
        started = time.monotonic()
        t.contains(tried(t, db, 'smtp'), 'smtp_url')
        t.true(time.monotonic() - started < 40)
        db.close()
    db = mail_practice(t, smtp_url=smtp.url(servers.conversation(t, servers.answering(lambda verb: b'250 ok\r\n', heard))))
    t.equal(tried(t, db, 'smtp'), None)
    wait_for(lambda: len(heard) > 1, 'the goodbye')
    t.equal([line[:4] for line in heard], [b'EHLO', b'QUIT'])


# Gateways

def test_kannel_says_whether_user_and_password_are_right_and_no_message_arrives(t):
    kannel = gateways.Kannel(t.path('kannel'))
    db = gateways.practice(t, 'kannel', kannel_url=kannel.url, kannel_user=kannel.USER, kannel_password=kannel.PASSWORD)
    t.equal(tried(t, db, 'kannel'), None)
    db.execute("SELECT portal_secret('kannel_password', 'wrong')")
    t.contains(tried(t, db, 'kannel'), '403', 'check kannel_user and kannel_password')
    db.execute("SELECT portal_setting('kannel_url', ?)", [kannel.url.replace('sendsms', 'elsewhere')])
    t.contains(tried(t, db, 'kannel'), '404', 'check kannel_url')
    kannel.stop(kannel.smsbox)
    t.contains(tried(t, db, 'kannel'), 'check host and port in kannel_url')
    t.equal(kannel.arrived(), [])


def test_twilio_is_asked_for_the_account_alone(t):
    def account(request):
        t.equal(request.path, f'/2010-04-01/Accounts/{twilio.ACCOUNT}.json')
        return answers[-1]

    answers = [(200, json.dumps({'sid': twilio.ACCOUNT, 'status': 'active'}))]
    file, both = authority(t)
    service, db = twilio.twilio(t, account, certificate=both)
    # First, because the server's thread is not to be busy with a failed handshake when the process ends.
    t.contains(tried(t, db, 'twilio'), 'name its authority in twilio_ca_file')
    db.execute("SELECT portal_setting('twilio_ca_file', ?)", [str(file)])
    t.equal(tried(t, db, 'twilio'), None)
    t.true(service.requests[0].headers['Authorization'].startswith('Basic '))
    for answer, says in ((twilio.refused(401, 20003), 'check twilio_account and twilio_token'),
                         (twilio.refused(404, 20404), 'check twilio_url and twilio_account'),
                         ((200, json.dumps({'sid': twilio.ACCOUNT, 'status': 'suspended'})), 'Twilio says 200'),
                         ((200, 'nonsense'), 'Twilio says 200'), ((503, ''), 'Twilio says 503'),
                         ((200, 'x' * 20000), 'Twilio says 200'),
                         (twilio.refused(401, 20003, twilio.TOKEN), 'twilio_token')):
        answers.append(answer)
        wrong = tried(t, db, 'twilio')
        t.contains(wrong, says, service.url)
        t.true(twilio.TOKEN not in wrong, wrong)
    t.equal({body for body in (request.body for request in service.requests)}, {''})


# Others

def test_the_maildir_is_tried_without_making_it(t):
    db = t.database()
    t.equal(tried(t, db, 'maildir'), None)
    t.true(not t.path('practice.db-outbox').exists())
    for where in (t.path('missing/mail'), '/proc/version/mail'):
        db.execute("SELECT portal_setting('maildir', ?)", [str(where)])
        t.contains(tried(t, db, 'maildir'), str(where), 'check the folder, or set maildir')
    os.chdir(t.directory)
    for where in ('mail', 'there'):
        db.execute("SELECT portal_setting('maildir', ?)", [where])
        t.equal(tried(t, db, 'maildir'), None)


def test_it_runs_by_itself_alone_and_knows_what_there_is(t):
    db = t.database()
    t.refuses(db, "SELECT portal_try_channel('pigeon')", says='there is no channel pigeon')
    t.refuses(db, 'SELECT portal_try_channel(NULL)', says='channel is NULL')
    db.execute('BEGIN')
    t.refuses(db, "SELECT portal_try_channel('maildir')", says=('inside a transaction', 'uses the network'))
    db.execute('ROLLBACK')


OLD = '''
#include "portal.h"
SQLITE_EXTENSION_INIT1
static int deliver(void *data, portal_batch *batch) { (void)data; (void)batch; return SQLITE_OK; }
int portal_plugin_init(sqlite3 *db, char **error, const sqlite3_api_routines *routines)
{
    /* As a compiler of that version laid it out: what comes after it is something else. */
    static struct { char channel[offsetof(portal_channel, probe)]; char *other[2]; } old;
    portal_channel *channel = (portal_channel *)&old;
    SQLITE_EXTENSION_INIT2(routines);
    (void)error;
    channel->version = VERSION;
    channel->name = NAME;
    channel->serves = PORTAL_TEXT;
    channel->deliver = deliver;
    for (int i = VERSION == 1 ? 0 : VERSION - 1; i < 2; i++) old.other[i] = "no function";
    return portal_api_from_db(db)->register_channel(portal_api_from_db(db), channel, NULL, NULL);
}
'''


@harness.release_only
def test_a_plugin_of_an_older_version_has_no_test_connection_and_takes_no_callbacks(t):
    folder = t.path('here/portal.d')
    folder.mkdir(parents=True)
    (folder.parent / 'portal.so').write_bytes(t.extension.read_bytes())
    t.path('old.c').write_text(OLD)
    for version, name in ((1, 'old'), (2, 'new'), (3, 'newest')):
        subprocess.run(['cc', '-shared', '-fPIC', '-w', f'-DVERSION={version}', f'-DNAME="{name}"', f'-I{harness.ROOT}/ext',
                        '-o', folder / f'{name}.so', t.path('old.c')], check=True)
    db = t.connect(t.path('practice.db'), extension=False)
    t.load(db, folder.parent / 'portal.so')
    db.execute('SELECT portal_init()')
    for name in ('old', 'new', 'newest'):
        t.equal(tried(t, db, name), f'can not be tried: the plugin {name} has no test connection')
        t.equal(t.one(db, "SELECT portal_callback(?, '', NULL, NULL)", name), '{"result":"unknown"}')
