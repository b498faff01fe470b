// What the server counts about itself: requests by route and status, their time, samples by
// verdict. Any thread, without locks. Private to server.
#pragma once

#include <stdatomic.h>

#include "model/batch.h"
#include "server/routes.h"

// The statuses told apart; the last entry, 0, is any other.
enum { COUNTER_STATUS_COUNT = 18, COUNTER_BUCKET_COUNT = 12, LANE_COUNT = LANE_QUERY + 1 };
extern const int counter_statuses[COUNTER_STATUS_COUNT];

// Upper bounds of the histogram of request time, in seconds; +Inf is beyond them.
extern const double counter_buckets_s[COUNTER_BUCKET_COUNT];

// Times: a histogram whose buckets are not cumulative.
typedef struct TimeCounter {
    _Atomic uint64_t buckets[COUNTER_BUCKET_COUNT + 1];
    _Atomic uint64_t nanoseconds;
} TimeCounter;

// How a query ended.
typedef enum QueryOutcome {
    QUERY_ANSWERED,
    QUERY_REFUSED,  // its text or type is not right, or not supported
    QUERY_LIMITED,  // a limit of memory, samples, bytes, of its own or of its tenant
    QUERY_LATE,     // out of time
    QUERY_CANCELLED,
    QUERY_BROKEN,  // something failed here
    QUERY_OUTCOMES
} QueryOutcome;

typedef struct Counters {
    _Atomic uint64_t
        requests[ROUTE_COUNT + 1][COUNTER_STATUS_COUNT];  // the last row: paths that are no route
    _Atomic uint64_t seconds[LANE_COUNT][COUNTER_BUCKET_COUNT + 1];  // not cumulative
    _Atomic uint64_t nanoseconds[LANE_COUNT];
    _Atomic uint64_t samples[VERDICT_COUNT];
    _Atomic uint64_t writes_failed;
    _Atomic uint64_t datadog_series, datadog_refused, datadog_dropped;
    _Atomic uint64_t influx_lines, influx_refused, influx_texts;
    _Atomic uint64_t otlp_points, otlp_cached, otlp_rejected;
    _Atomic uint64_t auth_refused;
    _Atomic uint64_t queries, queries_failed, query_samples, query_ns, query_bytes, queries_slow;
    _Atomic uint64_t query_outcomes[QUERY_OUTCOMES];
    TimeCounter query_ran, query_waited;
} Counters;

static inline void count_up(_Atomic uint64_t *counter, uint64_t by) {
    atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

void counters_time(TimeCounter *counter, int64_t ns);
QueryOutcome query_outcome(ErrorCode code);

// `route` NULL: no such path.
void counters_request(Counters *counters, const Route *route, int status, int64_t took_ns);
