#include "timing.h"

time_t timing_uptime(void)
{
    struct timespec time = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return time.tv_sec;
}

sqlite3_int64 timing_utc(void)
{
    const sqlite3_int64 epoch = 210866760000000;   /* of the Julian day, in milliseconds */
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    sqlite3_int64 milliseconds = 0;

    if (vfs == NULL || vfs->iVersion < 2 || vfs->xCurrentTimeInt64 == NULL ||
        vfs->xCurrentTimeInt64(vfs, &milliseconds) != SQLITE_OK) {
        return time(NULL);
    }
    return (milliseconds - epoch) / 1000;
}
