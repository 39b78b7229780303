/* Unit tests of ext/mail.c. */
#include <sodium.h>
#include <stdlib.h>

#include "../../ext/mail.h"
#include "../../ext/normalize.h"
#include "unit.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct mail plain = {
    .from_name = "Harbor Family Practice",
    .from = "portal@example.org",
    .to = "anna@example.com",
    .subject = "Your patient portal",
    .message_id = "<1.a@example.org>",
    .language = "en",
    .text = "Hello\n",
    .date = 1795353600,
};

/* The mail as bytes, to be freed, or NULL when it was refused. */
static char *write_mail(const struct mail *mail, const char *line_end)
{
    size_t size = 1;
    char *bytes = mail_write(mail, line_end, &size);
    if (bytes ? strlen(bytes) != size : size != 0) abort();
    return bytes;
}

static bool is_written(const struct mail *mail, const char *line_end, const char *part)
{
    char *bytes = write_mail(mail, line_end);
    bool found = bytes && strstr(bytes, part) != NULL;
    free(bytes);
    return found;
}

static bool is_refused(const struct mail *mail)
{
    char *bytes = write_mail(mail, "\n");
    free(bytes);
    return bytes == NULL;
}

/* The value of a header field, unfolded, in a static buffer; NULL when there is none. */
static const char *field(const char *mail, const char *name)
{
    static char value[4096];
    size_t used = 0;
    size_t name_length = strlen(name);
    while (mail && *mail != '\n' && *mail != '\0') {
        if (strncmp(mail, name, name_length) == 0 && mail[name_length] == ':') {
            mail += name_length + 1;
            if (*mail == '\n') mail++;
            while (*mail == ' ') mail++;
            for (; *mail != '\0' && (*mail != '\n' || mail[1] == ' '); mail++) {
                if (*mail != '\n' && used + 1 < sizeof value) value[used++] = *mail;
            }
            value[used] = '\0';
            return value;
        }
        mail = strchr(mail, '\n');
        if (mail) mail++;
    }
    return NULL;
}

static const char *body(const char *mail)
{
    const char *end = mail ? strstr(mail, "\n\n") : NULL;
    return end ? end + 2 : NULL;
}

static void check_field(const struct mail *mail, const char *name, const char *expected)
{
    char *bytes = write_mail(mail, "\n");
    CHECK_TEXT(field(bytes, name), expected);
    free(bytes);
}

static size_t longest_line(const char *text)
{
    size_t longest = 0;
    while (*text != '\0') {
        size_t length = strcspn(text, "\r\n");
        if (length > longest) longest = length;
        text += length;
        text += strspn(text, "\r\n");
    }
    return longest;
}

static void test_structure(void)
{
    TEST("a plain mail is these bytes") {
        char *bytes = write_mail(&plain, "\n");
        CHECK_TEXT(bytes, "From: Harbor Family Practice <portal@example.org>\n"
                          "To: anna@example.com\n"
                          "Subject: Your patient portal\n"
                          "Date: Sun, 22 Nov 2026 14:20:00 +0100\n"
                          "Message-ID: <1.a@example.org>\n"
                          "Auto-Submitted: auto-generated\n"
                          "Content-Language: en\n"
                          "MIME-Version: 1.0\n"
                          "Content-Type: text/plain; charset=utf-8\n"
                          "Content-Transfer-Encoding: 7bit\n"
                          "\n"
                          "Hello\n");
        free(bytes);
    }
    TEST("every line ends as the caller wants it, bodies included") {
        struct mail mail = plain;
        static const char *const texts[] = {"a\nb\n", "caf\u00E9\nb\n\n", "a\r\nb\r\n", ""};
        mail.html = "<p>a\n</p>\n";
        for (size_t i = 0; i < COUNT(texts); i++) {
            mail.text = texts[i];
            char *wire = write_mail(&mail, "\r\n");
            for (const char *at = wire; at && *at != '\0'; at++) {
                if (*at == '\n') CHECK(at > wire && at[-1] == '\r');
                if (*at == '\r') CHECK(at[1] == '\n');
            }
            char *file = write_mail(&mail, "\n");
            CHECK(strchr(file, '\r') == NULL);
            free(wire);
            free(file);
        }
    }
    TEST("fields without a value are left out") {
        struct mail mail = plain;
        mail.subject = "";
        mail.language = NULL;
        mail.from_name = NULL;
        check_field(&mail, "Subject", NULL);
        check_field(&mail, "Content-Language", NULL);
        check_field(&mail, "From", "portal@example.org");
        mail.from_name = "";
        mail.language = "";
        mail.subject = NULL;
        check_field(&mail, "From", "portal@example.org");
        check_field(&mail, "Content-Language", NULL);
        check_field(&mail, "Subject", NULL);
    }
    TEST("an internationalised address is written as it is") {
        struct mail mail = plain;
        mail.to = "jos\u00E9@b\u00FCcher.example";
        check_field(&mail, "To", mail.to);
        mail.to = "a=?b@example.com";
        check_field(&mail, "To", mail.to);
    }
    TEST("a mail of any size is written") {
        char text[40001];
        memset(text, 'x', sizeof text - 1);
        text[sizeof text - 1] = '\0';
        struct mail mail = plain;
        mail.text = text;
        char *bytes = write_mail(&mail, "\n");
        size_t count = 0;
        for (const char *at = strstr(bytes, "\n\n"); *at != '\0'; at++) count += *at == 'x';
        CHECK(count == sizeof text - 1);
        free(bytes);
    }
}

