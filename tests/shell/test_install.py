"""make install and make uninstall."""
import os
import shutil
import subprocess
import sysconfig

import harness

CHANNELS = ['portal.d/kannel.so', 'portal.d/poster.so', 'portal.d/smtp.so', 'portal.d/twilio.so']
PAGES = [f'pages/portal.{name}' for name in ('1', '7', 'bash', 'zsh')]
UNITS = ['portal-deliver@.service', 'portal-nightly@.service', 'portal-nightly@.timer', 'portal-page@.service',
         'portal-page@.socket']
PROGRAMS = ['bin/portal', 'lib/portal/portal-page']
LOADABLE = f'lib/{sysconfig.get_config_var("MULTIARCH")}/portal.so'
REPORTS = ['funnel', 'requests', 'speed', 'unreachable', 'unused']
INSTALLED = sorted([
    *PROGRAMS, 'include/portal.h', 'lib/portal/libportal.a', 'lib/portal/portal.so', LOADABLE,
    *(f'lib/portal/{name}' for name in CHANNELS), *(f'lib/systemd/system/{name}' for name in UNITS),
    'lib/sysusers.d/portal.conf', 'share/bash-completion/completions/portal', 'share/doc/portal/LICENSE',
    'share/doc/portal/README.md', 'share/doc/portal/examples/Caddyfile', 'share/doc/portal/examples/nginx.conf',
    'share/man/man1/portal.1', 'share/man/man7/portal.7', 'share/portal/mappings/openemr.json',
    'share/portal/mappings/persons.json', 'share/portal/mappings/persons.sql', 'share/portal/mappings/synthea.json', 'share/portal/nightly.sql',
    *(f'share/portal/reports/{name}.sql' for name in REPORTS),
    'share/zsh/site-functions/_portal'])


def make(t, *arguments):
    """What is built counts as up to date: tests that run beside this one use it."""
    built = [f'--old-file=build/{name}' for name in ('portal', 'portal-page', 'portal.so', 'libportal.a', *CHANNELS, *PAGES)]
    done = subprocess.run(['make', '-C', str(harness.ROOT), *built, *arguments],
                          capture_output=True, text=True)
    t.equal(done.returncode, 0, f'make {arguments}:\n{done.stdout}{done.stderr}')
    return done.stdout + done.stderr


def files_below(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob('*')
                  if not path.is_dir())


@harness.release_only
def test_install_puts_every_file_below_destdir_and_prefix(t):
    root = t.path('root')
    make(t, 'install', f'DESTDIR={root}', 'prefix=/usr')
    t.equal(files_below(root / 'usr'), INSTALLED)
    for name in INSTALLED:
        t.equal((root / 'usr' / name).stat().st_mode & 0o777, 0o755 if name in PROGRAMS else 0o644, name)


@harness.release_only
def test_the_installed_extension_loads_and_works(t):
    root = t.path('root')
    make(t, 'install', f'DESTDIR={root}', 'prefix=/usr')
    done = subprocess.run(
        ['sqlite3', '-batch', str(t.path('x.db')), f'.load {root}/usr/lib/portal/portal',
         'SELECT portal_init()'], capture_output=True, text=True)
    t.equal((done.returncode, done.stderr), (0, ''))
    t.contains(done.stdout, "The portal's tables and key file were made")


@harness.release_only
def test_by_its_bare_name_the_extension_loads_from_where_the_loader_looks_and_finds_its_plugins(t):
    root = t.path('root')
    make(t, 'install', f'DESTDIR={root}', 'prefix=/usr')
    done = subprocess.run(['sqlite3', '-batch', ':memory:', '.load portal', 'SELECT portal_version()'], capture_output=True,
                          text=True, env={**os.environ, 'LD_LIBRARY_PATH': str((root / 'usr' / LOADABLE).parent)})
    t.equal((done.returncode, done.stderr), (0, ''))
    t.contains(done.stdout, 'kannel', 'smtp', 'twilio')


