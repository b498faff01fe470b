// Reading a ReadRequest: field numbers of prometheus/prompb/remote.proto and types.proto.

#include "base/limits.h"
#include "codec/protobuf.h"
#include "query/remote_read/remote_read.h"

typedef struct Decoding {
    Arena *arena;
    ReadRequest *out;
    Error *err;
} Decoding;

static bool broken(Decoding *decoding, const char *what) {
    return error_set(decoding->err, ERROR_BAD_INPUT, "%s of the read request is broken protobuf",
                     what);
}

static bool decode_matcher(Decoding *decoding, Bytes wire, Matcher *out) {
    Reader reader = reader_begin(wire);
    ProtobufField field;
    uint64_t kind = 0;
    Text name = TEXT(""), value = TEXT("");
    while (protobuf_next(&reader, &field)) {
        if (field.number == 1 && field.type == WIRE_VARINT) kind = field.value;
        if (field.number == 2 && field.type == WIRE_BYTES) name = bytes_text(field.bytes);
        if (field.number == 3 && field.type == WIRE_BYTES) value = bytes_text(field.bytes);
    }
    if (reader.failed) return broken(decoding, "a matcher");
    if (kind > MATCH_NOT_REGEX)
        return error_set(decoding->err, ERROR_BAD_INPUT, "a matcher has the unknown type %llu",
                         (unsigned long long)kind);
    if (!text_is_utf8(name) || !text_is_utf8(value))
        return error_set(decoding->err, ERROR_BAD_INPUT, "a matcher is not UTF-8");
    if (!matcher_make((MatcherKind)kind, name, value, out, decoding->err))
        return error_context(decoding->err, "matcher of the label %.*s",
                             TEXT_ARG(text_slice(name, 0, 64)));
    if (out->regex != NULL) *array_add(&decoding->out->regexes) = out->regex;
    return true;
}

static bool decode_query(Decoding *decoding, Bytes wire, ReadQuery *out) {
    Reader reader = reader_begin(wire);
    ProtobufField field;
    ARRAY(Matcher) matchers = {0};
    *out = (ReadQuery){0};
    while (protobuf_next(&reader, &field)) {
        if (field.number == 1 && field.type == WIRE_VARINT) out->from_ms = (int64_t)field.value;
        if (field.number == 2 && field.type == WIRE_VARINT) out->to_ms = (int64_t)field.value;
        if (field.number != 3 || field.type != WIRE_BYTES) continue;  // hints change no answer
        if ((int64_t)matchers.count == LIMIT_READ_MATCHERS) {
            return error_set(decoding->err, ERROR_TOO_MANY,
                             "a query has more than %lld matchers (READ_MATCHERS)",
                             (long long)LIMIT_READ_MATCHERS);
        }
        Matcher matcher;
        TRY(decode_matcher(decoding, field.bytes, &matcher));
        *array_add_on(decoding->arena, &matchers) = matcher;
    }
    if (reader.failed) return broken(decoding, "a query");
    out->matchers = (Matchers){matchers.at, matchers.count};
    if (out->to_ms >= out->from_ms) return true;
    return error_set(decoding->err, ERROR_BAD_INPUT, "a query ends before it starts");
}

// Response types in the order in which the client likes them: 0 samples, 1 streamed XOR chunks.
static void take_type(ReadRequest *out, uint64_t type) {
    if (type == 0) out->samples = true;
    if (type != 1) return;
    out->chunks = true;
    out->chunks_wanted |= !out->samples;
}

static bool decode(Decoding *decoding, Bytes wire) {
    ReadRequest *out = decoding->out;
    Reader reader = reader_begin(wire);
    ProtobufField field;
    ARRAY(ReadQuery) queries = {0};
    bool any_type = false;
    while (protobuf_next(&reader, &field)) {
        if (field.number == 2 && (field.type == WIRE_VARINT || field.type == WIRE_BYTES)) {
            any_type = true;
            Reader packed = protobuf_packed(&field);
            for (uint64_t type; protobuf_packed_next(&packed, WIRE_VARINT, &type);)
                take_type(out, type);
            if (packed.failed) return broken(decoding, "the list of response types");
        }
        if (field.number != 1 || field.type != WIRE_BYTES) continue;
        if ((int64_t)queries.count == LIMIT_READ_QUERIES) {
            return error_set(decoding->err, ERROR_TOO_MANY,
                             "the read request has more than %lld queries (READ_QUERIES)",
                             (long long)LIMIT_READ_QUERIES);
        }
        ReadQuery query;
        TRY(decode_query(decoding, field.bytes, &query));
        *array_add_on(decoding->arena, &queries) = query;
    }
    if (reader.failed) return broken(decoding, "the body");
    out->at = queries.at;
    out->count = queries.count;
    if (!any_type) out->samples = true;
    if (out->samples || out->chunks) return true;
    return error_set(decoding->err, ERROR_UNSUPPORTED,
                     "the client takes neither SAMPLES nor STREAMED_XOR_CHUNKS");
}

bool read_request_decode(Bytes wire, Arena *arena, ReadRequest *out, Error *err) {
    *out = (ReadRequest){0};
    Decoding decoding = {arena, out, err};
    if (decode(&decoding, wire)) return true;
    read_request_close(out);
    return false;
}

void read_request_drop(ReadRequest *request, Labels external) {
    for (size_t i = 0; i < request->count; i++) {
        Matchers *matchers = &request->at[i].matchers;
        size_t kept = 0;
        for (size_t j = 0; j < matchers->count; j++) {
            const Matcher *matcher = &matchers->at[j];
            Text value = labels_get(external, matcher->name);
            bool named = value.at != NULL && matcher->kind == MATCH_EQUAL &&
                         text_equal(value, matcher->value);
            if (!named) matchers->at[kept++] = *matcher;
        }
        matchers->count = kept;
    }
}

void read_request_close(ReadRequest *request) {
    for (size_t i = 0; i < request->regexes.count; i++) regex_close(&request->regexes.at[i]);
    array_free(&request->regexes);
}
