/*
** Email addresses and phone numbers, see contact.h.  Every rule is checked on the text after NFKC,
** because NFKC makes an "@", a slash or a space of characters that look like nothing of the kind.
*/
#include "contact.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#include "normalize.h"

enum { LABEL_MAX = 63, PHONE_DIGITS_MIN = 7, PHONE_DIGITS_MAX = 15, COUNTRY_CODE_DIGITS_MAX = 4 };

enum { MASKED_DIGITS_SHOWN = 4 };

#define MASK "\u2022\u2022\u2022"

static const char not_utf8[] = "is not valid UTF-8 text";
static const char empty[] = "is empty";
static const char hidden[] = "has a control or invisible character";
static const char email_too_long[] = "is too long (254 bytes at most)";
static const char phone_too_long[] = "is too long (15 digits at most)";

/* RFC 5322 section 3.2.3: the specials, which an unquoted address can not have. */
static const struct {
    char character;
    const char *problem;
} specials[] = {
    {'"', "has a quotation mark in it"},  {'<', "has an angle bracket in it"},
    {'>', "has an angle bracket in it"},  {'(', "has a parenthesis in it"},
    {')', "has a parenthesis in it"},     {'[', "has a square bracket in it"},
    {']', "has a square bracket in it"},  {',', "has a comma in it"},
    {';', "has a semicolon in it"},       {':', "has a colon in it"},
    {'\\', "has a backslash in it"},
};

/*
** How national numbers are dialled where it is not "0 and any length": the prefix that an
** international number leaves out, and the number of digits after it (0: it varies).
*/
struct dialling {
    const char *country_code;
    const char *trunk;
    size_t national_digits;
};

static const struct dialling dialling_plans[] = {
    {"1", "1", 10},  /* North America */
    {"7", "8", 10},  /* Russia, Kazakhstan */
    {"36", "06", 0}, /* Hungary */
    {"39", "", 0},   /* Italy: the 0 is part of the number */
    {"225", "", 0},  /* Ivory Coast, likewise */
    {"242", "", 0},  /* Congo, likewise */
    {"378", "", 0},  /* San Marino, likewise */
};

static const struct dialling usual_plan = {"", "0", 0};

static bool is_ascii_white(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_mark(utf8proc_category_t category)
{
    return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC
           || category == UTF8PROC_CATEGORY_ME;
}

static bool is_letter(utf8proc_category_t category)
{
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

/* The text is valid UTF-8: it was normalised. */
static size_t next_point(const char *text, size_t left, utf8proc_int32_t *point)
{
    if ((unsigned char)*text < 0x80) {
        *point = (unsigned char)*text;
        return 1;
    }
    utf8proc_ssize_t length =
        utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)left, point);
    return length > 0 ? (size_t)length : left;
}

/*
** What `hidden` refuses.  Stricter than normalize_has_hidden(): no joiners, and no variation
** selectors, for a contact is no place for a difference that nobody sees.
*/
static bool has_hidden(const char *text)
{
    size_t left = strlen(text);
    if (normalize_is_plain(text)) return false;
    if (normalize_has_hidden(text)) return true;
    while (left > 0) {
        utf8proc_int32_t point;
        size_t length = next_point(text, left, &point);
        if (utf8proc_category(point) == UTF8PROC_CATEGORY_CF) return true;
        if (utf8proc_get_property(point)->ignorable) return true;
        text += length;
        left -= length;
    }
    return false;
}

/*
** Normalises the text, drops white space at its ends and looks for what neither kind of contact may
** have.  Sets *start to the text, within the buffer.
*/
static const char *read_contact(const char *contact, const char *too_long,
                                char buffer[NORMALIZE_SIZE], char **start)
{
    if (!normalize_is_utf8(contact, strlen(contact))) return not_utf8;
    if (normalize_lower(contact, buffer, NORMALIZE_SIZE) != 0) return too_long;

    size_t length = strlen(buffer);
    while (length > 0 && is_ascii_white(buffer[length - 1])) length--;
    buffer[length] = '\0';
    while (is_ascii_white(*buffer)) buffer++;
    *start = buffer;
    if (*buffer == '\0') return empty;
    return has_hidden(buffer) ? hidden : NULL;
}

static bool has_unicode_space(const char *text)
{
    size_t left = strlen(text);
    if (normalize_is_plain(text)) return strchr(text, ' ') != NULL;
    while (left > 0) {
        utf8proc_int32_t point;
        size_t length = next_point(text, left, &point);
        if (utf8proc_category(point) == UTF8PROC_CATEGORY_ZS) return true;
        text += length;
        left -= length;
    }
    return false;
}

static const char *special_problem(const char *email)
{
    if (has_unicode_space(email)) return "has a space in it";
    for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++) {
        if (strchr(email, specials[i].character)) return specials[i].problem;
    }
    return NULL;
}

