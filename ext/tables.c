/* The tables to read: one list, from which registration, help and reference come. */
#include "calendar.h"
#include "call.h"
#include "channel.h"
#include "check.h"
#include "find.h"
#include "message.h"
#include "request.h"
#include "status.h"
#include "table.h"
#include "wording_table.h"

#include <string.h>

static void time_result(sqlite3_context *context, sqlite3_stmt *row, int column)
{
    char text[CALENDAR_TIME_SIZE];
    sqlite3_value *value = sqlite3_column_value(row, column);

    if (sqlite3_value_type(value) == SQLITE_NULL) return;
    calendar_utc(sqlite3_value_int64(value), text);
    sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
}

/* A text that may be NULL; ours to give away. */
static void text_result(sqlite3_context *context, char *text)
{
    if (text != NULL) sqlite3_result_text(context, text, -1, sqlite3_free);
}

/* pending_requests */

/* Columns of the table, and where pending.sql has what they are made of. */
enum { REQUEST_CURRENT = 4, REQUEST_SUBMITTED_AT = 8, REQUEST_CONFLICT = 9,
       REQUEST_DECISION = 10 };
enum { FROM_BASE = 9, FROM_IDENTITY = 10, FROM_PERSON = 11 };

static const char one_request[] = " AND r.request_id = ?1";
/* The plain number or text that the chart's key is, also for '42' or 42.0; a key that is no longer there as given. */
#define THE_KEY "coalesce((SELECT patient_id FROM main.patient WHERE patient_id = ?1), ?1)"

static const char bare_requests[] =
    "SELECT request_id FROM main.portal_request WHERE status = 'pending'";

static int requests_open(struct cursor *cursor, sqlite3_value *key[2])
{
    static const char *const clauses[] = {
        "", " AND r.patient_id = " THE_KEY, one_request,
        " AND r.patient_id = " THE_KEY " AND r.request_id = ?2",
    };
    int plan = (key[0] != NULL ? 1 : 0) | (key[1] != NULL ? 2 : 0);
    const char *sql = table_sql(cursor->portal, "pending.sql", clauses[plan]);
    struct portal *portal = cursor->portal;
    sqlite3_stmt **out = &cursor->statement;

    if (sql == NULL) return fault(portal, SQLITE_NOMEM);
    switch (plan) {
    case 0: return table_scan(cursor, statement_row(portal, out, cursor->bare ? bare_requests : sql, ""));
    case 1: return table_scan(cursor, statement_row(portal, out, sql, "v", key[0]));
    case 2: return table_scan(cursor, statement_row(portal, out, sql, "v", key[1]));
    default: return table_scan(cursor, statement_row(portal, out, sql, "vv", key[0], key[1]));
    }
}

static int requests_arrive(struct cursor *cursor, bool row)
{
    if (row) cursor->rowid = sqlite3_column_int64(cursor->statement, 0);
    return SQLITE_OK;
}

static bool same_column(sqlite3_stmt *row, int a, int b)
{
    const char *left = (const char *)sqlite3_column_text(row, a);
    const char *right = (const char *)sqlite3_column_text(row, b);

    return left == NULL || right == NULL ? left == right : strcmp(left, right) == 0;
}

/* The chart has moved since, or is another person's now. */
static int requests_conflict(struct portal *portal, sqlite3_stmt *row, bool *conflict)
{
    const struct keyring *keyring = NULL;
    struct patient patient;
    int code;

    *conflict = !same_column(row, REQUEST_CURRENT, FROM_BASE);
    if (*conflict || sqlite3_column_type(row, FROM_IDENTITY) == SQLITE_NULL) return SQLITE_OK;
    code = connection_key(portal, &keyring);
    if (code != SQLITE_OK) return code;
    /* Who is off the file is nobody, whom no access was given. */
    patient_person_from_row(row, FROM_PERSON, &patient);
    *conflict = patient_identity(keyring, &patient) != sqlite3_column_int64(row, FROM_IDENTITY);
    return SQLITE_OK;
}

static int requests_column(struct cursor *cursor, sqlite3_context *context, int column)
{
    sqlite3_stmt *row = cursor->statement;
    bool conflict = false;
    int code = SQLITE_OK;

    if (column == REQUEST_SUBMITTED_AT) {
        time_result(context, row, column);
    } else if (column == REQUEST_CONFLICT) {
        code = requests_conflict(cursor->portal, row, &conflict);
        sqlite3_result_int(context, conflict);
    } else if (column < REQUEST_CONFLICT) {
        table_result(context, row, column);
    }
    return code;
}

