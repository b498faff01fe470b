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


def read_frames(port, now):
    """STREAMED_XOR_CHUNKS of everything, as bytes."""
    varint = lambda number, value: traceo.varint(number << 3) + traceo.varint(value)
    matcher = varint(1, 2) + traceo.field(2, b"__name__") + traceo.field(3, b".+")
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
        peer = Prometheus("global: {scrape_interval: 1h, external_labels: {zone: z1}}\n", "--web.enable-remote-write-receiver", "--web.enable-admin-api")
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
    finally:
        for one in peers:
            one.close()
        server.close()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
