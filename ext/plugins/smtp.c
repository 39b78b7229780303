/*
** The channel smtp: hands mail over to a mail server (RFC 5321 and, to its own, RFC 6409), over several
** connections at once, which stay open for the next messages of the same database connection.
*/
#include "probe.h"
#include "smtp_connection.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

SQLITE_EXTENSION_INIT1

enum {
    WAIT_MILLISECONDS = 250,
    IDLE_SECONDS = 60,             /* after which a kept connection is not trusted */
    END_SECONDS = 10,              /* for what is under way after an interrupt */
    WORDS_SIZE = 400
};

/* A message under way. */
struct item {
    struct smtp_message message;   /* first */
    const portal_outgoing *outgoing;
    char *content;
    time_t until;                  /* its claim ends soon after */
    struct item *next;
};

/* One of the connections, and what is known of it. */
struct lane {
    struct smtp_connection connection;   /* first */
    struct smtp *smtp;
    struct item *first;            /* what it was opened for */
    bool useful;                   /* a message has come to its end on it */
};

struct smtp {
    portal_api *api;
    struct account account;
    CURLM *multi;
    int limit;                     /* of lanes */
    struct lane lane[SMTP_CONNECTIONS_MOST];
    /* Of the running deliver() */
    portal_batch *batch;
    struct item *returned;         /* messages that wait for another connection */
    bool stopping;                 /* no more messages are taken */
    bool full;                     /* the server took no more connections beside the open ones */
    int code;                      /* what the extension said */
    int losses;                    /* connections in a row that were lost before they were useful */
    time_t end;                    /* when what is under way is given up after an interrupt; 0: never */
    char trouble[WORDS_SIZE];      /* why it stops */
};

/* Messages */

static void item_free(struct item *item)
{
    if (item->content != NULL) memset(item->content, 0, item->message.size);
    sqlite3_free(item->content);
    free(item);
}

static void item_end(struct smtp *smtp, struct item *item, portal_result result, const char *words)
{
    portal_report report = {result, words, 0};
    int code = smtp->batch->report(smtp->batch, item->outgoing, &report);

    if (code != SQLITE_OK) smtp->code = code;
    item_free(item);
}

static void item_return(struct smtp *smtp, struct item *item)
{
    item->next = smtp->returned;
    smtp->returned = item;
}

static struct item *item_new(struct smtp *smtp, const portal_outgoing *outgoing)
{
    struct item *item = calloc(1, sizeof *item);

    if (item == NULL) return NULL;
    item->outgoing = outgoing;
    /* A tenth of its claim is left to report it in. */
    item->until = timing_uptime() + (time_t)(outgoing->deadline - timing_utc()) * 9 / 10;
    item->content = smtp->api->mail(smtp->api, outgoing, "\r\n", &item->message.size);
    item->message.sender = outgoing->sender;
    item->message.recipient = outgoing->recipient;
    item->message.content = item->content;
    return item;
}

/* The next message that has a form, or NULL. */
static struct item *item_next(struct smtp *smtp)
{
    const portal_outgoing *outgoing;
    struct item *item;

