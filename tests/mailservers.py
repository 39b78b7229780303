"""Mail servers that a test starts on loopback, on ports of its own, and that end with it."""
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading

from waiting import free_port, listens, wait_for

USER, PASSWORD = 'portal@localhost', 's3cret'


# Certificates

def certificate(t, name, *faked_time):
    """A self-signed certificate of localhost or another host, and its key, in one file."""
    file = t.path(f'{name}{len(faked_time)}.pem')
    subprocess.run([*(['faketime', *faked_time] if faked_time else []),
                    'openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1',
                    '-nodes', '-days', '2', '-subj', f'/CN={name}', '-addext', f'subjectAltName=DNS:{name}',
                    '-keyout', file, '-out', f'{file}.crt'], check=True, capture_output=True,
                   # faketime does not get on with what a sanitizer preloads.
                   env={'PATH': os.environ['PATH']})
    file.write_text(file.read_text() + pathlib.Path(f'{file}.crt').read_text())
    return file


def tls(certificate_file):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file)
    return context


# smtp-sink, of Postfix: takes mail as fast as it comes, or refuses it as its switches say

def sink(t, *switches, host='127.0.0.1', folder=None):
    """Its port."""
    as_nobody = ['-u', 'nobody'] if os.geteuid() == 0 else []
    for _ in range(10):
        port = free_port()
        process = subprocess.Popen(['/usr/sbin/smtp-sink', *as_nobody, *switches, f'{host}:{port}', '1000'],
                                   stderr=subprocess.DEVNULL, cwd=folder)
        t.at_end(stop, process)
        # Another test may have got the port first: then it ended at once.
        wait_for(lambda: process.poll() is not None or listens(port), 'smtp-sink')
        if process.poll() is None:
            return port
    raise AssertionError('smtp-sink finds no port')


def keeping_sink(t):
    """Its port, and the file to which it adds each message that it takes."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=t.directory))
    folder.chmod(0o777)
    (folder / 'mail').touch()
    (folder / 'mail').chmod(0o666)
    return sink(t, '-D', 'mail', folder=folder), folder / 'mail'


def stop(process):
    process.terminate()
    process.wait()


# aiosmtpd: replies chosen by the test

class Handler:
    """Keeps what it takes; a test's own one overrides what it wants otherwise."""

    def __init__(self):
        self.envelopes = []
        self.connections = 0

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        self.connections += 1
        return responses

    async def handle_DATA(self, server, session, envelope):
        self.envelopes.append(envelope)
        return '250 2.0.0 taken'


def aiosmtpd(t, handler, certificate_file=None, implicit=False, **options):
    """Its port.  With a certificate it offers STARTTLS, without which it takes nothing; or is all in TLS."""
    from aiosmtpd.controller import Controller
    if certificate_file:
        context = tls(certificate_file)
        options.update(dict(ssl_context=context) if implicit else dict(tls_context=context, require_starttls=True))
    controller = Controller(handler, hostname='127.0.0.1', port=free_port(), **options)
    controller.start()
    t.at_end(controller.stop)
    return controller.port


# Plain sockets, for what no real server does

def conversation(t, talk):
    """The port of a server that has talk(connection) with each client, in a thread of its own."""
    listener = socket.create_server(('127.0.0.1', 0), backlog=100)
    t.at_end(listener.close)

    def converse(connection):
        with connection:
            try:
                talk(connection)
            except OSError:
                pass

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=converse, args=[connection], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def answering(reply, heard=None):
    """A talk in which reply(command) is the reply to each command; None: silence.  `heard` gets all lines."""
    heard = [] if heard is None else heard

    def talk(connection):
        lines = connection.makefile('rb')
        connection.sendall(b'220 test ESMTP\r\n')
        verb = ''
        for line in lines:
            heard.append(line)
            if verb == 'DATA' and line != b'.\r\n':
                continue
            verb = line[:4].strip().upper().decode('ascii', 'replace')
            answer = reply(verb)
            if answer:
                connection.sendall(answer)
            if verb == 'DATA' and not (answer and answer.startswith(b'3')):
                verb = ''
    return talk


# Postfix itself, with STARTTLS and AUTH, delivering to a Maildir

MAIN = '''
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = localhost
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
maillog_file = /dev/stdout
smtpd_tls_chain_files = {certificate}
smtpd_tls_security_level = encrypt
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
cyrus_sasl_config_path = {folder}/sasl
smtpd_tls_auth_only = yes
smtpd_recipient_restrictions = check_recipient_access inline:{{ {{nosuch@example.com = 550 5.1.1 no such user}}, {{busy@example.com = 451 4.2.1 mailbox busy}} }}, permit_sasl_authenticated, reject
smtpd_relay_restrictions = permit_sasl_authenticated, reject
virtual_mailbox_domains = example.com
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 100
alias_maps =
alias_database =
biff = no
import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_peername_lookup = no
'''
SASL = 'pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\nsasldb_path: {folder}/sasldb2\n'


class Postfix:
    """Takes mail for example.com from USER; nosuch@ and busy@ are refused."""

    def __init__(self, t, certificate_file):
        if os.geteuid() != 0:
            t.skip('Postfix starts as root alone')
        self.port = free_port()
        # Its processes run as users that could not get into a test's own folder.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='portal-postfix-', dir='/tmp'))
        t.at_end(shutil.rmtree, self.folder, True)
        self.maildir = self.folder / 'mail/all'
        self._configure(certificate_file)
        self.process = subprocess.Popen(['/usr/sbin/postfix', '-c', self.folder, 'start-fg'],
                                        stdout=(self.folder / 'log').open('w'), stderr=subprocess.STDOUT)
        t.at_end(self._stop)
        wait_for(lambda: listens(self.port), self.folder / 'log')

    def _configure(self, certificate_file):
        folder = self.folder
        folder.chmod(0o755)
        for name in ('spool', 'data', 'mail', 'sasl'):
            (folder / name).mkdir()
        shutil.copy(certificate_file, folder / 'certificate.pem')
        (folder / 'main.cf').write_text(MAIN.format(folder=folder, certificate=folder / 'certificate.pem'))
        (folder / 'master.cf').write_text(''.join(self._services()))
        (folder / 'sasl/smtpd.conf').write_text(SASL.format(folder=folder))
        user, realm = USER.split('@')
        subprocess.run(['saslpasswd2', '-p', '-c', '-f', folder / 'sasldb2', '-u', realm, user],
                       input=PASSWORD, text=True, check=True)
        shutil.chown(folder / 'sasldb2', group='postfix')
        (folder / 'sasldb2').chmod(0o640)
        shutil.chown(folder / 'data', user='postfix')
        shutil.chown(folder / 'mail', user='nobody', group='nogroup')

    def _services(self):
        """The master.cf of the package, at our port and without chroot, in which SASL finds nothing."""
        for line in open('/usr/share/postfix/master.cf.dist'):
            fields = line.split()
            if len(fields) >= 8 and fields[1] in ('inet', 'unix', 'fifo', 'unix-dgram') and line[0] != '#':
                if fields[0] == 'smtp' and fields[1] == 'inet':
                    fields[0] = f'127.0.0.1:{self.port}'
                fields[4] = 'n'
                line = ' '.join(fields) + '\n'
            yield line

    def _stop(self):
        """The process that was started only waits for the one that does the work."""
        file = self.folder / 'spool/pid/master.pid'
        if file.exists():
            os.kill(int(file.read_text()), signal.SIGTERM)
        stop(self.process)

    def delivered(self):
        """Files in the Maildir."""
        return [*(self.maildir / 'new').glob('*')]
