"""Native histograms and exemplars: store/series/FORMAT.md, "Packed histograms" and what stands before it.

A histogram is a dictionary of all its fields, whatever it was stored as; doubles are their 64 bits, buckets are told by their own counts.
"""

import struct

from columns import column_integers, column_values
from cursor import MASK, Cursor, expect, fields, packed, signed, unzigzag, utf8

PIECE_ROWS_MAX = 1024
FLOATS, TIMES, STARTS = 1, 2, 16
VARINTS, DELTAS = (1, 4, 6, 14, 15, 17), (9, 12)  # fields of prometheus.Histogram
EMPTY = {"floats": False, "count": 0, "sum": 0, "schema": 0, "zero_threshold": 0, "zero_count": 0, "hint": 0, "time": 0, "start": 0}


def empty_histogram():
    return {**EMPTY, "spans": ([], []), "buckets": ([], []), "bounds": []}


# ---- As prometheus.Histogram ----------------------------------------------------------------------


def histogram_of_protobuf(data, what="a histogram"):
    out = empty_histogram()
    for number, value in fields(data, what):
        read_histogram_field(out, number, value, what)
    return out


def read_histogram_field(out, number, value, what):
    expect(isinstance(value, int) == (number in VARINTS) or isinstance(value, int) and number in DELTAS, f"{what}: field {number} is of another type")
    positive = number >= 11
    if number in (1, 6):
        out["count" if number == 1 else "zero_count"] = value
    elif number in (2, 7):
        out["count" if number == 2 else "zero_count"], out["floats"] = bits(value), True
    elif number in (3, 5):
        out["sum" if number == 3 else "zero_threshold"] = bits(value)
    elif number == 4:
        out["schema"] = unzigzag(value)
    elif number in (8, 11):
        out["spans"][not positive].append(span_of_protobuf(value, what))
    elif number in (9, 12):
        out["buckets"][not positive].extend(counts_of_deltas(packed(value, unzigzag), out["buckets"][not positive]))
    elif number in (10, 13):
        out["buckets"][not positive].extend(doubles(value, what))
    elif number == 16:
        out["bounds"].extend(doubles(value, what))
    elif number in (14, 15, 17):
        out[{14: "hint", 15: "time", 17: "start"}[number]] = signed(value)


def doubles(value, what):
    expect(len(value) % 8 == 0, f"{what}: doubles of {len(value)} bytes")
    return struct.unpack(f"<{len(value) // 8}Q", value)


def bits(eight):
    expect(isinstance(eight, bytes) and len(eight) == 8, "protobuf has something else where a double is")
    return int.from_bytes(eight, "little")


def span_of_protobuf(data, what):
    found = dict(fields(data, what + ", span"))
    return unzigzag(found.get(1, 0)), found.get(2, 0)


def counts_of_deltas(deltas, before):
    count = before[-1] if before else 0
    out = []
    for delta in deltas:
        count += delta
        out.append(count)
    return out


def protobuf_of_histogram(histogram):
    """The other way: fields in the order of their numbers, defaults left out but for the kind of count."""
    floats = histogram["floats"]
    out = field_double(2, histogram["count"]) if floats else field_varint(1, histogram["count"], True)
    out += field_double(3, histogram["sum"]) + field_varint(4, zigzag(histogram["schema"])) + field_double(5, histogram["zero_threshold"])
    out += field_double(7, histogram["zero_count"], True) if floats else field_varint(6, histogram["zero_count"], True)
    for spans, counts, first in zip(reversed(histogram["spans"]), reversed(histogram["buckets"]), (8, 11)):
        for offset, length in spans:
            out += field_bytes(first, field_varint(1, zigzag(offset)) + field_varint(2, length), True)
        if floats:
            out += field_bytes(first + 2, struct.pack(f"<{len(counts)}Q", *counts))
        else:
            out += field_bytes(first + 1, b"".join(varint(zigzag(count - before)) for count, before in zip(counts, [0, *counts])))
    out += field_varint(14, histogram["hint"]) + field_varint(15, histogram["time"])
    return out + field_bytes(16, struct.pack(f"<{len(histogram['bounds'])}Q", *histogram["bounds"])) + field_varint(17, histogram["start"])


