/*
** What patients and their representatives reach, through a web page: refusals are data, errors are
** misuse.
*/
#include "access.h"
#include "account.h"
#include "call.h"
#include "callback.h"
#include "demographics.h"
#include "enrollment.h"
#include "json.h"
#include "normalize.h"
#include "proof.h"
#include "registration.h"
#include "request.h"
#include "reset.h"
#include "session.h"

#include <sodium.h>
#include <string.h>

/* {"result":"refused"} or {"result":"refused","reason":"..."} */
static int answer_refused(struct call *call, const char *reason)
{
    sqlite3_str *out = sqlite3_str_new(call->portal->db);

    sqlite3_str_appendall(out, "{\"result\":\"refused\"");
    if (reason != NULL) {
        sqlite3_str_appendall(out, ",\"reason\":");
        json_append(out, reason);
    }
    sqlite3_str_appendchar(out, 1, '}');
    sqlite3_free(call->text);
    call->text = sqlite3_str_finish(out);
    call->answer = ANSWER_TEXT;
    return call->text == NULL ? fault(call->portal, SQLITE_NOMEM) : SQLITE_OK;
}

static int status_read(struct call *call, const char **status)
{
    const char *token = NULL;
    int code;

    *status = NULL;
    if (sqlite3_value_type(call->argv[0]) == SQLITE_NULL) return SQLITE_OK;
    code = call_typed(call, 0, "token", &token);
    return code == SQLITE_OK ? registration_status(call->portal, token, strlen(token), status) : code;
}

static int valid_act(struct call *call)
{
    const char *status = NULL;
    int code = status_read(call, &status);

    if (code != SQLITE_OK || status == NULL) return code;
    return answer_integer(call, strcmp(status, "valid") == 0);
}

static int status_act(struct call *call)
{
    const char *status = NULL;
    int code = status_read(call, &status);

    if (code != SQLITE_OK || status == NULL) return code;
    return answer_text(call, "%s", status);
}

static int request_act(struct call *call)
{
    const char *token = NULL;
    const char *last_name = NULL;
    const char *date_of_birth = NULL;
    struct proof_answer proof;
    int code = call_typed(call, 0, "token", &token);

    if (code == SQLITE_OK) code = call_typed(call, 1, "last_name", &last_name);
    if (code == SQLITE_OK) code = call_typed(call, 2, "date_of_birth", &date_of_birth);
    if (code == SQLITE_OK) code = proof_request(call->portal, token, last_name, date_of_birth, &proof);
    if (code != SQLITE_OK) return code;
    if (proof.result == PROOF_SENT) {
        return answer_text(call, "{\"result\":\"pin_sent\",\"channel\":\"%s\"}", medium_name(proof.medium));
    }
    if (proof.result == PROOF_WAIT) {
        return answer_text(call, "{\"result\":\"wait\",\"seconds\":%lld}", proof.seconds);
    }
    return answer_refused(call, proof.result == PROOF_OPTED_OUT
                                    ? "opted out of messages; ask the practice to send them again" : NULL);
}

/* A PIN that a driver bound as a number has lost its leading zeros. */
static int pin_read(struct call *call, int index, char *buffer, size_t size, const char **pin)
{
    int type = sqlite3_value_type(call->argv[index]);
    sqlite3_int64 number;

    if (type != SQLITE_INTEGER && type != SQLITE_FLOAT) return call_typed(call, index, "pin", pin);
    *pin = "";
    number = sqlite3_value_int64(call->argv[index]);
    if (number < 0 || number > 999999 || (double)number != sqlite3_value_double(call->argv[index])) {
        return SQLITE_OK;
    }
    (void)sqlite3_snprintf((int)size, buffer, "%06lld", number);
    *pin = buffer;
    return SQLITE_OK;
}

static int registered(struct call *call, const struct enrollment *entry)
{
    sqlite3_str *out;
    char username[USERNAME_SIZE];
    const char *reason = NULL;
    int code = enrollment_register(call->portal, entry, username, &reason);

    if (code != SQLITE_OK) return code;
    if (reason != NULL) return answer_refused(call, reason);
    out = sqlite3_str_new(call->portal->db);
    sqlite3_str_appendall(out, "{\"result\":\"registered\",\"username\":");
    json_append(out, username);
    sqlite3_str_appendchar(out, 1, '}');
    call->text = sqlite3_str_finish(out);
    call->answer = ANSWER_TEXT;
    return call->text == NULL ? fault(call->portal, SQLITE_NOMEM) : SQLITE_OK;
}

