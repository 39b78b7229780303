#include "format.h"

#include <string.h>

/*
** What can not be read is given as it is: a date of death that is no date is one all the same, and
** portal_check() tells of the others.
*/

/* 5/25/1989 and the like.  %d takes a text for a number as far as its digits go. */
#define PARTS(mark, month, day) \
    "CASE WHEN $ GLOB '[0-9]*" mark "[0-9]*" mark "[0-9][0-9][0-9][0-9]'" \
    " THEN format('%s-%02d-%02d', substr($, -4), " month ", " day ") ELSE $ END"
#define FIRST_OF(mark) "$"
#define SECOND_OF(mark) "substr($, instr($, '" mark "') + 1)"

/* With and without leading zeros, so that an index on the column is used. */
#define BARE(part) "CAST(strftime('" part "', @) AS INTEGER)"
#define PADDED(mark, first, second) "strftime('" first mark second mark "%Y', @)"
#define UNPADDED(mark, first, second) \
    BARE(first) " || '" mark "' || " BARE(second) " || strftime('" mark "%Y', @)"
#define ANY_OF(mark, first, second) \
    "$ IN (@, " PADDED(mark, first, second) ", " UNPADDED(mark, first, second) "," \
    " " BARE(first) " || strftime('" mark second mark "%Y', @)," \
    " strftime('" first mark "', @) || " BARE(second) " || strftime('" mark "%Y', @))"

#define MONTH_FIRST(name, mark, written) \
    {name, FORMAT_DATE, PARTS(mark, FIRST_OF(mark), SECOND_OF(mark)), written(mark, "%m", "%d"), \
     ANY_OF(mark, "%m", "%d"), NULL}
#define DAY_FIRST(name, mark, written) \
    {name, FORMAT_DATE, PARTS(mark, SECOND_OF(mark), FIRST_OF(mark)), written(mark, "%d", "%m"), \
     ANY_OF(mark, "%d", "%m"), NULL}

/* What can be reckoned with: any other text, an empty one too, would be 0, which is a date. */
#define RECKONED(date) \
    "CASE WHEN $ GLOB '*[0-9]*' AND $ NOT GLOB '*[^-.0-9]*' AND $ NOT GLOB '?*-*' THEN coalesce(" date ", $) ELSE $ END"

/* Any word for yes is 1, none is NULL, and whatever else is no yes. */
#define WORDS(yes, no) \
    "CASE lower($) WHEN 'yes' THEN 1 WHEN 'y' THEN 1 WHEN 'true' THEN 1 WHEN 't' THEN 1 WHEN '1' THEN 1" \
    " WHEN '' THEN NULL ELSE iif($ IS NULL, NULL, 0) END", \
    "CASE @ WHEN '1' THEN '" yes "' WHEN '0' THEN '" no "' END", NULL, no

