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

static int delivery_report(portal_batch *batch, int index, portal_result result, const char *detail)
{
    static const char *const status[] = {"sent", "retry", "undeliverable", "uncertain"};
    struct delivery *delivery = (struct delivery *)batch;
    struct portal *portal = delivery->portal;
    char text[OUTBOX_DETAIL_SIZE];
    struct scope scope;
    int code;

    if (index < 0 || index >= batch->count || (int)result < 0 || result > PORTAL_UNCERTAIN) {
        return SQLITE_MISUSE;
    }
    /* A server's words go into a row that people read. */
    (void)sqlite3_snprintf(OUTBOX_DETAIL_SIZE, text, "%s", detail == NULL ? "" : detail);
    normalize_show(text);
    code = scope_begin(portal, &scope);
    if (code != SQLITE_OK) return code;
    code = outbox_report(portal, delivery->claim, batch->messages[index].message_id, status[result],
                         text[0] == '\0' ? NULL : text);
    code = scope_end(portal, &scope, code);
    if (code != SQLITE_OK) return code;
    if (result == PORTAL_SENT) delivery->count->sent++;
    if (result == PORTAL_UNDELIVERABLE) delivery->count->failed++;
    if (result == PORTAL_RETRY || result == PORTAL_UNCERTAIN) delivery->count->retrying++;
    return SQLITE_OK;
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
        if (batch->message[i].medium != medium) continue;
        code = message_render(portal, &batch->message[i], &rendered[used]);
        if (code == SQLITE_OK) outgoing[used] = rendered[used].outgoing;
        if (code == SQLITE_OK) used++;
    }
    delivery.api.count = used;
    if (code == SQLITE_OK && used > 0) code = channel_for(portal, (int)medium, &channel);
    if (code == SQLITE_OK && used > 0) {
        code = channel->api.deliver(channel->data, &delivery.api);
        if (code != SQLITE_OK && portal->error == NULL) code = fault(portal, code);
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
    if (code == SQLITE_OK) {
        code = medium_deliver(portal, batch, MEDIUM_TEXT, rendered, outgoing, count);
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
    int media = media_ready(portal);
    int seen = 1;
    int code = batch == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;

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
