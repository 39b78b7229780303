/*
** The floor: the same work as prepared statements in one loop, on the same schema, indexes and
** triggers, writing the same rows with values of the same types and sizes.
**
** It reads what has to be read to do the work right: the patient's row, and the registration that the
** new one supersedes.  It leaves out tokens, hashes and random numbers (splitmix64 stands in for their
** values, so that indexes grow in the same random order), every check (chart, contact, cooldown,
** limits, revocation), settings, and the audit's chain: of portal_state it writes the new head once in
** a transaction, not once in an event.
*/
#include "bench.h"

#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

enum { HASH_SIZE = 32, NONCE_SIZE = 4 };

static sqlite3_int64 stand_in(sqlite3_int64 number)
{
    return (sqlite3_int64)(bench_mix((sqlite3_uint64)number) >> 1);
}

static void bind_text(sqlite3_stmt *statement, int at, const char *text)
{
    bench_check(NULL, sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC));
}

static void bind_integer(sqlite3_stmt *statement, int at, sqlite3_int64 value)
{
    bench_check(NULL, sqlite3_bind_int64(statement, at, value));
}

static void bind_blob(sqlite3_stmt *statement, int at, const void *bytes, int size)
{
    bench_check(NULL, sqlite3_bind_blob(statement, at, bytes, size, SQLITE_STATIC));
}

/* Sending */

struct sending {
    sqlite3 *db;
    sqlite3_stmt *patient, *newest, *message, *registration, *event, *head, *supersede, *cancel;
    sqlite3_int64 now;
    sqlite3_int64 events;
    const char *user;
    char sent_by[64];
    char language[16];
    unsigned char hash[HASH_SIZE];
};

static void sending_open(struct sending *sending, sqlite3 *db)
{
    const struct passwd *entry = getpwuid(geteuid());

    sending->db = db;
    sending->patient = bench_prepare(db, "SELECT first_name, date_of_birth, email, email_consent,"
                                         " active, deceased_on, preferred_language FROM patient"
                                         " WHERE patient_id = ?1");
    sending->newest = bench_prepare(db, "SELECT registration_id FROM portal_registration"
                                        " WHERE patient_id = ?1 ORDER BY registration_id DESC LIMIT 1");
    sending->message = bench_prepare(db, "INSERT INTO portal_message (kind, channel, patient_id,"
                                         " recipient, status, created_at, due_at)"
                                         " VALUES ('registration', 'email', ?1, ?2, 'queued', ?3, ?3)");
    sending->registration =
        bench_prepare(db, "INSERT INTO portal_registration (registration_id, patient_id, destination,"
                          " identity, nonce, status, created_at, sent_by, language)"
                          " VALUES (?1, ?2, ?3, ?4, ?5, 'queued', ?6, ?7, ?8)");
    sending->event = bench_prepare(db, "INSERT INTO portal_audit (event_id, at, application, actor,"
                                       " action, patient_id, subject, detail, hash) VALUES"
                                       " (?1, ?2, 'ehr', ?3, 'registration.queued', ?4, ?5, 'email', ?6)");
    sending->head = bench_prepare(db, "UPDATE portal_state SET audit_count = ?1, audit_head = ?2,"
                                      " audit_seal = ?2");
    sending->supersede = bench_prepare(db, "UPDATE portal_registration SET status = 'superseded',"
                                           " ended_at = ?2 WHERE registration_id = ?1"
                                           " AND status IN ('queued', 'live', 'expired')");
    sending->cancel = bench_prepare(db, "UPDATE portal_message SET status = 'cancelled', due_at = NULL,"
                                        " detail = 'a newer link was sent'"
                                        " WHERE message_id = ?1 AND due_at IS NOT NULL");
    sending->now = bench_now();
    sending->events = bench_integer(db, "SELECT audit_count FROM portal_state");
    sending->user = entry == NULL ? "" : entry->pw_name;
    (void)snprintf(sending->sent_by, sizeof sending->sent_by, "ehr:%s", sending->user);
}

static sqlite3_int64 message_insert(struct sending *sending, sqlite3_int64 patient_id)
{
    bind_integer(sending->patient, 1, patient_id);
    bench_check(sending->db, sqlite3_step(sending->patient));
    bind_integer(sending->message, 1, patient_id);
    bind_text(sending->message, 2, (const char *)sqlite3_column_text(sending->patient, 2));
    bind_integer(sending->message, 3, sending->now);
    bench_done(sending->message);
    (void)snprintf(sending->language, sizeof sending->language, "%s",
                   (const char *)sqlite3_column_text(sending->patient, 6));
    bench_done(sending->patient);
    return sqlite3_last_insert_rowid(sending->db);
}

static void registration_insert(struct sending *sending, sqlite3_int64 id, sqlite3_int64 patient_id)
{
    sqlite3_stmt *insert = sending->registration;

    bind_integer(insert, 1, id);
    bind_integer(insert, 2, patient_id);
    bind_integer(insert, 3, stand_in(patient_id));
    bind_integer(insert, 4, stand_in(-patient_id));
    bind_blob(insert, 5, sending->hash, NONCE_SIZE);
    bind_integer(insert, 6, sending->now);
    bind_text(insert, 7, sending->sent_by);
    bind_text(insert, 8, sending->language);
    bench_done(insert);
}

