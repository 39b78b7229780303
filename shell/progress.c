#include "progress.h"

#include "terminal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* In milliseconds: what ends sooner shows nothing. */
enum { FIRST = 1000, REDRAW = 250, LINE = 10000 };

enum { BAR_LEAST = 10, BAR_MOST = 40, WORD_SIZE = 40, TEXT_SIZE = 160 };

/* CLOCK_MONOTONIC_COARSE is a few nanoseconds, so that a million rows may each look at it. */
static int64_t uptime(void)
{
    struct timespec now = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void progress_begin(struct progress *progress, const char *doing, const char *unit, int64_t total)
{
    int64_t now = uptime();
    bool terminal = terminal_moves(stderr);

    *progress = (struct progress){doing, unit, total, terminal, false, now, now + (terminal ? FIRST : LINE)};
}

bool progress_is_due(const struct progress *progress)
{
    return uptime() >= progress->due_at;
}

/* "1234", or of bytes "12.3 MB". */
static const char *amount(const struct progress *progress, double count, char out[WORD_SIZE])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;

    if (progress->unit == NULL) {
        for (; count >= 1000 && unit + 1 < sizeof units / sizeof units[0]; unit++) count /= 1000;
        (void)snprintf(out, WORD_SIZE, "%.*f %s", unit > 0, count, units[unit]);
    } else {
        (void)snprintf(out, WORD_SIZE, "%.*f", count > 0 && count < 10 && count - (double)(int)count > 0.05, count);
    }
    return out;
}

/* "8 s", "2 min 5 s", "3 h 20 min" */
static const char *duration(double seconds, char out[WORD_SIZE])
{
    int64_t whole = (int64_t)(seconds + 0.5);

    if (whole < 60) (void)snprintf(out, WORD_SIZE, "%" PRId64 " s", whole);
    else if (whole < 3600) (void)snprintf(out, WORD_SIZE, "%" PRId64 " min %" PRId64 " s", whole / 60, whole % 60);
    else (void)snprintf(out, WORD_SIZE, "%" PRId64 " h %" PRId64 " min", whole / 3600, whole / 60 % 60);
    return out;
}

/* "40 of 100 messages, 12/s, 5 s left"; `brief`: "40 %, 5 s left" */
static void words(const struct progress *progress, int64_t done, bool brief, char out[TEXT_SIZE])
{
    char had[WORD_SIZE], all[WORD_SIZE], speed[WORD_SIZE], left[WORD_SIZE], portion[TEXT_SIZE];
    double seconds = (double)(uptime() - progress->begun_at) / 1000;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    bool ends = progress->total > 0 && rate > 0;
    const char *unit = progress->unit == NULL ? "" : progress->unit;

    (void)amount(progress, (double)done, had);
    (void)amount(progress, (double)progress->total, all);
    (void)amount(progress, rate, speed);
    (void)duration(ends ? (double)(progress->total - done) / rate : seconds, left);
    if (progress->total <= 0) (void)snprintf(portion, sizeof portion, "%s%s%s", had, *unit == '\0' ? "" : " ", unit);
    else if (brief) (void)snprintf(portion, sizeof portion, "%.0f %%", 100.0 * (double)done / (double)progress->total);
    else (void)snprintf(portion, sizeof portion, "%s of %s%s%s", had, all, *unit == '\0' ? "" : " ", unit);
    (void)snprintf(out, TEXT_SIZE, "%.60s%s%.20s%s, %.30s%s", portion, brief ? "" : ", ", brief ? "" : speed,
                   brief ? "" : "/s", left, ends ? " left" : "");
}

static void bar(const struct progress *progress, int64_t done, int width)
{
    int full = (int)((double)width * (double)done / (double)progress->total);

    (void)fputc('[', stderr);
    for (int i = 0; i < width; i++) (void)fputc(i < full ? '=' : ' ', stderr);
    (void)fputs("] ", stderr);
}

/* What there is room for: the last column stays free, because some terminals begin a new line after it. */
static void draw(const struct progress *progress, int64_t done)
{
    char text[TEXT_SIZE];
    int width = terminal_width(stderr) - 1;
    int title = (int)strlen(progress->doing) + 1;
    int room;

    words(progress, done, false, text);
    if (title + (int)strlen(text) > width) words(progress, done, true, text);
    (void)fputc('\r', stderr);
    room = width - title - (int)strlen(text);
    if (room >= 0) (void)fprintf(stderr, "%s ", progress->doing);
    room -= (int)strlen("[] ");
    if (progress->total > 0 && room >= BAR_LEAST) bar(progress, done, room < BAR_MOST ? room : BAR_MOST);
    (void)fprintf(stderr, "%.*s\x1b[K", width, text);
}

void progress_show(struct progress *progress, int64_t done)
{
    char text[TEXT_SIZE];

    if (!progress_is_due(progress)) return;
    progress->due_at = uptime() + (progress->terminal ? REDRAW : LINE);
    if (progress->total > 0 && done > progress->total) done = progress->total;
    if (progress->terminal) {
        draw(progress, done);
        progress->drawn = true;
    } else {
        words(progress, done, false, text);
        (void)fprintf(stderr, "%s: %s\n", progress->doing, text);
    }
    (void)fflush(stderr);
}

void progress_end(struct progress *progress)
{
    if (progress->drawn) (void)fputs("\r\x1b[K", stderr);
    (void)fflush(stderr);
    progress->drawn = false;
}
