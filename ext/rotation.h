/*
** portal_key_rotate(): a new generation of the key, for when the old one may have been seen, or as
** often as a practice's rules want it.
*/
#ifndef PORTAL_ROTATION_H
#define PORTAL_ROTATION_H

#include "connection.h"

/* What a rotation did. */
struct rotation {
    bool made;                      /* the key file has the new generation */
    int generation;                 /* which one */
    int secrets;                    /* sealed anew */
};

/*
** Writes the key file anew with one more generation, then seals every secret with it.  The file goes
** first, and keeps the generations that anything live needs: killed at any moment, nothing is lost, and
** the next rotation does what this one did not.  To be called with no lock held.  SQLITE_OK, REFUSED or
** an error code.
*/
int rotation_run(struct portal *portal, struct rotation *rotation);

#endif
