/* What keeps it running: settings, delivery, the nightly work. */
#include "ageing.h"
#include "audit.h"
#include "call.h"
#include "channel.h"
#include "delivery.h"
#include "json.h"
#include "maintenance.h"
#include "normalize.h"
#include "outbox.h"
#include "remap.h"
#include "rotation.h"
#include "schema.h"
#include "secret.h"
#include "version.h"

#include <string.h>

enum { CLAIM_MOST = 1000 };

static int init_say(const struct schema_init *init)
{
    static const char *const became[] = {[SCHEMA_MISSING] = "were made", [SCHEMA_OLDER] = "were upgraded",
                                         [SCHEMA_THERE] = "are there"};
    bool mapped = init->mapped != NULL;

    return answer_text(init->data, "The portal's tables and key file %s (schema version %d).%s%s", became[init->was],
                       (int)SCHEMA_VERSION, mapped ? " " : "", mapped ? init->mapped : "");
}

/* A mapping: text, or the blob that readfile() gives. */
static int mapping_read(struct call *call, char **json)
{
    sqlite3_value *value = call->argv[0];
    bool is_blob = sqlite3_value_type(value) == SQLITE_BLOB;
    const char *text = is_blob ? sqlite3_value_blob(value) : (const char *)sqlite3_value_text(value);
    size_t length = (size_t)sqlite3_value_bytes(value);

    *json = NULL;
    if (sqlite3_value_type(value) == SQLITE_NULL) {
        return refuse(call->portal, "the mapping is NULL: perhaps there is no such file; see sql/mappings");
    }
    if (!is_blob && sqlite3_value_type(value) != SQLITE_TEXT) return refuse(call->portal, "the mapping must be JSON text");
    if (length > CALL_JSON_MAX) return refuse(call->portal, "the mapping is too long");
    if (length > 0 && text == NULL) return fault(call->portal, SQLITE_NOMEM);
    *json = sqlite3_mprintf("%.*s", (int)length, length == 0 ? "" : text);
    if (*json == NULL) return fault(call->portal, SQLITE_NOMEM);
    if (strlen(*json) == length && normalize_is_utf8(*json, length)) return SQLITE_OK;
    sqlite3_free(*json);
    *json = NULL;
    return refuse(call->portal, "the mapping is not valid text");
}

static int init_act(struct call *call)
{
    struct schema_init init = {.say = init_say, .data = call};
    char *mapping = NULL;
    int code = call->argc > 0 ? mapping_read(call, &mapping) : SQLITE_OK;

    init.mapping = mapping;
    if (code == SQLITE_OK) code = schema_init(call->portal, &init);
    sqlite3_free(mapping);
    sqlite3_free(init.mapped);
    return code;
}

/* Reading takes no lock. */
static int map_before(struct call *call)
{
    int code;

    if (call->argc > 0) return SQLITE_OK;
    code = remap_tell(call->portal, &call->text);
    call->answer = ANSWER_TEXT;
    return code == SQLITE_OK ? SQLITE_DONE : code;
}

static int map_act(struct call *call)
{
    char *json = NULL;
    int code = mapping_read(call, &json);

    if (code == SQLITE_OK) code = remap_store(call->portal, json, &call->text);
    call->answer = ANSWER_TEXT;
    sqlite3_free(json);
    return code;
}

static int setting_answer(struct call *call, const char *key)
{
    char *value = NULL;
    int code = setting_tell(call->portal, key, &value);

    if (code == SQLITE_OK) code = answer_text(call, "%s", value);
    sqlite3_free(value);
    return code;
}

/* Reading takes no lock. */
static int setting_before(struct call *call)
{
    const char *key = NULL;
    int code = call_text(call, 0, "key", &key);

    if (code != SQLITE_OK || call->argc == 2) return code;
    code = setting_answer(call, key);
    return code == SQLITE_OK ? SQLITE_DONE : code;
}

