// The worker threads and their two queues.

#include "server/worker.h"

#include "base/assert.h"
#include "base/memory.h"

enum { URGENT_MAX = 64, SWEEP_MS = 200, IDLE_LINES_MAX = 1024 };

// Jobs in the order in which they came.
typedef struct Queue {
    WorkerJob *oldest, *newest;
    size_t count;
} Queue;

// What a tenant has waiting and running, and how much time its jobs took.
struct WorkerLine {
    Builder tenant;
    Queue queue;
    int64_t running, began_sum_ns;  // of those that run: when they began
    int64_t used_ns;                // of those that ended
    uint64_t turn;                  // when it was last served
    WorkerLine *next;
};

typedef struct Worker {
    WorkerPool *pool;
    bool urgent_only;
    int64_t began_ns;  // of its job
    Thread *thread;
} Worker;

struct WorkerPool {
    WorkerOptions options;
    Mutex lock;  // of all below
    Condition work, urgent_work;
    WorkerLine *lines;
    WorkerLine urgent;
    size_t waiting;  // in all lines
    size_t idle;     // workers that wait for any work, woken for a job that waits or not
    uint64_t turns;
    bool stopping;
    WorkerState state;
    Worker *workers;
    size_t worker_count;
};

// ---- Queues ----

static void queue_add(WorkerLine *line, WorkerJob *job) {
    Queue *queue = &line->queue;
    job->line = line;
    job->older = queue->newest;
    job->newer = NULL;
    job->waits = true;
    if (queue->newest != NULL) {
        queue->newest->newer = job;
    } else {
        queue->oldest = job;
    }
    queue->newest = job;
    queue->count++;
}

static void queue_add_first(WorkerLine *line, WorkerJob *job) {
    Queue *queue = &line->queue;
    job->line = line;
    job->older = NULL;
    job->newer = queue->oldest;
    job->waits = true;
    *(queue->oldest != NULL ? &queue->oldest->older : &queue->newest) = job;
    queue->oldest = job;
    queue->count++;
}

static WorkerJob *queue_take(WorkerJob *job) {
    Queue *queue = &job->line->queue;
    assert(job->waits && queue->count > 0);
    *(job->older != NULL ? &job->older->newer : &queue->oldest) = job->newer;
    *(job->newer != NULL ? &job->newer->older : &queue->newest) = job->older;
    job->waits = false;
    queue->count--;
    return job;
}

// ---- Lines; the caller holds the lock ----

static int64_t now_ns(const WorkerPool *pool) {
    return pool->options.clock->monotonic_ns(pool->options.clock);
}

static bool line_is_active(const WorkerLine *line) {
    return line->running > 0 || line->queue.count > 0;
}

// Running jobs count as far as they have come: a tenant that has just begun two long ones is not
// ahead.
static int64_t line_used_ns(const WorkerLine *line, int64_t now) {
    return line->used_ns + line->running * now - line->began_sum_ns;
}

// Where a tenant that comes begins. INT64_MAX: nobody is there.
static int64_t floor_ns(const WorkerPool *pool, int64_t now) {
    int64_t least = INT64_MAX;
    for (const WorkerLine *line = pool->lines; line != NULL; line = line->next) {
        if (line_is_active(line)) least = MIN(least, line_used_ns(line, now));
    }
    return least;
}

static void line_free(WorkerLine *line) {
    builder_free(&line->tenant);
    memory_free(line);
}

// A line without jobs is remembered only while that is to the tenant's disadvantage: else whoever
// asks one long query after the other would always be the newcomer.
static void forget_idle_lines(WorkerPool *pool, int64_t floor) {
    size_t idle = 0;
    for (WorkerLine **link = &pool->lines; *link != NULL;) {
        WorkerLine *line = *link;
        if (line_is_active(line) || (line->used_ns > floor && ++idle <= IDLE_LINES_MAX)) {
            link = &line->next;
            continue;
        }
        *link = line->next;
        line_free(line);
    }
}

static WorkerLine *line_of(WorkerPool *pool, Text tenant, int64_t now) {
    int64_t floor = floor_ns(pool, now);
    forget_idle_lines(pool, floor);
    if (floor == INT64_MAX) floor = 0;
    for (WorkerLine *line = pool->lines; line != NULL; line = line->next) {
        if (!text_equal(builder_text(&line->tenant), tenant)) continue;
        if (!line_is_active(line)) line->used_ns = MAX(line->used_ns, floor);
        return line;
    }
    WorkerLine *line = memory_new(WorkerLine);
    builder_add(&line->tenant, tenant);
    line->used_ns = floor;
    line->next = pool->lines;
    pool->lines = line;
    return line;
}

