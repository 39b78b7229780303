#include "listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST_SOCKET = 3, TEXT_SIZE = 100 };

int listener_given(void)
{
    const char *pid = getenv("LISTEN_PID");
    const char *count = getenv("LISTEN_FDS");
    int listens = 0;
    socklen_t size = sizeof listens;

    if (pid == NULL || count == NULL || strtol(pid, NULL, 10) != (long)getpid()) return -1;
    if (strtol(count, NULL, 10) < 1) return -1;
    if (getsockopt(FIRST_SOCKET, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) return -1;
    return FIRST_SOCKET;
}

static bool is_port(const char *text)
{
    return *text != '\0' && strspn(text, "0123456789") == strlen(text) && strlen(text) <= 5 && strtol(text, NULL, 10) <= 65535;
}

static struct addrinfo *address_find(const char *text)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char copy[TEXT_SIZE];
    char *host = copy;
    char *colon;

    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy) return NULL;
    colon = strrchr(copy, ':');
    if (colon == NULL || colon == copy || !is_port(colon + 1)) return NULL;
    *colon = '\0';
    if (*host == '[' && colon[-1] == ']') {
        colon[-1] = '\0';
        host++;
    }
    return getaddrinfo(host, colon + 1, &hints, &found) == 0 ? found : NULL;
}

int listener_open(const char *text, const char **problem)
{
    struct addrinfo *address = address_find(text);
    int on = 1;
    int listener;

    *problem = "is no address and port; they are written 127.0.0.1:8080 or [::1]:8080";
    if (address == NULL) return -1;
    listener = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* Both at once have one port: so [::]:8080 leaves 0.0.0.0:8080 to another. */
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (address->ai_family == AF_INET6 && setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
        bind(listener, address->ai_addr, address->ai_addrlen) != 0 || listen(listener, SOMAXCONN) != 0) {
        *problem = strerror(errno);
        if (listener >= 0) (void)close(listener);
        listener = -1;
    }
    freeaddrinfo(address);
    return listener;
}

int listener_port(int listener)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char port[8] = "";

    if (getsockname(listener, (struct sockaddr *)&address, &size) != 0) return 0;
    (void)getnameinfo((struct sockaddr *)&address, size, NULL, 0, port, sizeof port, NI_NUMERICSERV);
    return (int)strtol(port, NULL, 10);
}