/* The same as call_typed(), without the space around it; *owned is the caller's to free. */
static int typed_trimmed(struct call *call, int index, const char *name, const char **text, char **owned)
{
    int code = call_typed(call, index, name, text);

    if (code != SQLITE_OK) return code;
    *owned = patient_trim(*text);
    *text = *owned;
    return *owned == NULL ? fault(call->portal, SQLITE_NOMEM) : SQLITE_OK;
}

static int register_act(struct call *call)
{
    char *owned[3] = {NULL, NULL, NULL};
    struct enrollment entry = {"", "", "", "", NULL, NULL};
    char pin[TOKEN_PIN_SIZE];
    int code = call_typed(call, 0, "token", &entry.token);

    if (code == SQLITE_OK) code = pin_read(call, 1, pin, sizeof pin, &entry.pin);
    if (code == SQLITE_OK) code = typed_trimmed(call, 2, "username", &entry.username, &owned[0]);
    if (code == SQLITE_OK) code = call_typed(call, 3, "password", &entry.password);
    if (code == SQLITE_OK && call->argc > 4) {
        code = typed_trimmed(call, 4, "name", &entry.name, &owned[1]);
        if (code == SQLITE_OK) {
            code = typed_trimmed(call, 5, "relationship", &entry.relationship, &owned[2]);
        }
    }
    if (code == SQLITE_OK) code = registered(call, &entry);
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) sqlite3_free(owned[i]);
    sodium_memzero(pin, sizeof pin);
    return code;
}

static int login_act(struct call *call)
{
    const char *username = NULL;
    const char *password = NULL;
    char session[TOKEN_SIZE];
    int code = call_typed(call, 0, "username", &username);

    if (code == SQLITE_OK) code = call_typed(call, 1, "password", &password);
    if (code == SQLITE_OK) code = account_login(call->portal, username, password, session);
    if (code != SQLITE_OK) return code;
    if (session[0] == '\0') return answer_refused(call, NULL);
    code = answer_text(call, "{\"result\":\"ok\",\"session\":\"%s\"}", session);
    sodium_memzero(session, sizeof session);
    return code;
}

static bool session_forged(struct call *call, const char **token, int *code)
{
    bool genuine = false;

    *code = call_typed(call, 0, "session", token);
    if (*code == SQLITE_OK) *code = session_genuine(call->portal, *token, &genuine);
    return *code == SQLITE_OK && !genuine;
}

static int session_before(struct call *call)
{
    const char *token = NULL;
    int code;

    return session_forged(call, &token, &code) ? SQLITE_DONE : code;
}

static int logout_before(struct call *call)
{
    const char *token = NULL;
    int code;

    if (!session_forged(call, &token, &code)) return code;
    (void)answer_integer(call, 0);
    return SQLITE_DONE;
}

static int submit_before(struct call *call)
{
    const char *token = NULL;
    int code;

    if (!session_forged(call, &token, &code)) return code;
    code = call_patient(call, 1);          /* misuse stays misuse */
    if (code == SQLITE_OK) code = answer_refused(call, "session");
    return code == SQLITE_OK ? SQLITE_DONE : code;
}

static int demographics_before(struct call *call)
{
    const char *token = NULL;
    int code;

    if (!session_forged(call, &token, &code)) return code;
    code = call_patient(call, 1);
    return code == SQLITE_OK ? SQLITE_DONE : code;
}

static int demographics_act(struct call *call)
{
    const char *session = NULL;
    int code = call_typed(call, 0, "session", &session);

    if (code == SQLITE_OK) code = call_patient(call, 1);
    if (code == SQLITE_OK) code = demographics_describe(call->portal, session, &call->patient, &call->text);
    call->answer = call->text == NULL ? ANSWER_NULL : ANSWER_TEXT;
    return code;
}

/* What a page shows of the practice before anybody has proved anything. */
static int practice_act(struct call *call)
{
    static const struct { const char *name; enum setting setting; } members[] = {
        {"name", SETTING_practice_name}, {"phone", SETTING_practice_phone},
        {"color", SETTING_portal_color}, {"url", SETTING_portal_url},
    };
    sqlite3_str *out = sqlite3_str_new(call->portal->db);

    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        sqlite3_str_appendf(out, "%s\"%s\":", i == 0 ? "{" : ",", members[i].name);
        json_append(out, setting_text(call->portal, members[i].setting));
    }
    sqlite3_str_appendchar(out, 1, '}');
    call->text = sqlite3_str_finish(out);
    call->answer = ANSWER_TEXT;
    return call->text == NULL ? fault(call->portal, SQLITE_NOMEM) : SQLITE_OK;
}

