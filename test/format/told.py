"""What the format test tells a server: every kind of sample, remembered bit for bit in the form in which the reader gives it."""

import math
import struct

from traceo import field, snappy, varint, write

STALE, NAN, ODD_NAN = 0x7FF0000000000002, 0x7FF8000000000001, 0x7FF8DEADBEEF0001
WRITE_2 = {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request", "X-Prometheus-Remote-Write-Version": "2.0.0"}
COUNTER, HISTOGRAM = 1, 3


def bits_of(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def zigzag(value):
    return varint((value << 1) ^ (value >> 63))


def number(at, value):
    return varint(at << 3) + varint(value) if value else b""


def eight(at, bits):
    return varint(at << 3 | 1) + struct.pack("<Q", bits)


# ---- One series -----------------------------------------------------------------------------------


class Row:
    """One series of a request: samples are (time, bits, start or None), histograms (time, dictionary), exemplars (time, (bits, labels)), as the reader has them."""

    def __init__(self, labels, samples=(), histograms=(), exemplars=(), metadata=None):
        self.labels, self.metadata = labels, metadata
        self.samples, self.histograms, self.exemplars = list(samples), list(histograms), list(exemplars)

    def as_version_1(self):
        out = labels_1(self.labels)
        out += b"".join(field(2, eight(1, bits) + number(2, time_ms)) for time_ms, bits, _ in self.samples)
        out += b"".join(field(3, labels_1(labels) + eight(2, bits) + number(3, time_ms)) for time_ms, (bits, labels) in self.exemplars)
        return field(1, out + b"".join(field(4, histogram_bytes(found)) for _, found in self.histograms))

    def as_version_2(self, symbols):
        out = field(1, references(self.labels, symbols))
        out += b"".join(field(2, eight(1, bits) + number(2, time_ms) + number(3, start or 0)) for time_ms, bits, start in self.samples)
        out += b"".join(field(3, histogram_bytes(found)) for _, found in self.histograms)
        out += b"".join(field(4, field(1, references(labels, symbols)) + eight(2, bits) + number(3, time_ms)) for time_ms, (bits, labels) in self.exemplars)
        if self.metadata:
            kind, help_text, unit = self.metadata
            out += field(5, number(1, kind) + number(3, symbol(help_text, symbols)) + number(4, symbol(unit, symbols)))
        return field(5, out)


def labels_1(labels):
    return b"".join(field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in sorted(labels.items()))


def symbol(text, symbols):
    return symbols.setdefault(text, len(symbols))


def references(labels, symbols):
    return b"".join(varint(symbol(name, symbols)) + varint(symbol(value, symbols)) for name, value in sorted(labels.items()))


def request_1(rows):
    return b"".join(row.as_version_1() for row in rows)


def request_2(rows):
    symbols = {"": 0}
    series = b"".join(row.as_version_2(symbols) for row in rows)
    return b"".join(field(4, text.encode()) for text in symbols) + series


# ---- Native histograms ----------------------------------------------------------------------------


def histogram(time_ms, counts, floats=False, schema=3, hint=0, bounds=(), start=0, below=()):
    """As the reader gives it. `counts` of the buckets from two below on, one span; `below` those of negative values, in two spans."""
    of = (lambda count: bits_of(float(count))) if floats else int
    negative = [(-1, 1), (2, len(below) - 1)] if below else []
    return {"floats": floats, "count": of(sum(counts) + sum(below) + (not bounds)), "sum": bits_of(sum(counts) * 1.5), "schema": schema, "zero_threshold": 0 if bounds else bits_of(0.001),
            "zero_count": of(0 if bounds else 1), "hint": hint, "time": time_ms, "start": start, "spans": ([(0 if bounds else -2, len(counts))], negative),
            "buckets": ([of(count) for count in counts], [of(count) for count in below]), "bounds": [bits_of(bound) for bound in bounds]}


def timed(time_ms, counts, **more):
    return time_ms, histogram(time_ms, counts, **more)


def histogram_bytes(of):
    out = eight(2, of["count"]) if of["floats"] else varint(1 << 3) + varint(of["count"])
    out += eight(3, of["sum"]) + varint(4 << 3) + zigzag(of["schema"]) + eight(5, of["zero_threshold"])
    out += eight(7, of["zero_count"]) if of["floats"] else varint(6 << 3) + varint(of["zero_count"])
    for side, first in ((1, 8), (0, 11)):
        counts = of["buckets"][side]
        out += b"".join(field(first, varint(1 << 3) + zigzag(offset) + number(2, length)) for offset, length in of["spans"][side])
        if of["floats"]:
            out += field(first + 2, struct.pack(f"<{len(counts)}Q", *counts))
        else:
            out += field(first + 1, b"".join(zigzag(count - before) for count, before in zip(counts, [0, *counts])))
    return out + number(14, of["hint"]) + number(15, of["time"]) + field(16, struct.pack(f"<{len(of['bounds'])}Q", *of["bounds"])) + number(17, of["start"])


# ---- Shapes of values -----------------------------------------------------------------------------


def walk(chance, first, step):
    """Values of which each is made from the one before."""
    def values(count):
        out, value = [], first
        for _ in range(count):
            out.append(bits_of(float(value)))
            value = step(chance, value)
        return out
    return values


def of_place(make):
    """Values by their place."""
    return lambda count: [bits_of(float(make(i))) for i in range(count)]


def odd_values(chance):
    odd = [NAN, ODD_NAN, STALE, bits_of(math.inf), bits_of(-math.inf), bits_of(-0.0), bits_of(5e-324), bits_of(1.7976931348623157e308), 0]
    return lambda count: [chance.choice(odd) if chance.random() < 0.1 else bits_of(chance.randrange(500) / 100) for _ in range(count)]


def with_stale(chance, values):
    return lambda count: [STALE if chance.random() < 0.02 else bits for bits in values(count)]


def sparse(chance):
    return lambda count: [bits_of(float(chance.randrange(1, 200))) if chance.random() < 0.01 else 0 for _ in range(count)]


def shapes(chance):
    """{name: function from a count to as many values}; each is there for a way in which columns are written."""
    return {
        "jittered_total": walk(chance, 12345, lambda chance, value: value + chance.randrange(90, 110)),
        "restarts_total": walk(chance, 100, lambda chance, value: 0 if chance.random() < 0.02 else value + chance.randrange(7)),
        "seldom_total": walk(chance, 10, lambda chance, value: value + (chance.random() < 0.025)),
        "constant": of_place(lambda i: 0.3),
        "steady_total": of_place(lambda i: 1000 + 7 * i),
        "squares": of_place(lambda i: 100 + i * i),
        "cubes": of_place(lambda i: 5 + i * i * i),
        "line": lambda count: [bits_of(1e6 + i * 1000 + chance.randrange(3)) for i in range(count)],
        "percent": walk(chance, 50, lambda chance, value: round(min(100, max(0, value + chance.uniform(-3, 3))), 2)),
        "pages_bytes": walk(chance, 1 << 30, lambda chance, value: value + 4096 * chance.randrange(-200, 200)),
        "levels": walk(chance, 500, lambda chance, value: value + chance.randrange(-4, 5)),
        "far_levels": walk(chance, 0, lambda chance, value: chance.choice([1, 1, 1, 1, 1, 2, 3, 1 << 40])),
        "seconds_total": walk(chance, 0, lambda chance, value: value + 0.1 * chance.randrange(9)),
        "noise": lambda count: [bits_of(chance.gauss(0, 1)) for _ in range(count)],
        "any_bits": lambda count: [chance.getrandbits(64) & ~(1 << 62) for _ in range(count)],
        "sparse_total": sparse(chance),
        "odd": odd_values(chance),
        "ending": with_stale(chance, walk(chance, 20, lambda chance, value: value + chance.randrange(-2, 3))),
    }


# ---- What was told --------------------------------------------------------------------------------


class Memory:
    """What one tenant was told: of two samples with one time the first, and so with histograms and with exemplars."""

    def __init__(self):
        self.series, self.metadata = {}, {}

    def add(self, row):
        samples, histograms, exemplars = self.series.setdefault(tuple(sorted(row.labels.items())), ({}, {}, {}))
        for kind, rows in ((samples, row.samples), (histograms, row.histograms), (exemplars, row.exemplars)):
            for found in rows:
                kind.setdefault(found[0], found)
        if row.metadata:
            self.metadata[row.labels["__name__"]] = row.metadata

    def delete(self, name, first_ms, last_ms):
        for labels, kinds in self.series.items():
            if dict(labels)["__name__"] == name:
                for kind in kinds:
                    for time_ms in [time_ms for time_ms in kind if first_ms <= time_ms <= last_ms]:
                        del kind[time_ms]


class Teller:
    """Sends rows to a server and remembers them by tenant."""

    def __init__(self, server):
        self.server, self.tenants, self.bodies = server, {}, []

    def tell(self, tenant, rows, version=1):
        body = request_2(rows) if version == 2 else request_1(rows)
        connection = self.server.connect()
        status, answer = write(connection, body, {**(WRITE_2 if version == 2 else {}), "X-Scope-OrgID": tenant})
        connection.close()
        if status != 204:
            raise RuntimeError(f"a write is answered {status}: {answer[:300]!r}")
        memory = self.tenants.setdefault(tenant, Memory())
        for row in rows:
            memory.add(row)
        self.bodies.append((tenant, version, snappy(body)))
