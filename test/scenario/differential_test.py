#!/usr/bin/env python3
"""Random data and random queries to a real Debian prometheus and to Traceo: the answers have to be the same.

    differential_test.py TRACEO [--queries 500] [--seed 1|now] [--only NUMBER]

The samples go to both by remote write, then each query to both, as an instant query or over time. Labels, times, types and
the class of errors have to be equal, the order where the query says one, values within 1e-9 relative. What differs is
printed whole, cut down to its smallest part that differs, with the command that repeats it. `--only` asks one query of a seed.

2.42 and 3.x differ on purpose; Traceo follows 3.x, and these are asked around:

- ranges, lookbacks and subqueries are open on the left in 3.x: no sample and no step of a subquery stands on a border;
- near zero `rate` and `increase` extrapolate less in 3.x: counters are high, and subqueries of other values are not given to them;
- `holt_winters` has a new name in 3.x and an old one here;
- `atan2` keeps the metric name in 2.42: only of one name, and something behind it drops it;
- in 3.x a comparison that is false counts as a match: without `bool` it is only asked where no second match can come;
- stddev and stdvar of NaN alone are 0 in 2.42 and NaN in 3.x: they get finite values;
- predict_linear over a range with @ moves with the steps in 2.42: not asked;
- dates of NaN and infinities are what Go's processor makes of them, and NaN here: not asked;
- with @ under `timestamp()` Prometheus forgets an offset, Traceo does not: not asked together.
"""

import argparse
import http.client
import json
import math
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

from differential_data import BASE_MS, MINUTES, Data
from differential_queries import Queries, all_names
from traceo import Server, Tap, free_port, write

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


class Question:
    """One query of a seed and when it is asked."""

    def __init__(self, seed, number, used):
        chance = random.Random(f"query:{seed}:{number}")
        queries = Queries(chance, used)
        self.expr = queries.native(2) if chance.random() < 0.03 else queries.vector(chance.choice([1, 2, 2, 3, 3, 4]))
        at = BASE_MS // 1000 + chance.randrange(60, MINUTES * 60 + 400)
        self.arguments = {"time": f"{at}.5"}
        self.path = "/api/v1/query"
        if chance.random() < 0.5:
            step = chance.choice([1, 5, 13, 15, 30, 60, 97, 300])
            self.path = "/api/v1/query_range"
            self.arguments = {"start": f"{at}.5", "end": f"{at + step * chance.randrange(0, 40)}.5", "step": str(step)}

    def ordered(self, text):
        # 2.42 gives the groups of topk in any order.
        return self.path == "/api/v1/query" and text.startswith(("sort(", "sort_desc(", "topk(", "bottomk("))

    def compare(self, text, mine, theirs):
        a = mine.ask(self.path, query=text, **self.arguments)
        b = theirs.ask(self.path, query=text, **self.arguments)
        return difference(a, b, self.ordered(text)), a, b

    def smallest(self, mine, theirs):
        """The smallest part that differs by itself."""
        for part in self.expr.parts():
            why, _, _ = self.compare(str(part), mine, theirs)
            if why:
                return str(part), why
        return None, None


# ---- Running --------------------------------------------------------------------------------------


def fill(server, prometheus, data, flushes=()):
    """Writes to both; behind the requests of these numbers Traceo makes blocks of what it holds."""
    for target in (server.port, prometheus.port):
        connection = http.client.HTTPConnection("127.0.0.1", target, timeout=60)
        for number, body in enumerate(data.requests()):
            status, answer = write(connection, body)
            if status not in (200, 204):
                raise RuntimeError(f"port {target} refused samples: {status} {answer[:300]!r}")
            if target == server.port and number in flushes:
                connection.request("POST", "/api/traceo/v1/flush")
                answer = connection.getresponse()
                if answer.status != 200:
                    raise RuntimeError(f"no flush: {answer.status} {answer.read()[:300]!r}")
                answer.read()


def run(tap, options, mine, theirs):
    used, counts = {}, {"same": 0, "errors": 0, "empty": 0}
    numbers = [options.only] if options.only is not None else range(options.queries)
    different = 0
    for number in numbers:
        question = Question(options.seed, number, used)
        text = str(question.expr)
        why, a, b = question.compare(text, mine, theirs)
        if why is None:
            counts["same"] += 1
            counts["errors"] += a["status"] != "success"
            counts["empty"] += a["status"] == "success" and not a["data"]["result"]
            continue
        different += 1
        if different > options.shown:
            continue
        part, part_why = question.smallest(mine, theirs)
        tap.check(False, f"query {number}", f"{text}\n{question.path} {question.arguments}\n{why}\n"
                  f"smallest part: {part}\n    {part_why}\n"
                  f"traceo:     {json.dumps(a)[:1500]}\nprometheus: {json.dumps(b)[:1500]}\n"
                  f"again: test/scenario/differential_test.py build/traceo --seed {options.seed} --only {number}")
    total = len(numbers)
    print(f"# seed {options.seed}: {total} queries, {counts['same']} answered alike ({counts['errors']} of them errors, {counts['empty']} empty)")
    tap.check(different == 0, f"{total} random queries are answered alike", f"{different} differ")
    if options.only is None:
        tap.check(counts["errors"] < total * 0.35, "most queries are answered, not refused", f"{counts['errors']} of {total} are errors")
        if total >= 5000:
            missing = [name for name in all_names() if name not in used]
            tap.check(not missing, "every function and operator both know was asked", f"not: {missing}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traceo")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--seed", type=lambda text: int(time.time()) if text == "now" else int(text), default=1, help="a number, or now")
    parser.add_argument("--only", type=int)
    parser.add_argument("--shown", type=int, default=10)
    options = parser.parse_args()
    tap = Tap()
    if not shutil.which("prometheus"):
        tap.skip("random queries beside a real prometheus", "prometheus is not installed")
        return tap.end()
    server = Server("--retention", "0")
    prometheus = None
    try:
        server.start()
        prometheus = Prometheus()
        flushes = {number for number in range(9) if random.Random(f"flush:{options.seed}:{number}").random() < 0.3}
        print(f"# seed {options.seed}: blocks are made at {len(flushes)} moments while the samples come")
        fill(server, prometheus, Data(options.seed), flushes)
        run(tap, options, Client(server.port), Client(prometheus.port))
    finally:
        if prometheus:
            prometheus.close()
        server.close()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
