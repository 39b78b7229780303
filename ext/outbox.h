/*
** The outbox: messages are queued in the write that causes them, and handed over to a channel after
** it, never while a lock on the database is held.
*/
#ifndef PORTAL_OUTBOX_H
#define PORTAL_OUTBOX_H

#include "patient.h"

enum { OUTBOX_BATCH = 100, OUTBOX_CLAIM_SIZE = 40, OUTBOX_DETAIL_SIZE = 400 };

/* A claimed message, its row as it was claimed. */
struct outbox_message {
    sqlite3_int64 message_id;
    char kind[32];
    enum medium medium;
    bool has_patient;
    struct patient_id patient;
    char recipient[CONTACT_SIZE];
    sqlite3_int64 created_at;
    int attempts;
    /* Of a report alone; as they were before it. */
    char status[16];
    bool sent;
    bool duplicate;
    sqlite3_int64 claimed_at;   /* when the reported claim was made */
};

/* What became of a message, as the kind it is of is told. */
enum outbox_fate { FATE_SENT, FATE_FAILED };

/*
** Queues a message within a scope.  `patient` may be NULL.  *message_id gets its id, and the running
** call hands it over after its write, if it can.
*/
int outbox_queue(struct portal *portal, const char *kind, enum medium medium,
                 const struct patient_id *patient, const char *recipient,
                 sqlite3_int64 *message_id);

/* The same of what is handed over in this very moment, on paper: its row says sent. */
int outbox_record(struct portal *portal, const char *kind, const struct patient_id *patient, sqlite3_int64 *message_id);

/* Says whose account a message is about; 0 is nobody's. */
int outbox_account(struct portal *portal, sqlite3_int64 message_id, sqlite3_int64 account_id);

/* Cancels a message that is not handed over yet; a sender that has it may still report it sent. */
int outbox_cancel(struct portal *portal, sqlite3_int64 message_id, const char *why);

/* Cancels what is unsent to a patient, registrations apart (their ids are known to their rows). */
int outbox_cancel_patient(struct portal *portal, const struct patient_id *patient, const char *why);

/* The rows of one claim. */
struct outbox_batch {
    int count;
    int failed;                          /* which were of no use any more */
    struct outbox_message message[OUTBOX_BATCH];
    int lapses[OUTBOX_BATCH];            /* 0, 1 or more: claims without a report, whose lease ran out */
    bool opted_out[OUTBOX_BATCH];        /* the recipient did, since it was queued */
    char claim[OUTBOX_CLAIM_SIZE];       /* "": to be named */
};

/*
** Claims up to `limit` due messages (OUTBOX_BATCH at most) of a medium, or `only` one when that is
** not 0.  A message that must not be sent any more ends instead: *seen counts what was looked at,
** batch->count what was claimed.  Within a scope.
*/
int outbox_claim_batch(struct portal *portal, struct outbox_batch *batch, sqlite3_int64 limit,
                       enum medium medium, sqlite3_int64 only, int *seen);

/* Undoes the claim of a message that nobody has begun to hand over.  Within a scope. */
int outbox_give_back(struct portal *portal, const char *claim, sqlite3_int64 message_id);

/*
** Claims up to `limit` due messages (of one medium, or of any: 0) for a mailer of the caller's own.
** `claim` gets the claim's name, "" when nothing is due.  Within a scope.
*/
int outbox_claim(struct portal *portal, sqlite3_int64 limit, int media,
                 char claim[OUTBOX_CLAIM_SIZE]);

/* When the lease of a claim ends; 0 for a text that names none. */
sqlite3_int64 outbox_lease_end(const char *claim);

/* What a sender or a provider says became of a message. */
struct outbox_report {
    const char *status;         /* sent, retry, undeliverable, uncertain; later delivered, bounced, ... */
    const char *detail;         /* for staff; may be NULL */
    int retry_after;            /* seconds, of a retry: not sooner; 0: as the outbox sees fit */
};

/*
** Puts words of a server or of a mailer into a detail: on one line, cut to its size, without the link that
** a server may quote.  "" for NULL.  No report is refused for its words: the message would be sent again.
*/
void outbox_detail(struct portal *portal, const char *words, char out[OUTBOX_DETAIL_SIZE]);

/* REFUSED unless the message is of this claim, which whoever reports has to know. */
int outbox_claimed(struct portal *portal, const char *claim, sqlite3_int64 message_id);

/*
** Records it.  *became tells how it counts: sent, queued (again), failed, opted_out, or cancelled: not at
** all.  REFUSED, and *became is NULL and nothing was written, for an unknown status, one that the message
** can not have now, or a message that is not of this claim.  Within a scope.
*/
int outbox_report(struct portal *portal, const char *claim, sqlite3_int64 message_id,
                  const struct outbox_report *report, const char **became);

/*
** Reads a row whose first columns are message_id, kind, channel, patient_id, recipient, created_at
** and attempts.
*/
void outbox_read(sqlite3_stmt *statement, struct outbox_message *message);

/* Is there a message of the medium to be handed over now? */
int outbox_due(struct portal *portal, enum medium medium, bool *due);

/* Counts what waits. */
int outbox_waiting(struct portal *portal, sqlite3_int64 *count);

#endif
