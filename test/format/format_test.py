#!/usr/bin/env python3
"""A stranger reads what Traceo wrote: read_traceo.py, made from the FORMAT.md files alone, against what was sent and what the server answers.

    format_test.py TRACEO [--seed N]

All kinds of samples are told to a real server, several days and tenants, blocks merged and deletes among them; it is stopped, the reader
reads, the server starts again and is asked. All three say the same, bit for bit. Then bits are flipped, and the reader notices each.
"""

import argparse
import itertools
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parent / "scenario")]

import columns
from block import VERSION_MAX, Block
from cursor import Damaged, TooNew, crc32c, double_of, fields, unsnappy
from manifest import Manifest
from read_traceo import METADATA_TYPES, tenants
from segments import REMOTE_WRITE_1, REMOTE_WRITE_2, UNPACKED_1, read_log, read_series_1, refused_rows, sent
from told import COUNTER, HISTOGRAM, WRITE_2, Row, Teller, bits_of, request_1, request_2, shapes, timed
from traceo import ROOT, Server, Tap, binary, field, snappy, varint, write

CROWD = 8  # series of one metric that the server of the log takes
DAY_MS, STEP_MS = 86_400_000, 15_000
MAIN, OTHER = "default", "other-team"
FLAGS = ["--retention", "0", "--series.retention_5m", "0", "--series.retention_1h", "0", "--web.enable_admin_api", "true", "--query.start_timestamps", "true"]
READER = str(FOLDER / "read_traceo.py")


# ---- What is told ---------------------------------------------------------------------------------


def shape_rows(chance, begin_ms, count, instances=("a", "b")):
    """Every shape on a clock that jitters, one for each instance."""
    out = []
    for instance in instances:
        times = [begin_ms + i * STEP_MS + chance.choice([0, 0, 0, 0, 1, 2, -1, 3]) for i in range(count)]
        for name, values in shapes(chance).items():
            samples = [(time_ms, bits, None) for time_ms, bits in zip(times, values(count))]
            out.append(Row({"__name__": name, "instance": instance, "größe": "straße-" + instance, "emoji": "🦊"}, samples))
    return out


def bucket_rows(chance, begin_ms, count):
    """A classic histogram: buckets that grow together."""
    bounds, totals, out = ["0.1", "0.5", "1", "+Inf"], [0] * 4, []
    for i in range(count):
        for at in range(chance.randrange(4), 4):
            totals[at] += 1
        out.append((begin_ms + i * STEP_MS, list(totals)))
    return [Row({"__name__": "took_bucket", "le": bound}, [(time_ms, bits_of(float(row[at])), None) for time_ms, row in out]) for at, bound in enumerate(bounds)]


