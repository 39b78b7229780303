/* portal deliver: once, or as a service that hands over whatever any process queues. */
#include "command.h"

#include "handover.h"

#include <errno.h>
#include <stddef.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* A look costs one page of the database, from the cache of the system. */
enum { LOOK_MILLISECONDS = 250 };

/* Once, because MATERIALIZED. */
static const char once[] =
    "WITH delivered (answer) AS MATERIALIZED (SELECT deliver())"
    " SELECT answer ->> 'sent' AS sent, answer ->> 'failed' AS failed, answer ->> 'retrying' AS retrying,"
    "        answer ->> 'waiting' AS waiting, answer ->> 'stopped' AS stopped FROM delivered";
static const char version[] = "PRAGMA data_version";
static const char next_due[] = "SELECT min(due_at) - unixepoch() FROM portal_message WHERE due_at IS NOT NULL";

struct watch {
    struct practice *practice;
    sqlite3_int64 version;         /* of the database, when it was last looked at */
    struct stat file;
    char told[400];                /* the newest trouble: told once */
};

/* sd_notify(3): a datagram to the socket that the service manager names.  Nobody has to listen. */
static void notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int manager;

    if (path == NULL || strlen(path) >= sizeof address.sun_path) return;
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (manager < 0) return;
    memcpy(address.sun_path, path, strlen(path));
    if (*path == '@') address.sun_path[0] = '\0';
    (void)sendto(manager, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
    (void)close(manager);
}

static void trouble(struct watch *watch, const char *words)
{
    if (strcmp(watch->told, words) == 0) return;
    (void)snprintf(watch->told, sizeof watch->told, "%s", words);
    if (*words != '\0') (void)fprintf(stderr, "portal: %s\n", words);
}

/* SQLITE_ROW and the integer, or what keeps it from being read. */
static int integer(struct watch *watch, const char *sql, sqlite3_int64 *value, bool *is_null)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(watch->practice->db, sql, -1, &statement, NULL);

    if (code == SQLITE_OK) code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *value = sqlite3_column_int64(statement, 0);
        *is_null = sqlite3_column_type(statement, 0) == SQLITE_NULL;
    } else {
        trouble(watch, sqlite3_errmsg(watch->practice->db));
    }
    (void)sqlite3_finalize(statement);
    return code;
}

/* Something was written since the last look, or the time of a message has come. */
static bool is_due(struct watch *watch)
{
    sqlite3_int64 now = 0;
    sqlite3_int64 left = 0;
    bool is_null = false;

    if (integer(watch, version, &now, &is_null) != SQLITE_ROW) return false;
    if (now != watch->version) {
        watch->version = now;
        return true;
    }
    return integer(watch, next_due, &left, &is_null) == SQLITE_ROW && !is_null && left <= 0;
}

static void hand_over(struct watch *watch)
{
    sqlite3_stmt *statement = practice_prepare(watch->practice, once);
    int code;

    if (statement == NULL) return;
    code = practice_step(watch->practice, statement);
    if (code != SQLITE_ROW) {
        trouble(watch, sqlite3_errmsg(watch->practice->db));
    } else {
        const char *stopped = (const char *)sqlite3_column_text(statement, 4);
        trouble(watch, stopped == NULL ? "" : stopped);
        if (sqlite3_column_int(statement, 0) + sqlite3_column_int(statement, 1) + sqlite3_column_int(statement, 2) > 0) {
            (void)printf("sent %d, failed %d, to be tried again %d, waiting %d\n", sqlite3_column_int(statement, 0),
                         sqlite3_column_int(statement, 1), sqlite3_column_int(statement, 2),
                         sqlite3_column_int(statement, 3));
            (void)fflush(stdout);
        }
    }
    (void)sqlite3_finalize(statement);
}

/* The file at the path is another one now: a backup was put back. */
static bool is_replaced(struct watch *watch)
{
    struct stat file;

    return stat(watch->practice->path, &file) == 0 &&
           (file.st_dev != watch->file.st_dev || file.st_ino != watch->file.st_ino);
}

static int watch_begin(struct watch *watch)
{
    watch->version = -1;
    if (stat(watch->practice->path, &watch->file) == 0) return EXIT_DONE;
    (void)fprintf(stderr, "portal: %s: %s\n", watch->practice->path, strerror(errno));
    return EXIT_DATABASE;
}

static int watch_run(struct practice *practice)
{
    static const struct timespec pause = {0, LOOK_MILLISECONDS * 1000000L};
    struct watch watch = {.practice = practice};
    int code = watch_begin(&watch);

    if (code == EXIT_DONE) notify("READY=1");
    while (code == EXIT_DONE && !practice_is_interrupted()) {
        if (is_replaced(&watch)) {
            practice_close(practice);
            code = practice_open(practice, practice->path, NULL, NEEDS_PORTAL);
            if (code == EXIT_DONE) code = watch_begin(&watch);
        } else if (is_due(&watch)) {
            hand_over(&watch);
        } else {
            (void)nanosleep(&pause, NULL);
        }
    }
    notify("STOPPING=1");
    return code;
}

int deliver_run(struct invocation *invocation)
{
    const char *limit = command_value(invocation, "limit");

    if (command_value(invocation, "watch") != NULL) return watch_run(&invocation->practice);
    return handover_run(&invocation->practice, limit == NULL ? 0 : strtoll(limit, NULL, 10), stdout, invocation->form);
}
