/*
** Pages from templates: {{name}} and {{practice.name}} are values, escaped for HTML; {{#name}}...{{/name}}
** is repeated for an array and shown for what is there, {{^name}}...{{/name}} for what is not;
** {{t.key}} is a text in the reader's language, which may hold {{names}} itself, and {{t.reason:code}} the
** one whose key is "reason." and the value of code; {{>name}} is the template name.html, and {{>>name}} the
** one that the value of name names.  Templates and texts are our own: one that is malformed is a bug.
*/
#ifndef PAGE_VIEW_H
#define PAGE_VIEW_H

#include <cjson/cJSON.h>
#include <stdbool.h>

/* One language's texts, in the order of their keys. */
struct texts;

/* The texts of a language ("en", "es"); NULL when there are none. */
const struct texts *texts_find(const char *language);

/* The text of a key, or NULL. */
const char *texts_get(const struct texts *texts, const char *key);

/*
** Reads the texts that are compiled in, once, before any thread starts or makes a cJSON.  false without memory.
*/
bool view_begin(void);
void view_end(void);

/* A template filled in, to be freed with sqlite3_free(); NULL without memory, also for the values of this thread. */
char *view_render(const char *name, const struct texts *texts, const cJSON *values);

#endif
