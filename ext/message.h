/*
** What messages say: templates (ext/wording.h), filled in.  {{practice_name}}, {{practice}} (with its
** telephone number, where there is one), {{link}}, {{hours}}, {{pin}}, {{minutes}} stand for what they
** say.  In HTML they are escaped.
*/
#ifndef PORTAL_MESSAGE_H
#define PORTAL_MESSAGE_H

#include "wording.h"

/* A rendered message.  It may hold a link or a PIN: message_clear() wipes it. */
struct message {
    portal_outgoing outgoing;
    char *subject;                /* "" for a text message */
    char *text;
    char *html;                   /* NULL for none */
    size_t size;                  /* of all three, which are one piece of memory */
    char header[128];             /* Message-ID */
    char language[LANGUAGE_SIZE];
};

/* Renders a claimed message.  SQLITE_OK, REFUSED or an error code; then `message` is cleared. */
int message_render(struct portal *portal, const struct outbox_message *row, struct message *message);

void message_clear(struct message *message);

/*
** Renders the letter of a registration, which is printed with the PIN of a row of portal_pin, and works until then
** (seconds UTC).  `values` gets what it was filled in with: message_wipe() it.  As message_render().
*/
int message_letter(struct portal *portal, const struct outbox_message *row, sqlite3_int64 pin_id,
                   const struct patient *patient, sqlite3_int64 until, struct template_values *values,
                   struct message *message);

/* Renders the poster in a language. */
int message_poster(struct portal *portal, const char *language, struct template_values *values, struct message *message);

/* Values may hold a link or a PIN. */
void message_wipe(struct template_values *values);

/* The values of a kind with a link below `url` that opens nothing, or a PIN that proves nothing. */
void message_sample(struct portal *portal, const struct kind *kind, const char *url,
                    struct template_values *values);

/*
** preview_message(): what a patient would read, with those; mail with its subject before it.  *text is
** sqlite3_malloc'd.  SQLITE_OK, REFUSED or an error code.
*/
int message_preview(struct portal *portal, const char *kind, const struct patient_id *id, enum medium medium,
                    char **text);

/* The message as Internet mail, for portal_api.mail. */
char *message_mail(portal_api *api, const portal_outgoing *outgoing, const char *line_end,
                   size_t *size);

#endif
