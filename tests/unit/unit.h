/*
** The smallest frame for unit tests that names each behaviour with a sentence:
**
**     int main(void) {
**         TEST("an even number has no remainder") {
**             CHECK(4 % 2 == 0);
**         }
**         return unit_result();
**     }
**
** Writes one line per test, "ok - <sentence>" or "not ok - <sentence>: <file>:<line>: <expression>"
** with the first check that failed.  A test without a check can not fail, and counts as failed.
*/
#ifndef UNIT_H
#define UNIT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static struct {
    const char *sentence;
    bool running;
    int checks;
    int failed_tests;
    char failure[1024];
} unit;

static inline void unit_begin(const char *sentence)
{
    unit.sentence = sentence;
    unit.running = true;
    unit.checks = 0;
    unit.failure[0] = '\0';
}

/* A test's line stays one line whatever values it tells. */
static inline void unit_print_escaped(const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < ' ' || byte == 0x7F) printf("\\x%02X", byte);
        else putchar(byte);
    }
}

static inline void unit_end(void)
{
    unit.running = false;
    if (unit.checks == 0) (void)snprintf(unit.failure, sizeof unit.failure, "nothing was checked");
    if (unit.failure[0] == '\0') {
        printf("ok - %s\n", unit.sentence);
    } else {
        printf("not ok - %s: ", unit.sentence);
        unit_print_escaped(unit.failure);
        putchar('\n');
        unit.failed_tests++;
    }
    (void)fflush(stdout);
}

static inline void unit_check(bool holds, const char *file, int line, const char *format, ...)
{
    unit.checks++;
    if (holds || unit.failure[0] != '\0') return;
    int used = snprintf(unit.failure, sizeof unit.failure, "%s:%d: ", file, line);
    if (used < 0 || (size_t)used >= sizeof unit.failure) return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(unit.failure + used, sizeof unit.failure - (size_t)used, format, arguments);
    va_end(arguments);
}

static inline bool unit_same(const char *left, const char *right)
{
    return left && right ? strcmp(left, right) == 0 : left == right;
}

static inline int unit_result(void)
{
    return unit.failed_tests > 0 ? 1 : 0;
}

#define TEST(sentence) for (unit_begin(sentence); unit.running; unit_end())

#define CHECK(expression) unit_check((expression), __FILE__, __LINE__, "%s", #expression)

/* With the value that makes a row of a table, or a step of a loop, known. */
#define CHECK_FOR(row, expression) \
    unit_check((expression), __FILE__, __LINE__, "%s for \"%s\"", #expression, (row))

/* Compares two strings, either of which may be NULL, and tells both. */
#define CHECK_TEXT(actual, expected) \
    unit_check_text((actual), (expected), __FILE__, __LINE__, #actual)

static inline void unit_check_text(const char *actual, const char *expected, const char *file,
                                   int line, const char *expression)
{
    unit_check(unit_same(actual, expected), file, line, "%s is \"%s\", not \"%s\"", expression,
               actual ? actual : "(NULL)", expected ? expected : "(NULL)");
}

#endif
