/*
** Proof of who the patient is, and registering: last name and date of birth, a PIN to a contact on
** file, then user name and password.  Everything a patient gets wrong is counted first.
*/
#ifndef PORTAL_PROOF_H
#define PORTAL_PROOF_H

#include "outbox.h"

enum { PROOF_PIN_TRIES = 5 };

enum proof_result { PROOF_REFUSED, PROOF_WAIT, PROOF_SENT };

struct proof_answer {
    enum proof_result result;
    enum medium medium;          /* PROOF_SENT: where the PIN goes */
    sqlite3_int64 seconds;       /* PROOF_WAIT */
};

/* request_pin(), in scopes of its own. */
int proof_request(struct portal *portal, const char *token, const char *last_name,
                  const char *date_of_birth, struct proof_answer *answer);

/* What somebody registers with; name and relationship are NULL for the patient. */
struct proof_entry {
    const char *token;
    const char *pin;
    const char *username;
    const char *password;
    const char *name;
    const char *relationship;
};

/* register_*(), in scopes of its own.  *reason is NULL when registered, else why not. */
int proof_register(struct portal *portal, const struct proof_entry *entry, const char **reason);

/* For the outbox. */
int proof_claim(struct portal *portal, const struct outbox_message *message, const char **dead);
int proof_fate(struct portal *portal, const struct outbox_message *message, enum outbox_fate fate);

/* Ends PINs that are over.  Within a scope. */
int proof_expire(struct portal *portal);

#endif
