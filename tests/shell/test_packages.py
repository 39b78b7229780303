"""The Debian packages: judged by lintian, installed in a fresh Debian 12, upgraded, removed."""
import os
import pathlib
import subprocess

import harness
from test_install import make

CLEAN_ROOT = harness.ROOT / 'build/tests/debian-12.tar'


def packages(t, version='0.1.0', folder='packages'):
    """Builds them; the command and the extension are what is in build/, whatever the version says."""
    make(t, 'deb', f'VERSION={version}', f'PACKAGES={t.path(folder)}')
    return sorted(t.path(folder).glob('*.deb'))


class Debian:
    """A fresh Debian below a folder. Nothing is mounted: that is not allowed everywhere."""

    def __init__(self, t):
        if os.getuid() != 0 or not CLEAN_ROOT.exists():
            t.skip('only root can make a fresh Debian and enter it')
        self.t, self.root = t, t.path('debian')
        self.root.mkdir()
        subprocess.run(['tar', '-C', self.root, '-xf', CLEAN_ROOT], check=True)

    def run(self, command, *files):
        """Runs a command of the shell in there, in /home/anna; the files are in /home/anna as well."""
        home = self.root / 'home/anna'
        home.mkdir(exist_ok=True)
        for file in files:
            (home / file.name).write_bytes(file.read_bytes())
        done = subprocess.run(['chroot', self.root, 'sh', '-ec', f'cd /home/anna; {command}'], capture_output=True, text=True,
                              env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL': 'C.UTF-8', 'HOME': '/home/anna',
                                   'DEBIAN_FRONTEND': 'noninteractive'})
        self.t.equal(done.returncode, 0, f'{command}\n{done.stdout}{done.stderr}')
        return done.stdout

    def install(self, *files, command='dpkg --install'):
        self.run(f'{command} ' + ' '.join(f'./{file.name}' for file in files), *files)


@harness.release_only
def test_lintian_finds_nothing_wrong_with_the_packages(t):
    done = subprocess.run(['lintian', '--allow-root', '--fail-on', 'error,warning', *packages(t)], capture_output=True, text=True)
    t.equal((done.returncode, done.stdout), (0, ''), done.stderr)


@harness.release_only
def test_packages_built_twice_are_the_same_to_the_byte(t):
    first, second = packages(t), packages(t, folder='again')
    t.equal([file.name.rpartition('_')[0] for file in first], ['libportal-dev_0.1.0', 'portal_0.1.0'])
    for one, other in zip(first, second):
        t.true(one.read_bytes() == other.read_bytes(), one.name)


@harness.release_only
@harness.time_limit(300)
def test_in_a_fresh_debian_it_installs_works_upgrades_and_leaves_nothing_but_data(t):
    debian = Debian(t)
    debian.install(*packages(t, '0.0.9', 'old'), command='apt-get install -qq -y --no-install-recommends')
    t.contains(debian.run('sqlite3 x.db ".load portal" "SELECT portal_init()" "SELECT portal_version()"'), 'were made', 'smtp')
    t.contains(debian.run('mkdir -p elsewhere; cd elsewhere; sqlite3 y.db ".load portal" "SELECT portal_init()"'), 'were made')
    debian.run("""export PORTAL_DB=practice.db
        portal init --yes --practice-name 'Dr. Noether'
        portal quick-add Ada Lovelace 1985-12-10 --by email --contact ada@example.com
        echo 'SELECT portal_version();' | portal practice.db | grep smtp
        grep -rl Noether practice.db-outbox/new""")
    t.contains(debian.run('portal -d practice.db status 1'), 'sent')
    t.equal(debian.run('dpkg -V portal libportal-dev'), '')
    pages = subprocess.run(['man', '-M', debian.root / 'usr/share/man', '1', 'portal', '7', 'portal'], capture_output=True, text=True)
    t.contains(pages.stdout, 'quick-add', 'send_registration')
    upgraded = packages(t)
    debian.install(*upgraded)
    t.contains(debian.run('dpkg-query -W portal'), '0.1.0')
    t.contains(debian.run('portal -d practice.db status 1; portal -d practice.db audit --verify'), 'sent', 'whole')
    check_removal(t, debian, upgraded[1])


def check_removal(t, debian, package):
    listed = debian.run('dpkg -L portal libportal-dev').split()
    files = [path for path in listed if not (debian.root / path[1:]).is_dir()]
    t.true(len(files) > 20, files)
    debian.run('dpkg --remove portal libportal-dev')
    t.equal([path for path in files if os.path.lexists(debian.root / path[1:])], [])
    debian.install(package)
    t.contains(debian.run('portal -d practice.db status 1'), 'sent')
    debian.run('dpkg --purge portal')
    left = debian.run('find / -xdev -name "*portal*" -not -path "/home/*" -not -path "/proc/*"').split()
    t.equal(left, [])
    t.equal(sorted(path.name for path in pathlib.Path(debian.root, 'home/anna').glob('practice*')),
            ['practice.db', 'practice.db-outbox', 'practice.db.portal-key'])
