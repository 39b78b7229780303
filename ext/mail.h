/*
** Writes a message as Internet mail: RFC 5322 (format), RFC 2045 to 2049 (MIME), RFC 2047 (encoded
** words), RFC 3834 (Auto-Submitted).  A pure leaf: no SQLite here.
*/
#ifndef PORTAL_MAIL_H
#define PORTAL_MAIL_H

#include <stddef.h>
#include <stdint.h>

/* All strings are NUL-terminated UTF-8 without line breaks, but for `text` and `html`. */
struct mail {
  const char *from_name;    /* display name, e.g. the practice's; NULL or "" for none */
  const char *from;         /* addr-spec */
  const char *to;           /* addr-spec */
  const char *subject;      /* "" for none: then no Subject field is written */
  const char *message_id;   /* with its angle brackets */
  const char *language;     /* RFC 3282 Content-Language, e.g. "en"; NULL for none */
  const char *text;         /* the plain text */
  const char *html;         /* the HTML alternative, or NULL: then the mail is text/plain alone */
  int64_t date;             /* seconds UTC, written in local time */
};

/*
** Writes the mail, lines ended by LF (`line_end` "\n", as files keep it) or by CR LF (`line_end`
** "\r\n", as the wire wants it).  Header lines are folded at 76 columns; no line is longer than 998.
** Both bodies are UTF-8; plain ASCII with lines of at most 76 columns goes as 7bit, anything else as
** quoted-printable (so does text that mail systems are known to change: white space at the end of a
** line, a line that starts with a full stop or "From ").  A line break in a body is LF or CR LF and
** becomes `line_end`; a lone CR is kept, encoded.  A single-part mail's decoded body is exactly
** `text`: no line break is added.
** The multipart boundary is derived from message_id, so that the same mail is the same bytes.
** A header value that holds a control character is refused: mail addressing and headers cannot be
** extended through a name or subject.  So is an address that is empty or has a space, one of
** ,;:<>()[]"\ or an encoded word (which some readers would decode) in it, a message_id that is not one pair of angle brackets around something, and a
** language that is not letters, digits, hyphens, commas and spaces.
**
** Returns the mail and its size in bytes; a NUL, not counted, comes after it.  The caller ends it with
** mail_free().  NULL with *size 0: a header value is refused; with *size SIZE_MAX: there is no memory.
*/
char *mail_write(const struct mail *mail, const char *line_end, size_t *size);

/* Clears it first: a link may stand in it. */
void mail_free(char *bytes, size_t size);

#endif
