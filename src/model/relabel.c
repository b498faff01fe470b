// Rules on label sets: what may stand in a rule, and what each action does.

#include "model/relabel.h"

#include "base/assert.h"
#include "base/limits.h"
#include "codec/md5.h"
#include "codec/utf8_case.h"

// A label map that copies every label to a new name can double a set; this many are no label set.
enum { LABELS_MAX = 4096 };

// What an action may and must have besides source labels and regex.
typedef struct ActionRow {
    Text name;
    bool needs_target;
    bool only_target;  // replacement keeps its default
    bool only_source;  // regex, separator and modulus keep their defaults too
    bool only_regex;   // everything but regex keeps its default
} ActionRow;

static const ActionRow action_rows[RELABEL_ACTION_COUNT] = {
    // clang-format off
    //                     name                     needs  target source regex only
    [RELABEL_REPLACE]   = {TEXT_INIT("replace"),    true,  false, false, false},
    [RELABEL_KEEP]      = {TEXT_INIT("keep"),       false, false, false, false},
    [RELABEL_DROP]      = {TEXT_INIT("drop"),       false, false, false, false},
    [RELABEL_KEEPEQUAL] = {TEXT_INIT("keepequal"),  true,  true,  true,  false},
    [RELABEL_DROPEQUAL] = {TEXT_INIT("dropequal"),  true,  true,  true,  false},
    [RELABEL_HASHMOD]   = {TEXT_INIT("hashmod"),    true,  false, false, false},
    [RELABEL_LABELMAP]  = {TEXT_INIT("labelmap"),   false, false, false, false},
    [RELABEL_LABELDROP] = {TEXT_INIT("labeldrop"),  false, false, false, true},
    [RELABEL_LABELKEEP] = {TEXT_INIT("labelkeep"),  false, false, false, true},
    [RELABEL_LOWERCASE] = {TEXT_INIT("lowercase"),  true,  true,  false, false},
    [RELABEL_UPPERCASE] = {TEXT_INIT("uppercase"),  true,  true,  false, false},
    // clang-format on
};

static const Text SEPARATOR = TEXT_INIT(";"), REGEX = TEXT_INIT("(.*)"),
                  REPLACEMENT = TEXT_INIT("$1");

Text relabel_action_name(RelabelAction action) {
    return action_rows[action].name;
}

bool relabel_action_parse(Text name, RelabelAction *out) {
    for (size_t i = 0; i < RELABEL_ACTION_COUNT; i++) {
        if (!text_equal_ignore_case(name, action_rows[i].name)) continue;
        *out = (RelabelAction)i;
        return true;
    }
    return false;
}

RelabelRule relabel_rule_default(void) {
    return (RelabelRule){.action = RELABEL_REPLACE,
                         .separator = SEPARATOR,
                         .regex = REGEX,
                         .replacement = REPLACEMENT};
}

// ---- Names ----

bool label_name_is_valid(Text name, NameScheme names) {
    if (names == NAMES_LEGACY) return label_name_is_plain(name, false);
    return name.len > 0 && text_is_utf8(name);
}

