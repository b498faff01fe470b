"""Columns of integers and values: store/series/FORMAT.md, "Columns".

column_integers() and column_values() take a Cursor and leave it behind the column. Values are the 64 bits of doubles, so that nothing is lost.
"""

from cursor import MASK, Cursor, Damaged, bits_of, expect, signed, unzigzag

RAW, CONSTANT, STEADY, PACKED, CODED, SCALED, EXCEPT, NEAR = range(8)
AS_BITS = 15
STALE = 0x7FF0000000000002
SPLIT_FROM = 128  # numbers of a class code, from which it has two streams
RUN_SYMBOL, RUN_BITS_MIN, RUN_SYMBOLS_MAX = 64, 3, 8


def column_integers(cursor, count):
    """Of times, or of other integers; signed, 64 bits."""
    kind, high = column_head(cursor)
    expect(high == 0, f"{cursor.what}: a column of integers has decimals {high}")
    return [signed(number) for number in column_numbers(cursor, kind, count)]


def column_values(cursor, count):
    kind, high = column_head(cursor)
    if kind == EXCEPT:
        expect(high == 0, f"{cursor.what}: a column with exceptions has decimals {high}")
        return patched_values(cursor, count)
    if kind == NEAR:
        return near_values(cursor, high, count)
    numbers = column_numbers(cursor, kind, count)
    if high == AS_BITS:
        return [number & MASK for number in numbers]
    return [bits_of(decimal(number, high)) for number in numbers]


def near_values(cursor, decimals, count):
    expect(decimals < AS_BITS, f"{cursor.what}: a column near doubles as bits")
    numbers, beside = column_integers(cursor, count), column_integers(cursor, count)
    return [bits_of(decimal(number, decimals)) + away & MASK for number, away in zip(numbers, beside)]


def decimal(number, decimals):
    """One division of doubles: the integer is rounded to a double first."""
    return float(signed(number)) / float(10**decimals)


def column_head(cursor):
    byte = cursor.take(1)[0]
    return byte & 15, byte >> 4


def patched_values(cursor, count):
    head = cursor.varint()
    patches, all_stale = head >> 1, head & 1
    expect(patches <= count, f"{cursor.what}: {patches} exceptions in {count} values")
    places, at = [], -1
    for _ in range(patches):
        at += 1 + cursor.varint()
        expect(at < count, f"{cursor.what}: an exception at {at} of {count} values")
        places.append(at)
    odd = [STALE if all_stale else cursor.numbers("Q") for _ in places]
    expect(cursor.left() and cursor.data[cursor.at] != EXCEPT, f"{cursor.what}: exceptions of exceptions")
    values = column_values(cursor, count)
    for place, bits in zip(places, odd):
        values[place] = bits
    return values


def column_numbers(cursor, kind, count):
    """The integers behind the first byte, modulo 2^64."""
    if kind == RAW:
        return list(cursor.many(count, "Q"))
    if kind == CONSTANT:
        return [cursor.zigzag()] * count
    if kind == STEADY:
        first, step = cursor.zigzag(), cursor.zigzag()
        return [first + step * i for i in range(count)]
    if kind in (PACKED, CODED):
        return residual_numbers(cursor, kind, count)
    if kind == SCALED:
        first, divisor = cursor.zigzag(), cursor.varint()
        inner, high = column_head(cursor)
        expect(inner not in (SCALED, EXCEPT, NEAR) and high == 0, f"{cursor.what}: a column of kind {inner}, {high} decimals inside a scaled one")
        return [first + divisor * number for number in column_numbers(cursor, inner, count)]
    raise Damaged(f"{cursor.what}: a column of unknown kind {kind} before {cursor.at}")


def residual_numbers(cursor, kind, count):
    shape = cursor.take(1)[0]
    order = shape & 3
    starts = [cursor.zigzag() for _ in range((0, 1, 2, 2)[order])]
    base = cursor.zigzag()
    left_out = (0, 1, 2, 0)[order]
    expect(count >= left_out, f"{cursor.what}: {count} numbers of order {order}")
    count -= left_out
    if kind == PACKED:
        found = unpacked(cursor, count, shape >> 2)
    else:
        expect(shape >> 3 == 0, f"{cursor.what}: shape {shape:#x} of a class code")
        found = class_coded(cursor, count)
        if not shape & 4:
            found = [unzigzag(number) for number in found]
    return without_order([base + number for number in found], order, starts)


