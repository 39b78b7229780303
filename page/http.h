/*
** The web server around the pages: libmicrohttpd, a few threads that answer what never waits, and a pool
** for the rest.  HTTP/1.1 (RFC 9112), with or without TLS.
*/
#ifndef PAGE_HTTP_H
#define PAGE_HTTP_H

#include "client.h"

#include <stdbool.h>

/* All texts stay the caller's, and must stay. */
struct http_options {
    const char *database;
    const char *host;              /* of --listen; numeric */
    const char *port;
    int socket;                    /* one that listens already, or -1 */
    struct proxies proxies;
    const char *certificate;       /* PEM; NULL: without TLS */
    const char *key;
    int posts_per_minute;          /* of one client */
    int patience_seconds;          /* for a request to be whole, and between two */
};

struct http;

/* Listens and answers from now on, in threads of its own.  NULL: why not is in `problem`. */
struct http *http_start(const struct http_options *options, char problem[200]);

/* The port it listens on. */
int http_port(const struct http *http);

/* Takes no more connections, answers what was asked, and ends. */
void http_stop(struct http *http);

#endif
