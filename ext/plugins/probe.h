/*
** Trying whether a server lets us in: what channels that speak to one share.
*/
#ifndef PROBE_H
#define PROBE_H

#include "../portal.h"

#include <curl/curl.h>

enum { PROBE_SECONDS = 10 };

/* Limits the transfer to PROBE_SECONDS and keeps what the server's certificate says.  False without memory. */
int probe_prepare(CURL *easy);

/* Until when, seconds UTC, the certificate is good that the server showed; 0: it showed none. */
sqlite3_int64 probe_certificate(CURL *easy);

/*
** *wrong gets why a transfer of a channel ended with `code`, and what to do about it; `words` are libcurl's or
** the server's.  SQLITE_OK or SQLITE_NOMEM.
*/
int probe_failure(const char *channel, const char *url, CURLcode code, const char *words, char **wrong);

#endif