    while ((item = smtp->returned) != NULL) {
        smtp->returned = item->next;
        if (item->until > timing_uptime()) return item;
        item_end(smtp, item, PORTAL_RETRY, "its connections took too long");
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

/* What waits for a connection that does not come. */
static void items_give_up(struct smtp *smtp)
{
    while (smtp->returned != NULL) {
        struct item *item = smtp->returned;
        smtp->returned = item->next;
        item_end(smtp, item, PORTAL_RETRY,
                 smtp->trouble[0] != '\0' ? smtp->trouble : "the delivery was interrupted");
    }
}

/* No more is taken: the rest of the backlog keeps its attempts. */
static void stop(struct smtp *smtp, const char *words)
{
    smtp->stopping = true;
    (void)snprintf(smtp->trouble, sizeof smtp->trouble, "%s: %s", smtp->account.value[SMTP_URL], words);
}

/* What a session asks for */

static const struct smtp_message *lane_next(void *data)
{
    struct lane *lane = data;
    struct item *item = lane->first;

    lane->first = NULL;
    if (item == NULL) item = item_next(lane->smtp);
    return item == NULL ? NULL : &item->message;
}

static void lane_done(void *data, const struct smtp_message *message, enum smtp_result result,
                      const char *words)
{
    static const portal_result results[] = {
        [SMTP_ACCEPTED] = PORTAL_SENT,      [SMTP_TEMPORARY] = PORTAL_RETRY,
        [SMTP_PERMANENT] = PORTAL_UNDELIVERABLE, [SMTP_DENIED] = PORTAL_RETRY,
        [SMTP_UNTOUCHED] = PORTAL_RETRY,    [SMTP_UNKNOWN] = PORTAL_UNCERTAIN,
    };
    struct lane *lane = data;
    struct item *item = (struct item *)message;

    /* Servers end a connection after so many messages, or some time: the next one is as good. */
    if (result == SMTP_UNTOUCHED && lane->useful) {
        item_return(lane->smtp, item);
        return;
    }
    lane->useful = true;
    if (result == SMTP_DENIED) stop(lane->smtp, words);
    item_end(lane->smtp, item, results[result], words);
}

/* Lanes */

static bool is_closed(const struct lane *lane)
{
    return lane->connection.easy == NULL;
}

static bool is_open(const struct lane *lane)
{
    return lane->connection.session != NULL;
}

static bool is_busy(const struct lane *lane)
{
    return !is_closed(lane) && !smtp_connection_is_idle(&lane->connection);
}

static int count(const struct smtp *smtp, bool (*is)(const struct lane *lane))
{
    int found = 0;

    for (int i = 0; i < smtp->limit; i++) found += is(&smtp->lane[i]);
    return found;
}

static void lane_close(struct lane *lane)
{
    smtp_connection_close(&lane->connection, lane->smtp->multi);
}

/* It stood, and is of no use any more. */
static void lane_lost(struct lane *lane, const char *words)
{
    struct smtp *smtp = lane->smtp;

    smtp->losses = lane->useful ? 0 : smtp->losses + 1;
    smtp_session_lost(lane->connection.session, words);
    lane_close(lane);
    if (smtp->losses > smtp->limit) stop(smtp, words);
}

/* It never stood.  A server that takes no more connections still serves those it took. */
static void lane_failed(struct lane *lane, const char *words)
{
    struct smtp *smtp = lane->smtp;

    item_return(smtp, lane->first);
    lane->first = NULL;
    smtp->full = true;
    if (count(smtp, is_closed) == smtp->limit - 1) stop(smtp, words);
    lane_close(lane);
}

static void lane_write(struct lane *lane)
{
    if (!smtp_connection_write(&lane->connection)) lane_lost(lane, lane->connection.words);
}

static void lane_read(struct lane *lane)
{
    if (!smtp_connection_read(&lane->connection)) lane_lost(lane, lane->connection.words);
}

static void lane_give_up(struct lane *lane)
{
    static const char words[] = "the mail server took too long to answer";

    if (is_open(lane)) lane_lost(lane, words);
    else lane_failed(lane, words);
}

static time_t earlier(time_t a, time_t b)
{
    return a < b ? a : b;
}

/* What is under way has taken too long. */
static bool is_late(const struct lane *lane)
{
    const struct smtp *smtp = lane->smtp;
    const struct smtp_connection *connection = &lane->connection;
    const struct item *item = lane->first;
    time_t now = timing_uptime();
    time_t until = smtp->end == 0 ? now + 1 : smtp->end;

    if (is_open(lane)) {
        item = (const struct item *)smtp_session_message(connection->session);
        until = earlier(until, smtp_connection_until(connection,
                                                     smtp_account_number(&smtp->account, SMTP_TIMEOUT)));
    }
    if (item != NULL) until = earlier(until, item->until);
    return until <= now;
}

static void lane_begin(struct lane *lane, struct item *first)
{
    struct smtp *smtp = lane->smtp;

    lane->first = first;
    lane->useful = false;
    if (smtp_connection_begin(&lane->connection, smtp->multi, &smtp->account, lane)) return;
    lane->first = NULL;
    item_end(smtp, first, PORTAL_RETRY, "out of memory");
    smtp->code = SQLITE_NOMEM;
}

/* All lanes */

/* Gives messages to whoever has room: to open connections, then to new ones. */
static void lanes_fill(struct smtp *smtp)
{
    for (int i = 0; i < smtp->limit; i++) {
        struct lane *lane = &smtp->lane[i];
        if (!is_open(lane)) continue;
        smtp_session_fill(lane->connection.session);
        if (!lane->connection.blocked) lane_write(lane);
    }
    if (smtp->full && count(smtp, is_closed) < smtp->limit) return;
    smtp->full = false;
    for (int i = 0; i < smtp->limit && !smtp->stopping; i++) {
        struct item *item = is_closed(&smtp->lane[i]) ? item_next(smtp) : NULL;
        if (item != NULL) lane_begin(&smtp->lane[i], item);
    }
}

/* Connections that have come about, or not. */
static void lanes_arrive(struct smtp *smtp)
{
    const CURLMsg *message;
    int running = 0;
    int left = 0;

    (void)curl_multi_perform(smtp->multi, &running);
    while ((message = curl_multi_info_read(smtp->multi, &left)) != NULL) {
        struct lane *lane = NULL;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &lane);
        if (!smtp_connection_stand(&lane->connection, message->data.result, &smtp->account,
                                   &(struct smtp_client){lane_next, lane_done, lane})) {
            lane_failed(lane, lane->connection.words);
        }
    }
}

/* Waits until a server has something to say, and hears it. */
static void lanes_wait(struct smtp *smtp)
{
    struct curl_waitfd waits[SMTP_CONNECTIONS_MOST];
    struct lane *who[SMTP_CONNECTIONS_MOST];
    unsigned waiting = 0;

    for (int i = 0; i < smtp->limit; i++) {
        struct lane *lane = &smtp->lane[i];
        if (!is_open(lane) || !is_busy(lane)) continue;
        who[waiting] = lane;
        waits[waiting].fd = lane->connection.socket;
        waits[waiting].events = (short)(CURL_WAIT_POLLIN | (lane->connection.blocked ? CURL_WAIT_POLLOUT : 0));
        waits[waiting++].revents = 0;
    }
    (void)curl_multi_poll(smtp->multi, waits, waiting, WAIT_MILLISECONDS, NULL);
    for (unsigned i = 0; i < waiting; i++) {
        if ((waits[i].revents & CURL_WAIT_POLLOUT) != 0) lane_write(who[i]);
        if ((waits[i].revents & ~CURL_WAIT_POLLOUT) != 0 && is_open(who[i])) lane_read(who[i]);
    }
    lanes_arrive(smtp);
    for (int i = 0; i < smtp->limit; i++) {
        if (is_busy(&smtp->lane[i]) && is_late(&smtp->lane[i])) lane_give_up(&smtp->lane[i]);
    }
}

/* Closes a kept connection on which the server has spoken, or hung up, or may soon. */
static void lanes_check(struct smtp *smtp)
{
    for (int i = 0; i < SMTP_CONNECTIONS_MOST; i++) {
        struct lane *lane = &smtp->lane[i];
        struct pollfd wait = {lane->connection.socket, POLLIN, 0};
        if (is_open(lane) &&
            (timing_uptime() - lane->connection.since > IDLE_SECONDS || poll(&wait, 1, 0) != 0)) {
            lane_close(lane);
        }
    }
}

static void lanes_close(struct smtp *smtp)
{
    for (int i = 0; i < SMTP_CONNECTIONS_MOST; i++) lane_close(&smtp->lane[i]);
}

/* The channel */

/* Takes over the account; connections of another one are closed. */
static bool account_take(struct smtp *smtp)
{
    struct account account;

    if (!account_read(&account, smtp->api, smtp_options)) {
        account_clear(&account);
        return false;
    }
    if (!account_same(&smtp->account, &account)) lanes_close(smtp);
    account_clear(&smtp->account);
    smtp->account = account;
    smtp->limit = smtp_account_number(&account, SMTP_CONNECTIONS);
    return true;
}

/* After an interrupt what is under way gets some seconds more. */
static void interrupt_heed(struct smtp *smtp)
{
    int code = smtp->batch->settle(smtp->batch);

    if (code == SQLITE_OK) return;
    smtp->stopping = true;
    if (code != SQLITE_INTERRUPT) smtp->code = code;
    if (smtp->end == 0) smtp->end = timing_uptime() + END_SECONDS;
}

static int smtp_deliver(void *data, portal_batch *batch)
{
    struct smtp *smtp = data;

    smtp->batch = batch;
    smtp->stopping = false;
    smtp->full = false;
    smtp->code = SQLITE_OK;
    smtp->losses = 0;
    smtp->end = 0;
    smtp->trouble[0] = '\0';
    if (!account_take(smtp)) return SQLITE_NOMEM;
    lanes_check(smtp);
    for (;;) {
        lanes_fill(smtp);
        if (count(smtp, is_busy) == 0) break;
        interrupt_heed(smtp);
        lanes_wait(smtp);
    }
    items_give_up(smtp);
    if (smtp->code != SQLITE_OK || smtp->trouble[0] == '\0') return smtp->code;
    batch->explain(batch, smtp->trouble);
    return SQLITE_ERROR;
}

static char *smtp_problem(void *data)
{
    const struct smtp *smtp = data;
    struct account account;
    char *problem = account_read(&account, smtp->api, smtp_options) ? smtp_account_problem(&account)
                                                           : sqlite3_mprintf("out of memory");

    account_clear(&account);
    return problem;
}

/* A connection of its own, that says goodbye as soon as it was let in. */
static int account_probe(const struct account *account, char **wrong, sqlite3_int64 *certified_until)
{
    static const struct smtp_client nobody = {.data = NULL};
    struct smtp_connection connection;
    int result = SQLITE_OK;
    CURLcode code;

    if (!smtp_connection_begin(&connection, NULL, account, NULL)) return SQLITE_NOMEM;
    code = probe_prepare(connection.easy) ? curl_easy_perform(connection.easy) : CURLE_OUT_OF_MEMORY;
    if (!smtp_connection_stand(&connection, code, account, &nobody)) {
        result = probe_failure("smtp", account->value[SMTP_URL], code, connection.words, wrong);
    }
    *certified_until = probe_certificate(connection.easy);
    smtp_connection_close(&connection, NULL);
    return result;
}

static int smtp_probe(void *data, char **wrong, sqlite3_int64 *certified_until)
{
    const struct smtp *smtp = data;
    struct account account;
    int result = account_read(&account, smtp->api, smtp_options) ? account_probe(&account, wrong, certified_until)
                                                                 : SQLITE_NOMEM;

    account_clear(&account);
    return result;
}

static void smtp_destroy(void *data)
{
    struct smtp *smtp = data;

    lanes_close(smtp);
    (void)curl_multi_cleanup(smtp->multi);
    account_clear(&smtp->account);
    free(smtp);
}

int portal_plugin_init(sqlite3 *db, char **error, const sqlite3_api_routines *routines);

__attribute__((visibility("default"))) int portal_plugin_init(sqlite3 *db, char **error,
                                                              const sqlite3_api_routines *routines)
{
    static const portal_channel channel = {
        PORTAL_API_VERSION, "smtp", PORTAL_EMAIL, "1", smtp_deliver, smtp_problem, smtp_options,
        smtp_probe, NULL,
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
    for (int i = 0; i < SMTP_CONNECTIONS_MOST; i++) smtp->lane[i].smtp = smtp;
    return api->register_channel(api, &channel, smtp, smtp_destroy);
}
