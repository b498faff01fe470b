// Graphite's plaintext protocol: one line is one sample.
//
//   servers.web1.load;dc=a 0.5 1763683200   ->   servers_web1_load{dc="a"} 0.5
//
// Every byte of a path or of a tag's name that a Prometheus name may not hold becomes `_`. A time
// of -1 or none is now; times may have a fraction. Pure; one thread per reader.
//
// Source: Graphite documentation, "Feeding In Your Data" and "Graphite Tag Support".
#pragma once

#include "ingest/ingest.h"
#include "model/label_set.h"

// Memory kept from line to line. Begin with {0}.
typedef struct GraphiteReader {
    LabelSet labels;
    Arena arena;
} GraphiteReader;
void graphite_reader_free(GraphiteReader *reader);

// Appends the row of one line (without its line break) to `out`; an empty line is none. BAD_INPUT
// says what is wrong, and adds nothing.
must_use bool graphite_line(GraphiteReader *reader, Text line, int64_t now_ms, WriteBody *out,
                            Error *err);
