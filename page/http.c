#include "http.h"

#include "certificate.h"
#include "door.h"
#include "guard.h"
#include "pool.h"
#include "request.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MOST = 2000, CONNECTIONS_OF_ADDRESS = 250, CONNECTION_BYTES = 16384, THREADS_MOST = 16,
       THREAD_FILES = 8, OTHER_FILES = 16, SOON_MILLISECONDS = 200, WAITS_SECONDS = 20, FAREWELL_SECONDS = 4 };

struct http {
    const struct http_options *options;
    struct MHD_Daemon *daemon;
    struct door *door;
    struct pool *pool;
    struct guard *guard;
    pthread_key_t desk;            /* of each thread of the web server */
    pthread_mutex_t lock;
    pthread_cond_t answered;
    int asked;                     /* requests whose answer is not sent yet */
    atomic_bool stops;             /* no further request is wanted on a connection */
    atomic_bool gives_up;          /* nor answers that are not made yet */
    bool https;                    /* to the world: HSTS is said */
    struct site site;
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
    desk->reads = true;
    if (pthread_setspecific(http->desk, desk) == 0) return desk;
    free(desk);
    return NULL;
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

/* Called with what stands in the first line, before the rest has come: only here the query is as it was sent. */
static void *request_new(void *data, const char *uri, struct MHD_Connection *connection)
{
    struct http *http = data;
    struct peer *peer = peer_of(connection);
    struct request *request = peer == NULL ? NULL : request_open(&http->site, connection, uri);

    if (request == NULL) return NULL;
    peer->request = request;
    request->http = http;
    return request;
}

/* What is answered */

static void answer_make(struct request *request, struct desk *desk)
{
    struct exchange *exchange = &request->exchange;
    int problem = request->problem;

    if (problem == 0 && !request_is_text(request)) problem = BAD_REQUEST;
    if (problem == 0 && desk_serve(desk, exchange->client) != SQLITE_OK) problem = UNAVAILABLE;
    if (problem == 0 && request_is_forged(request)) problem = FORBIDDEN;
    if (problem != 0) page_problem(exchange, desk, problem);
    else exchange->route->answer(exchange, desk);
}

static long milliseconds_of(const struct request *request)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - request->started.tv_sec) * 1000 + (now.tv_nsec - request->started.tv_nsec) / 1000000;
}

static void work(void *job, struct desk *desk)
{
    struct request *request = job;

    /* While the database is locked each that waits for it keeps those behind it waiting as long. */
    if (milliseconds_of(request) > WAITS_SECONDS * 1000L) request->problem = UNAVAILABLE;
    if (!request->http->gives_up) answer_make(request, desk);
    MHD_resume_connection(request->connection);
}

static void log_write(const struct request *request)
{
    const struct exchange *exchange = &request->exchange;
    time_t clock = time(NULL);
    struct tm utc;
    char at[32];

    if (request->http->options->log == NULL) return;
    (void)strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&clock, &utc));
    /* The route, not the path: that may hold a link. */
    (void)fprintf(request->http->options->log, "%s %s %s %s %d %ld ms\n", at, exchange->client,
                  exchange->route == NULL ? "-" : exchange->route->method,
                  exchange->route == NULL ? "-" : exchange->route->path, exchange->status, milliseconds_of(request));
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
        (void)snprintf(text, sizeof text, "%s%s", request->http->site.base, exchange->location);
        (void)MHD_add_response_header(response, "Location", text);
    }
    if (exchange->status == OTHER_METHOD) (void)MHD_add_response_header(response, "Allow", exchange->methods);
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
    if (request_is_of_program(request) && exchange->status / 100 == 4) {
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
    request_complete(request);
    if (request->problem == 0 && (request_is_form(request) || request_is_of_program(request))) {
        if (!guard_admits(http->guard, request->exchange.client, request_is_form(request))) request->problem = TOO_MANY;
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
    request_body(request, upload, *size);
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
    request_close(request);
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
        request_close(peer->request);
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
        (void)snprintf(http->site.base, sizeof http->site.base, "%s", path == NULL ? "" : path);
        for (size_t end = strlen(http->site.base); end > 0 && http->site.base[end - 1] == '/'; end--) http->site.base[end - 1] = '\0';
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

/* As many as leave the desks' files alone: idle connections could take them all, and nobody could be answered. */
static unsigned connections_most(void)
{
    rlim_t kept = 2 * (rlim_t)processors() * THREAD_FILES + OTHER_FILES;
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur > kept + CONNECTIONS_MOST) return CONNECTIONS_MOST;
    return files.rlim_cur > kept ? (unsigned)(files.rlim_cur - kept) : 1;
}

static struct MHD_Daemon *daemon_start(struct http *http)
{
    const struct http_options *options = http->options;
    const struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(intptr_t)certificate_choose},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
        {MHD_OPTION_END, 0, NULL},
    };
    /* Behind a proxy all clients have one address. */
    bool direct = options->tls && options->proxies.count == 0;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_NO_LISTEN_SOCKET;

    if (options->tls) flags |= MHD_USE_TLS;
    return MHD_start_daemon(flags, 0, NULL, NULL, answer, http, MHD_OPTION_NOTIFY_COMPLETED, completed, http,
                            MHD_OPTION_URI_LOG_CALLBACK, request_new, http, MHD_OPTION_NOTIFY_CONNECTION, connected, http,
                            MHD_OPTION_THREAD_POOL_SIZE, (unsigned)processors(),
                            /* The door minds CONNECTIONS_MOST; here the last that it handed over are not counted yet. */
                            MHD_OPTION_CONNECTION_LIMIT, 2U * CONNECTIONS_MOST,
                            MHD_OPTION_PER_IP_CONNECTION_LIMIT, direct ? (unsigned)CONNECTIONS_OF_ADDRESS : 0U,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)options->patience_seconds,
                            MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY, options->tls ? tls : tls + 2, MHD_OPTION_END);
}

struct http *http_start(const struct http_options *options, char problem[PROBLEM_SIZE])
{
    struct http *http = calloc(1, sizeof *http);

    (void)snprintf(problem, PROBLEM_SIZE, "out of memory");
    if (http == NULL) return NULL;
    http->options = options;
    http->site.proxies = options->proxies;
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
        if (http->daemon != NULL) http->door = door_open(options->socket, http->daemon, connections_most());
        if (http->door == NULL) (void)snprintf(problem, PROBLEM_SIZE, "the web server does not start: out of memory or threads");
    }
    if (http->door != NULL) return http;
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
    if (http->door != NULL) {
        door_close(http->door);
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
