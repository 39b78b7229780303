/* Any text as a date, any integer as a time. */
#include "../../ext/calendar.h"
#include "fuzz.h"

#include <time.h>

const char fuzz_claim[] = "a text is a date when the calendar has it, and any time is written or left empty";

/* The calendar of the C library says which days there are. */
static bool exists(const char *date)
{
    struct tm fields = {0};
    struct tm normal;
    time_t seconds;

    if (sscanf(date, "%4d-%2d-%2d", &fields.tm_year, &fields.tm_mon, &fields.tm_mday) != 3) return false;
    fields.tm_year -= 1900;
    fields.tm_mon -= 1;
    normal = fields;
    seconds = timegm(&normal);
    return seconds != (time_t)-1 && normal.tm_year == fields.tm_year && normal.tm_mon == fields.tm_mon &&
           normal.tm_mday == fields.tm_mday && fields.tm_year >= 1850 - 1900;
}

static bool has_shape(const char *date)
{
    static const char shape[] = "dddd-dd-dd";

    if (strlen(date) != sizeof shape - 1) return false;
    for (size_t i = 0; i < sizeof shape - 1; i++) {
        if (shape[i] == 'd' ? strchr("0123456789", date[i]) == NULL : date[i] != '-') return false;
    }
    return true;
}

static void write_time(int64_t when)
{
    static void (*const writers[])(int64_t when, char out[CALENDAR_TIME_SIZE]) = {
        calendar_date, calendar_local, calendar_utc, calendar_rfc5322,
    };
    char *out = malloc(CALENDAR_TIME_SIZE);

    if (out == NULL) abort();
    for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++) {
        writers[i](when, out);
        REQUIRE(strlen(out) < CALENDAR_TIME_SIZE);
        /* Years of four digits, which is any time that matters. */
        REQUIRE(when < -30610224000 || when > 253402300799 || strlen(out) >= 10);
    }
    calendar_date(when, out);
    if (has_shape(out) && strcmp(out, "1850") > 0) REQUIRE_TELL(calendar_is_date(out), "%s", out);
    free(out);
}

/* Eight bytes of a time, then two texts. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    uint64_t when = (uint64_t)input_number(&input, 4) << 32;
    char *birth;
    char *day;

    when |= input_number(&input, 4);
    birth = input_text(&input);
    day = input_text(&input);
    write_time((int64_t)when);
    write_time((int32_t)when);
    REQUIRE_TELL(calendar_is_date(birth) == (has_shape(birth) && exists(birth)), "%s", birth);
    if (calendar_is_date(birth) && calendar_is_date(day)) {
        bool before = calendar_birthday(birth, 0) < calendar_birthday(day, 0);
        REQUIRE_TELL(before == (strcmp(birth, day) < 0), "%s %s", birth, day);
        REQUIRE(calendar_birthday(birth, 18) > calendar_birthday(birth, 17));
    }
    free(birth);
    free(day);
    return 0;
}
