#include "patient.h"

#include "calendar.h"
#include "normalize.h"

#include <string.h>

enum { NAME_MAX_POINTS = 100 };

static const char read_patient[] =
    "SELECT patient_id, first_name, date_of_birth, last_name, email, cell_phone,"
    "       deceased_on, email_consent, text_consent, active, preferred_language"
    "  FROM main.patient WHERE patient_id = ?1";
static const char born_on[] =
    "SELECT patient_id, first_name, last_name FROM main.patient WHERE date_of_birth = ?1"
    " ORDER BY patient_id";
static const char insert_patient[] =
    "INSERT INTO main.patient"
    " (first_name, last_name, date_of_birth, email, cell_phone, phr_active)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING patient_id";

static const char *const medium_names[] = {
    [MEDIUM_EMAIL] = "email", [MEDIUM_TEXT] = "text", [MEDIUM_PRINT] = "print",
};

const char *medium_name(enum medium medium)
{
    return medium_names[medium];
}

enum medium medium_from_name(const char *name)
{
    static const enum medium others[] = {MEDIUM_TEXT, MEDIUM_PRINT};

    for (size_t i = 0; name != NULL && i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(name, medium_names[others[i]]) == 0) return others[i];
    }
    return MEDIUM_EMAIL;
}

enum medium medium_of_contact(const char *contact)
{
    return strchr(contact, '@') != NULL ? MEDIUM_EMAIL : MEDIUM_TEXT;
}

enum medium medium_other(enum medium medium)
{
    return medium == MEDIUM_EMAIL ? MEDIUM_TEXT : MEDIUM_EMAIL;
}

const char *patient_id_text(const struct patient_id *id, char out[PATIENT_ID_TEXT_SIZE])
{
    if (id->type == SQLITE_INTEGER) {
        (void)sqlite3_snprintf(PATIENT_ID_TEXT_SIZE, out, "%lld", id->integer);
    } else {
        (void)sqlite3_snprintf(PATIENT_ID_TEXT_SIZE, out, "'%s'", id->text);
    }
    return out;
}

bool patient_id_same(const struct patient_id *one, const struct patient_id *other)
{
    if (one->type != other->type) return false;
    return one->type == SQLITE_INTEGER ? one->integer == other->integer : strcmp(one->text, other->text) == 0;
}

static int id_from_real(struct portal *portal, double number, struct patient_id *id)
{
    /* 2^53: beyond it a REAL can not tell two integers apart. */
    if (!(number >= -9007199254740992.0 && number <= 9007199254740992.0) ||
        number != (double)(sqlite3_int64)number) {
        return refuse(portal, "patient_id must be a whole number or text, not %!.15g", number);
    }
    id->type = SQLITE_INTEGER;
    id->integer = (sqlite3_int64)number;
    return SQLITE_OK;
}

static int id_from_text(struct portal *portal, const char *text, size_t length,
                        struct patient_id *id)
{
    if (length == 0) return refuse(portal, "patient_id is empty");
    if (length >= sizeof id->text) {
        return refuse(portal, "patient_id is too long (%d bytes at most)", (int)sizeof id->text - 1);
    }
    if (strlen(text) != length || normalize_has_hidden(text)) {
        return refuse(portal, "patient_id is not valid text");
    }
    id->type = SQLITE_TEXT;
    memcpy(id->text, text, length + 1);
    return SQLITE_OK;
}

int patient_id_from_value(struct portal *portal, sqlite3_value *value, struct patient_id *id)
{
    const char *text;

    switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
        id->type = SQLITE_INTEGER;
        id->integer = sqlite3_value_int64(value);
        return SQLITE_OK;
    case SQLITE_FLOAT:
        return id_from_real(portal, sqlite3_value_double(value), id);
    case SQLITE_TEXT:
        text = (const char *)sqlite3_value_text(value);
        if (text == NULL) return fault(portal, SQLITE_NOMEM);
        return id_from_text(portal, text, (size_t)sqlite3_value_bytes(value), id);
    case SQLITE_NULL:
        return refuse(portal, "patient_id is NULL");
    default:
        return refuse(portal, "patient_id must be a number or text, not a blob");
    }
}

