/* portal: the command around the extension.  See command.c for what it can do. */
#include "command.h"
#include "tell.h"
#include "terminal.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What getopt_long() answers for an option: of every command, and the command's own. */
enum { GENERAL = 256, OWN = 512 };

/* What is wrong with the command line, and where it says how it should be. */
__attribute__((format(printf, 2, 3)))
static int usage(const struct command *command, const char *format, ...)
{
    char text[400];
    va_list values;

    va_start(values, format);
    (void)vsnprintf(text, sizeof text, format, values);
    va_end(values);
    return tell(EXIT_USAGE, "%s; see portal help%s%s", text, command == NULL ? "" : " ",
                command == NULL ? "" : command->name);
}

static int options_add(struct option *all, int count, const struct parameter *options, int first)
{
    for (int i = 0; options[i].name != NULL; i++) {
        all[count++] = (struct option){options[i].name, options[i].kind == FLAG ? no_argument : required_argument,
                                       NULL, first + i};
    }
    return count;
}

/* -d is --database, -h is --help. */
static int of_letter(int letter)
{
    return letter == 'd' ? GENERAL + GENERAL_DATABASE : letter == 'h' ? GENERAL + GENERAL_HELP : letter;
}

/* Options that stand before the command, or those after it among its arguments.  An exit code. */
static int options_take(struct invocation *invocation, int argc, char **argv)
{
    const struct command *command = invocation->command;
    struct option all[GENERAL_OPTIONS + OPTIONS_MOST + 1];
    int count = options_add(all, 0, general_options, GENERAL);
    int which;

    if (command != NULL) count = options_add(all, count, command->options, OWN);
    memset(&all[count], 0, sizeof all[count]);
    opterr = 0;
    while ((which = of_letter(getopt_long(argc, argv, command == NULL ? "+:d:h" : ":d:h", all, NULL))) != -1) {
        const char *value = optarg == NULL ? "1" : optarg;
        if (which == ':') return usage(command, "%s needs a value", argv[optind - 1]);
        if (which == '?' && optopt > 0 && optopt < GENERAL) return usage(command, "there is no option -%c", optopt);
        if (which == '?') return usage(command, "there is no option %s", argv[optind - 1]);
        if (which >= OWN) invocation->option[which - OWN] = value;
        else if (which >= GENERAL && which < GENERAL + GENERAL_OPTIONS) invocation->general[which - GENERAL] = value;
    }
    return EXIT_DONE;
}

/* What is wrong with a value; NULL: nothing. */
static const char *value_problem(enum value_kind kind, const char *value)
{
    static const char *const channels[] = {"email", "text", "sms"};
    char *end;

    if (kind == NUMBER) {
        errno = 0;
        return strtoll(value, &end, 10) > 0 && *end == '\0' && errno == 0 ? NULL : "a whole number from 1 on";
    }
    if (kind == PAPER) return strcmp(value, "A4") == 0 || strcmp(value, "Letter") == 0 ? NULL : "A4 or Letter";
    if (kind == KEY_ACTION) return strcmp(value, "rotate") == 0 ? NULL : "rotate";
    if (kind != CHANNEL) return NULL;
    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++) {
        if (strcmp(value, channels[i]) == 0) return NULL;
    }
    return "email or text";
}

static int value_check(const struct command *command, const struct parameter *parameter, const char *value,
                       const char *dashes)
{
    const char *problem = value == NULL ? NULL : value_problem(parameter->kind, value);

    if (value == NULL && parameter->required) return usage(command, "%s%s is missing", dashes, parameter->name);
    if (problem != NULL) return usage(command, "%s%s is %s, not '%s'", dashes, parameter->name, problem, value);
    return EXIT_DONE;
}

static int arguments_take(struct invocation *invocation, int argc, char **argv)
{
    const struct command *command = invocation->command;
    int code = EXIT_DONE;
    int count = 0;

    for (; command->arguments[count].name != NULL && code == EXIT_DONE; count++) {
        if (count < argc) invocation->argument[count] = argv[count];
        code = value_check(command, &command->arguments[count], invocation->argument[count], "");
    }
    if (argc > count && code == EXIT_DONE) return usage(command, "'%s' is one argument too many", argv[count]);
    for (int i = 0; command->options[i].name != NULL && code == EXIT_DONE; i++) {
        code = value_check(command, &command->options[i], invocation->option[i], "--");
    }
    return code;
}

