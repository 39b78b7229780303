#include "smtp_connection.h"

#include <stdio.h>
#include <string.h>

/*
** Lines of the server while libcurl speaks with it: the last reply to EHLO counts; and if it is refused
** then, the first line of that.
*/
static size_t greeting_line(char *line, size_t size, size_t count, void *data)
{
    struct smtp_connection *connection = data;
    char text[128];

    (void)snprintf(text, sizeof text, "%.*s", (int)(size * count), line);
    if (text[0] == '2' || text[0] == '3') {
        connection->refusal[0] = '\0';
    } else if (connection->refusal[0] == '\0') {
        (void)snprintf(connection->refusal, sizeof connection->refusal, ": %.*s",
                       (int)strcspn(text, "\r\n"), text);
    }
    if (strncmp(text, "220", 3) == 0) {
        /* What was announced before TLS is not to be believed (RFC 3207 section 4.2). */
        memset(&connection->extensions, 0, sizeof connection->extensions);
    }
    smtp_extension_read(&connection->extensions, text);
    return size * count;
}

/* False without memory. */
static bool easy_prepare(struct smtp_connection *connection, const struct account *account, void *owner)
{
    CURL *easy = connection->easy;
    unsigned failed = !smtp_account_apply(account, easy);

    failed |= curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    failed |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    failed |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, connection->words);
    failed |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, greeting_line);
    failed |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, connection);
    failed |= curl_easy_setopt(easy, CURLOPT_PRIVATE, owner);
    return failed == 0;
}

bool smtp_connection_begin(struct smtp_connection *connection, CURLM *multi,
                           const struct account *account, void *owner)
{
    memset(connection, 0, sizeof *connection);
    connection->since = timing_uptime();
    connection->easy = curl_easy_init();
    if (connection->easy == NULL) return false;
    if (easy_prepare(connection, account, owner) &&
        (multi == NULL || curl_multi_add_handle(multi, connection->easy) == CURLM_OK)) {
        return true;
    }
    curl_easy_cleanup(connection->easy);
    connection->easy = NULL;
    return false;
}

static bool broke(struct smtp_connection *connection, const char *words)
{
    (void)snprintf(connection->words, sizeof connection->words, "%s", words);
    return false;
}

/* libcurl tells the code at most: what to do about it is in the server's words. */
static bool refused(struct smtp_connection *connection, CURLcode code)
{
    size_t length;

    if (connection->words[0] == '\0') (void)broke(connection, curl_easy_strerror(code));
    length = strlen(connection->words);
    (void)snprintf(connection->words + length, sizeof connection->words - length, "%s",
                   connection->refusal);
    return false;
}

bool smtp_connection_stand(struct smtp_connection *connection, CURLcode code,
                           const struct account *account, const struct smtp_client *client)
{
    if (code != CURLE_OK) return refused(connection, code);
    /* libcurl goes on without. */
    if (*account->value[SMTP_USER] != '\0' && !connection->extensions.auth) {
        return broke(connection, "the mail server lets nobody sign in; is smtp_user needed?");
    }
    if (curl_easy_getinfo(connection->easy, CURLINFO_ACTIVESOCKET, &connection->socket) != CURLE_OK) {
        return broke(connection, "the mail server closed the connection");
    }
    connection->session = smtp_session_new(client, &connection->extensions);
    connection->since = timing_uptime();
    return connection->session != NULL || broke(connection, "out of memory");
}

bool smtp_connection_write(struct smtp_connection *connection)
{
    const char *bytes;
    size_t size = 0;

    connection->blocked = false;
    while ((bytes = smtp_session_output(connection->session, &size)) != NULL) {
        size_t written = 0;
        CURLcode code = curl_easy_send(connection->easy, bytes, size, &written);
        if (code == CURLE_AGAIN) {
            connection->blocked = true;
            return true;
        }
        if (code != CURLE_OK) return broke(connection, "the connection to the mail server broke");
        smtp_session_written(connection->session, written);
        connection->since = timing_uptime();
    }
    return true;
}

bool smtp_connection_read(struct smtp_connection *connection)
{
    char bytes[4096];
    size_t size = sizeof bytes;
    int awaited = smtp_session_awaited(connection->session);

    /* A full buffer was not all; with TLS, what is left would wake up nobody. */
    while (size == sizeof bytes) {
        CURLcode code = curl_easy_recv(connection->easy, bytes, sizeof bytes, &size);
        if (code == CURLE_AGAIN) return true;
        if (code != CURLE_OK || size == 0) return broke(connection, "the mail server closed the connection");
        if (!smtp_session_input(connection->session, bytes, size)) {
            return broke(connection, "the mail server said what is no reply");
        }
    }
    /* Bytes alone are no reply: some server may send one a second.  What a reply brings about is written. */
    if (smtp_session_awaited(connection->session) != awaited) connection->since = timing_uptime();
    return true;
}

bool smtp_connection_is_idle(const struct smtp_connection *connection)
{
    return connection->session != NULL && smtp_session_awaited(connection->session) == 0;
}

time_t smtp_connection_until(const struct smtp_connection *connection, int timeout)
{
    return connection->since + (time_t)timeout * smtp_session_patience(connection->session);
}

void smtp_connection_close(struct smtp_connection *connection, CURLM *multi)
{
    static const char quit[] = "QUIT\r\n";
    size_t written = 0;

    if (connection->easy == NULL) return;
    if (smtp_connection_is_idle(connection)) {
        (void)curl_easy_send(connection->easy, quit, sizeof quit - 1, &written);
    }
    if (multi != NULL) (void)curl_multi_remove_handle(multi, connection->easy);
    curl_easy_cleanup(connection->easy);
    smtp_session_free(connection->session);
    connection->easy = NULL;
    connection->session = NULL;
}
