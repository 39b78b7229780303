#include "http.h"

#include "multi.h"
#include "timing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WAIT_MILLISECONDS = 250,
    CONNECT_SECONDS = 10,
    ANSWER_SECONDS = 60,           /* at most, the message's deadline allowing */
    MARGIN_SECONDS = 5,            /* before that deadline */
    END_SECONDS = 5,               /* for what is under way after an interrupt */
    IDLE_SECONDS = 30,             /* after which a kept connection is not used again */
    WAIT_SECONDS = 30,             /* when a server asks for patience and not how much */
    DAY_SECONDS = 86400            /* more patience than that is not believed */
};

/* A request, whose handle and buffers serve one message after another. */
struct request {
    struct http *http;
    CURL *easy;
    const portal_outgoing *message;   /* NULL: it is idle */
    struct http_post post;
    bool begun;                       /* the request may be on the wire */
    bool lost;                        /* its answer can not come any more */
    size_t size;
    char body[HTTP_BODY_MOST + 1];
    char error[CURL_ERROR_SIZE];
};

struct http {
    portal_api *api;
    const struct http_service *service;
    struct account account;           /* what the handles were made with */
    char *portal_url;
    struct multi multi;
    int limit;                        /* of requests under way */
    int under_way;
    int doubts;                       /* in a row */
    bool stopping;                    /* no more messages are taken */
    int code;                         /* what the extension said */
    time_t not_before;                /* the server asked for patience */
    time_t end;                       /* when what is under way is given up after an interrupt */
    portal_batch *batch;              /* of the running deliver() */
    char trouble[HTTP_WORDS_SIZE];    /* what stopped it */
    struct request request[HTTP_CONNECTIONS_MOST];
};

/* What requests are made of */

void http_post_clear(struct http_post *post)
{
    for (struct curl_slist *header = post->headers; header != NULL; header = header->next) {
        explicit_bzero(header->data, strlen(header->data));
    }
    curl_slist_free_all(post->headers);
    if (post->body != NULL) explicit_bzero(post->body, strlen(post->body));
    sqlite3_free(post->body);
    memset(post, 0, sizeof *post);
}

static bool is_given(const struct http_field *field)
{
    return field->value != NULL && *field->value != '\0';
}

/* Writes a text as a form has it and returns its length; `out` NULL only counts. */
static size_t encode(const char *text, char *out)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._*";
    static const char hex[] = "0123456789ABCDEF";
    size_t length = 0;

    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        bool escaped = strchr(plain, byte) == NULL;
        if (out != NULL && escaped) {
            out[length] = '%';
            out[length + 1] = hex[byte >> 4];
            out[length + 2] = hex[byte & 15];
        } else if (out != NULL) {
            out[length] = (char)byte;
        }
        length += escaped ? 3 : 1;
    }
    return length;
}

char *http_form(const struct http_field *fields)
{
    size_t size = 1;
    char *form, *end;

    for (const struct http_field *field = fields; field->name != NULL; field++) {
        if (is_given(field)) size += strlen(field->name) + encode(field->value, NULL) + 2;
    }
    form = sqlite3_malloc64(size);
    if (form == NULL) return NULL;
    end = form;
    for (const struct http_field *field = fields; field->name != NULL; field++) {
        if (!is_given(field)) continue;
        end += sprintf(end, "%s%s=", end == form ? "" : "&", field->name);
        end += encode(field->value, end);
    }
    *end = '\0';
    return form;
}

struct curl_slist *http_headers(const struct http_field *fields)
{
    struct curl_slist *headers = NULL;

    for (const struct http_field *field = fields; field->name != NULL; field++) {
        char *line = is_given(field) ? sqlite3_mprintf("%s: %s", field->name, field->value) : NULL;
        struct curl_slist *longer = line == NULL ? headers : curl_slist_append(headers, line);
        if (line != NULL) explicit_bzero(line, strlen(line));
        sqlite3_free(line);
        if (longer == NULL || (line == NULL && is_given(field))) {
            curl_slist_free_all(headers);
            return NULL;
        }
        headers = longer;
    }
    return headers;
}

char *http_callback(const char *portal_url, const char *channel, const portal_outgoing *message,
                    const char *rest)
{
    return sqlite3_mprintf("%s/callback/%s?message=%lld&claim=%s%s", portal_url, channel,
                           message->message_id, message->claim, rest);
}

/* The account */

static const char *option_key(const struct http *http, enum http_option option)
{
    return http->service->channel.options[option].key;
}

