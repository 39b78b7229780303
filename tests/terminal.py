"""A real terminal for tests: tmux, with a server of its own for each."""
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time

PATIENCE = 60           # seconds: how long something is waited for, on a machine however busy


class Terminal:
    """Runs a command in a terminal of so many columns and lines; its output stays on the screen."""

    def __init__(self, t, *command, columns=80, lines=24, env=None):
        # A socket's path is short.
        self._socket = f'{tempfile.mkdtemp(dir="/tmp")}/tmux'
        # The sqlite3 shell looks for its history in the home that the system knows, not in the test's.
        wanted = {'TERM': 'screen', 'SQLITE_HISTORY': str(t.path('history')), **t.portal_environment(env)}
        variables = ' '.join(f'{name}={shlex.quote(value)}' for name, value in wanted.items() if name != 'TMUX')
        # Ctrl-C is for the command, not for the shell around it.
        line = f'trap : INT; env -i {variables} {shlex.join(map(str, command))}; printf "[exit code %s]" $?; exec sleep 600'
        self._tmux('-f', '/dev/null', 'new-session', '-d', '-x', str(columns), '-y', str(lines), 'sh', '-c', line)
        t.at_end(self.close)

    def type(self, text):
        """Types a text as it is; a line ends with \\n."""
        for part in text.splitlines(keepends=True):
            if part.rstrip('\n'):
                # To tmux a semicolon at the end of a word is one of its own.
                self._tmux('send-keys', '-l', '--', re.sub(';$', r'\;', part.rstrip('\n')))
            if part.endswith('\n'):
                self.press('Enter')

    def press(self, *keys):
        """Presses keys by their names: Enter, Up, C-c."""
        self._tmux('send-keys', *keys)

    def resize(self, columns, lines=24):
        self._tmux('resize-window', '-x', str(columns), '-y', str(lines))

    def screen(self, escapes=False):
        """What is to be seen, no line with spaces at its end, and what has left the screen at its top; with colours as escape sequences if asked for."""
        return self._tmux('capture-pane', '-p', '-S', '-', *(['-e'] if escapes else []))

    def wait(self, *texts):
        """The screen, once it has all the texts."""
        end = time.monotonic() + PATIENCE
        while True:
            screen = self.screen()
            if all(text in screen for text in texts):
                return screen
            if time.monotonic() > end:
                raise AssertionError(f'not to be seen: {[text for text in texts if text not in screen]}\n{screen}')
            time.sleep(0.05)

    def exit_code(self):
        """Waits for the command's end."""
        return int(self.wait('[exit code ').rpartition('[exit code ')[2].partition(']')[0])

    def _tmux(self, *arguments):
        done = subprocess.run(['tmux', '-S', self._socket, *arguments], capture_output=True, text=True,
                              env={'PATH': os.environ['PATH'], 'LC_ALL': 'C.UTF-8', 'TERM': 'screen'})
        if done.returncode != 0:
            raise AssertionError(f'tmux {arguments}: {done.stderr}')
        return done.stdout

    def close(self):
        subprocess.run(['tmux', '-S', self._socket, 'kill-server'], capture_output=True, check=False)
        shutil.rmtree(os.path.dirname(self._socket), ignore_errors=True)
