// For tests and fuzzers: a page is read, printed, and read again, row by row the same. Included by
// them alone.
#pragma once

#include "base/assert.h"
#include "ingest/scrape/exposition.h"

// Larger times do not survive being seconds in a double.
static const int64_t ROUND_TRIP_MS_MAX = INT64_C(1) << 50;

// Prints the row just read. False when it is one that cannot be printed: labels that are not
// fine, a time out of reach.
static inline bool round_trip_print(ExpositionPrinter printer, Exposition *page,
                                    const ExpositionRow *row, Arena *arena) {
    Error err;
    switch (row->kind) {
        case EXPOSITION_END:
            exposition_print_end(printer);
            return true;
        case EXPOSITION_TYPE:
            exposition_print_type(printer, exposition_family(page, row, arena), row->type);
            return true;
        case EXPOSITION_HELP:
            exposition_print_help(printer, exposition_family(page, row, arena),
                                  exposition_text(page, row, arena));
            return true;
        case EXPOSITION_UNIT:
            exposition_print_unit(printer, exposition_family(page, row, arena),
                                  exposition_text(page, row, arena));
            return true;
        case EXPOSITION_SERIES:
        case EXPOSITION_HISTOGRAM:
            break;
    }
    Labels labels;
    ExpositionExemplar exemplar = {0};
    if (!exposition_labels(page, row, arena, &labels, &err)) return false;
    bool has = row->exemplar_count > 0;
    if (has && !exposition_exemplar(page, row, 0, arena, &exemplar, &err)) return false;
    if (row->has_time && (row->time_ms > ROUND_TRIP_MS_MAX || row->time_ms < -ROUND_TRIP_MS_MAX))
        return false;
    if (exemplar.has_time &&
        (exemplar.time_ms > ROUND_TRIP_MS_MAX || exemplar.time_ms < -ROUND_TRIP_MS_MAX))
        return false;
    exposition_print_series(printer, labels, row->value, row->has_time ? &row->time_ms : NULL,
                            has ? &exemplar : NULL);
    return true;
}

static inline bool round_trip_same_exemplar(Exposition *a, const ExpositionRow *row_a,
                                            Exposition *b, const ExpositionRow *row_b,
                                            Arena *arena) {
    if (row_a->exemplar_count != row_b->exemplar_count) return false;
    if (row_a->exemplar_count == 0) return true;
    ExpositionExemplar one = {0}, other = {0};
    Error err;
    return exposition_exemplar(a, row_a, 0, arena, &one, &err) &&
           exposition_exemplar(b, row_b, 0, arena, &other, &err) &&
           labels_equal(one.labels, other.labels) &&
           double_bits(one.value) == double_bits(other.value) && one.has_time == other.has_time &&
           one.time_ms == other.time_ms;
}

// Do two rows, just read from their pages, say the same?
static inline bool round_trip_same(Exposition *a, const ExpositionRow *row_a, Exposition *b,
                                   const ExpositionRow *row_b, Arena *arena) {
    if (row_a->kind != row_b->kind) return false;
    if (row_a->kind == EXPOSITION_END) return true;
    if (row_a->kind != EXPOSITION_SERIES) {
        return text_equal(exposition_family(a, row_a, arena), exposition_family(b, row_b, arena)) &&
               (row_a->kind == EXPOSITION_TYPE ? row_a->type == row_b->type
                                               : text_equal(exposition_text(a, row_a, arena),
                                                            exposition_text(b, row_b, arena)));
    }
    Labels labels_a, labels_b;
    Error err;
    return exposition_labels(a, row_a, arena, &labels_a, &err) &&
           exposition_labels(b, row_b, arena, &labels_b, &err) &&
           labels_equal(labels_a, labels_b) &&
           double_bits(row_a->value) == double_bits(row_b->value) &&
           row_a->has_time == row_b->has_time && row_a->time_ms == row_b->time_ms &&
           round_trip_same_exemplar(a, row_a, b, row_b, arena);
}

