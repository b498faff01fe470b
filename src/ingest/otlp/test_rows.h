// A small world for tests of OTLP: JSON in, rows out as lines of text. Private to ingest/otlp.
#pragma once

#include "base/test.h"
#include "ingest/otlp/otlp.h"

typedef struct OtlpWorld {
    Otlp *otlp;
    OtlpSender *sender;
    int64_t now_ms;
    OtlpOutcome outcome;  // of the last request
} OtlpWorld;

void otlp_world_begin(OtlpWorld *world, OtlpOptions options);
void otlp_world_end(OtlpWorld *world);

// Sends a request and gives its rows, one line per sample: `name{a="b"} 1.5 @1000`, where its
// counting began behind it as ` since 500`, exemplars behind it as ` # {trace_id="…"} 3 @999`,
// native histograms as `{schema:0 count:3 sum:10 …}`, metadata as
// `# counter name "help" unit`. Single quotes in `json` stand for double ones. Fails the test when
// the request is refused.
Text otlp_rows(Test *t, OtlpWorld *world, const char *json);
Text otlp_rows_of(Test *t, OtlpWorld *world, OtlpEncoding encoding, Bytes body);
Text otlp_print_rows(Test *t, Bytes rows);

Text otlp_quotes(Test *t, const char *json);
// One metric in a request: resource and scope as in most tests (service.name "svc").
Text otlp_metric(Test *t, const char *metric);
