/* What may speak against sending a patient a registration: looked at before, and for staff who ask. */
#ifndef PORTAL_SENDING_H
#define PORTAL_SENDING_H

#include "patient.h"

/* A registration that may be sent: what the checks found out. */
struct sending {
    struct patient patient;
    enum medium medium;
    char contact[CONTACT_SIZE];
    sqlite3_int64 destination;
    sqlite3_int64 previous;        /* newest registration of the patient, or 0 */
    sqlite3_int64 previous_at;     /* when it was made */
    bool again;                    /* there is one, or a revoke: sending grants access again */
};

/* What must be on file: PORTAL_EMAIL, PORTAL_TEXT for the cell phone; by application and channel. */
int sending_requires(const struct portal *portal, enum medium medium);

/*
** Everything that may speak against sending to a patient on file: the requirements, malformed or
** declined contacts, deceased or inactive patients, the cooldown, the daily limits; against a letter, that the
** patient can be sent to.  Reads only.  SQLITE_OK and the draft, REFUSED or an error code.
*/
int sending_check(struct portal *portal, const struct patient_id *id, enum medium medium, int required,
                  struct sending *draft);

/* The same for a draft that has its patient and what went before. */
int sending_check_patient(struct portal *portal, enum medium medium, int required, struct sending *draft);

/* Looks up the newest registration of the draft's patient.  Reads only. */
int sending_previous(struct portal *portal, struct sending *draft);

/* The daily limits alone, of the draft's patient (when it has a previous one) and destination. */
int sending_limits(struct portal *portal, const struct sending *draft);

#endif
