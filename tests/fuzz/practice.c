#include "practice.h"

#include "../../ext/normalize.h"

#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

enum { START = 1795357200, PAGE_SIZE = 1024 };   /* 2026-11-22 14:20:00 UTC */

int sqlite3_portal_init(sqlite3 *db, char **error, const struct sqlite3_api_routines *routines);

/* The practice as every input finds it. */
static uint8_t *image;
static sqlite3_int64 image_size;
static struct carrier carried;

/* What an argument of a name is when it is right; the empty ones are filled in at the start. */
static struct right {
    const char *name;
    int type;
    char text[200];
} rights[] = {
    {"patient_id", SQLITE_INTEGER, "1"},
    {"channel", SQLITE_TEXT, "email"},
    {"first_name", SQLITE_TEXT, "Zoe"},
    {"last_name", SQLITE_TEXT, "Short"},
    {"date_of_birth", SQLITE_TEXT, "1980-02-29"},
    {"contact", SQLITE_TEXT, "zoe@example.com"},
    {"reason", SQLITE_TEXT, "moved"},
    {"username", SQLITE_TEXT, "ada"},
    {"request_id", SQLITE_INTEGER, "1"},
    {"force", SQLITE_TEXT, "force"},
    {"token", SQLITE_TEXT, ""},
    {"pin", SQLITE_TEXT, ""},
    {"password", SQLITE_TEXT, "analytical engine"},
    {"name", SQLITE_TEXT, "Rita Child"},
    {"relationship", SQLITE_TEXT, "parent"},
    {"session", SQLITE_TEXT, ""},
    {"json", SQLITE_TEXT, "{\"city\":\"Ashford\",\"email\":\"new@example.com\",\"text_consent\":false}"},
    {"key", SQLITE_TEXT, "practice_name"},
    {"value", SQLITE_TEXT, "Harbour Practice"},
    {"application", SQLITE_TEXT, "portal"},
    {"user", SQLITE_TEXT, "203.0.113.7"},
    {"limit", SQLITE_INTEGER, "10"},
    {"claim", SQLITE_TEXT, ""},
    {"message_id", SQLITE_INTEGER, ""},
    {"status", SQLITE_TEXT, "sent"},
    {"detail", SQLITE_TEXT, "250 OK"},
    {"days", SQLITE_INTEGER, "1"},
    {"reset", SQLITE_TEXT, ""},
    {"decision", SQLITE_TEXT, "accept"},
    {"field", SQLITE_TEXT, "city"},
    {"phone", SQLITE_TEXT, "+12025550199"},
    {"new_name", SQLITE_TEXT, "zoe.short"},
    {"text", SQLITE_TEXT, "text"},
    {"another_patient", SQLITE_INTEGER, "4"},
    {"revoked_patient", SQLITE_INTEGER, "3"},
    {"from_id", SQLITE_INTEGER, "4"},
    {"into_id", SQLITE_INTEGER, "1"},
    {"unreached_patient", SQLITE_INTEGER, "7"},
    {"kind", SQLITE_TEXT, "pin"},
    {"query", SQLITE_TEXT, "a=b"},
    {"headers", SQLITE_TEXT, "{}"},
    {"body", SQLITE_TEXT, "c=d"},
    {"paper", SQLITE_TEXT, "A4"},
    {"language", SQLITE_TEXT, "es"},
    {"mapping", SQLITE_TEXT, "{\"table\":\"patient\",\"patient_id\":\"patient_id\",\"first_name\":\"first_name\","
     "\"last_name\":\"last_name\",\"date_of_birth\":\"date_of_birth\",\"email\":\"email\",\"requests\":[\"email\"]}"},
};

enum { RIGHTS = sizeof rights / sizeof rights[0], CALLABLES_MAX = 80 };

static struct callable callables[CALLABLES_MAX];
static int callable_count;

/* The same clock and the same random numbers for every input */

static sqlite3_int64 now;
static uint64_t random_state;

static int clock_milliseconds(sqlite3_vfs *vfs, sqlite3_int64 *out)
{
    (void)vfs;
    *out = 210866760000000 + now * 1000;
    return SQLITE_OK;
}

static const char *random_name(void)
{
    return "xorshift";
}

