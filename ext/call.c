#include "call.h"

#include "audit.h"
#include "delivery.h"
#include "normalize.h"
#include "table.h"

#include <sodium.h>
#include <stdarg.h>
#include <string.h>

static const struct function *const lists[] = {staff_functions, person_functions, running_functions};

const struct function *call_function(int index)
{
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        int count = 0;
        while (lists[i][count].name != NULL) count++;
        if (index < count) return &lists[i][index];
        index -= count;
    }
    return NULL;
}

static sqlite3_value *argument(const struct call *call, int index)
{
    return index < call->argc ? call->argv[index] : NULL;
}

static int type_of(const struct call *call, int index)
{
    sqlite3_value *value = argument(call, index);

    return value == NULL ? SQLITE_NULL : sqlite3_value_type(value);
}

int call_patient(struct call *call, int index)
{
    return patient_id_from_value(call->portal, call->argv[index], &call->patient);
}

int call_text_or_null(struct call *call, int index, const char *name, const char **text)
{
    size_t length;

    *text = NULL;
    if (type_of(call, index) == SQLITE_NULL) return SQLITE_OK;
    if (type_of(call, index) != SQLITE_TEXT) return refuse(call->portal, "%s must be text", name);
    *text = (const char *)sqlite3_value_text(argument(call, index));
    if (*text == NULL) return fault(call->portal, SQLITE_NOMEM);
    length = (size_t)sqlite3_value_bytes(argument(call, index));
    if (length > CALL_JSON_MAX) return refuse(call->portal, "%s is too long", name);
    if (strlen(*text) != length || !normalize_is_utf8(*text, length)) {
        return refuse(call->portal, "%s is not valid text", name);
    }
    return SQLITE_OK;
}

int call_text(struct call *call, int index, const char *name, const char **text)
{
    int code = call_text_or_null(call, index, name, text);

    if (code != SQLITE_OK) return code;
    if (*text == NULL) return refuse(call->portal, "%s is NULL", name);
    if (strlen(*text) > CALL_TEXT_MAX) {
        return refuse(call->portal, "%s is too long (%d bytes at most)", name, (int)CALL_TEXT_MAX);
    }
    return SQLITE_OK;
}

int call_integer(struct call *call, int index, const char *name, sqlite3_int64 *value)
{
    sqlite3_value *given = argument(call, index);
    double number;

    *value = 0;
    /* PHP's PDO, Perl's DBI and Tcl bind numbers as text, as they have them. */
    switch (given == NULL ? SQLITE_NULL : sqlite3_value_numeric_type(given)) {
    case SQLITE_INTEGER:
        *value = sqlite3_value_int64(given);
        return SQLITE_OK;
    case SQLITE_FLOAT:
        /* JavaScript drivers bind every number so; 2^53 is where they stop being whole. */
        number = sqlite3_value_double(given);
        if (number >= -9007199254740992.0 && number <= 9007199254740992.0 &&
            number == (double)(sqlite3_int64)number) {
            *value = (sqlite3_int64)number;
            return SQLITE_OK;
        }
        break;
    default: break;
    }
    return refuse(call->portal, "%s must be a whole number", name);
}

int call_medium(struct call *call, int index, int media, enum medium *medium)
{
    static const struct { const char *name; enum medium medium; } rows[] = {
        {"email", MEDIUM_EMAIL}, {"text", MEDIUM_TEXT}, {"sms", MEDIUM_TEXT}, {"print", MEDIUM_PRINT},
    };
    const char *text = NULL;
    int code = call_text(call, index, "channel", &text);

    if (code != SQLITE_OK) return code;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (sqlite3_stricmp(text, rows[i].name) == 0 && (media & (int)rows[i].medium) != 0) {
            *medium = rows[i].medium;
            return SQLITE_OK;
        }
    }
    return refuse(call->portal, "channel '%.40s' is neither email nor text", text);
}

int call_typed(struct call *call, int index, const char *name, const char **text)
{
    size_t length;

    *text = "";
    switch (type_of(call, index)) {
    case SQLITE_NULL: return SQLITE_OK;
    case SQLITE_BLOB: return refuse(call->portal, "%s must be text, not a blob", name);
    default: break;
    }
    *text = (const char *)sqlite3_value_text(argument(call, index));
    if (*text == NULL) return fault(call->portal, SQLITE_NOMEM);
    length = (size_t)sqlite3_value_bytes(argument(call, index));
    if (strlen(*text) != length || !normalize_is_utf8(*text, length)) {
        *text = "";
    }
    return SQLITE_OK;
}

