/*
** Calls that hand messages over to the Maildir, under every fault: of memory, of the database's disk
** and of the Maildir's system calls.  Then a reader takes what is in new/, the faults end, and what
** waits is delivered: every message has arrived, whole, and none twice without its row saying so.
*/
#include "fault.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MESSAGES_MAX = 64, PATH_SIZE = 400 };

static const char with_maildir[] =
    "SELECT portal_setting('email_channel', NULL); SELECT portal_setting('text_channel', NULL);"
    "SELECT portal_setting('maildir', 'outbox');"
    "UPDATE portal_template SET text = text || ' Bye.' WHERE kind = 'registration' AND channel = 'email';";

/* No row for what wrote nothing: these five are all the ways to a hand-over. */
const struct fault_case delivery_cases[] = {
    {.name = "deliver", .arguments = "", .set_up = with_maildir},
    {.name = "send_registration", .arguments = "5, 'email'", .set_up = with_maildir},
    {.name = "quick_add", .arguments = "'Gil', 'Green', '2001-02-03', 'email', 'gil@example.com'",
     .set_up = with_maildir},
    {.name = "revoke_access", .arguments = "2", .set_up = with_maildir},
    {.name = "request_pin", .arguments = "@link, 'Bitdiddle', '1980-01-02'", .set_up = with_maildir},
    {.name = NULL},
};

/* What lies in a folder of the Maildir: how often each message, and the bytes of the last. */
struct folder {
    int files;
    int copies[MESSAGES_MAX];
    sqlite3_uint64 hash[MESSAGES_MAX];
};

static sqlite3_uint64 whole[MESSAGES_MAX];      /* the bytes of every message, as they should be */

static sqlite3_uint64 file_hash(const char *path)
{
    sqlite3_uint64 hash = 14695981039346656037u;
    FILE *file = fopen(path, "r");
    int byte;

    while (file != NULL && (byte = getc(file)) != EOF) hash = (hash ^ (unsigned)byte) * 1099511628211u;
    if (file != NULL) (void)fclose(file);
    return hash;
}

/* Calls `one` with the path of every file in a folder of the Maildir. */
static void each_file(const char *name, void (*one)(const char *path, const char *file, void *data),
                      void *data)
{
    char path[PATH_SIZE];
    const struct dirent *entry;
    DIR *folder;

    (void)snprintf(path, sizeof path, "outbox/%s", name);
    folder = opendir(path);
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.') continue;
        (void)snprintf(path, sizeof path, "outbox/%s/%s", name, entry->d_name);
        one(path, entry->d_name, data);
    }
    if (folder != NULL) (void)closedir(folder);
}

static void file_remove(const char *path, const char *file, void *data)
{
    (void)file;
    (void)data;
    (void)unlink(path);
}

/* As a reader does that has seen it; what is there already stays, as another file. */
static void file_take(const char *path, const char *file, void *data)
{
    char taken[PATH_SIZE];

    (void)data;
    (void)snprintf(taken, sizeof taken, "outbox/cur/%s:2,S", file);
    (void)rename(path, taken);
}

/* The name begins with the time and the number of the message. */
static void file_count(const char *path, const char *file, void *data)
{
    struct folder *folder = data;
    const char *dot = strchr(file, '.');
    long message_id = dot == NULL ? 0 : strtol(dot + 1, NULL, 10);

    folder->files++;
    if (message_id <= 0 || message_id >= MESSAGES_MAX) return;
    folder->copies[message_id]++;
    folder->hash[message_id] = file_hash(path);
}

static struct folder folder_look(const char *name)
{
    struct folder folder;

    memset(&folder, 0, sizeof folder);
    each_file(name, file_count, &folder);
    return folder;
}

static void maildir_remove(void)
{
    static const char *const folders[] = {"tmp", "new", "cur"};
    char path[PATH_SIZE];

    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        each_file(folders[i], file_remove, NULL);
        (void)snprintf(path, sizeof path, "outbox/%s", folders[i]);
        (void)rmdir(path);
    }
    (void)rmdir("outbox");
}