static bool same_value(sqlite3_value *value, const char *text)
{
    const char *own = (const char *)sqlite3_value_text(value);

    return own == NULL || text == NULL ? own == text : strcmp(own, text) == 0;
}

/* UPDATE ... FROM hands all columns over, those that it does not set as they are. */
static int requests_untouched(struct portal *portal, sqlite3_int64 request_id, sqlite3_value **columns,
                              bool *untouched)
{
    const char *sql = table_sql(portal, "pending.sql", one_request);
    char time[CALENDAR_TIME_SIZE];
    sqlite3_stmt *row = NULL;
    bool conflict = false;
    int code = sql == NULL ? fault(portal, SQLITE_NOMEM) : statement_row(portal, &row, sql, "i", request_id);

    *untouched = code == SQLITE_ROW;
    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    calendar_utc(sqlite3_column_int64(row, REQUEST_SUBMITTED_AT), time);
    code = requests_conflict(portal, row, &conflict);
    for (int i = 0; i < REQUEST_DECISION; i++) {
        const char *text = i == REQUEST_SUBMITTED_AT ? time : i == REQUEST_CONFLICT ? (conflict ? "1" : "0")
                           : (const char *)sqlite3_column_text(row, i);
        if (!sqlite3_value_nochange(columns[i]) && !same_value(columns[i], text)) *untouched = false;
    }
    statement_done(portal, row);
    return code;
}

/* UPDATE pending_requests SET decision = 'accept' | 'decline'. */
static int requests_update(struct portal *portal, int argc, sqlite3_value **argv)
{
    sqlite3_value *given = argv[2 + REQUEST_DECISION];
    const char *decision = sqlite3_value_type(given) == SQLITE_TEXT
                           ? (const char *)sqlite3_value_text(given) : NULL;
    bool untouched = false;
    sqlite3_int64 request_id = sqlite3_value_int64(argv[0]);
    struct scope scope = {.within = true, .changes = sqlite3_total_changes64(portal->db)};
    int code = connection_enter(portal);

    (void)argc;
    if (code == SQLITE_OK) code = requests_untouched(portal, request_id, argv + 2, &untouched);
    if (code != SQLITE_OK) return code;
    if (!untouched || sqlite3_value_int64(argv[1]) != request_id) {
        return refuse(portal, "only decision can be set: 'accept' or 'decline'");
    }
    portal->fresh_count = 0;
    if (decision != NULL && strcmp(decision, "accept") == 0) {
        code = request_accept(portal, request_id, false);
    } else if (decision != NULL && strcmp(decision, "decline") == 0) {
        code = request_decline(portal, request_id, NULL);
    } else {
        code = refuse(portal, "decision is 'accept' or 'decline'");
    }
    return scope_end(portal, &scope, code);
}

/* portal_status */

static const char bare_status[] = "SELECT 1 FROM main.patient";

static int status_open(struct cursor *cursor, sqlite3_value *key[2])
{
    struct portal *portal = cursor->portal;
    const char *sql = table_sql(portal, "status.sql", key[0] == NULL ? "" : " WHERE p.patient_id = ?2");

    if (sql == NULL) return fault(portal, SQLITE_NOMEM);
    if (key[0] != NULL) {
        return table_scan(cursor, statement_row(portal, &cursor->statement, sql, "iv", cursor->now, key[0]));
    }
    if (cursor->bare) return table_scan(cursor, statement_row(portal, &cursor->statement, bare_status, ""));
    return table_scan(cursor, statement_row(portal, &cursor->statement, sql, "i", cursor->now));
}

static int status_arrive(struct cursor *cursor, bool row)
{
    (void)row;
    cursor->status = NULL;
    return SQLITE_OK;
}

