// What senders keep is never believed wrongly: requests that change from one to the next, through
// senders that remember, become the samples that the same requests become through senders that have
// seen nothing; in heads that turn, for tenants that change, and after the log was read again.

#include <stdio.h>
#include <unistd.h>

#include "base/test.h"
#include "ingest/otlp/otlp.h"
#include "os/disk_model.h"

enum { ROUNDS = 120, SENDERS = 2, POINTS = 24 };

#define BASE_MS INT64_C(1763683200000)

typedef struct House {
    char catalog[64];
    ManualClock clock;
    DiskModel *model;
    Store *store;
    Otlp *otlp;
    OtlpSender *senders[SENDERS];
} House;

static void house_open(Test *t, House *house) {
    StoreOptions options = {.disk = disk_model_disk(house->model),
                            .clock = &house->clock.clock,
                            .folder = TEXT("data"),
                            .catalog_path = text_from_cstring(house->catalog),
                            .hash_key = {1, 2},
                            .memory_limit = GB};
    IngestSender *replay = ingest_sender_new();
    check_ok(t, store_open(options, &house->store, t->err));
    check_ok(t, store_replay(house->store, ingest_replay, replay, t->err));
    ingest_sender_free(&replay);
}

static void house_begin(Test *t, House *house, const char *name, int64_t cache_bytes) {
    const char *memory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    *house = (House){.model = disk_model_new()};
    snprintf(house->catalog, sizeof house->catalog, "%s/traceo-otlp-%s-%d.db", memory, name,
             (int)getpid());
    clock_manual(&house->clock, BASE_MS);
    house_open(t, house);
    static Text promoted[] = {TEXT_INIT("zone")};
    OtlpOptions options = {
        .hash_key = {1, 2}, .promote = {promoted, 1}, .cache_bytes = cache_bytes};
    house->otlp = otlp_open(&options);
    for (int i = 0; i < SENDERS; i++) house->senders[i] = otlp_sender_new(house->otlp);
}

static void house_end(House *house) {
    for (int i = 0; i < SENDERS; i++) otlp_sender_free(&house->senders[i]);
    otlp_close(&house->otlp);
    store_close(&house->store);
    disk_model_free(&house->model);
    static const char *const ends[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < COUNT(ends); i++) {
        char path[80];
        snprintf(path, sizeof path, "%s%s", house->catalog, ends[i]);
        unlink(path);
    }
}

static uint32_t roll(Test *t, uint32_t sides) {
    return (uint32_t)(test_random(&t->seed) >> 33) % sides;
}

// Numbers, now and then with an exemplar or without a value, a histogram, deltas: some of many
// streams, nearly always in the same order.
static void add_metric(Test *t, Builder *out, uint32_t metric, int64_t time_ms) {
    static const char *const kinds[] = {
        "gauge':{", "sum':{'aggregationTemporality':2,'isMonotonic':true,",
        "histogram':{'aggregationTemporality':2,",
        "sum':{'aggregationTemporality':1,'isMonotonic':true,", "summary':{"};
    uint32_t kind = metric % COUNT(kinds);
    builder_addf(out, "{'name':'metric_%u','unit':'By','%s'dataPoints':[", metric, kinds[kind]);
    uint32_t streams = 1 + roll(t, POINTS), skipped = roll(t, 4) == 0 ? roll(t, POINTS) : POINTS;
    bool any = false;
    for (uint32_t i = 0; i < streams; i++) {
        if (i == skipped) continue;
        builder_addf(out, "%s{'startTimeUnixNano':'%lld','timeUnixNano':'%lld000000',",
                     any ? "," : "", (long long)(BASE_MS - 5) * 1000000,
                     (long long)(time_ms + (roll(t, 9) == 0 ? 1 : 0)));
        any = true;
        if (kind == 2) {
            builder_addf(out, "'count':'%u','sum':%u,'bucketCounts':[%u,1],'explicitBounds':[%u],",
                         i + 1, roll(t, 9), i, roll(t, 9) == 0 ? 7 : 5);
        } else if (kind == 4) {
            builder_addf(out, "'count':'%u','sum':%u,'quantileValues':[{'quantile':0.%u}],", i,
                         roll(t, 9), 1 + roll(t, 2));
        } else if (roll(t, 30) == 0) {
            builder_add(out, TEXT("'flags':1,"));
        } else {
            builder_addf(out, "'asDouble':%u.5,", roll(t, 3));
        }
        if (kind < 3 && roll(t, 12) == 0)
            builder_add(out, TEXT("'exemplars':[{'timeUnixNano':'1763683200000000000','asInt':1,"
                                  "'traceId':'01'}],"));
        builder_addf(out,
                     "'attributes':[{'key':'id','value':{'stringValue':'stream-%u'}},{'key':"
                     "'much.longer.key','value':{'intValue':'%u'}}]}",
                     i, i % 3);
    }
    builder_add(out, TEXT("]}}"));
}

