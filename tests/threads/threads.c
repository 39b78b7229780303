/*
** Threads with a connection each in one process, for ThreadSanitizer: the extension and the plugins are
** built with it and loaded at run time, by all threads at once.
*/
#include "../unit/unit.h"

#include <glob.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 4, ROUNDS = 6, TEXT_SIZE = 4096, BUSY_TIMEOUT = 60000, MAIL_TRIES = 1000 };

/* A thread, what it is to do, and what went wrong. */
struct worker {
    pthread_t thread;
    int number;
    const char *path;
    void (*work)(struct worker *worker);
    sqlite3 *db;
    char answer[TEXT_SIZE];
    char failure[TEXT_SIZE];
};

/*
** Debian's SQLite is not built for it.  Its locks are seen all the same; the memory that it reads and
** writes is not, but for what it does by memcpy() and the like (the WAL index is read without a lock,
** by design), which has to be left out.
*/
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "ignore_noninstrumented_modules=1";
}

/*
** SQLITE_EXTENSION_INIT2 stores the same pointer at every load, in every extension there is.  Names are not
** found in a library loaded after the first report, so what the plugin itself stores, which is nothing else,
** goes by the library.
*/
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:sqlite3_api\nrace_top:spool.so\n";
}

static const char *extension;
static pthread_barrier_t barrier;

static void failed(struct worker *worker, const char *what)
{
    if (worker->failure[0] != '\0') return;
    (void)snprintf(worker->failure, sizeof worker->failure, "%.1000s: %.1000s", what,
             worker->db == NULL ? "" : sqlite3_errmsg(worker->db));
}

/* Runs SQL, a sqlite3_mprintf() format, to its end; the first column of the first row is the answer. */
static const char *ask(struct worker *worker, const char *format, ...)
{
    sqlite3_stmt *statement = NULL;
    va_list arguments;
    va_start(arguments, format);
    char *sql = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    int code = sqlite3_prepare_v2(worker->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) code = sqlite3_step(statement);
    const unsigned char *text = code == SQLITE_ROW ? sqlite3_column_text(statement, 0) : NULL;
    (void)snprintf(worker->answer, sizeof worker->answer, "%s", text == NULL ? "" : (const char *)text);
    while (code == SQLITE_ROW) code = sqlite3_step(statement);
    if (code != SQLITE_DONE) failed(worker, sql);
    sqlite3_finalize(statement);
    sqlite3_free(sql);
    return worker->answer;
}

/* As ask(), for an answer that has to hold a part. */
#define ASK_FOR(worker, part, ...) \
    do { if (strstr(ask(worker, __VA_ARGS__), part) == NULL) failed(worker, (worker)->answer); } while (0)