def varint(number):
    number &= MASK
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def zigzag(number):
    return number << 1 ^ number >> 63


def field_varint(number, value, always=False):
    return varint(number << 3) + varint(value) if value or always else b""


def field_double(number, value, always=False):
    return varint(number << 3 | 1) + struct.pack("<Q", value) if value or always else b""


def field_bytes(number, content, always=False):
    return varint(number << 3 | 2) + varint(len(content)) + content if content or always else b""


# ---- Pieces ---------------------------------------------------------------------------------------


def read_histograms(cursor, count, first_ms):
    """[(time, histogram)] of one piece: dictionaries where it is packed, else the bytes as they came (histogram_of_protobuf reads them)."""
    if cursor.left() and cursor.data[cursor.at] == 1:
        cursor.take(1)
        return packed_histograms(cursor, count)
    return plain_rows(cursor, count, first_ms, Cursor.text)


def plain_rows(cursor, count, first_ms, read):
    out, time_ms = [], first_ms
    for _ in range(count):
        time_ms += cursor.varint()
        out.append((time_ms, read(cursor)))
    cursor.finish()
    return out


def packed_histograms(cursor, count):
    expect(count <= PIECE_ROWS_MAX, f"{cursor.what}: {count} packed histograms")
    times, out = column_integers(cursor, count), []
    while len(out) < count:
        rows = cursor.varint()
        expect(0 < rows <= count - len(out), f"{cursor.what}: a run of {rows} histograms, {count - len(out)} are left")
        out += histogram_run(cursor, times[len(out):len(out) + rows])
    cursor.finish()
    return out


def histogram_run(cursor, times):
    layout, flags, buckets = histogram_layout(cursor)
    rows = len(times)
    read = column_values if flags & FLOATS else column_integers
    columns = {"count": read(cursor, rows), "zero_count": read(cursor, rows), "sum": column_values(cursor, rows)}
    for name in ("count", "zero_count"):
        columns[name] = [number & MASK for number in columns[name]]
    sides = [[read(cursor, rows) for _ in range(buckets[side])] for side in (0, 1)]
    if flags & STARTS:
        columns["start"] = column_integers(cursor, rows)
    if flags & TIMES:
        columns["time"] = times
    out = []
    for i, time_ms in enumerate(times):
        row = {name: column[i] for name, column in columns.items()}
        out.append((time_ms, {**layout, **row, "buckets": tuple([column[i] for column in side] for side in sides)}))
    return out


def histogram_layout(cursor):
    """What all rows of a run share; the flags; how many buckets each side has."""
    out, flags = empty_histogram(), cursor.numbers("B")
    expect(flags & ~31 == 0, f"{cursor.what}: flags {flags:#x} of a run of histograms")
    out["floats"], out["hint"] = bool(flags & FLOATS), flags >> 2 & 3
    out["schema"], out["zero_threshold"] = cursor.zigzag(), cursor.numbers("Q")
    buckets = []
    for side in (0, 1):
        out["spans"][side].extend((cursor.zigzag(), cursor.varint()) for _ in range(cursor.count(2)))
        buckets.append(cursor.count(2))
    out["bounds"].extend(cursor.numbers("Q") for _ in range(cursor.count(8)))
    return out, flags, buckets


# ---- Exemplars ------------------------------------------------------------------------------------


def read_exemplars(cursor, count, first_ms):
    """[(time, (value bits, labels))] of one piece."""
    return plain_rows(cursor, count, first_ms, lambda rest: (rest.numbers("Q"), labels_of_exemplar(rest.text(), rest.what)))


def labels_of_exemplar(data, what):
    """The labels as prometheus.Exemplar has them: field 1, each a Label of name and value."""
    return labels_of_protobuf((value for number, value in fields(data, what) if number == 1), what)


def labels_of_protobuf(rows, what):
    out = {}
    for row in rows:
        found = dict(fields(row, what + ", label"))
        out[utf8(found.get(1, b""), what)] = utf8(found.get(2, b""), what)
    return out
