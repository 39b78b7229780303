/* The files of page/pages/, compiled in by the Makefile. */
#ifndef PAGE_FILES_H
#define PAGE_FILES_H

struct page_files {
    const char *name;      /* "who.html", "texts.es" */
    const char *text;      /* NUL-terminated */
};

/* Ends with a row whose name is NULL. */
extern const struct page_files page_files_files[];

/* The text of a file, or NULL. */
const char *page_files_find(const char *name);

#endif
