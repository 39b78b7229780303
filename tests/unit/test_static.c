/*
** A program with the extension linked in: the whole workflow in C, so that what the extension itself
** leaks, or keeps open when a connection closes, shows.
*/
#include "unit.h"

#include "portal.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

int sqlite3_portal_init(sqlite3 *db, char **error, const struct sqlite3_api_routines *routines);

static const char password[] = "correct horse battery staple";

static sqlite3 *opened(const char *path, int flags)
{
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | flags, NULL);
    CHECK_FOR(sqlite3_errmsg(db), code == SQLITE_OK);
    return db;
}

/* Runs SQL to its end; the first column of its first row is copied to `out`, "" for NULL or none. */
static int ask(sqlite3 *db, char *out, size_t size, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (out != NULL) out[0] = '\0';
    if (code == SQLITE_OK) code = sqlite3_step(statement);
    if (code == SQLITE_ROW && out != NULL && sqlite3_column_text(statement, 0) != NULL) {
        snprintf(out, size, "%s", (const char *)sqlite3_column_text(statement, 0));
    }
    while (code == SQLITE_ROW) code = sqlite3_step(statement);
    int finalized = sqlite3_finalize(statement);
    return code == SQLITE_DONE ? finalized : code;
}

#define ASK(db, out, ...) unit_ask((db), (out), sizeof(out), __LINE__, __VA_ARGS__)
#define DO(db, ...) unit_ask((db), NULL, 0, __LINE__, __VA_ARGS__)

/* What has to work; sqlite3_mprintf() format. */
static void unit_ask(sqlite3 *db, char *out, size_t size, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *sql = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    int code = ask(db, out, size, sql);
    unit_check(code == SQLITE_OK, __FILE__, line, "%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_free(sql);
}

static void refused(sqlite3 *db, const char *sql, const char *part)
{
    int code = ask(db, NULL, 0, sql);
    CHECK_FOR(sql, code != SQLITE_OK);
    CHECK_FOR(sqlite3_errmsg(db), strstr(sqlite3_errmsg(db), part) != NULL);
}

static void closes(sqlite3 *db)
{
    int code = sqlite3_close(db);
    CHECK_FOR(sqlite3_errstr(code), code == SQLITE_OK);
    if (code != SQLITE_OK) sqlite3_close_v2(db);
}

static void removed(const char *path)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal", ".portal-key"};
    char name[256];
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        (void)unlink(name);
    }
}

/* A practice whose messages wait to be claimed, because no channel carries them. */
static sqlite3 *practice(const char *path)
{
    removed(path);
    sqlite3 *db = opened(path, 0);
    DO(db, "SELECT portal_init()");
    DO(db, "SELECT portal_setting('email_channel', 'none')");
    DO(db, "SELECT portal_setting('text_channel', 'none')");
    DO(db, "SELECT portal_setting('resend_seconds', 0)");
    return db;
}

/* Claims what waits and copies what follows a mark in its text: a token, or a PIN. */
static void carried(sqlite3 *db, const char *mark, size_t length, char out[64])
{
    char claim[64];
    char text[2048];
    out[0] = '\0';
    ASK(db, claim, "SELECT claim_messages(10)");
    ASK(db, text, "SELECT text FROM portal_claimed(%Q) ORDER BY message_id DESC", claim);
    const char *found = strstr(text, mark);
    CHECK_FOR(text, found != NULL);
    if (found != NULL) snprintf(out, 64, "%.*s", (int)length, found + strlen(mark));
    DO(db, "SELECT report_delivery(%Q, message_id, 'sent') FROM portal_message WHERE claim = %Q",
       claim, claim);
}

static void answers(const char *answer, const char *part)
{
    CHECK_FOR(answer, strstr(answer, part) != NULL);
}

static void register_as(sqlite3 *db, int patient, const char *username, bool representative)
{
    char token[64], pin[64], answer[512];
    DO(db, "SELECT send_registration(%d, 'email')", patient);
    carried(db, "/r/", 32, token);
    ASK(db, answer, "SELECT token_status(%Q)", token);
    CHECK_TEXT(answer, "valid");
    ASK(db, answer, "SELECT request_pin(%Q, 'Lovelace', '1990-01-01')", token);
    answers(answer, "refused");
    ASK(db, answer, "SELECT request_pin(%Q, 'Lovelace', '1985-12-10')", token);
    answers(answer, "pin_sent");
    carried(db, " is\n\n", 6, pin);
    if (representative) {
        ASK(db, answer, "SELECT register_representative(%Q, %Q, %Q, %Q, 'Rita Parent', 'parent')",
            token, pin, username, password);
    } else {
        ASK(db, answer, "SELECT register_patient(%Q, %Q, %Q, %Q)", token, pin, username, password);
    }
    answers(answer, "registered");
    ASK(db, answer, "SELECT token_status(%Q)", token);
    CHECK_TEXT(answer, "used");
}

