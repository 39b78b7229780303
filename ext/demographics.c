#include "demographics.h"

#include "access.h"
#include "field.h"
#include "json.h"
#include "session.h"

/* What was decided is shown for so long: nobody has to be told for ever. */
enum { SHOWN_SECONDS = 90 * 86400 };

static const char read_pending[] =
    "SELECT proposed_value, status, datetime(submitted_at, 'unixepoch') FROM main.portal_request"
    " WHERE patient_id = ?1 AND field = ?2 AND status = 'pending'";
/* Only what this account asked for: what another was refused is not this one's to know. */
static const char read_decided[] =
    "SELECT proposed_value, status, datetime(decided_at, 'unixepoch') FROM main.portal_request"
    " WHERE account_id = ?1 AND submitted_at > ?2 AND patient_id = ?3 AND field = ?4"
    "   AND status IN ('accepted', 'declined') ORDER BY submitted_at DESC, request_id DESC LIMIT 1";

static void member_append(sqlite3_str *out, const char *name, const char *text)
{
    sqlite3_str_appendf(out, ",\"%s\":", name);
    if (text == NULL) sqlite3_str_appendall(out, "null");
    else json_append(out, text);
}

static void request_append(struct portal *portal, sqlite3_str *out, sqlite3_stmt *request)
{
    sqlite3_str_appendf(out, ",\"request\":{\"status\":\"%s\"", statement_string(request, 1));
    member_append(out, "value", (const char *)sqlite3_column_text(request, 0));
    member_append(out, "at", (const char *)sqlite3_column_text(request, 2));
    sqlite3_str_appendchar(out, 1, '}');
    statement_done(portal, request);
}

static int field_append(struct portal *portal, sqlite3_str *out, sqlite3_int64 account_id,
                        const struct patient_id *patient, const char *field)
{
    sqlite3_stmt *request = NULL;
    char *value = NULL;
    int code = field_read(portal, patient, field, &value);

    if (code != SQLITE_OK) return code;
    sqlite3_str_appendf(out, "{\"field\":\"%s\"", field);
    member_append(out, "value", value);
    sqlite3_free(value);
    code = statement_row(portal, &request, read_pending, "ps", patient, field);
    if (code == SQLITE_DONE) {
        code = statement_row(portal, &request, read_decided, "iips", account_id,
                             connection_now(portal) - SHOWN_SECONDS, patient, field);
    }
    if (code == SQLITE_ROW) request_append(portal, out, request);
    sqlite3_str_appendchar(out, 1, '}');
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static int chart_append(struct portal *portal, sqlite3_str *out, sqlite3_int64 account_id,
                        const struct patient_id *patient, const char *role)
{
    struct patient chart;
    const char *field;
    int code = patient_read(portal, patient, &chart);

    if (code != SQLITE_OK) return code;
    sqlite3_str_appendall(out, "{\"first_name\":");
    json_append(out, chart.first_name);
    member_append(out, "last_name", chart.last_name);
    member_append(out, "role", role);
    sqlite3_str_appendall(out, ",\"fields\":[");
    for (int i = 0; code == SQLITE_OK && (field = field_name(portal, i)) != NULL; i++) {
        if (i > 0) sqlite3_str_appendchar(out, 1, ',');
        code = field_append(portal, out, account_id, &chart.id, field);
    }
    sqlite3_str_appendall(out, "]}");
    return code;
}

int demographics_describe(struct portal *portal, const char *session, const struct patient_id *patient,
                          char **json)
{
    char role[ACCESS_ROLE_SIZE];
    sqlite3_int64 account_id = 0;
    bool works = false;
    sqlite3_str *out;
    int code = session_open(portal, session, &account_id);

    *json = NULL;
    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    code = access_works(portal, account_id, patient, &works, role);
    if (code != SQLITE_OK || !works) return code;
    out = sqlite3_str_new(portal->db);
    code = chart_append(portal, out, account_id, patient, role);
    *json = sqlite3_str_finish(out);
    if (code == SQLITE_OK && *json == NULL) code = fault(portal, SQLITE_NOMEM);
    if (code != SQLITE_OK) {
        sqlite3_free(*json);
        *json = NULL;
    }
    return code;
}
