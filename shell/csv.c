#include "csv.h"

#include <stdlib.h>
#include <string.h>

bool csv_open(struct csv *csv, FILE *file)
{
    static const int mark[] = {0xef, 0xbb, 0xbf};

    csv->file = file;
    csv->separator = ',';
    csv->line = csv->next_line = 1;
    csv->count = 0;
    csv->bytes = malloc(CSV_RECORD_MOST);
    for (int i = 0; i < 3; i++) {
        int byte = getc(file);
        if (byte == mark[i]) continue;
        /* Not even its first byte may begin a text otherwise. */
        if (byte != EOF) (void)ungetc(byte, file);
        break;
    }
    return csv->bytes != NULL;
}

void csv_close(struct csv *csv)
{
    free(csv->bytes);
}

/* One field, after its opening quote, if it has one.  What comes after it: a separator, '\n' or EOF; '"': it is bad. */
static int field_read(struct csv *csv, size_t *used, bool quoted)
{
    for (;;) {
        int byte = getc_unlocked(csv->file);
        if (byte == '\n') csv->next_line++;
        if (quoted && byte == '"') {
            byte = getc_unlocked(csv->file);
            if (byte == '\r') byte = getc_unlocked(csv->file);
            if (byte == '\n') csv->next_line++;
            if (byte != '"') return byte == csv->separator || byte == '\n' || byte == EOF ? byte : '"';
        } else if (!quoted && byte == '\r') {
            int after = getc_unlocked(csv->file);
            if (after == '\n') {
                csv->next_line++;
                return '\n';
            }
            if (after != EOF) (void)ungetc(after, csv->file);
        } else if (byte == EOF || (!quoted && (byte == csv->separator || byte == '\n'))) {
            return quoted ? '"' : byte;
        }
        if (*used + 2 >= CSV_RECORD_MOST) return '"';
        csv->bytes[(*used)++] = (char)byte;
    }
}

/* Headers without any comma are separated by what they have instead. */
static void headers_split(struct csv *csv)
{
    char *at = csv->field[0];

    csv->separator = strchr(at, ';') != NULL ? ';' : strchr(at, '\t') != NULL ? '\t' : ',';
    while (csv->separator != ',' && (at = strchr(at, csv->separator)) != NULL && csv->count < CSV_FIELDS_MOST) {
        *at++ = '\0';
        csv->field[csv->count++] = at;
    }
}

enum csv_result csv_next(struct csv *csv, const char **problem)
{
    size_t used = 0;
    int byte = getc_unlocked(csv->file);
    int end;

    csv->line = csv->next_line;
    csv->count = 0;
    if (byte == EOF) return CSV_END;
    do {
        bool quoted = byte == '"';
        if (csv->count == CSV_FIELDS_MOST) {
            *problem = "has too many fields";
            return CSV_BAD;
        }
        csv->field[csv->count++] = csv->bytes + used;
        if (!quoted && byte != EOF) (void)ungetc(byte, csv->file);
        end = field_read(csv, &used, quoted);
        csv->bytes[used++] = '\0';
        if (end == csv->separator) byte = getc_unlocked(csv->file);
    } while (end == csv->separator);
    if (end != '"') {
        if (csv->line == 1 && csv->count == 1) headers_split(csv);
        return CSV_RECORD;
    }
    *problem = "has a quote that does not end, text after one, or more than a mebibyte";
    return CSV_BAD;
}