static Bytes request(Test *t, int64_t time_ms) {
    AUTO(builder_free) Builder out = {0};
    builder_add(&out, TEXT("{'resourceMetrics':["));
    uint32_t resources = 1 + roll(t, 2), first = roll(t, 3);
    for (uint32_t r = 0; r < resources; r++) {
        builder_addf(&out,
                     "%s{'resource':{'attributes':[{'key':'service.name','value':{'stringValue':"
                     "'svc-%u'}},{'key':'zone','value':{'stringValue':'z'}}]},'scopeMetrics':[{"
                     "'metrics':[",
                     r == 0 ? "" : ",", (first + r) % 3);
        uint32_t from = roll(t, 3), to = 6 - roll(t, 2);
        for (uint32_t metric = from; metric < to; metric++) {
            if (metric > from) builder_add_char(&out, ',');
            add_metric(t, &out, metric, time_ms);
        }
        builder_add(&out, TEXT("]}]}"));
    }
    builder_add(&out, TEXT("]}"));
    for (size_t i = 0; i < out.len; i++) {
        if (out.at[i] == '\'') out.at[i] = '"';
    }
    return text_bytes(text_copy(builder_text(&out), t->arena));
}

// With a sender that remembers; or by a new one and from the bytes of its rows alone.
static void send(Test *t, House *house, int sender, const char *tenant_name, Bytes body,
                 OtlpOutcome *out) {
    Tenant *tenant;
    int64_t now_ms = house->clock.clock.wall_ms(&house->clock.clock);
    check_ok(t, store_tenant(house->store, text_from_cstring(tenant_name), true, &tenant, t->err));
    if (sender >= 0) {
        check_ok(t, otlp_write(house->senders[sender], house->store, tenant, OTLP_JSON, body,
                               now_ms, out, t->err));
        return;
    }
    OtlpSender *fresh = otlp_sender_new(house->otlp);
    IngestSender *ingest = ingest_sender_new();
    WriteBody rows = {0};
    check_ok(t, otlp_metrics_json(fresh, tenant->id.number, body, now_ms, &rows, out, t->err));
    check_ok(t, ingest_samples_part(house->store, tenant, ingest, write_body_bytes(&rows), now_ms,
                                    &out->ingest, t->err));
    write_body_free(&rows);
    ingest_sender_free(&ingest);
    otlp_sender_free(&fresh);
}

static int by_text(const void *a, const void *b) {
    return text_compare(*(const Text *)a, *(const Text *)b);
}

