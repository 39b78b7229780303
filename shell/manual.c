/*
** What manual pages take from the table of commands, portal(1), and from what the extension says of itself,
** portal(7), as mdoc.  shell/pages/ holds the rest; the Makefile joins them.
*/
#include "command.h"

#include <ctype.h>

/* Text as lines of its own, a sentence each. */
static void text_write(const char *text)
{
    bool begins = true;

    for (; *text != '\0'; text++) {
        if (begins && (*text == '.' || *text == '\'')) (void)fputs("\\&", stdout);
        begins = *text == '\n';
        if (*text == '\\') (void)fputs("\\e", stdout);
        else if (*text == '-') (void)fputs("\\-", stdout);
        else (void)putchar(*text);
        if (*text == '.' && text[1] == ' ' && isupper((unsigned char)text[2])) {
            (void)putchar('\n');
            text++;
            begins = true;
        }
    }
    (void)putchar('\n');
}

/* Ar PATIENT, Fl -by Ar CHANNEL. */
static void parameter_write(const struct parameter *parameter, bool option)
{
    if (option) {
        (void)printf(" Fl -%s%s%s", parameter->name, parameter->kind == FLAG ? "" : " Ar ",
                     value_kinds[parameter->kind].name);
        return;
    }
    (void)fputs(" Ar ", stdout);
    for (const char *at = parameter->name; *at != '\0'; at++) (void)putchar(toupper((unsigned char)*at));
}

static void usage_write(const struct parameter *parameters, bool options)
{
    for (; parameters->name != NULL; parameters++) {
        if (!parameters->required) (void)fputs(" Oo", stdout);
        parameter_write(parameters, options);
        if (!parameters->required) (void)fputs(" Oc", stdout);
    }
}

static void parameters_write(const struct parameter *parameters, bool options)
{
    if (parameters->name == NULL) return;
    (void)puts(".Bl -tag -width Ds");
    for (; parameters->name != NULL; parameters++) {
        (void)fputs(".It", stdout);
        parameter_write(parameters, options);
        (void)putchar('\n');
        text_write(parameters->description);
    }
    (void)puts(".El");
}

void manual_write(void)
{
    (void)puts(".Sh COMMANDS\n.Bl -tag -width Ds");
    for (const struct command *command = commands; command->name != NULL; command++) {
        (void)printf(".It Ic %s", command->name);
        usage_write(command->arguments, false);
        usage_write(command->options, true);
        (void)printf("\n%s.\n", command->summary);
        if (command->text != NULL) text_write(command->text);
        parameters_write(command->arguments, false);
        parameters_write(command->options, true);
    }
    (void)puts(".El\n.Sh OPTIONS\nWith every command:");
    parameters_write(general_options, true);
}

/* A list: of each row the first column is the item, those after it are sentences about it. */
struct chapter { const char *title, *sql; };

static const struct chapter chapters[] = {
    {"FUNCTIONS",
     "SELECT usage, description,"
     "       format('Gives %s. For %s%s.', result, applications, iif(kind LIKE '%insert%', '; also a table to insert into', ''))"
     "  FROM portal_help WHERE kind LIKE 'function%'"},
    {"TABLES TO READ AND TO UPDATE",
     "SELECT usage, description, format('For %s.', applications), format('Columns: %s.', result)"
     "  FROM portal_help WHERE kind = 'table'"},
    {"SETTINGS",
     "SELECT key, description, iif(default_value = '', NULL, format('Default: %s.', default_value))"
     "  FROM portal_settings"},
    {"CHANNELS", "SELECT name, format('Carries %s; %s.', serves, plugin) FROM portal_channels"},
    {"PLAIN TABLES AND VIEWS",
     "SELECT name, iif(type = 'view', 'A view.', NULL) FROM main.sqlite_schema"
     " WHERE type IN ('table', 'view') AND name LIKE 'portal\\_%' ESCAPE '\\'"},
};

static int chapter_write(struct practice *practice, const struct chapter *chapter)
{
    sqlite3_stmt *statement = practice_prepare(practice, chapter->sql);
    int code = statement == NULL ? SQLITE_ERROR : practice_step(practice, statement);

    (void)printf(".Sh %s\n.Bl -tag -width Ds\n", chapter->title);
    for (; code == SQLITE_ROW; code = practice_step(practice, statement)) {
        (void)printf(".It Ic \"%s\"\n", (const char *)sqlite3_column_text(statement, 0));
        for (int i = 1; i < sqlite3_column_count(statement); i++) {
            const char *text = (const char *)sqlite3_column_text(statement, i);
            if (text != NULL) text_write(text);
        }
    }
    (void)puts(".El");
    (void)sqlite3_finalize(statement);
    return code == SQLITE_DONE ? EXIT_DONE : practice_failed(practice);
}

int reference_write(struct invocation *invocation)
{
    struct practice *practice = &invocation->practice;
    sqlite3_stmt *init = NULL;
    int code = practice_open(practice, ":memory:", NULL, NEEDS_NOTHING);

    if (code == EXIT_DONE) init = practice_prepare(practice, "SELECT portal_init()");
    if (init == NULL || practice_step(practice, init) != SQLITE_ROW) code = practice_failed(practice);
    (void)sqlite3_finalize(init);
    for (size_t i = 0; code == EXIT_DONE && i < sizeof chapters / sizeof chapters[0]; i++) {
        code = chapter_write(practice, &chapters[i]);
    }
    practice_close(practice);
    return code;
}