/* {"result":"ok","session":"..."} */
static void sign_in(sqlite3 *db, const char *username, char session[64])
{
    char answer[512];
    ASK(db, answer, "SELECT json_extract(portal_login(%Q, %Q), '$.session')", username, password);
    CHECK_FOR(answer, strlen(answer) == 32);
    snprintf(session, 64, "%.32s", answer);
}

static void requests(sqlite3 *db, const char *session)
{
    char answer[512];
    ASK(db, answer, "SELECT submit_demographics(%Q, 1, %Q)", session,
        "{\"city\":\"London\",\"state\":\"NY\",\"home_phone\":\"212 555 0199\"}");
    answers(answer, "\"requests\":3");
    DO(db, "SELECT * FROM pending_requests WHERE patient_id = 1");
    DO(db, "SELECT accept_request(request_id) FROM pending_requests WHERE field = 'city'");
    refused(db, "UPDATE pending_requests SET decision = 'perhaps'", "decision");
    DO(db, "UPDATE pending_requests SET decision = 'decline' WHERE patient_id = 1");
    refused(db, "SELECT accept_request(1)", "request 1");
}

static void reading(sqlite3 *db)
{
    static const char *const tables[] = {
        "pending_requests", "portal_status", "portal_settings", "portal_channels", "portal_check",
        "portal_help", "send_registration", "portal_audit",
    };
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) DO(db, "SELECT * FROM %s", tables[i]);
    DO(db, "SELECT * FROM portal_status AS a JOIN portal_status AS b USING (patient_id) LIMIT 1");
    DO(db, "SELECT portal_version()");
    DO(db, "SELECT deliver()");
    DO(db, "SELECT expire_links()");
    DO(db, "SELECT portal_purge(1)");
    DO(db, "SELECT portal_restored()");
    DO(db, "SELECT portal_key_rotate()");
    DO(db, "SELECT portal_try_channel('maildir')");
}

static void refusals(sqlite3 *db)
{
    refused(db, "SELECT send_registration(99, 'email')", "not on file");
    refused(db, "INSERT INTO send_registration VALUES (99, 'email')", "not on file");
    refused(db, "SELECT send_registration(1, 'fax')", "fax");
    refused(db, "SELECT quick_add('Ada', 'Lovelace', '1985-12-10')", "patient 1");
    refused(db, "SELECT portal_setting('nonsense')", "nonsense");
    refused(db, "SELECT portal_setting('link_hours', 'x')", "link_hours");
    refused(db, "SELECT send_registration(1)", "wrong number");
    refused(db, "SELECT report_delivery('x', 1, 'sent')", "claim");
    DO(db, "INSERT OR IGNORE INTO send_registration VALUES (99, 'email')");
}

static void story(sqlite3 *db)
{
    char answer[512], session[64], token[64];
    ASK(db, answer, "SELECT quick_add('Ada', 'Lovelace', '1985-12-10', 'email', 'ada@example.com')");
    CHECK_TEXT(answer, "1");
    carried(db, "/r/", 32, token);
    register_as(db, 1, "ada.l", false);
    register_as(db, 1, "rita.p", true);
    sign_in(db, "ada.l", session);
    ASK(db, answer, "SELECT portal_login('ada.l', 'wrong password')");
    answers(answer, "refused");
    ASK(db, answer, "SELECT portal_session(%Q)", session);
    answers(answer, "ada.l");
    requests(db, session);
    DO(db, "SELECT forgot_password('ada.l')");
    carried(db, "/p/", 32, token);
    ASK(db, answer, "SELECT reset_password(%Q, %Q)", token, password);
    answers(answer, "reset");
    DO(db, "SELECT set_account_contact('ada.l', '212 555 0142')");
    DO(db, "SELECT unlock_account('ada.l')");
    DO(db, "SELECT remove_representative(1, 'rita.p', 'asked for')");
    DO(db, "SELECT revoke_access(1, 'moved')");
    ASK(db, answer, "SELECT portal_login('ada.l', %Q)", password);
    answers(answer, "refused");
    DO(db, "SELECT send_registration(1, 'email')");
    sign_in(db, "ada.l", session);
    ASK(db, answer, "SELECT portal_logout(%Q)", session);
    CHECK_TEXT(answer, "1");
    DO(db, "SELECT portal_secret('gateway', 'hush')");
    refusals(db);
    reading(db);
    ASK(db, answer, "SELECT portal_audit_verify()");
    CHECK_TEXT(answer, "");
    ASK(db, answer, "PRAGMA integrity_check");
    CHECK_TEXT(answer, "ok");
}

