/*
** The channel smtp: hands mail over to a mail server (RFC 5321 and, to its own, RFC 6409).
**
** libcurl connects, greets, encrypts and signs in, and carries the bytes; what is said from then on is
** smtp_session.c's, because libcurl's own way of sending waits for one connection's reply while all others
** stand still.  Connections stay open for the next messages of the same database connection.
*/
#include "../portal.h"

#include "smtp_session.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

SQLITE_EXTENSION_INIT1

enum {
    CONNECTIONS_MOST = 100,
    WAIT_MILLISECONDS = 250,
    CONNECT_SECONDS = 30,          /* to a connection that may be used */
    IDLE_SECONDS = 60,             /* after which a kept one is not trusted */
    MARGIN_SECONDS = 10,           /* before a message's deadline */
    END_SECONDS = 10,              /* for what is under way after an interrupt */
    WORDS_SIZE = 400
};

static const portal_option options[] = {
    {"smtp_url", PORTAL_OPTION_URL, "", 0, 200,
     "Mail server: smtp://host:port, with STARTTLS, or smtps://host:port."},
    {"smtp_user", PORTAL_OPTION_LINE, "", 0, 200, "User to sign in to the mail server as. Empty: none."},
    {"smtp_password", PORTAL_OPTION_SECRET, NULL, 1, 400, "Password of smtp_user."},
    {"smtp_connections", PORTAL_OPTION_NUMBER, "10", 1, CONNECTIONS_MOST,
     "Connections to the mail server at once, at most."},
    {"smtp_tls", PORTAL_OPTION_LINE, "auto", 1, 10,
     "TLS of smtp://: auto (required, but not to this very machine), required, or off."},
    {"smtp_ca_file", PORTAL_OPTION_LINE, "", 0, 1000,
     "File of certificates to trust instead of the system's, as PEM."},
    {NULL, PORTAL_OPTION_LINE, NULL, 0, 0, NULL},
};

/* A message under way. */
struct item {
    struct smtp_message message;   /* first */
    const portal_outgoing *outgoing;
    char *content;
    struct item *next;
};

enum state { CLOSED, CONNECTING, OPEN };

struct connection {
    struct smtp *smtp;
    CURL *easy;
    enum state state;
    curl_socket_t socket;
    struct smtp_extensions extensions;
    struct smtp_session *session;
    struct item *first;            /* what it was opened for */
    bool blocked;                  /* output waits for the socket */
    time_t since;                  /* it waits for a reply, or is idle */
    char error[CURL_ERROR_SIZE];
};

/* What connections are made with; another one makes them anew. */
struct account {
    char *url, *user, *password, *tls, *ca_file, *connections;
};

struct smtp {
    portal_api *api;
    struct account account;
    CURLM *multi;
    int limit;                     /* of connections */
    struct connection connection[CONNECTIONS_MOST];
    portal_batch *batch;           /* of the running deliver() */
    struct item *returned;         /* messages whose connection never came about */
    bool stopping;                 /* no more messages are taken */
    bool full;                     /* the server takes no more connections */
    int code;                      /* what the extension said */
    int losses;                    /* connections lost since the last message came to an end */
    time_t end;                    /* when what is under way is given up after an interrupt */
    char trouble[WORDS_SIZE];
};

static time_t now(void)
{
    struct timespec time = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return time.tv_sec;
}

/* Messages */

static void item_free(struct item *item)
{
    if (item->content != NULL) {
        memset(item->content, 0, item->message.size);
        sqlite3_free(item->content);
    }
    free(item);
}

static void item_end(struct smtp *smtp, struct item *item, portal_result result, const char *words)
{
    portal_report report = {result, words, 0};
    int code = smtp->batch->report(smtp->batch, item->outgoing, &report);

    if (code != SQLITE_OK) smtp->code = code;
    item_free(item);
}

static struct item *item_new(struct smtp *smtp, const portal_outgoing *outgoing)
{
    struct item *item = calloc(1, sizeof *item);

    if (item == NULL) return NULL;
    item->outgoing = outgoing;
    item->content = smtp->api->mail(smtp->api, outgoing, "\r\n", &item->message.size);
    item->message.sender = outgoing->sender;
    item->message.recipient = outgoing->recipient;
    item->message.content = item->content;
    return item;
}

/* The next message that has a form, or NULL. */
static struct item *item_next(struct smtp *smtp)
{
    struct item *item = smtp->returned;
    const portal_outgoing *outgoing;

