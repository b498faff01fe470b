// Regular expressions: anchoring, the literal analysis against RE2, limits, and replacement as in
// Go.

#include "codec/regex.h"

#include "base/limits.h"
#include "base/test.h"
#include "codec/regex_literal.h"

static bool matches(Test *t, const char *pattern, Text text) {
    AUTO(regex_close) Regex *regex = NULL;
    check_ok(t, regex_open(text_from_cstring(pattern), &regex, t->err));
    return regex_matches(regex, text);
}

TEST(patterns_match_whole_texts) {
    check(t, matches(t, "a.c", TEXT("abc")) && !matches(t, "a.c", TEXT("abcd")) &&
                 !matches(t, "a.c", TEXT("xabc")));
    check(t, matches(t, "a.c", TEXT("a\nc")));
    check(t, matches(t, "", TEXT("")) && !matches(t, "", TEXT("a")) && matches(t, "", TEXT_NONE));
    check(t, matches(t, ".*", TEXT_NONE) && !matches(t, ".+", TEXT_NONE) &&
                 matches(t, "a|", TEXT_NONE));
    check(t, matches(t, "a|b|", TEXT("")) && matches(t, "a|b", TEXT("b")) &&
                 !matches(t, "a|b", TEXT("ab")));
    check(t, matches(t, "(?i)FOO", TEXT("foo")) && !matches(t, "FOO", TEXT("foo")));
    check(t, matches(t, "^foo.*$", TEXT("foobar")) && matches(t, "(?:a|b)", TEXT("a")) &&
                 matches(t, "^(a|b)$", TEXT("b")));
    check(t, matches(t, "a\\.b", TEXT("a.b")) && !matches(t, "a\\.b", TEXT("axb")));
    check(t, matches(t, "[0-9]+", TEXT("123")) && !matches(t, "[0-9]+", TEXT("123\n")));
    // As text between ^(?s: and )$, which Prometheus accepts too.
    check(t, matches(t, "a)|(b", TEXT("a and more")) && matches(t, "a)|(b", TEXT("more and b")));
}

TEST(a_broken_byte_is_one_character_as_in_go) {
    check(t, matches(t, "a.c",
                     TEXT("a\xff"
                          "c")) &&
                 matches(t, ".*", TEXT("\xff\xfe")) && matches(t, ".+", TEXT("\xff")));
    check(t, !matches(t, "a.c",
                      TEXT("a\xe2\x82"
                           "c")) &&
                 matches(t, "a..c",
                         TEXT("a\xe2\x82"
                              "c")));
    check(t, matches(t, "a\xef\xbf\xbd", TEXT("a\xff")) && matches(t, "[^x]", TEXT("\x80")));
}

TEST(what_re2_refuses_is_bad_input) {
    static const char *const bad[] = {"(",       "a)",   "a**", "[z-a]", "(?=a)", "\\1", "a{2,1}",
                                      "a{1001}", "\xff", "(?:", "\\",    "(a\\)", "*",   "a|*"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        AUTO(regex_close) Regex *regex = NULL;
        check_error(t, regex_open(text_from_cstring(bad[i]), &regex, t->err), ERROR_BAD_INPUT);
        check(t, regex == NULL);
    }
}

TEST(a_program_of_too_many_states_is_refused) {
    AUTO(regex_close) Regex *regex = NULL;
    check_error(t, regex_open(TEXT("((a{100}){100}){100}"), &regex, t->err), ERROR_BAD_INPUT);
    check_error(
        t,
        regex_open(
            TEXT("[a-z]{1000}[0-9]{1000}.{1000}x{1000}y{1000}(ab?){1000}(cde){1000}(fgh){1000}"),
            &regex, t->err),
        ERROR_BAD_INPUT);
    check(t, text_find(text_from_cstring(t->err->message), TEXT("QUERY_REGEX_STATES")) >= 0);
}

