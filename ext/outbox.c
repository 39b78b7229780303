#include "outbox.h"

#include "audit.h"
#include "kind.h"
#include "normalize.h"
#include "optout.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND_TRY_AFTER = 60, NOTICE_SECONDS = 72 * 3600, LAPSES = 8 };

static const char insert_message[] = "INSERT INTO main.portal_message (kind, channel, patient_id, "
                                     "recipient, status, created_at, due_at)"
                                     " VALUES (?1, ?2, ?3, ?4, 'queued', ?5, ?5)";
static const char record_message[] =
    "INSERT INTO main.portal_message (kind, channel, patient_id, recipient, status, created_at, attempts, sent_at)"
    " VALUES (?1, ?2, ?3, '', 'sent', ?4, 1, ?4)";
static const char set_account[] =
    "UPDATE main.portal_message SET account_id = ?2 WHERE message_id = ?1";
static const char cancel_message[] =
    "UPDATE main.portal_message SET status = 'cancelled', due_at = NULL, detail = ?2"
    " WHERE message_id = ?1 AND due_at IS NOT NULL";
static const char cancel_patient[] =
    "UPDATE main.portal_message SET status = 'cancelled', due_at = NULL, detail = ?2"
    " WHERE patient_id = ?1 AND due_at IS NOT NULL AND kind <> 'registration'";
/* portal_state is looked at once, and the opt-outs only where there are some. */
#define DUE_MESSAGE \
    "SELECT message_id, kind, channel, patient_id, recipient, created_at, attempts," \
    "       (status = 'claimed') * (1 + duplicate)," \
    "       CASE (SELECT opt_outs FROM main.portal_state) WHEN 1 THEN EXISTS" \
    "         (SELECT 1 FROM main.portal_opt_out WHERE contact = recipient) END" \
    "  FROM main.portal_message"
static const char due_messages[] =
    DUE_MESSAGE
    " WHERE channel = ?1 AND due_at <= ?2 ORDER BY due_at LIMIT ?3";
static const char one_message[] =
    DUE_MESSAGE
    " WHERE message_id = ?1 AND due_at <= ?2";
/* A claim whose lease ran out may have been handed over all the same. */
static const char claim_message[] =
    "UPDATE main.portal_message"
    "   SET status = 'claimed', claim = ?2, due_at = ?3, attempts = attempts + 1,"
    "       duplicate = duplicate OR status = 'claimed'"
    " WHERE message_id = ?1";
static const char give_back[] =
    "UPDATE main.portal_message"
    "   SET status = 'queued', due_at = ?3, attempts = attempts - 1"
    " WHERE message_id = ?1 AND claim = ?2 AND status = 'claimed'";
static const char read_claimed[] =
    "SELECT message_id, kind, channel, patient_id, recipient, created_at, attempts, status, claim,"
    "       sent_at IS NOT NULL, duplicate"
    "  FROM main.portal_message WHERE message_id = ?1";
static const char report_done[] =
    "UPDATE main.portal_message"
    "   SET status = ?2, due_at = NULL, detail = ?3, sent_at = coalesce(sent_at, ?4)"
    " WHERE message_id = ?1";
static const char report_again[] =
    "UPDATE main.portal_message"
    "   SET status = 'queued', due_at = ?2, detail = ?3, duplicate = duplicate OR ?4"
    " WHERE message_id = ?1";
static const char any_due[] =
    "SELECT EXISTS (SELECT 1 FROM main.portal_message WHERE channel = ?1 AND due_at <= ?2)";
static const char count_waiting[] =
    "SELECT count(*) FROM main.portal_message WHERE due_at IS NOT NULL";

int outbox_queue(struct portal *portal, const char *kind, enum medium medium,
                 const struct patient_id *patient, const char *recipient, sqlite3_int64 *message_id)
{
    int code = statement_run(portal, insert_message, "sspsi", kind, medium_name(medium), patient,
                             recipient, connection_now(portal));

    if (code != SQLITE_OK) return code;
    *message_id = sqlite3_last_insert_rowid(portal->db);
    if (portal->fresh_count < FRESH_MAX) {
        portal->fresh[portal->fresh_count].message_id = *message_id;
        portal->fresh[portal->fresh_count++].medium = (int)medium;
    }
    return SQLITE_OK;
}

