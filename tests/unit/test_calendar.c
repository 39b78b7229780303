/* Unit tests of ext/calendar.c. */
#include <locale.h>
#include <stdlib.h>

#include "../../ext/calendar.h"
#include "unit.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

typedef void formatter(int64_t when, char out[CALENDAR_TIME_SIZE]);

static const char *format(formatter *write, int64_t when)
{
    static char out[CALENDAR_TIME_SIZE];
    memset(out, '#', sizeof out);
    write(when, out);
    return memchr(out, '\0', sizeof out) ? out : "(no end)";
}

static void test_dates(void)
{
    TEST("a calendar date that exists is a date") {
        static const char *const dates[] = {
            "2026-11-22", "1850-01-01", "9999-12-31", "2000-02-29", "2024-02-29", "1900-02-28",
            "2026-01-31", "2026-04-30", "2026-12-31",
        };
        for (size_t i = 0; i < COUNT(dates); i++) CHECK_FOR(dates[i], calendar_is_date(dates[i]));
    }
    TEST("anything else is no date") {
        static const char *const dates[] = {
            "", "2026", "2026-11-2", "2026-11-222", "2026-11-22 ", " 2026-11-22", "2026/11/22",
            "20261122", "22-11-2026", "2026-13-01", "2026-00-10", "2026-01-00", "2026-01-32",
            "2026-04-31", "2026-02-29", "1900-02-29", "2100-02-29", "2023-02-29", "1849-12-31",
            "0000-01-01", "-026-01-01", "+202-01-01", "2026-1a-01", "2026-11-22T00:00", "2026-11_22",
            "202\u0661-1-01", "2026-11",
        };
        for (size_t i = 0; i < COUNT(dates); i++) CHECK_FOR(dates[i], !calendar_is_date(dates[i]));
    }
    TEST("a birthday begins at midnight UTC, so many years later") {
        CHECK_TEXT(format(calendar_utc, calendar_birthday("2008-11-22", 18)), "2026-11-22 00:00:00");
        CHECK_TEXT(format(calendar_utc, calendar_birthday("2008-11-22", 0)), "2008-11-22 00:00:00");
        CHECK_TEXT(format(calendar_utc, calendar_birthday("1926-01-01", 100)), "2026-01-01 00:00:00");
        CHECK_TEXT(format(calendar_utc, calendar_birthday("1850-12-31", 18)), "1868-12-31 00:00:00");
    }
    TEST("who was born on 29 February is older on 1 March in other years") {
        CHECK_TEXT(format(calendar_utc, calendar_birthday("2008-02-29", 18)), "2026-03-01 00:00:00");
        CHECK_TEXT(format(calendar_utc, calendar_birthday("2008-02-29", 20)), "2028-02-29 00:00:00");
    }
}

static void test_utc(void)
{
    TEST("UTC does not depend on the zone of the process") {
        setenv("TZ", "Asia/Kathmandu", 1);
        CHECK_TEXT(format(calendar_utc, 1795353600), "2026-11-22 13:20:00");
        CHECK_TEXT(format(calendar_date, 1795353600), "2026-11-22");
        CHECK_TEXT(format(calendar_utc, 0), "1970-01-01 00:00:00");
        CHECK_TEXT(format(calendar_date, -1), "1969-12-31");
        CHECK_TEXT(format(calendar_utc, -1), "1969-12-31 23:59:59");
    }
    TEST("times beyond 2038 and before 1901 are written") {
        CHECK_TEXT(format(calendar_utc, 2147483648), "2038-01-19 03:14:08");
        CHECK_TEXT(format(calendar_utc, 4102444800), "2100-01-01 00:00:00");
        CHECK_TEXT(format(calendar_date, -3786825600), "1850-01-01");
        CHECK_TEXT(format(calendar_date, -40000000000), "702-06-15");
        CHECK_TEXT(format(calendar_utc, 253402300799), "9999-12-31 23:59:59");
    }
    TEST("a time without a year gives the empty string") {
        static formatter *const writers[] = {calendar_utc, calendar_date, calendar_local,
                                             calendar_rfc5322};
        for (size_t i = 0; i < COUNT(writers); i++) {
            CHECK_TEXT(format(writers[i], INT64_MAX), "");
            CHECK_TEXT(format(writers[i], INT64_MIN), "");
        }
    }
}

