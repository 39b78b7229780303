/*
** Text made comparable, see normalize.h.  Plain ASCII, which most names and all but a few addresses
** are, takes a short path; anything else goes through utf8proc in two buffers on the stack, so that
** nothing allocates and a password leaves no copy on the heap.
*/
#include "normalize.h"

#include <sodium.h>
#include <string.h>
#include <utf8proc.h>

enum { ZERO_WIDTH_NON_JOINER = 0x200C, ZERO_WIDTH_JOINER = 0x200D, DOTLESS_I = 0x0131 };

/*
** As many as the longest result has bytes.  What needs more on its way (only a row of Arabic
** ligatures such as U+FDFA, 18 letters each, does) would not fit into the result either.
*/
enum { POINTS_MAX = NORMALIZE_SIZE - 1 };

struct points {
    utf8proc_int32_t at[POINTS_MAX];
    size_t count;
};

/* What is dropped from names beside white space, dashes (category Pd) and invisible characters. */
static const utf8proc_int32_t name_punctuation[] = {
    0x0027, /* apostrophe */
    0x002E, /* full stop */
    0x0060, /* grave accent, typed for an apostrophe */
    0x00B7, /* middle dot, Catalan l·l */
    0x02B9, /* modifier letter prime */
    0x02BB, /* modifier letter turned comma, Hawaiian okina */
    0x02BC, /* modifier letter apostrophe */
    0x02BD, /* modifier letter reversed comma */
    0x02BE, /* modifier letter right half ring, hamza */
    0x02BF, /* modifier letter left half ring, ayn */
    0x055A, /* Armenian apostrophe */
    0x05F3, /* Hebrew geresh */
    0x06D4, /* Arabic full stop */
    0x2018, /* left single quotation mark */
    0x2019, /* right single quotation mark, the typographic apostrophe */
    0x201B, /* single high-reversed-9 quotation mark */
    0x2032, /* prime */
    0x2035, /* reversed prime */
    0x2212, /* minus sign */
    0x3002, /* ideographic full stop */
    0x30FB, /* katakana middle dot */
    0xA78C, /* saltillo */
};

/* utf8proc wants a signed length; every length here is far below its limit. */
static utf8proc_ssize_t next_point(const char *text, size_t left, utf8proc_int32_t *point)
{
    return utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)left, point);
}

static size_t plain_span(const char *text, size_t length)
{
    size_t span = 0;
    while (span < length && text[span] >= ' ' && text[span] <= '~') span++;
    return span;
}

static bool is_ascii(const char *text, size_t length)
{
    uint64_t seen = 0;
    uint64_t word;
    for (; length >= sizeof word; text += sizeof word, length -= sizeof word) {
        memcpy(&word, text, sizeof word);
        seen |= word;
    }
    for (; length > 0; text++, length--) seen |= (unsigned char)*text;
    return (seen & UINT64_C(0x8080808080808080)) == 0;
}

static bool is_white(utf8proc_int32_t point)
{
    if ((point >= '\t' && point <= '\r') || point == 0x85) return true;
    utf8proc_category_t category = utf8proc_category(point);
    return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL
           || category == UTF8PROC_CATEGORY_ZP;
}

static bool is_mark(utf8proc_int32_t point)
{
    utf8proc_category_t category = utf8proc_category(point);
    return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC
           || category == UTF8PROC_CATEGORY_ME;
}

