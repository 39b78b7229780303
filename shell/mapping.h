/*
** Which header of a file goes to which column of the patient table: guessed, corrected, shown.
*/
#ifndef SHELL_MAPPING_H
#define SHELL_MAPPING_H

#include "chart.h"
#include "csv.h"

struct mapping {
    int headers;                   /* how many the file has */
    int from[CHART_COUNT];        /* the header of each column; -1: none */
};

/*
** Reads the line of headers, shows where each goes, and sees that what is needed is there, and nothing twice.
** `corrections` is "column=header,column=header" or NULL; without a header the column is left out.  An exit
** code; the reason is told.
*/
int mapping_read(struct mapping *mapping, struct csv *csv, const char *corrections);

#endif
