/* What staff call: unwraps the arguments, calls the concept, says what happened. */
#include "access.h"
#include "account.h"
#include "ageing.h"
#include "audit.h"
#include "call.h"
#include "contact.h"
#include "merge.h"
#include "message.h"
#include "normalize.h"
#include "optout.h"
#include "print.h"
#include "request.h"
#include "status.h"

#include <string.h>

enum { REASON_MAX = 500, SENT = MEDIUM_EMAIL | MEDIUM_TEXT };

/* An optional reason: NULL, or text that can stand in the audit. */
static int reason_read(struct call *call, int index, const char **reason)
{
    int code = call_text_or_null(call, index, "reason", reason);

    if (code != SQLITE_OK || *reason == NULL) return code;
    if (normalize_code_points(*reason) > REASON_MAX) {
        return refuse(call->portal, "reason is too long (%d characters at most)", (int)REASON_MAX);
    }
    if (normalize_has_hidden(*reason)) {
        return refuse(call->portal, "reason has a control or invisible character");
    }
    return SQLITE_OK;
}

/* What may speak against sending, checked alike for asking and for doing. */
static int send_check(struct call *call, int media, struct sending *draft)
{
    enum medium medium = MEDIUM_EMAIL;
    int code = call_patient(call, 0);

    if (code == SQLITE_OK) code = call_medium(call, 1, media, &medium);
    if (code != SQLITE_OK) return code;
    return sending_check(call->portal, &call->patient, medium, sending_requires(call->portal, medium), draft);
}

static int send_act(struct call *call)
{
    struct sending draft;
    int code = send_check(call, SENT, &draft);

    if (code == SQLITE_OK) code = registration_queue(call->portal, &draft, &call->id);
    if (code == SQLITE_OK) call->patient = draft.patient.id;
    return code;
}

static int send_say(struct call *call)
{
    call->answer = ANSWER_TEXT;
    return status_of_sending(call->portal, &call->patient, &call->text);
}

static int problem_act(struct call *call)
{
    struct sending draft;
    int code = send_check(call, SENT | MEDIUM_PRINT, &draft);

    return code == REFUSED ? answer_text(call, "%s", call->portal->error) : code;
}