int answer_text(struct call *call, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    sqlite3_free(call->text);
    call->text = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    call->answer = ANSWER_TEXT;
    return call->text == NULL ? fault(call->portal, SQLITE_NOMEM) : SQLITE_OK;
}

int answer_integer(struct call *call, sqlite3_int64 value)
{
    call->answer = ANSWER_INTEGER;
    call->integer = value;
    return SQLITE_OK;
}

/*
** A refusal is an event where it rolls nothing back: not within a writing statement, whose failure
** would take the event along.  Its own trouble (a locked or read-only database) does not matter:
** the refusal itself is what the caller has to hear.
*/
static void refusal_audit(struct portal *portal, const char *name, const struct patient_id *patient)
{
    char *reason = portal->error;
    struct scope scope;
    int code;

    portal->error = NULL;
    code = connection_enter(portal);
    if (code == SQLITE_OK) code = scope_begin(portal, &scope);
    if (code == SQLITE_OK) {
        if (!scope.within) code = audit_write(portal, "call.refused", patient, name, reason);
        (void)scope_end(portal, &scope, code);
    }
    sqlite3_free(portal->error);
    portal->error = reason;
}

int call_permit(struct portal *portal, const char *name, unsigned allowed)
{
    int code;

    if ((allowed & portal->application) != 0) return SQLITE_OK;
    code = fail(portal, "%s is not available to the application %s", name,
                  connection_application(portal));
    refusal_audit(portal, name, NULL);
    return code;
}

static int act_in_scope(const struct function *function, struct call *call, bool inserting)
{
    struct portal *portal = call->portal;
    struct scope scope = {.within = true, .changes = sqlite3_total_changes64(portal->db)};
    int code = inserting ? SQLITE_OK : scope_begin(portal, &scope);

    if (code != SQLITE_OK) return code;
    code = connection_enter(portal);
    if (code == SQLITE_OK) code = function->act(call);
    /* What is not committed yet can still be undone when the answer can not be had. */
    if (code == SQLITE_OK && !inserting && function->say != NULL && (scope.within || !scope.outermost)) {
        code = function->say(call);
    }
    return scope_end(portal, &scope, code);
}

/* What the kind of call asks of the connection. */
static int situation_check(const struct function *function, struct portal *portal)
{
    if ((function->flags & CALL_GUESSES) != 0 &&
        (!sqlite3_get_autocommit(portal->db) ||
         sqlite3_txn_state(portal->db, NULL) == SQLITE_TXN_WRITE)) {
        return refuse(portal,
                      "%s does not run inside a transaction or a writing statement, because a "
                      "ROLLBACK would give the guess back; COMMIT first, or open the connection in "
                      "autocommit mode",
                      function->name);
    }
    if ((function->flags & (CALL_UNLOCKED | CALL_ALONE)) != 0 && !connection_unlocked(portal)) {
        return refuse(portal,
                      "%s does not run inside a transaction or a statement that reads or writes "
                      "tables, because %s; COMMIT first, or call it by itself",
                      function->name,
                      (function->flags & CALL_UNLOCKED) != 0 ? "it uses the network" : "a ROLLBACK would not undo it");
    }
    return SQLITE_OK;
}

static int act(const struct function *function, struct call *call, bool inserting)
{
    struct portal *portal = call->portal;
    int code = situation_check(function, portal);

    if (code == SQLITE_OK && function->before != NULL) code = connection_enter(portal);
    if (code == SQLITE_OK && function->before != NULL) code = function->before(call);
    if (code != SQLITE_OK) return code == SQLITE_DONE ? SQLITE_OK : code;
    if ((function->flags & CALL_WRITES) != 0) return act_in_scope(function, call, inserting);
    if ((function->flags & CALL_BARE) == 0) code = connection_enter(portal);
    return code == SQLITE_OK ? function->act(call) : code;
}

