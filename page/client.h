/* Whose request it is: the other end of the connection, or whom a proxy that we trust says it came from. */
#ifndef PAGE_CLIENT_H
#define PAGE_CLIENT_H

#include <stddef.h>
#include <sys/socket.h>

enum { CLIENT_SIZE = 64, PROXIES_MOST = 16 };

/* Addresses, or networks as 10.0.0.0/8, of reverse proxies. */
struct proxies {
    int count;
    struct network { unsigned char address[16]; int bits; } network[PROXIES_MOST];
};

/* Reads "127.0.0.1,10.0.0.0/8".  -1 when it is none. */
int proxies_read(struct proxies *proxies, const char *text);

/*
** The client's address.  X-Forwarded-For counts only when the peer is a proxy of ours, and then from its right end:
** the first address that is none of them, which nobody before our own proxy can choose.  An IPv6 client is
** its /64, of which everybody has all.
*/
void client_read(const struct proxies *proxies, const struct sockaddr *peer, const char *forwarded,
                 char out[CLIENT_SIZE]);

#endif
