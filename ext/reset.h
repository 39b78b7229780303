/*
** Forgotten passwords: a link to the account's own contact, good once and for an hour.
*/
#ifndef PORTAL_RESET_H
#define PORTAL_RESET_H

#include "outbox.h"

/* forgot_password(): queues, if there is such an account and it may.  Within a scope. */
int reset_forgot(struct portal *portal, const char *username);

/* reset_password(): in scopes of its own.  *reason is NULL when done, else why not. */
int reset_password(struct portal *portal, const char *token, const char *password,
                   const char **reason);

/* For the outbox. */
int reset_claim(struct portal *portal, const struct outbox_message *message, const char **dead);
int reset_fate(struct portal *portal, const struct outbox_message *message, enum outbox_fate fate);

/* Ends resets that are over.  Within a scope. */
int reset_expire(struct portal *portal);

#endif
