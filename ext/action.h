/*
** The insert form of staff actions: an eponymous table of the same name whose columns are the
** arguments, INSERT INTO send_registration(patient_id, channel) SELECT ...
*/
#ifndef PORTAL_ACTION_H
#define PORTAL_ACTION_H

#include "call.h"

int action_register(struct portal *portal, const struct function *function);

#endif
