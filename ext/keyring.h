/*
** The key file: every secret that the portal hands out, seals or chains hangs on it.  A pure leaf:
** no SQLite here.
**
** Text, mode 0600, a comment line and one line "generation hex-key" for each generation, oldest
** first.  New tokens use the newest generation, older ones still prove theirs.  What must compare
** equal for ever (audit chain, fingerprints) uses the oldest.  Generations count from 1 to 255, and
** then take numbers that are free again.
*/
#ifndef PORTAL_KEYRING_H
#define PORTAL_KEYRING_H

#include "token.h"

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

enum { KEYRING_MAX = 32, KEYRING_FINGERPRINT_KEY_SIZE = 16 };

/* What is known again by its fingerprint, without standing there itself.  Each has a key of its own. */
enum keyring_fingerprint {
    FINGERPRINT_DESTINATION,                  /* the contact a link goes to */
    FINGERPRINT_IDENTITY,                     /* who a patient is */
    FINGERPRINT_THROTTLE,                     /* a user name that was tried, or a client */
    FINGERPRINT_MESSAGE,                      /* a message, in its Message-ID */
    FINGERPRINT_COUNT
};

struct keyring {
    int count;                                /* 0: nothing read */
    uint8_t generation[KEYRING_MAX];
    uint8_t key[KEYRING_MAX][TOKEN_KEY_SIZE];
    uint8_t fingerprint_key[FINGERPRINT_COUNT][KEYRING_FINGERPRINT_KEY_SIZE];
    struct timespec modified;                 /* of the file as it was read */
    ino_t inode;                              /* likewise */
};

/*
** Reads a key file.  NULL when it was read, else what is wrong with it, a static phrase fit to
** follow "the key file PATH " ("is missing", "can be read or changed by other users; run chmod 600", ...).
*/
const char *keyring_read(struct keyring *keyring, const char *path);

/* True when the file is not the one that was read any more. */
bool keyring_changed(const struct keyring *keyring, const char *path);

/*
** Makes a key file with one new key; one that is already there stays as it is.  It appears whole or
** not at all.  NULL, or a static phrase as above.
*/
const char *keyring_create(const char *path);

/*
** Adds a new key, which is the newest from now on, and writes the file anew; a NULL path has none.
** What `needed` does not name goes, but for the oldest and for the newest until now, which others may be
** using this moment and yesterday's backup was sealed with.  The file is the old or the new one at any
** moment, and keeps its mode and owner.  NULL, or a static phrase as above: then both are as they were.
*/
const char *keyring_rotate(struct keyring *keyring, const char *path, const bool needed[UINT8_MAX + 1]);

/* Fills a keyring with one new key that no file holds. */
void keyring_throw_away(struct keyring *keyring);

/* The key of a generation, or NULL. */
const uint8_t *keyring_find(const struct keyring *keyring, uint8_t generation);

/* The key that never changes, and the one for what is made now. */
const uint8_t *keyring_oldest(const struct keyring *keyring);
const uint8_t *keyring_newest(const struct keyring *keyring);
uint8_t keyring_newest_generation(const struct keyring *keyring);

/* Begins a token: the newest generation, and a nonce that differs from what the id had before a restore. */
void keyring_token(const struct keyring *keyring, struct token *token);

/*
** SipHash-2-4 of bytes, as a positive integer that is never 0: a pseudorandom function made for short
** input, at a sixth of BLAKE2b's cost, whose 64 bits are all that a column of integers holds.
*/
int64_t keyring_fingerprint(const struct keyring *keyring, enum keyring_fingerprint what,
                            const void *data, size_t length);

/* Wipes it. */
void keyring_clear(struct keyring *keyring);

#endif
