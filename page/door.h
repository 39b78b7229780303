/*
** Where connections come in.  libmicrohttpd could take them itself, but not stop to: MHD_quiesce_daemon() of 0.9.75
** and later aborts the process when one of its threads forgets the listening socket at the same moment.
*/
#ifndef PAGE_DOOR_H
#define PAGE_DOOR_H

#include <microhttpd.h>

struct door;

/*
** Hands what connects to `listener` to `daemon`, from a thread of its own.  While `most` connections are open, further
** ones wait with the system.  Both stay the caller's, and must stay until door_close().  NULL without memory or threads.
*/
struct door *door_open(int listener, struct MHD_Daemon *daemon, unsigned most);

/* No connection is taken any more; those there are go on. */
void door_close(struct door *door);

#endif