static bool starts_with_mark(const char *text, size_t length)
{
    utf8proc_int32_t point;
    (void)next_point(text, length, &point);
    return is_mark(utf8proc_category(point));
}

/* The specials have been refused, so what is left is RFC 5322 atext and RFC 6531 letters. */
static const char *local_part_problem(const char *local, size_t length)
{
    if (length == 0) return "has nothing before the @";
    if (length > CONTACT_LOCAL_PART_MAX) return "is too long before the @ (64 bytes at most)";
    if (local[0] == '.') return "starts with a full stop";
    if (local[length - 1] == '.') return "has a full stop right before the @";
    if (starts_with_mark(local, length)) return "has an accent without a letter";
    /* RFC 2047: atext all the same, and some readers decode it, line breaks and all. */
    const char *word = strstr(local, "=?");
    if (word && strstr(word + 2, "?=")) return "has an encoded word in it";
    return NULL;
}

static bool is_domain_character(utf8proc_int32_t point)
{
    if (point < 0x80) {
        return (point >= 'a' && point <= 'z') || (point >= '0' && point <= '9') || point == '-';
    }
    utf8proc_category_t category = utf8proc_category(point);
    return is_letter(category) || is_mark(category) || category == UTF8PROC_CATEGORY_ND;
}

static const char *label_problem(const char *label, size_t length)
{
    if (length == 0) return "has a domain that starts or ends with a full stop";
    if (length > LABEL_MAX) return "has a part of its domain longer than 63 bytes";
    if (label[0] == '-' || label[length - 1] == '-') {
        return "has a hyphen at an end of a part of its domain";
    }
    if (starts_with_mark(label, length)) return "has an accent without a letter";
    while (length > 0) {
        utf8proc_int32_t point;
        size_t step = next_point(label, length, &point);
        if (!is_domain_character(point)) return "has a character in its domain that no domain has";
        label += step;
        length -= step;
    }
    return NULL;
}

static const char *domain_problem(const char *domain)
{
    if (*domain == '\0') return "has nothing after the @";
    const char *label = domain;
    for (;;) {
        size_t length = strcspn(label, ".");
        const char *problem = label_problem(label, length);
        if (problem) return problem;
        if (label[length] == '\0') break;
        label += length + 1;
    }
    if (label == domain) return "has no full stop in its domain";
    /* 10.0.0.1 is an address of a machine, and no top-level domain is a number. */
    if (label[strspn(label, "0123456789")] == '\0') return "has a number where its domain ends";
    return NULL;
}

static const char *email_problem(const char *email)
{
    const char *problem = special_problem(email);
    if (problem) return problem;

    const char *at = strchr(email, '@');
    if (!at) return "has no @";
    if (strchr(at + 1, '@')) return "has more than one @";
    if (strlen(email) > CONTACT_EMAIL_MAX) return email_too_long;
    problem = local_part_problem(email, (size_t)(at - email));
    if (problem) return problem;
    if (strstr(email, "..")) return "has two full stops in a row";
    return domain_problem(at + 1);
}

const char *contact_normalize_email(const char *email, char out[CONTACT_SIZE])
{
    char buffer[NORMALIZE_SIZE];
    char *start = buffer;
    out[0] = '\0';
    const char *problem = read_contact(email, email_too_long, buffer, &start);
    if (!problem) problem = email_problem(start);
    if (!problem) memcpy(out, start, strlen(start) + 1);
    return problem;
}

/* Room for what a number may have in front of its 15 digits: "00", then a country code instead. */
enum { PHONE_PREFIX_MAX = COUNTRY_CODE_DIGITS_MAX };

/* A phone number taken apart: its digits, and whether a "+" or "00" went before them. */
struct phone {
    char digits[PHONE_DIGITS_MAX + 2 * PHONE_PREFIX_MAX + 1];
    size_t count;
    bool is_international;
};

static bool is_phone_separator(utf8proc_int32_t point)
{
    /* MINUS SIGN is what some keyboards and word processors make of a hyphen. */
    return point == ' ' || point == '.' || point == '/' || point == '(' || point == ')'
           || point == 0x2212 || utf8proc_category(point) == UTF8PROC_CATEGORY_PD;
}

static const char *read_phone_character(utf8proc_int32_t point, struct phone *phone)
{
    if (point >= '0' && point <= '9') {
        if (phone->count == PHONE_DIGITS_MAX + PHONE_PREFIX_MAX) return phone_too_long;
        phone->digits[phone->count++] = (char)point;
        return NULL;
    }
    if (point == '+') {
        if (phone->count > 0 || phone->is_international) return "has a + that is not at its start";
        phone->is_international = true;
        return NULL;
    }
    if (is_letter(utf8proc_category(point))) return "has a letter in it";
    return is_phone_separator(point) ? NULL : "has a character that no phone number has";
}

static void drop_digits(struct phone *phone, size_t count)
{
    phone->count -= count;
    memmove(phone->digits, phone->digits + count, phone->count + 1);
}

