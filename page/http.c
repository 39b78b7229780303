#include "http.h"

#include "exchange.h"
#include "guard.h"
#include "normalize.h"
#include "pool.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MOST = 2000, CONNECTION_BYTES = 16384, THREADS_MOST = 16,
    TOO_LARGE = 413, NOT_FORM = 415, TOO_MANY = 429, UNAVAILABLE = 503, FORBIDDEN = 403, NOT_FOUND = 404,
    OTHER_METHOD = 405, BAD_REQUEST = 400
};

struct http {
    const struct http_options *options;
    struct MHD_Daemon *daemon;
    struct pool *pool;
    struct guard *guard;
    pthread_key_t desk;            /* of each thread of the web server */
    bool https;                    /* to the world: HSTS is said */
    char base[200];                /* path of portal_url, "" or "/portal" */
};

/* One request, from its first line to the end of the answer. */
struct request {
    struct exchange exchange;
    struct http *http;
    struct MHD_Connection *connection;
    struct MHD_PostProcessor *form;
    size_t body;                   /* bytes that came */
    int problem;                   /* a status to answer instead of the page; 0 */
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
    if (desk_open(desk, http->options->database) != NULL || pthread_setspecific(http->desk, desk) != 0) {
        desk_end(desk);
        return NULL;
    }
    return desk;
}

/* What was asked */

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static void cookies_read(struct request *request)
{
    for (int i = 0; i < COOKIES; i++) {
        const char *value = MHD_lookup_connection_value(request->connection, MHD_COOKIE_KIND, cookie_kinds[i].name);
        /* One that is longer is none of ours. */
        if (value == NULL || strlen(value) >= COOKIE_SIZE) continue;
        (void)sqlite3_snprintf(COOKIE_SIZE, request->exchange.cookie[i], "%s", value);
    }
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

static struct request *request_new(struct http *http, struct MHD_Connection *connection, const char *url,
                                   const char *method)
{
    const union MHD_ConnectionInfo *peer = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct request *request = calloc(1, sizeof *request);
    const char *patient;
    bool other = false;

    if (request == NULL) return NULL;
    request->http = http;
    request->connection = connection;
    request->method = method;
    (void)clock_gettime(CLOCK_MONOTONIC, &request->started);
    request->exchange.base = http->base;
    request->exchange.same_site = is_of_same_site(connection);
    client_read(&http->options->proxies, peer->client_addr, header(connection, "X-Forwarded-For"),
                request->exchange.client);
    cookies_read(request);
    language_choose(request);
    patient = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "patient");
    (void)sqlite3_snprintf(sizeof request->exchange.patient, request->exchange.patient, "%s", patient == NULL ? "" : patient);
    request->exchange.route = route_find(method, url, &other);
    if (request->exchange.route == NULL) {
        request->problem = other ? OTHER_METHOD : NOT_FOUND;
    } else {
        size_t length = strlen(request->exchange.route->path);
        if (strlen(url) >= length) {
            (void)sqlite3_snprintf(REST_SIZE, request->exchange.rest, "%s", url + length);
        }
        if (strlen(url + length) >= REST_SIZE) request->problem = NOT_FOUND;
    }
    return request;
}

/* Forms */

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

