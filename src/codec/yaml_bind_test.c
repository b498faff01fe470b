// Tests of the binder: each kind read, refused and printed, by a small table.

#include "base/test.h"
#include "codec/yaml_bind.h"

typedef struct Inner {
    Text name;
    uint64_t size;
} Inner;

typedef struct Outer {
    Text text, secret, url, path;
    bool flag, standing;
    uint64_t count;
    uint16_t port;
    double factor;
    int64_t wait_ms, bytes;
    int choice;
    Texts texts, paths;
    Inner inner;
    const Inner *pointer;
    struct {
        Inner *at;
        size_t count;
    } list;
    Inner inlined;
} Outer;

static bool check_inner(Binder *binder, void *object, const YamlNode *node, Error *err) {
    const Inner *inner = object;
    if (inner->size < 100) return true;
    return yaml_error(bind_at(node, TEXT("size")), ERROR_BAD_INPUT, err, "too large");
}

static const BindRow inner_rows[] = {
    {.name = TEXT_INIT("name"), .kind = BIND_TEXT, .offset = offsetof(Inner, name)},
    {.name = TEXT_INIT("size"),
     .kind = BIND_COUNT,
     .offset = offsetof(Inner, size),
     .standard = TEXT_INIT("7")},
};
static const BindTable inner_table = {.what = TEXT_INIT("inner"),
                                      .rows = inner_rows,
                                      .count = COUNT(inner_rows),
                                      .size = sizeof(Inner),
                                      .align = _Alignof(Inner),
                                      .check = check_inner};
static const BindRow inlined_rows[] = {
    {.name = TEXT_INIT("inlined"), .kind = BIND_TEXT, .offset = offsetof(Inner, name)},
};
static const BindTable inlined_table = {.what = TEXT_INIT("inlined"),
                                        .rows = inlined_rows,
                                        .count = COUNT(inlined_rows),
                                        .size = sizeof(Inner),
                                        .align = _Alignof(Inner)};

#define ROW(name_, kind_, field_) \
    .name = TEXT_INIT(name_), .kind = BIND_##kind_, .offset = offsetof(Outer, field_)
static const BindRow outer_rows[] = {
    {ROW("text", TEXT, text), .standard = TEXT_INIT("given")},
    {ROW("secret", SECRET, secret)},
    {ROW("url", URL, url)},
    {ROW("path", PATH, path)},
    {ROW("flag", BOOL, flag)},
    {ROW("standing", BOOL, standing), .standard = TEXT_INIT("true")},
    {ROW("count", COUNT, count)},
    {ROW("port", PORT, port)},
    {ROW("factor", FLOAT, factor)},
    {ROW("wait", DURATION, wait_ms)},
    {ROW("bytes", SIZE, bytes)},
    {ROW("choice", CHOICE, choice), .words = TEXT_INIT("|one|two")},
    {ROW("texts", TEXTS, texts)},
    {ROW("paths", PATHS, paths)},
    {ROW("inner", STRUCT, inner), .table = &inner_table},
    {ROW("pointer", POINTER, pointer), .table = &inner_table},
    {ROW("list", LIST, list), .table = &inner_table},
    {ROW("", INLINE, inlined), .table = &inlined_table},
    {.name = TEXT_INIT("later"), .kind = BIND_LATER, .help = TEXT_INIT("do without")},
    {.name = TEXT_INIT("never"), .kind = BIND_LATER, .help = TEXT_INIT("do without")},
};
static const BindTable outer_table = {.what = TEXT_INIT("outer"),
                                      .rows = outer_rows,
                                      .count = COUNT(outer_rows),
                                      .size = sizeof(Outer),
                                      .align = _Alignof(Outer)};

static bool bind(Test *t, const char *source, BindLater *later, Outer *out) {
    const YamlNode *root;
    Binder binder = {.arena = t->arena, .folder = TEXT("/etc/x"), .later = later};
    *out = (Outer){0};
    check_ok(t, yaml_parse(text_from_cstring(source), TEXT("f"), t->arena, &root, t->err));
    return bind_map(&binder, &outer_table, root, out, t->err);
}

TEST(every_kind_is_read_and_printed) {
    static const char source[] =
        "text: 5\nsecret: s3cret\nurl: http://me:pw@host:1/x\npath: rel/file\nflag: yes\n"
        "standing: false\ncount: 3\nport: 9100\nfactor: 1.25\nwait: 1m30s\nbytes: 2KB\n"
        "choice: two\ntexts: [a, 'b c']\npaths: [/abs, rel]\ninner: {name: nn, size: 9}\n"
        "pointer:\nlist:\n- name: first\n- size: 1\ninlined: here\n";
    Outer outer;
    check_ok(t, bind(t, source, NULL, &outer));
    check_text(t, TEXT("/etc/x/rel/file"), outer.path);
    check(t, outer.flag && !outer.standing && outer.port == 9100 && outer.factor == 1.25);
    check(t, outer.wait_ms == 90000 && outer.bytes == 2048 && outer.choice == 2);
    check(t, outer.pointer == NULL && outer.list.count == 2 && outer.list.at[0].size == 7);
    AUTO(builder_free) Builder out = {0};
    bind_print(&outer_table, &outer, 0, &out);
    check_text(t,
               TEXT("text: \"5\"\nsecret: <secret>\nurl: http://me:xxxxx@host:1/x\n"
                    "path: /etc/x/rel/file\nflag: true\nstanding: false\ncount: 3\nport: 9100\n"
                    "factor: 1.25\nwait: 1m30s\nbytes: 2KiB\nchoice: two\ntexts:\n- a\n- \"b c\"\n"
                    "paths:\n- /abs\n- /etc/x/rel\ninner:\n  name: nn\n  size: 9\nlist:\n"
                    "- name: first\n  size: 7\n- size: 1\ninlined: here\n"),
               builder_text(&out));
}