@harness.release_only
def test_the_installed_command_finds_plugins_and_extension_however_it_is_called(t):
    prefix = t.path('a folder') / 'usr'
    make(t, 'install', f'DESTDIR={t.path("root")}', 'prefix=/usr')
    shutil.move(t.path('root') / 'usr', prefix)
    t.path('link').symlink_to(prefix / 'bin/portal')
    db = t.file(t.database())
    ways = [([prefix / 'bin/portal'], {}), (['./link'], {}), (['portal'], {'PATH': f'{prefix}/bin:/usr/bin'})]
    for command, env in ways:
        def run(*arguments, **options):
            return subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=t.directory,
                                  env={**os.environ, **env}, **options)
        t.contains(run('version', '--plugins').stdout, 'smtp 1')
        t.contains(run(db, input='SELECT portal_version();').stdout, 'smtp 1')


@harness.release_only
def test_a_plugin_folder_in_the_current_folder_is_none_of_ours(t):
    shutil.copy(harness.ROOT / 'build/portal', t.path('portal'))
    evil = t.path('here') / 'portal.d'
    evil.mkdir(parents=True)
    shutil.copy(harness.ROOT / 'build/portal.d/smtp.so', evil)
    done = subprocess.run(['portal', 'version', '--plugins'], capture_output=True, text=True, cwd=evil.parent,
                          env={**os.environ, 'PATH': str(t.directory)})
    t.equal((done.returncode, 'smtp' in done.stdout), (0, False), done.stderr)


@harness.release_only
def test_an_extension_loaded_by_a_relative_path_keeps_its_plugins_when_the_folder_changes(t):
    script = ("import os, sqlite3; db = sqlite3.connect(':memory:'); db.enable_load_extension(True);"
              "db.load_extension('build/portal'); os.chdir('/'); print(db.execute('SELECT portal_version()').fetchone())")
    done = subprocess.run(['/usr/bin/python3', '-c', script], capture_output=True, text=True, cwd=harness.ROOT)
    t.contains(done.stdout, 'smtp 1')


@harness.release_only
def test_the_installed_nightly_script_loads_the_installed_extension(t):
    prefix = t.path('usr')
    make(t, 'install', f'prefix={prefix}')
    script = (prefix / 'share/portal/nightly.sql').read_text()
    t.equal(script.splitlines()[0], f'.load {prefix}/lib/portal/portal')
    t.database(name='practice.db')
    done = subprocess.run(['sqlite3', '-batch', str(t.path('practice.db'))], input=script,
                          capture_output=True, text=True, cwd=t.directory)
    t.equal((done.returncode, done.stderr), (0, ''))
    t.contains(done.stdout, 'All is well.')


@harness.release_only
def test_a_plugin_compiles_against_the_installed_header_alone(t):
    root = t.path('root')
    make(t, 'install', f'DESTDIR={root}', 'prefix=/usr')
    source = t.path('plugin.c')
    source.write_text('#include <portal.h>\nSQLITE_EXTENSION_INIT1\n'
                      'int version(portal_api *api) { return api->version; }\n')
    done = subprocess.run(['cc', '-std=c11', '-Wall', '-Werror', '-fPIC', '-shared',
                           f'-I{root}/usr/include', '-o', str(t.path('plugin.so')), str(source)],
                          capture_output=True, text=True)
    t.equal((done.returncode, done.stderr), (0, ''))


@harness.release_only
def test_uninstall_leaves_nothing_of_ours_and_everything_of_others(t):
    root = t.path('root')
    make(t, 'install', f'DESTDIR={root}', 'prefix=/usr')
    other = root / 'usr/lib/other.so'
    other.write_text('not ours')
    make(t, 'uninstall', f'DESTDIR={root}', 'prefix=/usr')
    t.equal(files_below(root), ['usr/lib/other.so'])
    t.equal([str(path) for path in root.rglob('portal*')], [])


@harness.release_only
def test_uninstall_keeps_a_plugin_that_somebody_dropped_in(t):
    root = t.path('root')
    make(t, 'install', f'DESTDIR={root}', 'prefix=/usr')
    (root / 'usr/lib/portal/portal.d/letters.so').write_text('a plugin')
    make(t, 'uninstall', f'DESTDIR={root}', 'prefix=/usr')
    t.equal(files_below(root), ['usr/lib/portal/portal.d/letters.so'])


@harness.release_only
def test_installing_and_uninstalling_can_be_repeated(t):
    arguments = [f'DESTDIR={t.path("root")}', 'prefix=/usr']
    for goal in ('install', 'install', 'uninstall', 'uninstall'):
        make(t, goal, *arguments)
    t.equal(files_below(t.path('root')), [])
