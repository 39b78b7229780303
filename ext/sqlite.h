/* One way to reach SQLite from every file: through the loader's routines, or linked in. */
#ifndef PORTAL_SQLITE_H
#define PORTAL_SQLITE_H

#ifdef SQLITE_CORE
#include <sqlite3.h>
#define SQLITE_EXTENSION_INIT1
#define SQLITE_EXTENSION_INIT2(routines) (void)(routines)
#define SQLITE_EXTENSION_INIT3
#else
#include <sqlite3ext.h>
#endif

#endif
