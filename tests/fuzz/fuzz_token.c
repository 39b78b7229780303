/* Any text as a token: it proves itself only when the key made it, and reads as it was written. */
#include "../../ext/token.h"

#include "fuzz.h"

#include <stdbool.h>

const char fuzz_claim[] = "no text proves itself a token but the one that the key makes of what it says";

static const uint8_t key[TOKEN_KEY_SIZE] = "a key that no input can know....";

/* One differing character is a forgery. */
static void forge(const char genuine[TOKEN_SIZE], size_t at, uint8_t with)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char forged[TOKEN_SIZE];
    struct token token;

    memcpy(forged, genuine, TOKEN_SIZE);
    forged[at] = digits[with % 64];
    if (strcmp(forged, genuine) == 0) return;
    REQUIRE(!token_parse(forged, TOKEN_LENGTH, &token) || !token_genuine(key, TOKEN_LINK, &token));
}

static void pin(const struct token *token)
{
    char digits[TOKEN_PIN_SIZE];
    char again[TOKEN_PIN_SIZE];

    token_pin(key, token, digits);
    token_pin(key, token, again);
    REQUIRE(strspn(digits, "0123456789") == TOKEN_PIN_LENGTH && digits[TOKEN_PIN_LENGTH] == '\0');
    REQUIRE(strcmp(digits, again) == 0);
}

static void read_back(const char *text, struct token *said, uint8_t change)
{
    char genuine[TOKEN_SIZE];
    struct token again;

    token_derive(key, TOKEN_LINK, said, genuine);
    REQUIRE(token_parse(genuine, strlen(genuine), &again));
    REQUIRE(again.generation == said->generation && again.id == said->id &&
            memcmp(again.nonce, said->nonce, TOKEN_NONCE_SIZE) == 0);
    REQUIRE(token_genuine(key, TOKEN_LINK, &again));
    REQUIRE(!token_genuine(key, TOKEN_SESSION, &again));
    if (text != NULL) {
        REQUIRE(token_genuine(key, TOKEN_LINK, said) == (memcmp(text, genuine, TOKEN_LENGTH) == 0));
    }
    for (size_t i = 0; i < TOKEN_LENGTH; i++) forge(genuine, i, change);
    pin(said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct token token = {.id = 0};
    struct input input = {data, size};
    const char *text = (const char *)data;

    if (token_parse(text, size, &token)) {
        REQUIRE(size == TOKEN_LENGTH);
        read_back(text, &token, data[0]);
    }
    token.generation = input_byte(&input);
    token.id = input_number(&input, 4);
    for (int i = 0; i < TOKEN_NONCE_SIZE; i++) token.nonce[i] = input_byte(&input);
    read_back(NULL, &token, input_byte(&input));
    return 0;
}
