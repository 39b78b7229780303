#include "fitting.h"

#include <string.h>

static const char find_table[] =
    "SELECT type, name FROM main.sqlite_schema WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE";
static const char active_access[] =
    "SELECT patient_id, identity FROM main.portal_access WHERE status = 'active'";
static const char strange_key[] =
    "SELECT typeof(patient_id) FROM main.patient WHERE typeof(patient_id) NOT IN ('integer', 'text', 'null') LIMIT 1";
static const char unread_births[] =
    "SELECT count(*), min(patient_id) FROM main.patient"
    " WHERE date_of_birth <> '' AND date(date_of_birth, '+0 days') IS NOT date_of_birth";
static const char unread_deaths[] =
    "SELECT count(*), min(patient_id) FROM main.patient"
    " WHERE deceased_on <> '' AND date(deceased_on, '+0 days') IS NOT deceased_on";
static const char twice[] =
    "SELECT count(*), min(patient_id) FROM"
    " (SELECT patient_id FROM main.patient WHERE patient_id IS NOT NULL GROUP BY 1 HAVING count(*) > 1)";
/* 3 is not '3' in a column without a type. */
static const char untyped[] =
    "SELECT count(*), min(patient_id) FROM main.patient"
    " WHERE typeof(patient_id) = 'integer' AND patient_id <> '' || patient_id";

/* The schema */

int fitting_there(struct portal *portal, const struct layout *layout)
{
    char *problem = NULL;
    int code = layout_problem(portal, layout, &problem);

    if (code != SQLITE_OK) return fault(portal, code);
    if (problem != NULL) code = refuse(portal, "%s", problem);
    sqlite3_free(problem);
    return code;
}

static int table_find(struct portal *portal, const struct layout *layout, bool *is_view)
{
    const char *table = layout->table;
    sqlite3_stmt *row = NULL;
    int code;

    if (sqlite3_strlike("portal\\_%", table, '\\') == 0 || sqlite3_strlike("sqlite\\_%", table, '\\') == 0) {
        return refuse(portal, "%s is no table of the practice's", table);
    }
    code = statement_row(portal, &row, find_table, "s", table);
    if (code == SQLITE_DONE) return refuse(portal, "there is no table or view %s in this database", table);
    if (code != SQLITE_ROW) return code;
    *is_view = statement_is(row, 0, "view");
    statement_done(portal, row);
    return fitting_there(portal, layout);
}

/* What a key is, as far as the table tells. */
struct key {
    const char *column;
    int keys;                /* columns of the primary key */
    bool primary;            /* it is one of them */
    bool unique;
    bool text;               /* without a default */
};

static int key_take(void *data, sqlite3_stmt *row)
{
    enum { NAME = 1, TYPE = 2, DEFAULT = 4, PRIMARY = 5 };
    static const char *const texts[] = {"%CHAR%", "%TEXT%", "%CLOB%", "%UUID%"};
    struct key *key = data;
    bool primary = sqlite3_column_int(row, PRIMARY) > 0;

    if (primary) key->keys++;
    if (sqlite3_stricmp(statement_string(row, NAME), key->column) != 0) return SQLITE_OK;
    key->primary = primary;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (sqlite3_strlike(texts[i], statement_string(row, TYPE), 0) == 0) key->text = true;
    }
    if (sqlite3_column_type(row, DEFAULT) != SQLITE_NULL) key->text = false;
    return SQLITE_OK;
}

static int pragma_prepare(struct portal *portal, const char *pragma, const char *name, sqlite3_stmt **out)
{
    char *sql = sqlite3_mprintf("PRAGMA main.%s(\"%w\")", pragma, name);
    int code = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(portal->db, sql, -1, out, NULL);

    sqlite3_free(sql);
    return code;
}