static void test_local(void)
{
    TEST("local time has the name of its zone") {
        setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
        CHECK_TEXT(format(calendar_local, 1795353600), "2026-11-22 14:20 CET");
        CHECK_TEXT(format(calendar_local, 1782864000), "2026-07-01 02:00 CEST");
        setenv("TZ", "UTC0", 1);
        CHECK_TEXT(format(calendar_local, 1795353600), "2026-11-22 13:20 UTC");
        setenv("TZ", "<+0545>-5:45", 1);
        CHECK_TEXT(format(calendar_local, 1795353600), "2026-11-22 19:05 +0545");
    }
    TEST("the clock jumps when summer time starts and ends") {
        setenv("TZ", "EST5EDT,M3.2.0,M11.1.0", 1);
        CHECK_TEXT(format(calendar_local, 1772953199), "2026-03-08 01:59 EST");
        CHECK_TEXT(format(calendar_local, 1772953200), "2026-03-08 03:00 EDT");
        CHECK_TEXT(format(calendar_local, 1793512799), "2026-11-01 01:59 EDT");
        CHECK_TEXT(format(calendar_local, 1793512800), "2026-11-01 01:00 EST");
    }
    TEST("without TZ the system's zone is told, and a TZ that is set counts at once") {
        unsetenv("TZ");
        char first[CALENDAR_TIME_SIZE];
        snprintf(first, sizeof first, "%s", format(calendar_local, 1795353600));
        CHECK_TEXT(format(calendar_local, 1795353600), first);
        setenv("TZ", "<+0545>-5:45", 1);
        CHECK_TEXT(format(calendar_local, 1795353600), "2026-11-22 19:05 +0545");
        unsetenv("TZ");
        CHECK_TEXT(format(calendar_local, 1795353600), first);
    }
    TEST("a zone with an absurd name still fits") {
        setenv("TZ", "<ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOP>-2", 1);
        const char *text = format(calendar_local, 1795353600);
        CHECK_FOR(text, strncmp(text, "2026-11-22 1", 12) == 0);
    }
    TEST("a mail date has the offset of its day") {
        setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
        CHECK_TEXT(format(calendar_rfc5322, 1795353600), "Sun, 22 Nov 2026 14:20:00 +0100");
        CHECK_TEXT(format(calendar_rfc5322, 1782864000), "Wed, 01 Jul 2026 02:00:00 +0200");
        setenv("TZ", "NST3:30", 1);
        CHECK_TEXT(format(calendar_rfc5322, 0), "Wed, 31 Dec 1969 20:30:00 -0330");
        setenv("TZ", "UTC0", 1);
        CHECK_TEXT(format(calendar_rfc5322, 4102444799), "Thu, 31 Dec 2099 23:59:59 +0000");
    }
    TEST("a mail date is English in every locale") {
        static const char *const locales[] = {"", "de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8"};
        for (size_t i = 0; i < COUNT(locales); i++) {
            setlocale(LC_ALL, locales[i]);
            CHECK_TEXT(format(calendar_rfc5322, 0), "Thu, 01 Jan 1970 00:00:00 +0000");
        }
        setlocale(LC_ALL, "C");
    }
    TEST("every month has its name") {
        static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        for (int i = 0; i < 12; i++) {
            /* The 15th of each month of 1970, give or take two days. */
            const char *text = format(calendar_rfc5322, 14 * 86400 + i * INT64_C(2629800));
            CHECK_FOR(text, strstr(text, months[i]) != NULL);
        }
    }
}

int main(void)
{
    test_dates();
    test_utc();
    test_local();
    return unit_result();
}
