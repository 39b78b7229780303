/*
** Dates and times as text, see calendar.h.  Names of days and months are spelled here and not left
** to strftime(): the application may have set a locale, and mail dates are English.
*/
#include "calendar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DATE_LENGTH = 10, FIRST_YEAR = 1850 };

static const char *const day_names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static int number(const char *digits, size_t count)
{
    int value = 0;
    for (size_t i = 0; i < count; i++) value = value * 10 + (digits[i] - '0');
    return value;
}

static bool has_date_shape(const char *date)
{
    static const char shape[] = "0000-00-00";
    for (size_t i = 0; i < DATE_LENGTH; i++) {
        bool fits = shape[i] == '0' ? date[i] >= '0' && date[i] <= '9' : date[i] == shape[i];
        if (!fits) return false;
    }
    return date[DATE_LENGTH] == '\0';
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

bool calendar_is_date(const char *date)
{
    if (!has_date_shape(date)) return false;
    int year = number(date, 4);
    int month = number(date + 5, 2);
    int day = number(date + 8, 2);
    if (year < FIRST_YEAR || month < 1 || month > 12) return false;
    return day >= 1 && day <= days_in_month(year, month);
}

/* Three numbers, and what stands between them both times: '\0' for anything else. */
static char date_split(const char *text, int part[3])
{
    char separator = '\0';

    for (int i = 0; i < 3; i++) {
        size_t digits = strspn(text, "0123456789");
        if (digits == 0 || digits > 4) return '\0';
        part[i] = (int)strtol(text, NULL, 10);
        text += digits;
        if (i == 2) break;
        if (*text == '\0' || (i == 1 && *text != separator)) return '\0';
        separator = *text++;
    }
    return *text == '\0' ? separator : '\0';
}

/* Which of the numbers are year, month and day. */
static const struct {
    char separator;
    int year, month, day;
} date_orders[] = {{'-', 0, 1, 2}, {'/', 2, 0, 1}, {'.', 2, 1, 0}};

const char *calendar_read(const char *text, bool day_first, char out[CALENDAR_TIME_SIZE])
{
    int part[3] = {0, 0, 0};
    char separator = date_split(text, part);

    if (separator == '/' && day_first) separator = '.';
    for (size_t i = 0; i < sizeof date_orders / sizeof date_orders[0]; i++) {
        int year = part[date_orders[i].year];
        int month = part[date_orders[i].month];
        if (date_orders[i].separator != separator) continue;
        if (year < 100) return "lacks the four digits of its year";
        if (month > 12 && separator == '/') return "has no such month; if its day comes first: --day-first";
        (void)snprintf(out, CALENDAR_TIME_SIZE, "%04d-%02d-%02d", year, month, part[date_orders[i].day]);
        return calendar_is_date(out) ? NULL : "is a day that never was";
    }
    return "is no date, such as 1985-12-10, 12/10/1985 or 10.12.1985";
}

int64_t calendar_birthday(const char *birth, int years)
{
    struct tm day;

    memset(&day, 0, sizeof day);
    day.tm_year = number(birth, 4) + years - 1900;
    day.tm_mon = number(birth + 5, 2) - 1;
    day.tm_mday = number(birth + 8, 2);
    return (int64_t)timegm(&day);
}

static char *two_digits(char *at, int number)
{
    *at++ = (char)('0' + number / 10);
    *at++ = (char)('0' + number % 10);
    return at;
}

/* How many fields follow the year. */
enum { TO_DAY = 2, TO_MINUTE = 4, TO_SECOND = 5 };

/* By hand, for a listing has several times a row, and strftime() takes ten times as long. */
static size_t write_fields(const struct tm *fields, int count, char out[CALENDAR_TIME_SIZE])
{
    static const char separators[] = "-- ::";
    const int numbers[] = {fields->tm_mon + 1, fields->tm_mday, fields->tm_hour, fields->tm_min,
                           fields->tm_sec};
    long long year = fields->tm_year + 1900LL;
    char *at = out;
    if (year >= 1000 && year <= 9999) {
        at = two_digits(two_digits(at, (int)year / 100), (int)year % 100);
    } else {
        at += snprintf(at, CALENDAR_TIME_SIZE / 2, "%lld", year);
    }
    for (int i = 0; i < count; i++) {
        *at++ = separators[i];
        at = two_digits(at, numbers[i]);
    }
    *at = '\0';
    return (size_t)(at - out);
}

/* The empty string stands for a time too far away for the C library to have a year for it. */
static void write_utc(int64_t when, int count, char out[CALENDAR_TIME_SIZE])
{
    struct tm fields;
    time_t seconds = (time_t)when;
    out[0] = '\0';
    if (gmtime_r(&seconds, &fields)) (void)write_fields(&fields, count, out);
}

/*
** POSIX lets localtime_r() skip reading TZ, so it is read here; but without TZ tzset() asks for the
** system's file of the zone each time, which took longer than all the rest of a listing.
*/
static void zone_read(void)
{
    static _Thread_local bool is_systems = false;
    bool is_set = getenv("TZ") != NULL;
    if (is_set || !is_systems) tzset();
    is_systems = !is_set;
}

static bool local_fields(int64_t when, struct tm *fields)
{
    time_t seconds = (time_t)when;
    zone_read();
    return localtime_r(&seconds, fields) != NULL;
}

void calendar_date(int64_t when, char out[CALENDAR_TIME_SIZE])
{
    write_utc(when, TO_DAY, out);
}

void calendar_utc(int64_t when, char out[CALENDAR_TIME_SIZE])
{
    write_utc(when, TO_SECOND, out);
}

void calendar_local(int64_t when, char out[CALENDAR_TIME_SIZE])
{
    struct tm fields;
    out[0] = '\0';
    if (!local_fields(when, &fields)) return;
    char *zone = out + write_fields(&fields, TO_MINUTE, out);
    size_t room = CALENDAR_TIME_SIZE - 1 - (size_t)(zone - out);
    *zone++ = ' ';
    /* Only TZ itself can name a zone so long that it does not fit; its offset says the same. */
    if (strlen(fields.tm_zone) < room) {
        memcpy(zone, fields.tm_zone, strlen(fields.tm_zone) + 1);
    } else {
        (void)strftime(zone, room, "%z", &fields);
    }
}

void calendar_rfc5322(int64_t when, char out[CALENDAR_TIME_SIZE])
{
    struct tm fields;
    out[0] = '\0';
    if (!local_fields(when, &fields)) return;
    int used = snprintf(out, CALENDAR_TIME_SIZE, "%s, %02d %s ", day_names[fields.tm_wday],
                        fields.tm_mday, month_names[fields.tm_mon]);
    (void)strftime(out + used, CALENDAR_TIME_SIZE - (size_t)used, "%Y %H:%M:%S %z", &fields);
}
