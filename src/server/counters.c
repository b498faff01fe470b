// Counting requests.

#include "server/counters.h"

const int counter_statuses[COUNTER_STATUS_COUNT] = {200, 202, 204, 400, 401, 403, 404, 405, 413,
                                                    415, 422, 429, 499, 500, 501, 503, 507, 0};

const double counter_buckets_s[COUNTER_BUCKET_COUNT] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                                        0.05,   0.1,   0.5,    1,     5,    30};

void counters_request(Counters *counters, const Route *route, int status, int64_t took_ns) {
    size_t at = 0;
    while (counter_statuses[at] != status && counter_statuses[at] != 0) at++;
    count_up(&counters->requests[route == NULL ? ROUTE_COUNT : route->id][at], 1);
    if (route == NULL) return;
    size_t bucket = 0;
    while (bucket < COUNTER_BUCKET_COUNT && (double)took_ns * 1e-9 > counter_buckets_s[bucket])
        bucket++;
    count_up(&counters->seconds[route->lane][bucket], 1);
    count_up(&counters->nanoseconds[route->lane], (uint64_t)MAX(took_ns, 0));
}

void counters_time(TimeCounter *counter, int64_t ns) {
    size_t bucket = 0;
    while (bucket < COUNTER_BUCKET_COUNT && (double)ns * 1e-9 > counter_buckets_s[bucket]) bucket++;
    count_up(&counter->buckets[bucket], 1);
    count_up(&counter->nanoseconds, (uint64_t)MAX(ns, 0));
}

QueryOutcome query_outcome(ErrorCode code) {
    switch ((int)code) {
        case ERROR_NONE:
            return QUERY_ANSWERED;
        case ERROR_BAD_INPUT:
        case ERROR_TOO_LARGE:
        case ERROR_UNSUPPORTED:
            return QUERY_REFUSED;
        case ERROR_TOO_COSTLY:
        case ERROR_TOO_MANY:
        case ERROR_NO_MEMORY:
            return QUERY_LIMITED;
        case ERROR_TIMEOUT:
            return QUERY_LATE;
        case ERROR_CANCELLED:
            return QUERY_CANCELLED;
        default:
            return QUERY_BROKEN;
    }
}