/* One row of the outbox, with what is there of it. */
struct arrival {
    bool sent;
    bool waits;
    bool claimed;
    bool duplicate;
    int new_copies;
    int copies;
};

static const char *now_problem(const struct arrival *row)
{
    if (row->sent && row->new_copies == 0) return "a message that was sent is not in new/";
    if (row->new_copies > 1) return "a message is in new/ twice";
    if (row->new_copies == 1 && !row->sent && !row->claimed && !row->duplicate) {
        return "a message in new/ counts as not handed over";
    }
    return row->sent || row->waits ? NULL : "a message is neither sent nor waiting";
}

static const char *later_problem(const struct arrival *row)
{
    if (row->copies == 0) return "a message is lost";
    if (row->copies > 1 && !row->duplicate) return "a message came twice, and its row does not say so";
    return row->sent ? NULL : "a message was never sent";
}

/* Judges every message that these calls send; those of the scene that were sent before are done. */
static const char *messages_problem(sqlite3 *db, bool later, long *count)
{
    static const char sql[] =
        "SELECT message_id, status = 'sent', due_at IS NOT NULL, status = 'claimed', duplicate"
        "  FROM portal_message WHERE status <> 'cancelled' AND NOT (status = 'sent' AND detail IS NULL)";
    struct folder fresh = folder_look("new");
    struct folder taken = folder_look("cur");
    const char *problem = NULL;
    sqlite3_stmt *statement = NULL;

    *count = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) return "the outbox can not be read";
    while (sqlite3_step(statement) == SQLITE_ROW && problem == NULL) {
        int id = sqlite3_column_int(statement, 0);
        struct arrival row = {
            .sent = sqlite3_column_int(statement, 1) != 0,
            .waits = sqlite3_column_int(statement, 2) != 0,
            .claimed = sqlite3_column_int(statement, 3) != 0,
            .duplicate = sqlite3_column_int(statement, 4) != 0,
            .new_copies = fresh.copies[id], .copies = fresh.copies[id] + taken.copies[id],
        };
        problem = later ? later_problem(&row) : now_problem(&row);
        if (whole[id] != 0 && ((fresh.copies[id] > 0 && fresh.hash[id] != whole[id]) ||
                               (taken.copies[id] > 0 && taken.hash[id] != whole[id]))) {
            problem = "a message is not whole";
        }
        (*count)++;
    }
    (void)sqlite3_finalize(statement);
    return problem;
}

/* Duplicates are events too. */
static const char said_of_duplicates[] =
    "SELECT count(*) FROM portal_message AS m WHERE duplicate AND NOT EXISTS (SELECT 1 FROM portal_audit"
    " WHERE subject = 'message ' || m.message_id AND action IN ('message.uncertain', 'message.claimed_again'))";

static const char *database_problem(bool later, long *count)
{
    sqlite3 *db = stage_open();
    const char *problem = NULL;

    if (db == NULL) return "another connection can not be opened";
    if (!stage_tells(db, "PRAGMA integrity_check", "ok|")) problem = "the database is damaged";
    else if (!stage_tells(db, "SELECT portal_audit_verify()", "NULL|")) problem = "the audit is broken";
    else if (!stage_tells(db, said_of_duplicates, "0|")) problem = "the audit says nothing of a duplicate";
    else problem = messages_problem(db, later, count);
    if (sqlite3_close(db) != SQLITE_OK) problem = "another connection does not close";
    return problem;
}

/* Past the retries, and past the lease of a claim, before a PIN is too old. */
static const char *deliver_the_rest(sqlite3 *db)
{
    static const int pauses[] = {80, 330, 80};
    struct outcome outcome;

    for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
        memory_clock += pauses[i];
        stage_run(db, "SELECT deliver()", &outcome);
        if (outcome.code != SQLITE_OK) return "deliver() does not work afterwards";
    }
    return NULL;
}

