#include "mail_check.h"

#include "../../ext/normalize.h"
#include "fuzz.h"

#include <stdbool.h>

enum { LINE_LENGTH_MAX = 998, FOLDED_MAX = 76, ENCODED_WORD_MAX = 75 };

/* The rest of a mail. */
struct reader {
    const char *at;
    const char *end;
    const char *line_end;
};

/* A line without its end, copied: free() it. */
static char *read_line(struct reader *reader)
{
    size_t step = strlen(reader->line_end);
    const char *end = memmem(reader->at, (size_t)(reader->end - reader->at), reader->line_end, step);
    size_t length;
    char *line;

    REQUIRE_TELL(end != NULL, "a line has no end: %s", reader->at);
    length = (size_t)(end - reader->at);
    line = strndup(reader->at, length);
    REQUIRE_TELL(line != NULL && strlen(line) == length, "a line has a NUL in it");
    REQUIRE_TELL(length <= LINE_LENGTH_MAX, "a line of %zu bytes", length);
    REQUIRE_TELL(strpbrk(line, "\r\n") == NULL, "half a line break in: %s", line);
    reader->at = end + step;
    return line;
}

static bool header_goes_on(const struct reader *reader)
{
    return reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t');
}

/* The value of a field that must come next, unfolded; free() it. */
static char *read_field(struct reader *reader, const char *name)
{
    char *line = read_line(reader);
    size_t length = strlen(name);
    char *longer;
    char *value;

    REQUIRE_TELL(strncmp(line, name, length) == 0 && line[length] == ':', "no %s: but %s", name, line);
    value = strdup(line + length + 1);
    for (;;) {
        /* A line may be longer only when there is nothing to fold it at. */
        REQUIRE_TELL(strlen(line) <= FOLDED_MAX || strchr(line + 1, ' ') == NULL, "not folded: %s", line);
        free(line);
        if (!header_goes_on(reader)) break;
        line = read_line(reader);
        REQUIRE_TELL(line[strspn(line, " \t")] != '\0', "a folded line of white space alone");
        longer = realloc(value, strlen(value) + strlen(line) + 1);
        REQUIRE(longer != NULL);
        value = strcat(longer, line);
    }
    /* "Name:" may be folded at once. */
    memmove(value, value + strspn(value, " "), strlen(value + strspn(value, " ")) + 1);
    return value;
}

/* The same but for how many spaces stand between, which folding may change. */
static bool same_words(const char *left, const char *right)
{
    for (;;) {
        left += strspn(left, " ");
        right += strspn(right, " ");
        if (*left != *right || *left == '\0') return *left == *right;
        left++;
        right++;
    }
}

static void field_is(struct reader *reader, const char *name, const char *wanted)
{
    char *value = read_field(reader, name);

    REQUIRE_TELL(same_words(value, wanted), "%s is \"%s\", not \"%s\"", name, value, wanted);
    free(value);
}

static int hex_digit(char digit)
{
    const char *found = digit == '\0' ? NULL : strchr("0123456789ABCDEF", digit);

    REQUIRE_TELL(found != NULL, "no upper-case hexadecimal digit: %c", digit);
    return (int)(found - "0123456789ABCDEF");
}

static char hex_byte(const char *digits)
{
    int high = hex_digit(digits[0]);

    return (char)(high * 16 + hex_digit(digits[1]));
}

static bool is_ascii(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || (unsigned char)*text > '~') return false;
    }
    return true;
}

/* RFC 2047, Q encoding: appends what the word at `text` stands for; returns its length. */
static size_t decode_word(const char *text, char *out)
{
    static const char start[] = "=?UTF-8?Q?";
    char *word = out + strlen(out);
    const char *at = text + sizeof start - 1;
    char *to = word;

    REQUIRE_TELL(strncmp(text, start, sizeof start - 1) == 0, "no encoded word: %s", text);
    while (*at != '?') {
        REQUIRE_TELL(*at > ' ' && *at <= '~', "not allowed in an encoded word: %s", at);
        if (*at == '=') {
            *to++ = hex_byte(at + 1);
            at += 3;
        } else {
            *to++ = (char)(*at == '_' ? ' ' : *at);
            at++;
        }
    }
    *to = '\0';
    REQUIRE_TELL(at[1] == '=' && (at[2] == ' ' || at[2] == '\0'), "a word that does not end: %s", text);
    at += 2;
    REQUIRE_TELL(at - text <= ENCODED_WORD_MAX, "an encoded word of %zd characters", at - text);
    REQUIRE_TELL(normalize_is_utf8(word, strlen(word)), "half a character in an encoded word");
    return (size_t)(at - text);
}

