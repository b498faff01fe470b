#!/usr/bin/env python3
"""Moving over from a real prometheus and a real victoria-metrics: blocks, OpenMetrics text and lines of JSON come in, go out, and are verified.

    move_test.py TRACEO
"""

import base64
import json
import math
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

from prometheus_test import ask, difference
from traceo import ROOT, Server, Tap, binary, field, free_port, snappy, varint

OK, FAILED, PROBLEMS = 0, 1, 3
STEP_S = 15
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("TRACEO_")}


def run(*words, text=None):
    done = subprocess.run([binary(), *map(str, words)], input=text, stdin=subprocess.DEVNULL if text is None else None, capture_output=True, text=True,
                          env=ENVIRONMENT, timeout=300)
    return done.returncode, done.stdout, done.stderr


def at(server):
    return ["--server", f"http://127.0.0.1:{server.port}"]


def openmetrics(path, series, points, end_s, seed=7):
    """Gauges, counters with resets, values that are no numbers, labels that are not ASCII."""
    rng = random.Random(seed)
    begin = end_s - points * STEP_S + 7  # never on the edge of a range: Prometheus 3 leaves its left end out, 2 does not
    with open(path, "w") as out:
        out.write("# TYPE moved_jobs gauge\n")
        for i in range(series):
            value = 0.0
            for k in range(points):
                value += rng.choice([0, 0, 1, -1, 0.25])
                out.write(f'moved_jobs{{i="{i}",town="Zürich {i % 5}"}} {value} {begin + k * STEP_S}\n')
        out.write("# TYPE moved_requests counter\n")
        for i in range(series // 4):
            value = 0
            for k in range(points):
                value = 0 if rng.random() < 0.01 else value + rng.randrange(1000)
                if rng.random() > 0.02:  # gaps
                    out.write(f'moved_requests_total{{code="{200 + i}"}} {value} {begin + k * STEP_S + rng.random():.3f}\n')
        out.write("# TYPE moved_odd gauge\n")
        for k, value in enumerate(["NaN", "+Inf", "-Inf", "1e308", "5e-324", "-0", "0.1"]):
            out.write(f"moved_odd {value} {begin + (points // 2 + k) * STEP_S}\n")
        out.write("# EOF\n")


# ---- Native histograms by remote write -------------------------------------------------------------


def double(number, value):
    return varint(number << 3 | 1) + struct.pack("<d", value)


def zigzag(value):
    return varint((value << 1) ^ (value >> 63))


def histogram(time_ms, counts, total, is_float, hint=0):
    spans = field(11, varint(1 << 3) + zigzag(-2) + varint(2 << 3) + varint(len(counts)))
    if is_float:
        body = double(2, float(sum(counts) + 1)) + double(3, total) + varint(4 << 3) + zigzag(3) + double(5, 2.0**-128) + double(7, 1.0)
        body += spans + field(13, b"".join(struct.pack("<d", float(count)) for count in counts))
    else:
        deltas = [count - before for before, count in zip([0] + counts, counts)]
        body = varint(1 << 3) + varint(sum(counts) + 1) + double(3, total) + varint(4 << 3) + zigzag(3) + double(5, 0.001) + varint(6 << 3) + varint(1)
        body += spans + field(12, b"".join(zigzag(delta) for delta in deltas))
    if hint:
        body += varint(14 << 3) + varint(hint)
    return body + varint(15 << 3) + varint(time_ms)


def write_histograms(port, now_s, rng):
    request = b""
    for name, is_float in [("moved_latency", False), ("moved_latency_float", True)]:
        for i in range(3):
            counts, content = [0] * 20, b""
            for label, value in [("__name__", name), ("i", str(i))]:
                content += field(1, field(1, label.encode()) + field(2, value.encode()))
            for k in range(60):
                if k == 30:
                    counts = [0] * 20  # a reset
                counts = [count + rng.randrange(50) for count in counts]
                content += field(4, histogram((now_s - 900 + k * STEP_S) * 1000, counts, sum(counts) * 1.5, is_float))
            request += field(1, content)
    call = urllib.request.Request(f"http://127.0.0.1:{port}/api/v1/write", data=snappy(request), method="POST",
                                  headers={"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"})
    urllib.request.urlopen(call, timeout=30).read()


# ---- Peers -----------------------------------------------------------------------------------------


class Peer:
    def __init__(self, *words):
        self.port = free_port()
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen([word.format(port=self.port) for word in words], stdout=self.log, stderr=self.log)
        for _ in range(600):
            try:
                for path in ("/-/ready", "/health"):
                    urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5).read()
                    return
            except urllib.error.HTTPError:
                time.sleep(0.05)
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("a peer is not ready")

    def call(self, path, data=b""):
        return urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data, method="POST"), timeout=60).read()

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=60)
        self.log.close()