static void test_workflow(void)
{
    TEST("a program with the extension linked in goes through the whole workflow and closes") {
        sqlite3 *db = practice("static.db");
        story(db);
        DO(db, "VACUUM");
        closes(db);
    }
    TEST("what one connection wrote another one of the program reads, with extended result codes") {
        sqlite3 *db = opened("static.db", 0x02000000 /* SQLITE_OPEN_EXRESCODE */);
        char answer[512];
        ASK(db, answer, "SELECT status FROM portal_status WHERE patient_id = 1");
        CHECK_TEXT(answer, "registered");
        ASK(db, answer, "SELECT portal_audit_verify()");
        CHECK_TEXT(answer, "");
        closes(db);
    }
    TEST("the built-in channel delivers from a linked program") {
        sqlite3 *db = practice("maildir.db");
        char answer[512];
        DO(db, "SELECT portal_setting('email_channel', NULL)");
        ASK(db, answer, "SELECT quick_add('Ada', 'Lovelace', '1985-12-10', 'email', 'ada@example.com')");
        ASK(db, answer, "SELECT status FROM portal_message");
        CHECK_TEXT(answer, "sent");
        closes(db);
    }
}

/* Every way to stop in the middle; sqlite3_close() must find nothing of ours. */
static const char *const endings[] = {
    "SELECT 1",
    "SELECT send_registration(1, 'email')",
    "SELECT send_registration(99, 'email')",
    "INSERT INTO send_registration VALUES (1, 'email')",
    "INSERT INTO send_registration VALUES (99, 'email')",
    "SELECT * FROM portal_status",
    "SELECT * FROM portal_check",
    "SELECT revoke_access(1)",
    "SELECT portal_audit_verify()",
    "SELECT token_valid('x')",
    "SELECT deliver()",
    "SELECT portal_setting('link_hours', 24)",
    "BEGIN; SELECT send_registration(1, 'email')",
    "BEGIN IMMEDIATE; INSERT INTO send_registration VALUES (1, 'email')",
    "SAVEPOINT s; SELECT revoke_access(1); ROLLBACK TO s",
    "BEGIN; SELECT request_pin('x', 'y', 'z')",
    "SELECT portal_as('portal'); SELECT send_registration(1, 'email')",
};

