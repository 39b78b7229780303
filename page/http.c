#include "http.h"

#include "certificate.h"
#include "exchange.h"
#include "guard.h"
#include "normalize.h"
#include "pool.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MOST = 2000, CONNECTION_BYTES = 16384, THREADS_MOST = 16,
    SOON_MILLISECONDS = 200, FAREWELL_SECONDS = 4, LENGTH_REQUIRED = 411,
    TOO_LARGE = 413, NOT_FORM = 415, TOO_MANY = 429, UNAVAILABLE = 503, FORBIDDEN = 403, NOT_FOUND = 404,
    OTHER_METHOD = 405, BAD_REQUEST = 400
};

struct http {
    const struct http_options *options;
    struct MHD_Daemon *daemon;
    struct pool *pool;
    struct guard *guard;
    pthread_key_t desk;            /* of each thread of the web server */
    pthread_mutex_t lock;
    pthread_cond_t answered;
    int asked;                     /* requests whose answer is not sent yet */
    atomic_bool stops;             /* no further request is wanted on a connection */
    atomic_bool gives_up;          /* nor answers that are not made yet */
    bool https;                    /* to the world: HSTS is said */
    char base[BASE_SIZE];                /* path of portal_url, "" or "/portal" */
};

/* One request, from its first line to the end of the answer. */
struct request {
    struct exchange exchange;
    struct http *http;
    struct MHD_Connection *connection;
    struct MHD_PostProcessor *form;
    size_t body;                   /* bytes that came */
    int problem;                   /* a status to answer instead of the page; 0 */
    bool closes;                   /* where the next request would begin is not sure */
    bool queued;                   /* it was given to the pool, and is answered when it comes back */
    const char *method;
    struct timespec started;
};

