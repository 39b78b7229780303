/*
** A VFS that keeps its files in memory, counts what is done with them and fails it when told to.
** Several connections of one thread may share a file: locks are kept, and a WAL's shared memory.
*/
#include "fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 32, NAME_MAX_SIZE = 64, REGIONS_MAX = 8, WAL_WRITE_LOCK = 0 };

struct content {
    char name[NAME_MAX_SIZE];           /* "" for a slot that is free */
    unsigned char *data;
    size_t size;
    size_t capacity;
};

struct shared {
    unsigned char *region[REGIONS_MAX];
    int readers[SQLITE_SHM_NLOCK];      /* -1: a writer */
};

struct file {
    struct content content;
    int handles;
    bool deleted;                       /* goes when its last handle does */
    int readers;                        /* handles with SQLITE_LOCK_SHARED or more */
    const void *writer;                 /* the handle with SQLITE_LOCK_RESERVED or more */
    bool pending;                       /* it waits for the readers */
    struct shared shared;
};

struct handle {
    sqlite3_file base;                  /* first */
    struct file *file;
    int lock;
    int shared[SQLITE_SHM_NLOCK];       /* 0, 1: reads, -1: writes */
};

struct files {
    struct content content[FILES_MAX];
};

static struct file all[FILES_MAX];

sqlite3_int64 memory_clock = MEMORY_START;
void (*files_committed)(void);

static bool content_reserve(struct content *content, size_t size)
{
    size_t capacity = size < 4096 ? 4096 : 2 * size;
    unsigned char *data;

    if (size <= content->capacity) return true;
    data = realloc(content->data, capacity);
    if (data == NULL) return false;
    content->data = data;
    content->capacity = capacity;
    return true;
}

static void content_free(struct content *content)
{
    free(content->data);
    memset(content, 0, sizeof *content);
}

static void shared_free(struct shared *shared)
{
    for (int i = 0; i < REGIONS_MAX; i++) free(shared->region[i]);
    memset(shared, 0, sizeof *shared);
}

static void file_free(struct file *file)
{
    content_free(&file->content);
    shared_free(&file->shared);
    memset(file, 0, sizeof *file);
}

static struct file *file_find(const char *name)
{
    for (int i = 0; i < FILES_MAX; i++) {
        if (!all[i].deleted && strcmp(all[i].content.name, name) == 0) return &all[i];
    }
    return NULL;
}

/* Temporary files get a name too, which nobody else can know. */
static struct file *file_make(const char *name)
{
    for (int i = 0; i < FILES_MAX; i++) {
        if (all[i].content.name[0] != '\0') continue;
        (void)snprintf(all[i].content.name, NAME_MAX_SIZE, "%s", name == NULL ? "temporary" : name);
        all[i].deleted = name == NULL;
        return &all[i];
    }
    return NULL;
}

/* Files */