static int status_column(struct cursor *cursor, sqlite3_context *context, int column)
{
    static const struct { enum status_column from; bool is_time; } columns[] = {
        {STATUS_PATIENT_ID, false}, {STATUS_PATIENT_NAME, false}, {STATUS_STATUS, false},
        {STATUS_STATUS, false} /* message */, {STATUS_STATUS, false} /* next_step */,
        {STATUS_SENT_AT, true}, {STATUS_CHANNEL, false}, {STATUS_SENT_BY, false},
        {STATUS_EXPIRES_AT, true}, {STATUS_REGISTERED_AT, true}, {STATUS_LAST_LOGIN_AT, true},
        {STATUS_REVOKED_AT, true},
    };
    enum { STATUS = 2, MESSAGE = 3, NEXT_STEP = 4, REGISTERED_AT = 9, LAST_LOGIN_AT = 10 };
    sqlite3_stmt *row = cursor->statement;
    char *text = NULL;
    int code = SQLITE_OK;
    bool by_status = (column >= STATUS && column <= NEXT_STEP) || column == REGISTERED_AT || column == LAST_LOGIN_AT;

    if (by_status && cursor->status == NULL) code = status_name(cursor->portal, row, &cursor->status);
    if (code != SQLITE_OK) return code;
    if (column == STATUS) {
        sqlite3_result_text(context, cursor->status, -1, SQLITE_TRANSIENT);
    } else if (column == MESSAGE) {
        code = status_message(cursor->portal, row, cursor->status, &text);
        text_result(context, text);
    } else if (column == NEXT_STEP) {
        code = status_next_step(cursor->portal, row, cursor->status, &text);
        text_result(context, text);
    } else if (column == REGISTERED_AT || column == LAST_LOGIN_AT) {
        if (strcmp(cursor->status, "registered") == 0) {
            time_result(context, row, (int)columns[column].from);
        }
    } else if (columns[column].is_time) {
        time_result(context, row, (int)columns[column].from);
    } else {
        table_result(context, row, (int)columns[column].from);
    }
    return code;
}

/* portal_settings */

/* A channel's, but for its credentials. */
static int options_add(struct cursor *cursor, const portal_option *option)
{
    int code = SQLITE_OK;

    for (; option != NULL && option->key != NULL && code == SQLITE_OK; option++) {
        char *value = NULL;
        if (option->kind == PORTAL_OPTION_SECRET) continue;
        code = setting_option(cursor->portal, option, &value);
        if (code == SQLITE_OK) {
            code = table_add(cursor, option->key, value, option->standard, option->description);
        }
        sqlite3_free(value);
    }
    return code;
}

static int settings_open(struct cursor *cursor, sqlite3_value *key[2])
{
    struct setting_row row;
    int code = SQLITE_OK;

    (void)key;
    cursor->width = 4;
    for (int i = 0; code == SQLITE_OK && (row = setting_row(i)).key != NULL; i++) {
        code = table_add(cursor, row.key, setting_text(cursor->portal, (enum setting)i), row.standard,
                         row.description);
    }
    if (code == SQLITE_OK) code = channel_load_all(cursor->portal);
    for (const struct channel *channel = cursor->portal->channels; channel != NULL && code == SQLITE_OK;
         channel = channel->next) {
        code = options_add(cursor, channel->api.options);
    }
    return code;
}

/* portal_channels */

static int channel_row(struct cursor *cursor, const struct channel *channel)
{
    static const char *const serves[] = {"", "email", "text", "email, text", "print"};
    bool asks = channel->problem == NULL && channel->api.problem != NULL;
    char *told = asks ? channel->api.problem(channel->data) : NULL;
    const char *problem = asks ? told : channel->problem;
    int code = table_add(cursor, channel->api.name, serves[channel->api.serves], channel->file,
                         channel->api.release, problem == NULL ? "1" : "0", problem);

    sqlite3_free(told);
    return code;
}

static int channels_open(struct cursor *cursor, sqlite3_value *key[2])
{
    int code = channel_load_all(cursor->portal);

    (void)key;
    cursor->width = 6;
    for (const struct channel *channel = cursor->portal->channels; channel != NULL && code == SQLITE_OK;
         channel = channel->next) {
        code = channel_row(cursor, channel);
    }
    return code;
}

/* portal_opt_outs */

static const char every_opt_out[] =
    "SELECT contact, iif(instr(contact, '@') > 0, 'email', 'text'), opted_out_at, opted_out_by"
    "  FROM main.portal_opt_out ORDER BY contact";

static int opt_outs_open(struct cursor *cursor, sqlite3_value *key[2])
{
    (void)key;
    return table_scan(cursor, statement_row(cursor->portal, &cursor->statement, every_opt_out, ""));
}

