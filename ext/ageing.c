#include "ageing.h"

#include "access.h"
#include "account.h"
#include "calendar.h"
#include "session.h"

enum { TOLD_BEFORE = 30 * 86400 };

/* Of one write: others write between two. */
enum { LOOKED_AT = 1000, ENDED = 100 };

static const char next_representatives[] =
    "SELECT a.access_id, a.account_id, a.patient_id, a.identity, " AGEING_SINCE
    "  FROM main.portal_access AS a"
    " WHERE a.access_id > ?1 AND a.role = 'representative' AND a.status = 'active'"
    "   AND a.confirmed_at IS NULL ORDER BY a.access_id LIMIT ?2";
static const char outgrow[] =
    "UPDATE main.portal_access SET status = 'outgrown', ended_at = ?2 WHERE access_id = ?1";
static const char read_username[] = "SELECT username FROM main.portal_account WHERE account_id = ?1";
static const char confirm[] =
    "UPDATE main.portal_access SET confirmed_at = ?2, status = 'active', ended_at = NULL WHERE access_id = ?1";

sqlite3_int64 ageing_end(const struct portal *portal, sqlite3_int64 since, const char *date_of_birth)
{
    sqlite3_int64 age = setting_number(portal, SETTING_representative_age);
    sqlite3_int64 birthday;

    if (age == 0 || since == AGEING_NEVER || !calendar_is_date(date_of_birth)) return AGEING_NEVER;
    birthday = calendar_birthday(date_of_birth, (int)age);
    return since < birthday ? birthday : AGEING_NEVER;
}

void ageing_tell(sqlite3_int64 end, sqlite3_int64 now, char out[AGEING_TEXT_SIZE])
{
    char date[CALENDAR_TIME_SIZE];

    out[0] = '\0';
    if (end == AGEING_NEVER || now < end - TOLD_BEFORE) return;
    calendar_date(end, date);
    (void)sqlite3_snprintf(AGEING_TEXT_SIZE, out, "%s access on %s", now < end ? "loses" : "lost", date);
}

/* A walk through all representatives, some at a time. */
struct walk {
    sqlite3_int64 at;              /* accesses up to this one were looked at */
    bool more;
    sqlite3_int64 count;           /* ended so far */
    int found;                     /* of this time: */
    struct { sqlite3_int64 access_id, account_id; struct patient_id patient; } over[ENDED];
};

/* Takes a row whose time has come: of a chart that is the patient's, or access does not work anyway. */
static int row_look(struct portal *portal, const struct keyring *keyring, sqlite3_stmt *row, struct walk *walk)
{
    struct patient patient;
    struct patient_id id;
    int code;

    walk->at = sqlite3_column_int64(row, 0);
    patient_id_from_column(row, 2, &id);
    code = patient_find(portal, &id, &patient);
    if (code == SQLITE_ROW && patient_is(keyring, &patient, sqlite3_column_int64(row, 3)) &&
        connection_now(portal) >= ageing_end(portal, sqlite3_column_int64(row, 4), patient.date_of_birth)) {
        walk->over[walk->found].access_id = walk->at;
        walk->over[walk->found].account_id = sqlite3_column_int64(row, 1);
        walk->over[walk->found++].patient = id;
    }
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static int walk_look(struct portal *portal, struct walk *walk)
{
    const struct keyring *keyring = NULL;
    sqlite3_stmt *row = NULL;
    int looked_at = 0;
    int code = connection_key(portal, &keyring);

    walk->found = 0;
    if (code == SQLITE_OK) {
        code = statement_row(portal, &row, next_representatives, "ii", walk->at, (sqlite3_int64)LOOKED_AT);
    }
    while (code == SQLITE_ROW && walk->found < ENDED) {
        looked_at++;
        code = row_look(portal, keyring, row, walk);
        if (code == SQLITE_OK) code = statement_next(portal, row);
    }
    statement_done(portal, row);
    walk->more = walk->found == ENDED || looked_at == LOOKED_AT;
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static int access_outgrow(struct portal *portal, sqlite3_int64 access_id, sqlite3_int64 account_id,
                          const struct patient_id *patient)
{
    char username[USERNAME_SIZE] = "";
    sqlite3_stmt *statement = NULL;
    bool told = false;
    int code = statement_run(portal, outgrow, "ii", access_id, connection_now(portal));

    if (code == SQLITE_OK) code = session_end_account(portal, account_id);
    if (code == SQLITE_OK) code = account_tell(portal, account_id, "access_ended", &told);
    if (code == SQLITE_OK) code = statement_row(portal, &statement, read_username, "i", account_id);
    if (code == SQLITE_ROW) statement_text(statement, 0, username, sizeof username);
    statement_done(portal, statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE) return code;
    return audit_write(portal, "representative.outgrown", patient, username,
                       told ? NULL : "not told: has opted out of messages");
}

static int walk_step(struct portal *portal, void *data)
{
    struct walk *walk = data;
    int code = walk_look(portal, walk);

    for (int i = 0; i < walk->found && code == SQLITE_OK; i++) {
        code = access_outgrow(portal, walk->over[i].access_id, walk->over[i].account_id, &walk->over[i].patient);
    }
    if (code == SQLITE_OK) walk->count += walk->found;
    return code;
}

int ageing_run(struct portal *portal, sqlite3_int64 *count)
{
    struct walk walk = {.more = setting_number(portal, SETTING_representative_age) != 0};
    int code = SQLITE_OK;

    while (code == SQLITE_OK && walk.more) code = scope_run(portal, walk_step, &walk);
    *count = walk.count;
    return code;
}

int ageing_confirm(struct portal *portal, const struct patient_id *patient, const char *username,
                   bool *restored)
{
    char id[PATIENT_ID_TEXT_SIZE];
    struct representative found;
    bool revoked = false;
    int code = access_representative(portal, patient, username, &found);

    if (code == SQLITE_OK) code = access_is_revoked(portal, patient, &revoked);
    if (code == SQLITE_OK && revoked) {
        code = refuse(portal, "access of patient %s is revoked; send a registration to grant it again, then confirm",
                      patient_id_text(patient, id));
    }
    if (code != SQLITE_OK) return code;
    *restored = found.outgrown;
    code = statement_run(portal, confirm, "ii", found.access_id, connection_now(portal));
    return code == SQLITE_OK ? audit_write(portal, "representative.confirmed", patient, username, NULL) : code;
}
