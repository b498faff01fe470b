// Printing a table in its three ways.

#include "cli/table.h"

#include "base/assert.h"
#include "codec/json.h"

enum { GAP = 2 };  // blanks between columns

void table_column(Table *table, Text name, bool right, bool number) {
    assert(table->cells.count == 0);
    *array_add_on(table->arena, &table->columns) = (TableColumn){name, right, number};
}

void table_cell(Table *table, Text cell) {
    *array_add_on(table->arena, &table->cells) = cell;
}

size_t table_rows(const Table *table) {
    assert(table->columns.count > 0 && table->cells.count % table->columns.count == 0);
    return table->cells.count / table->columns.count;
}

size_t text_columns(Text text) {
    size_t columns = 0;
    for (size_t i = 0; i < text.len; i++) columns += ((unsigned char)text.at[i] & 0xc0) != 0x80;
    return columns;
}

static void pad(Builder *out, size_t blanks) {
    for (size_t i = 0; i < blanks; i++) builder_add_char(out, ' ');
}

// A control byte from a label must not move the cursor of a terminal.
static void add_tame(Builder *out, Text text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        builder_add_char(out, c < 0x20 || c == 0x7f ? '?' : (char)c);
    }
}

static void print_line(const Table *table, const size_t *widths, const Text *cells, Builder *out) {
    size_t last = table->columns.count - 1;
    size_t start = out->len;
    for (size_t i = 0; i <= last; i++) {
        Text cell = cells != NULL ? cells[i] : table->columns.at[i].name;
        size_t blanks = widths[i] - text_columns(cell);
        if (table->columns.at[i].right) pad(out, blanks);
        add_tame(out, cell);
        if (i == last) break;
        if (!table->columns.at[i].right) pad(out, blanks);
        pad(out, GAP);
    }
    while (out->len > start && out->at[out->len - 1] == ' ') out->len--;
    builder_add_char(out, '\n');
}

static void print_text(const Table *table, Builder *out) {
    size_t count = table->columns.count, rows = table_rows(table);
    size_t *widths = memory_new_array(size_t, count);
    for (size_t i = 0; i < count; i++) widths[i] = text_columns(table->columns.at[i].name);
    for (size_t i = 0; i < table->cells.count; i++) {
        widths[i % count] = MAX(widths[i % count], text_columns(table->cells.at[i]));
    }
    print_line(table, widths, NULL, out);
    for (size_t row = 0; row < rows; row++)
        print_line(table, widths, &table->cells.at[row * count], out);
    memory_free(widths);
}

static void add_csv(Builder *out, Text cell) {
    bool quote = false;
    for (size_t i = 0; i < cell.len && !quote; i++) {
        char c = cell.at[i];
        quote = c == ',' || c == '"' || c == '\n' || c == '\r';
    }
    if (!quote) {
        builder_add(out, cell);
        return;
    }
    builder_add_char(out, '"');
    for (size_t i = 0; i < cell.len; i++) {
        if (cell.at[i] == '"') builder_add_char(out, '"');
        builder_add_char(out, cell.at[i]);
    }
    builder_add_char(out, '"');
}

static void print_csv(const Table *table, Builder *out) {
    size_t count = table->columns.count;
    for (size_t i = 0; i < count; i++) {
        add_csv(out, table->columns.at[i].name);
        builder_add_char(out, i + 1 == count ? '\n' : ',');
    }
    for (size_t i = 0; i < table->cells.count; i++) {
        add_csv(out, table->cells.at[i]);
        builder_add_char(out, (i + 1) % count == 0 ? '\n' : ',');
    }
}

static void print_json(const Table *table, Builder *out) {
    JsonWriter writer = json_writer_begin(out);
    json_array_begin(&writer);
    for (size_t row = 0; row < table_rows(table); row++) {
        json_object_begin(&writer);
        for (size_t i = 0; i < table->columns.count; i++) {
            Text cell = table->cells.at[row * table->columns.count + i];
            json_key(&writer, table->columns.at[i].name);
            if (table->columns.at[i].number && cell.len > 0) {
                json_raw(&writer, cell);
            } else {
                json_text(&writer, cell);
            }
        }
        json_object_end(&writer);
    }
    json_array_end(&writer);
    builder_add_char(out, '\n');
}

void table_print(const Table *table, TableFormat format, Builder *out) {
    switch (format) {
        case TABLE_TEXT:
            print_text(table, out);
            return;
        case TABLE_JSON:
            print_json(table, out);
            return;
        case TABLE_CSV:
            print_csv(table, out);
            return;
    }
    unreachable("every format is above");
}

bool table_format_parse(Text text, TableFormat *out, Error *err) {
    static const Text names[] = {TEXT_INIT("table"), TEXT_INIT("json"), TEXT_INIT("csv")};
    for (size_t i = 0; i < COUNT(names); i++) {
        if (!text_equal(names[i], text)) continue;
        *out = (TableFormat)i;
        return true;
    }
    return error_set(err, ERROR_BAD_INPUT,
                     "\"%.*s\" is not a way to print; there are table, json and csv",
                     TEXT_ARG(text));
}
