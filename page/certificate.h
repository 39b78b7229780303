/*
** The certificate of a web server without a proxy before it.  There is one for the process, because the
** web server asks for it without saying who asks.
*/
#ifndef PAGE_CERTIFICATE_H
#define PAGE_CERTIFICATE_H

#include <gnutls/abstract.h>
#include <stdbool.h>
#include <stddef.h>

/*
** Reads a chain of certificates and the key of the first (PEM).  From now on handshakes are made with them; called
** again, with those that were renewed.  false: the former ones, if any, stay, and why is in `problem`.
*/
bool certificate_read(const char *chain, const char *key, char *problem, size_t size);

/* A gnutls_certificate_retrieve_function2. */
int certificate_choose(gnutls_session_t session, const gnutls_datum_t *authorities, int authority_count,
                       const gnutls_pk_algorithm_t *algorithms, int algorithm_count, gnutls_pcert_st **chain,
                       unsigned *length, gnutls_privkey_t *key);

/* When no handshake is made any more. */
void certificate_end(void);

#endif
