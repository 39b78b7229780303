/*
** What the extension promises a channel, held to by channels of this program's own: see portal_batch.
*/
#include "unit.h"

#include "portal.h"

#include <stdlib.h>
#include <unistd.h>

int sqlite3_portal_init(sqlite3 *db, char **error, const struct sqlite3_api_routines *routines);

enum { PATIENTS = 250, ANSWER_SIZE = 1000 };

static const char path[] = "delivery.db";

/* What a channel of a test sees and is to do. */
struct watch {
    sqlite3 *db;
    const portal_outgoing *given[PATIENTS];
    int count;
    int turns;
    void (*then)(struct watch *watch, portal_batch *batch);
};

static const portal_report sent = {PORTAL_SENT, "taken", 0};

static int hoard(void *data, portal_batch *batch)
{
    struct watch *watch = data;
    const portal_outgoing *message;

    watch->count = 0;
    watch->turns++;
    while (watch->count < PATIENTS && (message = batch->next(batch)) != NULL) {
        watch->given[watch->count++] = message;
    }
    watch->then(watch, batch);
    return SQLITE_OK;
}

static void run(sqlite3 *db, const char *sql, char answer[ANSWER_SIZE])
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);

    answer[0] = '\0';
    if (code == SQLITE_OK) code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        (void)snprintf(answer, ANSWER_SIZE, "%s", (const char *)sqlite3_column_text(statement, 0));
    } else if (code != SQLITE_DONE) {
        (void)snprintf(answer, ANSWER_SIZE, "%s", sqlite3_errmsg(db));
    }
    (void)sqlite3_finalize(statement);
}

#define ANSWERS(db, sql, expected) \
    do { \
        char answer[ANSWER_SIZE]; \
        run((db), (sql), answer); \
        CHECK_TEXT(answer, expected); \
    } while (0)

/* A practice with so many mails that wait for the channel "hoard". */
static sqlite3 *practice(const char *file, struct watch *watch, int patients)
{
    static const portal_channel channel = {PORTAL_API_VERSION, "hoard", PORTAL_EMAIL, "1", hoard, NULL, NULL, NULL, NULL};
    static const char set_up[] =
        "SELECT portal_init(); SELECT portal_setting('email_channel', 'hoard');"
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < %d)"
        " INSERT INTO patient (first_name, last_name, date_of_birth, email, cell_phone)"
        " SELECT 'Ada', 'Lovelace', '1985-12-10', 'ada' || n || '@example.com', '+1202555' || (1000 + n) FROM number;"
        "INSERT INTO send_registration SELECT patient_id, 'email' FROM patient";
    char *sql = sqlite3_mprintf(set_up, patients);
    sqlite3 *db = NULL;
    portal_api *api;

    (void)unlink(path);
    CHECK(sqlite3_open(file, &db) == SQLITE_OK);
    watch->db = db;
    api = portal_api_from_db(db);
    CHECK(api->register_channel(api, &channel, watch, NULL) == SQLITE_OK);
    CHECK_FOR(sqlite3_errmsg(db), sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_free(sql);
    return db;
}

static void report_all(struct watch *watch, portal_batch *batch)
{
    for (int i = 0; i < watch->count; i++) {
        CHECK(batch->report(batch, watch->given[i], &sent) == SQLITE_OK);
    }
}

static void take_all(struct watch *watch, portal_batch *batch)
{
    const portal_outgoing *message;

    report_all(watch, batch);
    while ((message = batch->next(batch)) != NULL) CHECK(batch->report(batch, message, &sent) == SQLITE_OK);
}

static void take_more(struct watch *watch, portal_batch *batch)
{
    CHECK(watch->count == PORTAL_UNDER_WAY);
    CHECK(batch->next(batch) == NULL);
    CHECK(batch->report(batch, watch->given[0], &sent) == SQLITE_OK);
    watch->given[0] = batch->next(batch);
    CHECK(watch->given[0] != NULL && batch->next(batch) == NULL);
    report_all(watch, batch);
}

static const portal_outgoing *beside(const portal_outgoing *message, ptrdiff_t bytes)
{
    return (const portal_outgoing *)(const void *)((const char *)message + bytes);
}

