#include "command.h"

#include "tell.h"
#include "version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BY {"by", CHANNEL, true, "email or text"}
#define REASON {"reason", WORD, false, "why, for the audit"}
#define OF_PATIENT {"patient", PATIENT, false, "of this patient alone"}
#define THE_PATIENT {"patient", PATIENT, true, "number, name, date of birth, email or phone"}
#define REQUEST {"request", NUMBER, true, "number, as `portal requests` shows it"}

#define PDF {"file", FILE_NAME, false, "the PDF; - or none is standard output"}
#define ON_PAPER {"paper", PAPER, false, "A4 or Letter; the setting paper without"}

#define REQUESTS \
    "SELECT request_id, patient_id, patient_name, field, current_value, proposed_value, submitted_by," \
    "       submitted_at, conflict FROM pending_requests"
#define SEND "SELECT send_registration(:patient, :by) AS message"

const struct value value_kinds[] = {
    [FLAG] = {"", NULL},         [WORD] = {"TEXT", NULL},      [NUMBER] = {"NUMBER", NULL},
    [PATIENT] = {"PATIENT", NULL}, [CHANNEL] = {"CHANNEL", "email text"}, [FILE_NAME] = {"FILE", NULL},
    [SQL] = {"SQL", NULL},       [APPLICATION] = {"APPLICATION", "ehr scheduling"}, [COMMAND] = {"COMMAND", NULL},
    [MAIL_CARRIER] = {"CHANNEL", "maildir smtp"}, [TEXT_CARRIER] = {"CHANNEL", "maildir kannel twilio"},
    [KEY_ACTION] = {"ACTION", "rotate"}, [PAPER] = {"PAPER", "A4 Letter"},
    [REPORT] = {"REPORT", "funnel requests speed unreachable unused"},
};

const struct parameter general_options[] = {
    [GENERAL_DATABASE] = {"database", FILE_NAME, false, "the practice's database (also -d); without it PORTAL_DB of the environment"},
    [GENERAL_AS] = {"as", APPLICATION, false, "act for the application ehr (without it) or scheduling"},
    [GENERAL_JSON] = {"json", FLAG, false, "write JSON"},
    [GENERAL_CSV] = {"csv", FLAG, false, "write comma-separated values"},
    [GENERAL_SQL] = {"sql", FLAG, false, "show the statements that are run, on standard error"},
    [GENERAL_HELP] = {"help", FLAG, false, "show what a command does (also -h)"},
    [GENERAL_VERSION] = {"version", FLAG, false, "show the version"},
    [GENERAL_OPTIONS] = {NULL, FLAG, false, NULL},
};

static int quick_add(struct invocation *invocation)
{
    bool sends = command_value(invocation, "by") != NULL;

    if (sends != (command_value(invocation, "contact") != NULL)) {
        return tell(EXIT_USAGE, "--by and --contact go together; without both, nothing is sent");
    }
    return command_query(invocation,
                         !sends
                             ? "SELECT quick_add(:first, :last, :born) AS patient_id"
                             : "SELECT quick_add(:first, :last, :born, :by, :contact) AS patient_id");
}

static int accept(struct invocation *invocation)
{
    return command_query(invocation, command_value(invocation, "force") == NULL
                                         ? "SELECT accept_request(:request) AS message"
                                         : "SELECT accept_request(:request, 'force') AS message");
}

static int setting(struct invocation *invocation)
{
    if (command_value(invocation, "value") != NULL) {
        return command_query(invocation, "SELECT portal_setting(:key, :value) AS value");
    }
    return command_query(invocation, command_value(invocation, "key") == NULL
                                         ? "SELECT key, value, description FROM portal_settings"
                                         : "SELECT portal_setting(:key) AS value");
}

/* Of no database: one in memory will do.  Plugins are loaded on request alone: the libraries they bring are slow to. */
static int version(struct invocation *invocation)
{
    int code = practice_open(&invocation->practice, ":memory:", NULL, NEEDS_NOTHING);
    char *sql = command_value(invocation, "plugins") != NULL
                    ? sqlite3_mprintf("SELECT portal_version() AS version")
                    : sqlite3_mprintf("SELECT 'portal %q, SQLite %q' AS version", version_text, sqlite3_libversion());

    if (code == EXIT_DONE) code = sql == NULL ? tell(EXIT_REFUSED, "out of memory") : command_query(invocation, sql);
    sqlite3_free(sql);
    practice_close(&invocation->practice);
    return code;
}

