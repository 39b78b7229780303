#include "mapping.h"

#include "practice.h"
#include "tell.h"

#include <string.h>

/* One "column=header". */
static int correct_one(struct mapping *mapping, char *const *headers, const char *text, size_t length)
{
    const char *equals = memchr(text, '=', length);
    size_t name = equals == NULL ? length : (size_t)(equals - text);
    int column = chart_find(text, name);
    int header = -1;

    if (equals == NULL || column < 0) {
        return tell(EXIT_USAGE, "--map: '%.*s' is no column of patients and a header, such as last_name=Surname",
                    (int)length, text);
    }
    length -= name + 1;
    if (length > 0) header = chart_header_find(headers, mapping->headers, equals + 1, length);
    if (length > 0 && header < 0) {
        return tell(EXIT_USAGE, "--map: the file has no header '%.*s'", (int)length, equals + 1);
    }
    for (int other = 0; other < CHART_COUNT; other++) {
        if (header >= 0 && mapping->from[other] == header) mapping->from[other] = -1;
    }
    mapping->from[column] = header;
    return EXIT_DONE;
}

static int correct(struct mapping *mapping, char *const *headers, const char *corrections)
{
    int code = EXIT_DONE;

    while (code == EXIT_DONE && corrections != NULL && *corrections != '\0') {
        size_t length = strcspn(corrections, ",");
        code = correct_one(mapping, headers, corrections, length);
        corrections += length + (corrections[length] == ',');
    }
    return code;
}

static bool is_used(const struct mapping *mapping, int header)
{
    int column = 0;

    while (column < CHART_COUNT && mapping->from[column] != header) column++;
    return column < CHART_COUNT;
}

static void show(const struct mapping *mapping, char *const *headers)
{
    char left_out[1000] = "";
    size_t used = 0;

    for (int i = 0; i < CHART_COUNT; i++) {
        if (mapping->from[i] >= 0) (void)tell(0, "%s is filled from '%s'", chart_columns[i].name, headers[mapping->from[i]]);
    }
    for (int header = 0; header < mapping->headers; header++) {
        if (is_used(mapping, header) || used >= sizeof left_out) continue;
        used += (size_t)snprintf(left_out + used, sizeof left_out - used, "%s'%s'", used > 0 ? ", " : "", headers[header]);
    }
    if (used > 0) (void)tell(0, "left out: %s", left_out);
}

static int check(const struct mapping *mapping, char *const *headers)
{
    for (int i = 0; i < CHART_COUNT; i++) {
        int header = mapping->from[i];
        if (header < 0 && chart_columns[i].required) {
            return tell(EXIT_REFUSED, "no header is known to mean %s; name the one that does: --map %s=HEADER",
                        chart_columns[i].name, chart_columns[i].name);
        }
        if (header < 0) continue;
        if (chart_header_find(headers + header + 1, mapping->headers - header - 1, headers[header],
                               strlen(headers[header])) >= 0) {
            return tell(EXIT_REFUSED, "the header '%s' is there twice; rename one of them", headers[header]);
        }
    }
    return EXIT_DONE;
}

int mapping_read(struct mapping *mapping, struct csv *csv, const char *corrections)
{
    const char *problem = "is missing: the file is empty";
    int code;

    if (csv_next(csv, &problem) != CSV_RECORD) {
        return tell(EXIT_REFUSED, "%s%s", ferror(csv->file) ? "the file can not be read: " : "the line of headers ", problem);
    }
    mapping->headers = csv->count;
    chart_guess(csv->field, csv->count, mapping->from);
    code = correct(mapping, csv->field, corrections);
    if (code != EXIT_DONE) return code;
    show(mapping, csv->field);
    return check(mapping, csv->field);
}
