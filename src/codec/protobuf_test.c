// Varints, protobuf fields and CRC-32C: known bytes, malformed bytes, and writing read back.

#include "codec/protobuf.h"

#include "base/limits.h"
#include "base/test.h"
#include "codec/crc32c.h"

#define MESSAGE(literal) ((Bytes){(const uint8_t *)("" literal), sizeof(literal) - 1})

static Bytes built(const Builder *builder) {
    return text_bytes(builder_text(builder));
}

TEST(varints_come_back_at_every_length) {
    AUTO(builder_free) Builder out = {0};
    for (int bits = 0; bits <= 64; bits++) {
        uint64_t value = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
        builder_clear(&out);
        writer_varint(&out, value);
        writer_zigzag(&out, (int64_t)value);
        check_i64(t, varint_len(value) + varint_len(zigzag_encode((int64_t)value)), out.len);
        Reader reader = reader_begin(built(&out));
        check(t, reader_varint(&reader) == value);
        check(t, reader_zigzag(&reader) == (int64_t)value);
        check(t, !reader.failed && reader_left(&reader) == 0);
        // Whatever stands behind it.
        for (unsigned behind = 0; behind < 256; behind += 51) {
            AUTO(builder_free) Builder more = {0};
            writer_varint(&more, value);
            for (int i = 0; i < 12; i++) builder_add_char(&more, (char)behind);
            reader = reader_begin(built(&more));
            check(t, reader_varint(&reader) == value);
            check(t, !reader.failed && reader_left(&reader) == 12);
        }
        for (size_t cut = 0; cut < varint_len(value); cut++) {
            Reader part = reader_begin((Bytes){(const uint8_t *)out.at, cut});
            check(t, reader_varint(&part) == 0 && part.failed);
        }
    }
}

