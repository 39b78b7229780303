/*
** The built-in channel: writes every message into a Maildir that any mail reader opens.
**
** A message is written to tmp/, synced, renamed into new/, and the folder synced, so that a reader
** never sees half of one and a crash loses none.  Its name comes from the message alone: a try that
** is repeated after a crash replaces the file instead of adding one.
*/
#include "../portal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int maildir_register(portal_api *api);

enum { PATH_MOST = 4096, STALE_AFTER = 36 * 3600, SWEPT_MOST = 1000 };

static const char *const folders[] = {"", "/tmp", "/new", "/cur"};

/* mkdir, unless it is there.  0 or -1. */
static int folder_make(const char *path)
{
    struct stat status;

    if (mkdir(path, 0700) == 0) return 0;
    return errno == EEXIST && stat(path, &status) == 0 && S_ISDIR(status.st_mode) ? 0 : -1;
}

static int maildir_make(const char *root)
{
    char path[PATH_MOST];

    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        int length = snprintf(path, sizeof path, "%s%s", root, folders[i]);
        if (length >= PATH_MOST || folder_make(path) != 0) return -1;
    }
    return 0;
}

static int folder_sync(const char *path)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int synced;

    if (folder < 0) return -1;
    synced = fsync(folder);
    return close(folder) == 0 ? synced : -1;
}

static int file_write(const char *path, const char *text, size_t size)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    size_t done = 0;
    int failed = file < 0;

    while (!failed && done < size) {
        ssize_t written = write(file, text + done, size - done);
        if (written < 0 && errno == EINTR) continue;
        failed = written <= 0;
        if (!failed) done += (size_t)written;
    }
    if (!failed) failed = fsync(file) != 0;
    if (file >= 0 && close(file) != 0) failed = 1;
    return failed ? -1 : 0;
}

/* Letters, digits and dots of the Message-ID: unique, and the same at every try. */
static void file_name(const portal_outgoing *message, char *out, size_t size)
{
    size_t length = (size_t)snprintf(out, size, "%lld.", (long long)message->created_at);

    for (const char *at = message->message_id_header; *at != '\0' && *at != '@'; at++) {
        if (length + 1 < size && strchr("<>/:", *at) == NULL) out[length++] = *at;
    }
    out[length] = '\0';
}

/* The name of a draft of ours: file_name() and the writer's process. */
static bool is_draft(const char *name)
{
    static const char *const parts[] = {"0123456789", "0123456789", "0123456789abcdef", "0123456789"};
    enum { PARTS = sizeof parts / sizeof parts[0] };

    for (int i = 0; i < PARTS; i++) {
        size_t length = strspn(name, parts[i]);
        if (length == 0 || name[length] != (i + 1 < PARTS ? '.' : '\0')) return false;
        name += length + 1;
    }
    return true;
}

static void draft_expire(int folder, const char *name, time_t before)
{
    struct stat status;

    if (is_draft(name) && fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(status.st_mode) && status.st_mtime < before) {
        (void)unlinkat(folder, name, 0);
    }
}

/*
** Removes what senders left that were killed, because a draft holds a link: the rule of the Maildir is
** that a file in tmp/ which nobody touched for 36 hours may go.  A folder that can not be read now is
** looked at with the next batch.
*/
static void drafts_sweep(const char *root)
{
    char path[PATH_MOST];
    int length = snprintf(path, sizeof path, "%s/tmp", root);
    DIR *folder = length < 0 || length >= PATH_MOST ? NULL : opendir(path);
    const struct dirent *entry;
    time_t before = time(NULL) - STALE_AFTER;

    if (folder == NULL) return;
    for (int i = 0; i < SWEPT_MOST && (entry = readdir(folder)) != NULL; i++) {
        draft_expire(dirfd(folder), entry->d_name, before);
    }
    (void)closedir(folder);
}