const struct command commands[] = {
    {.name = "init", .summary = "Make the portal's tables and key file, and set what messages need to know",
     .text = "Asks what no option gives.", .run = init_run, .needs = NEEDS_ROOM,
     .options = {{"practice-name", WORD, false, "name of the practice"},
                 {"practice-phone", WORD, false, "its telephone number"},
                 {"portal-url", WORD, false, "address of the portal's pages"},
                 {"mail-from", WORD, false, "sender address of mail"},
                 {"mail-channel", MAIL_CARRIER, false, "maildir or smtp"},
                 {"text-channel", TEXT_CARRIER, false, "maildir, kannel or twilio"},
                 {"map", FILE_NAME, false, "where the practice keeps its patients, such as mappings/openemr.json"},
                 {"yes", FLAG, false, "ask nothing"}}},
    {.name = "setting", .summary = "Show the settings, or change one", .run = setting,
     .arguments = {{"key", WORD, false, "which one"}, {"value", WORD, false, "what it becomes"}}},
    {.name = "secret", .summary = "Store a password of a mail server or gateway",
     .text = "It is read from standard input; SQL never gives it back.", .run = secret_run,
     .arguments = {{"key", WORD, true, "which one: smtp_password, for example"}}},
    {.name = "send", .summary = "Send a patient a registration link",
     .text = "Again, or after a revoke, it is the same command.",
     .sql = SEND, .arguments = {THE_PATIENT}, .options = {BY}},
    {.name = "send-all", .summary = "Send to many, having shown who can not be sent to and why",
     .run = send_all_run,
     .options = {BY,
                 {"where", SQL, false, "a condition on the patient table, in its own words; all active patients without"},
                 {"dry-run", FLAG, false, "show only"},
                 {"yes", FLAG, false, "do not ask"}}},
    {.name = "grant", .summary = "Give access again after a revoke",
     .text = "The same user names and passwords work as before; a link is sent as well.",
     .sql = SEND, .arguments = {THE_PATIENT}, .options = {BY}},
    {.name = "letter", .summary = "Register a patient by a printed letter",
     .text = "For whom neither email nor text message reaches. Hand it over once you have seen who it is.",
     .sql = "SELECT portal_letter(:patient, :paper)", .run = print_run,
     .arguments = {THE_PATIENT, PDF}, .options = {ON_PAPER}},
    {.name = "poster", .summary = "Make the poster for the waiting room",
     .sql = "SELECT portal_poster(:paper, :language)", .run = print_run,
     .arguments = {PDF}, .options = {ON_PAPER, {"language", WORD, false, "en, es, or that of a template; en without"}}},
    {.name = "revoke", .summary = "End a patient's access, links and sessions",
     .text = "The patient is told by email or text message.",
     .sql = "SELECT revoke_access(:patient, :reason) AS message", .arguments = {THE_PATIENT}, .options = {REASON}},
    {.name = "quick-add", .summary = "Add a patient, and send the registration",
     .text = "Without --by nothing is sent.", .run = quick_add,
     .arguments = {{"first", WORD, true, "first name"},
                   {"last", WORD, true, "last name"},
                   {"born", WORD, true, "date of birth, 1985-12-10"}},
     .options = {{"by", CHANNEL, false, "email or text"},
                 {"contact", WORD, false, "the email address or telephone number"}}},
    {.name = "status", .summary = "Show where each patient stands",
     .sql = "SELECT patient_id, patient_name, status, message, next_step FROM portal_status",
     .sql_of_patient = "SELECT * FROM portal_status WHERE patient_id = :patient", .empty = "There are no patients.", .arguments = {OF_PATIENT}},
    {.name = "requests", .summary = "Show what patients entered and nobody decided yet",
     .sql = REQUESTS, .sql_of_patient = REQUESTS " WHERE patient_id = :patient", .empty = "No requests are waiting.", .arguments = {OF_PATIENT}},
    {.name = "accept", .summary = "Write a requested change to the chart", .run = accept,
     .arguments = {REQUEST}, .options = {{"force", FLAG, false, "even though the chart has moved since"}}},
    {.name = "decline", .summary = "Decline a requested change",
     .sql = "SELECT decline_request(:request, :reason) AS message", .arguments = {REQUEST}, .options = {REASON}},
    {.name = "deliver", .summary = "Hand over what waits", .run = deliver_run,
     .options = {{"watch", FLAG, false, "go on, whenever any process queues something; until SIGTERM"},
                 {"limit", NUMBER, false, "so many messages at most"}}},
    {.name = "serve", .summary = "Serve the pages that links open",
     .text = "Until SIGTERM. A reverse proxy with TLS belongs before it, or a certificate. "
             "portal_url says where the world finds it.",
     .run = serve_run,
     .options = {{"listen", WORD, false, "address and port; 127.0.0.1:8080 without"},
                 {"proxies", WORD, false, "addresses of reverse proxies whose X-Forwarded-For counts: 127.0.0.1,10.0.0.0/8"},
                 {"certificate", FILE_NAME, false, "serve TLS with this chain of certificates (PEM)"},
                 {"key", FILE_NAME, false, "its key, unless it is in the same file"},
                 {"posts", NUMBER, false, "forms a minute of one client; 60 without"},
                 {"patience", NUMBER, false, "seconds for a request to be whole; 30 without"}}},
    {.name = "import", .summary = "Add patients from a file of comma-separated values",
     .text = "Headers are guessed and shown. All lines or none are added, unless --skip-bad. Who is on file already,"
             " by name and date of birth, is a bad line. Dates are 1985-12-10, 12/10/1985 or 10.12.1985.",
     .run = import_run,
     .arguments = {{"file", FILE_NAME, true, "with a line of headers, such as Synthea's patients.csv; - is standard input"}},
     .options = {{"map", WORD, false, "COLUMN=HEADER,...: where the guess is wrong; without a HEADER it is left out"},
                 {"dry-run", FLAG, false, "add nothing, and say what would be"},
                 {"skip-bad", FLAG, false, "leave out the lines that can not be added"},
                 {"day-first", FLAG, false, "12/10/1985 is the twelfth of October"},
                 {"namesakes", FLAG, false, "add those, too, whose name and date of birth are on file already"},
                 {"yes", FLAG, false, "do not ask whether the headers are understood"}}},
    {.name = "unlock", .summary = "Let somebody sign in again at once after wrong passwords",
     .sql = "SELECT unlock_account(:username) AS message", .arguments = {{"username", WORD, true, "of the account"}}},
    {.name = "expire", .summary = "Mark links that have expired", .sql = "SELECT expire_links() AS expired"},
    {.name = "nightly", .summary = "Do the night's work and report it, for cron to mail",
     .text = "The exit code is 3 when something needs attention. The report is text, with --json as well.", .run = nightly_run},
    {.name = "backup", .summary = "Copy the database while others work with it",
     .run = backup_run, .arguments = {{"file", FILE_NAME, true, "a new one; the key file is not in it"}}},
    {.name = "key", .summary = "Make a new generation of the key: portal key rotate",
     .text = "What was sent before stays good until it ends. Back up the key file afterwards.",
     .sql = "SELECT portal_key_rotate() AS message", .arguments = {{"action", KEY_ACTION, true, "rotate"}}},
    {.name = "report", .summary = "Answer a question of analysts; without one, show which there are",
     .text = "Each is a file of SQL, below reports beside nightly.sql, to be run and changed elsewhere, too.",
     .run = report_run, .empty = "Nothing to report.",
     .arguments = {{"name", REPORT, false, "which one; without it, all of them with their questions"}},
     .options = {{"since", WORD, false, "the first month that counts, 2026-01; all without"}}},
    {.name = "audit", .summary = "Show what happened, or verify that nothing of it was changed",
     .empty = "Nothing has happened yet.", .run = audit_run,
     .options = {OF_PATIENT, {"verify", FLAG, false, "say whether the chain of events is whole"}}},
    {.name = "doctor", .summary = "Look whether all is well, and say what to do where it is not",
     .text = "Tries a connection to the servers of the channels in use, without sending anything. Exits with 1 when"
             " something is to be done, with 3 for warnings alone.",
     .run = doctor_run, .options = {{"offline", FLAG, false, "try no connection"}}},
    {.name = "help", .summary = "Show what a command does", .run = help_run, .needs = NEEDS_NOTHING,
     .arguments = {{"command", COMMAND, false, "which one; without it, all of them"}},
     .options = {{"bash", FLAG, false, "print completion for bash"},
                 {"zsh", FLAG, false, "print completion for zsh"},
                 {"man", FLAG, false, "print what portal(1) tells of commands, as mdoc"},
                 {"reference", FLAG, false, "print the reference of portal(7), as mdoc"}}},
    {.name = "version", .summary = "Show the version, and those of the plugins", .run = version, .needs = NEEDS_NOTHING,
     .options = {{"plugins", FLAG, false, "load every plugin and show what it is"}}},
    {.name = NULL},
};