TEST(overlong_varints_are_malformed_and_padded_ones_are_not) {
    Reader eleven = reader_begin(MESSAGE("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"));
    check(t, reader_varint(&eleven) == 0 && eleven.failed);
    Reader bit65 = reader_begin(MESSAGE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
    check(t, reader_varint(&bit65) == 0 && bit65.failed);
    Reader largest = reader_begin(MESSAGE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
    check(t, reader_varint(&largest) == UINT64_MAX && !largest.failed);
    Reader padded = reader_begin(MESSAGE("\x81\x80\x00"));
    check(t, reader_varint(&padded) == 1 && !padded.failed);
}

TEST(failure_is_sticky_and_the_position_stays) {
    Reader reader = reader_begin(MESSAGE("\x01\x02\x03"));
    check(t, reader_u16(&reader) == 0x0201);
    check(t, reader_u32(&reader) == 0 && reader.failed);
    check(t, reader_u8(&reader) == 0 && reader_left(&reader) == 1);
    check(t, reader_varint(&reader) == 0 && reader_take(&reader, 0).at == NULL);
    Reader huge = reader_begin(MESSAGE("abc"));
    check(t, reader_take(&huge, UINT64_MAX).at == NULL && huge.failed);
    Reader nothing = reader_begin(BYTES_NONE);
    check(t, reader_u8(&nothing) == 0 && nothing.failed);
}

TEST(fixed_numbers_are_little_endian) {
    AUTO(builder_free) Builder out = {0};
    writer_u16(&out, 0x0102);
    writer_u32(&out, 0x01020304);
    writer_u64(&out, 0x0102030405060708);
    writer_f64(&out, -1.5);
    check_same_bytes(t, out.at,
                     "\x02\x01\x04\x03\x02\x01\x08\x07\x06\x05\x04\x03\x02\x01\0\0\0\0\0\0\xf8\xbf",
                     22);
    Reader reader = reader_begin(built(&out));
    check(t, reader_u16(&reader) == 0x0102 && reader_u32(&reader) == 0x01020304);
    check(t, reader_u64(&reader) == 0x0102030405060708 && reader_f64(&reader) == -1.5);
    check(t, !reader.failed && reader_left(&reader) == 0);
}

TEST(fields_come_back_as_written) {
    AUTO(builder_free) Builder out = {0};
    protobuf_add_varint(&out, 1, 300);
    protobuf_add_sint(&out, 2, -3);
    protobuf_add_double(&out, 3, 2.5);
    protobuf_add_text(&out, 536870911, TEXT("far"));
    protobuf_add_fixed32(&out, 5, 7);
    protobuf_add_fixed64(&out, 16, 8);
    static const uint64_t values[] = {300, 5, 0x4004000000000000, 0, 7, 8};
    static const uint32_t numbers[] = {1, 2, 3, 536870911, 5, 16};
    Reader reader = reader_begin(built(&out));
    ProtobufField field;
    size_t count = 0;
    while (protobuf_next(&reader, &field)) {
        check_i64(t, numbers[count], field.number);
        check(t, field.value == values[count]);
        count++;
    }
    check(t, !reader.failed && count == COUNT(values));
}

TEST(a_sub_message_of_any_length_comes_back) {
    static const size_t lens[] = {0, 1, 127, 128, 129, 16383, 16384, 300000};
    AUTO(builder_free) Builder out = {0};
    for (size_t i = 0; i < COUNT(lens); i++) {
        builder_clear(&out);
        size_t outer = protobuf_begin(&out, 1);
        size_t inner = protobuf_begin(&out, 2);
        for (size_t k = 0; k < lens[i]; k++) builder_add_char(&out, (char)k);
        protobuf_end(&out, inner);
        protobuf_add_varint(&out, 3, 9);
        protobuf_end(&out, outer);
        Reader reader = reader_begin(built(&out));
        ProtobufField field;
        check(t, protobuf_next(&reader, &field) && field.number == 1 && reader_left(&reader) == 0);
        Reader within = reader_begin(field.bytes);
        check(t, protobuf_next(&within, &field) && field.number == 2 && field.bytes.len == lens[i]);
        for (size_t k = 0; k < lens[i]; k++) check(t, field.bytes.at[k] == (uint8_t)k);
        check(t, protobuf_next(&within, &field) && field.number == 3 && field.value == 9);
        check(t, !protobuf_next(&within, &field) && !within.failed);
    }
}

TEST(the_fields_of_one_number_come_whatever_lies_between) {
    static const size_t lens[] = {0, 1, 127, 128, 200, 16383, 16384, 40000};
    AUTO(builder_free) Builder out = {0};
    char *text = arena_push_array(t->arena, char, 40000);
    for (size_t i = 0; i < COUNT(lens); i++) {
        protobuf_add_text(&out, 2, TEXT("another"));
        protobuf_add_varint(&out, 1, i);  // the number, but no bytes
        protobuf_add_text(&out, 1, (Text){text, lens[i]});
        protobuf_add_text(&out, 17, TEXT("one whose tag takes two bytes"));
    }
    Bytes content = BYTES_NONE, whole = text_bytes(builder_text(&out));
    Reader reader = reader_begin(whole);
    for (size_t i = 0; i < COUNT(lens); i++) {
        check(t, protobuf_next_of(&reader, 1, &content));
        check_i64(t, lens[i], content.len);
    }
    check(t, !protobuf_next_of(&reader, 1, &content) && !reader.failed);
    // Cut anywhere it gives no more than is there, and says when it is malformed.
    for (size_t len = 0; len < 600; len++) {
        uint8_t *exact = memory_take(len + 1);
        memcpy(exact, whole.at, len);
        Reader fast = reader_begin((Bytes){exact, len}), slow = fast;
        size_t found = 0, wanted = 0;
        ProtobufField field;
        while (protobuf_next_of(&fast, 1, &content)) found++;
        while (protobuf_next_any(&slow, &field))
            wanted += field.number == 1 && field.type == WIRE_BYTES;
        check(t, found == wanted && fast.failed == slow.failed);
        memory_free(exact);
    }
}

TEST(malformed_messages_fail) {
    static const struct {
        const char *why;
        Bytes bytes;
    } cases[] = {
        {"field number 0", {(const uint8_t *)"\x02\x00", 2}},
        {"field number 0, varint", {(const uint8_t *)"\x00\x00", 2}},
        {"field number 2^29", {(const uint8_t *)"\x80\x80\x80\x80\x10\x00", 6}},
        {"wire type 6", {(const uint8_t *)"\x0e\x00", 2}},
        {"wire type 7", {(const uint8_t *)"\x0f\x00", 2}},
        {"a tag alone", {(const uint8_t *)"\x0a", 1}},
        {"a length beyond the end",
         {(const uint8_t *)"\x0a\x05"
                           "abcd",
          6}},
        {"a length of 2^64 - 1",
         {(const uint8_t *)"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}},
        {"a fixed64 of 7 bytes",
         {(const uint8_t *)"\x09"
                           "1234567",
          8}},
        {"a fixed32 of 3 bytes",
         {(const uint8_t *)"\x0d"
                           "123",
          4}},
        {"a group that does not end", {(const uint8_t *)"\x0b\x08\x01", 3}},
        {"a group ended by another", {(const uint8_t *)"\x0b\x14", 2}},
        {"the end of no group", {(const uint8_t *)"\x0c", 1}},
        {"an overlong tag",
         {(const uint8_t *)"\x88\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00\x01", 12}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        Reader reader = reader_begin(cases[i].bytes);
        ProtobufField field;
        bool given = protobuf_next(&reader, &field);
        if (given || !reader.failed)
            check_failed(t, __FILE__, __LINE__, "%s is accepted", cases[i].why);
        check(t, !protobuf_next(&reader, &field));
    }
}

TEST(groups_are_passed_by_down_to_their_limit) {
    for (int64_t depth = 1; depth <= LIMIT_NESTING_PROTOBUF + 1; depth++) {
        AUTO(builder_free) Builder out = {0};
        for (int64_t i = 0; i < depth; i++)
            builder_add_char(&out, (char)((i % 15 + 1) << 3 | WIRE_GROUP));
        protobuf_add_text(&out, 1, TEXT("hidden"));
        for (int64_t i = depth - 1; i >= 0; i--)
            builder_add_char(&out, (char)((i % 15 + 1) << 3 | WIRE_GROUP_END));
        protobuf_add_varint(&out, 2, 7);
        Reader reader = reader_begin(built(&out));
        ProtobufField field;
        bool within = depth <= LIMIT_NESTING_PROTOBUF;
        check(t, protobuf_next(&reader, &field) == within && reader.failed == !within);
        check(t, !within || (field.number == 2 && field.value == 7));
    }
}

TEST(repeated_numbers_come_packed_or_one_by_one) {
    Reader reader = reader_begin(MESSAGE("\x0a\x04\x01\xac\x02\x03\x08\x05"));
    ProtobufField field;
    uint64_t expected[] = {1, 300, 3, 5}, bits;
    size_t count = 0;
    while (protobuf_next(&reader, &field)) {
        Reader packed = protobuf_packed(&field);
        while (protobuf_packed_next(&packed, WIRE_VARINT, &bits))
            check(t, count < 4 && bits == expected[count++]);
        check(t, !packed.failed);
    }
    check(t, count == 4 && !reader.failed);
    Reader cut =
        reader_begin(MESSAGE("\x0a\x09"
                             "123456789"));
    check(t, protobuf_next(&cut, &field));
    Reader packed = protobuf_packed(&field);
    check(t, protobuf_packed_next(&packed, WIRE_FIXED64, &bits) &&
                 !protobuf_packed_next(&packed, WIRE_FIXED64, &bits));
    check(t, packed.failed);
}

TEST(crc32c_is_that_of_rfc_3720) {
    uint8_t bytes[32] = {0};
    check(t, crc32c(0, (Bytes){bytes, 32}) == 0x8a9136aa);
    memset(bytes, 0xff, 32);
    check(t, crc32c(0, (Bytes){bytes, 32}) == 0x62a8ab43);
    for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)i;
    check(t, crc32c(0, (Bytes){bytes, 32}) == 0x46dd794e);
    check(t, crc32c(0, text_bytes(TEXT("123456789"))) == 0xe3069283);
    check(t, crc32c(0, BYTES_NONE) == 0);
}

TEST(crc32c_continues_and_agrees_with_its_table) {
    uint64_t random = t->seed;
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)test_random(&random);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        uint32_t whole = crc32c(0, (Bytes){bytes, len});
        check(t, whole == crc32c_by_table(0, (Bytes){bytes, len}));
        size_t cut = len / 3;
        check(t, whole == crc32c(crc32c(0, (Bytes){bytes, cut}), (Bytes){bytes + cut, len - cut}));
    }
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    check(t, ~crc32c_word(~UINT32_C(0), word) == crc32c(0, (Bytes){bytes, sizeof word}));
}

TEST_MAIN("codec/protobuf", CASE(varints_come_back_at_every_length),
          CASE(overlong_varints_are_malformed_and_padded_ones_are_not),
          CASE(failure_is_sticky_and_the_position_stays), CASE(fixed_numbers_are_little_endian),
          CASE(fields_come_back_as_written), CASE(a_sub_message_of_any_length_comes_back),
          CASE(the_fields_of_one_number_come_whatever_lies_between), CASE(malformed_messages_fail),
          CASE(groups_are_passed_by_down_to_their_limit),
          CASE(repeated_numbers_come_packed_or_one_by_one), CASE(crc32c_is_that_of_rfc_3720),
          CASE(crc32c_continues_and_agrees_with_its_table))
