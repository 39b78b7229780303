/*
** Templates in force: those of sql/messages, compiled in, and what the practice wrote over them or for
** another language (the table portal_wording).  Shipped ones are named KIND.MEDIUM.LANGUAGE.txt:
**
**     registration.email.en.txt   a line "Subject: ...", an empty line, the text; then a line "---"
**                                 and the HTML
**     registration.text.es.txt    the text alone
**     poster.print.en.txt         as mail, the subject being the title, without HTML
*/
#ifndef PORTAL_WORDING_H
#define PORTAL_WORDING_H

#include "kind.h"
#include "template.h"

/* A language tag (RFC 5646) in lower case: the language itself has two or three letters. */
enum { LANGUAGE_SIZE = 12 };

enum { WORDING_SUBJECT, WORDING_TEXT, WORDING_HTML, WORDING_PARTS };

struct wording {
    const struct kind *kind;
    enum medium medium;
    char language[LANGUAGE_SIZE];
    struct template_source source;
    sqlite3_int64 edited_at;        /* 0: as it was shipped */
    char *owned;                    /* what `source` points into */
    struct template_part *part;     /* WORDING_PARTS, once it was needed */
    struct wording *next;
};

/*
** All of them, kept by the connection and read anew when the settings in force are of another stamp: an
** edit makes a new one, too.  SQLITE_OK or an error code.
*/
int wording_list(struct portal *portal, struct wording **first);

/* The one of exactly this language; NULL for none. */
struct wording *wording_of(struct wording *first, const struct kind *kind, enum medium medium,
                           const char *language);

/*
** The one for somebody whose chart has `preferred` as language: es-mx, es, then en.  Parsed, and good
** until the next call that enters the database.  SQLITE_OK or an error code.
*/
int wording_find(struct portal *portal, const struct kind *kind, enum medium medium, const char *preferred,
                 const struct wording **wording);

/* A chart's language as a tag; "" for what is none.  es_MX, spa and Español are taken, too. */
void wording_language(const char *text, char language[LANGUAGE_SIZE]);

/* What a row of portal_wording is, checked; *problem is a phrase when it can not be used. */
bool wording_from_row(sqlite3_stmt *row, struct wording *wording, char problem[TEMPLATE_PROBLEM_SIZE]);

/* Every row of portal_wording, in the columns that wording_from_row() takes. */
extern const char wording_rows[];

/* Forgets them all. */
void wording_clear(struct portal *portal);

#endif
