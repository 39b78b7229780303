/*
** A clock for tests: becomes SQLite's default VFS, whose time can be frozen and moved.
**
** It has to be loaded before the database under test is opened, because a connection keeps the VFS
** that was the default when it opened. Everything but the two clock methods is the original VFS's.
**
**   clock_set(unix_seconds)   freezes the clock at that second
**   clock_advance(seconds)    moves it, frozen or running
**   clock_real()              back to the real time
**
** With SQLITE_CORE it is a library to preload instead (LD_PRELOAD), for programs that load nothing.
**
** Each returns the new time in unix seconds. The state belongs to the process; one that starts with
** PORTAL_TEST_CLOCK (unix seconds) in its environment starts frozen there.
*/
#include <sqlite3ext.h>
#include <stdatomic.h>
#include <stdlib.h>
SQLITE_EXTENSION_INIT1

/* SQLite counts milliseconds since noon on 24 November 4714 BC; this is 1970-01-01 in them. */
static const sqlite3_int64 unix_epoch = 210866760000000;

/* A copy of the original, so that its methods find their own data through whichever they are given. */
static sqlite3_vfs clock_vfs;
static sqlite3_vfs *original_vfs;

static _Atomic sqlite3_int64 frozen_at; /* milliseconds as SQLite counts them; 0: the clock runs */
static _Atomic sqlite3_int64 offset;    /* milliseconds added to a running clock */

static int clock_now(sqlite3_vfs *vfs, sqlite3_int64 *now)
{
    (void)vfs;
    *now = atomic_load(&frozen_at);
    if (*now != 0)
        return SQLITE_OK;
    int code = original_vfs->xCurrentTimeInt64(original_vfs, now);
    *now += atomic_load(&offset);
    return code;
}

static int clock_now_in_days(sqlite3_vfs *vfs, double *days)
{
    sqlite3_int64 now = 0;
    int code = clock_now(vfs, &now);
    *days = (double)now / 86400000.0;
    return code;
}

static void answer_now(sqlite3_context *context)
{
    sqlite3_int64 now = 0;
    if (clock_now(&clock_vfs, &now) != SQLITE_OK)
        sqlite3_result_error(context, "the clock can not be read", -1);
    else
        sqlite3_result_int64(context, (now - unix_epoch) / 1000);
}

static void clock_set(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    atomic_store(&frozen_at, unix_epoch + 1000 * sqlite3_value_int64(values[0]));
    answer_now(context);
}

static void clock_advance(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    _Atomic sqlite3_int64 *moved = atomic_load(&frozen_at) != 0 ? &frozen_at : &offset;
    atomic_fetch_add(moved, 1000 * sqlite3_value_int64(values[0]));
    answer_now(context);
}

static void clock_real(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    (void)values;
    atomic_store(&offset, 0);
    atomic_store(&frozen_at, 0);
    answer_now(context);
}

static int become_default(void)
{
    if (original_vfs != NULL)
        return SQLITE_OK;
    original_vfs = sqlite3_vfs_find(NULL);
    if (original_vfs == NULL || original_vfs->iVersion < 2)
        return SQLITE_ERROR;
    const char *start = getenv("PORTAL_TEST_CLOCK");
    if (start != NULL)
        atomic_store(&frozen_at, unix_epoch + 1000 * strtoll(start, NULL, 10));
    clock_vfs = *original_vfs;
    clock_vfs.pNext = NULL;
    clock_vfs.zName = "clock";
    clock_vfs.xCurrentTime = clock_now_in_days;
    clock_vfs.xCurrentTimeInt64 = clock_now;
    return sqlite3_vfs_register(&clock_vfs, 1);
}

#ifdef SQLITE_CORE
__attribute__((constructor)) static void preloaded(void)
{
    if (sqlite3_initialize() != SQLITE_OK || become_default() != SQLITE_OK)
        abort();
}
#endif

int sqlite3_clockvfs_init(sqlite3 *database, char **message, const sqlite3_api_routines *api);

int sqlite3_clockvfs_init(sqlite3 *database, char **message, const sqlite3_api_routines *api)
{
    (void)message;
    SQLITE_EXTENSION_INIT2(api);
    const struct {
        const char *name;
        int arguments;
        void (*function)(sqlite3_context *, int, sqlite3_value **);
    } functions[] = {
        {"clock_set", 1, clock_set},
        {"clock_advance", 1, clock_advance},
        {"clock_real", 0, clock_real},
    };
    int code = become_default();
    for (size_t i = 0; i < sizeof functions / sizeof *functions && code == SQLITE_OK; i++)
        code = sqlite3_create_function(database, functions[i].name, functions[i].arguments,
                                       SQLITE_UTF8, NULL, functions[i].function, NULL, NULL);
    return code == SQLITE_OK ? SQLITE_OK_LOAD_PERMANENTLY : code;
}
