/*
** Which passwords are accepted and how they are hashed, see password.h.  Every buffer that holds a
** password, or a form of one, is wiped before its function returns.
*/
#include "password.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "calendar.h"
#include "normalize.h"

/* OWASP Password Storage Cheat Sheet: Argon2id with 2 passes over 19 MiB. */
enum { PASSES = 2, MEMORY_BYTES = 19456 * 1024 };

_Static_assert(PASSWORD_HASH_SIZE == crypto_pwhash_STRBYTES, "PASSWORD_HASH_SIZE is libsodium's");

/* The hash of 32 random bytes that nobody kept, made with the parameters above. */
static const char dummy_hash[] =
    "$argon2id$v=19$m=19456,t=2,p=1$a0RImDk5P+ysjKe80qjWXA$"
    "vRnUMGDIEbTcHuiGi7rN+xAaxLn5fzVEjso7V3V/pI4";

typedef int normalizer(const char *text, char *out, size_t size);

static bool equal_under(normalizer *normalize, const char *password, const char *word)
{
    char left[NORMALIZE_SIZE];
    char right[NORMALIZE_SIZE];
    /* What a name leaves nothing of, such as "--------", equals no name. */
    bool equal = normalize(password, left, sizeof left) == 0
                 && normalize(word, right, sizeof right) == 0 && left[0] != '\0'
                 && strcmp(left, right) == 0;
    sodium_memzero(left, sizeof left);
    return equal;
}

static bool equals_word(const char *password, const char *word)
{
    if (!word) return false;
    return equal_under(normalize_username, password, word)
           || equal_under(normalize_name, password, word);
}

static bool equals_words(const char *password, const char *first, const char *second)
{
    char words[2 * NORMALIZE_INPUT_MAX + 2];
    if (!first || !second) return false;
    int length = snprintf(words, sizeof words, "%s %s", first, second);
    return (size_t)length < sizeof words && equals_word(password, words);
}

static bool equals_a_name(const char *password, const struct password_context *context)
{
    return equals_word(password, context->first_name) || equals_word(password, context->last_name)
           || equals_words(password, context->first_name, context->last_name)
           || equals_words(password, context->last_name, context->first_name)
           || equals_word(password, context->practice_name);
}

/* Copies the digits of a password that is nothing but digits and separators; else copies nothing. */
static void copy_date_digits(const char *password, char *digits, size_t size)
{
    size_t used = 0;
    for (; *password != '\0' && used + 1 < size; password++) {
        if (*password >= '0' && *password <= '9') {
            digits[used++] = *password;
        } else if (!strchr(" -./,_", *password)) {
            break;
        }
    }
    digits[*password == '\0' ? used : 0] = '\0';
}

enum { YEAR, MONTH, DAY, PART_COUNT };

static bool equals_date_in_order(const char *digits, const char *const parts[PART_COUNT],
                                 const int order[PART_COUNT])
{
    for (int i = 0; i < PART_COUNT; i++) {
        size_t length = strlen(parts[order[i]]);
        if (strncmp(digits, parts[order[i]], length) != 0) return false;
        digits += length;
    }
    return *digits == '\0';
}

static bool equals_date(const char *password, const char *date)
{
    static const int orders[][PART_COUNT] = {
        {YEAR, MONTH, DAY}, {YEAR, DAY, MONTH}, {DAY, MONTH, YEAR}, {MONTH, DAY, YEAR}};
    char digits[16];
    bool equal = false;
    if (!date || !calendar_is_date(date)) return false;

    char year[] = {date[0], date[1], date[2], date[3], '\0'};
    char month[] = {date[5], date[6], '\0'};
    char day[] = {date[8], date[9], '\0'};
    copy_date_digits(password, digits, sizeof digits);
    /* "03/07/84", "3/7/1984" and "1984-3-7" are all long enough to be passwords. */
    for (int form = 0; form < 4; form++) {
        const char *parts[PART_COUNT] = {form & 1 ? year + 2 : year, month, day};
        if (form & 2) {
            parts[MONTH] += month[0] == '0';
            parts[DAY] += day[0] == '0';
        }
        for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
            equal = equal || equals_date_in_order(digits, parts, orders[i]);
        }
    }
    sodium_memzero(digits, sizeof digits);
    return equal;
}

static const char *normalized_problem(const char *password,
                                      const struct password_context *context)
{
    long count = normalize_code_points(password);
    if (count < PASSWORD_MIN) return "password too short";
    if (count > PASSWORD_MAX) return "password too long";
    if (!context) return NULL;
    if (equals_word(password, context->username)) return "password equal to user name";
    if (equals_a_name(password, context)) return "password equal to name";
    if (equals_date(password, context->date_of_birth)) return "password equal to date of birth";
    return NULL;
}

const char *password_problem(const char *password, const struct password_context *context)
{
    char normalized[NORMALIZE_SIZE];
    if (!normalize_is_utf8(password, strlen(password))) return "password not valid text";
    if (normalize_password(password, normalized, sizeof normalized) != 0) {
        return "password too long";
    }
    const char *problem = normalized_problem(normalized, context);
    sodium_memzero(normalized, sizeof normalized);
    return problem;
}

int password_hash(const char *password, char out[PASSWORD_HASH_SIZE])
{
    char normalized[NORMALIZE_SIZE];
    memset(out, 0, PASSWORD_HASH_SIZE);
    if (normalize_password(password, normalized, sizeof normalized) != 0) return -1;
    int rc = crypto_pwhash_str(out, normalized, strlen(normalized), PASSES, MEMORY_BYTES);
    if (rc != 0) memset(out, 0, PASSWORD_HASH_SIZE);
    sodium_memzero(normalized, sizeof normalized);
    return rc;
}

bool password_verify(const char *password, const char *hash)
{
    char normalized[NORMALIZE_SIZE];
    /* What can not be normalised fits no hash, and the work is done all the same. */
    bool is_text = normalize_password(password, normalized, sizeof normalized) == 0;
    errno = 0;
    bool fits = crypto_pwhash_str_verify(hash ? hash : dummy_hash, normalized, strlen(normalized))
                == 0;
    sodium_memzero(normalized, sizeof normalized);
    return fits && is_text && hash;
}

bool password_needs_rehash(const char *hash)
{
    return crypto_pwhash_str_needs_rehash(hash, PASSES, MEMORY_BYTES) != 0;
}
