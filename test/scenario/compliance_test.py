#!/usr/bin/env python3
"""The queries of the PromQL compliance suite, answered like a real prometheus answers them.

    compliance_test.py TRACEO [--only TEXT]

The templates lie in TRACEO_TEST_DATA/promql/compliance/promql-test-queries.yml; each is expanded with every value of its
variables and asked at one moment and over time, of Traceo and of a Debian prometheus that hold the same made-up samples of the demo
service that the suite is about.
"""

import argparse
import collections
import itertools
import os
import pathlib
import random
import re
import shutil
import sys

from beside import Client, both, difference, fill
from differential_data import BASE_MS, STALE
from traceo import ROOT, Tap, series

VARIABLES = {
    "range": ["1s", "15s", "1m", "5m", "15m", "1h"],
    "offset": ["1m", "5m", "10m"],
    "simpleAggrOp": ["sum", "avg", "max", "min", "count", "stddev", "stdvar"],
    "simpleTimeAggrOp": ["sum", "avg", "max", "min", "count", "stddev", "stdvar", "absent", "last", "present"],
    "topBottomOp": ["topk", "bottomk"],
    "quantile": ["-0.5", "0.1", "0.5", "0.75", "0.95", "0.90", "0.99", "1", "1.5"],
    "arithBinOp": ["+", "-", "*", "/", "%", "^"],
    "compBinOp": ["==", "!=", "<", ">", "<=", ">="],
    "binOp": ["+", "-", "*", "/", "%", "^", "==", "!=", "<", ">", "<=", ">="],
    "simpleMathFunc": ["abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "round"],
    "extrapolatedRateFunc": ["delta", "rate", "increase"],
    "clampFunc": ["clamp_min", "clamp_max"],
    "instantRateFunc": ["idelta", "irate"],
    "dateFunc": ["day_of_month", "day_of_week", "days_in_month", "hour", "minute", "month", "year"],
}

# Answered differently on purpose: a piece of the query, and why.
ON_PURPOSE = {
    '"~invalid"': "since Prometheus 3 a label may have any name in UTF-8",
}

MINUTES, INTERVAL_MS = 80, 5000


def templates(path):
    """(query, should fail), as they stand in the file; its YAML is simple."""
    query, fails = None, False
    for line in pathlib.Path(path).read_text().splitlines():
        found = re.match(r"\s*(?:- )?query:\s*(.*?)\s*$", line)
        if found:
            if query is not None:
                yield query, fails
            query, fails = found.group(1), False
            if query[0] in "'\"":
                query = query[1:-1].replace("''", "'")
        if line.strip() == "should_fail: true":
            fails = True
    yield query, fails


def expanded(query):
    names = sorted(set(re.findall(r"{{\.(\w+)}}", query)))
    for values in itertools.product(*(VARIABLES[name] for name in names)):
        text = query
        for name, value in zip(names, values):
            text = text.replace("{{." + name + "}}", value)
        yield text


def demo():
    """Series of the demo service: (labels, [(milliseconds, value), …]); counters are high, no sample stands at a half second."""
    chance = random.Random("demo")
    for port in range(10000, 10003):
        base = {"job": "demo", "instance": f"demo.promlabs.com:{port}"}
        for kind in ("buffers", "cached", "free", "used"):
            yield {**base, "__name__": "demo_memory_usage_bytes", "type": kind}, lambda i: float(chance.randrange(1 << 33))
        for mode in ("idle", "system", "user"):
            speed = chance.randrange(1, 400)
            yield {**base, "__name__": "demo_cpu_usage_seconds_total", "mode": mode}, \
                lambda i, speed=speed: (1 << 20) + (i % 700) * speed / 64 + chance.randrange(4) / 64
        yield {**base, "__name__": "demo_num_cpus"}, lambda i, port=port: float(port - 9998)
        yield {**base, "__name__": "demo_disk_usage_bytes"}, lambda i: float((1 << 30) + i * 4096 + chance.randrange(4096))
        yield {**base, "__name__": "demo_disk_total_bytes"}, lambda i: float(1 << 34)
        yield {**base, "__name__": "demo_batch_last_success_timestamp_seconds"}, lambda i: float(BASE_MS // 1000 + i // 12 * 60)
        yield {**base, "__name__": "demo_intermittent_metric"}, lambda i: (1.0, 1.0, STALE, None, None)[i // 7 % 5]
        for method in ("GET", "POST"):
            buckets = {**base, "__name__": "demo_api_request_duration_seconds_bucket", "method": method, "path": "/api/foo", "status": "200"}
            for place, le in enumerate(["0.0001", "0.001", "0.01", "0.1", "1", "+Inf"]):
                yield {**buckets, "le": le}, lambda i, place=place: float((1 << 20) * (place + 1) + i * (1 + place * 3))
            for end in ("count", "sum"):
                whole = {**buckets, "__name__": "demo_api_request_duration_seconds_" + end}
                yield whole, lambda i: float((1 << 22) + i * 16)


def samples():
    """All of it as one body of remote write."""
    body = b""
    for labels, value in demo():
        values = ((i, value(i)) for i in range(MINUTES * 60_000 // INTERVAL_MS))
        body += series(labels, [(BASE_MS + i * INTERVAL_MS + 137, v) for i, v in values if v is not None])
    return body


END = BASE_MS // 1000 + MINUTES * 60 - 30
ASKED = [("/api/v1/query", {"time": f"{END}.5"}), ("/api/v1/query_range", {"start": f"{END - 600}.5", "end": f"{END}.5", "step": "10"})]


def compare(mine, theirs, text, fails, counts):
    for path, arguments in ASKED:
        a, b = mine.ask(path, query=text, **arguments), theirs.ask(path, query=text, **arguments)
        known = next((why for piece, why in ON_PURPOSE.items() if piece in text), None)
        if known:
            counts[f"on purpose: {known}"] += 1
            if a["status"] != "success":
                return f"{path}: {a['error']}"
            continue
        ordered = path == "/api/v1/query" and re.match(r"(topk|bottomk) ?\(", text) is not None
        why = difference(a, b, ordered)
        if why:
            return f"{path} {arguments}: {why}"
        if fails and a["status"] == "success":
            return f"{path}: it was answered"
        counts["refused alike" if a["status"] != "success" else "answered alike"] += 1
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traceo")
    parser.add_argument("--only", help="queries that hold this text")
    options = parser.parse_args()
    tap = Tap()
    data = pathlib.Path(os.environ.get("TRACEO_TEST_DATA", ROOT.parent / "shared/data"), "promql/compliance/promql-test-queries.yml")
    if not data.exists() or not shutil.which("prometheus"):
        tap.skip("the compliance suite beside a real prometheus", f"{data} or prometheus is not there")
        return tap.end()
    with both() as (server, prometheus):
        fill([server, prometheus], [samples()])
        mine, theirs = Client(server.port), Client(prometheus.port)
        wrong, counts, asked = [], collections.Counter(), 0
        for template, fails in templates(data):
            for text in expanded(template):
                if options.only and options.only not in text:
                    continue
                asked += 1
                why = compare(mine, theirs, text, fails, counts)
                if why:
                    wrong.append(f"{text}\n    {why}")
        print(f"# {asked} queries: {dict(counts)}")
        tap.check(asked > 500 or options.only, "the suite was read", f"{asked} queries")
        tap.check(not wrong, f"{asked} queries of the compliance suite are answered alike", f"{len(wrong)} are not\n" + "\n".join(wrong[:20]))
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
