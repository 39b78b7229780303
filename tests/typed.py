"""`portal` with a person at its terminal who answers its questions."""
import os
import pty
import select
import subprocess
import time


class Typed:
    """The command with standard input and standard error at a terminal; what it shows is read as it comes."""

    def __init__(self, t, *arguments, env=None):
        self.terminal, inner = pty.openpty()
        self.shown = ''
        self.process = subprocess.Popen([t.command, *map(str, arguments)], stdin=inner, stdout=inner, stderr=inner,
                                        env=t.portal_environment(env), start_new_session=True,
                                        preexec_fn=lambda: self._control(inner))
        os.close(inner)
        t.at_end(self.process.wait)
        t.at_end(self.process.kill)

    @staticmethod
    def _control(terminal):
        """Makes it the controlling terminal, whose Ctrl-C reaches the command."""
        import fcntl
        import termios
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    def asks(self, question, seconds=60):
        """Waits until it shows this, and forgets what came before."""
        until = time.monotonic() + seconds
        while question not in self.shown:
            if not select.select([self.terminal], [], [], max(0, until - time.monotonic()))[0]:
                raise AssertionError(f'it does not ask {question!r}; it showed:\n{self.shown}')
            self._read()
        before, _, self.shown = self.shown.partition(question)
        return before

    def answers(self, text):
        os.write(self.terminal, text.encode())

    def ends(self):
        """The exit code, and all that it shows until then."""
        while self._read():
            pass
        os.close(self.terminal)
        return self.process.wait(60), self.shown

    def _read(self):
        try:
            new = os.read(self.terminal, 4096).decode()
        except OSError:
            return False         # the other side is closed
        self.shown += new.replace('\r\n', '\n')
        return new != ''
