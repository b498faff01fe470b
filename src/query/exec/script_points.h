// Series and points as scripts write them: `name{a="b"} 1 2+3x4 _ stale {{…}}`. Tests only.
#pragma once

#include "model/histogram.h"
#include "model/labels.h"

typedef enum PointKind { POINT_VALUE, POINT_NONE, POINT_STALE, POINT_HISTOGRAM } PointKind;

typedef struct Point {
    PointKind kind;
    double value;
    const Histogram *histogram;
    bool hint_stated;  // of the histogram: its reset hint is written down
} Point;

typedef struct Points {
    Point *at;
    size_t count;
} Points;

// When counting began, per point, as an offset to its time: `_ -30s-1mx2 0`. A row of its own,
// whose series ends in @st.
typedef struct PointStart {
    bool known;
    int64_t offset_ms;
} PointStart;
typedef struct PointStarts {
    PointStart *at;
    size_t count;
} PointStarts;
must_use bool points_parse_starts(Text text, Arena *arena, PointStarts *out, Error *err);

// Cuts the series from the front of a line; the rest are its points. An empty text when the line
// begins with a number.
Text points_cut_series(Text *line);
must_use bool points_parse(Text text, Arena *arena, Points *out, Error *err);
