// When to say something, and what.

#include "cli/progress.h"

#include "os/process.h"

static const int64_t SECOND_NS = INT64_C(1000000000);
static const int64_t QUIET_NS = 2 * SECOND_NS;
static const int64_t TERMINAL_EVERY_NS = SECOND_NS / 5;
static const int64_t LINE_EVERY_NS = 5 * SECOND_NS;
enum { LEFT_MAX_S = 100 * 3600 };  // beyond that nobody waits, and the guess is no good

static void add_amount(Builder *out, double amount, Text unit) {
    if (unit.len > 0) {
        if (amount < 1e4) {
            builder_addf(out, "%.0f", amount);
        } else if (amount < 1e7) {
            builder_addf(out, "%.1f k", amount / 1e3);
        } else {
            builder_addf(out, "%.1f M", amount / 1e6);
        }
    } else if (amount < 10 * MB) {
        builder_addf(out, "%.1f KiB", amount / KB);
    } else {
        builder_addf(out, "%.1f MiB", amount / MB);
    }
}

static void add_left(Builder *out, double seconds) {
    if (seconds >= LEFT_MAX_S) return;
    int64_t left = MAX((int64_t)(seconds + 0.5), 1);
    builder_add(out, TEXT(", "));
    if (left >= 3600) {
        builder_addf(out, "%lld h %02lld min", (long long)(left / 3600),
                     (long long)(left % 3600 / 60));
    } else if (left >= 60) {
        builder_addf(out, "%lld min %02lld s", (long long)(left / 60), (long long)(left % 60));
    } else {
        builder_addf(out, "%lld s", (long long)left);
    }
    builder_add(out, TEXT(" left"));
}

static void print(const ProgressLine *line, int64_t done, int64_t total, int64_t now_ns,
                  Builder *out) {
    double seconds = (double)MAX(now_ns - line->begun_ns, 1) / (double)SECOND_NS;
    double rate = (double)done / seconds;
    builder_addf(out, "%.*s: ", TEXT_ARG(line->what));
    add_amount(out, (double)done, line->unit);
    if (total > 0) {
        builder_add(out, TEXT(" of "));
        add_amount(out, (double)total, line->unit);
    }
    if (line->unit.len > 0) builder_addf(out, " %.*s", TEXT_ARG(line->unit));
    if (total > 0)
        builder_addf(out, " (%.0f %%)", 100.0 * (double)MIN(done, total) / (double)total);
    builder_add(out, TEXT(", "));
    add_amount(out, rate, line->unit);
    builder_add(out, TEXT("/s"));
    if (total > done && done > 0) add_left(out, (double)(total - done) / rate);
}

static void tell(Progress *progress, int64_t done, int64_t total) {
    ProgressLine *line = (ProgressLine *)progress;
    int64_t now_ns = line->clock->monotonic_ns(line->clock);
    if (now_ns < line->next_ns) return;
    line->next_ns = now_ns + (line->terminal ? TERMINAL_EVERY_NS : LINE_EVERY_NS);
    AUTO(builder_free) Builder out = {0};
    if (line->terminal) builder_add_char(&out, '\r');
    print(line, done, total, now_ns, &out);
    if (line->terminal) {
        size_t columns = out.len - 1;
        for (size_t i = columns; i < line->shown; i++) builder_add_char(&out, ' ');
        line->shown = columns;
    } else {
        builder_add_char(&out, '\n');
    }
    line->write(builder_text(&out));
}

void progress_begin_on(ProgressLine *line, Text what, Text unit, Clock *clock, bool terminal,
                       void (*write)(Text text)) {
    int64_t now_ns = clock->monotonic_ns(clock);
    *line = (ProgressLine){.progress = {tell},
                           .clock = clock,
                           .write = write,
                           .what = what,
                           .unit = unit,
                           .terminal = terminal,
                           .begun_ns = now_ns,
                           .next_ns = now_ns + QUIET_NS};
}

void progress_begin(ProgressLine *line, Text what, Text unit) {
    progress_begin_on(line, what, unit, clock_system(), stream_err_is_terminal(), stream_write_err);
}

void progress_next(ProgressLine *line, Text what) {
    line->what = what;
    line->begun_ns = line->clock->monotonic_ns(line->clock);
}

void progress_end(ProgressLine *line) {
    if (line->shown == 0) return;
    AUTO(builder_free) Builder out = {0};
    builder_add_char(&out, '\r');
    for (size_t i = 0; i < line->shown; i++) builder_add_char(&out, ' ');
    builder_add_char(&out, '\r');
    line->write(builder_text(&out));
    line->shown = 0;
}
