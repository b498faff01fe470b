// From OpenTelemetry's names of metrics, units and attributes to those of Prometheus.
//
// Source: "Prometheus and OpenMetrics Compatibility" of the OpenTelemetry specification, in the
// form Prometheus 3 gives it (its setting otlp.translation_strategy, whose four words are ours).
// Pure functions; any thread. Private to ingest/otlp.
#pragma once

#include "ingest/otlp/otlp.h"

typedef enum NameKind {
    NAME_OTHER,
    NAME_COUNTER,  // ends in _total
    NAME_GAUGE,    // ends in _ratio when its unit is 1
} NameKind;

bool naming_escapes(OtlpNaming naming);

// The name of a metric family, appended to `out` (empty before). BAD_INPUT when nothing is left of
// it but underscores.
must_use bool name_metric(OtlpNaming naming, NameKind kind, Text name, Text unit, Builder *out,
                          Error *err);

// "By/s" to "bytes_per_second", as metadata wants it; empty for "1" and for "{packet}".
void name_unit(OtlpNaming naming, Text unit, Builder *out);

// The name of a label: "http.method" to "http_method", "1st" to "key_1st", "_a" to "key_a". An
// empty name is BAD_INPUT, and so is one of which only underscores are left.
must_use bool name_label(OtlpNaming naming, Text name, Builder *out, Error *err);
