#include "ask.h"

#include <string.h>

int sqlite3_portal_init(sqlite3 *db, char **error, const sqlite3_api_routines *routines);

/* A patient is named in JSON, for a table may have both 42 and "42".  What names none is answered with NULL. */
static const char *const questions[ASK_COUNT] = {
    [ASK_SERVE] = "SELECT portal_as('portal', ?)",
    [ASK_PRACTICE] = "SELECT portal_practice()",
    [ASK_TOKEN_STATUS] = "SELECT token_status(?)",
    [ASK_PIN] = "SELECT request_pin(?, ?, ?)",
    [ASK_REGISTER_PATIENT] = "SELECT register_patient(?, ?, ?, ?)",
    [ASK_REGISTER_REPRESENTATIVE] = "SELECT register_representative(?, ?, ?, ?, ?, ?)",
    [ASK_LOGIN] = "SELECT portal_login(?, ?)",
    [ASK_SESSION] = "SELECT portal_session(?)",
    [ASK_LOGOUT] = "SELECT portal_logout(?)",
    [ASK_DEMOGRAPHICS] = "SELECT iif(typeof(nullif(iif(json_valid(?2), json_extract(?2, '$'), ''), '')) IN ('integer', 'text'), portal_demographics(?1, json_extract(?2, '$')), NULL)",
    [ASK_SUBMIT] = "SELECT iif(typeof(nullif(iif(json_valid(?2), json_extract(?2, '$'), ''), '')) IN ('integer', 'text'), submit_demographics(?1, json_extract(?2, '$'), ?3), NULL)",
    [ASK_FORGOT] = "SELECT forgot_password(?)",
    [ASK_RESET] = "SELECT reset_password(?, ?)",
    [ASK_CALLBACK] = "SELECT portal_callback(?, ?, ?, ?)",
};

void desk_begin(struct desk *desk, const char *database, int patience)
{
    *desk = (struct desk){.database = database, .patience = patience};
}

void desk_close(struct desk *desk)
{
    for (int i = 0; i < ASK_COUNT; i++) (void)sqlite3_finalize(desk->statement[i]);
    cJSON_Delete(desk->practice);
    (void)sqlite3_close_v2(desk->db);
    desk_begin(desk, desk->database, desk->patience);
}

static int desk_open(struct desk *desk)
{
    int code = sqlite3_auto_extension((void (*)(void))sqlite3_portal_init);

    if (code == SQLITE_OK) {
        code = sqlite3_open_v2(desk->database, &desk->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    }
    if (code == SQLITE_OK) code = sqlite3_busy_timeout(desk->db, desk->patience);
    desk->open = code == SQLITE_OK;
    return code;
}

/* A restored copy, say: what would be written to the file of before were lost. */
static bool has_moved(struct desk *desk)
{
    struct timespec now = {0, 0};
    int moved = 0;

    /* Where nothing is written, once a second is often enough. */
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    if (desk->reads && now.tv_sec == desk->looked_at) return false;
    desk->looked_at = now.tv_sec;
    return sqlite3_file_control(desk->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved != 0;
}

int desk_serve(struct desk *desk, const char *client)
{
    const char *texts[] = {client};
    cJSON *answer = NULL;
    int code = SQLITE_OK;

    desk->looked = desk->busy = false;
    if (!desk->open || has_moved(desk)) {
        desk_close(desk);
        code = desk_open(desk);
    }
    if (code != SQLITE_OK || strcmp(desk->client, client) == 0) return code;
    code = desk_ask(desk, ASK_SERVE, &answer, texts);
    cJSON_Delete(answer);
    (void)sqlite3_snprintf(sizeof desk->client, desk->client, "%s", code == SQLITE_OK ? client : "");
    /* It may have been answered without the database. */
    desk->looked = false;
    return code;
}

/* What a call answers is JSON, or else a word or a number of its own. */
static cJSON *answer_read(sqlite3_stmt *statement)
{
    const char *text = (const char *)sqlite3_column_text(statement, 0);

    if (text == NULL) return NULL;
    return *text == '{' ? cJSON_Parse(text) : cJSON_CreateString(text);
}

int desk_ask(struct desk *desk, enum question question, cJSON **answer, const char *const *texts)
{
    sqlite3_stmt *statement = desk->statement[question];
    int code = SQLITE_OK;

    *answer = NULL;
    if (!desk->open) return SQLITE_CANTOPEN;
    if (statement == NULL) {
        code = sqlite3_prepare_v3(desk->db, questions[question], -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
        desk->statement[question] = statement;
    }
    for (int i = 0; code == SQLITE_OK && texts != NULL && i < sqlite3_bind_parameter_count(statement); i++) {
        /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): there are as many texts as places */
        code = sqlite3_bind_text(statement, i + 1, texts[i], -1, SQLITE_STATIC);
    }
    if (code != SQLITE_OK) return code;
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL) {
        *answer = answer_read(statement);
        code = *answer == NULL ? SQLITE_NOMEM : SQLITE_ROW;
    }
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    desk->looked = desk->looked || code == SQLITE_ROW;
    desk->busy = desk->busy || (code & 0xff) == SQLITE_BUSY;
    return code == SQLITE_ROW ? SQLITE_OK : code;
}

const cJSON *desk_practice(struct desk *desk)
{
    cJSON *practice = NULL;
    unsigned version = 0;

    /* When it can not be told now, it stays what it was. */
    if (!desk->open || desk->busy) return desk->practice;
    (void)sqlite3_file_control(desk->db, "main", SQLITE_FCNTL_DATA_VERSION, &version);
    if (desk->practice != NULL && desk->looked && version == desk->version) return desk->practice;
    if (desk_ask(desk, ASK_PRACTICE, &practice, NULL) == SQLITE_OK) {
        cJSON_Delete(desk->practice);
        desk->practice = practice;
        (void)sqlite3_file_control(desk->db, "main", SQLITE_FCNTL_DATA_VERSION, &desk->version);
    }
    return desk->practice;
}
