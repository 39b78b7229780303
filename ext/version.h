/* Which release of the extension this is, and of which commit. */
#ifndef PORTAL_VERSION_H
#define PORTAL_VERSION_H

/* "0.1.0 (8314e0a)" */
extern const char version_text[];

#endif