static void body_take(struct request *request, const char *bytes, size_t size)
{
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

/* What is answered */

static void answer_make(struct request *request, struct desk *desk)
{
    struct exchange *exchange = &request->exchange;
    int problem = request->problem;

    if (problem == 0 && !is_text(exchange)) problem = BAD_REQUEST;
    if (problem == 0 && desk_serve(desk, exchange->client) != SQLITE_OK) problem = UNAVAILABLE;
    if (problem == 0 && strcmp(exchange->route->method, "POST") == 0 && is_forged(exchange)) problem = FORBIDDEN;
    if (problem != 0) page_problem(exchange, desk, problem);
    else exchange->route->answer(exchange, desk);
}

static void work(void *job, struct desk *desk)
{
    struct request *request = job;

    answer_make(request, desk);
    MHD_resume_connection(request->connection);
}

static void log_write(const struct request *request)
{
    const struct exchange *exchange = &request->exchange;
    struct timespec now;
    time_t clock = time(NULL);
    struct tm utc;
    char at[32];

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&clock, &utc));
    /* The route, not the path: that may hold a link. */
    (void)printf("%s %s %s %s %d %ld ms\n", at, exchange->client, exchange->route == NULL ? "-" : exchange->route->method,
                 exchange->route == NULL ? "-" : exchange->route->path, exchange->status,
                 (now.tv_sec - request->started.tv_sec) * 1000 + (now.tv_nsec - request->started.tv_nsec) / 1000000);
}

static void headers_add(const struct request *request, struct MHD_Response *response)
{
    const struct exchange *exchange = &request->exchange;
    char text[500];

    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        (void)MHD_add_response_header(response, headers[i].name, headers[i].value);
    }
    if (request->http->https) (void)MHD_add_response_header(response, "Strict-Transport-Security", "max-age=31536000");
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
    response = MHD_create_response_from_buffer(size, exchange->body, MHD_RESPMEM_MUST_COPY);
    if (response == NULL) return MHD_NO;
    headers_add(request, response);
    result = MHD_queue_response(request->connection, (unsigned)exchange->status, response);
    MHD_destroy_response(response);
    log_write(request);
    return result;
}

/* How the web server calls us */

static enum MHD_Result request_end(struct request *request)
{
    struct http *http = request->http;
    const struct route *route = request->exchange.route;
    struct desk *desk;

    if (request->queued) return answer_send(request);
    if (request->problem == 0 && strcmp(route->method, "POST") == 0) {
        if (!guard_admits(http->guard, request->exchange.client)) request->problem = TOO_MANY;
    }
    if (request->problem == 0 && route->waits) {
        request->queued = true;
        MHD_suspend_connection(request->connection);
        if (pool_put(http->pool, request)) return MHD_YES;
        request->problem = UNAVAILABLE;
        request->queued = false;
        MHD_resume_connection(request->connection);
        return MHD_YES;
    }
    desk = desk_of_thread(http);
    if (desk == NULL) {
        request->exchange.status = UNAVAILABLE;
        request->exchange.body = sqlite3_mprintf("The database can not be opened.\n");
        return answer_send(request);
    }
    answer_make(request, desk);
    return answer_send(request);
}

static enum MHD_Result answer(void *data, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *size, void **state)
{
    struct request *request = *state;

    (void)version;
    if (request == NULL) {
        *state = request_new(data, connection, url, method);
        return *state == NULL ? MHD_NO : MHD_YES;
    }
    if (*size == 0) return request_end(request);
    body_take(request, upload, *size);
    *size = 0;
    return MHD_YES;
}

static void completed(void *data, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode why)
{
    struct request *request = *state;
    struct http *http = data;

    (void)why;
    guard_renew(http->guard, MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context);
    if (request == NULL) return;
    if (request->form != NULL) (void)MHD_destroy_post_processor(request->form);
    exchange_clear(&request->exchange);
    free(request);
    *state = NULL;
}

static void connected(void *data, struct MHD_Connection *connection, void **context,
                      enum MHD_ConnectionNotificationCode what)
{
    struct http *http = data;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = guard_enter(http->guard,
                               MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
    } else {
        guard_leave(http->guard, *context);
    }
}

/* Starting and stopping */