/* A number is as good as its text. */
static int setting_value(struct call *call, const char **value)
{
    int type = sqlite3_value_type(call->argv[1]);
    int code;

    if (type != SQLITE_INTEGER && type != SQLITE_FLOAT) return call_text_or_null(call, 1, "value", value);
    code = call_integer(call, 1, "value", &call->integer);
    if (code == SQLITE_OK) code = answer_text(call, "%lld", call->integer);
    *value = call->text;
    return code;
}

static int setting_act(struct call *call)
{
    const char *key = NULL;
    const char *value = NULL;
    int code = call_text(call, 0, "key", &key);

    if (code == SQLITE_OK) code = setting_value(call, &value);
    if (code == SQLITE_OK) code = setting_store(call->portal, key, value);
    if (code == SQLITE_OK) code = connection_enter(call->portal);
    return code == SQLITE_OK ? setting_answer(call, key) : code;
}

static int secret_act(struct call *call)
{
    const char *key = NULL;
    const char *value = NULL;
    int code = call_text(call, 0, "key", &key);

    if (code == SQLITE_OK) code = call_text_or_null(call, 1, "value", &value);
    if (code == SQLITE_OK) code = secret_store(call->portal, key, value);
    if (code != SQLITE_OK) return code;
    if (value == NULL) return answer_text(call, "%s was removed.", key);
    /* Its channel may come later; a slip of the pen is seen now. */
    return answer_text(call, channel_option(call->portal, key) != NULL
                                 ? "%s was stored."
                                 : "%s was stored, but there is no channel that asks for it.", key);
}

/* Rights only shrink: the EHR may become anything, the others stay what they are. */
static int as_act(struct call *call)
{
    static const struct { const char *name; enum application application; } rows[] = {
        {"ehr", EHR}, {"scheduling", SCHEDULING}, {"portal", PORTAL},
    };
    struct portal *portal = call->portal;
    const char *name = NULL;
    const char *user = NULL;
    enum application application = EHR;
    bool known = false;
    int code = call_text(call, 0, "application", &name);

    if (code == SQLITE_OK) code = call_text_or_null(call, 1, "user", &user);
    if (code != SQLITE_OK) return code;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, name) != 0) continue;
        application = rows[i].application;
        known = true;
    }
    if (!known) return refuse(portal, "application '%.40s' is none of ehr, scheduling, portal", name);
    if (portal->application != EHR && application != portal->application) {
        return refuse(portal, "this connection acts for %s and stays that way; open another one for %s",
                      connection_application(portal), name);
    }
    if (user != NULL && (strlen(user) >= USER_SIZE || *user == '\0' || normalize_has_hidden(user))) {
        return refuse(portal, "user has 1 to %d bytes and no control or invisible characters",
                      (int)USER_SIZE - 1);
    }
    connection_act_as(portal, application, user);
    return answer_text(call, "%s as %s", name, portal->user);
}

static int everywhere_act(struct call *call)
{
    int code = answer_text(call, "Every connection that this process opens from now on has the portal.");

    if (code == SQLITE_OK && connection_load_everywhere() != SQLITE_OK) code = fault(call->portal, SQLITE_NOMEM);
    return code;
}

static int expire_act(struct call *call)
{
    sqlite3_int64 count = 0;
    int code = maintenance_expire(call->portal, &count);

    return code == SQLITE_OK ? answer_integer(call, count) : code;
}

static int outgrown_act(struct call *call)
{
    sqlite3_int64 count = 0;
    int code = ageing_run(call->portal, &count);

    return code == SQLITE_OK ? answer_integer(call, count) : code;
}

/* What was handed over stands: an error would have the caller believe that nothing was. */
static int deliver_answer(struct call *call, const struct delivery_count *count, int code)
{
    sqlite3_str *out = sqlite3_str_new(NULL);

    sqlite3_str_appendf(out, "{\"sent\":%d,\"failed\":%d,\"retrying\":%d,\"waiting\":", count->sent,
                        count->failed, count->retrying);
    if (count->waiting == WAITING_UNKNOWN) {
        sqlite3_str_appendall(out, "null");
    } else {
        sqlite3_str_appendf(out, "%lld", count->waiting);
    }
    if (code != SQLITE_OK) {
        sqlite3_str_appendall(out, ",\"stopped\":");
        json_append(out, call->portal->error == NULL ? sqlite3_errstr(code) : call->portal->error);
    }
    sqlite3_str_appendchar(out, 1, '}');
    call->text = sqlite3_str_finish(out);
    call->answer = ANSWER_TEXT;
    return call->text == NULL ? fault(call->portal, SQLITE_NOMEM) : SQLITE_OK;
}

