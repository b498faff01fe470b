// Threads, locks and conditions over pthreads, and the check of the order in which locks are taken.

#include "os/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "base/memory.h"
#include "os/call_fault.h"

// pthread calls on locks fail only by our own bug.
#define must_be_zero(call)    \
    do {                      \
        int failed_ = (call); \
        assert(failed_ == 0); \
    } while (0)

#ifdef TRACEO_SLOW_ASSERTS

static const char *const lock_names[] = {
#define LOCK(name, protects) #name,
#include "base/locks.def"
#undef LOCK
};

// The locks that this thread holds; a bit per rank, as no rank is held twice.
static thread_local_ uint64_t held;
_Static_assert(LOCK_COUNT <= 64, "a bit per lock");

// Who holds a lock may only take one of a greater rank, so no two threads can wait for each other.
static void rank_take(LockRank rank) {
    if (held >> rank != 0) {
        fprintf(stderr, "lock %s is taken while %s is held: see base/locks.def for the order\n",
                lock_names[rank], lock_names[63 - __builtin_clzll(held)]);
    }
    assert(held >> rank == 0);
    held |= (uint64_t)1 << rank;
}

static void rank_give(LockRank rank) {
    if ((held >> rank & 1) == 0) {
        fprintf(stderr, "lock %s is given back by a thread that does not hold it\n",
                lock_names[rank]);
    }
    assert((held >> rank & 1) == 1);
    held &= ~((uint64_t)1 << rank);
}

int thread_locks_held(void) {
    return __builtin_popcountll(held);
}

#else

static void rank_take(LockRank rank) {
    (void)rank;
}
static void rank_give(LockRank rank) {
    (void)rank;
}
int thread_locks_held(void) {
    return 0;
}

#endif

void mutex_begin(Mutex *mutex, LockRank rank) {
    assert(rank < LOCK_COUNT);
    mutex->rank = rank;
    must_be_zero(pthread_mutex_init(&mutex->mutex, NULL));
}

void mutex_end(Mutex *mutex) {
    must_be_zero(pthread_mutex_destroy(&mutex->mutex));
}

void mutex_take(Mutex *mutex) {
    rank_take(mutex->rank);
    must_be_zero(pthread_mutex_lock(&mutex->mutex));
}

void mutex_give(Mutex *mutex) {
    // First: once it is free, whoever takes it may end its life, and there is no rank to read any
    // more.
    rank_give(mutex->rank);
    must_be_zero(pthread_mutex_unlock(&mutex->mutex));
}

void shared_begin(SharedLock *lock, LockRank rank) {
    assert(rank < LOCK_COUNT);
    lock->rank = rank;
    pthread_rwlockattr_t attributes;
    must_be_zero(pthread_rwlockattr_init(&attributes));
    // Readers never take it twice (the rank check says so), so writers may go first.
    must_be_zero(
        pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP));
    must_be_zero(pthread_rwlock_init(&lock->lock, &attributes));
    must_be_zero(pthread_rwlockattr_destroy(&attributes));
}

void shared_end(SharedLock *lock) {
    must_be_zero(pthread_rwlock_destroy(&lock->lock));
}

void shared_take_read(SharedLock *lock) {
    rank_take(lock->rank);
    must_be_zero(pthread_rwlock_rdlock(&lock->lock));
}

bool shared_try_read(SharedLock *lock) {
    int failed = pthread_rwlock_tryrdlock(&lock->lock);
    assert(failed == 0 || failed == EBUSY || failed == EAGAIN);
    if (failed == 0) rank_take(lock->rank);
    return failed == 0;
}

void shared_take_write(SharedLock *lock) {
    rank_take(lock->rank);
    must_be_zero(pthread_rwlock_wrlock(&lock->lock));
}

void shared_give(SharedLock *lock) {
    rank_give(lock->rank);
    must_be_zero(pthread_rwlock_unlock(&lock->lock));
}

void condition_begin(Condition *condition) {
    pthread_condattr_t attributes;
    must_be_zero(pthread_condattr_init(&attributes));
    // A wait must not become long or short because someone set the clock.
    must_be_zero(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));
    must_be_zero(pthread_cond_init(&condition->condition, &attributes));
    must_be_zero(pthread_condattr_destroy(&attributes));
}

void condition_end(Condition *condition) {
    must_be_zero(pthread_cond_destroy(&condition->condition));
}

void condition_wait(Condition *condition, Mutex *mutex) {
    must_be_zero(pthread_cond_wait(&condition->condition, &mutex->mutex));
}

bool condition_wait_ms(Condition *condition, Mutex *mutex, int64_t ms) {
    ms = MIN(MAX(ms, (int64_t)0), (int64_t)1000 * 86400 * 365);  // a year is for ever; no overflow
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    int failed = pthread_cond_timedwait(&condition->condition, &mutex->mutex, &until);
    assert(failed == 0 || failed == ETIMEDOUT);
    return failed == 0;
}

void condition_wake_one(Condition *condition) {
    must_be_zero(pthread_cond_signal(&condition->condition));
}

void condition_wake_all(Condition *condition) {
    must_be_zero(pthread_cond_broadcast(&condition->condition));
}

struct Thread {
    pthread_t id;
    void (*run)(void *context);
    void *context;
    char name[16];  // with its NUL, as the kernel keeps it
};

void thread_fail_after(uint64_t nth) {
    (void)call_fail_after(OS_CALL_THREAD_START, nth, false, EAGAIN);
}

static void *run_thread(void *context) {
    Thread *thread = context;
    pthread_setname_np(pthread_self(), thread->name);
    thread->run(thread->context);
    assert(thread_locks_held() == 0);
    return NULL;
}

// A stack of a known size: the default is that of `ulimit -s`, or 128 KiB with musl, and the
// deepest query wants more than 256 KiB of it. Only what is touched is memory.
static int create(Thread *thread) {
    enum { STACK_BYTES = 8 * MB };
    pthread_attr_t attributes;
    must_be_zero(pthread_attr_init(&attributes));
    must_be_zero(pthread_attr_setstacksize(&attributes, STACK_BYTES));
    int failed = pthread_create(&thread->id, &attributes, run_thread, thread);
    must_be_zero(pthread_attr_destroy(&attributes));
    return failed;
}

bool thread_start(const char *name, void (*run)(void *context), void *context, Thread **out,
                  Error *err) {
    Thread *thread = memory_new(Thread);
    thread->run = run;
    thread->context = context;
    snprintf(thread->name, sizeof thread->name, "%.15s", name);

    // Signals are for the first thread; the others keep all theirs blocked, from birth on.
    sigset_t all, before;
    sigfillset(&all);
    must_be_zero(pthread_sigmask(SIG_SETMASK, &all, &before));
    int failed = call_fault(OS_CALL_THREAD_START) ? errno : create(thread);
    must_be_zero(pthread_sigmask(SIG_SETMASK, &before, NULL));
    if (failed != 0) {
        memory_free(thread);
        return error_set(err, error_code_from_errno(failed, ERROR_IO),
                         "starting the thread %.15s: %s", name, strerrordesc_np(failed));
    }
    *out = thread;
    return true;
}

void thread_join(Thread **thread) {
    if (*thread == NULL) return;
    must_be_zero(pthread_join((*thread)->id, NULL));
    memory_free(TAKE(*thread));
}

int thread_core_count(void) {
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores) != 0)
        return 1;  // more than 1024 cores: never mind
    return MAX(CPU_COUNT(&cores), 1);
}
