#include "tell.h"

#include <stdarg.h>
#include <stdio.h>

/* Longer ones are cut: nobody reads on. */
enum { LONGEST = 1000 };

int tell(int code, const char *format, ...)
{
    char text[LONGEST];
    va_list values;

    va_start(values, format);
    (void)vsnprintf(text, sizeof text, format, values);
    va_end(values);
    for (unsigned char *at = (unsigned char *)text; *at != '\0'; at++) {
        if (*at < ' ' || *at == 0x7f) *at = '?';
        /* U+0080 to U+009F, of which terminals take some for the beginning of a sequence. */
        if (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0) *at = at[1] = '?';
    }
    (void)fprintf(stderr, "portal: %s\n", text);
    return code;
}