static void older_end(struct sending *sending, sqlite3_int64 previous)
{
    bind_integer(sending->supersede, 1, previous);
    bind_integer(sending->supersede, 2, sending->now);
    bench_done(sending->supersede);
    bind_integer(sending->cancel, 1, previous);
    bench_done(sending->cancel);
}

static void event_insert(struct sending *sending, sqlite3_int64 id, sqlite3_int64 patient_id)
{
    char subject[32];

    (void)snprintf(subject, sizeof subject, "message %lld", id);
    bind_integer(sending->event, 1, ++sending->events);
    bind_integer(sending->event, 2, sending->now);
    bind_text(sending->event, 3, sending->user);
    bind_integer(sending->event, 4, patient_id);
    bind_text(sending->event, 5, subject);
    bind_blob(sending->event, 6, sending->hash, HASH_SIZE);
    bench_done(sending->event);
}

static void send_one(struct sending *sending, sqlite3_int64 patient_id)
{
    sqlite3_int64 previous = 0;
    sqlite3_int64 id;

    bind_integer(sending->newest, 1, patient_id);
    if (sqlite3_step(sending->newest) == SQLITE_ROW) {
        previous = sqlite3_column_int64(sending->newest, 0);
    }
    bench_done(sending->newest);
    id = message_insert(sending, patient_id);
    registration_insert(sending, id, patient_id);
    if (previous != 0) older_end(sending, previous);
    event_insert(sending, id, patient_id);
}

static void head_move(struct sending *sending)
{
    bind_integer(sending->head, 1, sending->events);
    bind_blob(sending->head, 2, sending->hash, HASH_SIZE);
    bench_done(sending->head);
}

static sqlite3_int64 send_all(sqlite3 *db, sqlite3_int64 count, const char *sql)
{
    sqlite3_stmt *all = bench_prepare(db, "SELECT patient_id FROM patient WHERE active");
    struct sending sending = {0};

    (void)sql;
    sending_open(&sending, db);
    bench_start();
    bench_execute(db, "BEGIN");
    for (count = 0; sqlite3_step(all) == SQLITE_ROW; count++) {
        send_one(&sending, sqlite3_column_int64(all, 0));
    }
    bench_done(all);
    head_move(&sending);
    bench_execute(db, "COMMIT");
    return count;
}

static sqlite3_int64 send_each(sqlite3 *db, sqlite3_int64 count, const char *sql)
{
    sqlite3_stmt *begin = bench_prepare(db, "BEGIN IMMEDIATE");
    sqlite3_stmt *commit = bench_prepare(db, "COMMIT");
    struct sending sending = {0};

    bench_execute(db, sql);
    sending_open(&sending, db);
    bench_start();
    for (sqlite3_int64 id = 1; id <= count; id++) {
        bench_done(begin);
        send_one(&sending, id);
        head_move(&sending);
        bench_done(commit);
    }
    return count;
}

/* Checking links: the row of each, the forged ones' too, by the id that stands beside the token. */

static void link_read(sqlite3_stmt *read, sqlite3_int64 id)
{
    bind_integer(read, 1, id);
    bench_check(NULL, sqlite3_step(read));
    (void)sqlite3_column_blob(read, 0);
    (void)sqlite3_column_text(read, 1);
    (void)sqlite3_column_int64(read, 2);
    bench_check(NULL, sqlite3_reset(read));
}

static const char read_link[] =
    "SELECT nonce, status, expires_at FROM portal_registration WHERE registration_id = ?1";

static sqlite3_int64 tokens_at_once(sqlite3 *db, sqlite3_int64 count, const char *sql)
{
    sqlite3_stmt *read = bench_prepare(db, read_link);
    sqlite3_stmt *links = bench_prepare(db, sql);

    bench_start();
    for (count = 0; sqlite3_step(links) == SQLITE_ROW; count++) {
        (void)sqlite3_column_text(links, 1);
        link_read(read, sqlite3_column_int64(links, 0));
    }
    return count;
}

static sqlite3_int64 tokens_each(sqlite3 *db, sqlite3_int64 count, const char *sql)
{
    sqlite3_stmt *read = bench_prepare(db, read_link);
    const struct link *links = bench_links(db, &count);

    (void)sql;
    bench_start();
    for (sqlite3_int64 i = 0; i < count; i++) link_read(read, links[i].id);
    return count;
}

/* Handing over: what has to be read is the chart again.  Nothing is rendered. */

enum { BATCH = 100 };

struct handing {
    sqlite3_stmt *due, *chart, *claim, *live, *report, *fix, *begin, *commit;
    sqlite3_int64 now;
    int count;
    sqlite3_int64 id[BATCH];
};

