// Labels gathered one by one, in any order, then given out under one metric name after the other:
// what protocols need whose rows are a set of tags and several values.
//
//   label_set_clear(&set);
//   label_set_add(&set, name, value);               any number; views, which outlive the set's use
//   label_set_close(&set, err)
//   label_set_named(&set, metric)                   again and again
//
// Begin with {0}; one thread at a time; its memory is kept.
#pragma once

#include "model/labels.h"

typedef struct LabelSet {
    LabelArray labels;
    Builder before, after;  // canonical bytes of those that sort before __name__, and behind it
    Builder wire;           // of the labels given out last
} LabelSet;

void label_set_free(LabelSet *set);
void label_set_clear(LabelSet *set);

// An empty value is no label.
void label_set_add(LabelSet *set, Text name, Text value);
bool label_set_has(const LabelSet *set, Text name);  // among those added; linear

// Sorts. BAD_INPUT when a name stands twice, is empty or is __name__; TOO_LARGE beyond
// SERIES_LABELS.
must_use bool label_set_close(LabelSet *set, Error *err);

// The labels with this __name__: a view until the next call. Whether they may be stored,
// labels_check will say.
Labels label_set_named(LabelSet *set, Text metric);

// Takes apart what a metric name may not hold: every byte but letters, digits, `_` and `:` becomes
// `_`, and a digit in front gets one before it. Onto `arena` when something changes. With
// `colon` false also `:`, as in names of labels.
Text label_name_plain(Text name, bool colon, Arena *arena);
