/*
** What every fuzz target shares.  A target is a file fuzz_NAME.c that defines the two things declared
** here; `make fuzz` runs it under libFuzzer, and the tests run it over its saved inputs in
** corpus/NAME (replay.c).
*/
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the target proves, a sentence: the name of its test. */
extern const char fuzz_claim[];

/* Tries one input; ends the process when a promise is broken.  Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process when a promise is broken, as a sanitizer does; TELL has values to tell, as printf(). */
#define REQUIRE(promise) REQUIRE_TELL(promise, "%s", "")
#define REQUIRE_TELL(promise, ...) \
    ((promise) ? (void)0 : fuzz_broken(__FILE__, __LINE__, #promise, __VA_ARGS__))

__attribute__((format(printf, 4, 5))) _Noreturn static inline void
fuzz_broken(const char *file, int line, const char *promise, const char *format, ...)
{
    __builtin_va_list arguments;

    (void)fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, promise);
    __builtin_va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    __builtin_va_end(arguments);
    (void)fputc('\n', stderr);
    abort();
}

/* An input as it is read off from its start; past its end come zeros and empty texts. */
struct input {
    const uint8_t *at;
    size_t left;
};

static inline uint8_t input_byte(struct input *input)
{
    if (input->left == 0) return 0;
    input->left--;
    return *input->at++;
}

static inline uint32_t input_number(struct input *input, int bytes)
{
    uint32_t value = 0;

    while (bytes-- > 0) value = value << 8 | input_byte(input);
    return value;
}

/*
** Text up to the next zero byte, in an allocation of its exact size, so that a read past its end is
** seen; free() it.
*/
static inline char *input_text(struct input *input)
{
    size_t length = input->left == 0 ? 0 : strnlen((const char *)input->at, input->left);
    char *text = calloc(1, length + 1);

    if (text == NULL) abort();
    if (length > 0) memcpy(text, input->at, length);
    input->at += length;
    input->left -= length;
    (void)input_byte(input);
    return text;
}

#endif
