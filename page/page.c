/*
** portal-page DATABASE LISTEN PROXIES CERTIFICATE KEY POSTS PATIENCE: the web server that `portal serve` becomes.
** All arguments are given, "" for what there is none of.
*/
#include "../shell/notify.h"
#include "certificate.h"
#include "http.h"
#include "listener.h"
#include "view.h"

#include <signal.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { DATABASE = 1, LISTEN, PROXIES, CERTIFICATE, KEY, POSTS, PATIENCE, ARGUMENTS, FILES = 4096 };

static int refused(const char *what, const char *why)
{
    (void)fprintf(stderr, "portal: %s: %s\n", what, why);
    return 1;
}

/* Every connection is a file, and the databases are some. */
static void files_allow(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= FILES) return;
    limit.rlim_cur = limit.rlim_max < FILES ? limit.rlim_max : FILES;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* Until a signal ends it; SIGHUP says that the certificate was renewed. */
static void signals_wait(const sigset_t *signals, char **argv)
{
    char problem[PROBLEM_SIZE];
    int signal = SIGHUP;

    while (sigwait(signals, &signal) == 0 && signal == SIGHUP) {
        if (*argv[CERTIFICATE] == '\0') continue;
        if (certificate_read(argv[CERTIFICATE], argv[KEY], problem, sizeof problem)) (void)fprintf(stderr, "portal: certificate read again\n");
        else (void)fprintf(stderr, "portal: the former certificate stays: %s\n", problem);
    }
}

static int serve(struct http_options *options, char **argv, const sigset_t *signals)
{
    char problem[PROBLEM_SIZE];
    const char *why;
    struct http *http;

    if (options->tls && !certificate_read(argv[CERTIFICATE], argv[KEY], problem, sizeof problem)) return refused("TLS", problem);
    options->socket = listener_given();
    if (options->socket < 0) options->socket = listener_open(argv[LISTEN], &why);
    if (options->socket < 0) return refused(argv[LISTEN], why);
    http = http_start(options, problem);
    if (http == NULL) return refused(options->database, problem);
    (void)fprintf(stderr, "portal: serving %s on port %d\n", options->database, listener_port(options->socket));
    notify("READY=1");
    signals_wait(signals, argv);
    notify("STOPPING=1");
    http_stop(http);
    return 0;
}

int main(int argc, char **argv)
{
    struct http_options options = {.socket = -1, .log = stdout};
    sigset_t signals;
    int code;

    if (argc != ARGUMENTS) return refused("portal-page", "is started by portal serve");
    /* Statistics take a lock of the whole process at every allocation. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    if (sodium_init() < 0 || !view_begin()) return refused("portal-page", "out of memory");
    options.database = argv[DATABASE];
    options.posts_per_minute = (int)strtol(argv[POSTS], NULL, 10);
    options.patience_seconds = (int)strtol(argv[PATIENCE], NULL, 10);
    options.tls = *argv[CERTIFICATE] != '\0';
    if (proxies_read(&options.proxies, argv[PROXIES]) != 0) return refused(argv[PROXIES], "is no list of addresses");
    files_allow();
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    /* Errors say both: the other side has gone, a file may not grow. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    code = serve(&options, argv, &signals);
    certificate_end();
    view_end();
    return code;
}
