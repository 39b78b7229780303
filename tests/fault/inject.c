#include "fault.h"

#include <errno.h>
#include <execinfo.h>
#include <limits.h>
#include <sodium.h>
#include <stdint.h>
#include <string.h>

const char *const fault_names[FAULT_KINDS] = {
    "allocation", "read", "write", "write on a full disk", "sync", "truncation", "opening of a file",
    "deletion of a file", "mapping of shared memory", "system call", "short write",
};

static struct {
    bool armed;
    bool paused;
    enum fault_kind kind;
    long n;
    bool lasts;
    long count;
} fault;

#if defined MANY_FAULTS

/* Where allocations were asked for, and which of those counted last were the first from their place. */
enum { PLACES = 1 << 16, FRESH_MAX = 1 << 14 };
static uint64_t places[PLACES];
static bool fresh[FRESH_MAX];

/* By the calls in this program that lead there: what lies between, within SQLite, is one place. */
static uint64_t place(void)
{
    extern char __executable_start;
    extern char etext;
    void *frames[128];
    int depth = backtrace(frames, (int)(sizeof frames / sizeof frames[0]));
    uint64_t hash = 14695981039346656037u;

    for (int i = 0; i < depth; i++) {
        uintptr_t address = (uintptr_t)frames[i];
        bool ours = address >= (uintptr_t)&__executable_start && address < (uintptr_t)&etext;
        if (ours) hash = (hash ^ address) * 1099511628211u;
    }
    return hash;
}

static void place_note(long n)
{
    uint64_t here = place();
    size_t at = (size_t)(here >> 32) % PLACES;

    if (n >= FRESH_MAX) return;
    while (places[at] != 0 && places[at] != here) at = (at + 1) % PLACES;
    fresh[n] = places[at] == 0;
    places[at] = here;
}

bool fault_is_fresh(long n)
{
    return n < FRESH_MAX && fresh[n];
}

#else

static void place_note(long n)
{
    (void)n;
}

bool fault_is_fresh(long n)
{
    (void)n;
    return false;
}

#endif

void fault_arm(enum fault_kind kind, long n, bool lasts)
{
    fault.armed = true;
    fault.kind = kind;
    fault.n = n;
    fault.lasts = lasts;
    fault.count = 0;
}

long fault_disarm(void)
{
    fault.armed = false;
    return fault.count;
}

void fault_pause(bool pause)
{
    fault.paused = pause;
}

bool fault_strikes(enum fault_kind kind)
{
    if (!fault.armed || fault.paused || kind != fault.kind) return false;
    fault.count++;
    if (kind == FAULT_ALLOCATION && fault.n == LONG_MAX) place_note(fault.count);
    return fault.lasts ? fault.count >= fault.n : fault.count == fault.n;
}

/* SQLite's memory: its own methods behind a gate. */
static sqlite3_mem_methods original;

static void *gate_malloc(int size)
{
    return fault_strikes(FAULT_ALLOCATION) ? NULL : original.xMalloc(size);
}

static void *gate_realloc(void *old, int size)
{
    return fault_strikes(FAULT_ALLOCATION) ? NULL : original.xRealloc(old, size);
}

static int memory_prepare(void)
{
    sqlite3_mem_methods gated;
    int code = sqlite3_config(SQLITE_CONFIG_GETMALLOC, &original);

    if (code != SQLITE_OK) return code;
    gated = original;
    gated.xMalloc = gate_malloc;
    gated.xRealloc = gate_realloc;
    code = sqlite3_config(SQLITE_CONFIG_MALLOC, &gated);
    /* Lookaside would hide most allocations. */
    return code == SQLITE_OK ? sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) : code;
}

/* What is random is always the same: two runs of a call leave the same rows. */
static const char *constant_name(void)
{
    return "constant";
}

static uint32_t constant_number(void)
{
    return 0xA5A5A5A5;
}

static void constant_bytes(void *const out, const size_t size)
{
    memset(out, 0xA5, size);
}

static struct randombytes_implementation constant = {
    .implementation_name = constant_name, .random = constant_number, .buf = constant_bytes,
};

void __wrap_sqlite3_randomness(int size, void *out);

void __wrap_sqlite3_randomness(int size, void *out)
{
    memset(out, 0xA5, (size_t)size);
}

int fault_prepare(void)
{
    int code = memory_prepare();

    if (code != SQLITE_OK) return code;
    if (randombytes_set_implementation(&constant) != 0 || sodium_init() < 0) return SQLITE_ERROR;
    return memory_vfs_register();
}

/*
** Stand-ins for Argon2id, put in place by the linker's --wrap: the true one takes its 30 ms some
** ten thousand times, and the one thing in it that can fail is getting its 19 MiB from the system.
*/
int __wrap_crypto_pwhash_str(char out[crypto_pwhash_STRBYTES], const char *const password,
                             unsigned long long length, unsigned long long passes, size_t memory);
int __wrap_crypto_pwhash_str_verify(const char hash[crypto_pwhash_STRBYTES],
                                    const char *const password, unsigned long long length);

static void stand_in(char out[crypto_pwhash_STRBYTES], const char *password,
                     unsigned long long length)
{
    unsigned char hash[crypto_generichash_BYTES];

    (void)crypto_generichash(hash, sizeof hash, (const unsigned char *)password, length, NULL, 0);
    memset(out, 0, crypto_pwhash_STRBYTES);
    /* With the parameters that the extension asks for: it does not want to hash anew. */
    strcpy(out, "$argon2id$v=19$m=19456,t=2,p=1$");
    (void)sodium_bin2base64(out + strlen(out), 64, hash, 16, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    strcat(out, "$");
    (void)sodium_bin2base64(out + strlen(out), 64, hash, 32,
                            sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
}

int __wrap_crypto_pwhash_str(char out[crypto_pwhash_STRBYTES], const char *const password,
                             unsigned long long length, unsigned long long passes, size_t memory)
{
    (void)passes;
    (void)memory;
    if (fault_strikes(FAULT_SYSTEM)) return -1;
    stand_in(out, password, length);
    return 0;
}

int __wrap_crypto_pwhash_str_verify(const char hash[crypto_pwhash_STRBYTES],
                                    const char *const password, unsigned long long length)
{
    char expected[crypto_pwhash_STRBYTES];

    if (fault_strikes(FAULT_SYSTEM)) {
        errno = ENOMEM;
        return -1;
    }
    stand_in(expected, password, length);
    if (strcmp(expected, hash) == 0) return 0;
    errno = EINVAL;    /* as libsodium tells a wrong password from a want of memory */
    return -1;
}
