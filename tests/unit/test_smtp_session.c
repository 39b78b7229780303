/* Unit tests of ext/plugins/smtp_session.c: the server is what the tests say. */
#include "../../ext/plugins/smtp_session.h"
#include "unit.h"

#include <stdint.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { MESSAGES = 8 };

static const struct smtp_extensions nothing = {0};
static const struct smtp_extensions pipelining = {.pipelining = true};

/* A client with messages 0, 1, ... to send, and what it was told of them: "0 accepted 250 ok; ". */
struct talk {
    struct smtp_message message[MESSAGES];
    int count, next;
    struct smtp_session *session;
    char told[1000];
    char wrote[8000];     /* since it was looked at */
    bool open;
};

static const struct smtp_message *talk_next(void *data)
{
    struct talk *talk = data;

    return talk->next < talk->count ? &talk->message[talk->next++] : NULL;
}

static void talk_done(void *data, const struct smtp_message *message, enum smtp_result result,
                      const char *words)
{
    static const char *const names[] = {"accepted", "temporary", "permanent", "denied", "untouched", "unknown"};
    struct talk *talk = data;
    size_t length = strlen(talk->told);

    (void)snprintf(talk->told + length, sizeof talk->told - length, "%d %s %s; ",
                   (int)(message - talk->message), names[result], words);
}

/* Writes up to `most` bytes of the output. */
static void talk_write(struct talk *talk, size_t most)
{
    size_t size = 0;
    const char *bytes = smtp_session_output(talk->session, &size);
    size_t length = strlen(talk->wrote);

    if (bytes == NULL) return;
    if (size > most) size = most;
    memcpy(talk->wrote + length, bytes, size);
    talk->wrote[length + size] = '\0';
    smtp_session_written(talk->session, size);
}

/* Begins with `count` messages of the same addresses and content. */
static void begin_with(struct talk *talk, const struct smtp_extensions *extensions, int count,
                       struct smtp_message message)
{
    const struct smtp_client client = {talk_next, talk_done, talk};

    memset(talk, 0, sizeof *talk);
    talk->count = count;
    talk->open = true;
    for (int i = 0; i < count; i++) talk->message[i] = message;
    talk->session = smtp_session_new(&client, extensions);
    if (talk->session == NULL) abort();
    smtp_session_fill(talk->session);
    talk_write(talk, SIZE_MAX);
}

static void begin(struct talk *talk, const struct smtp_extensions *extensions, int count)
{
    begin_with(talk, extensions, count, (struct smtp_message){"p@x.example", "a@y.example", "Hi\r\n", 4});
}

/* What the client writes upon what the server says, line by line; NULL when the connection is to be closed. */
static const char *say(struct talk *talk, const char *words)
{
    talk->wrote[0] = '\0';
    while (talk->open && *words != '\0') {
        size_t length = strcspn(words, "\n");
        if (words[length] == '\n') length++;
        talk->open = smtp_session_input(talk->session, words, length);
        if (talk->open) smtp_session_fill(talk->session);
        if (talk->open) talk_write(talk, SIZE_MAX);
        words += length;
    }
    return talk->open ? talk->wrote : NULL;
}

/* What was told of the messages, when the connection is lost. */
static const char *lose(struct talk *talk)
{
    smtp_session_lost(talk->session, "lost");
    return talk->told;
}

static void end(struct talk *talk)
{
    smtp_session_free(talk->session);
}

#define ENVELOPE "MAIL FROM:<p@x.example>\r\nRCPT TO:<a@y.example>\r\nDATA\r\n"

static void test_extensions(void)
{
    TEST("the extensions are read from the lines of the reply to EHLO, and from no other") {
        struct smtp_extensions read = {0};
        smtp_extension_read(&read, "250-mail.example\r\n");
        smtp_extension_read(&read, "250-PIPELININGS\r\n");
        smtp_extension_read(&read, "220-PIPELINING\r\n");
        smtp_extension_read(&read, "250");
        CHECK(!read.pipelining && !read.eight_bit && !read.utf8 && !read.size && !read.auth);
        smtp_extension_read(&read, "250-pipelining\r\n");
        smtp_extension_read(&read, "250-8BITMIME");
        smtp_extension_read(&read, "250-SIZE 1000000\r\n");
        smtp_extension_read(&read, "250-AUTH PLAIN LOGIN\r\n");
        smtp_extension_read(&read, "250 SMTPUTF8\n");
        CHECK(read.pipelining && read.eight_bit && read.utf8 && read.size && read.auth);
    }
}

