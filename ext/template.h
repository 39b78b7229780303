/*
** Templates of messages: texts with {{placeholders}}.  One is parsed into pieces once, so that filling
** it in is a walk along them; and it is checked before a practice may use what it wrote.
** A pure leaf: no SQLite here.
*/
#ifndef PORTAL_TEMPLATE_H
#define PORTAL_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#define PLACEHOLDER_LIST(X) X(practice_name) X(practice) X(link) X(hours) X(pin) X(minutes) \
    X(practice_phone) X(patient_name) X(until)

enum placeholder {
#define PLACEHOLDER_ENUM(name) PLACEHOLDER_##name,
    PLACEHOLDER_LIST(PLACEHOLDER_ENUM)
#undef PLACEHOLDER_ENUM
    PLACEHOLDER_COUNT            /* none of them: its value is always "" */
};

enum {
    TEMPLATE_PIECES_MAX = 32,
    TEMPLATE_VALUE_SIZE = 512,
    TEMPLATE_PROBLEM_SIZE = 320,
    /* Bytes at most; a subject's are those of a line that any mail reader shows. */
    TEMPLATE_SUBJECT_MAX = 200, TEMPLATE_TEXT_MAX = 8000, TEMPLATE_HTML_MAX = 32000
};

/* What the placeholders stand for; "" for those that a message does not have. */
struct template_values {
    char text[PLACEHOLDER_COUNT + 1][TEMPLATE_VALUE_SIZE];
};

void template_values_clear(struct template_values *values);   /* for the first time, too */

/* A template's subject, text or HTML, in pieces that point into it; in HTML values are escaped. */
struct template_part {
    bool html;
    int count;
    size_t fixed;                /* bytes of all pieces */
    struct {
        const char *text;
        size_t length;
        enum placeholder then;   /* what follows it */
    } piece[TEMPLATE_PIECES_MAX];
};

/* Parses; `text` must stay.  False, and `problem` a phrase after the part's name, when it can not be. */
bool template_parse(struct template_part *part, const char *text, bool html,
                    char problem[TEMPLATE_PROBLEM_SIZE]);

/*
** Bytes that it takes filled in, and filling it in: exactly so many bytes, and no NUL.  What grew
** instead would leave pieces of links and PINs behind in freed memory.
*/
size_t template_length(const struct template_part *part, const struct template_values *values);
void template_write(const struct template_part *part, const struct template_values *values, char *out);

/* What a template consists of; NULL for what it does not have. */
struct template_source {
    const char *subject, *text, *html;
};

/* What one has to be like. */
struct template_rules {
    bool subject;                /* has one: mail, and the title of what is printed */
    bool html;                   /* may have some: mail alone */
    bool opt_out;                /* says STOP */
    unsigned allowed;            /* placeholders, as bits */
    unsigned carries;            /* likewise: those must be in text and HTML, and may not be in the subject */
};

/*
** Whether one can be used: it has what it must, no other placeholder, no control, bidirectional or
** zero-width character, no address to open but {{link}}, nothing that touches that, and HTML as
** html_check() wants it.  False, and `problem` a phrase that names the part and what is wrong.
*/
bool template_check(const struct template_rules *rules, const struct template_source *source,
                    char problem[TEMPLATE_PROBLEM_SIZE]);

#endif
