/*
** Threads for what may take long, each with a connection of its own, and a queue before them that ends:
** a request that finds it full is answered at once that it should come again.  So a hash of a password,
** which takes a processor and 19 MiB for some 20 ms, is never waited for by more than so many.
*/
#ifndef PAGE_POOL_H
#define PAGE_POOL_H

#include "ask.h"

#include <stdbool.h>

enum { POOL_QUEUE = 128 };

struct pool;

/* Starts `threads`; `work` is called in them.  NULL without memory or threads. */
struct pool *pool_start(const char *database, int threads, void (*work)(void *job, struct desk *desk));

/* false: the queue is full. */
bool pool_put(struct pool *pool, void *job);

/* Ends after what is queued. */
void pool_stop(struct pool *pool);

#endif
