/* Writes Internet mail, see mail.h.  Whether memory sufficed is looked at once, at the end. */
#include "mail.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "calendar.h"
#include "normalize.h"

/* RFC 5322 section 2.1.1 recommends 78; RFC 2047 section 2 and RFC 2045 section 6.7 demand 76. */
enum { LINE_MAX_COLUMNS = 76, ENCODED_WORD_MAX = 75 };

/* RFC 5322 section 2.1.1: no line is longer, and an address or a Message-ID can not be folded. */
enum { UNFOLDED_MAX = 900 };

enum { BOUNDARY_BYTES = 16, BOUNDARY_SIZE = 2 + 2 * BOUNDARY_BYTES + 1 };

#define WORD_START "=?UTF-8?Q?"
#define WORD_END "?="

struct writer {
    char *bytes;
    size_t size, capacity;
    const char *line_end;
    size_t column;
    bool failed;                /* without memory */
};

/* Not realloc(), which would leave a part of a link behind. */
static bool make_room(struct writer *writer, size_t more)
{
    size_t capacity = writer->capacity == 0 ? 4096 : writer->capacity;
    char *bytes;
    if (writer->capacity - writer->size >= more) return true;
    while (capacity < writer->size + more) capacity *= 2;
    bytes = malloc(capacity);
    if (!bytes) return false;
    if (writer->size > 0) memcpy(bytes, writer->bytes, writer->size);
    mail_free(writer->bytes, writer->size);
    writer->bytes = bytes;
    writer->capacity = capacity;
    return true;
}

static void put(struct writer *writer, const char *bytes, size_t size)
{
    if (writer->failed || !make_room(writer, size)) {
        writer->failed = true;
        return;
    }
    memcpy(writer->bytes + writer->size, bytes, size);
    writer->size += size;
}

static void put_text(struct writer *writer, const char *text)
{
    put(writer, text, strlen(text));
}

static bool is_control(utf8proc_int32_t point)
{
    utf8proc_category_t category;
    if (point < 0x80) return point < ' ' || point == 0x7f;
    category = utf8proc_category(point);
    return category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_ZL
           || category == UTF8PROC_CATEGORY_ZP;
}

/* Length of the UTF-8 character at `text`, 0 when there is none. */
static size_t next_point(const char *text, size_t left, utf8proc_int32_t *point)
{
    utf8proc_ssize_t length =
        utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)left, point);
    return length > 0 ? (size_t)length : 0;
}

/* Refuses, with any line separator, what could start a header of its own. */
static bool is_header_text(const char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        utf8proc_int32_t point = (unsigned char)*text;
        size_t length = point < 0x80 ? 1 : next_point(text, left, &point);
        if (length == 0 || is_control(point)) return false;
        text += length;
        left -= length;
    }
    return true;
}

/* Refuses what could add a second address, too: these are written as they are. */
static bool is_address(const char *address)
{
    const char *word = address ? strstr(address, "=?") : NULL;
    if (word && strstr(word + 2, "?=")) return false;
    return address && *address != '\0' && strlen(address) <= UNFOLDED_MAX
           && is_header_text(address) && strpbrk(address, " ,;:<>()[]\"\\") == NULL;
}

static bool is_message_id(const char *id)
{
    size_t length = id ? strlen(id) : 0;
    if (length < 3 || length > UNFOLDED_MAX || !is_header_text(id)) return false;
    return id[0] == '<' && strcspn(id + 1, " <>") == length - 2 && id[length - 1] == '>';
}

static bool is_language(const char *language)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-, ";
    return strlen(language) <= UNFOLDED_MAX && language[strspn(language, allowed)] == '\0';
}

static bool is_printable_ascii(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || (unsigned char)*text > '~') return false;
    }
    return true;
}

static void end_line(struct writer *writer)
{
    put_text(writer, writer->line_end);
    writer->column = 0;
}

static void put_line(struct writer *writer, const char *line)
{
    put_text(writer, line);
    end_line(writer);
}

static void put_name(struct writer *writer, const char *name)
{
    put_text(writer, name);
    put_text(writer, ":");
    writer->column = strlen(name) + 1;
}

