/*
** Reads comma-separated values (RFC 4180) record by record: quoted fields, doubled quotes, line breaks
** within quotes, CR LF or LF, a byte order mark, and semicolons or tabs in place of the commas.
*/
#ifndef SHELL_CSV_H
#define SHELL_CSV_H

#include <stdbool.h>
#include <stdio.h>

enum { CSV_FIELDS_MOST = 200, CSV_RECORD_MOST = 1 << 20 };

struct csv {
    FILE *file;
    int separator;                 /* a comma; or a semicolon or a tab, as the line of headers has it */
    long line;                     /* where the record begins that was read last */
    long next_line;
    int count;
    char *field[CSV_FIELDS_MOST];  /* of that record; they live until the next */
    char *bytes;                   /* CSV_RECORD_MOST */
};

enum csv_result { CSV_RECORD, CSV_END, CSV_BAD };

/* false without memory. */
bool csv_open(struct csv *csv, FILE *file);

void csv_close(struct csv *csv);

/* The next record.  CSV_BAD: `*problem` says what is wrong with it; what follows can not be trusted. */
enum csv_result csv_next(struct csv *csv, const char **problem);

#endif
