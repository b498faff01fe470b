// One scrape of the host: what the collectors share. Private to ingest/host.
#pragma once

#include "ingest/host/host.h"

typedef struct Scrape {
    Host *host;
    WriteBody *body;
    Clock *clock;
    int64_t now_ms;
    uint64_t number;     // the first scrape is 0
    Text proc, sys;      // folders
    Text job, instance;  // labels of every series
    Arena *arena;        // of this scrape
    Builder *file;       // the file that was read last
} Scrape;

// prometheus.MetricMetadata.MetricType, as far as a host needs it.
enum { TYPE_UNKNOWN = 0, TYPE_COUNTER = 1, TYPE_GAUGE = 2 };

// Type and help of a family whose name follows the kernel's own fields; said every METADATA_EVERY
// scrapes, like those of families.def.
void describe(Scrape *scrape, Text name, uint8_t type, Text help);

// A sample of one series; `labels` (may be NULL) come besides job and instance.
void emit(Scrape *scrape, Text name, const Label *labels, size_t count, double value);
static inline void emit_one(Scrape *scrape, Text name, double value) {
    emit(scrape, name, NULL, 0, value);
}
static inline void emit_with(Scrape *scrape, Text name, Text label, Text label_value,
                             double value) {
    Label labels[] = {{label, label_value}};
    emit(scrape, name, labels, 1, value);
}

// Reads <proc>/name or <sys>/name whole; the text holds until the next read.
must_use bool read_proc(Scrape *scrape, const char *name, Text *out, Error *err);
must_use bool read_sys(Scrape *scrape, const char *name, Text *out, Error *err);

// Words of a line, separated by any white space.
bool next_word(Text *rest, Text *out);
bool next_line(Text *rest, Text *out);
// The next word as a number; 0 when it is none.
double next_number(Text *rest);

// The collectors; each fails alone.
typedef bool (*Collector)(Scrape *scrape, Error *err);
bool collect_stat(Scrape *scrape, Error *err);
bool collect_loadavg(Scrape *scrape, Error *err);
bool collect_pressure(Scrape *scrape, Error *err);
bool collect_meminfo(Scrape *scrape, Error *err);
bool collect_vmstat(Scrape *scrape, Error *err);
bool collect_diskstats(Scrape *scrape, Error *err);
bool collect_filesystem(Scrape *scrape, Error *err);
bool collect_netdev(Scrape *scrape, Error *err);
bool collect_netstat(Scrape *scrape, Error *err);
bool collect_sockstat(Scrape *scrape, Error *err);
bool collect_uname(Scrape *scrape, Error *err);
bool collect_os(Scrape *scrape, Error *err);
bool collect_time(Scrape *scrape, Error *err);
bool collect_filefd(Scrape *scrape, Error *err);
bool collect_processes(Scrape *scrape, Error *err);
