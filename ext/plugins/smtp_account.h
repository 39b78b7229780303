/*
** Whom the channel smtp speaks to and how: its settings, what is wrong with them, and the rule that
** nothing leaves this machine without TLS unless the practice says so.
*/
#ifndef PORTAL_SMTP_ACCOUNT_H
#define PORTAL_SMTP_ACCOUNT_H

#include "account.h"

#include <curl/curl.h>

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

/* What keeps it from being used, sqlite3_mprintf() text; NULL: nothing that can be seen from here. */
char *smtp_account_problem(const struct account *account);

/* The value of one of the numbers. */
int smtp_account_number(const struct account *account, enum smtp_option option);

/* Sets a transfer up to connect, encrypt and sign in.  False without memory. */
bool smtp_account_apply(const struct account *account, CURL *easy);

#endif
