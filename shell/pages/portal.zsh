#compdef portal
# Completion for zsh of the command portal.

@table@

_portal() {
    local curcontext=$curcontext state line
    typeset -A opt_args
    _arguments -C $_portal_general '1: :->command' '*:: :->arguments' && return
    case $state in
    command) _alternative 'commands:command:_portal_commands' 'files:database:_files' ;;
    arguments) _portal_arguments ;;
    esac
}

_portal "$@"