static void open_and_load(struct worker *worker, const char *path)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(path, &worker->db, flags, NULL);
    if (code == SQLITE_OK) code = sqlite3_db_config(worker->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
    if (code == SQLITE_OK) code = sqlite3_busy_timeout(worker->db, BUSY_TIMEOUT);
    if (code == SQLITE_OK) code = sqlite3_load_extension(worker->db, extension, NULL, NULL);
    if (code == SQLITE_OK) code = sqlite3_exec(worker->db, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
    if (code != SQLITE_OK) failed(worker, "open and load");
}

static void closed(struct worker *worker)
{
    if (sqlite3_close(worker->db) != SQLITE_OK) failed(worker, "close");
    worker->db = NULL;
}

/*
** What a pattern of one conversion finds in the newest message to a recipient; "" when there is none.  Any
** thread may have it in hand, and so it is waited for.
*/
static void mailed(struct worker *worker, const char *mark, const char *format, char out[64])
{
    char path[512];
    char text[TEXT_SIZE];
    glob_t files;
    out[0] = '\0';
    ask(worker, "SELECT max(message_id) FROM portal_message WHERE recipient = 't%d@example.com'", worker->number);
    (void)snprintf(path, sizeof path, "%s-outbox/new/*.%.20s.*.portal", worker->path, worker->answer);
    for (int tries = 0; glob(path, 0, NULL, &files) != 0; tries++) {
        if (tries == MAIL_TRIES) return;
        usleep(10000);
    }
    FILE *file = fopen(files.gl_pathv[0], "r");
    globfree(&files);
    if (file == NULL) return;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    const char *found = strstr(text, mark);
    if (found != NULL) (void)sscanf(found + strlen(mark), format, out);
}

static const char password[] = "correct horse battery staple";

/* From a registration to its revoke, with everything that a patient and staff do between. */
static void live_once(struct worker *worker, const char *patient, int round)
{
    char token[64], pin[64], session[64];
    int n = worker->number;
    if (round > 0) ASK_FOR(worker, "by email", "SELECT send_registration(%s, 'email')", patient);
    mailed(worker, "/r/", "%32s", token);
    ASK_FOR(worker, "1", "SELECT token_valid(%Q)", token);
    ASK_FOR(worker, "pin_sent", "SELECT request_pin(%Q, 'Lovelace', '1985-12-10')", token);
    mailed(worker, " is\n\n", "%6s", pin);
    ASK_FOR(worker, "registered", "SELECT register_patient(%Q, %Q, 'thread%d', %Q)", token, pin, n, password);
    (void)snprintf(session, sizeof session, "%.32s",
                   ask(worker, "SELECT json_extract(portal_login('thread%d', %Q), '$.session')", n, password));
    ASK_FOR(worker, "submitted", "SELECT submit_demographics(%Q, %s, '{\"city\":\"Round %d\"}')", session, patient, round);
    ask(worker, "UPDATE pending_requests SET decision = 'accept' WHERE patient_id = %s", patient);
    ask(worker, "INSERT OR IGNORE INTO send_registration SELECT patient_id, 'text' FROM patient");
    ask(worker, "SELECT portal_setting('pin_minutes', %d)", 5 + round);
    ask(worker, "SELECT count(*) FROM portal_status");
    ask(worker, "SELECT count(*) FROM portal_check");
    ask(worker, "SELECT expire_links()");
    ask(worker, "SELECT deliver(5)");
    ASK_FOR(worker, "revoked", "SELECT revoke_access(%s)", patient);
}

static void live(struct worker *worker)
{
    char patient[64];
    int n = worker->number;
    open_and_load(worker, worker->path);
    (void)snprintf(patient, sizeof patient, "%.60s",
                   ask(worker, "SELECT quick_add('Thread%d', 'Lovelace', '1985-12-10', 'email', 't%d@example.com')", n, n));
    for (int round = 0; round < ROUNDS && worker->failure[0] == '\0'; round++) live_once(worker, patient, round);
    ask(worker, "SELECT portal_audit_verify()");
    if (worker->answer[0] != '\0') failed(worker, worker->answer);
    closed(worker);
}

static void open_and_close(struct worker *worker)
{
    for (int round = 0; round < ROUNDS; round++) {
        open_and_load(worker, ":memory:");
        /* Tells of every channel, and so loads every plugin. */
        ASK_FOR(worker, "spool", "SELECT portal_version()");
        ASK_FOR(worker, "were made", "SELECT portal_init()");
        closed(worker);
    }
}

static void initialise(struct worker *worker)
{
    open_and_load(worker, worker->path);
    ask(worker, "SELECT portal_init()");
    closed(worker);
}

static void send_through_plugin(struct worker *worker)
{
    open_and_load(worker, worker->path);
    pthread_barrier_wait(&barrier);
    ask(worker, "SELECT send_registration(%d, 'email')", worker->number + 1);
    closed(worker);
}

static void *started(void *data)
{
    struct worker *worker = data;
    pthread_barrier_wait(&barrier);
    worker->work(worker);
    return NULL;
}

/* Starts the work in all threads at once; gives how many last answers hold a part. */
static int together(const char *path, void (*work)(struct worker *worker), const char *part)
{
    static struct worker workers[THREADS];
    int answered = 0;
    memset(workers, 0, sizeof workers);
    for (int i = 0; i < THREADS; i++) {
        workers[i].number = i;
        workers[i].path = path;
        workers[i].work = work;
        CHECK(pthread_create(&workers[i].thread, NULL, started, &workers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(workers[i].thread, NULL) == 0);
        CHECK_TEXT(workers[i].failure, "");
        answered += strstr(workers[i].answer, part) != NULL;
    }
    return answered;
}

/* A practice in a journal mode, with a patient for each thread; SQL to run on it. */
static void practice(const char *path, const char *journal, const char *sql)
{
    struct worker worker = {.path = path};
    open_and_load(&worker, path);
    ask(&worker, "PRAGMA journal_mode = %s", journal);
    ask(&worker, "SELECT portal_init()");
    ask(&worker, "SELECT portal_setting('resend_seconds', 0)");
    ask(&worker, "SELECT portal_setting('sends_per_day', 1000)");
    ask(&worker, "%s", sql);
    closed(&worker);
    CHECK_TEXT(worker.failure, "");
}

int main(int argc, char **argv)
{
    extension = argc > 1 ? argv[1] : "build/tsan/portal";
    if (pthread_barrier_init(&barrier, NULL, THREADS) != 0) return 2;
    TEST("threads that open, load, look for plugins and close do not disturb each other") {
        together(":memory:", open_and_close, "");
    }
    TEST("threads that initialise one database at once make one portal") {
        CHECK(together("init.db", initialise, "were made") == 1);
    }
    setenv("SPOOL_FILE", "/dev/null", 1);
    TEST("threads that use a channel for the first time at once all send") {
        practice("plugin.db", "wal", "INSERT INTO patient (first_name, last_name, date_of_birth, email)"
                 " SELECT 'A', 'B', '1980-01-01', 'a' || value || '@example.com' FROM json_each('[1,2,3,4]')");
        practice("plugin.db", "wal", "SELECT portal_setting('email_channel', 'spool')");
        CHECK(together("plugin.db", send_through_plugin, "sent by email") == THREADS);
    }
    TEST("threads with a connection each live through everything with a rollback journal") {
        practice("delete.db", "delete", "SELECT 1");
        together("delete.db", live, "");
    }
    TEST("threads with a connection each live through everything in WAL mode") {
        practice("wal.db", "wal", "SELECT 1");
        together("wal.db", live, "");
    }
    return unit_result();
}
