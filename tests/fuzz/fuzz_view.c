/* Any text where pages show values, and where a proxy tells of clients. */
#include "../../page/client.h"
#include "../../page/view.h"
#include "fuzz.h"

#include <arpa/inet.h>
#include <sqlite3.h>

const char fuzz_claim[] = "no value breaks out of a page, and a client is an address whatever is forwarded";

/* How many of each sign of markup a page has. */
static void signs_count(const char *page, int count[2])
{
    count[0] = count[1] = 0;
    for (; *page != '\0'; page++) {
        count[0] += *page == '<';
        count[1] += *page == '"';
    }
}

/* A value is text: the page has as much markup with it as with another. */
static void value_try(const char *page, const char *text)
{
    int counts[2][2];

    for (int i = 0; i < 2; i++) {
        cJSON *values = cJSON_CreateObject();
        cJSON *entered = cJSON_AddObjectToObject(values, "entered");
        cJSON *practice = cJSON_AddObjectToObject(values, "practice");
        char *out;
        (void)cJSON_AddStringToObject(values, "page", page);
        (void)cJSON_AddStringToObject(values, "form", i == 0 ? "x" : text);
        (void)cJSON_AddStringToObject(entered, "username", i == 0 ? "x" : text);
        (void)cJSON_AddStringToObject(entered, "last_name", i == 0 ? "x" : text);
        (void)cJSON_AddStringToObject(practice, "name", i == 0 ? "x" : text);
        out = view_render("layout.html", texts_find("es"), values);
        REQUIRE(out != NULL);
        signs_count(out, counts[i]);
        sqlite3_free(out);
        cJSON_Delete(values);
    }
    REQUIRE_TELL(*text == '\0' || memcmp(counts[0], counts[1], sizeof counts[0]) == 0, "%s in %s", text, page);
}

static void client_try(const char *list, const char *forwarded)
{
    struct proxies proxies;
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char client[CLIENT_SIZE];
    unsigned char address[16];
    char *slash;

    if (proxies_read(&proxies, list) != 0) REQUIRE(proxies_read(&proxies, "127.0.0.0/8,2001:db8::/33") == 0);
    client_read(&proxies, (const struct sockaddr *)&peer, forwarded, client);
    slash = strchr(client, '/');
    if (slash != NULL) *slash = '\0';
    REQUIRE_TELL(inet_pton(slash == NULL ? AF_INET : AF_INET6, client, address) == 1, "%s", client);
}

/* A page, a value, a list of proxies and what one of them forwards. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const pages[] = {"sign_in", "who", "account", "account_representative", "forgot", "reset", "problem", "link"};
    static bool begun;
    struct input input = {data, size};
    uint8_t page = input_byte(&input);
    char *text = input_text(&input);
    char *proxies = input_text(&input);
    char *forwarded = input_text(&input);

    if (!begun) begun = view_begin();
    value_try(pages[page % (sizeof pages / sizeof pages[0])], text);
    client_try(proxies, forwarded);
    free(text);
    free(proxies);
    free(forwarded);
    return 0;
}
