/*
** Opt-outs: contacts that no message goes to, because whoever has them said so, by a reply of STOP, to
** a provider or to staff.  They are the contact's, whosever chart it stands on; a link that was sent
** before still works.
*/
#ifndef PORTAL_OPTOUT_H
#define PORTAL_OPTOUT_H

#include "patient.h"

/* Opts a normalised contact out, or in again; once more changes nothing.  Within a scope. */
int optout_add(struct portal *portal, const char *contact);
int optout_remove(struct portal *portal, const char *contact);

/* REFUSED, with the remedy, when a normalised contact has opted out. */
int optout_check(struct portal *portal, const char *contact);

/*
** Where a message to a patient may go: patient_contact(), and having opted out is a problem too, in a
** sentence that names the remedy.  SQLITE_OK or an error code.
*/
int optout_reach(struct portal *portal, const struct patient *patient, enum medium medium,
                 char out[CONTACT_SIZE], char **problem);

/* The same by *medium if it can be, else by the other one, which *medium gets. */
int optout_reach_either(struct portal *portal, const struct patient *patient, enum medium *medium,
                        char out[CONTACT_SIZE], char **problem);

#endif
