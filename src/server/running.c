// The list of running queries, and ending one of them.

#include "server/running.h"

#include "base/assert.h"

enum { TEXT_SHOWN = 2000 };

void running_list_begin(RunningList *list, Clock *clock) {
    *list = (RunningList){.clock = clock};
    mutex_begin(&list->lock, LOCK_QUERY_LIST);
}

void running_list_end(RunningList *list) {
    assert(list->oldest == NULL);
    mutex_end(&list->lock);
}

void running_add(RunningList *list, RunningQuery *query) {
    query->began_ms = list->clock->wall_ms(list->clock);
    query->began_ns = list->clock->monotonic_ns(list->clock);
    mutex_take(&list->lock);
    query->id = ++list->last_id;
    query->older = list->newest;
    query->newer = NULL;
    *(list->newest != NULL ? &list->newest->newer : &list->oldest) = query;
    list->newest = query;
    mutex_give(&list->lock);
}

void running_remove(RunningList *list, RunningQuery *query) {
    if (query->id == 0) return;
    mutex_take(&list->lock);
    *(query->older != NULL ? &query->older->newer : &list->oldest) = query->newer;
    *(query->newer != NULL ? &query->newer->older : &list->newest) = query->older;
    query->id = 0;
    mutex_give(&list->lock);
}

void running_answers(RunningList *list, RunningQuery *query) {
    mutex_take(&list->lock);
    query->ended = NULL;
    mutex_give(&list->lock);
}

// ---- Listing ----

static bool may_see(const RunningQuery *query, Text tenant) {
    return tenant.len == 0 || text_equal(query->tenant, tenant);
}

static void pair(JsonWriter *writer, Text key, Text value) {
    json_key(writer, key);
    json_text(writer, value);
}

static void pair_i64(JsonWriter *writer, Text key, int64_t value) {
    json_key(writer, key);
    json_i64(writer, value);
}

static void write_query(const RunningQuery *query, int64_t now_ns, JsonWriter *writer) {
    AUTO(arena_free) Arena arena = {0};
    json_object_begin(writer);
    pair(writer, TEXT("id"), text_format(&arena, "%llu", (unsigned long long)query->id));
    pair(writer, TEXT("tenant"), query->tenant);
    pair(writer, TEXT("query"), text_shortened(query->text, TEXT_SHOWN, &arena));
    pair(writer, TEXT("path"), query->path);
    pair(writer, TEXT("state"),
         atomic_load(&query->killed) ? TEXT("ending")
         : atomic_load(&query->runs) ? TEXT("running")
                                     : TEXT("queued"));
    pair(writer, TEXT("startedAt"), time_format_ms(query->began_ms, &arena));
    pair_i64(writer, TEXT("ageMs"), (now_ns - query->began_ns) / 1000000);
    pair_i64(writer, TEXT("samples"), (int64_t)atomic_load(&query->progress.samples));
    pair_i64(writer, TEXT("memoryBytes"), atomic_load(&query->progress.memory_bytes));
    pair(writer, TEXT("key"), query->key);
    pair(writer, TEXT("peer"), query->peer);
    pair(writer, TEXT("agent"), text_shortened(query->agent, TEXT_SHOWN, &arena));
    json_object_end(writer);
}

void running_write_json(RunningList *list, Text tenant, JsonWriter *writer) {
    json_object_begin(writer);
    json_key(writer, TEXT("queries"));
    json_array_begin(writer);
    mutex_take(&list->lock);
    int64_t now_ns = list->clock->monotonic_ns(list->clock);
    for (const RunningQuery *query = list->oldest; query != NULL; query = query->newer) {
        if (may_see(query, tenant)) write_query(query, now_ns, writer);
    }
    mutex_give(&list->lock);
    json_array_end(writer);
    json_object_end(writer);
}

// ---- Ending ----

static RunningQuery *find(RunningList *list, Text id, Text tenant) {
    uint64_t number;
    if (!text_to_u64(id, &number) || number == 0) return NULL;
    for (RunningQuery *query = list->oldest; query != NULL; query = query->newer) {
        if (query->id == number) return may_see(query, tenant) ? query : NULL;
    }
    return NULL;
}

bool running_kill(RunningList *list, WorkerPool *pool, Text id, Text tenant, bool *waited,
                  Error *err) {
    mutex_take(&list->lock);
    RunningQuery *query = find(list, id, tenant);
    *waited = false;
    if (query != NULL) {
        atomic_store(&query->killed, true);
        atomic_store(query->cancelled, true);
        *waited = query->ended != NULL && worker_pool_take_back(pool, query->job);
    }
    mutex_give(&list->lock);
    if (query == NULL) {
        return error_set(err, ERROR_NOT_FOUND,
                         "no query %.*s waits or runs now; see GET /api/traceo/v1/queries",
                         TEXT_ARG(text_slice(id, 0, 40)));
    }
    if (*waited) query->ended(query);
    return true;
}

void running_explain(const RunningQuery *query, Error *err) {
    if (err->code == ERROR_CANCELLED && atomic_load(&query->killed)) {
        error_set(err, ERROR_CANCELLED,
                  "the query was ended on request (traceo query --kill, or DELETE "
                  "/api/traceo/v1/queries/{id})");
    }
}
