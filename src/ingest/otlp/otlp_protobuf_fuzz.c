// Decoding any bytes never crashes; what decodes becomes rows that are protobuf, decodes again to
// the same rows from memory (but for metadata and deltas), what is noted of them is what their
// bytes say, and never more points are rejected than came.

#include "base/assert.h"
#include "codec/protobuf.h"
#include "ingest/otlp/otlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The series of a request, without the metadata.
static Builder series_of(const WriteBody *rows) {
    Builder out = {0};
    Reader reader = reader_begin(text_bytes(builder_text(&rows->bytes)));
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        assert(field.type == WIRE_BYTES && (field.number == 1 || field.number == 3));
        if (field.number == 1) protobuf_add_bytes(&out, 1, field.bytes);
    }
    assert(!reader.failed);
    Batch noted = {0};
    write_body_batch(rows, &noted);
    assert(write_body_decodes_to(rows, &noted));
    batch_free(&noted);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Text promote[] = {TEXT("a"), TEXT("host.name")};
    OtlpOptions options = {.hash_key = {3, 4},
                           .naming = (OtlpNaming)(size % 4),
                           .promote = {promote, 2},
                           .scope_labels = (size & 4) != 0,
                           .native_buckets = (size & 8) != 0,
                           .delta_series = 10};
    Otlp *otlp = otlp_open(&options);
    OtlpSender *sender = otlp_sender_new(otlp), *other = otlp_sender_new(otlp);
    WriteBody rows = {0}, again = {0}, fresh = {0};
    OtlpOutcome first, second, third;
    Error err;
    bool done = otlp_metrics_protobuf(sender, 1, (Bytes){data, size}, 1000, &rows, &first, &err);
    bool same = otlp_metrics_protobuf(sender, 1, (Bytes){data, size}, 1000, &again, &second, &err);
    assert(done == same);
    if (done) {
        assert(first.rejected <= first.points && first.points == second.points);
        assert(first.rejected == 0 || first.first_fault.code != ERROR_NONE);
        // A sender that has seen nothing says the same as one that has.
        same = otlp_metrics_protobuf(other, 3, (Bytes){data, size}, 1000, &fresh, &third, &err);
        assert(same && third.rejected == first.rejected);
        AUTO(builder_free) Builder left = series_of(&rows);
        AUTO(builder_free) Builder middle = series_of(&again);
        AUTO(builder_free) Builder right = series_of(&fresh);
        assert(text_equal(builder_text(&left), builder_text(&right)));
        // Deltas that are not the last of their stream are refused the second time.
        assert(first.rejected <= second.rejected);
        if (first.rejected == second.rejected)
            assert(text_equal(builder_text(&left), builder_text(&middle)));
    }
    write_body_free(&rows);
    write_body_free(&again);
    write_body_free(&fresh);
    otlp_sender_free(&sender);
    otlp_sender_free(&other);
    otlp_close(&otlp);
    return 0;
}
