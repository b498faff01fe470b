// The series engine: the samples of one tenant, in memory and on disk.
//
// A SeriesStore is a list of generations. The youngest head takes samples; at a turn (by age or
// memory) it becomes immutable, is written out as blocks and dropped; a new head begins empty.
// Heads and blocks are shared by reference count: a query pins what it reads, so nothing it sees is
// freed or moved under it. README.md has the picture, FORMAT.md the bytes of a block.
//
// Threads: any thread writes (series_write_begin … end), any thread reads; one at a time maintains.
#pragma once

#include "base/budget.h"
#include "base/hash.h"
#include "base/progress.h"
#include "model/batch.h"
#include "model/matcher.h"
#include "os/clock.h"
#include "store/objects/objects.h"

typedef struct SeriesStore SeriesStore;

// Which new series are refused; those that a head knows go on. 0: no limit.
typedef struct SeriesLimits {
    int64_t active_max;      // in a head
    int64_t new_per_s;       // a second's worth may come at once
    int64_t per_metric_max;  // in a head, with one __name__: no metric takes the room of the others
} SeriesLimits;

// How long samples are kept: the first rule whose matchers match a series, else `keep_ms`. 0 is for
// ever. Rules and their matchers outlive the store.
typedef struct SeriesKeep {
    Matchers matchers;
    int64_t keep_ms;
} SeriesKeep;
typedef struct SeriesRetention {
    int64_t keep_ms;
    const SeriesKeep *rules;
    size_t rule_count;
} SeriesRetention;

// Tiers: windows of five minutes and of an hour of days that are over, which may be kept for longer
// than the samples (docs/decisions/0022-downsampled-tiers.md). Not made unless `on`.
enum { SERIES_TIERS = 2 };
static const int64_t series_tiers_ms[SERIES_TIERS] = {300000, 3600000};
typedef struct SeriesTierKeep {
    bool on;
    int64_t keep_ms;  // 0: for ever; of series that a rule of retention names, no longer than that
} SeriesTierKeep;

// What queries read of blocks, verified and unpacked, for the next ones (page_cache.h); of all
// stores of a server together. At most `most` bytes, or what `memory` grants; `memory` outlives it
// and may be NULL.
typedef struct PageCache PageCache;
PageCache *page_cache_open(Budget *memory, int64_t most);
void page_cache_close(PageCache **cache);  // no block is open any more; NULL is fine
typedef struct PageCacheFacts {
    int64_t bytes;
    uint64_t pages, hits, misses;
} PageCacheFacts;
PageCacheFacts page_cache_facts(PageCache *cache);  // NULL: all 0

// What queries read of heads and blocks, decoded, for the next ones (kept_rows.h); otherwise as
// PageCache.
typedef struct RowCache RowCache;
RowCache *row_cache_open(Budget *memory, int64_t most);
void row_cache_close(RowCache **cache);  // no head and no block is left; NULL is fine
typedef struct RowCacheFacts {
    int64_t bytes;
    uint64_t pages, hits, misses;  // of a thousand series each; series read
} RowCacheFacts;
RowCacheFacts row_cache_facts(RowCache *cache);  // NULL: all 0

typedef struct SeriesOptions {
    Objects *objects;    // where blocks lie
    Text object_prefix;  // in front of their names, "7/"
    Disk *disk;          // for the manifest
    Text folder;         // of the manifest; made when missing
    Clock *clock;
    PageCache *pages;                    // of blocks, outlives the store; NULL: none
    RowCache *rows;                      // of heads and blocks, likewise
    HashKey hash_key;                    // secret of this process
    Budget *memory;                      // heads are charged here
    Budget *building;                    // and blocks while they are written; NULL: no bound
    int64_t block_piece_bytes;           // which go to the disk in pieces of this; 0: 1 MiB
    int64_t block_series_max;            // and have at most so many series; 0: no such bound
    int64_t block_cold_bytes;            // smaller ones are not written again cold; 0: 64 KiB
    SeriesLimits limits;                 // of new series
    SeriesRetention retention;           // what is older than the longest of it is refused
    SeriesTierKeep tiers[SERIES_TIERS];  // by series_tiers_ms
    int64_t head_span_ms;                // a head turns when its samples span this; 0: two hours
    int64_t head_bytes_max;              // or when it holds this; 0: 256 MiB
} SeriesOptions;

