#include "kind.h"

#include "proof.h"
#include "registration.h"
#include "reset.h"

#include <string.h>

enum { MINUTE = 60, HOUR = 3600 };

enum { SENT = MEDIUM_EMAIL | MEDIUM_TEXT };

static const struct kind kinds[] = {
    {"registration", registration_claim, registration_fate,
     "SELECT nonce FROM main.portal_registration WHERE registration_id = ?1", "/r/", SENT | MEDIUM_PRINT,
     TOKEN_LINK, SETTING_link_hours, HOUR},
    {"pin", proof_claim, proof_fate,
     "SELECT nonce FROM main.portal_pin WHERE pin_id = ?1", NULL, SENT, TOKEN_PIN,
     SETTING_pin_minutes, MINUTE},
    {"password_reset", reset_claim, reset_fate,
     "SELECT nonce FROM main.portal_reset WHERE reset_id = ?1", "/p/", SENT, TOKEN_RESET,
     SETTING_reset_minutes, MINUTE},
    {"deactivated", NULL, NULL, NULL, NULL, SENT, TOKEN_LINK, SETTING_COUNT, 0},
    {"access_ended", NULL, NULL, NULL, NULL, SENT, TOKEN_LINK, SETTING_COUNT, 0},
    {"contact_changed", NULL, NULL, NULL, NULL, SENT, TOKEN_LINK, SETTING_COUNT, 0},
    {"account_contact_changed", NULL, NULL, NULL, NULL, SENT, TOKEN_LINK, SETTING_COUNT, 0},
    {"request_decided", NULL, NULL, NULL, NULL, SENT, TOKEN_LINK, SETTING_COUNT, 0},
    {"poster", NULL, NULL, NULL, "", MEDIUM_PRINT, TOKEN_LINK, SETTING_link_hours, 0},
};

const struct kind *kind_row(int index)
{
    return (size_t)index < sizeof kinds / sizeof kinds[0] ? &kinds[index] : NULL;
}

const struct kind *kind_find(const char *name)
{
    const struct kind *kind;

    for (int i = 0; (kind = kind_row(i)) != NULL && strcmp(kind->name, name) != 0;) i++;
    return kind;
}

void kind_rules(const struct kind *kind, enum medium medium, struct template_rules *rules)
{
    bool invites = kind->nonce != NULL && kind->purpose == TOKEN_LINK;
    bool printed = medium == MEDIUM_PRINT;

    rules->subject = medium != MEDIUM_TEXT;
    rules->html = medium == MEDIUM_EMAIL;
    rules->opt_out = invites && medium == MEDIUM_TEXT;
    rules->carries = kind->path != NULL ? 1u << PLACEHOLDER_link : kind->nonce != NULL ? 1u << PLACEHOLDER_pin : 0;
    rules->allowed = 1u << PLACEHOLDER_practice_name | 1u << PLACEHOLDER_practice;
    if (printed) rules->allowed |= 1u << PLACEHOLDER_practice_phone | 1u << PLACEHOLDER_hours;
    if (printed && invites) {
        rules->carries |= 1u << PLACEHOLDER_pin;
        rules->allowed |= 1u << PLACEHOLDER_patient_name | 1u << PLACEHOLDER_until;
    }
    rules->allowed |= rules->carries;
    if (kind->nonce != NULL) rules->allowed |= 1u << (invites ? PLACEHOLDER_hours : PLACEHOLDER_minutes);
}
