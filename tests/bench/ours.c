/* Our side: what an application would write, through SQL alone. */
#include "bench.h"

static sqlite3_int64 send_all(sqlite3 *db, sqlite3_int64 count, const char *sql)
{
    sqlite3_stmt *send = bench_prepare(db, "INSERT INTO send_registration (patient_id, channel)"
                                           " SELECT patient_id, 'email' FROM patient WHERE active");

    (void)count;
    (void)sql;
    bench_start();
    bench_done(send);
    return sqlite3_changes64(db);
}

static sqlite3_int64 send_each(sqlite3 *db, sqlite3_int64 count, const char *sql)
{
    sqlite3_stmt *send = bench_prepare(db, "INSERT INTO send_registration (patient_id, channel)"
                                           " VALUES (?1, 'email')");

    bench_execute(db, sql);
    bench_start();
    for (sqlite3_int64 id = 1; id <= count; id++) {
        bench_check(db, sqlite3_bind_int64(send, 1, id));
        bench_done(send);
    }
    return count;
}

/* A mailer of one's own: claims a hundred, reads them rendered, reports each sent. */
static sqlite3_int64 hand_over(sqlite3 *db, sqlite3_int64 count, const char *sql)
{
    sqlite3_stmt *claim = bench_prepare(db, "SELECT claim_messages(100)");
    sqlite3_stmt *read = bench_prepare(db, "SELECT * FROM portal_claimed(?1)");
    sqlite3_stmt *report = bench_prepare(db, "SELECT report_delivery(?1, ?2, 'sent')");

    (void)sql;
    bench_start();
    for (count = 0; sqlite3_step(claim) == SQLITE_ROW;) {
        sqlite3_int64 ids[100];
        int claimed = 0;
        char name[64];
        if (sqlite3_column_type(claim, 0) == SQLITE_NULL) break;
        (void)sqlite3_snprintf(sizeof name, name, "%s", sqlite3_column_text(claim, 0));
        bench_check(db, sqlite3_reset(claim));
        bench_check(db, sqlite3_bind_text(read, 1, name, -1, SQLITE_STATIC));
        while (sqlite3_step(read) == SQLITE_ROW) ids[claimed++] = sqlite3_column_int64(read, 0);
        bench_check(db, sqlite3_reset(read));
        bench_execute(db, "BEGIN IMMEDIATE");
        bench_check(db, sqlite3_bind_text(report, 1, name, -1, SQLITE_STATIC));
        for (int i = 0; i < claimed; i++) {
            bench_check(db, sqlite3_bind_int64(report, 2, ids[i]));
            bench_done(report);
        }
        bench_execute(db, "COMMIT");
        count += claimed;
    }
    return count;
}

/* Durably: what a server has taken is on the disk before it counts. */
static sqlite3_int64 deliver(sqlite3 *db, sqlite3_int64 count, const char *sql)
{
    bench_execute(db, "PRAGMA synchronous = full");
    return bench_value(db, count, sql);
}

static sqlite3_int64 expire(sqlite3 *db, sqlite3_int64 count, const char *sql)
{
    bench_due(db);
    bench_start();
    return bench_value(db, count, sql);
}

static sqlite3_int64 tokens_each(sqlite3 *db, sqlite3_int64 count, const char *sql)
{
    sqlite3_stmt *check = bench_prepare(db, sql);
    const struct link *links = bench_links(db, &count);
    sqlite3_int64 valid = 0;

    bench_start();
    for (sqlite3_int64 i = 0; i < count; i++) {
        bench_check(db, sqlite3_bind_text(check, 1, links[i].token, 32, SQLITE_STATIC));
        bench_check(db, sqlite3_step(check));
        valid += sqlite3_column_int64(check, 0);
        bench_check(db, sqlite3_reset(check));
    }
    return 2 * valid;
}

const struct work our_works[] = {
    {"send", send_all, NULL},
    {"send_each_normal", send_each, "PRAGMA synchronous = normal"},
    {"send_each_full", send_each, "PRAGMA synchronous = full"},
    /* Half of them are good: a wrong answer shows as another count than the floor's. */
    {"tokens_at_once", bench_value, "SELECT 2 * sum(token_valid(token)) FROM bench_link"},
    {"tokens_scattered", bench_value, "SELECT 2 * sum(token_valid(token)) FROM bench_scattered"},
    {"tokens_each", tokens_each, "SELECT token_valid(?1)"},
    {"hand_over", hand_over, NULL},
    {"deliver", deliver, "SELECT json_extract(deliver(), '$.sent')"},
    {"expire", expire, "SELECT expire_links()"},
    {"status_one", bench_lookup, "SELECT * FROM portal_status WHERE patient_id = ?1"},
    {"status_count", bench_value, "SELECT count(*) FROM portal_status"},
    {"status_list", bench_list, "SELECT * FROM portal_status"},
    {"requests_one", bench_lookup, "SELECT * FROM pending_requests WHERE patient_id = ?1"},
    {"requests_count", bench_value, "SELECT count(*) FROM pending_requests"},
    {"requests_list", bench_list, "SELECT * FROM pending_requests"},
    {NULL, NULL, NULL},
};
