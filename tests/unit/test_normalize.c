/* Unit tests of ext/normalize.c. */
#include <sodium.h>
#include <stdlib.h>
#include <utf8proc.h>

#include "../../ext/normalize.h"
#include "unit.h"

typedef int normalizer(const char *text, char *out, size_t size);

static const struct {
    const char *label;
    normalizer *normalize;
} normalizers[] = {
    {"name", normalize_name},
    {"username", normalize_username},
    {"password", normalize_password},
    {"lower", normalize_lower},
};

enum { NORMALIZER_COUNT = sizeof normalizers / sizeof normalizers[0] };

struct pair {
    const char *left;
    const char *right;
};

static void check_same(normalizer *normalize, const struct pair *pairs, size_t count)
{
    char left[NORMALIZE_SIZE], right[NORMALIZE_SIZE];
    for (size_t i = 0; i < count; i++) {
        CHECK_FOR(pairs[i].left, normalize(pairs[i].left, left, sizeof left) == 0);
        CHECK_FOR(pairs[i].right, normalize(pairs[i].right, right, sizeof right) == 0);
        CHECK_TEXT(left, right);
    }
}

static void check_results(normalizer *normalize, const struct pair *pairs, size_t count)
{
    char out[NORMALIZE_SIZE];
    for (size_t i = 0; i < count; i++) {
        CHECK_FOR(pairs[i].left, normalize(pairs[i].left, out, sizeof out) == 0);
        CHECK_TEXT(out, pairs[i].right);
    }
}

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void test_names(void)
{
    TEST("a name is compared without case, marks, spaces, hyphens and apostrophes") {
        static const struct pair pairs[] = {
            {"O\u2019Brien-N\u00FA\u00F1ez", "obriennunez"},
            {"obrien nunez", "obriennunez"},
            {"  Mary  Ann ", "maryann"},
            {"St. John", "stjohn"},
            {"D`Angelo", "dangelo"},
            {"D\u00B4Angelo", "dangelo"},
            {"Jean\u2010Luc", "jeanluc"},
            {"Jean\u2011Luc", "jeanluc"},
            {"Jean\u2013Luc", "jeanluc"},
            {"Jean\u2212Luc", "jeanluc"},
            {"Ka\u02BBahumanu", "kaahumanu"},
            {"O\u02BCNeill", "oneill"},
            {"O\u2032Neill", "oneill"},
            {"O\uFF07Neill", "oneill"},
            {"Mar\u00E7al\u00A0Gal\u00B7la", "marcalgalla"},
            {"a\tb\nc", "abc"},
            {"", ""},
            {"-", ""},
            {"\u2019", ""},
        };
        check_results(normalize_name, pairs, COUNT(pairs));
    }
    TEST("a name is the same whether its accents are composed or typed after the letters") {
        static const struct pair pairs[] = {
            {"Nu\u0301n\u0303ez", "N\u00FA\u00F1ez"},
            {"Nguye\u0302\u0303n", "Nguy\u1EC5n"},
            {"Ho\u031Ba\u0300ng", "H\u01A1\u00E0ng"},
            {"\u1112\u1161\u11AB", "\uD55C"},
            {"\u03B1\u0345", "\u1FB3"},
            {"\u0627\u0653", "\u0622"},
        };
        check_same(normalize_name, pairs, COUNT(pairs));
        check_same(normalize_username, pairs, COUNT(pairs));
    }
    TEST("letters that are written in several ways are compared as one") {
        static const struct pair pairs[] = {
            {"STRASSE", "Stra\u00DFe"},
            {"STRA\u1E9EE", "stra\u00DFe"},
            {"\uFB01ona", "Fiona"},
            {"\uFF33\uFF4D\uFF49\uFF54\uFF48", "smith"},
            {"\u039F\u0394\u03A5\u03A3\u03A3\u0395\u03A5\u03A3",
             "\u03BF\u03B4\u03C5\u03C3\u03C3\u03B5\u03C5\u03C2"},
            {"\u0130brahim", "ibrahim"},
            {"YILMAZ", "Y\u0131lmaz"},
            {"\uFF76\uFF9E", "\u30AB"},
            {"\u212Aelvin", "kelvin"},
        };
        check_same(normalize_name, pairs, COUNT(pairs));
        check_same(normalize_username, pairs, COUNT(pairs));
    }
    TEST("letters that have no decomposition stay as they are, in lower case") {
        static const struct pair pairs[] = {
            {"S\u00D8REN", "s\u00F8ren"},
            {"\u0141ukasz", "\u0142ukasz"},
            {"\u0110\u1EB7ng", "\u0111ang"},
            {"\u00C6sa", "\u00E6sa"},
        };
        check_results(normalize_name, pairs, COUNT(pairs));
    }
    TEST("invisible characters in a name count for nothing") {
        static const struct pair pairs[] = {
            {"an\u200Bna", "anna"},  {"\uFEFFanna", "anna"}, {"an\u00ADna", "anna"},
            {"\u202Eanna\u202C", "anna"}, {"an\u2060na", "anna"}, {"an\u3164na", "anna"},
            {"an\uFE0Fna", "anna"},  {"an\u200Dna", "anna"},
        };
        check_results(normalize_name, pairs, COUNT(pairs));
        check_results(normalize_username, pairs, COUNT(pairs));
    }
    TEST("different names stay different") {
        static const struct pair pairs[] = {
            {"Smith", "Smyth"}, {"\u738B", "\u6C6A"}, {"Ann", "Anne"}, {"\u0627\u062D\u0645\u062F",
            "\u062D\u0645\u062F"}, {"M\u00FCller", "Mueller"},
        };
        char left[NORMALIZE_SIZE], right[NORMALIZE_SIZE];
        for (size_t i = 0; i < COUNT(pairs); i++) {
            CHECK(normalize_name(pairs[i].left, left, sizeof left) == 0);
            CHECK(normalize_name(pairs[i].right, right, sizeof right) == 0);
            CHECK_FOR(pairs[i].left, strcmp(left, right) != 0);
        }
    }
}

