/*
** What the two sides of a benchmark share: the floor, which is the same work as bare prepared
** statements, and ours, which is one call of the extension through SQL.
*/
#ifndef BENCH_H
#define BENCH_H

#include <sqlite3.h>
#include <stddef.h>

/*
** One benchmark on one side.  `run` prepares, calls bench_start() and does the work; it returns how
** many were done.  `count` comes from the command line, `sql` from the list.
*/
struct work {
    const char *name;
    sqlite3_int64 (*run)(sqlite3 *db, sqlite3_int64 count, const char *sql);
    const char *sql;
};

/* The sides; each list ends with a row without a name. */
extern const struct work floor_works[];
extern const struct work our_works[];
extern const struct work seed_works[];

/* The clock starts here; what comes before is not timed. */
void bench_start(void);

/* All of these end the program with a message when SQLite reports an error. */
void bench_check(sqlite3 *db, int code);
void bench_execute(sqlite3 *db, const char *sql);
sqlite3_stmt *bench_prepare(sqlite3 *db, const char *sql);
void bench_done(sqlite3_stmt *statement);      /* runs to its end and resets */
sqlite3_int64 bench_integer(sqlite3 *db, const char *sql);

/* Seconds since 1970. */
sqlite3_int64 bench_now(void);

/* Pseudo-random 64 bits of a number, the same in every run: stands for a hash where none is made. */
sqlite3_uint64 bench_mix(sqlite3_uint64 number);

/* The oldest 10,000 links come due, as they do: in the order they were handed over. */
void bench_due(sqlite3 *db);

/* Works that are a query: its value, its rows, its rows for `count` scattered patients as ?1. */
sqlite3_int64 bench_value(sqlite3 *db, sqlite3_int64 count, const char *sql);
sqlite3_int64 bench_list(sqlite3 *db, sqlite3_int64 count, const char *sql);
sqlite3_int64 bench_lookup(sqlite3 *db, sqlite3_int64 count, const char *sql);

/* The links made by "seed practice": ids and tokens, read ahead.  Never freed. */
struct link {
    sqlite3_int64 id;
    char token[33];
};
struct link *bench_links(sqlite3 *db, sqlite3_int64 *count);

#endif