    if (item != NULL) {
        smtp->returned = item->next;
        return item;
    }
    while (!smtp->stopping && smtp->code == SQLITE_OK &&
           (outgoing = smtp->batch->next(smtp->batch)) != NULL) {
        item = item_new(smtp, outgoing);
        if (item == NULL) {
            smtp->code = SQLITE_NOMEM;
        } else if (item->content != NULL) {
            return item;
        } else if (item->message.size == 0) {
            item_end(smtp, item, PORTAL_UNDELIVERABLE, "a header would be malformed");
        } else {
            item_end(smtp, item, PORTAL_RETRY, "out of memory");
        }
    }
    return NULL;
}

static const struct smtp_message *session_next(void *data)
{
    struct connection *connection = data;
    struct item *item = connection->first;

    connection->first = NULL;
    if (item == NULL) item = item_next(connection->smtp);
    return item == NULL ? NULL : &item->message;
}

static void session_done(void *data, const struct smtp_message *message, enum smtp_result result,
                         const char *words)
{
    static const portal_result results[] = {
        [SMTP_ACCEPTED] = PORTAL_SENT, [SMTP_TEMPORARY] = PORTAL_RETRY,
        [SMTP_PERMANENT] = PORTAL_UNDELIVERABLE, [SMTP_UNKNOWN] = PORTAL_UNCERTAIN,
    };
    struct connection *connection = data;

    connection->smtp->losses = 0;
    item_end(connection->smtp, (struct item *)message, results[result], words);
}

/* The account */

static void wipe_free(char *text)
{
    if (text != NULL) memset(text, 0, strlen(text));
    sqlite3_free(text);
}

static void account_clear(struct account *account)
{
    wipe_free(account->password);
    sqlite3_free(account->url);
    sqlite3_free(account->user);
    sqlite3_free(account->tls);
    sqlite3_free(account->ca_file);
    sqlite3_free(account->connections);
    memset(account, 0, sizeof *account);
}

static bool account_read(portal_api *api, struct account *account)
{
    account->url = api->setting(api, "smtp_url");
    account->user = api->setting(api, "smtp_user");
    account->password = api->secret(api, "smtp_password");
    account->tls = api->setting(api, "smtp_tls");
    account->ca_file = api->setting(api, "smtp_ca_file");
    account->connections = api->setting(api, "smtp_connections");
    return account->url != NULL && account->user != NULL && account->tls != NULL &&
           account->ca_file != NULL && account->connections != NULL;
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool account_is(const struct account *a, const struct account *b)
{
    return same(a->url, b->url) && same(a->user, b->user) && same(a->password, b->password) &&
           same(a->tls, b->tls) && same(a->ca_file, b->ca_file) &&
           same(a->connections, b->connections);
}

/* The host of an URL is this very machine: nobody is on the way. */
static bool is_loopback(const char *url)
{
    CURLU *parsed = curl_url();
    char *host = NULL;
    bool loopback = false;

    if (parsed != NULL && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
        loopback = strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
                   strcmp(host, "[::1]") == 0;
    }
    curl_free(host);
    curl_url_cleanup(parsed);
    return loopback;
}

static char *account_problem(const struct account *account)
{
    static const char *const modes[] = {"auto", "required", "off"};
    bool known = false;

    if (*account->url == '\0') return sqlite3_mprintf("set smtp_url");
    if (strncmp(account->url, "smtp://", 7) != 0 && strncmp(account->url, "smtps://", 8) != 0) {
        return sqlite3_mprintf("smtp_url must begin with smtp:// or smtps://");
    }
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(account->tls, modes[i]) == 0) known = true;
    }
    if (!known) return sqlite3_mprintf("smtp_tls is auto, required or off");
    if (*account->user != '\0' && account->password == NULL) {
        return sqlite3_mprintf("store the password of %s with portal_secret('smtp_password', ...)",
                               account->user);
    }
    return NULL;
}

static char *smtp_problem(void *data)
{
    struct smtp *smtp = data;
    struct account account = {0};
    char *problem = account_read(smtp->api, &account) ? account_problem(&account)
                                                      : sqlite3_mprintf("out of memory");

    account_clear(&account);
    return problem;
}

/* Connections */

static void connection_close(struct connection *connection)
{
    if (connection->easy != NULL) {
        (void)curl_multi_remove_handle(connection->smtp->multi, connection->easy);
        curl_easy_cleanup(connection->easy);
    }
    smtp_session_free(connection->session);
    connection->easy = NULL;
    connection->session = NULL;
    connection->state = CLOSED;
}

