// Binary operators: of two numbers, of a vector and a scalar, of two vectors matched by their
// labels.

#include <stdio.h>

#include "base/assert.h"
#include "query/exec/shard.h"

double binary_value(BinaryOp op, double left, double right) {
    switch (op) {
        case OP_ADD:
            return left + right;
        case OP_SUB:
            return left - right;
        case OP_MUL:
            return left * right;
        case OP_DIV:
            return left / right;
        case OP_MOD:
            return fmod(left, right);
        case OP_POW:
            return pow(left, right);
        case OP_ATAN2:
            return atan2(left, right);
        case OP_EQ:
            return left == right;
        case OP_NE:
            return left != right;
        case OP_LT:
            return left < right;
        case OP_LE:
            return left <= right;
        case OP_GT:
            return left > right;
        case OP_GE:
            return left >= right;
        case OP_TRIM_UPPER:
        case OP_TRIM_LOWER:
        case OP_AND:
        case OP_OR:
        case OP_UNLESS:
        case OP_COUNT:
            break;
    }
    unreachable("operators on sets and histograms have no value");
}

// ---- A vector and a scalar ----

typedef struct WithScalar {
    Operator operator;
    Operator *vector;
    double *scalar;
    bool scalar_left;
} WithScalar;

// A series that has histograms, or an operator that is only for them.
static bool with_scalar_histograms(WithScalar *binary, StepSeries *series, Error *err) {
    Operator *operator= & binary->operator;
    const Histogram **histograms = histogram_column_new(&operator->batch, operator->steps);
    for (size_t step = 0; step < operator->steps.count; step++) {
        if (step_is_empty(series, step)) continue;
        BinarySide vector = {series->values[step], histogram_at(series, step)};
        BinarySide scalar = {binary->scalar[step], NULL}, result;
        bool any =
            binary_histogram(operator->exec, operator->expr, binary->scalar_left ? scalar : vector,
                             binary->scalar_left ? vector : scalar, &operator->batch, &result);
        // A comparison that filters leaves the value of the vector, on whichever side that is.
        bool filters = binary_op_is_comparison(operator->expr->as.binary.op) &&
                       !operator->expr->as.binary.return_bool;
        if (any && filters) result = vector;
        series->values[step] = any && result.histogram == NULL ? result.value : ABSENT;
        histograms[step] = any ? result.histogram : NULL;
        TRY(exec_tick_histograms(operator->exec, step, err));
    }
    series->histograms = histograms;
    return true;
}

static bool with_scalar_next(Operator *operator, StepBatch * out, Error *err) {
    WithScalar *binary = (WithScalar *)operator;
    BinaryOp op = operator->expr->as.binary.op;
    bool filters = binary_op_is_comparison(op) && !operator->expr->as.binary.return_bool;
    bool drops = !filters && !binary_op_is_trim(op);
    TRY(operator_next(binary->vector, out, err));
    for (size_t i = 0; i < out->count; i++) {
        double *values = out->at[i].values;
        if (out->at[i].histograms != NULL || binary_op_is_trim(op)) {
            TRY(with_scalar_histograms(binary, &out->at[i], err));
            if (drops) series_drop_name(operator->exec, &out->at[i], &operator->batch);
            continue;
        }
        for (size_t step = 0; step < operator->steps.count; step++) {
            double value = values[step], scalar = binary->scalar[step];
            if (is_absent(value)) continue;
            double result = binary->scalar_left ? binary_value(op, scalar, value)
                                                : binary_value(op, value, scalar);
            if (!filters) {
                values[step] = result;
            } else if (result == 0) {
                values[step] = ABSENT;
            }
        }
        if (!filters) series_drop_name(operator->exec, &out->at[i], &operator->batch);
    }
    return true;
}

