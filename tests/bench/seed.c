/* Makes the databases that the benchmarks run on; the same each time, but for keys and nonces. */
#include "bench.h"

#include "keyring.h"

#include <stdio.h>
#include <stdlib.h>

static void run_with(sqlite3 *db, const char *sql, sqlite3_int64 number)
{
    sqlite3_stmt *statement = bench_prepare(db, sql);

    bench_check(db, sqlite3_bind_int64(statement, 1, number));
    bench_done(statement);
    bench_check(db, sqlite3_finalize(statement));
}

static sqlite3_int64 patients(sqlite3 *db, sqlite3_int64 count, const char *sql)
{
    (void)sql;
    bench_execute(db, "SELECT portal_init()");
    run_with(db,
             "WITH RECURSIVE number(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number WHERE i < ?1),"
             " word(a) AS (SELECT '[\"Ada\",\"Charles\",\"Mary\",\"Grace\",\"Alan\",\"Edith\",\"Noor\"]')"
             " INSERT INTO patient (first_name, last_name, date_of_birth, sex, email, cell_phone,"
             "  home_phone, address_line1, city, state, postal_code, preferred_language)"
             " SELECT a ->> (i % 7), 'Number' || i, date('1930-01-01', (i * 7919 % 33000) || ' days'),"
             "  iif(i % 2, 'female', 'male'), 'patient' || i || '@example.com', '+1' || (2012000000 + i),"
             "  '+1' || (3012000000 + i), i || ' Main Street', 'Springfield', 'IL',"
             "  printf('%05d', i % 100000), iif(i % 5, 'en', 'es') FROM number, word",
             count);
    return count;
}

/* After patients(): a link waits for each. */
static sqlite3_int64 queued(sqlite3 *db, sqlite3_int64 count, const char *sql)
{
    (void)sql;
    bench_execute(db, "INSERT INTO send_registration (patient_id, channel)"
                      " SELECT patient_id, 'email' FROM patient WHERE active");
    return count;
}

/* After patients(): the same, by text. */
static sqlite3_int64 texts(sqlite3 *db, sqlite3_int64 count, const char *sql)
{
    (void)sql;
    bench_execute(db, "INSERT INTO send_registration (patient_id, channel)"
                      " SELECT patient_id, 'text' FROM patient WHERE active");
    return count;
}

/* After queued(): each of these was sent two days ago. */
static sqlite3_int64 sent(sqlite3 *db, sqlite3_int64 count, const char *sql)
{
    sqlite3_int64 now = bench_now();

    (void)sql;
    run_with(db,
             "UPDATE portal_message SET status = 'sent', due_at = NULL, attempts = 1,"
             " created_at = ?1 - 172800, sent_at = ?1 - 172800 WHERE status = 'queued'", now);
    run_with(db,
             "UPDATE portal_registration SET status = 'live', created_at = ?1 - 172800,"
             " expires_at = ?1 + 864000 WHERE status = 'queued'", now);
    return count;
}

/* Writes the token of a registration; every fourth is forged: made with another key. */
static void token_write(const struct keyring *keyring, const struct token *token, char out[TOKEN_SIZE])
{
    uint8_t key[TOKEN_KEY_SIZE];

    for (int i = 0; i < TOKEN_KEY_SIZE; i++) {
        key[i] = keyring_newest(keyring)[i] ^ (token->id % 4 == 3);
    }
    token_derive(key, TOKEN_LINK, token, out);
}

static void tokens_write(sqlite3 *db, const struct keyring *keyring)
{
    sqlite3_stmt *read = bench_prepare(db, "SELECT registration_id, nonce FROM portal_registration");
    sqlite3_stmt *write = bench_prepare(db, "INSERT INTO bench_link VALUES (?1, ?2)");
    struct token token;
    char text[TOKEN_SIZE];

    while (sqlite3_step(read) == SQLITE_ROW) {
        token.id = (uint32_t)sqlite3_column_int64(read, 0);
        (void)token_recall(&token, sqlite3_column_blob(read, 1), sqlite3_column_bytes(read, 1));
        token_write(keyring, &token, text);
        bench_check(db, sqlite3_bind_int64(write, 1, token.id));
        bench_check(db, sqlite3_bind_text(write, 2, text, TOKEN_LENGTH, SQLITE_STATIC));
        bench_done(write);
    }
    bench_check(db, sqlite3_finalize(read));
    bench_check(db, sqlite3_finalize(write));
}

