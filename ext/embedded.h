/* The files of sql/, compiled in by the Makefile. */
#ifndef PORTAL_EMBEDDED_H
#define PORTAL_EMBEDDED_H

struct embedded {
    const char *name;      /* path below sql/, "schema.sql" */
    const char *text;      /* NUL-terminated */
};

/* Ends with a row whose name is NULL. */
extern const struct embedded embedded_files[];

/* The text of a file, or NULL. */
const char *embedded_find(const char *name);

#endif
