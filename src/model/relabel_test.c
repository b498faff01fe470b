// Tests of relabelling: a table of rules with what goes in and what has to come out.

#include "base/test.h"
#include "model/relabel.h"

enum { RULES_MAX = 4 };

typedef struct RuleText {
    const char *action, *sources, *separator, *regex, *replacement, *target;
    uint64_t modulus;
} RuleText;

// Labels are `name=value`, with commas between; NULL: dropped.
typedef struct Case {
    const char *what;
    const char *in;
    RuleText rules[RULES_MAX];
    const char *out;
} Case;

static const Case relabel_cases[] = {
    {"replace writes a group",
     "a=foo,b=bar,c=baz",
     {{.sources = "a", .regex = "f(.*)", .target = "d", .replacement = "ch${1}-ch${1}"}},
     "a=foo,b=bar,c=baz,d=choo-choo"},
    {"sources are joined with the separator",
     "a=foo,b=bar,c=baz",
     {{.sources = "a,b", .regex = "f(.*);(.*)r", .target = "a", .replacement = "b${1}${2}m"},
      {.sources = "c,a", .regex = "(b).*b(.*)ba(.*)", .target = "d", .replacement = "$1$2$2$3"}},
     "a=boobam,b=bar,c=baz,d=boooom"},
    {"another separator",
     "a=1,b=2",
     {{.sources = "a,b", .separator = "-", .target = "c"}},
     "a=1,b=2,c=1-2"},
    {"an empty separator",
     "a=1,b=2",
     {{.sources = "a,b", .separator = "", .target = "c"}},
     "a=1,b=2,c=12"},
    {"a missing source is empty", "a=1", {{.sources = "a,x,y", .target = "c"}}, "a=1,c=1;;"},
    {"no match changes nothing", "a=foo", {{.sources = "a", .regex = "o", .target = "b"}}, "a=foo"},
    {"the expression is anchored",
     "a=foobar",
     {{.sources = "a", .regex = "foo", .target = "b", .replacement = "x"}},
     "a=foobar"},
    {"an alternative is anchored as a whole",
     "a=xb",
     {{.sources = "a", .regex = "a|b", .target = "c", .replacement = "x"}},
     "a=xb"},
    {"a line feed is any character",
     "a=x\ny",
     {{.sources = "a", .regex = "x.y", .target = "b", .replacement = "z"}},
     "a=x\ny,b=z"},
    {"an empty result removes the target",
     "a=foo,b=bar",
     {{.sources = "a", .regex = "foo", .target = "b", .replacement = ""}},
     "a=foo"},
    {"an empty value copied removes the target", "b=bar", {{.sources = "nope", .target = "b"}}, ""},
    {"a plain replacement without sources is always written",
     "a=1",
     {{.target = "b", .replacement = "static"}},
     "a=1,b=static"},
    {"an empty regex matches the empty value",
     "a=1",
     {{.regex = "", .target = "b", .replacement = "static"}},
     "a=1,b=static"},
    {"$$ is a dollar",
     "a=foo",
     {{.sources = "a", .target = "b", .replacement = "$$1 costs $1"}},
     "a=foo,b=$1 costs foo"},
    {"$1x is the group 1x, which is none",
     "a=foo",
     {{.sources = "a", .target = "b", .replacement = "[$1x]"}},
     "a=foo,b=[]"},
    {"a group by name",
     "a=foo-bar",
     {{.sources = "a",
       .regex = "(?P<first>\\w+)-(?P<rest>\\w+)",
       .target = "b",
       .replacement = "${rest}-$first"}},
     "a=foo-bar,b=bar-foo"},
    {"the target may have groups",
     "a=some-name-value,b=1",
     {{.sources = "a", .regex = "some-([^-]+)-([^,]+)", .target = "${1}", .replacement = "${2}"}},
     "a=some-name-value,b=1,name=value"},
    {"a target that becomes empty is left alone",
     "a=some-2-value",
     {{.sources = "a", .regex = "some-([^-]*)-(.*)", .target = "${3}", .replacement = "x"}},
     "a=some-2-value"},
    {"a UTF-8 name is a target", "a=x", {{.sources = "a", .target = "größe"}}, "a=x,größe=x"},
    {"keep keeps what matches",
     "a=foo",
     {{.action = "keep", .sources = "a", .regex = "f.*"}},
     "a=foo"},
    {"keep drops what does not",
     "a=foo",
     {{.action = "keep", .sources = "a", .regex = "no"}},
     NULL},
    {"drop drops what matches",
     "a=foo",
     {{.action = "drop", .sources = "a", .regex = ".*o.*"}},
     NULL},
    {"drop keeps what does not",
     "a=foo",
     {{.action = "drop", .sources = "a", .regex = "f"}},
     "a=foo"},
    {"nothing is done after a drop",
     "a=foo",
     {{.action = "drop", .sources = "a", .regex = "foo"}, {.target = "b", .replacement = "x"}},
     NULL},
    {"keepequal keeps equals",
     "a=1,b=1",
     {{.action = "keepequal", .sources = "a", .target = "b"}},
     "a=1,b=1"},
    {"keepequal drops others",
     "a=1,b=2",
     {{.action = "keepequal", .sources = "a", .target = "b"}},
     NULL},
    {"dropequal drops equals",
     "a=1,b=1",
     {{.action = "dropequal", .sources = "a", .target = "b"}},
     NULL},
    {"dropequal keeps others",
     "a=1,b=2",
     {{.action = "dropequal", .sources = "a", .target = "b"}},
     "a=1,b=2"},
    {"missing equals missing",
     "a=1",
     {{.action = "dropequal", .sources = "x", .target = "y"}},
     NULL},
    // The last eight bytes of `printf baz | md5sum`, as one number.
    {"hashmod",
     "c=baz",
     {{.action = "hashmod", .sources = "c", .target = "d", .modulus = 1000}},
     "c=baz,d=976"},
    {"hashmod of a long modulus",
     "c=baz",
     {{.action = "hashmod", .sources = "c", .target = "d", .modulus = UINT64_MAX}},
     "c=baz,d=16450797887570275976"},
    {"labelmap copies",
     "a=1,b1=bar,b2=baz",
     {{.action = "labelmap", .regex = "(b.*)", .replacement = "foo_${1}"}},
     "a=1,b1=bar,b2=baz,foo_b1=bar,foo_b2=baz"},
    {"labelmap renames meta labels",
     "__meta_my_bar=aaa,__meta_my_baz=bbb,__meta_other=ccc",
     {{.action = "labelmap", .regex = "__meta_(my.*)"}},
     "__meta_my_bar=aaa,__meta_my_baz=bbb,__meta_other=ccc,my_bar=aaa,my_baz=bbb"},
    {"labelmap does not see what it made",
     "a=1",
     {{.action = "labelmap", .regex = "(.*)", .replacement = "${1}x"}},
     "a=1,ax=1"},
    {"labelmap with a plain name: the last wins",
     "a=1,b=2",
     {{.action = "labelmap", .regex = "[ab]", .replacement = "c"}},
     "a=1,b=2,c=2"},
    {"labeldrop", "a=foo,b1=bar,b2=baz", {{.action = "labeldrop", .regex = "(b.*)"}}, "a=foo"},
    {"labelkeep",
     "a=foo,b1=bar,b2=baz",
     {{.action = "labelkeep", .regex = "(b.*)"}},
     "b1=bar,b2=baz"},
    {"lowercase",
     "a=FoÄO",
     {{.action = "lowercase", .sources = "a", .target = "b"}},
     "a=FoÄO,b=foäo"},
    {"uppercase", "a=foo ñß", {{.action = "uppercase", .sources = "a", .target = "a"}}, "a=FOO Ñß"},
    {"rules follow each other",
     "a=1",
     {{.target = "t", .replacement = "x"},
      {.sources = "t", .target = "u"},
      {.action = "labeldrop", .regex = "t"}},
     "a=1,u=x"},
    {"actions are read in any case", "a=1", {{.action = "LabelDrop", .regex = "a"}}, ""},
};

