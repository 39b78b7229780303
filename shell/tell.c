#include "tell.h"

#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Longer ones are cut: nobody reads on. */
enum { LONGEST = 1000 };

int tell(int code, const char *format, ...)
{
    char text[LONGEST];
    va_list values;

    va_start(values, format);
    (void)vsnprintf(text, sizeof text, format, values);
    va_end(values);
    (void)fputs("portal: ", stderr);
    text_write(stderr, text, strlen(text));
    (void)fputc('\n', stderr);
    return code;
}
