/* Any bytes as what a browser, or somebody else, sends to the pages; over a connection of its own. */
#include "../../page/http.h"
#include "../../page/listener.h"
#include "../../page/view.h"
#include "practice.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

const char fuzz_claim[] = "whatever is sent to the pages, each answer is whole, safe and nothing but ours, and the next is answered";

enum { ANSWER_SIZE = 262144, REQUEST_SIZE = 20000, SILENCE_MILLISECONDS = 5, PATIENCE_MILLISECONDS = 300, WORLD_INPUTS = 200 };

static char database[60];
static char secrets[4][65];
static struct http_options options = {.posts_per_minute = 1000000000, .patience_seconds = 5, .log = NULL};
static int port;

/* The practice as it was takes the place of what inputs have made of it, as a restored copy does. */
static void database_renew(void)
{
    size_t size;
    const uint8_t *image = practice_image(&size);
    char new[70];
    int file;

    (void)snprintf(new, sizeof new, "%s-new", database);
    file = open(new, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    REQUIRE(file >= 0 && write(file, image, size) == (ssize_t)size && close(file) == 0);
    REQUIRE(rename(new, database) == 0);
}

static void database_remove(void)
{
    (void)unlink(database);
}

/* What the practice's people know, and so may be in a request as \1 to \4. */
static void secrets_read(void)
{
    sqlite3 *db = practice_open();
    sqlite3_stmt *statement = NULL;

    REQUIRE(sqlite3_prepare_v2(db, "SELECT :token, :reset, :session, :pin", -1, &statement, NULL) == SQLITE_OK);
    practice_bind_named(statement);
    REQUIRE(sqlite3_step(statement) == SQLITE_ROW);
    for (int i = 0; i < 4; i++) (void)snprintf(secrets[i], sizeof secrets[i], "%s", (const char *)sqlite3_column_text(statement, i));
    (void)sqlite3_finalize(statement);
    practice_close(db);
}

static void begin(void)
{
    char problem[PROBLEM_SIZE] = "";
    const char *why = "";

    if (port != 0) return;
    (void)snprintf(database, sizeof database, "pages-%ld.db", (long)getpid());
    database_renew();
    REQUIRE(atexit(database_remove) == 0);
    secrets_read();
    REQUIRE(view_begin() && proxies_read(&options.proxies, "127.0.0.1") == 0);
    options.database = database;
    options.socket = listener_open("127.0.0.1:0", &why);
    REQUIRE_TELL(options.socket >= 0, "%s", why);
    REQUIRE_TELL(http_start(&options, problem) != NULL, "%s", problem);
    port = listener_port(options.socket);
}

/* What bytes answer; the connection is ended when nothing comes any more. */
static void ask(const char *request, size_t size, char *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct pollfd readable = {.fd = socket(AF_INET, SOCK_STREAM, 0), .events = POLLIN};
    ssize_t length = 1;
    size_t total = 0;

    REQUIRE(readable.fd >= 0 && connect(readable.fd, (struct sockaddr *)&address, sizeof address) == 0);
    (void)send(readable.fd, request, size, MSG_NOSIGNAL);
    (void)shutdown(readable.fd, SHUT_WR);
    while (length > 0 && total < ANSWER_SIZE - 1 && poll(&readable, 1, total == 0 ? PATIENCE_MILLISECONDS : SILENCE_MILLISECONDS) > 0) {
        length = read(readable.fd, answer + total, ANSWER_SIZE - 1 - total);
        total += length > 0 ? (size_t)length : 0;
    }
    (void)close(readable.fd);
    answer[total] = '\0';
}

/* \1 to \4 are secrets, \5 the length of the body. */
static size_t expand(const uint8_t *data, size_t size, char *out)
{
    const uint8_t *blank = size == 0 ? NULL : memmem(data, size, "\r\n\r\n", 4);
    size_t body = 0;
    size_t length = 0;

    for (int pass = 0; pass < 2; pass++) {
        size_t start = 0;
        length = 0;
        for (size_t i = 0; i < size && length < REQUEST_SIZE - 70; i++) {
            if (blank != NULL && data + i == blank + 4) start = length;
            if (data[i] >= 1 && data[i] <= 4) length += (size_t)snprintf(out + length, 65, "%s", secrets[data[i] - 1]);
            else if (data[i] == 5) length += (size_t)snprintf(out + length, 21, "%zu", body);
            else out[length++] = (char)data[i];
        }
        body = start == 0 ? 0 : length - start;
    }
    return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char request[REQUEST_SIZE], answer[ANSWER_SIZE];
    static unsigned count;
    size_t length;

    begin();
    if (++count % WORLD_INPUTS == 0) database_renew();
    length = expand(data, size, request);
    ask(request, length, answer);
    REQUIRE_TELL(*answer == '\0' || strncmp(answer, "HTTP/1.1 ", 9) == 0, "%s", answer);
    REQUIRE_TELL(strstr(answer, "<evil") == NULL && strstr(answer, "\r\nevil:") == NULL, "%s", answer);
    REQUIRE_TELL(strstr(answer, "HTTP/1.1 500") == NULL, "%s", answer);
    if (count % WORLD_INPUTS == 1) {
        static const char good[] = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        ask(good, sizeof good - 1, answer);
        REQUIRE_TELL(strstr(answer, "\r\n\r\nok\n") != NULL, "%s", answer);
    }
    return 0;
}
