// The tree of a PromQL expression: what the parser makes, the checker types, the printer prints and
// query/exec runs. Nodes live on the arena of the parse and are not changed after checking. Every
// node keeps its source range, so that every later error can point at it.
#pragma once

#include "model/matcher.h"

typedef enum ValueType {
    VALUE_NONE,
    VALUE_SCALAR,
    VALUE_VECTOR,
    VALUE_MATRIX,
    VALUE_STRING
} ValueType;

typedef enum ExprKind {
    EXPR_NUMBER,
    EXPR_STRING,
    EXPR_SELECTOR,  // instant vector, or matrix when range_ms > 0
    EXPR_SUBQUERY,  // expr[range:step]
    EXPR_CALL,
    EXPR_AGGREGATE,
    EXPR_BINARY,
    EXPR_UNARY,  // - or +
    EXPR_PAREN,
} ExprKind;

typedef enum AtKind { AT_NONE, AT_TIME, AT_START, AT_END } AtKind;  // the @ modifier

// How a selector meets its borders: only with the samples between them; from the last sample before
// the range on (`anchored`); or with values interpolated at both borders (`smoothed`).
typedef enum Extent { EXTENT_PLAIN, EXTENT_ANCHORED, EXTENT_SMOOTHED } Extent;

typedef enum BinaryOp {
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_MOD,
    OP_POW,
    OP_ATAN2,
    OP_TRIM_UPPER,  // </: of a native histogram what lies below a number
    OP_TRIM_LOWER,  // >/: above
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_AND,
    OP_OR,
    OP_UNLESS,
    OP_COUNT
} BinaryOp;

typedef enum AggregateOp {
    AGG_SUM,
    AGG_AVG,
    AGG_MIN,
    AGG_MAX,
    AGG_COUNT,
    AGG_GROUP,
    AGG_STDDEV,
    AGG_STDVAR,
    AGG_TOPK,
    AGG_BOTTOMK,
    AGG_QUANTILE,
    AGG_COUNT_VALUES,
    AGG_LIMITK,
    AGG_LIMIT_RATIO,
    AGG_OP_COUNT
} AggregateOp;

typedef enum Card { CARD_ONE_TO_ONE, CARD_MANY_TO_ONE, CARD_ONE_TO_MANY, CARD_MANY_TO_MANY } Card;

typedef struct VectorMatching {
    Card card;
    bool on;        // on (true) or ignoring (false)
    Texts labels;   // of on / ignoring
    Texts include;  // of group_left / group_right
    bool fills_left,
        fills_right;  // fill(v), fill_left(v), fill_right(v): what stands in for a missing side
    double fill_left, fill_right;
} VectorMatching;

typedef struct SourceRange {
    uint32_t from, to;  // byte offsets into the query text
} SourceRange;

struct Function;  // functions.h: one row per function

typedef struct Expr Expr;
struct Expr {
    ExprKind kind;
    ValueType type;  // set by the checker
    SourceRange range;
    uint32_t depth;  // of the tree below, this node included
    union {
        double number;
        Text string;
        struct {
            Matchers matchers;  // `__name__` included, first when it stood in front; regexes belong
                                // to the parse
            int64_t range_ms;   // 0: instant
            Expr *range_given;  // a duration that depends on the query's step or length; NULL:
                                // range_ms is known
            Extent extent;
        } selector;
        struct {
            Expr *expr;
            int64_t range_ms;
            int64_t step_ms;                 // 0: the default resolution
            Expr *range_given, *step_given;  // as above
        } subquery;
        struct {
            const struct Function *function;
            Expr **args;
            size_t arg_count;
        } call;
        struct {
            AggregateOp op;
            Expr *expr;
            Expr *param;  // k, phi, label name; or NULL
            bool without;
            bool grouped;  // by or without stood there
            Texts labels;
        } aggregate;
        struct {
            BinaryOp op;
            bool return_bool;
            bool matching_given;  // on or ignoring stood there
            VectorMatching matching;
            Expr *left, *right;
        } binary;
        struct {
            bool negative;
            Expr *expr;
        } unary;
        Expr *paren;
    } as;
    // Of selectors and subqueries:
    int64_t offset_ms;
    Expr *offset_given;  // as above
    AtKind at;
    int64_t at_ms;
};

// ORDER: names of the operators, as they are written.
Text binary_op_name(BinaryOp op);
Text aggregate_op_name(AggregateOp op);
Text value_type_name(
    ValueType type);  // "instant vector", "range vector", "scalar", "string", as Prometheus says it

static inline bool binary_op_is_comparison(BinaryOp op) {
    return op >= OP_EQ && op <= OP_GE;
}
static inline bool binary_op_is_trim(BinaryOp op) {
    return op == OP_TRIM_UPPER || op == OP_TRIM_LOWER;
}
static inline bool binary_op_is_set(BinaryOp op) {
    return op >= OP_AND && op <= OP_UNLESS;
}
static inline bool aggregate_op_has_param(AggregateOp op) {
    return op >= AGG_TOPK;
}

// Inf and NaN are numbers wherever a label is grouped by: as its name they stand in quotes.
static inline bool is_number_word(Text name) {
    return text_equal_ignore_case(name, TEXT("inf")) || text_equal_ignore_case(name, TEXT("nan"));
}

// A range selector, `up[5m]`, and not an instant one.
static inline bool selector_has_range(const Expr *expr) {
    return expr->as.selector.range_ms > 0 || expr->as.selector.range_given != NULL;
}

// The expression inside any number of parentheses.
static inline const Expr *expr_inner(const Expr *expr) {
    while (expr->kind == EXPR_PAREN) expr = expr->as.paren;
    return expr;
}
