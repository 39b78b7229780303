/*
** Hand-over: claim, render, give to a channel, record.  The network is used with no lock held.
*/
#ifndef PORTAL_DELIVERY_H
#define PORTAL_DELIVERY_H

#include "connection.h"

enum { WAITING_UNKNOWN = -1 };

struct delivery_count {
    int sent;
    int failed;
    int retrying;
    sqlite3_int64 waiting;
    bool held;                      /* a channel is not ready: its messages wait, which is no failure */
};

/*
** Hands over up to `limit` due messages; no lock may be held.  *count holds what was done also when
** it ends with an error; REFUSED and count->held when a channel is not ready.
*/
int delivery_run(struct portal *portal, sqlite3_int64 limit, struct delivery_count *count);

/*
** Hands over what the running call queued.  Nothing happens while a lock is held; failing is no
** error of the call, whose write stands: the messages' rows say what went wrong.
*/
void delivery_hand_over(struct portal *portal);

#endif
