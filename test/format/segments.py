"""The log: store/log/FORMAT.md. Records of all segments, gaps between them, and what was sent in them."""

import pathlib
import re
import struct

from cursor import Cursor, TooNew, crc32c, expect, fields, packed, signed, unsnappy, utf8
from histograms import bits, histogram_of_protobuf, labels_of_protobuf

PAGE, STEP, HEAD_BYTES = 4096, 16, 64
MAGIC, VERSION_MAX, RECORD = b"TraceoLg", 1, b"TREC"
REMOTE_WRITE_1, UNPACKED_1, REMOTE_WRITE_2, END_MARK = 1, 2, 3, 0xFFFF
TYPES = {REMOTE_WRITE_1: "remote write 1.0", UNPACKED_1: "remote write 1.0, unpacked", REMOTE_WRITE_2: "remote write 2.0", END_MARK: "end mark"}


class Record:
    def __init__(self, head, refused, body, at):
        self.sequence, self.group, self.arrival_ms, self.tenant, self.type = head[2:7]
        self.refused, self.body, self.at = refused, body, at


class Segment:
    """One file: its header, and every record that verifies, in order."""

    def __init__(self, path):
        self.name, self.data = path.name, path.read_bytes()
        found = re.fullmatch(r"([0-9a-f]{16})-([0-9a-f]{16})\.log", self.name)
        expect(found, f"{self.name}: not the name of a segment")
        self.read_header()
        expect((self.id, self.first) == (int(found[1], 16), int(found[2], 16)), f"{self.name}: the header names segment {self.id}, record {self.first}")
        self.ended = False
        self.records = list(self.read_records())

    def read_header(self):
        pages = [page for page in (self.data[:PAGE], self.data[-PAGE:]) if good_header(page)]
        expect(pages, f"{self.name}: neither its header nor the copy verifies")
        self.header_damaged = len(pages) == 1 or pages[0] != pages[1]
        version, _, self.id, self.salt, self.first, self.proven, size, self.begun_ms = struct.unpack_from("<IIQQQQQQ", pages[0], 8)
        if version > VERSION_MAX:
            raise TooNew(f"{self.name}: version {version}, this reader knows {VERSION_MAX}")
        expect(size == len(self.data), f"{self.name}: {len(self.data)} bytes, the header states {size}")
        expect(not any(pages[0][64:]), f"{self.name}: the rest of its header is not zero")

    def read_records(self):
        at = PAGE
        while not self.ended:
            at = self.data.find(RECORD, at)
            if at < 0:
                return
            record = self.record_at(at) if at % STEP == 0 else None
            if record is None:
                at += 1
            else:
                self.ended = record.type == END_MARK
                at = -(-(at + HEAD_BYTES + len(record.refused) + len(record.body)) // STEP) * STEP
                yield record

    def record_at(self, at):
        """The record there, or None when nothing verifies."""
        head = self.data[at:at + HEAD_BYTES]
        if len(head) < HEAD_BYTES or at + HEAD_BYTES > len(self.data) - PAGE:
            return None
        numbers = struct.unpack("<4sIQQQIHHIIIIII", head)
        flags, refused_bytes, body_bytes, zeros, payload_crc, crc = numbers[7], numbers[8], numbers[9], numbers[10:12], numbers[12], numbers[13]
        if crc32c(struct.pack("<QQQ", self.id, self.salt, at) + head[:60]) != crc:
            return None
        expect(numbers[1] == self.id & 0xFFFFFFFF and zeros == (0, 0), f"{self.name}: the record at {at} verifies and contradicts the document")
        if flags or numbers[6] not in TYPES:
            raise TooNew(f"{self.name}: the record at {at} has type {numbers[6]} and flags {flags:#x}")
        begin, end = at + HEAD_BYTES, at + HEAD_BYTES + refused_bytes + body_bytes
        expect(end <= len(self.data) - PAGE, f"{self.name}: the record at {at} ends behind its segment")
        if crc32c(self.data[begin:end]) != payload_crc:
            return None
        return Record(numbers, self.data[begin:begin + refused_bytes], self.data[begin + refused_bytes:end], at)


def good_header(page):
    return len(page) == PAGE and page[:8] == MAGIC and crc32c(page[:12] + bytes(4) + page[16:]) == struct.unpack_from("<I", page, 12)[0]


def read_log(folder):
    """(records that count, in order; gaps as (first sequence, the one behind it)). Segments void what an earlier one has of their sequences."""
    segments = [Segment(path) for path in sorted(pathlib.Path(folder).glob("*.log"))]
    records, gaps, expected = [], [], segments[0].first if segments else 0
    for segment, following in zip(segments, [*segments[1:], None]):
        if segment.first > expected:
            gaps.append((expected, segment.first))
        expected = segment.first
        for record in segment.records:
            if following and record.sequence >= following.first or record.type == END_MARK:
                break
            expect(record.sequence >= expected, f"{segment.name}: record {record.sequence} at {record.at} after {expected - 1}")
            if record.sequence > expected:
                gaps.append((expected, record.sequence))
            records.append(record)
            expected = record.sequence + 1
    return records, gaps


def refused_rows(record):
    """Which series of the request were refused, by their place in it."""
    cursor, out = Cursor(record.refused, f"record {record.sequence}, refused"), []
    while cursor.left():
        out.append(cursor.varint() + (out[-1] if out else 0))
    return out


# ---- Bodies ---------------------------------------------------------------------------------------


class Sent:
    """One series of a request. Samples are (time, value bits, start or None), exemplars (time, (value bits, labels))."""

    def __init__(self, labels):
        self.labels, self.samples, self.histograms, self.exemplars, self.metadata = labels, [], [], [], None


def sent(record):
    """The series of a record's request."""
    what = f"record {record.sequence}"
    body = record.body if record.type == UNPACKED_1 else unsnappy(record.body, what)
    if record.type == REMOTE_WRITE_2:
        return read_request_2(body, what)
    return [read_series_1(value, what) for number, value in fields(body, what) if number == 1]


def read_series_1(data, what):
    rows = list(fields(data, what))
    out = Sent(labels_of_protobuf((value for number, value in rows if number == 1), what))
    for number, value in rows:
        if number == 2:
            out.samples.append(read_sample(value, what))
        elif number == 3:
            labels = labels_of_protobuf((row for field, row in fields(value, what) if field == 1), what)
            out.exemplars.append(read_exemplar(value, labels, what))
        elif number == 4:
            out.histograms.append(read_histogram(value, what))
    return out


def read_request_2(data, what):
    rows = list(fields(data, what))
    symbols = [utf8(value, what) for number, value in rows if number == 4]
    expect(symbols and symbols[0] == "", f"{what}: the first symbol is not empty")
    return [read_series_2(value, symbols, what) for number, value in rows if number == 5]


def read_series_2(data, symbols, what):
    rows = list(fields(data, what))
    out = Sent(labels_of_references(rows, symbols, what))
    for number, value in rows:
        if number == 2:
            out.samples.append(read_sample(value, what))
        elif number == 3:
            out.histograms.append(read_histogram(value, what))
        elif number == 4:
            out.exemplars.append(read_exemplar(value, labels_of_references(list(fields(value, what)), symbols, what), what))
        elif number == 5:
            found = dict(fields(value, what))
            out.metadata = found.get(1, 0), symbol(symbols, found.get(3, 0), what), symbol(symbols, found.get(4, 0), what)
    return out


def labels_of_references(rows, symbols, what):
    found = [symbol(symbols, place, what) for number, value in rows if number == 1 for place in packed(value, int)]
    expect(len(found) % 2 == 0, f"{what}: a label without a value")
    return dict(zip(found[::2], found[1::2]))


def symbol(symbols, place, what):
    expect(place < len(symbols), f"{what}: symbol {place} of {len(symbols)}")
    return symbols[place]


def read_sample(data, what):
    found = dict(fields(data, what))
    return signed(found.get(2, 0)), bits(found.get(1, bytes(8))), signed(found.get(3, 0)) or None


def read_exemplar(data, labels, what):
    """Fields 2 and 3 are value and time in both versions."""
    found = dict(fields(data, what))
    return signed(found.get(3, 0)), (bits(found.get(2, bytes(8))), labels)


def read_histogram(data, what):
    found = histogram_of_protobuf(data, what)
    return found["time"], found
