// A walk gives views within the message; written again, the same fields come back.

#include "base/array.h"
#include "base/assert.h"
#include "codec/protobuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef ARRAY(ProtobufField) Fields;

static bool walk(Bytes message, bool fast, Fields *fields) {
    Reader reader = reader_begin(message);
    ProtobufField field;
    while (fast ? protobuf_next(&reader, &field) : protobuf_next_any(&reader, &field)) {
        assert(field.bytes.at >= message.at &&
               field.bytes.at + field.bytes.len <= message.at + message.len);
        *array_add(fields) = field;
    }
    assert(reader.failed || reader.at == reader.end);
    return !reader.failed;
}

// Only the fields of one number, as protobuf_next_of finds them.
static void walk_of(Bytes message, const Fields *all, bool valid) {
    for (uint32_t number = 1; number < 16; number++) {
        Reader reader = reader_begin(message);
        Bytes content;
        size_t i = 0;
        while (protobuf_next_of(&reader, number, &content)) {
            while (i < all->count && (all->at[i].number != number || all->at[i].type != WIRE_BYTES))
                i++;
            assert(i < all->count && content.at == all->at[i].bytes.at &&
                   content.len == all->at[i].bytes.len);
            i++;
        }
        for (; valid && i < all->count; i++)
            assert(all->at[i].number != number || all->at[i].type != WIRE_BYTES);
        assert(valid == !reader.failed);
    }
}

static void write(const Fields *fields, Builder *out) {
    for (size_t i = 0; i < fields->count; i++) {
        const ProtobufField *field = &fields->at[i];
        switch (field->type) {
            case WIRE_VARINT:
                protobuf_add_varint(out, field->number, field->value);
                break;
            case WIRE_FIXED64:
                protobuf_add_fixed64(out, field->number, field->value);
                break;
            case WIRE_FIXED32:
                protobuf_add_fixed32(out, field->number, (uint32_t)field->value);
                break;
            case WIRE_BYTES: {
                size_t begun = protobuf_begin(out, field->number);
                builder_add_bytes(out, field->bytes.at, field->bytes.len);
                protobuf_end(out, begun);
                break;
            }
            case WIRE_GROUP:
            case WIRE_GROUP_END:
                unreachable("groups are passed by");
        }
    }
}

static bool same(const Fields *a, const Fields *b, bool same_bytes) {
    if (a->count != b->count) return false;
    for (size_t i = 0; i < a->count; i++) {
        const ProtobufField *x = &a->at[i], *y = &b->at[i];
        if (x->number != y->number || x->type != y->type || x->value != y->value) return false;
        // A varint may have been padded; what was written is not.
        if ((same_bytes || x->type == WIRE_BYTES) && !bytes_equal(x->bytes, y->bytes)) return false;
    }
    return true;
}

static void walk_packed(const ProtobufField *field) {
    static const WireType elements[] = {WIRE_VARINT, WIRE_FIXED64, WIRE_FIXED32};
    for (size_t i = 0; i < COUNT(elements); i++) {
        Reader packed = protobuf_packed(field);
        uint64_t bits;
        size_t count = 0;
        while (protobuf_packed_next(&packed, elements[i], &bits)) count++;
        assert(count <= field->bytes.len);
        bool single = field->type == elements[i];
        assert(!single || (count == 1 && !packed.failed && bits == field->value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Fields first = {0}, any = {0}, again = {0};
    AUTO(builder_free) Builder written = {0};
    bool valid = walk((Bytes){data, size}, true, &first);
    bool valid_any = walk((Bytes){data, size}, false, &any);
    assert(valid == valid_any && same(&first, &any, true));
    walk_of((Bytes){data, size}, &first, valid);
    for (size_t i = 0; i < first.count; i++) walk_packed(&first.at[i]);
    write(&first, &written);
    bool valid_again = walk(text_bytes(builder_text(&written)), true, &again);
    assert(valid_again && same(&first, &again, false));
    array_free(&first);
    array_free(&any);
    array_free(&again);
    return 0;
}
