#include "smtp_account.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const portal_option smtp_options[SMTP_OPTIONS + 1] = {
    [SMTP_URL] = {"smtp_url", PORTAL_OPTION_URL, "", 0, 200,
                  "Mail server: smtp://host:port, with STARTTLS, or smtps://host:port."},
    [SMTP_USER] = {"smtp_user", PORTAL_OPTION_LINE, "", 0, 200,
                   "User to sign in to the mail server as. Empty: none."},
    [SMTP_PASSWORD] = {"smtp_password", PORTAL_OPTION_SECRET, NULL, 1, 400, "Password of smtp_user."},
    [SMTP_CONNECTIONS] = {"smtp_connections", PORTAL_OPTION_NUMBER, "10", 1, SMTP_CONNECTIONS_MOST,
                          "Connections to the mail server at once, at most."},
    [SMTP_TIMEOUT] = {"smtp_timeout", PORTAL_OPTION_NUMBER, "60", 1, 300,
                      "Seconds that the mail server may take to let us in, and for a reply; ten times as "
                      "many for the one after a message."},
    [SMTP_TLS] = {"smtp_tls", PORTAL_OPTION_LINE, "auto", 1, 10,
                  "TLS of smtp://: auto (required, but not to this very machine), required, or off."},
    [SMTP_CA_FILE] = {"smtp_ca_file", PORTAL_OPTION_LINE, "", 0, 1000,
                      "File of certificates to trust instead of the system's, as PEM."},
};

int smtp_account_number(const struct account *account, enum smtp_option option)
{
    return (int)strtol(account->value[option], NULL, 10);
}

static bool has_host(const char *url)
{
    CURLU *parsed = curl_url();
    bool has = parsed != NULL && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK;

    curl_url_cleanup(parsed);
    return has;
}

char *smtp_account_problem(const struct account *account)
{
    const char *url = account->value[SMTP_URL];
    const char *tls = account->value[SMTP_TLS];
    const char *ca_file = account->value[SMTP_CA_FILE];

    if (*url == '\0') return sqlite3_mprintf("set smtp_url");
    if (strncmp(url, "smtp://", 7) != 0 && strncmp(url, "smtps://", 8) != 0) {
        return sqlite3_mprintf("smtp_url must begin with smtp:// or smtps://");
    }
    if (!has_host(url)) return sqlite3_mprintf("smtp_url names no host");
    if (strcmp(tls, "auto") != 0 && strcmp(tls, "required") != 0 && strcmp(tls, "off") != 0) {
        return sqlite3_mprintf("smtp_tls is auto, required or off");
    }
    if (*ca_file != '\0' && access(ca_file, R_OK) != 0) {
        return sqlite3_mprintf("smtp_ca_file %s can not be read", ca_file);
    }
    if (*account->value[SMTP_USER] != '\0' && *account->value[SMTP_PASSWORD] == '\0') {
        return sqlite3_mprintf("store the password of %s with portal_secret('smtp_password', ...)",
                               account->value[SMTP_USER]);
    }
    return NULL;
}

bool smtp_account_apply(const struct account *account, CURL *easy)
{
    const char *url = account->value[SMTP_URL];
    const char *tls = account->value[SMTP_TLS];
    bool plain = strcmp(tls, "off") == 0 || (strcmp(tls, "auto") == 0 && account_is_loopback(url));
    long timeout = smtp_account_number(account, SMTP_TIMEOUT);
    unsigned failed = 0;

    failed |= curl_easy_setopt(easy, CURLOPT_URL, url);
    failed |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    /* The environment names no proxy: what goes to this very machine would go elsewhere. */
    failed |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
    failed |= curl_easy_setopt(easy, CURLOPT_USE_SSL, plain ? (long)CURLUSESSL_NONE : (long)CURLUSESSL_ALL);
    failed |= curl_easy_setopt(easy, CURLOPT_TIMEOUT, timeout);
    if (*account->value[SMTP_CA_FILE] != '\0') {
        failed |= curl_easy_setopt(easy, CURLOPT_CAINFO, account->value[SMTP_CA_FILE]);
        failed |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    if (*account->value[SMTP_USER] != '\0') {
        failed |= curl_easy_setopt(easy, CURLOPT_USERNAME, account->value[SMTP_USER]);
        failed |= curl_easy_setopt(easy, CURLOPT_PASSWORD, account->value[SMTP_PASSWORD]);
    }
    return failed == 0;
}
