/*
** The layout of the chart: in which table the practice keeps its patients, which of its columns is which
** field of ours, and how each is written there.  portal_mapping holds it; without rows there it is the
** table patient under our own names, and portal->layout is NULL.
**
** All SQL says main.patient and our names.  Where a practice's own table is mapped, a subquery that
** gives it our names takes that place when the SQL is prepared; SQLite flattens it, so that the indexes
** of the practice's table are used.
*/
#ifndef PORTAL_LAYOUT_H
#define PORTAL_LAYOUT_H

#include "format.h"

#include <stdbool.h>

struct portal;

/* Our fields, in the order of a form; after them come the practice's own. */
#define LAYOUT_LIST(FIELD) \
    FIELD(patient_id, FORMAT_KEY) \
    FIELD(first_name, FORMAT_TEXT) \
    FIELD(last_name, FORMAT_TEXT) \
    FIELD(date_of_birth, FORMAT_DATE) \
    FIELD(sex, FORMAT_TEXT) \
    FIELD(email, FORMAT_TEXT) \
    FIELD(cell_phone, FORMAT_TEXT) \
    FIELD(home_phone, FORMAT_TEXT) \
    FIELD(address_line1, FORMAT_TEXT) \
    FIELD(address_line2, FORMAT_TEXT) \
    FIELD(city, FORMAT_TEXT) \
    FIELD(state, FORMAT_TEXT) \
    FIELD(postal_code, FORMAT_TEXT) \
    FIELD(preferred_language, FORMAT_LANGUAGE) \
    FIELD(email_consent, FORMAT_FLAG) \
    FIELD(text_consent, FORMAT_FLAG) \
    FIELD(phr_active, FORMAT_FLAG) \
    FIELD(active, FORMAT_FLAG) \
    FIELD(deceased_on, FORMAT_DATE)

enum layout_field_id {
#define LAYOUT_ENUM(name, kind) FIELD_##name,
    LAYOUT_LIST(LAYOUT_ENUM)
#undef LAYOUT_ENUM
    FIELD_COUNT
};

/* The first ones must have a column: without them nobody is proved to be anybody. */
enum { FIELD_REQUIRED = FIELD_date_of_birth + 1 };

enum { LAYOUT_NAME_SIZE = 40, LAYOUT_OWN_MAX = 40 };

/* What Quick Add knows of a patient: neither contact, or one. */
enum layout_insert { LAYOUT_INSERT_BARE, LAYOUT_INSERT_EMAIL, LAYOUT_INSERT_TEXT, LAYOUT_INSERTS };

struct layout_field {
    char name[LAYOUT_NAME_SIZE];    /* ours, or what the practice calls it */
    char *column;                   /* the practice's; NULL: there is none */
    const struct format *format;
    bool requests;                  /* a patient may ask to change it */
    bool generated, not_null;       /* as the practice's table has it */
    char *read;                     /* of one that a patient may ask to change: SQL for the patient ?1 */
    char *write;                    /* the same with the new value, ?2 */
};

struct layout {
    char *table;
    int count;                      /* of fields: FIELD_COUNT, and those of the practice's own */
    struct layout_field field[FIELD_COUNT + LAYOUT_OWN_MAX];
    char *from;                     /* what stands for main.patient */
    char *insert[LAYOUT_INSERTS];   /* Quick Add's, with its parameters as in patient.c */
    char *problem;                  /* what is wrong with the rows, so that it can not be used */
};

/* An empty one, whose fields have no columns yet.  NULL without memory. */
struct layout *layout_new(void);
void layout_free(struct layout *layout);

/* The field of a name, made when it is new; NULL for what is no name, and for one too many. */
struct layout_field *layout_place(struct layout *layout, const char *name);

/* Finds which of its columns the database computes, and which take no NULL.  SQLITE_OK or an error code. */
int layout_look(struct portal *portal, struct layout *layout);

/* Makes the SQL of one that has its table and its columns.  SQLITE_OK or an error code. */
int layout_make(struct portal *portal, struct layout *layout);

/* Puts a layout (or NULL) in force on this connection; what was prepared for the one before is forgotten. */
void layout_use(struct portal *portal, struct layout *layout);

/* Puts in force what portal_mapping says. */
int layout_load(struct portal *portal);

/* Calls take() with every row of PRAGMA table_xinfo() of the practice's table. */
int layout_columns(struct portal *portal, const struct layout *layout, int (*take)(void *data, sqlite3_stmt *row),
                   void *data);

/* True for SQL that reads the chart. */
bool layout_concerns(const char *sql);

/*
** SQL as it is to be prepared, sqlite3_free(); NULL without memory.  In the place of
**   main.patient            stands the subquery,
**   date_of_birth = ?N      what an index on the practice's column can serve,
**   own fields of p         (as a comment) a WHEN for each field of the practice's own.
*/
char *layout_expand(const struct layout *layout, const char *sql);

/*
** What of a layout (or NULL) is not there in the database as it is now, sqlite3_free(); NULL when all is.  The remedy
** is always the same.  SQLITE_OK or SQLITE_NOMEM.
*/
extern const char layout_remedy[];
int layout_problem(struct portal *portal, const struct layout *layout, char **problem);

/* A field of ours by its name, -1 when there is none; its name; what a field's values are. */
int layout_own(const char *name);
const char *layout_own_name(int index);
enum format_kind layout_kind(const struct layout_field *field);

/* A field as it is mapped; NULL without a mapping, or without a column for it. */
const struct layout_field *layout_field(const struct portal *portal, const char *name);

/* False when there is a mapping without a column for the field. */
bool layout_has(const struct portal *portal, enum layout_field_id field);

/* How staff know the table, the column, and what is in it: for sentences. */
const char *layout_table(const struct portal *portal);
const char *layout_column(const struct portal *portal, enum layout_field_id field);
const struct format *layout_format(const struct portal *portal, enum layout_field_id field);

#endif
