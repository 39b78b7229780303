#include "delivery.h"

#include "channel.h"
#include "message.h"
#include "outbox.h"

#include <string.h>
#include <time.h>

/*
** While both media have messages, one gets so many in its turn, so that its backlog does not hold up the
** other's.  A turn ends when its last message is answered, which servers take their time for.
*/
enum { TURN = 1000 };

/*
** So long a claimed message may wait for its channel: what waits longer is claimed anew, so that what was
** revoked, superseded or opted out meanwhile is not sent, and nothing is begun that soon is another's.
*/
enum { WAIT_SECONDS = 5 };

/* Reports are written together: so many at most, and none waits longer. */
enum { REPORTS = OUTBOX_BATCH, REPORT_MILLISECONDS = 100 };

enum { SLOTS = PORTAL_UNDER_WAY + REPORTS + OUTBOX_BATCH };

static const char probe[] = "SELECT 1";

enum place { FREE, WAITING, GIVEN, REPORTED };

/* One message, from its claim until its report is durable. */
struct slot {
    struct message message;        /* first: what a channel is given is its `outgoing` */
    struct outbox_message row;
    char claim[OUTBOX_CLAIM_SIZE];
    enum place place;
    portal_result result;
    int retry_after;
    char detail[OUTBOX_DETAIL_SIZE];
};

/* A turn of one medium: its messages, in slots, and where they are. */
struct delivery {
    portal_batch api;              /* first */
    struct portal *portal;
    enum medium medium;
    sqlite3_int64 only;            /* this message alone; 0: what is due */
    sqlite3_int64 limit;           /* messages still to be given */
    struct delivery_count *count;
    int code;                      /* what ended it; SQLITE_OK while it goes on */
    bool dry;                      /* nothing is due any more */
    bool insisted;                 /* on writing reports, in vain */
    sqlite3_int64 renew_at;        /* what waits then is claimed anew */
    int free_count, given_count, reported_count;
    int waiting_first, waiting_end;
    int free[SLOTS];
    int waiting[OUTBOX_BATCH];
    int reported[SLOTS];
    sqlite3_int64 reported_at;     /* the first of them, in milliseconds of uptime() */
    char words[OUTBOX_DETAIL_SIZE];   /* what stopped it; "": nothing was said */
    struct outbox_batch batch;
    struct slot slot[];
};

static sqlite3_int64 uptime(void)
{
    struct timespec now = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (sqlite3_int64)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One message needs no more, and is what most calls hand over. */
static int slots_of(sqlite3_int64 only)
{
    return only != 0 ? 1 : SLOTS;
}

static void slot_free(struct delivery *delivery, int index)
{
    message_clear(&delivery->slot[index].message);
    delivery->slot[index].place = FREE;
    delivery->free[delivery->free_count++] = index;
}

/* Writing down what became of messages */

static void fate_count(const char *status, struct delivery_count *count)
{
    if (strcmp(status, "sent") == 0) count->sent++;
    if (strcmp(status, "failed") == 0 || strcmp(status, "opted_out") == 0) count->failed++;
    if (strcmp(status, "queued") == 0) count->retrying++;
}

/* Within a scope. */
static int report_write(struct portal *portal, const struct slot *slot, struct delivery_count *count)
{
    static const char *const status[] = {"sent", "retry", "undeliverable", "uncertain", "opted_out"};
    struct outbox_report report = {status[slot->result], slot->detail[0] == '\0' ? NULL : slot->detail,
                                   slot->retry_after};
    const char *became = "";
    int code = outbox_report(portal, slot->claim, slot->row.message_id, &report, &became);

    if (code == SQLITE_OK) fate_count(became, count);
    /* Another sender has it by now: its report is the one that counts, and that of others is not held up. */
    return code == REFUSED && became == NULL ? SQLITE_OK : code;
}

/* What is to be written, and the counts with it. */
struct settlement {
    struct delivery *delivery;
    bool give_back;                /* what waits, too */
    struct delivery_count count;
    int seen;                      /* of a claim: how many were due */
};

static int settlement_step(struct portal *portal, void *data)
{
    struct settlement *settlement = data;
    const struct delivery *delivery = settlement->delivery;
    int code = SQLITE_OK;

    settlement->count = *delivery->count;
    for (int i = 0; i < delivery->reported_count && code == SQLITE_OK; i++) {
        code = report_write(portal, &delivery->slot[delivery->reported[i]], &settlement->count);
    }
    for (int i = delivery->waiting_first; settlement->give_back && i < delivery->waiting_end; i++) {
        const struct slot *slot = &delivery->slot[delivery->waiting[i]];
        if (code == SQLITE_OK) code = outbox_give_back(portal, slot->claim, slot->row.message_id);
    }
    return code;
}

static void settlement_forget(const struct settlement *settlement)
{
    struct delivery *delivery = settlement->delivery;

    for (int i = 0; i < delivery->reported_count; i++) slot_free(delivery, delivery->reported[i]);
    delivery->reported_count = 0;
    if (!settlement->give_back) return;
    for (int i = delivery->waiting_first; i < delivery->waiting_end; i++) {
        slot_free(delivery, delivery->waiting[i]);
    }
    delivery->limit += delivery->waiting_end - delivery->waiting_first;
    delivery->waiting_first = delivery->waiting_end;
}

/*
** After an interrupt every statement of this connection fails until the call has ended: what was handed
** over is recorded through another one.  A database without a file has no other.
*/
static int settle_elsewhere(struct portal *portal, struct settlement *settlement)
{
    const char *path = connection_path(portal);
    struct portal *other = NULL;
    sqlite3_vfs *vfs = NULL;
    sqlite3 *db = NULL;
    int code = SQLITE_INTERRUPT;

    if (*path == '\0') return SQLITE_INTERRUPT;
    (void)sqlite3_file_control(portal->db, "main", SQLITE_FCNTL_VFS_POINTER, &vfs);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, vfs == NULL ? NULL : vfs->zName) == SQLITE_OK) {
        other = connection_open(db);
    }
    if (other != NULL) {
        connection_act_as(other, portal->application, portal->user);
        code = connection_enter(other);
        if (code == SQLITE_OK) code = scope_insist(other, settlement_step, settlement);
        connection_release(other);
    }
    (void)sqlite3_close(db);
    return code;
}