static void report_strays(struct watch *watch, portal_batch *batch)
{
    ptrdiff_t apart = (const char *)watch->given[0] - (const char *)watch->given[1];

    CHECK(batch->report(batch, NULL, &sent) == SQLITE_MISUSE);
    CHECK(batch->report(batch, beside(watch->given[0], 1), &sent) == SQLITE_MISUSE);
    CHECK(batch->report(batch, beside(watch->given[0], 1000 * labs(apart)), &sent) == SQLITE_MISUSE);
    report_all(watch, batch);
    CHECK(batch->report(batch, watch->given[0], &sent) == SQLITE_MISUSE);
}

static void interrupt(struct watch *watch, portal_batch *batch)
{
    sqlite3_interrupt(watch->db);
    CHECK(batch->settle(batch) == SQLITE_INTERRUPT);
    CHECK(batch->next(batch) == NULL);
    report_all(watch, batch);
}

/* Nobody else can open it meanwhile. */
static void interrupt_elsewhere(struct watch *watch, portal_batch *batch)
{
    CHECK(rename(path, "elsewhere.db") == 0);
    interrupt(watch, batch);
}

static void test_stream(void)
{
    static const char by_status[] =
        "SELECT group_concat(n || ' ' || status, ', ') FROM"
        " (SELECT status, count(*) AS n FROM portal_message GROUP BY status ORDER BY status)";
    struct watch watch = {.count = 0};

    TEST("a channel is given 200 messages at once, and another for each that it reports") {
        sqlite3 *db;
        watch.then = take_more;
        db = practice(path, &watch, PATIENTS);
        ANSWERS(db, "SELECT deliver()", "{\"sent\":201,\"failed\":0,\"retrying\":0,\"waiting\":49}");
        ANSWERS(db, by_status, "49 queued, 201 sent");
        CHECK(sqlite3_close(db) == SQLITE_OK);
    }
    TEST("a backlog of one medium alone is handed over without a pause") {
        sqlite3 *db;
        watch.then = take_all;
        db = practice(path, &watch, 1100);
        watch.turns = 0;
        ANSWERS(db, "SELECT deliver()", "{\"sent\":1100,\"failed\":0,\"retrying\":0,\"waiting\":0}");
        CHECK(watch.turns == 1);
        CHECK(sqlite3_close(db) == SQLITE_OK);
    }
    TEST("a report of a message that a channel does not have is refused and changes nothing") {
        sqlite3 *db;
        watch.then = report_strays;
        db = practice(path, &watch, 2);
        ANSWERS(db, "SELECT deliver()", "{\"sent\":2,\"failed\":0,\"retrying\":0,\"waiting\":0}");
        CHECK(sqlite3_close(db) == SQLITE_OK);
    }
    TEST("after an interrupt a channel is given none, and its reports are kept") {
        sqlite3 *db;
        watch.then = interrupt;
        db = practice(path, &watch, PATIENTS);
        ANSWERS(db, "SELECT deliver()", "{\"sent\":200,\"failed\":0,\"retrying\":0,\"waiting\":null,"
                                        "\"stopped\":\"interrupted; try again (interrupted)\"}");
        ANSWERS(db, by_status, "50 queued, 200 sent");
        CHECK(sqlite3_close(db) == SQLITE_OK);
    }
    TEST("an interrupt in a database that nobody else can open leaves messages claimed, which may come twice") {
        const char *const files[] = {path, ":memory:"};
        for (int i = 0; i < 2; i++) {
            sqlite3 *db;
            watch.then = i == 0 ? interrupt_elsewhere : interrupt;
            db = practice(files[i], &watch, 3);
            ANSWERS(db, "SELECT deliver()", "interrupted; try again (interrupted)");
            if (i == 0) CHECK(rename("elsewhere.db", path) == 0);
            ANSWERS(db, by_status, "3 claimed");
            CHECK(sqlite3_close(db) == SQLITE_OK);
        }
    }
}

int main(void)
{
    if (sqlite3_auto_extension((void (*)(void))sqlite3_portal_init) != SQLITE_OK) return 2;
    test_stream();
    sqlite3_reset_auto_extension();
    return unit_result();
}
