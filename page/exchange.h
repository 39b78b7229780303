/*
** An exchange: what one request asked, and what is answered.  The web server fills the first half in and
** sends the second; the pages know nothing else of HTTP.
*/
#ifndef PAGE_EXCHANGE_H
#define PAGE_EXCHANGE_H

#include "ask.h"
#include "view.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    FIELDS_MOST = 120,             /* of a form: two for each field of a chart, of which a practice has up to 54 */
    BODY_MOST = 65536,
    CALLBACK_MOST = 16384,         /* of a program's request */
    COOKIE_SIZE = 80,              /* tokens and sessions have 32 */
    REST_SIZE = 80,
    KEY_SIZE = 1024,               /* a patient's key as a query has it: 128 bytes of JSON, each as much as "%5C%22" */
    BASE_SIZE = 256
};

/* Cookies, by the names below. */
enum cookie { COOKIE_SESSION, COOKIE_LINK, COOKIE_LETTER, COOKIE_RESET, COOKIE_FORM, COOKIE_LANGUAGE, COOKIES };

struct cookie_kind {
    const char *name;
    const char *attributes;
};
extern const struct cookie_kind cookie_kinds[COOKIES];

/* RFC 9110 section 15, RFC 6585. */
enum status {
    SEE_OTHER = 303, BAD_REQUEST = 400, FORBIDDEN = 403, NOT_FOUND = 404, OTHER_METHOD = 405, GONE = 410, LENGTH_REQUIRED = 411,
    TOO_LARGE = 413, NOT_FORM = 415, UNPROCESSABLE = 422, TOO_MANY = 429, UNAVAILABLE = 503
};

struct route;

struct exchange {
    /* Asked */
    const struct route *route;
    char rest[REST_SIZE];          /* of the path, after a route that ends with a slash */
    char client[64];               /* address */
    char patient[KEY_SIZE];             /* of the query */
    char cookie[COOKIES][COOKIE_SIZE];
    bool same_site;                /* false: the browser says that another site's page sent it */
    int fields;
    struct form_field { char *name; char *value; } field[FIELDS_MOST];
    struct {                       /* of a program's request, as it came; sqlite3_malloc'd, NULL where there is none */
        char *query;
        char *headers;             /* a JSON object */
        char *body;
    } callback;
    const struct texts *texts;
    const char *base;              /* path of the portal, before all others */
    /* Answered */
    int status;                    /* HTTP status */
    const char *type;
    char *body;                    /* sqlite3_malloc'd */
    char location[KEY_SIZE + 40];            /* of a redirect, below the portal's own path */
    const char *methods;           /* that the path has; NULL: unknown */
    bool sets[COOKIES];            /* to what `cookie` has now; "" takes it away */
    bool cached;                   /* the same for everybody: it may be kept for some minutes */
};

/* A field of the form; "" when it is not there. */
const char *exchange_field(const struct exchange *exchange, const char *name);

void exchange_set(struct exchange *exchange, enum cookie cookie, const char *value);

/* What was answered so far is not; cookies stay what they were set to. */
void exchange_take_back(struct exchange *exchange);

/* 303 See Other. */
void exchange_redirect(struct exchange *exchange, const char *location);

/* Frees what it holds; what may be a secret is wiped. */
void exchange_clear(struct exchange *exchange);

/* Wipes and frees a field or a page. */
void exchange_free(void *text);

enum route_flag {
    ROUTE_WAITS = 1,               /* it may take long: a write, a hash, a mail server */
    ROUTE_PROGRAM = 2              /* it is for programs, not for browsers: no form of ours, and any body */
};

/* What a path leads to. */
struct route {
    const char *method;
    const char *path;              /* one that ends with "/" takes more after it, "/" itself does not */
    unsigned flags;
    void (*answer)(struct exchange *exchange, struct desk *desk);
};

/*
** NULL: there is none.  *methods are those that the path has (for Allow, RFC 9110 section 10.2.1), NULL when it is unknown;
** static text.
*/
const struct route *route_find(const char *method, const char *path, const char **methods);

/* A page that says what is wrong: 404, 413, 503... */
void page_problem(struct exchange *exchange, struct desk *desk, int status);

#endif
