/*
** What completion for bash and zsh takes from the table of commands; shell/pages/ holds the rest, and the
** Makefile joins them.
*/
#include "command.h"

#include <string.h>

static void words_write(const char *separator)
{
    for (const struct command *command = commands; command->name != NULL; command++) {
        (void)printf("%s%s", command == commands ? "" : separator, command->name);
    }
}

static const char *choices_of(const struct parameter *parameter)
{
    return value_kinds[parameter->kind].choices;
}

/* bash */

/* What follows an option or stands in a place: words to choose from, a file, or anything. */
static void bash_value(const char *command, const char *place, const struct parameter *parameter)
{
    (void)printf("    %s:%s) ", command, place);
    if (parameter->kind == FILE_NAME) {
        (void)fputs("kind=file", stdout);
    } else if (parameter->kind == COMMAND) {
        (void)fputs("choices=$commands", stdout);
    } else if (choices_of(parameter) != NULL) {
        (void)printf("choices='%s'", choices_of(parameter));
    }
    (void)puts(" ;;");
}

static void bash_options(const char *command, const struct parameter *options)
{
    for (; options->name != NULL; options++) {
        char place[60];
        (void)snprintf(place, sizeof place, "--%s", options->name);
        if (options->kind != FLAG) bash_value(command, place, options);
    }
}

static void bash_values(void)
{
    (void)puts("# What a command takes in a place or after an option, as command:place; false: nothing.\n"
               "_portal_value()\n{\n    kind= choices=\n    case $1 in");
    for (const struct command *command = commands; command->name != NULL; command++) {
        for (int i = 0; command->arguments[i].name != NULL; i++) {
            char place[12];
            (void)snprintf(place, sizeof place, "%d", i);
            bash_value(command->name, place, &command->arguments[i]);
        }
        bash_options(command->name, command->options);
    }
    bash_options("*", general_options);
    (void)puts("    *:-d) kind=file ;;\n    *) return 1 ;;\n    esac\n}");
}

static void bash_option_names(const struct parameter *options)
{
    for (int i = 0; options[i].name != NULL; i++) (void)printf("%s--%s", i == 0 ? "" : " ", options[i].name);
}

void completion_bash(void)
{
    (void)fputs("_portal_names()\n{\n    commands='", stdout);
    words_write(" ");
    (void)fputs("'\n    general='-d ", stdout);
    bash_option_names(general_options);
    (void)puts("'\n}\n\n_portal_options()\n{\n    case $1 in");
    for (const struct command *command = commands; command->name != NULL; command++) {
        (void)printf("    %s) options='", command->name);
        bash_option_names(command->options);
        (void)puts("' ;;");
    }
    (void)puts("    *) options= ;;\n    esac\n}\n");
    bash_values();
}

/* zsh */

/* Within the single quotes of a specification of _arguments, where : [ ] and \ mean something. */
static void zsh_text(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            (void)fputs("'\\''", stdout);
            continue;
        }
        if (strchr(":[]\\", *text) != NULL) (void)putchar('\\');
        (void)putchar(*text);
    }
}

static void zsh_value(const struct parameter *parameter)
{
    if (parameter->kind == FILE_NAME) (void)fputs("_files", stdout);
    else if (parameter->kind == COMMAND) (void)fputs("_portal_commands", stdout);
    else if (choices_of(parameter) != NULL) (void)printf("(%s)", choices_of(parameter));
    else (void)putchar(' ');
}

static void zsh_option(const struct parameter *option)
{
    (void)printf(" \\\n        '--%s%s[", option->name, option->kind == FLAG ? "" : "=");
    zsh_text(option->description);
    (void)putchar(']');
    if (option->kind != FLAG) {
        (void)printf(":%s:", value_kinds[option->kind].name);
        zsh_value(option);
    }
    (void)putchar('\'');
}

static void zsh_command(const struct command *command)
{
    (void)printf("    %s) _arguments -S $_portal_general", command->name);
    for (int i = 0; command->arguments[i].name != NULL; i++) {
        (void)printf(" \\\n        '%d:", i + 1);
        zsh_text(command->arguments[i].description);
        (void)putchar(':');
        zsh_value(&command->arguments[i]);
        (void)putchar('\'');
    }
    for (const struct parameter *option = command->options; option->name != NULL; option++) zsh_option(option);
    (void)puts(" ;;");
}

void completion_zsh(void)
{
    (void)puts("_portal_commands() {\n    local -a commands=(");
    for (const struct command *command = commands; command->name != NULL; command++) {
        (void)printf("        '%s:", command->name);
        zsh_text(command->summary);
        (void)puts("'");
    }
    (void)fputs("    )\n    _describe command commands\n}\n\n_portal_general=('-d+[the database]:FILE:_files'", stdout);
    for (const struct parameter *option = general_options; option->name != NULL; option++) zsh_option(option);
    (void)puts(")\n\n_portal_arguments() {\n    case $words[1] in");
    for (const struct command *command = commands; command->name != NULL; command++) zsh_command(command);
    (void)puts("    esac\n}");
}
