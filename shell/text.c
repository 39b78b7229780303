#include "text.h"

#include <stdbool.h>
#include <string.h>
#include <utf8proc.h>

/* U+2068 and U+2069: around a text, whatever its direction. */
static const char isolate[] = {'\xe2', '\x81', '\xa8'};
static const char isolate_end[] = {'\xe2', '\x81', '\xa9'};

struct character {
    utf8proc_int32_t point;        /* -1: no text */
    size_t size;
    int columns;
    const char *instead;           /* what is shown in its place; NULL: it is shown */
};

/* Embeddings, overrides and isolates of others would reorder what stands after them. */
static bool turns(utf8proc_int32_t point)
{
    return (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

static struct character character(const char *text)
{
    struct character one = {-1, 1, 1, "?"};
    utf8proc_ssize_t size = utf8proc_iterate((const utf8proc_uint8_t *)text, -1, &one.point);
    utf8proc_category_t category = size > 0 ? utf8proc_category(one.point) : UTF8PROC_CATEGORY_CC;

    if (size <= 0) return one;
    one.size = (size_t)size;
    if ((one.point >= '\t' && one.point <= '\r') || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP) {
        one.instead = " ";
    } else if (category != UTF8PROC_CATEGORY_CC && !turns(one.point)) {
        one.instead = NULL;
        one.columns = utf8proc_charwidth(one.point);
    }
    return one;
}

int text_width(const char *text)
{
    int width = 0;

    while (*text != '\0') {
        struct character one = character(text);
        text += one.size;
        width += one.columns;
    }
    return width;
}

static bool is_space(const char *text)
{
    return *text == ' ' || (*text >= '\t' && *text <= '\r');
}

size_t text_line(const char *text, int width, int *columns)
{
    size_t space = 0;              /* the last that the line may end before, and the columns up to it */
    int before = 0;
    size_t at = 0;

    *columns = 0;
    while (text[at] != '\0') {
        struct character one = character(text + at);
        /* One that is wider than the line stands alone in it. */
        if (*columns + one.columns > width && at > 0) break;
        if (is_space(text + at) && at > 0) {
            space = at;
            before = *columns;
        }
        at += one.size;
        *columns += one.columns;
    }
    if (text[at] == '\0' || is_space(text + at) || space == 0) return at;
    *columns = before;
    return space;
}

const char *text_after(const char *text, size_t line)
{
    text += line;
    while (is_space(text)) text++;
    return text;
}

void text_write(FILE *out, const char *text, size_t size)
{
    for (const char *end = text + size; text < end;) {
        struct character one = character(text);
        if (one.instead == NULL) (void)fwrite(text, 1, one.size, out);
        else (void)fputs(one.instead, out);
        text += one.size;
    }
}

static bool is_right_to_left(const char *text, size_t size)
{
    for (const char *end = text + size; text < end;) {
        struct character one = character(text);
        int class = one.point < 0 ? 0 : utf8proc_get_property(one.point)->bidi_class;
        if (class == UTF8PROC_BIDI_CLASS_R || class == UTF8PROC_BIDI_CLASS_AL) return true;
        text += one.size;
    }
    return false;
}

void text_write_isolated(FILE *out, const char *text, size_t size)
{
    bool isolated = is_right_to_left(text, size);

    if (isolated) (void)fwrite(isolate, 1, sizeof isolate, out);
    text_write(out, text, size);
    if (isolated) (void)fwrite(isolate_end, 1, sizeof isolate_end, out);
}
