/* Unit tests of ext/contact.c. */
#include "../../ext/contact.h"
#include "unit.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define BULLETS "\u2022\u2022\u2022"

struct row {
    const char *input;
    const char *expected;
};

static char *repeat(char *out, const char *piece, size_t times)
{
    size_t length = strlen(piece);
    for (size_t i = 0; i < times; i++) memcpy(out + i * length, piece, length);
    out[times * length] = '\0';
    return out + times * length;
}

static void check_emails(const struct row *rows, size_t count)
{
    char out[CONTACT_SIZE], again[CONTACT_SIZE];
    for (size_t i = 0; i < count; i++) {
        CHECK_TEXT(contact_normalize_email(rows[i].input, out), NULL);
        CHECK_TEXT(out, rows[i].expected);
        CHECK_TEXT(contact_normalize_email(out, again), NULL);
        CHECK_TEXT(again, out);
    }
}

static void check_email_refusals(const struct row *rows, size_t count)
{
    char out[CONTACT_SIZE];
    for (size_t i = 0; i < count; i++) {
        memset(out, '#', sizeof out);
        const char *problem = contact_normalize_email(rows[i].input, out);
        CHECK_FOR(rows[i].input, problem != NULL);
        CHECK_TEXT(problem, rows[i].expected);
        CHECK_TEXT(out, "");
    }
}

static void test_emails(void)
{
    TEST("an email address is trimmed, composed and lower-cased") {
        static const struct row rows[] = {
            {"anna@example.com", "anna@example.com"},
            {"  Anna@Example.COM\r\n", "anna@example.com"},
            {"\u00A0Anna@Example.com\u3000", "anna@example.com"},
            {"Jose\u0301@Example.com", "jos\u00E9@example.com"},
            {"anna\uFF20example.com", "anna@example.com"},
            {"a!#$%&'*+-/=?^_`{|}~b@x.org", "a!#$%&'*+-/=?^_`{|}~b@x.org"},
            {"first.last+tag@mail.example.co.uk", "first.last+tag@mail.example.co.uk"},
            {"\u738B@\u4F8B\u3048.jp", "\u738B@\u4F8B\u3048.jp"},
            {"\u0905\u0928\u093F\u0932@\u0909\u0926\u093E.\u092D\u093E\u0930\u0924",
             "\u0905\u0928\u093F\u0932@\u0909\u0926\u093E.\u092D\u093E\u0930\u0924"},
            {"a@\u092D\u0967.com", "a@\u092D\u0967.com"},
            {"a@xn--bcher-kva.example", "a@xn--bcher-kva.example"},
            {"1@1.2com", "1@1.2com"},
        };
        check_emails(rows, COUNT(rows));
    }
    TEST("marks and sharp s in an address are kept, for they are other mailboxes") {
        static const struct row rows[] = {
            {"jos\u00E9@example.com", "jos\u00E9@example.com"},
            {"a@stra\u00DFe.de", "a@stra\u00DFe.de"},
        };
        check_emails(rows, COUNT(rows));
    }
    TEST("a control or invisible character in an address is refused") {
        static const char *const texts[] = {
            "anna@example.com\r\nBcc: eve@example.com", "an\nna@example.com", "an\tna@example.com",
            "an\x7Fna@example.com", "an\xC2\x85na@example.com", "an\u200Bna@example.com",
            "an\u200Dna@example.com", "an\u00ADna@example.com", "\u202Eanna@example.com",
            "anna@exam\u2060ple.com", "anna@example.com\uFEFF", "an\u2028na@example.com",
            "an\uFE0Fna@example.com", "an\u3164na@example.com", "an\uE000na@example.com",
            "\u0645\u200C\u0645@example.com", "an\u0378na@example.com", "a\x01@b.c",
        };
        char out[CONTACT_SIZE];
        for (size_t i = 0; i < COUNT(texts); i++) {
            CHECK_TEXT(contact_normalize_email(texts[i], out),
                       "has a control or invisible character");
            CHECK_TEXT(out, "");
        }
    }
    TEST("an address that is not one address is refused with the reason") {
        static const struct row rows[] = {
            {"", "is empty"},
            {" \t\n", "is empty"},
            {"\u3000", "is empty"},
            {"anna\xFF@example.com", "is not valid UTF-8 text"},
            {"anna", "has no @"},
            {"anna example.com", "has a space in it"},
            {"an na@example.com", "has a space in it"},
            {"anna@ example.com", "has a space in it"},
            {"an\u1680na@example.com", "has a space in it"},
            {"an\u00A0na@example.com", "has a space in it"},
            {"anna@@example.com", "has more than one @"},
            {"anna@b.com@example.com", "has more than one @"},
            {"\"anna\"@example.com", "has a quotation mark in it"},
            {"Anna<anna@example.com>", "has an angle bracket in it"},
            {"anna@example.com>", "has an angle bracket in it"},
            {"anna(home)@example.com", "has a parenthesis in it"},
            {"anna@[10.0.0.1]", "has a square bracket in it"},
            {"anna@example.com,eve@example.com", "has a comma in it"},
            {"anna@example.com;eve@example.com", "has a semicolon in it"},
            {"anna\uFF1Beve@example.com", "has a semicolon in it"},
            {"mailto:anna@example.com", "has a colon in it"},
            {"anna\\@example.com", "has a backslash in it"},
        };
        check_email_refusals(rows, COUNT(rows));
    }
    TEST("an address with a malformed local part is refused with the reason") {
        static const struct row rows[] = {
            {"@example.com", "has nothing before the @"},
            {"@", "has nothing before the @"},
            {".anna@example.com", "starts with a full stop"},
            {"anna.@example.com", "has a full stop right before the @"},
            {"anna..b@example.com", "has two full stops in a row"},
            {"\u0301anna@example.com", "has an accent without a letter"},
            {"=?utf-8?q?=0D=0ABcc:=20eve?=@example.com", "has a colon in it"},
            {"=?utf-8?q?=0d=0abcc?=@example.com", "has an encoded word in it"},
            {"a=?utf-8?b?DQo=?=b@example.com", "has an encoded word in it"},
            {"\u00B4anna@example.com", "has an accent without a letter"},
        };
        check_email_refusals(rows, COUNT(rows));
    }
    TEST("an address with a malformed domain is refused with the reason") {
        static const struct row rows[] = {
            {"anna@", "has nothing after the @"},
            {"anna@localhost", "has no full stop in its domain"},
            {"anna@.example.com", "has a domain that starts or ends with a full stop"},
            {"anna@example.com.", "has a domain that starts or ends with a full stop"},
            {"anna@example..com", "has two full stops in a row"},
            {"anna@-example.com", "has a hyphen at an end of a part of its domain"},
            {"anna@example-.com", "has a hyphen at an end of a part of its domain"},
            {"anna@example.-", "has a hyphen at an end of a part of its domain"},
            {"anna@exa_mple.com", "has a character in its domain that no domain has"},
            {"anna@example.com/x", "has a character in its domain that no domain has"},
            {"anna@example\u3002com", "has a character in its domain that no domain has"},
            {"anna@exam\u20ACple.com", "has a character in its domain that no domain has"},
            {"anna@\u20DDexample.com", "has an accent without a letter"},
            {"anna@\u0301example.com", "has an accent without a letter"},
            {"anna@10.0.0.1", "has a number where its domain ends"},
        };
        check_email_refusals(rows, COUNT(rows));
    }
}

