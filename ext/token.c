#include "token.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum {
    BODY_SIZE = 1 + 4 + TOKEN_NONCE_SIZE,
    MAC_SIZE = 16,
    RAW_SIZE = BODY_SIZE + MAC_SIZE,
    PIN_RANGE = 1000000
};

static_assert(RAW_SIZE == 24 && TOKEN_LENGTH == 32, "24 bytes are 32 characters of base64url");
static_assert(TOKEN_KEY_SIZE == crypto_generichash_KEYBYTES, "keys are BLAKE2b keys");
static_assert(TOKEN_HASH_SIZE == crypto_generichash_BYTES, "hashes are BLAKE2b-256");

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void body_write(const struct token *token, uint8_t body[BODY_SIZE])
{
    body[0] = token->generation;
    body[1] = (uint8_t)(token->id >> 24);
    body[2] = (uint8_t)(token->id >> 16);
    body[3] = (uint8_t)(token->id >> 8);
    body[4] = (uint8_t)token->id;
    memcpy(body + 5, token->nonce, TOKEN_NONCE_SIZE);
}

/* The purpose goes in front of what is hashed, so that no two purposes share an input. */
static void keyed_hash(const uint8_t *key, enum token_purpose purpose, const void *data,
                       size_t length, uint8_t *out, size_t out_size)
{
    uint8_t label = (uint8_t)purpose;
    crypto_generichash_state state;

    (void)crypto_generichash_init(&state, key, TOKEN_KEY_SIZE, out_size);
    (void)crypto_generichash_update(&state, &label, sizeof label);
    (void)crypto_generichash_update(&state, data, length);
    (void)crypto_generichash_final(&state, out, out_size);
    sodium_memzero(&state, sizeof state);
}

static void encode(const uint8_t raw[RAW_SIZE], char out[TOKEN_LENGTH])
{
    for (size_t i = 0; i < RAW_SIZE / 3; i++) {
        uint32_t group = (uint32_t)raw[3 * i] << 16 | (uint32_t)raw[3 * i + 1] << 8 | raw[3 * i + 2];
        out[4 * i] = alphabet[group >> 18];
        out[4 * i + 1] = alphabet[group >> 12 & 63];
        out[4 * i + 2] = alphabet[group >> 6 & 63];
        out[4 * i + 3] = alphabet[group & 63];
    }
}

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '-') return 62;
    if (c == '_') return 63;
    return -1;
}

static bool decode(const char *text, uint8_t raw[RAW_SIZE])
{
    for (size_t i = 0; i < RAW_SIZE / 3; i++) {
        uint32_t group = 0;
        for (size_t k = 0; k < 4; k++) {
            int value = digit(text[4 * i + k]);
            if (value < 0) return false;
            group = group << 6 | (uint32_t)value;
        }
        raw[3 * i] = (uint8_t)(group >> 16);
        raw[3 * i + 1] = (uint8_t)(group >> 8);
        raw[3 * i + 2] = (uint8_t)group;
    }
    return true;
}

void token_derive(const uint8_t key[TOKEN_KEY_SIZE], enum token_purpose purpose,
                  const struct token *token, char out[TOKEN_SIZE])
{
    uint8_t raw[RAW_SIZE];

    body_write(token, raw);
    keyed_hash(key, purpose, raw, BODY_SIZE, raw + BODY_SIZE, MAC_SIZE);
    encode(raw, out);
    out[TOKEN_LENGTH] = '\0';
    sodium_memzero(raw, sizeof raw);
}

bool token_parse(const char *text, size_t length, struct token *token)
{
    uint8_t raw[RAW_SIZE];

    if (length != TOKEN_LENGTH || !decode(text, raw)) return false;
    token->generation = raw[0];
    token->id = (uint32_t)raw[1] << 24 | (uint32_t)raw[2] << 16 | (uint32_t)raw[3] << 8 | raw[4];
    memcpy(token->nonce, raw + 5, TOKEN_NONCE_SIZE);
    sodium_memzero(raw, sizeof raw);
    return true;
}

bool token_genuine(const uint8_t key[TOKEN_KEY_SIZE], enum token_purpose purpose,
                   const struct token *token, const char text[TOKEN_LENGTH])
{
    char expected[TOKEN_SIZE];
    bool same;

    token_derive(key, purpose, token, expected);
    same = sodium_memcmp(expected, text, TOKEN_LENGTH) == 0;
    sodium_memzero(expected, sizeof expected);
    return same;
}

void token_pin(const uint8_t key[TOKEN_KEY_SIZE], const struct token *token,
               char out[TOKEN_PIN_SIZE])
{
    uint8_t body[BODY_SIZE];
    uint32_t words[TOKEN_HASH_SIZE / 4];
    uint32_t limit = UINT32_MAX - UINT32_MAX % PIN_RANGE;
    uint32_t value = 0;

    body_write(token, body);
    keyed_hash(key, TOKEN_PIN, body, BODY_SIZE, (uint8_t *)words, sizeof words);
    /* Rejection makes every PIN equally likely; all eight words above the limit is a 2^-96 event. */
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        value = words[i];
        if (value < limit) break;
    }
    value %= PIN_RANGE;
    for (int i = TOKEN_PIN_LENGTH - 1; i >= 0; i--, value /= 10) out[i] = (char)('0' + value % 10);
    out[TOKEN_PIN_LENGTH] = '\0';
    sodium_memzero(words, sizeof words);
    sodium_memzero(&value, sizeof value);
}

void token_hash(const uint8_t key[TOKEN_KEY_SIZE], enum token_purpose purpose, const void *data,
                size_t length, uint8_t out[TOKEN_HASH_SIZE])
{
    keyed_hash(key, purpose, data, length, out, TOKEN_HASH_SIZE);
}

int64_t token_hash_integer(const uint8_t key[TOKEN_KEY_SIZE], enum token_purpose purpose,
                           const void *data, size_t length)
{
    uint8_t hash[TOKEN_HASH_SIZE];
    uint64_t value = 0;

    keyed_hash(key, purpose, data, length, hash, sizeof hash);
    for (int i = 0; i < 8; i++) value = value << 8 | hash[i];
    value &= INT64_MAX;
    return value == 0 ? 1 : (int64_t)value;
}
