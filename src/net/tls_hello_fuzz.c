// A hello that is whole stays whole, and what is looked at is only what is there.

#include "base/assert.h"
#include "net/tls_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bool whole = false;
    for (size_t len = 0; len <= MIN(size, (size_t)600); len++) {
        bool now = tls_hello_is_whole((Bytes){data, len});
        assert(now || !whole);
        whole = now;
    }
    // Whatever comes, waiting ends: beyond the longest hello and the heads of its records of one
    // byte nothing is gathered.
    bool ends = tls_hello_is_whole((Bytes){data, size});
    assert(ends || size < 6 * (size_t)LIMIT_TLS_HELLO_BYTES);
    return 0;
}
