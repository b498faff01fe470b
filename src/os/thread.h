// Threads, locks and conditions. Locks are named in base/locks.def, whose order is the order in
// which they may be taken; builds with slow assertions check it on every take.
#pragma once

#include <pthread.h>

#include "base/error.h"

typedef enum LockRank {
#define LOCK(name, protects) LOCK_##name,
#include "base/locks.def"
#undef LOCK
    LOCK_COUNT
} LockRank;

typedef struct Mutex {
    pthread_mutex_t mutex;
    LockRank rank;
} Mutex;

typedef struct SharedLock {
    pthread_rwlock_t lock;
    LockRank rank;
} SharedLock;

typedef struct Condition {
    pthread_cond_t condition;
} Condition;

void mutex_begin(Mutex *mutex, LockRank rank);
void mutex_end(Mutex *mutex);
void mutex_take(Mutex *mutex);
void mutex_give(Mutex *mutex);

// Many readers or one writer; writers do not starve.
void shared_begin(SharedLock *lock, LockRank rank);
void shared_end(SharedLock *lock);
void shared_take_read(SharedLock *lock);
must_use bool shared_try_read(SharedLock *lock);  // false: it would have to wait
void shared_take_write(SharedLock *lock);
void shared_give(SharedLock *lock);

void condition_begin(Condition *condition);
void condition_end(Condition *condition);
void condition_wait(Condition *condition, Mutex *mutex);
bool condition_wait_ms(Condition *condition, Mutex *mutex,
                       int64_t ms);  // false when the time ran out
void condition_wake_one(Condition *condition);
void condition_wake_all(Condition *condition);

typedef struct Thread Thread;
// `name` shows in ps and gdb (15 bytes at most). ERROR_NO_MEMORY or IO when no thread can be had.
must_use bool thread_start(const char *name, void (*run)(void *context), void *context,
                           Thread **out, Error *err);
void thread_join(Thread **thread);     // waits for its end; NULL is fine
void thread_fail_after(uint64_t nth);  // tests: the n-th start from now fails; 0 switches it off

int thread_core_count(void);  // cores this process may use

// How many locks this thread holds right now (slow assertions only, else 0).
int thread_locks_held(void);
