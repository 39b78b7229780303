"""make npm: the package goes into a clean folder from its tarball, and works there."""
import json
import pathlib
import re
import subprocess

import harness

CLIENTS = harness.ROOT / 'build/clients/node_modules'

TYPED = '''
import { load, path, sql, type Connection } from 'sqlite-portal';

class Driver implements Connection {
    loadExtension(path: string): this { return this; }
    own = 1;
}
const own: number = load(new Driver()).own;
const paths: string[] = [path, sql];
// @ts-expect-error: nothing that loads extensions
load({});
// @ts-expect-error: there is no such export
import { unload } from 'sqlite-portal';
'''
REQUIRED = '''
const { load, path, sql } = require('sqlite-portal');
const Database = require('better-sqlite3');
load(new Database('practice.db')).prepare('SELECT portal_everywhere()').get();
const version = new Database('practice.db').prepare('SELECT portal_version()').pluck().get();
console.log(version, require('node:fs').existsSync(path + '.so'), sql);
'''


def run(t, *command, input=None):
    done = subprocess.run([*map(str, command)], cwd=t.path('clean'), input=input, capture_output=True, text=True)
    t.equal(done.returncode, 0, f'{command}:\n{done.stdout}{done.stderr}')
    return done.stdout


def installed(t):
    """A folder with nothing but the package, and the driver that its reader has already."""
    t.from_npm('node_modules/better-sqlite3/build/Release/better_sqlite3.node')
    clean = t.path('clean')
    clean.mkdir()
    run(t, 'make', '-C', harness.ROOT, 'npm', '-o', 'all', f'PACKAGES={clean}')
    [tarball] = clean.iterdir()
    run(t, 'npm', 'install', '--offline', '--no-audit', '--no-fund', tarball)
    tarball.unlink()
    (clean / 'node_modules/better-sqlite3').symlink_to(CLIENTS / 'better-sqlite3')
    return clean


def example(text, part):
    [found] = [code for code in re.findall('^```js\n(.*?)^```$', text, re.M | re.S) if part in code]
    return found


@harness.release_only
def test_the_npm_package_works_in_a_clean_folder(t):
    clean = installed(t)
    package = clean / 'node_modules/sqlite-portal'
    (clean / 'use.mjs').write_text(example((package / 'README.md').read_text(), 'better-sqlite3'))
    t.contains(run(t, 'node', 'use.mjs'), 'were made')
    (clean / 'use.cjs').write_text(REQUIRED)
    version, there, sql = run(t, 'node', 'use.cjs').rsplit(maxsplit=2)
    t.contains(version, 'portal ', 'maildir', 'smtp', 'kannel', 'twilio', 'poster')
    t.equal((there, pathlib.Path(sql)), ('true', package / 'sql'))
    nightly = run(t, 'sqlite3', 'practice.db', input=(package / 'sql/nightly.sql').read_text())
    t.contains(nightly, 'Patient portal of')

    told = json.loads((package / 'package.json').read_text())
    t.equal(told['version'], re.search(r'portal (\S+)', version)[1].split()[0])
    t.equal((told['os'], told['cpu'], 'scripts' in told), (['linux'], [run(t, 'node', '-p', 'process.arch').strip()], False))
    for file in ('LICENSE', 'index.d.ts', 'sql/mappings/openemr.json'):
        t.true((package / file).exists(), file)

    (clean / 'typed.ts').write_text(TYPED)
    run(t, 'node', CLIENTS / 'typescript/bin/tsc', '--noEmit', '--strict', '--module', 'node16', 'typed.ts')
