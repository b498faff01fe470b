// Tests of the YAML tree: places, types, anchors, merges, limits, and the YAML test suite.

#include "codec/yaml.h"

#include <stdio.h>
#include <zstd.h>

#include "base/limits.h"
#include "base/test.h"
#include "codec/json.h"

static const YamlNode *parsed(Test *t, const char *source) {
    const YamlNode *root;
    check_ok(t, yaml_parse(text_from_cstring(source), TEXT("f"), t->arena, &root, t->err));
    return root;
}

TEST(a_tree_keeps_places_styles_and_order) {
    const YamlNode *root = parsed(t, "b: 'x'\na:\n  - |\n    two\n  - {k: \"v\"}\n");
    check_text(t, TEXT("b"), root->pairs[0].key->text);
    const YamlNode *a = yaml_get(root, TEXT("a")), *b = yaml_get(root, TEXT("b"));
    check(t, b->style == YAML_SINGLE_QUOTED && b->line == 1 && b->column == 4);
    check(t, a->kind == YAML_LIST && a->count == 2);
    check(t, a->items[0]->style == YAML_LITERAL);
    check_text(t, TEXT("two\n"), a->items[0]->text);
    const YamlNode *v = yaml_get(a->items[1], TEXT("k"));
    check(t, v->line == 5 && v->column == 9 && v->style == YAML_DOUBLE_QUOTED);
    check(t, yaml_get(root, TEXT("c")) == NULL && yaml_get(b, TEXT("c")) == NULL);
}

TEST(nothing_is_no_tree) {
    check(t, parsed(t, "") == NULL);
    check(t, parsed(t, "# a comment\n") == NULL);
    check(t, parsed(t, "---\n") == NULL);
    check(t, parsed(t, "---\n...\n") == NULL);
}

TEST(plain_scalars_have_types_as_in_go_yaml) {
    const YamlNode *root = parsed(
        t,
        "[~, null, '', yes, Off, 'true', 12, 0x1F, 017, 1_000, -5, 1e+3, 1.5, .inf, 15s, !!str 5]");
    const YamlNode *const *at = root->items;
    bool flag;
    int64_t i64;
    uint64_t u64;
    double f64;
    check(t, yaml_is_null(at[0]) && yaml_is_null(at[1]) && !yaml_is_null(at[2]));
    check(t, yaml_to_bool(at[3], &flag) && flag);
    check(t, yaml_to_bool(at[4], &flag) && !flag);
    check(t, !yaml_to_bool(at[5], &flag));
    static const int64_t whole[] = {12, 31, 15, 1000, -5, 1000};
    for (size_t i = 0; i < COUNT(whole); i++) {
        check(t, yaml_to_i64(at[6 + i], &i64));
        check_i64(t, whole[i], i64);
    }
    check(t, !yaml_to_u64(at[10], &u64) && !yaml_to_i64(at[12], &i64));
    check(t, yaml_to_f64(at[12], &f64) && f64 == 1.5);
    check(t, yaml_to_f64(at[13], &f64) && f64 > 1e308);
    check(t, !yaml_to_f64(at[14], &f64) && !yaml_to_u64(at[15], &u64));
}

TEST(merge_keys_are_folded_in_and_explicit_keys_win) {
    const YamlNode *root = parsed(t,
                                  "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\n"
                                  "one:\n  b: own\n  <<: *base\ntwo:\n  <<: [*more, *base]\n");
    const YamlNode *one = yaml_get(root, TEXT("one")), *two = yaml_get(root, TEXT("two"));
    check_i64(t, 2, one->count);
    check_text(t, TEXT("own"), yaml_get(one, TEXT("b"))->text);
    check_text(t, TEXT("1"), yaml_get(one, TEXT("a"))->text);
    check_text(t, TEXT("3"), yaml_get(two, TEXT("b"))->text);
    check_text(t, TEXT("4"), yaml_get(two, TEXT("c"))->text);
    check_text(t, TEXT("1"), yaml_get(two, TEXT("a"))->text);
}

TEST(binary_is_decoded) {
    check_text(t, TEXT("hi there"), parsed(t, "!!binary |\n  aGkg\n  dGhlcmU=\n")->text);
}

