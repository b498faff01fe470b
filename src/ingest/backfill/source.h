// Where old samples come from: a folder of blocks, a file of OpenMetrics text, lines of JSON.
//
//   Source *source = NULL;
//   TRY(source_open(SOURCE_UNKNOWN, disk, path, &source, err));
//   for (;;) {
//       TRY(source_next(source, &row, &found, err));
//       if (!found) break;
//       …
//   }
//   source_close(&source);
//
// Rows come one by one, memory is what one row takes; files are mapped, the standard input is read
// through a window. One thread.
#pragma once

#include "ingest/backfill/row.h"
#include "os/disk.h"

typedef enum SourceFormat {
    SOURCE_UNKNOWN,  // by what is there: a folder, a first `{`, else OpenMetrics
    SOURCE_PROMETHEUS,
    SOURCE_OPENMETRICS,
    SOURCE_VICTORIAMETRICS,
} SourceFormat;

// "prometheus", "openmetrics", "victoriametrics", and "traceo", whose lines are those of
// VictoriaMetrics and more. False for another name.
must_use bool source_format_from_name(Text name, SourceFormat *out);
Text source_format_name(SourceFormat format);

typedef struct Source Source;

// `path`: a block or a folder of blocks; a file; "-" is the standard input. BAD_INPUT, NOT_FOUND,
// and what the formats say.
must_use bool source_open(SourceFormat format, Disk *disk, Text path, Source **out, Error *err);
void source_close(Source **source);

// Errors name the file, and line or offset. `*found` false at the end.
must_use bool source_next(Source *source, BackfillRow *out, bool *found, Error *err);

SourceFormat source_format(const Source *source);
// Of what all is measured: bytes of text, or samples of blocks; total 0: not known.
void source_progress(const Source *source, int64_t *done, int64_t *total);
Text source_unit(const Source *source);  // "samples", or empty for bytes
// What of the source is not read though it is there, for people; empty: nothing.
Text source_note(const Source *source);

// A place to go on from, as text in one line: everything before it came out of source_next. It is
// only good for the same source, which seek looks at: BAD_INPUT for a place that is not one, or of
// another source. UNSUPPORTED for the standard input.
void source_position(const Source *source, Builder *out);
must_use bool source_seek(Source *source, Text position, Error *err);