/* The patient named; one who is on file with the chart's own key, '42' for 42. */
static int known_patient(struct call *call)
{
    struct patient patient = {0};
    int code = call_patient(call, 0);

    if (code == SQLITE_OK) code = patient_find(call->portal, &call->patient, &patient);
    if (code == SQLITE_ROW) call->patient = patient.id;
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

/* Inserts the patient; the row's id is what last_insert_rowid() gives after the insert form. */
static int add_patient(struct call *call, const struct patient_entry *entry)
{
    int code = patient_insert(call->portal, entry, &call->patient);

    call->id = sqlite3_last_insert_rowid(call->portal->db);
    return code;
}

/* The contact of Quick Add: of the channel's kind, normalised as the chart gets it, open to messages. */
static int contact_read(struct call *call, enum medium medium, char out[CONTACT_SIZE])
{
    const char *contact = NULL;
    int code = call_text(call, 4, "contact", &contact);

    if (code == SQLITE_OK) code = patient_contact_new(call->portal, medium, contact, out);
    return code == SQLITE_OK ? optout_check(call->portal, out) : code;
}

static int entry_read(struct call *call, struct patient_entry *entry)
{
    int code = call_text(call, 0, "first_name", &entry->first_name);

    if (code == SQLITE_OK) code = call_text(call, 1, "last_name", &entry->last_name);
    if (code == SQLITE_OK) code = call_text(call, 2, "date_of_birth", &entry->date_of_birth);
    return code == SQLITE_OK ? patient_entry_check(call->portal, entry) : code;
}

/* The registration of somebody who is not on file yet, as far as it can be checked before. */
static int new_draft(struct call *call, const struct keyring *keyring,
                     struct sending *draft)
{
    int code = call_medium(call, 3, SENT, &draft->medium);

    if (code == SQLITE_OK) code = contact_read(call, draft->medium, draft->contact);
    if (code != SQLITE_OK) return code;
    draft->destination = patient_destination(keyring, draft->contact);
    return sending_limits(call->portal, draft);
}

static int add_and_send(struct call *call, const struct patient_entry *given)
{
    struct portal *portal = call->portal;
    const struct keyring *keyring = NULL;
    struct patient_entry entry = *given;
    struct sending draft;
    sqlite3_int64 message_id = 0;
    int code = connection_key(portal, &keyring);

    memset(&draft, 0, sizeof draft);
    if (code == SQLITE_OK) code = new_draft(call, keyring, &draft);
    entry.email = draft.medium == MEDIUM_EMAIL ? draft.contact : NULL;
    entry.cell_phone = draft.medium == MEDIUM_TEXT ? draft.contact : NULL;
    entry.activate = true;
    /* The first write is the one that the practice's own schema may refuse. */
    if (code == SQLITE_OK) code = add_patient(call, &entry);
    if (code == SQLITE_OK) code = patient_read(portal, &call->patient, &draft.patient);
    /* The id may have been somebody's before, with links that are to die. */
    if (code == SQLITE_OK) code = sending_previous(portal, &draft);
    return code == SQLITE_OK ? registration_queue(portal, &draft, &message_id) : code;
}

static int add_act(struct call *call)
{
    struct patient_entry entry = {NULL, NULL, NULL, NULL, NULL, false};
    int code = entry_read(call, &entry);

    if (code == SQLITE_OK) {
        code = call->argc > 3 ? add_and_send(call, &entry)
                              : add_patient(call, &entry);
    }
    if (code == SQLITE_OK) {
        code = audit_write(call->portal, "patient.quick_added", &call->patient, NULL, NULL);
    }
    call->answer = ANSWER_PATIENT;
    return code;
}

static int revoke_act(struct call *call)
{
    const char *reason = NULL;
    int code = known_patient(call);     /* one who left the table still can be revoked */

    if (code == SQLITE_OK) code = reason_read(call, 1, &reason);
    return code == SQLITE_OK ? access_revoke(call->portal, &call->patient, reason, &call->flag) : code;
}

static int revoke_say(struct call *call)
{
    char id[PATIENT_ID_TEXT_SIZE];

    return answer_text(call, "Portal access of patient %s was revoked. %s", patient_id_text(&call->patient, id),
                       call->flag ? "A notice goes to the patient."
                                  : "No notice could be sent: no contact on file may be used.");
}

static int remove_act(struct call *call)
{
    const char *username = NULL;
    const char *reason = NULL;
    int code = known_patient(call);

    if (code == SQLITE_OK) code = call_text(call, 1, "username", &username);
    if (code == SQLITE_OK) code = reason_read(call, 2, &reason);
    if (code == SQLITE_OK) code = access_remove(call->portal, &call->patient, username, reason);
    return code;
}

static int remove_say(struct call *call)
{
    char id[PATIENT_ID_TEXT_SIZE];

    return answer_text(call, "The representative '%s' has no access to patient %s any more.",
                       (const char *)sqlite3_value_text(call->argv[1]),
                       patient_id_text(&call->patient, id));
}

static int confirm_act(struct call *call)
{
    const char *username = NULL;
    int code = known_patient(call);

    if (code == SQLITE_OK) code = call_text(call, 1, "username", &username);
    return code == SQLITE_OK ? ageing_confirm(call->portal, &call->patient, username, &call->flag) : code;
}

static int confirm_say(struct call *call)
{
    char id[PATIENT_ID_TEXT_SIZE];

    return answer_text(call, "The representative '%s' %s access to patient %s, whatever the patient's age.",
                       (const char *)sqlite3_value_text(call->argv[1]), call->flag ? "again has" : "keeps",
                       patient_id_text(&call->patient, id));
}

/* Into call->patient, as call_patient() does, of an argument that goes by another name. */
static int patient_named(struct call *call, int index, const char *name)
{
    int code = call_patient(call, index);

    return code == REFUSED ? refuse(call->portal, "%s names no patient: %s", name, call->portal->error) : code;
}

static int merge_act(struct call *call)
{
    char from_text[PATIENT_ID_TEXT_SIZE];
    char into_text[PATIENT_ID_TEXT_SIZE];
    struct merged merged;
    struct patient_id into;
    const char *reason = NULL;
    int code = patient_named(call, 0, "from_id");

    if (code == SQLITE_OK) code = patient_named(call, 1, "into_id");
    into = call->patient;
    if (code == SQLITE_OK) code = known_patient(call);
    if (code == SQLITE_OK) code = reason_read(call, 2, &reason);
    if (code == SQLITE_OK) code = merge_patients(call->portal, &call->patient, &into, reason, &merged);
    if (code != SQLITE_OK) return code;
    return answer_text(call,
                       "Patient %s was merged into patient %s. Moved: registrations %d, requests %d, messages %d. "
                       "People who lost access: %d.",
                       patient_id_text(&call->patient, from_text), patient_id_text(&into, into_text),
                       merged.registrations, merged.requests, merged.messages, merged.people);
}

static int accept_act(struct call *call)
{
    const char *force = NULL;
    int code = call_integer(call, 0, "request_id", &call->id);

    if (code == SQLITE_OK) code = call_text_or_null(call, 1, "force", &force);
    if (code == SQLITE_OK && force != NULL && strcmp(force, "force") != 0) {
        code = refuse(call->portal, "the second argument is 'force' or left out");
    }
    return code == SQLITE_OK ? request_accept(call->portal, call->id, force != NULL) : code;
}

static int accept_say(struct call *call)
{
    return answer_text(call, "Request %lld was accepted; the chart is updated.", call->id);
}

static int decline_act(struct call *call)
{
    const char *reason = NULL;
    int code = call_integer(call, 0, "request_id", &call->id);

    if (code == SQLITE_OK) code = reason_read(call, 1, &reason);
    return code == SQLITE_OK ? request_decline(call->portal, call->id, reason) : code;
}

static int decline_say(struct call *call)
{
    return answer_text(call, "Request %lld was declined; the chart stays as it is.", call->id);
}

static int unlock_act(struct call *call)
{
    const char *username = NULL;
    int code = call_text(call, 0, "username", &username);

    return code == SQLITE_OK ? account_unlock(call->portal, username) : code;
}

static int unlock_say(struct call *call)
{
    return answer_text(call, "The account '%s' may sign in again at once.",
                       (const char *)sqlite3_value_text(call->argv[0]));
}

static int contact_act(struct call *call)
{
    const char *username = NULL;
    const char *contact = NULL;
    int code = call_text(call, 0, "username", &username);

    if (code == SQLITE_OK) code = call_text(call, 1, "contact", &contact);
    return code == SQLITE_OK ? account_set_contact(call->portal, username, contact) : code;
}

static int contact_say(struct call *call)
{
    return answer_text(call, "Password resets of '%s' go to the new contact, which is told, as is the one before, if there was one.",
                       (const char *)sqlite3_value_text(call->argv[0]));
}

/* Opts a contact out or in, and says so. */
static int opt(struct call *call, int (*change)(struct portal *portal, const char *contact),
               const char *sentence)
{
    char contact[CONTACT_SIZE];
    char masked[CONTACT_SIZE];
    const char *given = NULL;
    int code = call_text(call, 0, "contact", &given);

    if (code == SQLITE_OK) {
        code = patient_contact_given(call->portal, medium_of_contact(given), given, contact);
    }
    if (code == SQLITE_OK) code = change(call->portal, contact);
    if (code != SQLITE_OK) return code;
    contact_mask(contact, masked, sizeof masked);
    return answer_text(call, sentence, masked);
}

static int out_act(struct call *call)
{
    return opt(call, optout_add, "%s has opted out: no message goes there any more.");
}

static int in_act(struct call *call)
{
    return opt(call, optout_remove, "%s has opted in: messages may go there again.");
}

static int preview_act(struct call *call)
{
    const char *kind = NULL;
    enum medium medium = MEDIUM_EMAIL;
    int code = call_text(call, 0, "kind", &kind);

    if (code == SQLITE_OK) code = call_patient(call, 1);
    if (code == SQLITE_OK) code = call_medium(call, 2, SENT | MEDIUM_PRINT, &medium);
    call->answer = ANSWER_TEXT;
    return code == SQLITE_OK ? message_preview(call->portal, kind, &call->patient, medium, &call->text) : code;
}

/* The answer takes the PDF over. */
static int answer_pdf(struct call *call, portal_print *print)
{
    call->answer = ANSWER_BLOB;
    call->text = print->pdf;
    call->integer = (sqlite3_int64)print->size;
    print->pdf = NULL;
    print_clear(print);
    return SQLITE_OK;
}

static int poster_act(struct call *call)
{
    const char *paper = NULL;
    const char *language = NULL;
    portal_print print = {.pdf = NULL};
    int code = call_text_or_null(call, 0, "paper", &paper);

    if (code == SQLITE_OK) code = call_text_or_null(call, 1, "language", &language);
    if (code == SQLITE_OK) code = print_poster(call->portal, paper, language, &print);
    return code == SQLITE_OK ? answer_pdf(call, &print) : code;
}

/* The printer is looked for, and loaded, while no lock is held. */
static int letter_before(struct call *call)
{
    return print_ready(call->portal);
}

static int letter_act(struct call *call)
{
    const char *paper = NULL;
    portal_print print = {.pdf = NULL};
    int code = call_patient(call, 0);

    if (code == SQLITE_OK) code = call_text_or_null(call, 1, "paper", &paper);
    if (code == SQLITE_OK) code = print_letter(call->portal, &call->patient, paper, &print);
    return code == SQLITE_OK ? answer_pdf(call, &print) : code;
}

const struct function staff_functions[] = {
    {.name = "send_registration", .arguments = "patient_id, channel", .least = 2, .most = 2,
     .allowed = STAFF, .flags = CALL_WRITES | CALL_ACTION,
     .result = "one sentence",
     .description = "Sends the patient a registration link by 'email' or 'text' ('sms'), good "
                    "for 72 hours from hand-over. Sending again supersedes the older link; after "
                    "a revoke it grants access again.",
     .act = send_act, .say = send_say},
    {.name = "send_problem", .arguments = "patient_id, channel", .least = 2, .most = 2,
     .allowed = STAFF, .flags = 0,
     .result = "NULL, or why send_registration would refuse",
     .description = "Asks whether sending is allowed; never writes.",
     .act = problem_act},
    {.name = "quick_add",
     .arguments = "first_name, last_name, date_of_birth [, channel, contact]", .least = 3, .most = 5,
     .allowed = STAFF, .flags = CALL_WRITES | CALL_ACTION,
     .result = "the new patient_id",
     .description = "Adds a patient. With a channel and its contact (Activate PHR) the "
                    "registration is sent in the same write. Refused when the same name and date "
                    "of birth are on file.",
     .act = add_act},
    {.name = "revoke_access", .arguments = "patient_id [, reason]", .least = 1, .most = 2,
     .allowed = EHR, .flags = CALL_WRITES | CALL_ACTION,
     .result = "one sentence",
     .description = "Ends the patient's links, PINs, sessions and unsent messages, suspends "
                    "every access, and tells the patient that the portal was deactivated. A "
                    "later send_registration grants it again.",
     .act = revoke_act, .say = revoke_say},
    {.name = "remove_representative",
     .arguments = "patient_id, username [, reason]", .least = 2, .most = 3,
     .allowed = EHR, .flags = CALL_WRITES | CALL_ACTION,
     .result = "one sentence",
     .description = "Ends one representative's access to one patient, for good.",
     .act = remove_act, .say = remove_say},
    {.name = "confirm_representative",
     .arguments = "patient_id, username", .least = 2, .most = 2,
     .allowed = EHR, .flags = CALL_WRITES | CALL_ACTION,
     .result = "one sentence",
     .description = "Lets a representative of a minor keep access when the patient is of representative_age, or "
                    "gives it back after that; only ask for it where the law or the patient allows.",
     .act = confirm_act, .say = confirm_say},
    {.name = "merge_patients", .arguments = "from_id, into_id [, reason]", .least = 2, .most = 3,
     .allowed = EHR, .flags = CALL_WRITES | CALL_ACTION,
     .result = "one sentence",
     .description = "Moves the history of a patient whose record was merged into another's: registrations, "
                    "messages, requests. The other's access stays, this one's is revoked, and whoever had no "
                    "other is told. The patient table stays as it is; the first may be gone from it.",
     .act = merge_act},
    {.name = "accept_request", .arguments = "request_id [, force]", .least = 1, .most = 2,
     .allowed = STAFF, .flags = CALL_WRITES | CALL_ACTION,
     .result = "one sentence",
     .description = "Writes the proposed value to the chart. A conflict, when the chart has "
                    "moved since, is refused unless the second argument is 'force'.",
     .act = accept_act, .say = accept_say},
    {.name = "decline_request", .arguments = "request_id [, reason]", .least = 1, .most = 2,
     .allowed = STAFF, .flags = CALL_WRITES | CALL_ACTION,
     .result = "one sentence",
     .description = "Declines a request; the chart stays as it is.",
     .act = decline_act, .say = decline_say},
    {.name = "unlock_account", .arguments = "username", .least = 1, .most = 1,
     .allowed = EHR, .flags = CALL_WRITES | CALL_ACTION,
     .result = "one sentence",
     .description = "Forgets the wrong passwords of an account, so that its owner need not wait.",
     .act = unlock_act, .say = unlock_say},
    {.name = "set_account_contact", .arguments = "username, contact", .least = 2, .most = 2,
     .allowed = EHR, .flags = CALL_WRITES | CALL_ACTION,
     .result = "one sentence",
     .description = "Sets the email address or telephone number that password resets go to; the "
                    "old and the new one are told.",
     .act = contact_act, .say = contact_say},
    {.name = "portal_poster", .arguments = "[paper [, language]]", .least = 0, .most = 2,
     .allowed = STAFF, .flags = 0,
     .result = "a PDF",
     .description = "The poster for the waiting room: how to register, and a QR code of portal_url. Paper is 'A4' or "
                    "'Letter' (the setting paper), the language that of a template (en).",
     .act = poster_act},
    {.name = "portal_letter", .arguments = "patient_id [, paper]", .least = 1, .most = 2,
     .allowed = STAFF, .flags = CALL_WRITES | CALL_ALONE | CALL_AUDITED,
     .result = "a PDF",
     .description = "Registers a patient whom neither email nor text message reaches: a letter with link, QR code and "
                    "PIN, good for 72 hours from now, to be handed over once staff have seen who it is. It supersedes "
                    "older links, and grants access again, as send_registration does.",
     .act = letter_act, .before = letter_before},
    {.name = "portal_opt_out", .arguments = "contact", .least = 1, .most = 1,
     .allowed = ANYBODY, .flags = CALL_WRITES,
     .result = "one sentence",
     .description = "Whoever has the email address or telephone number wants no messages, by a reply of "
                    "STOP, say: sending there is refused, and what waits is not sent. A link that was "
                    "sent before still works.",
     .act = out_act},
    {.name = "portal_opt_in", .arguments = "contact", .least = 1, .most = 1,
     .allowed = ANYBODY, .flags = CALL_WRITES,
     .result = "one sentence",
     .description = "Whoever has the email address or telephone number wants messages again.",
     .act = in_act},
    {.name = "preview_message", .arguments = "kind, patient_id, channel", .least = 3, .most = 3,
     .allowed = STAFF, .flags = 0,
     .result = "the text, of mail with its subject before it",
     .description = "Shows what a message of a kind says to a patient, in the patient's language, with a link "
                    "that opens nothing or a PIN that proves nothing; never writes.",
     .act = preview_act},
    {.name = NULL},
};
