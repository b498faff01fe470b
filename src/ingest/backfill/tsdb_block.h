// A block of Prometheus' TSDB, read straight from its files.
//
//   01JWS713P2E4MQW7T643GYGD69/
//     meta.json   ulid, time, how many series and samples
//     index       series and the places of their chunks         (tsdb_index.h)
//     chunks/     000001, 000002, …: magic version, then chunks (tsdb_chunk.h)
//     tombstones  what was deleted since
//
// Files are mapped, so memory is what one row takes. Nothing is trusted: what contradicts itself, a
// checksum, or the numbers of meta.json, is CORRUPT naming the file and the offset, never less than
// there was. One thread; the block belongs to its opener. Source of the layout: tsdb/docs/format of
// Prometheus (Apache-2.0).
#pragma once

#include "ingest/backfill/row.h"
#include "os/disk.h"

typedef struct TsdbBlock TsdbBlock;

typedef struct TsdbBlockFacts {
    Text ulid;
    int64_t min_ms, max_ms;    // [min, max)
    uint64_t series, samples;  // as meta.json states; samples with histograms
} TsdbBlockFacts;

// Does this folder look like a block: is there a meta.json in it?
must_use bool tsdb_block_is(Disk *disk, Text folder, bool *out, Error *err);

must_use bool tsdb_block_open(Disk *disk, Text folder, TsdbBlock **out, Error *err);
void tsdb_block_close(TsdbBlock **block);
TsdbBlockFacts tsdb_block_facts(const TsdbBlock *block);  // views, as long as the block

// The next row: a series, in parts of about BACKFILL_ROW_SAMPLES, with deleted samples left out
// (so that a row may be empty). `*found` false at the end, where what was read has been compared
// with meta.json. Views hold until the next call.
must_use bool tsdb_block_next(TsdbBlock *block, BackfillRow *out, bool *found, Error *err);

// Series that came so far: what tsdb_block_skip wants, to go on with the one that is not done.
uint64_t tsdb_block_series(const TsdbBlock *block);
// From the beginning past so many series; then the sums of meta.json are not compared. NOT_FOUND
// when there are fewer.
must_use bool tsdb_block_skip(TsdbBlock *block, uint64_t series, Error *err);