/* RFC 9110, RFC 6797, CSP level 3: nothing from elsewhere, nothing inline, in nobody's frame, in no cache. */
static const struct { const char *name; const char *value; } headers[] = {
    {"Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
                                "base-uri 'none'; frame-ancestors 'none'"},
    {"Referrer-Policy", "no-referrer"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Permissions-Policy", "camera=(), microphone=(), geolocation=()"},
    {"X-Robots-Tag", "noindex, nofollow"},
};

/* Connections of the threads that answer at once */

static void desk_end(void *desk)
{
    desk_close(desk);
    free(desk);
}

static struct desk *desk_of_thread(struct http *http)
{
    struct desk *desk = pthread_getspecific(http->desk);

    if (desk != NULL) return desk;
    desk = calloc(1, sizeof *desk);
    if (desk == NULL) return NULL;
    /* Other connections wait for this thread: what is not to be had soon the pool waits for. */
    desk_begin(desk, http->options->database, SOON_MILLISECONDS);
    if (pthread_setspecific(http->desk, desk) == 0) return desk;
    free(desk);
    return NULL;
}

/* What was asked */

static bool is_of_program(const struct request *request)
{
    return request->exchange.route != NULL && (request->exchange.route->flags & ROUTE_PROGRAM) != 0;
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* To the letter: a cookie named __host-session may come from elsewhere, as browsers watch the other name alone. */
static enum MHD_Result cookie_take(void *data, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct exchange *exchange = data;

    (void)kind;
    for (int i = 0; i < COOKIES; i++) {
        /* One that is longer is none of ours. */
        if (strcmp(name, cookie_kinds[i].name) != 0 || value == NULL || strlen(value) >= COOKIE_SIZE) continue;
        (void)sqlite3_snprintf(COOKIE_SIZE, exchange->cookie[i], "%s", value);
    }
    return MHD_YES;
}

/* RFC 9110 section 12.5.4, as far as two languages need it: the one with the higher q, the first of equals. */
static const char *language_accepted(const char *accepted)
{
    static const char *const languages[] = {"en", "es"};
    const char *best = "en";
    double most = 0;

    for (const char *at = accepted; at != NULL && *at != '\0'; at += strcspn(at, ","), at += *at == ',') {
        const char *weight = strstr(at, ";q=");
        double q = weight != NULL && weight < at + strcspn(at, ",") ? strtod(weight + 3, NULL) : 1;
        at += strspn(at, " \t");
        for (size_t i = 0; i < sizeof languages / sizeof languages[0]; i++) {
            if (strncasecmp(at, languages[i], 2) != 0 || strchr("-,; ", at[2]) == NULL || q <= most) continue;
            best = languages[i];
            most = q;
        }
    }
    return best;
}

static void language_choose(struct request *request)
{
    struct exchange *exchange = &request->exchange;
    const char *asked = MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, "language");

    exchange->texts = asked == NULL ? NULL : texts_find(asked);
    if (exchange->texts != NULL) exchange_set(exchange, COOKIE_LANGUAGE, asked);
    else exchange->texts = texts_find(exchange->cookie[COOKIE_LANGUAGE]);
    if (exchange->texts == NULL) {
        exchange->texts = texts_find(language_accepted(header(request->connection, "Accept-Language")));
    }
}

/* Fetch Metadata: browsers that have it say where a form came from; the token in the form tells the others. */
static bool is_of_same_site(struct MHD_Connection *connection)
{
    const char *site = header(connection, "Sec-Fetch-Site");

    return site == NULL || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0;
}

/* Headers of which each line counts, not the first alone. */
struct lines {
    int lengths;                   /* that are told for the body */
    bool encoded;
    char *forwarded;               /* X-Forwarded-For: as one list (RFC 9110 section 5.3) */
};

static enum MHD_Result line_read(void *data, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct lines *lines = data;

    (void)kind;
    if (strcasecmp(name, "Content-Length") == 0) lines->lengths++;
    if (strcasecmp(name, "Transfer-Encoding") == 0) lines->encoded = true;
    if (strcasecmp(name, "X-Forwarded-For") == 0) {
        lines->forwarded = lines->forwarded == NULL ? sqlite3_mprintf("%s", value) : sqlite3_mprintf("%z, %s", lines->forwarded, value);
    }
    return MHD_YES;
}

/*
** A body has one length: by what else RFC 9112 section 6 knows one request is smuggled into another, past a
** proxy that reads it otherwise; no form of a browser needs it.
*/
static int framing_problem(const struct lines *lines)
{
    return lines->encoded ? LENGTH_REQUIRED : lines->lengths > 1 ? BAD_REQUEST : 0;
}

/* A proxy may leave the path of portal_url before ours, or take it away. */
static const char *below_base(const struct http *http, const char *url)
{
    size_t length = strlen(http->base);

    return strncmp(url, http->base, length) == 0 && url[length] == '/' ? url + length : url;
}

/* What is known of a connection as long as it lasts. */
struct peer {
    struct guard_connection *guarded;
    struct request *request;       /* that is not completed */
};

/* NULL without memory. */
static struct peer *peer_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void request_free(struct request *request)
{
    if (request == NULL) return;
    if (request->form != NULL) (void)MHD_destroy_post_processor(request->form);
    exchange_clear(&request->exchange);
    free(request);
}

/* Called with what stands in the first line, before the rest has come: only here the query is as it was sent. */
static void *request_new(void *data, const char *uri, struct MHD_Connection *connection)
{
    struct peer *peer = peer_of(connection);
    struct request *request = peer == NULL ? NULL : calloc(1, sizeof *request);
    const char *query = strchr(uri, '?');

    if (request == NULL) return NULL;
    peer->request = request;
    request->http = data;
    request->connection = connection;
    if (query != NULL) request->exchange.callback.query = sqlite3_mprintf("%s", query + 1);
    (void)clock_gettime(CLOCK_MONOTONIC, &request->started);
    return request;
}

static void route_take(struct request *request, const char *url)
{
    bool other = false;
    const struct route *route = route_find(request->method, url, &other);
    size_t length = route == NULL ? 0 : strlen(route->path);

    request->exchange.route = route;
    if (route == NULL) {
        request->problem = other ? OTHER_METHOD : NOT_FOUND;
        return;
    }
    if (strlen(url) >= length) (void)sqlite3_snprintf(REST_SIZE, request->exchange.rest, "%s", url + length);
    if (strlen(url + length) >= REST_SIZE) request->problem = NOT_FOUND;
}

static enum MHD_Result header_add(void *data, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    return cJSON_AddStringToObject(data, name, value == NULL ? "" : value) != NULL ? MHD_YES : MHD_NO;
}

static void program_headers_read(struct request *request)
{
    char **text = &request->exchange.callback.headers;
    cJSON *sent = cJSON_CreateObject();
    char *json;

    (void)MHD_get_connection_values(request->connection, MHD_HEADER_KIND, header_add, sent);
    json = cJSON_PrintUnformatted(sent);
    cJSON_Delete(sent);
    if (json != NULL) *text = sqlite3_mprintf("%s", json);
    cJSON_free(json);
    if (*text == NULL) request->problem = UNAVAILABLE;
}

static void request_begin(struct request *request, const char *url, const char *method)
{
    struct MHD_Connection *connection = request->connection;
    const union MHD_ConnectionInfo *peer = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct lines lines = {0, false, NULL};
    const char *patient;

    request->method = method;
    request->exchange.base = request->http->base;
    request->exchange.same_site = is_of_same_site(connection);
    (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, line_read, &lines);
    client_read(&request->http->options->proxies, peer->client_addr, lines.forwarded, request->exchange.client);
    sqlite3_free(lines.forwarded);
    (void)MHD_get_connection_values(connection, MHD_COOKIE_KIND, cookie_take, &request->exchange);
    language_choose(request);
    patient = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "patient");
    (void)sqlite3_snprintf(sizeof request->exchange.patient, request->exchange.patient, "%s", patient == NULL ? "" : patient);
    request->problem = framing_problem(&lines);
    request->closes = request->problem != 0;
    if (!request->closes) route_take(request, below_base(request->http, url));
    if (is_of_program(request)) program_headers_read(request);
}

