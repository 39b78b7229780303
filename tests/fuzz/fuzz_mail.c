/* Any bytes as names, addresses, subject, language and bodies of a mail. */
#include "mail_check.h"

#include "../../ext/segment.h"
#include "fuzz.h"

const char fuzz_claim[] = "a mail of any bytes is refused, or reads back as what it was written from";

static void write_mail(const struct mail *mail, const char *line_end)
{
    size_t size = 1;
    char *bytes = mail_write(mail, line_end, &size);

    if (bytes != NULL) {
        mail_check(bytes, size, mail, line_end);
    } else {
        REQUIRE(size == 0);
    }
    mail_free(bytes, size);
}

/* 3GPP TS 23.038: the bounds of any text, and that all of it counts. */
static void segments(const char *text)
{
    int gsm7 = 0;
    int count = segment_count(text, &gsm7);
    size_t length = strlen(text);

    REQUIRE_TELL(count >= 1 && (size_t)count <= length / 30 + 1, "%d segments of %zu bytes", count, length);
    REQUIRE(length > 70 || gsm7 || count == 1);
    REQUIRE(!gsm7 || length > 80 || count == 1);
    REQUIRE(gsm7 || length <= (size_t)4 * 70 || count > 1);
}

/* A byte of flags, four of the date; then the texts in the order of struct mail. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { NO_NAME = 1, NO_HTML = 2, NO_LANGUAGE = 4, OWN_ADDRESSES = 8 };
    struct input input = {data, size};
    uint8_t flags = input_byte(&input);
    int64_t date = (int64_t)input_number(&input, 4) * 8;
    char *text[8];
    struct mail mail;

    for (int i = 0; i < 8; i++) text[i] = input_text(&input);
    mail = (struct mail){
        .from_name = (flags & NO_NAME) != 0 ? NULL : text[0],
        .subject = text[1],
        .text = text[2],
        .html = (flags & NO_HTML) != 0 ? NULL : text[3],
        .language = (flags & NO_LANGUAGE) != 0 ? NULL : text[4],
        .from = (flags & OWN_ADDRESSES) != 0 ? text[5] : "portal@example.org",
        .to = (flags & OWN_ADDRESSES) != 0 ? text[6] : "ada@example.com",
        .message_id = (flags & OWN_ADDRESSES) != 0 ? text[7] : "<1.0123456789abcdef@example.org>",
        .date = date,
    };
    write_mail(&mail, "\n");
    write_mail(&mail, "\r\n");
    segments(text[2]);
    for (int i = 0; i < 8; i++) free(text[i]);
    return 0;
}