static int deliver_act(struct call *call)
{
    struct delivery_count count = {.waiting = 0};
    sqlite3_int64 limit = INT32_MAX;
    int code = SQLITE_OK;

    if (call->argc > 0) code = call_integer(call, 0, "limit", &limit);
    if (code == SQLITE_OK && limit < 0) code = refuse(call->portal, "limit must not be negative");
    if (code == SQLITE_OK) code = delivery_run(call->portal, limit, &count);
    if (code != SQLITE_OK && !count.held && count.sent + count.failed + count.retrying == 0) return code;
    return deliver_answer(call, &count, code);
}

static int claim_act(struct call *call)
{
    char claim[OUTBOX_CLAIM_SIZE] = "";
    enum medium medium = MEDIUM_EMAIL;
    int media = PORTAL_EMAIL | PORTAL_TEXT;
    sqlite3_int64 limit = 0;
    int code = call_integer(call, 0, "limit", &limit);

    if (code == SQLITE_OK && (limit < 1 || limit > CLAIM_MOST)) {
        code = refuse(call->portal, "limit is from 1 to %d", (int)CLAIM_MOST);
    }
    if (code == SQLITE_OK && call->argc > 1 && sqlite3_value_type(call->argv[1]) != SQLITE_NULL) {
        code = call_medium(call, 1, MEDIUM_EMAIL | MEDIUM_TEXT, &medium);
        media = (int)medium;
    }
    if (code == SQLITE_OK) code = outbox_claim(call->portal, limit, media, claim);
    if (code != SQLITE_OK || claim[0] == '\0') return code;
    return answer_text(call, "%s", claim);
}

static int report_act(struct call *call)
{
    const char *claim = NULL;
    sqlite3_int64 message_id = 0;
    struct outbox_report report = {NULL, NULL, 0};
    char detail[OUTBOX_DETAIL_SIZE];
    const char *became = NULL;
    int code = call_text(call, 0, "claim", &claim);

    if (code == SQLITE_OK) code = call_integer(call, 1, "message_id", &message_id);
    if (code == SQLITE_OK) code = call_text(call, 2, "status", &report.status);
    if (code == SQLITE_OK) code = call_text_or_null(call, 3, "detail", &report.detail);
    if (code == SQLITE_OK && report.detail != NULL) {
        outbox_detail(call->portal, report.detail, detail);
        report.detail = detail;
    }
    if (code == SQLITE_OK) code = outbox_report(call->portal, claim, message_id, &report, &became);
    return code == SQLITE_OK ? answer_integer(call, 1) : code;
}

static int try_act(struct call *call)
{
    const char *name = NULL;
    int code = call_text(call, 0, "channel", &name);

    if (code == SQLITE_OK) code = channel_try(call->portal, name, &call->text);
    call->answer = call->text == NULL ? ANSWER_NULL : ANSWER_TEXT;
    return code;
}

static int rotate_act(struct call *call)
{
    struct rotation rotation;
    char *path = NULL;
    int code = rotation_run(call->portal, &rotation);

    if (code == SQLITE_OK) code = connection_key_path(call->portal, &path);
    if (code == SQLITE_OK) {
        code = answer_text(call, "Key generation %d is in force; secrets sealed anew: %d.%s%s%s", rotation.generation,
                           rotation.secrets, path == NULL ? "" : " Back up ", path == NULL ? "" : path,
                           path == NULL ? "" : " now, apart from the database: what is made from now on needs it.");
    }
    sqlite3_free(path);
    return code;
}

static int verify_act(struct call *call)
{
    int code = audit_verify(call->portal, &call->text);

    call->answer = call->text == NULL ? ANSWER_NULL : ANSWER_TEXT;
    return code;
}