static void test_email_sizes(void)
{
    char text[2048], out[CONTACT_SIZE];
    TEST("64 bytes before the @ are accepted and 65 refused") {
        strcpy(repeat(text, "a", 64), "@example.com");
        CHECK_TEXT(contact_normalize_email(text, out), NULL);
        CHECK_TEXT(out, text);
        strcpy(repeat(text, "a", 65), "@example.com");
        CHECK_TEXT(contact_normalize_email(text, out),
                   "is too long before the @ (64 bytes at most)");
        strcpy(repeat(text, "\u00E9", 33), "@example.com");
        CHECK_TEXT(contact_normalize_email(text, out),
                   "is too long before the @ (64 bytes at most)");
    }
    TEST("63 bytes of one part of a domain are accepted and 64 refused") {
        strcpy(text, "anna@");
        strcpy(repeat(text + 5, "b", 63), ".com");
        CHECK_TEXT(contact_normalize_email(text, out), NULL);
        strcpy(repeat(text + 5, "b", 64), ".com");
        CHECK_TEXT(contact_normalize_email(text, out),
                   "has a part of its domain longer than 63 bytes");
    }
    TEST("254 bytes are accepted and 255 refused") {
        strcpy(text, "anna@");
        strcpy(repeat(text + 5, "abcdefgh.", 27), "123com");
        CHECK(strlen(text) == 254);
        CHECK_TEXT(contact_normalize_email(text, out), NULL);
        CHECK_TEXT(out, text);
        strcat(text, "m");
        CHECK_TEXT(contact_normalize_email(text, out), "is too long (254 bytes at most)");
        CHECK_TEXT(out, "");
    }
    TEST("an address that could not even be read whole is too long") {
        strcpy(repeat(text, "a", 1100), "@example.com");
        CHECK_TEXT(contact_normalize_email(text, out), "is too long (254 bytes at most)");
        strcpy(repeat(text, "\uFDFA", 300), "@example.com");
        CHECK_TEXT(contact_normalize_email(text, out), "is too long (254 bytes at most)");
    }
}

