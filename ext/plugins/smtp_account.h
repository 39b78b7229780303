/*
** Whom the channel smtp speaks to and how: its settings, what is wrong with them, and the rule that
** nothing leaves this machine without TLS unless the practice says so.
*/
#ifndef PORTAL_SMTP_ACCOUNT_H
#define PORTAL_SMTP_ACCOUNT_H

#include "../portal.h"

#include <curl/curl.h>
#include <stdbool.h>

enum smtp_option {
    SMTP_URL,
    SMTP_USER,
    SMTP_PASSWORD,
    SMTP_CONNECTIONS,
    SMTP_TIMEOUT,
    SMTP_TLS,
    SMTP_CA_FILE,
    SMTP_OPTIONS
};

enum { SMTP_CONNECTIONS_MOST = 100 };

extern const portal_option smtp_options[SMTP_OPTIONS + 1];

struct smtp_account {
    char *value[SMTP_OPTIONS];    /* SMTP_PASSWORD may be NULL */
};

/* Fills in a cleared account.  False without memory; to be cleared in any case. */
bool smtp_account_read(portal_api *api, struct smtp_account *account);

/* Wipes and frees what it holds. */
void smtp_account_clear(struct smtp_account *account);

bool smtp_account_same(const struct smtp_account *a, const struct smtp_account *b);

/* What keeps it from being used, sqlite3_mprintf() text; NULL: nothing that can be seen from here. */
char *smtp_account_problem(const struct smtp_account *account);

/* The value of one of the numbers. */
int smtp_account_number(const struct smtp_account *account, enum smtp_option option);

/* Sets a transfer up to connect, encrypt and sign in.  False without memory. */
bool smtp_account_apply(const struct smtp_account *account, CURL *easy);

#endif