static void test_alternatives(void)
{
    struct mail mail = plain;
    mail.html = "<p>caf\u00E9</p>";
    TEST("an HTML mail has its text first, then the HTML, between boundaries") {
        char *bytes = write_mail(&mail, "\n");
        char boundary[128] = "";
        const char *start = strstr(bytes, "boundary=\"");
        CHECK(start != NULL && sscanf(start, "boundary=\"%100[^\"]\"", boundary) == 1);
        CHECK(strncmp(boundary, "=_", 2) == 0 && strlen(boundary) <= 70);
        CHECK_TEXT(field(bytes, "Content-Transfer-Encoding"), "7bit");
        char expected[1024];
        snprintf(expected, sizeof expected,
                 "--%s\n"
                 "Content-Type: text/plain; charset=utf-8\n"
                 "Content-Transfer-Encoding: 7bit\n"
                 "\n"
                 "Hello\n"
                 "\n--%s\n"
                 "Content-Type: text/html; charset=utf-8\n"
                 "Content-Transfer-Encoding: quoted-printable\n"
                 "\n"
                 "<p>caf=C3=A9</p>"
                 "\n--%s--\n",
                 boundary, boundary, boundary);
        CHECK_TEXT(body(bytes), expected);
        free(bytes);
    }
    TEST("the same mail is the same bytes, and another Message-ID another boundary") {
        char *first = write_mail(&mail, "\n");
        char *again = write_mail(&mail, "\n");
        CHECK_TEXT(again, first);
        struct mail next = mail;
        next.message_id = "<2.a@example.org>";
        char *other = write_mail(&next, "\n");
        CHECK(strncmp(strstr(first, "=_"), strstr(other, "=_"), 34) != 0);
        free(first);
        free(again);
        free(other);
    }
    TEST("a boundary in a body is encoded and ends nothing") {
        char *bytes = write_mail(&mail, "\n");
        char line[64];
        snprintf(line, sizeof line, "x\n--%.34s--\ny\n", strstr(bytes, "=_"));
        free(bytes);
        struct mail hostile = mail;
        hostile.text = line;
        hostile.html = line;
        bytes = write_mail(&hostile, "\n");
        int delimiters = 0;
        for (const char *at = bytes; (at = strstr(at, "\n--=_")) != NULL; at++) delimiters++;
        CHECK(delimiters == 3);
        CHECK(strstr(bytes, "\n=2D-=3D_") != NULL);
        free(bytes);
    }
}

