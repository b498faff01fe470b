// Who may make new series, and whom that was refused: the limits of one tenant, and what a label
// bomb looks like from inside. Private to store/series.
//
// All but quota_begin, quota_end, quota_limit and quota_refusals: with the lock of the young head's
// registry held exclusively.
#pragma once

#include "store/series/registry.h"
#include "store/series/series.h"

enum { QUOTA_REFUSALS = 32, QUOTA_NAME_MAX = 128 };

// One metric of which series were refused.
typedef struct QuotaRefusal {
    char metric[QUOTA_NAME_MAX], label[QUOTA_NAME_MAX];  // cut where they are longer; "": has none
    uint64_t label_values;
    uint64_t count;
    int64_t last_ms;
    SeriesRefusalReason reason;
} QuotaRefusal;

typedef struct Quota {
    _Atomic int64_t active_max, new_per_s, per_metric_max;  // 0: none
    int64_t tokens;                                         // new series that may come now
    int64_t filled_ns;  // monotonic; when tokens were added last
    int64_t again;      // series of the head before (or of the blocks, at start) that may come
                        // again, beside the rate
    Mutex lock;         // SERIES_QUOTA, of what follows
    QuotaRefusal refusals[QUOTA_REFUSALS];
    size_t refusal_count;
    _Atomic uint64_t refused;
} Quota;

void quota_begin(Quota *quota, SeriesLimits limits, int64_t now_ns);
void quota_end(Quota *quota);
// Any thread, at any time.
void quota_limit(Quota *quota, SeriesLimits limits);

// May a series with these canonical label bytes, which the registry does not have, be made?
// `known`: the head before has it, so it is not new to anyone. TOO_MANY names the limit.
must_use bool quota_take(Quota *quota, const Registry *registry, Bytes wire, bool known,
                         int64_t now_ns, SeriesRefusalReason *reason, Error *err);

// Counts a refusal, by metric. Of more than QUOTA_REFUSALS metrics those that are refused most are
// known: the least refused one gives its place, and its count, to a new one ("Efficient
// Computation of Frequent and Top-k Elements in Data Streams", Metwally and others, 2005), so a
// count may then be too high by that of the least.
void quota_refused(Quota *quota, const Registry *registry, Bytes wire, SeriesRefusalReason reason,
                   int64_t now_ms);
// As series_refusals.
void quota_refusals(Quota *quota, Arena *arena, SeriesRefusals *out);