/* A space and the word; when the line has no room for them, it is folded before the space. */
static void put_word(struct writer *writer, const char *word, size_t length)
{
    if (writer->column + 1 + length > LINE_MAX_COLUMNS) end_line(writer);
    put_text(writer, " ");
    put(writer, word, length);
    writer->column += 1 + length;
}

static void put_field(struct writer *writer, const char *name, const char *value)
{
    put_name(writer, name);
    put_word(writer, value, strlen(value));
    end_line(writer);
}

/* RFC 2047 section 5 (3): what may stand for itself wherever an encoded word may be. */
static bool is_plain_in_word(unsigned char byte)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!*+-/";
    return byte != '\0' && strchr(plain, byte) != NULL;
}

/* Writes one byte in Q encoding; returns how many characters that took. */
static size_t q_encode(unsigned char byte, char out[4])
{
    if (byte == ' ') byte = '_';
    else if (!is_plain_in_word(byte)) return (size_t)snprintf(out, 4, "=%02X", byte);
    out[0] = (char)byte;
    return 1;
}

/* The characters that fit into `room` encoded ones; never a part of a UTF-8 character. */
static size_t fill_word(const char *text, size_t length, size_t room, char *word, size_t *used)
{
    size_t taken = 0;
    while (taken < length) {
        utf8proc_int32_t point;
        char encoded[16];
        size_t encoded_length = 0;
        size_t bytes = next_point(text + taken, length - taken, &point);
        for (size_t i = 0; i < bytes; i++) {
            encoded_length += q_encode((unsigned char)text[taken + i], encoded + encoded_length);
        }
        if (bytes == 0 || *used + encoded_length > room) break;
        memcpy(word + *used, encoded, encoded_length);
        *used += encoded_length;
        taken += bytes;
    }
    return taken;
}

/* RFC 2047: white space between encoded words is not shown, so the text may be cut anywhere. */
static void put_encoded_words(struct writer *writer, const char *text)
{
    enum { FRAME = sizeof WORD_START - 1 + sizeof WORD_END - 1, LONGEST_CHARACTER = 12 };
    size_t length = strlen(text);
    while (length > 0) {
        char word[ENCODED_WORD_MAX + 1] = WORD_START;
        size_t used = strlen(WORD_START);
        size_t taken_columns = writer->column + 1;
        size_t left = ENCODED_WORD_MAX;
        if (taken_columns + FRAME + LONGEST_CHARACTER <= LINE_MAX_COLUMNS) {
            left = LINE_MAX_COLUMNS - taken_columns;
        }
        size_t taken = fill_word(text, length, left - strlen(WORD_END), word, &used);
        memcpy(word + used, WORD_END, sizeof WORD_END);
        put_word(writer, word, used + strlen(WORD_END));
        text += taken;
        length -= taken;
    }
}

/* True when folding at its spaces is all that an unstructured text needs. */
static bool is_plain_text(const char *text)
{
    size_t length = strlen(text);
    if (!is_printable_ascii(text) || strstr(text, "=?") || strstr(text, "  ")) return false;
    if (length == 0 || text[0] == ' ' || text[length - 1] == ' ') return false;
    for (const char *word = text; *word != '\0'; word += strspn(word, " ")) {
        size_t word_length = strcspn(word, " ");
        if (word_length >= ENCODED_WORD_MAX) return false;
        word += word_length;
    }
    return true;
}

static void put_words(struct writer *writer, const char *text)
{
    for (const char *word = text + strspn(text, " "); *word != '\0'; word += strspn(word, " ")) {
        size_t length = strcspn(word, " ");
        put_word(writer, word, length);
        word += length;
    }
}

static void put_subject(struct writer *writer, const char *subject)
{
    put_name(writer, "Subject");
    if (is_plain_text(subject)) put_words(writer, subject);
    else put_encoded_words(writer, subject);
    end_line(writer);
}