// Opens the manifest and its blocks (each verified where it is read, its footer here). Files the
// manifest does not name are moved to `quarantine/` and logged by the caller from `report`. A block
// that is damaged is kept apart, named in `report`, and answers over its interval carry a warning.
typedef struct SeriesReport {
    uint64_t blocks, blocks_damaged, strangers;
    uint64_t sealed_sequence;  // every log record below it is inside blocks: replay may begin here
    Text *notes;
    size_t note_count;
} SeriesReport;
must_use bool series_open(SeriesOptions options, Arena *arena, SeriesReport *report,
                          SeriesStore **out, Error *err);
void series_close(SeriesStore **store);

// ---- Writing ----

// What one sender taught us: the order in which its series come. One per connection; begin with
// {0}; it owns nothing.
typedef struct SeriesPrediction {
    uint64_t generation;
    uint32_t last_ref;
} SeriesPrediction;

// Series recognised while their rows are decoded: labels that the sender is likely to send next
// need not even be parsed. One thread, one body; it holds memory of the store meanwhile, so end it
// soon. What it says holds for the head that it looks at: put `head_name` into Batch.told_head, and
// a head that came in between recognises the rows again.
typedef struct SeriesFollow {  // the series that was recognised last
    uint32_t ref;              // UINT32_MAX: none
    Bytes wire;                // its label bytes in the body; NULL: not at hand
} SeriesFollow;
typedef struct SeriesForetold {
    struct Head *head;
    uint64_t head_name;
    SeriesFollow follow;
    unsigned failures;  // rows in a row that nothing foretold
} SeriesForetold;
void series_foretell_begin(SeriesStore *store, const SeriesPrediction *prediction,
                           SeriesForetold *out);
void series_foretell_end(SeriesForetold *foretold);
// Whether `bytes` begin with the labels of the series that is foretold, and no further label
// follows; it is follow.ref then, and *len how long they are.
bool series_foretell(SeriesForetold *foretold, Bytes bytes, size_t *len);
// Looks up the labels of a row that was not foretold: whether they are those of a series, which is
// follow.ref then. A few such rows one after the other are nobody's order: then neither this nor
// series_foretell says yes any more.
bool series_foretell_again(SeriesForetold *foretold, Bytes labels);

// A write holds the generation still between begin and end, so that its log record and its samples
// belong to the same head. Short: no disk, no waiting inside.
//
//   series_write_begin(store);
//   series_resolve(store, …, batch, …);      known series recognised, new ones made or refused
//   log_append(…, &sequence)                 the caller's business
//   series_append(store, batch, sequence);   samples become visible to queries
//   series_write_end(store);
//
// Asked before anything is logged: NO_MEMORY or BUSY, with the reason, while heads can take nothing
// more.
must_use bool series_may_write(SeriesStore *store, Error *err);
void series_write_begin(SeriesStore *store);
// Fills BatchSeries.ref; refuses rows (batch_refuse) with BAD_LABELS or LIMIT. Rows already refused
// are passed over. With `replay` limits of rate and number do not apply: what was admitted once is
// admitted again.
void series_resolve(SeriesStore *store, SeriesPrediction *prediction, Batch *batch, bool replay);
// Adds the samples, histograms, exemplars and metadata of the rows that are not refused; counts
// each sample in batch->counts (STORED, DUPLICATE, CONFLICT, TOO_OLD). Any order of times is
// welcome.
void series_append(SeriesStore *store, Batch *batch, uint64_t sequence);
void series_write_end(SeriesStore *store);

// ---- Reading ----

// A view pins heads and blocks that overlap [from_ms, to_ms]. Close it soon: memory is held
// meanwhile.
typedef struct SeriesView SeriesView;
// `store` NULL: a tenant that never wrote; the view is empty.
must_use bool series_view_open(SeriesStore *store, int64_t from_ms, int64_t to_ms, SeriesView **out,
                               Error *err);
void series_view_close(SeriesView **view);

