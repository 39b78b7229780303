/*
** The chart: the one place that reads and writes the practice's patient table.
*/
#ifndef PORTAL_PATIENT_H
#define PORTAL_PATIENT_H

#include "connection.h"
#include "contact.h"

/* A key of the practice's: an integer, or text such as a UUID. */
struct patient_id {
    int type;                     /* SQLITE_INTEGER or SQLITE_TEXT */
    sqlite3_int64 integer;
    char text[128];
};

/* How a message travels; also the bits of PORTAL_EMAIL, PORTAL_TEXT and PORTAL_PRINT. */
enum medium { MEDIUM_EMAIL = PORTAL_EMAIL, MEDIUM_TEXT = PORTAL_TEXT, MEDIUM_PRINT = PORTAL_PRINT };
const char *medium_name(enum medium medium);            /* "email", "text", "print" */
enum medium medium_from_name(const char *name);         /* of a row of ours; email for what is none */
enum medium medium_of_contact(const char *contact);     /* email when there is an "@" in it */
enum medium medium_other(enum medium medium);          /* of email and text */

enum { PATIENT_NAME_SIZE = 256, PATIENT_CONTACT_SIZE = 320, PATIENT_SHORT_SIZE = 40 };

/* What the portal needs of a chart.  Texts are "" for NULL. */
struct patient {
    struct patient_id id;
    char first_name[PATIENT_NAME_SIZE];
    char last_name[PATIENT_NAME_SIZE];
    char date_of_birth[PATIENT_SHORT_SIZE];
    char email[PATIENT_CONTACT_SIZE];
    char cell_phone[PATIENT_CONTACT_SIZE];
    char deceased_on[PATIENT_SHORT_SIZE];
    bool email_consent;
    bool text_consent;
    bool active;
    char preferred_language[PATIENT_SHORT_SIZE];   /* of patient_find() alone */
};

/* "42" or "'9f3c...'": for sentences.  Returns `out`. */
enum { PATIENT_ID_TEXT_SIZE = 140 };
const char *patient_id_text(const struct patient_id *id, char out[PATIENT_ID_TEXT_SIZE]);

/* The same value of the same type, as our own tables compare them. */
bool patient_id_same(const struct patient_id *one, const struct patient_id *other);

/*
** Takes a key from an argument.  Integral REALs are integers: JavaScript drivers bind every number
** so.  REFUSED for NULL, blobs, other numbers, text that is empty, too long or not valid.
*/
int patient_id_from_value(struct portal *portal, sqlite3_value *value, struct patient_id *id);

/* The same from a column of our own tables. */
void patient_id_from_column(sqlite3_stmt *statement, int column, struct patient_id *id);

/*
** Takes a chart from the columns of a query: patient_id, first_name, date_of_birth, last_name, email,
** cell_phone, deceased_on, email_consent, text_consent, active, from `column` on.
*/
enum { PATIENT_COLUMNS = 10 };
void patient_from_row(sqlite3_stmt *row, int column, struct patient *patient);

/* Who it is about alone, as much as patient_identity() needs: first_name, date_of_birth. */
void patient_person_from_row(sqlite3_stmt *row, int column, struct patient *patient);

/* Reads a chart.  SQLITE_ROW, SQLITE_DONE when there is none, or an error code. */
int patient_find(struct portal *portal, const struct patient_id *id, struct patient *patient);

/*
** The same by a key that we have kept: SQLITE_DONE as well when the chart has it otherwise by now, '42' for 42,
** for nothing else that is kept under it is found so.
*/
int patient_find_kept(struct portal *portal, const struct patient_id *id, struct patient *patient);

/* The same; no chart is REFUSED with "patient 42 is not on file". */
int patient_read(struct portal *portal, const struct patient_id *id, struct patient *patient);

/* Why the portal is closed to this patient (deceased, inactive), as a phrase after "patient 42 "; or NULL. */
const char *patient_closed(const struct patient *patient);

/* The portal is open to this patient, who is the person of an identity. */
bool patient_is(const struct keyring *keyring, const struct patient *patient, sqlite3_int64 identity);

/*
** The normalised contact for a medium.  NULL, or why there is none, sqlite3_malloc'd sentence that
** names the field and the remedy, in *problem; consent counts.  SQLITE_OK, or SQLITE_NOMEM.
*/
int patient_contact(struct portal *portal, const struct patient *patient, enum medium medium,
                    char out[CONTACT_SIZE], char **problem);

/* Normalises a contact that somebody gave.  SQLITE_OK, or REFUSED with what is wrong with it. */
int patient_contact_given(struct portal *portal, enum medium medium, const char *contact,
                          char out[CONTACT_SIZE]);

/* The same for a patient whom Quick Add adds; REFUSED as well where the chart has no column for it. */
int patient_contact_new(struct portal *portal, enum medium medium, const char *contact, char out[CONTACT_SIZE]);

/* Keyed hash of a normalised contact; equal contacts, equal hashes. */
sqlite3_int64 patient_destination(const struct keyring *keyring, const char *contact);

/* Keyed hash of who a chart is about: date of birth and first name (twins share all the rest). */
sqlite3_int64 patient_identity(const struct keyring *keyring, const struct patient *patient);

/*
** Why a chart is not the one that a link was made for, so that it will not work: *changed is a static
** phrase, or NULL.
*/
int patient_changed(struct portal *portal, const struct patient *patient, enum medium medium,
                    sqlite3_int64 destination, sqlite3_int64 identity, const char **changed);

/* What Quick Add is given. */
struct patient_entry {
    const char *first_name;
    const char *last_name;
    const char *date_of_birth;
    const char *email;        /* NULL or normalised */
    const char *cell_phone;   /* NULL or normalised */
    bool activate;            /* phr_active */
};

/* What a name may be, shared with the portal: NULL, or a static phrase after "first_name ". */
const char *patient_name_problem(const char *name);

/* A text without the blanks at its ends; sqlite3_malloc'd, NULL without memory. */
char *patient_trim(const char *value);

/* Checks names and date of birth, and that no such person is on file.  SQLITE_OK or REFUSED. */
int patient_entry_check(struct portal *portal, const struct patient_entry *entry);

/* Makes a refusal of what the practice's own schema says to a write; other codes stay. */
int patient_refused(struct portal *portal, int code);

/* Inserts the row and leaves its rowid as last_insert_rowid().  SQLITE_OK, REFUSED or an error code. */
int patient_insert(struct portal *portal, const struct patient_entry *entry, struct patient_id *id);

#endif
