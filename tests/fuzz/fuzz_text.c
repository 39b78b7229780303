/* Names, user names, addresses and numbers as people type them, through the normaliser. */
#include "../../ext/contact.h"
#include "../../ext/normalize.h"
#include "fuzz.h"

const char fuzz_claim[] = "any name, user name, address or number normalises once and for all, or is refused";

typedef int normalizer(const char *text, char *out, size_t size);

/* In an allocation of the size that is told, so that a byte too many is seen. */
static void normalize(normalizer *function, const char *text, size_t size)
{
    char *out = malloc(size);
    char *again = malloc(NORMALIZE_SIZE);

    if (out == NULL || again == NULL) abort();
    if (function(text, out, size) != 0) {
        REQUIRE(size == 0 || out[0] == '\0');
    } else {
        REQUIRE(strlen(out) < size);
        REQUIRE(normalize_is_utf8(out, strlen(out)));
        /* A result can be longer than what is accepted as input: then it is refused, not changed. */
        if (strlen(out) <= NORMALIZE_INPUT_MAX) {
            REQUIRE_TELL(function(out, again, NORMALIZE_SIZE) == 0, "%s", text);
            REQUIRE_TELL(strcmp(out, again) == 0, "\"%s\" became \"%s\" became \"%s\"", text, out, again);
        }
    }
    free(out);
    free(again);
}

static void mask(const char *contact, size_t size)
{
    char *out = malloc(size + 1);

    if (out == NULL) abort();
    contact_mask(contact, out, size + 1);
    REQUIRE(strlen(out) <= size);
    REQUIRE(!normalize_is_utf8(contact, strlen(contact)) || normalize_is_utf8(out, strlen(out)));
    free(out);
}

static void email(const char *text, size_t size)
{
    char *out = malloc(CONTACT_SIZE);
    char again[CONTACT_SIZE];

    if (out == NULL) abort();
    if (contact_normalize_email(text, out) != NULL) {
        REQUIRE(out[0] == '\0');
    } else {
        REQUIRE(strlen(out) <= CONTACT_EMAIL_MAX && strchr(out, '@') != NULL);
        REQUIRE(strpbrk(out, " ,;:<>()[]\"\\\r\n") == NULL && !normalize_has_hidden(out));
        REQUIRE_TELL(contact_normalize_email(out, again) == NULL && strcmp(out, again) == 0, "%s", out);
        mask(out, size);
    }
    free(out);
}

static void phone(const char *text, const char *country_code)
{
    char *out = malloc(CONTACT_SIZE);
    char again[CONTACT_SIZE];

    if (out == NULL) abort();
    if (contact_normalize_phone(text, country_code, out) != NULL) {
        REQUIRE(out[0] == '\0');
    } else {
        REQUIRE(out[0] == '+' && strlen(out) <= CONTACT_PHONE_MAX);
        REQUIRE(out[1] != '0' && strspn(out + 1, "0123456789") == strlen(out + 1));
        REQUIRE_TELL(contact_normalize_phone(out, country_code, again) == NULL && strcmp(out, again) == 0, "%s", out);
    }
    free(out);
}

/* The first two bytes are the room for the result; the text follows. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static normalizer *const functions[] = {
        normalize_name, normalize_username, normalize_password, normalize_lower,
    };
    static const char *const country_codes[] = {"1", "7", "36", "39", "44", "", NULL, "0", "12345"};
    struct input input = {data, size};
    size_t room = input_number(&input, 2) % NORMALIZE_SIZE + 1;
    char *text = input_text(&input);

    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        normalize(functions[i], text, room);
        normalize(functions[i], text, NORMALIZE_SIZE);
    }
    REQUIRE((normalize_code_points(text) >= 0) == normalize_is_utf8(text, strlen(text)));
    email(text, room);
    for (size_t i = 0; i < sizeof country_codes / sizeof country_codes[0]; i++) {
        phone(text, country_codes[i]);
    }
    mask(text, room);
    normalize_show(text);
    REQUIRE(normalize_is_utf8(text, strlen(text)));
    free(text);
    return 0;
}
