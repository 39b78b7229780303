#include "smtp_session.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What a reply is about.  The order is that of a transaction. */
enum step { MAIL, RCPT, DATA, END, RESET };

/* RFC 5321 section 4.5.3.2: seconds for each. */
static const int patience[] = {[MAIL] = 300, [RCPT] = 300, [DATA] = 120, [END] = 600, [RESET] = 300};

struct transaction {
    const struct smtp_message *message;   /* NULL: it has ended, and only its replies are awaited */
    bool refused;                         /* MAIL or RCPT was: nothing may be delivered */
    uint64_t end;                         /* of its content in all that was ever put out; 0: not there yet */
};

struct awaited {
    enum step step;
    int transaction;
};

struct smtp_session {
    struct smtp_client client;
    struct smtp_extensions extensions;
    struct transaction transaction[2];
    int newest;                           /* of the two */
    struct awaited awaited[SMTP_AWAITED]; /* in the order of what was put out */
    int awaited_count;
    char *out;                            /* not yet written: from out_start to out_end */
    size_t out_start, out_end, out_size;
    uint64_t put, written;                /* bytes ever */
    bool failed;                          /* no memory: the output is not whole */
    char line[SMTP_LINE_MOST];
    size_t line_length;
    char reply[SMTP_REPLY_SIZE];          /* the lines of a reply so far, on one */
};

