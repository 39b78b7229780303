"""Every function and table that portal_help knows, and arguments that fit, for tests that try them all."""
import flows


def practice(t):
    """Somebody registered, somebody with a live link and PIN, a pending request."""
    db = t.database()
    ada, ben = t.patient(db), t.patient(db, first_name='Ben')
    session = flows.register(t, db, ada, 'ada.l')
    t.equal(flows.ask(t, db, 'SELECT submit_demographics(?, ?, ?)', session, ada,
                      '{"city": "London"}')['requests'], 1)
    token = flows.send(t, db, ben)
    return db, {
        'patient_id': str(ada), 'channel': "'email'", 'token': f"'{token}'", 'pin': "'000000'",
        'username': "'ada.l'", 'password': f"'{flows.PASSWORD}'", 'session': f"'{session}'",
        'last_name': "'Nobody'", 'first_name': "'Zoe'", 'date_of_birth': "'1990-01-01'",
        'contact': "'zoe@example.com'", 'name': "'Rita Parent'", 'relationship': "'parent'",
        'request_id': '1', 'from_id': str(ada), 'into_id': str(ben), 'json': '\'{"city": "Paris"}\'', 'key': "'link_hours'",
        'value': "'72'", 'application': "'ehr'", 'user': "'anna'", 'limit': '10', 'days': '30',
        'kind': "'pin'", 'claim': "'none'", 'message_id': '1', 'status': "'sent'", 'reason': "'moved'",
        'force': "'force'", 'detail': "'250 OK'", 'query': "'a=b'", 'headers': "'{}'", 'mapping': "'{}'", 'body': "'c=d'",
        'paper': "'A4'", 'language': "'es'"}


def functions(db, kind='function'):
    """Name and argument names of all that portal_help knows of a kind."""
    for name, usage in db.execute(
            "SELECT name, usage FROM portal_help WHERE kind LIKE '%' || ? || '%'", [kind]).fetchall():
        inside = usage.partition('(')[2].rstrip(')')
        words = inside.replace('[', ' ').replace(']', ' ').replace(',', ' ').split()
        yield name, words


def fit_call(name, words, fit):
    return f'{name}({", ".join(fit[word] for word in words)})'