// The line whose turn it is; NULL when none waits or all that do have their share running.
static WorkerLine *line_next(const WorkerPool *pool, int64_t now) {
    WorkerLine *best = NULL;
    int64_t least = INT64_MAX;
    for (WorkerLine *line = pool->lines; line != NULL; line = line->next) {
        if (line->queue.count == 0 || line->running >= pool->options.threads) continue;
        int64_t used = line_used_ns(line, now);
        if (best != NULL && (used > least || (used == least && line->turn > best->turn))) continue;
        best = line;
        least = used;
    }
    return best;
}

static size_t line_max(const WorkerPool *pool) {
    return pool->options.line_max > 0 ? pool->options.line_max : pool->options.queue_max;
}

// The newest job of the longest line, when that is longer than `line` would become.
static WorkerJob *place_of_another(const WorkerPool *pool, const WorkerLine *line) {
    const WorkerLine *longest = NULL;
    for (const WorkerLine *at = pool->lines; at != NULL; at = at->next) {
        if (longest == NULL || at->queue.count > longest->queue.count) longest = at;
    }
    if (longest == NULL || longest->queue.count <= line->queue.count + 1) return NULL;
    return longest->queue.newest->again ? NULL : longest->queue.newest;
}

// ---- Threads ----

static bool job_is_old(const WorkerPool *pool, const WorkerJob *job, int64_t now) {
    return now - job->queued_ns > pool->options.age_max_ms * 1000000;
}

// One that waited too long, or any when the pool stops; NULL: none.
static WorkerJob *expired_job(WorkerPool *pool, int64_t now) {
    if (pool->waiting == 0) return NULL;
    for (const WorkerLine *line = pool->lines; line != NULL; line = line->next) {
        WorkerJob *oldest = line->queue.oldest;
        while (oldest != NULL && oldest->again && !pool->stopping) oldest = oldest->newer;
        if (oldest == NULL || !(pool->stopping || job_is_old(pool, oldest, now))) continue;
        pool->waiting--;
        return queue_take(oldest);
    }
    return NULL;
}

static WorkerJob *fair_job(WorkerPool *pool, int64_t now) {
    WorkerLine *line = line_next(pool, now);
    if (line == NULL) return NULL;
    bool crowded = line->queue.count > line_max(pool) / 2 && !line->queue.oldest->again;
    line->turn = ++pool->turns;
    line->running++;
    line->began_sum_ns += now;
    pool->waiting--;
    return queue_take(crowded ? line->queue.newest : line->queue.oldest);
}

// The next job for this worker; NULL: stop.
static WorkerJob *next_job(Worker *worker, bool *expired) {
    WorkerPool *pool = worker->pool;
    for (;;) {
        *expired = pool->stopping;
        worker->began_ns = now_ns(pool);
        if (pool->urgent.queue.count > 0) {
            WorkerJob *job = queue_take(pool->urgent.queue.oldest);
            pool->urgent.running += !*expired;
            return job;
        }
        WorkerJob *job = expired_job(pool, worker->began_ns);
        *expired = job != NULL;
        if (job == NULL && !worker->urgent_only) job = fair_job(pool, worker->began_ns);
        if (job != NULL) return job;
        if (pool->stopping) return NULL;
        if (!worker->urgent_only) {
            pool->idle++;
            condition_wait(&pool->work, &pool->lock);
            pool->idle--;
        } else if (pool->waiting > 0) {
            (void)!condition_wait_ms(&pool->urgent_work, &pool->lock, SWEEP_MS);
        } else {
            condition_wait(&pool->urgent_work, &pool->lock);
        }
    }
}

static void worker_run(void *context) {
    Worker *worker = context;
    WorkerPool *pool = worker->pool;
    mutex_take(&pool->lock);
    bool expired = false;
    for (WorkerJob *job; (job = next_job(worker, &expired)) != NULL;) {
        WorkerLine *line = job->line;
        int64_t began_ns = worker->began_ns;
        *(expired ? &pool->state.expired : &pool->state.running) += 1;
        mutex_give(&pool->lock);
        job->run(job, began_ns - job->queued_ns, expired);
        mutex_take(&pool->lock);
        if (expired) continue;
        pool->state.running--;
        pool->state.served++;
        line->running--;
        if (line == &pool->urgent) continue;
        line->used_ns += now_ns(pool) - began_ns;
        line->began_sum_ns -= began_ns;
    }
    mutex_give(&pool->lock);
}

