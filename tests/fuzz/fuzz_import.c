/* Any file as comma-separated values, and what its fields say as any column of the chart. */
#include "../../shell/chart.h"
#include "../../shell/csv.h"
#include "../../ext/normalize.h"
#include "fuzz.h"

const char fuzz_claim[] = "any file is read as it would be written again, or refused, and any value is taken or refused";

static FILE *file_of(const char *bytes, size_t size)
{
    FILE *file = fmemopen((void *)(uintptr_t)bytes, size, "r");

    if (file == NULL) abort();
    return file;
}

/* A copy, because chart_read() cuts it at its ends. */
static void value_read(const char *text, bool day_first)
{
    struct chart_rules rules = {"2026-11-23", "1", day_first};

    for (int i = 0; i < CHART_COUNT; i++) {
        char *field = strdup(text);
        char *out = malloc(CONTACT_SIZE);
        const char *value = NULL;
        const char *problem;
        if (field == NULL || out == NULL) abort();
        problem = chart_read(&chart_columns[i], &rules, field, &value, out);
        REQUIRE(problem == NULL || *problem != '\0');
        REQUIRE(value == NULL || *value != '\0');
        REQUIRE(problem != NULL || value != NULL || !chart_columns[i].required);
        if (problem == NULL && value != NULL && (i == CHART_DATE_OF_BIRTH || i == CHART_DECEASED_ON)) {
            REQUIRE_TELL(calendar_is_date(value) && strcmp(value, rules.latest) <= 0, "%s", value);
        }
        free(field);
        free(out);
    }
}

/* Writes a record with every field in quotes (RFC 4180). */
static void record_write(FILE *out, const struct csv *csv)
{
    for (int i = 0; i < csv->count; i++) {
        (void)fputs(i > 0 ? ",\"" : "\"", out);
        for (const char *at = csv->field[i]; *at != '\0'; at++) (void)fputs(*at == '"' ? "\"\"" : (char[]){*at, '\0'}, out);
        (void)fputc('"', out);
    }
    (void)fputc('\n', out);
}

/* Reads it all; `out` gets what can be read, written anew.  How many records there are. */
static int file_read(FILE *file, FILE *out, bool day_first)
{
    struct csv csv;
    const char *problem = NULL;
    enum csv_result result;
    long line = 0;
    int count = 0;

    if (!csv_open(&csv, file)) abort();
    while ((result = csv_next(&csv, &problem)) == CSV_RECORD) {
        int from[CHART_COUNT];
        REQUIRE(csv.line > line && csv.next_line >= csv.line);
        REQUIRE(csv.count > 0 && csv.count <= CSV_FIELDS_MOST);
        line = csv.line;
        for (int i = 0; i < csv.count; i++) {
            REQUIRE(normalize_is_utf8(csv.field[i], strlen(csv.field[i])));
            if (i < 20) value_read(csv.field[i], day_first);
        }
        if (count++ == 0) chart_guess(csv.field, csv.count, from);
        for (int i = 0; count == 1 && i < CHART_COUNT; i++) REQUIRE(from[i] >= -1 && from[i] < csv.count);
        record_write(out, &csv);
    }
    REQUIRE((result == CSV_BAD) == (problem != NULL));
    csv_close(&csv);
    (void)fclose(file);
    return count;
}

/* The first byte says whether days come first; the file follows. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    bool day_first = (input_byte(&input) & 1) != 0;
    char *once = NULL, *twice = NULL;
    size_t once_size = 0, twice_size = 0;
    FILE *out = open_memstream(&once, &once_size);
    int count;

    if (out == NULL) abort();
    count = file_read(file_of((const char *)input.at, input.left), out, day_first);
    (void)fclose(out);
    out = open_memstream(&twice, &twice_size);
    if (out == NULL) abort();
    REQUIRE(file_read(file_of(once, once_size), out, day_first) == count);
    (void)fclose(out);
    REQUIRE(once_size == twice_size && memcmp(once, twice, once_size) == 0);
    free(once);
    free(twice);
    return 0;
}
