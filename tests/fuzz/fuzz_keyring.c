/* Any content of the key file. */
#include "../../ext/keyring.h"
#include "fuzz.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const char fuzz_claim[] = "a key file is taken as a whole, generation by generation, or refused";

/* Writes it anew the way its header says; what is read of that must be the same. */
static size_t canonical(const struct keyring *keyring, char *out)
{
    size_t length = 0;

    for (int i = 0; i < keyring->count; i++) {
        char hex[2 * TOKEN_KEY_SIZE + 1];
        (void)sodium_bin2hex(hex, sizeof hex, keyring->key[i], TOKEN_KEY_SIZE);
        length += (size_t)sprintf(out + length, "%d %s\n", keyring->generation[i], hex);
    }
    return length;
}

static const char *read_content(struct keyring *keyring, const void *data, size_t size)
{
    char path[32];
    int file = memfd_create("key", 0);
    const char *problem;

    if (file < 0 || write(file, data, size) != (ssize_t)size || fchmod(file, 0600) != 0) abort();
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    problem = keyring_read(keyring, path);
    (void)close(file);
    return problem;
}

static bool is_comment(const char *line)
{
    return *line == '#' || *line == '\n';
}

/* Every line that is no comment is a key. */
static int lines(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 2);
    int count = 0;

    if (text == NULL) abort();
    memcpy(text, data, size);
    memcpy(text + size, "\n", 2);
    for (char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) count += !is_comment(line);
    /* What stands after a zero byte would be lost unseen. */
    REQUIRE(strlen(text) == size + 1);
    free(text);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[KEYRING_MAX * 80];
    struct keyring keyring = {0};
    struct keyring again = {0};

    if (read_content(&keyring, data, size) != NULL) {
        REQUIRE(keyring.count == 0);
        return 0;
    }
    REQUIRE(keyring.count >= 1 && keyring.count <= KEYRING_MAX);
    REQUIRE(keyring.count == lines(data, size));
    for (int i = 0; i < keyring.count; i++) {
        REQUIRE(keyring_find(&keyring, keyring.generation[i]) == keyring.key[i]);
    }
    REQUIRE(keyring_oldest(&keyring) == keyring.key[0]);
    REQUIRE(read_content(&again, text, canonical(&keyring, text)) == NULL);
    REQUIRE(again.count == keyring.count);
    REQUIRE(memcmp(again.generation, keyring.generation, sizeof keyring.generation) == 0);
    REQUIRE(memcmp(again.key, keyring.key, sizeof keyring.key) == 0);
    return 0;
}
