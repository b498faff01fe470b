// New series: limits, and a table of those that were refused most.

#include "store/series/quota.h"

#include <stdlib.h>

static const char *const limit_keys[] = {
    [REFUSED_ACTIVE] = "series.active_max",
    [REFUSED_RATE] = "series.new_per_s",
    [REFUSED_METRIC] = "series.per_metric_max",
    [REFUSED_MEMORY] = "memory.limit",
};

const char *series_refusal_limit(SeriesRefusalReason reason) {
    return limit_keys[reason];
}

void quota_limit(Quota *quota, SeriesLimits limits) {
    atomic_store(&quota->active_max, limits.active_max);
    atomic_store(&quota->new_per_s, limits.new_per_s);
    atomic_store(&quota->per_metric_max, limits.per_metric_max);
}

void quota_begin(Quota *quota, SeriesLimits limits, int64_t now_ns) {
    *quota = (Quota){.tokens = limits.new_per_s > 0 ? limits.new_per_s : 0, .filled_ns = now_ns};
    mutex_begin(&quota->lock, LOCK_SERIES_QUOTA);
    quota_limit(quota, limits);
}

void quota_end(Quota *quota) {
    mutex_end(&quota->lock);
}

// ---- Taking ----

// The name of the metric, and the bytes of that label; empty: it has none.
static Text metric_of(Bytes wire, Bytes *label_bytes) {
    Label label;
    for (Bytes rest = wire; rest.len > 0;) {
        const uint8_t *begin = rest.at;
        if (!labels_next(&rest, &label)) break;
        if (!text_equal(label.name, TEXT("__name__"))) continue;
        *label_bytes = (Bytes){begin, (size_t)(rest.at - begin)};
        return label.value;
    }
    *label_bytes = (Bytes){0};
    return TEXT_NONE;
}

static bool room_for_metric(const Quota *quota, const Registry *registry, Bytes wire, Error *err) {
    int64_t most = atomic_load_explicit(&quota->per_metric_max, memory_order_relaxed);
    Bytes label;
    if (most == 0) return true;
    Text metric = metric_of(wire, &label);
    if (metric.len == 0 || (int64_t)registry_pair_series(registry, label) < most) return true;
    return error_set(err, ERROR_TOO_MANY,
                     "no new series of this metric: %lld are active, the limit %s", (long long)most,
                     limit_keys[REFUSED_METRIC]);
}

static bool room_for_all(const Quota *quota, const Registry *registry, Error *err) {
    int64_t most = atomic_load_explicit(&quota->active_max, memory_order_relaxed);
    if (most == 0 || (int64_t)registry_count(registry) < most) return true;
    return error_set(err, ERROR_TOO_MANY, "no new series: %lld are active, the limit %s",
                     (long long)most, limit_keys[REFUSED_ACTIVE]);
}

static bool take_token(Quota *quota, int64_t now_ns, Error *err) {
    int64_t rate = atomic_load_explicit(&quota->new_per_s, memory_order_relaxed);
    if (rate == 0) return true;
    int64_t passed_ms = (now_ns - quota->filled_ns) / 1000000;
    if (passed_ms > 0) {
        passed_ms = MIN(passed_ms, 1000);  // a full second is all that is saved up
        int64_t more = rate > INT64_MAX / 2000 ? rate : rate * passed_ms / 1000;
        quota->tokens = MIN(quota->tokens + more, rate);
        // What is less than a millisecond counts next time.
        quota->filled_ns = now_ns - (now_ns - quota->filled_ns) % 1000000;
    }
    if (quota->tokens < 1) {
        return error_set(err, ERROR_TOO_MANY,
                         "no new series: more than %lld in a second, the limit %s", (long long)rate,
                         limit_keys[REFUSED_RATE]);
    }
    quota->tokens--;
    return true;
}

