/*
** What a person is given to prove something: link, reset and session tokens, and PINs.  None is
** stored; each is derived from the key, a purpose, and its row's id and nonce.  The row keeps the
** key's generation as well: a key that was rotated away proves nothing that was made later.  A pure
** leaf: no SQLite here.
**
** A token is generation (1 byte), id (4 bytes, big endian), nonce (3 bytes) and 128 bits of keyed
** BLAKE2b (RFC 7693) over purpose, generation, id and nonce: 24 bytes, 32 characters of base64url
** (RFC 4648 section 5).  NIST SP 800-63B section 5.1.3 asks for 64 bits or more.
*/
#ifndef PORTAL_TOKEN_H
#define PORTAL_TOKEN_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

enum {
    TOKEN_KEY_SIZE = 32,
    TOKEN_NONCE_SIZE = 3,
    TOKEN_KEPT_SIZE = 1 + TOKEN_NONCE_SIZE,
    TOKEN_LENGTH = 32,
    TOKEN_SIZE = TOKEN_LENGTH + 1,
    TOKEN_PIN_LENGTH = 6,
    TOKEN_PIN_SIZE = TOKEN_PIN_LENGTH + 1,
    TOKEN_MAC_SIZE = 16,
    TOKEN_HASH_SIZE = 32
};

/*
** Labels that keep what is derived for one end from serving another.  A new one goes last: what was
** made under a label stands in databases.
*/
enum token_purpose {
    TOKEN_LINK,
    TOKEN_PIN,
    TOKEN_RESET,
    TOKEN_SESSION,
    TOKEN_FINGERPRINT,
    TOKEN_AUDIT,
    TOKEN_SEAL,
    TOKEN_CHECKPOINT,
    TOKEN_SECRET,
    TOKEN_KEY_CHECK
};

/* What a token says of itself, before any row was looked at. */
struct token {
    uint8_t generation;
    uint32_t id;
    uint8_t nonce[TOKEN_NONCE_SIZE];
    uint8_t mac[TOKEN_MAC_SIZE];    /* of a parsed one: what is to prove the rest */
};

/* Writes the token of a row.  `id` must fit into 32 bits. */
void token_derive(const uint8_t key[TOKEN_KEY_SIZE], enum token_purpose purpose,
                  const struct token *token, char out[TOKEN_SIZE]);

/*
** Reads what a text claims.  False when it is not of a token's form.
** Nothing is proved until token_genuine() agrees.
*/
bool token_parse(const char *text, size_t length, struct token *token);

/* True when a parsed token was derived from this key for this purpose; compares in constant time. */
bool token_genuine(const uint8_t key[TOKEN_KEY_SIZE], enum token_purpose purpose,
                   const struct token *token);

/* What the row keeps of its token: generation and nonce. */
void token_keep(const struct token *token, uint8_t kept[TOKEN_KEPT_SIZE]);

/* Takes generation and nonce from what a row kept; false when that is damaged. */
bool token_recall(struct token *token, const void *kept, int size);

/* True when it has the generation and nonce that a row kept; compares in constant time. */
bool token_is_kept(const struct token *token, const void *kept, int size);

/* Writes the six digits of a row, each of the million equally likely. */
void token_pin(const uint8_t key[TOKEN_KEY_SIZE], const struct token *token,
               char out[TOKEN_PIN_SIZE]);

/* Keyed BLAKE2b-256 of bytes under a purpose. */
void token_hash(const uint8_t key[TOKEN_KEY_SIZE], enum token_purpose purpose, const void *data,
                size_t length, uint8_t out[TOKEN_HASH_SIZE]);

#endif
