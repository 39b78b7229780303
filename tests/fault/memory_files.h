/*
** Files in memory, by name: what memory_vfs.c opens, and what fault.h copies and puts back.
*/
#ifndef MEMORY_FILES_H
#define MEMORY_FILES_H

#include "fault.h"

enum { NAME_MAX_SIZE = 64, REGIONS_MAX = 8 };

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

/* The file of a name; NULL when there is none. */
struct file *memory_file_find(const char *name);

/* A new one; NULL for a temporary file, which nobody else can find.  NULL when there are too many. */
struct file *memory_file_make(const char *name);

void memory_file_free(struct file *file);

/* Writes bytes, zeros before them where there was nothing.  SQLITE_OK or SQLITE_IOERR_NOMEM. */
int memory_write(struct content *content, const void *bytes, size_t size, size_t start);

/* Forgets the shared memory of a WAL. */
void memory_shared_free(struct shared *shared);

#endif
