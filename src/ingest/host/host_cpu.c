// CPU time, load and pressure: /proc/stat, /proc/loadavg, /proc/pressure (proc(5)).

#include "ingest/host/scrape.h"

static const double TICKS_PER_SECOND = 100;  // USER_HZ, fixed in the kernel's interface

// "cpu3 user nice system idle iowait irq softirq steal guest guest_nice"
static void emit_cpu(Scrape *scrape, Text cpu, Text rest) {
    static const Text modes[] = {TEXT_INIT("user"),    TEXT_INIT("nice"),   TEXT_INIT("system"),
                                 TEXT_INIT("idle"),    TEXT_INIT("iowait"), TEXT_INIT("irq"),
                                 TEXT_INIT("softirq"), TEXT_INIT("steal")};
    static const Text guest_modes[] = {TEXT_INIT("user"), TEXT_INIT("nice")};
    for (size_t i = 0; i < COUNT(modes); i++) {
        Label labels[] = {{TEXT("cpu"), cpu}, {TEXT("mode"), modes[i]}};
        emit(scrape, TEXT("node_cpu_seconds_total"), labels, 2,
             next_number(&rest) / TICKS_PER_SECOND);
    }
    for (size_t i = 0; i < COUNT(guest_modes); i++) {
        Label labels[] = {{TEXT("cpu"), cpu}, {TEXT("mode"), guest_modes[i]}};
        emit(scrape, TEXT("node_cpu_guest_seconds_total"), labels, 2,
             next_number(&rest) / TICKS_PER_SECOND);
    }
}

bool collect_stat(Scrape *scrape, Error *err) {
    static const struct {
        Text field;
        Text name;
    } rows[] = {
        {TEXT_INIT("intr"), TEXT_INIT("node_intr_total")},
        {TEXT_INIT("ctxt"), TEXT_INIT("node_context_switches_total")},
        {TEXT_INIT("processes"), TEXT_INIT("node_forks_total")},
        {TEXT_INIT("btime"), TEXT_INIT("node_boot_time_seconds")},
        {TEXT_INIT("procs_running"), TEXT_INIT("node_procs_running")},
        {TEXT_INIT("procs_blocked"), TEXT_INIT("node_procs_blocked")},
    };
    Text rest, line, word;
    TRY(read_proc(scrape, "stat", &rest, err));
    while (next_line(&rest, &line)) {
        if (!next_word(&line, &word)) continue;
        if (text_starts_with(word, TEXT("cpu")) && word.len > 3)
            emit_cpu(scrape, text_slice(word, 3, word.len), line);
        for (size_t i = 0; i < COUNT(rows); i++) {
            if (text_equal(word, rows[i].field)) emit_one(scrape, rows[i].name, next_number(&line));
        }
    }
    return true;
}

bool collect_loadavg(Scrape *scrape, Error *err) {
    Text rest;
    TRY(read_proc(scrape, "loadavg", &rest, err));
    emit_one(scrape, TEXT("node_load1"), next_number(&rest));
    emit_one(scrape, TEXT("node_load5"), next_number(&rest));
    emit_one(scrape, TEXT("node_load15"), next_number(&rest));
    return true;
}

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=12345" in microseconds, and the same for "full".
bool collect_pressure(Scrape *scrape, Error *err) {
    static const struct {
        const char *file;
        Text some;
        Text full;
    } rows[] = {
        {"pressure/cpu", TEXT_INIT("node_pressure_cpu_waiting_seconds_total"), {NULL, 0}},
        {"pressure/io", TEXT_INIT("node_pressure_io_waiting_seconds_total"),
         TEXT_INIT("node_pressure_io_stalled_seconds_total")},
        {"pressure/memory", TEXT_INIT("node_pressure_memory_waiting_seconds_total"),
         TEXT_INIT("node_pressure_memory_stalled_seconds_total")},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        Text rest, line, word, kind;
        TRY(read_proc(scrape, rows[i].file, &rest, err));
        while (next_line(&rest, &line)) {
            if (!next_word(&line, &kind)) continue;
            Text name = text_equal(kind, TEXT("some")) ? rows[i].some : rows[i].full;
            while (name.len > 0 && next_word(&line, &word)) {
                double total;
                if (text_starts_with(word, TEXT("total=")) &&
                    text_to_f64(text_slice(word, 6, word.len), &total))
                    emit_one(scrape, name, total / 1e6);
            }
        }
    }
    return true;
}