/* The path of portal_url, under which everything is; and whether the world comes by TLS. */
static const char *practice_read(struct http *http)
{
    struct desk desk;
    cJSON *practice = NULL;
    const char *problem = desk_open(&desk, http->options->database);
    const cJSON *url;

    if (problem == NULL && desk_ask(&desk, ASK_PRACTICE, &practice, NULL) != SQLITE_OK) problem = "is no portal";
    url = cJSON_GetObjectItemCaseSensitive(practice, "url");
    if (cJSON_IsString(url)) {
        const char *host = strstr(url->valuestring, "://");
        const char *path = host == NULL ? NULL : strchr(host + 3, '/');
        http->https = strncmp(url->valuestring, "https:", 6) == 0;
        (void)snprintf(http->base, sizeof http->base, "%s", path == NULL ? "" : path);
    }
    cJSON_Delete(practice);
    desk_close(&desk);
    return problem;
}

static struct addrinfo *address_find(const struct http_options *options)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;

    return getaddrinfo(options->host, options->port, &hints, &found) == 0 ? found : NULL;
}

static int processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);

    return count < 1 ? 1 : count > THREADS_MOST ? THREADS_MOST : (int)count;
}

static struct MHD_Daemon *daemon_start(struct http *http, const struct addrinfo *address)
{
    const struct http_options *options = http->options;
    struct MHD_OptionItem items[8];
    int count = 0;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;

    if (options->certificate != NULL) {
        flags |= MHD_USE_TLS;
        items[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)options->certificate};
        items[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)options->key};
        items[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0,
                                                 (void *)"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"};
    }
    if (options->socket >= 0) {
        items[count++] = (struct MHD_OptionItem){MHD_OPTION_LISTEN_SOCKET, options->socket, NULL};
    } else {
        if (address->ai_family == AF_INET6) flags |= MHD_USE_IPv6;
        items[count++] = (struct MHD_OptionItem){MHD_OPTION_SOCK_ADDR, 0, address->ai_addr};
    }
    items[count] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    return MHD_start_daemon(flags, 0, NULL, NULL, answer, http, MHD_OPTION_NOTIFY_COMPLETED, completed, http,
                            MHD_OPTION_NOTIFY_CONNECTION, connected, http,
                            MHD_OPTION_THREAD_POOL_SIZE, (unsigned)processors(),
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MOST,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)options->patience_seconds,
                            MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY, items, MHD_OPTION_END);
}

struct http *http_start(const struct http_options *options, char problem[200])
{
    struct http *http = calloc(1, sizeof *http);
    struct addrinfo *address = options->socket >= 0 ? NULL : address_find(options);
    const char *why = http == NULL ? "out of memory" : NULL;

    if (why == NULL) {
        http->options = options;
        why = pthread_key_create(&http->desk, desk_end) == 0 ? NULL : "out of memory";
    }
    if (why == NULL && options->socket < 0 && address == NULL) why = "the address to listen on is none; name it as 127.0.0.1:8080";
    if (why == NULL) why = practice_read(http);
    if (why == NULL) http->pool = pool_start(options->database, processors(), work, &why);
    if (why == NULL) {
        http->guard = guard_start(options->posts_per_minute, options->patience_seconds);
        if (http->guard == NULL) why = "out of memory";
    }
    if (why == NULL) {
        http->daemon = daemon_start(http, address);
        if (http->daemon == NULL) why = "the web server does not start: the port may be taken, or the certificate is none";
    }
    if (address != NULL) freeaddrinfo(address);
    if (why == NULL) return http;
    (void)snprintf(problem, 200, "%s", why);
    if (http != NULL) http_stop(http);
    return NULL;
}

int http_port(const struct http *http)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT);

    return info == NULL ? 0 : info->port;
}

void http_stop(struct http *http)
{
    /* What is in the pool is answered first: a connection that waits must not be closed under it. */
    if (http->daemon != NULL) {
        MHD_socket listening = MHD_quiesce_daemon(http->daemon);
        if (http->pool != NULL) pool_stop(http->pool);
        http->pool = NULL;
        MHD_stop_daemon(http->daemon);
        if (listening >= 0) (void)close(listening);
    }
    if (http->pool != NULL) pool_stop(http->pool);
    if (http->guard != NULL) guard_stop(http->guard);
    (void)pthread_key_delete(http->desk);
    free(http);
}