/* What went wrong, for the rows of messages and for whoever asked for the delivery. */
static void trouble_set(struct smtp *smtp, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(smtp->trouble, sizeof smtp->trouble, format, arguments);
    va_end(arguments);
}

/* It was open and is of no use any more. */
static void connection_lost(struct connection *connection, const char *words)
{
    struct smtp *smtp = connection->smtp;
    int losses = smtp->losses + 1;

    smtp_session_lost(connection->session, words);
    connection_close(connection);
    smtp->losses = losses;
    if (losses > smtp->limit) {
        trouble_set(smtp, "%s: %s", smtp->account.url, words);
        smtp->stopping = true;
    }
}

/* Lines of the server while libcurl speaks with it: the last reply to EHLO counts. */
static size_t greeting_line(char *line, size_t size, size_t count, void *data)
{
    struct connection *connection = data;
    char text[128];

    (void)snprintf(text, sizeof text, "%.*s", (int)(size * count), line);
    if (strncmp(text, "220", 3) == 0) {
        /* What was announced before TLS is not to be believed (RFC 3207 section 4.2). */
        memset(&connection->extensions, 0, sizeof connection->extensions);
    }
    smtp_extension_read(&connection->extensions, text);
    return size * count;
}

static bool connection_options(struct connection *connection)
{
    const struct account *account = &connection->smtp->account;
    CURL *easy = connection->easy;
    bool plain = strcmp(account->tls, "off") == 0 ||
                 (strcmp(account->tls, "auto") == 0 && is_loopback(account->url));
    bool set = curl_easy_setopt(easy, CURLOPT_URL, account->url) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps") == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_USE_SSL,
                                plain ? (long)CURLUSESSL_NONE : (long)CURLUSESSL_ALL) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)CONNECT_SECONDS) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, connection->error) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, greeting_line) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_HEADERDATA, connection) == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_PRIVATE, connection) == CURLE_OK;

    if (set && *account->ca_file != '\0') {
        set = curl_easy_setopt(easy, CURLOPT_CAINFO, account->ca_file) == CURLE_OK;
    }
    if (set && *account->user != '\0') {
        set = curl_easy_setopt(easy, CURLOPT_USERNAME, account->user) == CURLE_OK &&
              curl_easy_setopt(easy, CURLOPT_PASSWORD, account->password) == CURLE_OK;
    }
    return set;
}

static void connection_start(struct connection *connection, struct item *first)
{
    struct smtp *smtp = connection->smtp;

    connection->first = first;
    connection->error[0] = '\0';
    connection->blocked = false;
    memset(&connection->extensions, 0, sizeof connection->extensions);
    connection->easy = curl_easy_init();
    if (connection->easy != NULL && connection_options(connection) &&
        curl_multi_add_handle(smtp->multi, connection->easy) == CURLM_OK) {
        connection->state = CONNECTING;
        return;
    }
    connection_close(connection);
    connection->first = NULL;
    item_end(smtp, first, PORTAL_RETRY, "out of memory");
    smtp->code = SQLITE_NOMEM;
}

static int connections_in(const struct smtp *smtp, enum state state)
{
    int count = 0;

    for (int i = 0; i < smtp->limit; i++) count += smtp->connection[i].state == state;
    return count;
}

/* One for each message that finds no other, up to the limit. */
static void connections_start(struct smtp *smtp)
{
    for (int i = 0; i < smtp->limit; i++) {
        struct item *item;
        if (smtp->connection[i].state != CLOSED) continue;
        item = smtp->full ? NULL : item_next(smtp);
        if (item == NULL) return;
        connection_start(&smtp->connection[i], item);
    }
}

/* A server that takes no more connections still serves those it took. */
static void connection_failed(struct connection *connection, CURLcode code)
{
    struct smtp *smtp = connection->smtp;
    struct item *first = connection->first;

    trouble_set(smtp, "%s: %s", smtp->account.url,
                connection->error[0] != '\0' ? connection->error : curl_easy_strerror(code));
    connection->first = NULL;
    connection_close(connection);
    if (connections_in(smtp, OPEN) > 0) {
        first->next = smtp->returned;
        smtp->returned = first;
        smtp->full = true;
        return;
    }
    item_end(smtp, first, PORTAL_RETRY, smtp->trouble);
    smtp->stopping = true;
}