/* RFC 5322 section 3.2.4.  A name that does not fit one line so is written in encoded words. */
static bool quote_name(const char *name, char *out, size_t size)
{
    size_t used = 0;
    out[used++] = '"';
    for (; *name != '\0'; name++) {
        if (used + 4 > size) return false;
        if (*name == '"' || *name == '\\') out[used++] = '\\';
        out[used++] = *name;
    }
    out[used++] = '"';
    out[used] = '\0';
    return true;
}

static bool is_phrase(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/?^_`{|}~ ";
    return name[strspn(name, letters)] == '\0' && is_plain_text(name);
}

static void put_from(struct writer *writer, const char *name, const char *address)
{
    char quoted[LINE_MAX_COLUMNS];
    char angle[UNFOLDED_MAX + 3];
    put_name(writer, "From");
    if (!name || *name == '\0') {
        put_word(writer, address, strlen(address));
        end_line(writer);
        return;
    }
    bool is_quotable = is_printable_ascii(name) && strstr(name, "=?") == NULL
                       && quote_name(name, quoted, sizeof quoted);
    if (!is_quotable) {
        put_encoded_words(writer, name);
    } else if (is_phrase(name)) {
        put_word(writer, name, strlen(name));
    } else {
        put_word(writer, quoted, strlen(quoted));
    }
    (void)snprintf(angle, sizeof angle, "<%s>", address);
    put_word(writer, angle, strlen(angle));
    end_line(writer);
}

/* Length of the line break at `text`, 0 when there is none.  A lone CR is a character. */
static size_t line_break(const char *text)
{
    if (text[0] == '\n') return 1;
    return text[0] == '\r' && text[1] == '\n' ? 2 : 0;
}

static bool is_line_end(const char *text)
{
    return *text == '\0' || line_break(text) > 0;
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/*
** What is changed on the way when it starts a line: mbox files escape "From ", SMTP doubles a dot
** (and some software forgets to take it back), "--=_" could be a boundary of ours.
*/
static bool is_fragile_start(const char *line)
{
    return line[0] == '.' || starts_with(line, "From ") || starts_with(line, "--=_");
}

static bool is_seven_bit_line(const char *line, size_t length)
{
    if (length > LINE_MAX_COLUMNS || is_fragile_start(line)) return false;
    if (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t')) return false;
    for (size_t i = 0; i < length; i++) {
        if (line[i] != '\t' && ((unsigned char)line[i] < ' ' || (unsigned char)line[i] > '~')) {
            return false;
        }
    }
    return true;
}

/* RFC 2045 section 2.7, and nothing in the text that mail systems are known to change. */
static bool is_seven_bit(const char *text)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        if (!is_seven_bit_line(text, length)) return false;
        text += length;
        if (*text == '\n') text++;
    }
    return true;
}

static bool is_plain_in_quoted_printable(const char *text, bool at_start)
{
    if (at_start && is_fragile_start(text)) return false;
    if (*text == ' ' || *text == '\t') return !is_line_end(text + 1);
    return *text > ' ' && *text <= '~' && *text != '=';
}

/* How many characters, of at most so many, are written as they are. */
static size_t plain_run(const char *text, size_t most, bool at_start)
{
    size_t length = 0;
    while (length < most && is_plain_in_quoted_printable(text + length, at_start && length == 0)) length++;
    return length;
}

/* RFC 2045 section 6.7.  "=_" can not occur in it, so no boundary of ours can either. */
static void put_quoted_printable(struct writer *writer, const char *text)
{
    enum { ENCODED = 3 };
    writer->column = 0;
    while (*text != '\0') {
        char encoded[ENCODED + 1];
        size_t room = LINE_MAX_COLUMNS - 1 - writer->column;
        size_t break_length = line_break(text);
        size_t length = plain_run(text, room, writer->column == 0);
        if (break_length > 0) {
            end_line(writer);
            text += break_length;
        } else if (length > 0) {
            put(writer, text, length);
            writer->column += length;
            text += length;
        } else if (room >= ENCODED) {
            (void)snprintf(encoded, sizeof encoded, "=%02X", (unsigned char)*text);
            put(writer, encoded, ENCODED);
            writer->column += ENCODED;
            text++;
        } else {
            put_line(writer, "=");
        }
    }
}

static void put_seven_bit(struct writer *writer, const char *text)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        put(writer, text, length);
        text += length;
        if (*text == '\n') {
            end_line(writer);
            text++;
        }
    }
}

static void put_part(struct writer *writer, const char *type, const char *text)
{
    bool seven_bit = is_seven_bit(text);
    put_field(writer, "Content-Type", type);
    put_field(writer, "Content-Transfer-Encoding", seven_bit ? "7bit" : "quoted-printable");
    end_line(writer);
    if (seven_bit) put_seven_bit(writer, text);
    else put_quoted_printable(writer, text);
}

static void make_boundary(const char *message_id, char boundary[BOUNDARY_SIZE])
{
    unsigned char digest[BOUNDARY_BYTES];
    (void)crypto_generichash(digest, sizeof digest, (const unsigned char *)message_id,
                             strlen(message_id), NULL, 0);
    boundary[0] = '=';
    boundary[1] = '_';
    sodium_bin2hex(boundary + 2, BOUNDARY_SIZE - 2, digest, sizeof digest);
}

/* The line break before a delimiter belongs to it (RFC 2046 section 5.1.1), not to the part. */
static void put_delimiter(struct writer *writer, const char *boundary, const char *after)
{
    put_text(writer, writer->line_end);
    put_text(writer, "--");
    put_text(writer, boundary);
    put_line(writer, after);
}

static void put_alternatives(struct writer *writer, const struct mail *mail, const char *boundary)
{
    char parameter[BOUNDARY_SIZE + 16];
    int length = snprintf(parameter, sizeof parameter, "boundary=\"%s\"", boundary);
    put_name(writer, "Content-Type");
    put_word(writer, "multipart/alternative;", strlen("multipart/alternative;"));
    put_word(writer, parameter, (size_t)length);
    end_line(writer);
    put_field(writer, "Content-Transfer-Encoding", "7bit");
    put_delimiter(writer, boundary, "");
    put_part(writer, "text/plain; charset=utf-8", mail->text);
    put_delimiter(writer, boundary, "");
    put_part(writer, "text/html; charset=utf-8", mail->html);
    put_delimiter(writer, boundary, "--");
}

static bool is_acceptable(const struct mail *mail)
{
    if (!is_address(mail->from) || !is_address(mail->to)) return false;
    if (!is_message_id(mail->message_id)) return false;
    if (mail->from_name && !is_header_text(mail->from_name)) return false;
    if (mail->subject && !is_header_text(mail->subject)) return false;
    return !mail->language || is_language(mail->language);
}

static void put_header(struct writer *writer, const struct mail *mail)
{
    char date[CALENDAR_TIME_SIZE];
    calendar_rfc5322(mail->date, date);
    put_from(writer, mail->from_name, mail->from);
    put_field(writer, "To", mail->to);
    if (mail->subject && *mail->subject != '\0') put_subject(writer, mail->subject);
    put_field(writer, "Date", date);
    put_field(writer, "Message-ID", mail->message_id);
    put_field(writer, "Auto-Submitted", "auto-generated");
    if (mail->language && *mail->language != '\0') {
        put_name(writer, "Content-Language");
        put_words(writer, mail->language);
        end_line(writer);
    }
    put_field(writer, "MIME-Version", "1.0");
}

char *mail_write(const struct mail *mail, const char *line_end, size_t *size)
{
    struct writer writer = {.line_end = line_end};
    char boundary[BOUNDARY_SIZE];
    *size = 0;
    if (!is_acceptable(mail)) return NULL;
    make_boundary(mail->message_id, boundary);
    put_header(&writer, mail);
    if (mail->html) put_alternatives(&writer, mail, boundary);
    else put_part(&writer, "text/plain; charset=utf-8", mail->text);
    *size = writer.size;
    put(&writer, "", 1);
    if (!writer.failed) return writer.bytes;
    mail_free(writer.bytes, writer.size);
    *size = SIZE_MAX;
    return NULL;
}

void mail_free(char *bytes, size_t size)
{
    if (bytes) sodium_memzero(bytes, size);
    free(bytes);
}
