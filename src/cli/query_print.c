// Printing results: one line per series for an instant, one block per series for a range.

#include "cli/query_print.h"

#include "model/labels.h"
#include "os/clock.h"

static const Text name_label = TEXT_INIT("__name__");

static bool strange(Error *err) {
    return error_set(err, ERROR_CORRUPT, "the answer has not the shape of a query's result");
}

// ---- Points ----

typedef struct Point {
    Text time;
    Text value;
} Point;

// {count:4, sum:5, (1,2]:3}: the bounds that belong to a bucket in square brackets.
static bool read_histogram(const JsonValue *value, Arena *arena, Text *out, Error *err) {
    static const char opens[] = {'(', '[', '(', '['}, closes[] = {']', ')', ')', ']'};
    const JsonValue *count = json_get(value, TEXT("count")), *sum = json_get(value, TEXT("sum"));
    if (count == NULL || sum == NULL) return strange(err);
    AUTO(builder_free) Builder text = {0};
    builder_addf(&text, "{count:%.*s, sum:%.*s", TEXT_ARG(count->text), TEXT_ARG(sum->text));
    const JsonValue *buckets = json_get(value, TEXT("buckets"));
    for (const JsonValue *bucket = buckets == NULL ? NULL : buckets->first; bucket != NULL;
         bucket = bucket->next) {
        double rule;
        if (bucket->kind != JSON_ARRAY_BEGIN || bucket->count != 4 ||
            !json_number(bucket->first, &rule) || !(rule >= 0 && rule < 4))
            return strange(err);
        const JsonValue *lower = bucket->first->next, *upper = lower->next;
        builder_addf(&text, ", %c%.*s,%.*s%c:%.*s", opens[(size_t)rule], TEXT_ARG(lower->text),
                     TEXT_ARG(upper->text), closes[(size_t)rule], TEXT_ARG(upper->next->text));
    }
    builder_add_char(&text, '}');
    *out = text_copy(builder_text(&text), arena);
    return true;
}

// [1700000000.5, "42"], or a native histogram in place of the number.
static bool read_point(const JsonValue *pair, Arena *arena, Point *out, Error *err) {
    if (pair == NULL || pair->kind != JSON_ARRAY_BEGIN || pair->count != 2) return strange(err);
    const JsonValue *time = pair->first, *value = time->next;
    double seconds;
    if (!json_number(time, &seconds)) return strange(err);
    out->time = time_format_ms((int64_t)(seconds * 1000 + (seconds < 0 ? -0.5 : 0.5)), arena);
    if (value->kind == JSON_STRING) {
        out->value = value->text;
        return true;
    }
    return read_histogram(value, arena, &out->value, err);
}

// ---- Labels ----

typedef ARRAY(Text) TextArray;

static bool has_text(const TextArray *array, Text text) {
    for (size_t i = 0; i < array->count; i++) {
        if (text_equal(array->at[i], text)) return true;
    }
    return false;
}

static int by_text(const void *a, const void *b) {
    return text_compare(*(const Text *)a, *(const Text *)b);
}

// Every label's name but the metric's, sorted; the server lists few names over many series.
static TextArray label_names(const JsonValue *result, Arena *arena, bool *named) {
    TextArray names = {0};
    for (const JsonValue *series = result->first; series != NULL; series = series->next) {
        const JsonValue *metric = json_get(series, TEXT("metric"));
        for (const JsonValue *label = metric == NULL ? NULL : metric->first; label != NULL;
             label = label->next) {
            if (text_equal(label->key, name_label)) {
                *named = true;
            } else if (!has_text(&names, label->key)) {
                *array_add_on(arena, &names) = label->key;
            }
        }
    }
    if (names.count > 1) qsort(names.at, names.count, sizeof *names.at, by_text);
    return names;
}

static Text label_of(const JsonValue *series, Text name) {
    const JsonValue *label = json_get(json_get(series, TEXT("metric")), name);
    return label == NULL ? TEXT("") : label->text;
}

// `name{a="b"}`, as PromQL writes it: quotes and control bytes are escaped.
static bool title_of(const JsonValue *series, Arena *arena, Builder *out, Error *err) {
    LabelArray labels = {0};
    const JsonValue *metric = json_get(series, TEXT("metric"));
    for (const JsonValue *label = metric == NULL ? NULL : metric->first; label != NULL;
         label = label->next) {
        *array_add_on(arena, &labels) = (Label){label->key, label->text};
    }
    Labels made;
    TRY(labels_make(labels.at, labels.count, arena, &made, err));
    labels_print(made, out);
    builder_add_char(out, '\n');
    return true;
}

// ---- Tables ----

typedef struct Columns {
    bool named;
    TextArray labels;
} Columns;

static Columns begin_columns(Table *table, const JsonValue *result, bool with_time) {
    Columns columns = {0};
    columns.labels = label_names(result, table->arena, &columns.named);
    if (with_time) table_column(table, TEXT("time"), false, false);
    if (columns.named) table_column(table, TEXT("metric"), false, false);
    for (size_t i = 0; i < columns.labels.count; i++)
        table_column(table, columns.labels.at[i], false, false);
    table_column(table, TEXT("value"), true, false);
    return columns;
}

static void add_row(Table *table, const Columns *columns, const JsonValue *series,
                    const Point *point, bool with_time) {
    if (with_time) table_cell(table, point->time);
    if (columns->named) table_cell(table, label_of(series, name_label));
    for (size_t i = 0; i < columns->labels.count; i++)
        table_cell(table, label_of(series, columns->labels.at[i]));
    table_cell(table, point->value);
}

