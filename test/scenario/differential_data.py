"""Random samples for two servers that shall answer alike: gaps, resets, staleness, NaN, infinities, native histograms.

Everything follows from the seed. What makes PromQL's answers depend on rounding or on a tie is left out on purpose, so that
every difference means something:

- values are multiples of 1/1024 below 2^24, so that sums and differences of them are exact in any order;
- no sample stands at a whole, half or quarter second. Queries ask at half seconds and with ranges of whole and quarter seconds, so
  that no sample lies on a border: 2.42 counts the left one in, 3.x does not;
- counters are high, fall to 30 to 70 % of what they were, and are soon high again: near zero 3.x extrapolates less than 2.42.
"""

import random
import struct

from traceo import field, series, varint

BASE_MS = 1_700_000_400_000  # a multiple of every step that queries use; any time would do, a fixed one can be repeated
MINUTES = 40
INTERVAL_MS = 10_000
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]

COUNTERS = ["req_total", "bytes_total"]
GAUGES = ["temp", "level", "flat", "wild"]
LE = ["0.1", "0.5", "1", "2.5", "10", "+Inf"]


def label_sets():
    """Every series: its labels, and what kind of values it has."""
    for job in ("api", "db"):
        for inst in ("a", "b", "c"):
            for code in ("200", "500"):
                yield {"__name__": "req_total", "job": job, "inst": inst, "code": code}, "counter"
            yield {"__name__": "bytes_total", "job": job, "inst": inst}, "counter"
            yield {"__name__": "temp", "job": job, "inst": inst, "zone": "eu" if inst == "a" else "us"}, "gauge"
            yield {"__name__": "flat", "job": job, "inst": inst}, "flat"
            yield {"__name__": "meta", "job": job, "inst": inst, "version": "v" + str(ord(inst) % 2)}, "one"
        for inst in ("a", "b"):
            yield {"__name__": "level", "job": job, "inst": inst, "ünï code": "x y"}, "gauge"
            yield {"__name__": "wild", "job": job, "inst": inst}, "wild"
        for inst in ("a", "b", "c"):
            yield {"__name__": "nh", "job": job, "inst": inst}, "native"
        for le in LE:
            yield {"__name__": "lat_bucket", "job": job, "le": le}, "bucket"
        yield {"__name__": "lat_count", "job": job}, "counter"
        yield {"__name__": "lat_sum", "job": job}, "counter"


def moments(chance):
    """When a series has a sample (milliseconds), and True where it is a stale marker."""
    shape = chance.choice(["steady", "steady", "steady", "jitter", "sparse", "gap", "stale", "late", "short"])
    phase = chance.choice([1, 37, 113, 333, 499, 611, 777, 999])
    step = INTERVAL_MS * (chance.choice([6, 9, 17]) if shape == "sparse" else 1)
    times = []
    for at in range(0, MINUTES * 60_000, step):
        moved = chance.randrange(-3, 4) * 1000 if shape == "jitter" else 0
        times.append((at + moved + phase, False))
    if shape in ("gap", "stale"):
        for _ in range(chance.randint(1, 3)):
            begun = chance.randrange(0, MINUTES * 60_000)
            ended = begun + chance.choice([25_000, 90_000, 290_000, 420_000, 900_000])
            inside = [i for i, (at, _) in enumerate(times) if begun <= at < ended]
            if not inside:
                continue
            kept = [(times[inside[0]][0], True)] if shape == "stale" else []
            times[inside[0]:inside[-1] + 1] = kept
    if shape == "late":
        times = times[chance.randrange(len(times)):]
    if shape == "short":
        times = times[:chance.randrange(1, len(times))]
    return sorted(times)


def fine(chance, most):
    return chance.randrange(-most * 1024, most * 1024) / 1024


class Values:
    """The values of one series, one after another."""

    def __init__(self, chance, kind):
        self.chance, self.kind = chance, kind
        self.level = float(chance.randrange(1 << 20, 1 << 22)) if kind in ("counter", "bucket") else fine(chance, 4000)
        self.resets = chance.choice([0, 0, 0.01, 0.05, 0.2])

    def next(self):
        chance = self.chance
        if self.kind == "counter":
            if self.level > 1 << 20 and chance.random() < self.resets:
                self.level = float(int(self.level * chance.uniform(0.3, 0.7)))
            else:
                self.level += chance.choice([0, 1, 1, 7, 63, 4096, 65536]) + chance.randrange(4) / 4
        elif self.kind == "gauge":
            self.level = self.level if chance.random() < 0.1 else fine(chance, 4000)
        elif self.kind == "flat":
            self.level = float(chance.choice([0, 1, 1, 2, 3, 5, -1]))
        elif self.kind == "one":
            self.level = 1.0
        elif self.kind == "wild":
            self.level = chance.choice([float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1.0, fine(chance, 10), fine(chance, 4000)])
        return self.level


