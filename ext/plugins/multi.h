/*
** Several transfers of libcurl at once, of which only those are gone into that have something to read or
** write: curl_multi_perform() goes into all of them every time.
*/
#ifndef PORTAL_MULTI_H
#define PORTAL_MULTI_H

#include "../portal.h"

#include <curl/curl.h>
#include <poll.h>
#include <stdbool.h>

enum { MULTI_SOCKETS_MOST = 400 };    /* of a transfer one, and some more while it connects */

struct multi {
    CURLM *curl;
    struct pollfd socket[MULTI_SOCKETS_MOST];    /* what libcurl waits for */
    int sockets;
    sqlite3_int64 wake_at;                       /* when it wants to be called, whatever comes */
};

/* false without memory.  It stays where it is; in both cases multi_close() is due. */
bool multi_open(struct multi *multi);

void multi_close(struct multi *multi);

/* Waits until something can go on, so many milliseconds at most, and has it go on. */
void multi_wait(struct multi *multi, int milliseconds);

#endif
