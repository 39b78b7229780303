/*
** portal_key_rotate(): a new generation of the key, for when the old one may have been seen, or as
** often as a practice's rules want it.
*/
#ifndef PORTAL_ROTATION_H
#define PORTAL_ROTATION_H

#include "connection.h"

/* What a rotation did. */
struct rotation {
    int generation;                 /* which one is in force */
    int secrets;                    /* sealed anew */
};

/*
** Writes the key file anew with one more generation, then seals every secret with it.  The file goes
** first, and keeps the generations that anything live needs: killed at any moment, nothing is lost, and
** the next rotation ends what this one began.  To be called with no lock held.  SQLITE_OK, REFUSED or
** an error code.
*/
int rotation_run(struct portal *portal, struct rotation *rotation);

#endif
