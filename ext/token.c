#include "token.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum {
    BODY_SIZE = 1 + 4 + TOKEN_NONCE_SIZE,
    RAW_SIZE = BODY_SIZE + TOKEN_MAC_SIZE,
    PIN_RANGE = 1000000,
    HASHING_STACK = 1024
};

static_assert(RAW_SIZE == 24 && TOKEN_LENGTH == 32, "24 bytes are 32 characters of base64url");
static_assert(TOKEN_KEY_SIZE == crypto_generichash_KEYBYTES, "keys are BLAKE2b keys");
static_assert(TOKEN_MAC_SIZE == crypto_verify_16_BYTES, "compared as one");
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
    /* libsodium leaves the whole hash where its own functions had their variables. */
    sodium_stackzero(HASHING_STACK);
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

/* One more than the value of a character of the alphabet, 0 for any other. */
static const uint8_t digits[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['-'] = 63, ['_'] = 64,
};

/* A character that is no digit leaves bits above the group's 24. */
static bool decode(const char *text, uint8_t raw[RAW_SIZE])
{
    uint32_t seen = 0;

    for (size_t i = 0; i < RAW_SIZE / 3; i++) {
        const uint8_t *four = (const uint8_t *)text + 4 * i;
        uint32_t group = (digits[four[0]] - 1U) << 18 | (digits[four[1]] - 1U) << 12 |
                         (digits[four[2]] - 1U) << 6 | (digits[four[3]] - 1U);
        seen |= group;
        raw[3 * i] = (uint8_t)(group >> 16);
        raw[3 * i + 1] = (uint8_t)(group >> 8);
        raw[3 * i + 2] = (uint8_t)group;
    }
    return seen >> 24 == 0;
}

void token_derive(const uint8_t key[TOKEN_KEY_SIZE], enum token_purpose purpose,
                  const struct token *token, char out[TOKEN_SIZE])
{
    uint8_t raw[RAW_SIZE];

    body_write(token, raw);
    keyed_hash(key, purpose, raw, BODY_SIZE, raw + BODY_SIZE, TOKEN_MAC_SIZE);
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
    memcpy(token->mac, raw + BODY_SIZE, TOKEN_MAC_SIZE);
    sodium_memzero(raw, sizeof raw);
    return true;
}

bool token_genuine(const uint8_t key[TOKEN_KEY_SIZE], enum token_purpose purpose,
                   const struct token *token)
{
    uint8_t body[BODY_SIZE];
    uint8_t mac[TOKEN_MAC_SIZE];
    bool same;

    body_write(token, body);
    keyed_hash(key, purpose, body, BODY_SIZE, mac, TOKEN_MAC_SIZE);
    same = crypto_verify_16(mac, token->mac) == 0;
    sodium_memzero(mac, sizeof mac);
    return same;
}

void token_keep(const struct token *token, uint8_t kept[TOKEN_KEPT_SIZE])
{
    kept[0] = token->generation;
    memcpy(kept + 1, token->nonce, TOKEN_NONCE_SIZE);
}

bool token_recall(struct token *token, const void *kept, int size)
{
    const uint8_t *bytes = kept;

    /* Before keys could be rotated rows kept the nonce alone. */
    if (size != TOKEN_KEPT_SIZE && size != TOKEN_NONCE_SIZE) return false;
    token->generation = size == TOKEN_KEPT_SIZE ? bytes[0] : 1;
    memcpy(token->nonce, bytes + size - TOKEN_NONCE_SIZE, TOKEN_NONCE_SIZE);
    return true;
}

bool token_is_kept(const struct token *token, const void *kept, int size)
{
    struct token own;

    return token_recall(&own, kept, size) && own.generation == token->generation &&
           sodium_memcmp(own.nonce, token->nonce, TOKEN_NONCE_SIZE) == 0;
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
