// Any rules on any labels: refused, or labels come out that are canonical (sorted, unique, not
// empty) and that `changed` tells the truth about.
//
// The input is lines: the first is the labels (name=value with commas), each other a rule (action,
// sources with spaces, separator, regex, replacement, target, modulus, with tabs between).

#include "base/assert.h"
#include "model/relabel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RULES_MAX = 8 };

static Texts names_of(Text text, Arena *arena) {
    Text *at = arena_push_array(arena, Text, text.len + 1), name;
    size_t count = 0;
    while (text.len > 0 && text_cut(&text, ' ', &name)) at[count++] = name;
    return (Texts){at, count};
}

static bool rule_of(Text line, Arena *arena, RelabelRule *rule) {
    Text field[7] = {TEXT(""), TEXT(""), TEXT(""), TEXT(""), TEXT(""), TEXT(""), TEXT("")};
    Error err;
    *rule = relabel_rule_default();
    for (size_t i = 0; i < COUNT(field) && text_cut(&line, '\t', &field[i]); i++) {
    }
    if (!relabel_action_parse(field[0], &rule->action)) return false;
    rule->source_labels = names_of(field[1], arena);
    if (field[2].len > 0) rule->separator = field[2];
    if (field[3].len > 0) rule->regex = field[3];
    if (field[4].len > 0) rule->replacement = field[4];
    rule->target_label = field[5];
    if (!text_to_u64(field[6], &rule->modulus)) rule->modulus = 0;
    return relabel_rule_compile(rule, &err);
}

static void check_canonical(Labels labels) {
    Label label, before = {TEXT_NONE, TEXT_NONE};
    for (Bytes rest = labels.wire; labels_next(&rest, &label); before = label) {
        assert(label.name.len > 0);
        assert(label.value.len > 0);
        assert(before.name.at == NULL || text_compare(before.name, label.name) < 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_free) Arena arena = {0};
    Text rest = {(const char *)data, size}, line = TEXT(""), pair, name;
    LabelArray array = {0};
    Error err;
    if (!text_cut(&rest, '\n', &line)) return 0;
    while (line.len > 0 && text_cut(&line, ',', &pair)) {
        text_cut(&pair, '=', &name);
        if (name.len > 0)
            *array_add_on(&arena, &array) = (Label){name, pair.at == NULL ? TEXT("") : pair};
    }
    Labels in, out;
    if (!labels_make(array.at, array.count, &arena, &in, &err)) return 0;
    RelabelRule at[RULES_MAX];
    RelabelRules rules = {at, 0};
    while (rules.count < RULES_MAX && text_cut(&rest, '\n', &line))
        if (rule_of(line, &arena, &at[rules.count])) rules.count++;
    RelabelLabels labels = relabel_labels_begin(&arena);
    relabel_labels_add(&labels, in);
    bool keep;
    if (relabel_apply(&rules, &labels, &keep, &err)) {
        bool made = relabel_labels_finish(&labels, &arena, &out, &err);
        assert(made);
        check_canonical(out);
        assert(labels.changed || labels_equal(in, out));
    }
    relabel_rules_close(&rules);
    return 0;
}
