/*
** Runs one benchmark on one side:
**
**     build/bench/bench seed patients /var/tmp/practice.db 100000
**     build/bench/bench floor send /var/tmp/practice.db
**     build/bench/bench ours send /var/tmp/practice.db
**
** Prints seconds, how many were done, and KiB of memory over the page cache at its peak.  A side that
** writes wants a fresh copy of the database and its key file; tests/bench/run sees to that:
**
**     make bench-build && tests/bench/run --sides floor,ours --rounds 3 send
*/
#include "bench.h"

#include "embedded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static struct timespec started;

void bench_start(void)
{
    (void)clock_gettime(CLOCK_MONOTONIC, &started);
}

static double elapsed(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - started.tv_sec) + (double)(now.tv_nsec - started.tv_nsec) / 1e9;
}

void bench_check(sqlite3 *db, int code)
{
    if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE) return;
    (void)fprintf(stderr, "bench: %s\n", db == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(db));
    exit(1);
}

void bench_execute(sqlite3 *db, const char *sql)
{
    bench_check(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

sqlite3_stmt *bench_prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;

    bench_check(db, sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL));
    return statement;
}

void bench_done(sqlite3_stmt *statement)
{
    while (sqlite3_step(statement) == SQLITE_ROW) {}
    bench_check(sqlite3_db_handle(statement), sqlite3_reset(statement));
}

sqlite3_int64 bench_integer(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = bench_prepare(db, sql);
    sqlite3_int64 value;

    bench_check(db, sqlite3_step(statement));
    value = sqlite3_column_int64(statement, 0);
    bench_check(db, sqlite3_finalize(statement));
    return value;
}

sqlite3_int64 bench_now(void)
{
    return (sqlite3_int64)time(NULL);
}

/* splitmix64. */
sqlite3_uint64 bench_mix(sqlite3_uint64 number)
{
    number += 0x9e3779b97f4a7c15u;
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9u;
    number = (number ^ number >> 27) * 0x94d049bb133111ebu;
    return number ^ number >> 31;
}

void bench_due(sqlite3 *db)
{
    bench_execute(db, "UPDATE portal_registration SET status = 'live', ended_at = NULL,"
                      " expires_at = unixepoch() - 60 WHERE registration_id <= 10000");
    bench_execute(db, "PRAGMA wal_checkpoint(truncate)");
}

sqlite3_int64 bench_value(sqlite3 *db, sqlite3_int64 count, const char *sql)
{
    (void)count;
    return bench_integer(db, sql);
}

sqlite3_int64 bench_list(sqlite3 *db, sqlite3_int64 count, const char *sql)
{
    sqlite3_stmt *query = bench_prepare(db, sql);

    for (count = 0; sqlite3_step(query) == SQLITE_ROW;) count++;
    bench_check(db, sqlite3_finalize(query));
    return count;
}

/* Every fourth patient has accounts and requests; those are asked for. */
sqlite3_int64 bench_lookup(sqlite3 *db, sqlite3_int64 count, const char *sql)
{
    sqlite3_stmt *query = bench_prepare(db, sql);
    sqlite3_int64 fourths = bench_integer(db, "SELECT max(patient_id) / 4 FROM patient");
    sqlite3_int64 rows = 0;

    bench_start();
    for (sqlite3_int64 i = 0; i < count; i++) {
        sqlite3_uint64 fourth = bench_mix((sqlite3_uint64)i) % (sqlite3_uint64)fourths;
        bench_check(db, sqlite3_bind_int64(query, 1, 4 * (sqlite3_int64)fourth + 1));
        while (sqlite3_step(query) == SQLITE_ROW) rows++;
        bench_check(db, sqlite3_reset(query));
    }
    return rows;
}

struct link *bench_links(sqlite3 *db, sqlite3_int64 *count)
{
    sqlite3_int64 total = bench_integer(db, "SELECT count(*) FROM bench_link");
    struct link *links = calloc((size_t)total + 1, sizeof *links);
    sqlite3_stmt *statement = bench_prepare(db, "SELECT registration_id, token FROM bench_scattered");