static const JsonValue *value_of(const JsonValue *series) {
    const JsonValue *value = json_get(series, TEXT("value"));
    return value != NULL ? value : json_get(series, TEXT("histogram"));
}

static bool print_vector(const JsonValue *result, TableFormat format, Arena *arena, Builder *out,
                         Error *err) {
    bool with_time = format == TABLE_CSV;
    Table table = {.arena = arena};
    Columns columns = begin_columns(&table, result, with_time);
    for (const JsonValue *series = result->first; series != NULL; series = series->next) {
        Point point;
        TRY(read_point(value_of(series), arena, &point, err));
        add_row(&table, &columns, series, &point, with_time);
    }
    table_print(&table, format, out);
    return true;
}

// A series' points: "values" and, where there are some, "histograms".
static bool each_point(const JsonValue *series, Table *table, const Columns *columns, Error *err) {
    static const Text keys[] = {TEXT_INIT("values"), TEXT_INIT("histograms")};
    for (size_t i = 0; i < COUNT(keys); i++) {
        const JsonValue *points = json_get(series, keys[i]);
        for (const JsonValue *pair = points == NULL ? NULL : points->first; pair != NULL;
             pair = pair->next) {
            Point point;
            TRY(read_point(pair, table->arena, &point, err));
            add_row(table, columns, series, &point, true);
        }
    }
    return true;
}

static bool print_matrix(const JsonValue *result, TableFormat format, Arena *arena, Builder *out,
                         Error *err) {
    if (format == TABLE_CSV) {
        Table table = {.arena = arena};
        Columns columns = begin_columns(&table, result, true);
        for (const JsonValue *series = result->first; series != NULL; series = series->next) {
            TRY(each_point(series, &table, &columns, err));
        }
        table_print(&table, format, out);
        return true;
    }
    for (const JsonValue *series = result->first; series != NULL; series = series->next) {
        Table table = {.arena = arena};
        Columns none = {0};
        table_column(&table, TEXT("time"), false, false);
        table_column(&table, TEXT("value"), true, false);
        TRY(each_point(series, &table, &none, err));
        if (series != result->first) builder_add_char(out, '\n');
        TRY(title_of(series, arena, out, err));
        table_print(&table, format, out);
    }
    return true;
}

static bool print_single(const JsonValue *result, TableFormat format, Arena *arena, Builder *out,
                         Error *err) {
    Point point;
    TRY(read_point(result, arena, &point, err));
    if (format == TABLE_TEXT) {
        builder_addf(out, "%.*s\n", TEXT_ARG(point.value));
        return true;
    }
    Table table = {.arena = arena};
    table_column(&table, TEXT("time"), false, false);
    table_column(&table, TEXT("value"), true, false);
    table_cell(&table, point.time);
    table_cell(&table, point.value);
    table_print(&table, format, out);
    return true;
}

bool query_print(const JsonValue *data, TableFormat format, Arena *arena, Builder *out,
                 size_t *rows, Error *err) {
    const JsonValue *type = json_get(data, TEXT("resultType")),
                    *result = json_get(data, TEXT("result"));
    if (type == NULL || result == NULL || result->kind != JSON_ARRAY_BEGIN) return strange(err);
    bool vector = text_equal(type->text, TEXT("vector")),
         matrix = text_equal(type->text, TEXT("matrix"));
    *rows = vector || matrix ? result->count : 1;
    if (*rows == 0 && format == TABLE_TEXT) return true;
    if (vector) return print_vector(result, format, arena, out, err);
    if (matrix) return print_matrix(result, format, arena, out, err);
    return print_single(result, format, arena, out, err);
}

// ---- Where the fault is ----

static bool take_number(Text text, size_t *at, uint64_t *out) {
    size_t start = *at;
    while (*at < text.len && text.at[*at] >= '0' && text.at[*at] <= '9') (*at)++;
    return text_to_u64(text_slice(text, start, *at), out);
}

// The first "12:34:" of a message.
static bool find_place(Text message, uint64_t *line, uint64_t *column) {
    for (size_t i = 0; i < message.len; i++) {
        if (i > 0 && message.at[i - 1] >= '0' && message.at[i - 1] <= '9') continue;
        size_t at = i;
        if (!take_number(message, &at, line) || at == message.len || message.at[at++] != ':')
            continue;
        if (take_number(message, &at, column) && at < message.len && message.at[at] == ':')
            return *line > 0 && *column > 0;
    }
    return false;
}

void query_print_caret(Text query, Text message, Builder *out) {
    uint64_t line, column;
    if (!find_place(message, &line, &column)) return;
    Text rest = query, found = TEXT_NONE;
    for (uint64_t i = 0; i < line; i++) {
        if (!text_cut(&rest, '\n', &found)) return;
    }
    if (column > found.len + 1) return;
    Text before = text_slice(found, 0, (size_t)column - 1);
    builder_addf(out, "  %.*s\n  ", TEXT_ARG(found));
    for (size_t i = 0; i < before.len; i++) {
        // A tab before the caret as before the fault; bytes inside a character take no room.
        if (((unsigned char)before.at[i] & 0xc0) != 0x80)
            builder_add_char(out, before.at[i] == '\t' ? '\t' : ' ');
    }
    builder_add(out, TEXT("^\n"));
}
