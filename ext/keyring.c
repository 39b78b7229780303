#include "keyring.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEX_LENGTH = 2 * TOKEN_KEY_SIZE, FILE_MAX = KEYRING_MAX * 80 + 256, PATH_SIZE = 4096 };
enum { DRAFT_SIZE = PATH_SIZE + sizeof ".XXXXXX" };

static_assert(KEYRING_FINGERPRINT_KEY_SIZE == crypto_shorthash_KEYBYTES, "keys are SipHash keys");
static_assert(crypto_shorthash_BYTES == sizeof(int64_t), "a fingerprint is an integer");

static const char comment[] =
    "# portal key file. Keep it secret, and back it up apart from the database.\n";

/* "1 0123...": a generation from 1 to 255, one space, 64 hexadecimal digits. */
static bool line_read(struct keyring *keyring, const char *line, size_t length)
{
    char *end = NULL;
    long generation = strtol(line, &end, 10);
    size_t digits = length - (size_t)(end - line) - 1;
    size_t written = 0;
    int slot = keyring->count;

    if (slot == KEYRING_MAX || end == line || *end != ' ' || digits != HEX_LENGTH) return false;
    if (generation < 1 || generation > UINT8_MAX) return false;
    if (keyring_find(keyring, (uint8_t)generation) != NULL) return false;
    if (sodium_hex2bin(keyring->key[slot], TOKEN_KEY_SIZE, end + 1, digits, NULL, &written,
                       NULL) != 0 || written != TOKEN_KEY_SIZE) {
        return false;
    }
    keyring->generation[slot] = (uint8_t)generation;
    keyring->count++;
    return true;
}

static const char *text_read(struct keyring *keyring, char *text, size_t length)
{
    /* The generations after a zero byte would go unread, and with them every token of theirs. */
    if (strlen(text) != length) return "is damaged";
    for (char *line = text; *line != '\0';) {
        size_t width = strcspn(line, "\n");
        bool last = line[width] == '\0';
        line[width] = '\0';
        if (width > 0 && *line != '#' && !line_read(keyring, line, width)) return "is damaged";
        line += width + (last ? 0 : 1);
    }
    return keyring->count > 0 ? NULL : "holds no key";
}

static void fingerprint_keys_derive(struct keyring *keyring)
{
    uint8_t hash[TOKEN_HASH_SIZE];

    for (int what = 0; what < FINGERPRINT_COUNT; what++) {
        uint8_t label = (uint8_t)what;
        token_hash(keyring->key[0], TOKEN_FINGERPRINT, &label, sizeof label, hash);
        memcpy(keyring->fingerprint_key[what], hash, KEYRING_FINGERPRINT_KEY_SIZE);
    }
    sodium_memzero(hash, sizeof hash);
}

static const char *access_problem(const struct stat *status)
{
    if (!S_ISREG(status->st_mode)) return "is not a file";
    if ((status->st_mode & (S_IRWXO | S_IWGRP)) != 0) {
        return "can be read or changed by other users; run chmod 600 on it";
    }
    return NULL;
}

const char *keyring_read(struct keyring *keyring, const char *path)
{
    char text[FILE_MAX + 1];
    struct stat status;
    const char *problem = NULL;
    size_t length = 0;
    ssize_t got = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    keyring_clear(keyring);
    if (file < 0) {
        if (errno == ENOENT) return "is missing; restore it from its backup";
        return errno == EACCES ? "can not be read by this user" : "can not be opened";
    }
    if (fstat(file, &status) != 0) problem = "can not be read";
    if (problem == NULL) problem = access_problem(&status);
    while (problem == NULL && length < FILE_MAX &&
           (got = read(file, text + length, FILE_MAX - length)) > 0) {
        length += (size_t)got;
    }
    if (problem == NULL && got < 0) problem = "can not be read";
    if (problem == NULL && length == FILE_MAX) problem = "is damaged";
    (void)close(file);
    if (problem == NULL) {
        text[length] = '\0';
        problem = text_read(keyring, text, length);
    }
    sodium_memzero(text, sizeof text);
    if (problem != NULL) {
        keyring_clear(keyring);
        return problem;
    }
    fingerprint_keys_derive(keyring);
    keyring->modified = status.st_mtim;
    keyring->inode = status.st_ino;
    return NULL;
}