static void connection_opened(struct connection *connection)
{
    const struct smtp_client client = {session_next, session_done, connection};
    struct smtp *smtp = connection->smtp;

    connection->session = smtp_session_new(&client, &connection->extensions);
    if (connection->session == NULL ||
        curl_easy_getinfo(connection->easy, CURLINFO_ACTIVESOCKET, &connection->socket) != CURLE_OK) {
        connection_failed(connection, CURLE_OUT_OF_MEMORY);
        return;
    }
    connection->state = OPEN;
    connection->since = now();
    smtp->losses = 0;
}

static void connections_arrive(struct smtp *smtp)
{
    const CURLMsg *message;
    int running = 0;
    int left = 0;

    (void)curl_multi_perform(smtp->multi, &running);
    while ((message = curl_multi_info_read(smtp->multi, &left)) != NULL) {
        struct connection *connection = NULL;
        CURLcode code = message->data.result;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &connection);
        if (connection->state != CONNECTING) continue;
        if (code == CURLE_OK) {
            connection_opened(connection);
        } else {
            connection_failed(connection, code);
        }
    }
}

/* What goes in and out */

static void connection_write(struct connection *connection)
{
    const char *bytes;
    size_t size = 0;

    connection->blocked = false;
    while (connection->state == OPEN &&
           (bytes = smtp_session_output(connection->session, &size)) != NULL) {
        size_t written = 0;
        CURLcode code = curl_easy_send(connection->easy, bytes, size, &written);
        if (code == CURLE_AGAIN) {
            connection->blocked = true;
            return;
        }
        if (code != CURLE_OK) {
            connection_lost(connection, "the connection to the mail server broke");
            return;
        }
        smtp_session_written(connection->session, written);
        connection->since = now();
    }
}

static void connection_read(struct connection *connection)
{
    char bytes[4096];
    size_t size = sizeof bytes;

    /* A full buffer may not have been all; with TLS, what is left would wake up nobody. */
    while (connection->state == OPEN && size > 0) {
        CURLcode code = curl_easy_recv(connection->easy, bytes, sizeof bytes, &size);
        if (code == CURLE_AGAIN) return;
        if (code != CURLE_OK || size == 0) {
            connection_lost(connection, "the mail server closed the connection");
        } else if (!smtp_session_input(connection->session, bytes, size)) {
            connection_lost(connection, "the mail server said what is no reply");
        } else {
            connection->since = now();
        }
    }
}

/* Seconds until what is under way on a connection has taken too long. */
static time_t connection_left(const struct connection *connection)
{
    const struct smtp *smtp = connection->smtp;
    time_t left = connection->since + smtp_session_patience(connection->session) - now();

    if (smtp->end != 0 && smtp->end - now() < left) left = smtp->end - now();
    return left;
}

/* Wherever nothing is under way. */
static void connections_fill(struct smtp *smtp)
{
    for (int i = 0; i < smtp->limit; i++) {
        struct connection *connection = &smtp->connection[i];
        if (connection->state != OPEN) continue;
        smtp_session_fill(connection->session);
        if (!connection->blocked) connection_write(connection);
    }
    connections_start(smtp);
}

static bool is_busy(const struct connection *connection)
{
    return connection->state == CONNECTING ||
           (connection->state == OPEN && smtp_session_awaited(connection->session) > 0);
}

static bool any_busy(const struct smtp *smtp)
{
    for (int i = 0; i < smtp->limit; i++) {
        if (is_busy(&smtp->connection[i])) return true;
    }
    return false;
}

static void connections_wait(struct smtp *smtp)
{
    struct curl_waitfd waits[CONNECTIONS_MOST];
    struct connection *who[CONNECTIONS_MOST];
    unsigned count = 0;

    for (int i = 0; i < smtp->limit; i++) {
        struct connection *connection = &smtp->connection[i];
        if (connection->state != OPEN || !is_busy(connection)) continue;
        who[count] = connection;
        waits[count].fd = connection->socket;
        waits[count].events = (short)(CURL_WAIT_POLLIN | (connection->blocked ? CURL_WAIT_POLLOUT : 0));
        waits[count++].revents = 0;
    }
    (void)curl_multi_poll(smtp->multi, waits, count, WAIT_MILLISECONDS, NULL);
    for (unsigned i = 0; i < count; i++) {
        if ((waits[i].revents & CURL_WAIT_POLLOUT) != 0) connection_write(who[i]);
        if ((waits[i].revents & ~CURL_WAIT_POLLOUT) != 0) connection_read(who[i]);
        if (who[i]->state == OPEN && is_busy(who[i]) && connection_left(who[i]) <= 0) {
            connection_lost(who[i], "the mail server took too long to answer");
        }
    }
    connections_arrive(smtp);
}

