#!/usr/bin/env python3
"""A real Debian prometheus scrapes itself and node_exporter and writes to Traceo; both answer every query of the core alike.

    prometheus_test.py TRACEO [--seconds 40]

The same questions go to both servers at the same evaluation times; answers are compared series by series, values
within 1e-9 relative (the order of float additions may differ), everything else exactly.
"""

import argparse
import json
import math
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from traceo import Server, Tap, free_port

QUERIES = pathlib.Path(__file__).resolve().parent / "prometheus_queries.txt"


def ask(port, path, **arguments):
    data = urllib.parse.urlencode(arguments).encode()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data=data, timeout=60) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return json.loads(error.read())


def close(a, b):
    x, y = float(a), float(b)
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    return x == y or abs(x - y) <= 1e-9 * max(abs(x), abs(y))


def points(row):
    return row["values"] if "values" in row else [row["value"]]


def difference(mine, theirs, ordered):
    """A sentence about the first difference, or None."""
    if mine.get("status") != theirs.get("status"):
        return f"traceo: {str(mine)[:300]}\nprometheus: {str(theirs)[:300]}"
    if mine["status"] != "success":
        return None
    a, b = mine["data"], theirs["data"]
    if a["resultType"] != b["resultType"]:
        return f"type {a['resultType']}, not {b['resultType']}"
    if a["resultType"] in ("scalar", "string"):
        same = a["result"][0] == b["result"][0] and (a["result"][1] == b["result"][1] or close(a["result"][1], b["result"][1]))
        return None if same else f"{a['result']}, not {b['result']}"
    key = lambda row: json.dumps(row["metric"], sort_keys=True)
    rows_a, rows_b = a["result"], b["result"]
    if not ordered:
        rows_a, rows_b = sorted(rows_a, key=key), sorted(rows_b, key=key)
    if [key(row) for row in rows_a] != [key(row) for row in rows_b]:
        only_a = {key(row) for row in rows_a} - {key(row) for row in rows_b}
        only_b = {key(row) for row in rows_b} - {key(row) for row in rows_a}
        return f"{len(rows_a)} series, not {len(rows_b)}; only traceo: {sorted(only_a)[:3]}; only prometheus: {sorted(only_b)[:3]}"
    for row_a, row_b in zip(rows_a, rows_b):
        if [at for at, _ in points(row_a)] != [at for at, _ in points(row_b)]:
            return f"{key(row_a)}: times {points(row_a)[:4]}, not {points(row_b)[:4]}"
        for (at, value_a), (_, value_b) in zip(points(row_a), points(row_b)):
            if not close(value_a, value_b):
                return f"{key(row_a)} at {at}: {value_a}, not {value_b}"
    return None


class Peers:
    """prometheus and node_exporter on ports of their own, writing to Traceo."""

    def __init__(self, traceo_port):
        self.folder = tempfile.mkdtemp(prefix="traceo-peers-")
        self.port, self.node_port = free_port(), free_port()
        config = f"""
global: {{scrape_interval: 1s, scrape_timeout: 900ms}}
scrape_configs:
  - job_name: prometheus
    static_configs: [{{targets: ["127.0.0.1:{self.port}"]}}]
  - job_name: node
    static_configs: [{{targets: ["127.0.0.1:{self.node_port}"]}}]
remote_write:
  - url: http://127.0.0.1:{traceo_port}/api/v1/write
    queue_config: {{batch_send_deadline: 200ms}}
"""
        path = pathlib.Path(self.folder, "prometheus.yml")
        path.write_text(config)
        log = open(pathlib.Path(self.folder, "log"), "ab")
        self.processes = [
            subprocess.Popen(["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{self.node_port}"], stdout=log, stderr=log),
            subprocess.Popen(["prometheus", f"--config.file={path}", f"--storage.tsdb.path={self.folder}/data",
                              f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"], stdout=log, stderr=log),
        ]

    def close(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)


def compare(tap, traceo_port, prometheus_port, begun):
    # Between two scrapes of a second each, and long enough ago that everything has been sent.
    end = math.floor(time.time()) - 5 + 0.0137
    # Well after the first scrape: at a counter's birth 3.x extrapolates less than 2.42 does (see docs/conformance.md).
    start = max(begun + 18, end - 20)
    for line in QUERIES.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("range: "):
            query, path, arguments = line[7:], "/api/v1/query_range", {"start": start, "end": end, "step": "1.7"}
        else:
            query, path, arguments = line, "/api/v1/query", {"time": end}
        mine = ask(traceo_port, path, query=query, **arguments)
        theirs = ask(prometheus_port, path, query=query, **arguments)
        why = difference(mine, theirs, ordered=query.startswith(("sort", "topk", "bottomk")) and "range" not in path)
        tap.check(why is None, line, why or "")
    for path in ("/api/v1/labels", "/api/v1/label/job/values", "/api/v1/label/__name__/values", "/api/v1/series"):
        arguments = {"start": start, "end": end, **({"match[]": '{job="node"}'} if path.endswith("series") else {})}
        url = path + "?" + urllib.parse.urlencode(arguments)
        mine = json.loads(urllib.request.urlopen(f"http://127.0.0.1:{traceo_port}{url}", timeout=30).read())["data"]
        theirs = json.loads(urllib.request.urlopen(f"http://127.0.0.1:{prometheus_port}{url}", timeout=30).read())["data"]
        order = lambda rows: sorted(json.dumps(row, sort_keys=True) for row in rows)
        tap.check(order(mine) == order(theirs), path, f"{len(mine)} rows, not {len(theirs)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traceo")
    parser.add_argument("--seconds", type=int, default=45)
    options = parser.parse_args()
    tap = Tap()
    if not shutil.which("prometheus") or not shutil.which("prometheus-node-exporter"):
        tap.skip("a real prometheus writes to Traceo", "prometheus or prometheus-node-exporter is not installed")
        return tap.end()
    server = Server()
    peers = None
    try:
        server.start()
        begun = time.time()
        peers = Peers(server.port)
        time.sleep(options.seconds)
        compare(tap, server.port, peers.port, begun)
    finally:
        if peers:
            peers.close()
        server.close()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
