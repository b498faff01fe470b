// The table of Traceo's own metrics. Private to server.
#pragma once

#include "server/request.h"

typedef enum SelfKind { SELF_COUNTER, SELF_GAUGE, SELF_HISTOGRAM } SelfKind;

typedef struct SelfRow {
    Text name;
    SelfKind kind;
    Text help;
} SelfRow;

extern const SelfRow self_rows[];  // sorted by name
extern const size_t self_row_count;

// The text exposition format 0.0.4 of Prometheus.
void self_metrics_print(Server *server, Builder *out);
