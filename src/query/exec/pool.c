// The helping threads of all queries: a list of parties that want help, and threads that join them.

#include "base/assert.h"
#include "base/memory.h"
#include "os/thread.h"
#include "query/query.h"

// One call of query_pool_run; lives on its caller's stack.
typedef struct Party {
    void (*run)(void *context);
    void *context;
    size_t wanted, active;  // helpers that may still join; that are inside
    struct Party *next;
} Party;

struct QueryPool {
    Mutex lock;
    Condition work, left;  // a party wants help; a helper has left one
    Party *parties;
    bool stopping;
    Thread **threads;
    size_t thread_count;
};

static Party *party_that_wants(const QueryPool *pool) {
    for (Party *party = pool->parties; party != NULL; party = party->next) {
        if (party->wanted > 0) return party;
    }
    return NULL;
}

static void helper_run(void *context) {
    QueryPool *pool = context;
    mutex_take(&pool->lock);
    while (!pool->stopping) {
        Party *party = party_that_wants(pool);
        if (party == NULL) {
            condition_wait(&pool->work, &pool->lock);
            continue;
        }
        party->wanted--;
        party->active++;
        mutex_give(&pool->lock);
        party->run(party->context);
        mutex_take(&pool->lock);
        party->active--;
        if (party->active == 0) condition_wake_all(&pool->left);
    }
    mutex_give(&pool->lock);
}

bool query_pool_start(int helpers, QueryPool **out, Error *err) {
    AUTO(query_pool_stop) QueryPool *pool = memory_new(QueryPool);
    mutex_begin(&pool->lock, LOCK_QUERY_POOL);
    condition_begin(&pool->work);
    condition_begin(&pool->left);
    pool->threads = memory_new_array(Thread *, (size_t)MAX(helpers, 1));
    for (int i = 0; i < helpers; i++) {
        if (!thread_start("query", helper_run, pool, &pool->threads[i], err))
            return error_context(err, "starting the helpers of queries");
        pool->thread_count++;
    }
    *out = TAKE(pool);
    return true;
}

void query_pool_stop(QueryPool **pool) {
    if (*pool == NULL) return;
    QueryPool *gone = TAKE(*pool);
    mutex_take(&gone->lock);
    assert(gone->parties == NULL);
    gone->stopping = true;
    condition_wake_all(&gone->work);
    mutex_give(&gone->lock);
    for (size_t i = 0; i < gone->thread_count; i++) thread_join(&gone->threads[i]);
    memory_free(gone->threads);
    condition_end(&gone->work);
    condition_end(&gone->left);
    mutex_end(&gone->lock);
    memory_free(gone);
}

size_t query_pool_helpers(const QueryPool *pool) {
    return pool == NULL ? 0 : pool->thread_count;
}

void query_pool_run(QueryPool *pool, size_t helpers, void (*run)(void *context), void *context) {
    if (pool == NULL || helpers == 0 || pool->thread_count == 0) {
        run(context);
        return;
    }
    Party party = {.run = run, .context = context, .wanted = MIN(helpers, pool->thread_count)};
    mutex_take(&pool->lock);
    party.next = pool->parties;
    pool->parties = &party;
    if (party.wanted == 1) {
        condition_wake_one(&pool->work);
    } else {
        condition_wake_all(&pool->work);
    }
    mutex_give(&pool->lock);
    run(context);
    mutex_take(&pool->lock);
    Party **at = &pool->parties;
    while (*at != &party) at = &(*at)->next;
    *at = party.next;
    while (party.active > 0) condition_wait(&pool->left, &pool->lock);
    mutex_give(&pool->lock);
}
