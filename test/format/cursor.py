"""Bytes as the FORMAT.md files speak of them: a cursor that checks its bounds, CRC-32C, zstd, snappy, protobuf.

Only the standard library, and libzstd, which building Traceo takes anyway.
"""

import ctypes
import ctypes.util
import struct
from array import array

MASK = (1 << 64) - 1


class Damaged(Exception):
    """Stored bytes contradict themselves or the document; says what and where."""


class TooNew(Exception):
    """A version that this reader does not know."""


def expect(holds, why):
    if not holds:
        raise Damaged(why)


def signed(number):
    """64 bits as the integer they are."""
    number &= MASK
    return number - (1 << 64) if number >> 63 else number


def unzigzag(number):
    return signed(number >> 1 ^ -(number & 1))


def double_of(bits):
    return struct.unpack("<d", struct.pack("<Q", bits & MASK))[0]


def bits_of(double):
    return struct.unpack("<Q", struct.pack("<d", double))[0]


def utf8(data, what):
    expect(isinstance(data, bytes), f"{what}: a number where a text is")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Damaged(f"{what}: {data[:40]!r} is not UTF-8") from None


class Cursor:
    """Walks over `data` from `at` to `end`; `what` names it in errors."""

    def __init__(self, data, what, at=0, end=None):
        self.data, self.what, self.at = data, what, at
        self.end = len(data) if end is None else end
        expect(0 <= at <= self.end <= len(data), f"{what}: bytes {at} to {self.end} of {len(data)}")

    def left(self):
        return self.end - self.at

    def take(self, count):
        at = self.at + count
        if at > self.end:
            raise Damaged(f"{self.what}: {count} bytes wanted at {self.at}, {self.left()} are left")
        out = self.data[self.at:at]
        self.at = at
        return out

    def numbers(self, shape):
        """Fixed numbers, as struct's `shape` has them; a single one comes without its tuple."""
        found = struct.unpack("<" + shape, self.take(struct.calcsize("<" + shape)))
        return found[0] if len(found) == 1 else found

    def many(self, count, kind):
        """`count` fixed numbers of one of struct's kinds."""
        expect(count * struct.calcsize("<" + kind) <= self.left(), f"{self.what}: {count} numbers wanted at {self.at}, {self.left()} bytes are left")
        return struct.unpack(f"<{count}{kind}", self.take(count * struct.calcsize("<" + kind)))

    def varint(self):
        out = shift = 0
        for at in range(self.at, min(self.end, self.at + 10)):
            byte = self.data[at]
            out |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        else:
            raise Damaged(f"{self.what}: the varint at {self.at} does not end")
        if out > MASK:
            raise Damaged(f"{self.what}: the varint at {self.at} has more than 64 bits")
        self.at = at + 1
        return out

    def zigzag(self):
        return unzigzag(self.varint())

    def text(self):
        return self.take(self.varint())

    def words(self):
        return utf8(self.text(), self.what)

    def count(self, each=1):
        """A varint that says how many things follow, of at least `each` bytes: no more than there is room for."""
        found = self.varint()
        expect(found * each <= self.left(), f"{self.what}: {found} things stated before {self.at}, {self.left()} bytes are left")
        return found

    def finish(self):
        expect(self.left() == 0, f"{self.what}: {self.left()} bytes too many at {self.at}")


# ---- CRC-32C --------------------------------------------------------------------------------------


def crc_tables():
    """The checksum's step for each byte, and for each two bytes (lower one first)."""
    one = array("I", bytes(4 * 256))
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        one[byte] = crc
    return one, array("I", (one[(two >> 8) ^ one[two & 0xFF] & 0xFF] ^ one[two & 0xFF] >> 8 for two in range(65536)))


ONE, TWO = crc_tables()


def crc32c(data, crc=0):
    """CRC-32C (Castagnoli), as iSCSI has it; of the empty text 0, of 123456789 e3069283. Goes on from `crc`."""
    crc ^= 0xFFFFFFFF
    even = len(data) & ~1
    for two in struct.unpack(f"<{even // 2}H", data[:even]):
        crc = TWO[(crc ^ two) & 0xFFFF] ^ crc >> 16
    if even != len(data):
        crc = ONE[(crc ^ data[-1]) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def expect_crc(data, stated, what):
    found = crc32c(data)
    expect(found == stated, f"{what}: CRC-32C is {found:08x}, {stated:08x} is stated")


# ---- Packed bytes ---------------------------------------------------------------------------------


def zstd_library():
    name = ctypes.util.find_library("zstd")
    if name is None:
        raise RuntimeError("libzstd is missing: tools/setup installs it")
    library = ctypes.CDLL(name)
    library.ZSTD_decompress.restype = ctypes.c_size_t
    library.ZSTD_decompress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    return library


def unzstd(frame, raw_bytes, what):
    """One zstd frame of exactly `raw_bytes`."""
    out = ctypes.create_string_buffer(max(raw_bytes, 1))
    found = zstd_library().ZSTD_decompress(out, raw_bytes, frame, len(frame))
    expect(found == raw_bytes, f"{what}: the zstd frame does not unpack to {raw_bytes} bytes")
    return out.raw[:raw_bytes]


def unsnappy(packed, what, bytes_max=64 << 20):
    """Snappy's block format."""
    cursor = Cursor(packed, what)
    stated = cursor.varint()
    expect(stated <= bytes_max, f"{what}: {stated} bytes unpacked are more than {bytes_max}")
    out = bytearray()
    while cursor.left():
        tag = cursor.take(1)[0]
        if tag & 3 == 0:
            length = tag >> 2
            if length >= 60:
                length = int.from_bytes(cursor.take(length - 59), "little")
            out += cursor.take(length + 1)
        else:
            copy_snappy(cursor, tag, out)
        expect(len(out) <= stated, f"{what}: unpacks to more than the {stated} bytes it states")
    expect(len(out) == stated, f"{what}: unpacks to {len(out)} bytes, {stated} are stated")
    return bytes(out)


def copy_snappy(cursor, tag, out):
    if tag & 3 == 1:
        length, offset = (tag >> 2 & 7) + 4, tag >> 5 << 8 | cursor.take(1)[0]
    else:
        length, offset = (tag >> 2) + 1, int.from_bytes(cursor.take(2 if tag & 3 == 2 else 4), "little")
    expect(0 < offset <= len(out), f"{cursor.what}: a copy from before the beginning at {cursor.at}")
    if length <= offset:
        out += out[-offset:len(out) - offset + length]
    else:
        out += (bytes(out[-offset:]) * (length // offset + 1))[:length]


# ---- Protobuf -------------------------------------------------------------------------------------


def fields(data, what):
    """(number, value) of each field: an integer, 8 raw bytes, 4 raw bytes or what a length stood before."""
    expect(isinstance(data, bytes), f"{what}: a number where protobuf has a message")
    cursor = Cursor(data, what)
    while cursor.at < cursor.end:
        key = cursor.varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, cursor.varint()
        elif kind == 2:
            yield key >> 3, cursor.text()
        else:
            expect(kind in (1, 5), f"{what}: protobuf wire type {kind} before {cursor.at}")
            yield key >> 3, cursor.take(8 if kind == 1 else 4)


def packed(value, item):
    """A repeated number, packed (bytes) or one of many; `item` reads one from a cursor."""
    if isinstance(value, int):
        return [item(value)]
    cursor, out = Cursor(value, "packed numbers"), []
    while cursor.left():
        out.append(item(cursor.varint()))
    return out
