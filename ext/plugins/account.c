#include "account.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <string.h>

bool account_read(struct account *account, portal_api *api, const portal_option *options)
{
    memset(account, 0, sizeof *account);
    account->options = options;
    for (int i = 0; options[i].key != NULL; i++) {
        bool is_secret = options[i].kind == PORTAL_OPTION_SECRET;
        char *value = is_secret ? api->secret(api, options[i].key) : api->setting(api, options[i].key);
        /* A credential that is not there is no failure. */
        account->value[i] = value == NULL && is_secret ? sqlite3_mprintf("%s", "") : value;
        if (account->value[i] == NULL) return false;
    }
    return true;
}

void account_clear(struct account *account)
{
    for (int i = 0; i < ACCOUNT_OPTIONS_MOST; i++) {
        if (account->value[i] != NULL) explicit_bzero(account->value[i], strlen(account->value[i]));
        sqlite3_free(account->value[i]);
    }
    memset(account, 0, sizeof *account);
}

bool account_same(const struct account *a, const struct account *b)
{
    if (a->options != b->options) return false;
    for (int i = 0; a->options[i].key != NULL; i++) {
        if (strcmp(a->value[i], b->value[i]) != 0) return false;
    }
    return true;
}

/* "127.example.com" is no address, and its owner is somebody else. */
static bool host_is_loopback(const char *host)
{
    struct in_addr address;

    return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
           (inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

bool account_is_loopback(const char *url)
{
    CURLU *parsed = curl_url();
    char *host = NULL;
    bool loopback = parsed != NULL && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
                    curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK && host_is_loopback(host);

    curl_free(host);
    curl_url_cleanup(parsed);
    return loopback;
}