static void test_refusals(void)
{
    char long_text[950];
    memset(long_text, 'a', sizeof long_text);
    long_text[sizeof long_text - 1] = '\0';
    TEST("a control character or broken UTF-8 in any header value is refused") {
        static const char *const parts[] = {"\n", "\r", "\r\n", "\t", "\x01", "\x7F", "\xC2\x85",
                                            "\u2028", "\u2029", "\xFF", "\xC3"};
        for (size_t i = 0; i < COUNT(parts); i++) {
            for (int value = 0; value < 6; value++) {
                char text[64];
                struct mail mail = plain;
                const char **values[] = {&mail.from_name, &mail.from, &mail.to,
                                         &mail.subject, &mail.message_id, &mail.language};
                snprintf(text, sizeof text, value == 4 ? "<a%sb@c>" : "a%sb@c", parts[i]);
                *values[value] = text;
                CHECK_FOR(text, is_refused(&mail));
            }
        }
    }
    TEST("an address that could be more than one, or none, or does not fit a line is refused") {
        const char *const addresses[] = {
            "", "a@b.c, d@e.f", "a@b.c,d@e.f", "<a@b.c>", "a@b.c>", "A <a@b.c>", "a b@c.d",
            "group:a@b.c;", "\"a\"@b.c", "a(b)@c.d", "a@[10.0.0.1]", "a\\@b.c",
            "=?utf-8?q?=0D=0Abcc?=@b.c", long_text, NULL,
        };
        for (size_t i = 0; i < COUNT(addresses); i++) {
            struct mail mail = plain;
            mail.to = addresses[i];
            CHECK_FOR(addresses[i] ? addresses[i] : "(NULL)", is_refused(&mail));
            mail = plain;
            mail.from = addresses[i];
            CHECK_FOR(addresses[i] ? addresses[i] : "(NULL)", is_refused(&mail));
        }
    }
    TEST("a Message-ID is one pair of angle brackets around something") {
        const char *const ids[] = {"", "<>", "a@b", "<a@b", "a@b>", "<a@b> ", "<a b@c>",
                                          "<a@b><c@d>", "<<a@b>>", "<a@b ", "<a@b<", long_text, NULL};
        for (size_t i = 0; i < COUNT(ids); i++) {
            struct mail mail = plain;
            mail.message_id = ids[i];
            CHECK_FOR(ids[i] ? ids[i] : "(NULL)", is_refused(&mail));
        }
    }
    TEST("a language that is no language tag is refused") {
        struct mail mail = plain;
        mail.language = "en; x";
        CHECK(is_refused(&mail));
        mail.language = "fran\u00E7ais";
        CHECK(is_refused(&mail));
        mail.language = long_text;
        CHECK(is_refused(&mail));
        mail.language = "de, en-US";
        check_field(&mail, "Content-Language", "de, en-US");
    }
}

/* Decodes a sequence of Q-encoded words; also checks each of them for the rules of RFC 2047. */
static void check_encoded(const char *folded, const char *expected)
{
    char out[4096];
    size_t used = 0;
    const char *at = folded;
    while (at && strncmp(at, "=?UTF-8?Q?", 10) == 0) {
        size_t start = used;
        const char *end = strstr(at + 10, "?=");
        CHECK(end != NULL && end + 2 - at <= 75);
        for (at += 10; end && at < end; at++) {
            unsigned byte = (unsigned char)*at;
            if (byte == '=') {
                CHECK(sscanf(at + 1, "%2X", &byte) == 1);
                at += 2;
            } else if (byte == '_') {
                byte = ' ';
            }
            out[used++] = (char)byte;
        }
        CHECK(used > start && normalize_is_utf8(out + start, used - start));
        at = end ? end + 2 : NULL;
        while (at && (*at == ' ' || (*at == '\n' && at[1] == ' '))) at++;
    }
    out[used] = '\0';
    CHECK_TEXT(out, expected);
}

static void test_subjects(void)
{
    struct mail mail = plain;
    TEST("a plain subject is written as it is and folded at spaces") {
        mail.subject = "one two three four five six seven eight nine ten eleven twelve thirteen "
                       "fourteen fifteen sixteen seventeen eighteen nineteen twenty";
        char *bytes = write_mail(&mail, "\n");
        CHECK(strstr(bytes, "\n fourteen") || strstr(bytes, "\n thirteen"));
        CHECK(longest_line(bytes) <= 76);
        CHECK_TEXT(field(bytes, "Subject"), mail.subject);
        free(bytes);
    }
    TEST("a long list of languages is folded at spaces") {
        mail.language = "de-Latn-CH, fr-Latn-CH, it-Latn-CH, rm-Latn-CH, en-Latn-GB, es-Latn-ES, pt-Latn-PT";
        char *bytes = write_mail(&mail, "\n");
        CHECK(longest_line(bytes) <= 76);
        CHECK_TEXT(field(bytes, "Content-Language"), mail.language);
        free(bytes);
        mail.language = plain.language;
    }
    TEST("a subject of any length and script keeps its text in encoded words of at most 75") {
        static const char *const pieces[] = {
            "\u00E9", "\u738B", "\U0001F600", "a\u00E9 ", "=?UTF-8?Q?x?=", "  two spaces  ",
            "x\u0301 = ? _ \" < ", "a-word-without-spaces-",
        };
        for (size_t i = 0; i < COUNT(pieces); i++) {
            for (size_t times = 1; times < 40; times++) {
                char subject[2048] = "";
                for (size_t n = 0; n < times; n++) strcat(subject, pieces[i]);
                mail.subject = subject;
                char *bytes = write_mail(&mail, "\n");
                CHECK(longest_line(bytes) <= 76);
                const char *value = field(bytes, "Subject");
                if (value && strncmp(value, "=?UTF-8?Q?", 10) == 0) check_encoded(value, subject);
                else CHECK_TEXT(value, subject);
                free(bytes);
            }
        }
    }
    TEST("a subject that would read as an encoded word is encoded itself") {
        mail.subject = "=?UTF-8?Q?evil?=";
        check_field(&mail, "Subject", "=?UTF-8?Q?=3D=3FUTF-8=3FQ=3Fevil=3F=3D?=");
    }
    TEST("spaces at an end of a subject, or in a row, are kept") {
        mail.subject = " a  b ";
        check_field(&mail, "Subject", "=?UTF-8?Q?_a__b_?=");
        mail.subject = " ";
        check_field(&mail, "Subject", "=?UTF-8?Q?_?=");
    }
}