static uint32_t random_number(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32);
}

static void random_bytes(void *const buffer, const size_t size)
{
    for (size_t i = 0; i < size; i++) ((uint8_t *)buffer)[i] = (uint8_t)random_number();
}

static void rewind_world(void)
{
    now = START + 60;
    random_state = 88172645463325252;
    carrier = carried;
}

void practice_wait(sqlite3_int64 seconds)
{
    now += seconds;
}

/* The key file, a process's own: nothing that an input can do changes it. */
static char key_path[40];

static void key_remove(void)
{
    (void)unlink(key_path);
}

static void key_file(void)
{
    static const char key[] =
        "1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
    int file;

    (void)snprintf(key_path, sizeof key_path, "practice-%ld.portal-key", (long)getpid());
    file = open(key_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    REQUIRE(file >= 0 && write(file, key, sizeof key - 1) == (ssize_t)sizeof key - 1 && close(file) == 0);
    REQUIRE(setenv("PORTAL_KEY_FILE", key_path, 1) == 0 && atexit(key_remove) == 0);
}

static void world(void)
{
    static randombytes_implementation implementation = {
        .implementation_name = random_name, .random = random_number, .buf = random_bytes,
    };
    static const char *const systems[] = {NULL, "memdb"};

    REQUIRE(setenv("TZ", "America/New_York", 1) == 0);
    REQUIRE(randombytes_set_implementation(&implementation) == 0 && sodium_init() >= 0);
    REQUIRE(sqlite3_initialize() == SQLITE_OK);
    for (size_t i = 0; i < 2; i++) {
        sqlite3_vfs *vfs = sqlite3_vfs_find(systems[i]);
        REQUIRE(vfs != NULL && vfs->iVersion >= 2);
        vfs->xCurrentTimeInt64 = clock_milliseconds;
    }
    key_file();
    REQUIRE(sqlite3_auto_extension((void (*)(void))sqlite3_portal_init) == SQLITE_OK);
    rewind_world();
}

/* Right values */

int practice_right_count(void)
{
    return RIGHTS;
}

static struct right *right(const char *name)
{
    for (int i = 0; i < RIGHTS; i++) {
        if (strcmp(rights[i].name, name) == 0) return &rights[i];
    }
    REQUIRE_TELL(false, "no right value for %s", name);
    return NULL;
}

static void bind_right(sqlite3_stmt *statement, int parameter, const struct right *value)
{
    int code = value->type == SQLITE_INTEGER
               ? sqlite3_bind_int64(statement, parameter, strtoll(value->text, NULL, 10))
               : sqlite3_bind_text(statement, parameter, value->text, -1, SQLITE_STATIC);
    REQUIRE(code == SQLITE_OK);
}

void practice_bind_right(sqlite3_stmt *statement, int parameter, int index)
{
    bind_right(statement, parameter, &rights[index % RIGHTS]);
}

void practice_bind_named(sqlite3_stmt *statement)
{
    for (int i = 1; i <= sqlite3_bind_parameter_count(statement); i++) {
        bind_right(statement, i, right(sqlite3_bind_parameter_name(statement, i) + 1));
    }
}

/* Answers and errors */

/* An error says what is wrong, on one line. */
static void check_error(sqlite3 *db, const char *sql)
{
    const char *text = sqlite3_errmsg(db);

    /* SQLite's own words, when it reads a damaged schema only now. */
    if (strncmp(text, "malformed database schema", 25) == 0) return;
    REQUIRE_TELL(*text != '\0' && !normalize_has_hidden(text), "\"%s\" to %s", text, sql);
    REQUIRE_TELL(strlen(text) < 1200, "%zu bytes of error to %s", strlen(text), sql);
}

/* Where it quotes no odd value, it is in words of our own, and gives no secret away. */
static void check_words(sqlite3 *db, const char *sql)
{
    static const char *const unclear[] = {
        "not an error", "unknown error", "bad parameter", "SQL logic error", "(null)", "another row available",
    };
    static const char *const names[] = {"token", "pin", "session", "reset", "password"};
    const char *text = sqlite3_errmsg(db);

    for (size_t i = 0; i < sizeof unclear / sizeof unclear[0]; i++) {
        REQUIRE_TELL(strstr(text, unclear[i]) == NULL, "\"%s\" to %s", text, sql);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *secret = right(names[i])->text;
        REQUIRE_TELL(*secret == '\0' || strstr(text, secret) == NULL, "a %s in \"%s\"", names[i], text);
    }
}

/* RFC 8259; SQLite's own reader is the judge. */
static bool is_json(const char *text)
{
    static sqlite3 *judge;
    static sqlite3_stmt *statement;
    bool valid;

    if (judge == NULL) {
        REQUIRE(sqlite3_open(":memory:", &judge) == SQLITE_OK);
        REQUIRE(sqlite3_prepare_v2(judge, "SELECT json_valid(?1)", -1, &statement, NULL) == SQLITE_OK);
    }
    REQUIRE(sqlite3_bind_text(statement, 1, text, -1, SQLITE_STATIC) == SQLITE_OK);
    valid = sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_int(statement, 0) == 1;
    REQUIRE(sqlite3_reset(statement) == SQLITE_OK);
    return valid;
}

static void check_answer(sqlite3_stmt *statement, bool json)
{
    for (int i = 0; i < sqlite3_column_count(statement); i++) {
        const char *text = (const char *)sqlite3_column_text(statement, i);
        REQUIRE(!json || text == NULL || (is_json(text) && normalize_is_utf8(text, strlen(text))));
    }
}

int practice_run(sqlite3 *db, sqlite3_stmt *statement, bool json)
{
    int code;

    while ((code = sqlite3_step(statement)) == SQLITE_ROW) check_answer(statement, json);
    if (code != SQLITE_DONE) {
        REQUIRE_TELL((code & 0xff) != SQLITE_MISUSE && (code & 0xff) != SQLITE_INTERNAL, "%s",
                     sqlite3_sql(statement));
        check_error(db, sqlite3_sql(statement));
    }
    (void)sqlite3_reset(statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

int practice_try(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);

    if (code == SQLITE_OK) {
        practice_bind_named(statement);
        code = practice_run(db, statement, false);
        if (code != SQLITE_OK) check_words(db, sql);
        (void)sqlite3_finalize(statement);
    } else {
        /* SQLite's own words: it quotes a damaged schema as it finds it. */
        REQUIRE_TELL(*sqlite3_errmsg(db) != '\0', "%s", sql);
    }
    return code;
}

char *practice_ask(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    char *answer;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);

    REQUIRE_TELL(code == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
    practice_bind_named(statement);
    code = sqlite3_step(statement);
    REQUIRE_TELL(code == SQLITE_ROW || code == SQLITE_DONE, "%s: %s", sql, sqlite3_errmsg(db));
    answer = code == SQLITE_ROW && sqlite3_column_text(statement, 0) != NULL
             ? strdup((const char *)sqlite3_column_text(statement, 0)) : calloc(1, 1);
    while (code == SQLITE_ROW) code = sqlite3_step(statement);
    REQUIRE_TELL(sqlite3_finalize(statement) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
    return answer;
}

/* Making the practice */

static void must(sqlite3 *db, const char *sql)
{
    free(practice_ask(db, sql));
}

static void learn(const char *name, const char *text)
{
    struct right *value = right(name);

    REQUIRE_TELL(*text != '\0' && strlen(text) < sizeof value->text, "no %s: \"%s\"", name, text);
    (void)snprintf(value->text, sizeof value->text, "%s", text);
}

static void learn_answer(sqlite3 *db, const char *name, const char *sql)
{
    char *answer = practice_ask(db, sql);

    learn(name, answer);
    free(answer);
}

static const char patients[] =
    "INSERT INTO patient (first_name, last_name, date_of_birth, email, cell_phone) VALUES"
    "  ('Ada', 'Lovelace', '1985-12-10', 'ada@example.com', '+12025550101'),"
    "  ('Ben', 'Short', '1980-02-29', 'ben@example.com', '202-555-0102'),"
    "  ('Cyn', 'Child', '2019-05-05', 'rita@example.com', '202 555 0103'),"
    "  ('Dan', 'Late', '1990-01-01', 'dan@example.com', NULL),"
    "  ('Fay', 'Texts', '1991-01-01', 'fay@example.com', '2025550105'),"
    "  ('Gus', 'Gone', '1930-01-01', 'gus@example.com', NULL),"
    "  ('Hal', 'Unreached', '1940-01-01', NULL, NULL)";

/* Registers whom the link, and then the PIN, was sent to last. */
static void registered(sqlite3 *db, const char *proof, const char *call)
{
    learn("token", carrier.link);
    must(db, proof);
    learn("pin", carrier.pin);
    must(db, call);
}

static void populate(sqlite3 *db)
{
    must(db, "SELECT portal_init()");
    must(db, "SELECT portal_setting('resend_seconds', '0')");
    must(db, "SELECT portal_setting('practice_name', 'Elm Street'), portal_setting('practice_phone', '202 555 0100'),"
             "       portal_setting('portal_url', 'https://elm.example')");
    must(db, patients);
    must(db, "SELECT send_registration(1, 'email')");
    registered(db, "SELECT request_pin(:token, 'Lovelace', '1985-12-10')",
               "SELECT register_patient(:token, :pin, :username, :password)");
    must(db, "SELECT send_registration(3, 'email')");
    registered(db, "SELECT request_pin(:token, 'Child', '2019-05-05')",
               "SELECT register_representative(:token, :pin, 'rita', :password, :name, :relationship)");
    must(db, "SELECT revoke_access(3, 'custody')");
    learn_answer(db, "session", "SELECT json_extract(portal_login(:username, :password), '$.session')");
    must(db, "SELECT portal_login('rita', 'a wrong password')");
    must(db, "SELECT submit_demographics(:session, 1, :json)");
    must(db, "SELECT forgot_password(:username)");
    must(db, "SELECT deliver()");
    learn("reset", carrier.reset);
    carrier.outcome = 2;   /* PORTAL_UNDELIVERABLE */
    must(db, "SELECT send_registration(6, 'email')");
    carrier.outcome = 0;
    must(db, "SELECT send_registration(2, 'email')");
    learn("token", carrier.link);
    must(db, "SELECT request_pin(:token, 'Short', '1980-02-29')");
    learn("pin", carrier.pin);
    must(db, "INSERT INTO send_registration VALUES (4, 'email'), (5, 'text')");
    must(db, "SELECT portal_letter(7)");
    learn_answer(db, "claim", "SELECT claim_messages(1, 'email')");
    learn_answer(db, "message_id", "SELECT message_id FROM portal_message WHERE claim = :claim");
    must(db, "SELECT portal_secret('gateway', 'hush')");
}

/* Names out of "name(a, b [, c])" or from the columns of a table. */
static void columns_read(struct callable *callable, const char *usage)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz_0123456789";

    usage += strcspn(usage, "(");
    for (usage += strcspn(usage, letters); *usage != '\0'; usage += strcspn(usage, letters)) {
        size_t length = strspn(usage, letters);
        REQUIRE(callable->count < CALLABLE_COLUMNS);
        (void)snprintf(callable->column[callable->count++], 32, "%.*s", (int)length, usage);
        usage += length;
    }
}

static void callables_read(sqlite3 *db)
{
    sqlite3_stmt *statement = NULL;

    REQUIRE(sqlite3_prepare_v2(db,
                               "SELECT name, kind LIKE 'function%', kind LIKE '%insert', usage, result LIKE 'JSON%',"
                               "       (SELECT '(' || group_concat(x.name) FROM pragma_table_xinfo(h.name) x),"
                               "       (SELECT count(*) FROM pragma_table_xinfo(h.name) x WHERE hidden)"
                               "  FROM portal_help h", -1, &statement, NULL) == SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        struct callable *callable = &callables[callable_count++];
        REQUIRE(callable_count <= CALLABLES_MAX);
        (void)snprintf(callable->name, sizeof callable->name, "%s", sqlite3_column_text(statement, 0));
        callable->function = sqlite3_column_int(statement, 1) != 0;
        callable->inserts = sqlite3_column_int(statement, 2) != 0;
        callable->json = sqlite3_column_int(statement, 4) != 0;
        callable->hidden = callable->function ? 0 : sqlite3_column_int(statement, 6);
        columns_read(callable, (const char *)sqlite3_column_text(statement, callable->function ? 3 : 5));
    }
    REQUIRE(sqlite3_finalize(statement) == SQLITE_OK && callable_count > 30);
}

static void prepare(void)
{
    sqlite3 *db = NULL;

    if (image != NULL) return;
    world();
    REQUIRE(sqlite3_open(":memory:", &db) == SQLITE_OK);
    must(db, "PRAGMA page_size = 1024");
    now = START;
    populate(db);
    callables_read(db);
    image = sqlite3_serialize(db, "main", &image_size, 0);
    REQUIRE(image != NULL);
    carried = carrier;
    practice_close(db);
}

/* Connections */

const uint8_t *practice_image(size_t *size)
{
    prepare();
    *size = (size_t)image_size;
    return image;
}

int practice_callables(const struct callable **list)
{
    prepare();
    *list = callables;
    return callable_count;
}

sqlite3 *practice_open_image(const uint8_t *bytes, size_t size)
{
    uint8_t *copy;
    sqlite3 *db = NULL;

    prepare();
    rewind_world();
    copy = sqlite3_malloc64(size + 1);
    REQUIRE(copy != NULL && sqlite3_open(":memory:", &db) == SQLITE_OK);
    memcpy(copy, bytes, size);
    REQUIRE(sqlite3_deserialize(db, "main", copy, (sqlite3_int64)size, (sqlite3_int64)size,
                                SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE) == SQLITE_OK);
    return db;
}

sqlite3 *practice_open(void)
{
    prepare();
    return practice_open_image(image, (size_t)image_size);
}

void practice_close(sqlite3 *db)
{
    REQUIRE_TELL(sqlite3_close(db) == SQLITE_OK, "%s", sqlite3_errmsg(db));
}

/* Everything */

static void call_function(sqlite3 *db, const struct callable *callable)
{
    sqlite3_str *sql = sqlite3_str_new(NULL);
    char *text;

    sqlite3_str_appendf(sql, "SELECT %s(", callable->name);
    for (int i = 0; i < callable->count; i++) {
        sqlite3_str_appendf(sql, "%s:%s", i == 0 ? "" : ", ", callable->column[i]);
    }
    sqlite3_str_appendall(sql, ")");
    text = sqlite3_str_finish(sql);
    (void)practice_try(db, text);
    sqlite3_free(text);
}

static void read_table(sqlite3 *db, const struct callable *callable)
{
    for (int i = 0; i < callable->count; i++) {
        char *sql = sqlite3_mprintf("SELECT * FROM %s WHERE %s = :patient_id", callable->name,
                                    callable->column[i]);
        (void)practice_try(db, sql);
        sqlite3_free(sql);
    }
}

void practice_try_all(sqlite3 *db)
{
    static const char *const more[] = {
        "SELECT * FROM portal_status", "SELECT * FROM pending_requests", "SELECT * FROM portal_check",
        "SELECT * FROM portal_settings", "SELECT * FROM portal_channels",
        "SELECT * FROM portal_claimed(:claim)", "SELECT * FROM portal_find(:last_name)", "SELECT * FROM portal_registrations",
        "SELECT * FROM portal_people", "SELECT * FROM portal_outcomes", "SELECT * FROM portal_outbox", "SELECT * FROM portal_events",
        "SELECT token_status(:reset)", "SELECT reset_password(:reset, :password)",
        "SELECT register_patient(:token, :pin, :new_name, :password)",
        "SELECT send_registration(:another_patient, :text)",
        "SELECT send_registration(:revoked_patient, :channel)",
        "INSERT OR IGNORE INTO send_registration SELECT patient_id, 'email' FROM patient",
        "UPDATE pending_requests SET decision = 'accept'",
        "SELECT deliver()", "SELECT portal_audit_verify()",
    };

    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        (void)practice_try(db, more[i]);
    }
    /* portal_as() takes rights away: last, and again after what it leaves. */
    for (int i = 0; i < callable_count; i++) {
        if (!callables[i].function) read_table(db, &callables[i]);
    }
    for (int i = 0; i < callable_count; i++) {
        if (callables[i].function) call_function(db, &callables[i]);
    }
}