/* A kept connection on which the server has spoken, or hung up, or may soon. */
static void connections_check(struct smtp *smtp)
{
    for (int i = 0; i < CONNECTIONS_MOST; i++) {
        struct connection *connection = &smtp->connection[i];
        struct pollfd poll_for = {connection->socket, POLLIN, 0};
        if (connection->state != OPEN) continue;
        if (i >= smtp->limit || now() - connection->since > IDLE_SECONDS || poll(&poll_for, 1, 0) != 0) {
            connection_close(connection);
        }
    }
}

static void connections_close(struct smtp *smtp)
{
    static const char quit[] = "QUIT\r\n";

    for (int i = 0; i < CONNECTIONS_MOST; i++) {
        struct connection *connection = &smtp->connection[i];
        size_t written = 0;
        if (connection->state == OPEN && !is_busy(connection)) {
            (void)curl_easy_send(connection->easy, quit, sizeof quit - 1, &written);
        }
        if (connection->state != CLOSED) connection_close(connection);
    }
}

/* Takes over the account; connections of another one are closed. */
static bool account_take(struct smtp *smtp)
{
    struct account account = {0};

    if (!account_read(smtp->api, &account)) {
        account_clear(&account);
        return false;
    }
    if (!account_is(&smtp->account, &account)) connections_close(smtp);
    account_clear(&smtp->account);
    smtp->account = account;
    smtp->limit = (int)strtol(account.connections, NULL, 10);
    return smtp->limit >= 1 && smtp->limit <= CONNECTIONS_MOST;
}

/* After an interrupt what is under way gets some seconds more. */
static void interrupt_heed(struct smtp *smtp)
{
    int code = smtp->batch->settle(smtp->batch);

    if (code == SQLITE_OK) return;
    smtp->stopping = true;
    if (code != SQLITE_INTERRUPT) smtp->code = code;
    if (smtp->end == 0) smtp->end = now() + END_SECONDS;
}

static int smtp_deliver(void *data, portal_batch *batch)
{
    struct smtp *smtp = data;

    smtp->batch = batch;
    smtp->stopping = false;
    smtp->full = false;
    smtp->losses = 0;
    smtp->end = 0;
    smtp->code = SQLITE_OK;
    smtp->trouble[0] = '\0';
    if (!account_take(smtp)) return SQLITE_NOMEM;
    connections_check(smtp);
    for (;;) {
        connections_fill(smtp);
        if (!any_busy(smtp)) break;
        interrupt_heed(smtp);
        connections_wait(smtp);
    }
    while (smtp->returned != NULL) item_end(smtp, item_next(smtp), PORTAL_RETRY, smtp->trouble);
    if (smtp->code == SQLITE_OK && smtp->trouble[0] != '\0' && smtp->stopping) {
        batch->explain(batch, smtp->trouble);
        return SQLITE_ERROR;
    }
    return smtp->code;
}

static void smtp_destroy(void *data)
{
    struct smtp *smtp = data;

    connections_close(smtp);
    (void)curl_multi_cleanup(smtp->multi);
    account_clear(&smtp->account);
    free(smtp);
}

int portal_plugin_init(sqlite3 *db, char **error, const sqlite3_api_routines *routines);

__attribute__((visibility("default"))) int portal_plugin_init(sqlite3 *db, char **error,
                                                              const sqlite3_api_routines *routines)
{
    static const portal_channel channel = {
        PORTAL_API_VERSION, "smtp", PORTAL_EMAIL, "1", smtp_deliver, smtp_problem, options,
    };
    struct smtp *smtp;
    portal_api *api;

    SQLITE_EXTENSION_INIT2(routines);
    api = portal_api_from_db(db);
    if (api == NULL || api->version < 1) return SQLITE_ERROR;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        *error = sqlite3_mprintf("libcurl did not start");
        return SQLITE_ERROR;
    }
    smtp = calloc(1, sizeof *smtp);
    if (smtp == NULL) return SQLITE_NOMEM;
    smtp->api = api;
    smtp->multi = curl_multi_init();
    if (smtp->multi == NULL) {
        free(smtp);
        return SQLITE_NOMEM;
    }
    for (int i = 0; i < CONNECTIONS_MOST; i++) smtp->connection[i].smtp = smtp;
    return api->register_channel(api, &channel, smtp, smtp_destroy);
}
