// JSON: tokens, trees, writing, limits, and the cases of JSONTestSuite.

#include "codec/json.h"

#include <stdio.h>
#include <zstd.h>

#include "base/limits.h"
#include "base/test.h"

// "{k:v}" of a document's tokens: one letter each, texts as they are.
static Text tokens_of(Test *t, Text source) {
    static const char *const marks[] = {"$", "n", "t", "f", "#", "\"", "[", "]", "{", ":", "}"};
    Builder out = {0};
    JsonReader reader = json_reader_begin(source, t->arena);
    JsonToken token = {0};
    do {
        check_ok(t, json_next(&reader, &token, t->err));
        builder_add(&out, text_from_cstring(marks[token.kind]));
        builder_add(&out, token.text);
    } while (token.kind != JSON_END);
    Text text = text_copy(builder_text(&out), t->arena);
    builder_free(&out);
    return text;
}

TEST(tokens_come_in_order_and_decoded) {
    check_text(t, TEXT("{:a[#1#-2.5e3\"xnt]:bf:c{}}$"),
               tokens_of(t, TEXT(" {\"a\":[1, -2.5e3,\"x\",null,true],\"b\" : false,\"c\":{}}\n")));
    check_text(t, TEXT("\"a\"b\\/\b\f\n\r\t$"),
               tokens_of(t, TEXT("\"a\\\"b\\\\\\/\\b\\f\\n\\r\\t\"")));
    check_text(t, TEXT("\"\xc3\xa9\xf0\x9f\x98\x80\xe2\x82\xac$"),
               tokens_of(t, TEXT("\"\\u00e9\\ud83d\\ude00\\u20AC\"")));
    check_text(t, TEXT("[\"\xef\xbf\xbd\"\xef\xbf\xbdx\"\xef\xbf\xbd\xef\xbf\xbd]$"),
               tokens_of(t, TEXT("[\"\\ud800\",\"\\udc00x\",\"\\ud800\\ud800\"]")));
    check_text(t, TEXT("[]$"), tokens_of(t, TEXT("[ ]")));
    JsonReader reader = json_reader_begin(TEXT("\"\\u0000\""), t->arena);
    JsonToken token;
    check_ok(t, json_next(&reader, &token, t->err));
    check(t, token.text.len == 1 && token.text.at[0] == '\0');
}

TEST(strings_without_escapes_are_views) {
    Text source = TEXT("[\"a rather long string with no escape in it at all\"]");
    JsonValue *value;
    check_ok(t, json_parse(source, t->arena, &value, t->err));
    check(t, value->first->text.at == source.at + 2);
}

TEST(errors_say_line_and_column) {
    JsonValue *value;
    check_error(t, json_parse(TEXT("{\n  \"a\": 01}"), t->arena, &value, t->err), ERROR_BAD_INPUT);
    check_text(t, TEXT("JSON, line 2 column 8: a number that begins with 0"),
               text_from_cstring(t->err->message));
}

TEST(nesting_ends_at_its_limit) {
    AUTO(builder_free) Builder source = {0};
    JsonValue *value;
    for (int64_t depth = 1; depth <= LIMIT_NESTING_JSON + 1; depth++) {
        builder_clear(&source);
        for (int64_t i = 0; i < depth; i++)
            builder_add(&source, i % 2 == 0 ? TEXT("[") : TEXT("{\"k\":"));
        builder_add(&source, TEXT("1"));
        for (int64_t i = depth; i-- > 0;) builder_add(&source, i % 2 == 0 ? TEXT("]") : TEXT("}"));
        if (depth <= LIMIT_NESTING_JSON) {
            check_ok(t, json_parse(builder_text(&source), t->arena, &value, t->err));
        } else {
            check_error(t, json_parse(builder_text(&source), t->arena, &value, t->err),
                        ERROR_BAD_INPUT);
            check(t, text_find(text_from_cstring(t->err->message), TEXT("NESTING_JSON")) >= 0);
        }
    }
}

TEST(values_are_skipped_whole) {
    JsonReader reader = json_reader_begin(
        TEXT("{\"skip\":{\"a\":[1,{\"b\":\"\\n\"}]},\"kept\":7,\"last\":[3,4]}"), t->arena);
    JsonToken token;
    check_ok(t, json_next(&reader, &token, t->err));
    check_ok(t, json_next(&reader, &token, t->err));
    check_text(t, TEXT("skip"), token.text);
    check_ok(t, json_skip(&reader, &token, t->err));
    check_ok(t, json_next(&reader, &token, t->err));
    check_text(t, TEXT("kept"), token.text);
    check_ok(t, json_next(&reader, &token, t->err));
    check_ok(t, json_skip(&reader, &token, t->err));  // a number is behind already
    check_ok(t, json_next(&reader, &token, t->err));
    check_text(t, TEXT("last"), token.text);
    check_ok(t, json_next(&reader, &token, t->err));
    check(t, token.kind == JSON_ARRAY_BEGIN);
    check_ok(t, json_skip(&reader, &token, t->err));
    check_ok(t, json_next(&reader, &token, t->err));
    check(t, token.kind == JSON_OBJECT_END);
    check_ok(t, json_next(&reader, &token, t->err));
    check(t, token.kind == JSON_END);
    check_ok(t, json_next(&reader, &token, t->err));
    check(t, token.kind == JSON_END);
}