def without_order(residuals, order, starts):
    if order == 0:
        return residuals
    if order == 3:
        return [starts[0] + i * starts[1] + residual for i, residual in enumerate(residuals)]
    if order == 2:
        residuals = summed(starts[1], residuals)
    return summed(starts[0], residuals)


def summed(first, differences):
    out = [first]
    for difference in differences:
        out.append(out[-1] + difference & MASK)
    return out


def unpacked(cursor, count, width):
    """`count` numbers of `width` bits, lowest bit first, padded to a byte."""
    bits = int.from_bytes(cursor.take((count * width + 7) // 8), "little")
    mask = (1 << width) - 1
    out = [bits >> i * width & mask for i in range(count)]
    expect(bits >> count * width == 0, f"{cursor.what}: the padding before {cursor.at} is not zero")
    return out


# ---- Class code -----------------------------------------------------------------------------------


def class_coded(cursor, count):
    codes = class_codes(cursor)
    if count < SPLIT_FROM:
        return class_stream(cursor, codes, count)
    first_bytes = cursor.varint()
    half = Cursor(cursor.take(first_bytes), cursor.what + ", first stream of a class code")
    found = class_stream(half, codes, count // 2)
    half.finish()
    return found + class_stream(cursor, codes, count - count // 2)


def class_codes(cursor):
    """{(length, code with its first bit lowest): symbol}"""
    head = cursor.numbers("H")
    lowest, classes, runs = head & 63, (head >> 6 & 63) + 1, head >> 12
    expect(lowest + classes <= RUN_SYMBOL and runs <= RUN_SYMBOLS_MAX, f"{cursor.what}: a class code of {classes} classes from {lowest}, {runs} runs")
    lengths = unpacked(cursor, classes + runs, 4)
    symbols = [*range(lowest, lowest + classes), *range(RUN_SYMBOL, RUN_SYMBOL + runs)]
    used = sorted((length, symbol) for length, symbol in zip(lengths, symbols) if length)
    expect(used and used[-1][0] <= 10, f"{cursor.what}: code lengths {lengths}")
    codes, code, before = {}, 0, used[0][0]
    for length, symbol in used:
        code <<= length - before
        expect(code < 1 << length, f"{cursor.what}: code lengths {lengths} have no code")
        codes[length, int(f"{code:0{length}b}"[::-1], 2)] = symbol
        code, before = code + 1, length
    return codes


def class_stream(cursor, codes, count):
    bits, out = Bits(cursor), []
    while len(out) < count:
        symbol = bits.symbol(codes)
        if symbol < RUN_SYMBOL:
            out.append(bits.take(symbol - 1) | 1 << symbol - 1 if symbol else 0)
        else:
            k = symbol - RUN_SYMBOL + RUN_BITS_MIN
            out += [0] * ((1 << k) + bits.take(k))
    expect(len(out) == count, f"{cursor.what}: a run of zeros leads beyond the {count} numbers")
    bits.finish()
    return out


class Bits:
    """Bits of a cursor, lowest first; the cursor stands behind the last byte touched."""

    def __init__(self, cursor):
        self.cursor, self.held, self.count = cursor, 0, 0

    def take(self, count):
        while self.count < count:
            self.held |= self.cursor.take(1)[0] << self.count
            self.count += 8
        out = self.held & (1 << count) - 1
        self.held >>= count
        self.count -= count
        return out

    def symbol(self, codes):
        code = 0
        for length in range(1, 11):
            code |= self.take(1) << length - 1
            if (length, code) in codes:
                return codes[length, code]
        raise Damaged(f"{self.cursor.what}: no code begins before {self.cursor.at}")

    def finish(self):
        expect(self.held == 0, f"{self.cursor.what}: the padding before {self.cursor.at} is not zero")
