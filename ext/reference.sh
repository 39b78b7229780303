#!/bin/sh
# Prints a README with its reference made anew: what stands between the two marker lines comes from
# portal_help and portal_settings, asked through the sqlite3 shell, and from the comments of sql/.
# Usage: ext/reference.sh README.md
set -eu

ask() {
    sqlite3 -batch -init /dev/null -list -noheader :memory: \
        '.load build/portal' '.output /dev/null' 'SELECT portal_init()' '.output stdout' "$1"
}

functions() {
    ask "SELECT format('- **\`%s\`** gives %s.%s  %s *%s%s.*', usage, result, char(10), description,
                       applications, iif(kind LIKE '%insert%', '; also a table to insert into', ''))
           FROM portal_help WHERE kind LIKE 'function%'"
}

tables() {
    ask "SELECT format('- **\`%s\`**: %s *%s.*%s  Columns: \`%s\`', usage, description, applications,
                       char(10), result)
           FROM portal_help WHERE kind = 'table'"
}

settings() {
    echo '| setting | default | meaning |'
    echo '|---|---|---|'
    ask "SELECT format('| \`%s\` | %s | %s |', key, iif(default_value = '', '', '\`' || default_value || '\`'),
                       description) FROM portal_settings"
}

# CREATE TABLE statements as Markdown: the comment under the name, then a row for each column.
columns() {
    awk '
        function flush_note() {
            if (note != "") printf "\n%s\n", note
            if (note_open) print "\n| column | type | meaning |\n|---|---|---|"
            note = ""; note_open = 0
        }
        /^CREATE TABLE/ {
            name = $0; sub(/^CREATE TABLE (IF NOT EXISTS )?main\./, "", name); sub(/ .*/, "", name)
            printf "\n#### `%s`\n", name
            inside = 1; note_open = 1; next
        }
        inside && /^\)/ { inside = 0; next }
        inside && /^ +--/ && note_open { sub(/^ +-- ?/, ""); note = note (note == "" ? "" : " ") $0; next }
        inside && /^ +(PRIMARY KEY|UNIQUE|CHECK|FOREIGN)/ { next }
        inside {
            if (note_open) flush_note()
            line = $0; meaning = ""
            at = index(line, "--")
            if (at > 0) { meaning = substr(line, at + 2); line = substr(line, 1, at - 1) }
            gsub(/^ +| +$/, "", meaning); gsub(/^ +| +$/, "", line); sub(/,$/, "", line)
            column = line; sub(/ .*/, "", column)
            type = line; sub(/^[^ ]+ */, "", type)
            printf "| `%s` | %s | %s |\n", column, type, meaning
        }' "$1"
}

views() {
    awk '
        /^CREATE VIEW/ { name = $6; sub(/^main\./, "", name); next }
        name != "" && /^--/ { sub(/^-- */, ""); printf "- **`%s`**: %s\n", name, $0; name = "" }' "$1"
}

reference() {
    printf '### Functions\n\n'
    functions
    printf '\n### Tables to read and to update\n\n'
    tables
    printf '\n### Views\n\n'
    views sql/views.sql
    printf '\n### Settings\n\n'
    settings
    printf '\n### Plain tables\n\nTimes are INTEGER seconds UTC.\n'
    columns sql/schema.sql
    printf '\nThe patient table that `portal_init()` adds to a database without any table:\n'
    columns sql/patient.sql
}

sed "/^<!-- reference: begin/q" "$1"
echo
reference
echo
sed -n '/^<!-- reference: end/,$p' "$1"