struct phone_row {
    const char *input;
    const char *country_code;
    const char *expected;
};

static void check_phones(const struct phone_row *rows, size_t count)
{
    char out[CONTACT_SIZE], again[CONTACT_SIZE];
    for (size_t i = 0; i < count; i++) {
        CHECK_TEXT(contact_normalize_phone(rows[i].input, rows[i].country_code, out), NULL);
        CHECK_TEXT(out, rows[i].expected);
        CHECK_TEXT(contact_normalize_phone(out, "49", again), NULL);
        CHECK_TEXT(again, out);
    }
}

static void check_phone_refusals(const struct phone_row *rows, size_t count)
{
    char out[CONTACT_SIZE];
    for (size_t i = 0; i < count; i++) {
        memset(out, '#', sizeof out);
        const char *problem = contact_normalize_phone(rows[i].input, rows[i].country_code, out);
        CHECK_FOR(rows[i].input, problem != NULL);
        CHECK_TEXT(problem, rows[i].expected);
        CHECK_TEXT(out, "");
    }
}

static void test_phones(void)
{
    TEST("a national number gets the country code of the practice") {
        static const struct phone_row rows[] = {
            {"6175550142", "1", "+16175550142"},
            {"(617) 555-0142", "1", "+16175550142"},
            {" 617.555.0142\n", "1", "+16175550142"},
            {"1-617-555-0142", "1", "+16175550142"},
            {"617/555/0142", "1", "+16175550142"},
            {"617\u2011555\u20130142", "1", "+16175550142"},
            {"617\u00A0555\u22120142", "1", "+16175550142"},
            {"\uFF16\uFF11\uFF17\uFF15\uFF15\uFF15\uFF10\uFF11\uFF14\uFF12", "1", "+16175550142"},
            {"020 7946 0958", "44", "+442079460958"},
            {"030 901820", "49", "+4930901820"},
            {"30 901820", "49", "+4930901820"},
        };
        check_phones(rows, COUNT(rows));
    }
    TEST("the trunk prefix is that of the country") {
        static const struct phone_row rows[] = {
            {"8 812 123-45-67", "7", "+78121234567"},
            {"812 123-45-67", "7", "+78121234567"},
            {"06 1 234 5678", "36", "+3612345678"},
            {"06 6982 1234", "39", "+390669821234"},
            {"07 01 02 03 04", "225", "+2250701020304"},
        };
        check_phones(rows, COUNT(rows));
    }
    TEST("a number with + or 00 is taken as it is") {
        static const struct phone_row rows[] = {
            {"+1 617 555 0142", "1", "+16175550142"},
            {"+1 617 555 0142", "49", "+16175550142"},
            {"(+1) 617 555 0142", "49", "+16175550142"},
            {"001 617 555 0142", "49", "+16175550142"},
            {"+49 30 901820", "1", "+4930901820"},
            {"0049 30 901820", "1", "+4930901820"},
            {"+390669821234", "1", "+390669821234"},
            {"+49 30 901820", "", "+4930901820"},
            {"+49 30 901820", NULL, "+4930901820"},
            {"+4912345", "1", "+4912345"},
            {"+491234567890123", "1", "+491234567890123"},
            {"00491234567890123", "1", "+491234567890123"},
        };
        check_phones(rows, COUNT(rows));
    }
    TEST("a text that is not a phone number is refused with the reason") {
        static const struct phone_row rows[] = {
            {"", "1", "is empty"},
            {" \t ", "1", "is empty"},
            {"617\xFF", "1", "is not valid UTF-8 text"},
            {"()-", "1", "has no digits"},
            {"+", "1", "has no digits"},
            {"617 555 0142 x12", "1", "has a letter in it"},
            {"617 555 CARE", "1", "has a letter in it"},
            {"617 555 0142 \u00E9", "1", "has a letter in it"},
            {"617 555 0142 #12", "1", "has a character that no phone number has"},
            {"617 555 0142, 12", "1", "has a character that no phone number has"},
            {"617;555", "1", "has a character that no phone number has"},
            {"\u0661\u0662\u0663\u0664\u0665\u0666\u0667", "1",
             "has a character that no phone number has"},
            {"617+5550142", "1", "has a + that is not at its start"},
            {"++16175550142", "1", "has a + that is not at its start"},
            {"+1+6175550142", "1", "has a + that is not at its start"},
            {"617\r\n5550142", "1", "has a control or invisible character"},
            {"617\t5550142", "1", "has a control or invisible character"},
            {"\u202D6175550142\u202C", "1", "has a control or invisible character"},
            {"617\u200B5550142", "1", "has a control or invisible character"},
            {"+44 (0)20 7946 0958", "44", "has a (0) after its country code, leave it out"},
            {"+0123456789", "1", "has a country code that starts with 0"},
            {"000 123456789", "1", "has a country code that starts with 0"},
        };
        check_phone_refusals(rows, COUNT(rows));
    }
    TEST("a number with country code 1 has ten digits and an area code from 2 on") {
        static const struct phone_row rows[] = {
            {"555-0142", "1", "is too short (ten digits with the area code)"},
            {"617555014", "1", "is too short (ten digits with the area code)"},
            {"61755501422", "1", "is too long (ten digits with the area code)"},
            {"+1617555014", "49", "is too short (ten digits with the area code)"},
            {"+161755501422", "49", "is too long (ten digits with the area code)"},
            {"0175550142", "1", "has an area code that starts with 0 or 1"},
            {"1175550142", "1", "has an area code that starts with 0 or 1"},
            {"+11175550142", "1", "has an area code that starts with 0 or 1"},
            {"00 1 017 555 0142", "49", "has an area code that starts with 0 or 1"},
        };
        check_phone_refusals(rows, COUNT(rows));
    }
    TEST("other numbers have 7 to 15 digits with their country code") {
        static const struct phone_row rows[] = {
            {"1234", "49", "is too short"},
            {"+49123", "1", "is too short"},
            {"12345678901234", "49", "is too long (15 digits at most)"},
            {"+4912345678901234", "1", "is too long (15 digits at most)"},
            {"004912345678901234", "1", "is too long (15 digits at most)"},
            {"1234567890123456789012345678901234567890", "49", "is too long (15 digits at most)"},
        };
        check_phone_refusals(rows, COUNT(rows));
        char text[1200], out[CONTACT_SIZE];
        repeat(text, "1", 1100);
        CHECK_TEXT(contact_normalize_phone(text, "1", out), "is too long (15 digits at most)");
    }
    TEST("a national number without a usable country code is refused") {
        static const char *const codes[] = {NULL, "", "+1", "0", "044", "1a", "12345", " 1"};
        for (size_t i = 0; i < COUNT(codes); i++) {
            const struct phone_row row = {"6175550142", codes[i], "has no country code"};
            check_phone_refusals(&row, 1);
        }
    }
}

