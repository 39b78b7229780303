"""Reverse proxies, configured as the examples in page/proxies say, on ports of their own."""
import http.client
import os
import signal
import ssl
import subprocess

import harness
from mailservers import certificate
from waiting import free_port, listens, wait_for

EXAMPLES = harness.ROOT / 'page/proxies'
CLIENT = '127.0.0.2'        # not the address of the proxy itself

NGINX = """daemon off;
pid {directory}/nginx.pid;
error_log {directory}/nginx-main.log;
events {{ }}
http {{
    client_body_temp_path {directory}/nginx-body;
    proxy_temp_path {directory}/nginx-proxy;
    fastcgi_temp_path {directory}/nginx-fastcgi;
    uwsgi_temp_path {directory}/nginx-uwsgi;
    scgi_temp_path {directory}/nginx-scgi;
    include {directory}/portal.conf;
}}
"""


class Proxy:
    """TLS for localhost before a server that speaks HTTP, until the end of the test."""

    def __init__(self, t, upstream):
        self.t, self.upstream, self.port = t, upstream, free_port()
        self.certificate = certificate(t, 'localhost')
        self.log = t.path(f'proxy-{self.port}.log')
        self.url = f'https://localhost:{self.port}'
        with self.log.open('w') as output:
            self.process = subprocess.Popen(self.command(), stdout=output, stderr=subprocess.STDOUT,
                                            env={'PATH': os.environ['PATH'], 'HOME': str(t.directory)})
        t.at_end(self.end)
        wait_for(lambda: listens(self.port), self.log)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def connection(self):
        context = ssl.create_default_context(cafile=self.certificate)
        return http.client.HTTPSConnection('localhost', self.port, timeout=60, context=context, source_address=(CLIENT, 0))

    def example(self, name, changes):
        """The example, in which what is of this test takes the place of what is of the practice."""
        text = (EXAMPLES / name).read_text()
        for former, new in changes.items():
            self.t.contains(text, former)
            text = text.replace(former, str(new))
        return text

    def logged(self):
        """Everything that it wrote."""
        return ''.join(path.read_text(errors='replace') for path in self.t.directory.glob('*.log') if not path.name.startswith('serve-'))


class Nginx(Proxy):
    def command(self):
        here = self.t.directory
        (here / 'nginx.conf').write_text(NGINX.format(directory=here))
        (here / 'portal.conf').write_text(self.example('nginx.conf', {
            'listen 443': f'listen 127.0.0.1:{self.port}', '127.0.0.1:8080': f'127.0.0.1:{self.upstream.port}',
            'server_name portal.example': 'server_name localhost', '/etc/ssl/portal/chain.pem': self.certificate,
            '/etc/ssl/portal/key.pem': self.certificate, '/var/log/nginx/': f'{here}/'}))
        return ['nginx', '-p', here, '-c', here / 'nginx.conf', '-e', here / 'nginx-start.log']


class Caddy(Proxy):
    def command(self):
        file = self.t.path('Caddyfile')
        file.write_text(self.example('Caddyfile', {
            '{\n\t# A link': '{\n\tadmin off\n\tauto_https disable_redirects\n\t# A link', '127.0.0.1:8080': f'127.0.0.1:{self.upstream.port}',
            '\nportal.example {': f'\nhttps://localhost:{self.port} {{\n\tbind 127.0.0.1\n\ttls {self.certificate} {self.certificate}'}))
        return ['caddy', 'run', '--config', file, '--adapter', 'caddyfile']