def prometheus(folder):
    config = pathlib.Path(folder, "prometheus.yml")
    config.write_text("global: {}\n")
    return Peer("prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/tsdb", "--storage.tsdb.retention.time=10y",
                "--web.listen-address=127.0.0.1:{port}", "--web.enable-admin-api", "--web.enable-remote-write-receiver",
                "--enable-feature=native-histograms", "--log.level=warn")


QUESTIONS = [
    'moved_jobs{i=~"1.?"}', "sum by (town) (moved_jobs)", "irate(moved_requests_total[5m])", "increase(moved_requests_total[30m])",
    "count_over_time(moved_jobs[10m])", "moved_odd", "changes(moved_odd[1h])", "resets(moved_requests_total[1h])",
    'count({__name__=~"moved_(jobs|odd|requests_total)"}) by (__name__)', "quantile_over_time(0.9, moved_jobs[20m])",
]
HISTOGRAM_QUESTIONS = [
    "histogram_count(moved_latency)", "histogram_sum(moved_latency_float)", "histogram_count(rate(moved_latency[2m]))",
    "histogram_sum(sum(rate(moved_latency_float[2m])))", "histogram_fraction(0, 2, moved_latency)", "histogram_count(sum(moved_latency))",
]


def compare(tap, server, peer, questions, start, end, step, name):
    failed = empty = 0
    for question in questions:
        arguments = {"query": question, "start": start, "end": end, "step": step}
        mine, theirs = (ask(port, "/api/v1/query_range", **arguments) for port in (server.port, peer.port))
        why = difference(mine, theirs, False)
        empty += theirs["data"]["result"] == []
        if why:
            failed += 1
            print(f"# {question}: {why}")
    tap.check(failed == 0 and empty == 0, name, f"{failed} of {len(questions)} answers differ, {empty} are empty")


def export_lines(port, match='{__name__=~"moved.*"}'):
    """Every series with its samples, from anything that speaks VictoriaMetrics' export."""
    data = urllib.parse.urlencode({"match[]": match, "start": 0}).encode()
    series = {}
    for line in urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/export", data=data, timeout=60).read().decode().splitlines():
        row = json.loads(line)
        series.setdefault(json.dumps(row["metric"], sort_keys=True), []).extend(zip(row["timestamps"], map(str, row["values"])))
    return {metric: sorted(samples) for metric, samples in series.items()}


# ---- The ways over ---------------------------------------------------------------------------------


