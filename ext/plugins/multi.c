#include "multi.h"

#include <stdint.h>
#include <string.h>
#include <time.h>

static const sqlite3_int64 NEVER = INT64_MAX;

static sqlite3_int64 uptime_milliseconds(void)
{
    struct timespec time = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * (sqlite3_int64)1000 + time.tv_nsec / 1000000;
}

/* libcurl says for what to wait on a socket. */
static int socket_watch(__attribute__((unused)) CURL *easy, curl_socket_t socket, int what, void *data,
                        __attribute__((unused)) void *own)
{
    static const short events[] = {
        [CURL_POLL_IN] = POLLIN, [CURL_POLL_OUT] = POLLOUT, [CURL_POLL_INOUT] = POLLIN | POLLOUT,
    };
    struct multi *multi = data;
    int i = 0;

    while (i < multi->sockets && multi->socket[i].fd != socket) i++;
    if (what == CURL_POLL_REMOVE) {
        if (i < multi->sockets) multi->socket[i] = multi->socket[--multi->sockets];
        return 0;
    }
    if (i == MULTI_SOCKETS_MOST) return -1;
    if (i == multi->sockets) multi->sockets++;
    multi->socket[i] = (struct pollfd){socket, events[what], 0};
    return 0;
}

/* And when it wants to be called at the latest. */
static int timer_set(__attribute__((unused)) CURLM *curl, long milliseconds, void *data)
{
    struct multi *multi = data;

    multi->wake_at = milliseconds < 0 ? NEVER : uptime_milliseconds() + milliseconds;
    return 0;
}

bool multi_open(struct multi *multi)
{
    memset(multi, 0, sizeof *multi);
    multi->wake_at = NEVER;
    multi->curl = curl_multi_init();
    return multi->curl != NULL &&
           curl_multi_setopt(multi->curl, CURLMOPT_SOCKETFUNCTION, socket_watch) == CURLM_OK &&
           curl_multi_setopt(multi->curl, CURLMOPT_SOCKETDATA, multi) == CURLM_OK &&
           curl_multi_setopt(multi->curl, CURLMOPT_TIMERFUNCTION, timer_set) == CURLM_OK &&
           curl_multi_setopt(multi->curl, CURLMOPT_TIMERDATA, multi) == CURLM_OK;
}

void multi_close(struct multi *multi)
{
    if (multi->curl != NULL) (void)curl_multi_cleanup(multi->curl);
    multi->curl = NULL;
}

void multi_wait(struct multi *multi, int milliseconds)
{
    sqlite3_int64 left = multi->wake_at - uptime_milliseconds();
    int wait = left > milliseconds ? milliseconds : (int)left;
    struct pollfd socket[MULTI_SOCKETS_MOST];
    int sockets = multi->sockets;
    int running = 0;

    /* What was added is due at once, and need not wait for a look at the sockets. */
    if (left <= 0) {
        multi->wake_at = NEVER;
        (void)curl_multi_socket_action(multi->curl, CURL_SOCKET_TIMEOUT, 0, &running);
        return;
    }
    /* What comes of one changes what is waited for. */
    memcpy(socket, multi->socket, (size_t)sockets * sizeof socket[0]);
    (void)poll(socket, (nfds_t)sockets, wait);
    for (int i = 0; i < sockets; i++) {
        int events = socket[i].revents;
        int what = ((events & POLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                   ((events & POLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
                   ((events & (POLLERR | POLLHUP | POLLNVAL)) != 0 ? CURL_CSELECT_ERR : 0);
        if (what != 0) (void)curl_multi_socket_action(multi->curl, socket[i].fd, what, &running);
    }
}
