/* Anything as the answer of a gateway, as the text that is posted to it, and as what it calls back with. */
#include "../../ext/plugins/http.h"
#include "fuzz.h"

const char fuzz_claim[] = "whatever a gateway answers has one meaning, what is posted is what was written, and nobody forges a reply";

/* The entry points of the channels, by other names: see fuzz.mk. */
int kannel_init(sqlite3 *db, char **error, const sqlite3_api_routines *routines);
int twilio_init(sqlite3 *db, char **error, const sqlite3_api_routines *routines);

static const struct http_service *registered;

int __wrap_http_register(const struct http_service *service, sqlite3 *db, char **error);

int __wrap_http_register(const struct http_service *service, sqlite3 *db, char **error)
{
    (void)db;
    (void)error;
    registered = service;
    return SQLITE_OK;
}

static void verdict_check(struct http_verdict verdict, bool accepted, int status)
{
    REQUIRE(verdict.result >= PORTAL_SENT && verdict.result <= PORTAL_OPTED_OUT);
    REQUIRE(verdict.next >= HTTP_GO_ON && verdict.next <= HTTP_STOP);
    REQUIRE(memchr(verdict.words, '\0', sizeof verdict.words) != NULL && verdict.words[0] != '\0');
    REQUIRE_TELL(verdict.result != PORTAL_SENT || accepted, "%d", status);
    /* Whoever says so took something: it may come twice, but is not lost. */
    if (status >= 200 && status < 300 && !accepted) REQUIRE(verdict.result != PORTAL_RETRY);
}

/* The value of the last field of a form is this text. */
static bool form_ends_with(const char *form, const char *text)
{
    const char *at = strrchr(form, '=') + 1;

    for (; *at != '\0' && *text != '\0'; text++) {
        char hex[3] = {at[0] == '%' ? at[1] : '\0', at[0] == '%' ? at[2] : '\0', '\0'};
        char byte = at[0] == '%' ? (char)strtol(hex, NULL, 16) : at[0];
        if (byte != *text) return false;
        at += at[0] == '%' ? 3 : 1;
    }
    return *at == *text;
}

static void post_check(const char *text, bool is_form)
{
    const struct account account = {.value = {[HTTP_FROM] = "MG1", [HTTP_USER] = "u", [HTTP_SECRET] = "s"}};
    const portal_outgoing message = {.recipient = "+12025550100", .text = text, .claim = "c", .message_id = 1};
    struct http_post post = {NULL, NULL};

    REQUIRE(registered->compose(&account, "https://p.example", &message, &post));
    if (!is_form) REQUIRE(strcmp(post.body, text) == 0);
    else REQUIRE_TELL(*text == '\0' || form_ends_with(post.body, text), "%s", post.body);
    sqlite3_free(post.body);
    curl_slist_free_all(post.headers);
}

static const char *header_of(const portal_request *request, const char *name)
{
    (void)name;
    return request->body;
}

/* Nobody forges what says that somebody wants no messages, and a report names its claim. */
static void news_check(const char *text)
{
    const struct account account = {.value = {[HTTP_SECRET] = "s", [HTTP_CA_FILE + 1] = "the password of replies"}};
    const portal_request request = {"https://p.example/callback/x", text, text, header_of};
    portal_news news = {0};
    int code = registered->receive(&account, &request, &news);

    REQUIRE(code == SQLITE_OK || code == SQLITE_AUTH);
    REQUIRE(memchr(news.claim, '\0', sizeof news.claim) != NULL && memchr(news.detail, '\0', sizeof news.detail) != NULL);
    if (code == SQLITE_OK && news.word >= PORTAL_SAYS_STOP) REQUIRE(strstr(text, "password") != NULL);
    if (code == SQLITE_OK && news.word < PORTAL_SAYS_STOP && news.word > PORTAL_SAYS_NOTHING) REQUIRE(news.claim[0] != '\0');
}

/* A status, and a text as the body of either gateway's answer and of a message. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 201, 202, 400, 401, 403, 404, 429, 500, 503};
    static const struct {
        int (*init)(sqlite3 *db, char **error, const sqlite3_api_routines *routines);
        int accepted;
        bool is_form;
    } channels[] = {{twilio_init, 201, true}, {kannel_init, 202, false}};
    struct input input = {data, size};
    int status = statuses[input_byte(&input) % (sizeof statuses / sizeof statuses[0])];
    char *body = input_text(&input);
    const portal_outgoing message = {.segments = 2, .recipient = "+12025550100", .text = "text"};

    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++) {
        REQUIRE(channels[i].init(NULL, NULL, NULL) == SQLITE_OK);
        verdict_check(registered->judge(status, body, &message), status == channels[i].accepted, status);
        post_check(body, channels[i].is_form);
        news_check(body);
    }
    free(body);
    return 0;
}
