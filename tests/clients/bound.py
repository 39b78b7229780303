"""What is understood of what Python binds. Usage: bound.py DATABASE KEYED-BY-TEXT KEY"""
import sqlite3
import sys

from practice import ask, connect

PROBLEM = "SELECT coalesce(send_problem(?, 'email'), 'may be sent')"


def tell(db, sql, value):
    try:
        print(ask(db, sql, value))
    except sqlite3.Error as error:
        print(error)


db = connect(sys.argv[1])
for patient in 2, 2.0, '2', None:
    tell(db, PROBLEM, patient)
for request in 99, 99.0, '99':
    tell(db, 'SELECT accept_request(?)', request)
tell(connect(sys.argv[2]), PROBLEM, sys.argv[3])
