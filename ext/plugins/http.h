/*
** What channels that post messages to a web service share (kannel.c, twilio.c): several requests at once
** over connections that stay open, and what becomes of a message when the network fails.  A service says
** how a message is written and what an answer means.
*/
#ifndef HTTP_H
#define HTTP_H

#include "account.h"

#include <curl/curl.h>

/* The order of the options of every such channel; further ones may follow. */
enum http_option {
    HTTP_URL, HTTP_USER, HTTP_SECRET, HTTP_FROM, HTTP_CONNECTIONS, HTTP_TLS, HTTP_CA_FILE
};

/* The last three of them, the same for all; after them, the end or further ones. */
#define HTTP_OPTIONS(channel, connections) \
    {channel "_connections", PORTAL_OPTION_NUMBER, connections, 1, HTTP_CONNECTIONS_MOST, \
     "Requests under way at once, at most."}, \
    {channel "_tls", PORTAL_OPTION_LINE, "auto", 1, 10, \
     "https: auto (required, but not to this very machine), required, or off (plain http will do)."}, \
    {channel "_ca_file", PORTAL_OPTION_LINE, "", 0, 1000, \
     "File of certificates to trust instead of the system's, as PEM."}
#define HTTP_OPTIONS_END {NULL, PORTAL_OPTION_LINE, NULL, 0, 0, NULL}

/* Twilio repeats the text, each of its 1600 letters written as \u00e4 at the longest. */
enum { HTTP_CONNECTIONS_MOST = 100, HTTP_BODY_MOST = 16384, HTTP_WORDS_SIZE = 400 };

/* A field of a form or of the head of a request; without a value, NULL or "", it is left out. */
struct http_field {
    const char *name;
    const char *value;
};

/* A request of a message. */
struct http_post {
    struct curl_slist *headers;    /* beside libcurl's own */
    char *body;                    /* sqlite3_malloc() */
};

/* What an answer means for the messages after this one. */
enum http_next {
    HTTP_GO_ON,
    HTTP_DOUBT,                    /* many such in a row are an outage: then take no more */
    HTTP_WAIT,                     /* take no more for as long as the server asked */
    HTTP_STOP                      /* something is to be mended first; the words say what */
};

struct http_verdict {
    portal_result result;
    enum http_next next;
    char words[HTTP_WORDS_SIZE];
};

struct http;

struct http_service {
    portal_channel channel;        /* its deliver() is http_deliver(), its problem() http_problem() */
    unsigned needs;                /* bits (1 << HTTP_...) of the options that must have a value */
    bool signs_in;                 /* user and secret go along by Basic authentication (RFC 7617) */

    /* Where to post, sqlite3_mprintf() text. */
    char *(*address)(const struct account *account);

    /* The request of a message, which comes empty; false without memory. */
    bool (*compose)(const struct account *account, const char *portal_url, const portal_outgoing *message,
                    struct http_post *post);

    /* What an answer to a message means; of its body there are at most HTTP_BODY_MOST bytes. */
    struct http_verdict (*judge)(int status, const char *body, const portal_outgoing *message);

    /* A request, which comes empty, that shows whether we are let in, and where to; without a body, a GET. */
    bool (*knock)(const struct account *account, struct http_post *post, char **address);

    /* The answer to that says yes; what does not is judged as one to a message. */
    bool (*welcomes)(int status, const char *body);

    /* As receive() of the channel. */
    int (*receive)(const struct account *account, const portal_request *request, portal_news *news);
};

/* The fields, ended by one without a name, as a body of application/x-www-form-urlencoded.  sqlite3_free(). */
char *http_form(const struct http_field *fields);

/* The same in the head of a request, their values as they are, of one line each.  NULL without memory. */
struct curl_slist *http_headers(const struct http_field *fields);

/* What the status of an answer means to every service that says nothing better; without words. */
struct http_verdict http_judge_status(int status);

/* The URL for reports on a message: below portal_url, with the capability to report.  sqlite3_free(). */
char *http_callback(const char *portal_url, const char *channel, const portal_outgoing *message,
                    const char *rest);

/* The entry point of a plugin: registers the service's channel. */
int http_register(const struct http_service *service, sqlite3 *db, char **error);

int http_deliver(void *data, portal_batch *batch);
char *http_problem(void *data);
int http_probe(void *data, char **wrong, sqlite3_int64 *certified_until);
int http_receive(void *data, const portal_request *request, portal_news *news);

/* For http_probe.c: whom a transfer trusts and how it signs in; false without memory. */
bool http_account_apply(const struct http_service *service, const struct account *account, CURL *easy);

/* Wipes and frees what a request is made of, or the credential in what a server says. */
void http_post_clear(struct http_post *post);
void http_secret_hide(char *body, const char *secret);

/* http_probe() of an account that has all it needs. */
int http_account_probe(const struct http_service *service, const struct account *account, char **wrong,
                       sqlite3_int64 *certified_until);

#endif
