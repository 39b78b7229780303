/* Unit tests of ext/password.c. */
#include <sodium.h>
#include <time.h>

#include "../../ext/password.h"
#include "unit.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct password_context anna = {
    .username = "anna.nunez84",
    .first_name = "Anna Maria",
    .last_name = "N\u00FA\u00F1ez-O\u2019Brien",
    .date_of_birth = "1984-03-07",
    .practice_name = "Harbor Family Practice",
};

struct row {
    const char *password;
    const char *problem;
};

static void check_problems(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *problem = password_problem(rows[i].password, &anna);
        CHECK_FOR(rows[i].password, unit_same(problem, rows[i].problem));
    }
}

static void all_equal(const char *const *passwords, size_t count, const char *problem)
{
    for (size_t i = 0; i < count; i++) {
        CHECK_FOR(passwords[i], unit_same(password_problem(passwords[i], &anna), problem));
    }
}

static const char *repeat(char *out, const char *piece, size_t times)
{
    size_t length = strlen(piece);
    for (size_t i = 0; i < times; i++) memcpy(out + i * length, piece, length);
    out[times * length] = '\0';
    return out;
}

static void test_lengths(void)
{
    char text[8192];
    TEST("8 to 128 code points are accepted, whatever they are made of") {
        static const struct row rows[] = {
            {"", "password too short"},
            {"1234567", "password too short"},
            {"12345678", NULL},
            {"        ", NULL},
            {"--------", NULL},
            {"correct horse battery staple", NULL},
            {"\u00E9\u00E9\u00E9\u00E9\u00E9\u00E9\u00E9", "password too short"},
            {"\u00E9\u00E9\u00E9\u00E9\u00E9\u00E9\u00E9\u00E9", NULL},
            {"\U0001F600\U0001F601\U0001F602\U0001F603\U0001F604\U0001F605\U0001F606\U0001F607",
             NULL},
        };
        check_problems(rows, COUNT(rows));
        CHECK_TEXT(password_problem(repeat(text, "x", 128), &anna), NULL);
        CHECK_TEXT(password_problem(repeat(text, "x", 129), &anna), "password too long");
        CHECK_TEXT(password_problem(repeat(text, "\U0001F600", 128), &anna), NULL);
        CHECK_TEXT(password_problem(repeat(text, "\U0001F600", 129), &anna), "password too long");
    }
    TEST("code points are counted after composing") {
        CHECK_TEXT(password_problem(repeat(text, "e\u0301", 7), &anna), "password too short");
        CHECK_TEXT(password_problem(repeat(text, "e\u0301", 8), &anna), NULL);
        CHECK_TEXT(password_problem(repeat(text, "e\u0301", 128), &anna), NULL);
        CHECK_TEXT(password_problem(repeat(text, "\uFDFA", 8), &anna), "password too long");
    }
    TEST("a password too long to be read whole is too long") {
        CHECK_TEXT(password_problem(repeat(text, "x", 1025), &anna), "password too long");
        CHECK_TEXT(password_problem(repeat(text, "x", 8000), &anna), "password too long");
        CHECK_TEXT(password_problem(repeat(text, "\uFDFA", 300), &anna), "password too long");
    }
    TEST("a password that is not UTF-8 is not valid text") {
        CHECK_TEXT(password_problem("pass\xFFword", &anna), "password not valid text");
        CHECK_TEXT(password_problem("password\xC3", &anna), "password not valid text");
    }
}

static void test_context(void)
{
    TEST("a password equal to the user name is refused, however it is written") {
        static const char *const passwords[] = {"anna.nunez84", "ANNA.NUNEZ84", " anna.nunez84 ",
                                                "Anna.N\u00FA\u00F1ez84", "anna nunez 84"};
        all_equal(passwords, COUNT(passwords), "password equal to user name");
    }
    TEST("a password equal to a name is refused, however it is written") {
        static const char *const passwords[] = {
            "AnnaMaria", "anna-maria", "nunezobrien", "N\u00FA\u00F1ez O'Brien",
            "annamarianunezobrien", "Nunez-OBrien Anna Maria", "harbor family practice",
            "HarborFamilyPractice",
        };
        all_equal(passwords, COUNT(passwords), "password equal to name");
    }
    TEST("a password equal to the date of birth is refused in every usual order") {
        static const char *const passwords[] = {
            "19840307", "1984-03-07", "1984.03.07", "07031984", "03071984", "19840703", "03/07/1984",
            "07.03.1984", "7.3.1984", "3/7/1984", "1984-3-7", "3 / 7 / 84", "03/07/84",
            "07-03-84", "84/03/07",
            " 1984 03 07 ", "1984_03_07", "\uFF11\uFF19\uFF18\uFF14\uFF10\uFF13\uFF10\uFF17",
        };
        all_equal(passwords, COUNT(passwords), "password equal to date of birth");
    }
    TEST("a password that only has a name or a date in it is accepted") {
        static const char *const passwords[] = {
            "annamaria1", "xnunezobrien", "19840308", "19840307x", "x19840307", "198403071",
            "1984-03-07!", "harbor family", "1984030719840307",
        };
        all_equal(passwords, COUNT(passwords), NULL);
    }
    TEST("unknown context is no reason to refuse") {
        static const struct password_context none = {.username = NULL};
        static const struct password_context odd = {.username = "", .first_name = "-",
                                                    .last_name = "", .date_of_birth = "unknown",
                                                    .practice_name = "..."};
        CHECK_TEXT(password_problem("19840307", &none), NULL);
        CHECK_TEXT(password_problem("19840307", NULL), NULL);
        CHECK_TEXT(password_problem("--------", &odd), NULL);
        CHECK_TEXT(password_problem("        ", &odd), NULL);
        CHECK_TEXT(password_problem("19840307", &odd), NULL);
    }
    TEST("a name too long to be read whole equals no password") {
        char word[1200], text[1200];
        struct password_context longer = {.first_name = repeat(word, "x", 1100), .last_name = word,
                                          .username = word};
        CHECK_TEXT(password_problem(repeat(text, "x", 120), &longer), NULL);
    }
    TEST("one half of a name is compared when the other is missing") {
        static const struct password_context half = {.last_name = "Featherstone"};
        CHECK_TEXT(password_problem("featherstone", &half), "password equal to name");
    }
}

