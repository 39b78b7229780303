/* What a text message costs: its segments.  A pure leaf: no SQLite here. */
#ifndef PORTAL_SEGMENT_H
#define PORTAL_SEGMENT_H

#include <stddef.h>

/*
** Number of SMS segments that a text takes (3GPP TS 23.038, 23.040): in the GSM 7-bit default
** alphabet 160 septets for one segment and 153 for each of several, characters of the extension
** table counting two; with any other character UCS-2, 70 and 67 UTF-16 units.
** No character is split between segments; an empty text takes one.
** Sets *is_gsm7 (may be NULL).
*/
int segment_count(const char *text, int *is_gsm7);

/* The first character that makes a text UCS-2, within it, and *length its bytes; NULL when it is GSM-7. */
const char *segment_foreign(const char *text, size_t *length);

#endif
