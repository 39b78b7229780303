#include "csv.h"

#include <stdlib.h>

bool csv_open(struct csv *csv, FILE *file)
{
    static const int mark[] = {0xef, 0xbb, 0xbf};

    csv->file = file;
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

/* One field, after its opening quote, if it has one.  What comes after it: ',', '\n' or EOF; '"': it is bad. */
static int field_read(struct csv *csv, size_t *used, bool quoted)
{
    for (;;) {
        int byte = getc_unlocked(csv->file);
        if (byte == '\n') csv->next_line++;
        if (quoted && byte == '"') {
            byte = getc_unlocked(csv->file);
            if (byte == '\r') byte = getc_unlocked(csv->file);
            if (byte == '\n') csv->next_line++;
            if (byte != '"') return byte == ',' || byte == '\n' || byte == EOF ? byte : '"';
        } else if (!quoted && byte == '\r') {
            int after = getc_unlocked(csv->file);
            if (after == '\n') {
                csv->next_line++;
                return '\n';
            }
            if (after != EOF) (void)ungetc(after, csv->file);
        } else if (byte == EOF || (!quoted && (byte == ',' || byte == '\n'))) {
            return quoted ? '"' : byte;
        }
        if (*used + 2 >= CSV_RECORD_MOST) return '"';
        csv->bytes[(*used)++] = (char)byte;
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
        if (end == ',') byte = getc_unlocked(csv->file);
    } while (end == ',');
    if (end != '"') return CSV_RECORD;
    *problem = "has a quote that does not end, text after one, or more than a mebibyte";
    return CSV_BAD;
}
