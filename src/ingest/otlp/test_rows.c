// Rows as text: what a request became, readable.

#include "ingest/otlp/test_rows.h"

#include "codec/number.h"
#include "codec/protobuf.h"
#include "model/batch.h"
#include "model/sample.h"

void otlp_world_begin(OtlpWorld *world, OtlpOptions options) {
    options.hash_key = (HashKey){1, 2};
    *world = (OtlpWorld){.otlp = otlp_open(&options), .now_ms = 1000000};
    world->sender = otlp_sender_new(world->otlp);
}

void otlp_world_end(OtlpWorld *world) {
    otlp_sender_free(&world->sender);
    otlp_close(&world->otlp);
}

static void print_value(double value, Builder *out) {
    if (is_stale(value)) {
        builder_add(out, TEXT("stale"));
    } else {
        builder_add_f64(out, value);
    }
}

static void print_side(const char *name, const HistogramBuckets *side, Builder *out) {
    if (side->bucket_count == 0) return;
    builder_addf(out, " %s:[", name);
    int64_t count = 0;
    int32_t index = 0;
    size_t bucket = 0;
    for (size_t i = 0; i < side->span_count; i++) {
        index += side->spans[i].offset;
        for (uint32_t k = 0; k < side->spans[i].length; k++, index++) {
            count += side->deltas[bucket];
            builder_addf(out, "%s%d:%lld", bucket++ == 0 ? "" : " ", (int)index, (long long)count);
        }
    }
    builder_add(out, TEXT("]"));
}

static void print_histogram(Test *t, Bytes wire, Builder *out) {
    NativeHistogram histogram;
    check_ok(t, native_histogram_read(wire, t->arena, &histogram, t->err));
    builder_addf(out, " {schema:%d count:%llu sum:", (int)histogram.schema,
                 (unsigned long long)histogram.count);
    print_value(histogram.sum, out);
    if (histogram.zero_count > 0)
        builder_addf(out, " zero:%llu", (unsigned long long)histogram.zero_count);
    if (histogram.schema != HISTOGRAM_SCHEMA_CUSTOM)
        builder_addf(out, " below:%g", histogram.zero_threshold);
    print_side("negative", &histogram.negative, out);
    print_side("positive", &histogram.positive, out);
    for (size_t i = 0; i < histogram.custom_bound_count; i++)
        builder_addf(out, "%s%g", i == 0 ? " bounds:" : ",", histogram.custom_bounds[i]);
    builder_addf(out, "} @%lld", (long long)histogram.time_ms);
    if (histogram.start_ms != 0) builder_addf(out, " since %lld", (long long)histogram.start_ms);
}

// Value and time of a Sample or an Exemplar: the fields with a fixed number and the varint `time`.
// A sample may have a start behind it.
static void print_pair(Bytes bytes, uint32_t time, Builder *out) {
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    double value = 0;
    int64_t time_ms = 0, start_ms = 0;
    while (protobuf_next(&reader, &field)) {
        if (field.type == WIRE_FIXED64) value = protobuf_double(field.value);
        if (field.type != WIRE_VARINT) continue;
        *(field.number == time ? &time_ms : &start_ms) = (int64_t)field.value;
    }
    builder_add_char(out, ' ');
    print_value(value, out);
    builder_addf(out, " @%lld", (long long)time_ms);
    if (start_ms != 0) builder_addf(out, " since %lld", (long long)start_ms);
}

static void print_exemplar(Test *t, Bytes bytes, Builder *out) {
    AUTO(builder_free) Builder labels = {0};
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        if (field.number == 1 && field.type == WIRE_BYTES)
            protobuf_add_bytes(&labels, 1, field.bytes);
    }
    check_ok(t, labels_check_exemplar(text_bytes(builder_text(&labels)), t->err));
    builder_add(out, TEXT(" # "));
    labels_print((Labels){text_bytes(builder_text(&labels))}, out);
    print_pair(bytes, 3, out);
}

static void print_series(Test *t, Bytes bytes, Builder *out) {
    AUTO(builder_free) Builder labels = {0};
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        if (field.number == 1) protobuf_add_bytes(&labels, 1, field.bytes);
    }
    check_ok(t, labels_check(text_bytes(builder_text(&labels)), t->err));
    labels_print((Labels){text_bytes(builder_text(&labels))}, out);
    reader = reader_begin(bytes);
    while (protobuf_next(&reader, &field)) {
        if (field.number == 2) print_pair(field.bytes, 2, out);
        if (field.number == 3) print_exemplar(t, field.bytes, out);
        if (field.number == 4) print_histogram(t, field.bytes, out);
    }
    check(t, !reader.failed);
    builder_add_char(out, '\n');
}

static void print_metadata(Bytes bytes, Builder *out) {
    static const char *const types[] = {"unknown",         "counter", "gauge", "histogram",
                                        "gauge histogram", "summary", "info",  "stateset"};
    Reader reader = reader_begin(bytes);
    ProtobufField field;
    Text family = TEXT_NONE, help = TEXT_NONE, unit = TEXT_NONE;
    uint64_t type = 0;
    while (protobuf_next(&reader, &field)) {
        if (field.number == 1) type = field.value;
        if (field.number == 2) family = bytes_text(field.bytes);
        if (field.number == 4) help = bytes_text(field.bytes);
        if (field.number == 5) unit = bytes_text(field.bytes);
    }
    builder_addf(out, "# %s %.*s \"%.*s\" %.*s\n", types[type & 7], TEXT_ARG(family),
                 TEXT_ARG(help), TEXT_ARG(unit));
}

Text otlp_print_rows(Test *t, Bytes rows) {
    AUTO(builder_free) Builder out = {0};
    Reader reader = reader_begin(rows);
    ProtobufField field;
    while (protobuf_next(&reader, &field)) {
        if (field.number == 1) print_series(t, field.bytes, &out);
        if (field.number == 3) print_metadata(field.bytes, &out);
    }
    check(t, !reader.failed);
    return text_copy(builder_text(&out), t->arena);
}

Text otlp_rows_of(Test *t, OtlpWorld *world, OtlpEncoding encoding, Bytes body) {
    WriteBody rows = {0};
    world->now_ms += 1000;
    check_ok(t, (encoding == OTLP_JSON ? otlp_metrics_json : otlp_metrics_protobuf)(
                    world->sender, 1, body, world->now_ms, &rows, &world->outcome, t->err));
    Text printed = otlp_print_rows(t, text_bytes(builder_text(&rows.bytes)));
    write_body_free(&rows);
    return printed;
}

Text otlp_quotes(Test *t, const char *json) {
    Text text = text_copy(text_from_cstring(json), t->arena);
    char *at = (char *)(uintptr_t)text.at;
    for (size_t i = 0; i < text.len; i++) {
        if (at[i] == '\'') at[i] = '"';
    }
    return text;
}

Text otlp_rows(Test *t, OtlpWorld *world, const char *json) {
    return otlp_rows_of(t, world, OTLP_JSON, text_bytes(otlp_quotes(t, json)));
}

Text otlp_metric(Test *t, const char *metric) {
    AUTO(builder_free) Builder out = {0};
    builder_add(&out, TEXT("{'resourceMetrics':[{'resource':{'attributes':[{'key':'service.name',"
                           "'value':{'stringValue':'svc'}}]},'scopeMetrics':[{'scope':{'name':"
                           "'lib'},'metrics':["));
    builder_add(&out, text_from_cstring(metric));
    builder_add(&out, TEXT("]}]}]}"));
    return text_copy(builder_text(&out), t->arena);
}