static void test_closing(void)
{
    TEST("a connection closes after any call, also in the middle of a transaction") {
        for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
            sqlite3 *db = practice("closing.db");
            DO(db, "INSERT INTO patient(first_name, last_name, date_of_birth, email)"
                   " VALUES ('Ada', 'Lovelace', '1985-12-10', 'ada@example.com')");
            /* Refusals among them are meant: they too must leave nothing. */
            (void)sqlite3_exec(db, endings[i], NULL, NULL, NULL);
            int code = sqlite3_close(db);
            CHECK_FOR(endings[i], code == SQLITE_OK);
            if (code != SQLITE_OK) sqlite3_close_v2(db);
        }
    }
    TEST("a connection closes with nothing done, without tables, and in memory") {
        sqlite3 *db = opened("empty.db", 0);
        refused(db, "SELECT send_registration(1, 'email')", "run SELECT portal_init()");
        closes(db);
        closes(opened(":memory:", 0));
        db = opened(":memory:", 0);
        DO(db, "SELECT portal_init()");
        DO(db, "SELECT * FROM portal_status");
        closes(db);
    }
    TEST("a statement left open makes closing wait and not crash, and works until then") {
        sqlite3 *db = practice("open.db");
        sqlite3_stmt *statement = NULL;
        CHECK(sqlite3_prepare_v2(db, "SELECT key FROM portal_settings", -1, &statement, NULL) == SQLITE_OK);
        CHECK(sqlite3_step(statement) == SQLITE_ROW);
        CHECK(sqlite3_close(db) == SQLITE_BUSY);
        CHECK(sqlite3_step(statement) == SQLITE_ROW);
        DO(db, "SELECT portal_setting('link_hours', 24)");
        CHECK(sqlite3_finalize(statement) == SQLITE_OK);
        closes(db);
    }
    TEST("a refused close within a transaction leaves the audit of what it goes on to commit whole") {
        sqlite3 *db = practice("refused.db");
        sqlite3_stmt *statement = NULL;
        char broken[100];
        DO(db, "SELECT quick_add('Ada', 'Lovelace', '1985-12-10')");
        DO(db, "UPDATE patient SET email = 'ada@example.com'");
        DO(db, "BEGIN");
        DO(db, "INSERT INTO send_registration(patient_id, channel) VALUES (1, 'email')");
        CHECK(sqlite3_prepare_v2(db, "SELECT * FROM patient", -1, &statement, NULL) == SQLITE_OK);
        CHECK(sqlite3_step(statement) == SQLITE_ROW);
        CHECK(sqlite3_close(db) == SQLITE_BUSY);
        CHECK(sqlite3_finalize(statement) == SQLITE_OK);
        DO(db, "COMMIT");
        ASK(db, broken, "SELECT portal_audit_verify()");
        CHECK_FOR(broken, broken[0] == '\0');
        ASK(db, broken, "SELECT count(*) FROM portal_message");
        CHECK_FOR(broken, strcmp(broken, "1") == 0);
        closes(db);
    }
    TEST("modules dropped by the application take their tables along and leave the functions") {
        sqlite3 *db = practice("dropped.db");
        DO(db, "SELECT * FROM portal_status");
        CHECK(sqlite3_drop_modules(db, NULL) == SQLITE_OK);
        DO(db, "SELECT portal_setting('link_hours', 24)");
        DO(db, "SELECT portal_audit_verify()");
        closes(db);
    }
    TEST("sqlite3_close_v2() with an open scan frees all when the scan ends") {
        sqlite3 *db = practice("zombie.db");
        sqlite3_stmt *statement = NULL;
        DO(db, "SELECT quick_add('Ada', 'Lovelace', '1985-12-10')");
        CHECK(sqlite3_prepare_v2(db, "SELECT * FROM portal_status", -1, &statement, NULL) == SQLITE_OK);
        CHECK(sqlite3_step(statement) == SQLITE_ROW);
        CHECK(sqlite3_close_v2(db) == SQLITE_OK);
        CHECK(sqlite3_step(statement) == SQLITE_DONE);
        CHECK(sqlite3_finalize(statement) == SQLITE_OK);
    }
}

static int report_delivery(void *data, portal_batch *batch)
{
    (void)data;
    (void)batch;
    return SQLITE_OK;
}

/* Prints what it is given, and remembers what that was. */
static struct { char paper[8], code[8], url[300]; } printed;

