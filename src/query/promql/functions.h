// The functions of PromQL: one row each, which serves the checker, the executor, `traceo help
// functions`, the editor's completion and the test that runs every example.
#pragma once

#include "query/promql/ast.h"

enum { FUNCTION_ARGS_MAX = 5 };

// How query/exec computes it; the executor has one kernel per id (ORDER: function ids).
typedef enum FunctionId {
#define FUNCTION(id, name, result, takes, optional, many, state, gives, example, help) \
    FUNCTION_##id,
#include "query/promql/functions.def"
#undef FUNCTION
    FUNCTION_COUNT
} FunctionId;

typedef struct Function {
    FunctionId id;
    Text name;
    ValueType result;
    ValueType takes[FUNCTION_ARGS_MAX];  // VALUE_NONE ends it
    size_t take_count;                   // of `takes`
    size_t optional;                     // how many of the last ones may be left out
    bool variadic;                       // the last one may repeat
    bool supported;     // false: known to Prometheus, answered with UNSUPPORTED until its kernel is
                        // written
    bool experimental;  // Prometheus has it behind a feature flag
    double gives;       // of the example, evaluated one hour after 1970 (NAN: not compared)
    Text example;
    Text help;
} Function;

// FUNCTION_COUNT rows, sorted by name.
extern const Function functions[];
const Function *function_find(Text name);  // NULL when there is none