/* https, or what the account allows instead. */
static char *url_problem(const struct http *http, const struct account *account)
{
    const char *url = account->value[HTTP_URL];
    const char *tls = account->value[HTTP_TLS];
    bool is_auto = strcmp(tls, "auto") == 0;
    bool is_off = strcmp(tls, "off") == 0;

    if (!is_auto && !is_off && strcmp(tls, "required") != 0) {
        return sqlite3_mprintf("%s is auto, required or off", option_key(http, HTTP_TLS));
    }
    if (strncmp(url, "https://", 8) == 0) return NULL;
    if (strncmp(url, "http://", 7) == 0 && (is_off || (is_auto && account_is_loopback(url)))) return NULL;
    return sqlite3_mprintf("%s must begin with https://; plain http needs %s off, or this very machine",
                           option_key(http, HTTP_URL), option_key(http, HTTP_TLS));
}

static char *account_problem(const struct http *http, const struct account *account)
{
    for (int i = 0; http->service->channel.options[i].key != NULL; i++) {
        const portal_option *option = &http->service->channel.options[i];
        if ((http->service->needs >> i & 1) == 0 || *account->value[i] != '\0') continue;
        if (option->kind != PORTAL_OPTION_SECRET) return sqlite3_mprintf("set %s", option->key);
        return sqlite3_mprintf("store it with portal_secret('%s', ...)", option->key);
    }
    if (strpbrk(account->value[HTTP_SECRET], "\r\n") != NULL) {
        return sqlite3_mprintf("%s has a line break", option_key(http, HTTP_SECRET));
    }
    return url_problem(http, account);
}

char *http_problem(void *data)
{
    const struct http *http = data;
    struct account account;
    char *problem = account_read(&account, http->api, http->service->channel.options)
                        ? account_problem(http, &account) : sqlite3_mprintf("out of memory");

    account_clear(&account);
    return problem;
}

int http_probe(void *data, char **wrong, sqlite3_int64 *certified_until)
{
    const struct http *http = data;
    struct account account;
    int result = account_read(&account, http->api, http->service->channel.options)
                     ? http_account_probe(http->service, &account, wrong, certified_until) : SQLITE_NOMEM;

    account_clear(&account);
    return result;
}

int http_receive(void *data, const portal_request *request, portal_news *news)
{
    const struct http *http = data;
    struct account account;
    int code = account_read(&account, http->api, http->service->channel.options)
                   ? http->service->receive(&account, request, news) : SQLITE_NOMEM;

    account_clear(&account);
    return code;
}

/* Requests */

/* The end of a body that is too long is not waited for: libcurl gives up when not all is taken. */
static size_t body_take(const char *bytes, size_t size, size_t count, void *data)
{
    struct request *request = data;
    size_t room = HTTP_BODY_MOST - request->size;
    size_t taken = size * count < room ? size * count : room;

    memcpy(request->body + request->size, bytes, taken);
    request->size += taken;
    return taken;
}

/*
** Called before a request is written.  libcurl writes it again by itself when a kept connection breaks
** before the answer, but the first may have arrived.
*/
static int request_begins(void *data, __attribute__((unused)) char *address,
                          __attribute__((unused)) char *own_address, int port, int own_port)
{
    struct request *request = data;

    (void)port;
    (void)own_port;
    request->lost = request->begun;
    request->begun = true;
    return request->lost ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

bool http_account_apply(const struct http_service *service, const struct account *account, CURL *easy)
{
    unsigned failed = 0;

    failed |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    failed |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    failed |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    failed |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    /* What nobody may read on its way is not given to a proxy in the environment. */
    if (strncmp(account->value[HTTP_URL], "http:", 5) == 0) {
        failed |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
    }
    if (service->signs_in) {
        failed |= curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        failed |= curl_easy_setopt(easy, CURLOPT_USERNAME, account->value[HTTP_USER]);
        failed |= curl_easy_setopt(easy, CURLOPT_PASSWORD, account->value[HTTP_SECRET]);
    }
    if (*account->value[HTTP_CA_FILE] != '\0') {
        failed |= curl_easy_setopt(easy, CURLOPT_CAINFO, account->value[HTTP_CA_FILE]);
        failed |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    return failed == 0;
}

/* False without memory. */
static bool request_options(struct request *request)
{
    const struct http *http = request->http;
    CURL *easy = request->easy;
    char *address = http->service->address(&http->account);
    unsigned failed = address == NULL;

    failed |= curl_easy_setopt(easy, CURLOPT_URL, address);
    failed |= curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)IDLE_SECONDS);
    failed |= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, request_begins);
    failed |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, request);
    failed |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_take);
    failed |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    failed |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->error);
    failed |= curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    failed |= !http_account_apply(http->service, &http->account, easy);
    sqlite3_free(address);
    return failed == 0;
}

