#!/usr/bin/env python3
"""What speaks to Prometheus speaks to Traceo: promtool, Grafana's calls, a prometheus that reads and federates.

    prometheus_clients_test.py TRACEO

The same samples go to Traceo and to a real Debian prometheus; promtool and a data source's calls are made to both and the
answers compared. A second prometheus has no data of its own, only `remote_read` and a federating scrape job.
"""

import http.client
import json
import math
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse

import traceo
from traceo import Server, Tap, free_port

QUERIES = pathlib.Path(__file__).resolve().parent / "prometheus_queries.txt"
STEP = 15


class Prometheus:
    """A prometheus of Debian on a port of its own."""

    def __init__(self, config, *flags):
        self.folder = tempfile.mkdtemp(prefix="traceo-peer-")
        self.port = free_port()
        path = pathlib.Path(self.folder, "prometheus.yml")
        path.write_text(config)
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={path}", f"--storage.tsdb.path={self.folder}/data", "--log.level=warn",
             f"--web.listen-address=127.0.0.1:{self.port}", *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait(self):
        for _ in range(300):
            try:
                if get(self.port, "/-/ready")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise RuntimeError("prometheus is not ready")

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)


def call(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
    finally:
        connection.close()


def get(port, path, **arguments):
    return call(port, "GET", path + ("?" + urllib.parse.urlencode(arguments, doseq=True) if arguments else ""))


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def post(port, path, **arguments):
    return call(port, "POST", path, urllib.parse.urlencode(arguments, doseq=True), FORM)


def fill(ports, now):
    """Five minutes of a few series, written to all of them; few enough samples for one chunk each."""
    body = b""
    for job in ("api", "db"):
        for instance in ("a", "b"):
            times = [(now - 300 + i * STEP) * 1000 for i in range(300 // STEP)]
            labels = {"job": job, "instance": instance}
            body += traceo.series({"__name__": "up", **labels}, [(at, i % 7 > 0) for i, at in enumerate(times)])
            body += traceo.series({"__name__": "requests_total", "code": "200", **labels},
                                  [(at, i * 3.5 + len(job)) for i, at in enumerate(times)])
    body += traceo.series({"__name__": "odd", "path": "a\"b\\c\nd é"}, [((now - 30) * 1000, -0.0), ((now - 15) * 1000, math.inf)])
    for port in ports:
        status, answer = traceo.write(http.client.HTTPConnection("127.0.0.1", port, timeout=60), body)
        if status not in (200, 204):
            raise RuntimeError(f"writing: {status} {answer!r}")


# ---- promtool ---------------------------------------------------------------------------------------


def promtool(*arguments, stdin=None):
    done = subprocess.run(["promtool", *arguments], input=stdin, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def compare_promtool(tap, mine, theirs, now):
    url = lambda port: f"http://127.0.0.1:{port}"
    at = f"--time={now}"
    span = [f"--start={now - 600}", f"--end={now}", "--step=30s"]
    rows = [
        ("instant", lambda port: ["query", "instant", url(port), "sum by (job) (requests_total)", at]),
        ("instant, as JSON", lambda port: ["query", "instant", "-o", "json", url(port), "sort(requests_total)", at]),
        ("instant scalar", lambda port: ["query", "instant", url(port), "1 + 1", at]),
        ("instant, wrong", lambda port: ["query", "instant", url(port), "sum(", at]),
        ("range", lambda port: ["query", "range", *span, url(port), "sum by (job) (up)"]),
        ("range, as JSON", lambda port: ["query", "range", "-o", "json", *span, url(port), "requests_total"]),
        ("series", lambda port: ["query", "series", "--match=up", "--match=odd", f"--start={now - 600}", f"--end={now}", url(port)]),
        ("labels", lambda port: ["query", "labels", f"--start={now - 600}", f"--end={now}", url(port), "instance"]),
        ("healthy", lambda port: ["check", "healthy", f"--url={url(port)}"]),
        ("ready", lambda port: ["check", "ready", f"--url={url(port)}"]),
    ]
    for name, arguments in rows:
        code, out, err = promtool(*arguments(mine))
        other_code, other, other_err = promtool(*arguments(theirs))
        order = lambda text: sorted(text.splitlines()) if name == "series" else text
        same_failure = code == other_code and code != 0 and bool(err)
        tap.check((code == other_code and order(out) == order(other)) or same_failure, f"promtool: {name}",
                  f"{code} {out[:500]} {err[:300]}\nnot {other_code} {other[:500]} {other_err[:300]}")
    code, _, err = promtool("check", "metrics", stdin=get(mine, "/federate", **{"match[]": "{__name__=~'.+'}"})[1].decode())
    complaints = [line for line in err.splitlines() if "error" in line.lower() and "lint" not in line]
    tap.check(code in (0, 3) and not complaints, "promtool: check metrics reads /federate", err[:500])
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["promtool", "debug", "metrics", url(mine)], cwd=folder, capture_output=True, text=True, timeout=60)
        tap.check(done.returncode == 0 and list(pathlib.Path(folder).glob("*.tar.gz")), "promtool: debug metrics", done.stderr[:500])


# ---- Grafana's data source ----------------------------------------------------------------------------


def data(answer):
    status, body, _ = answer
    return json.loads(body)["data"] if status == 200 else f"{status} {body[:300]!r}"


def alike(a, b):
    """Equal, numbers in text up to 1e-9: 2.42 and 3.x add up floats in another order."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(alike(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(alike(x, y) for x, y in zip(a, b))
    try:
        return a == b or math.isclose(float(a), float(b), rel_tol=1e-9)
    except (TypeError, ValueError):
        return False


def compare_grafana(tap, mine, theirs, now):
    health = post(mine, "/api/v1/query", query="1+1", time=4)
    tap.check(health[1] == b'{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}', "the health check of the data source", health)
    span = {"start": now - 600, "end": now, "step": "15"}
    for query in ("up", "requests_total", "max_over_time(requests_total[$__rate_interval])".replace("$__rate_interval", "1m0s"), "odd / 0"):
        status, body, _ = post(mine, "/api/v1/query_range", query=query, **span)
        tap.check(status == 200 and 0 < body.find(b'"resultType"') < body.find(b'"result":'), f"resultType stands before result: {query}", body[:200])
        tap.check(alike(json.loads(body)["data"], data(post(theirs, "/api/v1/query_range", query=query, **span))), f"query_range: {query}")
    status, body, _ = post(mine, "/api/v1/query_range", query="up{", **span)
    again = get(mine, "/api/v1/query_range", query="up{", **span)
    tap.check(status == 400 and again[0] == 400 and json.loads(body)["errorType"] == "bad_data" == json.loads(again[1])["errorType"],
              "a bad selector is asked twice, as a form and in the URL")
    long_query = " or ".join(f'up{{instance="{i:05d}"}}' for i in range(900)) + " or up"
    tap.check(len(urllib.parse.quote(long_query)) > 30000 and len(data(get(mine, "/api/v1/query", query=long_query, time=now - 20))["result"]) == 4,
              "a long query in the URL")
    match = {"match[]": ['up{job="api"}', "odd"], "start": now - 600, "end": now}
    rows = lambda answer: sorted(json.dumps(row, sort_keys=True) for row in data(answer))
    for path in ("/api/v1/series", "/api/v1/labels"):
        tap.check(rows(post(mine, path, **match)) == rows(post(theirs, path, **match)) == rows(get(mine, path, **match)), f"{path}, as a form and in the URL")
    tap.check(data(get(mine, "/api/v1/label/job/values", **match)) == data(get(theirs, "/api/v1/label/job/values", **match)), "values of a label")
    tap.check(data(get(mine, "/api/v1/label/U__job/values")) == ["api", "db"] and data(get(mine, "/api/v1/label/U______name____/values")) == data(get(mine, "/api/v1/label/__name__/values")),
              "escaped names of labels")
    limited = json.loads(get(mine, "/api/v1/series", limit=1, **match)[1])
    tap.check(len(limited["data"]) == 1 and limited["warnings"] == ["results truncated due to limit"], "a limit truncates with a warning")
    exemplars = post(mine, "/api/v1/query_exemplars", query="up", start=now - 600, end=now)
    tap.check(data(exemplars) == [], "query_exemplars", exemplars)
    build = data(get(mine, "/api/v1/status/buildinfo"))
    tap.check("features" not in build and build["version"].startswith("3."), "buildinfo has a version of Prometheus and no features", build)
    for path in ("rules", "alerts", "targets", "alertmanagers", "metadata", "status/config", "status/walreplay", "status/tsdb", "status/runtimeinfo"):
        ours, other = data(get(mine, f"/api/v1/{path}")), data(get(theirs, f"/api/v1/{path}"))
        without = {"goroutineCount", "GOGC", "GODEBUG", "read"}  # of Go; of a replay that is over
        missing = set(other) - set(ours) - without if isinstance(other, dict) and path != "metadata" else set()
        tap.check(type(ours) is type(other) and not missing, f"members of {path}", f"without {missing}: {str(ours)[:300]}")
    head = data(get(mine, "/api/v1/status/tsdb"))["headStats"]
    tap.check(set(data(get(theirs, "/api/v1/status/tsdb"))["headStats"]) <= set(head) and head["numSeries"] == 9 and head["chunkCount"] >= 9, "headStats", head)
    top = lambda port: data(get(port, "/api/v1/status/tsdb"))
    for name in ("seriesCountByMetricName", "labelValueCountByLabelName", "seriesCountByLabelValuePair"):
        values = lambda answer: [row["value"] for row in answer[name]]
        tap.check(values(top(mine)) == values(top(theirs)), f"status/tsdb: {name}", f"{top(mine)[name]}, not {top(theirs)[name]}")
    tap.check(len(data(get(mine, "/api/v1/status/tsdb", limit=2))["seriesCountByMetricName"]) == 2, "status/tsdb: limit")
    for coding, magic in (("gzip", b"\x1f\x8b"), ("zstd", b"\x28\xb5\x2f\xfd")):
        _, body, headers = call(mine, "GET", f"/api/v1/query_range?query=requests_total&start={now - 600}&end={now}&step=1", headers={"Accept-Encoding": coding})
        tap.check(headers.get("Content-Encoding") == coding and body.startswith(magic), f"answers packed with {coding}", headers)


def compare_formatter(tap, mine, theirs):
    texts = [line.removeprefix("range: ") for line in QUERIES.read_text().splitlines() if line and not line.startswith("#")]
    texts.append("sum by (job, instance) (rate(requests_total{code=~\"2..\", job!=\"x\"}[5m] offset 1w)) / on (job) group_left (instance) "
                 "-max_over_time(avg without (code) (up)[1h:5m] @ end()) > bool topk(5, histogram_quantile(0.9, rate(a_very_long_bucket_name[1h30m])))")
    different = []
    for text in texts:
        ours, other = post(mine, "/api/v1/format_query", query=text), post(theirs, "/api/v1/format_query", query=text)
        # 2.42 writes numbers as Go's %v, 3.x without an exponent.
        plain = lambda value: re.sub(r"\d[\d.]*e[+-]\d+", lambda match: f"{float(match[0]):f}".rstrip("0").rstrip("."), value)
        if other[0] == 200 and data(ours) != plain(data(other)):
            different.append(f"{text}\n{data(ours)}\n---\n{data(other)}")
    tap.check(not different, f"{len(texts)} queries are formatted alike", "\n".join(different[:3]))


# ---- Another prometheus ---------------------------------------------------------------------------------


def varint(number, value):
    return traceo.varint(number << 3) + traceo.varint(value)


def read_frames(port, now, names=b".+"):
    """STREAMED_XOR_CHUNKS of these names, as bytes."""
    matcher = varint(1, 2) + traceo.field(2, b"__name__") + traceo.field(3, names)
    query = varint(1, (now - 600) * 1000) + varint(2, now * 1000) + traceo.field(3, matcher)
    body = traceo.snappy(traceo.field(1, query) + varint(2, 1))
    return call(port, "POST", "/api/v1/read", body, {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
                                                     "X-Prometheus-Remote-Read-Version": "0.1.0"})


def frames(stream):
    out, at = [], 0
    while at < len(stream):
        size, shift = 0, 0
        while True:
            byte = stream[at]
            at += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        crc, = struct.unpack(">I", stream[at:at + 4])
        out.append((crc, stream[at + 4:at + 4 + size]))
        at += 4 + size
    return out


def compare_chunks(tap, mine, theirs, now):
    ours, other = read_frames(mine, now), read_frames(theirs, now)
    tap.check(ours[0] == other[0] == 200 and frames(ours[1]) == frames(other[1]) and len(frames(ours[1])) == 9,
              "streamed chunks are those of prometheus, byte for byte",
              f"{ours[0]} {ours[2]} {ours[1][:200].hex()}\nnot {other[0]} {other[2]} {other[1][:200].hex()}")


# ---- Chunks of native histograms -------------------------------------------------------------------


class Bits:
    """What stands in a chunk, the highest bit of each byte first."""

    WIDTHS = (0, 3, 6, 9, 12, 18, 25, 56, 64)

    def __init__(self, data):
        self.bits, self.left = int.from_bytes(data, "big"), len(data) * 8

    def take(self, count):
        self.left -= count
        if self.left < 0:
            raise ValueError("the chunk ends too early")
        return self.bits >> self.left & ((1 << count) - 1)

    def width(self):
        ones = 0
        while ones < 8 and self.take(1):
            ones += 1
        return self.WIDTHS[ones]

    def unsigned(self):
        return self.take(self.width())

    def signed(self):
        width = self.width()
        value = self.take(width) if width else 0
        limit = (1 << (width - 1)) if width else 0
        return value - (1 << width) if value > limit or (width == 64 and value == limit) else value

    def double(self):
        return self.take(64)


class Delta:
    """An integer, packed as the change of its change."""

    def __init__(self, is_signed):
        self.is_signed, self.value, self.delta, self.begun = is_signed, 0, 0, False

    def next(self, bits):
        if self.begun:
            self.delta += bits.signed()
            self.value += self.delta
        else:
            self.begun, self.value = True, bits.signed() if self.is_signed else bits.unsigned()
        return self.value


class Xor:
    """A double, as the XOR to the one before it."""

    def __init__(self):
        self.value, self.leading, self.size, self.begun = 0, 0, 0, False

    def next(self, bits):
        if not self.begun:
            self.begun, self.value = True, bits.take(64)
        elif bits.take(1):
            if bits.take(1):
                self.leading, self.size = bits.take(5), bits.take(6) or 64
            self.value ^= bits.take(self.size) << (64 - self.leading - self.size)
        return self.value


STALE = 0x7FF0000000000002


def number(bits):
    return struct.unpack(">d", bits.to_bytes(8, "big"))[0]


def histograms_of(kind, data):
    """Of a chunk: the byte about resets, and (time, count, zero count, sum, schema, zero threshold, {index: count}, {…}) of each histogram."""
    bits = Bits(data)
    count, flags, threshold = bits.take(16), bits.take(8), bits.take(8)
    threshold = 0.0 if threshold == 0 else number(bits.take(64)) if threshold == 255 else math.ldexp(0.5, threshold - 243)
    schema, sides = bits.signed(), []
    for _ in range(2):
        side, at = [], 0
        for _ in range(bits.unsigned()):
            length, offset = bits.unsigned(), bits.signed()
            side += range(at + offset, at + offset + length)
            at += offset + length
        sides.append(side)
    is_float = kind == 3
    head = [Delta(True), *([Xor(), Xor()] if is_float else [Delta(False), Delta(False)]), Xor()]
    columns = [[Xor() if is_float else Delta(True) for _ in side] for side in sides]
    rows = []
    for _ in range(count):
        time_ms, observations, zeros, total = [column.next(bits) for column in head]
        if total == STALE:
            rows.append((time_ms, "stale"))
            continue
        buckets = []
        for side, own in zip(sides, columns):
            counts, before = {}, 0
            for index, column in zip(side, own):
                value = number(column.next(bits)) if is_float else before + column.next(bits)
                before = value
                if value:  # what is empty may be told or not
                    counts[index] = value
            buckets.append(counts)
        if is_float:
            observations, zeros = number(observations), number(zeros)
        rows.append((time_ms, observations, zeros, number(total), schema, threshold, *buckets))
    return flags, rows


def parts(message):
    """The fields of a protobuf message: (number, value), a value an integer or bytes."""
    at = 0

    def number_at(at):
        value = shift = 0
        while True:
            byte = message[at]
            value |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                return value, at
    while at < len(message):
        key, at = number_at(at)
        value, at = number_at(at)
        if key & 7 == 2:
            value, at = message[at:at + value], at + value
        yield key >> 3, value


def chunks_by_series(stream):
    """{labels: [(encoding, bytes)]} of streamed frames."""
    series = {}
    for _, message in frames(stream):
        for which, content in parts(message):
            if which != 1:
                continue
            labels = b"".join(value for key, value in parts(content) if key == 1)
            for key, value in parts(content):
                if key == 2:
                    chunk = dict(parts(value))
                    series.setdefault(labels, []).append((chunk[3], chunk[4]))
    return series


def native(time_ms, counts, first, is_float, hint, total, schema=3):
    """A prometheus.Histogram of counts from bucket `first` on, with a gap of two in their middle, and two observations in the zero bucket."""
    double = lambda key, value: traceo.varint(key << 3 | 1) + struct.pack("<d", value)
    zigzag = lambda value: traceo.varint(value * 2 if value >= 0 else -value * 2 - 1)
    half = len(counts) // 2
    spans = b"".join(traceo.field(11, varint(1, offset * 2 if offset >= 0 else -offset * 2 - 1) + varint(2, length))
                     for offset, length in ((first, half), (2, len(counts) - half)))
    if is_float:
        body = double(2, sum(counts) + 2.0) + double(3, total) + varint(4, schema * 2) + double(5, 0.001) + double(7, 2.0) + spans
        body += traceo.field(13, b"".join(struct.pack("<d", count) for count in counts))
    else:
        body = varint(1, sum(counts) + 2) + double(3, total) + varint(4, schema * 2) + double(5, 0.001) + varint(6, 2) + spans
        body += traceo.field(12, b"".join(zigzag(count - before) for before, count in zip([0] + counts, counts)))
    return body + (varint(14, hint) if hint else b"") + varint(15, time_ms)


def write_natives(ports, now):
    """Series of both kinds: counters with a reset, buckets that come later, gauges, and one that ends."""
    rng, request = random.Random(7), b""
    for name in ("nh_plain", "nh_reset", "nh_grown", "nh_gauge", "nh_ended"):
        for is_float in (False, True):
            content = b"".join(traceo.field(1, traceo.field(1, label) + traceo.field(2, value))
                               for label, value in ((b"__name__", name.encode()), (b"kind", b"float" if is_float else b"integer")))
            counts, total = [0] * 12, 0.0
            for k in range(100):
                time_ms = (now - 600 + k * 5) * 1000 + rng.randrange(20)
                if name == "nh_gauge" or (name == "nh_reset" and k == 40):
                    counts = [0] * len(counts)
                if name == "nh_grown" and k % 30 == 29:
                    counts = counts + [0, 0]
                counts = [count + rng.choice((0, 0, 1, 3, 200)) for count in counts]
                total += sum(counts) / 8
                last = name == "nh_ended" and k == 99
                content += traceo.field(4, native(time_ms, [] if last else counts, -5, is_float, 3 if name == "nh_gauge" else 0,
                                                  number(STALE) if last else total))
            request += traceo.field(1, content)
    for port in ports:
        status, answer, _ = call(port, "POST", "/api/v1/write", traceo.snappy(request),
                                 {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"})
        if status not in (200, 204):
            raise RuntimeError(f"histograms are not taken: {status} {answer}")


def compare_histogram_chunks(tap, mine, theirs, now):
    if (now - 600) // 7200 != now // 7200:
        now -= 600  # prometheus ends a chunk at every other full hour
    write_natives((mine, theirs), now)
    # 2.42 cannot answer chunks of gauges: packing them again it finds "unexpected counter resets".
    answers = [read_frames(port, now, b"nh_(plain|reset|grown|ended)") for port in (mine, theirs)]
    tap.check([answer[0] for answer in answers] == [200, 200], "chunks of histograms are answered", str([answer[1][:200] for answer in answers]))
    ours, other = (chunks_by_series(answer[1]) for answer in answers)
    held = [{labels: [row for chunk in chunks for row in histograms_of(*chunk)[1]] for labels, chunks in series.items()} for series in (ours, other)]
    wrong = [labels for labels in other if held[0].get(labels) != held[1][labels]]
    tap.check(len(other) == 8 and not wrong and all(len(rows) == 100 for rows in held[0].values()),
              "histograms in chunks are those that prometheus tells", f"{len(other)} series, of which differ {wrong[:3]}")
    plain = [labels for labels in other if b"nh_plain" in labels]
    same = [labels for labels in plain if [(kind, data[:2] + data[3:]) for kind, data in ours[labels]] == [(kind, data[:2] + data[3:]) for kind, data in other[labels]]]
    tap.check(len(plain) == 2 and same == plain, "chunks of histograms of one layout have its bytes", f"{[ours[labels] for labels in plain][:1]}")
    resets = {labels: [histograms_of(*chunk)[0] for chunk in chunks] for labels, chunks in ours.items() if b"nh_reset" in labels}
    tap.check(len(resets) == 2 and all(len(flags) == 2 for flags in resets.values()), "behind a reset a new chunk begins", str(resets))


# ---- Figures about a query -------------------------------------------------------------------------

STATS_QUERIES = [
    "up", "sum by (job) (rate(requests_total[2m]))", "odd", "requests_total offset 1m", "up @ end()", "nothing", "1 + 2", "up + up offset 30s",
    "max_over_time(up[90s])", "max_over_time(rate(requests_total[1m])[3m:30s])", "sum(up) / count(up)", "rate(requests_total[1m] @ start())",
    "nh_plain", "histogram_count(rate(nh_reset[63s]))", "count_values('x', up)", "absent(nothing)", "topk(1, requests_total)",
]


def shape(value):
    return {key: shape(inner) for key, inner in value.items()} if isinstance(value, dict) else type(value).__name__


def compare_stats(tap, mine, theirs, now):
    """Names, and samples as they are counted, step by step; times are of each server."""
    for step in (None, 15, 60):
        wrong = []
        for query in STATS_QUERIES:
            when = {"time": now - 200} if step is None else {"start": now - 400, "end": now - 120, "step": step}
            answers = [data(post(port, "/api/v1/query" if step is None else "/api/v1/query_range", query=query, stats="all", **when))["stats"]
                       for port in (mine, theirs)]
            ours, other = answers
            exact = ("totalQueryableSamples", "totalQueryableSamplesPerStep")
            if shape(ours["samples"]) != shape(other["samples"]) or set(ours["timings"]) != set(other["timings"]) or any(
                    ours["samples"][key] != other["samples"][key] for key in exact):
                wrong.append((query, ours["samples"], other["samples"]))
            times = ours["timings"]
            parts = times["queryPreparationTime"] + times["innerEvalTime"] + times["resultSortTime"]
            if not (0 < times["evalTotalTime"] <= times["execTotalTime"] and abs(parts - times["evalTotalTime"]) < 1e-6):
                wrong.append((query, times))
        tap.check(not wrong, f"figures about queries are those of prometheus: {'instant' if step is None else f'every {step} s'}",
                  f"{len(wrong)} of {len(STATS_QUERIES)} differ: {str(wrong[:3])[:1500]}")
    short = [data(post(port, "/api/v1/query", query="up", stats="true", time=now))["stats"]["samples"] for port in (mine, theirs)]
    tap.check(shape(short[0]) == shape(short[1]), "stats=true has no steps", str(short))


def compare_pages(tap, mine, theirs):
    """Series of one name come in any order from prometheus, families in that of their names."""
    for selectors in (["{__name__=~'.+'}"], ["up", 'requests_total{job="db"}', "nothing"]):
        pages = [get(port, "/federate", **{"match[]": selectors})[1].decode() for port in (mine, theirs)]
        families = [[sorted(family.splitlines()) for family in page.split("# TYPE ")] for page in pages]
        tap.check(families[0] == families[1], f"/federate: {selectors}", f"{pages[0][:500]}\nnot {pages[1][:500]}")


def compare_reader(tap, mine, reader, now):
    order = lambda value: sorted(value["result"], key=lambda row: json.dumps(row["metric"], sort_keys=True)) if isinstance(value, dict) else value
    for query in ("up", "sum by (job) (rate(requests_total[2m]))", "odd", "requests_total[5m]", "nothing"):
        here, there = (data(post(port, "/api/v1/query", query=query, time=now - 10)) for port in (mine, reader))
        tap.check(order(here) == order(there), f"a prometheus that reads remotely answers alike: {query}", f"{str(there)[:300]}\nnot {str(here)[:300]}")


def check_federation(tap, server, reader):
    """The reader scrapes /federate once a second; its own store then has the series, labels and all."""
    for _ in range(100):
        traceo.write(server.connect(), traceo.series({"__name__": "federated_only", "job": "own"}, [(int(time.time() * 1000), 1.0)]))
        samples = data(get(reader, "/api/v1/query", query='scrape_samples_scraped{job="federate"}'))
        if isinstance(samples, dict) and any(row["value"][1] == "1" for row in samples["result"]):
            break
        time.sleep(0.2)
    targets = data(get(reader, "/api/v1/targets"))["activeTargets"]
    tap.check(targets and targets[0]["health"] == "up" and not targets[0]["lastError"], "a prometheus scrapes /federate", targets)
    tap.check(isinstance(samples, dict) and any(row["value"][1] == "1" for row in samples["result"]), "and stores the one series that it asked for", samples)


# ---- Deletes ----------------------------------------------------------------------------------------------


def compare_deletes(tap, server, theirs, now):
    mine = server.port

    def everything(port):
        answer = data(post(port, "/api/v1/query", query='{__name__=~".+"}[15m]', time=now))
        return sorted(json.dumps(row, sort_keys=True) for row in answer["result"])
    for name, arguments in (
            ("a span of two selectors", {"match[]": ['up{job="api"}', "odd"], "start": now - 200, "end": now - 20}),
            ("a whole series", {"match[]": ['requests_total{instance="b"}']}),
            ("nothing", {"match[]": ["no_such_metric"]})):
        statuses = [post(port, "/api/v1/admin/tsdb/delete_series", **arguments)[0] for port in (mine, theirs)]
        tap.check(statuses == [204, 204] and everything(mine) == everything(theirs), f"deleting {name}", f"{statuses} {everything(mine)[:2]}\nnot {everything(theirs)[:2]}")
    statuses = [call(port, "PUT", "/api/v1/admin/tsdb/clean_tombstones")[0] for port in (mine, theirs)]
    tap.check(statuses == [204, 204] and everything(mine) == everything(theirs), "cleaning changes no answer", statuses)
    # Deletes that were answered survive a kill.
    stated = everything(mine)
    status = post(mine, "/api/v1/admin/tsdb/delete_series", **{"match[]": ['up{job="db"}']})[0]
    post(theirs, "/api/v1/admin/tsdb/delete_series", **{"match[]": ['up{job="db"}']})
    server.kill()
    server.start()
    tap.check(status == 204 and stated != everything(mine) == everything(theirs), "what was deleted stays so after kill -9")
    names = [data(post(port, "/api/v1/admin/tsdb/snapshot", skip_head="false")) for port in (mine, theirs)]
    tap.check(all(isinstance(name, dict) and len(name["name"]) == len("20260101T000000Z-0123456789abcdef") for name in names), "a snapshot has a name", names)
    return names[0]["name"], everything(mine)


def check_snapshot(tap, server, name, now, stated):
    """A server that starts from the snapshot answers as the one it was made of."""
    folder = tempfile.mkdtemp(prefix="traceo-snapshot-")
    shutil.copytree(pathlib.Path(server.folder, "data", "snapshots", name), pathlib.Path(folder, "data"))
    other = Server(folder=folder)
    try:
        other.start()
        answer = data(post(other.port, "/api/v1/query", query='{__name__=~".+"}[15m]', time=now))
        tap.check(sorted(json.dumps(row, sort_keys=True) for row in answer["result"]) == stated, "a server starts from a snapshot and answers alike")
    finally:
        other.close()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    tap = Tap()
    if not shutil.which("prometheus") or not shutil.which("promtool"):
        tap.skip("clients of Prometheus", "prometheus or promtool is not installed")
        return tap.end()
    config = tempfile.NamedTemporaryFile("w", prefix="traceo-", suffix=".yaml")
    config.write("global: {external_labels: {zone: z1}}\n")
    config.flush()
    server = Server("--web.enable_admin_api", "true", "--config", config.name)
    peers = []
    try:
        server.start()
        peer = Prometheus("global: {scrape_interval: 1h, external_labels: {zone: z1}}\n", "--web.enable-remote-write-receiver", "--web.enable-admin-api",
                          "--enable-feature=native-histograms,promql-per-step-stats")
        reader = Prometheus(f"""
global: {{scrape_interval: 1s, external_labels: {{zone: z1}}}}
remote_read: [{{url: "http://127.0.0.1:{server.port}/api/v1/read", read_recent: true}}]
scrape_configs:
  - job_name: federate
    honor_labels: true
    metrics_path: /federate
    params: {{"match[]": ['{{job="own"}}']}}
    static_configs: [{{targets: ["127.0.0.1:{server.port}"]}}]
""", "--enable-feature=native-histograms")  # then it asks for pages in protobuf
        peers = [peer, reader]
        for one in peers:
            one.wait()
        now = int(time.time())
        if (now - 300) // 7200 != now // 7200:
            now = now // 7200 * 7200 - 1  # where prometheus would begin a chunk
        fill((server.port, peer.port), now)
        compare_promtool(tap, server.port, peer.port, now)
        compare_grafana(tap, server.port, peer.port, now)
        compare_formatter(tap, server.port, peer.port)
        compare_chunks(tap, server.port, peer.port, now)
        compare_pages(tap, server.port, peer.port)
        compare_reader(tap, server.port, reader.port, now)
        check_federation(tap, server, reader.port)
        name, stated = compare_deletes(tap, server, peer.port, now)
        check_snapshot(tap, server, name, now, stated)
        compare_histogram_chunks(tap, server.port, peer.port, now)
        compare_stats(tap, server.port, peer.port, now)
    finally:
        for one in peers:
            one.close()
        server.close()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
