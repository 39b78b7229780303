/*
** One SMTP connection as the client lives it (RFC 5321), from after EHLO, STARTTLS and AUTH on: what to
** write, what the replies mean, and what became of each message.  A pure leaf: no input or output here,
** no SQLite, no libcurl.
**
** Where the server announced PIPELINING (RFC 2920), a message's envelope goes out in one piece; but never
** behind the content of the message before it, which the RFC allows: servers that take their time over
** that content are known to answer the envelope first.
*/
#ifndef PORTAL_SMTP_SESSION_H
#define PORTAL_SMTP_SESSION_H

#include <stdbool.h>
#include <stddef.h>

/* What became of a message: RFC 5321 section 4.2.1's 2yz, 4yz, 5yz; and what no reply tells. */
enum smtp_result {
    SMTP_ACCEPTED,
    SMTP_TEMPORARY,
    SMTP_PERMANENT,
    SMTP_DENIED,                    /* the client is, whatever it sends: it has to sign in, say */
    SMTP_UNTOUCHED,                 /* the connection ended before anything of it was answered */
    SMTP_UNKNOWN                    /* it ended after all was written: RFC 1047 */
};

/* A message to send.  All of it belongs to the caller, until done() was called. */
struct smtp_message {
    const char *sender;             /* addr-spec; UTF-8 needs SMTPUTF8 */
    const char *recipient;
    const char *content;            /* RFC 5322, lines ended by CR LF */
    size_t size;
};

/* What the server announced in its reply to EHLO. */
struct smtp_extensions {
    bool pipelining;                /* RFC 2920 */
    bool eight_bit;                 /* RFC 6152 */
    bool utf8;                      /* RFC 6531 */
    bool size;                      /* RFC 1870 */
    bool auth;                      /* RFC 4954 */
};

/* Takes one line of the reply to EHLO, "250-PIPELINING" with or without its line break. */
void smtp_extension_read(struct smtp_extensions *extensions, const char *line);

struct smtp_session;

/* What a session asks of whoever runs it. */
struct smtp_client {
    /* The next message to send, or NULL. */
    const struct smtp_message *(*next)(void *data);

    /* The end of one: `words` are the server's, or say what went wrong; on one line. */
    void (*done)(void *data, const struct smtp_message *message, enum smtp_result result,
                 const char *words);
    void *data;
};

/* NULL without memory. */
struct smtp_session *smtp_session_new(const struct smtp_client *client,
                                      const struct smtp_extensions *extensions);

/* Wipes and frees it; a message under way is forgotten: smtp_session_lost() comes first. */
void smtp_session_free(struct smtp_session *session);

/* When nothing is under way, asks for a message and puts its envelope into the output. */
void smtp_session_fill(struct smtp_session *session);

/* Bytes to write, NULL when there are none; and how many of them were written. */
const char *smtp_session_output(const struct smtp_session *session, size_t *size);
void smtp_session_written(struct smtp_session *session, size_t size);

/*
** Bytes that were read.  False when the connection is to be closed: the server said goodbye, or what is
** no reply to what was written.
*/
bool smtp_session_input(struct smtp_session *session, const char *bytes, size_t size);

/* The connection is gone or given up: a message under way ends, with the server's last words or these. */
void smtp_session_lost(struct smtp_session *session, const char *words);

/* The message under way, or NULL. */
const struct smtp_message *smtp_session_message(const struct smtp_session *session);

/* Replies that are awaited; 0: idle. */
int smtp_session_awaited(const struct smtp_session *session);

/*
** How much longer than for other replies to wait for the awaited one.  RFC 5321 section 4.5.3.2.6 gives
** the server the most time after the content, because giving up there makes duplicates.
*/
int smtp_session_patience(const struct smtp_session *session);

#endif