TEST(defaults_stand_where_nothing_is_written_and_null_is_zero) {
    Outer outer;
    check_ok(t, bind(t, "", NULL, &outer));
    check_text(t, TEXT("given"), outer.text);
    check(t, outer.standing && outer.inner.size == 7 && outer.pointer == NULL);
    check_ok(t,
             bind(t, "text:\nstanding: ~\ncount: null\nlist:\nwait:\npointer: {}\n", NULL, &outer));
    check(t, outer.text.len == 0 && !outer.standing && outer.list.count == 0);
    check(t, outer.pointer != NULL && outer.pointer->size == 7);
}

TEST(what_does_not_fit_is_refused_with_its_place) {
    static const struct {
        const char *source, *says;
    } cases[] = {
        {"txet: 1\n", "f:1:1: unknown key \"txet\" in outer; did you mean \"text\"?"},
        {"\ninlned: 1\n", "f:2:1: unknown key \"inlned\" in outer; did you mean \"inlined\"?"},
        {"zzzzzzzz: 1\n", "f:1:1: unknown key \"zzzzzzzz\" in outer"},
        {"inner: {nam: 1}\n", "f:1:9: unknown key \"nam\" in inner; did you mean \"name\"?"},
        {"text: [a]\n", "f:1:7: text: a text is expected, not a list"},
        {"flag: 'true'\n", "f:1:7: flag: true or false is expected, not this text \"true\""},
        {"count: -1\n", "f:1:8: count: a whole number is expected"},
        {"count: 1.5\n", "f:1:8: count: a whole number is expected"},
        {"port: 70000\n", "f:1:7: port: a port (up to 65535) is expected"},
        {"factor: x\n", "f:1:9: factor: a number is expected"},
        {"wait: soon\n", "f:1:7: wait: \"soon\" is not a duration"},
        {"bytes: 100\n", "f:1:8: bytes: \"100\" is not a size"},
        {"choice: three\n", "f:1:9: choice: \"three\" is none of one, two"},
        {"url: host/x\n", "f:1:6: url: \"host/x\" has no scheme"},
        {"url: 'http://a b'\n", "f:1:6: url: \"http://a b\" has a space"},
        {"texts: a\n", "f:1:8: texts: a list is expected"},
        {"texts: [[a]]\n", "f:1:9: texts: a text is expected, not a list"},
        {"list: [~]\n", "f:1:8: list: an entry is empty; a inner is expected"},
        {"inner: x\n", "f:1:8: inner: keys with values are expected here"},
        {"inner: {size: 100}\n", "f:1:15: too large"},
        {"list: [{size: 5}, {size: 100}]\n", "f:1:26: too large"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        Outer outer;
        check_error(t, bind(t, cases[i].source, NULL, &outer), ERROR_BAD_INPUT);
        if (!text_starts_with(text_from_cstring(t->err->message), text_from_cstring(cases[i].says)))
            check_failed(t, __FILE__, __LINE__, "case %zu says: %s", i, t->err->message);
    }
}

TEST(keys_that_are_not_supported_yet_are_said_together_and_last) {
    Outer outer;
    BindLater later = {0};
    check_ok(t, bind(t, "later: []\nnever: {a: }\n", &later, &outer));
    check_ok(t, bind_later_check(&later, t->err));
    check_ok(t, bind(t, "later: 1\ntext: x\nnever: [1]\n", &later, &outer));
    check_error(t, bind_later_check(&later, t->err), ERROR_UNSUPPORTED);
    check_text(t,
               TEXT("f:1:1: later is not supported by this version of Traceo; do without; neither "
                    "is never (line 3)"),
               text_from_cstring(t->err->message));
    builder_free(&later.others);
    check_error(t, bind(t, "later: 1\n", NULL, &outer), ERROR_UNSUPPORTED);
}

TEST_MAIN("codec/yaml_bind", CASE(every_kind_is_read_and_printed),
          CASE(defaults_stand_where_nothing_is_written_and_null_is_zero),
          CASE(what_does_not_fit_is_refused_with_its_place),
          CASE(keys_that_are_not_supported_yet_are_said_together_and_last))
