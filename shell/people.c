#include "people.h"

#include "normalize.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS_AT_FIRST = 1 << 12 };

_Static_assert(PEOPLE_KEY_SIZE == crypto_shorthash_KEYBYTES, "the key of crypto_shorthash()");
_Static_assert(sizeof(uint64_t) == crypto_shorthash_BYTES, "the hash of crypto_shorthash()");

bool people_open(struct people *people)
{
    crypto_shorthash_keygen(people->key);
    people->count = 0;
    people->size = SLOTS_AT_FIRST;
    people->slot = calloc(people->size, sizeof *people->slot);
    return people->slot != NULL;
}

void people_close(struct people *people)
{
    free(people->slot);
}

uint64_t people_hash(const struct people *people, const char *first_name, const char *last_name,
                     const char *date_of_birth)
{
    char text[3 * NORMALIZE_SIZE];
    uint64_t hash = 0;
    size_t length;

    if (normalize_name(first_name, text, NORMALIZE_SIZE) != 0) return 0;
    length = strlen(text) + 1;
    if (normalize_name(last_name, text + length, NORMALIZE_SIZE) != 0) return 0;
    length += strlen(text + length) + 1;
    if (strlen(date_of_birth) >= NORMALIZE_SIZE) return 0;
    memcpy(text + length, date_of_birth, strlen(date_of_birth));
    length += strlen(date_of_birth);
    (void)crypto_shorthash((unsigned char *)&hash, (const unsigned char *)text, length, people->key);
    return hash == 0 ? 1 : hash;
}

/* The slot of a person, or the free one where it belongs. */
static struct person *slot_of(const struct people *people, uint64_t hash)
{
    size_t at = hash & (people->size - 1);

    while (people->slot[at].hash != 0 && people->slot[at].hash != hash) at = (at + 1) & (people->size - 1);
    return &people->slot[at];
}

const struct person *people_find(const struct people *people, uint64_t hash)
{
    const struct person *person = slot_of(people, hash);

    return hash == 0 || person->hash == 0 ? NULL : person;
}

static bool grow(struct people *people)
{
    struct people wider = *people;

    wider.size *= 2;
    wider.slot = calloc(wider.size, sizeof *wider.slot);
    if (wider.slot == NULL) return false;
    for (size_t i = 0; i < people->size; i++) {
        if (people->slot[i].hash != 0) *slot_of(&wider, people->slot[i].hash) = people->slot[i];
    }
    free(people->slot);
    *people = wider;
    return true;
}

bool people_add(struct people *people, uint64_t hash, long line)
{
    struct person *person;

    if (hash == 0) return true;
    if (people->count >= people->size / 4 * 3 && !grow(people)) return false;
    person = slot_of(people, hash);
    if (person->hash != 0) return true;
    people->count++;
    *person = (struct person){hash, line};
    return true;
}
