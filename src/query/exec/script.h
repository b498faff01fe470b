// The script language in which PromQL engines are tested (load, clear, eval, expect), after its
// description in the README of Prometheus' promqltest: read, run against a real SeriesStore,
// compared. Tests only.
#pragma once

#include "base/test.h"
#include "os/disk_model.h"
#include "query/query.h"

typedef enum ScriptVerdict {
    SCRIPT_PASSED,
    SCRIPT_FAILED,
    SCRIPT_UNSUPPORTED,
    SCRIPT_VERDICT_COUNT
} ScriptVerdict;

typedef struct ScriptRun {
    size_t counts[SCRIPT_VERDICT_COUNT];
    // Called for every eval; `why` says what differs or what is not supported.
    void (*report)(void *context, Text file, size_t line, ScriptVerdict verdict, Text query,
                   Text why);
    void *context;
    bool delayed_names;
    QueryPool *pool;  // as in QueryRequest
    size_t shard_series;
} ScriptRun;

// Runs a whole script. A script that cannot be read (not: whose results differ) is an error.
must_use bool script_run(ScriptRun *run, Text file, Text source, Error *err);

// A store in memory, for other tests too.
typedef struct ScriptStore {
    DiskModel *disk;
    Objects *objects;
    SeriesStore *store;
    ManualClock clock;
    Budget memory;
    uint64_t sequence;
} ScriptStore;
must_use bool script_store_open(ScriptStore *store, Arena *arena, Error *err);
void script_store_close(ScriptStore *store);
// One load: lines "series points" as below `load`, `step_ms` apart from 0 on.
must_use bool script_load(ScriptStore *store, Text lines, int64_t step_ms, bool with_custom_buckets,
                          Arena *arena, Error *err);

// "a{b="c"}" to labels; also "{}" and equal names in braces.
must_use bool script_labels(Text text, Arena *arena, Labels *out, Error *err);
