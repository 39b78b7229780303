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
    FAULT_SYSTEM,       /* a system call of the extension's own, with fault_error */
    FAULT_SHORT,        /* write() takes half */
    FAULT_KINDS
};

extern const char *const fault_names[FAULT_KINDS];

/* From now on the n-th operation of a kind fails, and those after it when it is to last. */
void fault_arm(enum fault_kind kind, long n, bool lasts);

/* Nothing fails any more.  How many operations of the kind there were. */
long fault_disarm(void);

/* True when no allocation before the n-th that was counted came from the same place in the program. */
bool fault_is_fresh(long n);

/* While the test itself uses what can fail. */
void fault_pause(bool pause);

/* Asked by whatever can fail. */
bool fault_strikes(enum fault_kind kind);

/* Before SQLite or libsodium do anything: makes their memory and randomness ours. */
int fault_prepare(void);

/* system.c: the system calls that the extension makes itself. */
extern int fault_error;             /* what errno gets */
extern bool fault_spared_draft;     /* unlink() was made to fail: something may be left over */
extern bool folder_synced;          /* fsync() of a folder */

/* memory_vfs.c, memory_files.c: files in memory, the default VFS; its clock stands still. */

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

/* stage.c: a database to try a call on. */

enum fault_journal { JOURNAL_ROLLBACK, JOURNAL_WAL };

#define KEPT_KEY "kept.key"
#define STAGE_KEY "practice.key"        /* PORTAL_KEY_FILE: a file on the disk */

enum { ANSWER_SIZE = 2048 };

/* What a call did. */
struct outcome {
    int code;
    char message[256];
    char answer[ANSWER_SIZE];   /* all rows; as much as there is room for */
    sqlite3_uint64 hash;        /* of all of it */
};

/* Makes the database of a case, unless it is there.  False when that fails; then it is noted. */
bool stage_set(const struct fault_case *fault_case, enum fault_journal journal);

/* Everything is as stage_set() left it. */
void stage_restore(void);
void stage_clear(void);

/* A connection with the extension. */
sqlite3 *stage_open(void);

/* Runs one statement to its end, @names bound. */
void stage_run(sqlite3 *db, const char *sql, struct outcome *outcome);

/* True when it says nothing but this. */
bool stage_tells(sqlite3 *db, const char *sql, const char *expected);

/* The state of the files as they are, read by somebody else. */
bool stage_look(struct state *state);

/* The first thing that went wrong is kept. */
void problem_forget(void);
void problem_note(const char *format, ...);
const char *problem_first(void);        /* NULL for none */

/* plan.c: which faults are tried. */

/* What is to fail, from when on. */
struct plan {
    enum fault_kind kind;
    bool lasts;
    long n;
    int error;              /* of a system call */
};

/* Calls `fail` with all faults, or with some; it says whether there was anything to fail. */
void each_plan(bool all, long (*operations)(enum fault_kind kind, void *data),
               bool (*fail)(const struct plan *plan, void *data), void *data);

void plan_arm(const struct plan *plan);

/* What is wrong with how a call failed, or NULL: the error says what did. */
const char *plan_problem(const struct plan *plan, const struct outcome *outcome);

/* Keeps a problem, in words. */
void plan_note(const struct plan *plan, const char *problem, const struct outcome *outcome,
               const char *changed);

/* sweep.c */

struct fault_call {
    const struct fault_case *fault_case;
    const char *sql;
    bool in_transaction;
    enum fault_journal journal;
};

/* Puts one call through every fault, all of them or some.  NULL, or the first thing that went wrong. */
const char *sweep(const struct fault_call *call, bool all);

/* deliveries.c */

extern const struct fault_case delivery_cases[];

/* The same for a call that hands messages over to the Maildir. */
const char *sweep_delivery(const struct fault_case *row, enum fault_journal journal, bool all);

/* findings.c */

extern const struct fault_case finding_cases[];

/* A statement that refuses or finds something, while allocations fail. */
const char *sweep_finding(const struct fault_case *row, enum fault_journal journal, bool all);

#endif
