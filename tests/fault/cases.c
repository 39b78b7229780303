#include "fault.h"

/*
** The scene; a row of two columns goes into the table scene, whence
** the calls take it: SELECT 'link', ... gives @link.  advance() moves the clock.
*/

#define CARRY(name, mark, length) \
    "SELECT 'claim', claim_messages(10);" \
    "SELECT '" name "', substr(text, instr(text, '" mark "') + length('" mark "'), " length ")" \
    "  FROM portal_claimed((SELECT value FROM scene WHERE name = 'claim'))" \
    " ORDER BY message_id DESC LIMIT 1;" \
    "SELECT report_delivery(claim, message_id, 'sent') FROM portal_message" \
    " WHERE claim = (SELECT value FROM scene WHERE name = 'claim');"

#define VALUE(name) "(SELECT value FROM scene WHERE name = '" name "')"
#define PASSWORD "'correct horse battery staple'"
/* Our own table, as if it were a practice's. */
#define MAPPING \
    "'{\"table\":\"patient\",\"patient_id\":\"patient_id\",\"first_name\":\"first_name\",\"last_name\":\"last_name\"," \
    "\"date_of_birth\":{\"column\":\"date_of_birth\",\"format\":\"YYYY-MM-DD\"},\"email\":\"email\"," \
    "\"cell_phone\":\"cell_phone\",\"city\":\"city\",\"text_consent\":\"text_consent\"}'"

const char *const scene[] = {
    "SELECT portal_init();"
    "CREATE TABLE scene (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE note (note_id INTEGER PRIMARY KEY, text TEXT);"
    "INSERT INTO note VALUES (1, 'the first'), (2, 'the second');"
    /* No channel: what is queued stays queued. */
    "SELECT portal_setting('email_channel', 'none');"
    "SELECT portal_setting('text_channel', 'none');"
    "SELECT portal_setting('resend_seconds', 0);"
    "INSERT INTO patient (first_name, last_name, date_of_birth, email, cell_phone) VALUES"
    " ('Ada', 'Lovelace', '1985-12-10', 'ada@example.com', '+12025550101'),"
    " ('Ben', 'Bitdiddle', '1980-01-02', 'ben@example.com', '+12025550102'),"
    " ('Cleo', 'Clark', '1970-03-04', 'cleo@example.com', '+12025550103'),"
    " ('Dan', 'Dunn', '1971-03-04', 'dan@example.com', '+12025550104'),"
    " ('Eve', 'Evans', '1972-03-04', 'eve@example.com', '+12025550105'),"
    " ('Fay', 'Flint', '1973-03-04', 'fay@example.com', '+12025550106');",
    /* Ada is registered and has a representative, who acts for Fay too; Fay's access is revoked. */
    "SELECT send_registration(1, 'email');" CARRY("link", "/r/", "32")
    "SELECT request_pin(" VALUE("link") ", 'Lovelace', '1985-12-10');" CARRY("pin", "PIN is ", "6")
    "SELECT register_patient(" VALUE("link") ", " VALUE("pin") ", 'ada.l', " PASSWORD ");"
    "SELECT send_registration(1, 'email');" CARRY("link", "/r/", "32")
    "SELECT request_pin(" VALUE("link") ", 'Lovelace', '1985-12-10');" CARRY("pin", "PIN is ", "6")
    "SELECT register_representative(" VALUE("link") ", " VALUE("pin") ", 'rita.p', " PASSWORD ","
    " 'Rita Parent', 'parent');"
    "SELECT send_registration(6, 'email');" CARRY("link", "/r/", "32")
    "SELECT request_pin(" VALUE("link") ", 'Flint', '1973-03-04');" CARRY("pin", "PIN is ", "6")
    "SELECT register_representative(" VALUE("link") ", " VALUE("pin") ", 'rita.p', " PASSWORD ","
    " 'Rita Parent', 'parent');"
    "SELECT revoke_access(6, 'asked for');",
    /* What Ada wants changed, a session of hers, and a reset of hers. */
    "SELECT 'session', json_extract(portal_login('ada.l', " PASSWORD "), '$.session');"
    "SELECT submit_demographics(" VALUE("session") ", 1, '{\"first_name\":\"Augusta\","
    "\"email\":\"countess@example.com\",\"city\":\"London\",\"text_consent\":false}');"
    "SELECT forgot_password('ada.l');" CARRY("reset", "/p/", "32")
    "SELECT portal_login('ada.l', 'a wrong password');"
    "SELECT portal_secret('gateway', 'hush');",
    /* Ben has a link and a PIN, Cleo's message is claimed, Dan's waits. */
    "SELECT send_registration(2, 'email');" CARRY("link", "/r/", "32")
    "SELECT request_pin(" VALUE("link") ", 'Bitdiddle', '1980-01-02');" CARRY("pin", "PIN is ", "6")
    "SELECT send_registration(3, 'text');"
    "SELECT 'claim', claim_messages(10);"
    "SELECT 'message', max(message_id) FROM portal_message;"
    "SELECT send_registration(4, 'email');"
    "SELECT advance(30);",
    NULL,
};

