"""Traceo and a Debian prometheus side by side: starting both, filling both with the same samples, asking both, comparing.

    with both() as (server, prometheus):
        fill([server, prometheus], bodies)
        difference(Client(server.port).ask(…), Client(prometheus.port).ask(…), False)
"""

import contextlib
import http.client
import json
import math
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.parse

from traceo import Server, free_port, write

ACCURACY = 1e-9
NOISE = 1e-13  # what is left of a mean that should be zero, which 2.42 makes value by value; the data has nothing as small


class Prometheus:
    """Debian's prometheus that scrapes nothing and takes remote write."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="traceo-differential-")
        self.port = free_port()
        config = pathlib.Path(self.folder, "prometheus.yml")
        config.write_text("global: {scrape_interval: 1m}\n")
        self.log = open(pathlib.Path(self.folder, "log"), "ab")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.folder}/data", f"--web.listen-address=127.0.0.1:{self.port}",
             "--web.enable-remote-write-receiver", "--log.level=warn", "--storage.tsdb.retention.time=100y",
             "--enable-feature=native-histograms,promql-at-modifier,promql-negative-offset"], stdout=self.log, stderr=self.log)
        begun = time.monotonic()
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
                connection.request("GET", "/-/ready")
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() - begun > 60:
                raise RuntimeError("prometheus did not start:\n" + pathlib.Path(self.folder, "log").read_text()[-2000:])
            time.sleep(0.05)

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=60)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Client:
    """Questions over one connection that is kept open."""

    def __init__(self, port):
        self.port, self.connection = port, None

    def ask(self, path, **arguments):
        for attempt in (0, 1):
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
            try:
                self.connection.request("POST", path, urllib.parse.urlencode(arguments), {"Content-Type": "application/x-www-form-urlencoded"})
                return json.loads(self.connection.getresponse().read())
            except (http.client.HTTPException, OSError):
                self.connection = None
                if attempt:
                    raise


@contextlib.contextmanager
def both():
    """A Traceo that keeps for ever, and a prometheus where it is installed, else None."""
    server, prometheus = Server("--retention", "0"), None
    try:
        server.start()
        if shutil.which("prometheus"):
            prometheus = Prometheus()
        yield server, prometheus
    finally:
        if prometheus:
            prometheus.close()
        server.close()


def fill(targets, bodies, after=lambda target, number, connection: None):
    """Writes the bodies of remote write to each of the servers; None among them is passed over."""
    bodies = list(bodies)
    for target in filter(None, targets):
        connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=60)
        for number, body in enumerate(bodies):
            status, answer = write(connection, body)
            if status not in (200, 204):
                raise RuntimeError(f"port {target.port} refused samples: {status} {answer[:300]!r}")
            after(target, number, connection)


# ---- Comparing ------------------------------------------------------------------------------------


def close_native(a, b):
    """Count and sum, and bucket by bucket: bounds, which of them belong to it, and its count."""
    if isinstance(a, str) or isinstance(b, str):
        return False
    ours, others = a.get("buckets") or [], b.get("buckets") or []
    return (close(a["count"], b["count"]) and close(a["sum"], b["sum"]) and len(ours) == len(others) and
            all(x[0] == y[0] and all(map(close, x[1:], y[1:])) for x, y in zip(ours, others)))


def close(a, b):
    if a == b:
        return True
    if isinstance(a, dict) or isinstance(b, dict):
        return close_native(a, b)
    x, y = float(a), float(b)
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    return x == y or abs(x - y) <= ACCURACY * max(abs(x), abs(y)) or max(abs(x), abs(y)) < NOISE


def points(row):
    """[(time, value)], a value a text or, of a native histogram, a dictionary."""
    found = row.get("values", []) + row.get("histograms", [])
    if "value" in row or "histogram" in row:
        found = [row.get("value") or row["histogram"]]
    return sorted(found, key=lambda point: point[0])


def key(row):
    return json.dumps(row["metric"], sort_keys=True)


def difference(mine, theirs, ordered):
    """A sentence about the first difference, or None."""
    if mine["status"] != theirs["status"]:
        return f"traceo says {mine['status']} ({mine.get('error')}), prometheus {theirs['status']} ({theirs.get('error')})"
    if mine["status"] != "success":
        if mine["errorType"] == theirs["errorType"]:
            return None
        return f"traceo's error is {mine['errorType']} ({mine['error']}), prometheus' {theirs['errorType']} ({theirs['error']})"
    a, b = mine["data"], theirs["data"]
    if a["resultType"] != b["resultType"]:
        return f"traceo gives a {a['resultType']}, prometheus a {b['resultType']}"
    if a["resultType"] == "scalar":
        return None if close(a["result"][1], b["result"][1]) else f"traceo gives {a['result']}, prometheus {b['result']}"
    rows_a, rows_b = {key(row): row for row in a["result"]}, {key(row): row for row in b["result"]}
    if rows_a.keys() != rows_b.keys():
        return (f"{len(rows_a)} series, not {len(rows_b)}; only traceo: {sorted(rows_a.keys() - rows_b.keys())[:3]}; "
                f"only prometheus: {sorted(rows_b.keys() - rows_a.keys())[:3]}")
    for name, row in rows_a.items():
        ours, others = points(row), points(rows_b[name])
        if [at for at, _ in ours] != [at for at, _ in others]:
            return f"{name}: times {[at for at, _ in ours][:6]}, not {[at for at, _ in others][:6]}"
        for (at, value), (_, other) in zip(ours, others):
            if not close(value, other):
                return f"{name} at {at}: {value}, not {other}"
    # Equal values may stand in any order.
    if ordered and not all(close(x["value"][1], y["value"][1]) for x, y in zip(a["result"], b["result"])):
        return f"the order is {[row['value'][1] for row in a['result']][:6]}, not {[row['value'][1] for row in b['result']][:6]}"
    return None