static void test_names(void)
{
    static const struct {
        const char *name;
        const char *from;
    } rows[] = {
        {"Harbor Practice", "Harbor Practice <portal@example.org>"},
        {"Dr. Smith", "\"Dr. Smith\" <portal@example.org>"},
        {"Smith, Jones & Co", "\"Smith, Jones & Co\" <portal@example.org>"},
        {"The \"Harbor\" \\ Bay", "\"The \\\"Harbor\\\" \\\\ Bay\" <portal@example.org>"},
        {"eve@evil.example", "\"eve@evil.example\" <portal@example.org>"},
        {"<eve@evil.example>", "\"<eve@evil.example>\" <portal@example.org>"},
        {"a  b", "\"a  b\" <portal@example.org>"},
        {"Praxis M\u00FCller", "=?UTF-8?Q?Praxis_M=C3=BCller?= <portal@example.org>"},
        {"=?UTF-8?Q?x?=", "=?UTF-8?Q?=3D=3FUTF-8=3FQ=3Fx=3F=3D?= <portal@example.org>"},
        {"\u00E9, <a@b.c>", "=?UTF-8?Q?=C3=A9=2C_=3Ca=40b=2Ec=3E?= <portal@example.org>"},
    };
    struct mail mail = plain;
    TEST("a display name is a phrase, quoted or encoded as its characters need") {
        for (size_t i = 0; i < COUNT(rows); i++) {
            mail.from_name = rows[i].name;
            check_field(&mail, "From", rows[i].from);
        }
    }
    TEST("a long display name is folded and keeps its address") {
        static const char *const pieces[] = {"name ", "\u738B", "O'Neill, M.D. ", "longlonglong"};
        for (size_t i = 0; i < COUNT(pieces); i++) {
            for (size_t times = 1; times < 40; times++) {
                char name[1024] = "";
                for (size_t n = 0; n < times; n++) strcat(name, pieces[i]);
                mail.from_name = name;
                char *bytes = write_mail(&mail, "\n");
                CHECK(longest_line(bytes) <= 76);
                const char *value = field(bytes, "From");
                CHECK(value && strstr(value, " <portal@example.org>") != NULL);
                if (value && strncmp(value, "=?UTF-8", 7) == 0) check_encoded(value, name);
                free(bytes);
            }
        }
    }
    TEST("the longest addresses stay whole on lines of less than 998") {
        char address[300];
        memset(address, 'a', sizeof address);
        memcpy(address + 64, "@", 1);
        strcpy(address + 250, ".com");
        mail.from_name = "Praxis M\u00FCller";
        mail.from = mail.to = address;
        char *bytes = write_mail(&mail, "\n");
        CHECK(longest_line(bytes) < 300);
        CHECK_TEXT(field(bytes, "To"), address);
        free(bytes);
    }
}

struct body_row {
    const char *text;
    const char *encoded;
};

static void check_bodies(const struct body_row *rows, size_t count, const char *encoding)
{
    for (size_t i = 0; i < count; i++) {
        struct mail mail = plain;
        mail.text = rows[i].text;
        char *bytes = write_mail(&mail, "\n");
        CHECK_TEXT(field(bytes, "Content-Transfer-Encoding"), encoding);
        CHECK_TEXT(body(bytes), rows[i].encoded);
        free(bytes);
    }
}

