#include "smtp_session.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    REPLY_SIZE = 400,
    LINE_SIZE = 2048,
    AWAITED = 4,                          /* an envelope is three, and a reset may follow */
    COMMANDS_SIZE = 200                   /* what is put for a message besides its addresses and content */
};

/* What a reply is about.  The order is that of a transaction. */
enum step { MAIL, RCPT, DATA, END, RESET };

struct awaited {
    enum step step;
    uint64_t put;                         /* the end of what it answers, in all that was ever put out */
};

struct smtp_session {
    struct smtp_client client;
    struct smtp_extensions extensions;
    const struct smtp_message *message;   /* NULL: it was refused or has ended, though replies may be awaited */
    struct awaited awaited[AWAITED];      /* in the order of what was put out */
    int awaited_count;
    char *out;                            /* not yet written: from out_start to out_end */
    size_t out_start, out_end, out_size;
    uint64_t put, written;                /* bytes ever */
    bool dismissed;                       /* by 421: what was not accepted by then is not */
    char line[LINE_SIZE];
    size_t line_length;
    char reply[REPLY_SIZE];               /* the lines of a reply so far, on one */
};

void smtp_extension_read(struct smtp_extensions *extensions, const char *line)
{
    const struct { const char *keyword; bool *announced; } rows[] = {
        {"PIPELINING", &extensions->pipelining},
        {"8BITMIME", &extensions->eight_bit},
        {"SMTPUTF8", &extensions->utf8},
        {"SIZE", &extensions->size},
        {"AUTH", &extensions->auth},
    };

    if (strncmp(line, "250", 3) != 0 || (line[3] != '-' && line[3] != ' ')) return;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t length = strlen(rows[i].keyword);
        if (strncasecmp(line + 4, rows[i].keyword, length) == 0 &&
            strchr(" \r\n", line[4 + length]) != NULL) {
            *rows[i].announced = true;
        }
    }
}

struct smtp_session *smtp_session_new(const struct smtp_client *client,
                                      const struct smtp_extensions *extensions)
{
    struct smtp_session *session = calloc(1, sizeof *session);

    if (session == NULL) return NULL;
    session->client = *client;
    session->extensions = *extensions;
    return session;
}

/* The compiler may not leave it out as it may memset() before free(). */
static void wipe(void *bytes, size_t size)
{
    volatile char *at = bytes;

    while (size-- > 0) *at++ = 0;
}

void smtp_session_free(struct smtp_session *session)
{
    if (session == NULL) return;
    if (session->out != NULL) wipe(session->out, session->out_size);
    free(session->out);
    free(session);
}

/* Output */

/* Room for so many bytes more; false without memory. */
static bool room_make(struct smtp_session *session, size_t more)
{
    size_t used = session->out_end - session->out_start;
    size_t size = session->out_size == 0 ? 8192 : session->out_size;
    char *out;

    if (session->out_size - session->out_end >= more) return true;
    while (size < used + more) size *= 2;
    out = malloc(size);
    if (out == NULL) return false;
    if (used > 0) memcpy(out, session->out + session->out_start, used);
    /* Not realloc(): it would leave pieces of links behind. */
    if (session->out != NULL) wipe(session->out, session->out_size);
    free(session->out);
    session->out = out;
    session->out_size = size;
    session->out_start = 0;
    session->out_end = used;
    return true;
}

/* smtp_session_fill() made room for all of a message. */
static void put(struct smtp_session *session, const char *bytes, size_t size)
{
    memcpy(session->out + session->out_end, bytes, size);
    session->out_end += size;
    session->put += size;
}

static void put_text(struct smtp_session *session, const char *text)
{
    put(session, text, strlen(text));
}

/* RFC 5321 section 4.5.2: a full stop at the beginning of a line is doubled. */
static void put_content(struct smtp_session *session, const struct smtp_message *message)
{
    const char *at = message->content;
    const char *end = at + message->size;

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *next = newline == NULL ? end : newline + 1;
        if (*at == '.') put_text(session, ".");
        put(session, at, (size_t)(next - at));
        at = next;
    }
    put_text(session, message->size == 0 || end[-1] == '\n' ? ".\r\n" : "\r\n.\r\n");
}

static bool is_ascii(const char *text)
{
    while (*text != '\0' && (unsigned char)*text < 0x80) text++;
    return *text == '\0';
}

