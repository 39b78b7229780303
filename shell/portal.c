/* portal: the command around the extension.  See command.c for what it can do. */
#include "command.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DATABASE = 256, APPLICATION, JSON, CSV, SHOW_SQL, HELP, VERSION, OWN };

static const struct option general[] = {
    {"database", required_argument, NULL, DATABASE}, {"as", required_argument, NULL, APPLICATION},
    {"json", no_argument, NULL, JSON},               {"csv", no_argument, NULL, CSV},
    {"sql", no_argument, NULL, SHOW_SQL},            {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},         {NULL, 0, NULL, 0},
};
enum { GENERAL = sizeof general / sizeof general[0] - 1 };

struct request {
    const char *database;
    const char *application;
    bool help;
};

static int usage(const char *format, const char *what)
{
    (void)fputs("portal: ", stderr);
    (void)fprintf(stderr, format, what);
    (void)fputs("; see portal help\n", stderr);
    return EXIT_USAGE;
}

/* Options of every command, and its own after them. */
static void options_of(const struct command *command, struct option all[GENERAL + OPTIONS_MOST + 1])
{
    int count = GENERAL;

    memcpy(all, general, sizeof general);
    for (int i = 0; command != NULL && command->options[i].name != NULL; i++) {
        all[count++] = (struct option){command->options[i].name,
                                       command->options[i].kind == FLAG ? no_argument : required_argument, NULL,
                                       OWN + i};
    }
    memset(&all[count], 0, sizeof all[count]);
}

static bool option_take(struct invocation *invocation, struct request *request, int which)
{
    switch (which) {
    case 'd':
    case DATABASE: request->database = optarg; return true;
    case APPLICATION: request->application = optarg; return true;
    case JSON: invocation->form = OUTPUT_JSON; return true;
    case CSV: invocation->form = OUTPUT_CSV; return true;
    case SHOW_SQL: invocation->practice.shows_sql = true; return true;
    case 'h':
    case HELP: request->help = true; return true;
    case VERSION: invocation->command = command_find("version"); return true;
    default:
        if (which < OWN) return false;
        invocation->option[which - OWN] = optarg == NULL ? "1" : optarg;
        return true;
    }
}

/* Options that stand before the command, then those after it.  An exit code. */
static int options_take(struct invocation *invocation, struct request *request, int argc, char **argv, const char *form)
{
    struct option all[GENERAL + OPTIONS_MOST + 1];
    int which;

    options_of(invocation->command, all);
    while ((which = getopt_long(argc, argv, form, all, NULL)) != -1) {
        if (!option_take(invocation, request, which)) return usage("%s", "that is no use of it");
    }
    return EXIT_DONE;
}

static int arguments_take(struct invocation *invocation, int argc, char **argv)
{
    const struct command *command = invocation->command;
    int count = 0;

    for (; command->arguments[count].name != NULL; count++) {
        if (count < argc) invocation->argument[count] = argv[count];
        else if (command->arguments[count].required) return usage("%s is missing", command->arguments[count].name);
    }
    if (argc > count) return usage("'%s' is one argument too many", argv[count]);
    for (int i = 0; command->options[i].name != NULL; i++) {
        if (command->options[i].required && invocation->option[i] == NULL) {
            return usage("--%s is missing", command->options[i].name);
        }
    }
    return EXIT_DONE;
}

static int command_run(struct invocation *invocation)
{
    const struct command *command = invocation->command;
    char sql[1000];

    if (command->run != NULL) return command->run(invocation);
    (void)snprintf(sql, sizeof sql, "%s%s", command->sql,
                   command->of_patient == NULL || invocation->patient == NULL ? "" : command->of_patient);
    return command_query(invocation, sql);
}

static int run(struct invocation *invocation, const struct request *request)
{
    int code;

    if (request->database == NULL) return usage("%s", "there is no database: name one with -d, or in PORTAL_DB");
    code = practice_open(&invocation->practice, request->database, request->application,
                         invocation->command->creates);
    if (code == EXIT_DONE) code = patient_choose(invocation);
    if (code == EXIT_DONE) code = command_run(invocation);
    sqlite3_value_free(invocation->patient);
    practice_close(&invocation->practice);
    return code;
}

int main(int argc, char **argv)
{
    struct request request = {getenv("PORTAL_DB"), "ehr", false};
    struct invocation invocation;
    int code;

    memset(&invocation, 0, sizeof invocation);
    code = options_take(&invocation, &request, argc, argv, "+d:h");
    if (code != EXIT_DONE) return code;
    if (invocation.command == NULL && optind < argc) {
        const char *word = argv[optind++];
        invocation.command = command_find(word);
        if (strcmp(word, "help") == 0) return help_show(optind < argc ? command_find(argv[optind]) : NULL);
        if (invocation.command == NULL && access(word, F_OK) == 0) return interactive_run(word, request.application);
        if (invocation.command == NULL) return usage("there is neither a command nor a database '%s'", word);
        argv += optind - 1;
        argc -= optind - 1;
        optind = 0;      /* glibc: begins anew, and this time sorts options before arguments */
        code = options_take(&invocation, &request, argc, argv, "d:h");
        if (code != EXIT_DONE) return code;
    }
    if (request.help || invocation.command == NULL) return help_show(invocation.command);
    code = arguments_take(&invocation, argc - optind, argv + optind);
    return code == EXIT_DONE ? run(&invocation, &request) : code;
}
