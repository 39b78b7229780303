#include "door.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAUSE_MILLISECONDS = 50 };

struct door {
    pthread_t keeper;
    int listener;
    int closing;                   /* can be read once it is to close */
    struct MHD_Daemon *daemon;
    unsigned most;
};

static bool has_room(const struct door *door)
{
    return MHD_get_daemon_info(door->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections < door->most;
}

/* False when the system has no file or memory for one more connection, which waits. */
static bool take(const struct door *door)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    int connection = accept4(door->listener, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

    /* Another process took it, or it has gone again. */
    if (connection < 0) return errno == EAGAIN || errno == ECONNABORTED || errno == EINTR;
    /* What can not be added is closed. */
    (void)MHD_add_connection(door->daemon, connection, (struct sockaddr *)&address, size);
    return true;
}

static void *keep(void *data)
{
    const struct door *door = data;
    struct pollfd files[] = {{.fd = door->closing, .events = POLLIN}, {.fd = door->listener, .events = POLLIN}};
    bool open = true;

    while (files[0].revents == 0) {
        files[1].revents = 0;
        (void)poll(files, open ? 2 : 1, open ? -1 : PAUSE_MILLISECONDS);
        open = has_room(door) && (files[1].revents == 0 || take(door));
    }
    return NULL;
}

struct door *door_open(int listener, struct MHD_Daemon *daemon, unsigned most)
{
    struct door *door = malloc(sizeof *door);

    if (door == NULL) return NULL;
    *door = (struct door){.listener = listener, .closing = eventfd(0, EFD_CLOEXEC), .daemon = daemon, .most = most};
    /* Of several processes that share the listener all wake up for a connection, and one gets it. */
    if (door->closing >= 0 && fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK) == 0 &&
        pthread_create(&door->keeper, NULL, keep, door) == 0) return door;
    if (door->closing >= 0) (void)close(door->closing);
    free(door);
    return NULL;
}

void door_close(struct door *door)
{
    (void)eventfd_write(door->closing, 1);
    (void)pthread_join(door->keeper, NULL);
    (void)close(door->closing);
    free(door);
}
