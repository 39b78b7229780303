/* Unit tests of shell/csv.c, where chunks and limits end. */
#include "../../shell/csv.h"
#include "unit.h"

#include <stdint.h>
#include <stdlib.h>

/* The whole file as "a|b\n", or as far as it can be read and then "!" and what is wrong. */
static char *read_all(const char *bytes, size_t length)
{
    static char out[1 << 12];
    FILE *file = fmemopen((void *)(uintptr_t)bytes, length, "r");
    struct csv csv;
    const char *problem = "";
    enum csv_result result;
    size_t used = 0;

    out[0] = '\0';
    if (file == NULL || !csv_open(&csv, file)) abort();
    while ((result = csv_next(&csv, &problem)) == CSV_RECORD) {
        for (int i = 0; i < csv.count; i++) {
            used += (size_t)snprintf(out + used, sizeof out - used, "%s%.40s", i > 0 ? "|" : "", csv.field[i]);
        }
        used += (size_t)snprintf(out + used, sizeof out - used, "\n");
    }
    if (result == CSV_BAD) (void)snprintf(out + used, sizeof out - used, "!%ld %s", csv.line, problem);
    csv_close(&csv);
    (void)fclose(file);
    return out;
}

#define READ(text) read_all(text, sizeof(text) - 1)

/* `count` bytes of a kind, and a text after them. */
static char *read_after(char byte, size_t count, const char *text)
{
    char *bytes = malloc(count + strlen(text) + 1);
    char *read;

    if (bytes == NULL) abort();
    memset(bytes, byte, count);
    memcpy(bytes + count, text, strlen(text) + 1);
    read = read_all(bytes, count + strlen(text));
    free(bytes);
    return read;
}

static void test_records(void)
{
    TEST("a file without an end of its last line ends like one with it") {
        CHECK_TEXT(READ("a,b\n1,2"), "a|b\n1|2\n");
        CHECK_TEXT(READ("a,b\n1,2\n"), "a|b\n1|2\n");
        CHECK_TEXT(READ("a,b\r1,2\r"), "a|b\n1|2\n");
        CHECK_TEXT(READ(""), "");
    }
    TEST("empty fields stay, at every place") {
        CHECK_TEXT(READ(",a,\n,,\n\"\",b,\"\"\n"), "|a|\n||\n|b|\n");
    }
    TEST("quotes hold separators, line breaks and doubled quotes, and stand alone within a plain field") {
        CHECK_TEXT(READ("a,b\n\"1,\"\"2\"\"\n3\",5\" pipe\n"), "a|b\n1,\"2\"\n3|5\" pipe\n");
    }
    TEST("the separator is what the first line has most of outside quotes") {
        CHECK_TEXT(READ("\"a,,,\";b;c\n1,5;2;3\n"), "a,,,|b|c\n1,5|2|3\n");
        CHECK_TEXT(READ("a\tb,\tc\n"), "a|b,|c\n");
        CHECK_TEXT(READ("alone\n1,2\n"), "alone\n1|2\n");
    }
    TEST("a byte order mark is no part of the first field, and a piece of one is no text") {
        CHECK_TEXT(READ("\xEF\xBB\xBF" "a,b\n"), "a|b\n");
        CHECK_TEXT(READ("\xEF\xBB\xBF"), "");
        CHECK(strncmp(READ("\xEF\xBB"), "!1 is not UTF-8", 15) == 0);
    }
}

static void test_chunks(void)
{
    TEST("line ends, quotes and characters may stand on both sides of the end of a chunk") {
        for (size_t before = CSV_CHUNK - 6; before <= CSV_CHUNK + 1; before++) {
            char *read = read_after('x', before, ",\"\xC3\xA9\"\"\",2\r\n1,2\r\n\r3");
            CHECK_TEXT(read + 40, "|\xC3\xA9\"|2\n1|2\n\n3\n");
        }
    }
    TEST("a record may have a mebibyte with the ends of its fields, and no more") {
        CHECK_TEXT(read_after('x', CSV_RECORD_MOST - 2, "\n1\n") + 40, "\n1\n");
        CHECK(strncmp(read_after('x', CSV_RECORD_MOST - 1, "\n1\n"), "!1 is longer", 12) == 0);
        CHECK(strncmp(read_after(',', CSV_RECORD_MOST, "\n"), "!1 has more than 2,000 fields", 29) == 0);
    }
    TEST("a record may have two thousand fields, and no more") {
        CHECK(strchr(read_after(',', CSV_FIELDS_MOST - 1, "\n"), '!') == NULL);
        CHECK(strncmp(read_after(',', CSV_FIELDS_MOST, "\n"), "!1 has more", 11) == 0);
    }
}

int main(void)
{
    test_records();
    test_chunks();
    return unit_result();
}
