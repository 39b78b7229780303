#include "request.h"

#include "normalize.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

bool request_is_of_program(const struct request *request)
{
    return request->exchange.route != NULL && (request->exchange.route->flags & ROUTE_PROGRAM) != 0;
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* To the letter: a cookie named __host-session may come from elsewhere, as browsers watch the other name alone. */
static void cookie_take(struct exchange *exchange, const char *pair, size_t length)
{
    for (int i = 0; i < COOKIES; i++) {
        size_t name = strlen(cookie_kinds[i].name);
        if (length <= name || strncmp(pair, cookie_kinds[i].name, name) != 0 || pair[name] != '=') continue;
        /* One that is longer is none of ours. */
        if (length - name > COOKIE_SIZE) continue;
        (void)sqlite3_snprintf(COOKIE_SIZE, exchange->cookie[i], "%.*s", (int)(length - name - 1), pair + name + 1);
    }
}

/*
** As browsers write them (RFC 6265 section 5.4).  The web server reads them, too, but what another program of this host
** put into quotation marks may hide from it those that follow.
*/
static enum MHD_Result cookies_read(void *data, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    if (value == NULL || strcasecmp(name, "Cookie") != 0) return MHD_YES;
    while (*value != '\0') {
        size_t length = strcspn(value += strspn(value, "; "), ";");
        cookie_take(data, value, length);
        value += length;
    }
    return MHD_YES;
}

/* Of one of a list's members, "es;q=0.8". */
static double weight_of(const char *member, size_t length)
{
    const char *parameter = memchr(member, ';', length);

    if (parameter == NULL) return 1;
    parameter += 1 + strspn(parameter + 1, " \t");
    return strncasecmp(parameter, "q=", 2) == 0 ? strtod(parameter + 2, NULL) : 1;
}

/* RFC 9110 section 12.5.4, as far as two languages need it: the one with the higher q, the first of equals. */
static const char *language_accepted(const char *accepted)
{
    static const char *const languages[] = {"en", "es"};
    const char *best = "en";
    double most = 0;

    for (const char *at = accepted; at != NULL && *at != '\0'; at += *at == ',') {
        size_t length = strcspn(at += strspn(at, " \t"), ",");
        for (size_t i = 0; i < sizeof languages / sizeof languages[0]; i++) {
            if (strncasecmp(at, languages[i], 2) != 0 || strchr("-,; ", at[2]) == NULL) continue;
            if (weight_of(at, length) <= most) continue;
            best = languages[i];
            most = weight_of(at, length);
        }
        at += length;
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

/*
** A line whose name goes on after these is one with a space before its colon, or a folded one: the web server adds what
** follows such a line to its name.  Another reader takes them for what they begin with.
*/
static bool is_or_hides(const char *name, const char *what)
{
    return strncasecmp(name, what, strlen(what)) == 0;
}

static enum MHD_Result line_read(void *data, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct lines *lines = data;

    (void)kind;
    if (is_or_hides(name, "Content-Length")) lines->lengths += strcasecmp(name, "Content-Length") == 0 ? 1 : 2;
    if (is_or_hides(name, "Transfer-Encoding")) lines->encoded = true;
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

/* A proxy may leave the path of portal_url before ours, or take it away.  Alone, as on the poster, it is the first page. */
static const char *below_base(const struct site *site, const char *url)
{
    size_t length = strlen(site->base);

    if (strcmp(url, site->base) == 0) return "/";
    return strncmp(url, site->base, length) == 0 && url[length] == '/' ? url + length : url;
}

static void route_take(struct request *request, const char *url)
{
    const struct route *route = route_find(request->method, url, &request->exchange.methods);
    size_t length = route == NULL ? 0 : strlen(route->path);

    request->exchange.route = route;
    if (route == NULL) {
        request->problem = request->exchange.methods == NULL ? NOT_FOUND : OTHER_METHOD;
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

void request_begin(struct request *request, const char *url, const char *method)
{
    struct MHD_Connection *connection = request->connection;
    const union MHD_ConnectionInfo *peer = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct lines lines = {0, false, NULL};
    const char *patient;

    request->method = method;
    request->exchange.base = request->site->base;
    request->exchange.same_site = is_of_same_site(connection);
    (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, line_read, &lines);
    client_read(&request->site->proxies, peer->client_addr, lines.forwarded, request->exchange.client);
    sqlite3_free(lines.forwarded);
    (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, cookies_read, &request->exchange);
    language_choose(request);
    patient = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "patient");
    (void)sqlite3_snprintf(sizeof request->exchange.patient, request->exchange.patient, "%s", patient == NULL ? "" : patient);
    request->problem = framing_problem(&lines);
    request->closes = request->problem != 0;
    if (!request->closes) route_take(request, below_base(request->site, url));
    if (request_is_of_program(request)) program_headers_read(request);
}

struct request *request_open(const struct site *site, struct MHD_Connection *connection, const char *uri)
{
    struct request *request = calloc(1, sizeof *request);
    const char *query = strchr(uri, '?');

    if (request == NULL) return NULL;
    request->site = site;
    request->connection = connection;
    if (query != NULL) request->exchange.callback.query = sqlite3_mprintf("%s", query + 1);
    (void)clock_gettime(CLOCK_MONOTONIC, &request->started);
    return request;
}

void request_close(struct request *request)
{
    if (request == NULL) return;
    request_complete(request);
    exchange_clear(&request->exchange);
    free(request);
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

void request_body(struct request *request, const char *bytes, size_t size)
{
    if (request_is_of_program(request)) {
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

/* A last field that is empty is only taken now. */
void request_complete(struct request *request)
{
    if (request->form != NULL) (void)MHD_destroy_post_processor(request->form);
    request->form = NULL;
}

bool request_is_text(const struct request *request)
{
    for (int i = 0; i < request->exchange.fields; i++) {
        const struct form_field *field = &request->exchange.field[i];
        if (!normalize_is_utf8(field->name, strlen(field->name))) return false;
        if (!normalize_is_utf8(field->value, strlen(field->value))) return false;
    }
    return normalize_is_utf8(request->exchange.patient, strlen(request->exchange.patient));
}

bool request_is_form(const struct request *request)
{
    return strcmp(request->exchange.route->method, "POST") == 0 && !request_is_of_program(request);
}

bool request_is_forged(const struct request *request)
{
    const struct exchange *exchange = &request->exchange;
    const char *form = exchange_field(exchange, "form");
    const char *own = exchange->cookie[COOKIE_FORM];

    if (!request_is_form(request)) return false;
    return !exchange->same_site || strlen(own) == 0 || strlen(form) != strlen(own) ||
           sodium_memcmp(form, own, strlen(own)) != 0;
}
