/*
** What keeps one client, or many idle ones, from taking the server for themselves: forms a minute for each
** client, and an end for connections that take longer than a browser would (slowloris).
*/
#ifndef PAGE_GUARD_H
#define PAGE_GUARD_H

#include <stdbool.h>

struct guard;
struct guard_connection;

/* NULL without memory or threads. */
struct guard *guard_start(int posts_per_minute, int patience_seconds);
void guard_stop(struct guard *guard);

/*
** May this client send one form more?  A burst of a minute's worth is allowed.  `forms` are counted: 1, or 0
** where only what turns out to be forged is to count.
*/
bool guard_admits(struct guard *guard, const char *client, int forms);

/* A connection came; it has `patience_seconds` for each request of it.  NULL (without memory) is allowed below. */
struct guard_connection *guard_enter(struct guard *guard, int socket);
void guard_renew(struct guard *guard, struct guard_connection *connection);
void guard_leave(struct guard *guard, struct guard_connection *connection);

#endif
