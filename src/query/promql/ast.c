// Names of what stands in the tree.

#include "query/promql/ast.h"

#include "base/assert.h"

static const Text binary_ops[] = {
    TEXT_INIT("+"),   TEXT_INIT("-"),     TEXT_INIT("*"),      TEXT_INIT("/"),  TEXT_INIT("%"),
    TEXT_INIT("^"),   TEXT_INIT("atan2"), TEXT_INIT("</"),     TEXT_INIT(">/"), TEXT_INIT("=="),
    TEXT_INIT("!="),  TEXT_INIT("<"),     TEXT_INIT("<="),     TEXT_INIT(">"),  TEXT_INIT(">="),
    TEXT_INIT("and"), TEXT_INIT("or"),    TEXT_INIT("unless"),
};
_Static_assert(COUNT(binary_ops) == OP_COUNT, "one name per operator");

static const Text aggregate_ops[] = {
    TEXT_INIT("sum"),    TEXT_INIT("avg"),         TEXT_INIT("min"),      TEXT_INIT("max"),
    TEXT_INIT("count"),  TEXT_INIT("group"),       TEXT_INIT("stddev"),   TEXT_INIT("stdvar"),
    TEXT_INIT("topk"),   TEXT_INIT("bottomk"),     TEXT_INIT("quantile"), TEXT_INIT("count_values"),
    TEXT_INIT("limitk"), TEXT_INIT("limit_ratio"),
};
_Static_assert(COUNT(aggregate_ops) == AGG_OP_COUNT, "one name per aggregation");

Text binary_op_name(BinaryOp op) {
    assert((size_t)op < OP_COUNT);
    return binary_ops[op];
}

Text aggregate_op_name(AggregateOp op) {
    assert((size_t)op < AGG_OP_COUNT);
    return aggregate_ops[op];
}

Text value_type_name(ValueType type) {
    switch (type) {
        case VALUE_NONE:
            return TEXT("none");
        case VALUE_SCALAR:
            return TEXT("scalar");
        case VALUE_VECTOR:
            return TEXT("instant vector");
        case VALUE_MATRIX:
            return TEXT("range vector");
        case VALUE_STRING:
            return TEXT("string");
    }
    unreachable("a sixth type of value");
}
