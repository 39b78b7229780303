#include "terminal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH_UNKNOWN = 80, WIDTH_MOST = 10000 };

void terminal_begin(void)
{
    for (int file = STDIN_FILENO; file <= STDERR_FILENO; file++) {
        if (fcntl(file, F_GETFD) < 0) (void)open("/dev/null", file == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    }
}

bool terminal_is(FILE *file)
{
    return isatty(fileno(file)) != 0;
}

bool terminal_moves(FILE *file)
{
    const char *kind = getenv("TERM");

    return terminal_is(file) && kind != NULL && *kind != '\0' && strcmp(kind, "dumb") != 0;
}

bool terminal_colours(FILE *file)
{
    const char *plain = getenv("NO_COLOR");

    return terminal_moves(file) && (plain == NULL || *plain == '\0');
}

int terminal_width(FILE *file)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size;
    long width = columns == NULL ? 0 : strtol(columns, NULL, 10);

    if (width <= 0 && ioctl(fileno(file), TIOCGWINSZ, &size) == 0) width = size.ws_col;
    return width > 0 && width < WIDTH_MOST ? (int)width : WIDTH_UNKNOWN;
}
