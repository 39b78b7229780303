#include "json.h"

void json_append(sqlite3_str *out, const char *text)
{
    sqlite3_str_appendchar(out, 1, '"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            sqlite3_str_appendf(out, "\\%c", c);
        } else if (c < ' ') {
            sqlite3_str_appendf(out, "\\u%04x", c);
        } else {
            sqlite3_str_appendchar(out, 1, *text);
        }
    }
    sqlite3_str_appendchar(out, 1, '"');
}