/* An index of this column alone. */
static int index_look(struct portal *portal, const char *index, struct key *key)
{
    sqlite3_stmt *row = NULL;
    bool same = false;
    int columns = 0;
    int code = pragma_prepare(portal, "index_info", index, &row);

    while (code == SQLITE_OK && (code = sqlite3_step(row)) == SQLITE_ROW) {
        columns++;
        same = sqlite3_stricmp(statement_string(row, 2), key->column) == 0;
        code = SQLITE_OK;
    }
    (void)sqlite3_finalize(row);
    if (columns == 1 && same) key->unique = true;
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int indexes_look(struct portal *portal, const char *table, struct key *key)
{
    enum { NAME = 1, UNIQUE = 2, PARTIAL = 4 };
    sqlite3_stmt *row = NULL;
    int code = pragma_prepare(portal, "index_list", table, &row);

    while (code == SQLITE_OK && (code = sqlite3_step(row)) == SQLITE_ROW) {
        bool usable = sqlite3_column_int(row, UNIQUE) != 0 && sqlite3_column_int(row, PARTIAL) == 0;
        code = usable ? index_look(portal, statement_string(row, NAME), key) : SQLITE_OK;
    }
    (void)sqlite3_finalize(row);
    return code == SQLITE_DONE ? SQLITE_OK : fault(portal, code);
}

static int key_check(struct portal *portal, struct layout *layout, bool key_chosen)
{
    struct layout_field *field = &layout->field[FIELD_patient_id];
    struct key key = {.column = field->column};
    int code = layout_columns(portal, layout, key_take, &key);

    if (code != SQLITE_OK) return code;
    key.unique = key.primary && key.keys == 1;
    if (!key.unique) code = indexes_look(portal, layout->table, &key);
    if (code == SQLITE_OK && !key.unique) {
        code = refuse(portal, "patient_id: %s of %s may be the same of two patients; choose the primary key, or add a "
                      "unique index", field->column, layout->table);
    }
    if (key.text && !key_chosen) field->format = format_find(FORMAT_KEY, "uuid");
    return code;
}

int fitting_check(struct portal *portal, struct layout *layout, bool key_chosen)
{
    bool is_view = false;
    int code = table_find(portal, layout, &is_view);

    /* The key of a view can not be proved: fitting_tell() looks at it. */
    if (code == SQLITE_OK && !is_view) code = key_check(portal, layout, key_chosen);
    return code == SQLITE_OK ? layout_look(portal, layout) : code;
}

/* The charts */

int fitting_known(struct portal *portal, sqlite3_int64 *count)
{
    const struct keyring *keyring = NULL;
    sqlite3_stmt *row = NULL;
    int code = connection_key(portal, &keyring);

    *count = 0;
    if (code == SQLITE_OK) code = statement_row(portal, &row, active_access, "");
    while (code == SQLITE_ROW) {
        struct patient_id id;
        struct patient patient;
        patient_id_from_column(row, 0, &id);
        code = patient_find_kept(portal, &id, &patient);
        if (code == SQLITE_ROW && patient_identity(keyring, &patient) == sqlite3_column_int64(row, 1)) ++*count;
        if (code == SQLITE_ROW || code == SQLITE_DONE) code = statement_next(portal, row);
    }
    statement_done(portal, row);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

int fitting_charts(struct portal *portal, sqlite3_int64 known)
{
    sqlite3_stmt *row = NULL;
    sqlite3_int64 still = 0;
    int code = statement_row(portal, &row, strange_key, "");

    if (code == SQLITE_ROW) {
        code = refuse(portal, "patient_id: %s has a value that is neither a whole number nor text (%s)",
                      layout_column(portal, FIELD_patient_id), statement_string(row, 0));
        statement_done(portal, row);
        return code;
    }
    if (code == SQLITE_DONE) code = fitting_known(portal, &still);
    if (code != SQLITE_OK || still >= known) return code;
    return refuse(portal, "%lld of %lld logins would lose their patient, whose key, first name or date of birth is "
                  "another one so; correct the mapping, or end their access with revoke_access() first",
                  known - still, known);
}

/* What is to be told. */
struct telling {
    struct portal *portal;
    fitting_found *found;
    void *data;
};

/* What a query counts, and the first patient of it. */
static int counted_tell(const struct telling *telling, const char *sql, const char *of, const char *what, const char *remedy)
{
    struct portal *portal = telling->portal;
    char name[PATIENT_ID_TEXT_SIZE];
    struct patient_id first;
    char *problem, *subject;
    sqlite3_int64 count;
    sqlite3_stmt *row = NULL;
    int code = statement_row(portal, &row, sql, "");

    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    count = sqlite3_column_int64(row, 0);
    patient_id_from_column(row, 1, &first);
    statement_done(portal, row);
    if (count == 0) return SQLITE_OK;
    problem = sqlite3_mprintf("%lld of %s %s", count, of, what);
    subject = sqlite3_mprintf("patient %s", patient_id_text(&first, name));
    code = problem == NULL || subject == NULL ? fault(portal, SQLITE_NOMEM)
                                              : telling->found(telling->data, problem, subject, remedy);
    sqlite3_free(problem);
    sqlite3_free(subject);
    return code;
}

static int dates_tell(const struct telling *telling, enum layout_field_id id, const char *sql)
{
    const struct layout_field *field = &telling->portal->layout->field[id];
    char what[80];

    if (field->column == NULL) return SQLITE_OK;
    (void)sqlite3_snprintf(sizeof what, what, "can not be read as %s", field->format->name);
    return counted_tell(telling, sql, field->column, what, "correct them, or their format with portal_map_patient()");
}

int fitting_tell(struct portal *portal, fitting_found *found, void *data)
{
    static const enum layout_field_id contacts[] = {FIELD_email, FIELD_cell_phone};
    struct telling telling = {portal, found, data};
    int code;

    if (portal->layout == NULL) return SQLITE_OK;
    code = dates_tell(&telling, FIELD_date_of_birth, unread_births);
    if (code == SQLITE_OK) code = dates_tell(&telling, FIELD_deceased_on, unread_deaths);
    if (code == SQLITE_OK) {
        code = counted_tell(&telling, twice, layout_column(portal, FIELD_patient_id), "are of several rows",
                            "have the view give each patient once");
    }
    if (code == SQLITE_OK) {
        code = counted_tell(&telling, untyped, layout_column(portal, FIELD_patient_id),
                            "are numbers without a type, not found by the command and by programs that bind text",
                            "have the view say CAST(... AS INTEGER), or the table's column be an INTEGER");
    }
    for (size_t i = 0; i < sizeof contacts / sizeof contacts[0] && code == SQLITE_OK; i++) {
        if (layout_has(portal, contacts[i])) continue;
        code = found(data, "no column is mapped, so that nothing can be sent there", layout_own_name((int)contacts[i]),
                     "add a column to the practice's table, and tell it with portal_map_patient()");
    }
    return code;
}