def from_prometheus(tap, folder, now_s):
    text = folder / "old.om"
    openmetrics(text, 300, 900, now_s // 60 * 60 - 3600)
    made = subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(folder / "tsdb")], capture_output=True, text=True)
    tap.check(made.returncode == 0, "promtool makes blocks", made.stderr[-500:])
    peer, server = prometheus(folder), Server("--retention", "0")
    server.start()
    try:
        write_histograms(peer.port, now_s, random.Random(3))
        peer.call("/api/v1/admin/tsdb/delete_series?match[]=moved_jobs%7Bi%3D%2217%22%7D")  # a tombstone in every block
        name = json.loads(peer.call("/api/v1/admin/tsdb/snapshot"))["data"]["name"]
        snapshot = folder / "tsdb" / "snapshots" / name
        code, _, err = run("import", snapshot, *at(server))
        tap.check(code == OK and re.search(r"^imported: \d+ series, \d+ samples into", err, re.M), "a snapshot of prometheus is imported", err)
        compare(tap, server, peer, QUESTIONS, now_s // 60 * 60 - 3600 - 600 * STEP_S, now_s // 60 * 60 - 7200, 60, "both answer alike")
        compare(tap, server, peer, HISTOGRAM_QUESTIONS, now_s - 900 + 127, now_s - 60, 30, "both answer alike about native histograms")
        deleted = server.query('count_over_time(moved_jobs{i="17"}[1d])', now_s)["result"]
        tap.check(deleted == [], "what prometheus has deleted stays deleted", deleted)
        code, out, err = run("verify", snapshot, *at(server))
        tap.check(code == OK and "0 series differ" in err, "verify finds no difference", out + err)
        code, _, err = run("import", snapshot, *at(server))
        tap.check(code == OK and "refused" not in err, "the same again does no harm", err)
        code, _, err = run("import", folder / "tsdb", "--data", folder / "local", "--retention", "0")
        tap.check(code == OK and "write-ahead log is not read" in err, "a folder with a write-ahead log is told of", err)
        code, out, err = run("verify", text, *at(server))
        tap.check(code == PROBLEMS and 'moved_jobs{i="17"' in out and "1 series differ" in err, "the text has what was deleted since, and verify names it",
                  out + err)
        run("import", text, *at(server))
        code, out, err = run("verify", text, *at(server))
        tap.check(code == OK, "after an import of the text it is there", out + err)
        damaged(tap, snapshot, folder, server)
    finally:
        peer.close()
    return server


def damaged(tap, snapshot, folder, server):
    """One flipped bit anywhere in a block is an error that names the file, not a shorter import."""
    block = next(path for path in sorted(snapshot.iterdir()) if (path / "chunks" / "000001").stat().st_size > 10000)
    rng, silent, named = random.Random(11), [], 0
    for name in ["index", "chunks/000001"]:
        for _ in range(6):
            copy = folder / "damaged"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(block, copy)
            content = bytearray((copy / name).read_bytes())
            place = rng.randrange(8, len(content) - 60)
            content[place] ^= 1 << rng.randrange(8)
            (copy / name).write_bytes(content)
            code, _, err = run("verify", copy, *at(server))
            if code == FAILED and name in err and "offset" in err:
                named += 1
            elif code != OK:  # a bit in a part that nobody reads (old indices of labels) does no harm
                silent.append((name, place, err))
    tap.check(not silent and named >= 8, "a flipped bit is named by file and offset", silent or named)


def planted_histograms(tap, folder, lines, server):
    """What verify finds: a sum, a count, a bucket that moved, one that is missing."""
    rows = lines.read_text().splitlines()
    place = next(i for i, row in enumerate(rows) if '"histograms"' in row and "moved_latency_float" not in row)
    original = json.loads(rows[place])
    base = int(time.time()) - 900
    kinds = {"sum": histogram(0, [3] * 20, 90.5, False), "count": histogram(0, [3] * 19 + [4], 90, False),
             "bucket": histogram(0, [4, 2] + [3] * 18, 90, False), "missing": None}
    stated = histogram(0, [3] * 20, 90, False)
    for kind, wire in kinds.items():
        pairs = [[base * 1000, stated], [base * 1000 + 1, stated]]
        changed = [pairs[0]] + ([[base * 1000 + 1, wire]] if wire else [])
        for name, content in (("stored", changed), ("source", pairs)):
            row = {"metric": {**original["metric"], "planted": kind}, "histograms": [[at_ms, base64.b64encode(one).decode()] for at_ms, one in content]}
            (folder / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
        code, _, err = run("import", folder / "stored.jsonl", *at(server))
        right, _, _ = run("verify", folder / "stored.jsonl", *at(server))
        wrong, out, err2 = run("verify", folder / "source.jsonl", *at(server))
        tap.check((code, right, wrong) == (OK, OK, PROBLEMS) and "1 series differ" in err2 and "native histograms" in out,
                  f"verify finds a planted difference of native histograms: {kind}", f"{code} {right} {wrong} {err} {out} {err2}")


def back_and_forth(tap, folder, server, now_s):
    lines = folder / "all.jsonl"
    code, _, err = run("export", folder / "vm_all.jsonl", "--match", '{__name__=~"moved.*"}', "--format", "victoriametrics", *at(server))
    tap.check(code == OK and "left out: 360 native histograms" in err, "export says what a format cannot carry", err)
    code, _, err = run("export", lines, "--match", '{__name__=~"moved.*"}', *at(server))
    tap.check(code == OK and ", 360 native histograms from" in err and "left out" not in err, "export carries native histograms in lines of its own", err)
    again = Server("--retention", "0")
    again.start()
    try:
        code, _, err = run("import", lines, *at(again))
        tap.check(code == OK, "its lines are imported into an empty server", err)
        same = export_lines(server.port) == export_lines(again.port)
        tap.check(same, "both export the same, sample for sample")
        compare(tap, again, server, HISTOGRAM_QUESTIONS, now_s - 900 + 127, now_s - 60, 30, "and answer alike about native histograms")
        code, out, err = run("verify", lines, *at(again))
        tap.check(code == OK and "360 native histograms of the source; 0 series differ" in err, "verify finds no difference", out + err)
        twice = folder / "twice.jsonl"
        run("export", twice, "--match", '{__name__=~"moved.*"}', "--format", "traceo", *at(again))
        tap.check(twice.read_bytes() == lines.read_bytes(), "what is exported again is the same, byte for byte")
        run("import", lines, "--data", folder / "beside", "--retention", "0")
        code, _, err = run("export", folder / "beside.jsonl", "--match", '{__name__=~"moved.*"}', "--data", folder / "beside", "--retention", "0")
        tap.check(code == OK and (folder / "beside.jsonl").read_bytes() == lines.read_bytes(), "so it is through a data directory without a server", err)
        code, out, err = run("verify", lines, "--data", folder / "beside", "--retention", "0")
        tap.check(code == OK and "0 series differ" in err, "which is verified too", out + err)
        code, _, err = run("import", lines, "--data", folder / "few", "--retention", "0", "--series.per_metric_max", "2")
        tap.check(code == PROBLEMS and "series.per_metric_max" in err, "limits of new series hold there as in a server", err)
        planted_histograms(tap, folder, lines, again)
        rows = lines.read_text().splitlines()
        planted = json.loads(rows[100])
        planted["values"][7] = (planted["values"][7] or 0) + 1e-3
        (folder / "planted.jsonl").write_text("\n".join(rows[:100] + [json.dumps(planted)] + rows[101:]))
        code, out, err = run("verify", folder / "planted.jsonl", *at(again))
        tap.check(code == PROBLEMS and "1 series differ" in err and "source:" in out, "a planted difference of a thousandth is found", out + err)
        text = folder / "all.om"
        code, _, err = run("export", text, "--match", '{__name__=~"moved.*"}', "--format", "openmetrics", *at(server))
        made = subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(folder / "back")], capture_output=True, text=True)
        tap.check(code == OK and made.returncode == 0, "promtool makes blocks of exported OpenMetrics", err + made.stderr[-500:])
        code, out, err = run("verify", folder / "back", *at(again))
        tap.check(code == OK and "0 series differ" in err, "and they are the same", out + err)
    finally:
        again.close()