bool binary_scalar_open(Exec *exec, const Expr *expr, Steps steps, Operator **out, Error *err) {
    WithScalar *binary = operator_new(exec, WithScalar, expr, steps, with_scalar_next);
    binary->scalar_left = expr->as.binary.left->type == VALUE_SCALAR;
    const Expr *scalar = binary->scalar_left ? expr->as.binary.left : expr->as.binary.right;
    const Expr *vector = binary->scalar_left ? expr->as.binary.right : expr->as.binary.left;
    TRY(scalar_eval(exec, scalar, steps, &binary->operator.keep, &binary->scalar, err));
    TRY(operator_open(exec, vector, steps, &binary->vector, err));
    binary->operator.one_name = binary->vector->one_name;
    bool filters = binary_op_is_comparison(expr->as.binary.op) && !expr->as.binary.return_bool;
    *out = filters ? &binary->operator: unique_open(exec, &binary->operator);
    return true;
}

// ---- Two vectors ----

typedef struct Member Member;
struct Member {
    const StepSeries *series;
    Member *next;
};

// What shares one set of matching labels.
typedef struct MatchGroup {
    Labels labels;
    Member *one, *many;  // in order of appearance
    Member **one_end, **many_end;
    uint8_t *matched;         // steps at which a one-to-one match was made
    struct MatchGroup *next;  // all groups, in order of appearance
} MatchGroup;

typedef struct Matching {
    Operator operator;
    Operator *left, *right;
    Shards *narrowed;  // the right side, to be read once the left is known; NULL: `right`
    const VectorMatching *rule;
    MatchGroup *first;
    MatchGroup **end;
    bool any_histograms;  // in either, or the operator is for them only
    bool done;
    bool as_group;     // the labels of a result are those of its group
    size_t looked_at;  // pairs
} Matching;

// Names that stay when that of the metric, and what goes with it, is dropped.
static bool all_stay(Texts names) {
    for (size_t i = 0; i < names.count; i++) {
        if (text_starts_with(names.at[i], TEXT("__"))) return false;
    }
    return true;
}

// Until the next label set is made for this Exec.
static Labels match_labels(Exec *exec, const VectorMatching *rule, Labels labels, Arena *arena) {
    return rule->on ? labels_keep_view(exec, labels, rule->labels)
                    : labels_remove(exec, labels, rule->labels, true, arena);
}

static void group_add(Matching *matching, Map *groups, StepBatch batch, bool one) {
    Exec *exec = matching->operator.exec;
    Arena *arena = &matching->operator.keep;
    for (size_t i = 0; i < batch.count; i++) {
        Labels labels = match_labels(exec, matching->rule, batch.at[i].labels, arena);
        void **slot = map_put(groups, bytes_text(labels.wire));
        if (*slot == NULL) {
            MatchGroup *made = arena_push(arena, MatchGroup);
            made->labels.wire = bytes_copy(labels.wire, arena);
            made->one_end = &made->one;
            made->many_end = &made->many;
            *matching->end = made;
            matching->end = &made->next;
            *slot = made;
        }
        MatchGroup *group = *slot;
        Member *member = arena_push(arena, Member);
        member->series = &batch.at[i];
        Member ***end = one ? &group->one_end : &group->many_end;
        **end = member;
        *end = &member->next;
    }
}

// {a="b", c="d"}, the name inside the braces, as messages of Prometheus show it.
static void print_in_braces(Labels labels, Builder *out) {
    builder_add_char(out, '{');
    Label label;
    bool more = false;
    for (Bytes rest = labels.wire; labels_next(&rest, &label);) {
        builder_addf(out, "%s%.*s=\"%.*s\"", more ? ", " : "", TEXT_ARG(label.name),
                     TEXT_ARG(label.value));
        more = true;
    }
    builder_add_char(out, '}');
}

static bool refuse_duplicates(Matching *matching, const MatchGroup *group, const Member *a,
                              const Member *b, Error *err) {
    AUTO(builder_free) Builder text = {0};
    bool swapped = labels_compare(a->series->labels, b->series->labels) > 0;
    builder_add(&text, TEXT("found duplicate series for the match group "));
    print_in_braces(group->labels, &text);
    builder_addf(&text, " on the %s hand-side of the operation: [",
                 matching->rule->card == CARD_ONE_TO_MANY ? "left" : "right");
    print_in_braces((swapped ? b : a)->series->labels, &text);
    builder_add(&text, TEXT(", "));
    print_in_braces((swapped ? a : b)->series->labels, &text);
    builder_add(
        &text,
        TEXT("];many-to-many matching not allowed: matching labels must be unique on one side"));
    return error_set(err, ERROR_BAD_INPUT, "%.*s", TEXT_ARG(builder_text(&text)));
}