static struct keyring keyring_of(sqlite3 *db)
{
    char path[4096];
    struct keyring keyring;
    const char *problem;

    (void)sqlite3_snprintf((int)sizeof path, path, "%s.portal-key", sqlite3_db_filename(db, "main"));
    problem = keyring_read(&keyring, path);
    if (problem != NULL) {
        (void)fprintf(stderr, "bench: the key file %s\n", problem);
        exit(1);
    }
    return keyring;
}

static void links(sqlite3 *db)
{
    struct keyring keyring = keyring_of(db);

    bench_execute(db, "CREATE TABLE bench_link (registration_id INTEGER, token TEXT)");
    tokens_write(db, &keyring);
    /* As people open theirs: in no order. */
    bench_execute(db, "CREATE TABLE bench_scattered AS SELECT * FROM bench_link"
                      " ORDER BY registration_id * 2654435761 & 4294967295");
}

/* Every fourth patient has registered and asks for four changes. */
static void people(sqlite3 *db)
{
    bench_execute(db, "INSERT INTO portal_account (account_id, username, username_key, password, name,"
                      " channel, contact, created_at) SELECT patient_id, 'user' || patient_id,"
                      " 'user' || patient_id, printf('$argon2id$v=19$m=19456,t=2,p=1$%070d', patient_id),"
                      " first_name || ' ' || last_name, 'email', email, unixepoch()"
                      " FROM patient WHERE patient_id % 4 = 1");
    bench_execute(db, "INSERT INTO portal_access (account_id, patient_id, role, identity, status,"
                      " granted_at) SELECT patient_id, patient_id, 'patient', identity, 'active',"
                      " unixepoch() FROM portal_registration WHERE patient_id % 4 = 1 GROUP BY patient_id");
    bench_execute(db, "INSERT INTO portal_request (patient_id, field, base_value, proposed_value,"
                      " account_id, submitted_as, submitted_at, status)"
                      " SELECT patient_id, key, value, 'another', patient_id, 'patient', unixepoch(),"
                      " 'pending' FROM patient, json_each(json_object('city', city, 'state', state,"
                      " 'postal_code', postal_code, 'home_phone', home_phone))"
                      " WHERE patient_id % 4 = 1");
}

/*
** After sent(): of the links, here beside their rows, half are good, a quarter has expired and a
** quarter is forged; and there are people.
*/
static sqlite3_int64 practice(sqlite3 *db, sqlite3_int64 count, const char *sql)
{
    (void)sql;
    bench_execute(db, "BEGIN");
    bench_execute(db, "UPDATE portal_registration SET status = 'expired', ended_at = created_at,"
                      " expires_at = created_at WHERE registration_id % 4 = 2");
    people(db);
    links(db);
    bench_execute(db, "COMMIT");
    return count;
}

/* After sent(): nine times more everybody is sent to, which takes some minutes with a million. */
static void send_again(sqlite3 *db, sqlite3_int64 count)
{
    enum { ROUNDS = 10 };

    for (int round = 2; round <= ROUNDS; round++) {
        (void)fprintf(stderr, "round %d of %d\n", round, ROUNDS);
        (void)queued(db, count, NULL);
        (void)sent(db, count, NULL);
    }
}

/* After people(): they represent the next patient as well, their links are used, and they have signed in and out. */
static void history(sqlite3 *db)
{
    bench_execute(db, "INSERT INTO portal_access (account_id, patient_id, role, relationship, identity, status,"
                      " granted_at) SELECT patient_id - 1, patient_id, 'representative', 'parent', identity, 'active',"
                      " unixepoch() FROM portal_registration WHERE patient_id % 4 = 2 GROUP BY patient_id");
    bench_execute(db, "UPDATE portal_registration SET status = 'used', ended_at = created_at"
                      " WHERE status = 'live' AND patient_id % 4 IN (1, 2)");
    bench_execute(db, "INSERT INTO portal_message (kind, channel, patient_id, recipient, status, created_at, attempts,"
                      " sent_at) SELECT 'pin', 'text', patient_id, cell_phone, 'sent', unixepoch() - 86400, 1,"
                      " unixepoch() - 86400 FROM patient WHERE patient_id % 4 = 1");
    bench_execute(db, "INSERT INTO portal_pin (pin_id, registration_id, nonce, status, created_at, expires_at)"
                      " SELECT message_id, (SELECT max(registration_id) FROM portal_registration AS r"
                      " WHERE r.patient_id = m.patient_id), zeroblob(4), 'used', created_at, created_at + 600"
                      " FROM portal_message AS m WHERE kind = 'pin'");
    bench_execute(db, "INSERT INTO portal_session (account_id, nonce, created_at, last_used_at, ended_at)"
                      " SELECT account_id, zeroblob(4), unixepoch() - 86400, unixepoch() - 80000, unixepoch() - 80000"
                      " FROM portal_account");
}

