// Any bytes as line protocol never crash; what is read are rows that decode again, and reading the
// same bytes twice gives the same rows.

#include "base/assert.h"
#include "ingest/influx/influx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 64 * KB) return 0;
    static const int64_t units[] = {1, 1000, 1000000, 1000000000, INT64_C(3600000000000)};
    InfluxBody body = {.text = {(const char *)data, size},
                       .unit_ns = units[size % COUNT(units)],
                       .now_ms = 1763683200000,
                       .label = TEXT("db"),
                       .value = TEXT("d")};
    InfluxReader reader = {0};
    WriteBody first = {0}, again = {0};
    InfluxOutcome outcome, second;
    Error err;
    if (influx_read(&reader, &body, &first, &outcome, &err)) {
        Batch batch = {0};
        write_body_batch(&first, &batch);
        assert(write_body_decodes_to(&first, &batch));
        assert(outcome.samples == first.rows && outcome.refused <= outcome.lines);
        assert((outcome.refused > 0) == (outcome.first_fault.code != ERROR_NONE));
        bool same = influx_read(&reader, &body, &again, &second, &err);
        assert(same && bytes_equal(write_body_bytes(&first), write_body_bytes(&again)));
        batch_free(&batch);
    }
    write_body_free(&first);
    write_body_free(&again);
    influx_reader_free(&reader);
    return 0;
}
