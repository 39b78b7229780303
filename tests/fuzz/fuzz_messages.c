/* Every kind of message with any names, contacts, reasons and looks of a practice. */
#include "practice.h"

const char fuzz_claim[] = "every message says what it should to whoever reads it, whatever it is made of";

/* Settings and the chart as the input has them; what is refused stays as it was. */
static void dress(sqlite3 *db, struct input *input)
{
    static const char *const statements[] = {
        "SELECT portal_setting('practice_name', ?1)", "SELECT portal_setting('practice_phone', ?1)",
        "SELECT portal_setting('portal_url', ?1)", "SELECT portal_setting('mail_from', ?1)",
        "SELECT portal_setting('link_hours', ?1)",
        "UPDATE patient SET email = ?1 WHERE patient_id IN (1, 4)",
        "UPDATE patient SET cell_phone = ?1 WHERE patient_id = 5",
        "UPDATE patient SET first_name = ?1 WHERE patient_id = 4",
        "UPDATE patient SET last_name = ?1", "UPDATE patient SET preferred_language = ?1",
        "SELECT set_account_contact('rita', ?1)",
    };

    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        sqlite3_stmt *statement = NULL;
        char *text = input_text(input);
        if (*text != '\0') {
            REQUIRE(sqlite3_prepare_v2(db, statements[i], -1, &statement, NULL) == SQLITE_OK);
            REQUIRE(sqlite3_bind_text(statement, 1, text, -1, SQLITE_STATIC) == SQLITE_OK);
            (void)practice_run(db, statement, false);
            (void)sqlite3_finalize(statement);
        }
        free(text);
    }
}

/* A message of every kind; the carrier reads each. */
static void send_all(sqlite3 *db)
{
    static const char *const statements[] = {
        "SELECT send_registration(1, 'email')", "SELECT send_registration(4, 'email')",
        "SELECT send_registration(5, 'text')", "SELECT request_pin(:token, :last_name, :date_of_birth)",
        "SELECT forgot_password('ada')", "SELECT forgot_password('rita')",
        "SELECT accept_request(request_id, 'force') FROM pending_requests",
        "SELECT set_account_contact('ada', :phone)", "SELECT revoke_access(1, 'x')",
        "SELECT revoke_access(4, 'x')", "SELECT revoke_access(5, 'x')", "SELECT deliver()",
        "SELECT claim_messages(100)",
        "SELECT c.* FROM portal_message m, portal_claimed(m.claim) c",
    };

    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        (void)practice_try(db, statements[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    sqlite3 *db = practice_open();

    dress(db, &input);
    carrier.count = 0;
    send_all(db);
    REQUIRE(carrier.count > 0);
    practice_close(db);
    return 0;
}
