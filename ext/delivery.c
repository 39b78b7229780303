#include "delivery.h"

#include "channel.h"
#include "message.h"
#include "normalize.h"
#include "outbox.h"

#include <string.h>

static const char read_status[] = "SELECT status FROM main.portal_message WHERE message_id = ?1";

/* The messages of one claim as they are handed over, those of a medium side by side. */
struct sending {
    struct outbox_batch batch;
    int rendered_count;
    int emails;                    /* of which come first */
    struct message rendered[OUTBOX_BATCH];
    portal_outgoing outgoing[OUTBOX_BATCH];
};

/* What a channel is given, and where its reports go. */
struct delivery {
    portal_batch api;              /* first */
    struct portal *portal;
    const char *claim;
    struct delivery_count *count;
};

/* Counts what became of it, which is not always what was reported: the last retry is a failure. */
static int fate_count(struct portal *portal, sqlite3_int64 message_id, struct delivery_count *count)
{
    char status[32];
    sqlite3_stmt *statement = NULL;
    int code = statement_row(portal, &statement, read_status, "i", message_id);

    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    statement_text(statement, 0, status, sizeof status);
    statement_done(portal, statement);
    if (strcmp(status, "sent") == 0) count->sent++;
    if (strcmp(status, "failed") == 0) count->failed++;
    if (strcmp(status, "queued") == 0) count->retrying++;
    return SQLITE_OK;
}

/* Within a scope. */
static int report(struct portal *portal, const char *claim, sqlite3_int64 message_id,
                  const char *status, const char *detail, struct delivery_count *count)
{
    int code = outbox_report(portal, claim, message_id, status, detail);

    return code == SQLITE_OK ? fate_count(portal, message_id, count) : code;
}

/* A report of a channel, and what becomes of the counts with it. */
struct outcome {
    const struct delivery *delivery;
    sqlite3_int64 message_id;
    const char *status;
    const char *detail;
    struct delivery_count count;
};

static int report_step(struct portal *portal, void *data)
{
    struct outcome *outcome = data;
    const struct delivery *delivery = outcome->delivery;

    outcome->count = *delivery->count;
    return report(portal, delivery->claim, outcome->message_id, outcome->status, outcome->detail,
                  &outcome->count);
}

static int delivery_report(portal_batch *batch, int index, portal_result result, const char *detail)
{
    static const char *const status[] = {"sent", "retry", "undeliverable", "uncertain"};
    const struct delivery *delivery = (struct delivery *)batch;
    struct outcome outcome;
    char text[OUTBOX_DETAIL_SIZE];
    int code;

    if (index < 0 || index >= batch->count || (int)result < 0 || result > PORTAL_UNCERTAIN) {
        return SQLITE_MISUSE;
    }
    /* A server's words go into a row that people read. */
    (void)sqlite3_snprintf(OUTBOX_DETAIL_SIZE, text, "%s", detail == NULL ? "" : detail);
    normalize_show(text);
    outcome.delivery = delivery;
    outcome.message_id = batch->messages[index].message_id;
    outcome.status = status[result];
    outcome.detail = text[0] == '\0' ? NULL : text;
    /* What was handed over and is not recorded would be sent twice. */
    code = scope_insist(delivery->portal, report_step, &outcome);
    if (code == SQLITE_OK) *delivery->count = outcome.count;
    return code;
}

/* One that can not be rendered is tried later, and does not hold up the others of its claim. */
static int render_one(struct portal *portal, struct sending *sending, int index,
                      struct delivery_count *count)
{
    const struct outbox_message *row = &sending->batch.message[index];
    int at = sending->rendered_count;
    int code = message_render(portal, row, &sending->rendered[at]);
    char *problem;

    if (code == SQLITE_OK) {
        sending->outgoing[at] = sending->rendered[at].outgoing;
        sending->rendered_count++;
    }
    if (code != SQLITE_ERROR) return code;
    problem = sqlite3_mprintf("%s", portal->error);
    if (problem == NULL) return fault(portal, SQLITE_NOMEM);
    code = report(portal, sending->batch.claim, row->message_id, "retry", problem, count);
    sqlite3_free(problem);
    return code;
}

static int render_medium(struct portal *portal, struct sending *sending, enum medium medium,
                         struct delivery_count *count)
{
    int code = SQLITE_OK;

    for (int i = 0; i < sending->batch.count && code == SQLITE_OK; i++) {
        if (sending->batch.message[i].medium == medium) code = render_one(portal, sending, i, count);
    }
    return code;
}

static void sending_clear(struct sending *sending)
{
    for (int i = 0; i < sending->rendered_count; i++) message_clear(&sending->rendered[i]);
    sending->rendered_count = 0;
    sending->emails = 0;
}

