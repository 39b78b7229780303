#include "installation.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

static char folder[PATH_MAX];           /* empty: it can not be told */
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The main program's entry has no name, and argv[0] need not be one: the kernel knows what it ran. */
static const char *image(void)
{
    static const char anchor = 0;
    struct link_map *map = NULL;
    Dl_info unused;

    if (dladdr1(&anchor, &unused, (void **)&map, RTLD_DL_LINKMAP) == 0) return "";
    return *map->l_name != '\0' ? map->l_name : (const char *)getauxval(AT_EXECFN);
}

static void find(void)
{
    char *slash;

    if (realpath(image(), folder) == NULL) folder[0] = '\0';
    slash = strrchr(folder, '/');
    if (slash != NULL) *slash = '\0';
}

void installation_begin(void)
{
    (void)pthread_once(&once, find);
}

bool installation_find(const char *name, char *path, size_t size)
{
    static const char *const places[] = {"", "/../lib/portal"};

    installation_begin();
    for (size_t i = 0; *folder != '\0' && i < sizeof places / sizeof places[0]; i++) {
        int length = snprintf(path, size, "%s%s/%s", folder, places[i], name);
        if (length > 0 && (size_t)length < size && access(path, F_OK) == 0) return true;
    }
    return false;
}