// What is read through a view, of all its cursors together: bytes of pages of blocks, unpacked.
// Beyond `most` (0: no end) reading is TOO_COSTLY, naming `named`. Lives as long as the view.
typedef struct SeriesMeter {
    _Atomic int64_t bytes;
    int64_t most;
    const char *named;
    // Asked now and then while series are found, which may be a million: false ends it with the
    // error. NULL: never asked.
    bool (*go_on)(void *context, Error *err);
    void *context;
} SeriesMeter;
void series_view_meter(SeriesView *view, SeriesMeter *meter);

// What is read through it, and will be read again, is kept as numbers (kept_rows.h): for queries.
// Who copies everything away leaves nothing behind. Before cursors are opened.
void series_view_keep_rows(SeriesView *view, SeriesStore *store);

// Intervals that could not be read (damaged blocks, lost log): an answer over them carries these as
// warnings.
Texts series_view_warnings(const SeriesView *view);

// A series found by select: its labels, and where its samples are (opaque). Lives on the arena
// given to select.
typedef struct SeriesFound {
    Labels labels;
    void *sources;
} SeriesFound;
typedef struct SeriesFoundList {
    SeriesFound *at;  // in no order; no series twice
    size_t count;
    bool apart;  // as asked by SeriesWanted
} SeriesFoundList;

// Something between these times is known to be lost (a damaged part of the log): answers over it
// carry `note`, which the caller keeps alive.
void series_note_gap(SeriesStore *store, int64_t from_ms, int64_t to_ms, Text note);

// All series that every matcher matches and that may have samples in the view's interval. At most
// `series_max` (0: no end), more is TOO_COSTLY naming the count.
must_use bool series_select(SeriesView *view, Matchers matchers, size_t series_max, Arena *arena,
                            SeriesFoundList *out, Error *err);

// What is asked about the labels of series. Most questions need few of them, and a source that
// keeps labels as numbers answers without making a single label set per series.
typedef struct SeriesWanted {
    size_t series_max;  // as above
    bool some;  // only `labels` are handed out; series in which they are equal share the bytes
    Texts labels;
    Texts without;  // any: `apart` says whether all label sets differ when these are left out. By
                    // 64 bits of a hash: it may be false where they do
} SeriesWanted;
must_use bool series_select_labels(SeriesView *view, Matchers matchers, const SeriesWanted *wanted,
                                   Arena *arena, SeriesFoundList *out, Error *err);

// Samples of one series as two columns, in time order, each time once (the first that was stored
// wins), stale markers included. Memory is kept from call to call. `histograms`: how many native
// histogram samples lie in the interval, each time once (they are kept but not decoded by this
// call).
//
// Who sets `wants_starts` gets a third column, when each sample's counting began (ms; 0: not
// known): `starts` says so where `has_starts`, else none of the samples has one.
typedef struct SeriesColumns {
    int64_t *times;
    double *values;
    size_t count;
    size_t capacity;
    size_t histograms;
    int64_t *starts;
    size_t starts_capacity;
    bool wants_starts, has_starts;
} SeriesColumns;
void series_columns_free(SeriesColumns *columns);

// Reads the samples with from_ms <= time <= to_ms. A cursor keeps decoded pages between calls; one
// thread each; begin with series_cursor_open, any number of cursors per view.
typedef struct SeriesCursor SeriesCursor;
SeriesCursor *series_cursor_open(SeriesView *view);
void series_cursor_close(SeriesCursor **cursor);
must_use bool series_read(SeriesCursor *cursor, const SeriesFound *series, int64_t from_ms,
                          int64_t to_ms, SeriesColumns *out, Error *err);

// Before so many of them are read one after the other: a hint that lets their cache misses overlap.
enum { SERIES_AHEAD = 16 };  // looks at no more than so many
void series_read_ahead(SeriesCursor *cursor, const SeriesFound *series, size_t count,
                       int64_t from_ms);

// The newest of these samples alone, in `out` as the only one; cheaper where a head has it at hand.
must_use bool series_read_newest(SeriesCursor *cursor, const SeriesFound *series, int64_t from_ms,
                                 int64_t to_ms, SeriesColumns *out, Error *err);

