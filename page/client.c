#include "client.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

/* IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). */
static bool address_read(const char *text, unsigned char out[16])
{
    if (inet_pton(AF_INET6, text, out) == 1) return true;
    memcpy(out, mapped, sizeof mapped);
    return inet_pton(AF_INET, text, out + 12) == 1;
}

static bool is_ipv4(const unsigned char address[16])
{
    return memcmp(address, mapped, sizeof mapped) == 0;
}

static bool network_read(struct network *network, char *text)
{
    char *slash = strchr(text, '/');
    char *end = NULL;
    long bits;

    if (slash != NULL) *slash = '\0';
    if (!address_read(text, network->address)) return false;
    bits = is_ipv4(network->address) ? 32 : 128;
    if (slash != NULL) {
        long given = strtol(slash + 1, &end, 10);
        if (end == slash + 1 || *end != '\0' || given < 0 || given > bits) return false;
        bits = given;
    }
    network->bits = (int)bits + (is_ipv4(network->address) ? 96 : 0);
    return true;
}

int proxies_read(struct proxies *proxies, const char *text)
{
    char copy[1024];
    char *rest = NULL;

    proxies->count = 0;
    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy) return -1;
    for (char *item = strtok_r(copy, ", ", &rest); item != NULL; item = strtok_r(NULL, ", ", &rest)) {
        if (proxies->count == PROXIES_MOST || !network_read(&proxies->network[proxies->count], item)) return -1;
        proxies->count++;
    }
    return 0;
}

static bool is_proxy(const struct proxies *proxies, const unsigned char address[16])
{
    for (int i = 0; i < proxies->count; i++) {
        const struct network *network = &proxies->network[i];
        int whole = network->bits / 8;
        int rest = network->bits % 8;
        unsigned mask = 0xff00U >> rest & 0xffU;
        if (memcmp(network->address, address, (size_t)whole) != 0) continue;
        if (rest == 0 || ((network->address[whole] ^ address[whole]) & mask) == 0) return true;
    }
    return false;
}

/* Some proxies write the port, too: 203.0.113.7:4711, [2001:db8::7]:4711. */
static bool forwarded_read(char *text, unsigned char out[16])
{
    char *colon = strchr(text, ':');

    if (*text == '[') {
        text++;
        text[strcspn(text, "]")] = '\0';
    } else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        *colon = '\0';
    }
    return address_read(text, out);
}

/* The last address of a list, which is cut off; false when it is none. */
static bool last_take(char *list, unsigned char out[16])
{
    char *comma = strrchr(list, ',');
    char *text = comma == NULL ? list : comma + 1;
    bool taken;

    text += strspn(text, " \t");
    text[strcspn(text, " \t")] = '\0';
    taken = forwarded_read(text, out);
    if (comma != NULL) *comma = '\0';
    else *list = '\0';
    return taken;
}

void client_read(const struct proxies *proxies, const struct sockaddr *peer, const char *forwarded,
                 char out[CLIENT_SIZE])
{
    unsigned char address[16] = {0};
    char list[1024] = "";

    if (peer->sa_family == AF_INET6) {
        memcpy(address, &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, 16);
    } else if (peer->sa_family == AF_INET) {
        memcpy(address, mapped, sizeof mapped);
        memcpy(address + 12, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
    }
    /* Of a list that is too long the right end counts. */
    if (forwarded != NULL) {
        size_t length = strlen(forwarded);
        (void)snprintf(list, sizeof list, "%s", forwarded + (length < sizeof list ? 0 : length - sizeof list + 1));
    }
    while (*list != '\0' && is_proxy(proxies, address)) {
        unsigned char next[16];
        if (!last_take(list, next)) break;
        memcpy(address, next, sizeof address);
    }
    if (is_ipv4(address)) {
        (void)inet_ntop(AF_INET, address + 12, out, CLIENT_SIZE);
    } else {
        char network[INET6_ADDRSTRLEN];
        memset(address + 8, 0, 8);
        (void)inet_ntop(AF_INET6, address, network, sizeof network);
        (void)snprintf(out, CLIENT_SIZE, "%s/64", network);
    }
}
