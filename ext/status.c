#include "status.h"

#include "ageing.h"
#include "calendar.h"
#include "channel.h"
#include "optout.h"
#include "table.h"
#include "throttle.h"

#include <string.h>

static const char people[] =
    "SELECT a.identity, u.username, u.username_key, u.contact, " AGEING_SINCE " FROM main.portal_access AS a"
    "  JOIN main.portal_account AS u USING (account_id)"
    " WHERE a.patient_id = ?1 AND a.status = 'active' ORDER BY a.access_id";

static bool is_null(sqlite3_stmt *row, enum status_column column)
{
    return sqlite3_column_type(row, (int)column) == SQLITE_NULL;
}

static void time_of(sqlite3_stmt *row, enum status_column column, char out[CALENDAR_TIME_SIZE])
{
    calendar_local(sqlite3_column_int64(row, (int)column), out);
}

enum { WAY_SIZE = CONTACT_SIZE + 16 };

/* How it went: "by email to a•••@example.com", "as a printed letter". */
static void way_of(sqlite3_stmt *row, char way[WAY_SIZE])
{
    char masked[CONTACT_SIZE];

    contact_mask(statement_string(row, STATUS_RECIPIENT), masked, sizeof masked);
    (void)sqlite3_snprintf(WAY_SIZE, way, statement_is(row, STATUS_CHANNEL, "print") ? "as a printed letter" : "by %s to %s",
                           statement_string(row, STATUS_CHANNEL), masked);
}

static char *say_none(struct portal *portal, sqlite3_stmt *row)
{
    (void)portal;
    (void)row;
    return sqlite3_mprintf("No portal registration has been sent.");
}

static char *say_queued(struct portal *portal, sqlite3_stmt *row)
{
    char created[CALENDAR_TIME_SIZE];
    char way[WAY_SIZE];
    const char *why = statement_string(row, STATUS_DETAIL);
    const char *medium = statement_string(row, STATUS_CHANNEL);
    struct channel *channel = NULL;
    int code = channel_for(portal, (int)medium_from_name(medium), &channel);

    if (code == REFUSED) {
        why = portal->error;
    } else if (code != SQLITE_OK) {
        return NULL;
    }
    way_of(row, way);
    time_of(row, STATUS_CREATED_AT, created);
    return sqlite3_mprintf("Portal registration queued %s on %s, not handed over yet%s%s.", way, created, *why == '\0' ? "" : ": ", why);
}

static char *say_sent(struct portal *portal, sqlite3_stmt *row)
{
    char sent[CALENDAR_TIME_SIZE];
    char expires[CALENDAR_TIME_SIZE];
    char way[WAY_SIZE];
    bool detail = !is_null(row, STATUS_DETAIL);
    bool delivered = statement_is(row, STATUS_MESSAGE_STATUS, "delivered");
    sqlite3_int64 hours = (sqlite3_column_int64(row, STATUS_EXPIRES_AT) -
                           sqlite3_column_int64(row, STATUS_SENT_AT)) / 3600;

    (void)portal;
    way_of(row, way);
    time_of(row, STATUS_SENT_AT, sent);
    time_of(row, STATUS_EXPIRES_AT, expires);
    return sqlite3_mprintf(
        "Portal registration sent%s %s on %s%s%s%s. The link is valid for %lld hour%s, "
        "until %s.",
        delivered ? " and delivered" : "", way, sent, detail ? " (" : "", statement_string(row, STATUS_DETAIL), detail ? ")" : "", hours,
        hours == 1 ? "" : "s", expires);
}

static char *say_expired(struct portal *portal, sqlite3_stmt *row)
{
    char sent[CALENDAR_TIME_SIZE];
    char expires[CALENDAR_TIME_SIZE];
    char way[WAY_SIZE];

    (void)portal;
    way_of(row, way);
    time_of(row, is_null(row, STATUS_SENT_AT) ? STATUS_CREATED_AT : STATUS_SENT_AT, sent);
    time_of(row, STATUS_EXPIRES_AT, expires);
    return sqlite3_mprintf("Portal registration sent %s on %s expired on %s without a registration.", way, sent, expires);
}

