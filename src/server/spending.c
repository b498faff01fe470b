// Buckets and budgets of tenants.

#include "server/spending.h"

#include "base/limits.h"
#include "os/random.h"

static const struct {
    const char *setting, *of;
} kinds[SPENDING_KINDS] = {
    [SPENDING_SAMPLES] = {"query.tenant_samples", "samples"},
    [SPENDING_BYTES] = {"query.tenant_bytes", "bytes of blocks"},
    [SPENDING_TIME] = {"query.tenant_time", "milliseconds"},
};

static void spending_make(SpendingTable *table, Spending *spending) {
    spending->memory = (Budget){
        .name = "queries of one tenant", .setting = "query.tenant_memory", .parent = table->whole};
}

bool spending_begin(SpendingTable *table, Budget *whole, Clock *clock, Error *err) {
    HashKey key;
    TRY(random_hash_key(&key, err));
    *table = (SpendingTable){.whole = whole, .clock = clock};
    table->tenants = map_begin(&table->arena, key);
    spending_make(table, &table->others);
    mutex_begin(&table->lock, LOCK_TENANT_LIMITS);
    return true;
}

void spending_end(SpendingTable *table) {
    if (table->clock == NULL) return;
    arena_free(&table->arena);
    mutex_end(&table->lock);
}

// A limit that is new begins full.
static void fill_up(SpendingTable *table, Spending *spending) {
    for (size_t kind = 0; kind < SPENDING_KINDS; kind++)
        spending->left[kind] = (double)table->limits.a_minute[kind];
    spending->filled_ns = table->clock->monotonic_ns(table->clock);
}

void spending_limit(SpendingTable *table, SpendingLimits limits) {
    mutex_take(&table->lock);
    table->limits = limits;
    const MapSlot *slot;
    for (size_t at = 0; map_next(&table->tenants, &at, &slot);) fill_up(table, slot->value);
    fill_up(table, &table->others);
    mutex_give(&table->lock);
}

Spending *spending_of(SpendingTable *table, Text tenant) {
    mutex_take(&table->lock);
    Spending *spending = map_get(&table->tenants, tenant);
    if (spending == NULL && table->count < (size_t)LIMIT_TENANTS) {
        spending = arena_push(&table->arena, Spending);
        spending_make(table, spending);
        *map_put(&table->tenants, tenant) = spending;
        table->count++;
        fill_up(table, spending);
    }
    if (spending == NULL) spending = &table->others;
    int64_t whole = atomic_load(&table->whole->limit);
    int64_t own = table->limits.memory_bytes;
    atomic_store(&spending->memory.limit, own > 0 ? own : whole / 4 * 3);
    mutex_give(&table->lock);
    return spending;
}

static void flow_in(SpendingTable *table, Spending *spending) {
    int64_t now_ns = table->clock->monotonic_ns(table->clock);
    double minutes = (double)(now_ns - spending->filled_ns) / 60e9;
    for (size_t kind = 0; kind < SPENDING_KINDS; kind++) {
        double limit = (double)table->limits.a_minute[kind];
        spending->left[kind] = MIN(limit, spending->left[kind] + limit * minutes);
    }
    spending->filled_ns = now_ns;
}

bool spending_may_begin(SpendingTable *table, Spending *spending, int64_t *wait_s, Error *err) {
    size_t short_of = SPENDING_KINDS;
    *wait_s = 0;
    mutex_take(&table->lock);
    flow_in(table, spending);
    int64_t limit = 0;
    for (size_t kind = 0; kind < SPENDING_KINDS; kind++) {
        double most = (double)table->limits.a_minute[kind];
        if (most <= 0 || spending->left[kind] > 0) continue;
        int64_t needs_s = (int64_t)(-spending->left[kind] * 60 / most) + 1;
        if (needs_s <= *wait_s) continue;
        *wait_s = needs_s;
        short_of = kind;
        limit = table->limits.a_minute[kind];
    }
    mutex_give(&table->lock);
    if (short_of == SPENDING_KINDS) return true;
    return error_set(
        err, ERROR_TOO_MANY,
        "the queries of this tenant have used up their %lld %s a minute (%s); the next "
        "one may begin in %lld s, or ask for less time and fewer series",
        (long long)limit, kinds[short_of].of, kinds[short_of].setting, (long long)*wait_s);
}

void spending_pay(SpendingTable *table, Spending *spending, const QueryStats *stats) {
    const double costs[SPENDING_KINDS] = {
        [SPENDING_SAMPLES] = (double)stats->samples,
        [SPENDING_BYTES] = (double)stats->bytes,
        [SPENDING_TIME] = (double)(stats->parse_ns + stats->run_ns) / 1e6,
    };
    mutex_take(&table->lock);
    flow_in(table, spending);
    for (size_t kind = 0; kind < SPENDING_KINDS; kind++) {
        if (table->limits.a_minute[kind] > 0) spending->left[kind] -= costs[kind];
    }
    mutex_give(&table->lock);
}
