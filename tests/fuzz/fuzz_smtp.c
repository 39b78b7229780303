/* Anything as the replies of a mail server. */
#include "../../ext/plugins/smtp_session.h"
#include "fuzz.h"

const char fuzz_claim[] = "whatever a mail server says, each message ends once, and is accepted only when all was written";

enum { MESSAGES = 6 };

struct talk {
    struct smtp_message message[MESSAGES];
    int next;                       /* how many were taken */
    int ended[MESSAGES];
    struct smtp_session *session;
};

static const struct smtp_message *talk_next(void *data)
{
    struct talk *talk = data;

    return talk->next < MESSAGES ? &talk->message[talk->next++] : NULL;
}

static void talk_done(void *data, const struct smtp_message *message, enum smtp_result result,
                      const char *words)
{
    struct talk *talk = data;
    size_t size = 0;

    talk->ended[message - talk->message]++;
    REQUIRE(words != NULL && strpbrk(words, "\r\n") == NULL);
    if (result == SMTP_ACCEPTED || result == SMTP_UNKNOWN) {
        REQUIRE(smtp_session_output(talk->session, &size) == NULL);
    }
}

static void talk_write(struct talk *talk, size_t most)
{
    size_t size = 0;

    if (smtp_session_output(talk->session, &size) != NULL) {
        smtp_session_written(talk->session, size < most ? size : most);
    }
}

/* A byte of extensions and an address; then, by a byte each, what is written or said next. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    uint8_t flags = input_byte(&input);
    const struct smtp_extensions extensions = {.pipelining = (flags & 1) != 0, .eight_bit = (flags & 2) != 0,
                                               .utf8 = (flags & 4) != 0, .size = (flags & 8) != 0};
    char *address = input_text(&input);
    char *content = input_text(&input);
    struct talk talk = {.next = 0};
    const struct smtp_client client = {talk_next, talk_done, &talk};
    bool open = true;

    for (int i = 0; i < MESSAGES; i++) {
        talk.message[i] = (struct smtp_message){"p@x", i % 2 == 0 ? "a@y" : address, content, strlen(content)};
    }
    talk.session = smtp_session_new(&client, &extensions);
    if (talk.session == NULL) abort();
    while (open && input.left > 0) {
        uint8_t step = input_byte(&input);
        char *said = step % 2 == 0 ? input_text(&input) : NULL;
        smtp_session_fill(talk.session);
        if (said == NULL) talk_write(&talk, step / 2);
        else open = smtp_session_input(talk.session, said, strlen(said));
        REQUIRE(smtp_session_awaited(talk.session) <= 4);
        free(said);
    }
    smtp_session_lost(talk.session, "lost");
    for (int i = 0; i < MESSAGES; i++) REQUIRE(talk.ended[i] == (i < talk.next));
    smtp_session_free(talk.session);
    free(address);
    free(content);
    return 0;
}
