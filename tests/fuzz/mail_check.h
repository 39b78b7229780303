/* Reads a mail strictly (RFC 5322, 2045 to 2047) and requires that it says what it was to say. */
#ifndef MAIL_CHECK_H
#define MAIL_CHECK_H

#include "../../ext/mail.h"

#include <stddef.h>

/*
** Lines end in `line_end` alone and are at most 998 bytes long; the header has exactly the fields
** that mail_write() promises, in its order; its words, names and bodies decode to those of `wanted`.
*/
void mail_check(const char *bytes, size_t size, const struct mail *wanted, const char *line_end);

#endif
