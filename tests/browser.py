"""A reader of the portal's pages without JavaScript: cookies, forms, redirects, and what a page says."""
import collections
import html
import html.parser
import http.client
import re
import signal
import socket
import subprocess
import time
import urllib.parse

from waiting import free_port

Page = collections.namedtuple('Page', 'status path headers html')


class Address:
    """Where pages are served."""

    def __init__(self, port):
        self.port = port

    def connection(self):
        return http.client.HTTPConnection('127.0.0.1', self.port, timeout=60)


class Server(Address):
    """`portal serve` of a database, on a port of its own, until the end of the test."""

    def __init__(self, t, database, *options, command=None, before=(), port=None, **environment):
        """`before` starts the command, which is `portal -d DATABASE serve` without another."""
        super().__init__(port or free_port())
        self.t = t
        self.url = f'http://127.0.0.1:{self.port}'
        self.log = t.path(f'serve-{self.port}.log')
        self.command = [*before, *(command or [t.command, '-d', str(database), 'serve']),
                        '--listen', f'127.0.0.1:{self.port}', *options]
        self.environment = t.portal_environment(environment)
        self.start()

    def start(self):
        self.output = self.log.open('a')
        self.process = subprocess.Popen(self.command, env=self.environment, stdout=self.output, stderr=subprocess.STDOUT)
        self.t.at_end(self.end)
        self.wait()

    def wait(self):
        for _ in range(600):
            if self.process.poll() is not None:
                raise AssertionError(f'portal serve ended: {self.log.read_text()}')
            with socket.socket() as probe:
                if probe.connect_ex(('127.0.0.1', self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError('portal serve does not listen')

    def end(self):
        """Ends it as a service manager does; the exit code, and under a sanitizer what it found."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait()
        self.output.close()
        self.t.equal(code, 0, self.log.read_text())
        return code


class Form(html.parser.HTMLParser):
    """The fields of a page's first form that goes to a path, as a browser would send them."""

    def __init__(self, page, path):
        super().__init__()
        self.path, self.inside, self.fields, self.action, self.select = path, False, {}, None, None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == 'form':
            self.inside = urllib.parse.urlsplit(attributes['action']).path.endswith(self.path)
            self.action = attributes['action'] if self.inside else self.action
        elif self.inside and tag == 'input':
            if attributes.get('type') != 'radio' or 'checked' in attributes:
                self.fields[attributes['name']] = attributes.get('value', '')
        elif self.inside and tag == 'select':
            self.select = attributes['name']
        elif self.inside and tag == 'option' and 'selected' in attributes:
            self.fields[self.select] = attributes['value']

    def handle_endtag(self, tag):
        if tag == 'form':
            self.inside = False


class Browser:
    """One person's browser.  `page` is what it shows."""

    def __init__(self, server, **headers):
        self.server, self.headers, self.cookies, self.page = server, headers, {}, None

    def ask(self, method, path, body=None, **headers):
        """One exchange, without following where it leads."""
        connection = self.server.connection()
        cookies = '; '.join(f'{name}={value}' for name, value in self.cookies.items())
        sent = {**self.headers, **({'Cookie': cookies} if cookies else {}), **headers}
        connection.request(method, path, body, {name.replace('_', '-'): value for name, value in sent.items()})
        answer = connection.getresponse()
        self.page = Page(answer.status, path, answer.headers, answer.read().decode())
        connection.close()
        for cookie in answer.headers.get_all('Set-Cookie') or []:
            name, _, value = cookie.partition(';')[0].partition('=')
            self.cookies[name] = value
            if not value:
                del self.cookies[name]
        return self.page

    def open(self, path):
        """Opens a page, or where it leads."""
        page = self.ask('GET', path)
        for _ in range(5):
            if page.status != 303:
                break
            page = self.ask('GET', page.headers['Location'])
        return page

    def post(self, path, fields):
        page = self.ask('POST', path, urllib.parse.urlencode(fields),
                        Content_Type='application/x-www-form-urlencoded')
        return self.open(page.headers['Location']) if page.status == 303 else page

    def submit(self, path, **entered):
        """Fills in the form of the page that goes to the path, and sends it."""
        form = Form(self.page.html, path)
        if form.action is None:
            raise AssertionError(f'no form goes to {path} on: {self.text()}')
        unknown = set(entered) - set(form.fields) - {'as'}
        if unknown:
            raise AssertionError(f'the form has no {unknown}')
        return self.post(form.action, {**form.fields, **entered})

    def text(self):
        """What the page says, without its markup."""
        body = re.sub(r'<title>.*?</title>', '', self.page.html, flags=re.S)
        return html.unescape(re.sub(r'\s+', ' ', re.sub(r'<[^>]*>', ' ', body))).strip()

    def fields(self, path):
        return Form(self.page.html, path).fields
