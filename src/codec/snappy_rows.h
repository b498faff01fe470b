// Snappy for rows that resemble the row before them: what any snappy decoder reads back, made at a
// fraction of the general compressor's cost, which has to look for what is known here.
//
//   SnappyRows rows;
//   snappy_rows_begin(&rows, len, &out);
//   snappy_rows_add(&rows, lead, head, alike, rest);   each row, in their order
//   snappy_rows_end(&rows, tail);
//
// What decodes is lead, head and rest of each row, one behind the other, and the tail; they need
// not lie together anywhere. A row has a head (its labels), the rest (its samples), and a lead in
// front (tags, lengths). Of each row, the beginning it has in common with the row before becomes a
// copy, with the lead where that is the same, so do the end of its head and its own end; all else
// is a literal. Format: google/snappy, format_description.txt.
//
// `len` is that of all pieces together, at most SNAPPY_ROWS_BYTES_MAX. `out` is appended to and not
// touched by others until the end. Cannot fail. One thread.
#pragma once

#include "base/text.h"

#define SNAPPY_ROWS_BYTES_MAX UINT32_MAX

// How many bytes a head has in common with the head before it: its first ones and, of the others,
// its last ones.
typedef struct SnappyAlike {
    uint32_t first, last;
} SnappyAlike;

typedef struct SnappyRows {
    Builder *out;
    uint8_t *to;       // where the next byte goes
    uint8_t *literal;  // the bytes of the literal that goes on; NULL: none does
    size_t len, said;  // of what decodes: all, and so far
    // Of the row before, where they begin in what decodes; the end is behind the rest.
    size_t at, middle, end;
    Bytes lead, rest;
} SnappyRows;

void snappy_rows_begin(SnappyRows *rows, size_t len, Builder *out);
SnappyAlike snappy_rows_alike(Bytes before, Bytes head);
// `alike` is of the head and that of the row added before; {0} for the first row. Lead and rest
// stay as they are until the next row has been added.
void snappy_rows_add(SnappyRows *rows, Bytes lead, Bytes head, SnappyAlike alike, Bytes rest);
void snappy_rows_end(SnappyRows *rows, Bytes tail);
