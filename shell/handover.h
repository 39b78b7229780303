/*
** Handing over what waits, as one sees it: how far it is, and after Ctrl-C what was sent and what waits.
*/
#ifndef SHELL_HANDOVER_H
#define SHELL_HANDOVER_H

#include "output.h"

/*
** Hands over what is due, `limit` messages at most (0: all), and writes what became of them.  EXIT_PARTLY
** when some failed; EXIT_REFUSED when a channel can not be used.
*/
int handover_run(struct practice *practice, sqlite3_int64 limit, FILE *out, enum output_form form);

#endif
