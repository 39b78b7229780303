#include "optout.h"

#include "audit.h"

static const char insert_opt_out[] =
    "INSERT OR IGNORE INTO main.portal_opt_out (contact, opted_out_at, opted_out_by)"
    " VALUES (?1, ?2, ?3)";
static const char delete_opt_out[] = "DELETE FROM main.portal_opt_out WHERE contact = ?1";
static const char find_opt_out[] = "SELECT 1 FROM main.portal_opt_out WHERE contact = ?1";

static int audit_change(struct portal *portal, int changes, const char *action, const char *contact)
{
    char masked[CONTACT_SIZE];

    if (changes == 0) return SQLITE_OK;
    contact_mask(contact, masked, sizeof masked);
    return audit_write(portal, action, NULL, masked, NULL);
}

int optout_add(struct portal *portal, const char *contact)
{
    int changes = 0;
    int code = statement_change(portal, &changes, insert_opt_out, "sis", contact,
                                connection_now(portal), portal->actor);

    return code == SQLITE_OK ? audit_change(portal, changes, "contact.opted_out", contact) : code;
}

int optout_remove(struct portal *portal, const char *contact)
{
    int changes = 0;
    int code = statement_change(portal, &changes, delete_opt_out, "s", contact);

    return code == SQLITE_OK ? audit_change(portal, changes, "contact.opted_in", contact) : code;
}

static int find(struct portal *portal, const char *contact, bool *found)
{
    sqlite3_int64 there = 0;
    int code = SQLITE_OK;

    if (portal->opt_outs) code = statement_integer(portal, &there, find_opt_out, "s", contact);
    *found = there != 0;
    return code;
}

int optout_check(struct portal *portal, const char *contact)
{
    bool found = false;
    int code = find(portal, contact, &found);

    if (code != SQLITE_OK || !found) return code;
    return refuse(portal,
                  "contact: whoever has it has opted out of messages; give another one, or call "
                  "portal_opt_in(contact) once they want them again");
}

int optout_reach(struct portal *portal, const struct patient *patient, enum medium medium,
                 char out[CONTACT_SIZE], char **problem)
{
    char id[PATIENT_ID_TEXT_SIZE];
    bool found = false;
    int code = patient_contact(portal, patient, medium, out, problem);

    if (code == SQLITE_OK && *problem == NULL) code = find(portal, out, &found);
    if (code != SQLITE_OK || !found) return code;
    *problem = sqlite3_mprintf(
        "the %s of patient %s has opted out of messages; send by %s, or call portal_opt_in(contact) "
        "once the patient wants them again",
        medium == MEDIUM_EMAIL ? "email address" : "cell phone number", patient_id_text(&patient->id, id),
        medium_name(medium_other(medium)));
    return *problem == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

int optout_reach_either(struct portal *portal, const struct patient *patient, enum medium *medium,
                        char out[CONTACT_SIZE], char **problem)
{
    int code = optout_reach(portal, patient, *medium, out, problem);

    if (code != SQLITE_OK || *problem == NULL) return code;
    sqlite3_free(*problem);
    *medium = medium_other(*medium);
    return optout_reach(portal, patient, *medium, out, problem);
}