/*
** What was handed over and is not recorded would be sent twice: it is tried hard, and when that was in
** vain, once more at the end.
*/
static int settle(struct delivery *delivery, bool give_back)
{
    struct settlement settlement = {delivery, give_back, *delivery->count, 0};
    bool waits = delivery->waiting_first < delivery->waiting_end;
    int code;

    if (delivery->reported_count == 0 && !(give_back && waits)) return SQLITE_OK;
    code = delivery->insisted ? scope_run(delivery->portal, settlement_step, &settlement)
                              : scope_insist(delivery->portal, settlement_step, &settlement);
    if (code == SQLITE_INTERRUPT) code = settle_elsewhere(delivery->portal, &settlement);
    if (code != SQLITE_OK) {
        delivery->insisted = true;
        if (delivery->code == SQLITE_OK) delivery->code = code;
        return code;
    }
    *delivery->count = settlement.count;
    settlement_forget(&settlement);
    return SQLITE_OK;
}

/* Claiming */

/* One that can not be rendered is tried later, and does not hold up the others of its claim. */
static int render_one(struct delivery *delivery, struct slot *slot, struct delivery_count *count)
{
    struct outbox_report report = {"retry", slot->detail, 0};
    const char *became = "";
    int code = message_render(delivery->portal, &slot->row, &slot->message);

    if (code == SQLITE_OK) {
        slot->message.outgoing.claim = slot->claim;
        slot->message.outgoing.deadline = outbox_lease_end(slot->claim);
    }
    if (code != SQLITE_ERROR) return code;
    (void)sqlite3_snprintf(OUTBOX_DETAIL_SIZE, slot->detail, "%s", delivery->portal->error);
    code = outbox_report(delivery->portal, slot->claim, slot->row.message_id, &report, &became);
    if (code != SQLITE_OK) return code;
    fate_count(became, count);
    return SQLITE_DONE;
}

