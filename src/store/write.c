// A write: the log first, then the head, both of one generation.

#include "base/limits.h"
#include "codec/reader.h"
#include "store/replay.h"

// Rows that were refused, for the replay: numbers of rows as differences, varints. Empty when all
// were welcome.
static void refused_write(const Batch *batch, Builder *out) {
    size_t before = 0;
    for (size_t i = 0; batch->refusals > 0 && i < batch->series.count; i++) {
        if (likely(batch->series.at[i].verdict == VERDICT_STORED)) continue;
        writer_varint(out, i - before);
        before = i;
    }
}

static bool refused_read(Bytes refused, Batch *batch, Error *err) {
    Reader reader = reader_begin(refused);
    size_t row = 0;
    if (refused.len > 0) batch_unfold(batch);
    while (reader.at < reader.end) {
        uint64_t more = reader_varint(&reader);
        if (reader.failed || more >= batch->series.count - row) {
            return error_set(err, ERROR_CORRUPT,
                             "the list of refused rows does not fit its %zu rows",
                             batch->series.count);
        }
        row += (size_t)more;
        batch_refuse(batch, &batch->series.at[row], VERDICT_LIMIT, NULL);
    }
    return true;
}

static bool any_stored(const Batch *batch) {
    if (batch->metadata.count > 0 || batch_is_plain(batch)) return true;
    for (size_t i = 0; i < batch->series.count; i++) {
        if (batch->series.at[i].verdict == VERDICT_STORED) return true;
    }
    return false;
}

bool store_may_write(Store *store, size_t bytes, Error *err) {
    return log_may_append(store->log, bytes, err);
}

bool store_write(Store *store, Tenant *tenant, LogRecordType type, Bytes body,
                 SeriesPrediction *prediction, Batch *batch, uint64_t *sequence, Error *err) {
    *sequence = 0;
    if (!atomic_load_explicit(&store->ready, memory_order_relaxed)) {
        return error_set(err, ERROR_BUSY,
                         "the log is still being replayed; writes are welcome in a moment");
    }
    TRY(series_may_write(tenant->series, err));
    AUTO(builder_free) Builder refused = {0};
    series_write_begin(tenant->series);
    series_resolve(tenant->series, prediction, batch, false);
    refused_write(batch, &refused);
    bool logged = true;
    if (any_stored(batch)) {
        LogRecord record = {
            .type = type,
            .tenant = tenant->id.number,
            .arrival_ms = batch->arrival_ms,
            .refused = text_bytes(builder_text(&refused)),
            .body = body,
        };
        logged = log_append(store->log, &record, sequence, err);
        if (logged) series_append(tenant->series, batch, *sequence);
    }
    series_write_end(tenant->series);
    return logged;
}

// What was stored once must not be left out silently by a replay, which the next seal would make
// final.
static bool check_all_again(const Batch *batch, size_t refusals_before, Error *err) {
    if (batch->refusals == refusals_before) return true;
    if (batch->first_fault.code == ERROR_NONE)
        return error_set(err, ERROR_CORRUPT, "rows that were stored are refused by the replay");
    *err = batch->first_fault;
    return error_context(err, "a row that was stored is refused by the replay");
}

bool store_write_again(Store *store, Tenant *tenant, const LogRecord *record,
                       SeriesPrediction *prediction, Batch *batch, Error *err) {
    TRY(refused_read(record->refused, batch, err));
    size_t refusals = batch->refusals;
    series_write_begin(tenant->series);
    series_resolve(tenant->series, prediction, batch, true);
    bool whole = check_all_again(batch, refusals, err);
    series_write_end(tenant->series);
    // No head turns between the two: the replay turns them while no record is under way.
    TRY(whole && replay_wait_turn(store->replaying, record, batch, err));
    series_write_begin(tenant->series);
    series_append(tenant->series, batch, record->sequence);
    series_write_end(tenant->series);
    return true;
}

void store_when_durable(Store *store, uint64_t sequence, LogDone done, void *context) {
    log_when_durable(store->log, sequence, done, context);
}

bool store_commit_now(Store *store, Error *err) {
    return log_commit_now(store->log, err);
}
