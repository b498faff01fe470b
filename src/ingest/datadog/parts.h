// A series of Datadog, gathered and then added. Private to ingest/datadog.
#pragma once

#include "ingest/datadog/datadog.h"

// What one series said; tags, points and resources are in the reader.
typedef struct DatadogSeries {
    Text metric, host, device;
    const char *fault;  // what is wrong with it; NULL: nothing
} DatadogSeries;

typedef struct DatadogRead {
    DatadogReader *reader;
    int64_t now_ms;
    WriteBody *out;
    DatadogOutcome *outcome;
} DatadogRead;

void series_begin(DatadogRead *read, DatadogSeries *series);
// TOO_LARGE when the points of one series take more memory than a body may.
must_use bool point_add(DatadogRead *read, DatadogSeries *series, double seconds, double value,
                        Error *err);
// Its rows, or a fault that is counted. False: TOO_LARGE.
must_use bool series_end(DatadogRead *read, DatadogSeries *series, Error *err);

must_use bool datadog_json(DatadogRead *read, Text body, Error *err);
must_use bool datadog_protobuf(DatadogRead *read, Bytes body, Error *err);
