// Rows as text.

#include "model/test_batch.h"

#include "codec/number.h"
#include "model/native_histogram.h"

static void print_histogram(Test *t, const BatchHistogram *row, Builder *out) {
    NativeHistogram histogram;
    check_ok(t, native_histogram_read(row->wire, t->arena, &histogram, t->err));
    check_ok(t, native_histogram_check(&histogram, t->err));
    builder_addf(out, " {schema:%d count:%llu sum:", histogram.schema,
                 (unsigned long long)histogram.count);
    builder_add_f64(out, histogram.sum);
    builder_addf(out, " buckets:%zu} @%lld\n",
                 histogram.positive.bucket_count + histogram.negative.bucket_count,
                 (long long)row->time_ms);
}

Text test_batch_print(Test *t, const Batch *batch) {
    AUTO(builder_free) Builder out = {0};
    for (size_t i = 0; i < batch->series.count; i++) {
        BatchSeries *series = &batch->series.at[i];
        Labels labels = {batch_labels(batch, series)};
        check_ok(t, labels_check(labels.wire, t->err));
        for (uint32_t k = 0; k < series->sample_count; k++) {
            Sample sample = batch->samples.at[series->first_sample + k];
            labels_print(labels, &out);
            builder_add_char(&out, ' ');
            builder_add_f64(&out, sample.value);
            builder_addf(&out, " @%lld\n", (long long)sample.time_ms);
        }
        for (uint32_t k = 0; k < series->histogram_count; k++) {
            labels_print(labels, &out);
            print_histogram(t, &batch->histograms.at[series->first_histogram + k], &out);
        }
    }
    for (size_t i = 0; i < batch->metadata.count; i++) {
        const BatchMetadata *row = &batch->metadata.at[i];
        builder_addf(&out, "# %.*s %.*s \"%.*s\" %.*s\n", TEXT_ARG(metadata_type_name(row->type)),
                     TEXT_ARG(row->family), TEXT_ARG(row->help), TEXT_ARG(row->unit));
    }
    return text_copy(builder_text(&out), t->arena);
}
