/*
** The web server around the pages: libmicrohttpd, a few threads that answer what never waits, and a pool
** for the rest.  HTTP/1.1 (RFC 9112), with or without TLS.
*/
#ifndef PAGE_HTTP_H
#define PAGE_HTTP_H

#include "client.h"

#include <stdbool.h>
#include <stdio.h>

/* All texts stay the caller's, and must stay. */
struct http_options {
    const char *database;
    int socket;                    /* that listens; it stays the caller's */
    struct proxies proxies;
    bool tls;                      /* with what certificate_read() has read */
    int posts_per_minute;          /* of one client */
    int patience_seconds;          /* for a request to be whole, and between two */
    FILE *log;                     /* a line for each answer; NULL: none */
};

struct http;

enum { PROBLEM_SIZE = 300 };

/* Answers from now on, in threads of its own.  NULL: why not is in `problem`. */
struct http *http_start(const struct http_options *options, char problem[PROBLEM_SIZE]);

/* Takes no more connections, answers what was asked, and ends. */
void http_stop(struct http *http);

#endif