static void handing_open(struct handing *handing, sqlite3 *db)
{
    handing->due = bench_prepare(db, "SELECT message_id, kind, channel, patient_id, recipient,"
                                     " created_at, attempts, status FROM portal_message"
                                     " WHERE channel = 'email' AND due_at <= ?1 ORDER BY due_at LIMIT 100");
    handing->chart = bench_prepare(db, "SELECT r.status, r.nonce, p.first_name, p.date_of_birth,"
                                       " p.email, p.email_consent, p.active, p.deceased_on"
                                       " FROM portal_registration AS r JOIN patient AS p"
                                       " ON p.patient_id = r.patient_id WHERE r.registration_id = ?1");
    handing->claim = bench_prepare(db, "UPDATE portal_message SET status = 'claimed', claim = ?2,"
                                       " due_at = ?3, attempts = attempts + 1 WHERE message_id = ?1");
    handing->live = bench_prepare(db, "UPDATE portal_registration SET status = 'live',"
                                      " expires_at = ?2 WHERE registration_id = ?1");
    handing->report = bench_prepare(db, "UPDATE portal_message SET status = 'sent', due_at = NULL,"
                                        " sent_at = ?2 WHERE message_id = ?1");
    handing->fix = bench_prepare(db, "UPDATE portal_registration SET expires_at = ?2"
                                     " WHERE registration_id = ?1 AND status = 'live'");
    handing->begin = bench_prepare(db, "BEGIN IMMEDIATE");
    handing->commit = bench_prepare(db, "COMMIT");
    handing->now = bench_now();
}

static void due_read(struct handing *handing)
{
    bind_integer(handing->due, 1, handing->now);
    for (handing->count = 0; sqlite3_step(handing->due) == SQLITE_ROW;) {
        handing->id[handing->count++] = sqlite3_column_int64(handing->due, 0);
    }
    bench_done(handing->due);
}

static void claim_one(struct handing *handing, sqlite3_int64 id)
{
    bind_integer(handing->chart, 1, id);
    bench_done(handing->chart);
    bind_integer(handing->claim, 1, id);
    bind_text(handing->claim, 2, "1795357500-300-0123456789abcdef");
    bind_integer(handing->claim, 3, handing->now + 300);
    bench_done(handing->claim);
    bind_integer(handing->live, 1, id);
    bind_integer(handing->live, 2, handing->now + 259200);
    bench_done(handing->live);
}

static void report_one(struct handing *handing, sqlite3_int64 id)
{
    bind_integer(handing->report, 1, id);
    bind_integer(handing->report, 2, handing->now);
    bench_done(handing->report);
    bind_integer(handing->fix, 1, id);
    bind_integer(handing->fix, 2, handing->now + 259200);
    bench_done(handing->fix);
}

static sqlite3_int64 hand_over(sqlite3 *db, sqlite3_int64 count, const char *sql)
{
    struct handing handing = {0};

    (void)sql;
    handing_open(&handing, db);
    bench_start();
    for (count = 0;; count += handing.count) {
        bench_done(handing.begin);
        due_read(&handing);
        for (int i = 0; i < handing.count; i++) claim_one(&handing, handing.id[i]);
        bench_done(handing.commit);
        if (handing.count == 0) return count;
        bench_done(handing.begin);
        for (int i = 0; i < handing.count; i++) report_one(&handing, handing.id[i]);
        bench_done(handing.commit);
    }
}

static sqlite3_int64 expire(sqlite3 *db, sqlite3_int64 count, const char *sql)
{
    sqlite3_stmt *update = bench_prepare(db, sql);

    (void)count;
    bench_due(db);
    bench_start();
    bind_integer(update, 1, bench_now());
    bench_done(update);
    return sqlite3_changes64(db);
}

const struct work floor_works[] = {
    {"send", send_all, NULL},
    {"send_each_normal", send_each, "PRAGMA synchronous = normal"},
    {"send_each_full", send_each, "PRAGMA synchronous = full"},
    {"tokens_at_once", tokens_at_once, "SELECT registration_id, token FROM bench_link"},
    {"tokens_scattered", tokens_at_once, "SELECT registration_id, token FROM bench_scattered"},
    {"tokens_each", tokens_each, NULL},
    {"hand_over", hand_over, NULL},
    {"expire", expire, "UPDATE portal_registration SET status = 'expired', ended_at = expires_at"
                       " WHERE status = 'live' AND expires_at <= ?1"},
    /* The views are made by bench.c from the SQL that portal_status and pending_requests read. */
    {"status_one", bench_lookup, "SELECT * FROM bench_status WHERE patient_id = ?1"},
    {"status_count", bench_value, "SELECT count(*) FROM bench_status"},
    {"status_list", bench_list, "SELECT * FROM bench_status"},
    {"requests_one", bench_lookup, "SELECT * FROM bench_pending WHERE patient_id = ?1"},
    {"requests_count", bench_value, "SELECT count(*) FROM bench_pending"},
    {"requests_list", bench_list, "SELECT * FROM bench_pending"},
    {NULL, NULL, NULL},
};
