#!/usr/bin/env python3
"""Pages that are good, odd or broken: a real Debian prometheus scrapes each, and `traceo check metrics` reads it; both take it or neither does.

    exposition_test.py TRACEO

Where they differ on purpose the case says so: what Prometheus 3 reads and Debian's 2.42 does not yet, and where we say more than they do.
A page that both take has the same number of samples.

Then prometheus' and node_exporter's own pages are fetched in all three formats and pushed: the series are the same, and so are the values
that do not move from one request to the next.
"""

import http.server
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from traceo import Server, Tap, free_port

TEXT = "text/plain; version=0.0.4"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"

# (page, why traceo alone refuses it, or why traceo alone takes it; None: both agree)
CASES = [(page.encode("latin-1") if isinstance(page, str) else page, why) for page, why in [
    ("", None), ("\n\n \t\n", None), ("up 1", None), ("up 1\n", None), ("a\t1\t1600000000000  \n", None),
    ("a{} 1\n", None), ("a {b=\"c\"} 1\n", None), ("a{ b = \"c\" , d = \"e\" , } 1\n", None), ("a{b=\"c\" d=\"e\"} 1\n", None),
    ("a{b=\"c\"}1\n", None), ("a{b=\"c\"", None), ("a{b=\"c\"}", None), ("a{b=\"c", None), ("a{b=\"c\n", None), ("a{", None),
    ("a{b=\"two\nlines\"} 1\n", None), ("a{b=\"\\q\\n\\\\\\\"\"} 1\n", None), ("a{b=\"\\", None),
    ("a{b=c} 1\n", None), ("a{b='c'} 1\n", None), ("a{b} 1\n", None), ("a{=\"c\"} 1\n", None), ("a{,b=\"c\"} 1\n", None),
    ("a{b=\"c\",,} 1\n", None), ("a{b:c=\"d\"} 1\n", None), ("a{b=\"c\"\n} 1\n", None), ("a{1=\"c\"} 1\n", None),
    (b"a{\xff=\"c\"} 1\n", None), (b"a{b=\"\xff\"} 1\n", None), ("a{b=\"\xc3\xa4\"} 1\n", None), (b"a{b=\"x\0y\"} 1\n", None),
    ("a{b=\"1\",b=\"2\"} 1\n", None), ("a{__name__=\"b\"} 1\n", None), ("a{b=\"\"} 1\n", None), ("a:b:c 1\n", None), ("1a 1\n", None),
    ("a-b 1\n", None), ("a.b 1\n", None), ("a b\n", None), ("a 1 2 3\n", None), ("a 1 2.5\n", None), ("a 1 -5\n", None), ("a 1 +5\n", None),
    ("a 1 99999999999999999999\n", None), ("a 1 1_2\n", None), ("a 1_2\n", None), ("a 0x10\n", None), ("a 0x1p3\n", None),
    ("a 1e400\n", None), ("a -1e400\n", None), ("a 1e-400\n", None), ("a .5\n", None), ("a 5.\n", None), ("a .\n", None), ("a +.5e-3\n", None),
    ("a 1e\n", None), ("a NaN\n", None), ("a nan\n", None), ("a -NaN\n", None), ("a +Inf\n", None), ("a -inf\n", None), ("a Infinity\n", None),
    ("a infi\n", None), ("a true\n", None), ("a 1,5\n", None), ("a 1\r\n", None), ("a 12345678901234567890123456789.5\n", None),
    ("a 1 # {b=\"c\"} 2\n", None), ("a 1{\n", None), ("a{b=\"c\"}{d=\"e\"} 1\n", None), ("a\n", None), ("a \n", None), ("{} 1\n", None),
    ("{a=\"b\"} 1\n", None), ("{__name__=\"b\"} 1\n", None),
    ("# a comment\n#\n#x\n#\tx\n# HELPX a b\n# HELP\n# TYPES\n", None), ("# HELP a\n", None), ("# HELP a \n", None), ("# HELP a   b \\n\n", None),
    (b"# HELP a \xff\n", None), (b"# HELP a x\0y\n", None), ("# HELP #\n", None), ("# HELP a.b c\na 1\n", None), ("#\t TYPE \t a gauge\n", None),
    ("# TYPE a\n", None), ("# TYPE a counter\n", None), ("# TYPE a histogram\n", None), ("# TYPE a summary\n", None), ("# TYPE a untyped\n", None),
    ("# TYPE a unknown\n", None), ("# TYPE a info\n", None), ("# TYPE a  gauge\n", None), ("# TYPE a gauge \n", None), ("# TYPE a Gauge\n", None),
    ("# TYPE a.b gauge\n", None), ("# TYPE #\n", None), ("# UNIT a b\n", None),
    ("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n", None),
    ("# TYPE a gauge\n# TYPE a gauge\na 1\n", None), ("a{b=\"}\"} 1\n", None), ("a{b=\"c\"} 1\na{b=\"c\"} 1 1600000000000\n", None),
    ("  a 1\n", "the format says that blanks in front do not count; 2.42 takes them for a part of the name"),
    ("a+1\n", "the value behind a name without a blank is a slip, which 2.42 reads"),
    (b"a 1\n\0b 1\n", "2.42 ends the page at a NUL without a word"),
    ("{\"a b\",\"c d\"=\"e\"} 1\n", "names in quotes came with Prometheus 3"), ("# TYPE \"a b\" gauge\n", "names in quotes came with Prometheus 3"),
    ("# EOF", None), ("# EOF\n", None), ("a 1\n# EOF\n", None), ("a 1\n# EOF", None), ("a 1 1600000000.5\n# EOF\n", None), ("a 1 -1.5\n# EOF\n", None),
    ("\na 1\n# EOF\n", None), ("# x\na 1\n# EOF\n", None), ("#\n# EOF\n", None), (" a 1\n# EOF\n", None), ("a  1\n# EOF\n", None), ("a 1 \n# EOF\n", None),
    ("a\t1\n# EOF\n", None), ("a {b=\"c\"} 1\n# EOF\n", None), ("a{b=\"c\",} 1\n# EOF\n", "a comma behind the last label came with Prometheus 3"), ("a{b=\"c\", d=\"e\"} 1\n# EOF\n", None),
    ("a{b=\"c\"d=\"e\"} 1\n# EOF\n", None), ("a{b=\"c\"}1\n# EOF\n", None), ("a{} 1\n# EOF\n", None), ("a{b=\"c\nd\"} 1\n# EOF\n", None),
    ("a 1 x\n# EOF\n", None), ("a 1 NaN\n# EOF\n", None), ("a 1 Inf\n# EOF\n", None), ("a 1 1 2\n# EOF\n", None), ("a 1\r\n# EOF\n", None),
    ("a 1 1e3\n# EOF\n", None), ("a 0x10\n# EOF\n", None), ("a 1e400\n# EOF\n", None), ("a\n# EOF\n", None), ("a{\n# EOF\n", None),
    ("a_total 1 # {b=\"c\"} 2\n# EOF\n", None), ("a_total 1 # {b=\"c\"} 2 3\n# EOF\n", None), ("a_total 1 1600000000 # {} 2\n# EOF\n", None),
    ("a_total 1 # {b=\"c\"}\n# EOF\n", None), ("a_total 1 # {b=\"c\"} x\n# EOF\n", None), ("a_total 1 # {b=\"c\"} 2 NaN\n# EOF\n", None),
    ("a_total 1 #{b=\"c\"} 2\n# EOF\n", None), ("a_total 1 # b\n# EOF\n", None), ("a_total 1 # {b=\"c\"} 2 3 4\n# EOF\n", None),
    ("a_total 1 # {b=c} 2\n# EOF\n", None), ("a_total 1 # {b=\"c\", d=\"e\"} 2\n# EOF\n", None), (b"a_total 1 # {b=\"\xff\"} 2\n# EOF\n", None),
    ("# TYPE a counter\n# UNIT a \n# HELP a \n# EOF\n", None), ("# TYPE a_s gauge\n# UNIT a_s s\n# EOF\n", None), ("# UNIT a s\n# EOF\n", None),
    ("# UNIT s s\n# EOF\n", None), ("# UNIT as s\n# EOF\n", None), ("# HELP a\n# EOF\n", None), ("# TYPE a untyped\n# EOF\n", None),
    ("# TYPE a unknown\n# TYPE b info\n# TYPE c stateset\n# TYPE d gaugehistogram\n# EOF\n", None), ("# TYPE a gauge \n# EOF\n", None),
    (b"# HELP a \xff\n# EOF\n", None), ("# HELP  a b\n# EOF\n", None), ("# TYPE a counter\na_total 1\na_created 2\n# EOF\n", None),
    ("a 1 1e300\n# EOF\n", "a time that no integer holds"),
    ("a_total 1 # {b=\"1\",b=\"2\"} 2\n# EOF\n", "a scrape leaves such an exemplar out; a check says so"),
]]


