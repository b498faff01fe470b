// Label sets made from label sets, in canonical bytes from the start: what is kept is copied whole.

#include "query/exec/exec.h"

Texts labels_of_metric(void) {
    static Text names[] = {TEXT_INIT("__name__"), TEXT_INIT("__type__"), TEXT_INIT("__unit__")};
    return (Texts){names, COUNT(names)};
}

static bool is_meta(Text name) {
    return text_is_among(name, labels_of_metric());
}

static Labels taken(Exec *exec, Arena *arena) {
    return (Labels){bytes_copy(text_bytes(builder_text(&exec->wire)), arena)};
}

Labels labels_without_name(Exec *exec, Labels labels, Arena *arena) {
    // The usual case costs nothing: the name comes first, and what follows it is already canonical.
    Label label;
    Bytes rest = labels.wire;
    if (!labels_next(&rest, &label)) return labels;
    if (text_equal(label.name, LABEL_NAME)) {
        Bytes behind = rest;
        bool more = labels_next(&rest, &label);
        while (more && text_starts_with(label.name, TEXT("__")) && !is_meta(label.name))
            more = labels_next(&rest, &label);
        if (!more || !is_meta(label.name)) return (Labels){behind};
    }
    builder_clear(&exec->wire);
    bool found = false;
    for (rest = labels.wire; labels_next(&rest, &label);) {
        if (is_meta(label.name)) {
            found = true;
        } else {
            labels_append(&exec->wire, label.name, label.value);
        }
    }
    return found ? taken(exec, arena) : labels;
}

Labels labels_keep(Exec *exec, Labels labels, Texts names, Arena *arena) {
    if (names.count == 0) return LABELS_NONE;
    builder_clear(&exec->wire);
    Label label;
    for (Bytes rest = labels.wire; labels_next(&rest, &label);) {
        if (text_is_among(label.name, names)) labels_append(&exec->wire, label.name, label.value);
    }
    return taken(exec, arena);
}

// Labels are canonical, so what is kept is pieces of the whole; most often one.
Labels labels_keep_view(Exec *exec, Labels labels, Texts names) {
    Bytes piece = BYTES_NONE;
    bool built = false;
    Label label;
    Bytes rest = labels.wire, before = rest;
    for (size_t found = 0; found < names.count && labels_next(&rest, &label); before = rest) {
        if (!text_is_among(label.name, names)) continue;
        found++;
        Bytes one = {before.at, (size_t)(rest.at - before.at)};
        if (!built && piece.len > 0 && piece.at + piece.len != one.at) {
            builder_clear(&exec->wire);
            builder_add(&exec->wire, bytes_text(piece));
            built = true;
        }
        if (built) {
            builder_add(&exec->wire, bytes_text(one));
        } else if (piece.len == 0) {
            piece = one;
        } else {
            piece.len += one.len;
        }
    }
    return (Labels){built ? text_bytes(builder_text(&exec->wire)) : piece};
}

Labels labels_remove(Exec *exec, Labels labels, Texts names, bool name_too, Arena *arena) {
    builder_clear(&exec->wire);
    Label label;
    for (Bytes rest = labels.wire; labels_next(&rest, &label);) {
        if ((name_too && text_equal(label.name, LABEL_NAME)) || text_is_among(label.name, names))
            continue;
        labels_append(&exec->wire, label.name, label.value);
    }
    return taken(exec, arena);
}

Labels labels_set(Exec *exec, Labels labels, Text name, Text value, Arena *arena) {
    builder_clear(&exec->wire);
    bool placed = value.len == 0;
    Label label;
    for (Bytes rest = labels.wire; labels_next(&rest, &label);) {
        int order = text_compare(label.name, name);
        if (order >= 0 && !placed) {
            labels_append(&exec->wire, name, value);
            placed = true;
        }
        if (order != 0) labels_append(&exec->wire, label.name, label.value);
    }
    if (!placed) labels_append(&exec->wire, name, value);
    return taken(exec, arena);
}

void series_drop_name(Exec *exec, StepSeries *series, Arena *arena) {
    if (exec->request->delayed_names) {
        series->drop_name = true;
    } else {
        Bytes before = series->labels.wire;
        series->labels = labels_without_name(exec, series->labels, arena);
        // Most often it is a piece of what it was.
        const uint8_t *at = series->labels.wire.at;
        series->lasting &= at >= before.at && at <= before.at + before.len;
    }
}
