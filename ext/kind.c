#include "kind.h"

#include "proof.h"
#include "registration.h"
#include "reset.h"

#include <string.h>

enum { MINUTE = 60, HOUR = 3600 };

static const struct kind kinds[] = {
    {"registration", registration_claim, registration_fate,
     "SELECT nonce FROM main.portal_registration WHERE registration_id = ?1", "/r/", TOKEN_LINK,
     SETTING_link_hours, HOUR},
    {"pin", proof_claim, proof_fate,
     "SELECT nonce FROM main.portal_pin WHERE pin_id = ?1", NULL, TOKEN_PIN, SETTING_pin_minutes,
     MINUTE},
    {"password_reset", reset_claim, reset_fate,
     "SELECT nonce FROM main.portal_reset WHERE reset_id = ?1", "/p/", TOKEN_RESET,
     SETTING_reset_minutes, MINUTE},
    {"deactivated", NULL, NULL, NULL, NULL, TOKEN_LINK, SETTING_COUNT, 0},
    {"contact_changed", NULL, NULL, NULL, NULL, TOKEN_LINK, SETTING_COUNT, 0},
    {"account_contact_changed", NULL, NULL, NULL, NULL, TOKEN_LINK, SETTING_COUNT, 0},
};

const struct kind *kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
    }
    return NULL;
}