def start_rows(chance, begin_ms, count):
    """Counters that say when their counting began; one begins anew, one is silent about it at times."""
    times = [begin_ms + i * STEP_MS for i in range(count)]
    values = [bits_of(float(i)) for i in range(count)]
    first, anew = begin_ms - 60_000, times[count // 2] - 2000
    starts = {"steady": [first] * count, "anew": [first if time_ms < anew else anew for time_ms in times],
              "unsure": [first if chance.random() < 0.7 else None for _ in times], "each": [time_ms - 1 for time_ms in times]}
    return [Row({"__name__": "started_total", "kind": kind}, zip(times, values, found), metadata=(COUNTER, "Counts, said since when.", "things"))
            for kind, found in starts.items()]


def histogram_rows(chance, begin_ms, count):
    """Native histograms of all kinds: integers, floats, custom bounds, two sides, with starts, few and many."""
    def row(kind, rows, **more):
        counts, found = [0] * 12, []
        for i in range(rows):
            counts = [0] * 12 if i == rows // 2 else [before + chance.randrange(9) for before in counts]
            if more.get("bounds"):
                counts = counts[:len(more["bounds"]) + 1]
            found.append(timed(begin_ms + i * STEP_MS, counts, **more))
        return Row({"__name__": "native_seconds", "kind": kind}, histograms=found, metadata=(HISTOGRAM, "", "seconds"))
    return [row("integers", count), row("floats", count, floats=True), row("custom", count, schema=-53, bounds=(0.1, 1.0, 10.0)), row("hint", count, hint=2),
            row("sides", count, below=[3, 1, 4]), row("starts", count, start=begin_ms - 1000), row("one", 1)]


def exemplar_rows(chance, begin_ms, count):
    samples = [(begin_ms + i * STEP_MS, bits_of(float(i)), None) for i in range(count)]
    found = [(begin_ms + i * STEP_MS - 7, (bits_of(chance.random()), {"trace_id": f"{chance.getrandbits(64):016x}", "wo": "Köln"})) for i in range(0, count, 9)]
    return [Row({"__name__": "asked_total", "path": "/"}, samples, exemplars=found, metadata=(COUNTER, f"How often \"it\" was\nasked, as told from {begin_ms} on.", ""))]


def mixed_rows(chance, begin_ms, count):
    """A series that is floats, then histograms, at some times both."""
    times = [begin_ms + i * STEP_MS for i in range(count)]
    return [Row({"__name__": "mixed"}, [(time_ms, bits_of(float(chance.randrange(9))), None) for time_ms in times[:count // 2 + 5]],
                [timed(time_ms, [1, chance.randrange(9)]) for time_ms in times[count // 2:]])]


def day_rows(chance, begin_ms, count):
    return {1: shape_rows(chance, begin_ms, count) + bucket_rows(chance, begin_ms, count) + mixed_rows(chance, begin_ms, count),
            2: start_rows(chance, begin_ms, count) + histogram_rows(chance, begin_ms, count if count < 100 else count // 4) + exemplar_rows(chance, begin_ms, count)}


def tell_day(teller, tenant, chance, begin_ms, count):
    for version, rows in day_rows(chance, begin_ms, count).items():
        for at in range(0, len(rows), 20):
            teller.tell(tenant, rows[at:at + 20], version)


def flush(server):
    connection = server.connect()
    connection.request("POST", "/api/traceo/v1/flush")
    answer = connection.getresponse()
    if answer.status not in (200, 204):
        raise RuntimeError(f"a flush is answered {answer.status}: {answer.read()!r}")


def delete(teller, name, first_ms, last_ms):
    query = urllib.parse.urlencode({"match[]": f'{{__name__=~"{name}|never.*",job!="ü x"}}', "start": first_ms / 1000, "end": last_ms / 1000})
    connection = teller.server.connect()
    connection.request("POST", "/api/v1/admin/tsdb/delete_series?" + query)
    answer = connection.getresponse()
    if answer.status != 204:
        raise RuntimeError(f"a delete is answered {answer.status}: {answer.read()!r}")
    teller.tenants[MAIN].delete(name, first_ms, last_ms)


def merged(server, timeout_s=20):
    """Waits until a block of the main tenant is a merged one."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if any(block.level > 0 for block in tenants(server.folder + "/data")[MAIN].manifest.blocks):
            return True
        time.sleep(0.05)
    return False


def tiered(server, timeout_s=60):
    """Waits until the main tenant has both tiers of its oldest day, of all blocks that the day has."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        manifest = tenants(server.folder + "/data")[MAIN].manifest
        day = min(block.earliest for block in manifest.blocks) // DAY_MS
        newest = max(block.number for block in manifest.blocks if block.earliest // DAY_MS == day)
        if {tier.length_ms: tier.source for tier in manifest.tiers if tier.earliest // DAY_MS == day} == {300000: newest, 3600000: newest}:
            return True
        time.sleep(0.05)
    return False


def tell_all(tap, teller, chance, now_ms):
    midnight = now_ms // DAY_MS * DAY_MS
    # A day that is over, in pieces that come out of order and tell some times twice.
    begin = midnight - 3 * DAY_MS + 3600_000
    for piece in (0, 3, 1, 2, 1, 2):
        tell_day(teller, MAIN, chance, begin + piece * 60 * STEP_MS, 80)
        flush(teller.server)
    tap.check(merged(teller.server), "small blocks of one day are merged")
    tap.check(tiered(teller.server), "and windows are made of it")
    # Over midnight, for two tenants.
    for tenant in (MAIN, OTHER):
        tell_day(teller, tenant, chance, midnight - DAY_MS - 100 * STEP_MS, 200)
    # Today, which is not merged yet: a delete stays a line of the manifest. What is told behind it stays, too.
    recent = now_ms - 400 * STEP_MS
    tell_day(teller, MAIN, chance, recent, 300)
    delete(teller, "levels", recent + 50 * STEP_MS, recent + 100 * STEP_MS)
    rows = [Row({"__name__": "levels", "instance": "a", "größe": "straße-a", "emoji": "🦊"}, [(recent + 70 * STEP_MS + 7500, bits_of(0.25), None)])]
    teller.tell(MAIN, rows)
    # What the stop makes blocks of: more than 1 MiB of log. At its end times that another block has, stored before.
    tell_day(teller, MAIN, chance, now_ms - 1500 * STEP_MS, 1120)


# ---- What is compared -----------------------------------------------------------------------------


def kinds_of(series):
    return [series.samples, series.histograms, series.exemplars]


def read(data):
    """{tenant: {labels: [samples, histograms, exemplars]}}, by the stranger's reader."""
    return {name: {key_of(series): kinds_of(series) for series in tenant.series()} for name, tenant in tenants(data).items()}


def key_of(series):
    return tuple(sorted(series.labels.items()))


def as_told(memory):
    out = {}
    for key, kinds in memory.series.items():
        if any(kinds):
            out[key] = [[kind[time_ms] for time_ms in sorted(kind)] for kind in kinds]
    return out


def differences(theirs, ours):
    """Of two such tables of one tenant; the kinds that only one knows are left out by who asks."""
    out = [f"only theirs: {dict(key)}" for key in theirs.keys() - ours.keys()] + [f"only ours: {dict(key)}" for key in ours.keys() - theirs.keys()]
    for key in theirs.keys() & ours.keys():
        for what, a, b in zip(("samples", "histograms", "exemplars"), theirs[key], ours[key]):
            if a != b:
                out.append(f"{what} of {dict(key)}: {first_difference(a, b)}")
    return "\n".join(out[:10])


def first_difference(theirs, ours):
    for i, (a, b) in enumerate(zip(theirs, ours)):
        if a != b:
            return f"at {i} {a} and {b}"
    return f"{len(theirs)} and {len(ours)} of them"


# ---- What the server says -------------------------------------------------------------------------


def ask(server, tenant, path, **form):
    status, body = server.get(path + "?" + urllib.parse.urlencode(form), {"X-Scope-OrgID": tenant})
    if status != 200:
        raise RuntimeError(f"{path} {form}: {status} {body[:300]!r}")
    return json.loads(body)["data"]


def remote_read(server, tenant, end_ms):
    """Every series by /api/v1/read, which has the bits of each value and the bytes of each histogram."""
    matcher = varint(1 << 3) + varint(2) + field(2, b"__name__") + field(3, b".+")
    body = snappy(field(1, varint(1 << 3) + varint(0) + varint(2 << 3) + varint(end_ms) + field(3, matcher)))
    connection = server.connect()
    connection.request("POST", "/api/v1/read", body, {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
                                                      "X-Prometheus-Remote-Read-Version": "0.1.0", "X-Scope-OrgID": tenant})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"a remote read is answered {answer.status}: {content[:300]!r}")
    results = [value for number, value in fields(unsnappy(content, "an answer"), "an answer") if number == 1]
    rows = [read_series_1(value, "an answer") for result in results for number, value in fields(result, "a result") if number == 1]
    return {key_of(row): kinds_of(row)[:2] for row in rows}


def without_starts(table):
    return {key: [[(time_ms, bits, None) for time_ms, bits, _ in samples], histograms] for key, (samples, histograms, _) in table.items() if samples or histograms}


def exemplars_of_server(server, tenant, end_s):
    found = ask(server, tenant, "/api/v1/query_exemplars", query="asked_total", start=0, end=end_s)
    return {tuple(sorted(row["seriesLabels"].items())): [(round(each["timestamp"] * 1000), (bits_of(float(each["value"])), each["labels"])) for each in row["exemplars"]]
            for row in found}


def starts_of_server(server, tenant, name, begin_ms, count):
    """{labels: [start or None]} at every step of a clock that does not jitter."""
    found = ask(server, tenant, "/api/v1/query_range", query=f"start_timestamp({name})", start=begin_ms / 1000, end=(begin_ms + (count - 1) * STEP_MS) / 1000,
                step=STEP_MS / 1000, lookback_delta="1ms")["result"]
    out = {}
    for row in found:
        at = {round(float(time_s) * 1000): round(float(value) * 1000) for time_s, value in row["values"]}
        out[tuple(sorted(row["metric"].items()))] = [at.get(begin_ms + i * STEP_MS) for i in range(count)]
    return out


def starts_differ(server, tenant, table):
    """Where the query language says another start than the reader; over the day that was told in pieces."""
    mine = {key: kinds[0] for key, kinds in table.items() if dict(key)["__name__"] == "started_total"}
    begin_ms = min(samples[0][0] for samples in mine.values())
    count = 1 + max(time_ms - begin_ms for samples in mine.values() for time_ms, _, _ in samples if time_ms < begin_ms + 3600_000 * 3) // STEP_MS
    out, said = [], starts_of_server(server, tenant, "started_total", begin_ms, count)
    for key, samples in mine.items():
        theirs = said.get(tuple(pair for pair in key if pair[0] != "__name__"))
        ours = [start or 0 for time_ms, _, start in samples if time_ms < begin_ms + count * STEP_MS]
        if theirs != ours:
            out.append(f"{dict(key)}: {first_difference(theirs or [], ours)}")
    return "\n".join(out)


# ---- Windows --------------------------------------------------------------------------------------


def slow_windows(samples, histograms, day, length_ms):
    """{end: window} of the samples of a day, told as FORMAT.md has it."""
    out = {}
    rows = [row for row in samples if row[0] // DAY_MS == day]
    for time_ms, bits, _ in rows:
        end_ms = -(-time_ms // length_ms) * length_ms
        window, value = out.setdefault(end_ms, {"count": 0.0, "values": []}), double_of(bits)
        if bits == columns.STALE:
            window["ended_ago"] = float(end_ms - time_ms)
            continue
        window.pop("ended_ago", None)
        before = window.get("last")
        if before is not None and value < before:
            window["fell"], window["resets"] = window.get("fell", 0.0) + before, window.get("resets", 0.0) + 1
        window["count"] += 1
        window["values"].append(value)
        window.setdefault("first", value)
        window.setdefault("first_ago", float(end_ms - time_ms))
        window["last"], window["last_ago"] = value, float(end_ms - time_ms)
    for time_ms, _ in histograms:
        if time_ms // DAY_MS == day:
            window = out.setdefault(-(-time_ms // length_ms) * length_ms, {"count": 0.0, "values": []})
            window["histograms"] = window.get("histograms", 0.0) + 1
    for window in out.values():
        values = window.pop("values")
        numbers = [value for value in values if value == value]
        if values:
            nothing = float("nan")
            window.update(sum=sum(values), least=min(numbers, default=nothing), greatest=max(numbers, default=nothing))
    return out


def same_window(a, b):
    # Zero that fell is not told.
    parts = {part for part in {*a, *b} if a.get(part, 0) != 0 or b.get(part, 0) != 0}
    return all(part in a and part in b and same_number(part, a[part], b[part]) for part in parts)


def same_number(part, a, b):
    if a != a or b != b or part == "sum" and not (abs(a) < 1e300 and abs(b) < 1e300):
        return a != a and b != b or part == "sum"
    return a == b or part in ("sum", "fell") and abs(a - b) <= 1e-9 * (abs(a) + abs(b))


def compare_tiers(tap, tenant, table):
    """Every window is what the samples say that the reader found, and none is missing."""
    left, windows_seen = [], 0
    for day, length_ms, all_series in tenant.tiers():
        found = {tuple(sorted(labels.items())): windows for labels, windows in all_series}
        for key, (samples, histograms, _) in table.items():
            wanted, have = slow_windows(samples, histograms, day, length_ms), found.pop(key, {})
            windows_seen += len(have)
            left += [f"{dict(key)}, {length_ms} to {end_ms}: {have.get(end_ms)}, not {wanted.get(end_ms)}" for end_ms in sorted({*wanted, *have})
                     if end_ms not in have or end_ms not in wanted or not same_window(have[end_ms], wanted[end_ms])]
        left += [f"{dict(key)} has no samples" for key in found]
    tap.check(len(tenant.manifest.tiers) >= 2 and windows_seen > 500 and not left, f"{windows_seen} windows of {len(tenant.manifest.tiers)} tiers say what samples say", "\n".join(left[:10]))


# ---- Lines of JSON --------------------------------------------------------------------------------


def run(*words):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRACEO_")}
    done = subprocess.run([*map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)
    return done.returncode, done.stdout, done.stderr


def reader(*words):
    return run(sys.executable, READER, *words)


def lines_of(text):
    """{labels and kind: what the lines of it have, together}; numbers as text, so that -0 stays what it is."""
    out = {}
    for row in text.splitlines():
        found = json.loads(row, parse_int=float)
        key = tuple(sorted(found.pop("metric").items()))
        for kind, rows in found.items():
            out.setdefault((key, kind), []).extend(map(repr, rows))
    return out


def compare_lines(tap, data):
    for tenant in (MAIN, OTHER):
        code, theirs, err = run(binary(), "export", "--data", data, "--tenant", tenant, "--match", '{__name__=~".+"}')
        again, mine, err_again = reader(data, "--tenant", tenant)
        theirs, mine = lines_of(theirs), lines_of(mine)
        wrong = [str(key) for key in theirs.keys() | mine.keys() if theirs.get(key) != mine.get(key)]
        tap.check(code == again == 0 and theirs and not wrong, f"{tenant}: the reader's lines are those of traceo export", "\n".join([*wrong[:5], err, err_again]))
    code, out, err = reader(data, "--starts", "--exemplars", "--metadata", "--tiers")
    found = {key for row in out.splitlines() for key in json.loads(row)}
    tap.check(code == 0 and {"starts", "exemplars", "family", "windows"} <= found, "asked for, it prints starts, exemplars, metadata and windows too", err)
    code, _, err = reader(data, "--tenant", "nobody")
    tap.check(code != 0 and "nobody" in err and OTHER in err, "a tenant that is not there is said so", err)


# ---- Flipped bits ---------------------------------------------------------------------------------


def flipped(content, bit):
    out = bytearray(content)
    out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


def unnoticed(content, flips, open_it):
    """Which flipped bits `open_it` does not notice."""
    out = []
    for bit in flips:
        try:
            open_it(flipped(content, bit))
            out.append(f"bit {bit % 8} of byte {bit // 8}")
        except (Damaged, TooNew):
            pass
    return "\n".join(out[:10])


def read_block(content):
    block = Block(content, "a block")
    return sum(1 for _ in block.series()), block.metadata()


def flip_blocks(tap, chance, data):
    paths = sorted(pathlib.Path(data).glob("objects/*/*.block"), key=lambda path: path.stat().st_size)
    golden = sorted((ROOT / "test/golden/series").glob("block*"))
    tap.check(len(paths) > 5 and all(read_block(path.read_bytes())[0] > 0 for path in paths + golden), "as they are, all blocks are read", paths)
    content = golden[0].read_bytes()
    left = unnoticed(content, range(8 * len(content)), read_block)
    tap.check(not left, f"each of {8 * len(content)} flipped bits of the golden block is noticed", left)
    content = paths[0].read_bytes()
    left = unnoticed(content, chance.sample(range(8 * len(content)), 300), read_block)
    tap.check(not left, f"300 flipped bits of a block of {len(content)} bytes are noticed", left)
    left = [f"{size} bytes" for size in chance.sample(range(len(content)), 100) if not unnoticed_cut(content, size)]
    tap.check(not left, "and 100 times that its end is missing", "\n".join(left[:10]))
    content = pathlib.Path(data, "tenants/2/MANIFEST").read_bytes()
    left = unnoticed(content, range(8 * len(content)), lambda changed: Manifest(changed, "MANIFEST"))
    tap.check(not left, f"each of {8 * len(content)} flipped bits of a manifest is noticed", left)


def unnoticed_cut(content, size):
    try:
        read_block(content[:size])
        return False
    except Damaged:
        return True


def flip_in_folder(tap, chance, data):
    """The command names what is damaged."""
    with tempfile.TemporaryDirectory(prefix="traceo-format-") as folder:
        copy = pathlib.Path(shutil.copytree(data, folder + "/data", ignore=shutil.ignore_patterns("*.spare", "ballast")))
        for path in (next(copy.glob("objects/2/*.block")), copy / "tenants/2/MANIFEST"):
            content = path.read_bytes()
            path.write_bytes(flipped(content, chance.randrange(8 * len(content))))
            code, _, err = reader(copy)
            tap.check(code == 1 and path.name in err, f"a flipped bit in {path.name} is named", (code, err))
            path.write_bytes(content)
        code, _, err = reader(copy)
        tap.check(code == 0, "put right it is read again", err)


def golden(tap):
    """The examples of the FORMAT.md files."""
    folder = ROOT / "test/golden/series"
    series = list(Block((folder / "block_starts").read_bytes(), "block_starts").series())
    starts = {row.labels["__name__"]: [start for _, _, start in row.samples] for row in series}
    first, anew = 1699999940000, 1699999940000 + 133000
    tap.check(starts == {"restarts_total": [first] * 5 + [anew] * 3, "steady_total": [first] * 8, "unsure_total": [first] * 2 + [None] * 2 + [first] * 4},
              "the golden block of starts", starts)
    near = {row.labels["__name__"]: [bits for _, bits, _ in row.samples] for row in Block((folder / "block_near").read_bytes(), "block_near").series()}
    sums = list(itertools.accumulate(0.1 * (i % 7) for i in range(96)))
    tap.check(near == {"seconds_total": [bits_of(value) for value in sums], "ending_seconds_total": [bits_of(value * 3) for value in sums[:-1]] + [columns.STALE]},
              "the golden block near decimals", near)
    found = Manifest((folder / "manifest_deletes").read_bytes(), "manifest_deletes").deletes
    labels = {"__name__": "up", "a b%": "c", "x": "\n"}
    tap.check([each.before for each in found] == [17, 18] and found[1].first_ms == -5 and found[1].means(labels) and not found[1].means({**labels, "y": "z"}),
              "the golden manifest with deletes", [vars(each) for each in found])
    found = Manifest((folder / "manifest_tiers").read_bytes(), "manifest_tiers").tiers
    tap.check([(each.number, each.length_ms, each.source) for each in found] == [(14, 300000, 16), (15, 3600000, 0)], "the golden manifest with tiers", [vars(each) for each in found])
    found = Manifest((folder / "manifest_parts").read_bytes(), "manifest_parts")
    tap.check([(block.level, block.cold) for block in found.blocks] == [(1, True), (0, False)] and found.version == 4 and {at: [each.number for each in rows] for at, rows in found.tiers_by_day().items()}
              == {(20777, 300000): [14], (20412, 3600000): [15], (20413, 3600000): [9, 10]}, "the golden manifest with a cold block, and a tier in two", [vars(each) for each in found.tiers])
    (labels, windows), (_, others) = Block((folder / "block_tier").read_bytes(), "block_tier").windows()
    first = 1700000100000
    tap.check(labels == {"__name__": "fallen_total"} and [windows[first][part] for part in ("count", "sum", "least", "greatest", "first", "last", "fell", "resets")] == [4, 21, 2, 10, 4, 2, 15, 2]
              and others == {first + 300000: {"count": 0, "ended_ago": 60000, "histograms": 1}}, "the golden block of a tier", (windows, others))
    records, gaps = read_log(ROOT / "test/golden/log")
    more, _ = read_log(ROOT / "test/golden/log/remote_write_2")
    tap.check([(record.type, record.body) for record in records] == [(REMOTE_WRITE_1, b"a snappy body"), (UNPACKED_1, b"samples")] and not gaps
              and [row.labels["job"] for row in sent(more[0])] == ["a", "b"], "the golden segments")


def newer(tap):
    """A version that nobody knows yet, with good checksums."""
    content = (ROOT / "test/golden/series/block").read_bytes()
    trailer = content[-32:-16] + struct.pack("<I", VERSION_MAX + 1)
    manifest = b"traceo series manifest 5\nsealed 1\nnext 1\nwrites 1\n"
    for what, open_it in (("block", lambda: Block(content[:-32] + trailer + struct.pack("<I", crc32c(trailer)) + content[-8:], "a block")),
                          ("manifest", lambda: Manifest(manifest + f"crc32c {crc32c(manifest):08x}\n".encode(), "MANIFEST"))):
        try:
            open_it()
            tap.check(False, f"a {what} of a newer version is refused")
        except TooNew as fault:
            tap.check("version" in str(fault), f"a {what} of a newer version is refused", fault)


# ---- The log --------------------------------------------------------------------------------------


def tell_log(server, chance, now_ms):
    """Requests of all kinds, one with series that are one too many. Returns (tenant's name, type, body as stored, rows, refused) of each."""
    begin, out, teller = now_ms - 100 * STEP_MS, [], Teller(server)
    rows = day_rows(chance, begin, 20)
    for version, kind in ((1, REMOTE_WRITE_1), (2, REMOTE_WRITE_2)):
        for tenant in (MAIN, OTHER):
            teller.tell(tenant, rows[version][:20], version)
            out.append((tenant, kind, teller.bodies[-1][2], rows[version][:20], []))
    connection = server.connect()
    plain = [Row({"__name__": "plain", "a": "ü"}, [(now_ms, bits_of(1.5), None)])]
    body = request_1(plain)
    for path, sent_body, kind, stored in (("/api/v1/write", body, UNPACKED_1, body), ("/api/v1/import/prometheus", f'plain{{a="ü"}} 1.5 {now_ms}\n'.encode(), REMOTE_WRITE_1, None)):
        connection.request("POST", path, sent_body, {"Content-Type": "application/x-protobuf", "Content-Encoding": "identity", "X-Scope-OrgID": MAIN})
        connection.getresponse().read()
        out.append((MAIN, kind, stored, plain, []))
    crowd = [Row({"__name__": "crowd", "i": str(i)}, [(now_ms, bits_of(float(i)), None)]) for i in range(CROWD + 3)]
    for tenant, kind, body, headers in ((MAIN, REMOTE_WRITE_1, request_1(crowd), {}), (OTHER, REMOTE_WRITE_2, request_2(crowd), WRITE_2)):
        write(connection, body, {**headers, "X-Scope-OrgID": tenant})
        out.append((tenant, kind, snappy(body), crowd, [CROWD, CROWD + 1, CROWD + 2]))
    connection.close()
    return out


def records_differ(records, told, numbers):
    out = [] if len(records) == len(told) else [f"{len(records)} records, {len(told)} were told"]
    for place, (record, (tenant, kind, body, rows, refused)) in enumerate(zip(records, told)):
        found = [(series.labels, kinds_of(series)) for series in sent(record)]
        stated = {"sequence": record.sequence == place + 1, "tenant": record.tenant == numbers[tenant], "type": record.type == kind, "body": body in (None, record.body),
                  "refused": refused_rows(record) == refused, "rows": found == [(row.labels, kinds_of(row)) for row in rows]}
        out += [f"record {place}: {what}, {vars(record)}"[:600] for what, holds in stated.items() if not holds]
    return "\n".join(out)


def log_records(tap, chance, now_ms):
    server = Server("--retention", "0", "--series.per_metric_max", str(CROWD))
    try:
        server.start()
        told = tell_log(server, chance, now_ms)
        server.kill()
        data = server.folder + "/data"
        numbers = {name: tenant.number for name, tenant in tenants(data).items()}
        records, gaps = read_log(data + "/log")
        mine = [record for record in records if record.tenant in (numbers[MAIN], numbers[OTHER])]
        told_by = [record.sequence for record in mine]
        for place, record in enumerate(mine):
            record.sequence = place + 1  # those of Traceo's own metrics lie between
        left = records_differ(mine, told, numbers)
        tap.check(not left and not gaps, f"{len(told)} requests are in the log as they were sent: type, tenant, bytes, series, refused rows", left or gaps)
        code, out, err = reader(data, "--log")
        tap.check(code == 0 and out.count('"sequence"') == len(records) and f'"refused":[{CROWD},{CROWD + 1},{CROWD + 2}]' in out, "the command prints them", err)
        damage_log(tap, pathlib.Path(data), told_by[1])
    finally:
        server.close()


def damage_log(tap, data, sequence):
    path, = (data / "log").glob("*.log")
    content = path.read_bytes()
    at = next(record.at for record in read_log(data / "log")[0] if record.sequence == sequence)
    for where, name in ((at + 20, "head"), (at + 80, "body")):
        path.write_bytes(flipped(content, 8 * where))
        tap.check(read_log(data / "log")[1] == [(sequence, sequence + 1)], f"a record with a flipped bit in its {name} is a gap")
    path.write_bytes(flipped(content, 8 * 30))
    tap.check(not read_log(data / "log")[1], "where the header is damaged its copy stands in")
    path.write_bytes(flipped(path.read_bytes(), 8 * (len(content) - 4000)))
    code, _, err = reader(data, "--log")
    tap.check(code == 1 and path.name in err, "where both are, the segment is named", err)


# ---- All of it ------------------------------------------------------------------------------------


def planted(tap, chance, told, found):
    """The comparison is worth something: it sees one bit of one sample, one histogram, one exemplar."""
    for place, what in enumerate(("sample", "histogram", "exemplar")):
        key = chance.choice([key for key, kinds in told.items() if kinds[place]])
        rows = list(told[key][place])
        at = chance.randrange(len(rows))
        time_ms, value, *more = rows[at]
        rows[at] = (time_ms, {**value, "sum": value["sum"] ^ 1} if what == "histogram" else value ^ 1 if what == "sample" else (value[0] ^ 1, value[1]), *more)
        changed = {**told, key: [rows if i == place else kind for i, kind in enumerate(told[key])]}
        left = differences(changed, found)
        tap.check(left.startswith(f"{what}s of") and "\n" not in left, f"and one wrong bit of one {what} would be seen", left)


class Kinds:
    """Which ways of writing columns the reader met."""

    WANTED = {"raw", "constant", "steady", "scaled", "all stale", "odd values", "near", "two streams", "one stream", "unsigned", "signed",
              *(f"{kind} of order {order}" for kind in ("packed", "coded") for order in range(4))}

    def __init__(self):
        self.met = set()
        self.watch("column_numbers", lambda cursor, kind, count: {columns.RAW: "raw", columns.CONSTANT: "constant", columns.STEADY: "steady", columns.SCALED: "scaled"}.get(kind))
        self.watch("residual_numbers", lambda cursor, kind, count: f"{'packed' if kind == columns.PACKED else 'coded'} of order {cursor.data[cursor.at] & 3}")
        self.watch("residual_numbers", lambda cursor, kind, count: kind == columns.CODED and ("unsigned" if cursor.data[cursor.at] & 4 else "signed"))
        self.watch("class_coded", lambda cursor, count: "one stream" if count < columns.SPLIT_FROM else "two streams")
        self.watch("near_values", lambda cursor, decimals, count: "near")
        self.watch("patched_values", lambda cursor, count: "all stale" if cursor.data[cursor.at] & 1 else "odd values")

    def watch(self, name, what):
        inner = getattr(columns, name)

        def watched(cursor, *rest):
            self.met.add(what(cursor, *rest))
            return inner(cursor, *rest)
        setattr(columns, name, watched)


def compare_server(tap, server, tenant, table, now_ms):
    left = differences(remote_read(server, tenant, now_ms), without_starts(table))
    tap.check(not left, f"{tenant}: the server answers the same samples and histograms, bit for bit", left)
    left = starts_differ(server, tenant, table)
    tap.check(not left, f"{tenant}: the same start timestamps", left)
    mine = {key: kinds[2] for key, kinds in table.items() if kinds[2]}
    theirs = exemplars_of_server(server, tenant, now_ms / 1000)
    tap.check(theirs == mine, f"{tenant}: the same exemplars", theirs)


def compare_answers(tap, server, data, now_ms):
    """Windows answer where they are allowed to, say so, and say what samples say."""
    day_ms = now_ms // DAY_MS * DAY_MS - 3 * DAY_MS
    for query in ("count_over_time(levels[1h])", "sum(rate(took_bucket[1h]))", "took_bucket"):
        form = {"query": query, "start": day_ms // 1000, "end": (day_ms + DAY_MS) // 1000, "step": 3600, "stats": "all"}
        for longest in ("1h", "auto", "5m"):
            plain, (status, body) = ask(server, MAIN, "/api/v1/query_range", **form), server.get(
                "/api/v1/query_range?" + urllib.parse.urlencode({**form, "max_source_resolution": longest}), {"X-Scope-OrgID": MAIN})
            answer = json.loads(body)
            tap.check(status == 200 and plain["result"] and same_rows(plain["result"], answer["data"]["result"]), f"{query} from windows up to {longest}: the same", body[:600])
            tap.check("downsampled" not in plain["stats"]["samples"] and answer["data"]["stats"]["samples"].get("downsampled", 0) > 0
                      and any("samples of " + ("1h" if longest == "1h" else "5m") in note for note in answer.get("infos", [])), "and it is said", body[-600:])


def same_rows(a, b):
    return [row["metric"] for row in a] == [row["metric"] for row in b] and all(
        len(x["values"]) == len(y["values"]) and all(p[0] == q[0] and abs(float(p[1]) - float(q[1])) <= 1e-9 * abs(float(p[1])) for p, q in zip(x["values"], y["values"]))
        for x, y in zip(a, b))


def compare_metadata(tap, server, data, memory):
    mine = tenants(data)[MAIN].metadata()
    theirs = {family: tuple(rows[0][part] for part in ("type", "help", "unit")) for family, rows in ask(server, MAIN, "/api/v1/metadata").items()}
    told = {family: (METADATA_TYPES[kind], help_text, unit) for family, (kind, help_text, unit) in memory.metadata.items()}
    tap.check(mine == theirs == told, "the same metadata", (mine, theirs, told))


def blocks_of_a_server(tap, chance, now_ms):
    server, kinds = Server(*FLAGS), Kinds()
    data = server.folder + "/data"
    try:
        server.start()
        teller = Teller(server)
        tell_all(tap, teller, chance, now_ms)
        tap.check(server.stop() == 0, "it ends well", server.tail())
        found = read(data)
        manifest = tenants(data)[MAIN].manifest
        tap.check(len(manifest.blocks) >= 5 and manifest.deletes and any(block.level and block.cold for block in manifest.blocks), "blocks of several days, one merged when its day was over, and a delete", vars(manifest))
        tap.check(not [record for record in read_log(data + "/log")[0] if record.sequence >= manifest.counters["sealed"]], "nothing is in the log alone")
        for tenant in (MAIN, OTHER):
            told = as_told(teller.tenants[tenant])
            left = differences(told, found[tenant])
            tap.check(not left, f"{tenant}: the reader gives what was told, bit for bit", left)
            planted(tap, chance, told, found[tenant])
        compare_tiers(tap, tenants(data)[MAIN], found[MAIN])
        tap.check(kinds.met >= Kinds.WANTED, "every way of writing columns was met", Kinds.WANTED - kinds.met)
        compare_lines(tap, data)
        flip_blocks(tap, chance, data)
        flip_in_folder(tap, chance, data)
        server.start()
        for tenant in (MAIN, OTHER):
            compare_server(tap, server, tenant, found[tenant], now_ms)
        compare_answers(tap, server, data, now_ms)
        compare_metadata(tap, server, data, teller.tenants[MAIN])
    finally:
        server.close()


def tell_many(teller, chance, begin_ms, number, count):
    """Samples of so many series, two each; every tenth is there with each `number`, at the same times too."""
    rows = []
    for i in range(count):
        times = [begin_ms + chance.randrange(40) * STEP_MS, begin_ms + (40 + chance.randrange(40)) * STEP_MS]
        rows.append(Row({"__name__": "many", "request_id": f"r-{i:08d}-{'all' if i % 10 == 0 else number}"}, [(time_ms, bits_of(chance.randrange(1000) / 8), None) for time_ms in times]))
    for at in range(0, count, 2000):
        teller.tell(MAIN, rows[at:at + 2000])


def days_of_several_blocks(tap, chance, now_ms):
    """A day of more series than a block has room for: its blocks stay several, and so do those of its tiers."""
    server = Server(*FLAGS, "--memory.limit", "64MiB")
    data = server.folder + "/data"
    try:
        server.start()
        teller = Teller(server)
        begin = now_ms // DAY_MS * DAY_MS - 3 * DAY_MS + 3600_000
        for number in range(3):
            tell_many(teller, chance, begin, number, 12_000)
            flush(server)
        tap.check(tiered(server), "windows of a day of many series are made", server.tail())
        tap.check(server.stop() == 0, "it ends well", server.tail())
        tenant = tenants(data)[MAIN]
        blocks = len(tenant.manifest.blocks)
        sizes = {length_ms: len(rows) for (_, length_ms), rows in tenant.manifest.tiers_by_day().items()}
        tap.check(tenant.manifest.version == 4 and blocks > 1 and all(size > 1 for size in sizes.values()), f"{blocks} blocks, tiers of {sizes}", vars(tenant.manifest))
        found = {key_of(series): kinds_of(series) for series in tenant.series()}
        left = differences(as_told(teller.tenants[MAIN]), found)
        tap.check(not left, "the reader gives what was told", left)
        compare_tiers(tap, tenant, found)
    finally:
        server.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("traceo")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tap, now_ms = Tap(), int(time.time() * 1000)
    print(f"# seed {options.seed}")
    blocks_of_a_server(tap, random.Random(options.seed), now_ms)
    days_of_several_blocks(tap, random.Random(options.seed), now_ms)
    golden(tap)
    newer(tap)
    log_records(tap, random.Random(options.seed), now_ms)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