static void test_conversation(void)
{
    struct talk talk;

    TEST("without PIPELINING each command waits for the reply to the one before") {
        begin(&talk, &nothing, 2);
        CHECK_TEXT(talk.wrote, "MAIL FROM:<p@x.example>\r\n");
        CHECK_TEXT(say(&talk, "250 ok\r\n"), "RCPT TO:<a@y.example>\r\n");
        CHECK_TEXT(say(&talk, "250 ok\r\n"), "DATA\r\n");
        CHECK_TEXT(say(&talk, "354 go\r\n"), "Hi\r\n.\r\n");
        CHECK_TEXT(talk.told, "");
        CHECK_TEXT(say(&talk, "250 2.0.0 taken\r\n"), "MAIL FROM:<p@x.example>\r\n");
        CHECK_TEXT(talk.told, "0 accepted 250 2.0.0 taken; ");
        end(&talk);
    }
    TEST("with PIPELINING an envelope goes out in one piece, when the message before it has ended") {
        begin(&talk, &pipelining, 2);
        CHECK_TEXT(talk.wrote, ENVELOPE);
        CHECK_TEXT(say(&talk, "250 ok\r\n250 ok\r\n354 go\r\n"), "Hi\r\n.\r\n");
        CHECK(smtp_session_awaited(talk.session) == 1);
        CHECK_TEXT(say(&talk, "250 first\r\n"), ENVELOPE);
        CHECK_TEXT(say(&talk, "250 ok\r\n250 ok\r\n354 go\r\n"), "Hi\r\n.\r\n");
        CHECK_TEXT(say(&talk, "250 second\r\n"), "");
        CHECK_TEXT(talk.told, "0 accepted 250 first; 1 accepted 250 second; ");
        CHECK(smtp_session_awaited(talk.session) == 0);
        end(&talk);
    }
    TEST("replies arrive in pieces of any size, and lines may end in LF alone") {
        static const char replies[] = "250 ok\r\n250 ok\n354 go\r\n250 done\n";
        begin(&talk, &pipelining, 1);
        for (size_t i = 0; i < sizeof replies - 1; i++) {
            CHECK(smtp_session_input(talk.session, replies + i, 1));
            talk_write(&talk, SIZE_MAX);
        }
        CHECK_TEXT(talk.told, "0 accepted 250 done; ");
        end(&talk);
    }
    TEST("a reply of many lines is told on one") {
        begin(&talk, &nothing, 1);
        (void)say(&talk, "550-5.7.1 We do not\r\n550-\r\n550 want this\r\n");
        CHECK_TEXT(talk.told, "0 permanent 550 5.7.1 We do not want this; ");
        end(&talk);
    }
    TEST("what a message may wait for its reply is most after its content") {
        begin(&talk, &nothing, 1);
        CHECK(smtp_session_patience(talk.session) == 1);
        (void)say(&talk, "250 ok\r\n");
        (void)say(&talk, "250 ok\r\n");
        CHECK(smtp_session_patience(talk.session) == 1);
        (void)say(&talk, "354 go\r\n");
        CHECK(smtp_session_patience(talk.session) == 10);
        (void)say(&talk, "250\r\n");
        CHECK_TEXT(talk.told, "0 accepted 250; ");
        CHECK(smtp_session_patience(talk.session) == 1);
        end(&talk);
    }
    TEST("the message under way is known") {
        begin(&talk, &nothing, 1);
        CHECK(smtp_session_message(talk.session) == &talk.message[0]);
        (void)say(&talk, "550 no\r\n");
        CHECK(smtp_session_message(talk.session) == NULL);
        end(&talk);
    }
}

