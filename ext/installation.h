/* Where the parts of the installation are, seen from the library or program that this code is in. */
#ifndef PORTAL_INSTALLATION_H
#define PORTAL_INSTALLATION_H

#include <stdbool.h>
#include <stddef.h>

/*
** Remembers where this code is, links followed.  Call it before the process changes its folder: it may
** have been loaded by a path that depends on it.
*/
void installation_begin(void);

/*
** Path of "portal.so" or "portal.d": beside this code, or in ../lib/portal/ from there, which is where
** a program in bin/ has it.  false when it is in neither place.
*/
bool installation_find(const char *name, char *path, size_t size);

#endif
