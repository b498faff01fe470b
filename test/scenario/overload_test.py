#!/usr/bin/env python3
"""Overload (RELIABILITY R12): far more queries than can run, asked again at once when refused, for some seconds, and then no more. Writes and
the status pages get through meanwhile, each query is answered right or refused quickly with Retry-After, memory stays within its
limit, and seconds after the end everything is as before.

    overload_test.py TRACEO [--seconds 6] [--clients 48]

The suite first catches its planted fault: a queue without an end (query.queue and its age far beyond what can be worked off) must be seen,
as refusals that do not come and answers that come too late.
"""

import argparse
import http.client
import json
import re
import sys
import threading
import time
import urllib.parse

from traceo import Server, Tap, series, write

SERIES, SAMPLES = 4000, 120
LIMIT_MIB = 256
AGE_S = 2


class Asker(threading.Thread):
    """Asks for something heavy again and again, at once when it was refused."""

    def __init__(self, server, path, until):
        super().__init__(daemon=True)
        self.server, self.path, self.until = server, path, until
        self.right, self.wrong, self.refusals, self.late = 0, [], [], 0

    def run(self):
        connection = self.server.connect()
        while time.monotonic() < self.until:
            begun = time.monotonic()
            try:
                connection.request("GET", self.path)
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.wrong.append(repr(error))
                connection.close()
                connection = self.server.connect()
                continue
            took_s = time.monotonic() - begun
            if answer.status == 200:
                values = {value for row in json.loads(text)["data"]["result"] for _, value in row["values"]}
                if values != {str(SERIES)}:
                    self.wrong.append(f"{values} are not {SERIES}")
                self.right += 1
                self.late += took_s > AGE_S * 3
            elif answer.status in (429, 503) and answer.getheader("Retry-After"):
                self.refusals.append(took_s)
            else:
                self.wrong.append(f"{answer.status} {text[:200]!r}")


def private_mib(server):
    text = open(f"/proc/{server.process.pid}/status").read()
    return int(re.search(r"^RssAnon:\s+(\d+) kB", text, re.M)[1]) / 1024


def timed(what, times):
    begun = time.monotonic()
    result = what()
    times.append(time.monotonic() - begun)
    return result


def run(seconds, clients, flags):
    server = Server("--memory.limit", f"{LIMIT_MIB}MiB", "--query.cache_bytes", "0", *flags)
    bad, base_ms = [], int(time.time() * 1000) - 3600 * 1000
    try:
        server.start()
        connection = server.connect()
        for at in range(0, SERIES, 500):
            body = b"".join(series({"__name__": "load", "n": str(i)}, [(base_ms + k * 15000, float(k * i % 97)) for k in range(SAMPLES)])
                            for i in range(at, at + 500))
            if write(connection, body)[0] != 204:
                bad.append("the load was refused")
        ask = urllib.parse.urlencode({"query": "count(avg_over_time(load[5m]))", "start": base_ms / 1000 + 300, "end": base_ms / 1000 + SAMPLES * 15 - 1, "step": 15})
        before, writes, status = [], [], []
        one = Asker(server, "/api/v1/query_range?" + ask, 0)
        for _ in range(3):
            timed(lambda: server.get(one.path), before)
        until = time.monotonic() + seconds
        askers = [Asker(server, one.path, until) for _ in range(clients)]
        for asker in askers:
            asker.start()
        most, number = 0, 0
        while time.monotonic() < until:
            body = series({"__name__": "flows"}, [(base_ms + number * 10, float(number))])
            number += 1
            if timed(lambda: write(connection, body), writes)[0] != 204:
                bad.append("a write is refused")
            if timed(lambda: server.get("/-/healthy"), status)[0] != 200 or timed(lambda: server.get("/metrics"), status)[0] != 200:
                bad.append("a status page fails")
            most = max(most, private_mib(server))
            time.sleep(0.05)
        ended = time.monotonic()
        for asker in askers:
            asker.join(timeout=60)
        drained_s = time.monotonic() - ended
        after = []
        for _ in range(3):
            if timed(lambda: server.get(one.path), after)[0] != 200:
                bad.append("a query after the end is refused")
        found = server.query("count_over_time(flows[1h])", (base_ms + number * 10) / 1000)["result"]
        if not found or float(found[0]["value"][1]) != number:
            bad.append(f"{found} of {number} writes are there")
        bad += [fault for asker in askers for fault in asker.wrong][:5]
        refusals = sorted(took for asker in askers for took in asker.refusals)
        return {"bad": bad, "right": sum(asker.right for asker in askers), "late": sum(asker.late for asker in askers), "refusals": refusals,
                "drained_s": drained_s, "before_s": sorted(before)[1], "after_s": sorted(after)[1], "writes": sorted(writes), "status": sorted(status), "most": most}
    finally:
        server.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traceo")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--clients", type=int, default=48)
    options = parser.parse_args()
    tap = Tap()
    endless = ["--query.queue", "60000", "--query.tenant_queue", "60000", "--query.queue_age", "1h"]
    bounded = ["--query.queue", "8", "--query.tenant_queue", "8", "--query.queue_age", f"{AGE_S}s"]
    planted = run(4, options.clients, endless)
    tap.check(not planted["refusals"], "a queue without an end is caught: nobody is refused", len(planted["refusals"]))
    seen = run(options.seconds, options.clients, bounded)
    refusals, writes = seen["refusals"], seen["writes"]
    print(f"# a query alone {seen['before_s'] * 1000:.0f} ms, after the end {seen['after_s'] * 1000:.0f} ms; {seen['right']} right, {len(refusals)} refused; "
          f"writes: median {writes[len(writes) // 2] * 1000:.0f} ms, the slowest of {len(writes)} {writes[-1] * 1000:.0f} ms; "
          f"status pages: the slowest {seen['status'][-1] * 1000:.0f} ms; {seen['most']:.0f} MiB; drained in {seen['drained_s']:.2f} s")
    tap.check(not seen["bad"], "every query is right or refused by name, every write and status page gets through", "\n".join(seen["bad"]))
    tap.check(len(refusals) > 10 and seen["right"] > 3, "some are answered, most are refused", f"{seen['right']} and {len(refusals)}")
    tap.check(refusals and refusals[-1] < AGE_S + 2, f"nobody waits longer than query.queue_age to be refused", f"{refusals[-1:]} s")
    tap.check(seen["late"] == 0, "no answer comes long after its time", seen["late"])
    tap.check(seen["most"] < LIMIT_MIB * 1.1, f"memory stays below {LIMIT_MIB} MiB", f"{seen['most']:.0f} MiB")
    tap.check(seen["drained_s"] < 5, "it is over within 5 s of its end", f"{seen['drained_s']:.1f} s")
    tap.check(seen["after_s"] < seen["before_s"] * 3 + 0.2, "and then a query takes as long as before", f"{seen['before_s']:.3f} then {seen['after_s']:.3f} s")
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
