/*
** Dates and times.  A pure leaf: no SQLite, and no clock (the caller passes the time).
** Times are seconds since 1970-01-01 00:00:00 UTC, without leap seconds.
** A time so far away that its year does not fit an int gives the empty string.
*/
#ifndef PORTAL_CALENDAR_H
#define PORTAL_CALENDAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CALENDAR_TIME_SIZE = 64 };

/* True for an ISO 8601 calendar date YYYY-MM-DD that exists, from 1850-01-01 on. */
bool calendar_is_date(const char *date);

/*
** Reads a date as people write it, 1985-12-10, 12/10/1985 or 10.12.1985 (with `day_first` 10/12/1985), and writes
** it as YYYY-MM-DD.  NULL, or what keeps it from being a date, a static phrase.
*/
const char *calendar_read(const char *text, bool day_first, char out[CALENDAR_TIME_SIZE]);

/* Writes the UTC date of a time as YYYY-MM-DD. */
void calendar_date(int64_t when, char out[CALENDAR_TIME_SIZE]);

/*
** The time at which the birthday begins (UTC) on which somebody born on an ISO date is so many years old; of
** 29 February, in a year that has none, 1 March.
*/
int64_t calendar_birthday(const char *birth, int years);

/* "2026-11-22 14:20 CET": local time of this process (TZ), for sentences and messages. */
void calendar_local(int64_t when, char out[CALENDAR_TIME_SIZE]);

/* "2026-11-22 13:20:00", UTC, for tables and views. */
void calendar_utc(int64_t when, char out[CALENDAR_TIME_SIZE]);

/* "Sun, 22 Nov 2026 14:20:00 +0100": RFC 5322 section 3.3, in local time. */
void calendar_rfc5322(int64_t when, char out[CALENDAR_TIME_SIZE]);

#endif
