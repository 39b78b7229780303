#!/bin/sh
# Writes the C source that holds files as NUL-terminated byte arrays, known by their paths below a folder.
# Usage: ext/embed.sh NAME FOLDER FILE... > NAME.c
set -eu
name=$1 folder=$2
shift 2

echo "#include \"$name.h\""
echo '#include <stddef.h>'
echo '#include <string.h>'
number=0
for file in "$@"; do
    echo "static const char text_${number}[] = {"
    od -An -v -td1 "$file" | sed 's/ *\(-\{0,1\}[0-9][0-9]*\)/\1,/g'
    echo '0};'
    number=$((number + 1))
done
echo "const struct $name ${name}_files[] = {"
number=0
for file in "$@"; do
    echo "    {\"${file#"$folder"/}\", text_$number},"
    number=$((number + 1))
done
cat <<END
    {NULL, NULL}
};
const char *${name}_find(const char *name)
{
    for (const struct $name *file = ${name}_files; file->name != NULL; file++) {
        if (strcmp(file->name, name) == 0) return file->text;
    }
    return NULL;
}
END
