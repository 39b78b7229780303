/* portal secret: stores a password, which is read where neither a history nor a list of processes shows it. */
#include "command.h"
#include "tell.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { SECRET_MOST = 4096 };

/* A line of standard input without its end; on a terminal it is asked for and does not show. */
static bool secret_read(const char *key, char out[SECRET_MOST])
{
    struct termios shown;
    struct termios hidden;
    bool terminal = tcgetattr(STDIN_FILENO, &shown) == 0;
    bool done;

    if (terminal) {
        hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        (void)fprintf(stderr, "%s: ", key);
        if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) != 0) return false;
    }
    done = fgets(out, SECRET_MOST, stdin) != NULL;
    if (terminal) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
        (void)fputc('\n', stderr);
    }
    if (!done || practice_is_interrupted()) return false;
    out[strcspn(out, "\r\n")] = '\0';
    return *out != '\0';
}

int secret_run(struct invocation *invocation)
{
    static const char store[] = "SELECT portal_secret(:key, :value) AS message";
    struct practice *practice = &invocation->practice;
    const char *key = command_value(invocation, "key");
    char secret[SECRET_MOST] = "";
    sqlite3_stmt *statement;
    int code;

    if (!secret_read(key, secret)) {
        sodium_memzero(secret, sizeof secret);
        return practice_is_interrupted() ? EXIT_INTERRUPTED
                                         : tell(EXIT_REFUSED, "%s is to be given in a line of standard input", key);
    }
    statement = practice_prepare(practice, store);
    if (statement == NULL) {
        sodium_memzero(secret, sizeof secret);
        return EXIT_DATABASE;
    }
    if (practice->shows_sql) (void)fprintf(stderr, "%s;\n", store);
    practice_bind(statement, 1, key);
    practice_bind(statement, 2, secret);
    sodium_memzero(secret, sizeof secret);
    practice->shows_sql = false;        /* the values */
    code = output_rows(practice, statement, stdout, invocation->form, NULL, NULL);
    (void)sqlite3_finalize(statement);
    return code;
}