/* Forms */

/* NOLINTNEXTLINE(readability-function-size): libmicrohttpd's parameters */
static enum MHD_Result field_take(void *data, enum MHD_ValueKind kind, const char *name, const char *file, const char *type,
                                  const char *encoding, const char *bytes, uint64_t offset, size_t size)
{
    struct exchange *exchange = &((struct request *)data)->exchange;
    struct form_field *field;
    char *grown;

    (void)kind, (void)file, (void)type, (void)encoding;
    if (offset == 0) {
        if (exchange->fields == FIELDS_MOST) return MHD_NO;
        exchange->field[exchange->fields].name = sqlite3_mprintf("%s", name);
        exchange->field[exchange->fields].value = sqlite3_mprintf("");
        exchange->fields++;
    }
    if (exchange->fields == 0 || memchr(bytes, '\0', size) != NULL) return MHD_NO;
    field = &exchange->field[exchange->fields - 1];
    if (field->name == NULL || field->value == NULL) return MHD_NO;
    grown = sqlite3_mprintf("%s%.*s", field->value, (int)size, bytes);
    sodium_memzero(field->value, strlen(field->value));
    sqlite3_free(field->value);
    field->value = grown == NULL ? sqlite3_mprintf("") : grown;
    return grown == NULL ? MHD_NO : MHD_YES;
}

static void body_begin(struct request *request)
{
    const char *type = header(request->connection, "Content-Type");

    if (request->problem != 0) return;
    if (type == NULL || strncasecmp(type, "application/x-www-form-urlencoded", 33) != 0) {
        request->problem = NOT_FORM;
        return;
    }
    request->form = MHD_create_post_processor(request->connection, 4096, field_take, request);
    if (request->form == NULL) request->problem = UNAVAILABLE;
}

static void callback_take(struct request *request, const char *bytes, size_t size)
{
    char **body = &request->exchange.callback.body;
    char *grown = *body == NULL ? sqlite3_mprintf("%.*s", (int)size, bytes) : sqlite3_mprintf("%z%.*s", *body, (int)size, bytes);

    *body = grown;
    if (grown == NULL) request->problem = UNAVAILABLE;
    else if (memchr(bytes, '\0', size) != NULL) request->problem = BAD_REQUEST;
}

static void body_take(struct request *request, const char *bytes, size_t size)
{
    if (is_of_program(request)) {
        request->body += size;
        if (request->problem == 0 && request->body > CALLBACK_MOST) request->problem = TOO_LARGE;
        if (request->problem == 0) callback_take(request, bytes, size);
        return;
    }
    if (request->body == 0) body_begin(request);
    request->body += size;
    if (request->problem == 0 && request->body > BODY_MOST) request->problem = TOO_LARGE;
    if (request->problem == 0 && MHD_post_process(request->form, bytes, size) != MHD_YES) request->problem = BAD_REQUEST;
}