const struct command *command_find(const char *name)
{
    for (const struct command *command = commands; command->name != NULL; command++) {
        if (strcmp(command->name, name) == 0) return command;
    }
    return NULL;
}

/* How many letters are to be put in, taken out or changed (Levenshtein), of short words. */
static size_t distance(const char *from, const char *to)
{
    enum { LONGEST = 24 };
    size_t row[LONGEST + 1];
    size_t length = strlen(to);

    if (length > LONGEST) return LONGEST;
    for (size_t i = 0; i <= length; i++) row[i] = i;
    for (; *from != '\0'; from++) {
        size_t corner = row[0]++;
        for (size_t i = 1; i <= length; i++) {
            size_t least = row[i] < row[i - 1] ? row[i] + 1 : row[i - 1] + 1;
            size_t same = corner + (to[i - 1] != *from);
            corner = row[i];
            row[i] = same < least ? same : least;
        }
    }
    return row[length];
}

const char *command_near(const char *word)
{
    const char *nearest = NULL;
    size_t least = 3;

    for (const struct command *command = commands; command->name != NULL; command++) {
        size_t away = distance(word, command->name);
        if (away >= least || away >= strlen(command->name)) continue;
        least = away;
        nearest = command->name;
    }
    return nearest;
}

/* The value of an argument or option stands in its place; NULL: the command has none of the name. */
static const char *const *place_find(const struct invocation *invocation, const char *name, enum value_kind *kind)
{
    const struct command *command = invocation->command;

    for (int i = 0; command->arguments[i].name != NULL; i++) {
        if (strcmp(command->arguments[i].name, name) != 0) continue;
        *kind = command->arguments[i].kind;
        return &invocation->argument[i];
    }
    for (int i = 0; command->options[i].name != NULL; i++) {
        if (strcmp(command->options[i].name, name) != 0) continue;
        *kind = command->options[i].kind;
        return &invocation->option[i];
    }
    return NULL;
}

