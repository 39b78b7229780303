#include "command.h"

#include <stdio.h>
#include <string.h>

#define BY {"by", CHANNEL, true, "email or text"}
#define REASON {"reason", WORD, false, "why, for the audit"}
#define OF_PATIENT {"patient", PATIENT, false, "of this patient alone"}
#define THE_PATIENT {"patient", PATIENT, true, "number, name, date of birth, email or phone"}
#define REQUEST {"request", WORD, true, "number, as `portal requests` shows it"}

#define OF " WHERE patient_id = :patient"

static int quick_add(struct invocation *invocation)
{
    return command_query(invocation,
                         command_value(invocation, "by") == NULL
                             ? "SELECT quick_add(:first, :last, :born)"
                             : "SELECT quick_add(:first, :last, :born, :by, :contact)");
}

static int accept(struct invocation *invocation)
{
    return command_query(invocation, command_value(invocation, "force") == NULL
                                         ? "SELECT accept_request(:request)"
                                         : "SELECT accept_request(:request, 'force')");
}

static int audit(struct invocation *invocation)
{
    if (command_value(invocation, "verify") != NULL) {
        return command_query(invocation, "SELECT coalesce(portal_audit_verify(), 'The audit is whole.')");
    }
    return command_query(invocation,
                         invocation->patient == NULL
                             ? "SELECT * FROM portal_events ORDER BY event_id"
                             : "SELECT * FROM portal_events WHERE patient_id = :patient ORDER BY event_id");
}

const struct command commands[] = {
    {.name = "init", .summary = "Make the portal's tables and key file, and set what messages need to know",
     .text = "Asks what no option gives.", .run = init_run, .creates = true,
     .options = {{"practice-name", WORD, false, "name of the practice"},
                 {"practice-phone", WORD, false, "its telephone number"},
                 {"portal-url", WORD, false, "address of the portal's pages"},
                 {"mail-from", WORD, false, "sender address of mail"},
                 {"mail-channel", WORD, false, "maildir or smtp"},
                 {"text-channel", WORD, false, "maildir, kannel or twilio"},
                 {"yes", FLAG, false, "ask nothing"}}},
    {.name = "send", .summary = "Send a patient a registration link",
     .text = "Again, or after a revoke, it is the same command.",
     .sql = "SELECT send_registration(:patient, :by)", .arguments = {THE_PATIENT}, .options = {BY}},
    {.name = "send-all", .summary = "Send to many, having shown who can not be sent to and why",
     .run = send_all_run,
     .options = {BY,
                 {"where", SQL, false, "a condition on the patient table; all active patients without"},
                 {"dry-run", FLAG, false, "show only"},
                 {"yes", FLAG, false, "do not ask"}}},
    {.name = "grant", .summary = "Give access again after a revoke",
     .text = "The same user names and passwords work as before; a link is sent as well.",
     .sql = "SELECT send_registration(:patient, :by)", .arguments = {THE_PATIENT}, .options = {BY}},
    {.name = "revoke", .summary = "End a patient's access, links and sessions",
     .text = "The patient is told by email.",
     .sql = "SELECT revoke_access(:patient, :reason)", .arguments = {THE_PATIENT}, .options = {REASON}},
    {.name = "quick-add", .summary = "Add a patient, and send the registration",
     .text = "Without --by nothing is sent.", .run = quick_add,
     .arguments = {{"first", WORD, true, "first name"},
                   {"last", WORD, true, "last name"},
                   {"born", WORD, true, "date of birth, 1985-12-10"}},
     .options = {{"by", CHANNEL, false, "email or text"},
                 {"contact", WORD, false, "the email address or telephone number"}}},
    {.name = "status", .summary = "Show where each patient stands",
     .sql = "SELECT patient_id, patient_name, status, message, next_step FROM portal_status",
     .of_patient = OF, .empty = "There are no patients.", .arguments = {OF_PATIENT}},
    {.name = "requests", .summary = "Show what patients entered and nobody decided yet",
     .sql = "SELECT request_id, patient_id, patient_name, field, current_value, proposed_value, submitted_by,"
            "       submitted_at, conflict FROM pending_requests",
     .of_patient = OF, .empty = "No requests are waiting.", .arguments = {OF_PATIENT}},
    {.name = "accept", .summary = "Write a requested change to the chart", .run = accept,
     .arguments = {REQUEST}, .options = {{"force", FLAG, false, "even though the chart has moved since"}}},
    {.name = "decline", .summary = "Decline a requested change",
     .sql = "SELECT decline_request(:request, :reason)", .arguments = {REQUEST}, .options = {REASON}},
    {.name = "deliver", .summary = "Hand over what waits", .run = deliver_run,
     .options = {{"watch", FLAG, false, "go on, whenever any process queues something; until SIGTERM"},
                 {"limit", WORD, false, "so many messages at most"}}},
    {.name = "import", .summary = "Add patients from a file of comma-separated values",
     .text = "All or none, unless --skip-bad.", .run = import_run,
     .arguments = {{"file", FILE_NAME, true, "with a line of headers; Synthea's patients.csv as it comes"}},
     .options = {{"skip-bad", FLAG, false, "leave out the lines that can not be added"}}},
    {.name = "expire", .summary = "Mark links that have expired", .sql = "SELECT expire_links() AS expired"},
    {.name = "nightly", .summary = "Do the night's work and report it, for cron to mail", .run = nightly_run},
    {.name = "backup", .summary = "Copy the database while others work with it",
     .run = backup_run, .arguments = {{"file", FILE_NAME, true, "a new one; the key file is not in it"}}},
    {.name = "audit", .summary = "Show what happened, or verify that nothing of it was changed",
     .empty = "Nothing has happened yet.", .run = audit, .arguments = {OF_PATIENT},
     .options = {{"verify", FLAG, false, "say whether the chain of events is whole"}}},
    {.name = "version", .summary = "Show the version and the channels", .sql = "SELECT portal_version()"},
    {.name = NULL},
};

const struct command *command_find(const char *name)
{
    for (const struct command *command = commands; command->name != NULL; command++) {
        if (strcmp(command->name, name) == 0) return command;
    }
    return NULL;
}

const char *command_value(const struct invocation *invocation, const char *name)
{
    const struct command *command = invocation->command;

    for (int i = 0; command->arguments[i].name != NULL; i++) {
        if (strcmp(command->arguments[i].name, name) != 0) continue;
        return invocation->argument[i];
    }
    for (int i = 0; command->options[i].name != NULL; i++) {
        if (strcmp(command->options[i].name, name) == 0) return invocation->option[i];
    }
    return NULL;
}

int command_query(struct invocation *invocation, const char *sql)
{
    sqlite3_stmt *statement = practice_prepare(&invocation->practice, sql);
    int code;

    if (statement == NULL) return EXIT_DATABASE;
    for (int i = 1; i <= sqlite3_bind_parameter_count(statement); i++) {
        const char *name = sqlite3_bind_parameter_name(statement, i) + 1;
        if (strcmp(name, "patient") == 0 && invocation->patient != NULL) {
            (void)sqlite3_bind_value(statement, i, invocation->patient);
        } else {
            practice_bind(statement, i, command_value(invocation, name));
        }
    }
    code = output_rows(&invocation->practice, statement, stdout, invocation->form, invocation->command->empty, NULL);
    (void)sqlite3_finalize(statement);
    return code;
}
