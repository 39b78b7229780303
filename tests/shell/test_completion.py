"""Completion, in a real bash and a real zsh."""
import os
import pty
import re
import select
import subprocess
import time

import harness

GENERAL = {'-d', '--database', '--as', '--json', '--csv', '--sql', '--help', '--version'}


def bash(t, line, before):
    """What bash would offer for a line that ends where the cursor is, in a folder with some files."""
    script = f"""
        {before}
        COMP_LINE=$1 COMP_POINT=${{#1}} COMP_TYPE=9 COMP_KEY=9
        read -ra COMP_WORDS <<< "${{1//=/ = }}"
        [[ $1 == *' ' ]] && COMP_WORDS+=('')
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        compopt() {{ echo "compopt $*"; }}
        _portal portal "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
        printf '%s\\n' "${{COMPREPLY[@]}}"
        complete -p portal >&2"""
    done = subprocess.run(['bash', '--norc', '-c', script, 'bash', line], capture_output=True, text=True)
    t.equal((done.returncode, done.stderr), (0, 'complete -F _portal portal\n'))
    return done.stdout.split('\n')[:-1]


def sourced(t):
    return f'source {harness.ROOT}/build/pages/portal.bash'


def lazily(t):
    """As the package bash-completion does at the first completion of a command."""
    folder = t.path('share/bash-completion/completions')
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'portal').write_bytes((harness.ROOT / 'build/pages/portal.bash').read_bytes())
    return f'''export XDG_DATA_DIRS={t.path("share")}; source /usr/share/bash-completion/bash_completion
        complete -p portal 2> /dev/null; _completion_loader portal; '''


@harness.release_only
def test_bash_completes_commands_options_and_values(t):
    before = sourced(t)
    told = t.portal('help').stdout
    commands = bash(t, 'portal ', before)
    t.true(len(commands) > 10)
    t.contains(told, *(f'\n  {command} ' for command in commands))
    t.equal(bash(t, 'portal send', before), ['send', 'send-all'])
    t.equal(set(bash(t, 'portal -', before)), GENERAL)
    t.equal(set(bash(t, 'portal send 1 --', before)), GENERAL - {'-d'} | {'--by'})
    t.equal(bash(t, 'portal send 1 --by ', before), ['email', 'text'])
    t.equal(bash(t, 'portal send --by=e', before), ['email'])
    t.equal(bash(t, 'portal send --by=', before), ['email', 'text'])
    t.equal(bash(t, 'portal --as s', before), ['scheduling'])
    t.equal(bash(t, 'portal -d x.db --as=ehr sta', before), ['status'])
    t.equal(bash(t, 'portal help quick', before), ['quick-add'])
    t.equal(bash(t, 'portal key ', before), ['rotate'])


@harness.release_only
def test_bash_completes_files_where_a_file_stands_and_only_there(t):
    before = sourced(t)
    for line in ('portal import ', 'portal -d ', 'portal --database=', 'portal status --database ', 'portal practi'):
        t.equal(bash(t, line, before), ['compopt -o default', ''], line)
    for line in ('portal status ', 'portal send 1 --by e ', 'portal import a.csv ', 'portal quick-add Ada --contact '):
        t.equal(bash(t, line, before), [''], line)


@harness.release_only
def test_bash_completion_loads_it_by_the_name_of_the_command(t):
    t.equal(bash(t, 'portal send-all --wh', lazily(t)), ['--where'])


class Terminal:
    """A shell in a terminal of its own, in which keys are typed."""

    def __init__(self, t, *command, env):
        pid, self.terminal = pty.fork()
        if pid == 0:
            os.chdir(t.directory)
            os.execvpe(command[0], command, {**os.environ, 'TERM': 'dumb', **env})
        t.at_end(os.waitpid, pid, 0)
        t.at_end(os.close, self.terminal)
        self.seen = ''

    def type(self, keys):
        os.write(self.terminal, keys.encode())

    def wait(self, pattern):
        """Reads until it matches; what was read up to there is gone then."""
        limit = time.monotonic() + 60
        while not (found := re.search(pattern, self.seen)):
            if not select.select([self.terminal], [], [], max(0, limit - time.monotonic()))[0]:
                raise AssertionError(f'no {pattern!r} in {self.seen!r}')
            self.seen += os.read(self.terminal, 65536).decode(errors='replace')
        self.seen = self.seen[found.end():]
        return found


def line_completed(shell, keys):
    """What a line has become after its keys: a key bound to printing it tells."""
    shell.type(keys + '\x18p')
    return shell.wait(r'<<(.*?)>>')[1]


@harness.release_only
def test_zsh_completes_commands_options_values_and_files(t):
    functions = t.path('functions')
    functions.mkdir()
    (functions / '_portal').write_bytes((harness.ROOT / 'build/pages/portal.zsh').read_bytes())
    t.path('patients of may.csv').write_text('x')
    t.path('.zshrc').write_text(
        f'fpath=({functions} $fpath); autoload -U compinit; compinit -u -d {t.path("dump")}; unsetopt zle_bracketed_paste\n'
        'show() { print -r -- "<<$BUFFER>>"; BUFFER=; zle reset-prompt }; zle -N show; bindkey "^Xp" show\n'
        'unsetopt list_beep auto_list; PS1="ready> "\n')
    shell = Terminal(t, 'zsh', '-d', env={'ZDOTDIR': str(t.directory)})
    shell.wait('ready> ')
    for keys, line in [
            ('portal quick-\t', 'portal quick-add '), ('portal send-all --wh\t', 'portal send-all --where='),
            ('portal send 1 --by e\t', 'portal send 1 --by email '), ('portal send 1 --by=t\t', 'portal send 1 --by=text '),
            ('portal import pat\t', 'portal import patients\\ of\\ may.csv '), ('portal --as sch\t', 'portal --as scheduling '),
            ('portal -d pat\t', 'portal -d patients\\ of\\ may.csv '), ('portal help dec\t', 'portal help decline '),
            ('portal -d x.db decl\t', 'portal -d x.db decline '), ('portal status pat\t', 'portal status pat')]:
        t.equal(line_completed(shell, keys), line)
    shell.type('exit\n')


@harness.release_only
def test_bash_in_a_terminal_completes_files_with_blanks_in_their_names(t):
    t.path('patients of may.csv').write_text('x')
    t.path('bashrc').write_text(f'{sourced(t)}\nPS1="ready> "; bind "set enable-bracketed-paste off"\n'
                                'show() { echo "<<$READLINE_LINE>>"; READLINE_LINE=; }; bind -x \'"\\C-xp": show\'\n')
    shell = Terminal(t, 'bash', '--noprofile', '--rcfile', t.path('bashrc'), env={})
    shell.wait('ready> ')
    for keys, line in [
            ('portal import pat\t', 'portal import patients\\ of\\ may.csv '),
            ('portal import "pat\t', 'portal import "patients of may.csv" '),
            ('portal --database=pat\t', 'portal --database=patients\\ of\\ may.csv '),
            ('portal send-all --wh\t', 'portal send-all --where '), ('portal send 1 --by=e\t', 'portal send 1 --by=email ')]:
        t.equal(line_completed(shell, keys), line)
    shell.type('exit\n')