/* Text of words as they stand, or all encoded: free() it. */
static char *decode_words(const char *text)
{
    char *out = calloc(1, strlen(text) + 1);

    REQUIRE_TELL(out != NULL && is_ascii(text), "not ASCII: %s", text);
    if (strstr(text, "=?") == NULL) return strcpy(out, text);
    while (*text != '\0') {
        text += decode_word(text, out);
        if (*text == ' ') text++;
    }
    return out;
}

/* RFC 5322 section 3.2.4: takes the quotes away, in place. */
static void unquote(char *text)
{
    char *to = text;
    const char *at = text + 1;

    for (; *at != '"'; at++) {
        if (*at == '\\') at++;
        REQUIRE_TELL(*at != '\0', "a quoted string that does not end");
        *to++ = *at;
    }
    REQUIRE_TELL(at[1] == '\0', "text after a quoted string: %s", at);
    *to = '\0';
}

static void is_phrase(const char *text)
{
    REQUIRE_TELL(strpbrk(text, "()<>[]:;@\\,.\"") == NULL, "needs quotes: %s", text);
}

static void check_from(struct reader *reader, const struct mail *wanted)
{
    char *value = read_field(reader, "From");
    char *angle = strrchr(value, '<');
    char *name;

    if (wanted->from_name == NULL || *wanted->from_name == '\0') {
        REQUIRE_TELL(strcmp(value, wanted->from) == 0, "From: %s", value);
        free(value);
        return;
    }
    REQUIRE_TELL(angle != NULL && angle > value && angle[-1] == ' ', "From: %s", value);
    REQUIRE(strlen(angle) == strlen(wanted->from) + 2 && angle[strlen(angle) - 1] == '>');
    REQUIRE_TELL(strncmp(angle + 1, wanted->from, strlen(wanted->from)) == 0, "From: %s", value);
    angle[-1] = '\0';
    if (*value == '"') {
        REQUIRE(is_ascii(value) && strstr(value, "=?") == NULL);
        name = strdup(value);
        unquote(name);
    } else {
        name = decode_words(value);
        if (strstr(value, "=?") == NULL) is_phrase(value);
    }
    REQUIRE_TELL(strcmp(name, wanted->from_name) == 0, "\"%s\" is not \"%s\"", name, wanted->from_name);
    free(name);
    free(value);
}

static void check_subject(struct reader *reader, const struct mail *wanted)
{
    char *value;
    char *decoded;

    if (wanted->subject == NULL || *wanted->subject == '\0') return;
    value = read_field(reader, "Subject");
    decoded = decode_words(value);
    REQUIRE_TELL(strcmp(decoded, wanted->subject) == 0, "\"%s\" is not \"%s\"", decoded, wanted->subject);
    free(decoded);
    free(value);
}

static void check_date(struct reader *reader)
{
    char *value = read_field(reader, "Date");
    char day[4], month[4], zone;
    int number[5], offset;

    REQUIRE_TELL(*value == '\0' || sscanf(value, "%3[A-Z-a-z], %2d %3[A-Z-a-z] %d %2d:%2d:%2d %c%4d", day, &number[0],
                   month, &number[1], &number[2], &number[3], &number[4], &zone, &offset) == 9,
            "Date: %s", value);
    free(value);
}

/* A line that no mail system has a reason to change. */
static void is_body_line(const char *line)
{
    size_t length = strlen(line);

    for (size_t i = 0; i < length; i++) {
        REQUIRE_TELL(line[i] == '\t' || (line[i] >= ' ' && line[i] <= '~'), "not 7bit: %s", line);
    }
    REQUIRE_TELL(length <= FOLDED_MAX, "a line of %zu bytes", length);
    REQUIRE_TELL(length == 0 || strchr(" \t", line[length - 1]) == NULL, "white space at an end: %s", line);
    REQUIRE_TELL(*line != '.' && strncmp(line, "From ", 5) != 0, "fragile: %s", line);
}

/* RFC 2045 section 6.7: decodes a line; true when the text goes on in the next one. */
static bool decode_line(const char *line, char *out)
{
    out += strlen(out);
    while (*line != '\0') {
        if (*line != '=') {
            *out++ = *line++;
        } else if (line[1] == '\0') {
            *out = '\0';
            return true;
        } else {
            *out = hex_byte(line + 1);
            REQUIRE_TELL(*out != '\n' && *out != '\0', "an encoded line break");
            out++;
            line += 3;
        }
    }
    *out = '\0';
    return false;
}