static int session_act(struct call *call)
{
    const char *token = NULL;
    int code = call_typed(call, 0, "session", &token);

    if (code == SQLITE_OK) code = session_describe(call->portal, token, &call->text);
    call->answer = call->text == NULL ? ANSWER_NULL : ANSWER_TEXT;
    return code;
}

static int logout_act(struct call *call)
{
    const char *token = NULL;
    int code = call_typed(call, 0, "session", &token);

    if (code == SQLITE_OK) code = session_end(call->portal, token, &call->flag);
    return code == SQLITE_OK ? answer_integer(call, call->flag) : code;
}

/* What a person sent: "", which is no JSON, for too long or invalid text. */
static int json_read(struct call *call, int index, const char **json)
{
    sqlite3_value *value = call->argv[index];
    size_t length;

    *json = "";
    if (sqlite3_value_type(value) == SQLITE_NULL) return SQLITE_OK;
    if (sqlite3_value_type(value) != SQLITE_TEXT) return refuse(call->portal, "json must be text");
    *json = (const char *)sqlite3_value_text(value);
    if (*json == NULL) return fault(call->portal, SQLITE_NOMEM);
    length = (size_t)sqlite3_value_bytes(value);
    if (length > CALL_JSON_MAX || strlen(*json) != length || !normalize_is_utf8(*json, length)) *json = "";
    return SQLITE_OK;
}

static int submit_act(struct call *call)
{
    char reason[REQUEST_REASON_SIZE];
    const char *session = NULL;
    const char *json = NULL;
    bool refused = false;
    int count = 0;
    int code = call_typed(call, 0, "session", &session);

    if (code == SQLITE_OK) code = call_patient(call, 1);
    if (code == SQLITE_OK) code = json_read(call, 2, &json);
    if (code == SQLITE_OK) {
        code = request_submit(call->portal, session, &call->patient, json, &count,
                              &refused, reason);
    }
    if (code != SQLITE_OK) return code;
    if (refused) return answer_refused(call, reason);
    return answer_text(call, "{\"result\":\"submitted\",\"requests\":%d}", count);
}

static int forgot_act(struct call *call)
{
    const char *username = NULL;
    int code = call_typed(call, 0, "username", &username);

    if (code == SQLITE_OK) code = reset_forgot(call->portal, username);
    return code == SQLITE_OK ? answer_text(call, "{\"result\":\"queued\"}") : code;
}

static int reset_act(struct call *call)
{
    const char *token = NULL;
    const char *password = NULL;
    const char *reason = NULL;
    int code = call_typed(call, 0, "token", &token);

    if (code == SQLITE_OK) code = call_typed(call, 1, "password", &password);
    if (code == SQLITE_OK) code = reset_password(call->portal, token, password, &reason);
    if (code != SQLITE_OK) return code;
    return reason != NULL ? answer_refused(call, reason) : answer_text(call, "{\"result\":\"reset\"}");
}

/* Anybody can call it through the web: nothing of it is misuse. */
static int callback_act(struct call *call)
{
    static const char *const words[] = {[CALLBACK_TAKEN] = "taken", [CALLBACK_REFUSED] = "refused",
                                        [CALLBACK_UNKNOWN] = "unknown"};
    struct callback callback = {"", "", "", ""};
    enum callback_result result = CALLBACK_REFUSED;
    int code = call_typed(call, 0, "channel", &callback.channel);

    if (code == SQLITE_OK) code = call_typed(call, 1, "query", &callback.query);
    if (code == SQLITE_OK) code = call_typed(call, 2, "headers", &callback.headers);
    if (code == SQLITE_OK) code = call_typed(call, 3, "body", &callback.body);
    if (code == SQLITE_OK) code = callback_take(call->portal, &callback, &result);
    return code == SQLITE_OK ? answer_text(call, "{\"result\":\"%s\"}", words[result]) : code;
}

enum { PATIENT_SIDE = EHR | PORTAL };