void patient_id_from_column(sqlite3_stmt *statement, int column, struct patient_id *id)
{
    id->type = SQLITE_INTEGER;
    id->integer = 0;
    if (sqlite3_column_type(statement, column) == SQLITE_TEXT) {
        id->type = SQLITE_TEXT;
        statement_text(statement, column, id->text, sizeof id->text);
    } else {
        id->integer = sqlite3_column_int64(statement, column);
    }
}

/* Consent and the active flag hold unless the chart says 0. */
static bool flag_column(sqlite3_stmt *statement, int column)
{
    sqlite3_value *value = sqlite3_column_value(statement, column);

    return sqlite3_value_type(value) == SQLITE_NULL || sqlite3_value_int(value) != 0;
}

void patient_person_from_row(sqlite3_stmt *row, int column, struct patient *patient)
{
    statement_text(row, column, patient->first_name, sizeof patient->first_name);
    statement_text(row, column + 1, patient->date_of_birth, sizeof patient->date_of_birth);
}

void patient_from_row(sqlite3_stmt *row, int column, struct patient *patient)
{
    patient_id_from_column(row, column, &patient->id);
    patient_person_from_row(row, column + 1, patient);
    statement_text(row, column + 3, patient->last_name, sizeof patient->last_name);
    statement_text(row, column + 4, patient->email, sizeof patient->email);
    statement_text(row, column + 5, patient->cell_phone, sizeof patient->cell_phone);
    statement_text(row, column + 6, patient->deceased_on, sizeof patient->deceased_on);
    patient->email_consent = flag_column(row, column + 7);
    patient->text_consent = flag_column(row, column + 8);
    patient->active = flag_column(row, column + 9);
}

int patient_find(struct portal *portal, const struct patient_id *id, struct patient *patient)
{
    sqlite3_stmt *statement = NULL;
    int code = statement_row(portal, &statement, read_patient, "p", id);

    if (code != SQLITE_ROW) return code;
    patient_from_row(statement, 0, patient);
    statement_text(statement, PATIENT_COLUMNS, patient->preferred_language, sizeof patient->preferred_language);
    statement_done(portal, statement);
    return SQLITE_ROW;
}

int patient_find_kept(struct portal *portal, const struct patient_id *id, struct patient *patient)
{
    int code = patient_find(portal, id, patient);

    return code == SQLITE_ROW && !patient_id_same(id, &patient->id) ? SQLITE_DONE : code;
}

int patient_read(struct portal *portal, const struct patient_id *id, struct patient *patient)
{
    char name[PATIENT_ID_TEXT_SIZE];
    int code = patient_find(portal, id, patient);

    if (code == SQLITE_ROW) return SQLITE_OK;
    if (code != SQLITE_DONE) return code;
    return refuse(portal, "patient %s is not on file", patient_id_text(id, name));
}

const char *patient_closed(const struct patient *patient)
{
    if (patient->deceased_on[0] != '\0') return "is deceased";
    if (!patient->active) return "is not an active patient";
    return NULL;
}

static const char *contact_normalize(struct portal *portal, enum medium medium, const char *contact,
                                     char out[CONTACT_SIZE])
{
    if (medium == MEDIUM_EMAIL) return contact_normalize_email(contact, out);
    return contact_normalize_phone(contact, setting_text(portal, SETTING_country_code), out);
}

static const char no_column[] = "no column of the patient table %s is mapped as %s; add one, tell it with "
                                "portal_map_patient(), then send again";

/* A column that the practice's table computes takes nothing that Quick Add is given. */
static int computed_check(struct portal *portal, enum layout_field_id field)
{
    if (portal->layout == NULL || !portal->layout->field[field].generated) return SQLITE_OK;
    return refuse(portal, "%s: %s is computed by %s, and can not be written; add the patient with the practice's own "
                  "program", layout_own_name((int)field), layout_column(portal, field), layout_table(portal));
}

