/*
** A request, from its first line to the end of the answer: what it asks is read here from what the web
** server makes of HTTP, into the exchange that the pages know.
*/
#ifndef PAGE_REQUEST_H
#define PAGE_REQUEST_H

#include "client.h"
#include "exchange.h"

#include <microhttpd.h>
#include <time.h>

/* What holds for all of them. */
struct site {
    struct proxies proxies;
    char base[BASE_SIZE];          /* path of portal_url, "" or "/portal" */
};

struct http;

struct request {
    struct exchange exchange;
    const struct site *site;
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

/* With the first line, whose query is as it was sent; NULL without memory. */
struct request *request_open(const struct site *site, struct MHD_Connection *connection, const char *uri);
void request_close(struct request *request);

/* With the head.  What is wrong with it is request->problem. */
void request_begin(struct request *request, const char *url, const char *method);

/* With a part of the body, likewise. */
void request_body(struct request *request, const char *bytes, size_t size);

/* When the body is complete. */
void request_complete(struct request *request);

/* It comes from a provider's program, not from a page of ours. */
bool request_is_of_program(const struct request *request);

/* Somebody filled in a form of a page.  Only of a request that has a route. */
bool request_is_form(const struct request *request);

/* What comes back in a page, or names a patient, has to be UTF-8. */
bool request_is_text(const struct request *request);

/* A form is taken from a page of ours alone: it brings along what that page's cookie holds. */
bool request_is_forged(const struct request *request);

#endif
