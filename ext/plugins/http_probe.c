#include "http.h"

#include "probe.h"

#include <string.h>

/* An answer of which the beginning is kept. */
struct answer {
    size_t size;
    char body[HTTP_BODY_MOST + 1];
    char error[CURL_ERROR_SIZE];
};

static size_t answer_take(const char *bytes, size_t size, size_t count, void *data)
{
    struct answer *answer = data;
    size_t room = HTTP_BODY_MOST - answer->size;
    size_t taken = size * count < room ? size * count : room;

    memcpy(answer->body + answer->size, bytes, taken);
    answer->size += taken;
    return taken;
}

static bool knock_prepare(const struct http_service *service, const struct account *account, CURL *easy,
                          struct http_post *post, struct answer *answer)
{
    char *address = NULL;
    unsigned failed = !service->knock(account, post, &address) || address == NULL;

    failed |= !http_account_apply(service, account, easy);
    failed |= curl_easy_setopt(easy, CURLOPT_URL, address);
    failed |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, post->headers);
    if (post->body != NULL) failed |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, post->body);
    failed |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, answer_take);
    failed |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
    failed |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, answer->error);
    failed |= !probe_prepare(easy);
    sqlite3_free(address);
    return failed == 0;
}

/* *wrong stays NULL: we are let in. */
static int knock(const struct http_service *service, const struct account *account, CURL *easy, char **wrong)
{
    struct answer answer = {.size = 0};
    struct http_post post = {NULL, NULL};
    struct http_verdict verdict;
    long status = 0;
    CURLcode code;

    if (!knock_prepare(service, account, easy, &post, &answer)) {
        http_post_clear(&post);
        return SQLITE_NOMEM;
    }
    code = curl_easy_perform(easy);
    http_post_clear(&post);
    if (code != CURLE_OK && answer.size < HTTP_BODY_MOST) {
        return probe_failure(service->channel.name, account->value[HTTP_URL], code,
                             answer.error[0] != '\0' ? answer.error : curl_easy_strerror(code), wrong);
    }
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    http_secret_hide(answer.body, account->value[HTTP_SECRET]);
    if (service->welcomes((int)status, answer.body)) return SQLITE_OK;
    verdict = service->judge((int)status, answer.body, &(portal_outgoing){.segments = 0});
    *wrong = sqlite3_mprintf("%s: %s", account->value[HTTP_URL], verdict.words);
    return *wrong == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

int http_account_probe(const struct http_service *service, const struct account *account, char **wrong,
                       sqlite3_int64 *certified_until)
{
    CURL *easy = curl_easy_init();
    int result;

    if (easy == NULL) return SQLITE_NOMEM;
    result = knock(service, account, easy, wrong);
    *certified_until = probe_certificate(easy);
    curl_easy_cleanup(easy);
    return result;
}
