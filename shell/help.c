#include "command.h"
#include "tell.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char about[] =
    "portal [-d practice.db] COMMAND: registers patients of a medical practice for its patient portal\n"
    "portal practice.db: the sqlite3 shell with all of it loaded\n";

static void upper(const char *name)
{
    for (; *name != '\0'; name++) (void)putchar(toupper((unsigned char)*name));
}

static void option_usage(const struct parameter *option)
{
    (void)printf(" %s--%s%s%s%s", option->required ? "" : "[", option->name, option->kind == FLAG ? "" : " ",
                 value_kinds[option->kind].name, option->required ? "" : "]");
}

static void usage_write(const struct command *command)
{
    (void)printf("portal %s", command->name);
    for (const struct parameter *argument = command->arguments; argument->name != NULL; argument++) {
        (void)fputs(argument->required ? " " : " [", stdout);
        upper(argument->name);
        if (!argument->required) (void)putchar(']');
    }
    for (const struct parameter *option = command->options; option->name != NULL; option++) option_usage(option);
    (void)putchar('\n');
}

enum { NAME_SIZE = 60, NAME_LEAST = 20 };

/* As it is typed, "--paper PAPER"; its length. */
static int parameter_name(const struct parameter *parameter, bool option, char out[NAME_SIZE])
{
    return snprintf(out, NAME_SIZE, "%s%s%s%s", option ? "--" : "", parameter->name,
                    option && parameter->kind != FLAG ? " " : "", option ? value_kinds[parameter->kind].name : "");
}

static void parameters_write(const struct parameter *parameters, bool options)
{
    int width = NAME_LEAST;
    char name[NAME_SIZE];

    for (const struct parameter *each = parameters; each->name != NULL; each++) {
        int length = parameter_name(each, options, name);
        if (length > width) width = length;
    }
    for (; parameters->name != NULL; parameters++) {
        (void)parameter_name(parameters, options, name);
        (void)printf("  %-*s %s\n", width, name, parameters->description);
    }
}

int help_show(const struct command *command)
{
    if (command != NULL) {
        usage_write(command);
        (void)printf("%s.%s%s\n", command->summary, command->text == NULL ? "" : " ",
                     command->text == NULL ? "" : command->text);
        parameters_write(command->arguments, false);
        parameters_write(command->options, true);
        return output_end(stdout);
    }
    (void)printf("%s\n", about);
    for (command = commands; command->name != NULL; command++) {
        (void)printf("  %-12s %s\n", command->name, command->summary);
    }
    (void)puts("\nWith every command:");
    parameters_write(general_options, true);
    return output_end(stdout);
}

/* What the build writes into files. */
static int made_write(struct invocation *invocation, bool *made)
{
    static const struct { const char *option; void (*write)(void); } rows[] = {
        {"man", manual_write}, {"bash", completion_bash}, {"zsh", completion_zsh},
    };

    *made = true;
    if (command_value(invocation, "reference") != NULL) return reference_write(invocation);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (command_value(invocation, rows[i].option) == NULL) continue;
        rows[i].write();
        return output_end(stdout);
    }
    *made = false;
    return EXIT_DONE;
}

int help_run(struct invocation *invocation)
{
    const char *name = command_value(invocation, "command");
    const struct command *command = name == NULL ? NULL : command_find(name);
    bool made;
    int code = made_write(invocation, &made);

    if (made) return code;
    if (command != NULL || name == NULL) return help_show(command);
    return tell(EXIT_USAGE, "there is no command %s; see portal help", name);
}