TEST(a_tree_finds_its_members_and_the_last_of_duplicates_wins) {
    JsonValue *value;
    check_ok(t,
             json_parse(TEXT("{\"a\":1,\"b\":[true,null],\"a\":2.5}"), t->arena, &value, t->err));
    double number;
    check(t, json_number(json_get(value, TEXT("a")), &number) && number == 2.5);
    const JsonValue *b = json_get(value, TEXT("b"));
    check(t, b->count == 2 && b->first->kind == JSON_TRUE && b->first->next->kind == JSON_NULL &&
                 b->first->next->next == NULL);
    check(t, value->count == 3 && json_get(value, TEXT("c")) == NULL &&
                 json_get(b, TEXT("a")) == NULL);
    check(t, !json_number(b, &number) && !json_number(NULL, &number));
}

TEST(whole_numbers_come_as_number_or_text) {
    static const struct {
        const char *text;
        bool valid;
        int64_t value;
    } cases[] = {
        {"12", true, 12},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"1e3", true, 1000},
        {"1.0", true, 1},
        {"1.50e2", true, 150},
        {"1.5", false, 0},
        {"-0", true, 0},
        {"100e-2", true, 1},
        {"1e-1", false, 0},
        {"1e19", false, 0},
        {"0e999", true, 0},
        {"1e+2", true, 100},
        {"10203", true, 10203},
        {"1.02030", false, 0},
        {"1020.30e2", true, 102030},
        {"", false, 0},
        {"-", false, 0},
        {"1.", false, 0},
        {".5", false, 0},
        {"e5", false, 0},
        {"1e", false, 0},
        {"0x10", false, 0},
        {" 1", false, 0},
        {"1e+-2", false, 0},
        {"1000000000000000000000e-20", true, 10},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t value = 0;
        bool valid = json_text_to_i64(text_from_cstring(cases[i].text), &value);
        if (valid != cases[i].valid || (valid && value != cases[i].value)) {
            check_failed(t, __FILE__, __LINE__, "\"%s\" gave %d, %lld", cases[i].text, valid,
                         (long long)value);
        }
    }
    JsonValue *value;
    uint64_t u;
    check_ok(t, json_parse(TEXT("[\"18446744073709551615\", -1, true]"), t->arena, &value, t->err));
    check(t, json_whole_u64(value->first, &u) && u == UINT64_MAX);
    check(t, !json_whole_u64(value->first->next, &u) &&
                 !json_whole_u64(value->first->next->next, &u) && !json_whole_u64(NULL, &u));
}

TEST(the_writer_sees_to_commas_escapes_and_utf8) {
    AUTO(builder_free) Builder out = {0};
    JsonWriter writer = json_writer_begin(&out);
    json_object_begin(&writer);
    json_key(&writer, TEXT("a\"\n\x01\x7f"));
    json_array_begin(&writer);
    json_i64(&writer, INT64_MIN);
    json_u64(&writer, UINT64_MAX);
    json_f64(&writer, 0.1);
    json_f64(&writer, __builtin_nan(""));
    json_f64(&writer, 1e300);
    json_array_begin(&writer);
    json_array_end(&writer);
    json_object_begin(&writer);
    json_object_end(&writer);
    json_array_end(&writer);
    json_key(&writer, TEXT("b"));
    json_text(&writer, TEXT("\xc3\xa9 \xff\xe2\x82 \xed\xa0\x80"));
    json_key(&writer, TEXT("c"));
    json_bool(&writer, true);
    json_key(&writer, TEXT("d"));
    json_raw(&writer, TEXT("[1]"));
    json_key(&writer, TEXT("e"));
    json_null(&writer);
    json_object_end(&writer);
    check_text(t,
               TEXT("{\"a\\\"\\n\\u0001\x7f\":[-9223372036854775808,18446744073709551615,0.1,null,"
                    "1e+300,[],{}],"
                    "\"b\":\"\xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd "
                    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\",\"c\":true,\"d\":[1],\"e\":null}"),
               builder_text(&out));
    JsonValue *value;
    check_ok(t, json_parse(builder_text(&out), t->arena, &value, t->err));
}

