/*
** One SMTP connection as the client lives it (RFC 5321), from after EHLO, STARTTLS and AUTH on: what to
** write, what the replies mean, and what became of each message.  A pure leaf: no input or output here,
** no SQLite, no libcurl.
**
** Where the server announced PIPELINING (RFC 2920), a message's envelope goes out in one piece, behind
** the content of the message before it: then two messages are under way, else one.
*/
#ifndef PORTAL_SMTP_SESSION_H
#define PORTAL_SMTP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SMTP_REPLY_SIZE = 400, SMTP_LINE_MOST = 2048, SMTP_AWAITED = 8 };

/* What became of a message.  RFC 5321 section 4.2.1: 2yz, 4yz, 5yz; and RFC 1047's uncertainty. */
enum smtp_result { SMTP_ACCEPTED, SMTP_TEMPORARY, SMTP_PERMANENT, SMTP_UNKNOWN };

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

/* Wipes and frees it; messages under way are forgotten: smtp_session_lost() comes first. */
void smtp_session_free(struct smtp_session *session);

/* Asks for messages, if there is room for one, and puts them into the output. */
void smtp_session_fill(struct smtp_session *session);

/* Bytes to write, NULL when there are none; and how many of them were written. */
const char *smtp_session_output(const struct smtp_session *session, size_t *size);
void smtp_session_written(struct smtp_session *session, size_t size);

/* Bytes that were read.  False when the connection is to be closed: what the server said made no sense, or it said goodbye. */
bool smtp_session_input(struct smtp_session *session, const char *bytes, size_t size);

/*
** The connection is gone or given up.  What was under way ends: temporary when the end of its content
** surely was not written, else unknown.
*/
void smtp_session_lost(struct smtp_session *session, const char *words);

/* Replies that are awaited; 0: idle. */
int smtp_session_awaited(const struct smtp_session *session);

/* Seconds that the server may take for the reply that is awaited (RFC 5321 section 4.5.3.2). */
int smtp_session_patience(const struct smtp_session *session);

#endif
