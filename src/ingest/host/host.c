// The host collector: a table of collectors, and what they write with.

#include "ingest/host/host.h"

#include "ingest/host/scrape.h"
#include "os/process.h"

enum { METADATA_EVERY = 240 };  // scrapes

struct Host {
    Arena arena;
    Text proc, sys, job, instance;
    uint64_t number;
    void (*failed)(void *context, Text collector, const Error *err);
    void *context;
    Builder file;
    Arena scratch;
};

typedef struct CollectorRow {
    Text name;
    Collector collect;
    uint64_t every;  // scrapes; the costly ones come less often
} CollectorRow;

static const CollectorRow collectors[] = {
    {TEXT_INIT("diskstats"), collect_diskstats, 1},
    {TEXT_INIT("filefd"), collect_filefd, 1},
    {TEXT_INIT("filesystem"), collect_filesystem, 3},
    {TEXT_INIT("loadavg"), collect_loadavg, 1},
    {TEXT_INIT("meminfo"), collect_meminfo, 1},
    {TEXT_INIT("netdev"), collect_netdev, 1},
    {TEXT_INIT("netstat"), collect_netstat, 3},
    {TEXT_INIT("os"), collect_os, 12},
    {TEXT_INIT("pressure"), collect_pressure, 1},
    {TEXT_INIT("processes"), collect_processes, 6},
    {TEXT_INIT("sockstat"), collect_sockstat, 3},
    {TEXT_INIT("stat"), collect_stat, 1},
    {TEXT_INIT("time"), collect_time, 3},
    {TEXT_INIT("uname"), collect_uname, 12},
    {TEXT_INIT("vmstat"), collect_vmstat, 1},
};

// prometheus.MetricMetadata.MetricType

typedef struct FamilyRow {
    Text name;
    uint8_t type;
    Text help;
} FamilyRow;

static const FamilyRow families[] = {
#define FAMILY(name, type, help) {TEXT_INIT(name), TYPE_##type, TEXT_INIT(help)},
#include "ingest/host/families.def"
#undef FAMILY
};

bool host_open(HostOptions options, Host **out, Error *err) {
    (void)err;
    Host *host = memory_new(Host);
    Arena *arena = &host->arena;
    host->proc =
        text_copy(options.proc_folder.len > 0 ? options.proc_folder : TEXT("/proc"), arena);
    host->sys = text_copy(options.sys_folder.len > 0 ? options.sys_folder : TEXT("/sys"), arena);
    host->job = text_copy(options.job.len > 0 ? options.job : TEXT("node"), arena);
    host->instance =
        options.instance.len > 0 ? text_copy(options.instance, arena) : machine_name(arena);
    host->failed = options.failed;
    host->context = options.context;
    *out = host;
    return true;
}

void host_close(Host **host) {
    if (*host == NULL) return;
    builder_free(&(*host)->file);
    arena_free(&(*host)->scratch);
    arena_free(&(*host)->arena);
    memory_free(TAKE(*host));
}

// ---- What collectors write and read with ----

void emit(Scrape *scrape, Text name, const Label *labels, size_t count, double value) {
    Label all[12] = {
        {LABEL_NAME, name}, {TEXT("job"), scrape->job}, {TEXT("instance"), scrape->instance}};
    size_t used = 3;
    for (size_t i = 0; i < count && used < COUNT(all); i++) all[used++] = labels[i];
    Labels made;
    Error err;
    // A name from the kernel that does not fit (not UTF-8, say) is left out; the store would refuse
    // it.
    if (!labels_make(all, used, scrape->arena, &made, &err) || !labels_check(made.wire, &err))
        return;
    write_body_add(scrape->body, made, scrape->now_ms, value);
}

static bool read_in(Scrape *scrape, Text folder, const char *name, Text *out, Error *err) {
    Text path = text_format(scrape->arena, "%.*s/%s", TEXT_ARG(folder), name);
    builder_clear(scrape->file);
    TRY(process_read_file(path.at, scrape->file, err));
    *out = builder_text(scrape->file);
    return true;
}

bool read_proc(Scrape *scrape, const char *name, Text *out, Error *err) {
    return read_in(scrape, scrape->proc, name, out, err);
}

bool read_sys(Scrape *scrape, const char *name, Text *out, Error *err) {
    return read_in(scrape, scrape->sys, name, out, err);
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool next_word(Text *rest, Text *out) {
    size_t from = 0;
    while (from < rest->len && is_space(rest->at[from])) from++;
    size_t to = from;
    while (to < rest->len && !is_space(rest->at[to])) to++;
    *out = text_slice(*rest, from, to);
    *rest = text_slice(*rest, to, rest->len);
    return out->len > 0;
}

bool next_line(Text *rest, Text *out) {
    while (text_cut(rest, '\n', out)) {
        if (out->len > 0) return true;
    }
    return false;
}

double next_number(Text *rest) {
    Text word;
    double value;
    return next_word(rest, &word) && text_to_f64(word, &value) ? value : 0;
}

// ---- A scrape ----

void describe(Scrape *scrape, Text name, uint8_t type, Text help) {
    if (scrape->number % METADATA_EVERY == 0)
        write_body_add_metadata(scrape->body, name, type, help, TEXT_NONE);
}

static void run_collector(Scrape *scrape, const CollectorRow *row) {
    int64_t begun_ns = scrape->clock->monotonic_ns(scrape->clock);
    Error err = {0};
    bool worked = row->collect(scrape, &err);
    if (!worked && scrape->host->failed != NULL)
        scrape->host->failed(scrape->host->context, row->name, &err);
    double took_s = (double)(scrape->clock->monotonic_ns(scrape->clock) - begun_ns) * 1e-9;
    emit_with(scrape, TEXT("node_scrape_collector_duration_seconds"), TEXT("collector"), row->name,
              took_s);
    emit_with(scrape, TEXT("node_scrape_collector_success"), TEXT("collector"), row->name,
              worked ? 1 : 0);
}

void host_collect(Host *host, Clock *clock, int64_t now_ms, WriteBody *body) {
    arena_clear(&host->scratch);
    Scrape scrape = {
        .host = host,
        .body = body,
        .clock = clock,
        .now_ms = now_ms,
        .number = host->number,
        .proc = host->proc,
        .sys = host->sys,
        .job = host->job,
        .instance = host->instance,
        .arena = &host->scratch,
        .file = &host->file,
    };
    for (size_t i = 0; i < COUNT(collectors); i++) {
        if (host->number % collectors[i].every == 0) run_collector(&scrape, &collectors[i]);
    }
    emit_one(&scrape, TEXT("up"), 1);
    if (host->number % METADATA_EVERY == 0) {
        for (size_t i = 0; i < COUNT(families); i++) {
            write_body_add_metadata(body, families[i].name, families[i].type, families[i].help,
                                    TEXT_NONE);
        }
    }
    host->number++;
}
