/*
** Stand-ins for Argon2id, put in its place by the linker (--wrap): its 19 MiB and 2 passes would be
** all that a fuzz target did.  A hash is told from another, and a text that is none from one, as
** there.
*/
#include <sodium.h>
#include <string.h>

int __wrap_crypto_pwhash_str(char out[crypto_pwhash_STRBYTES], const char *password,
                             unsigned long long length, unsigned long long passes, size_t memory);
int __wrap_crypto_pwhash_str_verify(const char *hash, const char *password, unsigned long long length);
int __wrap_crypto_pwhash_str_needs_rehash(const char *hash, unsigned long long passes, size_t memory);

static const char prefix[] = "$stand-in$";

int __wrap_crypto_pwhash_str(char out[crypto_pwhash_STRBYTES], const char *password,
                             unsigned long long length, unsigned long long passes, size_t memory)
{
    unsigned char digest[32];

    (void)passes;
    (void)memory;
    memset(out, 0, crypto_pwhash_STRBYTES);
    (void)crypto_generichash(digest, sizeof digest, (const unsigned char *)password, length, NULL, 0);
    memcpy(out, prefix, sizeof prefix - 1);
    (void)sodium_bin2hex(out + sizeof prefix - 1, 2 * sizeof digest + 1, digest, sizeof digest);
    return 0;
}

int __wrap_crypto_pwhash_str_verify(const char *hash, const char *password, unsigned long long length)
{
    char own[crypto_pwhash_STRBYTES];

    (void)__wrap_crypto_pwhash_str(own, password, length, 0, 0);
    return strcmp(own, hash) == 0 ? 0 : -1;
}

int __wrap_crypto_pwhash_str_needs_rehash(const char *hash, unsigned long long passes, size_t memory)
{
    (void)passes;
    (void)memory;
    return strncmp(hash, prefix, sizeof prefix - 1) == 0 ? 0 : -1;
}
