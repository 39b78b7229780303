/* portal poster, portal letter: a PDF, to a file that is whole when it is there, or to standard output. */
#include "command.h"

#include "tell.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where it goes; private, for a letter is a secret. */
struct target {
    const char *path;              /* NULL: standard output */
    char draft[PATH_MAX];
    FILE *out;
};

/* Before anything is asked of the database: a letter that can not be kept must not be made. */
static int target_open(struct target *target, const char *path)
{
    int file;

    target->path = path == NULL || strcmp(path, "-") == 0 ? NULL : path;
    target->out = stdout;
    if (target->path == NULL) {
        return isatty(STDOUT_FILENO) == 0 ? EXIT_DONE : tell(EXIT_USAGE, "a PDF is not for a terminal; name a file");
    }
    if (snprintf(target->draft, sizeof target->draft, "%s.XXXXXX", path) >= (int)sizeof target->draft) errno = ENAMETOOLONG;
    else if ((file = mkstemp(target->draft)) >= 0 && (target->out = fdopen(file, "wb")) != NULL) return EXIT_DONE;
    return tell(EXIT_REFUSED, "%s: %s", path, strerror(errno));
}

/* Under its name when it is on the disk. */
static int target_close(struct invocation *invocation, struct target *target, int code)
{
    char *sentence;
    bool kept;

    if (target->path == NULL) return code;
    kept = code == EXIT_DONE && fflush(target->out) == 0 && fsync(fileno(target->out)) == 0;
    kept = fclose(target->out) == 0 && kept && rename(target->draft, target->path) == 0;
    if (kept) {
        sentence = sqlite3_mprintf("%s is ready to be printed.", target->path);
        code = command_say(invocation, sentence);
        sqlite3_free(sentence);
        return code;
    }
    if (code == EXIT_DONE) code = tell(EXIT_REFUSED, "%s: %s; make it once more", target->path, strerror(errno));
    (void)unlink(target->draft);
    return code;
}

/* The blob that the command's SQL gives. */
static int pdf_write(struct invocation *invocation, FILE *out)
{
    struct practice *practice = &invocation->practice;
    sqlite3_stmt *statement = command_prepare(invocation, invocation->command->sql);
    int code = EXIT_DATABASE;

    if (statement == NULL) return code;
    if (practice_step(practice, statement) == SQLITE_ROW) {
        size_t size = (size_t)sqlite3_column_bytes(statement, 0);
        code = fwrite(sqlite3_column_blob(statement, 0), 1, size, out) == size ? output_end(out)
                                                                               : tell(EXIT_REFUSED, "the output is not whole");
    } else {
        code = practice_failed(practice);
    }
    (void)sqlite3_finalize(statement);
    return code;
}

int print_run(struct invocation *invocation)
{
    struct target target;
    int code = target_open(&target, command_value(invocation, "file"));

    return code == EXIT_DONE ? target_close(invocation, &target, pdf_write(invocation, target.out)) : code;
}
