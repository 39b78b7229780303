#include "csv.h"

#include "normalize.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Beside the separator, what comes after a field. */
enum { LINE_END = -2, FIELD_BAD = -3 };

static const char no_utf8[] = "is not UTF-8; save the file as UTF-8, or convert it: iconv -f WINDOWS-1252 -t UTF-8";
static const char has_nul[] = "has a NUL byte, as UTF-16 has; save the file as UTF-8, or convert it: "
                              "iconv -f UTF-16 -t UTF-8";

/* Bytes */

static bool chunk_read(struct csv *csv)
{
    csv->at = 0;
    csv->end = fread(csv->chunk, 1, CSV_CHUNK, csv->file);
    csv->read += (long long)csv->end;
    return csv->end > 0;
}

static int peek(struct csv *csv)
{
    return csv->at < csv->end || chunk_read(csv) ? csv->chunk[csv->at] : EOF;
}

static int next(struct csv *csv)
{
    return csv->at < csv->end || chunk_read(csv) ? csv->chunk[csv->at++] : EOF;
}

/* A byte that ends a line, were it not within quotes; of CR LF it is the second. */
static bool line_ends(struct csv *csv, int byte)
{
    if (byte != '\n' && (byte != '\r' || peek(csv) == '\n')) return false;
    csv->next_line++;
    return true;
}

/* Fields */

/* What the first line has most of, outside quotes; a comma when it has none. */
static int separator_find(const struct csv *csv)
{
    static const char separators[] = ",;\t|";
    int count[sizeof separators] = {0};
    int best = 0;
    bool quoted = false;

    for (size_t i = 0; i < csv->end && (quoted || (csv->chunk[i] != '\n' && csv->chunk[i] != '\r')); i++) {
        const char *found = csv->chunk[i] == '\0' ? NULL : strchr(separators, csv->chunk[i]);
        if (csv->chunk[i] == '"') quoted = !quoted;
        if (!quoted && found != NULL) count[found - separators]++;
    }
    for (int i = 1; separators[i] != '\0'; i++) {
        if (count[i] > count[best]) best = i;
    }
    return separators[best];
}

bool csv_open(struct csv *csv, FILE *file)
{
    static const char mark[] = "\xef\xbb\xbf";

    memset(csv, 0, sizeof *csv);
    csv->file = file;
    csv->line = csv->next_line = 1;
    csv->bytes = malloc(CSV_RECORD_MOST);
    csv->chunk = malloc(CSV_CHUNK);
    if (csv->bytes == NULL || csv->chunk == NULL) return false;
    if (chunk_read(csv) && csv->end >= strlen(mark) && memcmp(csv->chunk, mark, strlen(mark)) == 0) {
        csv->at = strlen(mark);
    }
    csv->separator = separator_find(csv);
    return true;
}

void csv_close(struct csv *csv)
{
    free(csv->bytes);
    free(csv->chunk);
}

/* A field without quotes.  What comes after it: the separator, LINE_END, EOF, or FIELD_BAD. */
static int plain_read(struct csv *csv, size_t *used, const char **problem)
{
    for (int byte; *used + 1 < CSV_RECORD_MOST; csv->bytes[(*used)++] = (char)byte) {
        byte = next(csv);
        if (byte == csv->separator || byte == EOF) return byte;
        if (byte == '\n' || byte == '\r') {
            if (!line_ends(csv, byte)) (void)line_ends(csv, next(csv));
            return LINE_END;
        }
        if (byte == '\0') {
            *problem = has_nul;
            return FIELD_BAD;
        }
    }
    *problem = "is longer than a mebibyte";
    return FIELD_BAD;
}

/* What comes after the closing quote: nothing but the end of the field. */
static int quote_end(struct csv *csv, const char **problem)
{
    size_t nothing = 0;
    int byte = peek(csv);

    if (byte == csv->separator || byte == EOF || byte == '\n' || byte == '\r') return plain_read(csv, &nothing, problem);
    *problem = "has text after a closing quote";
    return FIELD_BAD;
}

/* A field in quotes, likewise. */
static int quoted_read(struct csv *csv, size_t *used, const char **problem)
{
    (void)next(csv);
    for (int byte; *used + 1 < CSV_RECORD_MOST; csv->bytes[(*used)++] = (char)byte) {
        byte = next(csv);
        if (byte == '"' && peek(csv) != '"') return quote_end(csv, problem);
        if (byte == '"') (void)next(csv);
        (void)line_ends(csv, byte);
        if (byte == EOF || byte == '\0') {
            *problem = byte == EOF ? "has a quote that does not end" : has_nul;
            return FIELD_BAD;
        }
    }
    *problem = "is longer than a mebibyte; a quote may lack its end";
    return FIELD_BAD;
}

enum csv_result csv_next(struct csv *csv, const char **problem)
{
    size_t used = 0;
    int end = csv->separator;

    csv->line = csv->next_line;
    csv->count = 0;
    if (peek(csv) == EOF && !ferror(csv->file)) return CSV_END;
    while (end == csv->separator && csv->count < CSV_FIELDS_MOST) {
        csv->field[csv->count++] = csv->bytes + used;
        end = peek(csv) == '"' ? quoted_read(csv, &used, problem) : plain_read(csv, &used, problem);
        csv->bytes[used++] = '\0';
    }
    if (end == FIELD_BAD) return CSV_BAD;
    if (end == csv->separator) *problem = "has more than 2,000 fields";
    else if (ferror(csv->file)) *problem = strerror(errno);
    else if (!normalize_is_utf8(csv->bytes, used)) *problem = no_utf8;
    else return CSV_RECORD;
    return CSV_BAD;
}