// Texts of any length in front of and behind a character that has to be escaped: what is copied in
// words is looked at whole.
TEST(a_character_is_escaped_wherever_it_stands) {
    static const char odd[] = {'"', '\\', '\n', '\x1f', '\0'};
    for (size_t len = 0; len <= 40; len++) {
        for (size_t at = 0; at <= len; at++) {
            char text[64];
            memset(text, 'x', sizeof text);
            if (at < len) text[at] = odd[(len + at) % COUNT(odd)];
            Text sent = {text, len};
            AUTO(builder_free) Builder apart = {0}, at_once = {0};
            JsonWriter first = json_writer_begin(&apart), again = json_writer_begin(&at_once);
            json_object_begin(&first);
            json_object_begin(&again);
            for (int i = 0; i < 2; i++) {
                json_key(&first, i == 0 ? sent : TEXT("key"));
                json_text(&first, i == 0 ? TEXT("value") : sent);
                json_member(&again, i == 0 ? sent : TEXT("key"), i == 0 ? TEXT("value") : sent);
            }
            json_object_end(&first);
            json_object_end(&again);
            check_text(t, builder_text(&apart), builder_text(&at_once));
            JsonValue *value;
            check_ok(t, json_parse(builder_text(&at_once), t->arena, &value, t->err));
            check_text(t, sent, value->first->key);
            check_text(t, sent, value->first->next->text);
        }
    }
}

// The suite is a tar archive: blocks of 512 bytes, a name at 0 and an octal size at 124.
static uint64_t octal(const char *at, size_t len) {
    uint64_t value = 0;
    for (size_t i = 0; i < len && at[i] >= '0' && at[i] <= '7'; i++)
        value = value * 8 + (uint64_t)(at[i] - '0');
    return value;
}

// y_ is accepted, n_ refused, i_ either way but without a crash.
static bool run_case(Test *t, Text name, Text source) {
    ptrdiff_t slash = text_find(name, TEXT("test_parsing/"));
    if (slash < 0) return false;
    char kind = name.at[slash + 13];
    JsonValue *value;
    bool parsed = json_parse(source, t->arena, &value, t->err);
    if ((kind == 'y' && !parsed) || (kind == 'n' && parsed)) {
        check_failed(t, __FILE__, __LINE__, "%.*s: %s", TEXT_ARG(name),
                     parsed ? "accepted" : t->err->message);
    }
    return kind == 'y' || kind == 'n';
}

TEST(jsontestsuite_is_accepted_and_refused_as_it_says) {
    Text folder = test_data_folder(t, "parsers/json");
    FILE *file =
        fopen(text_format(t->arena, "%.*s/JSONTestSuite.tar.zst", TEXT_ARG(folder)).at, "rb");
    check(t, file != NULL);
    static uint8_t packed[4 * MB];
    size_t len = fread(packed, 1, sizeof packed, file);
    fclose(file);
    // The archive is trusted, and passes the ratio and the window that bodies may have: not
    // decompress().
    AUTO(builder_free) Builder tar = {0};
    builder_reserve(&tar, 16 * MB);
    tar.len = ZSTD_decompress(tar.at, tar.capacity, packed, len);
    check(t, !ZSTD_isError(tar.len));
    size_t judged = 0;
    for (size_t at = 0; at + 512 <= tar.len && tar.at[at] != '\0';) {
        const char *header = tar.at + at;
        size_t size = (size_t)octal(header + 124, 12);
        Text name = {header, strnlen(header, 100)};
        check(t, size <= tar.len - at - 512);
        if (header[156] == '0') {
            // An exact copy, so that the address sanitizer sees a read beyond the end.
            char *copy = memory_take(size);
            memcpy(copy, header + 512, size);
            judged += run_case(t, name, (Text){copy, size});
            memory_free(copy);
        }
        at += 512 + (size + 511) / 512 * 512;
    }
    check(t, judged > 250);
}

TEST_MAIN("codec/json", CASE(tokens_come_in_order_and_decoded),
          CASE(strings_without_escapes_are_views), CASE(errors_say_line_and_column),
          CASE(nesting_ends_at_its_limit), CASE(values_are_skipped_whole),
          CASE(a_tree_finds_its_members_and_the_last_of_duplicates_wins),
          CASE(whole_numbers_come_as_number_or_text),
          CASE(the_writer_sees_to_commas_escapes_and_utf8),
          CASE(a_character_is_escaped_wherever_it_stands),
          CASE(jsontestsuite_is_accepted_and_refused_as_it_says))
