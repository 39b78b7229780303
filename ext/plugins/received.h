/*
** What SMS gateways say by a request: the fields of its query or form (application/x-www-form-urlencoded), what a
** report of a message means, and what a patient's reply does.
*/
#ifndef RECEIVED_H
#define RECEIVED_H

#include "../portal.h"

#include <stdbool.h>

enum { RECEIVED_FIELDS_MOST = 100 };

struct received {
    char *bytes;                   /* what the fields point into */
    int count;
    struct received_field { const char *name; const char *value; } field[RECEIVED_FIELDS_MOST];
};

/* SQLITE_OK, SQLITE_AUTH for what nobody sends (too many fields, a NUL), or SQLITE_NOMEM; received_clear() is due. */
int received_read(struct received *received, const char *text);
void received_clear(struct received *received);

/* The value of the first field of a name; "" when there is none. */
const char *received_field(const struct received *received, const char *name);

/* By names, and of the same name by values, in the order of their bytes; as strcmp(). */
int received_order(const struct received_field *left, const struct received_field *right);
void received_sort(struct received *received);

/* Does the query name a message, as http_callback() wrote it? */
bool received_is_report(const struct received *query);

/* What a status means; the last row, without a name, is for all others. */
struct received_meaning {
    const char *status;
    portal_word word;
};

/* Reads such a report: SQLITE_OK, or SQLITE_AUTH for what http_callback() never wrote.  `error` may be "". */
int received_report(const struct received *query, const char *who, const char *status, const char *error,
                    const struct received_meaning *meanings, portal_news *news);

/* Reads a reply: STOP and START in all the words that providers and regulators know, and nothing else. */
void received_reply(const char *from, const char *text, portal_news *news);

#endif