int patient_contact_new(struct portal *portal, enum medium medium, const char *contact, char out[CONTACT_SIZE])
{
    enum layout_field_id field = medium == MEDIUM_EMAIL ? FIELD_email : FIELD_cell_phone;
    int code = computed_check(portal, field);

    if (code != SQLITE_OK) return code;
    if (!layout_has(portal, field)) return refuse(portal, no_column, layout_table(portal), layout_column(portal, field));
    return patient_contact_given(portal, medium, contact, out);
}

int patient_contact_given(struct portal *portal, enum medium medium, const char *contact,
                          char out[CONTACT_SIZE])
{
    const char *problem = contact_normalize(portal, medium, contact, out);

    if (problem == NULL) return SQLITE_OK;
    return refuse(portal, "contact: the %s %s",
                  medium == MEDIUM_EMAIL ? "email address" : "phone number", problem);
}

int patient_contact(struct portal *portal, const struct patient *patient, enum medium medium,
                    char out[CONTACT_SIZE], char **problem)
{
    char text[PATIENT_ID_TEXT_SIZE];
    const struct patient_id *id = &patient->id;
    bool email = medium == MEDIUM_EMAIL;
    const char *on_file = email ? patient->email : patient->cell_phone;
    const char *noun = email ? "email address" : "cell phone number";
    enum layout_field_id contact = email ? FIELD_email : FIELD_cell_phone;
    enum layout_field_id consent = email ? FIELD_email_consent : FIELD_text_consent;
    const char *wrong;

    *problem = NULL;
    out[0] = '\0';
    if (!layout_has(portal, contact)) {
        *problem = sqlite3_mprintf(no_column, layout_table(portal), layout_column(portal, contact));
        return *problem == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
    }
    if (on_file[0] == '\0') {
        *problem =
            sqlite3_mprintf("patient %s has no %s on file; add one, then send again",
                            patient_id_text(id, text), noun);
        return *problem == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
    }
    wrong = contact_normalize(portal, medium, on_file, out);
    if (wrong != NULL) {
        *problem = sqlite3_mprintf("the %s of patient %s %s; correct %s, then send again", noun,
                                   patient_id_text(id, text), wrong, layout_column(portal, contact));
    } else if (email ? !patient->email_consent : !patient->text_consent) {
        *problem = sqlite3_mprintf(
            "patient %s has declined %s (%s is %s); ask them, then send again", patient_id_text(id, text),
            email ? "email" : "text messages", layout_column(portal, consent), layout_format(portal, consent)->no);
    } else {
        return SQLITE_OK;
    }
    return *problem == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

sqlite3_int64 patient_destination(const struct keyring *keyring, const char *contact)
{
    return keyring_fingerprint(keyring, FINGERPRINT_DESTINATION, contact, strlen(contact));
}

sqlite3_int64 patient_identity(const struct keyring *keyring, const struct patient *patient)
{
    char text[NORMALIZE_SIZE + PATIENT_SHORT_SIZE];
    size_t length = strlen(patient->date_of_birth);

    memcpy(text, patient->date_of_birth, length + 1);
    /* A name that can not be normalised counts as empty: still another one than before. */
    (void)normalize_name(patient->first_name, text + length + 1, NORMALIZE_SIZE);
    length += 1 + strlen(text + length + 1);
    return keyring_fingerprint(keyring, FINGERPRINT_IDENTITY, text, length);
}

bool patient_is(const struct keyring *keyring, const struct patient *patient, sqlite3_int64 identity)
{
    return patient_closed(patient) == NULL && patient_identity(keyring, patient) == identity;
}

int patient_changed(struct portal *portal, const struct patient *patient, enum medium medium,
                    sqlite3_int64 destination, sqlite3_int64 identity, const char **changed)
{
    const struct keyring *keyring = NULL;
    char contact[CONTACT_SIZE];
    char *problem = NULL;
    int code = connection_key(portal, &keyring);

    *changed = NULL;
    if (code == SQLITE_OK && medium != MEDIUM_PRINT) {
        code = patient_contact(portal, patient, medium, contact, &problem);
    }
    if (code != SQLITE_OK) return code;
    if (patient_closed(patient) != NULL) {
        *changed = "the patient is deceased or not active";
    } else if (patient_identity(keyring, patient) != identity) {
        *changed = "the first name or date of birth on the chart has changed";
    } else if (medium == MEDIUM_PRINT) {
        *changed = NULL;          /* handed over: no contact had part in it */
    } else if (problem != NULL) {
        *changed = medium == MEDIUM_EMAIL
                       ? "the email address on the chart is gone, malformed or declined"
                       : "the cell phone on the chart is gone, malformed or declined";
    } else if (patient_destination(keyring, contact) != destination) {
        *changed = medium == MEDIUM_EMAIL ? "the email address on the chart has changed"
                                          : "the cell phone on the chart has changed";
    }
    sqlite3_free(problem);
    return SQLITE_OK;
}

/* Shared by Quick Add and the portal: what a name may be. */
const char *patient_name_problem(const char *name)
{
    char normal[NORMALIZE_SIZE];
    long points = normalize_code_points(name);

    if (points < 0) return "is not valid text";
    if (points > NAME_MAX_POINTS) return "is too long (100 characters at most)";
    if (normalize_has_hidden(name)) return "has a control or invisible character";
    if (normalize_name(name, normal, sizeof normal) != 0) return "is not valid text";
    return normal[0] == '\0' ? "is empty" : NULL;
}

char *patient_trim(const char *value)
{
    size_t length;

    value += strspn(value, " \t");
    length = strlen(value);
    while (length > 0 && (value[length - 1] == ' ' || value[length - 1] == '\t')) length--;
    return sqlite3_mprintf("%.*s", (int)length, value);
}

/* Whoever is on file with this name and date of birth: SQLITE_ROW and the key, or SQLITE_DONE. */
static int person_find(struct portal *portal, const struct patient_entry *entry, sqlite3_stmt **row)
{
    char first[NORMALIZE_SIZE];
    char last[NORMALIZE_SIZE];
    char normal[NORMALIZE_SIZE];
    char other[PATIENT_NAME_SIZE];
    bool found = false;
    int code = statement_row(portal, row, born_on, "s", entry->date_of_birth);

    (void)normalize_name(entry->first_name, first, sizeof first);
    (void)normalize_name(entry->last_name, last, sizeof last);
    while (code == SQLITE_ROW && !found) {
        statement_text(*row, 1, other, sizeof other);
        found = normalize_name(other, normal, sizeof normal) == 0 && strcmp(normal, first) == 0;
        statement_text(*row, 2, other, sizeof other);
        found =
            found && normalize_name(other, normal, sizeof normal) == 0 && strcmp(normal, last) == 0;
        if (!found) code = statement_next(portal, *row);
    }
    if (code == SQLITE_ROW) return code;
    statement_done(portal, *row);
    *row = NULL;
    return code;
}

/* REFUSED, naming who is there already; SQLITE_OK when nobody is. */
static int namesake_check(struct portal *portal, const struct patient_entry *entry)
{
    char id_text[PATIENT_ID_TEXT_SIZE];
    struct patient_id id = {.type = SQLITE_NULL};
    sqlite3_stmt *row = NULL;
    int code = person_find(portal, entry, &row);

    if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_OK : code;
    code = patient_id_from_value(portal, sqlite3_column_value(row, 0), &id);
    statement_done(portal, row);
    if (code == REFUSED) {
        return refuse(portal, "a patient of the same name and date of birth can not be named: %s",
                      portal->error);
    }
    if (code != SQLITE_OK) return code;
    return refuse(portal,
                  "patient %s has the same name and date of birth; send to that patient, or "
                  "add a namesake with the full profile",
                  patient_id_text(&id, id_text));
}

int patient_entry_check(struct portal *portal, const struct patient_entry *entry)
{
    static const enum layout_field_id given[] = {FIELD_first_name, FIELD_last_name, FIELD_date_of_birth};
    const char *problem = patient_name_problem(entry->first_name);
    char today[CALENDAR_TIME_SIZE];
    int code = SQLITE_OK;

    for (size_t i = 0; i < sizeof given / sizeof given[0] && code == SQLITE_OK; i++) code = computed_check(portal, given[i]);
    if (code != SQLITE_OK) return code;
    if (problem != NULL) return refuse(portal, "first_name %s", problem);
    problem = patient_name_problem(entry->last_name);
    if (problem != NULL) return refuse(portal, "last_name %s", problem);
    if (!calendar_is_date(entry->date_of_birth)) {
        return refuse(portal, "date_of_birth must be a date as YYYY-MM-DD");
    }
    calendar_date(connection_now(portal) + 86400, today);   /* it is tomorrow somewhere */
    if (strcmp(entry->date_of_birth, today) > 0) {
        return refuse(portal, "date_of_birth is in the future");
    }
    return namesake_check(portal, entry);
}

/* The practice's own schema may refuse a row; that is a refusal, and no fault. */
int patient_refused(struct portal *portal, int code)
{
    if ((code & 0xff) != SQLITE_CONSTRAINT && (code & 0xff) != SQLITE_MISMATCH) return code;
    return refuse(portal, "the patient table refuses it: %s", sqlite3_errmsg(portal->db));
}

static const char not_taken[] = "the patient table did not take the new row; look at its triggers";

/*
** The key of a row that an AFTER trigger, or an INSTEAD OF trigger of a view, gives one: the new row is the
** only one of its name and date of birth.
*/
static int id_read(struct portal *portal, const struct patient_entry *entry, struct patient_id *id)
{
    sqlite3_stmt *row = NULL;
    bool keyed;
    int code = person_find(portal, entry, &row);

    if (code == SQLITE_DONE) return refuse(portal, not_taken);
    if (code != SQLITE_ROW) return code;
    keyed = sqlite3_column_type(row, 0) != SQLITE_NULL;
    code = keyed ? patient_id_from_value(portal, sqlite3_column_value(row, 0), id) : SQLITE_OK;
    statement_done(portal, row);
    if (keyed) return code;
    return refuse(portal,
                  "the patient table gave the new row no patient_id; add a default to the column");
}

/* Runs the insert; a row that a trigger ignored is not there, whatever last_insert_rowid() says. */
static int row_insert(struct portal *portal, const struct patient_entry *entry, struct patient_id *id)
{
    enum layout_insert insert = entry->email != NULL        ? LAYOUT_INSERT_EMAIL
                                : entry->cell_phone != NULL ? LAYOUT_INSERT_TEXT
                                                            : LAYOUT_INSERT_BARE;
    const char *sql = portal->layout == NULL ? insert_patient : portal->layout->insert[insert];
    sqlite3_stmt *statement = NULL;
    bool keyed = false;
    int taken = SQLITE_OK;
    int code = statement_row(portal, &statement, sql, "sssssi", entry->first_name, entry->last_name,
                             entry->date_of_birth, entry->email, entry->cell_phone,
                             (sqlite3_int64)entry->activate);

    if (code == SQLITE_DONE) return refuse(portal, not_taken);
    if (code != SQLITE_ROW) return patient_refused(portal, code);
    keyed = sqlite3_column_type(statement, 0) != SQLITE_NULL;
    if (keyed) taken = patient_id_from_value(portal, sqlite3_column_value(statement, 0), id);
    while (code == SQLITE_ROW) code = statement_next(portal, statement);
    statement_done(portal, statement);
    if (code != SQLITE_DONE) return code;
    return keyed ? taken : id_read(portal, entry, id);
}

int patient_insert(struct portal *portal, const struct patient_entry *entry, struct patient_id *id)
{
    char *first = patient_trim(entry->first_name);
    char *last = patient_trim(entry->last_name);
    struct patient_entry trimmed = *entry;
    int code;

    trimmed.first_name = first;
    trimmed.last_name = last;
    code = first == NULL || last == NULL ? fault(portal, SQLITE_NOMEM) : row_insert(portal, &trimmed, id);
    sqlite3_free(first);
    sqlite3_free(last);
    return code;
}