/* Decodes as RFC 2045 section 6.7 says, for LF line ends. */
static void decode_quoted_printable(const char *text, char *out)
{
    while (*text != '\0') {
        unsigned byte;
        if (text[0] == '=' && text[1] == '\n') {
            text += 2;
        } else if (text[0] == '=' && sscanf(text + 1, "%2X", &byte) == 1) {
            *out++ = (char)byte;
            text += 3;
        } else {
            *out++ = *text++;
        }
    }
    *out = '\0';
}

#define TEN "0123456789"
#define SEVENTY TEN TEN TEN TEN TEN TEN TEN

static void test_bodies(void)
{
    TEST("plain ASCII with short lines goes as it is") {
        static const struct body_row rows[] = {
            {"", ""},
            {"a", "a"},
            {"a\n", "a\n"},
            {"\n\n", "\n\n"},
            {"a = b?\n\n-- \tx", "a = b?\n\n-- \tx"},
            {SEVENTY "123456\n", SEVENTY "123456\n"},
            {"Fromage\nA From b\n", "Fromage\nA From b\n"},
        };
        check_bodies(rows, COUNT(rows), "7bit");
    }
    TEST("what mail systems would change is quoted-printable") {
        static const struct body_row rows[] = {
            {"caf\u00E9 = x\n", "caf=C3=A9 =3D x\n"},
            {"a \n", "a=20\n"},
            {"a\t\n", "a=09\n"},
            {"a ", "a=20"},
            {"a  \nb", "a =20\nb"},
            {" \n", "=20\n"},
            {"From here\nx", "=46rom here\nx"},
            {"x\nFrom here", "x\n=46rom here"},
            {".", "=2E"},
            {"a\n.\nb", "a\n=2E\nb"},
            {"..a\n", "=2E.a\n"},
            {"a\rb\n", "a=0Db\n"},
            {"a\r", "a=0D"},
            {"a\r\r\n", "a=0D\n"},
            {"a\r\nb\r\n", "a\nb\n"},
            {"a \r\nb", "a=20\nb"},
            {"\x01\x1B\x7F", "=01=1B=7F"},
            {"--=_x\n", "=2D-=3D_x\n"},
            {"caf\u00E9", "caf=C3=A9"},
        };
        check_bodies(rows, COUNT(rows), "quoted-printable");
    }
    TEST("a long line is broken softly at 76 columns and never within a code") {
        static const struct body_row rows[] = {
            {SEVENTY "1234567\n", SEVENTY "12345=\n67\n"},
            {SEVENTY "123\u00E9", SEVENTY "123=\n=C3=A9"},
            {SEVENTY "12\u00E9", SEVENTY "12=C3=\n=A9"},
            {SEVENTY "12345.x", SEVENTY "12345=\n=2Ex"},
            {SEVENTY "12345From x", SEVENTY "12345=\n=46rom x"},
            {SEVENTY "1234 56789", SEVENTY "1234 =\n56789"},
        };
        check_bodies(rows, COUNT(rows), "quoted-printable");
    }
    TEST("any body decodes to its text, with lines of at most 76 columns") {
        static const char alphabet[] = "ab =.\t\nF\r\xC3\xA9-_~From ";
        unsigned seed = 1;
        for (int round = 0; round < 2000; round++) {
            char text[400], decoded[2000];
            size_t length = (size_t)round % (sizeof text - 1);
            for (size_t i = 0; i < length; i++) {
                seed = seed * 1103515245u + 12345u;
                text[i] = alphabet[(seed >> 16) % (sizeof alphabet - 1)];
                if (i > 0 && text[i] == '\n' && text[i - 1] == '\r') text[i] = 'x';
            }
            text[length] = '\0';
            struct mail mail = plain;
            mail.text = text;
            char *bytes = write_mail(&mail, "\n");
            const char *encoding = field(bytes, "Content-Transfer-Encoding");
            CHECK(longest_line(body(bytes)) <= 76);
            if (strcmp(encoding, "7bit") == 0) strcpy(decoded, body(bytes));
            else decode_quoted_printable(body(bytes), decoded);
            CHECK_TEXT(decoded, text);
            free(bytes);
        }
    }
    TEST("a body on the wire has CR LF for its line breaks alone") {
        struct mail mail = plain;
        mail.text = "caf\u00E9\nx\ry\n";
        CHECK(is_written(&mail, "\r\n", "\r\n\r\ncaf=C3=A9\r\nx=0Dy\r\n"));
    }
}

int main(void)
{
    if (sodium_init() < 0) return 1;
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    test_structure();
    test_alternatives();
    test_refusals();
    test_subjects();
    test_names();
    test_bodies();
    return unit_result();
}
