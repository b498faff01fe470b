// Any bytes as lines of Graphite never crash; every line is one row, none, or an error.

#include "base/assert.h"
#include "ingest/graphite/graphite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    GraphiteReader reader = {0};
    WriteBody rows = {0};
    Batch batch = {0};
    Text rest = {(const char *)data, size}, line;
    while (text_cut(&rest, '\n', &line)) {
        uint64_t before = rows.rows;
        Error err;
        bool read = graphite_line(&reader, line, 1763683200000, &rows, &err);
        assert(rows.rows == before || (read && rows.rows == before + 1));
    }
    write_body_batch(&rows, &batch);
    assert(write_body_decodes_to(&rows, &batch));
    batch_free(&batch);
    write_body_free(&rows);
    graphite_reader_free(&reader);
    return 0;
}
