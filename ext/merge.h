/* Merging: the practice had two records of one patient, and keeps one. */
#ifndef PORTAL_MERGE_H
#define PORTAL_MERGE_H

#include "patient.h"

/* How much went over, and how many people lost access. */
struct merged {
    int registrations, messages, requests, people;
};

/*
** merge_patients(): history goes over to `into`, whose access stays as it is; that of `from` ends, with its
** links, PINs, sessions and unsent messages, and whoever had no other is told.  Of two pending requests for one
** field the newer stays.  The chart's rows are the practice's own: that of `from` may be there or gone.  Within
** a scope.
*/
int merge_patients(struct portal *portal, const struct patient_id *from, const struct patient_id *into,
                   const char *reason, struct merged *merged);

#endif