// All that a tenant has, as text.
static Text everything(Test *t, House *house, const char *tenant_name, size_t *samples) {
    Tenant *tenant;
    check_ok(t, store_tenant(house->store, text_from_cstring(tenant_name), true, &tenant, t->err));
    SeriesView *view;
    int64_t from_ms = BASE_MS - 1000, to_ms = BASE_MS + 10000000;
    check_ok(t, series_view_open(tenant->series, from_ms, to_ms, &view, t->err));
    SeriesCursor *cursor = series_cursor_open(view);
    AUTO(series_columns_free) SeriesColumns columns = {.wants_starts = true};
    Matcher matcher = {MATCH_NOT_EQUAL, LABEL_NAME, TEXT(""), NULL};
    SeriesFoundList found;
    check_ok(t, series_select(view, (Matchers){&matcher, 1}, 0, t->arena, &found, t->err));
    Text *lines = arena_push_array(t->arena, Text, found.count);
    for (size_t i = 0; i < found.count; i++) {
        AUTO(builder_free) Builder line = {0};
        labels_print(found.at[i].labels, &line);
        columns.count = 0;
        columns.has_starts = false;
        check_ok(t, series_read(cursor, &found.at[i], from_ms, to_ms, &columns, t->err));
        for (size_t s = 0; s < columns.count; s++)
            builder_addf(&line, " %a@%lld/%lld", columns.values[s], (long long)columns.times[s],
                         columns.has_starts ? (long long)columns.starts[s] : 0);
        *samples += columns.count;
        lines[i] = text_copy(builder_text(&line), t->arena);
    }
    if (found.count > 0) qsort(lines, found.count, sizeof *lines, by_text);
    AUTO(builder_free) Builder out = {0};
    for (size_t i = 0; i < found.count; i++) builder_addf(&out, "%.*s\n", TEXT_ARG(lines[i]));
    SeriesExemplar *exemplars;
    size_t count;
    check_ok(t,
             series_exemplars(view, (Matchers){&matcher, 1}, t->arena, &exemplars, &count, t->err));
    builder_addf(&out, "%zu exemplars\n", count);
    series_cursor_close(&cursor);
    series_view_close(&view);
    return text_copy(builder_text(&out), t->arena);
}

static size_t check_same(Test *t, House *one, House *other) {
    static const char *const tenants[] = {"default", "second"};
    size_t samples = 0, same = 0;
    for (size_t i = 0; i < COUNT(tenants); i++) {
        Text left = everything(t, one, tenants[i], &samples);
        check_text(t, everything(t, other, tenants[i], &same), left);
    }
    check_i64(t, (int64_t)same, (int64_t)samples);
    return samples;
}

static void live(Test *t, int64_t cache_bytes, bool remembers) {
    House *kept = arena_push(t->arena, House), *fresh = arena_push(t->arena, House);
    house_begin(t, kept, "kept", cache_bytes);
    house_begin(t, fresh, "fresh", 0);
    uint64_t points = 0, cached = 0;
    for (int round = 0; round < ROUNDS; round++) {
        clock_advance(&kept->clock, 1000);
        clock_advance(&fresh->clock, 1000);
        int64_t now_ms = kept->clock.clock.wall_ms(&kept->clock.clock);
        const char *tenant = roll(t, 10) == 0 ? "second" : "default";
        Bytes body = request(t, now_ms);
        OtlpOutcome one, other;
        send(t, kept, (int)roll(t, SENDERS), tenant, body, &one);
        send(t, fresh, -1, tenant, body, &other);
        check_i64(t, (int64_t)other.points, (int64_t)one.points);
        points += one.points;
        cached += one.cached;
        if (round % 23 == 22) check_ok(t, store_flush(kept->store, t->err));
        check_ok(t, store_commit_now(kept->store, t->err));
        check_ok(t, store_commit_now(fresh->store, t->err));
    }
    check(t, (cached > points / 4) == remembers);  // by the seed 45 to 70 of a hundred, or none
    size_t samples = check_same(t, kept, fresh);
    check(t, samples > ROUNDS * POINTS);
    // What came since the last flush is in the log, in the form that this was about.
    store_close(&kept->store);
    house_open(t, kept);
    check_i64(t, (int64_t)samples, (int64_t)check_same(t, kept, fresh));
    house_end(kept);
    house_end(fresh);
}

TEST(what_a_sender_keeps_changes_nothing_of_what_is_stored) {
    live(t, 0, true);
}

TEST(nor_does_a_cache_that_is_always_full) {
    live(t, 20000, false);
}

TEST_MAIN("otlp/store", CASE(what_a_sender_keeps_changes_nothing_of_what_is_stored),
          CASE(nor_does_a_cache_that_is_always_full))
