/* Unit tests of ext/token.c; the rest of it is tested through the calls. */
#include <sodium.h>

#include "../../ext/token.h"
#include "unit.h"

/* What token.c hashes a PIN from: generation, id and nonce. */
static void body_of(const struct token *token, uint8_t body[5 + TOKEN_NONCE_SIZE])
{
    body[0] = token->generation;
    for (int i = 0; i < 4; i++) body[1 + i] = (uint8_t)(token->id >> (24 - 8 * i));
    memcpy(body + 5, token->nonce, TOKEN_NONCE_SIZE);
}

static void test_pins(void)
{
    static const uint8_t key[TOKEN_KEY_SIZE] = {7};
    TEST("a PIN comes of the first word of its hash that makes no PIN likelier than others") {
        const uint32_t limit = UINT32_MAX - UINT32_MAX % 1000000;
        int passed_over = 0;
        for (uint32_t id = 1; id <= 20000; id++) {
            struct token token = {.generation = 1, .id = id};
            uint8_t body[5 + TOKEN_NONCE_SIZE];
            uint32_t words[TOKEN_HASH_SIZE / 4];
            char expected[16], pin[TOKEN_PIN_SIZE];
            int at = 0;
            body_of(&token, body);
            token_hash(key, TOKEN_PIN, body, sizeof body, (uint8_t *)words);
            while (words[at] >= limit) at++;
            passed_over += at;
            snprintf(expected, sizeof expected, "%06u", (unsigned)(words[at] % 1000000));
            token_pin(key, &token, pin);
            CHECK_TEXT(pin, expected);
        }
        CHECK(passed_over > 0);
    }
}

int main(void)
{
    if (sodium_init() < 0) return 1;
    test_pins();
    return unit_result();
}
