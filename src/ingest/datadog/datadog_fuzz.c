// Any bytes as Datadog's series never crash; what is read are rows that decode again. The first
// byte chooses JSON or protobuf.

#include "base/assert.h"
#include "ingest/datadog/datadog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    DatadogReader reader = {0};
    WriteBody rows = {0};
    Batch batch = {0};
    DatadogOutcome outcome;
    Error err;
    DatadogEncoding encoding = data[0] == 'p' ? DATADOG_PROTOBUF : DATADOG_JSON;
    if (datadog_read(&reader, encoding, (Bytes){data + 1, size - 1}, 1763683200000, &rows, &outcome,
                     &err)) {
        assert(outcome.samples == rows.rows && outcome.refused <= outcome.series);
        write_body_batch(&rows, &batch);
        assert(write_body_decodes_to(&rows, &batch));
    }
    batch_free(&batch);
    write_body_free(&rows);
    datadog_reader_free(&reader);
    return 0;
}
