#include "segment.h"

#include <stdbool.h>
#include <string.h>
#include <utf8proc.h>

/* 3GPP TS 23.038 section 6.2.1: the default alphabet beside ASCII, and the extension table. */
static const char gsm7_extension[] = "^{}\\[~]|\f";
static const char not_gsm7[] = "`";
static const utf8proc_int32_t gsm7_letters[] = {
    0x00A1, 0x00A3, 0x00A4, 0x00A5, 0x00A7, 0x00BF, 0x00C4, 0x00C5, 0x00C6, 0x00C7, 0x00C9, 0x00D1,
    0x00D6, 0x00D8, 0x00DC, 0x00DF, 0x00E0, 0x00E4, 0x00E5, 0x00E6, 0x00E8, 0x00E9, 0x00EC, 0x00F1,
    0x00F2, 0x00F6, 0x00F8, 0x00F9, 0x00FC, 0x0393, 0x0394, 0x0398, 0x039B, 0x039E, 0x03A0, 0x03A3,
    0x03A6, 0x03A8, 0x03A9,
};

enum { EURO_SIGN = 0x20AC };

/* Septets that a character takes, 0 when the alphabet does not have it. */
static size_t gsm7_width(utf8proc_int32_t point)
{
    if (point == EURO_SIGN) return 2;
    if (point < 0x80) {
        if (strchr(gsm7_extension, point)) return 2;
        if (point == '\n' || point == '\r') return 1;
        return point >= ' ' && point <= '~' && !strchr(not_gsm7, point) ? 1 : 0;
    }
    for (size_t i = 0; i < sizeof gsm7_letters / sizeof gsm7_letters[0]; i++) {
        if (point == gsm7_letters[i]) return 1;
    }
    return 0;
}

static size_t ucs2_width(utf8proc_int32_t point)
{
    return point > 0xFFFF ? 2 : 1;
}

/* A byte that is no UTF-8 counts as the replacement character that a gateway would make of it. */
static size_t read_point(const char *text, size_t left, utf8proc_int32_t *point)
{
    utf8proc_ssize_t length =
        utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)left, point);
    if (length > 0) return (size_t)length;
    *point = 0xFFFD;
    return 1;
}

const char *segment_foreign(const char *text, size_t *length)
{
    size_t left = strlen(text);
    while (left > 0) {
        utf8proc_int32_t point;
        *length = read_point(text, left, &point);
        if (gsm7_width(point) == 0) return text;
        text += *length;
        left -= *length;
    }
    return NULL;
}

/* No character is cut in two: one of two units that would not fit begins the next segment. */
static int count_segments(const char *text, size_t (*width)(utf8proc_int32_t), size_t alone,
                          size_t of_several)
{
    size_t left = strlen(text);
    size_t total = 0;
    size_t used = 0;
    int segments = 1;
    while (left > 0) {
        utf8proc_int32_t point;
        size_t length = read_point(text, left, &point);
        size_t units = width(point);
        total += units;
        if (used + units > of_several) {
            segments++;
            used = 0;
        }
        used += units;
        text += length;
        left -= length;
    }
    return total <= alone ? 1 : segments;
}

int segment_count(const char *text, int *is_gsm7)
{
    size_t length;
    bool gsm7 = segment_foreign(text, &length) == NULL;
    if (is_gsm7) *is_gsm7 = gsm7;
    return gsm7 ? count_segments(text, gsm7_width, 160, 153)
                : count_segments(text, ucs2_width, 70, 67);
}
