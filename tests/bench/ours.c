/* Our side: what an application would write, through SQL alone. */
#include "bench.h"

static sqlite3_int64 send_all(sqlite3 *db, sqlite3_int64 count)
{
    sqlite3_stmt *send = bench_prepare(db, "INSERT INTO send_registration (patient_id, channel)"
                                           " SELECT patient_id, 'email' FROM patient LIMIT ?1");

    bench_check(db, sqlite3_bind_int64(send, 1, count == 0 ? -1 : count));
    bench_start();
    bench_done(send);
    count = sqlite3_changes64(db);
    bench_check(db, sqlite3_finalize(send));
    return count;
}

static sqlite3_int64 tokens_at_once(sqlite3 *db, sqlite3_int64 count)
{
    (void)count;
    bench_start();
    /* Half of them are good: a wrong answer would show as another count than the floor's. */
    return 2 * bench_integer(db, "SELECT sum(token_valid(token)) FROM bench_link");
}

static sqlite3_int64 tokens_each(sqlite3 *db, sqlite3_int64 count)
{
    sqlite3_stmt *check = bench_prepare(db, "SELECT token_valid(?1)");
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
    {"send", NULL, send_all},
    {"tokens_at_once", NULL, tokens_at_once},
    {"tokens_each", NULL, tokens_each},
    {NULL, NULL, NULL},
};
