#include "command.h"

#include <stdio.h>
#include <string.h>

#define BY {"by", CHANNEL, true, "email or text"}
#define REASON {"reason", WORD, false, "why, for the audit"}
#define OF_PATIENT {"patient", PATIENT, false, "of this patient alone"}
#define THE_PATIENT {"patient", PATIENT, true, "number, name, date of birth, email or phone"}
#define REQUEST {"request", WORD, true, "number, as `portal requests` shows it"}

static const char requests_of[] = " WHERE patient_id = :patient";

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
    {"send", "Send a patient a registration link", "Again, or after a revoke, it is the same command.",
     "SELECT send_registration(:patient, :by)", NULL, NULL, NULL, {THE_PATIENT}, {BY}},
    {"grant", "Give access again after a revoke", "The same user names and passwords work as before; a link is sent as well.",
     "SELECT send_registration(:patient, :by)", NULL, NULL, NULL, {THE_PATIENT}, {BY}},
    {"revoke", "End a patient's access, links and sessions", "The patient is told by email.",
     "SELECT revoke_access(:patient, :reason)", NULL, NULL, NULL, {THE_PATIENT}, {REASON}},
    {"quick-add", "Add a patient, and send the registration", "Without --by nothing is sent.",
     NULL, NULL, NULL, quick_add,
     {{"first", WORD, true, "first name"}, {"last", WORD, true, "last name"}, {"born", WORD, true, "date of birth, 1985-12-10"}},
     {{"by", CHANNEL, false, "email or text"}, {"contact", WORD, false, "the email address or telephone number"}}},
    {"status", "Show where each patient stands", NULL,
     "SELECT patient_id, patient_name, status, message, next_step FROM portal_status",
     " WHERE patient_id = :patient", "There are no patients.", NULL, {OF_PATIENT}, {{NULL, FLAG, false, NULL}}},
    {"requests", "Show what patients entered and nobody decided yet", NULL,
     "SELECT request_id, patient_id, patient_name, field, current_value, proposed_value, submitted_by, submitted_at,"
     " conflict FROM pending_requests", requests_of, "No requests are waiting.", NULL, {OF_PATIENT},
     {{NULL, FLAG, false, NULL}}},
    {"accept", "Write a requested change to the chart", NULL, NULL, NULL, NULL, accept, {REQUEST},
     {{"force", FLAG, false, "even though the chart has moved since"}}},
    {"decline", "Decline a requested change", NULL, "SELECT decline_request(:request, :reason)", NULL, NULL, NULL, {REQUEST},
     {REASON}},
    {"expire", "Mark links that have expired", NULL, "SELECT expire_links() AS expired", NULL, NULL, NULL,
     {{NULL, FLAG, false, NULL}}, {{NULL, FLAG, false, NULL}}},
    {"audit", "Show what happened, or verify that nothing of it was changed", NULL, NULL, NULL, "Nothing has happened yet.",
     audit, {OF_PATIENT}, {{"verify", FLAG, false, "say whether the chain of events is whole"}}},
    {"version", "Show the version and the channels", NULL, "SELECT portal_version()", NULL, NULL, NULL,
     {{NULL, FLAG, false, NULL}}, {{NULL, FLAG, false, NULL}}},
    {"help", "Show what a command does", NULL, NULL, NULL, NULL, help_run, {{"command", WORD, false, "all of them without"}},
     {{"man", FLAG, false, "as a manual page"}, {"bash", FLAG, false, "as completion for bash"},
      {"zsh", FLAG, false, "as completion for zsh"}}},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, {{NULL, FLAG, false, NULL}}, {{NULL, FLAG, false, NULL}}},
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
        return command->arguments[i].kind == PATIENT ? invocation->patient : invocation->argument[i];
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
        const char *name = sqlite3_bind_parameter_name(statement, i);
        practice_bind(statement, name, command_value(invocation, name + 1));
    }
    code = output_rows(&invocation->practice, statement, invocation->form, invocation->command->empty, NULL);
    (void)sqlite3_finalize(statement);
    return code;
}