// Windows (end - range_ms, end], whose ends are first_end_ms, first_end_ms + step_ms, … (`count` of
// them, one at least; step_ms may be 0), and what is asked of each. The caller sees to it that no
// edge lies beyond the times there are.
typedef enum SeriesWish {
    SERIES_EVERY,     // all samples, as series_read gives them
    SERIES_GREATEST,  // the greatest value: no NaN where there is another, the younger of equal
                      // ones
    SERIES_LEAST,     // (which tells zero from minus zero)
    SERIES_NEWEST,    // the last sample that is no stale marker
    SERIES_OLDEST,
} SeriesWish;
typedef struct SeriesWindows {
    int64_t first_end_ms, step_ms, range_ms;
    size_t count;
    SeriesWish wish;
} SeriesWindows;
// As series_read over all that the windows hold, but what is asked of each window is all that the
// samples given can be asked, and whether it holds any that is no stale marker: chunks of blocks
// that the windows' edges do not part are told by their summaries, without being decoded, as one
// sample inside; and what no window holds, or is the answer to none, may be missing. What came out
// is what was read: `count` is lower than what the windows hold. Series that have native histograms
// there are read whole.
must_use bool series_read_windows(SeriesCursor *cursor, const SeriesFound *series,
                                  const SeriesWindows *windows, SeriesColumns *out, Error *err);

// Native histograms of one series, as they came (prometheus.Histogram), in time order.
typedef struct SeriesHistogram {
    int64_t time_ms;
    Bytes wire;
} SeriesHistogram;
must_use bool series_read_histograms(SeriesCursor *cursor, const SeriesFound *series,
                                     int64_t from_ms, int64_t to_ms, Arena *arena,
                                     SeriesHistogram **out, size_t *count, Error *err);

// Names of labels, and values of one label, of the series that match (all when there are no
// matchers); sorted, unique.
must_use bool series_label_names(SeriesView *view, Matchers matchers, Arena *arena, Texts *out,
                                 Error *err);
must_use bool series_label_values(SeriesView *view, Text name, Matchers matchers, Arena *arena,
                                  Texts *out, Error *err);

typedef struct SeriesExemplar {
    Labels series;
    Labels labels;
    double value;
    int64_t time_ms;
} SeriesExemplar;
must_use bool series_exemplars(SeriesView *view, Matchers matchers, Arena *arena,
                               SeriesExemplar **out, size_t *count, Error *err);

// Metadata of metric families; `family` of length 0: all. Sorted by family.
must_use bool series_metadata(SeriesStore *store, Text family, Arena *arena, BatchMetadata **out,
                              size_t *count, Error *err);

// ---- Reading tiers (tier_view.c) ----

// What is known of a window, or of a sample beside windows (`tier_ms` 0), which is one by itself.
typedef enum SeriesPart {
    WINDOW_COUNT,  // samples that are no stale markers. Those below are of them, where there are
                   // any
    WINDOW_SUM,    // compensated
    WINDOW_LEAST,  // NaN only where there is no number
    WINDOW_GREATEST,
    WINDOW_FIRST,  // value
    WINDOW_LAST,
    WINDOW_FIRST_AGO,  // ms from the sample to the window's end
    WINDOW_LAST_AGO,
    WINDOW_FELL,       // sum of the values before those that are lower; of the window alone
    WINDOW_RESETS,     // how many are
    WINDOW_ENDED_AGO,  // ms from the stale marker that is the last thing there to the end; -1: none
                       // is
    WINDOW_HISTOGRAMS,  // native histograms, which are not in tiers
    WINDOW_KINDS
} SeriesPart;
typedef struct SeriesParts {
    size_t count, capacity;
    int64_t
        *ends_ms;  // the window is (end - tier, end], end a multiple of tier; or the sample's time
    int64_t *tiers_ms;  // 0: a sample
    double *of[WINDOW_KINDS];
    size_t samples;     // of count: no windows
    double histograms;  // in all windows that were looked at
} SeriesParts;
void series_parts_free(SeriesParts *parts);

