/*
** Demographics: the fields of the chart that a patient may ask to change, and how each is checked.
*/
#ifndef PORTAL_FIELD_H
#define PORTAL_FIELD_H

#include "patient.h"

/*
** Fields a patient may ask to change, with the check that Quick Add has for the same; where a mapping names
** others of the practice, those are lines of text.
*/
bool field_known(const struct portal *portal, const char *field);

/* The rule for a field of ours; NULL when there is none. */
struct field;
const struct field *field_find(const char *name);

/*
** What is wrong with a value, trimmed and not empty: a static phrase after "FIELD ", or NULL.  Of a contact
** `normal` is what it compares as; national numbers are those of the country code.
*/
const char *field_problem(const struct field *field, const char *country_code, const char *value,
                          char normal[CONTACT_SIZE]);
/* Their names, in the order of a form; NULL past the end. */
const char *field_name(const struct portal *portal, int index);

/*
** Checks a proposed value and writes it as the chart keeps it (trimmed; consent as 0 or 1).  `out`
** is sqlite3_malloc'd, NULL for SQL NULL.  *problem is NULL or a static phrase after "FIELD ".
*/
int field_check(struct portal *portal, const char *field, const char *value, char **out,
                        const char **problem);

/* True for a consent, which is yes or no and may be given as a JSON boolean. */
bool field_is_flag(const char *field);

/* The chart's value of a field as text, NULL for NULL; sqlite3_free(). */
int field_read(struct portal *portal, const struct patient_id *id, const char *field,
                       char **value);

/*
** True when two values of a field (NULL for NULL) say the same: contacts are compared normalised, and
** an empty text is as good as none.
*/
bool field_same(struct portal *portal, const char *field, const char *a, const char *b);

/* Writes one field of a chart; the practice's own schema may refuse it. */
int field_write(struct portal *portal, const struct patient_id *id, const char *field,
                        const char *value);

#endif
