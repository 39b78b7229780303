/*
** What the fault tests share: which operation fails, where the database lies meanwhile, what a
** state of it is, and the calls that are put through it.
*/
#ifndef FAULT_H
#define FAULT_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

/* inject.c: which operation fails. */

enum fault_kind {
    FAULT_ALLOCATION,
    FAULT_READ,
    FAULT_WRITE,        /* half of it is written */
    FAULT_FULL,         /* of the writes that make a file longer */
    FAULT_SYNC,
    FAULT_TRUNCATE,
    FAULT_OPEN,
    FAULT_DELETE,
    FAULT_SHARED,       /* the shared memory of a WAL */
    FAULT_KINDS
};

extern const char *const fault_names[FAULT_KINDS];

/* From now on the n-th operation of a kind fails, and those after it when it is to last. */
void fault_arm(enum fault_kind kind, long n, bool lasts);

/* Nothing fails any more.  How many operations of the kind there were. */
long fault_disarm(void);

/* While the test itself uses what can fail. */
void fault_pause(bool pause);

/* Asked by whatever can fail. */
bool fault_strikes(enum fault_kind kind);

/* Before SQLite or libsodium do anything: makes their memory and randomness ours. */
int fault_prepare(void);

/* memory_vfs.c: files in memory, the default VFS; its clock stands still. */

int memory_vfs_register(void);
enum { MEMORY_START = 1795357200 };     /* 2026-11-22 14:20:00 UTC */
extern sqlite3_int64 memory_clock;      /* seconds since 1970 */

/* All files as they are at a moment. */
struct files;
struct files *files_copy(void);
/* No file may be open; NULL for no files. */
void files_restore(const struct files *files);
void files_free(struct files *files);
/* Files that somebody has open. */
int files_open(void);
/* Called whenever a write lock was given back: the database is as a commit left it. */
extern void (*files_committed)(void);

/* state.c: what is in a database. */

enum { STATE_TABLES = 40 };

struct state {
    int count;
    struct {
        char name[48];
        sqlite3_uint64 hash;
    } table[STATE_TABLES];
};

/* False when the database can not be read. */
bool state_read(sqlite3 *db, struct state *state);
bool state_same(const struct state *a, const struct state *b);
/* Names of the tables that differ. */
void state_difference(const struct state *a, const struct state *b, char *out, size_t size);

/* cases.c: the calls. */

struct fault_case {
    const char *name;        /* a function, or a table */
    const char *arguments;   /* SQL; :name is a row of the table scene */
    const char *more;        /* another row for the insert form, or NULL */
    const char *set_up;      /* after the scene, or NULL */
    bool empty;              /* no scene: a database without any table, no key file */
    const char *alternative; /* another answer that is right under a fault, and why it is */
};

extern const struct fault_case fault_cases[];

/* What everybody's database holds: SQL to run, NULL at the end. */
extern const char *const scene[];

/* sweep.c */

enum fault_journal { JOURNAL_ROLLBACK, JOURNAL_WAL };

struct fault_call {
    const struct fault_case *fault_case;
    const char *sql;
    bool in_transaction;
    enum fault_journal journal;
};

/* Puts one call through every fault, all of them or some.  NULL, or the first thing that went wrong. */
const char *sweep(const struct fault_call *call, bool all);

/* Frees what is kept from call to call. */
void sweep_end(void);

#endif