static int print_plainly(void *data, const portal_sheet *sheet, portal_print *print)
{
    (void)data;
    (void)snprintf(printed.paper, sizeof printed.paper, "%s", sheet->paper);
    (void)snprintf(printed.code, sizeof printed.code, "%s", sheet->code == NULL ? "none" : sheet->code);
    (void)snprintf(printed.url, sizeof printed.url, "%s", sheet->url);
    if (strstr(sheet->practice, "jam") != NULL) return SQLITE_ERROR;
    print->pdf = sqlite3_mprintf("%s", sheet->title);
    print->size = print->pdf == NULL ? 0 : strlen(print->pdf);
    return print->pdf == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

static void count_up(void *data)
{
    ++*(int *)data;
}

static void holds(portal_api *api, const char *key, const char *expected)
{
    char *secret = api->secret(api, key);
    CHECK_TEXT(secret == NULL ? "none" : secret, expected);
    sqlite3_free(secret);
}

static void test_plugin_api(void)
{
    TEST("a plugin reads the secrets that are stored, and none that are gone, damaged or of another key") {
        sqlite3 *db = practice("secret.db");
        portal_api *api = portal_api_from_db(db);
        DO(db, "SELECT portal_secret('gateway', 'hush')");
        holds(api, "gateway", "hush");
        holds(api, "pigeon", "none");
        DO(db, "CREATE TEMP TABLE good AS SELECT sealed FROM portal_secret");
        DO(db, "UPDATE portal_secret SET sealed = substr(sealed, 1, length(sealed) - 1) || x'00'");
        holds(api, "gateway", "none");
        DO(db, "UPDATE portal_secret SET sealed = x'63' || substr((SELECT sealed FROM good), 2)");
        holds(api, "gateway", "none");
        DO(db, "UPDATE portal_secret SET sealed = x'01'");
        holds(api, "gateway", "none");
        DO(db, "UPDATE portal_secret SET sealed = (SELECT sealed FROM good), key = 'pigeon'");
        holds(api, "pigeon", "none");
        DO(db, "SELECT portal_secret('gateway', 'hush again')");
        holds(api, "gateway", "hush again");
        DO(db, "SELECT portal_secret('gateway', NULL)");
        holds(api, "gateway", "none");
        closes(db);
    }
    TEST("a plugin registers no channel without a version, name or deliver(), nor one of a name that is taken") {
        static const portal_channel channels[] = {
            {0, "post", PORTAL_EMAIL, NULL, report_delivery, NULL, NULL, NULL, NULL},
            {PORTAL_API_VERSION, NULL, PORTAL_EMAIL, NULL, report_delivery, NULL, NULL, NULL, NULL},
            {PORTAL_API_VERSION, "", PORTAL_EMAIL, NULL, report_delivery, NULL, NULL, NULL, NULL},
            {PORTAL_API_VERSION, "post", PORTAL_EMAIL, NULL, NULL, NULL, NULL, NULL, NULL},
            {PORTAL_API_VERSION, "post", 0, NULL, report_delivery, NULL, NULL, NULL, NULL},
            {PORTAL_API_VERSION, "taken", PORTAL_EMAIL, NULL, report_delivery, NULL, NULL, NULL, NULL},
        };
        static const portal_channel taken = {PORTAL_API_VERSION, "taken", PORTAL_TEXT, NULL, report_delivery, NULL, NULL, NULL, NULL};
        sqlite3 *db = practice("channel.db");
        portal_api *api = portal_api_from_db(db);
        int destroyed = 0;
        CHECK(api->register_channel(api, &taken, &destroyed, count_up) == SQLITE_OK);
        CHECK(api->register_channel(api, NULL, &destroyed, NULL) == SQLITE_MISUSE);
        for (int i = 0; i < (int)(sizeof channels / sizeof channels[0]); i++) {
            CHECK(api->register_channel(api, &channels[i], &destroyed, count_up) == SQLITE_MISUSE);
            CHECK(destroyed == i + 1);
        }
        CHECK(api->setting(api, "pigeon") == NULL);
        closes(db);
        CHECK(destroyed == 7);
    }
    TEST("a printer that is linked in makes posters and letters, and none is registered without version, name or print()") {
        static const portal_printer printers[] = {
            {3, "press", NULL, print_plainly}, {PORTAL_API_VERSION, "", NULL, print_plainly},
            {PORTAL_API_VERSION, "press", NULL, NULL}, {PORTAL_API_VERSION, "maildir", NULL, print_plainly},
        };
        static const portal_printer press = {PORTAL_API_VERSION, "press", "1", print_plainly};
        sqlite3 *db = practice("printer.db");
        portal_api *api = portal_api_from_db(db);
        char answer[512];
        int destroyed = 0;
        DO(db, "SELECT count(*) FROM portal_channels");
        for (int i = 0; i < (int)(sizeof printers / sizeof printers[0]); i++) {
            CHECK(api->register_printer(api, &printers[i], &destroyed, count_up) == SQLITE_MISUSE);
            CHECK(destroyed == i + 1);
        }
        CHECK(api->register_printer(api, &press, &destroyed, count_up) == SQLITE_OK);
        DO(db, "SELECT portal_setting('print_channel', 'press'), portal_setting('practice_name', 'Elm Street'),"
               "       portal_setting('practice_phone', '555 0100'), portal_setting('portal_url', 'https://elm.example')");
        ASK(db, answer, "SELECT portal_poster('A4')");
        CHECK_TEXT(answer, "See your health information online");
        CHECK_TEXT(printed.paper, "A4");
        CHECK_TEXT(printed.url, "https://elm.example");
        CHECK_TEXT(printed.code, "none");
        DO(db, "INSERT INTO patient (first_name, last_name, date_of_birth) VALUES ('Ada', 'Lovelace', '1985-12-10')");
        ASK(db, answer, "SELECT portal_letter(1)");
        CHECK_TEXT(answer, "Your invitation to the patient portal");
        CHECK(strncmp(printed.url, "https://elm.example/r/", 22) == 0 && strlen(printed.code) == 6);
        ASK(db, answer, "SELECT token_valid(%Q)", printed.url + 22);
        CHECK_TEXT(answer, "1");
        DO(db, "SELECT portal_setting('practice_name', 'jammed'), portal_setting('resend_seconds', 0)");
        refused(db, "SELECT portal_letter(1)", "the printer failed");
        ASK(db, answer, "SELECT count(*) FROM portal_registration");
        CHECK_TEXT(answer, "1");
        ASK(db, answer, "SELECT token_valid(%Q)", printed.url + 22);
        CHECK_TEXT(answer, "0");
        closes(db);
        CHECK(destroyed == 5);
    }
    TEST("a connection without the extension has no API for plugins") {
        sqlite3 *db = NULL;
        sqlite3_reset_auto_extension();
        CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK);
        CHECK(portal_api_from_db(db) == NULL);
        closes(db);
        CHECK(sqlite3_auto_extension((void (*)(void))sqlite3_portal_init) == SQLITE_OK);
    }
}

