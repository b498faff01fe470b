// Worker threads behind two queues: one for queries, fair among tenants and bounded in number and
// age; one for what must get through. Private to server.
//
// Each tenant has a line of its own. The next job is that of the tenant whose jobs have taken the
// least time so far (start-time fair queueing: a tenant that comes back after a pause begins where
// the least one is, so that nothing is saved up). A tenant may have at most `threads` jobs running;
// there are twice as many threads, so that the queries of one tenant do not keep a second one
// waiting until they end. Within a line it is first come, first served; when the line is more than
// half full the newest job goes first, as its client is the likeliest to be still there. A job that
// waited too long is handed back unserved (`expired`). When all places are taken, a tenant that has
// few of them gets that of the newest job of the longest line.
//
// One thread more serves the second queue alone, so that a house full of queries still shows its
// own metrics and can be reloaded. It also hands back what waited too long while all others are
// busy.
#pragma once

#include "base/text.h"
#include "os/clock.h"
#include "os/thread.h"

typedef struct WorkerPool WorkerPool;
typedef struct WorkerLine WorkerLine;

typedef struct WorkerJob WorkerJob;
struct WorkerJob {
    // Exactly once, on a worker's thread. `expired`: it waited too long, lost its place, or the
    // pool stops; then it may be on the thread of whoever added another one.
    void (*run)(WorkerJob *job, int64_t waited_ns, bool expired);
    Text tenant;  // whose turn it takes; looked at until it is run
    int64_t queued_ns;
    WorkerLine *line;  // of the pool, like the links
    WorkerJob *older, *newer;
    bool waits;
    bool again;  // it has run before
};

typedef struct WorkerOptions {
    Clock *clock;
    int threads;         // that one tenant may use; 0: one per core
    size_t queue_max;    // jobs that may wait
    size_t line_max;     // of one tenant; 0: queue_max
    int64_t age_max_ms;  // longer is expired
} WorkerOptions;

typedef struct WorkerState {
    uint64_t waiting, running, served, expired, refused;
} WorkerState;

must_use bool worker_pool_start(WorkerOptions options, WorkerPool **out, Error *err);
// BUSY when the queue is full, TOO_MANY when the tenant's line is. `urgent`: the second queue.
must_use bool worker_pool_add(WorkerPool *pool, WorkerJob *job, bool urgent, Error *err);
// A job that has run and is to go on: at the front of its tenant's line, never refused and never
// too old. Only while the pool was not stopped.
void worker_pool_add_again(WorkerPool *pool, WorkerJob *job);
// Takes a job that waits out of the queue: it will not run and is the caller's again. False: it
// runs or has run. The caller knows that the job is still there.
bool worker_pool_take_back(WorkerPool *pool, WorkerJob *job);
void worker_pool_state(WorkerPool *pool, WorkerState *out);
// Ends once running jobs are done; waiting ones are handed back expired. NULL is fine.
void worker_pool_stop(WorkerPool **pool);