// Prints all of a page. False when it is refused, or has a row that cannot be printed.
static inline bool round_trip_print_page(ExpositionFormat format, ExpositionOptions options,
                                         Text body, Arena *arena, Builder *out, size_t *rows) {
    Exposition page = {0};
    exposition_begin(&page, format, options, body);
    ExpositionRow row;
    Error err;
    bool fine = true;
    *rows = 0;
    do {
        fine = exposition_next(&page, TEXT_NONE, &row, &err) &&
               round_trip_print((ExpositionPrinter){format, out}, &page, &row, arena);
        *rows += 1;
    } while (fine && row.kind != EXPOSITION_END);
    exposition_free(&page);
    return fine;
}

// Reads both pages beside each other. The index of the first row that differs, from 1; 0: none.
static inline size_t round_trip_compare(ExpositionFormat format, ExpositionOptions options,
                                        Text first, Text again, Arena *arena) {
    Exposition a = {0}, b = {0};
    exposition_begin(&a, format, options, first);
    exposition_begin(&b, format, options, again);
    ExpositionRow row_a, row_b;
    Error err;
    size_t rows = 0;
    bool same;
    do {
        rows++;
        same = exposition_next(&a, TEXT_NONE, &row_a, &err) &&
               exposition_next(&b, TEXT_NONE, &row_b, &err) &&
               round_trip_same(&a, &row_a, &b, &row_b, arena);
    } while (same && row_a.kind != EXPOSITION_END);
    exposition_free(&a);
    exposition_free(&b);
    return same ? 0 : rows;
}

// Reads a page twice, the second time expecting each row where it was. True when both times came
// the same rows, all known.
static inline bool round_trip_known(ExpositionFormat format, ExpositionOptions options, Text body) {
    Exposition a = {0}, b = {0};
    exposition_begin(&a, format, options, body);
    exposition_begin(&b, format, options, body);
    ExpositionRow row_a, row_b;
    Error err;
    bool same;
    do {
        same = exposition_next(&a, TEXT_NONE, &row_a, &err);
        if (!same) break;
        bool read = exposition_next(&b, row_a.raw, &row_b, &err);
        same = read && row_a.kind == row_b.kind && row_a.type == row_b.type &&
               (row_b.known || row_a.kind == EXPOSITION_END) && text_equal(row_a.raw, row_b.raw) &&
               double_bits(row_a.value) == double_bits(row_b.value) &&
               row_a.has_time == row_b.has_time && row_a.time_ms == row_b.time_ms &&
               row_a.exemplar_count == row_b.exemplar_count;
    } while (same && row_a.kind != EXPOSITION_END);
    exposition_free(&a);
    exposition_free(&b);
    return same;
}

// Reads a page twice, the second time expecting at each row what it is not: the row before, and its
// own raw bytes without the last. True when the same rows came.
static inline bool round_trip_misled(ExpositionFormat format, ExpositionOptions options, Text body,
                                     Arena *arena) {
    Exposition a = {0}, b = {0}, c = {0};
    exposition_begin(&a, format, options, body);
    exposition_begin(&b, format, options, body);
    exposition_begin(&c, format, options, body);
    ExpositionRow row_a, row_b, row_c;
    Error err;
    Text before = TEXT_NONE;
    bool same;
    do {
        if (!exposition_next(&a, TEXT_NONE, &row_a, &err)) return false;
        Text shorter = text_slice(row_a.raw, 0, row_a.raw.len - (row_a.raw.len > 0));
        same = exposition_next(&b, before, &row_b, &err) &&
               exposition_next(&c, shorter, &row_c, &err) && !row_c.known &&
               row_b.known == (before.at != NULL && text_equal(before, row_a.raw) &&
                               row_a.kind != EXPOSITION_END) &&
               text_equal(row_a.raw, row_b.raw) && text_equal(row_a.raw, row_c.raw) &&
               row_a.kind == row_b.kind && row_a.kind == row_c.kind &&
               double_bits(row_a.value) == double_bits(row_b.value) &&
               double_bits(row_a.value) == double_bits(row_c.value);
        before = text_copy(row_a.raw, arena);
    } while (same && row_a.kind != EXPOSITION_END);
    exposition_free(&a);
    exposition_free(&b);
    exposition_free(&c);
    return same;
}