static const struct format formats[] = {
    {"text", FORMAT_TEXT, "$", "@", NULL, NULL},

    {"YYYY-MM-DD", FORMAT_DATE,
     /* MySQL's and OpenDental's dates of nobody are none.  IN would make a table of them for every statement. */
     "CASE substr($, 1, 10) WHEN '' THEN NULL WHEN '0000-00-00' THEN NULL WHEN '0001-01-01' THEN NULL"
     " ELSE substr($, 1, 10) END", "@",
     "$ >= @ AND $ < date(@, '+1 day')", NULL},
    MONTH_FIRST("M/D/YYYY", "/", UNPADDED), MONTH_FIRST("MM/DD/YYYY", "/", PADDED),
    MONTH_FIRST("M-D-YYYY", "-", UNPADDED), MONTH_FIRST("MM-DD-YYYY", "-", PADDED),
    DAY_FIRST("D/M/YYYY", "/", UNPADDED), DAY_FIRST("DD/MM/YYYY", "/", PADDED),
    DAY_FIRST("D-M-YYYY", "-", UNPADDED), DAY_FIRST("DD-MM-YYYY", "-", PADDED),
    DAY_FIRST("D.M.YYYY", ".", UNPADDED), DAY_FIRST("DD.MM.YYYY", ".", PADDED),
    /* HL7, DICOM; text or a number. */
    {"YYYYMMDD", FORMAT_DATE,
     "CASE WHEN $ GLOB '[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]'"
     " THEN substr($, 1, 4) || '-' || substr($, 5, 2) || '-' || substr($, 7, 2) ELSE $ END",
     "strftime('%Y%m%d', @)", "$ IN (strftime('%Y%m%d', @), CAST(strftime('%Y%m%d', @) AS INTEGER))", NULL},
    {"julian", FORMAT_DATE, "coalesce(date($), $)", "julianday(@)",
     "$ >= julianday(@) AND $ < julianday(@) + 1", NULL},
    {"unix", FORMAT_DATE, "coalesce(date($, 'unixepoch'), $)", "unixepoch(@)",
     "$ >= unixepoch(@) AND $ < unixepoch(@) + 86400", NULL},
    /* JavaScript, Java, Prisma. */
    {"unix milliseconds", FORMAT_DATE, RECKONED("date($ / 1000.0, 'unixepoch')"), "unixepoch(@) * 1000",
     "$ >= unixepoch(@) * 1000 AND $ < (unixepoch(@) + 86400) * 1000", NULL},
    /* Days as spreadsheets count them. */
    {"excel", FORMAT_DATE, RECKONED("date($ + 2415018.5)"), "CAST(julianday(@) - 2415018.5 AS INTEGER)",
     "$ >= julianday(@) - 2415018.5 AND $ < julianday(@) - 2415017.5", NULL},

    {"0/1", FORMAT_FLAG, "CASE WHEN $ <> '' THEN CAST($ AS INTEGER) <> 0 END", "CAST(@ AS INTEGER)", NULL, "0"},
    {"YES/NO", FORMAT_FLAG, WORDS("YES", "NO")},
    {"Y/N", FORMAT_FLAG, WORDS("Y", "N")},
    {"true/false", FORMAT_FLAG, WORDS("true", "false")},

    {"tag", FORMAT_LANGUAGE, "$", "@", NULL, NULL},
    {"name", FORMAT_LANGUAGE, "CASE lower($) WHEN 'english' THEN 'en' WHEN 'spanish' THEN 'es' ELSE $ END",
     "CASE @ WHEN 'en' THEN 'English' WHEN 'es' THEN 'Spanish' ELSE @ END", NULL, NULL},

    {"default", FORMAT_KEY, "$", NULL, NULL, NULL},
    /* Version 4 (RFC 9562). */
    {"uuid", FORMAT_KEY, "$",
     "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-'"
     " || substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))",
     NULL, NULL},
    {"next", FORMAT_KEY, "$", "(SELECT coalesce(max($), 0) + 1 FROM #)", NULL, NULL},
};
enum { FORMATS = sizeof formats / sizeof formats[0] };

const struct format *format_find(enum format_kind kind, const char *name)
{
    for (int i = 0; i < FORMATS; i++) {
        if (formats[i].kind == kind && (name == NULL || sqlite3_stricmp(formats[i].name, name) == 0)) {
            return &formats[i];
        }
    }
    return NULL;
}

void format_list(sqlite3_str *out, enum format_kind kind)
{
    const char *before = "";

    for (int i = 0; i < FORMATS; i++) {
        if (formats[i].kind != kind) continue;
        sqlite3_str_appendf(out, "%s%s", before, formats[i].name);
        before = ", ";
    }
}

void format_append(sqlite3_str *out, const char *sql, const char *qualifier, const char *column, const char *value)
{
    while (*sql != '\0') {
        size_t length = strcspn(sql, "$@#");
        sqlite3_str_append(out, sql, (int)length);
        sql += length;
        if (*sql == '$') sqlite3_str_appendf(out, "%s\"%w\"", qualifier, column);
        else if (*sql == '@') sqlite3_str_appendall(out, value);
        else if (*sql == '#') sqlite3_str_appendf(out, "main.\"%w\"", value);
        if (*sql != '\0') sql++;
    }
}
