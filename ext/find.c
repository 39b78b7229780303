#include "find.h"

#include "calendar.h"
#include "normalize.h"
#include "patient.h"
#include "setting.h"

#include <string.h>

#define COLUMNS \
    "SELECT patient_id, first_name, last_name, date_of_birth, email, cell_phone, home_phone FROM main.patient"

enum { ID, FIRST, LAST, BORN, EMAIL, CELL_PHONE, HOME_PHONE };

/* Names of eight words exist, and of two each. */
enum { WORDS_MOST = 16, WORD_SIZE = 128 };

static const char of_id[] = COLUMNS " WHERE patient_id = ?1";
static const char of_birth[] = COLUMNS " WHERE date_of_birth = ?1 OR date_of_birth = ?2 ORDER BY patient_id";
static const char of_all[] = COLUMNS " ORDER BY patient_id";

/* Of a name, normalised. */
struct words {
    int count;
    char word[WORDS_MOST][WORD_SIZE];
};

/* How much of a text a name has: all its words, their beginnings, or not. */
enum likeness { UNLIKE, BEGINS, SAME };

/* What is looked for, as it is compared.  A contact or date of "": it is none. */
struct sought {
    bool found;                             /* the key found its patient: nothing is to be compared */
    bool vain;                              /* it can not be anybody's */
    bool exact;                             /* the row that the cursor is on is just what was said */
    char email[CONTACT_SIZE];
    char phone[CONTACT_SIZE];
    char born[2][CALENDAR_TIME_SIZE];       /* 3/4/1970 may be of March or of April */
    struct words name;
    char joined[WORDS_MOST * WORD_SIZE];    /* "O Brien" as "O'Brien" is compared */
};

/* Names */

/* Adds the words of a text.  False when that is no name: too many, or one that is too long. */
static bool words_add(struct words *words, const char *text, size_t size)
{
    static const char between[] = " \t-";
    const char *end = text + size;

    while (text < end) {
        char word[WORD_SIZE];
        size_t length = strcspn(text, between);
        if (length > (size_t)(end - text)) length = (size_t)(end - text);
        if (words->count == WORDS_MOST || length >= sizeof word) return false;
        memcpy(word, text, length);
        word[length] = '\0';
        if (normalize_name(word, words->word[words->count], WORD_SIZE) != 0) return false;
        if (words->word[words->count][0] != '\0') words->count++;
        text += length + 1;
    }
    return true;
}

static void words_join(const struct words *words, char *out)
{
    for (int i = 0; i < words->count; i++) {
        size_t length = strlen(words->word[i]);
        memcpy(out, words->word[i], length);
        out += length;
    }
    *out = '\0';
}

static enum likeness text_likeness(const char *text, const char *sought)
{
    size_t length = strlen(sought);

    if (strncmp(text, sought, length) != 0) return UNLIKE;
    return text[length] == '\0' ? SAME : BEGINS;
}

static enum likeness word_likeness(const struct words *name, const char *sought)
{
    enum likeness best = UNLIKE;

    for (int i = 0; i < name->count && best != SAME; i++) {
        enum likeness likeness = text_likeness(name->word[i], sought);
        if (likeness > best) best = likeness;
    }
    return best;
}

/* All the words are of the name, in any order; or written together they are the name. */
static enum likeness name_likeness(const struct sought *sought, sqlite3_stmt *row)
{
    char joined[2 * WORDS_MOST * WORD_SIZE];
    enum likeness worst = SAME;
    struct words last = {.count = 0};
    struct words name = {.count = 0};
    const char *texts[] = {statement_string(row, FIRST), statement_string(row, LAST)};

    (void)words_add(&name, texts[0], strlen(texts[0]));
    (void)words_add(&name, texts[1], strlen(texts[1]));
    for (int i = 0; i < sought->name.count && worst != UNLIKE; i++) {
        enum likeness likeness = word_likeness(&name, sought->name.word[i]);
        if (likeness < worst) worst = likeness;
    }
    if (worst != UNLIKE) return worst;
    words_join(&name, joined);
    worst = text_likeness(joined, sought->joined);
    (void)words_add(&last, texts[1], strlen(texts[1]));
    words_join(&last, joined);
    return worst != UNLIKE ? worst : text_likeness(joined, sought->joined);
}

/* What is looked for */

/* 12/10/1985 is of December; where the day comes first, of October. */
static bool date_take(struct sought *sought, const char *text, size_t size)
{
    char date[CALENDAR_TIME_SIZE];

    if (size >= sizeof date) return false;
    memcpy(date, text, size);
    date[size] = '\0';
    for (int day_first = 0; day_first < 2; day_first++) {
        char read[CALENDAR_TIME_SIZE];
        if (calendar_read(date, day_first != 0, read) != NULL) continue;
        memcpy(sought->born[day_first], read, sizeof read);
        if (sought->born[0][0] == '\0') memcpy(sought->born[0], read, sizeof read);
    }
    if (sought->born[1][0] == '\0') memcpy(sought->born[1], sought->born[0], sizeof sought->born[1]);
    return sought->born[0][0] != '\0';
}