// On the side of "one", a group has at most one value per step, wherever the other side has any
// value at all. `owners` is scratch, one per step.
static bool check_one_side(Matching *matching, const MatchGroup *group, const uint8_t *many_any,
                           const Member **owners, Error *err) {
    size_t steps = matching->operator.steps.count;
    if (group->one == NULL || group->one->next == NULL) return true;
    memset(owners, 0, steps * sizeof *owners);
    for (const Member *member = group->one; member != NULL; member = member->next) {
        for (size_t step = 0; step < steps; step++) {
            if (!many_any[step] || step_is_empty(member->series, step)) continue;
            if (owners[step] != NULL)
                return refuse_duplicates(matching, group, owners[step], member, err);
            owners[step] = member;
        }
    }
    return true;
}

static Labels result_labels(Matching *matching, const MatchGroup *group, Labels many, Labels one,
                            Arena *arena) {
    Exec *exec = matching->operator.exec;
    const VectorMatching *rule = matching->rule;
    if (matching->as_group) return group->labels;
    Labels labels = many;
    if (!binary_op_is_comparison(matching->operator.expr->as.binary.op))
        labels = labels_without_name(exec, labels, arena);
    if (rule->card == CARD_ONE_TO_ONE) {
        return rule->on ? labels_keep(exec, labels, rule->labels, arena)
                        : labels_remove(exec, labels, rule->labels, false, arena);
    }
    for (size_t i = 0; i < rule->include.count; i++) {
        labels = labels_set(exec, labels, rule->include.at[i], labels_get(one, rule->include.at[i]),
                            arena);
    }
    return labels;
}

// A step that matched but whose comparison is false: it counts as a match until all is matched.
// Like ABSENT, a signalling NaN that no arithmetic gives.
static const uint64_t FILTERED_BITS = STALE_NAN_BITS + 1;

// One step of a pair where either side may be a histogram.
static void match_histograms(Matching *matching, const StepSeries *many, const StepSeries *one,
                             size_t step, StepSeries *out) {
    const Expr *expr = matching->operator.expr;
    Arena *arena = &matching->operator.keep;
    bool swapped = matching->rule->card == CARD_ONE_TO_MANY;
    BinarySide first = {many->values[step], histogram_at(many, step)};
    BinarySide second = {one->values[step], histogram_at(one, step)}, result;
    bool filters = binary_op_is_comparison(expr->as.binary.op) && !expr->as.binary.return_bool;
    bool any = binary_histogram(matching->operator.exec, expr, swapped ? second : first,
                                swapped ? first : second, arena, &result);
    if (!any) {
        out->values[step] = double_from_bits(FILTERED_BITS);
        return;
    }
    if (filters) result = swapped ? second : first;
    if (result.histogram == NULL) {
        out->values[step] = result.value;
        return;
    }
    if (out->histograms == NULL)
        out->histograms = histogram_column_new(arena, matching->operator.steps);
    out->histograms[step] = result.histogram;
}

// One to one, a step of a group matches once.
static bool match_once(Matching *matching, MatchGroup *group, size_t step, Error *err) {
    if (matching->rule->card != CARD_ONE_TO_ONE) return true;
    if (group->matched == NULL)
        group->matched =
            arena_push_array(&matching->operator.keep, uint8_t, matching->operator.steps.count);
    if (group->matched[step]) {
        return error_set(err, ERROR_BAD_INPUT,
                         "multiple matches for labels: many-to-one matching must be explicit "
                         "(group_left/group_right)");
    }
    group->matched[step] = 1;
    return true;
}

