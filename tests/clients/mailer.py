#!/usr/bin/python3
"""A mailer of one's own: hands the portal's mail to a server. Usage: mailer.py practice.db host port"""
import smtplib
import sqlite3
import sys
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import localtime


def compose(message, name, address):
    mail = EmailMessage()
    mail['From'] = Address(name, addr_spec=address)
    mail['To'] = message['recipient']
    mail['Subject'] = message['subject']
    mail['Date'] = localtime()
    mail['Message-ID'] = message['message_id_header']
    mail.set_content(message['text'])
    if message['html']:
        mail.add_alternative(message['html'], subtype='html')
    return mail


def said(code, words):
    return f'{code} {words.decode(errors="replace")}'


def hand_over(mail, host, port):
    """What became of it, as report_delivery() takes it, and the server's words."""
    try:
        server = smtplib.SMTP(host, port, timeout=20)
    except OSError as error:
        return 'retry', str(error)
    try:
        server.send_message(mail)
        return 'sent', None
    except smtplib.SMTPRecipientsRefused as refusal:
        [(code, words)] = refusal.recipients.values()
    except smtplib.SMTPDataError as refusal:
        code, words = refusal.args
    except smtplib.SMTPResponseException as refusal:
        return 'retry', said(refusal.smtp_code, refusal.smtp_error)     # it was not about this message
    except smtplib.SMTPNotSupportedError as error:
        return 'undeliverable', str(error)
    except OSError as error:    # the server may have it, or not
        return 'uncertain', str(error)
    finally:
        server.close()
    return 'undeliverable' if code >= 500 else 'retry', said(code, words)


def main(database, host, port):
    db = sqlite3.connect(database, isolation_level=None)
    db.row_factory = sqlite3.Row
    db.enable_load_extension(True)
    db.load_extension('build/portal')
    [sender] = db.execute("SELECT portal_setting('practice_name'), portal_setting('mail_from')")
    # Few at a time: what is not reported within 300 seconds of its claim is another's.
    while claim := db.execute("SELECT claim_messages(10, 'email')").fetchone()[0]:
        for message in db.execute('SELECT * FROM portal_claimed(?)', [claim]).fetchall():
            became, words = hand_over(compose(message, *sender), host, port)
            db.execute('SELECT report_delivery(?, ?, ?, ?)', [claim, message['message_id'], became, words])


if __name__ == '__main__':
    main(*sys.argv[1:])