TEST(faults_say_where_and_what) {
    static const struct {
        const char *source, *says;
    } cases[] = {
        {"a: 1\nb: 2\na: 3\n", "f:3:1: the key \"a\" stands already in line 1"},
        {"a: b: c\n", "f:1:5: not YAML: "},
        {"a: [1\n", "f:2:1: not YAML: "},
        {"a:\n\t- x\n", "f:2:1: not YAML: "},
        {"a: *b\n", "f:1:4: no anchor \"&b\" stands above"},
        {"a: &b [*b]\n", "f:1:8: the value of \"&b\" contains itself"},
        {"<<: 1\n", "f:1:5: \"<<\" takes a map"},
        {"? [a]\n: b\n", "f:1:3: a key is a word"},
        {"a: 1\n---\nb: 2\n", "f:3:1: a second document"},
        {"a: !!binary x\n", "f:1:4: a !!binary value must be base64"},
        {"ok: 1\nbad: \xff\n", "f:2:6: not YAML: "},
        {"ok: 1\nbad: \x01\n", "f:2:6: not YAML: "},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const YamlNode *root;
        check_error(
            t, yaml_parse(text_from_cstring(cases[i].source), TEXT("f"), t->arena, &root, t->err),
            ERROR_BAD_INPUT);
        if (!text_starts_with(text_from_cstring(t->err->message), text_from_cstring(cases[i].says)))
            check_failed(t, __FILE__, __LINE__, "case %zu says: %s", i, t->err->message);
    }
}

TEST(bombs_of_aliases_depth_and_size_are_refused) {
    AUTO(builder_free) Builder bomb = {0};
    AUTO(builder_free) Builder deep = {0};
    AUTO(builder_free) Builder large = {0};
    builder_add(&bomb, TEXT("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"));
    for (int i = 1; i < 20; i++) {
        builder_addf(&bomb, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++) builder_addf(&bomb, "%s*a%d", j > 0 ? ", " : "", i - 1);
        builder_add(&bomb, TEXT("]\n"));
    }
    for (int i = 0; i <= LIMIT_NESTING_YAML; i++) builder_add_char(&deep, '[');
    builder_reserve(&large, (size_t)LIMIT_YAML_BYTES + 1);
    large.len = (size_t)LIMIT_YAML_BYTES + 1;
    memset(large.at, '#', large.len);
    const Builder *sources[] = {&bomb, &deep, &large};
    static const char *const names[] = {"YAML_NODES", "NESTING_YAML", "YAML_BYTES"};
    for (size_t i = 0; i < COUNT(sources); i++) {
        const YamlNode *root;
        check_error(t, yaml_parse(builder_text(sources[i]), TEXT("f"), t->arena, &root, t->err),
                    ERROR_TOO_LARGE);
        check(t, strstr(t->err->message, names[i]) != NULL);
    }
}

TEST(a_map_of_many_keys_is_read_fast_and_checked) {
    AUTO(builder_free) Builder source = {0};
    for (int i = 0; i < 50000; i++) builder_addf(&source, "key%d: %d\n", i, i);
    const YamlNode *root;
    check_ok(t, yaml_parse(builder_text(&source), TEXT("f"), t->arena, &root, t->err));
    check_i64(t, 50000, root->count);
    builder_add(&source, TEXT("key777: again\n"));
    check_error(t, yaml_parse(builder_text(&source), TEXT("f"), t->arena, &root, t->err),
                ERROR_BAD_INPUT);
}

TEST(texts_print_as_scalars_that_read_back) {
    static const struct {
        Text text, printed;
    } cases[] = {
        {TEXT_INIT("plain"), TEXT_INIT("plain")},
        {TEXT_INIT("/metrics"), TEXT_INIT("/metrics")},
        {TEXT_INIT("15s"), TEXT_INIT("15s")},
        {TEXT_INIT("http://a:1/b"), TEXT_INIT("http://a:1/b")},
        {TEXT_INIT("yes"), TEXT_INIT("\"yes\"")},
        {TEXT_INIT(""), TEXT_INIT("\"\"")},
        {TEXT_INIT("12"), TEXT_INIT("\"12\"")},
        {TEXT_INIT("1e3"), TEXT_INIT("\"1e3\"")},
        {TEXT_INIT("a: b"), TEXT_INIT("\"a: b\"")},
        {TEXT_INIT("a\"\n\x01"), TEXT_INIT("\"a\\\"\\n\\x01\"")},
        {TEXT_INIT("\xc2\x85"), TEXT_INIT("\"\\u0085\"")},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO(builder_free) Builder out = {0};
        yaml_print_text(cases[i].text, &out);
        check_text(t, cases[i].printed, builder_text(&out));
    }
}

// ---- The YAML test suite ----