// match_pair where either has histograms, or the operator is for them only.
static bool match_pair_histograms(Matching *matching, MatchGroup *group, const StepSeries *many,
                                  const StepSeries *one, StepSeries *out, bool *any, Error *err) {
    for (size_t step = 0; step < matching->operator.steps.count; step++) {
        out->values[step] = ABSENT;
        if (step_is_empty(many, step) || step_is_empty(one, step)) continue;
        *any = true;
        TRY(match_once(matching, group, step, err));
        match_histograms(matching, many, one, step, out);
        TRY(exec_tick_histograms(matching->operator.exec, step, err));
    }
    return true;
}

// `out->values` is a column to fill; NULL afterwards when the two have no step in common.
static bool match_pair(Matching *matching, MatchGroup *group, const StepSeries *many,
                       const StepSeries *one, StepSeries *out, Error *err) {
    const Expr *expr = matching->operator.expr;
    BinaryOp op = expr->as.binary.op;
    Steps steps = matching->operator.steps;
    bool swapped = matching->rule->card == CARD_ONE_TO_MANY;
    bool filters = binary_op_is_comparison(op) && !expr->as.binary.return_bool;
    bool any = false;
    if (binary_op_is_trim(op) || many->histograms != NULL || one->histograms != NULL) {
        TRY(match_pair_histograms(matching, group, many, one, out, &any, err));
        if (!any) out->values = NULL;
        return true;
    }
    for (size_t step = 0; step < steps.count; step++) {
        double left = swapped ? one->values[step] : many->values[step];
        double right = swapped ? many->values[step] : one->values[step];
        out->values[step] = ABSENT;
        if (is_absent(left) || is_absent(right)) continue;
        any = true;
        TRY(match_once(matching, group, step, err));
        double value = binary_value(op, left, right);
        if (filters) value = value != 0 ? left : double_from_bits(FILTERED_BITS);
        out->values[step] = value;
    }
    if (!any) out->values = NULL;
    return true;
}

static bool unfilter(StepSeries *series, Steps steps) {
    bool any = false;
    for (size_t step = 0; step < steps.count; step++) {
        if (double_bits(series->values[step]) == FILTERED_BITS) series->values[step] = ABSENT;
        any |= !step_is_empty(series, step);
    }
    return any;
}

typedef ARRAY(StepSeries) Made;

// One pair of a group; `*column` is a column to use, taken when the pair has a result.
static bool match_into(Matching *matching, MatchGroup *group, const StepSeries *many,
                       const StepSeries *one, double **column, Made *made, Error *err) {
    Exec *exec = matching->operator.exec;
    Arena *arena = &matching->operator.keep;
    if (*column == NULL) *column = column_new(arena, matching->operator.steps);
    StepSeries series = {LABELS_NONE, many->drop_name, false, *column, NULL};
    TRY(match_pair(matching, group, many, one, &series, err));
    if (series.values == NULL) return true;
    *column = NULL;
    series.labels = result_labels(matching, group, many->labels, one->labels, arena);
    if (matching->operator.expr->as.binary.return_bool) series_drop_name(exec, &series, arena);
    *array_add_on(arena, made) = series;
    return true;
}

// What stands in for the members of one side where none has a value: the labels are those of the
// group.
static void filler_make(Matching *matching, const MatchGroup *group, const Member *members,
                        double value, StepSeries *filler) {
    Steps steps = matching->operator.steps;
    filler->labels = group->labels;
    column_fill(filler->values, steps, value);
    for (const Member *member = members; member != NULL; member = member->next) {
        for (size_t step = 0; step < steps.count; step++) {
            if (!step_is_empty(member->series, step)) filler->values[step] = ABSENT;
        }
    }
}

// fill_left stands in for the side of "many" and fill_right for that of "one", also with
// group_right, where these are the other way round: so Prometheus has it (its fill-modifier.test),
// and answers must not differ.
static bool match_fillers(Matching *matching, MatchGroup *group, StepSeries *filler,
                          double **column, Made *made, Error *err) {
    const VectorMatching *rule = matching->rule;
    if (rule->fills_right) {
        filler_make(matching, group, group->one, rule->fill_right, filler);
        for (const Member *many = group->many; many != NULL; many = many->next) {
            TRY(match_into(matching, group, many->series, filler, column, made, err));
        }
    }
    if (rule->fills_left) {
        filler_make(matching, group, group->many, rule->fill_left, filler);
        for (const Member *one = group->one; one != NULL; one = one->next) {
            TRY(match_into(matching, group, filler, one->series, column, made, err));
        }
    }
    return true;
}