static void test_usernames_and_passwords(void)
{
    TEST("a user name keeps its inner spaces, hyphens, full stops and apostrophes") {
        static const struct pair pairs[] = {
            {"  Mary.Ann-O'Neil ", "mary.ann-o'neil"},
            {"mary ann", "mary ann"},
            {"\tanna\n", "anna"},
            {"\u00A0Zo\u00EB\u3000", "zoe"},
            {"\u200B Zo\u00EB \u200B", "zoe"},
            {"   ", ""},
            {"\u3000", ""},
        };
        check_results(normalize_username, pairs, COUNT(pairs));
    }
    TEST("a password is composed and changed in no other way") {
        static const struct pair pairs[] = {
            {"  Caf\u00E9 -'. ", "  Caf\u00E9 -'. "},
            {"Cafe\u0301", "Caf\u00E9"},
            {"\uFB01Sh", "fiSh"},
            {"p\u00DFW", "p\u00DFW"},
            {"plain ASCII stays", "plain ASCII stays"},
            {"", ""},
        };
        check_results(normalize_password, pairs, COUNT(pairs));
    }
    TEST("an address is lower-cased and keeps its marks and its sharp s") {
        static const struct pair pairs[] = {
            {"JOS\u00C9@Example.COM", "jos\u00E9@example.com"},
            {"Jose\u0301@x", "jos\u00E9@x"},
            {"stra\u00DFe", "stra\u00DFe"},
            {"a\uFF20b", "a@b"},
        };
        check_results(normalize_lower, pairs, COUNT(pairs));
    }
}

/* Every code point between two letters, so that what composes or is trimmed shows too. */
static void test_every_code_point(void)
{
    for (size_t n = 0; n < NORMALIZER_COUNT; n++) {
        char sentence[128];
        snprintf(sentence, sizeof sentence, "normalising a normalised %s changes nothing",
                 normalizers[n].label);
        TEST(sentence) {
            for (utf8proc_int32_t point = 1; point < 0x20000; point++) {
                char text[16] = "A", once[256], twice[1024];
                if (point >= 0xD800 && point < 0xE000) continue;
                utf8proc_ssize_t length = utf8proc_encode_char(point, (utf8proc_uint8_t *)text + 1);
                memcpy(text + 1 + length, "z", 2);
                const char *forms[] = {text, text + 1};
                for (size_t i = 0; i < 2; i++) {
                    CHECK_FOR(text, normalizers[n].normalize(forms[i], once, sizeof once) == 0);
                    CHECK_FOR(text, normalizers[n].normalize(once, twice, sizeof twice) == 0);
                    CHECK_TEXT(twice, once);
                }
            }
        }
    }
    TEST("composed and decomposed spellings of every character are the same name") {
        for (utf8proc_int32_t point = 0x80; point < 0x30000; point++) {
            utf8proc_uint8_t text[8];
            char whole[256], apart[256];
            if (point >= 0xD800 && point < 0xE000) continue;
            text[utf8proc_encode_char(point, text)] = '\0';
            utf8proc_uint8_t *decomposed = utf8proc_NFD(text);
            CHECK(decomposed != NULL);
            CHECK(normalize_name((const char *)text, whole, sizeof whole) == 0);
            CHECK(normalize_name((const char *)decomposed, apart, sizeof apart) == 0);
            CHECK_TEXT(apart, whole);
            free(decomposed);
        }
    }
    TEST("the short path for ASCII gives what the long path gives") {
        for (size_t n = 0; n < NORMALIZER_COUNT; n++) {
            for (char c = 1; c > 0; c = (char)(c < 127 ? c + 1 : 0)) {
                const char plain[] = {'A', c, 'Z', '\0'};
                /* A Greek letter makes the text non-ASCII, and is cut off again. */
                const char longer[] = {'A', c, 'Z', '\xCE', '\xBB', '\0'};
                char short_path[64], long_path[64];
                CHECK(normalizers[n].normalize(plain, short_path, sizeof short_path) == 0);
                CHECK(normalizers[n].normalize(longer, long_path, sizeof long_path) == 0);
                long_path[strlen(long_path) - 2] = '\0';
                CHECK_TEXT(short_path, long_path);
            }
        }
    }
}

