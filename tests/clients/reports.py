#!/usr/bin/python3
"""Takes what SMS gateways report of messages, below portal_url/reports. Usage: reports.py practice.db port"""
import http.server
import sqlite3
import sys
from urllib.parse import parse_qs, urlsplit

# By the gateway, the field that tells what became of a message, and what its values mean.
MEANINGS = {
    '/reports/kannel': ('status', {'1': 'delivered', '2': 'undelivered', '16': 'undelivered'}),
    '/reports/twilio': ('MessageStatus', {'delivered': 'delivered', 'undelivered': 'undelivered',
                                          'failed': 'undelivered'}),
}


class Reports(http.server.BaseHTTPRequestHandler):
    timeout = 10

    def do_GET(self):
        address = urlsplit(self.path)
        form = self.rfile.read(int(self.headers.get('Content-Length', 0))).decode()
        said = {name: values[0] for name, values in parse_qs(f'{address.query}&{form}').items()}
        self.send_response(200 if self.take(address.path, said) else 404)
        self.send_header('Content-Length', '0')
        self.end_headers()

    do_POST = do_GET

    def log_request(self, *_):
        """Who has the claim of an address can report, too: it is not written down."""

    def take(self, path, said):
        field, meanings = MEANINGS.get(path, ('', {}))
        if said.get(field) not in meanings:
            return path in MEANINGS     # on its way: nothing that staff need to know
        words = f'the gateway reports {said[field]} {said.get("ErrorCode", "")}'.strip()
        try:
            self.server.db.execute('SELECT report_delivery(?, ?, ?, ?)', [
                said.get('claim'), int(said.get('message', '')), meanings[said[field]], words])
        except (sqlite3.Error, ValueError) as error:
            self.log_error('%s', error)
            return False
        return True


class Server(http.server.HTTPServer):
    request_queue_size = 128


if __name__ == '__main__':
    server = Server(('127.0.0.1', int(sys.argv[2])), Reports)
    server.db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
    server.db.enable_load_extension(True)
    server.db.load_extension('build/portal')
    server.serve_forever()
