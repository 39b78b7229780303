/*
** The system calls that the extension makes itself, for the key file and the Maildir.  The linker's
** --wrap puts these in their place, so that the n-th can fail.  fsync() does not wait for a disk.
*/
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int fault_error;
bool fault_spared_draft;
bool folder_synced;

#define WRAP(result, name, ...) \
    result __real_##name(__VA_ARGS__); \
    result __wrap_##name(__VA_ARGS__); \
    result __wrap_##name(__VA_ARGS__)

static bool fails(void)
{
    if (!fault_strikes(FAULT_SYSTEM)) return false;
    errno = fault_error;
    return true;
}

WRAP(int, open, const char *path, int flags, ...)
{
    va_list arguments;
    mode_t mode = 0;

    if (fails()) return -1;
    va_start(arguments, flags);
    if ((flags & (O_CREAT | O_TMPFILE)) != 0) mode = va_arg(arguments, mode_t);
    va_end(arguments);
    return __real_open(path, flags, mode);
}

/* No system call, but it fails as one does, for want of memory. */
WRAP(FILE *, open_memstream, char **text, size_t *size)
{
    return fails() ? NULL : __real_open_memstream(text, size);
}

WRAP(ssize_t, read, int file, void *out, size_t size)
{
    return fails() ? -1 : __real_read(file, out, size);
}

WRAP(ssize_t, write, int file, const void *bytes, size_t size)
{
    if (fails()) return -1;
    return __real_write(file, bytes, size > 1 && fault_strikes(FAULT_SHORT) ? size / 2 : size);
}

WRAP(int, fstat, int file, struct stat *out)
{
    return fails() ? -1 : __real_fstat(file, out);
}

WRAP(int, fsync, int file)
{
    struct stat status;

    if (fails()) return -1;
    if (__real_fstat(file, &status) == 0 && S_ISDIR(status.st_mode)) folder_synced = true;
    return 0;
}

/* Closed it is all the same: on Linux also after EINTR. */
WRAP(int, close, int file)
{
    int failed = fails();
    int error = errno;
    int closed = __real_close(file);

    if (failed) errno = error;
    return failed ? -1 : closed;
}

/* What it holds back is written now, which may not work. */
WRAP(int, fclose, FILE *stream)
{
    int failed = fails();
    int error = errno;
    int closed = __real_fclose(stream);

    if (failed) errno = error;
    return failed ? EOF : closed;
}

WRAP(int, rename, const char *from, const char *to)
{
    return fails() ? -1 : __real_rename(from, to);
}

WRAP(int, unlink, const char *path)
{
    if (!fails()) return __real_unlink(path);
    fault_spared_draft = true;
    return -1;
}

WRAP(int, mkdir, const char *path, mode_t mode)
{
    return fails() ? -1 : __real_mkdir(path, mode);
}

WRAP(int, stat, const char *path, struct stat *out)
{
    return fails() ? -1 : __real_stat(path, out);
}

WRAP(int, access, const char *path, int how)
{
    return fails() ? -1 : __real_access(path, how);
}

WRAP(int, mkstemp, char *pattern)
{
    return fails() ? -1 : __real_mkstemp(pattern);
}

WRAP(int, linkat, int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    return fails() ? -1 : __real_linkat(from_folder, from, to_folder, to, flags);
}

/* Between any two looks at it a second goes by, so that the key file is looked at each time. */
WRAP(int, clock_gettime, clockid_t clock, struct timespec *out)
{
    static time_t seconds;

    (void)clock;
    *out = (struct timespec){.tv_sec = ++seconds};
    return 0;
}