/* What comes back in a page has to be text. */
static bool is_text(const struct exchange *exchange)
{
    for (int i = 0; i < exchange->fields; i++) {
        const struct form_field *field = &exchange->field[i];
        if (!normalize_is_utf8(field->name, strlen(field->name))) return false;
        if (!normalize_is_utf8(field->value, strlen(field->value))) return false;
    }
    return true;
}

/* A form is taken from a page of ours alone: it brings along what that page's cookie holds. */
static bool is_forged(const struct exchange *exchange)
{
    const char *form = exchange_field(exchange, "form");
    const char *own = exchange->cookie[COOKIE_FORM];

    return !exchange->same_site || strlen(own) == 0 || strlen(form) != strlen(own) ||
           sodium_memcmp(form, own, strlen(own)) != 0;
}

static bool takes_form(const struct route *route)
{
    return strcmp(route->method, "POST") == 0 && (route->flags & ROUTE_PROGRAM) == 0;
}

/* What is answered */

static void answer_make(struct request *request, struct desk *desk)
{
    struct exchange *exchange = &request->exchange;
    int problem = request->problem;

    if (problem == 0 && !is_text(exchange)) problem = BAD_REQUEST;
    if (problem == 0 && desk_serve(desk, exchange->client) != SQLITE_OK) problem = UNAVAILABLE;
    if (problem == 0 && takes_form(exchange->route) && is_forged(exchange)) problem = FORBIDDEN;
    if (problem != 0) page_problem(exchange, desk, problem);
    else exchange->route->answer(exchange, desk);
}

static void work(void *job, struct desk *desk)
{
    struct request *request = job;

    if (!request->http->gives_up) answer_make(request, desk);
    MHD_resume_connection(request->connection);
}

static void log_write(const struct request *request)
{
    const struct exchange *exchange = &request->exchange;
    struct timespec now;
    time_t clock = time(NULL);
    struct tm utc;
    char at[32];

    if (request->http->options->log == NULL) return;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&clock, &utc));
    /* The route, not the path: that may hold a link. */
    (void)fprintf(request->http->options->log, "%s %s %s %s %d %ld ms\n", at, exchange->client,
                  exchange->route == NULL ? "-" : exchange->route->method,
                  exchange->route == NULL ? "-" : exchange->route->path, exchange->status,
                  (now.tv_sec - request->started.tv_sec) * 1000 + (now.tv_nsec - request->started.tv_nsec) / 1000000);
}

static void headers_add(const struct request *request, struct MHD_Response *response)
{
    const struct exchange *exchange = &request->exchange;
    char text[BASE_SIZE + sizeof exchange->location];

    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        (void)MHD_add_response_header(response, headers[i].name, headers[i].value);
    }
    if (request->http->https) (void)MHD_add_response_header(response, "Strict-Transport-Security", "max-age=31536000");
    if (request->closes || request->http->stops) (void)MHD_add_response_header(response, "Connection", "close");
    (void)MHD_add_response_header(response, "Content-Type", exchange->type);
    (void)MHD_add_response_header(response, "Cache-Control", exchange->cached ? "public, max-age=300" : "no-store");
    if (!exchange->cached) (void)MHD_add_response_header(response, "Vary", "Cookie, Accept-Language");
    if (*exchange->location != '\0') {
        (void)snprintf(text, sizeof text, "%s%s", request->http->base, exchange->location);
        (void)MHD_add_response_header(response, "Location", text);
    }
    if (exchange->status == UNAVAILABLE || exchange->status == TOO_MANY) {
        (void)MHD_add_response_header(response, "Retry-After", "5");
    }
    for (int i = 0; i < COOKIES; i++) {
        if (!exchange->sets[i]) continue;
        (void)snprintf(text, sizeof text, "%s=%s%s%s", cookie_kinds[i].name, exchange->cookie[i], cookie_kinds[i].attributes,
                       *exchange->cookie[i] == '\0' ? "; Max-Age=0" : "");
        (void)MHD_add_response_header(response, "Set-Cookie", text);
    }
}

static enum MHD_Result answer_send(struct request *request)
{
    struct exchange *exchange = &request->exchange;
    size_t size = exchange->body == NULL ? 0 : strlen(exchange->body);
    struct MHD_Response *response;
    enum MHD_Result result;