static void test_masks(void)
{
    char out[CONTACT_SIZE];
    TEST("a mask shows the first letter and the domain, or the last four digits") {
        static const struct row rows[] = {
            {"anna@example.com", "a" BULLETS "@example.com"},
            {"a@example.com", "a" BULLETS "@example.com"},
            {"\u00E9mile@example.com", "\u00E9" BULLETS "@example.com"},
            {"\U0001F600x@example.com", "\U0001F600" BULLETS "@example.com"},
            {"+16175550142", BULLETS "0142"},
            {"0142", BULLETS},
            {"", BULLETS},
            {"@example.com", BULLETS "@example.com"},
        };
        for (size_t i = 0; i < COUNT(rows); i++) {
            contact_mask(rows[i].input, out, sizeof out);
            CHECK_TEXT(out, rows[i].expected);
        }
    }
    TEST("a mask is cut to its buffer and never within a character") {
        static const char whole[] = "\u00E9" BULLETS "@\u4F8B.jp";
        for (size_t size = 1; size <= sizeof whole; size++) {
            memset(out, '#', sizeof out);
            contact_mask("\u00E9mile@\u4F8B.jp", out, size);
            size_t length = strlen(out);
            CHECK(length < size);
            CHECK(size - length <= 3);
            CHECK(strncmp(out, whole, length) == 0);
            CHECK(((unsigned char)whole[length] & 0xC0) != 0x80);
            CHECK(out[size] == '#');
        }
        CHECK_TEXT(out, whole);
    }
    TEST("a mask of what is no contact begins with a whole character") {
        contact_mask("J\u00F6 12", out, sizeof out);
        CHECK_TEXT(out, "\u2022\u2022\u2022 12");
    }
    TEST("a mask for no buffer writes nothing") {
        out[0] = '#';
        contact_mask("anna@example.com", out, 0);
        CHECK(out[0] == '#');
    }
    TEST("the longest address can be masked") {
        char text[CONTACT_SIZE];
        strcpy(text, "a@");
        repeat(text + 2, "b", CONTACT_EMAIL_MAX - 2);
        contact_mask(text, out, sizeof out);
        CHECK(strlen(out) == CONTACT_EMAIL_MAX);
        CHECK(strncmp(out, "a" BULLETS "@bbb", 14) == 0);
    }
}

int main(void)
{
    test_emails();
    test_email_sizes();
    test_phones();
    test_masks();
    return unit_result();
}
