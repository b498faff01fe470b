// Any text is refused, or becomes protobuf that is well-formed: then decoding it as JSON and as
// that protobuf gives the same rows, or the same refusal.

#include "base/assert.h"
#include "codec/protobuf.h"
#include "ingest/otlp/json.h"
#include "ingest/otlp/otlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    OtlpOptions options = {.hash_key = {3, 4}, .delta_series = 10};
    Otlp *otlp = otlp_open(&options);
    OtlpSender *sender = otlp_sender_new(otlp), *other = otlp_sender_new(otlp);
    Arena scratch = {0};
    AUTO(builder_free) Builder protobuf = {0};
    WriteBody rows = {0}, same = {0};
    OtlpOutcome first, second;
    Error err;
    bool made = otlp_json_to_protobuf((Text){(const char *)data, size}, &scratch, &protobuf, &err);
    bool done = otlp_metrics_json(sender, 1, (Bytes){data, size}, 1000, &rows, &first, &err);
    assert(made || !done);
    if (made) {
        bool also = otlp_metrics_protobuf(other, 2, text_bytes(builder_text(&protobuf)), 1000,
                                          &same, &second, &err);
        // Well-formed protobuf can only be too large.
        assert(done == also && (done || err.code == ERROR_TOO_LARGE));
        assert(!done || text_equal(builder_text(&rows.bytes), builder_text(&same.bytes)));
    }
    write_body_free(&rows);
    write_body_free(&same);
    arena_free(&scratch);
    otlp_sender_free(&sender);
    otlp_sender_free(&other);
    otlp_close(&otlp);
    return 0;
}
