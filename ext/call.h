/*
** Calls: every SQL function is a row of a list, and every call goes one way: who may, is the
** database ready, the write, then the hand-over and the answer.
*/
#ifndef PORTAL_CALL_H
#define PORTAL_CALL_H

#include "patient.h"

enum call_flag {
    CALL_WRITES = 1,        /* runs within a scope */
    CALL_GUESSES = 2,       /* checks a guess: scopes of its own, never inside a transaction */
    CALL_UNLOCKED = 4,      /* uses the network: no lock may be held */
    CALL_QUEUES = 8,        /* leaves what it queues to the next delivery */
    CALL_BARE = 16,         /* needs no settings; looks at the portal's tables itself, if at all */
    CALL_ACTION = 32,       /* a staff action: also an insertable table; refusals are audited */
    CALL_AUDITED = 64,      /* no action, but a refusal is audited all the same */
    CALL_ALONE = 128        /* does what no ROLLBACK undoes: no lock may be held */
};

enum answer { ANSWER_NULL, ANSWER_INTEGER, ANSWER_TEXT, ANSWER_BLOB, ANSWER_PATIENT };

struct call {
    struct portal *portal;
    int argc;
    sqlite3_value **argv;
    /* Between act() and answer(). */
    struct patient_id patient;
    sqlite3_int64 id;
    bool flag;
    /* What comes out. */
    enum answer answer;
    sqlite3_int64 integer;
    char *text;             /* ANSWER_TEXT and, of `integer` bytes, ANSWER_BLOB; sqlite3_malloc'd */
};

struct function {
    const char *name;
    const char *arguments;  /* names, "a, b [, c]" */
    int least, most;        /* how many */
    unsigned allowed;       /* applications, as bits; 0 would be nobody */
    unsigned flags;
    const char *result;
    const char *description;
    int (*act)(struct call *call);
    /*
    ** Looked at before the write lock is taken, so that nonsense costs a hash: SQLITE_DONE when the
    ** call is answered already.  May be NULL.
    */
    int (*before)(struct call *call);
    int (*say)(struct call *call);   /* the answer, after the write and the hand-over; or NULL */
};

/* The lists: ext/staff.c, ext/person.c, ext/running.c.  Each ends with a row without a name. */
extern const struct function staff_functions[];
extern const struct function person_functions[];
extern const struct function running_functions[];

/* The index-th function of all lists, NULL past the end. */
const struct function *call_function(int index);

/*
** Runs a call.  `inserting` for the insert forms: within a writing statement, no hand-over, no answer.
** SQLITE_OK, REFUSED or an error code, with the connection's error set.
*/
int call_run(const struct function *function, struct call *call, bool inserting);

/* REFUSED, audited when it can be, for an application that may not use `name`. */
int call_permit(struct portal *portal, const char *name, unsigned allowed);

/* Registers all functions, and the insertable tables of the actions. */
int call_register(struct portal *portal);

/*
** Arguments.  Each is checked for its type; text must be valid UTF-8 without a NUL and at most
** CALL_TEXT_MAX bytes.  The texts live as long as the call.  A missing argument counts as NULL.
*/
enum { CALL_TEXT_MAX = 4096, CALL_JSON_MAX = 65536 };

int call_patient(struct call *call, int index);                       /* into call->patient */
int call_text(struct call *call, int index, const char *name, const char **text);
int call_text_or_null(struct call *call, int index, const char *name, const char **text);
int call_integer(struct call *call, int index, const char *name, sqlite3_int64 *value);
int call_medium(struct call *call, int index, int media, enum medium *medium);   /* email, text, sms, print: of these */

/*
** A text that a patient typed, however long: *text is "" for NULL or invalid text, which no check
** will take for right; blobs are misuse.
*/
int call_typed(struct call *call, int index, const char *name, const char **text);

/* Sets the answer. */
int answer_text(struct call *call, const char *format, ...);
int answer_integer(struct call *call, sqlite3_int64 value);

#endif
