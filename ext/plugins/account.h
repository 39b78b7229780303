/*
** The account of a channel: what its settings and its credential say now, in the order of its options.
** Shared by channels that speak to servers.
*/
#ifndef ACCOUNT_H
#define ACCOUNT_H

#include "../portal.h"

#include <stdbool.h>

enum { ACCOUNT_OPTIONS_MOST = 12 };

struct account {
    const portal_option *options;             /* at most ACCOUNT_OPTIONS_MOST */
    char *value[ACCOUNT_OPTIONS_MOST];        /* "" where nothing is set */
};

/* Reads all of them; false without memory.  In both cases account_clear() is due. */
bool account_read(struct account *account, portal_api *api, const portal_option *options);

/* Wipes and frees the values. */
void account_clear(struct account *account);

/* Both are of the same options and have the same values. */
bool account_same(const struct account *a, const struct account *b);

/* The host of an URL is this very machine by its name: nobody is on the way. */
bool account_is_loopback(const char *url);

#endif