/* Claims and renders in one write: between the two, another writer could keep us from reading. */
static int sending_claim(struct portal *portal, struct sending *sending, sqlite3_int64 limit,
                         int media, sqlite3_int64 only, int *seen, struct delivery_count *count)
{
    struct delivery_count before = *count;
    struct scope scope;
    int code = scope_begin(portal, &scope);

    sending->batch.count = 0;
    sending->batch.claim[0] = '\0';
    if (code != SQLITE_OK) return code;
    code = outbox_claim_batch(portal, &sending->batch, limit, media, only, seen);
    if (code == SQLITE_OK) code = render_medium(portal, sending, MEDIUM_EMAIL, count);
    sending->emails = sending->rendered_count;
    if (code == SQLITE_OK) code = render_medium(portal, sending, MEDIUM_TEXT, count);
    code = scope_end(portal, &scope, code);
    if (code != SQLITE_OK) *count = before;
    return code;
}

static int medium_hand_over(struct portal *portal, const struct sending *sending, enum medium medium,
                            struct delivery_count *count)
{
    int start = medium == MEDIUM_EMAIL ? 0 : sending->emails;
    int end = medium == MEDIUM_EMAIL ? sending->emails : sending->rendered_count;
    struct delivery delivery = {{end - start, sending->outgoing + start, delivery_report}, portal,
                                sending->batch.claim, count};
    struct channel *channel = NULL;
    char *before;
    int code;

    if (start == end) return SQLITE_OK;
    code = channel_for(portal, (int)medium, &channel);
    if (code != SQLITE_OK) return code;
    before = portal->error;
    portal->error = NULL;
    code = channel->api.deliver(channel->data, &delivery.api);
    if (code == SQLITE_OK) {
        sqlite3_free(portal->error);
        portal->error = before;
        return SQLITE_OK;
    }
    sqlite3_free(before);
    (void)refuse(portal, "the channel %s stopped: %s; what it did not report is tried again",
                 channel->api.name, portal->error == NULL ? sqlite3_errstr(code) : portal->error);
    return code;
}

/* The one's trouble is not the other's; what is told is the last. */
static int hand_over(struct portal *portal, const struct sending *sending,
                     struct delivery_count *count)
{
    int email = medium_hand_over(portal, sending, MEDIUM_EMAIL, count);
    int text = medium_hand_over(portal, sending, MEDIUM_TEXT, count);

    return text != SQLITE_OK ? text : email;
}

/* Media whose channel can take messages now.  Others wait, and portal_check() says why. */
static int media_ready(struct portal *portal)
{
    struct channel *channel = NULL;
    int media = 0;

    if (channel_for(portal, PORTAL_EMAIL, &channel) == SQLITE_OK) media |= PORTAL_EMAIL;
    if (channel_for(portal, PORTAL_TEXT, &channel) == SQLITE_OK) media |= PORTAL_TEXT;
    return media;
}

static int deliver(struct portal *portal, sqlite3_int64 limit, sqlite3_int64 only,
                   struct delivery_count *count)
{
    struct sending *sending = sqlite3_malloc64(sizeof *sending);
    const struct keyring *keyring = NULL;
    int media = media_ready(portal);
    int seen = 1;
    int code;

    if (sending == NULL) return fault(portal, SQLITE_NOMEM);
    memset(sending, 0, sizeof *sending);
    /* Without the key nothing can be rendered: then nothing is claimed. */
    code = connection_key(portal, &keyring);
    while (code == SQLITE_OK && media != 0 && limit > 0 && seen > 0) {
        code = sending_claim(portal, sending, limit, media, only, &seen, count);
        if (code == SQLITE_OK) code = hand_over(portal, sending, count);
        sending_clear(sending);
        limit -= sending->batch.count;
        if (only != 0) break;
    }
    sqlite3_free(sending);
    return code;
}

int delivery_run(struct portal *portal, sqlite3_int64 limit, struct delivery_count *count)
{
    int code;
    int counted;

    memset(count, 0, sizeof *count);
    code = deliver(portal, limit, 0, count);
    counted = outbox_waiting(portal, &count->waiting);
    if (counted != SQLITE_OK) count->waiting = WAITING_UNKNOWN;
    return code != SQLITE_OK ? code : counted;
}

void delivery_hand_over(struct portal *portal)
{
    struct delivery_count count = {0, 0, 0, 0};

    if (portal->fresh_count == 0 || !connection_unlocked(portal)) return;
    for (int i = 0; i < portal->fresh_count; i++) {
        (void)deliver(portal, 1, portal->fresh[i], &count);
    }
}
