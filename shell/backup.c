/* portal backup: a copy of the database while others go on working with it. */
#include "command.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* So many pages at once: another writer waits no longer than they take. */
enum { PAGES = 2000, PAUSE_MILLISECONDS = 5 };

static int copy(struct practice *practice, sqlite3 *to)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", practice->db, "main");
    int code = SQLITE_OK;

    if (backup == NULL) return sqlite3_errcode(to);
    while (code == SQLITE_OK || code == SQLITE_BUSY || code == SQLITE_LOCKED) {
        code = practice_is_interrupted() ? SQLITE_INTERRUPT : sqlite3_backup_step(backup, PAGES);
        if (code != SQLITE_DONE) (void)sqlite3_sleep(PAUSE_MILLISECONDS);
    }
    (void)sqlite3_backup_finish(backup);
    return code;
}

int backup_run(struct invocation *invocation)
{
    struct practice *practice = &invocation->practice;
    const char *path = command_value(invocation, "file");
    struct stat status;
    sqlite3 *to = NULL;
    int code;

    if (stat(path, &status) == 0) {
        (void)fprintf(stderr, "portal: %s is there already; name another file\n", path);
        return EXIT_REFUSED;
    }
    code = sqlite3_open(path, &to);
    if (code == SQLITE_OK) code = chmod(path, 0600) == 0 || errno == ENOENT ? SQLITE_OK : SQLITE_IOERR;
    if (code == SQLITE_OK) code = copy(practice, to);
    (void)sqlite3_close(to);
    if (code != SQLITE_DONE) {
        (void)fprintf(stderr, "portal: %s: %s; there is no backup\n", path, sqlite3_errstr(code));
        (void)unlink(path);
        return code == SQLITE_INTERRUPT ? EXIT_INTERRUPTED : EXIT_REFUSED;
    }
    (void)printf("%s holds all but the key: keep %s.portal-key as well, in another place.\n", path, practice->path);
    return EXIT_DONE;
}
