#include "guard.h"

#include <pthread.h>
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/*
** A client has one of eight places, which a key chooses that nobody knows.  When all are taken it gets the one of who
** has most left: nobody gets rid of a limit by coming from many addresses, or is kept out by chance.
*/
enum { SETS = 1024, WAYS = 8, MINUTE = 60 };

struct place {
    uint64_t client;
    double left;                   /* forms it may send now */
    time_t at;                     /* when that was so */
};

struct guard_connection {
    int socket;
    time_t end;
    struct guard_connection *before, *after;
};

struct guard {
    pthread_mutex_t lock;
    pthread_cond_t stopping;
    pthread_t watch;
    bool stops;
    int posts_per_minute;
    int patience_seconds;
    unsigned char key[crypto_shorthash_KEYBYTES];
    struct guard_connection *first;
    struct place place[SETS][WAYS];
};

static time_t now(void)
{
    struct timespec clock;

    (void)clock_gettime(CLOCK_MONOTONIC, &clock);
    return clock.tv_sec;
}

/* Connections that took too long are shut down; the web server sees their end, and closes them. */
static void late_end(struct guard *guard)
{
    time_t time = now();

    for (struct guard_connection *each = guard->first; each != NULL; each = each->after) {
        if (each->end < time) (void)shutdown(each->socket, SHUT_RDWR);
    }
}

static void *watch(void *data)
{
    struct guard *guard = data;

    (void)pthread_mutex_lock(&guard->lock);
    while (!guard->stops) {
        struct timespec second;
        (void)clock_gettime(CLOCK_MONOTONIC, &second);
        second.tv_sec++;
        (void)pthread_cond_clockwait(&guard->stopping, &guard->lock, CLOCK_MONOTONIC, &second);
        late_end(guard);
    }
    (void)pthread_mutex_unlock(&guard->lock);
    return NULL;
}

struct guard *guard_start(int posts_per_minute, int patience_seconds)
{
    struct guard *guard = calloc(1, sizeof *guard);

    if (guard == NULL) return NULL;
    guard->posts_per_minute = posts_per_minute;
    guard->patience_seconds = patience_seconds;
    randombytes_buf(guard->key, sizeof guard->key);
    (void)pthread_mutex_init(&guard->lock, NULL);
    (void)pthread_cond_init(&guard->stopping, NULL);
    if (pthread_create(&guard->watch, NULL, watch, guard) == 0) return guard;
    free(guard);
    return NULL;
}

void guard_stop(struct guard *guard)
{
    (void)pthread_mutex_lock(&guard->lock);
    guard->stops = true;
    (void)pthread_cond_signal(&guard->stopping);
    (void)pthread_mutex_unlock(&guard->lock);
    (void)pthread_join(guard->watch, NULL);
    while (guard->first != NULL) guard_leave(guard, guard->first);
    free(guard);
}

/* The client's place, or the one it takes over; what is left in each is as of now. */
static struct place *place_find(struct guard *guard, uint64_t client)
{
    struct place *set = guard->place[client % SETS];
    struct place *fullest = set;
    double most = guard->posts_per_minute;
    time_t time = now();

    for (struct place *place = set; place < set + WAYS; place++) {
        place->left += (double)(time - place->at) * most / MINUTE;
        if (place->left > most) place->left = most;
        place->at = time;
        if (place->client == client) return place;
        if (place->left > fullest->left) fullest = place;
    }
    *fullest = (struct place){client, most, time};
    return fullest;
}

bool guard_admits(struct guard *guard, const char *client, int forms)
{
    uint64_t hash;
    struct place *place;
    bool admitted;

    (void)crypto_shorthash((unsigned char *)&hash, (const unsigned char *)client, strlen(client), guard->key);
    (void)pthread_mutex_lock(&guard->lock);
    place = place_find(guard, hash);
    admitted = place->left >= 1;
    if (admitted) place->left -= forms;
    (void)pthread_mutex_unlock(&guard->lock);
    return admitted;
}

struct guard_connection *guard_enter(struct guard *guard, int socket)
{
    struct guard_connection *connection = calloc(1, sizeof *connection);

    if (connection == NULL) return NULL;
    connection->socket = socket;
    connection->end = now() + guard->patience_seconds;
    (void)pthread_mutex_lock(&guard->lock);
    connection->after = guard->first;
    if (guard->first != NULL) guard->first->before = connection;
    guard->first = connection;
    (void)pthread_mutex_unlock(&guard->lock);
    return connection;
}

void guard_renew(struct guard *guard, struct guard_connection *connection)
{
    if (connection == NULL) return;
    (void)pthread_mutex_lock(&guard->lock);
    connection->end = now() + guard->patience_seconds;
    (void)pthread_mutex_unlock(&guard->lock);
}

void guard_leave(struct guard *guard, struct guard_connection *connection)
{
    if (connection == NULL) return;
    (void)pthread_mutex_lock(&guard->lock);
    if (connection->before != NULL) connection->before->after = connection->after;
    else guard->first = connection->after;
    if (connection->after != NULL) connection->after->before = connection->before;
    (void)pthread_mutex_unlock(&guard->lock);
    free(connection);
}
