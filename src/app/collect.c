// The collector's thread: waits for the next round, makes its rows, stores them.

#include "app/collect.h"

#include "base/log.h"
#include "ingest/host/host.h"
#include "os/thread.h"

// A round that starts at most this late is written down at the time it was meant for.
enum { LATE_MS_MAX = 50, WAIT_MS_MAX = 60000 };

typedef struct Source {
    const char *name;
    Text tenant;
    int64_t interval_ms;  // 0: never
    int64_t due_ms;
    IngestSender *sender;
    bool failing;
} Source;

struct Collector {
    CollectorOptions options;
    Host *host;
    Source sources[2];
    WriteBody body;
    Thread *thread;
    Mutex lock;
    Condition wake;
    bool stopping;
};

enum { SOURCE_HOST, SOURCE_SELF };

static bool store_rows(Collector *collector, Source *source, int64_t now_ms, IngestOutcome *outcome,
                       Error *err) {
    Tenant *tenant;
    TRY(store_tenant(collector->options.store, source->tenant, true, &tenant, err));
    return ingest_samples(collector->options.store, tenant, source->sender, &collector->body,
                          now_ms, outcome, err);
}

// One round. Rows refused one by one are a fault of ours; the store refusing all of them is its
// state.
static void collect(Collector *collector, Source *source, int64_t at_ms) {
    write_body_clear(&collector->body);
    if (source == &collector->sources[SOURCE_HOST]) {
        host_collect(collector->host, collector->options.clock, at_ms, &collector->body);
    } else {
        server_collect_self(collector->options.server, &collector->body, at_ms);
    }
    IngestOutcome outcome = {0};
    Error err = {0};
    bool ok = store_rows(collector, source, at_ms, &outcome, &err);
    if (ok && outcome.first_fault.code != ERROR_NONE) {
        ok = false;
        err = outcome.first_fault;
    }
    SourceNote note = {
        .protocol = source == &collector->sources[SOURCE_HOST] ? TEXT("this host") : TEXT("itself"),
        .agent = TEXT("Traceo"),
        .tenant = source->tenant,
        .samples = outcome.samples,
        .bytes = collector->body.bytes.len,
        .fault = ok ? NULL : &err,
    };
    server_note_source(collector->options.server, &note);
    if (!ok && !source->failing) {
        log_warn("collected rows were not stored",
                 LOG_TEXT("source", text_from_cstring(source->name)), LOG_ERR(&err));
    } else if (ok && source->failing) {
        log_info("collected rows are stored again",
                 LOG_TEXT("source", text_from_cstring(source->name)));
    }
    source->failing = !ok;
}

// The next whole multiple of the interval after `now_ms`; made anew each time, so that a clock that
// steps back delays a round by one interval at most.
static int64_t next_due(const Source *source, int64_t now_ms) {
    return now_ms - now_ms % source->interval_ms + source->interval_ms;
}

static void collector_run(void *context) {
    Collector *collector = context;
    Clock *clock = collector->options.clock;
    for (;;) {
        int64_t now_ms = clock->wall_ms(clock), wait_ms = WAIT_MS_MAX;
        for (size_t i = 0; i < COUNT(collector->sources); i++) {
            Source *source = &collector->sources[i];
            if (source->interval_ms == 0) continue;
            if (source->due_ms > now_ms + source->interval_ms)
                source->due_ms = next_due(source, now_ms);
            if (source->due_ms <= now_ms) {
                collect(collector, source,
                        now_ms - source->due_ms <= LATE_MS_MAX ? source->due_ms : now_ms);
                now_ms = clock->wall_ms(clock);
                source->due_ms = next_due(source, now_ms);
            }
            wait_ms = MIN(wait_ms, source->due_ms - now_ms);
        }
        mutex_take(&collector->lock);
        if (!collector->stopping)
            condition_wait_ms(&collector->wake, &collector->lock, MAX(wait_ms, (int64_t)1));
        bool stopping = collector->stopping;
        mutex_give(&collector->lock);
        if (stopping) return;
    }
}

bool collector_start(CollectorOptions options, Collector **out, Error *err) {
    AUTO(collector_stop) Collector *collector = memory_new(Collector);
    collector->options = options;
    mutex_begin(&collector->lock, LOCK_APP_COLLECT);
    condition_begin(&collector->wake);
    collector->sources[SOURCE_HOST] = (Source){
        .name = "host",
        .tenant = TENANT_DEFAULT_NAME,
        .interval_ms = options.host_interval_ms,
        .sender = ingest_sender_new(),
    };
    collector->sources[SOURCE_SELF] = (Source){
        .name = "self",
        .tenant = TENANT_SELF_NAME,
        .interval_ms = options.self_interval_ms,
        .sender = ingest_sender_new(),
    };
    Error why = {0};
    if (options.host_interval_ms > 0 && !host_open((HostOptions){0}, &collector->host, &why)) {
        log_warn("this machine's metrics are not collected", LOG_ERR(&why));
        collector->sources[SOURCE_HOST].interval_ms = 0;
    }
    TRY(thread_start("collector", collector_run, collector, &collector->thread, err));
    *out = TAKE(collector);
    return true;
}

void collector_stop(Collector **handle) {
    if (*handle == NULL) return;
    Collector *collector = TAKE(*handle);
    mutex_take(&collector->lock);
    collector->stopping = true;
    condition_wake_all(&collector->wake);
    mutex_give(&collector->lock);
    thread_join(&collector->thread);
    host_close(&collector->host);
    for (size_t i = 0; i < COUNT(collector->sources); i++)
        ingest_sender_free(&collector->sources[i].sender);
    write_body_free(&collector->body);
    condition_end(&collector->wake);
    mutex_end(&collector->lock);
    memory_free(collector);
}