static Text text_or(const char *text, Text standard) {
    return text == NULL ? standard : text_from_cstring(text);
}

static Texts names_of(const char *names, Arena *arena) {
    Text rest = text_from_cstring(names), name;
    Text *at = arena_push_array(arena, Text, rest.len + 1);
    size_t count = 0;
    while (rest.len > 0 && text_cut(&rest, ',', &name)) at[count++] = name;
    return (Texts){at, count};
}

static RelabelRule rule_of(Test *t, const RuleText *text) {
    RelabelRule rule = relabel_rule_default();
    if (text->action != NULL)
        check(t, relabel_action_parse(text_from_cstring(text->action), &rule.action));
    if (text->sources != NULL) rule.source_labels = names_of(text->sources, t->arena);
    rule.separator = text_or(text->separator, rule.separator);
    rule.regex = text_or(text->regex, rule.regex);
    rule.replacement = text_or(text->replacement, rule.replacement);
    rule.target_label = text_or(text->target, TEXT(""));
    rule.modulus = text->modulus;
    return rule;
}

static bool is_used(const RuleText *text) {
    return text->action != NULL || text->target != NULL;
}

static Labels labels_of(Test *t, const char *pairs) {
    Text rest = text_from_cstring(pairs), pair, name;
    LabelArray array = {0};
    while (rest.len > 0 && text_cut(&rest, ',', &pair)) {
        text_cut(&pair, '=', &name);
        *array_add_on(t->arena, &array) = (Label){name, pair};
    }
    Labels labels;
    check_ok(t, labels_make(array.at, array.count, t->arena, &labels, t->err));
    return labels;
}

