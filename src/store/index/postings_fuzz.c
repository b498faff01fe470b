// Whatever decodes is a rising set below the limit, and encodes to bytes that decode to the same
// set.

#include "base/assert.h"
#include "store/index/postings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    uint32_t limit = (uint32_t)(data[0] | data[1] << 8) * 16;
    Arena arena = {0};
    PostingSet set, again;
    size_t used, printed;
    if (postings_decode((Bytes){data + 2, size - 2}, limit, &arena, &set, &used, NULL)) {
        assert(used <= size - 2);
        for (size_t i = 0; i < set.count; i++)
            assert(set.at[i] < limit && (i == 0 || set.at[i] > set.at[i - 1]));
        Builder out = {0};
        postings_encode(set, &out);
        bool decoded =
            postings_decode(text_bytes(builder_text(&out)), limit, &arena, &again, &printed, NULL);
        assert(decoded && printed == out.len && again.count == set.count);
        assert(set.count == 0 || memcmp(set.at, again.at, set.count * sizeof *set.at) == 0);
        // What is looked at in part says the same as the whole.
        uint64_t *bits = arena_push_array(&arena, uint64_t, limit / 64 + 1);
        bool meet, any;
        uint32_t first;
        bool good = postings_meet((Bytes){data + 2, used}, limit, bits, &meet, NULL);
        assert(good && !meet);
        good = postings_first((Bytes){data + 2, used}, limit, &first, &any, NULL);
        assert(good && any == (set.count > 0) && (!any || first == set.at[0]));
        if (any) bits[set.at[set.count - 1] / 64] |= UINT64_C(1) << set.at[set.count - 1] % 64;
        good = postings_meet((Bytes){data + 2, used}, limit, bits, &meet, NULL);
        assert(good && meet == any);
        builder_free(&out);
    }
    uint64_t *every = arena_push_array(&arena, uint64_t, limit / 64 + 1);
    bool meet;
    (void)!postings_meet((Bytes){data + 2, size - 2}, limit, every, &meet, NULL);
    arena_free(&arena);
    return 0;
}
