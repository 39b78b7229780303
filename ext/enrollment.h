/*
** Registering: the PIN, then user name and password of a new account, or of one that is linked.
*/
#ifndef PORTAL_ENROLLMENT_H
#define PORTAL_ENROLLMENT_H

#include "account.h"

/* What somebody registers with; name and relationship are NULL for the patient. */
struct enrollment {
    const char *token;
    const char *pin;
    const char *username;
    const char *password;
    const char *name;
    const char *relationship;
};

/*
** register_*(), in scopes of its own.  *reason is NULL when registered, else why not; `username` gets
** how the account writes its user name.
*/
int enrollment_register(struct portal *portal, const struct enrollment *entry,
                        char username[USERNAME_SIZE], const char **reason);

#endif
