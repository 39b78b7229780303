/* portal init: makes the portal's tables and key file, and asks what messages need to know. */
#include "command.h"

#include <string.h>
#include <unistd.h>

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

/* One value of one row; false when it is refused, which is told. */
static bool ask(struct practice *practice, const char *sql, const char *key, const char *value, char out[500])
{
    sqlite3_stmt *statement = practice_prepare(practice, sql);
    bool done;

    if (statement == NULL) return false;
    practice_bind(statement, 1, key);
    if (value != NULL) practice_bind(statement, 2, value);
    done = practice_step(practice, statement) == SQLITE_ROW;
    if (done) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        (void)snprintf(out, 500, "%s", text == NULL ? "" : text);
    } else {
        (void)practice_failed(practice);
    }
    (void)sqlite3_finalize(statement);
    return done;
}

/* False at the end of the input. */
static bool answer_read(char out[500])
{
    if (fgets(out, 500, stdin) == NULL) return false;
    out[strcspn(out, "\r\n")] = '\0';
    return true;
}

/* Asks until the answer is accepted. */
static int question_ask(struct practice *practice, const char *setting, const char *question)
{
    char current[500], answer[500];

    if (!ask(practice, read_setting, setting, NULL, current)) return EXIT_REFUSED;
    for (;;) {
        (void)fprintf(stderr, "%s [%s]: ", question, current);
        if (!answer_read(answer) || *answer == '\0') return EXIT_DONE;
        if (ask(practice, write_setting, setting, answer, current)) return EXIT_DONE;
        if (practice_is_interrupted()) return EXIT_INTERRUPTED;
    }
}

static int answers_take(struct invocation *invocation)
{
    bool asks = isatty(STDIN_FILENO) && command_value(invocation, "yes") == NULL;
    int code = EXIT_DONE;
    char current[500];

    for (size_t i = 0; i < sizeof questions / sizeof questions[0] && code == EXIT_DONE; i++) {
        const char *given = command_value(invocation, questions[i].option);
        if (given != NULL) {
            code = ask(&invocation->practice, write_setting, questions[i].setting, given, current) ? EXIT_DONE
                                                                                                     : EXIT_REFUSED;
        } else if (asks) {
            code = question_ask(&invocation->practice, questions[i].setting, questions[i].question);
        }
    }
    return code;
}

int init_run(struct invocation *invocation)
{
    int code = command_query(invocation, "SELECT portal_init()");

    if (code == EXIT_DONE) code = answers_take(invocation);
    if (code != EXIT_DONE) return code;
    (void)fprintf(stderr, "Keep a copy of %s.portal-key, apart from those of the database.\n", invocation->practice.path);
    return EXIT_DONE;
}