const char *command_value(const struct invocation *invocation, const char *name)
{
    enum value_kind kind;
    const char *const *place = place_find(invocation, name, &kind);

    return place == NULL ? NULL : *place;
}

/* Whole numbers are bound as such: SQL tells 7 from '7'. */
static void value_bind(struct invocation *invocation, sqlite3_stmt *statement, int parameter, const char *name)
{
    enum value_kind kind = WORD;
    const char *const *place = place_find(invocation, name, &kind);

    if (place == NULL || *place == NULL) return;
    if (kind == NUMBER) (void)sqlite3_bind_int64(statement, parameter, strtoll(*place, NULL, 10));
    else if (kind == PATIENT) (void)sqlite3_bind_value(statement, parameter, invocation->patient);
    else practice_bind(statement, parameter, *place);
}

sqlite3_stmt *command_prepare(struct invocation *invocation, const char *sql)
{
    sqlite3_stmt *statement = practice_prepare(&invocation->practice, sql);

    for (int i = 1; statement != NULL && i <= sqlite3_bind_parameter_count(statement); i++) {
        value_bind(invocation, statement, i, sqlite3_bind_parameter_name(statement, i) + 1);
    }
    return statement;
}

int command_say(struct invocation *invocation, const char *sentence)
{
    struct practice *practice = &invocation->practice;
    sqlite3_stmt *statement = practice_prepare(practice, "SELECT ?1 AS message");
    int code;

    if (statement == NULL) return EXIT_DATABASE;
    practice_bind(statement, 1, sentence);
    practice->shows_sql = false;        /* no statement did it */
    code = output_rows(practice, statement, stdout, invocation->form, NULL, NULL);
    (void)sqlite3_finalize(statement);
    return code;
}

int command_query(struct invocation *invocation, const char *sql)
{
    sqlite3_stmt *statement = command_prepare(invocation, sql);
    int code;

    if (statement == NULL) return EXIT_DATABASE;
    code = output_rows(&invocation->practice, statement, stdout, invocation->form, invocation->command->empty, NULL);
    (void)sqlite3_finalize(statement);
    return code;
}
