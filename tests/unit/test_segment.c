/* Unit tests of ext/segment.c. */
#include "../../ext/normalize.h"
#include "../../ext/segment.h"
#include "unit.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static int segments_of(const char *piece, size_t times, const char *tail, int *is_gsm7)
{
    char text[4096] = "";
    size_t length = strlen(piece);
    for (size_t i = 0; i < times; i++) memcpy(text + i * length, piece, length + 1);
    strcat(text, tail);
    return segment_count(text, is_gsm7);
}

static void test_segments(void)
{
    int gsm7 = -1;
    TEST("a text of the GSM alphabet takes 160 for one segment and 153 for each of several") {
        CHECK(segments_of("a", 0, "", &gsm7) == 1 && gsm7 == 1);
        CHECK(segments_of("a", 160, "", &gsm7) == 1 && gsm7 == 1);
        CHECK(segments_of("a", 161, "", &gsm7) == 2 && gsm7 == 1);
        CHECK(segments_of("a", 306, "", &gsm7) == 2);
        CHECK(segments_of("a", 307, "", &gsm7) == 3);
        CHECK(segments_of("\u00E9", 160, "", &gsm7) == 1 && gsm7 == 1);
    }
    TEST("a text with any other character takes 70 and 67") {
        CHECK(segments_of("\u738B", 70, "", &gsm7) == 1 && gsm7 == 0);
        CHECK(segments_of("\u738B", 71, "", &gsm7) == 2);
        CHECK(segments_of("\u738B", 134, "", &gsm7) == 2);
        CHECK(segments_of("\u738B", 135, "", &gsm7) == 3);
        CHECK(segments_of("a", 69, "\u2019", &gsm7) == 1 && gsm7 == 0);
        CHECK(segments_of("a", 70, "\u2019", &gsm7) == 2 && gsm7 == 0);
    }
    TEST("characters of the extension table take two and are not split") {
        CHECK(segments_of("\u20AC", 80, "", &gsm7) == 1 && gsm7 == 1);
        CHECK(segments_of("\u20AC", 80, "a", &gsm7) == 2 && gsm7 == 1);
        CHECK(segments_of("[", 152, "", &gsm7) == 2);
        CHECK(segments_of("[", 152, "a", &gsm7) == 2);
        CHECK(segments_of("[", 152, "aa", &gsm7) == 3);
        CHECK(segments_of("a", 306, "", &gsm7) == 2);
        CHECK(segments_of("[", 153, "", &gsm7) == 3);
    }
    TEST("a character outside the basic plane takes two units and is not split") {
        CHECK(segments_of("\U0001F600", 35, "", &gsm7) == 1 && gsm7 == 0);
        CHECK(segments_of("\U0001F600", 36, "", &gsm7) == 2);
        CHECK(segments_of("\U0001F600", 66, "", &gsm7) == 2);
        CHECK(segments_of("\U0001F600", 67, "", &gsm7) == 3);
    }
    TEST("exactly the characters of TS 23.038 are in the GSM alphabet") {
        static const char basic[] =
            "@\u00A3$\u00A5\u00E8\u00E9\u00F9\u00EC\u00F2\u00C7\n\u00D8\u00F8\r\u00C5\u00E5\u0394_"
            "\u03A6\u0393\u039B\u03A9\u03A0\u03A8\u03A3\u0398\u039E\u00C6\u00E6\u00DF\u00C9 !\"#"
            "\u00A4%&'()*+,-./0123456789:;<=>?\u00A1ABCDEFGHIJKLMNOPQRSTUVWXYZ\u00C4\u00D6\u00D1"
            "\u00DC\u00A7\u00BF" "abcdefghijklmnopqrstuvwxyz\u00E4\u00F6\u00F1\u00FC\u00E0";
        static const char extension[] = "\f^{}\\[~]|\u20AC";
        static const char *const others[] = {"`", "\t", "\x1B", "\x7F", "\u00E7", "\u2019", "\u00E1",
                                             "\u0391", "\u00A0", "\u2022", "\xFF"};
        CHECK(normalize_code_points(basic) == 127);
        CHECK(normalize_code_points(extension) == 10);
        CHECK(segment_count(basic, &gsm7) == 1 && gsm7 == 1);
        CHECK(segment_count(extension, &gsm7) == 1 && gsm7 == 1);
        for (size_t i = 0; i < COUNT(others); i++) {
            CHECK_FOR(others[i], segment_count(others[i], &gsm7) == 1 && gsm7 == 0);
        }
        CHECK(segment_count("a", NULL) == 1);
    }
}

int main(void)
{
    test_segments();
    return unit_result();
}
