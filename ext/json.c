#include "json.h"

#include <string.h>
#include <utf8proc.h>

void json_append(sqlite3_str *out, const char *text)
{
    sqlite3_str_appendchar(out, 1, '"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            sqlite3_str_appendf(out, "\\%c", c);
        } else if (c < ' ') {
            sqlite3_str_appendf(out, "\\u%04x", c);
        } else {
            sqlite3_str_appendchar(out, 1, *text);
        }
    }
    sqlite3_str_appendchar(out, 1, '"');
}

static void blanks_skip(char **at)
{
    *at += strspn(*at, " \t\n\r");
}

/* Four hexadecimal digits; 0 for what is none. */
static int32_t unit_read(const char *at)
{
    int32_t unit = 0;

    for (int i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdef0123456789ABCDEF";
        const char *digit = at[i] == '\0' ? NULL : strchr(digits, at[i]);
        if (digit == NULL) return 0;
        unit = 16 * unit + (int32_t)(digit - digits) % 16;
    }
    return unit;
}

/* The character of \uXXXX, or of two of them (RFC 8259 section 7); 0 for what is none. */
static int32_t character_read(char **at)
{
    int32_t unit = unit_read(*at + 2);
    int32_t low = 0;

    if (unit == 0) return 0;
    *at += 6;
    if (unit < 0xd800 || unit > 0xdfff) return unit;
    if (unit < 0xdc00 && strncmp(*at, "\\u", 2) == 0) low = unit_read(*at + 2);
    if (low < 0xdc00 || low > 0xdfff) return 0;
    *at += 6;
    return 0x10000 + (unit - 0xd800) * 0x400 + (low - 0xdc00);
}

static bool escape_read(char **at, char **out)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meant[] = "\"\\/\b\f\n\r\t";
    const char *letter = (*at)[1] == '\0' ? NULL : strchr(letters, (*at)[1]);
    int32_t character;

    if (letter != NULL) {
        *(*out)++ = meant[letter - letters];
        *at += 2;
        return true;
    }
    character = (*at)[1] == 'u' ? character_read(at) : 0;
    *out += character == 0 ? 0 : utf8proc_encode_char(character, (utf8proc_uint8_t *)*out);
    return character != 0;
}

/* An escape is longer than what it stands for: the text fits into its own place.  NULL: malformed. */
static const char *string_read(char **at)
{
    char *text = *at + 1;
    char *out = text;

    if (**at != '"') return NULL;
    for (*at = text; **at != '"';) {
        if ((unsigned char)**at < ' ') return NULL;
        if (**at != '\\') {
            *out++ = *(*at)++;
        } else if (!escape_read(at, &out)) {
            return NULL;
        }
    }
    (*at)++;
    *out = '\0';
    return text;
}

static bool digits_skip(char **at)
{
    size_t length = strspn(*at, "0123456789");

    *at += length;
    return length > 0;
}

/* A byte to the left, over the colon or a blank before it, which leaves room for the NUL. */
static const char *number_read(char **at)
{
    char *start = *at;
    const char *whole;

    if (**at == '-') (*at)++;
    whole = *at;
    if (!digits_skip(at) || (*whole == '0' && *at - whole > 1)) return NULL;
    if (**at == '.') {
        (*at)++;
        if (!digits_skip(at)) return NULL;
    }
    if (**at == 'e' || **at == 'E') {
        (*at)++;
        if (**at == '+' || **at == '-') (*at)++;
        if (!digits_skip(at)) return NULL;
    }
    memmove(start - 1, start, (size_t)(*at - start));
    (*at)[-1] = '\0';
    return start - 1;
}

static bool value_read(char **at, struct json_member *member)
{
    static const struct { const char *word; enum json_type type; const char *text; } words[] = {
        {"true", JSON_TRUE, "1"}, {"false", JSON_FALSE, "0"}, {"null", JSON_NULL, NULL},
        {"{", JSON_NESTED, NULL}, {"[", JSON_NESTED, NULL},
    };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strncmp(*at, words[i].word, strlen(words[i].word)) != 0) continue;
        *at += strlen(words[i].word);
        member->type = words[i].type;
        member->text = words[i].text;
        return true;
    }
    member->type = **at == '"' ? JSON_STRING : JSON_NUMBER;
    member->text = member->type == JSON_STRING ? string_read(at) : number_read(at);
    return member->text != NULL;
}

static enum json_step nested_end(char **at)
{
    (*at)++;
    blanks_skip(at);
    return **at == '\0' ? JSON_END : JSON_MALFORMED;
}

/* Up to the first or the next member, within the brackets; JSON_MEMBER: there it is. */
static enum json_step member_seek(struct json_reader *reader, const char brackets[2])
{
    char **at = &reader->at;
    bool first = !reader->begun;

    blanks_skip(at);
    if (!first && **at == brackets[1]) return nested_end(at);
    if (**at != (first ? brackets[0] : ',')) return JSON_MALFORMED;
    (*at)++;
    reader->begun = true;
    blanks_skip(at);
    return first && **at == brackets[1] ? nested_end(at) : JSON_MEMBER;
}

enum json_step json_next(struct json_reader *reader, struct json_member *member)
{
    char **at = &reader->at;
    enum json_step step = member_seek(reader, "{}");

    if (step != JSON_MEMBER) return step;
    member->name = string_read(at);
    if (member->name == NULL) return JSON_MALFORMED;
    blanks_skip(at);
    if (**at != ':') return JSON_MALFORMED;
    (*at)++;
    blanks_skip(at);
    return value_read(at, member) ? JSON_MEMBER : JSON_MALFORMED;
}

enum json_step json_item(struct json_reader *reader, struct json_member *member)
{
    enum json_step step = member_seek(reader, "[]");

    member->name = NULL;
    return step == JSON_MEMBER && !value_read(&reader->at, member) ? JSON_MALFORMED : step;
}

/* Past a string, whose opening quote was read. */
static char *quoted_skip(char *at)
{
    for (; *at != '"'; at++) {
        if (*at == '\\') at++;
        if (*at == '\0') return NULL;
    }
    return at + 1;
}

/* A byte to the left, as a number is. */
char *json_nested(struct json_reader *reader)
{
    char *start = reader->at - 1;
    char *at = reader->at;
    int depth = 1;

    while (at != NULL && depth > 0) {
        at += strcspn(at, "\"{}[]");
        if (*at == '\0') return NULL;
        if (*at == '"') {
            at = quoted_skip(at + 1);
        } else {
            depth += *at == '{' || *at == '[' ? 1 : -1;
            at++;
        }
    }
    if (at == NULL) return NULL;
    memmove(start - 1, start, (size_t)(at - start));
    at[-1] = '\0';
    reader->at = at;
    return start - 1;
}
