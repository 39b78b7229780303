/*
** A VFS that keeps its files in memory, counts what is done with them and fails it when told to.
** Several connections of one thread may share a file: locks are kept, and a WAL's shared memory.
*/
#include "memory_files.h"

#include <stdlib.h>
#include <string.h>

enum { WAL_WRITE_LOCK = 0 };

struct handle {
    sqlite3_file base;                  /* first */
    struct file *file;
    int lock;
    int shared[SQLITE_SHM_NLOCK];       /* 0, 1: reads, -1: writes */
};

sqlite3_int64 memory_clock = MEMORY_START;
void (*files_committed)(void);

/* Files */

static int file_close(sqlite3_file *base)
{
    struct handle *handle = (struct handle *)base;
    struct file *file = handle->file;

    if (--file->handles == 0) {
        memory_shared_free(&file->shared);
        if (file->deleted) memory_file_free(file);
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

static int file_write(sqlite3_file *base, const void *bytes, int amount, sqlite3_int64 offset)
{
    struct content *content = &((struct handle *)base)->file->content;
    size_t size = (size_t)amount;
    size_t start = (size_t)offset;
    int code = SQLITE_OK;

    if (fault_strikes(FAULT_WRITE)) code = SQLITE_IOERR_WRITE;
    if (start + size > content->size && fault_strikes(FAULT_FULL)) code = SQLITE_FULL;
    if (code != SQLITE_OK) {
        (void)memory_write(content, bytes, size / 2, start);
        return code;
    }
    return memory_write(content, bytes, size, start);
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
    if (delete) memory_shared_free(&handle->file->shared);
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
    struct file *file = name == NULL ? NULL : memory_file_find(name);

    (void)vfs;
    memset(handle, 0, sizeof *handle);
    if (fault_strikes(FAULT_OPEN)) return SQLITE_CANTOPEN;
    if (file == NULL && (flags & SQLITE_OPEN_CREATE) != 0) file = memory_file_make(name);
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
    struct file *file = memory_file_find(name);

    (void)vfs;
    (void)sync;
    if (fault_strikes(FAULT_DELETE)) return SQLITE_IOERR_DELETE;
    if (file == NULL) return SQLITE_IOERR_DELETE_NOENT;
    file->deleted = true;
    if (file->handles == 0) memory_file_free(file);
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    (void)vfs;
    (void)flags;
    *out = memory_file_find(name) != NULL;
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
