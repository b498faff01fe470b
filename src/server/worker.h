// Worker threads behind two queues: one bounded in number and age for queries, one for what must
// get through. Private to server.
//
// One thread more than asked for serves the second queue alone, so that a house full of queries
// still shows its own metrics and can be reloaded. While the first queue is short it is first come,
// first served; when more than half full the newest job goes first, as its client is the likeliest
// to be still there. A job that waited too long is handed back unserved (`expired`).
#pragma once

#include "os/clock.h"
#include "os/thread.h"

typedef struct WorkerPool WorkerPool;

typedef struct WorkerJob WorkerJob;
struct WorkerJob {
    // On a worker's thread, exactly once. `expired`: waited too long, or the pool stops.
    void (*run)(WorkerJob *job, int64_t waited_ns, bool expired);
    int64_t queued_ns;
};

typedef struct WorkerOptions {
    Clock *clock;
    int threads;         // 0: one per core
    size_t queue_max;    // jobs that may wait
    int64_t age_max_ms;  // longer is expired
} WorkerOptions;

typedef struct WorkerState {
    uint64_t waiting, running, served, expired, refused;
} WorkerState;

must_use bool worker_pool_start(WorkerOptions options, WorkerPool **out, Error *err);
// BUSY when the queue is full. `urgent`: the second queue.
must_use bool worker_pool_add(WorkerPool *pool, WorkerJob *job, bool urgent, Error *err);
void worker_pool_state(WorkerPool *pool, WorkerState *out);
// Ends once running jobs are done; waiting ones are handed back expired. NULL is fine.
void worker_pool_stop(WorkerPool **pool);
