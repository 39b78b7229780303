#include "fault.h"

#include <stdio.h>
#include <string.h>

static sqlite3_uint64 hash_bytes(sqlite3_uint64 hash, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < size; i++) hash = (hash ^ at[i]) * 1099511628211u;    /* FNV-1a */
    return hash;
}

static sqlite3_uint64 hash_row(sqlite3_uint64 hash, sqlite3_stmt *statement)
{
    for (int i = 0; i < sqlite3_column_count(statement); i++) {
        int type = sqlite3_column_type(statement, i);
        const void *bytes = type == SQLITE_BLOB ? sqlite3_column_blob(statement, i)
                                                : sqlite3_column_text(statement, i);
        /* A random number that only has to be another one each time. */
        if (strcmp(sqlite3_column_name(statement, i), "settings_stamp") == 0) continue;
        hash = hash_bytes(hash, &type, sizeof type);
        hash = hash_bytes(hash, bytes, (size_t)sqlite3_column_bytes(statement, i));
    }
    return hash;
}

static bool table_hash(sqlite3 *db, const char *name, sqlite3_uint64 *hash)
{
    sqlite3_stmt *statement = NULL;
    char sql[128];
    int code;

    (void)sqlite3_snprintf((int)sizeof sql, sql, "SELECT * FROM main.\"%w\" ORDER BY 1, 2", name);
    *hash = 14695981039346656037u;
    code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        while ((code = sqlite3_step(statement)) == SQLITE_ROW) *hash = hash_row(*hash, statement);
    }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_DONE;
}

bool state_read(sqlite3 *db, struct state *state)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, "SELECT name FROM main.sqlite_schema WHERE type = 'table'"
                                      " UNION ALL SELECT 'sqlite_schema' ORDER BY 1",
                                  -1, &statement, NULL);
    bool whole = code == SQLITE_OK;

    memset(state, 0, sizeof *state);
    while (whole && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        int at = state->count++;
        whole = name != NULL && at < STATE_TABLES;
        if (!whole) break;
        (void)snprintf(state->table[at].name, sizeof state->table[at].name, "%s", name);
        whole = table_hash(db, name, &state->table[at].hash);
    }
    (void)sqlite3_finalize(statement);
    return whole && code == SQLITE_DONE;
}

bool state_same(const struct state *a, const struct state *b)
{
    bool same = a->count == b->count;

    for (int i = 0; i < a->count && same; i++) {
        same = a->table[i].hash == b->table[i].hash &&
               strcmp(a->table[i].name, b->table[i].name) == 0;
    }
    return same;
}

void state_difference(const struct state *a, const struct state *b, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    if (a->count != b->count) (void)snprintf(out, size, " (another number of tables)");
    for (int i = 0; i < a->count && i < b->count && used < size; i++) {
        if (a->table[i].hash == b->table[i].hash) continue;
        used += (size_t)snprintf(out + used, size - used, " %s", a->table[i].name);
    }
}