static int opt_outs_column(struct cursor *cursor, sqlite3_context *context, int column)
{
    enum { OPTED_OUT_AT = 2 };

    if (column == OPTED_OUT_AT) {
        time_result(context, cursor->statement, column);
    } else {
        table_result(context, cursor->statement, column);
    }
    return SQLITE_OK;
}

/* portal_claimed(claim) */

static const char read_claim[] =
    "SELECT message_id, kind, channel, patient_id, recipient, created_at, attempts"
    "  FROM main.portal_message WHERE channel IN ('email', 'text') AND due_at = ?1"
    "   AND status = 'claimed' AND claim = ?2 ORDER BY message_id";

static int claimed_open(struct cursor *cursor, sqlite3_value *key[2])
{
    const char *claim = (const char *)sqlite3_value_text(key[0]);

    if (claim == NULL) claim = "";
    return table_scan(cursor, statement_row(cursor->portal, &cursor->statement, read_claim, "is",
                                            outbox_lease_end(claim), claim));
}

static int claimed_arrive(struct cursor *cursor, bool row)
{
    struct outbox_message message;
    int code;

    if (cursor->own != NULL) {
        message_clear(cursor->own);
        sqlite3_free(cursor->own);
        cursor->own = NULL;
    }
    if (!row) return SQLITE_OK;
    outbox_read(cursor->statement, &message);
    cursor->own = sqlite3_malloc(sizeof(struct message));
    if (cursor->own == NULL) return fault(cursor->portal, SQLITE_NOMEM);
    code = message_render(cursor->portal, &message, cursor->own);
    return code;
}

static int claimed_column(struct cursor *cursor, sqlite3_context *context, int column)
{
    enum { SUBJECT = 4, TEXT, HTML, HEADER };
    const struct message *message = cursor->own;
    const char *const rendered[] = {message->subject, message->text, message->html, message->header};
    static const int plain[] = {0, 1, 2, 4};

    if (column < SUBJECT) {
        sqlite3_result_value(context, sqlite3_column_value(cursor->statement, plain[column]));
    } else if (column <= HEADER && rendered[column - SUBJECT] != NULL) {
        sqlite3_result_text(context, rendered[column - SUBJECT], -1, SQLITE_TRANSIENT);
    }
    return SQLITE_OK;
}

/* portal_help */

static const char *applications(unsigned allowed)
{
    static const char *const names[] = {
        "", "ehr", "scheduling", "ehr, scheduling", "portal", "ehr, portal", "scheduling, portal",
        "ehr, scheduling, portal",
    };

    return names[allowed & ANYBODY];
}

static int function_help(struct cursor *cursor, const struct function *function)
{
    char *usage = sqlite3_mprintf("%s(%s)", function->name, function->arguments);
    int code = usage == NULL ? fault(cursor->portal, SQLITE_NOMEM)
               : table_add(cursor, function->name,
                           (function->flags & CALL_ACTION) != 0 ? "function, insert" : "function", usage,
                           function->result, applications(function->allowed), function->description);

    sqlite3_free(usage);
    return code;
}

static int help_open(struct cursor *cursor, sqlite3_value *key[2])
{
    int code = SQLITE_OK;
    const struct function *function;
    const struct table *table;

    (void)key;
    cursor->width = 6;
    for (int i = 0; code == SQLITE_OK && (function = call_function(i)) != NULL; i++) {
        code = function_help(cursor, function);
    }
    for (int i = 0; code == SQLITE_OK && (table = table_row(i)) != NULL; i++) {
        code = table_add(cursor, table->name, "table", table->required ? table->usage : table->name,
                         table->columns, applications(table->allowed), table->description);
    }
    return code;
}

