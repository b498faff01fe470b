// Whatever labels_check accepts walks to its end and is made again to the same bytes; and other
// labels that passed change no answer.

#include "base/assert.h"
#include "model/labels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Error err;
    size_t cut = size == 0 ? 0 : data[size - 1] % size;
    Bytes known = {data, cut}, wire = {data + cut, size - cut};
    if (labels_check(known, &err)) {
        bool alone = labels_check(wire, &err);
        uint64_t same;
        bool beside = labels_check_beside(known, wire, &same, &err);
        assert(alone == beside);
    }
    Labels labels = {{data, size}};
    if (!labels_check(labels.wire, &err)) return 0;
    Arena arena = {0};
    LabelArray array = {0};
    Label label;
    for (Bytes rest = labels.wire; labels_next(&rest, &label);) *array_add(&array) = label;
    Labels again;
    bool made = labels_make(array.at, array.count, &arena, &again, &err);
    assert(made && labels_equal(labels, again));
    array_free(&array);
    arena_free(&arena);
    return 0;
}
