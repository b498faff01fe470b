// OTLP's JSON written as protobuf, so that one decoder serves both and both give the same rows.
//
// proto3's JSON mapping with OTLP's exceptions (specification.md, "JSON Protobuf Encoding"): ids in
// hex, enums as numbers (names are taken too), 64-bit integers as numbers or strings, names of
// fields in lowerCamelCase (snake_case is taken too), unknown fields passed by. Table: schema.def.
// Private to ingest/otlp.
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

// Appends the protobuf to `out`. BAD_INPUT with the place when it is not JSON, or not of the types
// that the schema wants.
must_use bool otlp_json_to_protobuf(Text json, Arena *scratch, Builder *out, Error *err);
