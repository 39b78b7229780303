/* Every setting with any value. */
#include "practice.h"

const char fuzz_claim[] = "a setting's value is refused, or reads back the same and works";

enum { SETTINGS_MAX = 64, CHANGES_MAX = 4 };

static char *keys[SETTINGS_MAX];
static int key_count;

static void learn_keys(sqlite3 *db)
{
    sqlite3_stmt *statement = NULL;

    REQUIRE(sqlite3_prepare_v2(db, "SELECT key FROM portal_settings", -1, &statement, NULL) == SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        REQUIRE(key_count < SETTINGS_MAX);
        keys[key_count++] = strdup((const char *)sqlite3_column_text(statement, 0));
    }
    REQUIRE(sqlite3_finalize(statement) == SQLITE_OK && key_count > 10);
}

/* The answer to a statement with a key, and a value unless it is NULL; NULL when it is refused. */
static char *ask(sqlite3 *db, const char *sql, const char *key, const char *value)
{
    sqlite3_stmt *statement = NULL;
    char *answer = NULL;

    REQUIRE(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
    REQUIRE(sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC) == SQLITE_OK);
    if (value != NULL) REQUIRE(sqlite3_bind_text(statement, 2, value, -1, SQLITE_STATIC) == SQLITE_OK);
    if (sqlite3_step(statement) == SQLITE_ROW) {
        answer = strdup((const char *)sqlite3_column_text(statement, 0));
    }
    (void)practice_run(db, statement, false);
    (void)sqlite3_finalize(statement);
    return answer;
}

static void is_in_force(sqlite3 *db, const char *key, const char *value)
{
    char *one = ask(db, "SELECT portal_setting(?1)", key, NULL);
    char *row = ask(db, "SELECT value FROM portal_settings WHERE key = ?1", key, NULL);

    REQUIRE_TELL(one != NULL && strcmp(one, value) == 0, "%s is \"%s\", not \"%s\"", key, one, value);
    REQUIRE_TELL(row != NULL && strcmp(row, value) == 0, "%s is \"%s\", not \"%s\"", key, row, value);
    free(one);
    free(row);
}

static void set(sqlite3 *db, struct input *input)
{
    const char *key = keys[input_byte(input) % key_count];
    char *value = input_text(input);
    char *before = ask(db, "SELECT portal_setting(?1)", key, NULL);
    char *answer = ask(db, "SELECT portal_setting(?1, ?2)", key, value);

    REQUIRE(before != NULL && (answer == NULL || strcmp(answer, value) == 0));
    is_in_force(db, key, answer == NULL ? before : value);
    free(before);
    free(answer);
    free(value);
}

/* The checks of every message are the carrier's; other channels there are not. */
static void works(sqlite3 *db)
{
    char *answer;
    int count;

    free(practice_ask(db, "SELECT portal_setting('email_channel', 'maildir')"));
    free(practice_ask(db, "SELECT portal_setting('text_channel', 'maildir')"));
    count = carrier.count;
    if (practice_try(db, "SELECT send_registration(5, 'text')") == SQLITE_OK) {
        REQUIRE(carrier.count > count);
        answer = ask(db, "SELECT token_status(?1)", carrier.link, NULL);
        REQUIRE_TELL(strcmp(answer, "valid") == 0, "%s", answer);
        free(answer);
    }
    (void)practice_try(db, "SELECT send_registration(:another_patient, :channel)");
    (void)practice_try(db, "SELECT request_pin(:token, :last_name, :date_of_birth)");
    (void)practice_try(db, "SELECT forgot_password(:username)");
    (void)practice_try(db, "SELECT submit_demographics(:session, :patient_id, :json)");
    (void)practice_try(db, "UPDATE pending_requests SET decision = :decision");
    (void)practice_try(db, "SELECT revoke_access(:patient_id, :reason)");
    (void)practice_try(db, "SELECT deliver()");
    (void)practice_try(db, "SELECT * FROM portal_status");
    answer = practice_ask(db, "SELECT group_concat(problem || ': ' || subject) FROM portal_check"
                              " WHERE problem LIKE '%setting%'");
    REQUIRE_TELL(*answer == '\0', "%s", answer);
    free(answer);
}

/* What another connection reads is the same. */
static void stays(sqlite3 *db)
{
    sqlite3_int64 size = 0;
    unsigned char *image = sqlite3_serialize(db, "main", &size, 0);
    sqlite3 *another = practice_open_image(image, (size_t)size);

    for (int i = 0; i < key_count; i++) {
        char *value = ask(db, "SELECT portal_setting(?1)", keys[i], NULL);
        is_in_force(another, keys[i], value);
        free(value);
    }
    practice_close(another);
    sqlite3_free(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    sqlite3 *db = practice_open();

    if (key_count == 0) learn_keys(db);
    for (int i = 0; i < CHANGES_MAX && input.left > 0; i++) set(db, &input);
    stays(db);
    works(db);
    practice_close(db);
    return 0;
}
