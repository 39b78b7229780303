#include "memory_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 32 };

struct files {
    struct content content[FILES_MAX];
};

static struct file all[FILES_MAX];

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

void memory_shared_free(struct shared *shared)
{
    for (int i = 0; i < REGIONS_MAX; i++) free(shared->region[i]);
    memset(shared, 0, sizeof *shared);
}

void memory_file_free(struct file *file)
{
    content_free(&file->content);
    memory_shared_free(&file->shared);
    memset(file, 0, sizeof *file);
}

struct file *memory_file_find(const char *name)
{
    for (int i = 0; i < FILES_MAX; i++) {
        if (!all[i].deleted && strcmp(all[i].content.name, name) == 0) return &all[i];
    }
    return NULL;
}

struct file *memory_file_make(const char *name)
{
    for (int i = 0; i < FILES_MAX; i++) {
        if (all[i].content.name[0] != '\0') continue;
        (void)snprintf(all[i].content.name, NAME_MAX_SIZE, "%s", name == NULL ? "temporary" : name);
        all[i].deleted = name == NULL;
        return &all[i];
    }
    return NULL;
}

int memory_write(struct content *content, const void *bytes, size_t size, size_t start)
{
    if (!content_reserve(content, start + size)) return SQLITE_IOERR_NOMEM;
    if (start > content->size) memset(content->data + content->size, 0, start - content->size);
    memcpy(content->data + start, bytes, size);
    if (start + size > content->size) content->size = start + size;
    return SQLITE_OK;
}

struct files *files_copy(void)
{
    struct files *files = calloc(1, sizeof *files);

    for (int i = 0; files != NULL && i < FILES_MAX; i++) {
        const struct content *from = &all[i].content;
        struct content *to = &files->content[i];
        if (from->name[0] == '\0' || all[i].deleted) continue;
        memcpy(to->name, from->name, NAME_MAX_SIZE);
        if (from->size > 0) (void)memory_write(to, from->data, from->size, 0);
    }
    return files;
}

void files_restore(const struct files *files)
{
    for (int i = 0; i < FILES_MAX; i++) {
        static const struct content none;
        const struct content *from = files == NULL ? &none : &files->content[i];
        struct content *to = &all[i].content;
        memory_shared_free(&all[i].shared);
        memcpy(to->name, from->name, NAME_MAX_SIZE);
        to->size = 0;
        if (from->size > 0) (void)memory_write(to, from->data, from->size, 0);
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
