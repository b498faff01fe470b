// The queries that wait or run, so that they can be listed and ended. Private to server.
//
// A query is on the list from when it is queued until it is answered; whoever made it keeps the
// entry alive meanwhile (it lies in the Request, or in the subscription of a live one). One lock,
// QUERY_LIST, which is held while a waiting job is taken back, so that an entry found is still
// there.
#pragma once

#include <stdatomic.h>

#include "codec/json.h"
#include "query/query.h"
#include "server/worker.h"

typedef struct RunningQuery RunningQuery;
struct RunningQuery {
    // Of whoever lists it; texts outlive it.
    Text text, tenant, key, peer, agent, path;
    _Atomic bool *cancelled;  // set to end it
    WorkerJob *job;           // that it waits as
    // Called when it was ended while it waited: answers it. Not under a lock.
    void (*ended)(RunningQuery *query);
    // Of the list:
    uint64_t id;
    int64_t began_ms;  // wall time
    int64_t began_ns;
    _Atomic bool runs, killed;
    QueryProgress progress;
    RunningQuery *older, *newer;
};

typedef struct RunningList {
    Mutex lock;
    RunningQuery *oldest, *newest;
    uint64_t last_id;
    Clock *clock;
} RunningList;

void running_list_begin(RunningList *list, Clock *clock);
void running_list_end(RunningList *list);

void running_add(RunningList *list, RunningQuery *query);
void running_remove(RunningList *list, RunningQuery *query);  // one that is not there is fine

// It has run and its answer is being sent: it may be ended, but nothing takes it out of the queue.
void running_answers(RunningList *list, RunningQuery *query);

// Who asks: sees the queries of one tenant, or of all (empty).
// {"queries":[{"id":"7","tenant":…,"query":…,"path":…,"state":"queued","startedAt":…,"ageMs":…,
// "samples":…,"memoryBytes":…,"key":…,"peer":…,"agent":…}]}, oldest first; long texts are cut.
void running_write_json(RunningList *list, Text tenant, JsonWriter *writer);
// Ends one. NOT_FOUND when there is none that may be seen. *waited: it had not begun.
must_use bool running_kill(RunningList *list, WorkerPool *pool, Text id, Text tenant, bool *waited,
                           Error *err);
// What an ended query is told; an error that came of something else stays.
void running_explain(const RunningQuery *query, Error *err);