/* The message leaves the request. */
static void request_report(struct request *request, const portal_report *report)
{
    struct http *http = request->http;
    int code = http->batch->report(http->batch, request->message, report);

    if (code != SQLITE_OK) http->code = code;
    http_post_clear(&request->post);
    request->message = NULL;
}

static void request_close(struct request *request)
{
    if (request->easy != NULL) curl_easy_cleanup(request->easy);
    request->easy = NULL;
}

/* Puts it on its way; false without memory. */
static bool request_start(struct request *request, long seconds)
{
    struct http *http = request->http;
    unsigned failed = 0;

    if (request->easy == NULL) {
        request->easy = curl_easy_init();
        if (request->easy == NULL || !request_options(request)) return false;
    }
    if (!http->service->compose(&http->account, http->portal_url, request->message, &request->post)) {
        return false;
    }
    failed |= curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, request->post.headers);
    failed |= curl_easy_setopt(request->easy, CURLOPT_POSTFIELDS, request->post.body);
    failed |= curl_easy_setopt(request->easy, CURLOPT_TIMEOUT, seconds);
    return failed == 0 && curl_multi_add_handle(http->multi.curl, request->easy) == CURLM_OK;
}

static void request_take(struct request *request, const portal_outgoing *message)
{
    static const portal_report late = {PORTAL_RETRY, "its sender came to it too late", 0};
    static const portal_report starved = {PORTAL_RETRY, "out of memory", 0};
    sqlite3_int64 left = message->deadline - MARGIN_SECONDS - timing_utc();

    request->message = message;
    request->begun = false;
    request->lost = false;
    request->size = 0;
    request->error[0] = '\0';
    if (left <= 0) {
        request_report(request, &late);
    } else if (request_start(request, left < ANSWER_SECONDS ? (long)left : ANSWER_SECONDS)) {
        request->http->under_way++;
    } else {
        request_close(request);
        request_report(request, &starved);
        request->http->code = SQLITE_NOMEM;
    }
}

/* What came of it */

static void trouble_set(struct http *http, const char *words)
{
    (void)snprintf(http->trouble, sizeof http->trouble, "%s", words);
    http->stopping = true;
}

static void verdict_heed(struct http *http, const struct http_verdict *verdict, int retry_after)
{
    http->doubts = verdict->next == HTTP_DOUBT ? http->doubts + 1 : 0;
    if (verdict->next == HTTP_STOP || http->doubts >= http->limit) trouble_set(http, verdict->words);
    if (verdict->next == HTTP_WAIT) {
        http->not_before = timing_uptime() + (retry_after > 0 ? retry_after : WAIT_SECONDS);
        http->stopping = true;
    }
}

/* Without an answer: what was never written may be written later, and needs a server that can be reached. */
static struct http_verdict failure_judge(const struct request *request, CURLcode code)
{
    struct http_verdict verdict = {
        request->begun ? PORTAL_UNCERTAIN : PORTAL_RETRY, request->begun ? HTTP_DOUBT : HTTP_STOP, "",
    };
    const char *words = request->error[0] != '\0' ? request->error : curl_easy_strerror(code);

    if (request->lost) words = "the connection broke before the answer";
    (void)snprintf(verdict.words, sizeof verdict.words, "%s", words);
    return verdict;
}

struct http_verdict http_judge_status(int status)
{
    struct http_verdict verdict = {PORTAL_RETRY, HTTP_STOP, ""};

    if (status >= 500) verdict.next = HTTP_DOUBT;
    if (status == 429) verdict.next = HTTP_WAIT;
    /* Somebody took it, though not in the service's words. */
    if (status / 100 == 2) verdict.result = PORTAL_UNCERTAIN;
    return verdict;
}

static bool is_answered(const struct request *request, CURLcode code)
{
    return code == CURLE_OK || (code == CURLE_WRITE_ERROR && request->size == HTTP_BODY_MOST);
}

/* A server that repeats the credential has it shown to nobody. */
void http_secret_hide(char *body, const char *secret)
{
    size_t length = strlen(secret);

    if (length == 0) return;
    for (char *found = strstr(body, secret); found != NULL; found = strstr(found, secret)) {
        memset(found, '*', length);
    }
}

static struct http_verdict answer_judge(struct request *request, int *retry_after)
{
    long status = 0;
    curl_off_t wait = 0;

    (void)curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &wait);
    /* A date that has passed gives less than nothing. */
    *retry_after = wait < 0 ? 0 : wait > DAY_SECONDS ? DAY_SECONDS : (int)wait;
    request->body[request->size] = '\0';
    http_secret_hide(request->body, request->http->account.value[HTTP_SECRET]);
    return request->http->service->judge((int)status, request->body, request->message);
}