TEST(a_long_alternation_of_literals_needs_no_program) {
    AUTO(builder_free) Builder pattern = {0};
    for (int i = 0; i < 20000; i++)
        builder_addf(&pattern, "%snode-%d\\.example", i == 0 ? "" : "|", i);
    AUTO(regex_close) Regex *regex = NULL;
    check_ok(t, regex_open(builder_text(&pattern), &regex, t->err));
    check_i64(t, 20000, regex_literals(regex).count);
    check(t, regex_matches(regex, TEXT("node-19999.example")) &&
                 !regex_matches(regex, TEXT("node-20000.example")));
}

TEST(literals_and_prefixes_are_told) {
    static const struct {
        const char *pattern, *prefix;
        size_t literals;
    } cases[] = {
        {"foo", "foo", 1},      {"foo|bar|foo", "", 2},
        {"foo.*", "foo", 0},    {"foo.+", "foo", 0},
        {".*foo", "", 0},       {"foo[0-9]+", "foo", 0},
        {"foo(a|b)", "foo", 0}, {"fooa*", "foo", 0},
        {"fooa+", "fooa", 0},   {"fo\xc3\xa9?", "fo", 0},
        {"foo|bar.*", "", 0},   {"^foo(x)", "foo", 0},
        {"a)?(b", "", 0},       {"(foo|bar)", "", 2},
        {"(?i)foo", "", 0},     {"foo[|)](x|y)", "foo", 0},
        {"foo[]a]|x", "", 0},   {"foo[[:alpha:]|]", "foo", 0},
        {"a{0}b", "", 0},       {"\\Qa|b\\E", "", 0},
        {"a\\.b\\d", "a.b", 0}, {"", "", 1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO(regex_close) Regex *regex = NULL;
        check_ok(t, regex_open(text_from_cstring(cases[i].pattern), &regex, t->err));
        if (!text_equal(text_from_cstring(cases[i].prefix), regex_prefix(regex)) ||
            regex_literals(regex).count != cases[i].literals) {
            check_failed(t, __FILE__, __LINE__, "%s: prefix %.*s, %zu literals", cases[i].pattern,
                         TEXT_ARG(regex_prefix(regex)), regex_literals(regex).count);
        }
    }
}

static Text random_from(Test *t, const char *const *pieces, size_t count, size_t most,
                        uint64_t *random) {
    Builder out = {0};
    for (size_t i = test_random(random) % (most + 1); i > 0; i--)
        builder_add(&out, text_from_cstring(pieces[(test_random(random) >> 20) % count]));
    Text text = text_copy(builder_text(&out), t->arena);
    builder_free(&out);
    return text;
}

TEST(the_analysis_answers_as_re2_does) {
    static const char *const pieces[] = {"a", "b", "ab", ".*",  ".+",       "|",   "\\.", "^",
                                         "$", "(", ")",  "(?:", "\xc3\xa9", "\\-", "|",   "a",
                                         "?", "]", "}",  "-",   "\\n",      "\\_", "\\"};
    static const char *const texts[] = {"a",    "b", "ab",   ".", "\xc3\xa9", "\n",
                                        "\xff", "-", "\xc3", "]", "}"};
    uint64_t random = t->seed;
    size_t analysed = 0;
    for (int i = 0; i < 20000; i++) {
        AUTO(regex_close) Regex *regex = NULL;
        AUTO(regex_close) Regex *engine = NULL;
        LiteralPattern literal;
        arena_clear(t->arena);
        Text pattern = random_from(t, pieces, COUNT(pieces), 6, &random);
        bool of_family = literal_analyse(pattern, t->arena, &literal);
        analysed += of_family;
        bool opened = regex_open(pattern, &regex, t->err);
        if (opened != regex_open_engine(pattern, &engine, t->err))
            check_failed(t, __FILE__, __LINE__, "%.*s: opened %d", TEXT_ARG(pattern), opened);
        for (int k = 0; opened && k < 20; k++) {
            Text text = random_from(t, texts, COUNT(texts), 4, &random);
            bool stated = regex_matches(engine, text), actual = regex_matches(regex, text);
            if (stated != actual)
                check_failed(t, __FILE__, __LINE__, "/%.*s/ on \"%.*s\" is %d", TEXT_ARG(pattern),
                             TEXT_ARG(text), actual);
            if (stated && !text_starts_with(text, regex_prefix(engine)))
                check_failed(t, __FILE__, __LINE__, "/%.*s/: prefix %.*s", TEXT_ARG(pattern),
                             TEXT_ARG(regex_prefix(engine)));
        }
    }
    check(t, analysed > 2000);
}

TEST(replacements_follow_go) {
    static const struct {
        const char *pattern, *text, *replacement, *expected;
    } cases[] = {
        {"(.*):(.*)", "host:80", "$1", "host"},
        {"(.*):(.*)", "host:80", "$1x", ""},
        {"(.*):(.*)", "host:80", "${1}x", "hostx"},
        {"(.*):(.*)", "host:80", "$2-$1", "80-host"},
        {"(.*):(.*)", "h:8", "$$1", "$1"},
        {"(.*):(.*)", "h:8", "a$", "a$"},
        {"(.*):(.*)", "h:8", "${1", "${1"},
        {"(.*):(.*)", "h:8", "${}", "${}"},
        {"(.*):(.*)", "h:8", "$01", ""},
        {"(.*):(.*)", "h:8", "$3", ""},
        {"(?P<name>[a-z]+)-.*", "ab-c", "$name/${name}s", "ab/abs"},
        {"(a)|(b)", "b", "[$1$2]", "[b]"},
        {"foo", "foo", "$0!$1", "foo!"},
        {"(foo|bar)", "bar", "<$1>", "<bar>"},
        {"(a.*)", "abc", "$1", "abc"},
        {"(a+)(b*)", "aa", "$2", ""},
        {"(a+)", "aa", "$1\xe2\x86\x92", "aa\xe2\x86\x92"},
        {"(a+)", "aa", "$1\xc3\xa9", ""},
        {"(a+)", "aa", "$-$", "$-$"},
        {"x", "y", "z", NULL},
        {"[a]+", "b", "z", NULL},
        {".*", "", "z", "z"},
        {".*", "", "", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO(regex_close) Regex *regex = NULL;
        check_ok(t, regex_open(text_from_cstring(cases[i].pattern), &regex, t->err));
        Text out;
        check_ok(t, regex_expand(regex, text_from_cstring(cases[i].text),
                                 text_from_cstring(cases[i].replacement), t->arena, &out, t->err));
        check(t, (out.at == NULL) == (cases[i].expected == NULL));
        if (!text_equal(text_from_cstring(cases[i].expected), out)) {
            check_failed(t, __FILE__, __LINE__, "%s: %s gave %.*s", cases[i].pattern,
                         cases[i].replacement, TEXT_ARG(out));
        }
    }
}

TEST(a_replacement_that_explodes_is_refused) {
    AUTO(regex_close) Regex *regex = NULL;
    AUTO(builder_free) Builder text = {0}, replacement = {0};
    for (int i = 0; i < 2000; i++) builder_add(&text, TEXT("a"));
    for (int i = 0; i < 2000; i++) builder_add(&replacement, TEXT("${0}"));
    check_ok(t, regex_open(TEXT("[a]+"), &regex, t->err));
    Text out;
    check_error(t,
                regex_expand(regex, builder_text(&text), builder_text(&replacement), t->arena, &out,
                             t->err),
                ERROR_TOO_LARGE);
    // What stands behind the last group counts too.
    AUTO(builder_free) Builder tail = {0};
    for (int i = 0; i < 500; i++) builder_add(&tail, TEXT("${0}"));
    for (int i = 0; i < 100000; i++) builder_add(&tail, TEXT("x"));
    check_error(
        t, regex_expand(regex, builder_text(&text), builder_text(&tail), t->arena, &out, t->err),
        ERROR_TOO_LARGE);
}

TEST_MAIN("codec/regex", CASE(patterns_match_whole_texts),
          CASE(a_broken_byte_is_one_character_as_in_go), CASE(what_re2_refuses_is_bad_input),
          CASE(a_program_of_too_many_states_is_refused),
          CASE(a_long_alternation_of_literals_needs_no_program),
          CASE(literals_and_prefixes_are_told), CASE(the_analysis_answers_as_re2_does),
          CASE(replacements_follow_go), CASE(a_replacement_that_explodes_is_refused))
