"""What carries text messages for a test, on loopback: Kannel with its fake network, and web services
that answer as the test says."""
import collections
import http.server
import os
import pathlib
import re
import ssl
import subprocess
import threading
import urllib.parse
import urllib.request

from waiting import free_ports, listens, wait_for

KANNEL_CONF = '''
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = admin
smsbox-port = {box}
smsbox-interface = 127.0.0.1
dlr-storage = internal

group = smsc
smsc = fake
smsc-id = FAKE
port = {network}
our-host = 127.0.0.1
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {box}
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1
http-request-retry = {retries}
http-queue-delay = 1
white-list-regex = "^\\\\+1"

group = sendsms-user
username = clinic
password = {password}
max-messages = 3
concatenation = true

group = sms-service
keyword = default
get-url = "{replies}"
max-messages = 0
'''

Request = collections.namedtuple('Request', 'path query headers body form')


class Kannel:
    """A gateway: a bearerbox, a smsbox and a network. It ends with the test, as all that a test starts.

    A report that nobody takes it brings again so many times, a second apart; replies it brings to an address.
    """
    USER, PASSWORD = 'clinic', 'correct/horse+battery%20&staple'

    def __init__(self, folder, retries=0, replies='http://127.0.0.1:1/'):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        names = ('admin', 'box', 'network', 'sendsms')
        self.ports = dict(zip(names, free_ports(len(names))))
        (self.folder / 'kannel.conf').write_text(
            KANNEL_CONF.format(**self.ports, password=self.PASSWORD, retries=retries,
                               replies=replies))
        self.start()

    def start(self):
        self.bearerbox = self._start('/usr/sbin/bearerbox', '-v', '1', 'kannel.conf')
        wait_for(lambda: listens(self.ports['network']), 'bearerbox takes networks')
        self.start_network()
        self.start_smsbox()

    @property
    def url(self):
        return f'http://127.0.0.1:{self.ports["sendsms"]}/cgi-bin/sendsms'

    def start_smsbox(self):
        # Its port is open before it knows its users; it connects after that.
        connections = self._connections()
        self.smsbox = self._start('/usr/sbin/smsbox', '-v', '1', 'kannel.conf')
        wait_for(lambda: self._connections() > connections, 'smsbox takes messages')

    def start_network(self, messages=0, message='100 200 text nop'):
        self.network = self._start('/usr/lib/kannel/test/fakesmsc', '-H', '127.0.0.1', '-r',
                                   str(self.ports['network']), '-i', '1', '-m', str(messages), message)
        wait_for(lambda: b'(online' in self._status(), 'the network is there')

    def reply(self, sender, text):
        """Somebody answers from a telephone."""
        self.stop_network()
        self.start_network(1, f'{sender} 100 text {urllib.parse.quote_plus(text)}')

    def restart(self):
        for process in (self.smsbox, self.network, self.bearerbox):
            self.stop(process)
        self.start()

    def stop(self, process):
        process.kill()
        process.wait()

    def stop_network(self):
        self.stop(self.network)
        wait_for(lambda: b'(online' not in self._status(), 'the network is gone')

    def arrived(self):
        """What came out at the other end: sender, recipient, and a text or its UCS-2 parts in one."""
        found = re.findall(r'Got message \d+: <(\S+) (\S+) (?:udh (\S+) )?(text|data|ucs-2) (.*)>$',
                           (self.folder / 'fakesmsc.log').read_text(), re.M)
        messages = []
        for sender, recipient, part, form, text in found:
            if form != 'text':
                text = urllib.parse.unquote_to_bytes(text.replace('+', ' ')).decode('utf-16-be')
            if part and not part.endswith('%01'):
                messages[-1][2] += text
            else:
                messages.append([sender, recipient, text])
        return [tuple(message) for message in messages]

    def _connections(self):
        log = self.folder / 'smsbox.log'
        return log.read_text().count('Connected to bearerbox') if log.exists() else 0

    def _status(self):
        address = f'http://127.0.0.1:{self.ports["admin"]}/status.txt?password=admin'
        with urllib.request.urlopen(address) as answer:
            return answer.read()

    def _start(self, program, *arguments):
        log = self.folder / f'{pathlib.Path(program).name}.log'
        environment = {name: os.environ[name] for name in ('PATH', 'HOME')}
        with log.open('a') as output:
            return subprocess.Popen([program, *arguments], cwd=self.folder, env=environment, stdout=output,
                                    stderr=output, stdin=subprocess.DEVNULL)


