// Rows and columns for people and programs: aligned text, CSV (RFC 4180) or a JSON array of
// objects.
//
// Begin with {.arena = …}; headings first, then rows, cell by cell. Texts are views and must
// outlive the printing.
#pragma once

#include "base/array.h"
#include "base/error.h"
#include "base/text.h"

typedef enum TableFormat { TABLE_TEXT, TABLE_JSON, TABLE_CSV } TableFormat;

typedef struct TableColumn {
    Text name;
    bool right;   // numbers stand at the right
    bool number;  // in JSON without quotes
} TableColumn;

typedef struct Table {
    Arena *arena;
    ARRAY(TableColumn) columns;
    ARRAY(Text) cells;  // row by row
} Table;

void table_column(Table *table, Text name, bool right, bool number);
void table_cell(Table *table, Text cell);
size_t table_rows(const Table *table);

void table_print(const Table *table, TableFormat format, Builder *out);

// "table", "json", "csv"; BAD_INPUT lists them.
must_use bool table_format_parse(Text text, TableFormat *out, Error *err);

// Columns that `text` takes on a terminal: characters, not bytes.
size_t text_columns(Text text);
