// The worker threads and their two queues.

#include "server/worker.h"

#include "base/assert.h"
#include "base/memory.h"

enum { URGENT_MAX = 64 };

// A ring of jobs.
typedef struct Queue {
    WorkerJob **slots;
    size_t max;
    size_t first;
    size_t count;
} Queue;

typedef struct Worker {
    WorkerPool *pool;
    bool urgent_only;
    Thread *thread;
} Worker;

struct WorkerPool {
    WorkerOptions options;
    Mutex lock;  // of all below
    Condition work, urgent_work;
    Queue queue, urgent;
    bool stopping;
    WorkerState state;
    Worker *workers;
    size_t worker_count;
};

static bool queue_add(Queue *queue, WorkerJob *job) {
    if (queue->count == queue->max) return false;
    queue->slots[(queue->first + queue->count) % queue->max] = job;
    queue->count++;
    return true;
}

static WorkerJob *queue_take_oldest(Queue *queue) {
    WorkerJob *job = queue->slots[queue->first];
    queue->first = (queue->first + 1) % queue->max;
    queue->count--;
    return job;
}

static WorkerJob *queue_take_newest(Queue *queue) {
    queue->count--;
    return queue->slots[(queue->first + queue->count) % queue->max];
}

static bool job_is_old(const WorkerPool *pool, const WorkerJob *job, int64_t now_ns) {
    return now_ns - job->queued_ns > pool->options.age_max_ms * 1000000;
}

// The next job for this worker; NULL: stop. The caller holds the lock.
static WorkerJob *next_job(Worker *worker, bool *expired) {
    WorkerPool *pool = worker->pool;
    for (;;) {
        if (pool->urgent.count > 0) {
            *expired = pool->stopping;
            return queue_take_oldest(&pool->urgent);
        }
        if (!worker->urgent_only && pool->queue.count > 0) {
            int64_t now_ns = pool->options.clock->monotonic_ns(pool->options.clock);
            WorkerJob *oldest = pool->queue.slots[pool->queue.first];
            *expired = pool->stopping || job_is_old(pool, oldest, now_ns);
            bool crowded = pool->queue.count > pool->queue.max / 2;
            return *expired || !crowded ? queue_take_oldest(&pool->queue)
                                        : queue_take_newest(&pool->queue);
        }
        if (pool->stopping) return NULL;
        condition_wait(worker->urgent_only ? &pool->urgent_work : &pool->work, &pool->lock);
    }
}

static void worker_run(void *context) {
    Worker *worker = context;
    WorkerPool *pool = worker->pool;
    mutex_take(&pool->lock);
    bool expired = false;
    for (WorkerJob *job; (job = next_job(worker, &expired)) != NULL;) {
        if (expired) {
            pool->state.expired++;
        } else {
            pool->state.running++;
        }
        mutex_give(&pool->lock);
        job->run(job, pool->options.clock->monotonic_ns(pool->options.clock) - job->queued_ns,
                 expired);
        mutex_take(&pool->lock);
        if (!expired) {
            pool->state.running--;
            pool->state.served++;
        }
    }
    mutex_give(&pool->lock);
}

static void queue_begin(Queue *queue, size_t max) {
    *queue = (Queue){.slots = memory_new_array(WorkerJob *, max), .max = max};
}

bool worker_pool_start(WorkerOptions options, WorkerPool **out, Error *err) {
    if (options.threads <= 0) options.threads = thread_core_count();
    AUTO(worker_pool_stop) WorkerPool *pool = memory_new(WorkerPool);
    pool->options = options;
    mutex_begin(&pool->lock, LOCK_WORKER_QUEUE);
    condition_begin(&pool->work);
    condition_begin(&pool->urgent_work);
    queue_begin(&pool->queue, options.queue_max);
    queue_begin(&pool->urgent, URGENT_MAX);
    pool->workers = memory_new_array(Worker, (size_t)options.threads + 1);
    for (int i = 0; i <= options.threads; i++) {
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

bool worker_pool_add(WorkerPool *pool, WorkerJob *job, bool urgent, Error *err) {
    mutex_take(&pool->lock);
    job->queued_ns = pool->options.clock->monotonic_ns(pool->options.clock);
    bool stopping = pool->stopping;
    bool added = !stopping && queue_add(urgent ? &pool->urgent : &pool->queue, job);
    if (added) {
        condition_wake_one(urgent ? &pool->urgent_work : &pool->work);
    } else {
        pool->state.refused++;
    }
    mutex_give(&pool->lock);
    if (added) return true;
    if (stopping) return error_set(err, ERROR_BUSY, "the server is stopping");
    return error_set(err, ERROR_BUSY, "too many queries wait already; try again shortly");
}

void worker_pool_state(WorkerPool *pool, WorkerState *out) {
    mutex_take(&pool->lock);
    *out = pool->state;
    out->waiting = pool->queue.count + pool->urgent.count;
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
    assert(pool->queue.count == 0 && pool->urgent.count == 0);
    memory_free(pool->workers);
    memory_free(pool->queue.slots);
    memory_free(pool->urgent.slots);
    condition_end(&pool->work);
    condition_end(&pool->urgent_work);
    mutex_end(&pool->lock);
    memory_free(pool);
}