static int file_close(sqlite3_file *base)
{
    struct handle *handle = (struct handle *)base;
    struct file *file = handle->file;

    if (--file->handles == 0) {
        shared_free(&file->shared);
        if (file->deleted) file_free(file);
    }
    return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *out, int amount, sqlite3_int64 offset)
{
    const struct content *content = &((struct handle *)base)->file->content;
    size_t size = (size_t)amount;
    size_t start = (size_t)offset;
    size_t there = start >= content->size ? 0 : content->size - start;

    if (fault_strikes(FAULT_READ)) return SQLITE_IOERR_READ;
    if (there > size) there = size;
    if (there > 0) memcpy(out, content->data + start, there);
    memset((unsigned char *)out + there, 0, size - there);
    return there == size ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int content_write(struct content *content, const void *bytes, size_t size, size_t start)
{
    if (!content_reserve(content, start + size)) return SQLITE_IOERR_NOMEM;
    if (start > content->size) memset(content->data + content->size, 0, start - content->size);
    memcpy(content->data + start, bytes, size);
    if (start + size > content->size) content->size = start + size;
    return SQLITE_OK;
}

static int file_write(sqlite3_file *base, const void *bytes, int amount, sqlite3_int64 offset)
{
    struct content *content = &((struct handle *)base)->file->content;
    size_t size = (size_t)amount;
    size_t start = (size_t)offset;
    int code = SQLITE_OK;

    if (fault_strikes(FAULT_WRITE)) code = SQLITE_IOERR_WRITE;
    if (start + size > content->size && fault_strikes(FAULT_FULL)) code = SQLITE_FULL;
    if (code != SQLITE_OK) {
        (void)content_write(content, bytes, size / 2, start);
        return code;
    }
    return content_write(content, bytes, size, start);
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct content *content = &((struct handle *)base)->file->content;

    if (fault_strikes(FAULT_TRUNCATE)) return SQLITE_IOERR_TRUNCATE;
    if ((size_t)size < content->size) content->size = (size_t)size;
    return SQLITE_OK;
}

static int file_sync(sqlite3_file *base, int flags)
{
    (void)base;
    (void)flags;
    return fault_strikes(FAULT_SYNC) ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size)
{
    *size = (sqlite3_int64)((struct handle *)base)->file->content.size;
    return SQLITE_OK;
}

static int file_lock(sqlite3_file *base, int lock)
{
    struct handle *handle = (struct handle *)base;
    struct file *file = handle->file;

    if (handle->lock >= lock) return SQLITE_OK;
    if (handle->lock == SQLITE_LOCK_NONE) {
        if (file->pending) return SQLITE_BUSY;
        file->readers++;
        handle->lock = SQLITE_LOCK_SHARED;
    }
    if (lock == SQLITE_LOCK_SHARED) return SQLITE_OK;
    if (file->writer != NULL && file->writer != handle) return SQLITE_BUSY;
    file->writer = handle;
    if (handle->lock < SQLITE_LOCK_RESERVED) handle->lock = SQLITE_LOCK_RESERVED;
    if (lock == SQLITE_LOCK_RESERVED) return SQLITE_OK;
    file->pending = true;
    handle->lock = SQLITE_LOCK_PENDING;
    if (file->readers > 1) return SQLITE_BUSY;
    handle->lock = lock;
    return SQLITE_OK;
}

static int file_unlock(sqlite3_file *base, int lock)
{
    struct handle *handle = (struct handle *)base;
    struct file *file = handle->file;
    bool wrote = handle->lock >= SQLITE_LOCK_RESERVED;

    if (handle->lock <= lock) return SQLITE_OK;
    if (wrote) {
        file->writer = NULL;
        file->pending = false;
    }
    if (lock == SQLITE_LOCK_NONE) file->readers--;
    handle->lock = lock;
    if (wrote && files_committed != NULL) files_committed();
    return SQLITE_OK;
}

static int file_reserved(sqlite3_file *base, int *reserved)
{
    *reserved = ((struct handle *)base)->file->writer != NULL;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int operation, void *argument)
{
    (void)base;
    (void)operation;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int sector_size(sqlite3_file *base)
{
    (void)base;
    return 4096;
}

static int characteristics(sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;    /* as the VFS of Unix has it */
}

/* The shared memory of a WAL */

static int shared_map(sqlite3_file *base, int at, int size, int extend, void volatile **out)
{
    struct shared *shared = &((struct handle *)base)->file->shared;

    *out = NULL;
    if (fault_strikes(FAULT_SHARED)) return SQLITE_IOERR_SHMMAP;
    if (at >= REGIONS_MAX) return SQLITE_IOERR_SHMSIZE;
    if (shared->region[at] == NULL && extend) shared->region[at] = calloc(1, (size_t)size);
    *out = shared->region[at];
    return SQLITE_OK;
}

static int shared_lock_one(struct handle *handle, int at, int flags)
{
    int *readers = &handle->file->shared.readers[at];

    if ((flags & SQLITE_SHM_UNLOCK) != 0) {
        if (handle->shared[at] == 1) (*readers)--;
        if (handle->shared[at] == -1) *readers = 0;
        if (handle->shared[at] == -1 && at == WAL_WRITE_LOCK && files_committed != NULL) {
            files_committed();
        }
        handle->shared[at] = 0;
    } else if ((flags & SQLITE_SHM_SHARED) != 0) {
        if (*readers < 0) return SQLITE_BUSY;
        if (handle->shared[at] == 0) (*readers)++;
        handle->shared[at] = 1;
    } else {
        if (*readers != 0) return SQLITE_BUSY;
        *readers = -1;
        handle->shared[at] = -1;
    }
    return SQLITE_OK;
}

static int shared_lock(sqlite3_file *base, int offset, int count, int flags)
{
    struct handle *handle = (struct handle *)base;
    int code = SQLITE_OK;

    for (int i = 0; i < count && code == SQLITE_OK; i++) {
        code = shared_lock_one(handle, offset + i, flags);
        if (code == SQLITE_OK) continue;
        while (--i >= 0) (void)shared_lock_one(handle, offset + i, SQLITE_SHM_UNLOCK);
        return code;
    }
    return code;
}

static void shared_barrier(sqlite3_file *base)
{
    (void)base;
}

static int shared_unmap(sqlite3_file *base, int delete)
{
    struct handle *handle = (struct handle *)base;

    (void)shared_lock(base, 0, SQLITE_SHM_NLOCK, SQLITE_SHM_UNLOCK);
    if (delete) shared_free(&handle->file->shared);
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
    .xShmMap = shared_map,
    .xShmLock = shared_lock,
    .xShmBarrier = shared_barrier,
    .xShmUnmap = shared_unmap,
};

/* The VFS */

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *out)
{
    struct handle *handle = (struct handle *)base;
    struct file *file = name == NULL ? NULL : file_find(name);

    (void)vfs;
    memset(handle, 0, sizeof *handle);
    if (fault_strikes(FAULT_OPEN)) return SQLITE_CANTOPEN;
    if (file == NULL && (flags & SQLITE_OPEN_CREATE) != 0) file = file_make(name);
    if (file == NULL) return SQLITE_CANTOPEN;
    if ((flags & SQLITE_OPEN_DELETEONCLOSE) != 0) file->deleted = true;
    file->handles++;
    handle->file = file;
    handle->base.pMethods = &methods;
    if (out != NULL) *out = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    struct file *file = file_find(name);

    (void)vfs;
    (void)sync;
    if (fault_strikes(FAULT_DELETE)) return SQLITE_IOERR_DELETE;
    if (file == NULL) return SQLITE_IOERR_DELETE_NOENT;
    file->deleted = true;
    if (file->handles == 0) file_free(file);
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    (void)vfs;
    (void)flags;
    *out = file_find(name) != NULL;
    return SQLITE_OK;
}

static int vfs_path(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
    (void)vfs;
    (void)sqlite3_snprintf(size, out, "%s", name);
    return SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *vfs, int size, char *out)
{
    (void)vfs;
    memset(out, 0x5A, (size_t)size);
    return size;
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    return microseconds;
}

static int vfs_now(sqlite3_vfs *vfs, sqlite3_int64 *milliseconds)
{
    (void)vfs;
    *milliseconds = 210866760000000 + 1000 * memory_clock;
    return SQLITE_OK;
}

static int vfs_now_in_days(sqlite3_vfs *vfs, double *days)
{
    sqlite3_int64 milliseconds;
    int code = vfs_now(vfs, &milliseconds);

    *days = (double)milliseconds / 86400000.0;
    return code;
}

static int vfs_error(sqlite3_vfs *vfs, int size, char *out)
{
    (void)vfs;
    (void)sqlite3_snprintf(size, out, "injected");
    return 0;
}

int memory_vfs_register(void)
{
    static sqlite3_vfs vfs = {
        .iVersion = 2,
        .szOsFile = sizeof(struct handle),
        .mxPathname = NAME_MAX_SIZE - 1,
        .zName = "memory",
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_path,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_now_in_days,
        .xGetLastError = vfs_error,
        .xCurrentTimeInt64 = vfs_now,
    };

    return sqlite3_vfs_register(&vfs, 1);
}

/* Copies */

struct files *files_copy(void)
{
    struct files *files = calloc(1, sizeof *files);

    for (int i = 0; files != NULL && i < FILES_MAX; i++) {
        const struct content *from = &all[i].content;
        struct content *to = &files->content[i];
        if (from->name[0] == '\0' || all[i].deleted) continue;
        memcpy(to->name, from->name, NAME_MAX_SIZE);
        if (from->size > 0) (void)content_write(to, from->data, from->size, 0);
    }
    return files;
}

void files_restore(const struct files *files)
{
    for (int i = 0; i < FILES_MAX; i++) {
        static const struct content none;
        const struct content *from = files == NULL ? &none : &files->content[i];
        struct content *to = &all[i].content;
        shared_free(&all[i].shared);
        memcpy(to->name, from->name, NAME_MAX_SIZE);
        to->size = 0;
        if (from->size > 0) (void)content_write(to, from->data, from->size, 0);
    }
}

void files_free(struct files *files)
{
    for (int i = 0; files != NULL && i < FILES_MAX; i++) content_free(&files->content[i]);
    free(files);
}

int files_open(void)
{
    int count = 0;

    for (int i = 0; i < FILES_MAX; i++) count += all[i].handles;
    return count;
}