/* What was put last is to be answered. */
static void await(struct smtp_session *session, enum step step)
{
    session->awaited[session->awaited_count++] = (struct awaited){step, session->put};
}

static void put_mail(struct smtp_session *session, const struct smtp_message *message)
{
    bool utf8 = !is_ascii(message->sender) || !is_ascii(message->recipient);
    char size[32];

    put_text(session, "MAIL FROM:<");
    put_text(session, message->sender);
    put_text(session, ">");
    (void)snprintf(size, sizeof size, " SIZE=%zu", message->size);
    if (session->extensions.size) put_text(session, size);
    /* Content is 7-bit but for such an address in its header. */
    if (utf8 && session->extensions.eight_bit) put_text(session, " BODY=8BITMIME");
    if (utf8) put_text(session, " SMTPUTF8");
    put_text(session, "\r\n");
}

static void put_step(struct smtp_session *session, enum step step)
{
    const struct smtp_message *message = session->message;

    switch (step) {
    case MAIL: put_mail(session, message); break;
    case RCPT:
        put_text(session, "RCPT TO:<");
        put_text(session, message->recipient);
        put_text(session, ">\r\n");
        break;
    case DATA: put_text(session, "DATA\r\n"); break;
    case RESET: put_text(session, "RSET\r\n"); break;
    case END:
        /* After a refusal the server gets no content, and has nobody to deliver that to. */
        if (message == NULL) put_text(session, ".\r\n");
        else put_content(session, message);
        break;
    }
    await(session, step);
}

const char *smtp_session_output(const struct smtp_session *session, size_t *size)
{
    *size = session->out_end - session->out_start;
    return *size == 0 ? NULL : session->out + session->out_start;
}

void smtp_session_written(struct smtp_session *session, size_t size)
{
    session->out_start += size;
    session->written += size;
    if (session->out_start == session->out_end) session->out_start = session->out_end = 0;
}

/* Transactions */

static void finish(struct smtp_session *session, enum smtp_result result, const char *words)
{
    const struct smtp_message *message = session->message;

    session->message = NULL;
    if (message != NULL) session->client.done(session->client.data, message, result, words);
}

/* What no server could take; NULL when it can be tried. */
static const char *envelope_problem(const struct smtp_session *session,
                                    const struct smtp_message *message)
{
    static const char never[] = "\001\002\003\004\005\006\a\b\t\n\v\f\r\016\017\020\021\022\023\024"
                                "\025\026\027\030\031\032\033\034\035\036\037\177 <>";

    if (message->sender[strcspn(message->sender, never)] != '\0' ||
        message->recipient[strcspn(message->recipient, never)] != '\0') {
        return "the address is malformed";
    }
    if (!session->extensions.utf8 && (!is_ascii(message->sender) || !is_ascii(message->recipient))) {
        return "the mail server does not take addresses with such letters (SMTPUTF8)";
    }
    return NULL;
}

/* The next message that can be sent, with room for all that is put for it; or NULL. */
static const struct smtp_message *message_next(struct smtp_session *session)
{
    const struct smtp_message *message;

    while ((message = session->client.next(session->client.data)) != NULL) {
        const char *problem = envelope_problem(session, message);
        size_t most = COMMANDS_SIZE + strlen(message->sender) + strlen(message->recipient) +
                      2 * message->size;
        if (problem != NULL) {
            session->client.done(session->client.data, message, SMTP_PERMANENT, problem);
        } else if (!room_make(session, most)) {
            session->client.done(session->client.data, message, SMTP_TEMPORARY, "out of memory");
        } else {
            break;
        }
    }
    return message;
}

void smtp_session_fill(struct smtp_session *session)
{
    if (session->awaited_count > 0) return;
    session->message = message_next(session);
    if (session->message == NULL) return;
    put_step(session, MAIL);
    if (!session->extensions.pipelining) return;
    put_step(session, RCPT);
    put_step(session, DATA);
}

/* RFC 5321 sections 4.2.1 and 4.2.3, RFC 4954 section 6: not all that begins with 5 is for good. */
static enum smtp_result refusal(enum step step, int code)
{
    static const struct {
        int code;
        enum step first, last;
        enum smtp_result result;
    } rows[] = {
        {503, MAIL, RESET, SMTP_TEMPORARY},   /* a bad sequence of commands is nobody's address */
        {530, MAIL, RESET, SMTP_DENIED},      {534, MAIL, RESET, SMTP_DENIED},
        {535, MAIL, RESET, SMTP_DENIED},      {538, MAIL, RESET, SMTP_DENIED},
        {552, RCPT, RCPT, SMTP_TEMPORARY},    /* section 4.5.3.1.10 */
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].code == code && step >= rows[i].first && step <= rows[i].last) return rows[i].result;
    }
    return code / 100 == 5 ? SMTP_PERMANENT : SMTP_TEMPORARY;
}

