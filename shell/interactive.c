#include "command.h"

#include "installation.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char greeting[] =
    "SELECT format('%s: %s', portal_setting('practice_name'), group_concat(line, ', ')) FROM ("
    "  SELECT format('%d request%s to decide', count(*), iif(count(*) = 1, '', 's')) AS line FROM pending_requests"
    "  UNION ALL SELECT format('%d message%s failed this week', count(*), iif(count(*) = 1, '', 's')) FROM portal_outbox"
    "   WHERE status IN ('failed', 'bounced') AND created_at > datetime('now', '-7 days')"
    "  UNION ALL SELECT format('%d link%s expiring today', count(*), iif(count(*) = 1, '', 's')) FROM portal_registrations"
    "   WHERE status = 'live' AND expires_at < datetime('now', '+1 day'))";

/* What waits, before the first prompt. */
static int greet(const char *path, const char *application)
{
    struct practice practice = {NULL, path, false};
    int code = practice_open(&practice, path, application, NEEDS_DATABASE);
    sqlite3_stmt *statement = code == EXIT_DONE ? practice_prepare(&practice, greeting) : NULL;

    if (statement != NULL && practice_step(&practice, statement) == SQLITE_ROW) {
        (void)printf("%s\n", (const char *)sqlite3_column_text(statement, 0));
        (void)fflush(stdout);
    }
    (void)sqlite3_finalize(statement);
    practice_close(&practice);
    return code;
}

int interactive_run(const char *path, const char *application)
{
    const char *name = strrchr(path, '/') == NULL ? path : strrchr(path, '/') + 1;
    char library[PATH_MAX];
    char load[PATH_MAX + 10];
    char prompt[200], as[200];
    int code = isatty(STDIN_FILENO) ? greet(path, application) : EXIT_DONE;
    char *command[] = {"sqlite3", "-box", "-cmd", load, "-cmd", prompt, "-cmd", as, (char *)path, NULL};

    if (code != EXIT_DONE) return code;
    if (application == NULL) application = "ehr";
    if (!installation_find("portal.so", library, sizeof library)) {
        (void)fputs("portal: portal.so is neither beside this program nor in ../lib/portal from there; install it again\n",
                    stderr);
        return EXIT_REFUSED;
    }
    (void)snprintf(load, sizeof load, ".load \"%s\"", library);
    (void)snprintf(prompt, sizeof prompt, ".prompt \"%.60s (%.20s)> \" \"   ...> \"", name, application);
    (void)snprintf(as, sizeof as, "%s", ".timeout 10000");
    (void)execvp(command[0], command);
    (void)fprintf(stderr, "portal: sqlite3: %s; install the package sqlite3\n", strerror(errno));
    return EXIT_REFUSED;
}
