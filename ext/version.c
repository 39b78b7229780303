#include "version.h"

/* The Makefile says; other builds, such as those of the tests, are of no release. */
#ifndef PORTAL_VERSION
#define PORTAL_VERSION "0"
#endif
#ifndef PORTAL_COMMIT
#define PORTAL_COMMIT "unknown"
#endif

const char version_text[] = PORTAL_VERSION " (" PORTAL_COMMIT ")";