static const char *repeat(char *out, const char *piece, size_t times)
{
    size_t length = strlen(piece);
    for (size_t i = 0; i < times; i++) memcpy(out + i * length, piece, length);
    out[times * length] = '\0';
    return out;
}

static void test_limits(void)
{
    char text[4 * NORMALIZE_INPUT_MAX], out[NORMALIZE_SIZE];
    TEST("a result fits a buffer of its length and a NUL, and no smaller one") {
        static const char *const texts[] = {"abcde", "\u03B1\u03B2x"};
        for (size_t i = 0; i < COUNT(texts); i++) {
            for (size_t n = 0; n < NORMALIZER_COUNT; n++) {
                for (size_t size = 1; size <= 6; size++) {
                    memset(out, '#', sizeof out);
                    int rc = normalizers[n].normalize(texts[i], out, size);
                    CHECK_FOR(texts[i], rc == (size == 6 ? 0 : -1));
                    CHECK_TEXT(out, size == 6 ? texts[i] : "");
                    CHECK(out[size] == '#');
                }
            }
        }
    }
    TEST("a buffer of no bytes is refused and not touched") {
        out[0] = '#';
        for (size_t n = 0; n < NORMALIZER_COUNT; n++) {
            CHECK(normalizers[n].normalize("a", out, 0) == -1);
            CHECK(out[0] == '#');
        }
    }
    TEST("1024 bytes are read and 1025 are refused") {
        for (size_t n = 0; n < NORMALIZER_COUNT; n++) {
            CHECK(normalizers[n].normalize(repeat(text, "a", 1024), out, sizeof out) == 0);
            CHECK(strlen(out) == 1024);
            CHECK(normalizers[n].normalize(repeat(text, "\u03B1", 512), out, sizeof out) == 0);
            CHECK(strlen(out) == 1024);
            CHECK(normalizers[n].normalize(repeat(text, "a", 1025), out, sizeof out) == -1);
            CHECK_TEXT(out, "");
        }
    }
    TEST("a text that grows beyond the buffer is refused and leaves it empty") {
        for (size_t n = 0; n < NORMALIZER_COUNT; n++) {
            memset(out, '#', sizeof out);
            CHECK(normalizers[n].normalize(repeat(text, "\uFDFA", 341), out, sizeof out) == -1);
            CHECK_TEXT(out, "");
            CHECK(normalizers[n].normalize(repeat(text, "\uFDFA", 100), out, sizeof out) == 0);
            CHECK(normalizers[n].normalize(repeat(text, "\uFDFA", 2), out, 40) == -1);
            CHECK_TEXT(out, "");
        }
    }
    TEST("the longest decomposed and composed Hangul text that is accepted fits") {
        for (size_t n = 0; n < NORMALIZER_COUNT; n++) {
            CHECK(normalizers[n].normalize(repeat(text, "\uD55C", 341), out, sizeof out) == 0);
            CHECK(strlen(out) == 1023);
            repeat(text, "\u1112\u1161\u11AB", 113);
            CHECK(normalizers[n].normalize(text, out, sizeof out) == 0);
            CHECK(strlen(out) == 339);
        }
    }
}

static const char *const invalid_texts[] = {
    "\xFF", "a\x80", "\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xC3",
    "\xE2\x82", "abc\xF0\x9F\x98", "\xC3(",
};

