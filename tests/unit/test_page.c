/* Unit tests of page/: who a client is, how many forms it may send, and how a page is written. */
#include "../../page/client.h"
#include "../../page/guard.h"
#include "../../page/view.h"
#include "unit.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdlib.h>

/* The client of a request from `peer` with this X-Forwarded-For, behind these proxies. */
static const char *client_of(const char *proxies, const char *peer, const char *forwarded)
{
    static char client[CLIENT_SIZE];
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct proxies read;
    bool is_v4 = inet_pton(AF_INET, peer, &v4.sin_addr) == 1;

    if (proxies_read(&read, proxies) != 0 || (!is_v4 && inet_pton(AF_INET6, peer, &v6.sin6_addr) != 1)) return "?";
    client_read(&read, is_v4 ? (const struct sockaddr *)(const void *)&v4 : (const struct sockaddr *)(const void *)&v6,
                forwarded, client);
    return client;
}

static bool is(const char *found, const char *expected)
{
    return strcmp(found, expected) == 0;
}

static void test_client(void)
{
    char many[4096];

    TEST("a client is the other end, whatever it says, unless that is a proxy of ours") {
        CHECK(is(client_of("", "203.0.113.7", "198.51.100.1"), "203.0.113.7"));
        CHECK(is(client_of("10.0.0.0/8", "203.0.113.7", "198.51.100.1"), "203.0.113.7"));
        CHECK(is(client_of("10.0.0.0/8", "10.255.1.2", "198.51.100.1"), "198.51.100.1"));
        CHECK(is(client_of("10.0.0.0/8", "11.0.0.1", "198.51.100.1"), "11.0.0.1"));
        CHECK(is(client_of("10.0.0.0/8", "10.0.0.1", NULL), "10.0.0.1"));
    }
    TEST("of what a proxy says the last counts that is none of ours") {
        CHECK(is(client_of("10.0.0.0/8", "10.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.2"), "198.51.100.1"));
        CHECK(is(client_of("10.0.0.0/8", "10.0.0.1", "1.1.1.1, nonsense, 10.0.0.2"), "10.0.0.2"));
        CHECK(is(client_of("10.0.0.0/8", "10.0.0.1", "10.0.0.3,\t10.0.0.2"), "10.0.0.3"));
        CHECK(is(client_of("10.0.0.0/8", "10.0.0.1", ",,"), "10.0.0.1"));
        memset(many, ' ', sizeof many);
        strcpy(many + sizeof many - 20, ",198.51.100.1");
        CHECK(is(client_of("10.0.0.0/8", "10.0.0.1", many), "198.51.100.1"));
    }
    TEST("an IPv6 client is its network, and one of IPv4 the same by either protocol") {
        CHECK(is(client_of("", "2001:db8:1:2:3::4", NULL), "2001:db8:1:2::/64"));
        CHECK(is(client_of("", "::ffff:203.0.113.7", NULL), "203.0.113.7"));
        CHECK(is(client_of("203.0.113.7", "::ffff:203.0.113.7", "2001:db8::1"), "2001:db8::/64"));
        CHECK(is(client_of("2001:db8::/33", "2001:db8:7fff::1", "198.51.100.1"), "198.51.100.1"));
        CHECK(is(client_of("2001:db8::/33", "2001:db8:8000::1", "198.51.100.1"), "2001:db8:8000::/64"));
        CHECK(is(client_of("0.0.0.0/0", "203.0.113.7", "198.51.100.1"), "198.51.100.1"));
    }
    TEST("what is no list of addresses and networks is refused") {
        static const char *const wrong[] = {"x", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "::1/129",
                                            "1,2,3", "10.0.0.0/8/8"};
        for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) CHECK(is(client_of(wrong[i], "10.0.0.1", NULL), "?"));
    }
}

static bool admits(struct guard *guard, unsigned number)
{
    char client[32];

    (void)snprintf(client, sizeof client, "2001:db8:%x::/64", number);
    return guard_admits(guard, client, 1);
}