static const char after_a_week[] = "SELECT advance(7 * 86400);";
static const char after_years[] = "SELECT advance(7 * 366 * 86400); SELECT expire_links();";
/* Ada's representative got access before her birthday of today. */
static const char of_age[] =
    "SELECT portal_setting('representative_age', 41); SELECT advance(18 * 86400);";
static const char last_guess[] = "UPDATE portal_registration SET guesses = 9 WHERE status = 'live'";
static const char last_try[] = "UPDATE portal_pin SET tries = 4 WHERE status = 'live'";
static const char last_free_password[] = "UPDATE portal_throttle SET failures = 3 WHERE account <> 0";
static const char no_cell_phone[] = "UPDATE patient SET cell_phone = NULL WHERE patient_id = 2";
static const char bad_address[] = "UPDATE patient SET email = 'none' WHERE patient_id = 1";
static const char forgotten[] = "SELECT forgot_password('ada.l');";
/* Of whom the scene has something waiting, a link or an account. */
static const char opted_out[] =
    "SELECT portal_opt_out(email) FROM patient; SELECT portal_opt_out(cell_phone) FROM patient";
static const char mapped[] = "SELECT portal_map_patient(" MAPPING ")";
static const char edited[] = "UPDATE portal_template SET text = '{{pin}} edited' WHERE kind = 'pin'";
static const char within_the_hour[] = "SELECT portal_setting('resend_seconds', 3600)";

/* Whom no message reaches, and what a printed sheet names. */
static const char in_person[] =
    "UPDATE patient SET email = NULL, cell_phone = NULL WHERE patient_id IN (2, 5, 6);"
    "SELECT portal_setting('practice_name', 'Elm Street');"
    "SELECT portal_setting('practice_phone', '202 555 0100');"
    "SELECT portal_setting('portal_url', 'https://elm.example')";
/* Ben's link becomes that of a letter. */
static const char on_paper[] =
    "UPDATE patient SET email = NULL, cell_phone = NULL WHERE patient_id = 2;"
    "UPDATE portal_message SET channel = 'print', recipient = '' WHERE patient_id = 2";
static const char on_paper_last_try[] =
    "UPDATE portal_message SET channel = 'print', recipient = '' WHERE patient_id = 2;"
    "UPDATE portal_pin SET tries = 4 WHERE status = 'live'";

#define TOLD_LATER "Done, but what became of it can not be read now: portal_status tells."

