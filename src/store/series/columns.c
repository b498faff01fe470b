// Columns of samples: growing them, and uniting those of two sources.

#include "store/series/columns.h"

#include "base/memory.h"

void series_columns_free(SeriesColumns *columns) {
    memory_free(columns->times);
    memory_free(columns->values);
    memory_free(columns->starts);
    *columns = (SeriesColumns){0};
}

void columns_reserve(SeriesColumns *columns, size_t more) {
    if (columns->capacity - columns->count >= more) return;
    size_t capacity = MAX(columns->capacity * 2, columns->count + more);
    columns->times = memory_resize(columns->times, array_bytes(capacity, sizeof *columns->times));
    columns->values =
        memory_resize(columns->values, array_bytes(capacity, sizeof *columns->values));
    columns->capacity = capacity;
}

int64_t *columns_starts(SeriesColumns *columns, size_t from) {
    if (columns->starts_capacity < columns->capacity) {
        columns->starts =
            memory_resize(columns->starts, array_bytes(columns->capacity, sizeof *columns->starts));
        columns->starts_capacity = columns->capacity;
    }
    size_t unknown = columns->has_starts ? from : 0;
    columns->has_starts = true;
    if (unknown < columns->count)
        memset(columns->starts + unknown, 0, (columns->count - unknown) * sizeof *columns->starts);
    return columns->starts + from;
}

// The starts of what merge_columns makes, where one of the two has any.
static void merge_starts(const SeriesColumns *first, const SeriesColumns *second,
                         SeriesColumns *out) {
    int64_t *starts = columns_starts(out, 0);
    size_t a = 0, b = 0;
    for (size_t n = 0; n < out->count; n++) {
        int64_t time_ms = out->times[n];
        bool of_first = a < first->count && first->times[a] == time_ms;
        bool of_second = b < second->count && second->times[b] == time_ms;
        const SeriesColumns *from = of_first ? first : second;
        if (from->has_starts) starts[n] = from->starts[of_first ? a : b];
        a += of_first;
        b += of_second;
    }
}

// Both rise strictly; at equal times the one of `first` stays.
static void merge_columns(const SeriesColumns *first, const SeriesColumns *second,
                          SeriesColumns *out) {
    out->count = 0;
    columns_reserve(out, first->count + second->count);
    size_t a = 0, b = 0, n = 0;
    while (a < first->count || b < second->count) {
        bool take_first =
            b == second->count || (a < first->count && first->times[a] <= second->times[b]);
        if (take_first) {
            if (b < second->count && first->times[a] == second->times[b]) b++;
            out->times[n] = first->times[a];
            out->values[n++] = first->values[a++];
        } else {
            out->times[n] = second->times[b];
            out->values[n++] = second->values[b++];
        }
    }
    out->count = n;
}

static void swap_columns(SeriesColumns *a, SeriesColumns *b) {
    SeriesColumns kept = *a;
    size_t histograms = a->histograms;  // stays with its side, and so does what is wanted
    *a = *b;
    a->histograms = histograms;
    a->wants_starts = kept.wants_starts;
    *b = kept;
}

void columns_append_merged(SeriesColumns *all, const SeriesColumns *one, SeriesColumns *scratch) {
    if (one->count == 0) return;
    bool has_starts = all->has_starts || one->has_starts;
    if (all->count > 0 && all->times[all->count - 1] >= one->times[0]) {
        merge_columns(all, one, scratch);
        scratch->has_starts = false;
        if (has_starts) merge_starts(all, one, scratch);
        swap_columns(all, scratch);
        return;
    }
    columns_reserve(all, one->count);
    size_t before = all->count;
    memcpy(all->times + all->count, one->times, one->count * sizeof *one->times);
    memcpy(all->values + all->count, one->values, one->count * sizeof *one->values);
    all->count += one->count;
    if (!has_starts) return;
    int64_t *starts = columns_starts(all, before);
    if (one->has_starts) memcpy(starts, one->starts, one->count * sizeof *starts);
}
