/*
** How text that people type is made comparable.  A pure leaf: no SQLite here.
**
** Every function reads NUL-terminated UTF-8 and writes NUL-terminated UTF-8 into a buffer of the
** caller's.  They return 0, or -1 when the input is not valid UTF-8 (RFC 3629), or when the result,
** with its NUL, does not fit into `size` bytes; then the buffer holds the empty string.
*/
#ifndef PORTAL_NORMALIZE_H
#define PORTAL_NORMALIZE_H

#include <stdbool.h>
#include <stddef.h>

/* Longest input, in bytes without the NUL, that any of these accept; longer is -1. */
enum { NORMALIZE_INPUT_MAX = 1024 };

/*
** A size that the result of anything people write fits into.  (Only a row of Arabic ligatures such
** as U+FDFA, which NFKC writes out as 18 letters, is longer; the functions then return -1.)
*/
enum { NORMALIZE_SIZE = 4 * NORMALIZE_INPUT_MAX + 1 };

/*
** A person's name as it is compared: compatibility-folded (NFKC), case-folded, marks stripped, and
** white space, hyphens and dashes, apostrophes (typewriter, typographic, modifier letter, prime),
** full stops, middle dots and invisible characters dropped.  The dotless i counts as an i, since in
** capitals a Turkish name does not tell which it was; other letters without a decomposition (ø, ł,
** đ, æ) stay as they are.  Normalising twice gives the same as normalising once.
** "O’Brien-Núñez" and "obrien nunez" give the same.
*/
int normalize_name(const char *name, char *out, size_t size);

/*
** A user name as it is compared: as a name, but only invisible characters, and white space at either
** end, are dropped.
*/
int normalize_username(const char *username, char *out, size_t size);

/*
** A password as it is hashed: NFKC and nothing else (NIST SP 800-63B section 5.1.1.2: normalise
** before hashing, never truncate).
*/
int normalize_password(const char *password, char *out, size_t size);

/*
** An address as it is compared: NFKC and lower case, marks kept.  Not full case folding, which makes
** ss of ß: straße.de and strasse.de are two domains, with two owners.
*/
int normalize_lower(const char *text, char *out, size_t size);

/*
** The text composed (NFC), every letter one with its accents; however long.  To be freed with free(); NULL without
** memory or when it is not valid.
*/
char *normalize_composed(const char *text);

/* Number of code points of valid UTF-8 text, or -1 when it is not valid. */
long normalize_code_points(const char *text);

/* True when the text is visible ASCII and spaces alone, in which no character needs a closer look. */
bool normalize_is_plain(const char *text);

/* True when the text is valid UTF-8. */
bool normalize_is_utf8(const char *text, size_t length);

/*
** True when the text has a character that must not reach a mail header, a terminal or a screen
** unseen: C0 and C1 controls, line and paragraph separators, surrogates, private use, unassigned,
** and format characters (zero-width, bidirectional controls, BOM, soft hyphen) and the Hangul
** fillers; also when it is not valid UTF-8.  The zero-width joiner and non-joiner are allowed
** between letters, where scripts such as Persian and Devanagari need them.
*/
bool normalize_has_hidden(const char *text);

/* The same of a text of several lines: line feeds are allowed. */
bool normalize_has_hidden_lines(const char *text);

/*
** Makes a text fit for one line on a terminal: every character that normalize_has_hidden() means,
** joiners apart, and every byte that is not UTF-8 (text may have been cut within a character),
** becomes a space.
*/
void normalize_show(char *text);

#endif
