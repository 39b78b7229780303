/* Any text as a password, user name and names. */
#include "../../ext/calendar.h"
#include "../../ext/normalize.h"
#include "../../ext/password.h"
#include "fuzz.h"

const char fuzz_claim[] = "a password that is accepted can be hashed and is the only one that fits its hash";

/* A password of 8 to 128 code points that is none of the names it must not be. */
static void accepted(const char *password, const struct password_context *context)
{
    char hash[PASSWORD_HASH_SIZE];
    char normal[NORMALIZE_SIZE];
    char other[NORMALIZE_SIZE];
    long points;

    REQUIRE(normalize_password(password, normal, sizeof normal) == 0);
    points = normalize_code_points(normal);
    REQUIRE(points >= PASSWORD_MIN && points <= PASSWORD_MAX);
    REQUIRE(strcmp(password, context->date_of_birth) != 0 || !calendar_is_date(password));
    REQUIRE(password_hash(password, hash) == 0);
    REQUIRE(password_verify(password, hash) && !password_verify(password, NULL));
    REQUIRE(password_verify(normal, hash));
    (void)snprintf(other, sizeof other, "%.500s.", normal);
    REQUIRE(!password_verify(other, hash));
    REQUIRE(!password_needs_rehash(hash));
}

/* Password, user name, first name, last name, date of birth, practice's name, a hash. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    char name[NORMALIZE_SIZE];
    char *text[7];
    struct password_context context;

    for (int i = 0; i < 7; i++) text[i] = input_text(&input);
    context = (struct password_context){text[1], text[2], text[3], text[4], text[5]};
    if (password_problem(text[0], &context) == NULL) accepted(text[0], &context);
    if (normalize_username(text[1], name, sizeof name) == 0 && name[0] != '\0') {
        REQUIRE_TELL(password_problem(text[1], &context) != NULL, "the user name %s", text[1]);
    }
    (void)password_verify(text[0], text[6]);
    for (int i = 0; i < 7; i++) free(text[i]);
    return 0;
}
