/*
** One connection to the mail server: libcurl connects, greets, encrypts, signs in and carries the bytes;
** what is said from then on is the session's, because libcurl's own way of sending waits for one
** connection's reply while all others stand still.
*/
#ifndef PORTAL_SMTP_CONNECTION_H
#define PORTAL_SMTP_CONNECTION_H

#include "smtp_account.h"
#include "smtp_session.h"
#include "timing.h"

/* All zero: closed. */
struct smtp_connection {
    CURL *easy;                       /* NULL: closed */
    struct smtp_session *session;     /* NULL: it does not stand yet */
    curl_socket_t socket;             /* of one that stands */
    struct smtp_extensions extensions;
    bool blocked;                     /* output waits for the socket */
    time_t since;                     /* the next reply is awaited, or it is idle */
    char words[CURL_ERROR_SIZE];      /* what went wrong */
    char refusal[140];                /* ": " and what the server said against it */
};

/*
** Begins to connect, as a transfer of `multi` (NULL: the caller performs it) whose CURLINFO_PRIVATE is `owner`.
** False without memory.
*/
bool smtp_connection_begin(struct smtp_connection *connection, CURLM *multi,
                           const struct account *account, void *owner);

/* The transfer has ended with `code`: gives the connection its session, or is false: words say why. */
bool smtp_connection_stand(struct smtp_connection *connection, CURLcode code,
                           const struct account *account, const struct smtp_client *client);

/* Writes what the session puts out; reads what there is.  False when it broke: words say how. */
bool smtp_connection_write(struct smtp_connection *connection);
bool smtp_connection_read(struct smtp_connection *connection);

/* It stands and awaits nothing. */
bool smtp_connection_is_idle(const struct smtp_connection *connection);

/* When, by timing_uptime(), the server will have taken longer than `timeout` seconds for the awaited reply. */
time_t smtp_connection_until(const struct smtp_connection *connection, int timeout);

/* Closes it, with a goodbye if it is idle. */
void smtp_connection_close(struct smtp_connection *connection, CURLM *multi);

#endif
