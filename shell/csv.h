/*
** Reads comma-separated values (RFC 4180) record by record: quoted fields, doubled quotes, line breaks
** within quotes; lines that end in CR LF, LF or CR; a byte order mark; semicolons, tabs or bars in place
** of the commas.  What is no UTF-8, or has a NUL byte, is refused.
*/
#ifndef SHELL_CSV_H
#define SHELL_CSV_H

#include <stdbool.h>
#include <stdio.h>

enum { CSV_FIELDS_MOST = 2000, CSV_RECORD_MOST = 1 << 20, CSV_CHUNK = 1 << 16 };

struct csv {
    FILE *file;
    int separator;                 /* what the first line has most of */
    long line;                     /* where the record begins that was read last */
    long next_line;
    int count;
    char *field[CSV_FIELDS_MOST];  /* of that record; they live until the next */
    char *bytes;                   /* CSV_RECORD_MOST of them */
    unsigned char *chunk;          /* CSV_CHUNK, of which `at` to `end` are still to be read */
    size_t at, end;
    long long read;                /* bytes of the file so far */
};

enum csv_result { CSV_RECORD, CSV_END, CSV_BAD };

/* false without memory. */
bool csv_open(struct csv *csv, FILE *file);

void csv_close(struct csv *csv);

/* The next record.  CSV_BAD: `*problem` says what is wrong with it; what follows can not be trusted. */
enum csv_result csv_next(struct csv *csv, const char **problem);

#endif
