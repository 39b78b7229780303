#include "certificate.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CHAIN_MOST = 8, KEY_ID_SIZE = 32 };

struct certificate {
    gnutls_pcert_st chain[CHAIN_MOST];
    unsigned length;
    gnutls_privkey_t key;
    struct certificate *former;    /* a handshake may be at it still */
};

static _Atomic(struct certificate *) current;

static void certificate_free(struct certificate *certificate)
{
    for (unsigned i = 0; i < certificate->length; i++) gnutls_pcert_deinit(&certificate->chain[i]);
    gnutls_privkey_deinit(certificate->key);
    free(certificate);
}

/* NULL, or why not. */
static const char *chain_read(struct certificate *certificate, const char *path)
{
    gnutls_datum_t text;
    unsigned length = CHAIN_MOST;
    int code = gnutls_load_file(path, &text);

    if (code < 0) return errno == 0 ? gnutls_strerror(code) : strerror(errno);
    code = gnutls_pcert_list_import_x509_raw(certificate->chain, &length, &text, GNUTLS_X509_FMT_PEM, 0);
    gnutls_free(text.data);
    if (code < 0) return gnutls_strerror(code);
    certificate->length = length;
    return NULL;
}

static const char *key_read(struct certificate *certificate, const char *path)
{
    gnutls_datum_t text;
    int code = gnutls_load_file(path, &text);

    if (code < 0) return errno == 0 ? gnutls_strerror(code) : strerror(errno);
    code = gnutls_privkey_import_x509_raw(certificate->key, &text, GNUTLS_X509_FMT_PEM, NULL, 0);
    gnutls_memset(text.data, 0, text.size);
    gnutls_free(text.data);
    return code < 0 ? gnutls_strerror(code) : NULL;
}

static bool key_fits(const struct certificate *certificate)
{
    unsigned char ids[2][KEY_ID_SIZE];
    size_t sizes[2] = {KEY_ID_SIZE, KEY_ID_SIZE};
    gnutls_pubkey_t public = NULL;
    bool fits = gnutls_pubkey_init(&public) == 0 && gnutls_pubkey_import_privkey(public, certificate->key, 0, 0) == 0 &&
                gnutls_pubkey_get_key_id(public, GNUTLS_KEYID_USE_SHA256, ids[0], &sizes[0]) == 0 &&
                gnutls_pubkey_get_key_id(certificate->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, ids[1], &sizes[1]) == 0 &&
                memcmp(ids[0], ids[1], KEY_ID_SIZE) == 0;

    gnutls_pubkey_deinit(public);
    return fits;
}

static bool is_of_today(const struct certificate *certificate)
{
    time_t now = time(NULL);
    gnutls_x509_crt_t parsed = NULL;
    bool good = gnutls_x509_crt_init(&parsed) == 0 &&
                gnutls_x509_crt_import(parsed, &certificate->chain[0].cert, GNUTLS_X509_FMT_DER) == 0 &&
                gnutls_x509_crt_get_activation_time(parsed) <= now && now <= gnutls_x509_crt_get_expiration_time(parsed);

    gnutls_x509_crt_deinit(parsed);
    return good;
}

bool certificate_read(const char *chain, const char *key, char *problem, size_t size)
{
    struct certificate *certificate = calloc(1, sizeof *certificate);
    const char *file = chain;
    const char *why = "out of memory";

    if (certificate != NULL && gnutls_privkey_init(&certificate->key) == 0) {
        errno = 0;
        why = chain_read(certificate, chain);
        if (why == NULL) why = is_of_today(certificate) ? NULL : "the certificate has expired, or is not valid yet";
        if (why == NULL) {
            file = key;
            why = key_read(certificate, key);
        }
        if (why == NULL) why = key_fits(certificate) ? NULL : "it is not the key of the certificate";
    }
    if (why == NULL) {
        certificate->former = current;
        current = certificate;
        return true;
    }
    (void)snprintf(problem, size, "%s: %s", file, why);
    if (certificate != NULL) certificate_free(certificate);
    return false;
}

/* NOLINTNEXTLINE(readability-function-size): GnuTLS's parameters */
int certificate_choose(gnutls_session_t session, const gnutls_datum_t *authorities, int authority_count,
                       const gnutls_pk_algorithm_t *algorithms, int algorithm_count, gnutls_pcert_st **chain,
                       unsigned *length, gnutls_privkey_t *key)
{
    struct certificate *certificate = current;

    (void)session, (void)authorities, (void)authority_count, (void)algorithms, (void)algorithm_count;
    *chain = certificate->chain;
    *length = certificate->length;
    *key = certificate->key;
    return 0;
}

void certificate_end(void)
{
    for (struct certificate *certificate = current, *former; certificate != NULL; certificate = former) {
        former = certificate->former;
        certificate_free(certificate);
    }
    current = NULL;
}
