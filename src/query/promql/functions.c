// The table of functions, built from functions.def.

#include "query/promql/functions.h"

#include <math.h>

// Words of functions.def.
#define TAKES_1(a)                           {VALUE_##a}, (VALUE_##a == VALUE_NONE ? 0 : 1)
#define TAKES_2(a, b)                        {VALUE_##a, VALUE_##b}, 2
#define TAKES_3(a, b, c)                     {VALUE_##a, VALUE_##b, VALUE_##c}, 3
#define TAKES_4(a, b, c, d)                  {VALUE_##a, VALUE_##b, VALUE_##c, VALUE_##d}, 4
#define TAKES_5(a, b, c, d, e)               {VALUE_##a, VALUE_##b, VALUE_##c, VALUE_##d, VALUE_##e}, 5
#define TAKES_PICK(a, b, c, d, e, name, ...) name
#define TAKES(...) \
    TAKES_PICK(__VA_ARGS__, TAKES_5, TAKES_4, TAKES_3, TAKES_2, TAKES_1, 0)(__VA_ARGS__)
#define STATE_NOW   true, false
#define STATE_TRIAL true, true
#define STATE_LATER false, false
#define REPEAT_ONE  false
#define REPEAT_MANY true

const Function functions[] = {
#define FUNCTION(id, name, result, takes, optional, many, state, gives, example, help)            \
    {FUNCTION_##id, TEXT_INIT(name), VALUE_##result,     takes,          optional, REPEAT_##many, \
     STATE_##state, gives,           TEXT_INIT(example), TEXT_INIT(help)},
#include "query/promql/functions.def"
#undef FUNCTION
};
_Static_assert(COUNT(functions) == FUNCTION_COUNT, "one row per id");

const Function *function_find(Text name) {
    size_t low = 0, high = FUNCTION_COUNT;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = text_compare(name, functions[middle].name);
        if (order == 0) return &functions[middle];
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}