bool keyring_changed(const struct keyring *keyring, const char *path)
{
    struct stat status;

    return stat(path, &status) != 0 || status.st_ino != keyring->inode ||
           status.st_mtim.tv_sec != keyring->modified.tv_sec ||
           status.st_mtim.tv_nsec != keyring->modified.tv_nsec || access_problem(&status) != NULL;
}

static bool write_all(int file, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t done = write(file, text, length);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        text += done;
        length -= (size_t)done;
    }
    return fsync(file) == 0;
}

static bool keys_write(int file, const struct keyring *keyring)
{
    char hex[HEX_LENGTH + 1];
    char text[FILE_MAX + 1];
    int length = snprintf(text, sizeof text, "%s", comment);
    bool written;

    for (int i = 0; i < keyring->count; i++) {
        (void)sodium_bin2hex(hex, sizeof hex, keyring->key[i], TOKEN_KEY_SIZE);
        length += snprintf(text + length, sizeof text - (size_t)length, "%d %s\n", keyring->generation[i], hex);
    }
    written = write_all(file, text, (size_t)length);
    sodium_memzero(hex, sizeof hex);
    sodium_memzero(text, sizeof text);
    return written;
}

static bool new_key_write(int file)
{
    struct keyring keyring;
    bool written;

    keyring_throw_away(&keyring);
    written = keys_write(file, &keyring);
    keyring_clear(&keyring);
    return written;
}

/* The folder of a path of less than PATH_SIZE. */
static void folder_of(const char *path, char folder[PATH_SIZE])
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL) {
        (void)snprintf(folder, PATH_SIZE, ".");
    } else {
        (void)snprintf(folder, PATH_SIZE, "%.*s", (int)(slash - path) + 1, path);
    }
}

/* The name is durable only when its directory is. */
static bool directory_sync(const char *directory)
{
    int file = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced;

    if (file < 0) return false;
    synced = fsync(file) == 0;
    (void)close(file);
    return synced;
}

/*
** A file of mode 0600 to write the key to: without a name, so that whoever is killed leaves no copy
** of a key behind, or where there is no such thing, a draft beside the path.
*/
static int draft_open(const char *path, const char *folder, char draft[DRAFT_SIZE], bool *named)
{
    int file = -1;

    if (access("/proc/self/fd", X_OK) == 0) {
        file = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    }
    *named = file < 0;
    if (!*named) {
        (void)snprintf(draft, DRAFT_SIZE, "/proc/self/fd/%d", file);
        return file;
    }
    (void)snprintf(draft, DRAFT_SIZE, "%s.XXXXXX", path);
    return mkstemp(draft);
}

const char *keyring_create(const char *path)
{
    char folder[PATH_SIZE];
    char draft[DRAFT_SIZE];
    const char *problem = NULL;
    bool named = false;
    int file;

    if (strlen(path) >= PATH_SIZE) return "has too long a name";
    folder_of(path, folder);
    /* Perhaps made by a call that failed then: a database may count on it from now on. */
    if (access(path, F_OK) == 0) {
        return directory_sync(folder) ? NULL : "can not be made durable";
    }
    file = draft_open(path, folder, draft, &named);
    if (file < 0) return "can not be made in that folder";
    if (!new_key_write(file)) problem = "can not be written";
    /* A name that is taken is refused: of two processes, one makes the key for both. */
    if (problem == NULL && linkat(AT_FDCWD, draft, AT_FDCWD, path, AT_SYMLINK_FOLLOW) != 0 &&
        errno != EEXIST) {
        problem = "can not be made";
    }
    if (named) (void)unlink(draft);
    if (close(file) != 0 && problem == NULL) problem = "can not be written";
    if (problem == NULL && !directory_sync(folder)) problem = "can not be made durable";
    return problem;
}

/* What is needed, in the order it was in, and a new key after it. */
static const char *generation_add(struct keyring *keyring, const bool needed[UINT8_MAX + 1])
{
    struct keyring kept = *keyring;
    unsigned generation = keyring_newest_generation(keyring);
    int count = 0;

    for (int i = 0; i < keyring->count; i++) {
        if (i > 0 && i + 1 < keyring->count && !needed[keyring->generation[i]]) continue;
        kept.generation[count] = keyring->generation[i];
        memcpy(kept.key[count++], keyring->key[i], TOKEN_KEY_SIZE);
    }
    kept.count = count;
    if (count < KEYRING_MAX) {
        do generation = generation % UINT8_MAX + 1;
        while (keyring_find(&kept, (uint8_t)generation) != NULL);
        kept.generation[count] = (uint8_t)generation;
        randombytes_buf(kept.key[count], TOKEN_KEY_SIZE);
        kept.count++;
        *keyring = kept;
    }
    keyring_clear(&kept);
    return count < KEYRING_MAX ? NULL : "is full of keys that live links or sessions need; rotate again when they have expired";
}

