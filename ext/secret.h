/*
** Credentials of channels, sealed with the key file: XChaCha20-Poly1305, the name as associated
** data, so that a sealed value can not be moved to another name.
*/
#ifndef PORTAL_SECRET_H
#define PORTAL_SECRET_H

#include "connection.h"

enum { SECRET_MAX = 4096, SECRET_KEY_SIZE = 65 };

/* Seals and stores; value NULL removes.  Within a scope. */
int secret_store(struct portal *portal, const char *key, const char *value);

/*
** Opens one.  SQLITE_OK and *value, to be wiped and freed with sqlite3_free(), or NULL when there is
** none; else REFUSED or an error code.
*/
int secret_read(struct portal *portal, const char *key, char **value);

/* Seals all anew with the newest key; *count gets how many.  Those that can not be opened stay.  Within a scope. */
int secret_reseal(struct portal *portal, int *count);

#endif
