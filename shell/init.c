/* portal init: makes the portal's tables and key file, and asks what messages need to know. */
#include "ask.h"
#include "command.h"
#include "tell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A longer mapping is refused by portal_init(). */
enum { QUESTION_SIZE = 2000, MAPPING_MOST = 65536 };

/* Each is asked when it was not given as an option of its name; an empty answer keeps what is in force. */
static const struct {
    const char *option;
    const char *setting;
    const char *question;
} questions[] = {
    {"practice-name", "practice_name", "Name of the practice"},
    {"practice-phone", "practice_phone", "Its telephone number"},
    {"portal-url", "portal_url", "Address of the portal's pages"},
    {"mail-from", "mail_from", "Sender address of mail"},
    {"mail-channel", "email_channel", "Channel for mail: maildir or smtp"},
    {"text-channel", "text_channel", "Channel for text messages: maildir, kannel or twilio"},
};

static const char read_setting[] = "SELECT portal_setting(:key)";
static const char write_setting[] = "SELECT portal_setting(:key, :value)";

static int setting_write(struct practice *practice, const char *key, const char *value)
{
    sqlite3_stmt *statement = practice_prepare(practice, write_setting);
    int code;

    if (statement == NULL) return EXIT_DATABASE;
    practice_bind(statement, 1, key);
    practice_bind(statement, 2, value);
    code = practice_step(practice, statement) == SQLITE_ROW ? EXIT_DONE : practice_failed(practice);
    (void)sqlite3_finalize(statement);
    return code;
}

/* The question, with what is in force. */
static int question_read(struct practice *practice, const char *key, const char *question, char out[QUESTION_SIZE])
{
    sqlite3_stmt *statement = practice_prepare(practice, read_setting);
    int code = EXIT_DONE;

    if (statement == NULL) return EXIT_DATABASE;
    practice_bind(statement, 1, key);
    if (practice_step(practice, statement) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        (void)snprintf(out, QUESTION_SIZE, "%s [%s]: ", question, text == NULL ? "" : text);
    } else {
        code = practice_failed(practice);
    }
    (void)sqlite3_finalize(statement);
    return code;
}

/* Asks until the answer is accepted; none keeps what is in force. */
static int question_ask(struct practice *practice, const char *key, const char *question)
{
    char text[QUESTION_SIZE], answer[QUESTION_SIZE];
    int code = question_read(practice, key, question, text);

    if (code != EXIT_DONE) return code;
    do {
        if (!ask_line(text, answer, sizeof answer)) {
            return tell(practice_is_interrupted() ? EXIT_INTERRUPTED : EXIT_REFUSED,
                        "what was answered is kept; portal init asks for the rest");
        }
        code = *answer == '\0' ? EXIT_DONE : setting_write(practice, key, answer);
    } while (code == EXIT_REFUSED);
    return code;
}

static int answers_take(struct invocation *invocation)
{
    bool asks = ask_can() && command_value(invocation, "yes") == NULL;
    int code = EXIT_DONE;

    for (size_t i = 0; i < sizeof questions / sizeof questions[0] && code == EXIT_DONE; i++) {
        const char *given = command_value(invocation, questions[i].option);
        if (given != NULL) code = setting_write(&invocation->practice, questions[i].setting, given);
        else if (asks) code = question_ask(&invocation->practice, questions[i].setting, questions[i].question);
    }
    return code;
}

/* What keeps messages from being sent. */
static int findings_tell(struct practice *practice)
{
    sqlite3_stmt *statement = practice_prepare(practice, "SELECT subject, problem FROM portal_check");
    int code;

    if (statement == NULL) return EXIT_DATABASE;
    while ((code = practice_step(practice, statement)) == SQLITE_ROW) {
        (void)tell(EXIT_DONE, "%s: %s", (const char *)sqlite3_column_text(statement, 0),
                   (const char *)sqlite3_column_text(statement, 1));
    }
    code = code == SQLITE_DONE ? EXIT_DONE : practice_failed(practice);
    (void)sqlite3_finalize(statement);
    return code;
}

/* With the mapping in a file. */
static int mapped_init(struct invocation *invocation, const char *path)
{
    char json[MAPPING_MOST + 1];
    FILE *file = fopen(path, "r");
    size_t length = file == NULL ? 0 : fread(json, 1, sizeof json, file);
    bool whole = file != NULL && ferror(file) == 0;
    sqlite3_stmt *statement;
    int code;

    if (!whole) (void)tell(EXIT_REFUSED, "%s: %s", path, strerror(errno));
    if (file != NULL) (void)fclose(file);
    if (!whole) return EXIT_REFUSED;
    statement = practice_prepare(&invocation->practice, "SELECT portal_init(:mapping) AS message");
    if (statement == NULL) return EXIT_DATABASE;
    (void)sqlite3_bind_text(statement, 1, json, (int)length, SQLITE_TRANSIENT);
    code = output_rows(&invocation->practice, statement, stdout, invocation->form, NULL, NULL);
    (void)sqlite3_finalize(statement);
    return code;
}

int init_run(struct invocation *invocation)
{
    const char *path = invocation->practice.path;
    const char *key_file = getenv("PORTAL_KEY_FILE");
    const char *mapping = command_value(invocation, "map");
    int code = mapping == NULL ? command_query(invocation, "SELECT portal_init() AS message")
                               : mapped_init(invocation, mapping);

    if (code == EXIT_DONE) code = answers_take(invocation);
    if (code == EXIT_DONE) code = findings_tell(&invocation->practice);
    if (code != EXIT_DONE) return code;
    (void)fprintf(stderr, "Keep a copy of %s%s, apart from those of the database.\nNext: ",
                  key_file == NULL ? path : key_file, key_file == NULL ? ".portal-key" : "");
    /* A table of the practice's own has its patients. */
    if (mapping == NULL) (void)fprintf(stderr, "portal -d '%s' import FILE.csv, then ", path);
    (void)fprintf(stderr, "portal -d '%s' send PATIENT --by email\n", path);
    return EXIT_DONE;
}
