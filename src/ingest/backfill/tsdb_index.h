// The index of a block of Prometheus' TSDB: which series it has and where their chunks lie.
//
//   magic version | symbols | series … | label indices | postings … | tables | table of contents
//
// Versions 1 and 2. In 2 symbols are referred to by their number and series begin at multiples of
// 16; in 1 both are offsets in the file. Series are walked in their order; where the index has the
// list of all of them, what is walked must be that list, one by one. Source of the layout:
// tsdb/docs/format/index.md of Prometheus (Apache-2.0). Private to ingest/backfill.
#pragma once

#include "base/array.h"
#include "model/labels.h"

typedef struct TsdbIndex {
    Bytes bytes;  // the whole file; not trusted
    int version;
    ARRAY(Text) symbols;
    uint64_t series_at, series_end;
    Bytes all;  // references to all series, four bytes each; BYTES_NONE: the index has no such list
} TsdbIndex;

typedef struct TsdbChunkPlace {
    int64_t min_ms, max_ms;
    uint64_t file, offset;  // the file's number from 0
} TsdbChunkPlace;

typedef struct TsdbSeries {
    uint64_t offset;     // in the index
    uint64_t reference;  // as tombstones name it
    LabelArray labels;   // views into the index
    ARRAY(TsdbChunkPlace) chunks;
} TsdbSeries;

// `is_version_2`: although it says 1, as a Prometheus of 2017 wrote it. CORRUPT naming the offset,
// UNSUPPORTED for another version. Verifies the checksums of symbols, tables and the list of all
// series. tsdb_index_close in any case.
must_use bool tsdb_index_open(Bytes bytes, bool is_version_2, TsdbIndex *out, Error *err);
void tsdb_index_close(TsdbIndex *index);

// The series at `*at` (series_at to begin) or behind it, `*at` moves behind it; `*found` false at
// the end. `number` is how many came before. With `out` NULL it is only stepped over. `out` keeps
// its memory from call to call.
must_use bool tsdb_index_next(const TsdbIndex *index, uint64_t number, uint64_t *at,
                              TsdbSeries *out, bool *found, Error *err);
void tsdb_series_free(TsdbSeries *series);
