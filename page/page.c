/*
** portal-page DATABASE LISTEN PROXIES CERTIFICATE KEY POSTS PATIENCE: the web server that `portal serve` becomes.
** All arguments are given, "" for what there is none of.
*/
#include "../shell/notify.h"
#include "http.h"
#include "view.h"

#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DATABASE = 1, LISTEN, PROXIES, CERTIFICATE, KEY, POSTS, PATIENCE, ARGUMENTS, FIRST_SOCKET = 3 };

static int refused(const char *what, const char *why)
{
    (void)fprintf(stderr, "portal: %s: %s\n", what, why);
    return 1;
}

/* The whole of a file, which stays until the end. */
static char *file_read(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t size = 0;
    ssize_t length;

    if (file == NULL) return NULL;
    length = getdelim(&text, &size, '\0', file);
    (void)fclose(file);
    return length > 0 ? text : NULL;
}

/* sd_listen_fds(3): the first socket that a service manager hands over, or -1. */
static int socket_given(void)
{
    const char *pid = getenv("LISTEN_PID");
    const char *count = getenv("LISTEN_FDS");

    return pid != NULL && count != NULL && strtol(pid, NULL, 10) == (long)getpid() && strtol(count, NULL, 10) >= 1
               ? FIRST_SOCKET : -1;
}

static void listen_read(char *text, struct http_options *options)
{
    char *colon = strrchr(text, ':');

    if (colon != NULL) *colon = '\0';
    options->port = colon == NULL ? "8080" : colon + 1;
    options->host = text;
    if (*text == '[' && text[strlen(text) - 1] == ']') {
        text[strlen(text) - 1] = '\0';
        options->host = text + 1;
    }
}

static int serve(const struct http_options *options, const sigset_t *ends)
{
    char problem[200];
    struct http *http = http_start(options, problem);
    int signal = 0;

    if (http == NULL) return refused(options->database, problem);
    (void)fprintf(stderr, "portal: serving %s on port %d\n", options->database, http_port(http));
    notify("READY=1");
    (void)sigwait(ends, &signal);
    notify("STOPPING=1");
    http_stop(http);
    return 0;
}

int main(int argc, char **argv)
{
    struct http_options options = {.socket = socket_given()};
    sigset_t ends;
    int code;

    if (argc != ARGUMENTS) return refused("portal-page", "is started by portal serve");
    if (sodium_init() < 0 || !view_begin()) return refused("portal-page", "out of memory");
    options.database = argv[DATABASE];
    options.posts_per_minute = (int)strtol(argv[POSTS], NULL, 10);
    options.patience_seconds = (int)strtol(argv[PATIENCE], NULL, 10);
    listen_read(argv[LISTEN], &options);
    if (proxies_read(&options.proxies, argv[PROXIES]) != 0) return refused(argv[PROXIES], "is no list of addresses");
    if (*argv[CERTIFICATE] != '\0') {
        options.certificate = file_read(argv[CERTIFICATE]);
        options.key = file_read(argv[KEY]);
        if (options.certificate == NULL) return refused(argv[CERTIFICATE], "can not be read");
        if (options.key == NULL) return refused(argv[KEY], "can not be read");
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &ends, NULL);
    code = serve(&options, &ends);
    view_end();
    free((char *)options.certificate);
    free((char *)options.key);
    return code;
}
