// What the queries of each tenant may use together: memory at a time; samples, bytes and time in a
// minute. Private to server.
//
// Rates are buckets that fill at limit/60 a second up to the limit. What a query costs is known
// when it has ended, so it may begin while anything is left, and the tenant waits until its debt is
// paid (a token bucket with post-payment). One lock, TENANT_LIMITS; any thread.
#pragma once

#include "base/arena.h"
#include "base/budget.h"
#include "base/map.h"
#include "os/clock.h"
#include "os/thread.h"
#include "query/query.h"

typedef enum SpendingKind {
    SPENDING_SAMPLES,
    SPENDING_BYTES,
    SPENDING_TIME,
    SPENDING_KINDS
} SpendingKind;

typedef struct SpendingLimits {
    int64_t memory_bytes;              // 0: three quarters of the budget of all queries
    int64_t a_minute[SPENDING_KINDS];  // samples, bytes, milliseconds; 0: no limit
} SpendingLimits;

// One tenant's; lives as long as the table.
typedef struct Spending {
    Budget memory;
    double left[SPENDING_KINDS];
    int64_t filled_ns;
} Spending;

typedef struct SpendingTable {
    Mutex lock;
    Arena arena;
    Map tenants;
    size_t count;
    Spending others;  // beyond LIMIT_TENANTS
    SpendingLimits limits;
    Budget *whole;
    Clock *clock;
} SpendingTable;

// `whole`: the budget of all queries.
must_use bool spending_begin(SpendingTable *table, Budget *whole, Clock *clock, Error *err);
void spending_end(SpendingTable *table);
void spending_limit(SpendingTable *table, SpendingLimits limits);

Spending *spending_of(SpendingTable *table, Text tenant);
// TOO_MANY, naming the limit and in how many seconds (*wait_s) it will have recovered.
must_use bool spending_may_begin(SpendingTable *table, Spending *spending, int64_t *wait_s,
                                 Error *err);
void spending_pay(SpendingTable *table, Spending *spending, const QueryStats *stats);