/* Why a registration failed: words that stand after a colon, and what the channel said to them, or "". */
static const char *failure(sqlite3_stmt *row, const char **detail)
{
    static const struct { enum status_column column; const char *status, *words; } rows[] = {
        {STATUS_REGISTRATION_STATUS, "spent", "too many wrong answers or PINs were given"},
        {STATUS_REGISTRATION_STATUS, "revoked", "it was revoked"},
        {STATUS_MESSAGE_STATUS, "cancelled", NULL},
        {STATUS_REGISTRATION_STATUS, "changed", "the chart has changed since it was sent"},
        {STATUS_MESSAGE_STATUS, "bounced", "it bounced"},
        {STATUS_MESSAGE_STATUS, "opted_out", "the recipient has opted out of messages"},
    };
    const char *said = statement_string(row, STATUS_DETAIL);
    const char *words = NULL;
    size_t i = 0;

    while (i < sizeof rows / sizeof rows[0] && !statement_is(row, (int)rows[i].column, rows[i].status)) i++;
    if (i < sizeof rows / sizeof rows[0]) words = rows[i].words;
    *detail = words != NULL && rows[i].column == STATUS_MESSAGE_STATUS ? said : "";
    if (words != NULL) return words;
    return *said == '\0' ? "no reason was given" : said;
}

static char *say_failed(struct portal *portal, sqlite3_stmt *row)
{
    char ended[CALENDAR_TIME_SIZE];
    char way[WAY_SIZE];
    const char *detail;
    const char *words = failure(row, &detail);
    bool more = *detail != '\0';

    (void)portal;
    way_of(row, way);
    time_of(row, is_null(row, STATUS_ENDED_AT) ? STATUS_CREATED_AT : STATUS_ENDED_AT, ended);
    return sqlite3_mprintf("Portal registration %s failed on %s: %s%s%s%s.", way, ended, words,
                           more ? " (" : "", detail, more ? ")" : "");
}

static char *say_registered(struct portal *portal, sqlite3_stmt *row)
{
    char registered[CALENDAR_TIME_SIZE];
    char login[CALENDAR_TIME_SIZE] = "never";

    (void)portal;
    time_of(row, STATUS_REGISTERED_AT, registered);
    if (!is_null(row, STATUS_LAST_LOGIN_AT)) time_of(row, STATUS_LAST_LOGIN_AT, login);
    return sqlite3_mprintf("The patient has successfully registered on %s. Last login: %s.",
                           registered, login);
}

static char *say_revoked(struct portal *portal, sqlite3_stmt *row)
{
    char revoked[CALENDAR_TIME_SIZE];

    (void)portal;
    time_of(row, STATUS_REVOKED_AT, revoked);
    return sqlite3_mprintf("Portal access was revoked on %s by %s.", revoked,
                           statement_string(row, STATUS_REVOKED_BY));
}

/*
** SQLITE_OK when a registration can be sent now by one channel, REFUSED with why not, or an error.  Whoever can not be
** reached at all can still be handed a letter.
*/
static int sendable(struct portal *portal, struct sending *draft)
{
    static const enum medium media[] = {MEDIUM_TEXT, MEDIUM_PRINT, MEDIUM_EMAIL};
    char id[PATIENT_ID_TEXT_SIZE];
    bool printable = false;
    int code = REFUSED;

    for (size_t i = 0; i < sizeof media / sizeof media[0] && code == REFUSED; i++) {
        code = sending_check_patient(portal, media[i], sending_requires(portal, media[i]), draft);
        if (code != SQLITE_OK || media[i] != MEDIUM_PRINT) continue;
        printable = true;
        code = REFUSED;
    }
    if (code != REFUSED || !printable) return code;
    return refuse(portal, "%s; or hand over a letter: portal_letter(%s)", portal->error, patient_id_text(&draft->patient.id, id));
}