/* Words, and among them a date. */
static void words_take(struct sought *sought, const char *text)
{
    static const char between[] = " ,\t";

    for (text += strspn(text, between); *text != '\0' && !sought->vain; text += strspn(text, between)) {
        size_t length = strcspn(text, between);
        bool dated = sought->born[0][0] == '\0' && date_take(sought, text, length);
        sought->vain = !dated && !words_add(&sought->name, text, length);
        text += length;
    }
    words_join(&sought->name, sought->joined);
}

/* False when nobody can be meant.  An address or a number is no name. */
static bool sought_read(struct sought *sought, const char *text, const char *country)
{
    (void)contact_normalize_email(text, sought->email);
    (void)contact_normalize_phone(text, country, sought->phone);
    if (*sought->email != '\0' || *sought->phone != '\0') return true;
    words_take(sought, text);
    return !sought->vain && (sought->name.count > 0 || sought->born[0][0] != '\0');
}

/* A number or another key of the chart finds its patient alone; without one, everybody whom the text may mean. */
int find_open(struct cursor *cursor, sqlite3_value *key[2])
{
    struct portal *portal = cursor->portal;
    const char *text = (const char *)sqlite3_value_text(key[0]);
    struct sought *sought = sqlite3_malloc(sizeof *sought);
    int code;

    if (sought == NULL) return fault(portal, SQLITE_NOMEM);
    memset(sought, 0, sizeof *sought);
    cursor->own = sought;
    if (text == NULL) return SQLITE_OK;
    code = statement_row(portal, &cursor->statement, of_id, "s", text);
    sought->found = code == SQLITE_ROW;
    if (code == SQLITE_DONE && sought_read(sought, text, setting_text(portal, SETTING_country_code))) {
        if (sought->born[0][0] != '\0') {
            code = statement_row(portal, &cursor->statement, of_birth, "ss", sought->born[0], sought->born[1]);
        } else {
            code = statement_row(portal, &cursor->statement, of_all, "");
        }
    }
    return table_scan(cursor, code);
}

static bool phone_matches(const struct sought *sought, const char *phone, const char *country)
{
    char own[CONTACT_SIZE];

    return contact_normalize_phone(phone, country, own) == NULL && strcmp(own, sought->phone) == 0;
}

static bool contact_matches(struct portal *portal, const struct sought *sought, sqlite3_stmt *row)
{
    const char *country = setting_text(portal, SETTING_country_code);
    char own[CONTACT_SIZE];

    if (*sought->email != '\0') {
        return contact_normalize_email(statement_string(row, EMAIL), own) == NULL && strcmp(own, sought->email) == 0;
    }
    return *sought->phone != '\0' && (phone_matches(sought, statement_string(row, CELL_PHONE), country) ||
                                      phone_matches(sought, statement_string(row, HOME_PHONE), country));
}

static enum likeness row_likeness(struct portal *portal, const struct sought *sought, sqlite3_stmt *row)
{
    if (sought->found || contact_matches(portal, sought, row)) return SAME;
    if (sought->name.count > 0) return name_likeness(sought, row);
    return sought->born[0][0] != '\0' ? SAME : UNLIKE;
}

int find_arrive(struct cursor *cursor, bool row)
{
    struct sought *sought = cursor->own;
    enum likeness likeness;

    if (!row) {
        sqlite3_free(cursor->own);
        cursor->own = NULL;
        return SQLITE_OK;
    }
    likeness = row_likeness(cursor->portal, sought, cursor->statement);
    sought->exact = likeness == SAME;
    return likeness == UNLIKE ? TABLE_SKIP : SQLITE_OK;
}

int find_column(struct cursor *cursor, sqlite3_context *context, int column)
{
    enum { PATIENT_ID, NAME, EXACT = 5 };
    const struct sought *sought = cursor->own;
    sqlite3_stmt *row = cursor->statement;

    if (column == NAME) {
        char *name = sqlite3_mprintf("%s %s", statement_string(row, FIRST), statement_string(row, LAST));
        if (name == NULL) return fault(cursor->portal, SQLITE_NOMEM);
        sqlite3_result_text(context, name, -1, sqlite3_free);
    } else if (column == EXACT) {
        sqlite3_result_int(context, sought->exact);
    } else {
        table_result(context, row, column == PATIENT_ID ? ID : column + 1);
    }
    return SQLITE_OK;
}
