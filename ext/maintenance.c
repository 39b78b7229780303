#include "maintenance.h"

#include "audit.h"
#include "proof.h"
#include "registration.h"
#include "reset.h"
#include "session.h"
#include "throttle.h"

enum { DAY = 86400, AUDIT_DAYS = 2192 };   /* six years, with their leap days */

/* In this order: what refers goes before what is referred to.  ?1 is the time before which. */
static const char purge_sessions[] =
    "DELETE FROM main.portal_session WHERE ended_at IS NOT NULL AND last_used_at < ?1";
static const char purge_pins[] =
    "DELETE FROM main.portal_pin WHERE status <> 'live' AND created_at < ?1";
static const char purge_resets[] =
    "DELETE FROM main.portal_reset WHERE status <> 'live' AND created_at < ?1";
static const char purge_registrations[] =
    "DELETE FROM main.portal_registration AS r"
    " WHERE r.status NOT IN ('queued', 'live') AND r.ended_at < ?1"
    "   AND (r.merged_from IS NOT NULL OR EXISTS (SELECT 1 FROM main.portal_registration AS n"
    "          WHERE n.patient_id = r.patient_id AND n.registration_id > r.registration_id"
    "            AND n.merged_from IS NULL))";
/* The newest stays, so that its number, by which the audit knows it, is not given again. */
static const char purge_messages[] =
    "DELETE FROM main.portal_message AS m WHERE m.due_at IS NULL AND m.created_at < ?1"
    "   AND m.message_id < (SELECT max(message_id) FROM main.portal_message)"
    "   AND NOT EXISTS (SELECT 1 FROM main.portal_registration WHERE registration_id = m.message_id)"
    "   AND NOT EXISTS (SELECT 1 FROM main.portal_pin WHERE pin_id = m.message_id)"
    "   AND NOT EXISTS (SELECT 1 FROM main.portal_reset WHERE reset_id = m.message_id)";

static const char *const purges[] = {purge_sessions, purge_pins, purge_resets, purge_registrations,
                                     purge_messages};

/* What an older database would let work again.  Messages first, by the links that live.  ?1 is now. */
static const char end_messages[] =
    "UPDATE main.portal_message SET status = iif(due_at IS NULL, status, 'cancelled'), due_at = NULL,"
    "   detail = 'the database was restored from a backup'"
    " WHERE ?1 AND (due_at IS NOT NULL OR message_id IN"
    "   (SELECT registration_id FROM main.portal_registration WHERE status = 'live'))";
static const char end_links[] =
    "UPDATE main.portal_registration SET status = 'failed', ended_at = ?1"
    " WHERE status IN ('queued', 'live')";
static const char end_pins[] =
    "UPDATE main.portal_pin SET status = 'revoked' WHERE ?1 AND status = 'live'";
static const char end_resets[] =
    "UPDATE main.portal_reset SET status = 'revoked' WHERE ?1 AND status = 'live'";
static const char end_sessions[] =
    "UPDATE main.portal_session SET ended_at = ?1 WHERE ended_at IS NULL";

static const char *const endings[RESTORED_COUNT] = {
    [RESTORED_MESSAGES] = end_messages, [RESTORED_LINKS] = end_links, [RESTORED_PINS] = end_pins,
    [RESTORED_RESETS] = end_resets, [RESTORED_SESSIONS] = end_sessions,
};

int maintenance_expire(struct portal *portal, sqlite3_int64 *count)
{
    sqlite3_int64 sessions = 0;
    char detail[64];
    int code = registration_expire(portal, count);

    if (code == SQLITE_OK) code = session_expire(portal, &sessions);
    if (code == SQLITE_OK) code = proof_expire(portal);
    if (code == SQLITE_OK) code = reset_expire(portal);
    if (code == SQLITE_OK) code = throttle_expire(portal);
    if (code != SQLITE_OK || (*count == 0 && sessions == 0)) return code;
    (void)sqlite3_snprintf((int)sizeof detail, detail, "%lld links, %lld sessions", *count, sessions);
    return audit_write(portal, "links.expired", NULL, NULL, detail);
}

int maintenance_purge(struct portal *portal, sqlite3_int64 days, sqlite3_int64 *rows,
                      sqlite3_int64 *events)
{
    sqlite3_int64 now = connection_now(portal);
    char detail[64];
    int code = SQLITE_OK;

    *rows = 0;
    *events = 0;
    for (size_t i = 0; i < sizeof purges / sizeof purges[0] && code == SQLITE_OK; i++) {
        int changes = 0;
        code = statement_change(portal, &changes, purges[i], "i", now - days * DAY);
        *rows += changes;
    }
    if (code == SQLITE_OK) {
        code = audit_purge(portal, now - (days > AUDIT_DAYS ? days : AUDIT_DAYS) * DAY, events);
    }
    if (code != SQLITE_OK || (*rows == 0 && *events == 0)) return code;
    (void)sqlite3_snprintf((int)sizeof detail, detail, "%lld rows, %lld events", *rows, *events);
    return audit_write(portal, "portal.purged", NULL, NULL, detail);
}

int maintenance_restored(struct portal *portal, int count[RESTORED_COUNT])
{
    char detail[128];
    int code = SQLITE_OK;

    for (int i = 0; i < RESTORED_COUNT && code == SQLITE_OK; i++) {
        code = statement_change(portal, &count[i], endings[i], "i", connection_now(portal));
    }
    if (code != SQLITE_OK) return code;
    (void)sqlite3_snprintf((int)sizeof detail, detail,
                           "ended %d links, %d PINs, %d resets, %d sessions", count[RESTORED_LINKS],
                           count[RESTORED_PINS], count[RESTORED_RESETS], count[RESTORED_SESSIONS]);
    return audit_write(portal, "portal.restored", NULL, NULL, detail);
}