class Targets(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        page = CASES[int(self.path.split("/")[-1])][0]
        self.send_response(200)
        self.send_header("Content-Type", OPENMETRICS if page.rstrip(b"\n").endswith(b"# EOF") else TEXT)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


def ask(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return json.loads(answer.read())["data"]


ACCEPT = {"text": "text/plain;version=0.0.4", "openmetrics": "application/openmetrics-text;version=0.0.1",
          "protobuf": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"}


def own_pages(tap, traceo, port, who):
    """The page of a real exporter, as text, OpenMetrics and protobuf, ends in the same series."""
    server = Server()
    try:
        server.start()
        for name, accept in ACCEPT.items():
            request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accept})
            page = urllib.request.urlopen(request, timeout=30).read()
            pushed = subprocess.run([traceo, "push", "--server", f"http://127.0.0.1:{server.port}", "--label", f"page={name}"],
                                    input=page, capture_output=True, timeout=30)
            tap.check(pushed.returncode == 0, f"{who}: its page as {name} is read", pushed.stderr.decode())
        at = time.time()
        count = len(server.query('{page="text"}', at)["result"])
        tap.check(count > 100, f"{who}: {count} series")
        for a, b in [("text", "openmetrics"), ("openmetrics", "text"), ("text", "protobuf"), ("protobuf", "text")]:
            alone = server.query(f'{{page="{a}"}} unless ignoring (page) {{page="{b}"}}', at)["result"]
            # Counters of requests by format and the first interval of a target appear while we ask; OpenMetrics has the times of creation beside.
            alone = [row["metric"] for row in alone if not row["metric"]["__name__"].endswith("_created")
                     and not any(part in row["metric"]["__name__"] for part in ("promhttp", "prometheus_http", "prometheus_target_interval"))]
            tap.check(alone == [], f"{who}: what {a} has, {b} has", alone[:5])
        values = {}
        for name in ("text", "protobuf"):
            rows = server.query(f'{{page="{name}"}}', at)["result"]
            values[name] = {json.dumps({k: v for k, v in row["metric"].items() if k != "page"}, sort_keys=True): row["value"][1] for row in rows}
        same = sum(values["protobuf"].get(key) == value for key, value in values["text"].items())
        tap.check(same >= 0.5 * len(values["text"]), f"{who}: {same} of {len(values['text'])} values have not moved between the two")
    finally:
        server.close()


def scraped(folder, tap, traceo):
    """What prometheus says about each case: (its error or "", samples)."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Targets)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{server.server_address[1]}"
    jobs = [{"job_name": str(i), "metrics_path": f"/{i}", "static_configs": [{"targets": [address]}]} for i in range(len(CASES))]
    (folder / "prometheus.yml").write_text(json.dumps({"global": {"scrape_interval": "3s", "scrape_timeout": "3s"}, "scrape_configs": jobs}))
    port = free_port()
    log = open(folder / "log", "wb")
    prometheus = subprocess.Popen(["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                                   f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                targets = ask(port, "/api/v1/targets")["activeTargets"]
                if len(targets) == len(CASES) and all(target["health"] != "unknown" for target in targets):
                    break
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise TimeoutError("prometheus has not scraped all pages")
            time.sleep(0.5)
        rows = ask(port, "/api/v1/query?query=scrape_samples_scraped")["result"]
        own_pages(tap, traceo, port, "prometheus")
        counts = {row["metric"]["job"]: int(row["value"][1]) for row in rows}
        return {int(target["labels"]["job"]): (target["lastError"], counts.get(target["labels"]["job"])) for target in targets}
    finally:
        prometheus.terminate()
        prometheus.wait()
        server.shutdown()


def main():
    tap, traceo = Tap(), sys.argv[1]
    if shutil.which("prometheus") is None:
        print("1..0 # SKIP no prometheus here")
        return 0
    folder = pathlib.Path(tempfile.mkdtemp(prefix="traceo-exposition-"))
    try:
        theirs = scraped(folder, tap, traceo)
        for i, (page, why) in enumerate(CASES):
            checked = subprocess.run([traceo, "check", "metrics"], input=page, capture_output=True, timeout=30)
            said = (checked.stdout + checked.stderr).decode(errors="replace").strip()
            error, count = theirs[i]
            mine_fine, theirs_fine = checked.returncode == 0, error == ""
            agreed = (mine_fine == theirs_fine) == (why is None)
            if agreed and mine_fine and theirs_fine:
                agreed = f" {count} series" in said
            tap.check(agreed, f"{page[:60]!r}: {'taken' if mine_fine else 'refused'}{'' if why is None else ', as ' + why}",
                      f"traceo: {said}\nprometheus: {error or 'fine'}, {count} samples")
        if shutil.which("prometheus-node-exporter") is not None:
            port = free_port()
            exporter = subprocess.Popen(["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
            try:
                time.sleep(1)
                own_pages(tap, traceo, port, "node_exporter")
            finally:
                exporter.terminate()
                exporter.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
