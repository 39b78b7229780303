/*
** What goes on paper: the poster, and the letter that is a registration for whom no message reaches.  How it looks is
** the printer's, a plugin.
*/
#ifndef PORTAL_PRINT_H
#define PORTAL_PRINT_H

#include "registration.h"

/* REFUSED unless there are a printer and settings that a patient could be sent to the practice and its portal by. */
int print_ready(struct portal *portal);

/*
** The poster, into *print, which comes zeroed.  `paper` and `language` may be NULL.  SQLITE_OK, and the pdf is the
** caller's; REFUSED or an error code.
*/
int print_poster(struct portal *portal, const char *paper, const char *language, portal_print *print);

/*
** Registers a patient by letter: link, PIN and audit event are written, then printed.  Within a scope, which undoes it
** all when the PDF can not be made.  As print_poster().
*/
int print_letter(struct portal *portal, const struct patient_id *id, const char *paper, portal_print *print);

void print_clear(portal_print *print);

#endif