// Once each group (with the labels of groups), or else each series of the side of "many", has one
// result at most: do their label sets differ for sure?
static bool results_differ(const Matching *matching) {
    const VectorMatching *rule = matching->rule;
    const Expr *expr = matching->operator.expr;
    bool keeps_name = binary_op_is_comparison(expr->as.binary.op) && !expr->as.binary.return_bool;
    const Operator *many = rule->card == CARD_ONE_TO_MANY ? matching->right : matching->left;
    if (rule->fills_left || rule->fills_right || matching->operator.exec->request->delayed_names)
        return false;
    return matching->as_group || (rule->card != CARD_ONE_TO_ONE && rule->include.count == 0 &&
                                  (keeps_name || many->one_name));
}

// All pairs of a group. *twice: some series of the side of "many" (or the group, where results have
// its labels) has more than one result.
static bool match_group(Matching *matching, MatchGroup *group, double **column, Made *made,
                        bool *twice, Error *err) {
    enum { PAIRS_A_TICK = 64 };
    size_t before = made->count;
    for (const Member *many = group->many; many != NULL; many = many->next) {
        if (!matching->as_group) before = made->count;
        for (const Member *one = group->one; one != NULL; one = one->next) {
            TRY(match_into(matching, group, many->series, one->series, column, made, err));
            if (++matching->looked_at % PAIRS_A_TICK == 0)
                TRY(exec_tick(matching->operator.exec, err));
        }
        *twice |= made->count > before + 1;
    }
    return true;
}

static bool match_groups(Matching *matching, const uint8_t *many_any, StepBatch *out, Error *err) {
    Arena *arena = &matching->operator.keep;
    const Expr *expr = matching->operator.expr;
    bool filters = binary_op_is_comparison(expr->as.binary.op) && !expr->as.binary.return_bool;
    Made made = {0};
    const Member **owners = arena_push_array(arena, const Member *, matching->operator.steps.count);
    StepSeries filler = {.values = column_new(arena, matching->operator.steps)};
    double *column = NULL;
    bool twice = !results_differ(matching);
    for (MatchGroup *group = matching->first; group != NULL; group = group->next) {
        TRY(check_one_side(matching, group, many_any, owners, err));
        TRY(match_group(matching, group, &column, &made, &twice, err));
        TRY(match_fillers(matching, group, &filler, &column, &made, err));
    }
    StepBatch all = {made.at, made.count};
    TRY(exec_tick(matching->operator.exec, err));
    if (twice &&
        !series_unique(matching->operator.exec, &all, matching->operator.steps, arena, err)) {
        if (matching->rule->card == CARD_ONE_TO_ONE) return false;
        return error_set(err, ERROR_BAD_INPUT,
                         "multiple matches for labels: grouping labels must ensure unique matches");
    }
    size_t kept = 0;
    for (size_t i = 0; i < all.count; i++) {
        // Where histograms meet an operator that they do not know, a step has no result either.
        bool may_filter = filters || matching->any_histograms;
        if (may_filter && !unfilter(&all.at[i], matching->operator.steps)) continue;
        all.at[kept++] = all.at[i];
    }
    *out = (StepBatch){all.at, kept};
    return true;
}

// ---- Reading of the right side only what can match ----

// Labels tell which of its series have a partner. Where several share a group they are read all
// the same, as they may not, wherever the left has a value (check_one_side).
static bool can_narrow(const VectorMatching *rule) {
    if (!rule->on || rule->fills_left || rule->fills_right) return false;
    if (!all_stay(rule->labels)) return false;
    return rule->card == CARD_ONE_TO_ONE || rule->card == CARD_MANY_TO_ONE;
}

static bool collect_whole(Matching *matching, StepBatch *out, Error *err) {
    TRY(shards_gather(matching->narrowed, matching->operator.expr->as.binary.right,
                      &matching->right, err));
    return operator_collect(matching->right, &matching->operator.keep, out, err);
}