    /* A redirect has no body; without memory for a page there is none either. */
    if (exchange->body == NULL && *exchange->location == '\0') exchange->status = UNAVAILABLE;
    if (exchange->type == NULL) exchange->type = "text/plain; charset=utf-8";
    response = MHD_create_response_from_buffer_with_free_callback(size, exchange->body, exchange_free);
    if (response == NULL) return MHD_NO;
    exchange->body = NULL;
    headers_add(request, response);
    result = MHD_queue_response(request->connection, (unsigned)exchange->status, response);
    MHD_destroy_response(response);
    log_write(request);
    /* A gateway brings as many reports as there are; who brings none that are genuine is told to wait. */
    if (is_of_program(request) && exchange->status / 100 == 4) {
        (void)guard_admits(request->http->guard, exchange->client, 1);
    }
    return result;
}

/* How the web server calls us */

/* The pool answers; when it is full, the caller is called again to say so. */
static enum MHD_Result request_queue(struct request *request)
{
    request->queued = true;
    MHD_suspend_connection(request->connection);
    if (pool_put(request->http->pool, request)) return MHD_YES;
    request->problem = UNAVAILABLE;
    request->queued = false;
    MHD_resume_connection(request->connection);
    return MHD_YES;
}

static enum MHD_Result request_end(struct request *request)
{
    struct http *http = request->http;
    const struct route *route = request->exchange.route;
    struct desk *desk;

    if (request->queued) return answer_send(request);
    if (request->problem == 0 && (takes_form(route) || is_of_program(request))) {
        if (!guard_admits(http->guard, request->exchange.client, takes_form(route))) request->problem = TOO_MANY;
    }
    if (request->problem == 0 && (route->flags & ROUTE_WAITS) != 0) return request_queue(request);
    desk = desk_of_thread(http);
    if (desk == NULL) {
        request->exchange.status = UNAVAILABLE;
        request->exchange.body = sqlite3_mprintf("The database can not be opened.\n");
        return answer_send(request);
    }
    answer_make(request, desk);
    /* Another process writes, where readers wait for it (without WAL): that is done in the pool. */
    if (desk->busy && request->problem == 0) {
        exchange_take_back(&request->exchange);
        return request_queue(request);
    }
    return answer_send(request);
}

/* One more request is asked, or one less is. */
static void asked_count(struct http *http, int change)
{
    (void)pthread_mutex_lock(&http->lock);
    http->asked += change;
    if (http->asked == 0) (void)pthread_cond_signal(&http->answered);
    (void)pthread_mutex_unlock(&http->lock);
}

/* NOLINTNEXTLINE(readability-function-size): libmicrohttpd's parameters */
static enum MHD_Result answer(void *data, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *size, void **state)
{
    struct request *request = *state;

    (void)version;
    if (request == NULL) return MHD_NO;
    if (request->method == NULL) {
        request_begin(request, url, method);
        asked_count(data, 1);
        guard_renew(request->http->guard, peer_of(connection)->guarded);
        /* Answered before its body: what comes after the headers is not read at all. */
        return request->closes ? request_end(request) : MHD_YES;
    }
    if (*size == 0) return request_end(request);
    body_take(request, upload, *size);
    *size = 0;
    return MHD_YES;
}

static void completed(void *data, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode why)
{
    struct request *request = *state;
    struct peer *peer = peer_of(connection);
    struct http *http = data;

    (void)why;
    if (request == NULL) return;
    guard_renew(http->guard, peer->guarded);
    if (request->method != NULL) asked_count(http, -1);
    request_free(request);
    peer->request = NULL;
    *state = NULL;
}

static void connected(void *data, struct MHD_Connection *connection, void **context,
                      enum MHD_ConnectionNotificationCode what)
{
    struct http *http = data;
    struct peer *peer = *context;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = peer = calloc(1, sizeof *peer);
        if (peer == NULL) return;
        peer->guarded = guard_enter(http->guard,
                                    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
    } else if (peer != NULL) {
        guard_leave(http->guard, peer->guarded);
        /* One whose headers the web server gave up on, of which it says nothing. */
        request_free(peer->request);
        free(peer);
    }
}

/* Starting and stopping */