static void test_utf8(void)
{
    TEST("text that is not UTF-8 is refused everywhere") {
        char out[64];
        for (size_t i = 0; i < COUNT(invalid_texts); i++) {
            for (size_t n = 0; n < NORMALIZER_COUNT; n++) {
                CHECK(normalizers[n].normalize(invalid_texts[i], out, sizeof out) == -1);
                CHECK_TEXT(out, "");
            }
            CHECK(normalize_code_points(invalid_texts[i]) == -1);
            CHECK(!normalize_is_utf8(invalid_texts[i], strlen(invalid_texts[i])));
            CHECK(normalize_has_hidden(invalid_texts[i]));
        }
    }
    TEST("code points are counted, not bytes") {
        CHECK(normalize_code_points("") == 0);
        CHECK(normalize_code_points("abc") == 3);
        CHECK(normalize_code_points("\u00E9\u20AC\U0001F600") == 3);
        CHECK(normalize_code_points("e\u0301") == 2);
    }
    TEST("only the given length is judged, and a NUL in it is text") {
        CHECK(normalize_is_utf8("", 0));
        CHECK(normalize_is_utf8("ab\xFF", 2));
        CHECK(normalize_is_utf8("a\0b", 3));
        CHECK(!normalize_is_utf8("a\0\xFF", 3));
        CHECK(!normalize_is_utf8("\u20AC", 2));
    }
}

static void test_hidden(void)
{
    TEST("controls, separators, private use, unassigned and format characters are hidden") {
        static const char *const texts[] = {
            "a\nb", "a\rb", "a\tb", "\x1B[31m", "\x7F", "a\xC2\x80", "a\xC2\x9F",
            "a\u2028b", "a\u2029b",
            "\uE000", "\U0010FFFF", "\u0378", "\u200B", "\u200E", "\u202Eabc", "\u2066abc\u2069",
            "\uFEFFabc", "so\u00ADft", "a\u2060b", "\u3164", "a\u115Fb", "\uFFA0", "\uFFF9",
            "\U000E0041",
        };
        for (size_t i = 0; i < COUNT(texts); i++) {
            CHECK_FOR(texts[i], normalize_has_hidden(texts[i]));
        }
    }
    TEST("text as people write it has nothing hidden in it") {
        static const char *const texts[] = {
            "", "Jos\u00E9 N\u00FA\u00F1ez", "O\u2019Brien", "\u738B\u5C0F\u660E", "a\u00A0b",
            "\u0645\u062D\u0645\u062F", "e\u0301", "\U0001F600", "\u9089\U000E0101",
            "\u2764\uFE0F", "a\u3000b", "~!@#$%^&*()",
        };
        for (size_t i = 0; i < COUNT(texts); i++) {
            CHECK_FOR(texts[i], !normalize_has_hidden(texts[i]));
        }
    }
    TEST("joiners are allowed between letters and nowhere else") {
        CHECK(!normalize_has_hidden("\u0645\u06CC\u200C\u062E\u0648\u0627\u0647\u0645"));
        CHECK(!normalize_has_hidden("\u0915\u094D\u200D\u0937"));
        CHECK(normalize_has_hidden("\u200Dab"));
        CHECK(normalize_has_hidden("ab\u200D"));
        CHECK(normalize_has_hidden("a\u200C 1"));
        CHECK(normalize_has_hidden("1\u200C2"));
        CHECK(normalize_has_hidden("a\u200C\u200Cb"));
        CHECK(normalize_has_hidden("a\u200C\u0378"));
        CHECK(!normalize_has_hidden("a\u20DD\u200Db"));
        CHECK(normalize_has_hidden("a \u0301\u200Db"));
    }
    TEST("text made fit to be shown has a space for what is hidden or no text") {
        static const struct { const char *given, *shown; } rows[] = {
            {"", ""}, {"250 OK\r\n", "250 OK  "}, {"Jos\u00E9", "Jos\u00E9"},
            {"a\u202Eb", "a b"}, {"\x1B[2J", " [2J"}, {"\xFF\xFE", "  "},
            {"cut \xE2\x82", "cut   "}, {"\xC2\x85x\u2028y", " x y"},
            {"\u0645\u06CC\u200C\u062E", "\u0645\u06CC\u200C\u062E"},
        };
        for (size_t i = 0; i < COUNT(rows); i++) {
            char text[64];
            snprintf(text, sizeof text, "%s", rows[i].given);
            normalize_show(text);
            CHECK_TEXT(text, rows[i].shown);
        }
    }
}

int main(void)
{
    if (sodium_init() < 0) return 1;
    test_names();
    test_usernames_and_passwords();
    test_every_code_point();
    test_limits();
    test_utf8();
    test_hidden();
    return unit_result();
}