def zigzag(value):
    return varint(value << 1 if value >= 0 else (-value << 1) - 1)


class Natives:
    """Native histograms of one series, one after another, as remote write has them (without their time)."""

    def __init__(self, chance):
        self.chance = chance
        self.schema = chance.choice([0, 1, 2, 3])
        self.positive, self.negative = self.spans(chance.randint(1, 3)), self.spans(chance.choice([0, 0, 1]))
        self.counts = [[chance.randrange(1 << 12, 1 << 14) for _ in range(sum(length for _, length in spans))]
                       for spans in (self.positive, self.negative)]
        self.zero, self.sum = 4096, float(1 << 20)
        self.resets = chance.choice([0, 0, 0.02, 0.1])

    def spans(self, count):
        return [(self.chance.randrange(-3, 4) if i == 0 else self.chance.randrange(1, 4), self.chance.randint(1, 4)) for i in range(count)]

    def next(self):
        chance = self.chance
        if min(map(min, [side for side in self.counts if side])) > 1 << 12 and chance.random() < self.resets:
            self.counts = [[count // 2 for count in side] for side in self.counts]
            self.zero //= 2
            self.sum //= 2
        else:
            self.counts = [[count + chance.choice([0, 0, 1, 5, 64]) for count in side] for side in self.counts]
            self.zero += chance.choice([0, 1])
            self.sum += fine(chance, 100)
        out = varint(1 << 3) + varint(self.zero + sum(map(sum, self.counts))) + b"\x19" + struct.pack("<d", self.sum)
        out += varint(4 << 3) + zigzag(self.schema) + b"\x29" + struct.pack("<d", 1 / 128) + varint(6 << 3) + varint(self.zero)
        for at, spans, side in ((11, self.positive, self.counts[0]), (8, self.negative, self.counts[1])):
            for offset, length in spans:
                out += field(at, b"\x08" + zigzag(offset) + b"\x10" + varint(length))
            deltas = [count - before for before, count in zip([0] + side, side)]
            if deltas:
                out += field(at + 1, b"".join(map(zigzag, deltas)))
        return out


STALE_NATIVE = b"\x19" + struct.pack("<d", STALE)


def sender(labels, samples):
    """A TimeSeries of floats and native histograms."""
    natives = [(at, value) for at, value in samples if isinstance(value, bytes)]
    if not natives:
        return series(labels, samples)
    body = b"".join(field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in sorted(labels.items()))
    return field(1, body + b"".join(field(4, value + varint(15 << 3) + varint(at)) for at, value in natives))


def buckets(chance, times):
    """Cumulative counts for each `le`, all rising."""
    counts = [0] * len(LE)
    columns = [[] for _ in LE]
    for _ in times:
        for i in range(len(LE)):
            counts[i] += chance.choice([0, 0, 1, 3, 20])
        total = 1 << 20
        for i, count in enumerate(counts):
            total += count
            columns[i].append(float(total + (i << 12)))
    return columns


class Data:
    """All series of a seed: a list of (labels, [(milliseconds, value), …])."""

    def __init__(self, seed):
        chance = random.Random(f"data:{seed}")
        self.series = []
        waiting = {}
        for labels, kind in label_sets():
            if kind == "bucket":
                # Buckets of a histogram stand at the same moments.
                if labels["job"] not in waiting:
                    times = moments(chance)
                    waiting[labels["job"]] = (times, buckets(chance, times))
                times, columns = waiting[labels["job"]]
                column = columns[LE.index(labels["le"])]
                samples = [(at, STALE if stale else value) for (at, stale), value in zip(times, column)]
            elif kind == "native":
                natives = Natives(chance)
                samples = [(at, STALE_NATIVE if stale else natives.next()) for at, stale in moments(chance)]
            else:
                values = Values(chance, kind)
                samples = [(at, STALE if stale else values.next()) for at, stale in moments(chance)]
            self.series.append((labels, [(BASE_MS + at, value) for at, value in samples]))

    def requests(self, span_ms=300_000):
        """WriteRequests in the order of time, as Prometheus wants it."""
        first = min(at for _, samples in self.series for at, _ in samples)
        last = max(at for _, samples in self.series for at, _ in samples)
        for begun in range(first, last + 1, span_ms):
            body = b""
            for labels, samples in self.series:
                part = [sample for sample in samples if begun <= sample[0] < begun + span_ms]
                if part:
                    body += sender(labels, part)
            if body:
                yield body
