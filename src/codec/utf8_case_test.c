// Tests of case mapping: what Go's strings.ToLower and ToUpper give.

#include "base/test.h"
#include "codec/utf8_case.h"

TEST(letters_of_many_scripts_change_their_case) {
    static const struct {
        Text text, lower, upper;
    } cases[] = {
        {TEXT_INIT(""), TEXT_INIT(""), TEXT_INIT("")},
        {TEXT_INIT("Az_09"), TEXT_INIT("az_09"), TEXT_INIT("AZ_09")},
        {TEXT_INIT("ÄöÜ ñ"), TEXT_INIT("äöü ñ"), TEXT_INIT("ÄÖÜ Ñ")},
        {TEXT_INIT("ΑΣς"), TEXT_INIT("ασς"), TEXT_INIT("ΑΣΣ")},
        {TEXT_INIT("Жж Ѐ"), TEXT_INIT("жж ѐ"), TEXT_INIT("ЖЖ Ѐ")},
        {TEXT_INIT("ß"), TEXT_INIT("ß"), TEXT_INIT("ß")},  // one character to one
        {TEXT_INIT("İ"), TEXT_INIT("i"), TEXT_INIT("İ")},  // shorter
        {TEXT_INIT("ɐ"), TEXT_INIT("ɐ"), TEXT_INIT("Ɐ")},  // longer
        {TEXT_INIT("Ǆ"), TEXT_INIT("ǆ"), TEXT_INIT("Ǆ")},
        {TEXT_INIT("ᾀ"), TEXT_INIT("ᾀ"), TEXT_INIT("ᾈ")},
        {TEXT_INIT("𐐀𐐨"), TEXT_INIT("𐐨𐐨"), TEXT_INIT("𐐀𐐀")},
        {TEXT_INIT("日本 😀"), TEXT_INIT("日本 😀"), TEXT_INIT("日本 😀")},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        check_text(t, cases[i].lower, utf8_to_case(cases[i].text, UTF8_LOWER, t->arena));
        check_text(t, cases[i].upper, utf8_to_case(cases[i].text, UTF8_UPPER, t->arena));
    }
}

TEST(bytes_that_are_not_utf8_stay) {
    check_text(t,
               TEXT("A\xff"
                    "B\xc3"),
               utf8_to_case(TEXT("a\xff"
                                 "b\xc3"),
                            UTF8_UPPER, t->arena));
}

TEST(a_text_that_does_not_change_is_the_same_view) {
    Text text = TEXT("already lower");
    check(t, utf8_to_case(text, UTF8_LOWER, t->arena).at == text.at);
}

TEST_MAIN("codec/utf8_case", CASE(letters_of_many_scripts_change_their_case),
          CASE(bytes_that_are_not_utf8_stay), CASE(a_text_that_does_not_change_is_the_same_view))