/* In the place of the C library's: what getpwuid_r() finds, when it is not asked for what it would. */
static bool users_unknown;
static int users_error;

int getpwuid_r(uid_t id, struct passwd *entry, char *buffer, size_t size, struct passwd **found)
{
    (void)size;
    memset(entry, 0, sizeof *entry);
    (void)snprintf(buffer, 20, "user%u", (unsigned)id);
    entry->pw_name = buffer;
    *found = users_unknown ? NULL : entry;
    return users_error;
}

static int no_days(sqlite3_vfs *vfs, double *days)
{
    (void)vfs;
    *days = 0;
    return SQLITE_ERROR;
}

static int no_milliseconds(sqlite3_vfs *vfs, sqlite3_int64 *milliseconds)
{
    (void)vfs;
    *milliseconds = 0;
    return SQLITE_ERROR;
}

static void test_surroundings(void)
{
    TEST("a user without a name is audited by number, also when the names can not be read") {
        static const struct { bool unknown; int error; const char *actor; } rows[] = {
            {false, 0, "ehr:user%u"}, {true, 0, "ehr:uid %u"}, {false, EIO, "ehr:uid %u"},
        };
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            char actor[100], expected[100];
            users_unknown = rows[i].unknown;
            users_error = rows[i].error;
            sqlite3 *db = practice("user.db");
            ASK(db, actor, "SELECT application || ':' || actor FROM portal_audit");
            (void)snprintf(expected, sizeof expected, rows[i].actor, (unsigned)geteuid());
            CHECK_TEXT(actor, expected);
            closes(db);
        }
    }
    TEST("a VFS whose clock tells days alone gives the time in seconds") {
        sqlite3_vfs old = *sqlite3_vfs_find(NULL);
        sqlite3 *db = NULL;
        char difference[100];
        old.iVersion = 1;
        old.zName = "old";
        CHECK(sqlite3_vfs_register(&old, 0) == SQLITE_OK);
        removed("old.db");
        CHECK(sqlite3_open_v2("old.db", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "old") == SQLITE_OK);
        DO(db, "SELECT portal_init()");
        ASK(db, difference, "SELECT abs(at - strftime('%%s', 'now')) < 60 FROM portal_audit");
        CHECK_TEXT(difference, "1");
        closes(db);
        CHECK(sqlite3_vfs_unregister(&old) == SQLITE_OK);
    }
    TEST("a VFS whose clock stands still gives the time as 1970, by whichever function it has") {
        static const struct { int version; int (*days)(sqlite3_vfs *, double *); bool integers; } rows[] = {
            {1, no_days, false}, {3, no_days, false}, {3, no_days, true},
        };
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            sqlite3_vfs broken = *sqlite3_vfs_find(NULL);
            sqlite3 *db = NULL;
            char at[100];
            broken.iVersion = rows[i].version;
            broken.zName = "broken";
            broken.xCurrentTime = rows[i].days;
            broken.xCurrentTimeInt64 = rows[i].integers ? no_milliseconds : NULL;
            CHECK(sqlite3_vfs_register(&broken, 0) == SQLITE_OK);
            removed("broken.db");
            CHECK(sqlite3_open_v2("broken.db", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "broken") == SQLITE_OK);
            DO(db, "SELECT portal_init()");
            ASK(db, at, "SELECT at FROM portal_audit");
            CHECK_TEXT(at, "0");
            closes(db);
            CHECK(sqlite3_vfs_unregister(&broken) == SQLITE_OK);
        }
    }
}

int main(void)
{
    int code = sqlite3_auto_extension((void (*)(void))sqlite3_portal_init);
    if (code != SQLITE_OK) return 2;
    test_workflow();
    test_closing();
    test_plugin_api();
    test_surroundings();
    sqlite3_reset_auto_extension();
    return unit_result();
}
