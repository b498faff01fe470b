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
} HostOptions;

must_use bool host_open(HostOptions options, Host **out, Error *err);
void host_close(Host **host);
// Adds one sample per series at `now_ms` (and metadata now and then).
void host_collect(Host *host, Clock *clock, int64_t now_ms, WriteBody *body);
