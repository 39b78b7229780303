#!/bin/sh
# Writes the C source that holds the given files of sql/ as NUL-terminated byte arrays.
# Usage: ext/embed.sh FILE... > embedded.c
set -eu

echo '#include "embedded.h"'
echo '#include <stddef.h>'
echo '#include <string.h>'
number=0
for file in "$@"; do
    echo "static const char text_$number[] = {"
    od -An -v -td1 "$file" | sed 's/ *\(-\{0,1\}[0-9][0-9]*\)/\1,/g'
    echo '0};'
    number=$((number + 1))
done
echo 'const struct embedded embedded_files[] = {'
number=0
for file in "$@"; do
    echo "    {\"${file#sql/}\", text_$number},"
    number=$((number + 1))
done
cat <<'END'
    {NULL, NULL}
};
const char *embedded_find(const char *name)
{
    for (const struct embedded *file = embedded_files; file->name != NULL; file++) {
        if (strcmp(file->name, name) == 0) return file->text;
    }
    return NULL;
}
END