/* What each_plan() goes on. */
struct delivery {
    char sql[256];
    long before;            /* messages */
    long after;
};

/* The call, with a fault when there is a plan, and all that follows; *count gets its messages. */
static const char *hand_over(const struct delivery *delivery, const struct plan *plan, long *count,
                             struct outcome *outcome, bool *struck)
{
    sqlite3_int64 memory;
    const char *problem = NULL;
    long later = 0;
    sqlite3 *db;

    stage_restore();
    maildir_remove();
    memory = sqlite3_memory_used();
    db = stage_open();
    if (plan != NULL) plan_arm(plan);
    stage_run(db, delivery->sql, outcome);
    *struck = plan != NULL && fault_disarm() >= plan->n;
    if (outcome->code != SQLITE_OK) problem = plan == NULL ? "it fails" : plan_problem(plan, outcome);
    if (!sqlite3_get_autocommit(db)) problem = "a transaction is left open";
    if (folder_look("tmp").files > 0 && !fault_spared_draft) problem = "a draft is left in tmp/";
    if (problem == NULL) problem = database_problem(false, count);
    each_file("new", file_take, NULL);
    if (problem == NULL) problem = deliver_the_rest(db);
    if (sqlite3_close(db) != SQLITE_OK) problem = "it does not close";
    else if (sqlite3_memory_used() != memory || files_open() != 0) problem = "something is left over";
    if (problem == NULL) problem = database_problem(true, &later);
    if (problem == NULL && folder_look("tmp").files > 0) problem = "a draft is left in tmp/ for ever";
    return problem;
}

static bool fail_once(const struct plan *plan, void *data)
{
    const struct delivery *delivery = data;
    struct outcome outcome;
    long count = delivery->before;
    bool struck = false;
    const char *problem = hand_over(delivery, plan, &count, &outcome, &struck);

    if (problem == NULL && count != delivery->after &&
        (outcome.code == SQLITE_OK || count != delivery->before)) {
        problem = "it is half done";
    }
    if (problem != NULL) plan_note(plan, problem, &outcome, "");
    return struck;
}

static long operations(enum fault_kind kind, void *data)
{
    const struct delivery *delivery = data;
    struct outcome outcome;
    sqlite3 *db;
    long count;

    stage_restore();
    maildir_remove();
    db = stage_open();
    fault_arm(kind, LONG_MAX, false);
    stage_run(db, delivery->sql, &outcome);
    count = fault_disarm();
    (void)sqlite3_close(db);
    return count;
}

/* What is there before, after, and how the messages should be. */
static bool learn(struct delivery *delivery)
{
    struct outcome outcome;
    struct folder folder;
    const char *problem;
    bool struck;

    memset(whole, 0, sizeof whole);
    stage_restore();
    maildir_remove();
    problem = database_problem(false, &delivery->before);
    if (problem == NULL) problem = hand_over(delivery, NULL, &delivery->after, &outcome, &struck);
    if (problem != NULL) problem_note("without any fault: %s", problem);
    for (int i = 0; i < 2; i++) {
        folder = folder_look(i == 0 ? "cur" : "new");
        for (int id = 0; id < MESSAGES_MAX; id++) {
            if (folder.copies[id] > 0) whole[id] = folder.hash[id];
        }
    }
    return problem == NULL;
}

const char *sweep_delivery(const struct fault_case *row, enum fault_journal journal, bool all)
{
    struct delivery delivery = {.before = 0};

    (void)snprintf(delivery.sql, sizeof delivery.sql, "SELECT %s(%s)", row->name, row->arguments);
    problem_forget();
    if (stage_set(row, journal) && learn(&delivery)) each_plan(all, operations, fail_once, &delivery);
    maildir_remove();
    return problem_first();
}
