/*
** The floor of the pages: libmicrohttpd's "hello" handler, with the flags, threads and limits of page/http.c, which
** answers every GET with the same bytes.  hello PORT SIZE THREADS, until its standard input ends.
*/
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECTIONS_MOST = 2000, CONNECTION_BYTES = 16384, PATIENCE_SECONDS = 20 };

struct hello {
    char *body;
    size_t size;
};

/* NOLINTBEGIN(readability-function-size,readability-non-const-parameter): as libmicrohttpd calls it */
static enum MHD_Result answer(void *data, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *size, void **state)
/* NOLINTEND(readability-function-size,readability-non-const-parameter) */
{
    const struct hello *hello = data;
    struct MHD_Response *response;
    enum MHD_Result result;

    (void)url, (void)method, (void)version, (void)upload, (void)size;
    /* The first call has the header alone. */
    if (*state == NULL) {
        *state = data;
        return MHD_YES;
    }
    response = MHD_create_response_from_buffer(hello->size, hello->body, MHD_RESPMEM_PERSISTENT);
    if (response == NULL) return MHD_NO;
    (void)MHD_add_response_header(response, "Content-Type", "text/html; charset=utf-8");
    result = MHD_queue_response(connection, 200, response);
    MHD_destroy_response(response);
    return result;
}

int main(int argc, char **argv)
{
    struct hello hello;
    struct MHD_Daemon *daemon;

    if (argc != 4) return 2;
    hello.size = strtoul(argv[2], NULL, 10);
    hello.body = malloc(hello.size + 1);
    if (hello.body == NULL) return 1;
    memset(hello.body, 'x', hello.size);
    daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC,
                              (uint16_t)strtoul(argv[1], NULL, 10), NULL, NULL, answer, &hello,
                              MHD_OPTION_THREAD_POOL_SIZE, (unsigned)strtoul(argv[3], NULL, 10),
                              MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MOST,
                              MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
                              MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)PATIENCE_SECONDS,
                              MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (daemon == NULL) return 1;
    (void)getchar();
    MHD_stop_daemon(daemon);
    free(hello.body);
    return 0;
}
