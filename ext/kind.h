/*
** Kinds of message: one list.  A row says what a message of the kind carries, whether it may still
** be sent, and who is told what became of it; its templates are sql/messages/NAME.MEDIUM.LANGUAGE.txt.
** A registration that is printed is a letter; the poster is of nobody, and in no outbox.
*/
#ifndef PORTAL_KIND_H
#define PORTAL_KIND_H

#include "outbox.h"
#include "template.h"

struct kind {
    const char *name;

    /*
    ** May it still be sent?  *dead is a reason why not, or NULL: then what it carries is good from
    ** now on.  Within the scope of the claim.  NULL: always.
    */
    int (*claim)(struct portal *portal, const struct outbox_message *message, const char **dead);

    /* How it ended.  Within the scope of the report.  NULL: nobody asks. */
    int (*fate)(struct portal *portal, const struct outbox_message *message, enum outbox_fate fate);

    /* What it carries is derived from its row's nonce, for the purpose; NULL: nothing. */
    const char *nonce;
    const char *path;          /* of the link below the portal's URL; NULL: a PIN, or nothing */
    int media;                 /* by which it goes, as bits */
    enum token_purpose purpose;
    enum setting lifetime;     /* of what it carries: there is no point in sending it later */
    int unit;                  /* of the lifetime, in seconds; 0: it has none */
};

/* The row of a kind, or NULL. */
const struct kind *kind_find(const char *name);

/* A row of the list; NULL past its end. */
const struct kind *kind_row(int index);

/* What a template of the kind has to be like. */
void kind_rules(const struct kind *kind, enum medium medium, struct template_rules *rules);

#endif