/* A draft that is to take the place of a file: of its mode and owner, so that whoever reads it still can. */
static const char *successor_write(const char *draft, const struct stat *former, struct keyring *keyring)
{
    struct stat status;
    const char *problem = NULL;
    int file = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (file < 0) return errno == EEXIST ? "is being written by another process" : "can not be written in that folder";
    if (fstat(file, &status) != 0 ||
        ((status.st_uid != former->st_uid || status.st_gid != former->st_gid) &&
         fchown(file, former->st_uid, former->st_gid) != 0) ||
        fchmod(file, former->st_mode & 07777) != 0) {
        problem = "belongs to another user; rotate it as that one";
    }
    if (problem == NULL && (!keys_write(file, keyring) || fstat(file, &status) != 0)) problem = "can not be written";
    keyring->modified = status.st_mtim;
    keyring->inode = status.st_ino;
    if (close(file) != 0 && problem == NULL) problem = "can not be written";
    return problem;
}

static const char *file_succeed(const char *path, struct keyring *keyring)
{
    char real[PATH_MAX];      /* a symbolic link stays one */
    char folder[PATH_SIZE];
    char draft[DRAFT_SIZE];
    struct stat former;
    const char *problem;

    if (realpath(path, real) == NULL || strlen(real) >= PATH_SIZE || stat(real, &former) != 0) return "can not be found";
    if (access(real, W_OK) != 0) return "can not be written by this user";
    folder_of(real, folder);
    (void)snprintf(draft, sizeof draft, "%s.new", real);
    /* Of somebody who was killed: whoever else writes waits for the database. */
    (void)unlink(draft);
    problem = successor_write(draft, &former, keyring);
    if (problem == NULL && rename(draft, real) != 0) problem = "can not be replaced";
    if (problem != NULL) (void)unlink(draft);
    if (problem == NULL && !directory_sync(folder)) problem = "can not be made durable";
    return problem;
}

const char *keyring_rotate(struct keyring *keyring, const char *path, const bool needed[UINT8_MAX + 1])
{
    struct keyring next = *keyring;
    const char *problem = generation_add(&next, needed);

    if (problem == NULL && path != NULL) problem = file_succeed(path, &next);
    if (problem == NULL) *keyring = next;
    keyring_clear(&next);
    return problem;
}

void keyring_throw_away(struct keyring *keyring)
{
    keyring_clear(keyring);
    keyring->generation[0] = 1;
    randombytes_buf(keyring->key[0], TOKEN_KEY_SIZE);
    keyring->count = 1;
    fingerprint_keys_derive(keyring);
}

const uint8_t *keyring_find(const struct keyring *keyring, uint8_t generation)
{
    for (int i = keyring->count - 1; i >= 0; i--) {
        if (keyring->generation[i] == generation) return keyring->key[i];
    }
    return NULL;
}

const uint8_t *keyring_oldest(const struct keyring *keyring)
{
    return keyring->key[0];
}

const uint8_t *keyring_newest(const struct keyring *keyring)
{
    return keyring->key[keyring->count - 1];
}

uint8_t keyring_newest_generation(const struct keyring *keyring)
{
    return keyring->generation[keyring->count - 1];
}

void keyring_token(const struct keyring *keyring, struct token *token)
{
    token->generation = keyring_newest_generation(keyring);
    randombytes_buf(token->nonce, sizeof token->nonce);
}

int64_t keyring_fingerprint(const struct keyring *keyring, enum keyring_fingerprint what,
                            const void *data, size_t length)
{
    uint8_t hash[crypto_shorthash_BYTES];
    uint64_t value = 0;

    (void)crypto_shorthash(hash, data, length, keyring->fingerprint_key[what]);
    for (size_t i = 0; i < sizeof hash; i++) value = value << 8 | hash[i];
    value &= INT64_MAX;
    return value == 0 ? 1 : (int64_t)value;
}

void keyring_clear(struct keyring *keyring)
{
    sodium_memzero(keyring, sizeof *keyring);
}
