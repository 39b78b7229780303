/*
** Threads for what may take long, each with a connection of its own, and a queue before them that ends:
** a request that finds it full is answered at once that it should come again.  So a hash of a password,
** which takes a processor and 19 MiB for some 20 ms, is never waited for by more than so many.
*/
#ifndef PAGE_POOL_H
#define PAGE_POOL_H

#include "ask.h"

#include <stdbool.h>

enum {
    POOL_QUEUE = 128,
    POOL_PATIENCE = 5000           /* milliseconds that a connection waits for another process that writes */
};

struct pool;

/* Starts `threads`; `work` is called in them.  NULL without memory or threads. */
struct pool *pool_start(const char *database, int threads, void (*work)(void *job, struct desk *desk));

/* false: the queue is full, or nothing is taken any more. */
bool pool_put(struct pool *pool, void *job);

/* Takes nothing more, and returns when all that is queued is done. */
void pool_drain(struct pool *pool);

/* Drains and frees it. */
void pool_stop(struct pool *pool);

#endif