static int command_run(struct invocation *invocation)
{
    const struct command *command = invocation->command;

    if (command->run != NULL) return command->run(invocation);
    return command_query(invocation, invocation->patient != NULL && command->sql_of_patient != NULL
                                         ? command->sql_of_patient
                                         : command->sql);
}

/* With the database open, where the command wants one. */
static int run(struct invocation *invocation)
{
    struct practice *practice = &invocation->practice;
    const char *path = invocation->general[GENERAL_DATABASE];
    int code;

    practice->shows_sql = invocation->general[GENERAL_SQL] != NULL;
    if (invocation->command->needs == NEEDS_NOTHING) return command_run(invocation);
    if (path == NULL) return usage(NULL, "no database is named; name one with -d, or in PORTAL_DB");
    code = practice_open(practice, path, invocation->general[GENERAL_AS], invocation->command->needs);
    if (code == EXIT_DONE) code = patient_choose(invocation);
    if (code == EXIT_DONE) code = command_run(invocation);
    sqlite3_value_free(invocation->patient);
    practice_close(practice);
    return code;
}

static void form_take(struct invocation *invocation)
{
    if (invocation->general[GENERAL_JSON] != NULL) invocation->form = OUTPUT_JSON;
    else if (invocation->general[GENERAL_CSV] != NULL) invocation->form = OUTPUT_CSV;
}

/* portal [-d practice.db], portal practice.db: no command, but maybe SQL.  An exit code. */
static int without_command(struct invocation *invocation, char **sql)
{
    if (invocation->general[GENERAL_HELP] != NULL || invocation->general[GENERAL_DATABASE] == NULL) return help_show(NULL);
    return interactive_run(invocation, sql);
}

/* A word that is no command is a database to work in. */
static int database_take(struct invocation *invocation, const char *word)
{
    const char *near = command_near(word);

    if (access(word, F_OK) == 0 || strpbrk(word, "./") != NULL) {
        invocation->general[GENERAL_DATABASE] = word;
        return EXIT_DONE;
    }
    if (near != NULL) return usage(NULL, "there is no command %s (did you mean %s?)", word, near);
    return usage(NULL, "there is neither a command nor a database '%s'", word);
}

/*
** Options, then a command; or a database, and after it the same once more.  *argv is left at the word that was
** not taken, or at the command.
*/
static int line_take(struct invocation *invocation, int *argc, char ***argv)
{
    for (bool named = false;; named = true) {
        int code = options_take(invocation, *argc, *argv);
        if (code != EXIT_DONE) return code;
        *argc -= optind;
        *argv += optind;
        optind = 0;      /* glibc: begins anew, and for a command sorts options before arguments */
        if (invocation->general[GENERAL_VERSION] != NULL) invocation->command = command_find("version");
        else if (*argc > 0) invocation->command = command_find(**argv);
        if (invocation->command != NULL || *argc == 0 || named) return EXIT_DONE;
        code = database_take(invocation, **argv);
        if (code != EXIT_DONE) return code;
    }
}

int main(int argc, char **argv)
{
    struct invocation invocation;
    int code;

    memset(&invocation, 0, sizeof invocation);
    terminal_begin();
    invocation.general[GENERAL_DATABASE] = getenv("PORTAL_DB");
    code = line_take(&invocation, &argc, &argv);
    if (code != EXIT_DONE) return code;
    form_take(&invocation);
    if (invocation.command == NULL) return without_command(&invocation, argv);
    if (argc > 0) code = options_take(&invocation, argc, argv);
    if (code != EXIT_DONE) return code;
    form_take(&invocation);
    if (invocation.general[GENERAL_HELP] != NULL) return help_show(invocation.command);
    code = arguments_take(&invocation, argc - optind, argv + optind);
    return code == EXIT_DONE ? run(&invocation) : code;
}