def with_victoria_metrics(tap, folder, server):
    if shutil.which("victoria-metrics") is None:
        tap.skip("victoria-metrics", "it is not installed")
        return
    peer = Peer("victoria-metrics", f"-storageDataPath={folder}/vm", "-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=100y", "-loggerLevel=ERROR")
    other = Server("--retention", "0")
    other.start()
    try:
        # moved_odd holds a NaN that is a value, which VictoriaMetrics does not know.
        code, out, err = run("export", "--match", '{__name__=~"moved_(jobs|requests_total)"}', *at(server))
        peer.call("/api/v1/import", out.encode())
        peer.call("/internal/force_flush")
        lines = folder / "vm.jsonl"
        data = urllib.parse.urlencode({"match[]": '{__name__=~"moved.*"}', "start": 0}).encode()
        lines.write_bytes(urllib.request.urlopen(f"http://127.0.0.1:{peer.port}/api/v1/export", data=data, timeout=60).read())
        tap.check(len(lines.read_text().splitlines()) >= 375, "victoria-metrics takes what traceo exports", err)
        code, _, err = run("import", lines, "--format", "victoriametrics", *at(other))
        tap.check(code == OK, "traceo takes what victoria-metrics exports", err)
        theirs, mine = export_lines(peer.port), export_lines(other.port)
        close = theirs.keys() == mine.keys() and all(
            [t for t, _ in theirs[key]] == [t for t, _ in mine[key]]
            and all(a == b or abs(float(a) - float(b)) <= 1e-9 * abs(float(b)) for (_, a), (_, b) in zip(theirs[key], mine[key])) for key in theirs)
        tap.check(close, "both export the same")
        code, out, err = run("verify", lines, *at(other))
        tap.check(code == OK and "0 series differ" in err, "verify finds no difference", out + err)
        call = urllib.request.Request(f"http://127.0.0.1:{other.port}/api/v1/import", data=lines.read_bytes(), method="POST")
        tap.check(urllib.request.urlopen(call, timeout=60).status == 204, "the lines may be posted to /api/v1/import too")
    finally:
        peer.close()
        other.close()