/* The replies before a step, and what is told when the next one is `code`. */
static void test_refusals(void)
{
    static const char *const before[] = {"", "250 ok\r\n", "250 ok\r\n250 ok\r\n",
                                         "250 ok\r\n250 ok\r\n354 go\r\n"};
    static const struct { const char *reply, *told[4]; } rows[] = {
        {"450 busy\r\n", {"temporary", "temporary", "temporary", "temporary"}},
        {"552 full\r\n", {"permanent", "temporary", "permanent", "permanent"}},
        {"550 no\r\n", {"permanent", "permanent", "permanent", "permanent"}},
        {"554 no\r\n", {"permanent", "permanent", "permanent", "permanent"}},
        {"503 what\r\n", {"temporary", "temporary", "temporary", "temporary"}},
        {"530 sign in\r\n", {"denied", "denied", "denied", "denied"}},
        {"535 wrong\r\n", {"denied", "denied", "denied", "denied"}},
    };

    for (int mode = 0; mode < 2; mode++) {
        TEST(mode == 0 ? "a refusal of any step decides about its message, and the next one is sent"
                       : "with PIPELINING, a refusal of any step decides about its message alone") {
            for (size_t row = 0; row < COUNT(rows); row++) {
                for (int step = 0; step < 4; step++) {
                    struct talk talk;
                    char expected[100];
                    begin(&talk, mode == 0 ? &nothing : &pipelining, 2);
                    (void)say(&talk, before[step]);
                    CHECK_FOR(rows[row].reply, say(&talk, rows[row].reply) != NULL);
                    (void)snprintf(expected, sizeof expected, "0 %s %.*s; ", rows[row].told[step],
                                   (int)strcspn(rows[row].reply, "\r"), rows[row].reply);
                    CHECK_TEXT(talk.told, expected);
                    CHECK_FOR(rows[row].reply, talk.open);
                    /* What is left of it is refused as well, then the other one is taken. */
                    if (mode == 0 && step < 3) (void)say(&talk, "250 reset\r\n");
                    for (int left = step + 1; mode == 1 && left < 3; left++) (void)say(&talk, "503 no\r\n");
                    if (mode == 1 && step < 3) (void)say(&talk, "250 reset\r\n");
                    (void)say(&talk, "250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n");
                    CHECK_FOR(rows[row].reply, strstr(talk.told, "; 1 accepted 250 taken; ") != NULL);
                    end(&talk);
                }
            }
        }
    }
}

static void test_after_refusals(void)
{
    struct talk talk;

    TEST("354 after a refused recipient gets no content, and what comes of that decides nothing") {
        begin(&talk, &pipelining, 2);
        CHECK_TEXT(say(&talk, "250 ok\r\n550 nobody\r\n354 go\r\n"), ".\r\n");
        CHECK_TEXT(talk.told, "0 permanent 550 nobody; ");
        CHECK_TEXT(say(&talk, "250 empty\r\n"), ENVELOPE);
        CHECK_TEXT(say(&talk, "250 ok\r\n250 ok\r\n354 go\r\n"), "Hi\r\n.\r\n");
        CHECK_TEXT(say(&talk, "250 taken\r\n"), "");
        CHECK_TEXT(talk.told, "0 permanent 550 nobody; 1 accepted 250 taken; ");
        end(&talk);
    }
    TEST("a refused DATA is followed by RSET, and that by the next message") {
        begin(&talk, &pipelining, 2);
        CHECK_TEXT(say(&talk, "250 ok\r\n550 nobody\r\n554 no valid recipients\r\n"), "RSET\r\n");
        CHECK_TEXT(say(&talk, "250 reset\r\n"), ENVELOPE);
        end(&talk);
    }
    TEST("a server that refuses RSET is left") {
        begin(&talk, &nothing, 2);
        CHECK_TEXT(say(&talk, "450 no\r\n"), "RSET\r\n");
        CHECK(say(&talk, "502 what\r\n") == NULL);
        CHECK_TEXT(lose(&talk), "0 temporary 450 no; ");
        end(&talk);
    }
}