int outbox_record(struct portal *portal, const char *kind, const struct patient_id *patient, sqlite3_int64 *message_id)
{
    int code = statement_run(portal, record_message, "sspi", kind, medium_name(MEDIUM_PRINT), patient, connection_now(portal));

    if (code == SQLITE_OK) *message_id = sqlite3_last_insert_rowid(portal->db);
    return code;
}

int outbox_account(struct portal *portal, sqlite3_int64 message_id, sqlite3_int64 account_id)
{
    return statement_run(portal, set_account, "ii", message_id, account_id);
}

int outbox_cancel(struct portal *portal, sqlite3_int64 message_id, const char *why)
{
    return statement_run(portal, cancel_message, "is", message_id, why);
}

int outbox_cancel_patient(struct portal *portal, const struct patient_id *patient, const char *why)
{
    return statement_run(portal, cancel_patient, "ps", patient, why);
}

int outbox_due(struct portal *portal, enum medium medium, bool *due)
{
    sqlite3_int64 found = 0;
    int code = statement_integer(portal, &found, any_due, "si", medium_name(medium),
                                 connection_now(portal));

    *due = found != 0;
    return code;
}

int outbox_waiting(struct portal *portal, sqlite3_int64 *count)
{
    return statement_integer(portal, count, count_waiting, "");
}

void outbox_read(sqlite3_stmt *statement, struct outbox_message *message)
{
    message->message_id = sqlite3_column_int64(statement, 0);
    statement_text(statement, 1, message->kind, sizeof message->kind);
    message->medium = medium_from_name((const char *)sqlite3_column_text(statement, 2));
    message->has_patient = sqlite3_column_type(statement, 3) != SQLITE_NULL;
    patient_id_from_column(statement, 3, &message->patient);
    statement_text(statement, 4, message->recipient, sizeof message->recipient);
    message->created_at = sqlite3_column_int64(statement, 5);
    message->attempts = sqlite3_column_int(statement, 6);
    message->sent = false;
    message->duplicate = false;
}

/* All are read before any is changed: the index that is walked is the one that changes. */
static int batch_read(struct portal *portal, struct outbox_batch *batch, int limit,
                      enum medium medium, sqlite3_int64 only)
{
    sqlite3_int64 now = connection_now(portal);
    sqlite3_stmt *statement = NULL;
    int code = only != 0 ? statement_row(portal, &statement, one_message, "ii", only, now)
                         : statement_row(portal, &statement, due_messages, "sii",
                                         medium_name(medium), now, (sqlite3_int64)limit);

    batch->count = 0;
    while (code == SQLITE_ROW && batch->count < OUTBOX_BATCH) {
        outbox_read(statement, &batch->message[batch->count]);
        batch->lapses[batch->count] = sqlite3_column_int(statement, 7);
        batch->opted_out[batch->count] = sqlite3_column_int(statement, 8) != 0;
        batch->count++;
        code = statement_next(portal, statement);
    }
    statement_done(portal, statement);
    return code == SQLITE_DONE || code == SQLITE_ROW ? SQLITE_OK : code;
}

static int fate_tell(struct portal *portal, const struct outbox_message *message,
                     enum outbox_fate fate)
{
    const struct kind *kind = kind_find(message->kind);

    return kind == NULL || kind->fate == NULL ? SQLITE_OK : kind->fate(portal, message, fate);
}

static const struct patient_id *patient_of(const struct outbox_message *message)
{
    return message->has_patient ? &message->patient : NULL;
}

static int message_end(struct portal *portal, const struct outbox_message *message,
                       const char *status, const char *detail)
{
    int code = statement_run(portal, report_done, "isss", message->message_id, status, detail,
                             (const char *)NULL);

    if (code == SQLITE_OK) code = fate_tell(portal, message, FATE_FAILED);
    if (code == SQLITE_OK) {
        code = audit_write_about(portal, "message.failed", patient_of(message), "message",
                                 message->message_id, detail);
    }
    return code;
}