/* The reply to the envelope was `bad`, or not. */
static void envelope_answered(struct smtp_session *session, enum step step, bool bad)
{
    /* All of it is on its way already. */
    if (session->extensions.pipelining && step != DATA) return;
    put_step(session, bad ? RESET : step + 1);
}

static bool is_refusal(int code)
{
    return code / 100 == 4 || code / 100 == 5;
}

/* Can it be a reply to this?  Nobody accepts what was not yet written. */
static bool is_reply(const struct smtp_session *session, const struct awaited *awaited, int code)
{
    return is_refusal(code) || (code / 100 == (awaited->step == DATA ? 3 : 2) &&
                                session->written >= awaited->put);
}

/* False when nothing more can be said on this connection. */
static bool answered(struct smtp_session *session, const struct awaited *awaited, int code)
{
    bool bad = is_refusal(code);

    if (bad) {
        finish(session, refusal(awaited->step, code), session->reply);
    } else if (awaited->step == END) {
        finish(session, SMTP_ACCEPTED, session->reply);
    }
    /* Who refuses before all was written may take the rest of it for commands. */
    if (bad && (awaited->step == RESET || session->written < awaited->put)) return false;
    if (awaited->step < END) envelope_answered(session, awaited->step, bad);
    return true;
}

/* Input */

/* "250-text" and "250 text": the code once, then the texts of all lines. */
static void reply_append(struct smtp_session *session, const char *line)
{
    size_t length = strlen(session->reply);
    const char *text = line[3] == '\0' ? "" : line + 4;

    (void)snprintf(session->reply + length, sizeof session->reply - length, "%.*s%s%s",
                   length == 0 ? 3 : 0, line, *text == '\0' ? "" : " ", text);
}

static bool line_take(struct smtp_session *session)
{
    const char *line = session->line;
    struct awaited awaited;
    int code;

    if (!isdigit((unsigned char)line[0]) || !isdigit((unsigned char)line[1]) ||
        !isdigit((unsigned char)line[2]) || strchr("- ", line[3]) == NULL) {
        return false;
    }
    reply_append(session, line);
    if (line[3] == '-') return true;
    code = (int)strtol(line, NULL, 10);
    /* RFC 5321 section 3.8: after 421 the server is gone. */
    session->dismissed = code == 421;
    if (session->awaited_count == 0 || session->dismissed) return false;
    awaited = session->awaited[0];
    if (!is_reply(session, &awaited, code)) return false;
    session->awaited_count--;
    memmove(session->awaited, session->awaited + 1,
            (size_t)session->awaited_count * sizeof session->awaited[0]);
    if (!answered(session, &awaited, code)) return false;
    session->reply[0] = '\0';
    return true;
}

bool smtp_session_input(struct smtp_session *session, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n') {
            session->line[session->line_length] = '\0';
            session->line_length = 0;
            if (!line_take(session)) return false;
        } else if (bytes[i] != '\r' && bytes[i] != '\0' && session->line_length + 1 < sizeof session->line) {
            session->line[session->line_length++] = bytes[i];
        }
    }
    return true;
}

/* What becomes of a message whose replies do not come any more. */
static enum smtp_result lost_result(const struct smtp_session *session)
{
    const struct awaited *first = session->awaited;

    if (session->awaited_count == 0 || first->step == MAIL) return SMTP_UNTOUCHED;
    if (first->step == END && session->written >= first->put && !session->dismissed) return SMTP_UNKNOWN;
    return SMTP_TEMPORARY;
}

void smtp_session_lost(struct smtp_session *session, const char *words)
{
    /* The server's last words, if it said any. */
    finish(session, lost_result(session), session->reply[0] != '\0' ? session->reply : words);
}

const struct smtp_message *smtp_session_message(const struct smtp_session *session)
{
    return session->message;
}

int smtp_session_awaited(const struct smtp_session *session)
{
    return session->awaited_count;
}

int smtp_session_patience(const struct smtp_session *session)
{
    return session->awaited_count > 0 && session->awaited[0].step == END ? 10 : 1;
}
