// Labels of --label, which series that do not have them get. Private to cli.
#pragma once

#include "cli/run.h"
#include "model/labels.h"

typedef struct ExtraLabels {
    LabelArray at;
} ExtraLabels;

// On the call's arena. BAD_INPUT for what is not NAME=VALUE, has a name or a value that no label
// may have, or a name twice.
must_use bool extra_labels_begin(const Call *call, ExtraLabels *out, Error *err);

// `labels`, with those of the extra ones whose name it does not have; a copy on `arena` where any
// is added. Limits on the number of labels are not looked at.
must_use bool extra_labels_add(const ExtraLabels *extra, Arena *arena, Labels *labels, Error *err);

// ", label a=b, label c=d", for people; empty without any.
Text extra_labels_text(const ExtraLabels *extra, Arena *arena);
