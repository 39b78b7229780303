/* A damaged database file: bytes of a sound one are changed, then everything is tried on it. */
#include "practice.h"

const char fuzz_claim[] = "a damaged database file gets answers and clear errors, never a crash or an endless call";

/* SQLite itself may go round in a damaged tree: what is endless is stopped, and told. */
static int enough(void *steps)
{
    return ++*(int *)steps > 2000;
}

/* Three bytes of an offset, one of a length, then as many to be put there. */
static void damage(uint8_t *image, size_t size, struct input *input)
{
    while (input->left > 0) {
        size_t at = input_number(input, 3) % size;
        size_t length = (size_t)input_byte(input) % 32 + 1;
        for (size_t i = 0; i < length && input->left > 0 && at + i < size; i++) {
            image[at + i] = input_byte(input);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    size_t image_size = 0;
    const uint8_t *sound = practice_image(&image_size);
    uint8_t *image = malloc(image_size);
    int steps = 0;
    sqlite3 *db;

    if (image == NULL) abort();
    memcpy(image, sound, image_size);
    damage(image, image_size, &input);
    db = practice_open_image(image, image_size);
    sqlite3_progress_handler(db, 10000, enough, &steps);
    practice_try_all(db);
    practice_close(db);
    free(image);
    return 0;
}
