/* portal practice.db: the real sqlite3 shell with the extension loaded, which takes the place of this process. */
#include "command.h"

#include "installation.h"
#include "tell.h"
#include "terminal.h"
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the shell keeps of a prompt, in bytes. */
enum { PROMPT_MOST = 19 };

/* Of its command line. */
enum { WORDS_MOST = 100 };

/* Of plain tables, because every application may read them. */
static const char greeting[] =
    "SELECT coalesce((SELECT value FROM main.portal_setting WHERE key = 'practice_name'), 'Waiting') || ': ' ||"
    "       group_concat(format('%s %s%s', iif(n = 0, 'no', n), thing, iif(n = 1, '', 's') || rest), ', ')"
    "  FROM (SELECT count(*) AS n, 'request' AS thing, ' to decide' AS rest FROM main.portal_request WHERE status = 'pending'"
    "        UNION ALL"
    "        SELECT count(*), 'message', ' failed this week' FROM main.portal_outbox"
    "         WHERE status IN ('failed', 'bounced') AND created_at > datetime('now', '-7 days')"
    "        UNION ALL"
    "        SELECT count(*), 'link', ' expiring today' FROM main.portal_registrations"
    "         WHERE status = 'live' AND expires_at < datetime('now', 'localtime', 'start of day', '+1 day', 'utc'))";
static const char tables[] = "SELECT 1 FROM main.sqlite_schema WHERE name = 'portal_state'";

/* The first column of the first row, on a line. */
static int line_write(struct practice *practice, const char *sql, const char *otherwise)
{
    sqlite3_stmt *statement = practice_prepare(practice, sql);
    const char *line = otherwise;
    int code;

    if (statement == NULL) return EXIT_DATABASE;
    code = practice_step(practice, statement);
    if (code == SQLITE_ROW) line = (const char *)sqlite3_column_text(statement, 0);
    else if (code != SQLITE_DONE) (void)practice_failed(practice);
    if (line != NULL) {
        text_write(stdout, line, strlen(line));
        (void)putchar('\n');
    }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? EXIT_DONE : EXIT_DATABASE;
}

static int greet(struct practice *practice)
{
    static const char none[] = "This database has no tables of the portal; SELECT portal_init(); makes them.";
    sqlite3_stmt *statement = practice_prepare(practice, tables);
    int code;

    if (statement == NULL) return EXIT_DATABASE;
    code = practice_step(practice, statement);
    (void)sqlite3_finalize(statement);
    if (code == SQLITE_DONE) return puts(none) < 0 ? EXIT_PIPE : EXIT_DONE;
    return code == SQLITE_ROW ? line_write(practice, greeting, NULL) : practice_failed(practice);
}

/* Appends text as it stands between the double quotes of the shell's commands. */
static void quoted_append(sqlite3_str *out, const char *text)
{
    sqlite3_str_appendchar(out, 1, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') sqlite3_str_appendchar(out, 1, '\\');
        sqlite3_str_appendchar(out, 1, iscntrl((unsigned char)*text) ? '?' : *text);
    }
    sqlite3_str_appendchar(out, 1, '"');
}

/* "practice ehr> ": of the name what fits, whole characters alone. */
static char *prompt_new(const char *path, const char *application)
{
    const char *name = strrchr(path, '/') == NULL ? path : strrchr(path, '/') + 1;
    const char *end = strrchr(name, '.');
    int most = PROMPT_MOST - (int)strlen(application) - (int)strlen(" > ");
    int length = end == NULL || end == name ? (int)strlen(name) : (int)(end - name);
    sqlite3_str *out = sqlite3_str_new(NULL);
    char text[PROMPT_MOST + 1];

    if (length > most) length = most;
    while (length > 0 && ((unsigned char)name[length] & 0xc0) == 0x80) length--;
    (void)snprintf(text, sizeof text, "%.*s %s> ", length, name, application);
    sqlite3_str_appendall(out, ".prompt ");
    quoted_append(out, text);
    sqlite3_str_appendall(out, " \"   ...> \"");
    return sqlite3_str_finish(out);
}

static char *load_new(void)
{
    sqlite3_str *out = sqlite3_str_new(NULL);
    char library[PATH_MAX];

    if (!installation_find("portal.so", library, sizeof library)) {
        (void)tell(EXIT_REFUSED, "portal.so is neither beside this program nor in ../lib/portal from there; install it again");
        sqlite3_free(sqlite3_str_finish(out));
        return NULL;
    }
    sqlite3_str_appendall(out, ".load ");
    quoted_append(out, library);
    return sqlite3_str_finish(out);
}

/* Runs the shell; comes back only when it can not be. */
static int shell_run(const struct invocation *invocation, char **sql, bool terminal)
{
    static const char *const forms[] = {[OUTPUT_TABLE] = "-box", [OUTPUT_JSON] = "-json", [OUTPUT_CSV] = "-csv"};
    const char *path = invocation->practice.path;
    const char *application = invocation->general[GENERAL_AS] == NULL ? "ehr" : invocation->general[GENERAL_AS];
    char *load = load_new();
    char *prompt = prompt_new(path, application);
    /* Nothing is shown of a row that there is not. */
    char *as = sqlite3_mprintf("SELECT 1 WHERE portal_as(%Q) IS NULL", application);
    /* What begins with "-" is a path all the same. */
    char *file = sqlite3_mprintf("%s%s", *path == '/' ? "" : "./", path);
    const char *const first[] = {"sqlite3", "-cmd", load, "-cmd", prompt, "-cmd", as, "-cmd", ".timeout 10000"};
    const char *command[WORDS_MOST];
    int count = 0;

    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++) command[count++] = first[i];
    if (terminal || invocation->form != OUTPUT_TABLE) command[count++] = forms[invocation->form];
    command[count++] = file;
    while (*sql != NULL && count + 1 < WORDS_MOST) command[count++] = *sql++;
    command[count] = NULL;
    if (load != NULL && prompt != NULL && as != NULL && file != NULL) {
        (void)signal(SIGPIPE, SIG_DFL);
        (void)execvp(command[0], (char *const *)command);
        (void)tell(EXIT_REFUSED, "sqlite3 can not be run: %s; install the package sqlite3", strerror(errno));
    }
    sqlite3_free(load);
    sqlite3_free(prompt);
    sqlite3_free(as);
    sqlite3_free(file);
    return EXIT_REFUSED;
}

int interactive_run(struct invocation *invocation, char **sql)
{
    struct practice *practice = &invocation->practice;
    bool terminal = terminal_is(stdin) && terminal_is(stdout) && *sql == NULL;
    int code = practice_open(practice, invocation->general[GENERAL_DATABASE], invocation->general[GENERAL_AS], NEEDS_DATABASE);

    if (code == EXIT_DONE && terminal) code = greet(practice);
    practice_close(practice);
    (void)fflush(stdout);
    return code == EXIT_DONE ? shell_run(invocation, sql, terminal) : code;
}
