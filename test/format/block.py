"""One block: store/series/FORMAT.md, "Blocks", and store/index/FORMAT.md.

Opening checks every checksum of the whole object; what follows only parses, and never believes a count.
"""

import math

from columns import column_integers, column_values, decimal, unpacked
from cursor import Cursor, TooNew, double_of, expect, expect_crc, signed, unzstd, utf8
from histograms import read_exemplars, read_histograms

HEAD, TAIL_MAGIC, VERSION_MAX = b"TRcBLOCK", b"KCOLBcRT", 5
SECTIONS = ("pages", "names", "pairs", "series", "chunks", "clocks")
TOTALS = ("earliest", "latest", "series", "samples", "chunks", "histograms", "exemplars", "pairs", "clocks", "pages", "metadata")
SECTION_PIECE = 64 << 10  # bytes under one checksum
SUMMARY_PARTS = ("first", "last", "min", "max", "sum")
GROUP_ROWS, CHUNK_SAMPLES_MAX = 16, 1024
ZSTD_BIT = 1 << 31
DAY_MS, TIER, COLUMN_MS = 86_400_000, 4, 2 * 86_400_000
WINDOW_PARTS = ("count", "sum", "least", "greatest", "first", "last", "first_ago", "last_ago", "fell", "resets", "ended_ago", "histograms")
OTHER_CLOCK, ELSEWHERE, SUMMARY, RESETS, STARTS = 1, 2, 4, 8, 16


class Series:
    """Labels, and in the order of time: samples (time, value bits, start or None), histograms, exemplars."""

    def __init__(self, labels):
        self.labels, self.samples, self.histograms, self.exemplars = labels, [], [], []


