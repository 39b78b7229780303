/*
** The two clocks of channels that speak to servers: one to wait by, one that deadlines are of.
*/
#ifndef PORTAL_TIMING_H
#define PORTAL_TIMING_H

#include "../portal.h"

#include <time.h>

/* Seconds of a clock that only goes forward. */
time_t timing_uptime(void);

/* Seconds UTC by the clock that SQLite goes by, and with it the extension. */
sqlite3_int64 timing_utc(void);

#endif
