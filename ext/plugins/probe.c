#include "probe.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

int probe_prepare(CURL *easy)
{
    unsigned failed = 0;

    failed |= curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)PROBE_SECONDS);
    failed |= curl_easy_setopt(easy, CURLOPT_CERTINFO, 1L);
    return failed == 0;
}

sqlite3_int64 probe_certificate(CURL *easy)
{
    static const char label[] = "Expire date:";
    struct curl_certinfo *chain = NULL;

    if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &chain) != CURLE_OK || chain == NULL || chain->num_of_certs < 1) {
        return 0;
    }
    for (const struct curl_slist *line = chain->certinfo[0]; line != NULL; line = line->next) {
        time_t until;
        if (strncmp(line->data, label, sizeof label - 1) != 0) continue;
        until = curl_getdate(line->data + sizeof label - 1, NULL);
        return until < 0 ? 0 : (sqlite3_int64)until;
    }
    return 0;
}

int probe_failure(const char *channel, const char *url, CURLcode code, const char *words, char **wrong)
{
    /* %s is the channel: its settings begin with it. */
    static const struct { CURLcode code; const char *remedy; } rows[] = {
        {CURLE_COULDNT_RESOLVE_HOST, "check the host in %s_url"},
        {CURLE_COULDNT_CONNECT, "check host and port in %s_url, and whether a firewall is in between"},
        {CURLE_OPERATION_TIMEDOUT, "check host and port in %s_url, and whether a firewall is in between"},
        {CURLE_PEER_FAILED_VERIFICATION, "have the server's certificate renewed, or name its authority in %s_ca_file"},
        {CURLE_SSL_CACERT_BADFILE, "check %s_ca_file"},
        {CURLE_SSL_CONNECT_ERROR, "check scheme and port in %s_url"},
        {CURLE_USE_SSL_FAILED, "have the server offer STARTTLS, or use another port in %s_url"},
        {CURLE_LOGIN_DENIED, "check %s_user and %s_password"},
    };
    const char *remedy = "check %s_url";
    char text[200];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].code == code) remedy = rows[i].remedy;
    }
    (void)sqlite3_snprintf((int)sizeof text, text, remedy, channel, channel);
    *wrong = sqlite3_mprintf("%s: %s; %s", url, words, text);
    return *wrong == NULL ? SQLITE_NOMEM : SQLITE_OK;
}
