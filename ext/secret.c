#include "secret.h"

#include "audit.h"
#include "channel.h"

#include <sodium.h>
#include <string.h>

enum {
    NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    OVERHEAD = 1 + NONCE + TAG          /* key generation, nonce, tag */
};

static const char store_secret[] =
    "INSERT INTO main.portal_secret (key, sealed) VALUES (?1, ?2)"
    " ON CONFLICT (key) DO UPDATE SET sealed = excluded.sealed";
static const char delete_secret[] = "DELETE FROM main.portal_secret WHERE key = ?1";
static const char next_secret[] =
    "SELECT key, sealed FROM main.portal_secret WHERE key > ?1 ORDER BY key LIMIT 1";
static const char read_secret[] = "SELECT sealed FROM main.portal_secret WHERE key = ?1";

/* The key that seals, derived from a generation's. */
static void seal_key(const uint8_t *key, uint8_t out[TOKEN_HASH_SIZE])
{
    token_hash(key, TOKEN_SECRET, "", 0, out);
}

static int seal_store(struct portal *portal, const struct keyring *keyring, const char *key,
                      const char *value)
{
    uint8_t sealed[SECRET_MAX + OVERHEAD];
    uint8_t with[TOKEN_HASH_SIZE];
    unsigned long long length = 0;

    sealed[0] = keyring_newest_generation(keyring);
    randombytes_buf(sealed + 1, NONCE);
    seal_key(keyring_newest(keyring), with);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
        sealed + 1 + NONCE, &length, (const uint8_t *)value, strlen(value), (const uint8_t *)key,
        strlen(key), NULL, sealed + 1, with);
    sodium_memzero(with, sizeof with);
    return statement_run(portal, store_secret, "sb", key, sealed, (int)(1 + NONCE + length));
}

int secret_store(struct portal *portal, const char *key, const char *value)
{
    const struct keyring *keyring = NULL;
    const portal_option *option;
    size_t length = strlen(key);
    int code;

    if (length == 0 || length >= SECRET_KEY_SIZE ||
        key[strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_")] != '\0') {
        return refuse(portal, "the name of a secret has 1 to 64 lower-case letters, digits and _");
    }
    option = channel_option(portal, key);
    if (setting_find(key) >= 0 || (option != NULL && option->kind != PORTAL_OPTION_SECRET)) {
        return refuse(portal, "%s is a setting; use portal_setting", key);
    }
    if (value != NULL && (*value == '\0' || strlen(value) > SECRET_MAX)) {
        return refuse(portal, "the value of a secret has 1 to %d bytes", (int)SECRET_MAX);
    }
    code = connection_key(portal, &keyring);
    if (code == SQLITE_OK) {
        code = value == NULL ? statement_run(portal, delete_secret, "s", key)
                             : seal_store(portal, keyring, key, value);
    }
    if (code == SQLITE_OK) {
        code = audit_write(portal, value == NULL ? "secret.removed" : "secret.stored", NULL, key,
                           NULL);
    }
    return code;
}

static int seal_open(struct portal *portal, const char *key, const uint8_t *sealed, size_t size, char **value)
{
    const uint8_t *generation = NULL;
    uint8_t with[TOKEN_HASH_SIZE];
    unsigned long long length = 0;
    int failed;
    int code = size < OVERHEAD ? SQLITE_OK : connection_key_of(portal, sealed[0], &generation);

    if (code != SQLITE_OK) return code;
    if (generation == NULL) return refuse(portal, "the secret %s was sealed with another key", key);
    *value = sqlite3_malloc64(size);
    if (*value == NULL) return fault(portal, SQLITE_NOMEM);
    seal_key(generation, with);
    failed = crypto_aead_xchacha20poly1305_ietf_decrypt(
        (uint8_t *)*value, &length, NULL, sealed + 1 + NONCE, size - 1 - NONCE, (const uint8_t *)key,
        strlen(key), sealed + 1, with);
    sodium_memzero(with, sizeof with);
    if (failed == 0) {
        (*value)[length] = '\0';
        return SQLITE_OK;
    }
    sqlite3_free(*value);
    *value = NULL;
    return refuse(portal, "the secret %s is damaged; store it again with portal_secret", key);
}

int secret_read(struct portal *portal, const char *key, char **value)
{
    const struct keyring *keyring = NULL;
    sqlite3_stmt *statement = NULL;
    int code = connection_key(portal, &keyring);

    *value = NULL;
    if (code == SQLITE_OK) code = statement_row(portal, &statement, read_secret, "s", key);
    if (code == SQLITE_DONE) return SQLITE_OK;
    if (code != SQLITE_ROW) return code;
    code = seal_open(portal, key, sqlite3_column_blob(statement, 0),
                     (size_t)sqlite3_column_bytes(statement, 0), value);
    statement_done(portal, statement);
    return code;
}

/* The next one after `key`, which then is its key; SQLITE_DONE: it was the last. */
static int reseal(struct portal *portal, const struct keyring *keyring, char key[SECRET_KEY_SIZE], int *count)
{
    sqlite3_stmt *statement = NULL;
    char *value = NULL;
    int code = statement_row(portal, &statement, next_secret, "s", key);

    if (code != SQLITE_ROW) return code;
    statement_text(statement, 0, key, SECRET_KEY_SIZE);
    code = seal_open(portal, key, sqlite3_column_blob(statement, 1), (size_t)sqlite3_column_bytes(statement, 1), &value);
    statement_done(portal, statement);
    /* One that can not be opened stays as it is, and whoever reads it is told. */
    if (value == NULL) return code == REFUSED ? SQLITE_OK : code;
    code = seal_store(portal, keyring, key, value);
    sodium_memzero(value, strlen(value));
    sqlite3_free(value);
    if (code == SQLITE_OK) ++*count;
    return code;
}

int secret_reseal(struct portal *portal, int *count)
{
    const struct keyring *keyring = NULL;
    char key[SECRET_KEY_SIZE] = "";
    int code = connection_key(portal, &keyring);

    *count = 0;
    while (code == SQLITE_OK) code = reseal(portal, keyring, key, count);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}
