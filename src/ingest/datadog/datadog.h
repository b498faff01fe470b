// What Datadog's agents and clients post as series: version 1 (JSON) and 2 (JSON, protobuf).
//
//   {"series":[{"metric":"system.load","points":[[1763683200,0.5]],"host":"a","tags":["dc:x"]}]}
//     -> system_load{host="a", dc="x"} 0.5
//
// Names become plain ones, as those of DogStatsD do. Values stay what they are: a count is what
// happened within its interval, a rate is per second. A series is judged alone; a body that is not
// understood is refused whole. Any thread; nothing is kept but memory.
//
// Source: Datadog's API reference, "Submit metrics" v1 and v2; agent_payload.proto (MetricPayload).
#pragma once

#include "ingest/ingest.h"
#include "model/label_set.h"

typedef enum DatadogEncoding { DATADOG_JSON, DATADOG_PROTOBUF } DatadogEncoding;

typedef struct DatadogReader {
    LabelSet labels;
    Arena arena;  // texts of one series
    ARRAY(Sample) points;
    ARRAY(Text) tags;
    ARRAY(Label) resources;  // type and name
} DatadogReader;             // begin with {0}
void datadog_reader_free(DatadogReader *reader);
size_t datadog_reader_bytes_kept(const DatadogReader *reader);

typedef struct DatadogOutcome {
    uint64_t series, refused, samples;
    Error first_fault;  // code NONE: none; names the series
} DatadogOutcome;

// Appends the rows of all good series. False: the body is malformed (BAD_INPUT) or its rows take
// more than a body may (TOO_LARGE); `out` then holds what came before.
must_use bool datadog_read(DatadogReader *reader, DatadogEncoding encoding, Bytes body,
                           int64_t now_ms, WriteBody *out, DatadogOutcome *outcome, Error *err);