    if (links == NULL) bench_check(NULL, SQLITE_NOMEM);
    for (*count = 0; sqlite3_step(statement) == SQLITE_ROW; ++*count) {
        links[*count].id = sqlite3_column_int64(statement, 0);
        (void)snprintf(links[*count].token, sizeof links->token, "%s",
                       (const char *)sqlite3_column_text(statement, 1));
    }
    bench_check(db, sqlite3_finalize(statement));
    return links;
}

/* A query of the extension's own as a view on the bare tables; ?1 in it is the time. */
static void make_view(sqlite3 *db, const char *name, const char *file)
{
    sqlite3_stmt *text = bench_prepare(
        db, "SELECT 'CREATE TEMP VIEW ' || ?1 || ' AS ' || replace(?2, '?1', unixepoch())");

    bench_check(db, sqlite3_bind_text(text, 1, name, -1, SQLITE_STATIC));
    bench_check(db, sqlite3_bind_text(text, 2, embedded_find(file), -1, SQLITE_STATIC));
    bench_check(db, sqlite3_step(text));
    bench_execute(db, (const char *)sqlite3_column_text(text, 0));
    bench_check(db, sqlite3_finalize(text));
}

/* The extension under test; BENCH_EXTENSION names another build. */
static void load_extension(sqlite3 *db)
{
    const char *extension = getenv("BENCH_EXTENSION");

    bench_check(db, sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL));
    bench_check(db, sqlite3_load_extension(db, extension == NULL ? "build/portal" : extension, NULL,
                                           NULL));
}

/* As an application sets it up: WAL, and a page cache of 64 MiB.  Seeds are not timed. */
static sqlite3 *open_database(const char *side, const char *path)
{
    sqlite3 *db = NULL;

    bench_check(db, sqlite3_open(path, &db));
    bench_execute(db, "PRAGMA journal_mode = wal; PRAGMA synchronous = normal;"
                      "PRAGMA cache_size = -65536");
    if (strcmp(side, "seed") == 0) {
        bench_execute(db, "PRAGMA synchronous = off; PRAGMA cache_size = -1048576");
    }
    if (strcmp(side, "floor") != 0) {
        load_extension(db);
    } else {
        make_view(db, "bench_status", "status.sql");
        make_view(db, "bench_pending", "pending.sql");
    }
    return db;
}

static long memory_over_cache(sqlite3 *db)
{
    struct rusage usage;
    int cache = 0;
    int peak = 0;

    (void)getrusage(RUSAGE_SELF, &usage);
    bench_check(db, sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_USED, &cache, &peak, 0));
    return usage.ru_maxrss - cache / 1024;
}

static const struct work *find(const char *side, const char *name)
{
    static const struct { const char *side; const struct work *works; } sides[] = {
        {"floor", floor_works}, {"ours", our_works}, {"seed", seed_works},
    };

    for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
        const struct work *work = sides[i].works;
        if (strcmp(sides[i].side, side) != 0) continue;
        while (work->name != NULL && strcmp(work->name, name) != 0) work++;
        return work->name == NULL ? NULL : work;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const struct work *work = argc < 4 ? NULL : find(argv[1], argv[2]);
    sqlite3 *db;
    sqlite3_int64 done;
    double seconds;

    if (work == NULL) {
        (void)fprintf(stderr, "usage: bench floor|ours|seed NAME DATABASE [COUNT]\n");
        return 2;
    }
    db = open_database(argv[1], argv[3]);
    bench_start();
    done = work->run(db, argc > 4 ? strtoll(argv[4], NULL, 10) : 0, work->sql);
    seconds = elapsed();
    (void)printf("%.6f %lld %ld\n", seconds, done, memory_over_cache(db));
    return sqlite3_close_v2(db) == SQLITE_OK ? 0 : 1;
}