/* The text of a part, its line breaks as LF: free() it. */
static char *read_body(struct reader *reader, bool quoted_printable)
{
    char *out = calloc(1, (size_t)(reader->end - reader->at) + 2);

    REQUIRE(out != NULL);
    while (reader->at < reader->end) {
        /* The last line of a part may be one without an end. */
        bool last = memmem(reader->at, (size_t)(reader->end - reader->at), reader->line_end,
                           strlen(reader->line_end)) == NULL;
        char *line = last ? strndup(reader->at, (size_t)(reader->end - reader->at)) : read_line(reader);
        bool goes_on = false;
        is_body_line(line);
        if (quoted_printable) goes_on = decode_line(line, out);
        else strcat(out, line);
        REQUIRE(strpbrk(line, "\r\n") == NULL && !(last && goes_on));
        if (!last && !goes_on) strcat(out, "\n");
        if (last) reader->at = reader->end;
        free(line);
    }
    return out;
}

/* What is asked for, its line breaks as LF. */
static void same_text(const char *decoded, const char *wanted)
{
    while (*wanted != '\0') {
        if (strncmp(wanted, "\r\n", 2) == 0) wanted++;
        REQUIRE_TELL(*decoded == *wanted, "decoded \"%.40s\", wanted \"%.40s\"", decoded, wanted);
        decoded++;
        wanted++;
    }
    REQUIRE_TELL(*decoded == '\0', "too much: %.40s", decoded);
}

static void check_part(struct reader *reader, const char *type, const char *text)
{
    char *encoding;
    char *blank;
    char *decoded;

    field_is(reader, "Content-Type", type);
    encoding = read_field(reader, "Content-Transfer-Encoding");
    REQUIRE_TELL(strcmp(encoding, "7bit") == 0 || strcmp(encoding, "quoted-printable") == 0, "%s", encoding);
    blank = read_line(reader);
    REQUIRE_TELL(*blank == '\0', "a header of its own: %s", blank);
    decoded = read_body(reader, *encoding == 'q');
    same_text(decoded, text);
    free(encoding);
    free(blank);
    free(decoded);
}

/* RFC 2046 section 5.1.1: the line break before a delimiter belongs to it. */
static struct reader read_part(struct reader *reader, const char *delimiter)
{
    struct reader part = *reader;
    char start[128];
    char *line;

    (void)snprintf(start, sizeof start, "%s%s", reader->line_end, delimiter);
    part.end = memmem(reader->at, (size_t)(reader->end - reader->at), start, strlen(start));
    REQUIRE_TELL(part.end != NULL, "a part without an end");
    reader->at = part.end + strlen(reader->line_end);
    line = read_line(reader);
    REQUIRE_TELL(strncmp(line, delimiter, strlen(delimiter)) == 0 &&
            (reader->at < reader->end ? line[strlen(delimiter)] == '\0'
                                      : strcmp(line + strlen(delimiter), "--") == 0),
            "the delimiter %s", line);
    free(line);
    return part;
}

static void check_alternatives(struct reader *reader, const struct mail *wanted)
{
    static const char start[] = "multipart/alternative; boundary=\"";
    char *value = read_field(reader, "Content-Type");
    char delimiter[80];
    char *line;
    struct reader part;

    REQUIRE_TELL(strncmp(value, start, sizeof start - 1) == 0 && value[strlen(value) - 1] == '"', "%s", value);
    (void)snprintf(delimiter, sizeof delimiter, "--%.*s", (int)(strlen(value) - sizeof start), value + sizeof start - 1);
    REQUIRE(strlen(delimiter) > 10 && strlen(delimiter) <= 72);
    free(value);
    field_is(reader, "Content-Transfer-Encoding", "7bit");
    line = read_line(reader);
    REQUIRE_TELL(*line == '\0', "%s", line);
    free(line);
    line = read_line(reader);
    REQUIRE_TELL(strcmp(line, delimiter) == 0, "%s", line);
    free(line);
    part = read_part(reader, delimiter);
    check_part(&part, "text/plain; charset=utf-8", wanted->text);
    part = read_part(reader, delimiter);
    check_part(&part, "text/html; charset=utf-8", wanted->html);
    REQUIRE(reader->at == reader->end);
}

void mail_check(const char *bytes, size_t size, const struct mail *wanted, const char *line_end)
{
    struct reader reader = {bytes, bytes + size, line_end};

    check_from(&reader, wanted);
    field_is(&reader, "To", wanted->to);
    check_subject(&reader, wanted);
    check_date(&reader);
    field_is(&reader, "Message-ID", wanted->message_id);
    field_is(&reader, "Auto-Submitted", "auto-generated");
    if (wanted->language != NULL && *wanted->language != '\0') {
        field_is(&reader, "Content-Language", wanted->language);
    }
    field_is(&reader, "MIME-Version", "1.0");
    if (wanted->html != NULL) {
        check_alternatives(&reader, wanted);
    } else {
        check_part(&reader, "text/plain; charset=utf-8", wanted->text);
    }
}
