/* Where each path leads, and what is no page there. */
#include "pages.h"

#include <string.h>

static void health(struct exchange *exchange, struct desk *desk)
{
    cJSON *practice = NULL;
    int code = desk_ask(desk, ASK_PRACTICE, &practice, NULL);

    cJSON_Delete(practice);
    exchange->status = code == SQLITE_OK ? 200 : UNAVAILABLE;
    exchange->type = "text/plain; charset=utf-8";
    exchange->body = sqlite3_mprintf("%s\n", code == SQLITE_OK ? "ok" : sqlite3_errmsg(desk->db));
}

/* A provider's report, or a patient's reply.  It looks at the status alone; what it may repeat, it repeats after 503. */
static void callback(struct exchange *exchange, struct desk *desk)
{
    static const struct { const char *result; int status; } results[] = {
        {"taken", 200}, {"refused", FORBIDDEN}, {"unknown", NOT_FOUND},
    };
    const char *texts[] = {exchange->rest, exchange->callback.query, exchange->callback.headers, exchange->callback.body};
    cJSON *answer = NULL;
    int code = desk_ask(desk, ASK_CALLBACK, &answer, texts);

    if (code == SQLITE_OK) {
        for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
            if (strcmp(page_answered(answer, "result"), results[i].result) == 0) exchange->status = results[i].status;
        }
        exchange->body = sqlite3_mprintf("");
    } else {
        page_failed(exchange, desk, code);
    }
    cJSON_Delete(answer);
}

static const struct route routes[] = {
    {"GET", "/", 0, page_home},
    {"GET", "/r/", 0, page_open_link},
    {"GET", "/register", 0, page_landing},
    {"GET", "/register/who", 0, page_who},
    {"POST", "/register/who", ROUTE_WAITS, page_prove},
    {"GET", "/register/account", 0, page_account},
    {"POST", "/register/account", ROUTE_WAITS, page_enroll_patient},
    {"GET", "/register/representative", 0, page_account_representative},
    {"POST", "/register/representative", ROUTE_WAITS, page_enroll_representative},
    {"GET", "/register/done", 0, page_done},
    {"GET", "/sign-in", 0, page_sign_in_form},
    {"POST", "/sign-in", ROUTE_WAITS, page_sign_in},
    {"POST", "/sign-out", ROUTE_WAITS, page_sign_out},
    {"GET", "/patients", ROUTE_WAITS, page_list_patients},
    {"GET", "/demographics", ROUTE_WAITS, page_demographics},
    {"POST", "/demographics", ROUTE_WAITS, page_submit},
    {"GET", "/forgot", 0, page_forgot_form},
    {"POST", "/forgot", ROUTE_WAITS, page_forgot},
    {"GET", "/p/", 0, page_open_reset},
    {"GET", "/reset", 0, page_reset_form},
    {"POST", "/reset", ROUTE_WAITS, page_reset},
    {"GET", "/style.css", 0, page_style},
    {"GET", "/icon.svg", 0, page_icon},
    {"GET", "/healthz", 0, health},
    {"GET", "/callback/", ROUTE_WAITS | ROUTE_PROGRAM, callback},
    {"POST", "/callback/", ROUTE_WAITS | ROUTE_PROGRAM, callback},
};

/* HEAD is GET without the body, which the web server leaves out. */
const struct route *route_find(const char *method, const char *path, const char **methods)
{
    static const char *const sets[] = {NULL, "GET, HEAD", "POST", "GET, HEAD, POST"};
    const struct route *found = NULL;
    unsigned set = 0;

    if (strcmp(method, "HEAD") == 0) method = "GET";
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        size_t length = strlen(routes[i].path);
        bool more = length > 1 && routes[i].path[length - 1] == '/';
        if (more ? strncmp(path, routes[i].path, length) != 0 : strcmp(path, routes[i].path) != 0) continue;
        if (strcmp(routes[i].method, method) == 0) found = &routes[i];
        set |= strcmp(routes[i].method, "GET") == 0 ? 1 : 2;
    }
    *methods = sets[set];
    return found;
}