/* Gives each claimed row a slot, and what could be rendered a place among those that wait. */
static int rows_render(struct delivery *delivery, struct delivery_count *count)
{
    int code = SQLITE_OK;

    for (int i = 0; i < delivery->batch.count && (code == SQLITE_OK || code == SQLITE_DONE); i++) {
        int index = delivery->free[--delivery->free_count];
        struct slot *slot = &delivery->slot[index];
        slot->row = delivery->batch.message[i];
        (void)sqlite3_snprintf(OUTBOX_CLAIM_SIZE, slot->claim, "%s", delivery->batch.claim);
        code = render_one(delivery, slot, count);
        if (code == SQLITE_OK) {
            slot->place = WAITING;
            delivery->waiting[delivery->waiting_end++] = index;
        } else {
            slot_free(delivery, index);
        }
    }
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

/*
** Claims and renders in one write: between the two, another writer could keep us from reading.  What is
** to be reported goes along.
*/
static int claim_step(struct portal *portal, void *data)
{
    struct settlement *settlement = data;
    struct delivery *delivery = settlement->delivery;
    int code = settlement_step(portal, settlement);

    delivery->batch.count = 0;
    delivery->batch.claim[0] = '\0';
    if (code == SQLITE_OK) {
        code = outbox_claim_batch(portal, &delivery->batch, delivery->limit, delivery->medium,
                                  delivery->only, &settlement->seen);
    }
    return code == SQLITE_OK ? rows_render(delivery, &settlement->count) : code;
}

static int claim(struct delivery *delivery)
{
    struct settlement settlement = {delivery, false, *delivery->count, 0};
    sqlite3_int64 now = connection_now(delivery->portal);
    sqlite3_int64 half;
    int code;

    delivery->waiting_first = 0;
    delivery->waiting_end = 0;
    code = scope_run(delivery->portal, claim_step, &settlement);
    if (code != SQLITE_OK) {
        /* Nothing of it happened; what was reported is still to be written. */
        while (delivery->waiting_end > 0) slot_free(delivery, delivery->waiting[--delivery->waiting_end]);
        return code;
    }
    settlement_forget(&settlement);
    *delivery->count = settlement.count;
    delivery->count->failed += delivery->batch.failed;
    delivery->limit -= delivery->batch.count;
    delivery->dry = settlement.seen == 0 || delivery->only != 0;
    half = (outbox_lease_end(delivery->batch.claim) - now) / 2;
    delivery->renew_at = now + (half < WAIT_SECONDS ? half : WAIT_SECONDS);
    return SQLITE_OK;
}

/* What a channel calls */

static const portal_outgoing *delivery_next(portal_batch *batch)
{
    struct delivery *delivery = (struct delivery *)batch;
    struct slot *slot;

    if (delivery->code == SQLITE_OK && delivery->waiting_first < delivery->waiting_end &&
        connection_now(delivery->portal) >= delivery->renew_at) {
        (void)settle(delivery, true);
    }
    while (delivery->code == SQLITE_OK && delivery->waiting_first == delivery->waiting_end) {
        if (delivery->dry || delivery->limit <= 0) return NULL;
        delivery->code = claim(delivery);
    }
    if (delivery->code != SQLITE_OK || delivery->given_count == PORTAL_UNDER_WAY) return NULL;
    slot = &delivery->slot[delivery->waiting[delivery->waiting_first++]];
    slot->place = GIVEN;
    delivery->given_count++;
    return &slot->message.outgoing;
}

/* The slot of a message that the channel has now; NULL for another pointer. */
static struct slot *slot_given(struct delivery *delivery, const portal_outgoing *message)
{
    uintptr_t offset = (uintptr_t)message - (uintptr_t)delivery->slot;
    uintptr_t index = offset / sizeof delivery->slot[0];

    if (offset % sizeof delivery->slot[0] != 0 || index >= (uintptr_t)slots_of(delivery->only) ||
        delivery->slot[index].place != GIVEN) {
        return NULL;
    }
    return &delivery->slot[index];
}

static int delivery_report(portal_batch *batch, const portal_outgoing *message,
                           const portal_report *report)
{
    struct delivery *delivery = (struct delivery *)batch;
    struct slot *slot = slot_given(delivery, message);

    if (slot == NULL || (int)report->result < 0 || report->result > PORTAL_OPTED_OUT ||
        report->retry_after < 0) {
        return SQLITE_MISUSE;
    }
    slot->place = REPORTED;
    slot->result = report->result;
    slot->retry_after = report->retry_after;
    outbox_detail(delivery->portal, report->detail, slot->detail);
    delivery->given_count--;
    if (delivery->reported_count == 0) delivery->reported_at = uptime();
    delivery->reported[delivery->reported_count++] = (int)(slot - delivery->slot);
    if (delivery->reported_count < REPORTS || delivery->code != SQLITE_OK) return SQLITE_OK;
    return settle(delivery, false);
}

static int delivery_settle(portal_batch *batch)
{
    struct delivery *delivery = (struct delivery *)batch;
    bool going = delivery->code == SQLITE_OK;

    if (going) delivery->code = statement_run(delivery->portal, probe, "");
    if (going && (delivery->code != SQLITE_OK ||
                  uptime() - delivery->reported_at >= REPORT_MILLISECONDS)) {
        (void)settle(delivery, delivery->code != SQLITE_OK);
    }
    return delivery->code;
}

static void delivery_explain(portal_batch *batch, const char *words)
{
    struct delivery *delivery = (struct delivery *)batch;

    outbox_detail(delivery->portal, words, delivery->words);
}

/* Turns */

static struct delivery *delivery_new(struct portal *portal, enum medium medium, sqlite3_int64 limit,
                                     sqlite3_int64 only, struct delivery_count *count)
{
    int slots = slots_of(only);
    size_t size = sizeof(struct delivery) + (size_t)slots * sizeof(struct slot);
    struct delivery *delivery = sqlite3_malloc64(size);

    if (delivery == NULL) return NULL;
    memset(delivery, 0, size);
    delivery->api.next = delivery_next;
    delivery->api.report = delivery_report;
    delivery->api.settle = delivery_settle;
    delivery->api.explain = delivery_explain;
    delivery->portal = portal;
    delivery->medium = medium;
    delivery->only = only;
    delivery->limit = limit;
    delivery->count = count;
    while (slots > 0) delivery->free[delivery->free_count++] = --slots;
    return delivery;
}

/* What the channel said nothing about is tried again after its lease. */
static void delivery_free(struct delivery *delivery)
{
    for (int i = 0; i < slots_of(delivery->only); i++) message_clear(&delivery->slot[i].message);
    sqlite3_free(delivery);
}

/* Hands over up to *limit messages of a medium, which gets what is left of it. */
static int turn(struct portal *portal, enum medium medium, sqlite3_int64 only, sqlite3_int64 *limit,
                struct delivery_count *count)
{
    struct channel *channel = NULL;
    struct delivery *delivery;
    int settled;
    int code = channel_for(portal, (int)medium, &channel);

    if (code != SQLITE_OK) return code;
    delivery = delivery_new(portal, medium, *limit, only, count);
    if (delivery == NULL) return fault(portal, SQLITE_NOMEM);
    code = channel->api.deliver(channel->data, &delivery->api);
    if (code != SQLITE_OK && delivery->code == SQLITE_OK) {
        (void)refuse(portal, "the channel %s stopped: %s; what it did not report is tried again",
                     channel->api.name,
                     delivery->words[0] != '\0' ? delivery->words : sqlite3_errstr(code));
    }
    settled = settle(delivery, true);
    if (code == SQLITE_OK) code = settled;
    if (delivery->code != SQLITE_OK) code = delivery->code;
    *limit = delivery->limit;
    delivery_free(delivery);
    return code;
}

/* SQLITE_OK when the channel of a medium is ready; without anything to hand over none is loaded. */
static int medium_look(struct portal *portal, enum medium medium, bool *due)
{
    struct channel *channel = NULL;
    int code = outbox_due(portal, medium, due);

    return code == SQLITE_OK && *due ? channel_for(portal, (int)medium, &channel) : code;
}

/* A fault goes before a refusal, the earlier before the later. */
static int worse(int earlier, int later)
{
    return earlier == SQLITE_OK || (earlier == REFUSED && later != SQLITE_OK) ? later : earlier;
}

/* The media by turns, until neither has anything due; the one's trouble is not the other's. */
static int deliver(struct portal *portal, sqlite3_int64 limit, struct delivery_count *count)
{
    static const enum medium media[] = {MEDIUM_TEXT, MEDIUM_EMAIL};
    enum { MEDIA = sizeof media / sizeof media[0] };
    bool going[MEDIA] = {false, false};
    int codes[MEDIA] = {SQLITE_OK, SQLITE_OK};

    for (int i = 0; i < MEDIA; i++) {
        codes[i] = medium_look(portal, media[i], &going[i]);
        if (codes[i] != SQLITE_OK && codes[i] != REFUSED) return codes[i];
        going[i] = going[i] && codes[i] == SQLITE_OK;
        count->held = count->held || codes[i] == REFUSED;
    }
    while (limit > 0 && (going[0] || going[1])) {
        for (int i = 0; i < MEDIA; i++) {
            sqlite3_int64 most = limit < TURN || !going[MEDIA - 1 - i] ? limit : TURN;
            sqlite3_int64 left = most;
            if (!going[i] || most == 0) continue;
            codes[i] = turn(portal, media[i], 0, &left, count);
            limit -= most - left;
            going[i] = codes[i] == SQLITE_OK && left == 0;
        }
    }
    return worse(codes[0], codes[1]);
}

int delivery_run(struct portal *portal, sqlite3_int64 limit, struct delivery_count *count)
{
    const struct keyring *keyring = NULL;
    int code;
    int counted;

    memset(count, 0, sizeof *count);
    /* Without the key nothing can be rendered: then nothing is claimed. */
    code = connection_key(portal, &keyring);
    if (code == SQLITE_OK) code = deliver(portal, limit, count);
    counted = outbox_waiting(portal, &count->waiting);
    if (counted != SQLITE_OK) count->waiting = WAITING_UNKNOWN;
    code = worse(code, counted);
    count->held = count->held && code == REFUSED;
    return code;
}

void delivery_hand_over(struct portal *portal)
{
    struct delivery_count count = {.waiting = 0};
    const struct keyring *keyring = NULL;

    if (portal->fresh_count == 0 || !connection_unlocked(portal)) return;
    if (connection_key(portal, &keyring) != SQLITE_OK) return;
    for (int i = 0; i < portal->fresh_count; i++) {
        enum medium medium = (enum medium)portal->fresh[i].medium;
        sqlite3_int64 limit = 1;
        (void)turn(portal, medium, portal->fresh[i].message_id, &limit, &count);
    }
}
