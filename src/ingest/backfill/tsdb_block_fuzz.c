// A block whose index is any bytes, its checksums made right again so that the code behind them is
// reached: it is walked to its end, or there is an error that says where. Input: two bytes, the
// length of the index, then the index, then a file of chunks.

#include <endian.h>

#include "base/assert.h"
#include "codec/crc32c.h"
#include "codec/reader.h"
#include "ingest/backfill/tsdb_block.h"
#include "os/disk_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_crc(uint8_t *at, Bytes bytes) {
    uint32_t crc = htobe32(crc32c(0, bytes));
    memcpy(at, &crc, sizeof crc);
}

static void mend_section(uint8_t *at, uint64_t len, uint64_t offset) {
    if (offset + 8 > len) return;
    uint32_t stated;
    memcpy(&stated, at + offset, 4);
    uint64_t content = be32toh(stated);
    if (content <= len - offset - 8)
        put_crc(at + offset + 4 + content, (Bytes){at + offset + 4, content});
}

// Of what begins with a varint: series (`extra` 0) and chunks (`extra` 1, their encoding).
static void mend_walk(uint8_t *at, size_t len, size_t from, size_t extra) {
    while (from < len) {
        Reader reader = reader_begin((Bytes){at + from, len - from});
        uint64_t content = reader_varint(&reader) + extra;
        size_t begin = (size_t)(reader.at - at);
        if (reader.failed || content + 4 > len - begin || content == 0) {
            from++;
            continue;
        }
        put_crc(at + begin + content, (Bytes){at + begin, (size_t)content});
        from = begin + (size_t)content + 4;
    }
}

static void mend_index(uint8_t *at, size_t len) {
    if (len < 57) return;
    uint64_t sections[6];
    memcpy(sections, at + len - 52, sizeof sections);
    for (size_t i = 0; i < 6; i++) sections[i] = be64toh(sections[i]);
    uint64_t end = len - 52;
    for (size_t i = 0; i < 6; i++) {
        if (sections[i] > sections[1]) end = sections[i] < end ? sections[i] : end;
    }
    if (sections[1] < end) mend_walk(at, (size_t)end, (size_t)sections[1], 0);
    for (size_t i = 0; i < 6; i++) {
        if (i != 1 && sections[i] < len) mend_section(at, len, sections[i]);
    }
    put_crc(at + len - 4, (Bytes){at + len - 52, 48});
}

static void put(Disk *disk, Text folder, Text name, Bytes content) {
    Error err;
    bool done = disk_replace(disk, folder, name, content, &err);
    assert(done);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    size_t index_len = (size_t)data[0] << 8 | data[1];
    if (index_len > size - 2) index_len = size - 2;
    uint8_t *bytes = memory_take(size);
    memcpy(bytes, data + 2, size - 2);
    mend_index(bytes, index_len);
    if (size - 2 - index_len > 8) mend_walk(bytes + index_len, size - 2 - index_len, 8, 1);
    DiskModel *model = disk_model_new();
    Disk *disk = disk_model_disk(model);
    Error err = {0};
    bool made = disk_make_folders(disk, TEXT("b/chunks"), &err);
    assert(made);
    put(disk, TEXT("b"), TEXT("meta.json"),
        text_bytes(TEXT("{\"ulid\":\"X\",\"minTime\":0,\"maxTime\":1,\"version\":1}")));
    put(disk, TEXT("b"), TEXT("index"), (Bytes){bytes, index_len});
    put(disk, TEXT("b/chunks"), TEXT("000001"), (Bytes){bytes + index_len, size - 2 - index_len});
    TsdbBlock *block = NULL;
    bool ok = tsdb_block_open(disk, TEXT("b"), &block, &err), found = ok;
    while (ok && found) {
        BackfillRow row;
        ok = tsdb_block_next(block, &row, &found, &err);
        if (ok && found) {
            Label label;
            for (Bytes rest = row.labels.wire; labels_next(&rest, &label);) continue;
        }
    }
    assert(ok || err.code == ERROR_CORRUPT || err.code == ERROR_UNSUPPORTED ||
           err.code == ERROR_TOO_LARGE);
    tsdb_block_close(&block);
    disk_model_free(&model);
    memory_free(bytes);
    return 0;
}
