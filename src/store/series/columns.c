// Columns of samples: growing them, and uniting those of two sources.

#include "store/series/columns.h"

#include "base/memory.h"

void series_columns_free(SeriesColumns *columns) {
    memory_free(columns->times);
    memory_free(columns->values);
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
    size_t histograms = a->histograms;  // stays with its side
    *a = *b;
    a->histograms = histograms;
    *b = kept;
}

void columns_append_merged(SeriesColumns *all, const SeriesColumns *one, SeriesColumns *scratch) {
    if (one->count == 0) return;
    if (all->count > 0 && all->times[all->count - 1] >= one->times[0]) {
        merge_columns(all, one, scratch);
        swap_columns(all, scratch);
        return;
    }
    columns_reserve(all, one->count);
    memcpy(all->times + all->count, one->times, one->count * sizeof *one->times);
    memcpy(all->values + all->count, one->values, one->count * sizeof *one->values);
    all->count += one->count;
}