static void test_losses(void)
{
    static const struct { const char *replies, *told; } rows[] = {
        {"", "0 untouched lost; "},
        {"250 ok\r\n", "0 temporary lost; "},
        {"250 ok\r\n250 ok\r\n", "0 temporary lost; "},
        {"250 ok\r\n250 ok\r\n354 go\r\n", "0 unknown lost; "},
        {"250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n", "0 accepted 250 taken; 1 untouched lost; "},
        {"250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n250 ok\r\n", "0 accepted 250 taken; 1 temporary lost; "},
    };
    struct talk talk;

    TEST("a lost connection leaves unknown only what was written to its end") {
        for (size_t i = 0; i < COUNT(rows); i++) {
            begin(&talk, &pipelining, 2);
            (void)say(&talk, rows[i].replies);
            CHECK_TEXT(lose(&talk), rows[i].told);
            end(&talk);
        }
    }
    TEST("of content whose last byte was not written, nothing was handed over") {
        for (size_t left = 0; left < 2; left++) {
            begin(&talk, &nothing, 1);
            (void)say(&talk, "250 ok\r\n250 ok\r\n");
            CHECK(smtp_session_input(talk.session, "354 go\r\n", 8));
            talk_write(&talk, strlen("Hi\r\n.\r\n") - left);
            CHECK_TEXT(lose(&talk), left == 0 ? "0 unknown lost; " : "0 temporary lost; ");
            end(&talk);
        }
    }
    TEST("421 closes the connection at any step, and what it did not accept was not taken") {
        static const char *const told[] = {
            "0 untouched 421 bye; ", "0 temporary 421 bye; ", "0 temporary 421 bye; ",
            "0 temporary 421 bye; ",
            "0 accepted 250 taken; 1 untouched 421 bye; ", "0 accepted 250 taken; 1 temporary 421 bye; ",
        };
        for (size_t i = 0; i < COUNT(rows); i++) {
            begin(&talk, &pipelining, 2);
            (void)say(&talk, rows[i].replies);
            CHECK(say(&talk, "421 bye\r\n") == NULL);
            CHECK_TEXT(lose(&talk), told[i]);
            end(&talk);
        }
    }
    TEST("what is no reply closes the connection, and leaves unknown what was written") {
        static const char *const garbage[] = {
            "hello\r\n", "2x0 ok\r\n", "25\r\n", "2500 ok\r\n", "250_ok\r\n", "\r\n", "150 wait\r\n", "354 go\r\n",
            "950 ok\r\n", "\xFF\xFE\r\n",
        };
        for (size_t i = 0; i < COUNT(garbage); i++) {
            begin(&talk, &nothing, 1);
            (void)say(&talk, "250 ok\r\n250 ok\r\n354 go\r\n");
            CHECK_FOR(garbage[i], say(&talk, garbage[i]) == NULL);
            CHECK_FOR(garbage[i], strncmp(lose(&talk), "0 unknown ", 10) == 0);
            end(&talk);
        }
    }
    TEST("the content is not sent upon a reply of another class") {
        begin(&talk, &pipelining, 1);
        CHECK(say(&talk, "250 ok\r\n250 ok\r\n250 ok\r\n") == NULL);
        CHECK_TEXT(lose(&talk), "0 temporary 250 ok; ");
        end(&talk);
    }
    TEST("a reply that nobody asked for closes the connection") {
        begin(&talk, &nothing, 0);
        CHECK(say(&talk, "250 ok\r\n") == NULL);
        end(&talk);
        begin(&talk, &nothing, 0);
        CHECK(say(&talk, "421 idle\r\n") == NULL);
        CHECK_TEXT(lose(&talk), "");
        end(&talk);
    }
    TEST("nobody accepts what was not yet written; a refusal before that counts, and ends the connection") {
        for (int refused = 0; refused < 2; refused++) {
            begin(&talk, &nothing, 1);
            (void)say(&talk, "250 ok\r\n250 ok\r\n");
            CHECK(smtp_session_input(talk.session, "354 go\r\n", 8));
            talk_write(&talk, 3);
            CHECK(!smtp_session_input(talk.session, refused ? "552 big\r\n" : "250 got\r\n", 9));
            CHECK_TEXT(lose(&talk), refused ? "0 permanent 552 big; " : "0 temporary 250 got; ");
            end(&talk);
        }
    }
    TEST("a line without an end, or of zeros, takes no more room than a line") {
        char flood[5000];
        memset(flood, '9', sizeof flood);
        begin(&talk, &nothing, 1);
        CHECK(smtp_session_input(talk.session, "450 ", 4));
        for (int i = 0; i < 20; i++) CHECK(smtp_session_input(talk.session, flood, sizeof flood));
        memset(flood, 0, sizeof flood);
        CHECK(smtp_session_input(talk.session, flood, sizeof flood));
        CHECK(smtp_session_input(talk.session, "\r\n", 2));
        CHECK(strncmp(talk.told, "0 temporary 450 999", 19) == 0 && strlen(talk.told) < 500);
        end(&talk);
    }
}