static bool collect_narrowed(Matching *matching, StepBatch left, StepBatch *out, Error *err) {
    Exec *exec = matching->operator.exec;
    Texts names = matching->rule->labels;
    SeriesFoundList *found = shards_found(matching->narrowed);
    if (left.count > found->count / 2) return collect_whole(matching, out, err);
    AUTO(arena_free) Arena scratch = {0};
    Map seen = map_begin(&scratch, exec->hash_key);
    // How many there are with the labels of each: on the left any are as good as many.
    uint32_t **counts = arena_push_array_raw(&scratch, uint32_t *, left.count + found->count);
    for (size_t i = 0; i < left.count + found->count; i++) {
        bool on_left = i < left.count;
        Labels whole = on_left ? left.at[i].labels : found->at[i - left.count].labels;
        void **slot = map_put(&seen, bytes_text(labels_keep_view(exec, whole, names).wire));
        if (*slot == NULL) *slot = arena_push(&scratch, uint32_t);
        counts[i] = *slot;
        *counts[i] += on_left ? 2 : 1;
    }
    size_t kept = 0;
    for (size_t i = 0; i < found->count; i++) {
        if (*counts[left.count + i] > 1) found->at[kept++] = found->at[i];
    }
    found->count = kept;
    shards_narrowed(matching->narrowed);
    return collect_whole(matching, out, err);
}

static bool has_histograms(StepBatch batch) {
    for (size_t i = 0; i < batch.count; i++) {
        if (batch.at[i].histograms != NULL) return true;
    }
    return false;
}

static bool matching_next(Operator *operator, StepBatch * out, Error *err) {
    Matching *matching = (Matching *)operator;
    if (matching->done) return true;
    matching->done = true;
    StepBatch left, right;
    TRY(operator_collect(matching->left, &operator->keep, &left, err));
    if (matching->narrowed != NULL) {
        TRY(collect_narrowed(matching, left, &right, err));
    } else {
        TRY(operator_collect(matching->right, &operator->keep, &right, err));
    }
    matching->any_histograms = binary_op_is_trim(operator->expr->as.binary.op) ||
                               has_histograms(left) || has_histograms(right);
    bool swapped = matching->rule->card == CARD_ONE_TO_MANY;
    StepBatch many = swapped ? right : left, one = swapped ? left : right;
    uint8_t *many_any = arena_push_array(&operator->keep, uint8_t, operator->steps.count);
    if (matching->rule->fills_left) memset(many_any, 1, operator->steps.count);
    for (size_t i = 0; i < many.count; i++) {
        for (size_t step = 0; step < operator->steps.count; step++)
            many_any[step] |= !step_is_empty(&many.at[i], step);
    }
    Map groups = map_begin(&operator->keep, operator->exec->hash_key);
    group_add(matching, &groups, one, true);
    group_add(matching, &groups, many, false);
    return match_groups(matching, many_any, out, err);
}

bool binary_vector_open(Exec *exec, const Expr *expr, Steps steps, Operator **out, Error *err) {
    Matching *matching = operator_new(exec, Matching, expr, steps, matching_next);
    matching->rule = &expr->as.binary.matching;
    matching->end = &matching->first;
    matching->as_group = matching->rule->card == CARD_ONE_TO_ONE && matching->rule->on &&
                         all_stay(matching->rule->labels);
    bool drops_name = !binary_op_is_comparison(expr->as.binary.op) || expr->as.binary.return_bool;
    matching->operator.one_name = drops_name && all_stay(matching->rule->include);
    TRY(operator_open(exec, expr->as.binary.left, steps, &matching->left, err));
    *out = &matching->operator;
    // Who has samples counted wants those that Prometheus looks at: all.
    if (can_narrow(matching->rule) && exec->counts == NULL) {
        TRY(shards_open(exec, expr->as.binary.right, steps, NULL, &matching->narrowed, err));
        if (matching->narrowed != NULL) return true;
    }
    TRY(operator_open(exec, expr->as.binary.right, steps, &matching->right, err));
    return true;
}
