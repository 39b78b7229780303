"""A PostgreSQL of the benchmark's own: its data in a temporary directory, its socket there too."""
import os
import pathlib
import re
import shutil
import subprocess
import time

from seeds import ROOT, SEEDED_ON

SETTINGS = {
    'listen_addresses': '',
    # As the others have: a cache, and no checkpoint in the middle of what is timed.
    'shared_buffers': '256MB', 'work_mem': '64MB', 'max_wal_size': '8GB', 'checkpoint_timeout': '1h',
    'autovacuum': 'off', 'jit': 'off',
}
# Counting whole rows has every column made.
LOOKUP = """SELECT count(one) FROM generate_series(0, {{count}} - 1) AS i, LATERAL
    (SELECT * FROM {} WHERE patient_id = i::bigint * 7919 % (SELECT max(patient_id) / 4 FROM patient)
     * 4 + 1) AS one"""
CALLS = {
    'send_each_normal': 'CALL send_each({count})',
    'send_each_full': 'CALL send_each({count})',
    'hand_over': 'CALL hand_over(0, $template${template}$template$)',
    'status_one': LOOKUP.format('bench_status'),
    'status_count': 'SELECT count(*) FROM bench_status',
    'status_list': 'SELECT count(one) FROM bench_status AS one',
    'requests_one': LOOKUP.format('bench_pending'),
    'requests_count': 'SELECT count(*) FROM bench_pending',
    'requests_list': 'SELECT count(one) FROM bench_pending AS one',
}


class Postgres:
    def __init__(self, directory):
        self.programs = max(pathlib.Path('/usr/lib/postgresql').glob('*/bin'))
        self.directory = directory / 'postgresql'
        self.directory.mkdir()
        # The server does not run as root.
        self.user = 'postgres' if os.geteuid() == 0 else None
        if self.user:
            directory.chmod(0o711)
            shutil.chown(self.directory, self.user)
        self.run('initdb', '-D', self.directory / 'data', '-A', 'trust', '-U', 'bench', '-E', 'UTF8',
                 '--locale=C')
        with open(self.directory / 'data/postgresql.conf', 'a') as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in SETTINGS.items())
            file.write(f"unix_socket_directories = '{self.directory}'\n")
        self.run('pg_ctl', '-D', self.directory / 'data', '-l', self.directory / 'log', '-w', 'start')
        self.databases = set()

    def stop(self):
        self.run('pg_ctl', '-D', self.directory / 'data', '-m', 'immediate', 'stop')

    def run(self, program, *arguments, **options):
        return subprocess.run([self.programs / program, *arguments], check=True, cwd='/',
                              user=self.user, capture_output=True, text=True, **options)

    def sql(self, database, sql, commit='off'):
        """Runs SQL in psql; returns what it printed, timings with it."""
        options = f'-c search_path=main,public -c synchronous_commit={commit}'
        return self.run('psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-h', self.directory, '-U', 'bench',
                        database, input=sql, env={**os.environ, 'PGOPTIONS': options}).stdout

    def seed(self, kind, size):
        """The name of a database of a kind and a size, made out of the one before it."""
        name = f'{kind}_{size}'
        if name in self.databases:
            return name
        before = self.seed(SEEDED_ON[kind], size) if SEEDED_ON[kind] else None
        self.copy(before or 'template1', name)
        if before is None:
            self.sql(name, (ROOT / 'tests/bench/peer.sql').read_text() + ''.join(self.views()))
        self.sql(name, f'SELECT seed_{kind}({size}); VACUUM ANALYZE; CHECKPOINT;')
        self.databases.add(name)
        return name

    def views(self):
        """The extension's own queries; only ?1, the time, is not PostgreSQL's."""
        for view in ('status', 'pending'):
            sql = (ROOT / f'sql/{view}.sql').read_text().replace('?1', str(int(time.time())))
            yield f'CREATE VIEW bench_{view} AS {sql};'

    def copy(self, before, name):
        self.sql('postgres', f'DROP DATABASE IF EXISTS "{name}"')
        self.sql('postgres', f'CREATE DATABASE "{name}" TEMPLATE "{before}" STRATEGY file_copy')

    def work(self, benchmark):
        """Seconds, and how many were done."""
        database = self.seed(benchmark.database, benchmark.size)
        if benchmark.writes:
            self.copy(database, 'copy')
            database = 'copy'
        if benchmark.work == 'expire':
            self.sql(database, 'SELECT due(); CHECKPOINT;')
        call = CALLS.get(benchmark.work, f'SELECT {benchmark.work}({{count}})').format(
            count=benchmark.count, template=(ROOT / 'sql/messages/registration.email.en.txt').read_text())
        printed = self.sql(database, f'\\timing on\n{call};\n',
                           commit='on' if benchmark.work == 'send_each_full' else 'off')
        done, milliseconds = re.fullmatch(r'(\d+)\nTime: ([\d.]+) ms.*\n', printed).groups()
        return float(milliseconds) / 1000, int(done)