/* The newest link of the patient, and a session that has just begun of the account of the same number. */
static void door_open(sqlite3 *db, const struct keyring *keyring, sqlite3_int64 patient, sqlite3_int64 account)
{
    sqlite3_stmt *read = bench_prepare(db, "SELECT max(registration_id), nonce FROM portal_registration"
                                           " WHERE patient_id = ?1");
    sqlite3_stmt *begin = bench_prepare(db, "INSERT INTO portal_session (account_id, nonce, created_at, last_used_at)"
                                            " VALUES (?1, ?2, unixepoch(), unixepoch())");
    sqlite3_stmt *write = bench_prepare(db, "INSERT INTO bench_door VALUES (?1, ?2, ?3)");
    uint8_t kept[TOKEN_KEPT_SIZE];
    char link[TOKEN_SIZE], session[TOKEN_SIZE];
    struct token token;

    bench_check(db, sqlite3_bind_int64(read, 1, patient));
    bench_check(db, sqlite3_step(read));
    token.id = (uint32_t)sqlite3_column_int64(read, 0);
    (void)token_recall(&token, sqlite3_column_blob(read, 1), sqlite3_column_bytes(read, 1));
    token_derive(keyring_newest(keyring), TOKEN_LINK, &token, link);
    bench_check(db, sqlite3_finalize(read));

    keyring_token(keyring, &token);
    token_keep(&token, kept);
    bench_check(db, sqlite3_bind_int64(begin, 1, account));
    bench_check(db, sqlite3_bind_blob(begin, 2, kept, TOKEN_KEPT_SIZE, SQLITE_STATIC));
    bench_done(begin);
    bench_check(db, sqlite3_finalize(begin));
    token.id = (uint32_t)sqlite3_last_insert_rowid(db);
    token_derive(keyring_newest(keyring), TOKEN_SESSION, &token, session);

    bench_check(db, sqlite3_bind_int64(write, 1, account));
    bench_check(db, sqlite3_bind_text(write, 2, link, TOKEN_LENGTH, SQLITE_STATIC));
    bench_check(db, sqlite3_bind_text(write, 3, session, TOKEN_LENGTH, SQLITE_STATIC));
    bench_done(write);
    bench_check(db, sqlite3_finalize(write));
}

/*
** After sent(): ten registrations of each patient, and people with a history.  Of some fours of patients from end to
** end, beginning with one who has registered, bench_door has the link of the last and the session of the first.
*/
static sqlite3_int64 group(sqlite3 *db, sqlite3_int64 count, const char *sql)
{
    enum { DOORS = 250 };
    struct keyring keyring = keyring_of(db);
    sqlite3_int64 fours = count / 4;
    sqlite3_int64 doors = fours < DOORS ? fours : DOORS;

    (void)sql;
    send_again(db, count);
    bench_execute(db, "BEGIN");
    people(db);
    history(db);
    bench_execute(db, "CREATE TABLE bench_door (patient_id INTEGER PRIMARY KEY, link TEXT, session TEXT)");
    for (sqlite3_int64 i = 0; i < doors; i++) {
        sqlite3_int64 first = 4 * (i * fours / doors) + 1;
        door_open(db, &keyring, first + 3, first);
    }
    bench_execute(db, "COMMIT");
    return count;
}

const struct work seed_works[] = {
    {"patients", patients, NULL},
    {"queued", queued, NULL},
    {"texts", texts, NULL},
    {"sent", sent, NULL},
    {"practice", practice, NULL},
    {"group", group, NULL},
    {NULL, NULL, NULL},
};
