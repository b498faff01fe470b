// Percent-decoding and form pairs, as tables.

#include "base/test.h"
#include "net/url.h"

TEST(escapes_are_decoded_once_and_bad_ones_refused) {
    static const struct {
        Text in, out;
        bool plus, ok;
    } rows[] = {
        {TEXT_INIT(""), TEXT_INIT(""), false, true},
        {TEXT_INIT("plain"), TEXT_INIT("plain"), true, true},
        {TEXT_INIT("a%20b"), TEXT_INIT("a b"), false, true},
        {TEXT_INIT("a+b"), TEXT_INIT("a b"), true, true},
        {TEXT_INIT("a+b"), TEXT_INIT("a+b"), false, true},
        {TEXT_INIT("%2541"), TEXT_INIT("%41"), false, true},
        {TEXT_INIT("%c3%A4"), TEXT_INIT("\xc3\xa4"), false, true},
        {TEXT_INIT("%00"), TEXT_INIT("\0"), false, true},
        {TEXT_INIT("{a=\"b\"}|[c]"), TEXT_INIT("{a=\"b\"}|[c]"), true, true},
        {TEXT_INIT("%"), TEXT_INIT(""), false, false},
        {TEXT_INIT("%4"), TEXT_INIT(""), false, false},
        {TEXT_INIT("%4g"), TEXT_INIT(""), false, false},
        {TEXT_INIT("a%-1"), TEXT_INIT(""), false, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        Text out;
        if (rows[i].ok) {
            check_ok(t, url_decode(rows[i].in, rows[i].plus, t->arena, &out, t->err));
            check_text(t, rows[i].out, out);
        } else {
            check_error(t, url_decode(rows[i].in, rows[i].plus, t->arena, &out, t->err),
                        ERROR_BAD_INPUT);
        }
    }
}

TEST(pairs_keep_their_order_and_repetitions) {
    UrlPairs pairs;
    Text form = TEXT("match[]=up&match[]=a%26b&&flag&=empty+key&q=a=b&time=1;2");
    check_ok(t, url_pairs_parse(form, t->arena, &pairs, t->err));
    static const UrlPair expected[] = {
        {TEXT_INIT("match[]"), TEXT_INIT("up")}, {TEXT_INIT("match[]"), TEXT_INIT("a&b")},
        {TEXT_INIT("flag"), TEXT_INIT("")},      {TEXT_INIT(""), TEXT_INIT("empty key")},
        {TEXT_INIT("q"), TEXT_INIT("a=b")},      {TEXT_INIT("time"), TEXT_INIT("1;2")},
    };
    check_i64(t, COUNT(expected), pairs.count);
    for (size_t i = 0; i < COUNT(expected); i++) {
        check_text(t, expected[i].key, pairs.at[i].key);
        check_text(t, expected[i].value, pairs.at[i].value);
    }
    check_text(t, TEXT("a=b"), url_pairs_find(pairs, TEXT("q")));
    check(t, url_pairs_find(pairs, TEXT("missing")).at == NULL);
    check(t, url_pairs_find(pairs, TEXT("flag")).at != NULL);
}

TEST(too_many_pairs_and_broken_values_are_errors) {
    AUTO(builder_free) Builder many = {0};
    for (int i = 0; i < URL_PAIRS_MAX; i++) builder_add(&many, TEXT("a=1&"));
    UrlPairs pairs;
    check_ok(t, url_pairs_parse(builder_text(&many), t->arena, &pairs, t->err));
    builder_add(&many, TEXT("a=1"));
    check_error(t, url_pairs_parse(builder_text(&many), t->arena, &pairs, t->err), ERROR_TOO_LARGE);
    check_error(t, url_pairs_parse(TEXT("ok=1&query=%zz"), t->arena, &pairs, t->err),
                ERROR_BAD_INPUT);
    check(t, text_find(text_from_cstring(t->err->message), TEXT("query")) >= 0);
}

TEST_MAIN("net/url", CASE(escapes_are_decoded_once_and_bad_ones_refused),
          CASE(pairs_keep_their_order_and_repetitions),
          CASE(too_many_pairs_and_broken_values_are_errors))