static const char *read_phone(const char *text, struct phone *phone)
{
    const char *at = text;
    size_t left = strlen(text);
    while (left > 0) {
        utf8proc_int32_t point;
        size_t length = next_point(at, left, &point);
        const char *problem = read_phone_character(point, phone);
        if (problem) return problem;
        at += length;
        left -= length;
    }
    if (phone->count == 0) return "has no digits";
    if (!phone->is_international && strncmp(phone->digits, "00", 2) == 0) {
        phone->is_international = true;
        drop_digits(phone, 2);
    }
    /* "+44 (0)20 ..." says two things at once; guessing which could reach somebody else. */
    if (phone->is_international && strstr(text, "(0)")) {
        return "has a (0) after its country code, leave it out";
    }
    return NULL;
}

static bool is_country_code(const char *code)
{
    size_t length = code ? strspn(code, "0123456789") : 0;
    return length >= 1 && length <= COUNTRY_CODE_DIGITS_MAX && code[length] == '\0'
           && code[0] != '0';
}

/* No calling code is the start of another, so that the first row that fits is the right one. */
static const struct dialling *dialling_plan(const char *digits)
{
    for (size_t i = 0; i < sizeof dialling_plans / sizeof dialling_plans[0]; i++) {
        const char *code = dialling_plans[i].country_code;
        if (strncmp(digits, code, strlen(code)) == 0) return &dialling_plans[i];
    }
    return &usual_plan;
}

/* A trunk prefix goes only when it is one: 812 is an area code of Russia, 8 812 is dialled. */
static void drop_trunk(struct phone *phone, const struct dialling *plan)
{
    size_t length = strlen(plan->trunk);
    if (length == 0 || strncmp(phone->digits, plan->trunk, length) != 0) return;
    if (plan->national_digits != 0 && phone->count <= plan->national_digits) return;
    drop_digits(phone, length);
}

static const char *add_country_code(struct phone *phone, const char *country_code)
{
    if (phone->is_international) {
        return phone->digits[0] == '0' ? "has a country code that starts with 0" : NULL;
    }
    if (!is_country_code(country_code)) return "has no country code";
    drop_trunk(phone, dialling_plan(country_code));
    size_t length = strlen(country_code);
    memmove(phone->digits + length, phone->digits, phone->count + 1);
    memcpy(phone->digits, country_code, length);
    phone->count += length;
    return NULL;
}

static const char *number_problem(const struct phone *phone)
{
    const struct dialling *plan = dialling_plan(phone->digits);
    if (plan->national_digits != 0) {
        size_t right = strlen(plan->country_code) + plan->national_digits;
        if (phone->count < right) return "is too short (ten digits with the area code)";
        if (phone->count > right) return "is too long (ten digits with the area code)";
    }
    if (phone->count < PHONE_DIGITS_MIN) return "is too short";
    if (phone->count > PHONE_DIGITS_MAX) return phone_too_long;
    /* In the North American plan area codes are 2xx to 9xx. */
    if (phone->digits[0] == '1' && phone->digits[1] < '2') {
        return "has an area code that starts with 0 or 1";
    }
    return NULL;
}

const char *contact_normalize_phone(const char *phone, const char *country_code,
                                    char out[CONTACT_SIZE])
{
    char buffer[NORMALIZE_SIZE];
    char *start = buffer;
    struct phone parts = {.count = 0};
    out[0] = '\0';
    const char *problem = read_contact(phone, phone_too_long, buffer, &start);
    if (!problem) problem = read_phone(start, &parts);
    if (!problem) problem = add_country_code(&parts, country_code);
    if (!problem) problem = number_problem(&parts);
    if (!problem) (void)snprintf(out, CONTACT_PHONE_MAX + 1, "+%.*s", PHONE_DIGITS_MAX, parts.digits);
    return problem;
}

/* True within a UTF-8 character. */
static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

void contact_mask(const char *contact, char *out, size_t size)
{
    if (size == 0) return;
    char shown[CONTACT_SIZE + sizeof MASK];
    const char *at = strrchr(contact, '@');
    size_t length = strlen(contact);
    if (at) {
        utf8proc_int32_t point;
        size_t first = at > contact ? next_point(contact, (size_t)(at - contact), &point) : 0;
        (void)snprintf(shown, sizeof shown, "%.*s" MASK "%s", (int)first, contact, at);
    } else {
        /* Of a fragment of four or less, the last four would be all of it. */
        const char *tail = contact + (length <= MASKED_DIGITS_SHOWN ? length : length - MASKED_DIGITS_SHOWN);
        while (is_continuation(*tail)) tail++;
        (void)snprintf(shown, sizeof shown, MASK "%s", tail);
    }

    size_t fits = strlen(shown);
    if (fits >= size) {
        fits = size - 1;
        while (fits > 0 && is_continuation(shown[fits])) fits--;
    }
    memcpy(out, shown, fits);
    out[fits] = '\0';
}
