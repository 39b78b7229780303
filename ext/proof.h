/*
** Proof of who the patient is: last name and date of birth, then a PIN to a contact on file.
** Everything a person gets wrong is counted first.
*/
#ifndef PORTAL_PROOF_H
#define PORTAL_PROOF_H

#include "registration.h"

enum { PROOF_PIN_TRIES = 5 };

enum proof_result { PROOF_REFUSED, PROOF_OPTED_OUT, PROOF_WAIT, PROOF_SENT };

struct proof_answer {
    enum proof_result result;
    enum medium medium;          /* PROOF_SENT: where the PIN goes; print: it is on the letter */
    sqlite3_int64 seconds;       /* PROOF_WAIT */
};

/* request_pin(), in scopes of its own. */
int proof_request(struct portal *portal, const char *token, const char *last_name,
                  const char *date_of_birth, struct proof_answer *answer);

/* A link that was opened, with the guess counted. */
struct proof_attempt {
    const char *token;
    struct registration registration;
    struct patient patient;
    bool open;                     /* the link works */
    bool allowed;                  /* the budget had room for the guess */
    bool counted;                  /* it counts against the link until it is settled */
    sqlite3_int64 pin_id;          /* of the live PIN that was tried, or 0 */
    struct token pin;              /* what its row keeps */
    enum medium medium;            /* where the PIN goes, or went */
    char contact[CONTACT_SIZE];
};

/* Steps for scope_run(), with a struct proof_attempt: count a guess, then settle it. */
int proof_begin(struct portal *portal, void *data);
int proof_wrong(struct portal *portal, void *data);
int proof_right(struct portal *portal, void *data);

/*
** The PIN of a letter: it counts once who the patient is was proved, and lives as long as the link.  Within a scope.
*/
int proof_print(struct portal *portal, const struct patient_id *patient, sqlite3_int64 registration_id,
                sqlite3_int64 expires_at, sqlite3_int64 *pin_id);

/* A link that can not work is told for the price of a hash, before the write lock is taken. */
int proof_unknown(struct portal *portal, const char *token, bool *unknown);

/* For the outbox. */
int proof_claim(struct portal *portal, const struct outbox_message *message, const char **dead);
int proof_fate(struct portal *portal, const struct outbox_message *message, enum outbox_fate fate);

/* Ends PINs that are over.  Within a scope. */
int proof_expire(struct portal *portal);

#endif
