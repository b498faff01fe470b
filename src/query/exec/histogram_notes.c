// Annotations about native histograms, in the words of Prometheus.

#include "query/exec/exec.h"

static Text name_of(Labels labels) {
    Text name = labels_get(labels, LABEL_NAME);
    return name.at == NULL ? TEXT("") : text_slice(name, 0, 200);
}

void note_mixed_range(Exec *exec, SourceRange range, Labels labels) {
    exec_note(exec, NOTE_WARNING, range,
              "encountered a mix of histograms and floats for metric name \"%.*s\"",
              TEXT_ARG(name_of(labels)));
}

void note_ignored_in_range(Exec *exec, SourceRange range, Labels labels) {
    exec_note(exec, NOTE_INFO, range,
              "ignored histograms in a range containing both floats and histograms for metric name "
              "\"%.*s\"",
              TEXT_ARG(name_of(labels)));
}

void note_mixed_schemas(Exec *exec, SourceRange range, Labels labels) {
    exec_note(exec, NOTE_WARNING, range,
              "vector contains a mix of histograms with exponential and custom buckets schemas for "
              "metric name \"%.*s\"",
              TEXT_ARG(name_of(labels)));
}

void note_not_counter(Exec *exec, SourceRange range, Labels labels) {
    exec_note(exec, NOTE_WARNING, range, "this native histogram metric is not a counter: \"%.*s\"",
              TEXT_ARG(name_of(labels)));
}

void note_not_gauge(Exec *exec, SourceRange range, Labels labels) {
    exec_note(exec, NOTE_WARNING, range, "this native histogram metric is not a gauge: \"%.*s\"",
              TEXT_ARG(name_of(labels)));
}

void note_starts_overlap(Exec *exec, SourceRange range, Labels labels) {
    exec_note(exec, NOTE_WARNING, range,
              "sample has start time that overlaps with previous sample timestamp for metric "
              "\"%.*s\"",
              TEXT_ARG(name_of(labels)));
}

void note_ignored_in_aggregation(Exec *exec, SourceRange range, Text aggregation) {
    exec_note(exec, NOTE_INFO, range, "ignored histogram in %.*s aggregation",
              TEXT_ARG(aggregation));
}

void note_join(Exec *exec, SourceRange range, HistogramJoin join, const char *what) {
    if (join.collision)
        exec_note(exec, NOTE_WARNING, range, "conflicting counter resets during histogram %s",
                  what);
    if (join.reconciled)
        exec_note(exec, NOTE_INFO, range, "mismatched custom buckets were reconciled during %s",
                  what);
}

void note_unreadable(Exec *exec, SourceRange range, Labels labels, const Error *why) {
    exec_note(exec, NOTE_WARNING, range,
              "a stored native histogram cannot be used and is left out, for metric name \"%.*s\": "
              "%s",
              TEXT_ARG(name_of(labels)), why->message);
}