// From now on the view has tiers too, those that it must have: of days from which samples were let
// go for their age; and, where `most_ms` is above 0, the coarsest up to that of each day. False:
// there are none, and the view is as it was. Before anything is selected. Tiers are seen by the two
// calls below alone.
bool series_view_add_tiers(SeriesView *view, SeriesStore *store, int64_t most_ms);
// As series_select; series of which there is nothing but windows are among them. They are for
// series_read_parts and series_read alone.
must_use bool series_select_tiers(SeriesView *view, Matchers matchers, size_t series_max,
                                  Arena *arena, SeriesFoundList *out, Error *err);
// Windows that end in [from_ms, to_ms] and, of days that none of them answers for, samples, in the
// order of their ends. `parts` has no entries when there is no window: then `samples` holds what
// series_read gives. Else it is all in `parts`, stale markers as ends. `wanted`: bits 1 <<
// SeriesPart of what is to be filled; count and ended always are.
must_use bool series_read_parts(SeriesCursor *cursor, const SeriesFound *series, int64_t from_ms,
                                int64_t to_ms, uint32_t wanted, SeriesParts *parts,
                                SeriesColumns *samples, Error *err);
bool series_view_has_tiers(const SeriesView *view);
// Leaves the parts that have samples, and gives one of their columns as samples at their ends.
void series_parts_columns(SeriesParts *parts, SeriesPart value, SeriesColumns *columns);
// The start of the window that a moment of a part's tier stands for: the multiple before it, or the
// moment itself.
static inline int64_t series_tier_floor(int64_t tier_ms, int64_t moment_ms) {
    if (tier_ms == 0) return moment_ms;
    int64_t rest = moment_ms % tier_ms;
    return moment_ms - (rest < 0 ? rest + tier_ms : rest);
}

// ---- What changes in the past, for whoever keeps answers (changes.c) ----

// A number of this store that no other store of this process has or had.
uint64_t series_identity(const SeriesStore *store);
// From now on it is noted when something at or below `until_ms` is stored, deleted or lost. Returns
// the version to compare with later; what is read after the call is as of it, or younger.
uint64_t series_watch_changes(SeriesStore *store, int64_t until_ms);
// No time below this changed after `version`; INT64_MAX: nothing did.
int64_t series_changed_since(SeriesStore *store, uint64_t version);
// Something at or after this time is no longer what it was. The store calls it by itself.
void series_note_change(SeriesStore *store, int64_t from_ms);

// ---- Maintenance (one thread at a time; the store's background thread) ----

// Does the head want to turn (by span, age, bytes)?
bool series_wants_turn(SeriesStore *store);
// What a replay left for later, which else the first query has to do: the postings of the young
// head.
void series_post(SeriesStore *store);
// Turns the head: from now on a new one takes samples. Short.
must_use bool series_turn(SeriesStore *store, Error *err);
// Writes turned heads as blocks, durable and verified (W14), then lets them go. After it, log
// records below series_sealed_sequence() are no longer needed by this store.
must_use bool series_seal(SeriesStore *store, Error *err);
// From now on sealing gives up with TIMEOUT once the monotonic clock is past `by_ns`: a stop must
// not take for ever. What was turned stays as it is.
void series_seal_by(SeriesStore *store, int64_t by_ns);
// The lowest sequence this store still needs from the log; UINT64_MAX when it needs none. Waits for
// writes between begin and end, so that a record logged before the call is counted.
uint64_t series_needed_sequence(SeriesStore *store);
// Merges small blocks where it pays; with nothing to merge one of a day that is over is written
// again cold, or without what was deleted. *more: call again soon.
must_use bool series_merge(SeriesStore *store, bool *more, Error *err);
// Verifies every checksum of every block, at most `bytes_max` per call (W21); counts in the state.
must_use bool series_scrub(SeriesStore *store, int64_t bytes_max, Error *err);
// Deletes the samples, histograms and exemplars from `from_ms` to `to_ms` of all series that one of
// the `count` sets of matchers matches: what was stored before the call, and nothing that comes
// after it. Durable when it returns true. What is in heads is written as blocks first.
// TOO_MANY: TENANT_DELETES. Any thread; it waits for maintenance that is under way.
must_use bool series_delete(SeriesStore *store, const Matchers *sets, size_t count, int64_t from_ms,
                            int64_t to_ms, Error *err);