class Block:
    def __init__(self, data, name):
        self.data, self.name = data, name
        tail_at = self.read_trailer()
        self.read_tail(tail_at)
        self.pages = self.read_pages()
        self.names, self.shapes = self.read_names()
        self.pairs = self.read_pairs()
        self.clocks = list(self.grouped("clocks", self.totals["clocks"], read_clock))

    # ---- The frame: trailer, tail, sections, pages

    def read_trailer(self):
        data, name = self.data, self.name
        expect(len(data) >= 40 and data[:8] == HEAD and data[-8:] == TAIL_MAGIC, f"{name}: it does not begin and end as a block does")
        trailer = Cursor(data, f"{name}, trailer", len(data) - 32)
        size, tail_bytes, tail_crc, self.version, crc = trailer.numbers("QIIII")
        expect_crc(data[-32:-12], crc, f"{name}, trailer")
        if self.version > VERSION_MAX:
            raise TooNew(f"{name}: version {self.version}, this reader knows {VERSION_MAX}")
        expect(size == len(data), f"{name}: {len(data)} bytes, the trailer states {size}")
        expect(tail_bytes <= len(data) - 40, f"{name}: a tail of {tail_bytes} bytes")
        tail_at = len(data) - 32 - tail_bytes
        expect_crc(data[tail_at:-32], tail_crc, f"{name}, tail")
        return tail_at

    def read_tail(self, tail_at):
        tail = Cursor(self.data, f"{self.name}, tail", tail_at, len(self.data) - 32)
        self.totals = dict(zip(TOTALS, tail.numbers("11Q")))
        for bound in ("earliest", "latest"):
            self.totals[bound] = signed(self.totals[bound])
        self.tier_ms = tail.numbers("Q") if self.version == TIER else 0
        expect(self.version != TIER or self.tier_ms > 0, f"{self.name}: a tier of no length")
        lengths, checksums = {}, {}
        for section in SECTIONS:
            lengths[section] = tail.numbers("Q")
            checksums[section] = tail.many(-(-lengths[section] // SECTION_PIECE), "I")
        tail.finish()
        self.sections, at = {}, tail_at - sum(lengths.values())
        expect(at >= 8, f"{self.name}: sections of {sum(lengths.values())} bytes")
        self.sections_at = at
        for section in SECTIONS:
            self.sections[section] = self.data[at:at + lengths[section]]
            at += lengths[section]
            for i, crc in enumerate(checksums[section]):
                expect_crc(self.sections[section][i * SECTION_PIECE:(i + 1) * SECTION_PIECE], crc, f"{self.name}, section {section}, piece {i}")

    def read_pages(self):
        cursor, out, at = self.section("pages"), [], 8
        for number in range(self.totals["pages"]):
            what = f"{self.name}, page {number}"
            offset, stored_bytes, raw, crc = cursor.numbers("QIII")
            expect(offset == at and offset + stored_bytes <= self.sections_at, f"{what}: it lies at {offset}, the one before ends at {at}")
            at += stored_bytes
            stored = self.data[offset:at]
            expect_crc(stored, crc, what)
            raw_bytes = raw & ~ZSTD_BIT
            expect(raw_bytes <= 256 << 10, f"{what}: {raw_bytes} raw bytes")
            expect(raw & ZSTD_BIT or raw_bytes == stored_bytes, f"{what}: {stored_bytes} bytes stored, {raw_bytes} raw")
            out.append(unzstd(stored, raw_bytes, what) if raw & ZSTD_BIT else stored)
        cursor.finish()
        expect(at == self.sections_at, f"{self.name}: pages end at {at}, sections begin at {self.sections_at}")
        return out

    def section(self, name):
        return Cursor(self.sections[name], f"{self.name}, section {name}")

    def grouped(self, section, rows, read):
        """Each row, by `read(cursor, the row before in its group or None)`."""
        groups = -(-rows // GROUP_ROWS)
        data, what = self.sections[section], f"{self.name}, section {section}"
        expect(4 * groups <= len(data), f"{what}: {len(data)} bytes for {rows} rows")
        rows_end = len(data) - 4 * groups
        begins = [*Cursor(data, what, rows_end).many(groups, "I"), rows_end]
        for group in range(groups):
            cursor, before = Cursor(data, what, begins[group], begins[group + 1]), None
            for _ in range(min(GROUP_ROWS, rows - group * GROUP_ROWS)):
                before = read(cursor, before)
                yield before
            cursor.finish()

    def range(self, page, offset, length, what):
        """A cursor over a place told by (page, offset, length)."""
        expect(page < len(self.pages), f"{self.name}, {what}: in page {page} of {len(self.pages)}")
        return Cursor(self.pages[page], f"{self.name}, page {page}, {what}", offset, offset + length)

    # ---- Labels

    def read_names(self):
        cursor = self.section("names")
        names = [(cursor.words(), cursor.varint()) for _ in range(cursor.count(2))]
        shapes = [[cursor.varint() for _ in range(cursor.count())] for _ in range(cursor.count())]
        cursor.finish()
        expect(all(number < len(names) for shape in shapes for number in shape), f"{self.name}: a shape has a name that is not there")
        expect(sum(count for _, count in names) == self.totals["pairs"], f"{self.name}: names do not have as many values as there are pairs")
        return names, shapes

    def read_pairs(self):
        """Per name its pairs in the order of their values: (value, posting set)."""
        rows = self.grouped("pairs", self.totals["pairs"], read_pair)
        return [[(utf8(value, f"{self.name}, section pairs"), postings) for value, postings in (next(rows) for _ in range(count))] for _, count in self.names]

    def series_labels(self):
        """Per series a dictionary; what the posting sets say is compared with it."""
        rows = self.grouped("series", self.totals["series"], self.read_series)
        postings = [[set() for _ in pairs] for pairs in self.pairs]
        for number, (shape, ranks) in enumerate(rows):
            labels = {}
            for name, rank in zip(self.shapes[shape], ranks):
                expect(0 <= rank < len(self.pairs[name]), f"{self.name}, series {number}: value {rank} of name {name}")
                labels[self.names[name][0]] = self.pairs[name][rank][0]
                postings[name][rank].add(number)
            yield labels
        for name, pairs in enumerate(self.pairs):
            for rank, (value, stated) in enumerate(pairs):
                expect(set(stated) == postings[name][rank], f"{self.name}: the posting set of {self.names[name][0]}={value!r} is not the series that have it")

    def read_series(self, cursor, before):
        head = cursor.varint()
        if head:
            expect(head <= len(self.shapes), f"{cursor.what}: shape {head - 1}")
            return head - 1, [cursor.varint() for _ in self.shapes[head - 1]]
        expect(before is not None, f"{cursor.what}: a group begins with a difference")
        shape, ranks = before
        mask = cursor.varint()
        expect(mask >> len(ranks) == 0, f"{cursor.what}: mask {mask:#x} for {len(ranks)} labels")
        return shape, [rank + cursor.zigzag() if mask >> i & 1 else rank for i, rank in enumerate(ranks)]

    # ---- What the series hold

    def series(self):
        directory = self.grouped("chunks", self.totals["series"], self.read_directory)
        found = {"samples": 0, "chunks": 0, "histograms": 0, "exemplars": 0}
        for labels, row in zip(self.series_labels(), directory):
            out = Series(labels)
            self.read_chunks(out, row.chunks)
            for pieces, read, into in ((row.histograms, read_histograms, out.histograms), (row.exemplars, read_exemplars, out.exemplars)):
                for piece in pieces:
                    into += self.read_piece(piece, read)
            for what, count in (("samples", len(out.samples)), ("chunks", len(row.chunks)), ("histograms", len(out.histograms)), ("exemplars", len(out.exemplars))):
                found[what] += count
            yield out
        for what, count in found.items():
            expect(count == self.totals[what], f"{self.name}: {count} {what}, the tail states {self.totals[what]}")

    def windows(self):
        """Of a tier, each series: (labels, {end of a window: {part: value}})."""
        day_ms = self.totals["earliest"] // DAY_MS * DAY_MS
        for series in self.series():
            out = {}
            for time_ms, bits, _ in series.samples:
                column, since_ms = divmod(time_ms - day_ms, COLUMN_MS)
                end_ms, what = day_ms + since_ms, f"{self.name}: the entry of {series.labels} at {time_ms}"
                expect(0 <= column < len(WINDOW_PARTS) and since_ms <= DAY_MS and end_ms % self.tier_ms == 0, f"{what} is of no window")
                expect(column == 0 or end_ms in out, f"{what} is of a window that is not there")
                out.setdefault(end_ms, {})[WINDOW_PARTS[column]] = double_of(bits)
            for end_ms, window in out.items():
                expect((window["count"] > 0) == all(part in window for part in WINDOW_PARTS[1:8]) and (window["count"] > 0 or not set(window) & set(WINDOW_PARTS[1:8])),
                       f"{self.name}: of the window to {end_ms} of {series.labels} some columns are missing")
            yield series.labels, out

    def read_chunks(self, out, chunks):
        start = None
        for chunk in chunks:
            expect(chunk.clock < len(self.clocks), f"{self.name}: clock {chunk.clock} of {len(self.clocks)}")
            times = self.clocks[chunk.clock]
            cursor = self.range(*chunk.place, "a column of values")
            values = column_values(cursor, len(times))
            cursor.finish()
            check_summary(chunk, values, cursor.what)
            expect(not out.samples or out.samples[-1][0] < times[0], f"{cursor.what}: it begins before the chunk before it ends")
            changes = dict(chunk.changes)
            expect(all(at < len(times) for at in changes), f"{cursor.what}: a start behind the end of its chunk")
            for i, (time_ms, bits) in enumerate(zip(times, values)):
                start = changes.get(i, start)
                out.samples.append((time_ms, bits, start))

    def read_piece(self, piece, read):
        first_ms, span_ms, count, *place = piece
        cursor = self.range(*place, "a piece")
        rows = read(cursor, count, first_ms)
        expect(rows and rows[0][0] == first_ms and rows[-1][0] == first_ms + span_ms, f"{cursor.what}: not from {first_ms} over {span_ms} ms")
        return rows

    def read_directory(self, cursor, before):
        return DirectoryRow(cursor, before or Behind())

    def metadata(self):
        """(type, family, help, unit) of each."""
        out = []
        for page in range(self.totals["metadata"], len(self.pages)):
            cursor = Cursor(self.pages[page], f"{self.name}, page {page}, metadata")
            while cursor.left():
                out.append((cursor.numbers("B"), cursor.words(), cursor.words(), cursor.words()))
        return out


def read_pair(cursor, before):
    shared = cursor.varint()
    value_before = before[0] if before else b""
    expect(shared <= len(value_before), f"{cursor.what}: {shared} bytes shared with a value of {len(value_before)}")
    value = value_before[:shared] + cursor.text()
    postings = Cursor(cursor.text(), cursor.what + ", posting set")
    return value, read_postings(postings)


def read_postings(cursor):
    count = cursor.varint()
    out = [cursor.varint()] if count else []
    while len(out) < count:
        width = cursor.numbers("B")
        for gap in unpacked(cursor, min(128, count - len(out)), width):
            out.append(out[-1] + 1 + gap)
    cursor.finish()
    return out


def read_clock(cursor, _):
    count, first_ms, span_ms = cursor.varint(), cursor.zigzag(), cursor.varint()
    expect(count <= CHUNK_SAMPLES_MAX, f"{cursor.what}: a clock of {count} times")
    column = Cursor(cursor.text(), cursor.what)
    times = column_integers(column, count)
    column.finish()
    expect(times and times[0] == first_ms and times[-1] == first_ms + span_ms, f"{cursor.what}: a clock is not from {first_ms} over {span_ms} ms")
    expect(all(a < b for a, b in zip(times, times[1:])), f"{cursor.what}: times do not rise")
    return times


# ---- The directory of chunks ----------------------------------------------------------------------


class Behind:
    """What a row of the directory needs of those before it in its group."""

    def __init__(self):
        self.clock, self.place_end, self.start = 0, None, 0


class Chunk:
    def __init__(self, clock, place, resets, summary, changes):
        self.clock, self.place, self.resets, self.summary, self.changes = clock, place, resets, summary, changes


class DirectoryRow(Behind):
    """One series: its chunks, and the pieces (first time, span, count, page, offset, length) of histograms and exemplars."""

    def __init__(self, cursor, before):
        super().__init__()
        self.clock, self.place_end, self.start = before.clock, before.place_end, before.start
        head, self.chunks = cursor.varint(), []
        expect(head >> 2 <= cursor.left(), f"{cursor.what}: {head >> 2} chunks")
        expected = self.clock
        for _ in range(head >> 2):
            self.chunks.append(self.read_chunk(cursor, expected))
            expected = self.chunks[-1].clock + 1
        if self.chunks:
            self.clock = self.chunks[0].clock
        self.histograms = read_pieces(cursor) if head & 1 else []
        self.exemplars = read_pieces(cursor) if head & 2 else []

    def read_chunk(self, cursor, expected):
        flags = cursor.numbers("B")
        expect(flags & ~31 == 0, f"{cursor.what}: flags {flags:#x} of a chunk")
        clock = expected + (cursor.zigzag() if flags & OTHER_CLOCK else 0)
        if flags & ELSEWHERE:
            self.place_end = cursor.varint(), cursor.varint()
        expect(self.place_end is not None and clock >= 0, f"{cursor.what}: the first chunk of a group has no place")
        page, offset = self.place_end
        length = cursor.varint()
        self.place_end = page, offset + length
        resets = cursor.varint() if flags & RESETS else 0
        summary = read_summary(cursor) if flags & SUMMARY else None
        changes = self.read_changes(cursor) if flags & STARTS else []
        return Chunk(clock, (page, offset, length), resets, summary, changes)

    def read_changes(self, cursor):
        """[(position, start or None)]"""
        out, at = [], -1
        for _ in range(cursor.count()):
            head = cursor.varint()
            at += 1 + (head >> 1)
            if not head & 1:
                self.start += cursor.zigzag()
            out.append((at, None if head & 1 else self.start))
        expect(out, f"{cursor.what}: a chunk says that its starts change, and none does")
        return out


def read_pieces(cursor):
    return [(cursor.zigzag(), *(cursor.varint() for _ in range(5))) for _ in range(cursor.count(6))]


# ---- Summaries ------------------------------------------------------------------------------------


def read_summary(cursor):
    """{first, last, min, max, sum}: doubles; the sum may be a function of the count."""
    head = cursor.numbers("B")
    decimals, scaled, flat = head & 15, head & 16, head & 32
    expect(head < 64 and (scaled or not flat), f"{cursor.what}: {head:#x} begins no summary")
    if decimals == 15:
        return dict(zip(SUMMARY_PARTS, cursor.numbers("5d")))
    first = cursor.zigzag()
    distances = [0] * 4 if flat else [0, *(cursor.zigzag() for _ in range(3))]
    out = {part: decimal(first + distance, decimals) for part, distance in zip(SUMMARY_PARTS, distances)}
    distance = 0 if flat else cursor.zigzag() if scaled else None
    total = cursor.numbers("d") if distance is None else None
    return {**out, "sum": (lambda count: decimal(count * first + distance, decimals)) if total is None else total}


def check_summary(chunk, values, what):
    """What the summary and the number of resets state is what the values say; NaN counts as no value but at the ends."""
    if chunk.summary is None:
        return
    stated = dict(chunk.summary)
    if callable(stated["sum"]):
        stated["sum"] = stated["sum"](len(values))
    doubles = [double_of(bits) for bits in values]
    numbers = [value for value in doubles if not math.isnan(value)]
    total = 0.0
    for value in numbers:
        total += value
    found = {"first": doubles[0], "last": doubles[-1], "min": min(numbers, default=math.inf), "max": max(numbers, default=-math.inf), "sum": total}
    for part in SUMMARY_PARTS:
        expect(stated[part] == found[part] or math.isnan(stated[part]) and math.isnan(found[part]), f"{what}: its {part} is {found[part]}, its summary states {stated[part]}")
    resets = sum(value < before for before, value in zip(numbers, numbers[1:]))
    expect(chunk.resets == resets, f"{what}: {resets} resets, {chunk.resets} are stated")
