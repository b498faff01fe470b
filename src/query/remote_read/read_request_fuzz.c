// Any bytes are read or refused; what was read keeps its limits and is closed whole.

#include "base/assert.h"
#include "base/limits.h"
#include "query/remote_read/remote_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO(arena_free) Arena arena = {0};
    AUTO(read_request_close) ReadRequest request = {0};
    Error err;
    if (!read_request_decode((Bytes){data, size}, &arena, &request, &err)) return 0;
    assert((int64_t)request.count <= LIMIT_READ_QUERIES);
    assert(request.samples || request.chunks);
    for (size_t i = 0; i < request.count; i++) {
        const ReadQuery *query = &request.at[i];
        assert(query->from_ms <= query->to_ms);
        assert((int64_t)query->matchers.count <= LIMIT_READ_MATCHERS);
        // Every matcher can be asked.
        bool matches = matchers_match(query->matchers, LABELS_NONE);
        (void)matches;
    }
    return 0;
}
