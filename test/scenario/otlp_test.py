#!/usr/bin/env python3
"""OpenTelemetry's SDKs for Python and JavaScript send to Traceo over gRPC and HTTP; PromQL gives back what they recorded.

    otlp_test.py TRACEO

The SDKs are installed into build/otlp (pinned in test/scenario/otlp); where that cannot be done the test says so and
skips. Every variant records the same (otlp/send.py, otlp/send.js) in two exports, as cumulative values and as deltas.
"""

import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.parse

from packages import PACKAGES, PYTHON, install_js, install_python
from traceo import Server, Tap

HERE = pathlib.Path(__file__).resolve().parent / "otlp"

VARIANTS = [(language, protocol, temporality, packed)
            for language, protocols in (("python", ("grpc", "http")), ("js", ("grpc", "json", "proto")))
            for protocol in protocols
            for temporality, packed in (("cumulative", []), ("delta", ["gzip"]))]

# What each variant's series must be, by query; {job} is the variant's.
EXPECTED = [
    ('shop_orders_total{{{job}}}', {'{"instance": "i-1", "order_kind": "book"}': 8, '{"instance": "i-1", "order_kind": "film"}': 4}),
    ('shop_carts{{{job}}}', {'{"instance": "i-1"}': 3}),
    ('room_temperature_celsius{{{job}}}', {'{"instance": "i-1"}': 21.5}),
    ('request_duration_seconds_sum{{{job}}}', {'{"instance": "i-1"}': 703.1}),
    ('request_duration_seconds_count{{{job}}}', {'{"instance": "i-1"}': 3}),
    ('request_duration_seconds_bucket{{{job}}}', {'{"instance": "i-1", "le": "+Inf"}': 3, '{"instance": "i-1", "le": "0.5"}': 1,
                                                  '{"instance": "i-1", "le": "5"}': 2, '{"instance": "i-1", "le": "500"}': 2}),
    ('target_info{{{job}}} * 0 + 7', None),
]


def send(language, port, service, protocol, temporality, packed):
    if language == "python":
        command = [str(PYTHON), str(HERE / "send.py")]
    else:
        command = ["node", str(HERE / "send.js")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_") and "proxy" not in name.lower()}
    environment["OTLP_PACKAGES"] = str(PACKAGES / "js")
    return subprocess.run([*command, protocol, str(port), service, temporality, *packed], capture_output=True, text=True,
                          env=environment, timeout=60)


def ask(server, query):
    status, body = server.get("/api/v1/query?" + urllib.parse.urlencode({"query": query}))
    return json.loads(body)["data"]["result"] if status == 200 else body.decode()


def wrong(server, job):
    """The first query whose answer is not what was recorded, as a sentence."""
    for query, expected in EXPECTED:
        query = query.format(job=f'job="demo/{job}"')
        rows = ask(server, query)
        if isinstance(rows, str):
            return f"{query}: {rows}"
        if expected is None:
            if len(rows) != 1 or rows[0]["metric"].get("deployment_environment_name") != "test" or rows[0]["value"][1] != "7":
                return f"{query}: {rows}"
            continue
        found = {json.dumps({name: value for name, value in row["metric"].items() if name not in ("__name__", "job")}, sort_keys=True):
                 float(row["value"][1]) for row in rows}
        if set(found) != set(expected) or any(abs(found[key] - expected[key]) > 1e-9 for key in found):
            return f"{query}: {found}, not {expected}"
    return None


def histograms(server):
    """Native histogram samples in memory, as Traceo counts them itself."""
    for line in server.get("/metrics")[1].decode().splitlines():
        if line.startswith("traceo_series_histograms "):
            return float(line.split()[1])
    return 0


def histogram_wrong(server, job, samples, before):
    """The exponential histogram is one series of so many native samples, and nothing classic."""
    matchers = urllib.parse.urlencode({"match[]": f'{{__name__=~"payload_size.*",job="demo/{job}"}}'})
    names = [row["__name__"] for row in json.loads(server.get(f"/api/v1/series?{matchers}")[1])["data"]]
    if names != ["payload_size_bytes"]:
        return f"series: {names}"
    more = histograms(server) - before
    return None if more == samples else f"{more} native samples, not {samples}"


def metadata_wrong(server):
    status, body = server.get("/api/v1/metadata")
    rows = json.loads(body)["data"]
    expected = {"shop_orders_total": ("counter", "Orders taken.", ""), "room_temperature_celsius": ("gauge", "", "celsius"),
                "request_duration_seconds": ("histogram", "", "seconds"), "payload_size_bytes": ("histogram", "", "bytes"),
                "shop_carts": ("gauge", "", "")}
    for name, (kind, text, unit) in expected.items():
        row = (rows.get(name) or [{}])[0]
        if (row.get("type"), row.get("help"), row.get("unit")) != (kind, text, unit):
            return f"{name}: {rows.get(name)}"
    return None


def exemplar_wrong(server, trace, begun):
    status, body = server.get("/api/v1/query_exemplars?" + urllib.parse.urlencode(
        {"query": 'shop_orders_total{order_kind="book"}', "start": begun - 60, "end": time.time() + 60}))
    traces = {exemplar["labels"].get("trace_id") for row in json.loads(body)["data"] for exemplar in row["exemplars"]}
    return None if trace in traces else f"trace {trace} is not among {traces}"


CALLS = {
    "good": ("OK", 0, ""),
    "partial": ("OK", 1, "1 of 2 data points were rejected; the first: metric \"by.hand\": a data point without a time"),
    "traces": ("UNIMPLEMENTED", None, "it takes OTLP metrics"),
    "malformed": ("INVALID_ARGUMENT", None, "malformed protobuf"),
}


def check_calls(tap, port):
    """What gRPC says besides yes."""
    done = subprocess.run([str(PYTHON), str(HERE / "calls.py"), str(port)], capture_output=True, text=True,
                          timeout=60)
    answers = {answer["call"]: answer for answer in map(json.loads, done.stdout.splitlines())}
    for call, (code, rejected, message) in CALLS.items():
        answer = answers.get(call, {})
        holds = answer.get("code") == code and answer.get("rejected") == rejected and message in answer.get("message", "")
        tap.check(holds, f"a {call} call of gRPC is answered {code}", f"{answer} {done.stderr[-500:]}")


def main():
    tap = Tap()
    missing = {"python": install_python(), "js": install_js()}
    if all(missing.values()):
        print(f"1..0 # SKIP the SDKs cannot be installed: {missing}")
        return 0
    begun = time.time()
    server = Server()
    server.start()
    try:
        trace = ""
        for language, protocol, temporality, packed in VARIANTS:
            name = f"{language} {protocol} {temporality}{' gzip' if packed else ''}"
            if missing[language]:
                tap.skip(name, missing[language])
                continue
            service = name.replace(" ", "-")
            before = histograms(server)
            done = send(language, server.port, service, protocol, temporality, packed)
            fault = wrong(server, service) if done.returncode == 0 else done.stderr[-2000:]
            tap.check(fault is None, f"what {name} records is what is asked back", fault)
            fault = histogram_wrong(server, service, 2 if temporality == "delta" else 3, before)  # shutting down exports once more
            tap.check(fault is None, f"the exponential histogram of {name} is a native one", fault)
            if language == "python" and not trace:
                trace = done.stdout.strip()
        fault = metadata_wrong(server)
        tap.check(fault is None, "types, help and units are known", fault)
        if not missing["python"]:
            check_calls(tap, server.port)
        if trace:
            fault = exemplar_wrong(server, trace, begun)
            tap.check(fault is None, "an exemplar leads to its trace", fault)
    finally:
        server.close()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