TEST(every_action_does_what_prometheus_does) {
    for (size_t i = 0; i < COUNT(relabel_cases); i++) {
        RelabelRule at[RULES_MAX];
        RelabelRules rules = {at, 0};
        for (size_t j = 0; j < RULES_MAX && is_used(&relabel_cases[i].rules[j]); j++) {
            at[j] = rule_of(t, &relabel_cases[i].rules[j]);
            check_ok(t, relabel_rule_compile(&at[j], t->err));
            rules.count++;
        }
        RelabelLabels labels = relabel_labels_begin(t->arena);
        relabel_labels_add(&labels, labels_of(t, relabel_cases[i].in));
        bool keep;
        check_ok(t, relabel_apply(&rules, &labels, &keep, t->err));
        relabel_rules_close(&rules);
        if (keep != (relabel_cases[i].out != NULL))
            check_failed(t, __FILE__, __LINE__, "%s: kept or not", relabel_cases[i].what);
        if (!keep) continue;
        Labels actual;
        check_ok(t, relabel_labels_finish(&labels, t->arena, &actual, t->err));
        AUTO(builder_free) Builder shown = {0};
        labels_print(actual, &shown);
        if (!labels_equal(actual, labels_of(t, relabel_cases[i].out)))
            check_failed(t, __FILE__, __LINE__, "%s: %.*s", relabel_cases[i].what,
                         TEXT_ARG(builder_text(&shown)));
    }
}

