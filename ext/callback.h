/*
** Callbacks: what providers say of messages later, and what patients reply.  Whoever finds the address can call
** it: the channel's plugin says whether a request is genuine, and nothing is written before that.
*/
#ifndef PORTAL_CALLBACK_H
#define PORTAL_CALLBACK_H

#include "connection.h"

/* A request to portal_url/callback/CHANNEL, valid UTF-8; "" where there is none. */
struct callback {
    const char *channel;
    const char *query;
    const char *headers;       /* a JSON object */
    const char *body;
};

enum callback_result {
    CALLBACK_TAKEN,            /* genuine: once more, or too late, it changes nothing */
    CALLBACK_REFUSED,          /* it is not, or it is too long */
    CALLBACK_UNKNOWN           /* there is no such channel, or nobody reports to it */
};

/*
** Takes it, in the name of the channel: a report of a message as outbox_report() does, a reply as an opt-out or its
** end.  SQLITE_OK and *result, or an error code; no lock is held while the channel looks.
*/
int callback_take(struct portal *portal, const struct callback *callback, enum callback_result *result);

#endif
