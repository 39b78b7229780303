/*
** The columns of the patient table that a file may fill: which headers stand for them, and how their
** values are read.
*/
#ifndef SHELL_CHART_H
#define SHELL_CHART_H

#include "calendar.h"
#include "contact.h"

#include <stdbool.h>
#include <stddef.h>

/* What values are read with. */
struct chart_rules {
    char latest[CALENDAR_TIME_SIZE];   /* the last day that may have come */
    char country_code[8];              /* of national telephone numbers */
    bool day_first;                    /* 10/12/1985 is the tenth of December */
};

struct meaning;

struct chart_column {
    const char *name;
    const char *headers;               /* for which it is guessed, in letters and digits, the likeliest first */
    bool required;
    const char *(*read)(const struct chart_column *column, const struct chart_rules *rules, const char **text,
                        char out[CONTACT_SIZE]);    /* NULL: taken as it is */
    const struct meaning *meanings;    /* of the words that it may be */
};

enum { CHART_FIRST_NAME, CHART_LAST_NAME, CHART_DATE_OF_BIRTH, CHART_DECEASED_ON = 18, CHART_COUNT };
extern const struct chart_column chart_columns[CHART_COUNT];

/*
** Reads a field, which is cut at its ends: `*value` is what the table is to have, within the field or in `out`,
** or NULL.  Gives NULL, or what is wrong with it: a static phrase after "COLUMN ".
*/
const char *chart_read(const struct chart_column *column, const struct chart_rules *rules, char *field, const char **value,
                        char out[CONTACT_SIZE]);

/* The column of this name; -1 when there is none. */
int chart_find(const char *name, size_t length);

/* Fills `from`: the header of each column, -1 for none. */
void chart_guess(char *const *headers, int count, int from[CHART_COUNT]);

/* The header that says this, whatever its case, spaces and punctuation; -1 when there is none. */
int chart_header_find(char *const *headers, int count, const char *word, size_t length);

#endif
