// The test suite of RFC 1321, and lengths around the block.

#include "base/test.h"
#include "codec/md5.h"

static Text hex(Md5 hash, Arena *arena) {
    char *into = arena_push_array(arena, char, 33);
    for (size_t i = 0; i < 16; i++) {
        into[2 * i] = "0123456789abcdef"[hash.bytes[i] >> 4];
        into[2 * i + 1] = "0123456789abcdef"[hash.bytes[i] & 15];
    }
    return (Text){into, 32};
}

TEST(the_examples_of_rfc_1321) {
    static const struct {
        Text text, hash;
    } cases[] = {
        {TEXT_INIT(""), TEXT_INIT("d41d8cd98f00b204e9800998ecf8427e")},
        {TEXT_INIT("a"), TEXT_INIT("0cc175b9c0f1b6a831c399e269772661")},
        {TEXT_INIT("message digest"), TEXT_INIT("f96b697d7cb7938d525a2f31aaf161d0")},
        {TEXT_INIT("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
         TEXT_INIT("d174ab98d277d9f5a5611c2c9f419d9f")},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        check_text(t, cases[i].hash, hex(md5_of(text_bytes(cases[i].text)), t->arena));
}

// Each digest goes into the next text, so that one wrong length shows in the last digest. The
// expected value was computed with Python's hashlib.
TEST(every_length_around_a_block) {
    Md5 last = md5_of(BYTES_NONE);
    for (size_t len = 0; len <= 200; len++) {
        uint8_t text[216];
        memset(text, 'x', sizeof text);
        memcpy(text + len, last.bytes, sizeof last.bytes);
        last = md5_of((Bytes){text, len + sizeof last.bytes});
    }
    check_text(t, TEXT("c26c6234f97a6ff62a9d6ce8ec89a425"), hex(last, t->arena));
}

TEST_MAIN("codec/md5", CASE(the_examples_of_rfc_1321), CASE(every_length_around_a_block))