/* The path of portal_url, under which everything is; and whether the world comes by TLS. */
static bool practice_read(struct http *http, char problem[PROBLEM_SIZE])
{
    struct desk desk;
    cJSON *practice = NULL;
    const cJSON *url;
    int code;

    desk_begin(&desk, http->options->database, POOL_PATIENCE);
    code = desk_serve(&desk, "page");
    if (code == SQLITE_OK) code = desk_ask(&desk, ASK_PRACTICE, &practice, NULL);
    if (code != SQLITE_OK) (void)snprintf(problem, PROBLEM_SIZE, "%s", sqlite3_errmsg(desk.db));
    url = cJSON_GetObjectItemCaseSensitive(practice, "url");
    if (cJSON_IsString(url)) {
        const char *host = strstr(url->valuestring, "://");
        const char *path = host == NULL ? NULL : strchr(host + 3, '/');
        http->https = strncmp(url->valuestring, "https:", 6) == 0;
        (void)snprintf(http->base, sizeof http->base, "%s", path == NULL ? "" : path);
        for (size_t end = strlen(http->base); end > 0 && http->base[end - 1] == '/'; end--) http->base[end - 1] = '\0';
    }
    cJSON_Delete(practice);
    desk_close(&desk);
    return code == SQLITE_OK;
}

static int processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);

    return count < 1 ? 1 : count > THREADS_MOST ? THREADS_MOST : (int)count;
}

static struct MHD_Daemon *daemon_start(struct http *http)
{
    const struct http_options *options = http->options;
    const struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(intptr_t)certificate_choose},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;

    if (options->tls) flags |= MHD_USE_TLS;
    return MHD_start_daemon(flags, 0, NULL, NULL, answer, http, MHD_OPTION_NOTIFY_COMPLETED, completed, http,
                            MHD_OPTION_URI_LOG_CALLBACK, request_new, http, MHD_OPTION_NOTIFY_CONNECTION, connected, http,
                            MHD_OPTION_THREAD_POOL_SIZE, (unsigned)processors(),
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MOST,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)options->patience_seconds,
                            MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_LISTEN_SOCKET, http->options->socket,
                            MHD_OPTION_ARRAY, options->tls ? tls : tls + 2, MHD_OPTION_END);
}

struct http *http_start(const struct http_options *options, char problem[PROBLEM_SIZE])
{
    struct http *http = calloc(1, sizeof *http);

    (void)snprintf(problem, PROBLEM_SIZE, "out of memory");
    if (http == NULL) return NULL;
    http->options = options;
    (void)pthread_mutex_init(&http->lock, NULL);
    (void)pthread_cond_init(&http->answered, NULL);
    if (pthread_key_create(&http->desk, desk_end) != 0) {
        free(http);
        return NULL;
    }
    if (practice_read(http, problem)) {
        http->pool = pool_start(options->database, processors(), work);
        http->guard = guard_start(options->posts_per_minute, options->patience_seconds);
        if (http->pool != NULL && http->guard != NULL) http->daemon = daemon_start(http);
        if (http->daemon == NULL) (void)snprintf(problem, PROBLEM_SIZE, "the web server does not start: out of memory or threads");
    }
    if (http->daemon != NULL) return http;
    http_stop(http);
    return NULL;
}

/* Until all that was asked is answered, or for as long as a service manager likes to wait. */
static void answers_wait(struct http *http)
{
    struct timespec end;

    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += FAREWELL_SECONDS;
    (void)pthread_mutex_lock(&http->lock);
    while (http->asked > 0 && pthread_cond_clockwait(&http->answered, &http->lock, CLOCK_MONOTONIC, &end) == 0) {}
    (void)pthread_mutex_unlock(&http->lock);
}

void http_stop(struct http *http)
{
    if (http->daemon != NULL) {
        (void)MHD_quiesce_daemon(http->daemon);
        http->stops = true;
        answers_wait(http);
    }
    /* A connection that waits for the pool must not be closed under it. */
    http->gives_up = true;
    if (http->pool != NULL) pool_drain(http->pool);
    if (http->daemon != NULL) MHD_stop_daemon(http->daemon);
    /* Until now a connection may have had something for it. */
    if (http->pool != NULL) pool_stop(http->pool);
    if (http->guard != NULL) guard_stop(http->guard);
    (void)pthread_key_delete(http->desk);
    (void)pthread_cond_destroy(&http->answered);
    (void)pthread_mutex_destroy(&http->lock);
    free(http);
}
