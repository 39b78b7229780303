#include "value.h"

static sqlite3_int64 wide_integer(struct input *input)
{
    uint64_t high = input_number(input, 4);

    return (sqlite3_int64)(high << 32 | input_number(input, 4));
}

/* Every bit pattern: infinities and what SQLite makes of NaN too. */
static double any_double(struct input *input)
{
    sqlite3_int64 bits = wide_integer(input);
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A length, then as many bytes: zero bytes and what is no UTF-8 among them. */
static int bind_bytes(sqlite3_stmt *statement, int parameter, struct input *input, bool text)
{
    size_t wanted = input_byte(input);
    size_t length = wanted < input->left ? wanted : input->left;
    const char *bytes = length == 0 ? "" : (const char *)input->at;
    int code = text ? sqlite3_bind_text(statement, parameter, bytes, (int)length, SQLITE_TRANSIENT)
                    : sqlite3_bind_blob(statement, parameter, bytes, (int)length, SQLITE_TRANSIENT);

    input->at += length;
    input->left -= length;
    return code;
}

/* One character, up to 65535 times. */
static int bind_long(sqlite3_stmt *statement, int parameter, struct input *input)
{
    int length = (int)input_number(input, 2);
    char *text = malloc((size_t)length + 1);
    int code;

    if (text == NULL) abort();
    memset(text, input_byte(input), (size_t)length + 1);
    code = sqlite3_bind_text(statement, parameter, text, length, SQLITE_TRANSIENT);
    free(text);
    return code;
}

static int bind_line(sqlite3_stmt *statement, int parameter, struct input *input)
{
    return sqlite3_bind_text(statement, parameter, input_text(input), -1, free);
}

void value_bind(sqlite3_stmt *statement, int parameter, struct input *input)
{
    enum { RIGHT, SMALL, WIDE, DOUBLE, WHOLE, LINE, TEXT, BLOB, ZEROS, LONG, POINTER, NOTHING, KINDS };
    static const sqlite3_int64 edges[] = {INT64_MIN, INT32_MIN, -1, 0, INT32_MAX, UINT32_MAX, INT64_MAX};
    int code = SQLITE_OK;

    switch (input_byte(input) % KINDS) {
    case RIGHT: practice_bind_right(statement, parameter, input_byte(input)); break;
    case SMALL: code = sqlite3_bind_int64(statement, parameter, (int8_t)input_byte(input)); break;
    case WIDE: code = sqlite3_bind_int64(statement, parameter, wide_integer(input)); break;
    case DOUBLE: code = sqlite3_bind_double(statement, parameter, any_double(input)); break;
    case WHOLE: code = sqlite3_bind_double(statement, parameter, (double)edges[input_byte(input) % 7]); break;
    case LINE: code = bind_line(statement, parameter, input); break;
    case TEXT: code = bind_bytes(statement, parameter, input, true); break;
    case BLOB: code = bind_bytes(statement, parameter, input, false); break;
    case ZEROS: code = sqlite3_bind_zeroblob(statement, parameter, (int)input_number(input, 2)); break;
    case LONG: code = bind_long(statement, parameter, input); break;
    case POINTER: code = sqlite3_bind_pointer(statement, parameter, input, "another_api", NULL); break;
    default: code = sqlite3_bind_int64(statement, parameter, edges[input_byte(input) % 7]); break;
    }
    REQUIRE_TELL(code == SQLITE_OK, "binding: %s", sqlite3_errstr(code));
}
