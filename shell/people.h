/*
** Who is on file or was read so far, by name and date of birth, for an import to tell whom it meets again:
** 16 to 32 bytes a person.
*/
#ifndef SHELL_PEOPLE_H
#define SHELL_PEOPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As many bytes as sodium's crypto_shorthash() has. */
enum { PEOPLE_KEY_SIZE = 16 };

struct person {
    uint64_t hash;                 /* 0: nobody */
    long line;                     /* where the person was read; 0: on file */
};

struct people {
    struct person *slot;
    size_t size, count;            /* the size is a power of two */
    unsigned char key[PEOPLE_KEY_SIZE];
};

/* false without memory. */
bool people_open(struct people *people);

void people_close(struct people *people);

/* What a person is known by, whatever the case, accents and hyphens of the name; 0 of a name that is no text. */
uint64_t people_hash(const struct people *people, const char *first_name, const char *last_name,
                     const char *date_of_birth);

/* NULL when there is nobody.  Two persons have one hash once in 10^18 pairs: so ask the chart as well. */
const struct person *people_find(const struct people *people, uint64_t hash);

/* false without memory. */
bool people_add(struct people *people, uint64_t hash, long line);

#endif
