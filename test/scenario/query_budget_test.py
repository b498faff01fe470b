#!/usr/bin/env python3
"""Many series under little memory, tenants that crowd, queries that are ended: with the real binary, while others write.

    query_budget_test.py TRACEO [--series 60000] [--memory 256MiB]

At night: a million series under 1 GiB. Every question ends in an answer or in an error that names its limit.
"""

import argparse
import http.client
import itertools
import json
import re
import statistics
import subprocess
import threading
import time
import urllib.parse

from traceo import Server, Tap, binary, series, write

PIECE = 10_000  # series in one write
TIMEOUT_S = 20


def rss_mib(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) / 1024


def write_series(server, count, at_ms, samples):
    """`noise`: each value is another one; `half` has the same labels for every second."""
    connection = server.connect()
    for start in range(0, count, PIECE):
        rows = b"".join(
            series({"__name__": "noise_total", "instance": f"host-{i % 500}", "job": f"job-{i % 20}", "n": str(i)},
                   [(at_ms - 15_000 * (samples - 1 - k), i * 1.37 + k * (i % 13)) for k in range(samples)])
            for i in range(start, min(start + PIECE, count)))
        for attempt in range(100):
            status, answer = write(connection, rows)
            if status == 204:
                break
            time.sleep(0.3)  # heads are being written out; so a sender does it
        else:
            raise RuntimeError(f"{status} {answer[:300]!r}")
    connection.close()