static void test_guard(void)
{
    struct guard *guard = guard_start(10, 60);
    int admitted = 0;

    TEST("a client sends as many forms as are allowed in a minute, and others are not counted with it") {
        for (int i = 0; i < 20; i++) admitted += admits(guard, 0);
        CHECK(admitted == 10);
        CHECK(admits(guard, 1));
    }
    TEST("coming from many addresses in between does not make a client forgotten") {
        admitted = 0;
        for (unsigned i = 1; i < 8000; i++) {
            (void)admits(guard, i);
            if (i % 100 == 0) admitted += admits(guard, 0);
        }
        CHECK(admitted <= 1);
    }
    TEST("a client that has sent little is admitted among thousands that have sent all they may") {
        admitted = 0;
        for (unsigned i = 10000; i < 12000; i++) {
            for (int j = 0; j < 10; j++) (void)admits(guard, i);
        }
        for (unsigned i = 20000; i < 20100; i++) admitted += admits(guard, i);
        CHECK(admitted == 100);
    }
    guard_stop(guard);
}

/* A page of the templates that are compiled in, with these values. */
static char *written(const char *name, const char *json)
{
    cJSON *values = cJSON_Parse(json);
    char *page = view_render(name, texts_find("en"), values);

    cJSON_Delete(values);
    return page;
}

static bool shows(const char *name, const char *json, const char *part)
{
    char *page = written(name, json);
    bool found = page != NULL && strstr(page, part) != NULL;

    sqlite3_free(page);
    return found;
}

static void test_view(void)
{
    TEST("a value is escaped wherever it stands, and is never a template itself") {
        CHECK(shows("form.html", "{\"form\":\"\\\"><&'{{base}}\"}", "value=\"&quot;&gt;&lt;&amp;&#39;{{base}}\""));
        CHECK(shows("layout.html", "{\"practice\":{\"name\":\"<b>\"},\"page\":\"done\"}", "<p class=\"practice\">&lt;b&gt;</p>"));
    }
    TEST("a section is repeated for each of a list, and left out for what is not there") {
        const char *list = "{\"session\":{\"patients\":[{\"key\":\"1\",\"first_name\":\"Ada\"},{\"key\":\"2\",\"first_name\":\"Bob\"}]}}";
        CHECK(shows("patients.html", list, "patient=1") && shows("patients.html", list, "patient=2"));
        CHECK(!shows("patients.html", "{\"session\":{\"patients\":[]}}", "patient="));
        CHECK(!shows("patients.html", "{}", "patient="));
    }
    TEST("a page that is no template, or has no values, is written without them") {
        CHECK(shows("layout.html", "{\"page\":\"no-such-page\"}", "<main>"));
        CHECK(shows("layout.html", "{}", "<main>"));
        CHECK(shows("layout.html", "none", "<main>"));
    }
}

/* Memory that is there for so many more allocations; -1: always. */
static int allocations_left = -1;
static sqlite3_mem_methods usual;

static bool memory_is_there(void)
{
    if (allocations_left > 0) allocations_left--;
    return allocations_left != 0;
}

static void *scarce_malloc(int size)
{
    return memory_is_there() ? usual.xMalloc(size) : NULL;
}

static void *scarce_realloc(void *bytes, int size)
{
    return memory_is_there() ? usual.xRealloc(bytes, size) : NULL;
}

static void scarce(void)
{
    sqlite3_mem_methods methods;

    (void)sqlite3_config(SQLITE_CONFIG_GETMALLOC, &usual);
    methods = usual;
    methods.xMalloc = scarce_malloc;
    methods.xRealloc = scarce_realloc;
    (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
}

static void test_memory(void)
{
    const char *json = "{\"practice\":{\"name\":\"Elm Street\",\"phone\":\"(202) 555-0100\"},\"form\":\"f0\",\"page\":\"sign_in\"}";
    char *whole = written("layout.html", json);
    int without = 0;

    TEST("without memory there is no page, and never half of one") {
        for (char *page = NULL; page == NULL; without++) {
            allocations_left = without + 1;
            page = written("layout.html", json);
            allocations_left = -1;
            CHECK(page == NULL || is(page, whole));
            if (page == NULL) continue;
            sqlite3_free(page);
            break;
        }
        CHECK(without > 10);
    }
    sqlite3_free(whole);
}

int main(void)
{
    scarce();
    if (sodium_init() < 0 || !view_begin()) return 1;
    test_client();
    test_guard();
    test_view();
    test_memory();
    view_end();
    return unit_result();
}