bool worker_pool_start(WorkerOptions options, WorkerPool **out, Error *err) {
    if (options.threads <= 0) options.threads = thread_core_count();
    int threads = options.threads * 2;
    AUTO(worker_pool_stop) WorkerPool *pool = memory_new(WorkerPool);
    pool->options = options;
    mutex_begin(&pool->lock, LOCK_WORKER_QUEUE);
    condition_begin(&pool->work);
    condition_begin(&pool->urgent_work);
    pool->workers = memory_new_array(Worker, (size_t)threads + 1);
    for (int i = 0; i <= threads; i++) {
        Worker *worker = &pool->workers[i];
        *worker = (Worker){.pool = pool, .urgent_only = i == 0};
        if (!thread_start(i == 0 ? "status" : "worker", worker_run, worker, &worker->thread, err)) {
            return error_context(err, "starting the workers");
        }
        pool->worker_count++;
    }
    *out = TAKE(pool);
    return true;
}

// ---- Adding and taking back ----

static bool add_urgent(WorkerPool *pool, WorkerJob *job) {
    if (pool->urgent.queue.count == URGENT_MAX) return false;
    queue_add(&pool->urgent, job);
    condition_wake_one(&pool->urgent_work);
    return true;
}

// Whoever has to give way is in `*dropped`, and not waiting any more.
static bool add_to_line(WorkerPool *pool, WorkerJob *job, WorkerJob **dropped, Error *err) {
    WorkerLine *line = line_of(pool, job->tenant, job->queued_ns);
    if (line->queue.count >= line_max(pool) && line_max(pool) < pool->options.queue_max) {
        return error_set(err, ERROR_TOO_MANY,
                         "%zu queries of this tenant wait already (query.tenant_queue); ask fewer "
                         "at once, or try again shortly",
                         line->queue.count);
    }
    if (pool->waiting >= pool->options.queue_max) {
        *dropped = place_of_another(pool, line);
        if (*dropped == NULL) {
            return error_set(err, ERROR_BUSY,
                             "%zu queries wait already (query.queue); try again shortly",
                             pool->waiting);
        }
        queue_take(*dropped);
        pool->waiting--;
        pool->state.expired++;
    }
    queue_add(line, job);
    pool->waiting++;
    // Where nobody may be free for it, somebody looks after those that wait too long.
    bool served = pool->waiting <= pool->idle &&
                  line->running + (int64_t)line->queue.count <= pool->options.threads;
    if (!served) condition_wake_one(&pool->urgent_work);
    condition_wake_one(&pool->work);
    return true;
}

bool worker_pool_add(WorkerPool *pool, WorkerJob *job, bool urgent, Error *err) {
    WorkerJob *dropped = NULL;
    mutex_take(&pool->lock);
    job->queued_ns = now_ns(pool);
    bool added = false;
    if (pool->stopping) {
        error_set(err, ERROR_BUSY, "the server is stopping");
    } else if (!urgent) {
        added = add_to_line(pool, job, &dropped, err);
    } else if (!(added = add_urgent(pool, job))) {
        error_set(err, ERROR_BUSY,
                  "too many requests for the state of the server wait already; "
                  "try again shortly");
    }
    if (!added) pool->state.refused++;
    mutex_give(&pool->lock);
    if (dropped != NULL) dropped->run(dropped, now_ns(pool) - dropped->queued_ns, true);
    return added;
}

void worker_pool_add_again(WorkerPool *pool, WorkerJob *job) {
    mutex_take(&pool->lock);
    job->queued_ns = now_ns(pool);
    job->again = true;
    queue_add_first(line_of(pool, job->tenant, job->queued_ns), job);
    pool->waiting++;
    condition_wake_one(&pool->work);
    mutex_give(&pool->lock);
}

bool worker_pool_take_back(WorkerPool *pool, WorkerJob *job) {
    mutex_take(&pool->lock);
    bool waited = job->waits;
    if (waited) {
        if (job->line != &pool->urgent) pool->waiting--;
        queue_take(job);
    }
    mutex_give(&pool->lock);
    return waited;
}

void worker_pool_state(WorkerPool *pool, WorkerState *out) {
    mutex_take(&pool->lock);
    *out = pool->state;
    out->waiting = pool->waiting + pool->urgent.queue.count;
    mutex_give(&pool->lock);
}

void worker_pool_stop(WorkerPool **handle) {
    if (*handle == NULL) return;
    WorkerPool *pool = TAKE(*handle);
    mutex_take(&pool->lock);
    pool->stopping = true;
    condition_wake_all(&pool->work);
    condition_wake_all(&pool->urgent_work);
    mutex_give(&pool->lock);
    for (size_t i = 0; i < pool->worker_count; i++) thread_join(&pool->workers[i].thread);
    assert(pool->waiting == 0 && pool->urgent.queue.count == 0);
    memory_free(pool->workers);
    while (pool->lines != NULL) {
        WorkerLine *line = pool->lines;
        pool->lines = line->next;
        line_free(line);
    }
    condition_end(&pool->work);
    condition_end(&pool->urgent_work);
    mutex_end(&pool->lock);
    memory_free(pool);
}
