/*
** What messages say.  Templates are files in sql/messages, named KIND.MEDIUM.txt and compiled in:
**
**     registration.email.txt   a line "Subject: ...", an empty line, the text; then a line "---"
**                              and the HTML
**     registration.text.txt    the text alone
**
** {{practice_name}}, {{practice}} (with its telephone number, where there is one), {{link}},
** {{hours}}, {{pin}}, {{minutes}} stand for what they say.  In HTML they are escaped.
*/
#ifndef PORTAL_MESSAGE_H
#define PORTAL_MESSAGE_H

#include "outbox.h"

/* A rendered message.  It may hold a link or a PIN: message_clear() wipes it. */
struct message {
    portal_outgoing outgoing;
    char *subject;
    char *text;
    char *html;                   /* NULL for a text message */
    char header[128];             /* Message-ID */
};

/* Renders a claimed message.  SQLITE_OK, REFUSED or an error code; then `message` is cleared. */
int message_render(struct portal *portal, const struct outbox_message *row, struct message *message);

void message_clear(struct message *message);

/* The message as Internet mail, for portal_api.mail. */
char *message_mail(portal_api *api, const portal_outgoing *outgoing, const char *line_end,
                   size_t *size);

#endif