static bool has_variable(Text text) {
    return text_find_char(text, '$') >= 0;
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static size_t word_length(Text text, size_t from) {
    size_t end = from;
    while (end < text.len && is_word(text.at[end])) end++;
    return end - from;
}

// `$word` or `${word}` at `from`: its length, 0 when it is neither.
static size_t variable_length(Text text, size_t from) {
    bool braces = from + 1 < text.len && text.at[from + 1] == '{';
    size_t begin = from + (braces ? 2 : 1), len = word_length(text, begin), end = begin + len;
    if (len == 0) return 0;
    if (!braces) return end - from;
    return end < text.len && text.at[end] == '}' ? end + 1 - from : 0;
}

// A name with variables in it. Under the old rules: words and variables, no digit in front. Any
// UTF-8 may stand between variables under the new ones.
static bool is_valid_template(Text text, NameScheme names) {
    if (names == NAMES_UTF8) return label_name_is_valid(text, names);
    size_t at = 0;
    while (at < text.len) {
        bool digit = text.at[at] >= '0' && text.at[at] <= '9';
        size_t len = text.at[at] == '$' ? variable_length(text, at) : is_word(text.at[at]);
        if (len == 0 || (at == 0 && digit)) return false;
        at += len;
    }
    return text.len > 0;
}

// ---- Validation ----

static bool check_target(const RelabelRule *rule, const ActionRow *row, Error *err) {
    if (!row->needs_target) return true;
    if (rule->target_label.len == 0)
        return error_set(err, ERROR_BAD_INPUT, "the action %.*s needs a target_label",
                         TEXT_ARG(row->name));
    bool variable = rule->action == RELABEL_REPLACE && has_variable(rule->target_label);
    bool valid = variable ? is_valid_template(rule->target_label, rule->names)
                          : label_name_is_valid(rule->target_label, rule->names);
    if (valid) return true;
    return error_set(err, ERROR_BAD_INPUT, "target_label \"%.*s\" is not a label name%s",
                     TEXT_ARG(text_slice(rule->target_label, 0, 100)),
                     rule->names == NAMES_LEGACY
                         ? " (letters, digits and _ with metric_name_validation_scheme: legacy)"
                         : "");
}

// Fields that the action does not look at must not be set: who sets them means something else.
static bool check_unused(const RelabelRule *rule, const ActionRow *row, Error *err) {
    const char *field = NULL;
    bool only_regex = row->only_regex;
    if ((row->only_target || only_regex) && !text_equal(rule->replacement, REPLACEMENT))
        field = "replacement";
    if ((row->only_source || only_regex) && !text_equal(rule->separator, SEPARATOR))
        field = "separator";
    if ((row->only_source || only_regex) && rule->modulus != 0) field = "modulus";
    if (row->only_source && !text_equal(rule->regex, REGEX)) field = "regex";
    if (only_regex && rule->target_label.len > 0) field = "target_label";
    if (only_regex && rule->source_labels.count > 0) field = "source_labels";
    if (field == NULL) return true;
    return error_set(err, ERROR_BAD_INPUT, "the action %.*s takes no %s; it uses only %s",
                     TEXT_ARG(row->name), field,
                     only_regex         ? "regex"
                     : row->only_source ? "source_labels and target_label"
                                        : "source_labels, separator and target_label");
}

static bool check_sources(const RelabelRule *rule, Error *err) {
    for (size_t i = 0; i < rule->source_labels.count; i++) {
        Text name = rule->source_labels.at[i];
        if (!label_name_is_valid(name, rule->names))
            return error_set(err, ERROR_BAD_INPUT, "source label \"%.*s\" is not a label name",
                             TEXT_ARG(text_slice(name, 0, 100)));
    }
    return true;
}

static bool is_whole(Text replacement) {
    return text_equal(replacement, REPLACEMENT) || text_equal(replacement, TEXT("${1}")) ||
           text_equal(replacement, TEXT("$0")) || text_equal(replacement, TEXT("${0}"));
}

bool relabel_rule_compile(RelabelRule *rule, Error *err) {
    const ActionRow *row = &action_rows[rule->action];
    AUTO(regex_close) Regex *compiled = NULL;
    if (!regex_open(rule->regex, &compiled, err)) return error_context(err, "regex");
    if (rule->action == RELABEL_HASHMOD && rule->modulus == 0)
        return error_set(err, ERROR_BAD_INPUT, "the action hashmod needs a modulus above 0");
    TRY(check_target(rule, row, err));
    TRY(check_unused(rule, row, err));
    if (rule->action == RELABEL_LABELMAP && !is_valid_template(rule->replacement, rule->names))
        return error_set(err, ERROR_BAD_INPUT,
                         "replacement \"%.*s\" does not make label names, as labelmap needs",
                         TEXT_ARG(text_slice(rule->replacement, 0, 100)));
    TRY(check_sources(rule, err));
    rule->target_is_plain = !has_variable(rule->target_label);
    rule->replacement_is_plain = !has_variable(rule->replacement);
    rule->matches_all = text_equal(rule->regex, REGEX);
    rule->replacement_is_whole = rule->matches_all && is_whole(rule->replacement);
    rule->compiled = TAKE(compiled);
    return true;
}

void relabel_rules_close(RelabelRules *rules) {
    for (size_t i = 0; i < rules->count; i++) regex_close(&rules->at[i].compiled);
}

// ---- Label sets under work ----

RelabelLabels relabel_labels_begin(Arena *arena) {
    return (RelabelLabels){.arena = arena};
}

static ptrdiff_t place_of(const RelabelLabels *labels, Text name) {
    for (size_t i = 0; i < labels->labels.count; i++)
        if (text_equal(labels->labels.at[i].name, name)) return (ptrdiff_t)i;
    return -1;
}

void relabel_labels_add(RelabelLabels *labels, Labels from) {
    Label label;
    for (Bytes rest = from.wire; labels_next(&rest, &label);) {
        ptrdiff_t place = labels->labels.count == 0 ? -1 : place_of(labels, label.name);
        if (place >= 0) {
            labels->labels.at[place].value = label.value;
        } else {
            *array_add_on(labels->arena, &labels->labels) = label;
        }
    }
    labels->base_count = labels->labels.count;
}

Text relabel_labels_get(const RelabelLabels *labels, Text name) {
    ptrdiff_t place = place_of(labels, name);
    return place < 0 ? TEXT_NONE : labels->labels.at[place].value;
}

static void remove_at(RelabelLabels *labels, size_t place) {
    LabelArray *array = &labels->labels;
    memmove(array->at + place, array->at + place + 1,
            (array->count - place - 1) * sizeof *array->at);
    array->count--;
    if (place < labels->base_count) labels->base_count--;
    labels->changed = true;
}

void relabel_labels_remove(RelabelLabels *labels, Text name) {
    ptrdiff_t place = place_of(labels, name);
    if (place >= 0) remove_at(labels, (size_t)place);
}

void relabel_labels_set(RelabelLabels *labels, Text name, Text value) {
    ptrdiff_t place = place_of(labels, name);
    if (place >= 0 && text_equal(labels->labels.at[place].value, value)) return;
    if (value.len == 0) {
        if (place >= 0) remove_at(labels, (size_t)place);
        return;
    }
    labels->changed = true;
    if (place >= 0 && (size_t)place >= labels->base_count) {
        labels->labels.at[place].value = value;
        return;
    }
    if (place >= 0) {
        name = labels->labels.at[place].name;
        remove_at(labels, (size_t)place);
    }
    *array_add_on(labels->arena, &labels->labels) = (Label){name, value};
}

bool relabel_labels_finish(const RelabelLabels *labels, Arena *arena, Labels *out, Error *err) {
    return labels_make(labels->labels.at, labels->labels.count, arena, out, err);
}

// ---- Applying ----

static bool too_long(Error *err) {
    return error_set(err, ERROR_TOO_LARGE,
                     "relabelling makes a value longer than %lld bytes (limit QUERY_TEXT_BYTES)",
                     (long long)LIMIT_QUERY_TEXT_BYTES);
}

// The values of the source labels with the separator between them; one label is a view.
static bool joined_sources(const RelabelRule *rule, const RelabelLabels *labels, Text *out,
                           Error *err) {
    Texts sources = rule->source_labels;
    *out = TEXT("");
    if (sources.count == 0) return true;
    if (sources.count == 1) {
        Text value = relabel_labels_get(labels, sources.at[0]);
        if (value.at != NULL) *out = value;
        return true;
    }
    size_t len = rule->separator.len * (sources.count - 1);
    for (size_t i = 0; i < sources.count; i++) {
        len += relabel_labels_get(labels, sources.at[i]).len;
        if (len > (size_t)LIMIT_QUERY_TEXT_BYTES) return too_long(err);
    }
    if (len == 0) return true;
    char *into = arena_push_array_raw(labels->arena, char, len), *at = into;
    for (size_t i = 0; i < sources.count; i++) {
        Text value = relabel_labels_get(labels, sources.at[i]);
        Text parts[2] = {i == 0 ? TEXT("") : rule->separator, value};
        for (size_t j = 0; j < 2; j++) {
            if (parts[j].len > 0) memcpy(at, parts[j].at, parts[j].len);
            at += parts[j].len;
        }
    }
    *out = (Text){into, len};
    return true;
}

// *out is TEXT_NONE when the expression does not match `value`.
static bool expand(const RelabelRule *rule, Text value, Text replacement, bool plain, Arena *arena,
                   Text *out, Error *err) {
    if (plain) {
        bool matches = rule->matches_all || regex_matches(rule->compiled, value);
        *out = !matches ? TEXT_NONE : replacement.len == 0 ? TEXT("") : replacement;
        return true;
    }
    return regex_expand(rule->compiled, value, replacement, arena, out, err);
}

static bool apply_replace(const RelabelRule *rule, RelabelLabels *labels, Text value, Error *err) {
    Text target, replaced;
    TRY(expand(rule, value, rule->target_label, rule->target_is_plain, labels->arena, &target,
               err));
    if (target.at == NULL) return true;
    if (!rule->target_is_plain && !label_name_is_valid(target, rule->names)) return true;
    if (rule->replacement_is_whole) {
        replaced = value;
    } else {
        TRY(expand(rule, value, rule->replacement, rule->replacement_is_plain, labels->arena,
                   &replaced, err));
    }
    relabel_labels_set(labels, target, replaced);
    return true;
}

static void apply_hashmod(const RelabelRule *rule, RelabelLabels *labels, Text value) {
    Md5 hash = md5_of(text_bytes(value));
    uint64_t last = 0;
    for (size_t i = 8; i < 16; i++) last = last << 8 | hash.bytes[i];
    Text number = text_format(labels->arena, "%llu", (unsigned long long)(last % rule->modulus));
    relabel_labels_set(labels, rule->target_label, number);
}

// Over a copy: what the rule sets is not mapped again.
static bool apply_labelmap(const RelabelRule *rule, RelabelLabels *labels, Error *err) {
    size_t count = labels->labels.count;
    Label *before = arena_push_array_raw(labels->arena, Label, count + 1);
    if (count > 0) memcpy(before, labels->labels.at, count * sizeof *before);
    for (size_t i = 0; i < count; i++) {
        Text name;
        TRY(expand(rule, before[i].name, rule->replacement, rule->replacement_is_plain,
                   labels->arena, &name, err));
        if (name.at == NULL || name.len == 0) continue;
        relabel_labels_set(labels, name, before[i].value);
        if (labels->labels.count > LABELS_MAX)
            return error_set(err, ERROR_TOO_LARGE, "labelmap makes more than %d labels",
                             LABELS_MAX);
    }
    return true;
}

static void drop_labels(const RelabelRule *rule, RelabelLabels *labels, bool matching) {
    for (size_t i = labels->labels.count; i-- > 0;)
        if (regex_matches(rule->compiled, labels->labels.at[i].name) == matching)
            remove_at(labels, i);
}

static bool apply_rule(const RelabelRule *rule, RelabelLabels *labels, bool *keep, Error *err) {
    Text value, target;
    TRY(joined_sources(rule, labels, &value, err));
    switch (rule->action) {
        case RELABEL_REPLACE:
            return apply_replace(rule, labels, value, err);
        case RELABEL_KEEP:
            *keep = regex_matches(rule->compiled, value);
            return true;
        case RELABEL_DROP:
            *keep = !regex_matches(rule->compiled, value);
            return true;
        case RELABEL_KEEPEQUAL:
        case RELABEL_DROPEQUAL:
            target = relabel_labels_get(labels, rule->target_label);
            *keep = text_equal(target, value) == (rule->action == RELABEL_KEEPEQUAL);
            return true;
        case RELABEL_HASHMOD:
            apply_hashmod(rule, labels, value);
            return true;
        case RELABEL_LABELMAP:
            return apply_labelmap(rule, labels, err);
        case RELABEL_LABELDROP:
            drop_labels(rule, labels, true);
            return true;
        case RELABEL_LABELKEEP:
            drop_labels(rule, labels, false);
            return true;
        case RELABEL_LOWERCASE:
        case RELABEL_UPPERCASE:
            value = utf8_to_case(value, rule->action == RELABEL_LOWERCASE ? UTF8_LOWER : UTF8_UPPER,
                                 labels->arena);
            relabel_labels_set(labels, rule->target_label, value);
            return true;
        case RELABEL_ACTION_COUNT:
            break;
    }
    unreachable("an action is in the table");
}

bool relabel_apply(const RelabelRules *rules, RelabelLabels *labels, bool *keep, Error *err) {
    *keep = true;
    for (size_t i = 0; i < rules->count && *keep; i++)
        TRY(apply_rule(&rules->at[i], labels, keep, err));
    return true;
}
