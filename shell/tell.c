#include "tell.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <utf8proc.h>

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
    for (const char *at = text; *at != '\0';) {
        utf8proc_int32_t point;
        utf8proc_ssize_t size = utf8proc_iterate((const utf8proc_uint8_t *)at, -1, &point);
        bool shown = size > 0 && utf8proc_category(point) != UTF8PROC_CATEGORY_CC;
        (void)fprintf(stderr, "%.*s", shown ? (int)size : 1, shown ? at : "?");
        at += size > 0 ? size : 1;
    }
    (void)fputc('\n', stderr);
    return code;
}