static void test_hashes(void)
{
    char hash[PASSWORD_HASH_SIZE], other[PASSWORD_HASH_SIZE], text[4200];
    TEST("a hash is Argon2id with the stated parameters and a salt of its own") {
        CHECK(password_hash("correct horse", hash) == 0);
        CHECK(password_hash("correct horse", other) == 0);
        CHECK(strncmp(hash, "$argon2id$v=19$m=19456,t=2,p=1$", 31) == 0);
        CHECK(strcmp(hash, other) != 0);
        CHECK(strstr(hash, "correct") == NULL);
    }
    TEST("the right password fits and no other does") {
        CHECK(password_verify("correct horse", hash));
        CHECK(password_verify("correct horse", other));
        CHECK(!password_verify("Correct horse", hash));
        CHECK(!password_verify("correct hors", hash));
        CHECK(!password_verify("correct horse ", hash));
        CHECK(!password_verify("", hash));
    }
    TEST("a password typed decomposed fits the hash of the composed one") {
        CHECK(password_hash("caf\u00E9 cr\u00E8me", hash) == 0);
        CHECK(password_verify("cafe\u0301 cre\u0300me", hash));
        CHECK(!password_verify("cafe creme", hash));
    }
    TEST("the whole of a long password counts") {
        repeat(text, "\U0001F600", 128);
        CHECK(password_hash(text, hash) == 0);
        CHECK(password_verify(text, hash));
        text[strlen(text) - 1] = '\x81';
        CHECK(!password_verify(text, hash));
    }
    TEST("what can not be normalised is not hashed and fits nothing") {
        memset(hash, '#', sizeof hash);
        CHECK(password_hash("pass\xFFword", hash) == -1);
        CHECK_TEXT(hash, "");
        CHECK(password_hash(repeat(text, "x", 1025), hash) == -1);
        CHECK_TEXT(hash, "");
        CHECK(password_hash("", hash) == 0);
        CHECK(password_verify("", hash));
        CHECK(!password_verify("pass\xFFword", hash));
        CHECK(!password_verify(text, hash));
    }
    TEST("no password fits a missing or damaged hash") {
        CHECK(!password_verify("correct horse", NULL));
        CHECK(!password_verify("", NULL));
        CHECK(!password_verify("correct horse", ""));
        CHECK(!password_verify("correct horse", "$argon2id$"));
    }
    TEST("only a hash made with other parameters needs a new one") {
        CHECK(password_hash("correct horse", hash) == 0);
        CHECK(!password_needs_rehash(hash));
        CHECK(crypto_pwhash_str(other, "x", 1, 3, 19456 * 1024) == 0);
        CHECK(password_needs_rehash(other));
        CHECK(crypto_pwhash_str(other, "x", 1, 2, 8192 * 1024) == 0);
        CHECK(password_needs_rehash(other));
        CHECK(password_needs_rehash(""));
    }
}

static double verify_seconds(const char *password, const char *hash)
{
    double best = 1e9;
    for (int i = 0; i < 3; i++) {
        clock_t start = clock();
        bool fits = password_verify(password, hash);
        double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        if (!fits && seconds < best) best = seconds;
    }
    return best;
}

static void test_timing(void)
{
    char hash[PASSWORD_HASH_SIZE];
    TEST("an unknown user name takes as long as a wrong password") {
        CHECK(password_hash("correct horse", hash) == 0);
        double wrong = verify_seconds("wrong horse", hash);
        double unknown = verify_seconds("wrong horse", NULL);
        double invalid = verify_seconds("wrong\xFFhorse", hash);
        /* Generous: what it must find is work left out, which is a factor of thousands. */
        CHECK(unknown > wrong / 4 && unknown < wrong * 4);
        CHECK(invalid > wrong / 4 && invalid < wrong * 4);
    }
}

int main(void)
{
    if (sodium_init() < 0) return 1;
    test_lengths();
    test_context();
    test_hashes();
    test_timing();
    return unit_result();
}