static void request_end(struct request *request, CURLcode code)
{
    struct http *http = request->http;
    int retry_after = 0;
    struct http_verdict verdict = is_answered(request, code) ? answer_judge(request, &retry_after)
                                                             : failure_judge(request, code);
    portal_report report = {verdict.result, verdict.words,
                            verdict.result == PORTAL_RETRY ? retry_after : 0};

    (void)curl_multi_remove_handle(http->multi.curl, request->easy);
    http->under_way--;
    verdict_heed(http, &verdict, retry_after);
    request_report(request, &report);
}

/* Delivering */

static void requests_fill(struct http *http)
{
    for (int i = 0; i < http->limit; i++) {
        const portal_outgoing *message;
        if (http->request[i].message != NULL) continue;
        if (http->stopping || http->code != SQLITE_OK) return;
        message = http->batch->next(http->batch);
        if (message == NULL) return;
        request_take(&http->request[i], message);
    }
}

static void requests_arrive(struct http *http)
{
    const CURLMsg *message;
    int left = 0;

    while ((message = curl_multi_info_read(http->multi.curl, &left)) != NULL) {
        struct request *request = NULL;
        CURLcode code = message->data.result;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
        request_end(request, code);
    }
}

static void requests_give_up(struct http *http)
{
    for (int i = 0; i < http->limit; i++) {
        struct request *request = &http->request[i];
        if (request->message == NULL) continue;
        (void)snprintf(request->error, sizeof request->error, "interrupted before the answer");
        request_end(request, CURLE_ABORTED_BY_CALLBACK);
    }
}

/* After an interrupt what is under way gets some seconds more. */
static void interrupt_heed(struct http *http)
{
    int code = http->batch->settle(http->batch);

    if (code == SQLITE_OK) return;
    http->stopping = true;
    if (code != SQLITE_INTERRUPT) http->code = code;
    if (http->end == 0) http->end = timing_uptime() + END_SECONDS;
    if (timing_uptime() >= http->end) requests_give_up(http);
}

static void requests_close(struct http *http)
{
    for (int i = 0; i < HTTP_CONNECTIONS_MOST; i++) request_close(&http->request[i]);
}

/* Handles of another account are of no use. */
static bool account_take(struct http *http)
{
    struct account account;

    if (!account_read(&account, http->api, http->service->channel.options)) {
        account_clear(&account);
        return false;
    }
    if (!account_same(&http->account, &account)) {
        requests_close(http);
        http->not_before = 0;
    }
    account_clear(&http->account);
    http->account = account;
    http->limit = (int)strtol(account.value[HTTP_CONNECTIONS], NULL, 10);
    sqlite3_free(http->portal_url);
    http->portal_url = http->api->setting(http->api, "portal_url");
    return http->portal_url != NULL;
}

int http_deliver(void *data, portal_batch *batch)
{
    struct http *http = data;

    if (!account_take(http)) return SQLITE_NOMEM;
    http->batch = batch;
    http->stopping = timing_uptime() < http->not_before;
    http->doubts = 0;
    http->end = 0;
    http->code = SQLITE_OK;
    http->trouble[0] = '\0';
    for (;;) {
        requests_fill(http);
        if (http->under_way == 0) break;
        interrupt_heed(http);
        multi_wait(&http->multi, WAIT_MILLISECONDS);
        requests_arrive(http);
    }
    if (http->code != SQLITE_OK || http->trouble[0] == '\0') return http->code;
    batch->explain(batch, http->trouble);
    return SQLITE_ERROR;
}

static void http_free(void *data)
{
    struct http *http = data;

    requests_close(http);
    multi_close(&http->multi);
    account_clear(&http->account);
    sqlite3_free(http->portal_url);
    free(http);
}

int http_register(const struct http_service *service, sqlite3 *db, char **error)
{
    portal_api *api = portal_api_from_db(db);
    struct http *http;

    if (api == NULL || api->version < 1) return SQLITE_ERROR;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        *error = sqlite3_mprintf("libcurl did not start");
        return SQLITE_ERROR;
    }
    http = calloc(1, sizeof *http);
    if (http == NULL) return SQLITE_NOMEM;
    http->api = api;
    http->service = service;
    for (int i = 0; i < HTTP_CONNECTIONS_MOST; i++) http->request[i].http = http;
    if (!multi_open(&http->multi)) {
        http_free(http);
        return SQLITE_NOMEM;
    }
    return api->register_channel(api, &service->channel, http, http_free);
}
