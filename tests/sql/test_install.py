"""make install and make uninstall."""
import subprocess

import harness

CHANNELS = ['portal.d/kannel.so', 'portal.d/smtp.so', 'portal.d/twilio.so']
INSTALLED = ['include/portal.h', 'lib/portal/libportal.a', *(f'lib/portal/{name}' for name in CHANNELS),
             'lib/portal/portal.so', 'share/doc/portal/LICENSE', 'share/doc/portal/README.md', 'share/portal/nightly.sql']


def make(t, *arguments):
    """What is built counts as up to date: tests that run beside this one use it."""
    built = [f'--old-file=build/{name}' for name in ('portal.so', 'libportal.a', *CHANNELS)]
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
        t.equal((root / 'usr' / name).stat().st_mode & 0o777, 0o644, name)


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
