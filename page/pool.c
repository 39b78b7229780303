#include "pool.h"

#include <pthread.h>
#include <stdlib.h>

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    void *queue[POOL_QUEUE];
    int first, count;
    bool stops;
    void (*work)(void *job, struct desk *desk);
    int threads;
    struct worker {
        pthread_t thread;
        struct pool *pool;
        struct desk desk;
    } worker[];
};

/* The next job; NULL when there will be none. */
static void *pool_take(struct pool *pool)
{
    void *job = NULL;

    (void)pthread_mutex_lock(&pool->lock);
    while (pool->count == 0 && !pool->stops) (void)pthread_cond_wait(&pool->filled, &pool->lock);
    if (pool->count > 0) {
        job = pool->queue[pool->first];
        pool->first = (pool->first + 1) % POOL_QUEUE;
        pool->count--;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return job;
}

static void *worker_run(void *data)
{
    struct worker *worker = data;
    void *job;

    while ((job = pool_take(worker->pool)) != NULL) worker->pool->work(job, &worker->desk);
    return NULL;
}

struct pool *pool_start(const char *database, int threads, void (*work)(void *job, struct desk *desk))
{
    struct pool *pool = calloc(1, sizeof *pool + (size_t)threads * sizeof pool->worker[0]);

    if (pool == NULL) return NULL;
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->filled, NULL);
    pool->work = work;
    for (; pool->threads < threads; pool->threads++) {
        struct worker *worker = &pool->worker[pool->threads];
        worker->pool = pool;
        desk_begin(&worker->desk, database, POOL_PATIENCE);
        if (pthread_create(&worker->thread, NULL, worker_run, worker) == 0) continue;
        pool_stop(pool);
        return NULL;
    }
    return pool;
}

bool pool_put(struct pool *pool, void *job)
{
    bool room;

    (void)pthread_mutex_lock(&pool->lock);
    room = pool->count < POOL_QUEUE && !pool->stops;
    if (room) pool->queue[(pool->first + pool->count++) % POOL_QUEUE] = job;
    (void)pthread_cond_signal(&pool->filled);
    (void)pthread_mutex_unlock(&pool->lock);
    return room;
}

void pool_drain(struct pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    pool->stops = true;
    (void)pthread_cond_broadcast(&pool->filled);
    (void)pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->threads; i++) {
        (void)pthread_join(pool->worker[i].thread, NULL);
        desk_close(&pool->worker[i].desk);
    }
    pool->threads = 0;
}

void pool_stop(struct pool *pool)
{
    pool_drain(pool);
    (void)pthread_cond_destroy(&pool->filled);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool);
}