void smtp_extension_read(struct smtp_extensions *extensions, const char *line)
{
    const struct { const char *keyword; bool *announced; } rows[] = {
        {"PIPELINING", &extensions->pipelining},
        {"8BITMIME", &extensions->eight_bit},
        {"SMTPUTF8", &extensions->utf8},
        {"SIZE", &extensions->size},
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

static bool room_make(struct smtp_session *session, size_t more)
{
    size_t used = session->out_end - session->out_start;
    size_t size = session->out_size == 0 ? 8192 : session->out_size;
    char *out;

    if (session->out_size - session->out_end >= more) return true;
    while (size < used + more) size *= 2;
    out = malloc(size);
    if (out == NULL) {
        session->failed = true;
        return false;
    }
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

static void put(struct smtp_session *session, const char *bytes, size_t size)
{
    if (!room_make(session, size)) return;
    memcpy(session->out + session->out_end, bytes, size);
    session->out_end += size;
    session->put += size;
}

static void put_text(struct smtp_session *session, const char *text)
{
    put(session, text, strlen(text));
}

/* RFC 5321 section 4.5.2: a full stop at the beginning of a line is doubled. */
static void put_content(struct smtp_session *session, const char *content, size_t size)
{
    const char *end = content + size;
    bool at_start = true;

    while (content < end) {
        const char *line_end = memchr(content, '\n', (size_t)(end - content));
        size_t length = (size_t)((line_end == NULL ? end : line_end + 1) - content);
        if (*content == '.') put(session, ".", 1);
        put(session, content, length);
        content += length;
        at_start = line_end != NULL;
    }
    put_text(session, at_start ? ".\r\n" : "\r\n.\r\n");
}

static bool is_ascii(const char *text)
{
    while (*text != '\0' && (unsigned char)*text < 0x80) text++;
    return *text == '\0';
}

static void await(struct smtp_session *session, enum step step, int transaction)
{
    session->awaited[session->awaited_count].step = step;
    session->awaited[session->awaited_count++].transaction = transaction;
}

static void put_step(struct smtp_session *session, enum step step)
{
    const struct smtp_message *message = session->transaction[session->newest].message;
    bool utf8 = !is_ascii(message->sender) || !is_ascii(message->recipient);
    char size[32];

    await(session, step, session->newest);
    switch (step) {
    case MAIL:
        put_text(session, "MAIL FROM:<");
        put_text(session, message->sender);
        put_text(session, ">");
        (void)snprintf(size, sizeof size, " SIZE=%zu", message->size);
        if (session->extensions.size) put_text(session, size);
        if (utf8 && session->extensions.eight_bit) put_text(session, " BODY=8BITMIME");
        if (utf8) put_text(session, " SMTPUTF8");
        break;
    case RCPT:
        put_text(session, "RCPT TO:<");
        put_text(session, message->recipient);
        put_text(session, ">");
        break;
    case DATA: put_text(session, "DATA"); break;
    case RESET: put_text(session, "RSET"); break;
    case END: break;
    }
    put_text(session, "\r\n");
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

static void finish(struct smtp_session *session, struct transaction *transaction,
                   enum smtp_result result, const char *words)
{
    const struct smtp_message *message = transaction->message;

    transaction->message = NULL;
    if (message != NULL) session->client.done(session->client.data, message, result, words);
}

static bool is_awaited(const struct smtp_session *session, int transaction)
{
    for (int i = 0; i < session->awaited_count; i++) {
        if (session->awaited[i].transaction == transaction) return true;
    }
    return false;
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

void smtp_session_fill(struct smtp_session *session)
{
    int other = 1 - session->newest;
    const struct smtp_message *message;

    /* The envelope before must have been answered, and of two contents one: there is one slot each. */
    if (session->failed || is_awaited(session, other) ||
        (is_awaited(session, session->newest) &&
         (!session->extensions.pipelining || session->transaction[session->newest].end == 0))) {
        return;
    }
    while ((message = session->client.next(session->client.data)) != NULL) {
        const char *problem = envelope_problem(session, message);
        if (problem == NULL) break;
        session->client.done(session->client.data, message, SMTP_PERMANENT, problem);
    }
    if (message == NULL) return;
    session->newest = other;
    session->transaction[other] = (struct transaction){message, false, 0};
    put_step(session, MAIL);
    if (!session->extensions.pipelining) return;
    put_step(session, RCPT);
    put_step(session, DATA);
}

/* RFC 5321 sections 4.2.1 and 4.2.3; what is about the client and not about the message may pass. */
static enum smtp_result refusal(enum step step, int code)
{
    static const struct { int step, code; } passing[] = {
        {-1, 503}, {-1, 530}, {-1, 534}, {-1, 535}, {-1, 538}, {RCPT, 552},
    };

    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++) {
        if (passing[i].code == code && (passing[i].step < 0 || passing[i].step == (int)step)) {
            return SMTP_TEMPORARY;
        }
    }
    return code / 100 == 5 ? SMTP_PERMANENT : SMTP_TEMPORARY;
}

static void refuse(struct smtp_session *session, struct transaction *transaction, enum step step,
                   int code)
{
    transaction->refused = true;
    finish(session, transaction, refusal(step, code), session->reply);
}

/* What was agreed so far is taken back, so that the next message begins afresh. */
static void start_over(struct smtp_session *session, struct transaction *transaction)
{
    put_step(session, RESET);
    /* Nothing of it is to come. */
    transaction->end = session->put;
}

/* The server wants the content.  After a refusal it gets none, and has nobody to deliver that to. */
static void content_put(struct smtp_session *session, struct transaction *transaction)
{
    const struct smtp_message *message = transaction->message;

    await(session, END, session->newest);
    if (message == NULL) {
        put_text(session, ".\r\n");
    } else {
        put_content(session, message->content, message->size);
    }
    transaction->end = session->put;
    if (session->extensions.pipelining) smtp_session_fill(session);
}

/* False for a reply that can not be one to this step. */
static bool answered(struct smtp_session *session, const struct awaited *awaited, int code)
{
    struct transaction *transaction = &session->transaction[awaited->transaction];
    bool pipelining = session->extensions.pipelining;
    bool good = code / 100 == (awaited->step == DATA ? 3 : 2);
    bool bad = code / 100 == 4 || code / 100 == 5;

    if (!good && !bad) return false;
    switch (awaited->step) {
    case MAIL:
    case RCPT:
        if (bad && !transaction->refused) refuse(session, transaction, awaited->step, code);
        if (pipelining) return true;
        if (bad) {
            start_over(session, transaction);
        } else {
            put_step(session, awaited->step == MAIL ? RCPT : DATA);
        }
        return true;
    case DATA:
        if (good) {
            content_put(session, transaction);
            return true;
        }
        if (!transaction->refused) refuse(session, transaction, DATA, code);
        start_over(session, transaction);
        return true;
    case END:
        finish(session, transaction, good ? SMTP_ACCEPTED : refusal(END, code), session->reply);
        return true;
    case RESET:
        break;
    }
    return good;
}

/* Input */

/* "250-text" and "250 text": the code once, then the texts of all lines. */
static void reply_append(struct smtp_session *session, const char *line)
{
    size_t length = strlen(session->reply);

    (void)snprintf(session->reply + length, sizeof session->reply - length, "%s%s",
                   length == 0 || line[3] == '\0' ? "" : " ",
                   length == 0 ? line : line[3] == '\0' ? "" : line + 4);
}

static bool line_take(struct smtp_session *session)
{
    const char *line = session->line;
    struct awaited awaited;
    int code;
    bool makes_sense;

    if (!isdigit((unsigned char)line[0]) || !isdigit((unsigned char)line[1]) ||
        !isdigit((unsigned char)line[2]) || strchr("- ", line[3]) == NULL) {
        return false;
    }
    reply_append(session, line);
    if (line[3] == '-') return true;
    code = (int)strtol(line, NULL, 10);
    /* RFC 5321 section 3.8: after 421 the server is gone. */
    if (session->awaited_count == 0 || code == 421) return false;
    awaited = session->awaited[0];
    session->awaited_count--;
    memmove(session->awaited, session->awaited + 1,
            (size_t)session->awaited_count * sizeof session->awaited[0]);
    makes_sense = answered(session, &awaited, code);
    if (makes_sense) session->reply[0] = '\0';
    return makes_sense && !session->failed;
}

bool smtp_session_input(struct smtp_session *session, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n') {
            while (session->line_length > 0 && session->line[session->line_length - 1] == '\r') {
                session->line_length--;
            }
            session->line[session->line_length] = '\0';
            session->line_length = 0;
            if (!line_take(session)) return false;
        } else if (session->line_length + 1 < sizeof session->line && bytes[i] != '\0') {
            session->line[session->line_length++] = bytes[i];
        }
    }
    return true;
}

void smtp_session_lost(struct smtp_session *session, const char *words)
{
    /* The server's last words, when they were the reason. */
    const char *told = session->reply[0] != '\0' ? session->reply : words;

    for (int i = 0; i < 2; i++) {
        /* The older first. */
        struct transaction *transaction = &session->transaction[i == 0 ? 1 - session->newest
                                                                       : session->newest];
        bool whole = transaction->end != 0 && session->written >= transaction->end;
        finish(session, transaction, whole ? SMTP_UNKNOWN : SMTP_TEMPORARY, told);
    }
}

int smtp_session_awaited(const struct smtp_session *session)
{
    return session->awaited_count;
}

int smtp_session_patience(const struct smtp_session *session)
{
    return session->awaited_count == 0 ? 0 : patience[session->awaited[0].step];
}
