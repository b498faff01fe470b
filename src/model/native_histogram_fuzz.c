// What is read writes itself, and reads back the same.

#include "base/assert.h"
#include "model/native_histogram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena arena = {0};
    NativeHistogram first, again;
    Error err;
    if (native_histogram_read((Bytes){data, size}, &arena, &first, &err)) {
        Error ignored;
        bool agrees = native_histogram_check(&first, &ignored);
        Builder wire = {0};
        native_histogram_write(&first, &wire);
        bool read = native_histogram_read(text_bytes(builder_text(&wire)), &arena, &again, &err);
        assert(read && native_histogram_equal(&first, &again));
        assert(native_histogram_check(&again, &ignored) == agrees);
        builder_free(&wire);
    }
    arena_free(&arena);
    return 0;
}