bool quota_take(Quota *quota, const Registry *registry, Bytes wire, bool known, int64_t now_ns,
                SeriesRefusalReason *reason, Error *err) {
    *reason = REFUSED_ACTIVE;
    TRY(room_for_all(quota, registry, err));
    // What the last head knew is made again in this one: known series have to flow across a turn
    // and a restart.
    *reason = REFUSED_METRIC;
    TRY(known || room_for_metric(quota, registry, wire, err));
    if (quota->again > 0) {
        quota->again--;
        return true;
    }
    *reason = REFUSED_RATE;
    return known || take_token(quota, now_ns, err);
}

// ---- Refusals ----

static void copy_name(char out[QUOTA_NAME_MAX], Text name) {
    size_t len = MIN(name.len, (size_t)QUOTA_NAME_MAX - 1);
    // A character is not cut in two.
    while (len < name.len && len > 0 && ((uint8_t)name.at[len] & 0xc0) == 0x80) len--;
    if (len > 0) memcpy(out, name.at, len);
    memset(out + len, 0, QUOTA_NAME_MAX - len);
}

static QuotaRefusal *row_of(Quota *quota, const char metric[QUOTA_NAME_MAX]) {
    QuotaRefusal *least = &quota->refusals[0];
    for (size_t i = 0; i < quota->refusal_count; i++) {
        QuotaRefusal *row = &quota->refusals[i];
        if (memcmp(row->metric, metric, QUOTA_NAME_MAX) == 0) return row;
        if (row->count < least->count) least = row;
    }
    bool full = quota->refusal_count == QUOTA_REFUSALS;
    QuotaRefusal *row = full ? least : &quota->refusals[quota->refusal_count++];
    uint64_t count = full ? least->count : 0;
    *row = (QuotaRefusal){.count = count};
    memcpy(row->metric, metric, QUOTA_NAME_MAX);
    return row;
}

void quota_refused(Quota *quota, const Registry *registry, Bytes wire, SeriesRefusalReason reason,
                   int64_t now_ms) {
    enum { LOOK_AGAIN = 1024 };  // refusals, after which the label is found anew
    Bytes ignored;
    char metric[QUOTA_NAME_MAX];
    copy_name(metric, metric_of(wire, &ignored));
    mutex_take(&quota->lock);
    QuotaRefusal *row = row_of(quota, metric);
    if (row->label[0] == '\0' || row->count % LOOK_AGAIN == 0) {
        size_t values;
        copy_name(row->label, registry_widest_label(registry, wire, &values));
        row->label_values = values;
    }
    row->count++;
    row->last_ms = now_ms;
    row->reason = reason;
    atomic_fetch_add(&quota->refused, 1);
    mutex_give(&quota->lock);
}

static int by_count(const void *left, const void *right) {
    const SeriesRefusal *a = left, *b = right;
    if (a->count != b->count) return a->count < b->count ? 1 : -1;
    return text_compare(a->metric, b->metric);
}

void quota_refusals(Quota *quota, Arena *arena, SeriesRefusals *out) {
    mutex_take(&quota->lock);
    *out =
        (SeriesRefusals){.limits = {atomic_load(&quota->active_max), atomic_load(&quota->new_per_s),
                                    atomic_load(&quota->per_metric_max)},
                         .refused = atomic_load(&quota->refused),
                         .at = arena_push_array(arena, SeriesRefusal, quota->refusal_count + 1),
                         .count = quota->refusal_count};
    for (size_t i = 0; i < out->count; i++) {
        const QuotaRefusal *row = &quota->refusals[i];
        out->at[i] = (SeriesRefusal){
            .metric = text_copy(text_from_cstring(row->metric), arena),
            .label = text_copy(text_from_cstring(row->label), arena),
            .label_values = row->label_values,
            .count = row->count,
            .last_ms = row->last_ms,
            .reason = row->reason,
        };
    }
    mutex_give(&quota->lock);
    if (out->count > 1) qsort(out->at, out->count, sizeof *out->at, by_count);
}