/* Seconds UTC until which there is a point in sending it: what it carries ends by itself. */
static sqlite3_int64 useful_until(const struct portal *portal, const struct outbox_message *message)
{
    const struct kind *kind = kind_find(message->kind);

    if (kind == NULL || kind->unit == 0) return message->created_at + NOTICE_SECONDS;
    return message->created_at + setting_number(portal, kind->lifetime) * kind->unit;
}

/* Takes one message, or ends it when it must not be sent any more; *taken says which. */
static int message_take(struct portal *portal, struct outbox_batch *batch, int index,
                        sqlite3_int64 lease_end, bool *taken)
{
    struct outbox_message *message = &batch->message[index];
    const struct kind *kind = kind_find(message->kind);
    const char *dead = kind == NULL ? "this version does not know the kind of message" : NULL;
    int code = SQLITE_OK;

    *taken = false;
    /* Whatever kills its senders may have handed it over each time. */
    if (batch->lapses[index] > 1 && message->attempts >= LAPSES) {
        batch->failed++;
        return message_end(portal, message, "failed", "no sender reported what became of it");
    }
    if (batch->opted_out[index]) {
        batch->failed++;
        return message_end(portal, message, "opted_out", NULL);
    }
    if (connection_now(portal) >= useful_until(portal, message)) {
        batch->failed++;
        return message_end(portal, message, "failed", "it could not be handed over in time");
    }
    if (kind != NULL && kind->claim != NULL) code = kind->claim(portal, message, &dead);
    if (code != SQLITE_OK) return code;
    if (dead != NULL) {
        return statement_run(portal, report_done, "isss", message->message_id, "cancelled", dead,
                             (const char *)NULL);
    }
    code = statement_run(portal, claim_message, "isi", message->message_id, batch->claim, lease_end);
    if (code == SQLITE_OK && batch->lapses[index] > 0) {
        code = audit_write_about(portal, "message.claimed_again", patient_of(message), "message",
                                 message->message_id,
                                 "its sender did not report; a duplicate is possible");
    }
    message->attempts++;
    *taken = code == SQLITE_OK;
    return code;
}

/*
** Names a claim that has no name yet.  The lease's end stands first, so that portal_claimed() finds
** the rows by the index of what is due, then its seconds, so that a report knows when it began.
*/
static void claim_name(struct portal *portal, struct outbox_batch *batch)
{
    sqlite3_int64 lease = setting_number(portal, SETTING_lease_seconds);
    uint8_t bytes[8];
    char hex[2 * sizeof bytes + 1];

    if (batch->claim[0] != '\0') return;
    randombytes_buf(bytes, sizeof bytes);
    (void)sodium_bin2hex(hex, sizeof hex, bytes, sizeof bytes);
    (void)sqlite3_snprintf(OUTBOX_CLAIM_SIZE, batch->claim, "%lld-%lld-%s",
                           connection_now(portal) + lease, lease, hex);
}

int outbox_claim_batch(struct portal *portal, struct outbox_batch *batch, sqlite3_int64 limit,
                       enum medium medium, sqlite3_int64 only, int *seen)
{
    int kept = 0;
    int most = limit < OUTBOX_BATCH ? (int)limit : OUTBOX_BATCH;
    int code = batch_read(portal, batch, most, medium, only);

    *seen = batch->count;
    batch->failed = 0;
    claim_name(portal, batch);
    for (int i = 0; i < batch->count && code == SQLITE_OK; i++) {
        bool taken = false;
        code = message_take(portal, batch, i, outbox_lease_end(batch->claim), &taken);
        if (taken && kept != i) batch->message[kept] = batch->message[i];
        if (taken) kept++;
    }
    batch->count = kept;
    return code;
}

int outbox_give_back(struct portal *portal, const char *claim, sqlite3_int64 message_id)
{
    return statement_run(portal, give_back, "isi", message_id, claim, connection_now(portal));
}

sqlite3_int64 outbox_lease_end(const char *claim)
{
    return strtoll(claim, NULL, 10);
}

static sqlite3_int64 claimed_at(const char *claim)
{
    char *lease = NULL;
    sqlite3_int64 end = strtoll(claim, &lease, 10);

    return *lease == '-' ? end - strtoll(lease + 1, NULL, 10) : 0;
}

