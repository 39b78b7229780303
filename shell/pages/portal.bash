# Completion for bash of the command portal.

@table@

_portal()
{
    local current=${COMP_WORDS[COMP_CWORD]} command= option= place=0 kind choices word i commands general options
    _portal_names
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ -n $option ]]; then
            # --by=email is three words to bash.
            [[ $word == = ]] || option=
        elif [[ $word == -* ]]; then
            _portal_value "$command:$word" && option=$word
        elif [[ -z $command ]]; then
            command=$word
        else
            ((place++))
        fi
    done
    COMPREPLY=()
    if [[ -n $option ]]; then
        [[ $current == = ]] && current=
        _portal_value "$command:$option"
    elif [[ $current == -* ]]; then
        _portal_options "$command"
        choices="$options $general"
    elif [[ -z $command ]]; then
        # A command, or the database that the sqlite3 shell is to open.
        choices=$commands kind=file
    else
        _portal_value "$command:$place" || return 0
    fi
    [[ -n $choices ]] && COMPREPLY=($(compgen -W "$choices" -- "$current"))
    # Readline itself knows how to quote the names of files.
    [[ ${#COMPREPLY[@]} -eq 0 && $kind == file ]] && compopt -o default
    return 0
}

complete -F _portal portal