// What libyaml (YAML 1.1) reads otherwise than the suite (YAML 1.2): accepted where it is to be
// refused, or the other way round. Nobody writes configuration so.
static const char *const suite_differs[] = {
    // Refused, and to be read: tabs as separation, `%YAML 1.3`, a colon right behind a quoted key,
    // …
    "2JQS",
    "2LFX",
    "2SXE",
    "4ABK",
    "4MUZ/0",
    "4MUZ/1",
    "4MUZ/2",
    "58MP",
    "5MUD",
    "5T43",
    "6BCT",
    "6CA3",
    "6LVF",
    "6M2F",
    "7Z25",
    "8XYN",
    "96NN/0",
    "96NN/1",
    "9SA2",
    "A2M4",
    "BEC7",
    "CFD4",
    "DBG4",
    "DK3J",
    "DK95/0",
    "DK95/3",
    "DK95/4",
    "FP8R",
    "FRK4",
    "HM87/0",
    "HWV9",
    "K3WX",
    "M2N8/0",
    "M7A3",
    "MUS6/5",
    "MUS6/6",
    "NHX8",
    "NJ66",
    "NKF9",
    "Q5MG",
    "QT73",
    "R4YG",
    "S3PD",
    "SM9W/1",
    "UKK6/0",
    "UT92",
    "VJP3/1",
    "W4TN",
    "W5VH",
    "Y79Y/1",
    "Y79Y/10",
    "ZYU8/1",
    "ZYU8/2",
    "ZYU8/3",
    // Read, and to be refused: comments without a space, indentation of flow lists, directives.
    "9C9N",
    "9HCY",
    "9JBA",
    "CVW2",
    "DK95/1",
    "EB22",
    "G5U8",
    "MUS6/0",
    "MUS6/1",
    "QB6E",
    "RHX7",
    "S98Z",
    "SU5Z",
    "X4QW",
    "Y79Y/3",
    "YJV2",
    // Read as something else: `?x`, anchors with a colon, the last line feed of a block.
    "652Z",
    "HM87/1",
    "JEF9/2",
    "L24T/1",
    "UKK6/2",
    "Y2GN",
};

typedef struct Suite {
    size_t cases, refused, compared, differ;
    Builder unexpected;
} Suite;

static bool is_known(Text id) {
    for (size_t i = 0; i < COUNT(suite_differs); i++)
        if (text_equal(id, text_from_cstring(suite_differs[i]))) return true;
    return false;
}

// The suite shows white space: ␣ space, » and — tabs, ↵ the end of a line, ∎ no line feed at the
// end, ← return, ⇔ a byte order mark.
static Text plain_source(Text shown, Arena *arena) {
    static const struct {
        Text shown, meant;
    } marks[] = {
        {TEXT_INIT("\u2423"), TEXT_INIT(" ")},      {TEXT_INIT("\u00bb"), TEXT_INIT("\t")},
        {TEXT_INIT("\u2014"), TEXT_INIT("")},       {TEXT_INIT("\u21b5"), TEXT_INIT("")},
        {TEXT_INIT("\u220e\n"), TEXT_INIT("")},     {TEXT_INIT("\u2190"), TEXT_INIT("\r")},
        {TEXT_INIT("\u21d4"), TEXT_INIT("\ufeff")},
    };
    AUTO(builder_free) Builder out = {0};
    for (size_t i = 0; i < shown.len;) {
        size_t taken = 0;
        for (size_t j = 0; j < COUNT(marks) && taken == 0; j++) {
            if (!text_starts_with(text_slice(shown, i, shown.len), marks[j].shown)) continue;
            builder_add(&out, marks[j].meant);
            taken = marks[j].shown.len;
        }
        if (taken == 0) builder_add_char(&out, shown.at[i]);
        i += taken == 0 ? 1 : taken;
    }
    return text_copy(builder_text(&out), arena);
}

static bool same(const YamlNode *node, const JsonValue *json);

static bool same_members(const YamlNode *node, const JsonValue *json) {
    size_t i = 0;
    if (node->count != json->count) return false;
    for (const JsonValue *member = json->first; member != NULL; member = member->next, i++) {
        if (json->kind == JSON_ARRAY_BEGIN && !same(node->items[i], member)) return false;
        if (json->kind == JSON_ARRAY_BEGIN) continue;
        const YamlNode *value = yaml_get(node, member->key);  // JSON's order may be another
        if (value == NULL || !same(value, member)) return false;
    }
    return true;
}

static bool same(const YamlNode *node, const JsonValue *json) {
    bool flag;
    double number, stated;
    switch (json->kind) {
        case JSON_NULL:
            return yaml_is_null(node);
        case JSON_TRUE:
        case JSON_FALSE:
            return yaml_to_bool(node, &flag) && flag == (json->kind == JSON_TRUE);
        case JSON_NUMBER:
            return yaml_to_f64(node, &number) && json_number(json, &stated) && number == stated;
        case JSON_STRING:
            return node->kind == YAML_SCALAR && text_equal(node->text, json->text);
        case JSON_ARRAY_BEGIN:
            return node->kind == YAML_LIST && same_members(node, json);
        case JSON_OBJECT_BEGIN:
            return node->kind == YAML_MAP && same_members(node, json);
        case JSON_END:
        case JSON_ARRAY_END:
        case JSON_OBJECT_END:
        case JSON_KEY:
            break;
    }
    return false;
}