int outbox_claim(struct portal *portal, sqlite3_int64 limit, int media,
                 char claim[OUTBOX_CLAIM_SIZE])
{
    struct outbox_batch *batch = sqlite3_malloc(sizeof *batch);
    static const enum medium order[] = {MEDIUM_TEXT, MEDIUM_EMAIL};
    sqlite3_int64 claimed = 0;
    int code = SQLITE_OK;

    claim[0] = '\0';
    if (batch == NULL) return fault(portal, SQLITE_NOMEM);
    batch->claim[0] = '\0';
    for (int i = 0; i < 2; i++) {
        for (int seen = (media & (int)order[i]) != 0; code == SQLITE_OK && claimed < limit && seen > 0;) {
            code = outbox_claim_batch(portal, batch, limit - claimed, order[i], 0, &seen);
            claimed += batch->count;
        }
    }
    if (code == SQLITE_OK && claimed > 0) {
        (void)sqlite3_snprintf(OUTBOX_CLAIM_SIZE, claim, "%s", batch->claim);
    }
    sqlite3_free(batch);
    return code;
}

/* About 1, 2, 4, ... minutes, at most 4 hours, up to a quarter more so that senders spread. */
static sqlite3_int64 retry_delay(int attempts)
{
    sqlite3_int64 delay = 60;

    for (int i = 1; i < attempts && delay < 14400; i++) delay *= 2;
    if (delay > 14400) delay = 14400;
    return delay + (sqlite3_int64)randombytes_uniform((uint32_t)(delay / 4) + 1);
}

/* What is said again later must not move the time of the hand-over, which fixes a link's hours. */
static int hand_over_record(struct portal *portal, const struct outbox_message *message,
                            const char *status, const char *detail)
{
    int code = statement_run(portal, report_done, "issi", message->message_id, status, detail,
                             connection_now(portal));

    return code == SQLITE_OK && !message->sent ? fate_tell(portal, message, FATE_SENT) : code;
}

static int handed_over(struct portal *portal, const struct outbox_message *message,
                       const struct outbox_report *report, const char **became)
{
    *became = strcmp(report->status, "delivered") == 0 ? "delivered" : "sent";
    return hand_over_record(portal, message, *became, report->detail);
}

static int try_again(struct portal *portal, const struct outbox_message *message,
                     const struct outbox_report *report, const char **became)
{
    sqlite3_int64 delay = retry_delay(message->attempts);
    sqlite3_int64 due_at = connection_now(portal) + (report->retry_after > delay ? report->retry_after : delay);

    if (due_at >= useful_until(portal, message)) {
        *became = "failed";
        return message_end(portal, message, "failed", report->detail);
    }
    *became = "queued";
    return statement_run(portal, report_again, "iisi", message->message_id, due_at, report->detail,
                         (sqlite3_int64)0);
}

/* Once more, under the same Message-ID; then it counts as sent, and the row says so. */
static int uncertain(struct portal *portal, const struct outbox_message *message,
                     const struct outbox_report *report, const char **became)
{
    int code;

    if (message->duplicate) return handed_over(portal, message, report, became);
    *became = "queued";
    code = statement_run(portal, report_again, "iisi", message->message_id,
                         connection_now(portal) + SECOND_TRY_AFTER, report->detail, (sqlite3_int64)1);
    if (code == SQLITE_OK) {
        code = audit_write_about(portal, "message.uncertain", patient_of(message), "message",
                                 message->message_id, "a duplicate is possible");
    }
    return code;
}

/* For good: under the name that the report has for it, but where that is of the sender's making. */
static int failed(struct portal *portal, const struct outbox_message *message,
                  const struct outbox_report *report, const char **became)
{
    bool refused = strncmp(report->status, "undeliver", 9) == 0;

    *became = refused ? "failed" : report->status;
    if (strcmp(*became, message->status) == 0) return SQLITE_OK;
    return message_end(portal, message, *became, report->detail);
}

/* Whatever became of the message: what was said counts for all that come after it. */
static int opted_out(struct portal *portal, const struct outbox_message *message,
                     const struct outbox_report *report, const char **became)
{
    bool again = strcmp(message->status, report->status) == 0;
    int code = failed(portal, message, report, became);

    /* Who has opted in since is not opted out again by what a provider repeats. */
    return code == SQLITE_OK && !again ? optout_add(portal, message->recipient) : code;
}