static int purge_act(struct call *call)
{
    sqlite3_int64 days = 0;
    sqlite3_int64 rows = 0;
    sqlite3_int64 events = 0;
    int code = call_integer(call, 0, "days", &days);

    if (code == SQLITE_OK && (days < 1 || days > 36500)) code = refuse(call->portal, "days is from 1 to 36500");
    if (code == SQLITE_OK) code = maintenance_purge(call->portal, days, &rows, &events);
    if (code != SQLITE_OK) return code;
    return answer_text(call, "%lld rows and %lld audit events older than %lld days were removed.", rows,
                       events, days);
}

static int restored_act(struct call *call)
{
    int count[RESTORED_COUNT];
    int code = maintenance_restored(call->portal, count);

    if (code != SQLITE_OK) return code;
    return answer_text(call,
                       "Ended what the backup brought back: links (%d), PINs (%d), resets (%d), "
                       "sessions (%d), and whatever waited to be sent. Revoke again whom you had "
                       "revoked since the backup, and send again to whom portal_status shows as failed.",
                       count[RESTORED_LINKS], count[RESTORED_PINS], count[RESTORED_RESETS],
                       count[RESTORED_SESSIONS]);
}

static int version_act(struct call *call)
{
    sqlite3_str *out = sqlite3_str_new(NULL);
    int code = channel_load_all(call->portal);

    sqlite3_str_appendf(out, "portal %s", version_text);
    for (const struct channel *channel = call->portal->channels; channel != NULL; channel = channel->next) {
        sqlite3_str_appendf(out, ", %s %s", channel->api.name,
                            channel->api.release == NULL ? "(not loaded)" : channel->api.release);
    }
    call->text = sqlite3_str_finish(out);
    call->answer = ANSWER_TEXT;
    if (code != SQLITE_OK) return code;
    return call->text == NULL ? fault(call->portal, SQLITE_NOMEM) : SQLITE_OK;
}