TEST(rules_that_cannot_be_meant_are_refused) {
    static const struct {
        RuleText rule;
        NameScheme names;
        const char *says;
    } bad[] = {
        {{.action = "replace"}, NAMES_UTF8, "needs a target_label"},
        {{.action = "replace", .target = "a-b"}, NAMES_LEGACY, "not a label name"},
        {{.action = "replace", .target = "1$1"}, NAMES_LEGACY, "not a label name"},
        {{.action = "replace", .target = "a${1"}, NAMES_LEGACY, "not a label name"},
        {{.action = "replace", .target = "\xff"}, NAMES_UTF8, "not a label name"},
        {{.action = "replace", .target = "a", .regex = "("}, NAMES_UTF8, "regex"},
        {{.action = "replace", .target = "a", .sources = "a-b"}, NAMES_LEGACY, "source label"},
        {{.action = "hashmod", .target = "a"}, NAMES_UTF8, "modulus"},
        {{.action = "hashmod", .modulus = 8}, NAMES_UTF8, "needs a target_label"},
        {{.action = "lowercase", .target = "a", .replacement = "x"}, NAMES_UTF8, "replacement"},
        {{.action = "uppercase"}, NAMES_UTF8, "needs a target_label"},
        {{.action = "keepequal", .target = "a", .regex = "x"}, NAMES_UTF8, "takes no regex"},
        {{.action = "dropequal", .target = "a", .separator = ","}, NAMES_UTF8, "no separator"},
        {{.action = "labelmap", .regex = "a", .replacement = "a-$1"}, NAMES_LEGACY, "replacement"},
        {{.action = "labelmap", .regex = "a", .replacement = ""}, NAMES_UTF8, "replacement"},
        {{.action = "labeldrop", .sources = "a"}, NAMES_UTF8, "takes no source_labels"},
        {{.action = "labelkeep", .target = "a"}, NAMES_UTF8, "takes no target_label"},
        {{.action = "labelkeep", .regex = "a", .modulus = 1}, NAMES_UTF8, "takes no modulus"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        RelabelRule rule = rule_of(t, &bad[i].rule);
        rule.names = bad[i].names;
        check_error(t, relabel_rule_compile(&rule, t->err), ERROR_BAD_INPUT);
        if (strstr(t->err->message, bad[i].says) == NULL)
            check_failed(t, __FILE__, __LINE__, "case %zu says %s", i, t->err->message);
    }
}

TEST(names_with_variables_pass_where_they_may) {
    static const char *const good[] = {"a", "${1}", "$1", "a_$1_b", "${name}x9", "$1$2", "_"};
    for (size_t i = 0; i < COUNT(good); i++) {
        RelabelRule rule = relabel_rule_default();
        rule.target_label = text_from_cstring(good[i]);
        rule.names = NAMES_LEGACY;
        check_ok(t, relabel_rule_compile(&rule, t->err));
        regex_close(&rule.compiled);
    }
}

TEST(a_set_that_no_rule_touches_is_not_changed_and_costs_nothing) {
    RelabelRule rule = relabel_rule_default();
    rule.action = RELABEL_DROP;
    Text source = TEXT("__name__");
    rule.source_labels = (Texts){&source, 1};
    rule.regex = TEXT("go_.*");
    check_ok(t, relabel_rule_compile(&rule, t->err));
    RelabelRules rules = {&rule, 1};
    RelabelLabels labels = relabel_labels_begin(t->arena);
    relabel_labels_add(&labels, labels_of(t, "__name__=up,job=a"));
    ArenaMark before = arena_mark(t->arena);
    bool keep;
    check_ok(t, relabel_apply(&rules, &labels, &keep, t->err));
    ArenaMark after = arena_mark(t->arena);
    check(t, keep && !labels.changed);
    check(t, before.at == after.at && before.block == after.block);
    relabel_rules_close(&rules);
}

TEST(values_and_sets_that_grow_without_bound_are_refused) {
    RelabelRule rule = relabel_rule_default();
    Text sources[2] = {TEXT("a"), TEXT("a")};
    rule.source_labels = (Texts){sources, 2};
    rule.separator = TEXT("");
    rule.target_label = TEXT("a");
    check_ok(t, relabel_rule_compile(&rule, t->err));
    RelabelRule map = relabel_rule_default();
    map.action = RELABEL_LABELMAP;
    check_ok(t, relabel_rule_compile(&map, t->err));
    RelabelRule doubling[40], mapping[14];
    for (size_t i = 0; i < COUNT(doubling); i++) doubling[i] = rule;
    for (size_t i = 0; i < COUNT(mapping); i++) {
        mapping[i] = map;
        mapping[i].replacement = text_format(t->arena, "${1}_%zu", i);
        mapping[i].replacement_is_whole = false;
    }
    RelabelRules all[2] = {{doubling, COUNT(doubling)}, {mapping, COUNT(mapping)}};
    for (size_t i = 0; i < 2; i++) {
        RelabelLabels labels = relabel_labels_begin(t->arena);
        relabel_labels_add(&labels, labels_of(t, "a=1"));
        bool keep;
        check_error(t, relabel_apply(&all[i], &labels, &keep, t->err), ERROR_TOO_LARGE);
    }
    regex_close(&rule.compiled);
    regex_close(&map.compiled);
}

TEST_MAIN("model/relabel", CASE(every_action_does_what_prometheus_does),
          CASE(rules_that_cannot_be_meant_are_refused),
          CASE(names_with_variables_pass_where_they_may),
          CASE(a_set_that_no_rule_touches_is_not_changed_and_costs_nothing),
          CASE(values_and_sets_that_grow_without_bound_are_refused))
