/*
** Runs a fuzz target over saved inputs, without libFuzzer: its arguments are folders.  Prints the
** target's test as the unit tests do.  An input that breaks a promise ends the process; its name is
** the last that was printed.
*/
#include "fuzz.h"

#include <dirent.h>

static void replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    long size = 0;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0) abort();
    rewind(file);
    /* Exactly as long as the input: what reads past it is seen. */
    data = malloc((size_t)size);
    if ((data == NULL && size > 0) || fread(data, 1, (size_t)size, file) != (size_t)size) abort();
    (void)fclose(file);
    (void)printf("%s\n", path);
    (void)fflush(stdout);
    (void)LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
}

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    int count = 0;

    for (int i = 1; i < argc; i++) {
        struct dirent **entries = NULL;
        int found = scandir(argv[i], &entries, is_input, alphasort);
        for (int k = 0; k < found; k++) {
            char path[4096];
            (void)snprintf(path, sizeof path, "%s/%s", argv[i], entries[k]->d_name);
            replay(path);
            count++;
            free(entries[k]);
        }
        free(entries);
    }
    (void)printf("%s - %s%s\n", count > 0 ? "ok" : "not ok", fuzz_claim,
                 count > 0 ? "" : ": there is no saved input");
    return count > 0 ? 0 : 1;
}