static const struct table tables[] = {
    {.name = "pending_requests",
     .columns = "request_id INTEGER, patient_id, patient_name TEXT, field TEXT, current_value,"
                " proposed_value, submitted_by TEXT, submitted_as TEXT, submitted_at TEXT,"
                " conflict INTEGER, decision TEXT HIDDEN",
     .description = "Undecided requests, one for each changed field. UPDATE pending_requests SET "
                    "decision = 'accept' or 'decline' decides, one or many. conflict is 1 when the "
                    "chart has moved since.",
     .allowed = STAFF, .direct = true, .key = {1, 0},
     .open = requests_open, .column = requests_column, .arrive = requests_arrive,
     .update = requests_update},
    {.name = "portal_status",
     .columns = "patient_id, patient_name TEXT, status TEXT, message TEXT, next_step TEXT,"
                " sent_at TEXT, channel TEXT, sent_by TEXT, expires_at TEXT, registered_at TEXT,"
                " last_login_at TEXT, revoked_at TEXT",
     .description = "What staff see, a row for each patient. message is the sentence for the "
                    "screen, next_step says why this person can not get in and what to do about it.",
     .allowed = STAFF, .key = {0, -1},
     .open = status_open, .column = status_column, .arrive = status_arrive},
    {.name = "portal_find",
     .columns = "patient_id, patient_name TEXT, date_of_birth TEXT, email TEXT, cell_phone TEXT,"
                " exact INTEGER, text TEXT HIDDEN",
     .description = "Patients whom a text may mean: their patient_id, email address, telephone number, or date of birth "
                    "(1985-12-10, 12/10/1985, 10.12.1985) and words of their name in any order. exact is 0 where a "
                    "word of the name only begins as one of the text does.",
     .allowed = STAFF, .direct = true, .key = {6, -1}, .required = true, .usage = "portal_find(text)",
     .open = find_open, .column = find_column, .arrive = find_arrive},
    {.name = "portal_settings",
     .columns = "key TEXT, value TEXT, default_value TEXT, description TEXT",
     .description = "All settings; portal_setting(key, value) changes one.",
     .allowed = EHR, .key = {-1, -1},
     .open = settings_open},
    {.name = "portal_template",
     .columns = "kind TEXT, channel TEXT, language TEXT, subject TEXT, text TEXT, html TEXT, edited TEXT,"
                " segments INTEGER, template_id INTEGER HIDDEN",
     .description = "What messages say. UPDATE subject, text or html to edit one, INSERT one for another "
                    "language, DELETE to go back to what was shipped; what does not fit is refused. edited "
                    "is when, NULL as shipped; segments is what a text message takes with a portal_url of "
                    "40 characters, or the practice's own, longer one.",
     .allowed = EHR, .direct = true, .key = {-1, -1}, .integers = 3u << 7, .id = 8, .grows = true,
     .open = wording_table_open, .update = wording_table_update},
    {.name = "portal_channels",
     .columns = "name TEXT, serves TEXT, plugin TEXT, version TEXT, ready INTEGER, detail TEXT",
     .description = "Channels that carry messages: the built-in one and the plugins in portal.d.",
     .allowed = EHR, .direct = true, .key = {-1, -1}, .integers = 1u << 4,
     .open = channels_open},
    {.name = "portal_check",
     .columns = "problem TEXT, subject TEXT, remedy TEXT",
     .description = "Self-check; empty when all is well.",
     .allowed = EHR, .direct = true, .key = {-1, -1},
     .open = check_open},
    {.name = "portal_opt_outs",
     .columns = "contact TEXT, channel TEXT, opted_out_at TEXT, opted_out_by TEXT",
     .description = "Contacts that want no messages; portal_opt_in(contact) ends it.",
     .allowed = STAFF, .key = {-1, -1},
     .open = opt_outs_open, .column = opt_outs_column},
    {.name = "portal_claimed",
     .columns = "message_id INTEGER, kind TEXT, channel TEXT, recipient TEXT, subject TEXT,"
                " text TEXT, html TEXT, message_id_header TEXT, claim TEXT HIDDEN",
     .description = "The messages of a claim, rendered, for a mailer of one's own; they hold links "
                    "and PINs.",
     .allowed = EHR, .direct = true, .key = {8, -1}, .required = true, .usage = "portal_claimed(claim)",
     .open = claimed_open, .column = claimed_column, .arrive = claimed_arrive},
    {.name = "portal_help",
     .columns = "name TEXT, kind TEXT, usage TEXT, result TEXT, applications TEXT, description TEXT",
     .description = "This list.",
     .allowed = ANYBODY, .bare = true, .key = {-1, -1},
     .open = help_open},
};

const struct table *table_row(int index)
{
    return (size_t)index < sizeof tables / sizeof tables[0] ? &tables[index] : NULL;
}
