// The host collector: this machine's own state under node_exporter's metric names, so that existing
// node dashboards work. Reads /proc and /sys through os/process.h; one call makes one scrape's
// rows.
//
// Collectors are a table (host.c): cpu, loadavg, meminfo, diskstats, filesystem, netdev, pressure,
// stat, uname, vmstat, sockstat, filefd, time, processes …; one that fails is skipped and counted
// (node_scrape_collector_success), never the whole. One thread at a time per Host.
#pragma once

#include "ingest/ingest.h"

typedef struct Host Host;

typedef struct HostOptions {
    Text proc_folder;  // "/proc"; tests use a folder of their own
    Text sys_folder;   // "/sys"
    Text job;          // label job; default "node"
    Text instance;     // label instance; default the machine's name
    // Told of each collector that fails; NULL: nobody is told. On the thread that collects.
    void (*failed)(void *context, Text collector, const Error *err);
    void *context;
} HostOptions;

must_use bool host_open(HostOptions options, Host **out, Error *err);
void host_close(Host **host);
// Adds one sample per series at `now_ms` (and metadata now and then).
void host_collect(Host *host, Clock *clock, int64_t now_ms, WriteBody *body);

// ---- The busiest processes: read only when somebody looks ----

typedef struct HostProcess {
    int64_t pid;
    Text name;   // the kernel's, at most 15 bytes: command lines may hold secrets
    Text user;   // a name of /etc/passwd, else the number
    char state;  // R, S, D, Z, T, …
    int64_t threads;
    double cpu;  // cores, over `seconds` of HostTop
    int64_t resident_bytes;
} HostProcess;

typedef struct HostTop {
    HostProcess *at;  // the busiest first; idle ones by memory
    size_t count;
    size_t all;      // how many processes there are
    double seconds;  // what `cpu` is measured over; 0: each over its whole life, as there is no
                     // earlier reading
} HostTop;

// Keeps the readings that rates are made of. One thread at a time.
typedef struct HostProcesses HostProcesses;
HostProcesses *host_processes_new(Text proc_folder);  // empty: "/proc"
void host_processes_free(HostProcesses **processes);
// At most `most` rows, on `arena`.
must_use bool host_processes_read(HostProcesses *processes, Clock *clock, size_t most, Arena *arena,
                                  HostTop *out, Error *err);
