"""portal poster, portal letter: a PDF where it was asked for, or nothing at all."""
import json
import os
import pty
import subprocess

import flows
import paper


def files(t):
    return sorted(path.name for path in t.directory.iterdir() if 'pdf' in path.name)


def test_a_poster_goes_to_a_file_or_to_a_program_but_not_to_a_terminal(t):
    db = paper.practice(t)
    said = t.portal('-d', t.file(db), 'poster', t.path('poster.pdf'), '--paper', 'A4', '--language', 'es')
    t.equal((said.code, said.stderr), (0, ''))
    t.contains(said.stdout, 'poster.pdf is ready to be printed.')
    t.equal(t.path('poster.pdf').read_bytes(), t.one(db, "SELECT portal_poster('A4', 'es')"))
    said = t.portal('-d', t.file(db), '--json', 'poster', t.path('poster.pdf'))
    t.equal(json.loads(said.stdout), [{'message': f"{t.path('poster.pdf')} is ready to be printed."}])
    for dash in ([], ['-']):
        done = subprocess.run([t.command, '-d', t.file(db), 'poster', *dash], capture_output=True, env=t.portal_environment())
        t.equal((done.returncode, done.stdout), (0, t.one(db, 'SELECT portal_poster()')))
    ours, its = pty.openpty()
    done = subprocess.run([t.command, '-d', t.file(db), 'poster'], stdout=its, stderr=subprocess.PIPE, env=t.portal_environment())
    t.equal(done.returncode, 2)
    t.contains(done.stderr.decode(), 'a PDF is not for a terminal; name a file')
    os.close(ours), os.close(its)
    t.contains(t.portal('-d', t.file(db), 'poster', '--paper', 'A3').stderr, "--paper is A4 or Letter, not 'A3'")
    db.execute("SELECT portal_setting('practice_phone', NULL)")
    said = t.portal('-d', t.file(db), 'poster', t.path('poster.pdf'))
    t.equal(said.code, 1)
    t.contains(said.stderr, 'practice_phone')
    t.equal(files(t), ['poster.pdf'])
    t.true(t.path('poster.pdf').read_bytes().startswith(b'%PDF'))


def test_a_letter_is_made_once_there_is_a_place_for_it_and_is_private(t):
    db = paper.practice(t)
    paper.unreached(t, db)
    said = t.portal('-d', t.file(db), 'letter', 'lovelace', t.path('nowhere/letter.pdf'))
    t.equal(said.code, 1)
    t.contains(said.stderr, 'No such file or directory')
    t.equal(t.all(db, 'SELECT * FROM portal_message'), [])
    with open('/dev/full', 'wb') as full:
        done = subprocess.run([t.command, '-d', t.file(db), 'letter', '1'], stdout=full, stderr=subprocess.PIPE, env=t.portal_environment())
    t.equal(done.returncode, 1)
    t.contains(done.stderr.decode(), 'not whole')
    t.advance(60)
    said = t.portal('-d', t.file(db), 'letter', 'lovelace', t.path('letter.pdf'))
    t.equal((said.code, said.stderr), (0, ''))
    t.equal(t.path('letter.pdf').stat().st_mode & 0o777, 0o600)
    t.equal(flows.status(t, db, 1), 'sent')
    said = t.portal('-d', t.file(db), 'letter', '1', t.path('letter.pdf'))
    t.contains(said.stderr, 'wait 60 seconds')
    t.equal(files(t), ['letter.pdf'])
