#include "delivery.h"

#include "channel.h"
#include "message.h"
#include "normalize.h"
#include "outbox.h"

#include <string.h>

/* What a channel is given, and where its reports go. */
struct delivery {
    portal_batch api;              /* first */
    struct portal *portal;
    const char *claim;
    struct delivery_count *count;
};

enum { REPORT_PATIENCE = 10000, REPORT_PAUSE = 20 };   /* milliseconds */

static const char read_status[] = "SELECT status FROM main.portal_message WHERE message_id = ?1";

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

static int report_once(const struct delivery *delivery, sqlite3_int64 message_id, const char *status,
                       const char *detail)
{
    struct scope scope;
    int code = scope_begin(delivery->portal, &scope);

    if (code != SQLITE_OK) return code;
    code = outbox_report(delivery->portal, delivery->claim, message_id, status, detail);
    return scope_end(delivery->portal, &scope, code);
}

/* A message that was handed over and not recorded would be sent twice: a writer is waited for. */
static int report(const struct delivery *delivery, sqlite3_int64 message_id, const char *status,
                  const char *detail)
{
    int code = report_once(delivery, message_id, status, detail);

    for (int waited = 0; (code & 0xff) == SQLITE_BUSY && waited < REPORT_PATIENCE;) {
        waited += sqlite3_sleep(REPORT_PAUSE);
        code = report_once(delivery, message_id, status, detail);
    }
    return code == SQLITE_OK ? fate_count(delivery->portal, message_id, delivery->count) : code;
}

static int delivery_report(portal_batch *batch, int index, portal_result result, const char *detail)
{
    static const char *const status[] = {"sent", "retry", "undeliverable", "uncertain"};
    struct delivery *delivery = (struct delivery *)batch;
    char text[OUTBOX_DETAIL_SIZE];

    if (index < 0 || index >= batch->count || (int)result < 0 || result > PORTAL_UNCERTAIN) {
        return SQLITE_MISUSE;
    }
    /* A server's words go into a row that people read. */
    (void)sqlite3_snprintf(OUTBOX_DETAIL_SIZE, text, "%s", detail == NULL ? "" : detail);
    normalize_show(text);
    return report(delivery, batch->messages[index].message_id, status[result],
                  text[0] == '\0' ? NULL : text);
}

/* One that can not be rendered must not hold up the others of its claim. */
static int render(const struct delivery *delivery, const struct outbox_message *row,
                  struct message *rendered, bool *done)
{
    int code = message_render(delivery->portal, row, rendered);
    char *problem;

    *done = code == SQLITE_OK;
    if (code != SQLITE_ERROR) return code;
    problem = sqlite3_mprintf("%s", delivery->portal->error);
    if (problem == NULL) return fault(delivery->portal, SQLITE_NOMEM);
    code = report(delivery, row->message_id, "retry", problem);
    sqlite3_free(problem);
    return code;
}

/* Renders and hands over the messages of one medium. */
static int medium_deliver(struct portal *portal, const struct outbox_batch *batch, enum medium medium,
                          struct message *rendered, portal_outgoing *outgoing,
                          struct delivery_count *count)
{
    struct delivery delivery = {{0, outgoing, delivery_report}, portal, batch->claim, count};
    struct channel *channel = NULL;
    int used = 0;
    int code = SQLITE_OK;

    for (int i = 0; i < batch->count && code == SQLITE_OK; i++) {
        bool done = false;
        if (batch->message[i].medium != medium) continue;
        code = render(&delivery, &batch->message[i], &rendered[used], &done);
        if (done) outgoing[used] = rendered[used].outgoing;
        if (done) used++;
    }
    delivery.api.count = used;
    if (code == SQLITE_OK && used > 0) code = channel_for(portal, (int)medium, &channel);
    if (code == SQLITE_OK && used > 0) {
        code = channel->api.deliver(channel->data, &delivery.api);
        if (code != SQLITE_OK) {
            (void)refuse(portal, "the channel %s stopped: %s; what it did not report is tried again",
                         channel->api.name, sqlite3_errstr(code));
        }
    }
    for (int i = 0; i < used; i++) message_clear(&rendered[i]);
    return code;
}

static int batch_deliver(struct portal *portal, const struct outbox_batch *batch,
                         struct delivery_count *count)
{
    struct message *rendered = sqlite3_malloc64(sizeof *rendered * OUTBOX_BATCH);
    portal_outgoing *outgoing = sqlite3_malloc64(sizeof *outgoing * OUTBOX_BATCH);
    int code = rendered == NULL || outgoing == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;

    if (code == SQLITE_OK) {
        code = medium_deliver(portal, batch, MEDIUM_EMAIL, rendered, outgoing, count);
    }
    /* The one's trouble is not the other's; what is told is the last. */
    if (rendered != NULL && outgoing != NULL) {
        int text = medium_deliver(portal, batch, MEDIUM_TEXT, rendered, outgoing, count);
        if (text != SQLITE_OK) code = text;
    }
    sqlite3_free(rendered);
    sqlite3_free(outgoing);
    return code;
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
    struct outbox_batch *batch = sqlite3_malloc(sizeof *batch);
    const struct keyring *keyring = NULL;
    int media = media_ready(portal);
    int seen = 1;
    int code = batch == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;

    /* Without the key nothing can be rendered: then nothing is claimed. */
    if (code == SQLITE_OK) code = connection_key(portal, &keyring);
    while (code == SQLITE_OK && media != 0 && limit > 0 && seen > 0) {
        struct scope scope;
        code = scope_begin(portal, &scope);
        if (code != SQLITE_OK) break;
        batch->claim[0] = '\0';
        code = outbox_claim_batch(portal, batch, limit, media, only, &seen);
        code = scope_end(portal, &scope, code);
        if (code == SQLITE_OK && batch->count > 0) code = batch_deliver(portal, batch, count);
        limit -= batch->count;
        if (only != 0) break;
    }
    sqlite3_free(batch);
    return code;
}

int delivery_run(struct portal *portal, sqlite3_int64 limit, struct delivery_count *count)
{
    int code;

    memset(count, 0, sizeof *count);
    code = deliver(portal, limit, 0, count);
    if (code == SQLITE_OK) code = outbox_waiting(portal, &count->waiting);
    return code;
}

void delivery_hand_over(struct portal *portal)
{
    struct delivery_count count = {0, 0, 0, 0};

    if (portal->fresh_count == 0 || !connection_unlocked(portal)) return;
    for (int i = 0; i < portal->fresh_count; i++) {
        (void)deliver(portal, 1, portal->fresh[i], &count);
    }
}