/* What became of it; with errno when it was not stored for sure. */
static portal_result message_store(const char *root, const portal_outgoing *message, const char *text,
                                   size_t size)
{
    char name[128];
    char draft[PATH_MOST];
    char final[PATH_MOST];
    char folder[PATH_MOST];
    int lengths[3];

    file_name(message, name, sizeof name);
    lengths[0] = snprintf(draft, sizeof draft, "%s/tmp/%s.%ld", root, name, (long)getpid());
    lengths[1] = snprintf(final, sizeof final, "%s/new/%s.portal", root, name);
    lengths[2] = snprintf(folder, sizeof folder, "%s/new", root);
    for (int i = 0; i < 3; i++) {
        if (lengths[i] >= PATH_MOST) {
            errno = ENAMETOOLONG;
            return PORTAL_RETRY;
        }
    }
    if (file_write(draft, text, size) != 0 || rename(draft, final) != 0) {
        int error = errno;
        (void)unlink(draft);
        errno = error;
        return PORTAL_RETRY;
    }
    /* It may not outlast a crash, and yet a reader may have taken it already. */
    return folder_sync(folder) == 0 ? PORTAL_SENT : PORTAL_UNCERTAIN;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL || slash[1] == '\0' ? path : slash + 1;
}

static int message_deliver(portal_api *api, const char *root, portal_batch *batch,
                           const portal_outgoing *message)
{
    char detail[512] = "a header would be malformed";
    portal_report report = {PORTAL_UNDELIVERABLE, detail, 0};
    size_t size = 0;
    char *text = api->mail(api, message, "\n", &size);

    if (text == NULL && size != 0) {
        report = (portal_report){PORTAL_RETRY, "out of memory", 0};
    } else if (text != NULL) {
        report.result = maildir_make(root) == 0 ? message_store(root, message, text, size) : PORTAL_RETRY;
        (void)snprintf(detail, sizeof detail, report.result == PORTAL_SENT ? "written to the Maildir %s"
                                                                           : "the Maildir %s: %s",
                       report.result == PORTAL_SENT ? base_name(root) : root, strerror(errno));
        memset(text, 0, size);
        sqlite3_free(text);
    }
    return batch->report(batch, message, &report);
}

static int maildir_deliver(void *data, portal_batch *batch)
{
    portal_api *api = data;
    const portal_outgoing *message;
    char *root = api->setting(api, "maildir");
    int code = root == NULL ? SQLITE_NOMEM : SQLITE_OK;

    if (root != NULL) drafts_sweep(root);
    while (code == SQLITE_OK && (message = batch->next(batch)) != NULL) {
        code = message_deliver(api, root, batch, message);
        if (code == SQLITE_OK) code = batch->settle(batch);
    }
    sqlite3_free(root);
    return code == SQLITE_INTERRUPT ? SQLITE_OK : code;
}

/* True when it can be written to, or made: its tmp, itself, or the folder that it is made in. */
static bool maildir_is_writable(char *folder)
{
    for (int up = 0; access(folder, W_OK | X_OK) != 0; up++) {
        if (errno != ENOENT || up == 2) return false;
        *strrchr(folder, '/') = '\0';
    }
    return true;
}

static int maildir_probe(void *data, char **wrong, __attribute__((unused)) sqlite3_int64 *certified_until)
{
    portal_api *api = data;
    char *root = api->setting(api, "maildir");
    char *folder = root == NULL ? NULL : sqlite3_mprintf("%s%s/tmp", *root == '/' ? "" : "./", root);
    int code = folder == NULL ? SQLITE_NOMEM : SQLITE_OK;

    if (code == SQLITE_OK && !maildir_is_writable(folder)) {
        *wrong = sqlite3_mprintf("the Maildir %s: %s; check the folder, or set maildir", root, strerror(errno));
        if (*wrong == NULL) code = SQLITE_NOMEM;
    }
    sqlite3_free(folder);
    sqlite3_free(root);
    return code;
}

int maildir_register(portal_api *api)
{
    static const portal_channel maildir = {
        PORTAL_API_VERSION, "maildir", PORTAL_EMAIL | PORTAL_TEXT, "1", maildir_deliver, NULL, NULL,
        maildir_probe, NULL,
    };

    return api->register_channel(api, &maildir, api, NULL);
}