def killed_half_way(tap, folder, now_s):
    text = folder / "long.om"
    openmetrics(text, 1500, 900, now_s - 7200, seed=9)
    server = Server("--retention", "0")
    server.start()
    place = folder / "long.om.traceo-position"
    try:
        job = subprocess.Popen([binary(), "import", str(text), *at(server)], stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        for _ in range(6000):
            if place.exists() or job.poll() is not None:
                break
            time.sleep(0.002)
        server.process.send_signal(signal.SIGSTOP)
        job.kill()
        err = job.communicate()[1]
        server.process.send_signal(signal.SIGCONT)
        tap.check(place.exists(), "an import that is killed leaves its place", err)
        code, out, err = run("verify", text, *at(server))
        tap.check(code == PROBLEMS and "series differ" in err, "half of it is missing", err)
        code, _, err = run("import", text, "--resume", *at(server))
        total = sum(1 for line in open(text) if not line.startswith("#"))
        rest = re.search(r"^imported: \d+ series, (\d+) samples", err, re.M)
        tap.check(code == OK and rest and 0 < int(rest.group(1)) < total, "it goes on from there, not from the beginning", (total, err))
        code, out, err = run("verify", text, *at(server))
        tap.check(code == OK and "0 series differ" in err, "and then all of it is there", out + err)
        tap.check(not place.exists(), "what is done leaves no place")
        code, _, err = run("import", text, "--resume", *at(server))
        tap.check(code == OK and "nothing to resume" in err, "without a place it begins at the beginning", err)
    finally:
        server.close()


def what_comes_along(tap, folder, now_s):
    server = Server("--retention", "0")
    server.start()
    try:
        at_s = now_s - 3600
        text = ("# TYPE along counter\n# HELP along What comes along.\n# TYPE along_seconds gauge\n# UNIT along_seconds seconds\n"
                f'along_seconds{{a="b"}} 1 {at_s}\n'
                "# TYPE asked counter\n" + "".join(f'asked_total{{a="b"}} {k} {at_s + k} # {{trace_id="t{k}"}} {k / 8} {at_s + k - 0.5}\n' for k in range(3)) + "# EOF\n")
        code, _, err = run("import", "-", "--label", "town=Zürich", "-l", "a=c", *at(server), text=text)
        tap.check(code == OK and "2 series, 4 samples" in err and "label town=Zürich" in err, "OpenMetrics comes through a pipe, with labels added", err)
        said = json.loads(urllib.request.urlopen(f"http://127.0.0.1:{server.port}/api/v1/metadata", timeout=30).read())["data"]
        tap.check(said == {"along": [{"type": "counter", "help": "What comes along.", "unit": ""}], "along_seconds": [{"type": "gauge", "help": "", "unit": "seconds"}],
                           "asked": [{"type": "counter", "help": "", "unit": ""}]}, "with its metadata", said)
        found = ask(server.port, "/api/v1/query_exemplars", query="asked_total", start=at_s - 10, end=at_s + 10)["data"]
        tap.check(found == [{"seriesLabels": {"__name__": "asked_total", "a": "b", "town": "Zürich"},
                             "exemplars": [{"labels": {"trace_id": f"t{k}"}, "value": f"{k / 8:g}", "timestamp": at_s + k - 0.5} for k in range(3)]}],
                  "and its exemplars", found)
        source = folder / "along.om"
        source.write_text(text)
        code, out, err = run("verify", source, *at(server))
        tap.check(code == PROBLEMS and "2 series differ" in err, "without the labels it is something else", out + err)
        code, out, err = run("verify", source, "--label", "town=Zürich", *at(server))
        tap.check(code == OK and "2 series, 4 samples" in err and "0 series differ" in err, "with them it is the same", out + err)
        for wrong, why in [("=x", "write NAME=VALUE"), ("x=", "write NAME=VALUE"), ("x", "write NAME=VALUE")]:
            code, _, err = run("import", source, "--label", wrong, *at(server))
            tap.check(code == 2 and why in err, f"--label {wrong} is refused", err)
        code, _, err = run("import", source, "--label", "x=1", "--label", "x=2", *at(server))
        tap.check(code == 2 and "--label" in err, "the same label twice is refused", err)
        (folder / "along.om.traceo-position").write_text(f"traceo import 1\nhttp://127.0.0.1:{server.port}, label x=1\nopenmetrics {len(text.encode())} 0\n")
        code, _, err = run("import", source, "--label", "x=2", "--resume", *at(server))
        tap.check(code == FAILED and "label x=1" in err, "an import is not resumed with other labels", err)
        code, _, err = run("import", source, "--label", "x=1", "--resume", *at(server))
        tap.check(code == OK, "but with the same", err)
    finally:
        server.close()


def newest_encodings(tap, folder):
    """A block as Prometheus 3.16 writes it with float chunks of XOR2 and start timestamps: test/golden/blocks/README.md."""
    block, begin_s = ROOT / "test/golden/blocks/prometheus_3_16", 1795700000
    server = Server("--retention", "0", "--query.start_timestamps", "true")
    server.start()
    try:
        code, _, err = run("import", shutil.copytree(block, folder / "newest"), *at(server))
        tap.check(code == OK and "4 series, 960 samples" in err, "a block of XOR2 is imported", err)
        code, out, err = run("verify", block, *at(server))
        tap.check(code == OK and "0 series differ" in err, "and is the same", out + err)

        def value(query, at_s):
            found = ask(server.port, "/api/v1/query", query=query, time=at_s)["data"]["result"]
            return [float(row["value"][1]) for row in found]

        for name in ("asks_total", "took_seconds"):
            starts = [value(f"start_timestamp({name})", begin_s + at_s) for at_s in (0, 99 * STEP_S, 100 * STEP_S, 239 * STEP_S)]
            count = 2 if name == "asks_total" else 1
            tap.check(starts == [[begin_s - 1] * count] * 2 + [[begin_s + 100 * STEP_S - 0.5] * count] * 2, f"{name} began to count when it did there", starts)
        tap.check(value("asks_total", begin_s + 150 * STEP_S) == [150, 150] and value("level", begin_s + 8 * STEP_S) == [1], "its values are there")
        tap.check(value("histogram_count(took_seconds)", begin_s + 150 * STEP_S) == [255], "its histograms, too", value("histogram_count(took_seconds)", begin_s + 150 * STEP_S))
    finally:
        server.close()


def too_old(tap, folder, now_s):
    server = Server("--retention", "1h")
    server.start()
    try:
        text = folder / "few.om"
        text.write_text(f"# TYPE a gauge\na 1 {now_s - 86400}\na 2 {now_s - 60}\nb 1 {now_s - 86400}\n# EOF\n")
        code, _, err = run("import", text, *at(server))
        tap.check(code == PROBLEMS and re.search(r"\d+ too_old: .*retention", err), "samples beyond the retention are counted and explained", err)
        code, _, err = run("import", folder / "nothing", *at(server))
        tap.check(code == FAILED and "No such file" in err, "a source that is not there is said so", err)
        text.write_text("# TYPE a gauge\na 1 5\na x 6\n# EOF\n")
        code, _, err = run("import", text, *at(server))
        tap.check(code == FAILED and "few.om: line 3, column" in err, "a bad line is named", err)
        code, _, err = run("import", "-", *at(server), text='{"metric":{"__name__":"c"},"values":[1],"timestamps":[%d]}\n' % (now_s * 1000))
        tap.check(code == OK and "1 series, 1 samples" in err, "lines come through a pipe", err)
        code, _, err = run("import", text, "--server", f"http://127.0.0.1:{free_port()}")
        tap.check(code != OK, "where no server answers it ends at once", err)
    finally:
        server.close()


def main():
    tap = Tap()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="traceo-move-"))
    now_s = int(time.time())
    server = None
    try:
        if shutil.which("prometheus") is None or shutil.which("promtool") is None:
            tap.skip("moving over", "prometheus is not installed")
            return tap.end()
        server = from_prometheus(tap, folder, now_s)
        back_and_forth(tap, folder, server, now_s)
        with_victoria_metrics(tap, folder, server)
        killed_half_way(tap, folder, now_s)
        what_comes_along(tap, folder, now_s)
        newest_encodings(tap, folder)
        too_old(tap, folder, now_s)
    finally:
        if server:
            server.close()
        shutil.rmtree(folder, ignore_errors=True)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
