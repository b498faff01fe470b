"""The manifest of one tenant: store/series/FORMAT.md, "Manifest"."""

import re

from cursor import Damaged, TooNew, crc32c, expect, utf8

VERSION_MAX = 4
DAY_MS = 86400000
COUNTERS = ("sealed", "next", "writes")
MATCHES = {
    "eq": lambda text, value: text == value,
    "ne": lambda text, value: text != value,
    "re": lambda text, value: re.fullmatch(value, text, re.S) is not None,
    "nr": lambda text, value: re.fullmatch(value, text, re.S) is None,
}


class BlockRow:
    """A block the manifest names; `number` is that in its name, `order` who wins a time, `cold` that it was written with more effort, or is no smaller then."""

    def __init__(self, words, what):
        expect(len(words) == 9 and re.fullmatch(r"[0-9a-f]{8}", words[2]), f"{what}: not a row of a block")
        self.name = words[0]
        found = re.fullmatch(r"([0-9a-f]{16})\.block", self.name)
        expect(found, f"{what}: {self.name} is not the name of a block")
        self.number, self.crc = int(found[1], 16), int(words[2], 16)
        self.bytes, self.earliest, self.latest, level, self.order, self.series, self.samples = (integer(word, what) for word in words[1:2] + words[3:])
        self.level, self.cold = level % 256, level >= 256


class TierRow:
    """A block of a tier, of windows of `length_ms`; made of blocks of which `source` is the highest number, 0 when samples of its day are gone."""

    def __init__(self, words, what):
        expect(len(words) == 9 and re.fullmatch(r"[0-9a-f]{8}", words[2]), f"{what}: not a row of a tier")
        self.name = words[0]
        found = re.fullmatch(r"([0-9a-f]{16})\.block", self.name)
        expect(found, f"{what}: {self.name} is not the name of a block")
        self.number, self.crc = int(found[1], 16), int(words[2], 16)
        self.bytes, self.earliest, self.latest, self.length_ms, self.source, self.series, self.samples = (integer(word, what) for word in words[1:2] + words[3:])


class Delete:
    """What samples no longer exist: in blocks numbered below `before`, of series that all matchers match."""

    def __init__(self, words, what):
        expect(len(words) >= 6 and len(words) % 3 == 0, f"{what}: not a row of a delete")
        self.before, self.first_ms, self.last_ms = (integer(word, what) for word in words[:3])
        self.matchers = []
        for at in range(3, len(words), 3):
            expect(words[at] in MATCHES, f"{what}: {words[at]} is no kind of matcher")
            self.matchers.append((MATCHES[words[at]], unescaped(words[at + 1], what), unescaped(words[at + 2], what)))

    def means(self, labels):
        return all(match(labels.get(name, ""), value) for match, name, value in self.matchers)


class Manifest:
    def __init__(self, data, name):
        lines = checked_lines(data, name)
        words = lines[0].split(" ")
        expect(words[:3] == ["traceo", "series", "manifest"] and len(words) == 4, f"{name}, line 1: not a manifest")
        self.version = integer(words[3], f"{name}, line 1")
        if self.version > VERSION_MAX:
            raise TooNew(f"{name}: version {self.version}, this reader knows {VERSION_MAX}")
        self.counters, self.blocks, self.tiers, self.deletes = {}, [], [], []
        for number, line in enumerate(lines[1:], 2):
            self.read_line(line.split(" "), f"{name}, line {number}")
        expect(set(self.counters) == set(COUNTERS), f"{name}: of {', '.join(COUNTERS)} not all are there")
        named = [block.name for block in self.blocks + self.tiers]
        expect(len(set(named)) == len(named), f"{name}: a block is named twice")
        expect(self.version >= 4 or len(self.tiers_by_day()) == len(self.tiers), f"{name}: a tier is in several blocks")

    def tiers_by_day(self):
        """{(day, length of a window): rows of its blocks}: together they are the tier."""
        days = {}
        for tier in self.tiers:
            days.setdefault((tier.earliest // DAY_MS, tier.length_ms), []).append(tier)
        return days

    def read_line(self, words, what):
        kind, rest = words[0], words[1:]
        if kind in COUNTERS:
            expect(len(rest) == 1 and kind not in self.counters, f"{what}: {kind}, once and with one number")
            self.counters[kind] = integer(rest[0], what)
        elif kind == "block":
            self.blocks.append(BlockRow(rest, what))
        elif kind == "tier" and self.version >= 3:
            self.tiers.append(TierRow(rest, what))
        elif kind == "delete" and self.version >= 2:
            self.deletes.append(Delete(rest, what))
        else:
            raise Damaged(f"{what}: a line of an unknown kind, {kind}")


def checked_lines(data, name):
    """All lines but the last, whose checksum is that of the others."""
    body, _, last = data[:-1].rpartition(b"\n")
    found = re.fullmatch(rb"crc32c ([0-9a-f]{8})", last)
    expect(found and data.endswith(b"\n"), f"{name}: it does not end with its checksum")
    crc = crc32c(body + b"\n")
    expect(crc == int(found[1], 16), f"{name}: CRC-32C is {crc:08x}, {found[1].decode()} is stated")
    return utf8(body, name).split("\n")


def integer(word, what):
    expect(re.fullmatch(r"-?[0-9]+", word), f"{what}: {word} is not a number")
    return int(word)


def unescaped(word, what):
    expect(word.startswith("="), f"{what}: {word} does not begin with =")
    found = re.sub(rb"%([0-9a-f]{2})", lambda digits: bytes([int(digits[1], 16)]), word[1:].encode())
    return utf8(found, what)