/* What to do when something can be sent, or why it can not. */
static int step_send(struct portal *portal, struct sending *draft, const char *do_this,
                     char **text)
{
    int code = sendable(portal, draft);

    if (code != SQLITE_OK && code != REFUSED) return code;
    *text = sqlite3_mprintf("%s", code == REFUSED ? portal->error : do_this);
    return *text == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

/* A link that the chart has left behind: why it will not work, and what then; else *text is NULL. */
static int step_chart(struct portal *portal, sqlite3_stmt *row, struct sending *draft,
                      char **text)
{
    const char *changed = NULL;
    int code = patient_changed(portal, &draft->patient,
                               medium_from_name(statement_string(row, STATUS_CHANNEL)),
                               sqlite3_column_int64(row, STATUS_DESTINATION),
                               sqlite3_column_int64(row, STATUS_IDENTITY), &changed);

    if (code != SQLITE_OK || changed == NULL) return code;
    code = sendable(portal, draft);
    if (code != SQLITE_OK && code != REFUSED) return code;
    *text = sqlite3_mprintf("the link will not work: %s; %s", changed,
                            code == REFUSED ? portal->error : "send the registration again");
    return *text == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

static int step_none(struct portal *portal, sqlite3_stmt *row, struct sending *draft,
                     char **text)
{
    (void)row;
    return step_send(portal, draft, "send a registration", text);
}

/* By the same channel, or why not by that. */
static int step_again(struct portal *portal, sqlite3_stmt *row, struct sending *draft,
                      char **text)
{
    enum medium medium = medium_from_name(statement_string(row, STATUS_CHANNEL));
    int code = sending_check_patient(portal, medium, sending_requires(portal, medium), draft);

    if (code != SQLITE_OK && code != REFUSED) return code;
    *text = sqlite3_mprintf("%s", code == REFUSED ? portal->error
                            : medium == MEDIUM_PRINT ? "print another letter" : "send the registration again");
    return *text == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

static int step_grant(struct portal *portal, sqlite3_stmt *row, struct sending *draft,
                      char **text)
{
    (void)row;
    return step_send(portal, draft, "send a registration to grant access again", text);
}

static int step_deliver(struct portal *portal, sqlite3_stmt *row, struct sending *draft,
                        char **text)
{
    int code = step_chart(portal, row, draft, text);

    if (code != SQLITE_OK || *text != NULL) return code;
    *text =
        sqlite3_mprintf("SELECT deliver() hands it over; portal_check() tells what is in the way");
    return *text == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

/* Why no PIN can be sent to somebody who opens the link; else *text is NULL. */
static int step_pin(struct portal *portal, sqlite3_stmt *row, const struct patient *patient, char **text)
{
    enum medium medium = MEDIUM_TEXT;
    char contact[CONTACT_SIZE];
    char *problem = NULL;
    int code;

    /* The contact of the link is there, or step_chart() would have told. */
    if (!portal->opt_outs || statement_is(row, STATUS_CHANNEL, "print")) return SQLITE_OK;
    code = optout_reach_either(portal, patient, &medium, contact, &problem);
    if (code != SQLITE_OK || problem == NULL) return code;
    *text = sqlite3_mprintf("the link works, but no PIN can be sent: %s", problem);
    sqlite3_free(problem);
    return *text == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

static int step_wait(struct portal *portal, sqlite3_stmt *row, struct sending *draft,
                     char **text)
{
    int guesses = sqlite3_column_int(row, STATUS_GUESSES);
    int code = step_chart(portal, row, draft, text);

    if (code == SQLITE_OK && *text == NULL) code = step_pin(portal, row, &draft->patient, text);
    if (code != SQLITE_OK || *text != NULL) return code;
    if (sqlite3_column_int(row, STATUS_PINS) >= REGISTRATION_PINS) {
        *text = sqlite3_mprintf(
            "all %d PIN messages of this link were sent; check the contacts on the chart "
            "with the patient, and send the registration again",
            (int)REGISTRATION_PINS);
        return *text == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
    }
    *text = guesses > 0
                ? sqlite3_mprintf(
                      "the patient has given %d wrong answers or PINs of %d; check name, date of "
                      "birth and contacts on the chart with them",
                      guesses, (int)REGISTRATION_GUESSES)
                : sqlite3_mprintf("wait for the patient to open the link and register");
    return *text == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

/* No link to choose a new password would reach this person. */
static int person_contact_step(struct portal *portal, sqlite3_stmt *person, char **text)
{
    bool has_contact = *statement_string(person, 3) != '\0';
    int code = has_contact ? optout_check(portal, statement_string(person, 3)) : REFUSED;

    if (code != REFUSED) return code;
    *text = sqlite3_mprintf("'%s' could be sent no link to choose a new password, having %s; "
                            "set_account_contact('%q', contact) gives %s contact", statement_string(person, 1),
                            has_contact ? "opted out of messages" : "come with a letter", statement_string(person, 1),
                            has_contact ? "another" : "a");
    return *text == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

/* One person's trouble: an access that does not work, a delay, or a contact without messages. */
static int person_step(struct portal *portal, const struct patient *patient, sqlite3_stmt *person,
                       char **text)
{
    const struct keyring *keyring = NULL;
    char until[CALENDAR_TIME_SIZE];
    sqlite3_int64 end = 0;
    int code = connection_key(portal, &keyring);

    if (code == SQLITE_OK && !patient_is(keyring, patient, sqlite3_column_int64(person, 0))) {
        *text =
            patient_closed(patient) != NULL
                ? sqlite3_mprintf("access does not work: the patient %s", patient_closed(patient))
                : sqlite3_mprintf(
                      "access of '%s' does not work: first name or date of birth on the chart "
                      "have changed; correct the chart, or send a registration to link the "
                      "login anew",
                      statement_string(person, 1));
        return *text == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
    }
    if (code == SQLITE_OK) {
        code = throttle_until(portal, statement_string(person, 2), &end);
    }
    if (code == SQLITE_OK && end == 0) return person_contact_step(portal, person, text);
    if (code != SQLITE_OK) return code;
    calendar_local(end, until);
    *text = sqlite3_mprintf(
        "'%s' gave wrong passwords and has to wait until %s; unlock_account('%q') ends "
        "it",
        statement_string(person, 1), until, statement_string(person, 1));
    return *text == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

/* A representative who loses access with the patient's age: nobody's trouble yet, or one that should be. */
static int person_ageing(struct portal *portal, const struct patient *patient, sqlite3_stmt *person,
                         char **text)
{
    char id[PATIENT_ID_TEXT_SIZE];
    char becomes[AGEING_TEXT_SIZE];
    sqlite3_int64 end = ageing_end(portal, sqlite3_column_int64(person, 4), patient->date_of_birth);

    ageing_tell(end, connection_now(portal), becomes);
    if (*text != NULL || becomes[0] == '\0') return SQLITE_OK;
    *text = sqlite3_mprintf("the representative '%s' %s, when the patient is of age; where they are to keep it: "
                            "confirm_representative(%s, '%q')", statement_string(person, 1), becomes,
                            patient_id_text(&patient->id, id), statement_string(person, 1));
    return *text == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

/* The first trouble of anybody; else what is to come. */
static int step_registered(struct portal *portal, sqlite3_stmt *row, struct sending *draft,
                           char **text)
{
    char *later = NULL;
    sqlite3_stmt *person = NULL;
    int code = statement_row(portal, &person, people, "p", &draft->patient.id);

    (void)row;
    while (code == SQLITE_ROW && *text == NULL) {
        code = person_step(portal, &draft->patient, person, text);
        if (code == SQLITE_OK) code = person_ageing(portal, &draft->patient, person, &later);
        if (code == SQLITE_OK) code = statement_next(portal, person);
    }
    statement_done(portal, person);
    if (*text == NULL) *text = later;
    else sqlite3_free(later);
    return code == SQLITE_DONE || code == SQLITE_ROW ? SQLITE_OK : code;
}

/* What is said in each state. */
static const struct {
    const char *status;
    char *(*message)(struct portal *portal, sqlite3_stmt *row);
    int (*next_step)(struct portal *portal, sqlite3_stmt *row, struct sending *draft,
                     char **text);
} states[] = {
    {"not sent", say_none, step_none},
    {"queued", say_queued, step_deliver},
    {"sent", say_sent, step_wait},
    {"failed", say_failed, step_again},
    {"expired", say_expired, step_again},
    {"registered", say_registered, step_registered},
    {"revoked", say_revoked, step_grant},
};

static size_t state_find(const char *status)
{
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (strcmp(states[i].status, status) == 0) return i;
    }
    return 0;
}

/*
** A link that was sent to the person who is on the chart now, while all access is that of another:
** the id was used again, or first name or date of birth were corrected.
*/
static int is_newcomer(struct portal *portal, sqlite3_stmt *row, bool *newcomer)
{
    const struct keyring *keyring = NULL;
    struct patient patient;
    int code;

    *newcomer = false;
    if (is_null(row, STATUS_IDENTITY) || sqlite3_column_int(row, STATUS_SAME_PERSON) != 0) {
        return SQLITE_OK;
    }
    code = connection_key(portal, &keyring);
    if (code != SQLITE_OK) return code;
    patient_person_from_row(row, STATUS_PERSON, &patient);
    *newcomer = patient_identity(keyring, &patient) == sqlite3_column_int64(row, STATUS_IDENTITY);
    return SQLITE_OK;
}

int status_name(struct portal *portal, sqlite3_stmt *row, const char **status)
{
    bool newcomer = false;
    int code = SQLITE_OK;

    if (!is_null(row, STATUS_REGISTERED_AT)) code = is_newcomer(portal, row, &newcomer);
    if (!is_null(row, STATUS_REGISTERED_AT) && !newcomer) {
        *status = "registered";
    } else {
        *status = is_null(row, STATUS_REVOKED_AT) ? statement_string(row, STATUS_STATUS) : "revoked";
    }
    return code;
}

int status_message(struct portal *portal, sqlite3_stmt *row, const char *status, char **text)
{
    *text = states[state_find(status)].message(portal, row);
    return *text == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

int status_next_step(struct portal *portal, sqlite3_stmt *row, const char *status, char **text)
{
    struct sending draft;
    int code;

    *text = NULL;
    patient_from_row(row, STATUS_PATIENT_ID, &draft.patient);
    code = patient_id_from_value(portal, sqlite3_column_value(row, STATUS_PATIENT_ID), &draft.patient.id);
    if (code == REFUSED) {
        *text = sqlite3_mprintf("give the patient another patient_id: %s", portal->error);
        return *text == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
    }
    if (code != SQLITE_OK) return code;
    draft.previous = sqlite3_column_int64(row, STATUS_REGISTRATION_ID);
    draft.previous_at = sqlite3_column_int64(row, STATUS_CREATED_AT);
    return states[state_find(status)].next_step(portal, row, &draft, text);
}

int status_of_sending(struct portal *portal, const struct patient_id *patient, char **text)
{
    sqlite3_stmt *row = NULL;
    const char *sql = table_sql(portal, "status.sql", " WHERE p.patient_id = ?2");
    const char *registration;
    int code = sql == NULL ? fault(portal, SQLITE_NOMEM)
                           : statement_row(portal, &row, sql, "ip", connection_now(portal), patient);

    *text = NULL;
    if (code == SQLITE_DONE) return refuse(portal, "the patient is not on file");
    if (code != SQLITE_ROW) return code;
    registration = statement_string(row, STATUS_REGISTRATION_STATUS);
    if (strcmp(registration, "live") != 0 && strcmp(registration, "queued") != 0) {
        *text = say_failed(portal, row);
    } else {
        *text = is_null(row, STATUS_SENT_AT) ? say_queued(portal, row) : say_sent(portal, row);
    }
    statement_done(portal, row);
    return *text == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}