static void test_content(void)
{
    static const struct { const char *content, *wire; } rows[] = {
        {"", ".\r\n"},
        {"Hi\r\n", "Hi\r\n.\r\n"},
        {"Hi", "Hi\r\n.\r\n"},
        {".\r\n", "..\r\n.\r\n"},
        {".", "..\r\n.\r\n"},
        {"a\r\n.b\r\n..\r\n", "a\r\n..b\r\n...\r\n.\r\n"},
        {"a.b\r\n.", "a.b\r\n..\r\n.\r\n"},
        {"\r\n\r\n.\r\n", "\r\n\r\n..\r\n.\r\n"},
    };
    struct talk talk;

    TEST("a full stop at the beginning of a line is doubled, and a line that does not end is ended") {
        for (size_t i = 0; i < COUNT(rows); i++) {
            begin_with(&talk, &nothing, 1, (struct smtp_message){"p@x", "a@y", rows[i].content,
                                                                strlen(rows[i].content)});
            (void)say(&talk, "250 ok\r\n250 ok\r\n");
            CHECK_TEXT(say(&talk, "354 go\r\n"), rows[i].wire);
            end(&talk);
        }
    }
    TEST("content of full stops alone, larger than any room there was, arrives whole") {
        enum { LINES = 10000 };
        char *content = malloc(3 * LINES);
        size_t size = 0;
        CHECK(content != NULL);
        for (int i = 0; content != NULL && i < LINES; i++) memcpy(content + 3 * i, ".\r\n", 3);
        begin_with(&talk, &pipelining, 2, (struct smtp_message){"p@x", "a@y", content, 3 * LINES});
        CHECK(smtp_session_input(talk.session, "250 ok\r\n250 ok\r\n354 go\r\n", 24));
        CHECK(smtp_session_output(talk.session, &size) != NULL);
        CHECK(size == 4 * LINES + 3);
        CHECK_TEXT(lose(&talk), "0 temporary lost; ");
        end(&talk);
        free(content);
    }
    TEST("a message larger than the one before it arrives whole") {
        enum { SIZE = 20000 };
        char *content = malloc(SIZE);
        size_t size = 0;
        CHECK(content != NULL);
        if (content != NULL) memset(content, 'x', SIZE);
        begin(&talk, &nothing, 2);
        talk.message[1] = (struct smtp_message){"p@x", "a@y", content, SIZE};
        (void)say(&talk, "250 ok\n250 ok\n354 go\n250 ok\n250 ok\n250 ok\n");
        CHECK(smtp_session_input(talk.session, "354 go\n", 7));
        CHECK(smtp_session_output(talk.session, &size) != NULL);
        CHECK(size == SIZE + 5);
        end(&talk);
        free(content);
    }
}

static void test_addresses(void)
{
    static const struct smtp_extensions all = {.eight_bit = true, .utf8 = true, .size = true};
    struct talk talk;

    TEST("the size is told where SIZE is announced, and SMTPUTF8 where an address needs it") {
        begin_with(&talk, &all, 1, (struct smtp_message){"p@x", "a@y", "Hi\r\n", 4});
        CHECK_TEXT(talk.wrote, "MAIL FROM:<p@x> SIZE=4\r\n");
        end(&talk);
        begin_with(&talk, &all, 1, (struct smtp_message){"p@x", "\u00FC@y", "Hi\r\n", 4});
        CHECK_TEXT(talk.wrote, "MAIL FROM:<p@x> SIZE=4 BODY=8BITMIME SMTPUTF8\r\n");
        end(&talk);
        begin_with(&talk, &all, 1, (struct smtp_message){"\u00FC@x", "a@y", "Hi\r\n", 4});
        CHECK_TEXT(talk.wrote, "MAIL FROM:<\u00FC@x> SIZE=4 BODY=8BITMIME SMTPUTF8\r\n");
        end(&talk);
    }
    TEST("an address that needs SMTPUTF8 is refused where the server does not have it") {
        for (int i = 0; i < 2; i++) {
            begin_with(&talk, &pipelining, 1,
                       (struct smtp_message){i == 0 ? "\u00FC@x" : "p@x", i == 0 ? "a@y" : "\u00FC@y", "Hi\r\n", 4});
            CHECK_TEXT(talk.wrote, "");
            CHECK_TEXT(talk.told, "0 permanent the mail server does not take addresses with such letters "
                                  "(SMTPUTF8); ");
            end(&talk);
        }
    }
    TEST("no address can end its command, and the next message is sent instead") {
        static const char *const bad[] = {"a@y\r\nDATA", "a@y>", "<a@y", "a @y", "a@y\n", "a\t@y", "a@y\x7F"};
        for (size_t i = 0; i < COUNT(bad); i++) {
            begin(&talk, &nothing, 0);
            talk.message[0] = (struct smtp_message){"p@x", bad[i], "Hi\r\n", 4};
            talk.message[1] = (struct smtp_message){bad[i], "a@y", "Hi\r\n", 4};
            talk.message[2] = (struct smtp_message){"p@x", "a@y", "Hi\r\n", 4};
            talk.count = 3;
            smtp_session_fill(talk.session);
            talk_write(&talk, SIZE_MAX);
            CHECK_TEXT(talk.wrote, "MAIL FROM:<p@x>\r\n");
            CHECK_TEXT(talk.told, "0 permanent the address is malformed; 1 permanent the address is malformed; ");
            end(&talk);
        }
    }
}

int main(void)
{
    test_extensions();
    test_conversation();
    test_refusals();
    test_after_refusals();
    test_losses();
    test_content();
    test_addresses();
    return unit_result();
}
