// Snappy for rows that resemble the row before them: what any snappy decoder reads back, made at a
// fraction of the general compressor's cost, which has to look for what is known here.
//
//   SnappyRows rows;
//   snappy_rows_begin(&rows, bytes, &out);
//   snappy_rows_add(&rows, at, head_len, end);      each row, in the order in which they lie
//   snappy_rows_end(&rows);
//
// A row has a head (its labels) and the rest (its samples). Of each row, the beginning it has in
// common with the row before becomes a copy, so do the end of its head and its own end; all else is
// a literal, as is what lies between rows. Format: google/snappy, format_description.txt.
//
// The bytes stay the caller's and unchanged until the end; at most SNAPPY_ROWS_BYTES_MAX of them.
// `out` is appended to. Cannot fail. One thread.
#pragma once

#include "base/text.h"

#define SNAPPY_ROWS_BYTES_MAX UINT32_MAX

typedef struct SnappyRows {
    Bytes bytes;
    Builder *out;
    uint8_t *to;             // where the next element goes
    size_t said;             // bytes that elements stand for
    size_t at, middle, end;  // of the row before; its head ends in the middle
} SnappyRows;

void snappy_rows_begin(SnappyRows *rows, Bytes bytes, Builder *out);
void snappy_rows_add(SnappyRows *rows, size_t at, size_t head_len, size_t end);
void snappy_rows_end(SnappyRows *rows);