const struct function person_functions[] = {
    {.name = "token_valid", .arguments = "token", .least = 1, .most = 1,
     .allowed = PATIENT_SIDE, .flags = CALL_BARE,
     .result = "1 or 0; NULL for NULL",
     .description = "Is the link good? Read-only, any number of times.",
     .act = valid_act},
    {.name = "token_status", .arguments = "token", .least = 1, .most = 1,
     .allowed = PATIENT_SIDE, .flags = CALL_BARE,
     .result = "used, revoked, superseded, expired, valid or unknown; NULL for NULL",
     .description = "What a link is, the first that applies; unknown for malformed, forged and "
                    "never issued ones. Read-only.",
     .act = status_act},
    {.name = "request_pin", .arguments = "token, last_name, date_of_birth", .least = 3, .most = 3,
     .allowed = PATIENT_SIDE, .flags = CALL_GUESSES,
     .result = "JSON: pin_sent and its channel, wait and seconds, or refused",
     .description = "Proves who the patient is and sends a six-digit PIN to a contact on file.",
     .act = request_act},
    {.name = "register_patient",
     .arguments = "token, pin, username, password", .least = 4, .most = 4,
     .allowed = PATIENT_SIDE, .flags = CALL_GUESSES,
     .result = "JSON: registered and username, or refused and reason",
     .description = "Registers the patient, or links an existing user name with its right "
                    "password.",
     .act = register_act},
    {.name = "register_representative",
     .arguments = "token, pin, username, password, name, relationship", .least = 6, .most = 6,
     .allowed = PATIENT_SIDE, .flags = CALL_GUESSES,
     .result = "JSON: registered and username, or refused and reason",
     .description = "Registers a representative of the patient: a parent, a spouse.",
     .act = register_act},
    {.name = "portal_login", .arguments = "username, password", .least = 2, .most = 2,
     .allowed = PATIENT_SIDE, .flags = CALL_GUESSES,
     .result = "JSON: ok and session, or refused",
     .description = "Signs in. The same answer in the same time for unknown, wrong, delayed and "
                    "revoked.",
     .act = login_act},
    {.name = "portal_session", .arguments = "session", .least = 1, .most = 1,
     .allowed = PATIENT_SIDE, .flags = CALL_WRITES,
     .result = "JSON: username, name, patients; NULL when the session is not alive",
     .description = "Who is signed in and for whom they may act; keeps the session from idling "
                    "out.",
     .act = session_act, .before = session_before},
    {.name = "portal_logout", .arguments = "session", .least = 1, .most = 1,
     .allowed = PATIENT_SIDE, .flags = CALL_WRITES,
     .result = "1 or 0",
     .description = "Ends a session.",
     .act = logout_act, .before = logout_before},
    {.name = "portal_demographics", .arguments = "session, patient_id", .least = 2, .most = 2,
     .allowed = PATIENT_SIDE, .flags = CALL_WRITES,
     .result = "JSON: first_name, last_name, role, fields; NULL when the session may not see them",
     .description = "What the chart says in each field that a patient may ask to change, and the newest "
                    "request: pending, or decided in the last 90 days.",
     .act = demographics_act, .before = demographics_before},
    {.name = "portal_practice", .arguments = "", .least = 0, .most = 0,
     .allowed = PATIENT_SIDE, .flags = 0,
     .result = "JSON: name, phone, color, url",
     .description = "What a page shows of the practice.",
     .act = practice_act},
    {.name = "submit_demographics", .arguments = "session, patient_id, json", .least = 3, .most = 3,
     .allowed = PATIENT_SIDE, .flags = CALL_WRITES,
     .result = "JSON: submitted and requests, or refused and reason",
     .description = "Takes a JSON object of fields and values; each changed field becomes a "
                    "pending request.",
     .act = submit_act, .before = submit_before},
    {.name = "forgot_password", .arguments = "username", .least = 1, .most = 1,
     .allowed = PATIENT_SIDE, .flags = CALL_WRITES | CALL_QUEUES,
     .result = "JSON: queued",
     .description = "Queues a reset link to the account's own contact; the same for known and "
                    "unknown names.",
     .act = forgot_act},
    {.name = "reset_password", .arguments = "token, password", .least = 2, .most = 2,
     .allowed = PATIENT_SIDE, .flags = CALL_GUESSES,
     .result = "JSON: reset, or refused and reason",
     .description = "Sets a new password with the link's token, once, and ends the account's "
                    "sessions.",
     .act = reset_act},
    {.name = "portal_callback", .arguments = "channel, query, headers, body", .least = 4, .most = 4,
     .allowed = PATIENT_SIDE, .flags = 0,
     .result = "JSON: taken, refused or unknown",
     .description = "Takes what a provider calls portal_url/callback/channel with: the query and the body as they came, the "
                    "head as a JSON object. The channel tells whether it is genuine, and what it says: a report of a "
                    "message, STOP or START.",
     .act = callback_act},
    {.name = NULL},
};
