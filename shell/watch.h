/* portal deliver --watch: hands over whatever any process queues. */
#ifndef SHELL_WATCH_H
#define SHELL_WATCH_H

#include "practice.h"

/*
** Goes on until SIGTERM or SIGINT, which is how it is meant to end: EXIT_DONE.  Waits for a database that is
** locked, gone or being replaced.  `application` is whom it acts for, as of practice_open().
*/
int watch_run(struct practice *practice, const char *application);

#endif
