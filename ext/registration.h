/*
** Registrations: a link sent to a patient, from its making to its end.
*/
#ifndef PORTAL_REGISTRATION_H
#define PORTAL_REGISTRATION_H

#include "outbox.h"
#include "sending.h"

enum { REGISTRATION_GUESSES = 10, REGISTRATION_PINS = 5 };

/*
** Queues a checked registration: message, registration, audit event; supersedes the older link and
** grants again what a revoke suspended.  One that is printed is recorded as handed over.  Within a scope.
** *message_id gets its id.
*/
int registration_queue(struct portal *portal, const struct sending *draft,
                       sqlite3_int64 *message_id);

/* The link of a queued registration is good from now on; *expires_at gets until when.  Within a scope. */
int registration_begin(struct portal *portal, sqlite3_int64 registration_id, sqlite3_int64 *expires_at);

/* patient_changed() of the chart of today, which *patient gets. */
int registration_chart(struct portal *portal, const struct patient_id *id, enum medium medium,
                       sqlite3_int64 destination, sqlite3_int64 identity, struct patient *patient,
                       const char **changed);

/* For the outbox. */
int registration_claim(struct portal *portal, const struct outbox_message *message,
                       const char **dead);
int registration_fate(struct portal *portal, const struct outbox_message *message,
                      enum outbox_fate fate);

/* A registration as its link is asked for. */
struct registration {
    sqlite3_int64 registration_id;
    struct patient_id patient;
    sqlite3_int64 destination;
    sqlite3_int64 identity;
    int guesses;
    int pins;
    enum medium medium;            /* that the link went by */
};

/*
** What a link is: "used", "revoked", "superseded", "expired", "valid", the first that applies, or
** "unknown".  A forged one costs a hash, and no look at the database.  Reads only.
*/
int registration_status(struct portal *portal, const char *token, size_t length,
                        const char **status);

/*
** The registration of a valid link whose chart still is the one it was sent for.  SQLITE_ROW;
** SQLITE_DONE when there is none (a chart that has changed ends the link); or an error code.
** Within a scope.
*/
int registration_open(struct portal *portal, const char *token, struct registration *registration,
                      struct patient *patient);

/*
** Counts a guess against the budget before it is compared.  SQLITE_OK and *allowed, or an error.
** registration_guess_right() gives it back; registration_guess_wrong() ends a link whose budget is
** spent.  Each within a scope of its own.
*/
int registration_guess(struct portal *portal, const struct registration *registration,
                       bool *allowed);
int registration_guess_right(struct portal *portal, sqlite3_int64 registration_id);
int registration_guess_wrong(struct portal *portal, const struct registration *registration);

/* Ends a link, when no PIN can be had any more: `why` is for staff.  Within a scope. */
int registration_spend(struct portal *portal, const struct registration *registration, const char *why);

/* Uses a link up: one guarded update.  *used is false when somebody else was faster.  In a scope. */
int registration_use(struct portal *portal, sqlite3_int64 registration_id, bool *used);

/* Ends all links of a patient.  Within a scope. */
int registration_revoke(struct portal *portal, const struct patient_id *patient);

/* Marks what has expired; *count gets the number.  Within a scope. */
int registration_expire(struct portal *portal, sqlite3_int64 *count);

#endif