static int run(const struct function *function, struct call *call, bool inserting)
{
    struct portal *portal = call->portal;
    int code = call_permit(portal, function->name, function->allowed);

    if (code != SQLITE_OK) return code;
    code = act(function, call, inserting);
    if (code == REFUSED && !inserting && (function->flags & (CALL_ACTION | CALL_AUDITED)) != 0) {
        if (call->patient.type == SQLITE_TEXT) connection_hide(portal, call->patient.text);
        refusal_audit(portal, function->name, call->patient.type != 0 ? &call->patient : NULL);
    }
    if (code != SQLITE_OK || inserting) return code;
    if ((function->flags & CALL_QUEUES) == 0) delivery_hand_over(portal);
    if (function->say == NULL || call->text != NULL) return SQLITE_OK;
    if (function->say(call) == SQLITE_OK) return SQLITE_OK;
    /* The write stands: an error now (another writer, say) would have the caller do it twice. */
    return answer_text(call, "Done, but what became of it can not be read now: portal_status tells.");
}

int call_run(const struct function *function, struct call *call, bool inserting)
{
    struct portal *portal = call->portal;
    sqlite3_int64 rowid = sqlite3_last_insert_rowid(portal->db);
    int code = connection_take(portal, function->name);

    if (code != SQLITE_OK) return code;
    portal->inserting = inserting;
    portal->fresh_count = 0;
    code = run(function, call, inserting);
    portal->busy = false;
    portal->inserting = false;
    if (sqlite3_last_insert_rowid(portal->db) != rowid) sqlite3_set_last_insert_rowid(portal->db, rowid);
    return code;
}

/* What a registered function needs to know. */
struct binding {
    struct portal *portal;
    const struct function *function;
};

static void binding_free(void *pointer)
{
    struct binding *binding = pointer;

    connection_release(binding->portal);
    sqlite3_free(binding);
}

/* What a call answers may be a session, or a letter. */
static void answer_free(void *text)
{
    if (text != NULL) sodium_memzero(text, (size_t)sqlite3_msize(text));
    sqlite3_free(text);
}

static void result_set(sqlite3_context *context, struct call *call)
{
    switch (call->answer) {
    case ANSWER_INTEGER: sqlite3_result_int64(context, call->integer); return;
    case ANSWER_TEXT:
        sqlite3_result_text(context, call->text, -1, answer_free);
        call->text = NULL;
        return;
    case ANSWER_BLOB:
        sqlite3_result_blob64(context, call->text, (sqlite3_uint64)call->integer, answer_free);
        call->text = NULL;
        return;
    case ANSWER_PATIENT:
        if (call->patient.type == SQLITE_INTEGER) {
            sqlite3_result_int64(context, call->patient.integer);
        } else {
            sqlite3_result_text(context, call->patient.text, -1, SQLITE_TRANSIENT);
        }
        return;
    case ANSWER_NULL: sqlite3_result_null(context); return;
    }
}

static void scalar(sqlite3_context *context, int argc, sqlite3_value **argv)
{
    struct binding *binding = sqlite3_user_data(context);
    struct portal *portal = binding->portal;
    struct call call;
    int code;

    memset(&call, 0, sizeof call);
    call.portal = portal;
    call.argc = argc;
    call.argv = argv;
    code = call_run(binding->function, &call, false);
    if (code == SQLITE_OK) {
        result_set(context, &call);
    } else if (code == SQLITE_NOMEM) {
        sqlite3_result_error_nomem(context);
    } else {
        sqlite3_result_error(context, portal->error == NULL ? sqlite3_errstr(code) : portal->error,
                             -1);
        if (code != REFUSED) sqlite3_result_error_code(context, code);
    }
    answer_free(call.text);
}

static int function_register(struct portal *portal, const struct function *function)
{
    /* Everything here acts or tells: none of it may be called by a schema that somebody sent us. */
    int flags = SQLITE_UTF8 | SQLITE_DIRECTONLY;

    for (int count = function->least; count <= function->most; count++) {
        struct binding *binding = sqlite3_malloc(sizeof *binding);
        int code;
        if (binding == NULL) return SQLITE_NOMEM;
        portal->references++;
        binding->portal = portal;
        binding->function = function;
        code = sqlite3_create_function_v2(portal->db, function->name, count, flags, binding, scalar,
                                          NULL, NULL, binding_free);
        if (code != SQLITE_OK) return code;
    }
    return SQLITE_OK;
}

int call_register(struct portal *portal)
{
    int code = SQLITE_OK;
    const struct function *function;

    for (int i = 0; code == SQLITE_OK && (function = call_function(i)) != NULL; i++) {
        code = function_register(portal, function);
        if (code == SQLITE_OK && (function->flags & CALL_ACTION) != 0) {
            code = table_register_action(portal, function);
        }
    }
    return code;
}