const struct function running_functions[] = {
    {.name = "portal_init", .arguments = "[mapping]", .least = 0, .most = 1,
     .allowed = EHR, .flags = CALL_BARE,
     .result = "one sentence",
     .description = "Makes the portal's tables and key file, or checks that they are there. A "
                    "database without any table gets a patient table; one that has patients elsewhere "
                    "gets a mapping, as portal_map_patient takes it.",
     .act = init_act},
    {.name = "portal_map_patient", .arguments = "[mapping]", .least = 0, .most = 1,
     .allowed = EHR, .flags = CALL_WRITES | CALL_AUDITED,
     .result = "one sentence; the mapping in force, as JSON, without an argument",
     .description = "Tells where the practice keeps its patients: JSON with the table or view, the column of each field "
                    "and how it is written there, and what patients may ask to change. {} is the portal's own table.",
     .act = map_act, .before = map_before},
    {.name = "portal_setting", .arguments = "key [, value]", .least = 1, .most = 2,
     .allowed = EHR, .flags = CALL_WRITES,
     .result = "the value in force",
     .description = "Reads a setting, or sets it; NULL restores the default.",
     .act = setting_act, .before = setting_before},
    {.name = "portal_secret", .arguments = "key, value", .least = 2, .most = 2,
     .allowed = EHR, .flags = CALL_WRITES,
     .result = "one sentence",
     .description = "Stores a credential of a channel, sealed with the key file; SQL never gives "
                    "it back. NULL removes it.",
     .act = secret_act},
    {.name = "portal_as", .arguments = "application [, user]", .least = 1, .most = 2,
     .allowed = ANYBODY, .flags = CALL_BARE | CALL_AUDITED,
     .result = "who this connection acts for",
     .description = "Says who this connection acts for: 'ehr', 'scheduling' or 'portal'. Rights "
                    "only shrink. It guards an application against its own mistakes, not against "
                    "plain SQL on the tables.",
     .act = as_act},
    {.name = "portal_everywhere", .arguments = "", .least = 0, .most = 0,
     .allowed = EHR, .flags = CALL_BARE,
     .result = "one sentence",
     .description = "Has every connection that this process opens from now on load the portal by itself: for "
                    "connection pools, and for drivers that can not load extensions. Each begins as the EHR; "
                    "portal_as() says otherwise.",
     .act = everywhere_act},
    {.name = "expire_links", .arguments = "", .least = 0, .most = 0,
     .allowed = EHR, .flags = CALL_WRITES,
     .result = "how many links were marked",
     .description = "Marks links that have expired, ends sessions, PINs and resets that are "
                    "over. No check depends on it.",
     .act = expire_act},
    {.name = "end_representatives", .arguments = "", .least = 0, .most = 0,
     .allowed = EHR, .flags = CALL_QUEUES,
     .result = "how many lost their access",
     .description = "Marks the access of representatives whose patients have come of representative_age, ends "
                    "their sessions and tells them with the next delivery. No check depends on it.",
     .act = outgrown_act},
    {.name = "deliver", .arguments = "[limit]", .least = 0, .most = 1,
     .allowed = EHR, .flags = CALL_UNLOCKED,
     .result = "JSON: sent, failed, retrying, waiting",
     .description = "Hands over what waits in the outbox. What stops it after something was handed over, "
                    "and why a channel is not ready, is told beside the counts, as stopped; waiting is null when it can not be counted.",
     .act = deliver_act},
    {.name = "portal_try_channel", .arguments = "name", .least = 1, .most = 1,
     .allowed = EHR, .flags = CALL_UNLOCKED,
     .result = "NULL when all is well, else what is wrong and the remedy",
     .description = "Connects to the server of a channel and signs in, and sends nothing. Takes 10 seconds at most.",
     .act = try_act},
    {.name = "claim_messages", .arguments = "limit [, channel]", .least = 1, .most = 2,
     .allowed = EHR, .flags = CALL_WRITES,
     .result = "a claim, or NULL when nothing is due",
     .description = "Claims messages for a mailer of one's own; portal_claimed(claim) shows "
                    "them.",
     .act = claim_act},
    {.name = "report_delivery",
     .arguments = "claim, message_id, status [, detail]", .least = 3, .most = 4,
     .allowed = EHR, .flags = CALL_WRITES,
     .result = "1",
     .description = "Reports sent, retry, undeliverable or uncertain; later, as the provider tells, "
                    "delivered, undelivered, bounced or opted_out, which opts the contact out.",
     .act = report_act},
    {.name = "portal_audit_verify", .arguments = "", .least = 0, .most = 0,
     .allowed = EHR, .flags = 0,
     .result = "NULL when whole, else the first broken event",
     .description = "Walks the audit chain.",
     .act = verify_act},
    {.name = "portal_key_rotate", .arguments = "", .least = 0, .most = 0,
     .allowed = EHR, .flags = CALL_ALONE,
     .result = "one sentence",
     .description = "Makes a new generation of the key for what is made from now on, and seals the secrets anew. Links, "
                    "PINs and sessions stay good until they end; what nothing needs any more goes from the key file, "
                    "which is to be backed up then. The audit stays under the oldest generation.",
     .act = rotate_act},
    {.name = "portal_purge", .arguments = "days", .least = 1, .most = 1,
     .allowed = EHR, .flags = CALL_WRITES,
     .result = "one sentence",
     .description = "Removes finished messages, sessions, PINs and dead links older than that; "
                    "audit events after six years.",
     .act = purge_act},
    {.name = "portal_restored", .arguments = "", .least = 0, .most = 0,
     .allowed = EHR, .flags = CALL_WRITES,
     .result = "one sentence",
     .description = "Run it once after a backup was put back: links, PINs, resets and sessions of "
                    "before end, and nothing that waited is sent again.",
     .act = restored_act},
    {.name = "portal_version", .arguments = "", .least = 0, .most = 0,
     .allowed = ANYBODY, .flags = CALL_BARE,
     .result = "version, commit, channels",
     .description = "What is loaded.",
     .act = version_act},
    {.name = NULL},
};