class Beside(threading.Thread):
    """A sender that must not be held up."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.ending, self.sent, self.refused, self.worst_s = server, False, 0, [], 0.0

    def run(self):
        connection = self.server.connect()
        while not self.ending:
            begun = time.monotonic()
            status, answer = write(connection, series({"__name__": "beside"}, [(int(time.time() * 1000), 1.0)]))
            self.worst_s = max(self.worst_s, time.monotonic() - begun)
            self.sent += 1
            if status != 204:
                self.refused.append((status, answer[:200]))
            time.sleep(0.02)


def ask(server, path, form, tenant=None, timeout=TIMEOUT_S + 20):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if tenant:
        headers["X-Scope-OrgID"] = tenant
    begun = time.monotonic()
    try:
        connection.request("POST", path, urllib.parse.urlencode(form), headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), time.monotonic() - begun
    finally:
        connection.close()


NAMED = r"query\.[a-z_]+|memory\.limit|memory budget|[A-Z]+_[A-Z_]+|11,000 points|many-to-many|duplicate series"


def deaths(tap, server, now, limit_mib):
    span = lambda text: ("/api/v1/query_range", {"query": text, "start": now - 10_999, "end": now, "step": 1})
    at = lambda text: ("/api/v1/query", {"query": text, "time": now})
    questions = {
        "everything at 11,000 points": span('{__name__=~".+"}'),
        "everything now": at('{__name__=~".+"}'),
        "everything, its name matched by a regex that backtracks elsewhere": at('count({__name__=~"(.*.*.*)*l"})'),
        "the sum of all at 11,000 points": span("sum(noise_total)"),
        "the rate of all by job": span("sum by (job) (rate(noise_total[5m]))"),
        "count_values over noise": at('count_values("v", noise_total)'),
        "count_values over noise at 11,000 points": span('count_values("v", noise_total)'),
        "each with itself": at("noise_total / on (n) noise_total"),
        "each with all of its job": at("noise_total * on (job) noise_total"),
        "each with the sum of its job at 11,000 points": span("noise_total / on (job) group_left () sum by (job) (noise_total)"),
        "topk of all at 11,000 points": span("topk(10, noise_total)"),
        "quantiles of all": span("quantile(0.99, noise_total)"),
        "a subquery of all": at("sum(max_over_time(rate(noise_total[1m])[1h:1s]))"),
        "label_replace of all": at('count(label_replace(noise_total, "m", "$1$1$1", "n", "(.*)"))'),
        "sorted": at("sort_desc(noise_total)"),
        "11,001 steps": ("/api/v1/query_range", {"query": "1", "start": 0, "end": 11_001, "step": 1}),
        "the series of everything": ("/api/v1/series", {"match[]": '{__name__=~".+"}'}),
    }
    most = 0.0
    for name, (path, form) in questions.items():
        status, body, took = ask(server, path, form)
        most = max(most, rss_mib(server))
        message = "" if status == 200 else json.loads(body).get("error", "")
        good = took < TIMEOUT_S + 3 and (status == 200 or re.search(NAMED, message))
        tap.check(good, f"{name}: {'an answer' if status == 200 else 'an error that names the limit'}", f"{status} in {took:.1f} s: {body[:300]!r}")
        print(f"# {name}: {status} in {took:.2f} s {message[:120]}", flush=True)
    tap.check(most < limit_mib * 1.2, "the process stays near its limit of memory", f"{most:.0f} MiB")
    print(f"# at most {most:.0f} MiB resident", flush=True)


def ended(tap, server, now):
    """traceo query --list and --kill."""
    client = lambda *words: subprocess.run([binary(), "query", *words, "--server", f"http://127.0.0.1:{server.port}"],
                                           capture_output=True, text=True, timeout=60)
    # Long, of little memory, and one batch: ending it has to reach inside.
    slow = "mad_over_time((vector(time()) * 2)[1h:100ms])"
    answers = []
    asking = threading.Thread(target=lambda: answers.append(
        ask(server, "/api/v1/query_range", {"query": slow, "start": now - 9_999, "end": now, "step": 1})))
    asking.start()
    rows = []
    for _ in range(100):
        rows = [line.split() for line in client("--list").stdout.splitlines()[1:]]
        if rows:
            break
        time.sleep(0.05)
    tap.check(rows and rows[0][1:3] == ["default", "running"] and "mad_over_time" in " ".join(rows[0]), "a running query is listed", rows)
    done = client("--kill", rows[0][0] if rows else "1")
    asking.join(timeout=30)
    tap.check(done.returncode == 0 and answers and answers[0][0] == 499 and json.loads(answers[0][1])["errorType"] == "canceled",
              "and ended; its client is told so", (done, answers and answers[0][:2]))
    tap.check(client("--list").stdout == "", "and then it is gone")


class Flood(threading.Thread):
    """Asks slow queries, no two of which are the same: answers are kept."""

    def __init__(self, server, now, number):
        super().__init__(daemon=True)
        self.server, self.now, self.number, self.ending, self.asked = server, now, number, False, 0

    def run(self):
        for turn in itertools.count(1):
            if self.ending:
                return
            try:
                status, _, _ = ask(self.server, "/api/v1/query_range", {
                    "query": f"sum(rate(crowd_total[10m] offset {turn * 40 + self.number}ms))", "start": self.now - 9_999, "end": self.now, "step": 1}, "crowd")
                self.asked += status == 200
                if status != 200:
                    time.sleep(0.05)
            except OSError:
                pass


def fairness(tap, server, now):
    """One tenant keeps forty slow queries waiting. What does another one notice, and what would it if it were no other one?"""
    connection = server.connect()
    for tenant in ("crowd", "quiet"):
        status, answer = write(connection, b"".join(
            series({"__name__": f"{tenant}_total", "n": str(i)}, [((now - 15 * k) * 1000, float(i)) for k in range(20, -1, -1)])
            for i in range(600)), {"X-Scope-OrgID": tenant})
        assert status == 204, answer
        write(connection, series({"__name__": "small"}, [(now * 1000, 1.0)]), {"X-Scope-OrgID": tenant})
    floods = [Flood(server, now, number) for number in range(40)]
    for flood in floods:
        flood.start()
    time.sleep(1.5)

    def waits(tenant):
        return sorted(ask(server, "/api/v1/query", {"query": "small", "time": now}, tenant)[2] for _ in range(8))

    quiet, crowd = waits("quiet"), waits("crowd")
    for flood in floods:
        flood.ending = True
    for flood in floods:
        flood.join(timeout=60)
    print(f"# quiet waits {statistics.median(quiet):.3f} s (at most {quiet[-1]:.3f}), who stands in the crowd {statistics.median(crowd):.3f} s; "
          f"{sum(flood.asked for flood in floods)} slow queries answered", flush=True)
    tap.check(statistics.median(quiet) < 0.5 and quiet[-1] < 3, "a tenant does not wait behind the queries of another", quiet)
    tap.check(statistics.median(crowd) > 4 * statistics.median(quiet), "and this test would have seen it, as who stands in the same line does", crowd)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("traceo")
    parser.add_argument("--series", type=int, default=60_000)
    parser.add_argument("--memory", default="256MiB")
    parser.add_argument("--samples", type=int, default=3)
    args = parser.parse_args()
    limit_mib = int(args.memory[:-3]) * (1024 if args.memory.endswith("GiB") else 1)
    tap = Tap()
    # All series are of one metric; nothing but memory is to limit them.
    server = Server("--memory.limit", args.memory, "--query.timeout", f"{TIMEOUT_S}s", "--query.slow_log", "20ms",
                    "--series.per_metric_max", "0", "--series.active_max", "0")
    try:
        server.start()
        now = int(time.time())
        begun = time.monotonic()
        write_series(server, args.series, now * 1000, args.samples)
        print(f"# {args.series} series written in {time.monotonic() - begun:.1f} s, {rss_mib(server):.0f} MiB resident", flush=True)
        beside = Beside(server)
        beside.start()
        deaths(tap, server, now, limit_mib)
        ended(tap, server, now)
        fairness(tap, server, now)
        beside.ending = True
        beside.join(timeout=10)
        tap.check(beside.sent > 20 and not beside.refused and beside.worst_s < 3, "writes go on beside all of it",
                  f"{beside.sent} writes, the slowest {beside.worst_s:.2f} s, {beside.refused[:3]}")
        print(f"# {beside.sent} writes, the slowest {beside.worst_s:.2f} s", flush=True)
        log = server.tail()
        tap.check("slow query" in log and "plan=" in log, "slow queries are in the log", log[-500:])
        tap.check(server.stop() == 0, "and it ends in order")
    finally:
        server.close()
    return tap.end()


if __name__ == "__main__":
    raise SystemExit(main())