class Service:
    """A web service that keeps connections: answer(Request) is asked for each request.

    It gives (status, body) or (status, body, headers), or DROP: the connection is closed without an
    answer, or HANG: nothing is ever answered, or the pieces of bytes that are written before the connection
    is closed, as many as the client takes. `certificate` is a file of a certificate and its key. It ends
    with the test's process.
    """
    DROP, HANG = 'drop', 'hang'

    def __init__(self, answer, certificate=None):
        self.requests = []
        self.answer = answer
        self._server = Server(('127.0.0.1', 0), type('Handler', (Handler,), {'service': self}))
        self.scheme = 'https' if certificate else 'http'
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True,
                                                      do_handshake_on_connect=False)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return f'{self.scheme}://localhost:{self._server.server_address[1]}'

    @property
    def connections(self):
        return self._server.connections


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True
    connections = 0

    def process_request(self, request, client_address):
        self.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request, client_address):
        """A client that hangs up is what some tests are about."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True

    def do_POST(self):
        address = urllib.parse.urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get('Content-Length', 0))).decode()
        request = Request(address.path, dict(urllib.parse.parse_qsl(address.query)), self.headers, body,
                          dict(urllib.parse.parse_qsl(body)))
        self.service.requests.append(request)
        answer = self.service.answer(request)
        if answer == Service.HANG:
            threading.Event().wait()
        if answer in (Service.DROP, Service.HANG):
            self.close_connection = True
            return
        if not isinstance(answer, tuple):
            self.close_connection = True
            self.wfile.writelines(answer)
            return
        status, text, *headers = answer
        self.send_response(status)
        for name, value in headers[0].items() if headers else ():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST

    def log_message(self, *_):
        """Nothing is logged."""


def certificate(folder, host):
    """Files of a certificate for a host, signed by itself: without its key, and with it."""
    file = pathlib.Path(folder) / 'certificate.pem'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
                    '-nodes', '-subj', f'/CN={host}', '-addext', f'subjectAltName=DNS:{host}',
                    '-days', '30', '-keyout', f'{file}.key', '-out', str(file)],
                   check=True, capture_output=True)
    both = file.with_name('both.pem')
    both.write_text(file.read_text() + pathlib.Path(f'{file}.key').read_text())
    return file, both


# What the tests of channels of text messages do

def practice(t, channel, patients=0, **settings):
    """A database whose text messages go through a channel, and so many patients."""
    db = t.database()
    for key, value in settings.items():
        kind = 'portal_secret' if key.endswith(('_password', '_token')) else 'portal_setting'
        db.execute(f'SELECT {kind}(?, ?)', [key, value])
    db.execute("SELECT portal_setting('text_channel', ?)", [channel])
    for _ in range(patients):
        t.patient(db)
    return db


def queue(t, db):
    """Registrations for all who have none yet, not handed over within the call."""
    db.execute('BEGIN')
    db.execute("INSERT INTO send_registration SELECT patient_id, 'text' FROM patient"
               " WHERE patient_id NOT IN (SELECT patient_id FROM portal_message)")
    db.execute('COMMIT')


def rows(t, db, columns='status'):
    return t.all(db, f'SELECT {columns} FROM portal_message ORDER BY message_id')




def problem(t, db, channel):
    """Why a channel is not ready; None when it is."""
    return t.one(db, 'SELECT detail FROM portal_channels WHERE name = ?', channel)