// True when it comes out as the suite says.
static bool judge(Test *t, Text source, const YamlNode *json, bool fails, Suite *suite) {
    YamlDocuments documents;
    Error err;
    JsonValue *value;
    bool read = yaml_parse_stream(source, TEXT("f"), t->arena, &documents, &err);
    if (!read || fails) {
        suite->refused += fails;
        return read != fails;
    }
    if (json == NULL || documents.count != 1 || !json_parse(json->text, t->arena, &value, &err))
        return true;
    suite->compared++;
    return same(documents.at[0], value);
}

// A file has one or more cases; keys that a later one lacks are those of the case before.
static void run_file(Test *t, Text id, Text content, Suite *suite) {
    YamlDocuments documents;
    check_ok(t, yaml_parse_stream(content, id, t->arena, &documents, t->err));
    const YamlNode *list = documents.at[0], *json = NULL;
    for (size_t i = 0; i < list->count; i++) {
        const YamlNode *source = yaml_get(list->items[i], TEXT("yaml"));
        const YamlNode *own = yaml_get(list->items[i], TEXT("json"));
        if (yaml_get(list->items[i], TEXT("skip")) != NULL || source == NULL) continue;
        bool fails = yaml_get(list->items[i], TEXT("fail")) != NULL;
        if (own != NULL) json = own;
        Text name = list->count == 1 ? id : text_format(t->arena, "%.*s/%zu", TEXT_ARG(id), i);
        suite->cases++;
        bool right = judge(t, plain_source(source->text, t->arena), json, fails, suite);
        suite->differ += !right;
        if (right == is_known(name)) builder_addf(&suite->unexpected, " %.*s", TEXT_ARG(name));
    }
}

// A tar archive: headers of 512 bytes, the name at 0, the size in octal at 124.
TEST(the_yaml_test_suite) {
    Text folder = test_data_folder(t, "parsers/yaml");
    Text path = text_format(t->arena, "%.*s/yaml-test-suite-src.tar.zst", TEXT_ARG(folder));
    FILE *file = fopen(text_to_cstring(path, t->arena), "rb");
    if (file == NULL) test_skip(t, "the YAML test suite is not here");
    char *packed = arena_push_array(t->arena, char, 4 * MB);
    size_t len = fread(packed, 1, 4 * MB, file);
    (void)fclose(file);
    AUTO(builder_free) Builder unpacked = {0};
    // The archive is trusted, and its window passes what bodies may have: not decompress().
    builder_reserve(&unpacked, 64 * MB);
    unpacked.len = ZSTD_decompress(unpacked.at, unpacked.capacity, packed, len);
    check(t, !ZSTD_isError(unpacked.len));
    Bytes tar = text_bytes(builder_text(&unpacked));
    Suite suite = {0};
    for (size_t at = 0; at + 512 <= tar.len && tar.at[at] != 0;) {
        Text name = text_from_cstring((const char *)tar.at + at);
        size_t size = 0;
        for (const uint8_t *digit = tar.at + at + 124; *digit >= '0' && *digit <= '7'; digit++)
            size = size * 8 + (size_t)(*digit - '0');
        Text content = {(const char *)tar.at + at + 512, size};
        if (text_ends_with(name, TEXT(".yaml")))
            run_file(t, text_slice(name, name.len - 9, name.len - 5), content, &suite);
        at += 512 + (size + 511) / 512 * 512;
    }
    printf("# %zu cases, %zu as the suite says (%zu refused, %zu compared with JSON), %zu differ\n",
           suite.cases, suite.cases - suite.differ, suite.refused, suite.compared, suite.differ);
    check(t, suite.cases > 300);
    // Not as the list above says: neither may be.
    check_text(t, TEXT(""), builder_text(&suite.unexpected));
    builder_free(&suite.unexpected);
}

TEST_MAIN("codec/yaml", CASE(a_tree_keeps_places_styles_and_order), CASE(nothing_is_no_tree),
          CASE(plain_scalars_have_types_as_in_go_yaml),
          CASE(merge_keys_are_folded_in_and_explicit_keys_win), CASE(binary_is_decoded),
          CASE(faults_say_where_and_what), CASE(bombs_of_aliases_depth_and_size_are_refused),
          CASE(a_map_of_many_keys_is_read_fast_and_checked),
          CASE(texts_print_as_scalars_that_read_back), CASE(the_yaml_test_suite))