static bool is_letter(utf8proc_int32_t point)
{
    utf8proc_category_t category = utf8proc_category(point);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

/* Default-ignorable too: the Hangul fillers are letters by category, and yet nothing is seen. */
static bool is_invisible(utf8proc_int32_t point)
{
    return utf8proc_category(point) == UTF8PROC_CATEGORY_CF
           || utf8proc_get_property(point)->ignorable;
}

static bool is_dropped_in_name(utf8proc_int32_t point)
{
    for (size_t i = 0; i < sizeof name_punctuation / sizeof name_punctuation[0]; i++) {
        if (point == name_punctuation[i]) return true;
    }
    return is_white(point) || is_invisible(point)
           || utf8proc_category(point) == UTF8PROC_CATEGORY_PD;
}

static char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Does for ASCII what the long path does; the unit test compares the two. */
static int copy_ascii(const char *text, size_t length, char (*map)(char), char *out, size_t size)
{
    if (length >= size) return -1;
    for (size_t i = 0; i < length; i++) out[i] = map ? map(text[i]) : text[i];
    out[length] = '\0';
    return 0;
}

static bool is_ascii_white(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int copy_ascii_name(const char *text, size_t length, char *out, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (is_ascii_white(c) || c == '-' || c == '\'' || c == '.' || c == '`') continue;
        if (used + 1 >= size) {
            out[0] = '\0';
            return -1;
        }
        out[used++] = ascii_lower(c);
    }
    out[used] = '\0';
    return 0;
}

/* The result is empty until it is complete.  -1 when the input is too long or there is no room. */
static int begin(const char *text, size_t *length, char *out, size_t size)
{
    if (size == 0) return -1;
    out[0] = '\0';
    *length = strnlen(text, NORMALIZE_INPUT_MAX + 1);
    return *length > NORMALIZE_INPUT_MAX ? -1 : 0;
}

static int decompose(const char *text, size_t length, unsigned options, struct points *points)
{
    utf8proc_ssize_t count = utf8proc_decompose(
        (const utf8proc_uint8_t *)text, (utf8proc_ssize_t)length, points->at, POINTS_MAX,
        (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE | options));
    if (count < 0 || count > POINTS_MAX) return -1;
    points->count = (size_t)count;
    return 0;
}

/* Full case folding; what a letter folds to is decomposed and stripped in turn. */
static int fold_case(const struct points *from, struct points *to)
{
    int boundary = 0;
    to->count = 0;
    for (size_t i = 0; i < from->count; i++) {
        size_t room = POINTS_MAX - to->count;
        utf8proc_ssize_t count = utf8proc_decompose_char(
            from->at[i], to->at + to->count, (utf8proc_ssize_t)room,
            UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE | UTF8PROC_CASEFOLD
                | UTF8PROC_STRIPMARK,
            &boundary);
        if (count < 0 || (size_t)count > room) return -1;
        to->count += (size_t)count;
    }
    return 0;
}

/* Composes (the points are no longer readable as they were) and writes UTF-8. */
static int compose(struct points *points, char *out, size_t size)
{
    utf8proc_ssize_t count = utf8proc_normalize_utf32(
        points->at, (utf8proc_ssize_t)points->count, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (count < 0) return -1;

    size_t used = 0;
    for (utf8proc_ssize_t i = 0; i < count; i++) {
        utf8proc_uint8_t bytes[4];
        utf8proc_ssize_t length = utf8proc_encode_char(points->at[i], bytes);
        if (length <= 0 || used + (size_t)length >= size) {
            sodium_memzero(bytes, sizeof bytes);
            sodium_memzero(out, used);
            return -1;
        }
        memcpy(out + used, bytes, (size_t)length);
        used += (size_t)length;
        sodium_memzero(bytes, sizeof bytes);
    }
    out[used] = '\0';
    return 0;
}

/*
** Compatibility-decomposed, marks stripped, case-folded.  Stripping comes first: folding first would
** make an iota of the Greek iota subscript where it is part of a letter, but drop it where it is a
** mark of its own, and the two spellings of one name would differ.
** A dotless i becomes i: in capitals, YILMAZ, a Turkish name does not tell which it was.
*/
static int fold_text(const char *text, size_t length, struct points *points)
{
    struct points marked;
    int rc = decompose(text, length, UTF8PROC_STRIPMARK, &marked);
    if (rc == 0) rc = fold_case(&marked, points);
    sodium_memzero(&marked, sizeof marked);
    if (rc != 0) return -1;
    for (size_t i = 0; i < points->count; i++) {
        if (points->at[i] == DOTLESS_I) points->at[i] = 'i';
    }
    return 0;
}

static void drop(struct points *points, bool (*is_dropped)(utf8proc_int32_t))
{
    size_t kept = 0;
    for (size_t i = 0; i < points->count; i++) {
        if (!is_dropped(points->at[i])) points->at[kept++] = points->at[i];
    }
    points->count = kept;
}

static void trim(struct points *points)
{
    size_t first = 0;
    while (points->count > 0 && is_white(points->at[points->count - 1])) points->count--;
    while (first < points->count && is_white(points->at[first])) first++;
    points->count -= first;
    memmove(points->at, points->at + first, points->count * sizeof points->at[0]);
}

int normalize_name(const char *name, char *out, size_t size)
{
    size_t length;
    if (begin(name, &length, out, size) != 0) return -1;
    if (is_ascii(name, length)) return copy_ascii_name(name, length, out, size);

    struct points points;
    int rc = fold_text(name, length, &points);
    if (rc == 0) {
        drop(&points, is_dropped_in_name);
        rc = compose(&points, out, size);
    }
    if (rc != 0) out[0] = '\0';
    sodium_memzero(&points, sizeof points);
    return rc;
}

int normalize_username(const char *username, char *out, size_t size)
{
    size_t length;
    if (begin(username, &length, out, size) != 0) return -1;
    if (is_ascii(username, length)) {
        while (length > 0 && is_ascii_white(username[length - 1])) length--;
        while (length > 0 && is_ascii_white(username[0])) username++, length--;
        return copy_ascii(username, length, ascii_lower, out, size);
    }

    struct points points;
    int rc = fold_text(username, length, &points);
    if (rc == 0) {
        drop(&points, is_invisible);
        trim(&points);
        rc = compose(&points, out, size);
    }
    if (rc != 0) out[0] = '\0';
    sodium_memzero(&points, sizeof points);
    return rc;
}

int normalize_password(const char *password, char *out, size_t size)
{
    size_t length;
    if (begin(password, &length, out, size) != 0) return -1;
    if (is_ascii(password, length)) return copy_ascii(password, length, NULL, out, size);

    struct points points;
    int rc = decompose(password, length, 0, &points);
    if (rc == 0) rc = compose(&points, out, size);
    if (rc != 0) out[0] = '\0';
    sodium_memzero(&points, sizeof points);
    return rc;
}

int normalize_lower(const char *text, char *out, size_t size)
{
    size_t length;
    if (begin(text, &length, out, size) != 0) return -1;
    if (is_ascii(text, length)) return copy_ascii(text, length, ascii_lower, out, size);

    struct points points;
    int rc = decompose(text, length, 0, &points);
    if (rc == 0) {
        for (size_t i = 0; i < points.count; i++) points.at[i] = utf8proc_tolower(points.at[i]);
        rc = compose(&points, out, size);
    }
    if (rc != 0) out[0] = '\0';
    sodium_memzero(&points, sizeof points);
    return rc;
}

char *normalize_composed(const char *text)
{
    return (char *)utf8proc_NFC((const utf8proc_uint8_t *)text);
}

long normalize_code_points(const char *text)
{
    long count = 0;
    size_t left = strlen(text);
    while (left > 0) {
        utf8proc_int32_t point;
        utf8proc_ssize_t length = next_point(text, left, &point);
        if (length <= 0) return -1;
        text += length;
        left -= (size_t)length;
        count++;
    }
    return count;
}

bool normalize_is_plain(const char *text)
{
    return text[plain_span(text, strlen(text))] == '\0';
}

bool normalize_is_utf8(const char *text, size_t length)
{
    if (is_ascii(text, length)) return true;
    while (length > 0) {
        utf8proc_int32_t point;
        utf8proc_ssize_t step = next_point(text, length, &point);
        if (step <= 0) return false;
        text += step;
        length -= (size_t)step;
    }
    return true;
}

static bool is_hidden(utf8proc_int32_t point)
{
    switch (utf8proc_category(point)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return true;
    default:
        /* Variation selectors are ignorable marks, and part of how some names are written. */
        return is_invisible(point) && !is_mark(point);
    }
}

static bool is_joiner(utf8proc_int32_t point)
{
    return point == ZERO_WIDTH_JOINER || point == ZERO_WIDTH_NON_JOINER;
}

static bool letter_follows(const char *text, size_t left)
{
    utf8proc_int32_t point;
    if (left == 0) return false;
    (void)next_point(text, left, &point);
    return is_letter(point);
}

static bool has_hidden(const char *text, bool lines)
{
    size_t left = strlen(text);
    bool after_letter = false;
    while (left > 0) {
        utf8proc_int32_t point;
        utf8proc_ssize_t length = next_point(text, left, &point);
        if (length <= 0) return true;
        text += length;
        left -= (size_t)length;
        if (is_joiner(point)) {
            if (!after_letter || !letter_follows(text, left)) return true;
        } else if (is_hidden(point) && !(lines && point == '\n')) {
            return true;
        }
        /* A mark may stand between: Devanagari joins after the virama. */
        after_letter = is_letter(point) || (after_letter && is_mark(point));
    }
    return false;
}

bool normalize_has_hidden(const char *text)
{
    return !normalize_is_plain(text) && has_hidden(text, false);
}

bool normalize_has_hidden_lines(const char *text)
{
    return has_hidden(text, true);
}

void normalize_show(char *text)
{
    char *out = text;
    size_t left = strlen(text);
    while (left > 0) {
        utf8proc_int32_t point;
        utf8proc_ssize_t length = next_point(text, left, &point);
        bool shown = length > 0 && (is_joiner(point) || !is_hidden(point));
        size_t taken = length > 0 ? (size_t)length : 1;
        if (shown) memmove(out, text, taken);
        else *out = ' ';
        out += shown ? taken : 1;
        text += taken;
        left -= taken;
    }
    *out = '\0';
}