// Writes every block again that deletes took from, so that nothing of it is on the disk any more.
must_use bool series_clean_deletes(SeriesStore *store, Error *err);
// A second store beside this one, of what is in blocks now: the blocks linked into
// `objects_folder`, a manifest in `folder`, all of it durable. Both folders are there and empty.
must_use bool series_snapshot(SeriesStore *store, Text objects_folder, Text folder, Error *err);
// Lets go what is kept no longer at `now_ms`: whole blocks where nothing of them is, and one block
// (of a day with tiers all of them) that is written again without the series whose time is over;
// *more: there may be another one.
// What time it is for retention the caller decides. Samples of which tiers are still to be made
// wait for them, at most a week.
must_use bool series_retain(SeriesStore *store, int64_t now_ms, bool *more, Error *err);

// Makes one block of a tier of a day that is over and merged, where one is missing or no longer
// what the samples say, or lets a tier go; *more: there may be another one. A tier is seen when all
// its blocks are made. By the same time as retention.
must_use bool series_make_tiers(SeriesStore *store, int64_t now_ms, bool *more, Error *err);

typedef struct SeriesState {
    uint64_t series_active;  // in the youngest head
    uint64_t series_created;
    uint64_t series_refused;  // by the limits of new series, once for each time they came
    uint64_t pairs_active;    // label pairs, there
    uint64_t chunks_in_head;  // packed strips, and an open tail per series
    uint64_t samples_appended, samples_in_head, exemplars, histograms;
    uint64_t predicted, looked_up;  // how series were recognised
    int64_t head_bytes;             // memory of all heads
    int64_t head_min_ms, head_max_ms;
    uint64_t blocks, block_samples;
    int64_t block_bytes;
    int64_t block_min_ms, block_max_ms;
    uint64_t merges, seals, corruptions, scrubbed_bytes;
    uint64_t tiers;  // blocks of them
    int64_t tier_bytes;
    uint64_t deletes;  // that wait for a block to be written again
} SeriesState;
void series_state(SeriesStore *store, SeriesState *out);

// Cardinality for /api/v1/status/tsdb: the names, label names, values and pairs with most series in
// the youngest head.
typedef struct SeriesTop {
    Text name;
    uint64_t count;
} SeriesTop;
typedef enum SeriesTopKind {
    TOP_METRIC,
    TOP_LABEL_VALUES,
    TOP_LABEL_MEMORY,
    TOP_PAIR
} SeriesTopKind;
must_use bool series_top(SeriesStore *store, SeriesTopKind kind, size_t limit, Arena *arena,
                         SeriesTop **out, size_t *count, Error *err);

// Whom the limits of new series refused since the store was opened, by metric, most refused first.
typedef enum SeriesRefusalReason {
    REFUSED_ACTIVE,
    REFUSED_RATE,
    REFUSED_METRIC,
    REFUSED_MEMORY,
} SeriesRefusalReason;
const char *series_refusal_limit(SeriesRefusalReason reason);  // the setting that says so
typedef struct SeriesRefusal {
    Text metric;  // empty: series without a name
    Text label;   // of the refused ones the one with most values among all series
    uint64_t label_values;
    uint64_t count;   // series that were refused, once for each time they came; may be too high by
                      // that of the last row, where many metrics are refused
    int64_t last_ms;  // when one was refused last
    SeriesRefusalReason reason;  // of the last one
} SeriesRefusal;
typedef struct SeriesRefusals {
    SeriesLimits limits;
    uint64_t refused;  // of all metrics
    SeriesRefusal *at;
    size_t count;
} SeriesRefusals;
void series_refusals(SeriesStore *store, Arena *arena, SeriesRefusals *out);
// Other limits from now on. Any thread.
void series_set_limits(SeriesStore *store, SeriesLimits limits);

// Prints a block for `traceo inspect`. `progress` (bytes) may be NULL.
must_use bool series_inspect_block(Disk *disk, Text path, bool verify_all, Progress *progress,
                                   Builder *out, Error *err);