/* What stat() says is not there is no plugin. */
const struct fault_case fault_cases[] = {
    {.name = "portal_init", .arguments = "", .empty = true},
    {.name = "portal_init", .arguments = ""},
    {.name = "portal_init", .arguments = MAPPING},
    {.name = "portal_version", .arguments = "", .alternative = "portal "},
    {.name = "portal_as", .arguments = "'scheduling', 'front desk'"},
    {.name = "portal_setting", .arguments = "'link_hours'"},
    {.name = "portal_setting", .arguments = "'link_hours', 24"},
    {.name = "portal_setting", .arguments = "'resend_seconds', NULL"},
    {.name = "portal_secret", .arguments = "'gateway', 'another'"},
    {.name = "portal_secret", .arguments = "'gateway', NULL"},
    {.name = "portal_audit_verify", .arguments = ""},
    {.name = "portal_restored", .arguments = ""},
    {.name = "portal_map_patient", .arguments = ""},
    {.name = "portal_map_patient", .arguments = MAPPING},
    {.name = "portal_map_patient", .arguments = "'{}'", .set_up = mapped},
    {.name = "portal_key_rotate", .arguments = ""},
    {.name = "portal_try_channel", .arguments = "'maildir'", .alternative = "the Maildir practice.db-outbox: "},

    {.name = "send_problem", .arguments = "5, 'email'"},
    {.name = "send_problem", .arguments = "5, 'email'", .set_up = opted_out},
    {.name = "send_registration", .arguments = "2, 'email'", .more = "5, 'text'",
     .alternative = TOLD_LATER},
    {.name = "send_registration", .arguments = "6, 'text'", .more = "5, 'email'",
     .alternative = TOLD_LATER},
    {.name = "send_registration", .arguments = "6, 'email'", .more = "5, 'email'", .set_up = within_the_hour,
     .alternative = TOLD_LATER},
    {.name = "send_problem", .arguments = "5, 'print'", .set_up = in_person},
    {.name = "portal_poster", .arguments = "'A4', 'es'", .set_up = in_person},
    {.name = "portal_letter", .arguments = "5", .set_up = in_person},
    {.name = "portal_letter", .arguments = "6, 'A4'", .set_up = in_person},
    {.name = "preview_message", .arguments = "'registration', 1, 'email'"},
    {.name = "preview_message", .arguments = "'registration', 1, 'print'"},
    {.name = "preview_message", .arguments = "'pin', 1, 'text'", .set_up = edited},
    {.name = "quick_add", .arguments = "'Gil', 'Green', '2001-02-03'",
     .more = "'Hal', 'Holt', '2002-02-03'"},
    {.name = "quick_add", .arguments = "'Gil', 'Green', '2001-02-03', 'email', 'gil@example.com'",
     .more = "'Hal', 'Holt', '2002-02-03', 'text', '202 555 0107'"},
    {.name = "quick_add", .arguments = "'Gil', 'Green', '2001-02-03'", .set_up = mapped,
     .more = "'Hal', 'Holt', '2002-02-03'"},
    {.name = "revoke_access", .arguments = "1, 'moved away'", .more = "2, NULL",
     .alternative = TOLD_LATER},
    {.name = "remove_representative", .arguments = "1, 'rita.p', 'of age'",
     .more = "6, 'rita.p', NULL", .alternative = TOLD_LATER},
    {.name = "confirm_representative", .arguments = "1, 'rita.p'", .more = "1, 'RITA.P'",
     .set_up = of_age, .alternative = TOLD_LATER},
    {.name = "merge_patients", .arguments = "1, 2, 'twice on file'", .more = "6, 3, NULL"},
    {.name = "merge_patients", .arguments = "1, 6"},
    {.name = "accept_request", .arguments = "1", .more = "2", .alternative = TOLD_LATER},
    {.name = "accept_request", .arguments = "2, 'force'", .more = "4, NULL",
     .alternative = TOLD_LATER},
    {.name = "accept_request", .arguments = "2, 'force'", .more = "4, NULL", .set_up = bad_address,
     .alternative = TOLD_LATER},
    {.name = "accept_request", .arguments = "2, 'force'", .more = "4, NULL", .set_up = mapped, .alternative = TOLD_LATER},
    {.name = "decline_request", .arguments = "3, 'not so'", .more = "4, NULL",
     .alternative = TOLD_LATER},
    {.name = "unlock_account", .arguments = "'ada.l'", .more = "'rita.p'",
     .alternative = TOLD_LATER},
    {.name = "set_account_contact", .arguments = "'ada.l', '212 555 0142'",
     .more = "'rita.p', 'rita@example.com'", .alternative = TOLD_LATER},
    {.name = "portal_opt_out", .arguments = "'ada@example.com'"},
    {.name = "portal_opt_in", .arguments = "'ada@example.com'", .set_up = opted_out},
    {.name = "pending_requests", .arguments = "'accept'"},
    {.name = "pending_requests", .arguments = "'decline'"},

    {.name = "token_valid", .arguments = "@link"},
    {.name = "token_status", .arguments = "@link"},
    {.name = "request_pin", .arguments = "@link, 'Bitdiddle', '1980-01-02'"},
    {.name = "request_pin", .arguments = "@link, 'Bitdiddle', '1980-01-02'", .set_up = no_cell_phone},
    {.name = "request_pin", .arguments = "@link, 'Bitdiddle', '1980-01-02'", .set_up = opted_out},
    {.name = "request_pin", .arguments = "@link, 'Bitdiddle', '1980-01-02'", .set_up = on_paper},
    {.name = "request_pin", .arguments = "@link, 'Wrong', '1980-01-02'"},
    {.name = "request_pin", .arguments = "@link, 'Spent', '1980-01-02'", .set_up = last_guess},
    {.name = "register_patient", .arguments = "@link, @pin, 'ben.b', " PASSWORD},
    {.name = "register_patient", .arguments = "@link, @pin, 'ada.l', " PASSWORD},
    {.name = "register_patient", .arguments = "@link, @pin, 'ada.l', 'a wrong password'"},
    {.name = "register_patient", .arguments = "@link, 'wrong', 'ben.b', " PASSWORD},
    {.name = "register_patient", .arguments = "@link, 'spent', 'ben.b', " PASSWORD,
     .set_up = last_try},
    {.name = "register_patient", .arguments = "@link, @pin, 'ben.b', " PASSWORD, .set_up = on_paper},
    {.name = "register_patient", .arguments = "@link, 'spent', 'ben.b', " PASSWORD, .set_up = on_paper_last_try},
    {.name = "register_representative",
     .arguments = "@link, @pin, 'bea.b', " PASSWORD ", 'Bea Bitdiddle', 'spouse'"},
    {.name = "portal_login", .arguments = "'ada.l', " PASSWORD},
    {.name = "portal_login", .arguments = "'ada.l', 'a wrong password'",
     .set_up = last_free_password},
    {.name = "portal_login", .arguments = "'nobody', 'a wrong password'"},
    {.name = "portal_session", .arguments = "@session"},
    {.name = "portal_logout", .arguments = "@session"},
    {.name = "portal_demographics", .arguments = "@session, 1"},
    {.name = "portal_practice", .arguments = ""},
    {.name = "portal_everywhere", .arguments = ""},
    {.name = "submit_demographics",
     .arguments = "@session, 1, '{\"city\":\"Paris\",\"home_phone\":\"212 555 0199\"}'"},
    {.name = "forgot_password", .arguments = "'ada.l'"},
    {.name = "forgot_password", .arguments = "'nobody'"},
    {.name = "reset_password", .arguments = "@reset, 'another good password'"},

    {.name = "deliver", .arguments = ""},
    {.name = "claim_messages", .arguments = "10"},
    {.name = "claim_messages", .arguments = "10", .set_up = forgotten},
    {.name = "claim_messages", .arguments = "10, 'text'", .set_up = after_a_week},
    {.name = "claim_messages", .arguments = "10", .set_up = opted_out},
    {.name = "report_delivery", .arguments = "@claim, @message, 'sent', 'accepted'"},
    {.name = "report_delivery", .arguments = "@claim, @message, 'retry'"},
    {.name = "report_delivery", .arguments = "@claim, @message, 'uncertain'"},
    {.name = "report_delivery", .arguments = "@claim, @message, 'bounced', 'no such number'"},
    {.name = "report_delivery", .arguments = "@claim, @message, 'opted_out'"},
    {.name = "portal_callback", .arguments = "'maildir', '', '{}', ''"},
    {.name = "expire_links", .arguments = "", .set_up = after_a_week},
    {.name = "end_representatives", .arguments = "", .set_up = of_age},
    {.name = "portal_purge", .arguments = "400", .set_up = after_years},

    {.name = "portal_status"},
    {.name = "portal_status", .set_up = opted_out},
    {.name = "portal_status", .set_up = mapped},
    {.name = "portal_opt_outs", .set_up = opted_out},
    {.name = "portal_settings"},
    {.name = "portal_template", .arguments = "'{{practice_name}}: {{pin}}'"},
    {.name = "portal_template", .arguments = "'{{pin}}'", .set_up = edited},
    {.name = "portal_channels", .alternative = "maildir|"},
    {.name = "portal_check"},
    {.name = "portal_claimed", .arguments = "@claim"},
    {.name = "portal_find", .arguments = "'love, ada'"},
    {.name = "portal_find", .arguments = "'ada@example.com'"},
    {.name = "portal_find", .arguments = "'12/10/1985'"},
    {.name = "portal_help"},
    {.name = NULL},
};
