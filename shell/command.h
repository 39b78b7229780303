/*
** The commands of `portal`, a row each: parsing, help, the manual page, completion and the tests come
** from this one table.
*/
#ifndef SHELL_COMMAND_H
#define SHELL_COMMAND_H

#include "output.h"

enum { ARGUMENTS_MOST = 4, OPTIONS_MOST = 10 };

/* What an argument is, and with that how it is checked, bound and completed. */
enum value_kind {
    FLAG, WORD, NUMBER, PATIENT, CHANNEL, FILE_NAME, SQL, APPLICATION, COMMAND, MAIL_CARRIER, TEXT_CARRIER,
    KEY_ACTION, PAPER, REPORT
};

/* What help calls a value, and what it may be: words with a space between, or NULL. */
struct value { const char *name, *choices; };
extern const struct value value_kinds[];

/* An argument in its place, or an option (--by CHANNEL). */
struct parameter {
    const char *name;              /* "patient", "by"; in SQL ":patient", ":by" */
    enum value_kind kind;
    bool required;
    const char *description;
};

struct invocation;

struct command {
    const char *name;              /* "quick-add" */
    const char *summary;           /* one line */
    const char *text;              /* more about it, or NULL */
    const char *sql;               /* what it runs; NULL: run() says */
    const char *sql_of_patient;    /* in place of that when a patient is given; or NULL */
    const char *empty;             /* what is said when there are no rows */
    int (*run)(struct invocation *invocation);
    enum practice_needs needs;
    struct parameter arguments[ARGUMENTS_MOST + 1];
    struct parameter options[OPTIONS_MOST + 1];
};

/* Options of every command, in the order of general_options. */
enum general_option {
    GENERAL_DATABASE, GENERAL_AS, GENERAL_JSON, GENERAL_CSV, GENERAL_SQL, GENERAL_HELP, GENERAL_VERSION,
    GENERAL_OPTIONS
};
extern const struct parameter general_options[GENERAL_OPTIONS + 1];

/* One use of a command. */
struct invocation {
    const struct command *command;
    struct practice practice;
    enum output_form form;
    const char *argument[ARGUMENTS_MOST];     /* NULL: not given */
    const char *option[OPTIONS_MOST];         /* likewise; a flag is "1" */
    const char *general[GENERAL_OPTIONS];     /* likewise */
    sqlite3_value *patient;                   /* the patient_id that the argument or option `patient` meant */
};

/* All, ended by a row without a name. */
extern const struct command commands[];

/* NULL when there is none of this name. */
const struct command *command_find(const char *name);

/* The command whose name a word may have been meant to be; or NULL. */
const char *command_near(const char *word);

/* The value of an option or argument by its name; NULL when it was not given. */
const char *command_value(const struct invocation *invocation, const char *name);

/* SQL with all its values bound, to be stepped and finalised; NULL when it can not be prepared, which is told. */
sqlite3_stmt *command_prepare(struct invocation *invocation, const char *sql);

/* Runs the command's SQL with all its values bound.  An exit code. */
int command_query(struct invocation *invocation, const char *sql);

/* Gives a sentence that no SQL gave, alone or as data.  An exit code. */
int command_say(struct invocation *invocation, const char *sentence);

/* Finds who the argument or option `patient` means, if there is one.  An exit code; several are shown. */
int patient_choose(struct invocation *invocation);

int deliver_run(struct invocation *invocation);
int import_run(struct invocation *invocation);
int init_run(struct invocation *invocation);
int send_all_run(struct invocation *invocation);
int print_run(struct invocation *invocation);
int nightly_run(struct invocation *invocation);
int report_run(struct invocation *invocation);
int audit_run(struct invocation *invocation);
int doctor_run(struct invocation *invocation);
int backup_run(struct invocation *invocation);
int help_run(struct invocation *invocation);
int secret_run(struct invocation *invocation);
int serve_run(struct invocation *invocation);

/* Tells what a command does; NULL: which commands there are. */
int help_show(const struct command *command);

/* What is made of the table when it is built: parts of the manual pages, completion. */
void manual_write(void);
int reference_write(struct invocation *invocation);
void completion_bash(void);
void completion_zsh(void);

/*
** portal practice.db: the sqlite3 shell itself, which takes the place of this process; with SQL, a list ended by
** NULL, it runs that alone.  An exit code when it can not.
*/
int interactive_run(struct invocation *invocation, char **sql);

#endif
