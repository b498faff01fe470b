// A line that is read, written and read again is the same line.

#include "base/assert.h"
#include "ingest/backfill/json_lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    JsonLine first = {0}, again = {0};
    Error err;
    if (json_line_read((Text){(const char *)data, size}, &first, &err)) {
        Builder out = {0};
        json_line_write(first.labels, (Samples){first.samples.at, first.samples.count}, &out);
        bool read = json_line_read(builder_text(&out), &again, &err);
        assert(read);
        assert(labels_equal(first.labels, again.labels));
        assert(first.samples.count == again.samples.count);
        for (size_t i = 0; i < first.samples.count; i++) {
            assert(first.samples.at[i].time_ms == again.samples.at[i].time_ms);
            double a = first.samples.at[i].value, b = again.samples.at[i].value;
            assert(double_bits(a) == double_bits(b) || (isnan(a) && isnan(b)));
        }
        builder_clear(&out);
        json_line_write_histograms(first.labels, first.histograms.at, first.histograms.count, &out);
        Text rest = builder_text(&out), line;
        size_t seen = 0;
        while (text_cut(&rest, '\n', &line) && line.len > 0) {
            read = json_line_read(line, &again, &err);
            assert(read && again.samples.count == 0);
            assert(labels_equal(first.labels, again.labels));
            assert(seen + again.histograms.count <= first.histograms.count);
            for (size_t i = 0; i < again.histograms.count; i++, seen++)
                assert(native_histogram_equal(&first.histograms.at[seen], &again.histograms.at[i]));
        }
        assert(seen == first.histograms.count);
        builder_free(&out);
    }
    json_line_free(&first);
    json_line_free(&again);
    return 0;
}
