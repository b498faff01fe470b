// What each node of the plan costs.
//
// A node is an expression that is computed over series. The tree of nodes grows while operators are
// opened, which follows the tree of the query. Time is counted in stretches that nest: a pull of an
// operator is one, and what the operators below took inside it is not its own. Where nothing is
// measured, an operator has no node, and that is all that is looked at.

#include "query/exec/exec.h"

#include "base/assert.h"

static thread_local_ Stretch *innermost;

void stretch_begin(Stretch *stretch, Clock *clock) {
    *stretch = (Stretch){clock, clock->monotonic_ns(clock), 0, innermost};
    innermost = stretch;
}

int64_t stretch_end(Stretch *stretch) {
    assert(innermost == stretch);
    int64_t elapsed_ns = stretch->clock->monotonic_ns(stretch->clock) - stretch->began_ns;
    innermost = stretch->outer;
    if (innermost != NULL) innermost->inner_ns += elapsed_ns;
    return elapsed_ns - stretch->inner_ns;
}

// ---- The tree ----

void plan_begin(Exec *exec) {
    if (exec->request->measure && exec->request->clock != NULL)
        exec->opening = arena_push(exec->arena, QueryPlanNode);
}

// An expression may be opened several times, once for each thread or each time that a scalar is
// asked for: it has one node.
static QueryPlanNode *node_of(Exec *exec, const Expr *expr) {
    QueryPlanNode **link = &exec->opening->first;
    for (; *link != NULL; link = &(*link)->next) {
        if ((*link)->expr == expr) return *link;
    }
    *link = arena_push(exec->arena, QueryPlanNode);
    **link = (QueryPlanNode){.expr = expr, .outer = exec->opening};
    return *link;
}

// Its children take the place of a node.
static void node_remove(QueryPlanNode *node) {
    QueryPlanNode **link = &node->outer->first;
    while (*link != node) link = &(*link)->next;
    *link = node->first;
    for (; *link != NULL; link = &(*link)->next) (*link)->outer = node->outer;
    *link = node->next;
}

void plan_open(Exec *exec, const Expr *expr, PlanOpening *opening) {
    *opening = (PlanOpening){0};
    if (likely(exec->opening == NULL)) return;
    exec->opening = opening->node = node_of(exec, expr);
    stretch_begin(&opening->stretch, exec->request->clock);
}

void plan_opened(Exec *exec, PlanOpening *opening, Operator *made) {
    QueryPlanNode *node = opening->node;
    if (likely(node == NULL)) return;
    node->own_ns += stretch_end(&opening->stretch);
    exec->opening = node->outer;
    if (made == NULL) return;
    if (made->node == node) {
        made->gives = true;
    } else {
        node_remove(node);
    }
}

void plan_count_scalar(Exec *exec, Steps steps) {
    if (likely(exec->opening == NULL)) return;
    exec->opening->points += steps.count;
    exec->opening->series++;
}

// ---- Pulling ----

static uint64_t points_of(const StepBatch *batch, Steps steps) {
    uint64_t points = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const double *values = batch->at[i].values;
        for (size_t step = 0; step < steps.count; step++) points += !is_absent(values[step]);
    }
    return points;
}

void operator_count_memory(Operator *operator) {
    int64_t bytes = (int64_t)(operator->keep.bytes + operator->batch.bytes) + operator->extra_bytes;
    operator->counted.memory_bytes = MAX(operator->counted.memory_bytes, bytes);
}

bool operator_next_measured(Operator *operator, StepBatch * out, Error *err) {
    Counted *counted = &operator->counted;
    arena_clear(&operator->batch);
    *out = (StepBatch){NULL, 0};
    TRY(exec_tick(operator->exec, err));
    Stretch stretch;
    stretch_begin(&stretch, operator->exec->request->clock);
    bool went = operator->next(operator, out, err);
    counted->own_ns += stretch_end(&stretch);
    operator_count_memory(operator);
    if (!went || !operator->gives || out->count == 0) return went;
    counted->batches++;
    counted->series += out->count;
    counted->points += points_of(out, operator->steps);
    return true;
}

QueryPlanNode *plan_end(Exec *exec) {
    QueryPlanNode *root = exec->opening;
    if (root == NULL) return NULL;
    assert(root->outer == NULL);
    for (size_t i = 0; i < exec->operators.count; i++) {
        QueryPlanNode *node = exec->operators.at[i]->node;
        const Counted *counted = &exec->operators.at[i]->counted;
        node->batches += counted->batches;
        node->series += counted->series;
        node->points += counted->points;
        node->samples += counted->samples;
        node->own_ns += counted->own_ns;
        node->memory_bytes += counted->memory_bytes;
    }
    return root;
}