/* What a provider has said, which can be before the sender has the answer: then that holds. */
#define SAID " delivered failed bounced opted_out "

/* What a sender may report, and in which states of a message; the last four a provider, later. */
static const struct row {
    const char *status;
    const char *from;         /* states that it changes, each with a space before and after */
    const char *keeps;        /* states that it leaves; in others it is refused */
    int (*apply)(struct portal *portal, const struct outbox_message *message,
                 const struct outbox_report *report, const char **became);
} rows[] = {
    {"sent", " claimed cancelled sent ", SAID, handed_over},
    {"retry", " claimed ", " cancelled" SAID, try_again},
    {"undeliverable", " claimed sent ", " cancelled" SAID, failed},
    {"uncertain", " claimed ", " cancelled" SAID, uncertain},
    {"delivered", " claimed sent delivered ", " cancelled ", handed_over},
    {"undelivered", " claimed sent delivered failed ", " cancelled ", failed},
    {"bounced", " claimed sent delivered bounced ", " cancelled ", failed},
    {"opted_out", " claimed cancelled sent" SAID, "", opted_out},
};

static const struct row *row_find(const char *status)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].status, status) == 0) return &rows[i];
    }
    return NULL;
}

void outbox_detail(struct portal *portal, const char *words, char out[OUTBOX_DETAIL_SIZE])
{
    /* A link is starred out before it is cut in two. */
    char text[OUTBOX_DETAIL_SIZE + TOKEN_SIZE];

    (void)sqlite3_snprintf((int)sizeof text, text, "%s", words == NULL ? "" : words);
    connection_hide(portal, text);
    (void)sqlite3_snprintf(OUTBOX_DETAIL_SIZE, out, "%s", text);
    normalize_show(out);
}

/* Reads the message and checks that the claim is its newest. */
static int report_read(struct portal *portal, const char *claim, sqlite3_int64 message_id,
                       struct outbox_message *message)
{
    sqlite3_stmt *statement = NULL;
    int code = statement_row(portal, &statement, read_claimed, "i", message_id);
    bool own = false;

    if (code == SQLITE_ROW) {
        outbox_read(statement, message);
        statement_text(statement, 7, message->status, sizeof message->status);
        own = statement_same(statement, 8, claim, (int)strlen(claim));
        message->sent = sqlite3_column_int(statement, 9) != 0;
        message->duplicate = sqlite3_column_int(statement, 10) != 0;
        message->claimed_at = claimed_at(claim);
        statement_done(portal, statement);
    } else if (code != SQLITE_DONE) {
        return code;
    }
    if (!own) return refuse(portal, "message %lld is not of the claim %.40s", message_id, claim);
    return SQLITE_OK;
}

int outbox_claimed(struct portal *portal, const char *claim, sqlite3_int64 message_id)
{
    struct outbox_message message;

    return report_read(portal, claim, message_id, &message);
}

int outbox_report(struct portal *portal, const char *claim, sqlite3_int64 message_id,
                  const struct outbox_report *report, const char **became)
{
    const struct row *row = row_find(report->status);
    struct outbox_message message;
    char spaced[sizeof message.status + 2];
    int code;

    *became = NULL;
    if (row == NULL) {
        return refuse(portal,
                      "'%.40s' is no report; use sent, retry, undeliverable, uncertain, delivered, "
                      "undelivered, bounced or opted_out",
                      report->status);
    }
    code = report_read(portal, claim, message_id, &message);
    if (code != SQLITE_OK) return code;
    (void)sqlite3_snprintf((int)sizeof spaced, spaced, " %s ", message.status);
    if (strstr(row->from, spaced) != NULL) return row->apply(portal, &message, report, became);
    if (strstr(row->keeps, spaced) == NULL) {
        return refuse(portal, "message %lld is %s and can not be reported %s", message_id, message.status,
                      report->status);
    }
    *became = strcmp(message.status, "cancelled") == 0 ? "cancelled" : "sent";
    return SQLITE_OK;
}
