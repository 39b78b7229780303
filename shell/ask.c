#include "ask.h"

#include "terminal.h"

#include <stdio.h>
#include <string.h>

bool ask_can(void)
{
    return terminal_is(stdin) && terminal_is(stderr);
}

bool ask_line(const char *question, char *answer, size_t size)
{
    (void)fputs(question, stderr);
    (void)fflush(stderr);
    if (fgets(answer, (int)size, stdin) == NULL) {
        (void)fputc('\n', stderr);
        return false;
    }
    /* What is longer than any answer is one answer, too. */
    if (strchr(answer, '\n') == NULL) {
        for (int rest = getchar(); rest != EOF && rest != '\n';) rest = getchar();
    }
    answer[strcspn(answer, "\r\n")] = '\0';
    return true;
}
