#!/usr/bin/env python3
"""Real Debian exporters scraped by Traceo and by a Debian prometheus at the same time; then targets that misbehave.

    scrape_test.py TRACEO [--seconds 14]

Both servers get the same scrape_configs. Their series must have the same label sets; values that did not move while both
looked must be equal; `up` and `scrape_*` must mean the same; what a killed exporter said must end. Broken targets show a
clear message in /api/v1/targets while the good ones go on. Discovery by file and HTTP is followed; a reload too.
"""

import argparse
import gzip
import http.server
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from traceo import Server, Tap, free_port

NEEDED = ["prometheus", "prometheus-node-exporter", "prometheus-process-exporter", "prometheus-blackbox-exporter",
          "prometheus-redis-exporter", "prometheus-pushgateway", "prometheus-bind-exporter"]


def ask(port, path, **arguments):
    url = f"http://127.0.0.1:{port}{path}?" + urllib.parse.urlencode(arguments)
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.loads(answer.read())["data"]


def vector(port, query, at_s):
    return ask(port, "/api/v1/query", query=query, time=at_s)["result"]


def key(metric):
    """Label sets as both write them: Prometheus 2 keeps le="1", Prometheus 3 and Traceo have le="1.0"."""
    labels = dict(metric)
    for name in ("le", "quantile"):
        if name in labels:
            labels[name] = str(float(labels[name]))
    return tuple(sorted(labels.items()))


def wait_for(what, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            found = what()
        except (OSError, ValueError, KeyError):
            found = None
        if found:
            return found
        time.sleep(0.1)
    return None


def targets(server):
    return {target["scrapeUrl"]: target for target in ask(server.port, "/api/v1/targets")["activeTargets"]}


# ---- Exporters ------------------------------------------------------------------------------------


class Exporters:
    def __init__(self):
        self.processes = {}
        self.ports = {}

    def start(self, name, *flags):
        port = self.ports.setdefault(name, free_port())
        binary = {"pushgateway": "prometheus-pushgateway"}.get(name, f"prometheus-{name}-exporter")
        self.processes[name] = subprocess.Popen([binary, f"--web.listen-address=127.0.0.1:{port}", *flags],
                                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def address(self, name):
        return f"127.0.0.1:{self.ports[name]}"

    def stop(self, name):
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def close(self):
        for name in list(self.processes):
            self.stop(name)


def push(port):
    """A job with an instance of its own, and one without: then instance="" is on the page."""
    for path, body in (("/metrics/job/batch/instance/one", "batch_done 1\n"), ("/metrics/job/batch", "batch_total 7\n")):
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=body.encode(), method="POST")
        urllib.request.urlopen(request, timeout=10).read()


def configuration(exporters):
    address = exporters.address
    return f"""
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: node
    static_configs:
      - targets: ['{address("node")}']
        labels: {{place: here}}
  - job_name: process
    static_configs: [{{targets: ['{address("process")}']}}]
    metric_relabel_configs:
      - source_labels: [__name__]
        regex: 'go_(gc|memstats)_.*'
        action: drop
      - source_labels: [groupname]
        target_label: group
      - regex: groupname
        action: labeldrop
  - job_name: redis
    static_configs: [{{targets: ['{address("redis")}']}}]
    sample_limit: 5000
  - job_name: bind
    static_configs: [{{targets: ['{address("bind")}']}}]
  - job_name: pushgateway
    honor_labels: true
    static_configs: [{{targets: ['{address("pushgateway")}']}}]
  - job_name: pushgateway_renamed
    static_configs: [{{targets: ['{address("pushgateway")}']}}]
  - job_name: blackbox
    metrics_path: /probe
    params: {{module: [http_2xx]}}
    static_configs: [{{targets: ['http://{address("node")}/metrics', 'http://127.0.0.1:1/']}}]
    relabel_configs:
      - source_labels: [__address__]
        target_label: __param_target
      - source_labels: [__param_target]
        target_label: instance
      - target_label: __address__
        replacement: {address("blackbox")}
  - job_name: dropped
    static_configs: [{{targets: ['127.0.0.1:2', '127.0.0.1:3']}}]
    relabel_configs: [{{source_labels: [__address__], regex: '.*:3', action: drop}}]
"""


# ---- Beside prometheus ----------------------------------------------------------------------------


class Prometheus:
    def __init__(self, config):
        self.folder = tempfile.mkdtemp(prefix="traceo-prometheus-")
        self.port = free_port()
        path = f"{self.folder}/prometheus.yml"
        pathlib.Path(path).write_text(config)
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={path}", f"--storage.tsdb.path={self.folder}/data", f"--web.listen-address=127.0.0.1:{self.port}",
             "--log.level=error"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


# How long a scrape took, and what the exporters count about their own scrapes and memory, differs by nature.
MOVING = ("scrape_duration_seconds", "scrape_series_added")


def still_values(port, at_s, seconds):
    """Values that did not move in the last seconds, read as range vectors so that names stay."""
    rows = ask(port, "/api/v1/query", query='{job=~".+"}[%ds]' % seconds, time=at_s)["result"]
    return {key(row["metric"]): row["values"][0][1] for row in rows
            if len({value for _, value in row["values"]}) == 1 and row["metric"]["__name__"] not in MOVING}


def compare(tap, server, prometheus, seconds):
    at_s = time.time()
    mine, theirs = server.port, prometheus.port
    ours = {key(row["metric"]) for row in vector(mine, '{job=~".+"}', at_s)}
    others = {key(row["metric"]) for row in vector(theirs, '{job=~".+"}', at_s)}
    tap.check(len(ours) > 700, f"there is something to compare: {len(ours)} series")
    missing, strange = sorted(others - ours), sorted(ours - others)
    tap.check(not missing and not strange, "the same series with the same labels",
              "\n".join([f"only prometheus: {dict(row)}" for row in missing[:8]] + [f"only traceo: {dict(row)}" for row in strange[:8]]))
    a, b = still_values(mine, at_s, seconds), still_values(theirs, at_s, seconds)
    both = a.keys() & b.keys()
    wrong = [row for row in both if float(a[row]) != float(b[row])]
    tap.check(len(both) > 400 and not wrong, f"{len(both)} values that stood still are equal",
              "\n".join(f"{dict(row)}: {a[row]}, not {b[row]}" for row in wrong[:8]))
    for name in ("up", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling"):
        x = {key(row["metric"]): row["value"][1] for row in vector(mine, name, at_s)}
        y = {key(row["metric"]): row["value"][1] for row in vector(theirs, name, at_s)}
        tap.check(x == y and len(x) == 9 and list(x.values()).count("0") <= 1, f"{name} says the same of every target", f"{x}\n{y}")
    x = {target["scrapeUrl"]: (target["labels"], target["health"], target["globalUrl"], target["scrapeInterval"], target["scrapePool"])
         for target in ask(mine, "/api/v1/targets")["activeTargets"]}
    y = {target["scrapeUrl"]: (target["labels"], target["health"], target["globalUrl"], target["scrapeInterval"], target["scrapePool"])
         for target in ask(theirs, "/api/v1/targets")["activeTargets"]}
    tap.check(x == y, "/api/v1/targets shows the same targets", f"{x}\n{y}")
    x = sorted(json.dumps(target["discoveredLabels"], sort_keys=True) for target in ask(mine, "/api/v1/targets", state="dropped")["droppedTargets"])
    y = sorted(json.dumps(target["discoveredLabels"], sort_keys=True) for target in ask(theirs, "/api/v1/targets", state="dropped")["droppedTargets"])
    tap.check(x == y and len(x) == 1, "and the same dropped one", f"{x}\n{y}")
    tap.check(ask(mine, "/api/v1/scrape_pools") == ask(theirs, "/api/v1/scrape_pools"), "/api/v1/scrape_pools too")
    pick = lambda rows: sorted((row["metric"], row["type"], row["help"]) for row in rows)
    x = pick(ask(mine, "/api/v1/targets/metadata", match_target='{job="redis"}'))
    y = pick(ask(theirs, "/api/v1/targets/metadata", match_target='{job="redis"}'))
    # OpenMetrics, which Prometheus asks for first, names a counter's family without _total.
    plain = lambda rows: sorted({(name.removesuffix("_total"), kind, text) for name, kind, text in rows})
    tap.check(plain(x) == plain(y) and len(x) > 10, "/api/v1/targets/metadata too",
              f"{[row for row in plain(x) if row not in plain(y)][:5]}\n{[row for row in plain(y) if row not in plain(x)][:5]}")
    times = ask(mine, "/api/v1/query", query='up{job="node"}[8s]', time=at_s)["result"][0]["values"]
    steps = [round(1000 * (b[0] - a[0])) for a, b in zip(times, times[1:])]
    # A busy machine may make one scrape late; its time is told as it was then.
    tap.check(len(steps) >= 5 and steps.count(1000) >= len(steps) - 2, "samples come in an even rhythm", steps)


def ends(tap, server, prometheus, exporters):
    before = len(vector(server.port, '{job="node"}', time.time()))
    exporters.stop("node")
    gone = wait_for(lambda: len(vector(server.port, '{job="node"}', time.time())) == 5)
    tap.check(before > 100 and gone, "what a killed exporter said ends within seconds", vector(server.port, '{job="node"}', time.time())[:3])
    time.sleep(1.5)
    at_s = time.time()
    x = sorted(key(row["metric"]) for row in vector(server.port, '{job="node"}', at_s))
    y = sorted(key(row["metric"]) for row in vector(prometheus.port, '{job="node"}', at_s))
    tap.check(x == y, "as it does in prometheus", f"{x}\n{y}")
    tap.check(vector(server.port, 'up{job="node"}', at_s)[0]["value"][1] == "0", "up is 0")
    error = [target for target in targets(server).values() if target["labels"]["job"] == "node"][0]
    tap.check(error["health"] == "down" and error["lastError"] == "cannot connect: connection refused", "and the target says why", error)
    exporters.start("node", "--no-collector.wifi")
    back = wait_for(lambda: len(vector(server.port, '{job="node"}', time.time())) > 100)
    tap.check(back, "a new exporter on the same port is taken up again")


# ---- Targets that misbehave -----------------------------------------------------------------------


BOMB = gzip.compress(b"a 1\n" * (8 << 20))  # 32 MiB of page in 32 KiB


class Broken(threading.Thread):
    """Raw connections: the path chooses the misdeed."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            connection, _ = self.socket.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            path = connection.recv(4096).split(b" ")[1].decode()
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
            if path == "/slow":
                time.sleep(5)
            elif path == "/endless":
                connection.sendall(head + b"\r\n")
                while True:
                    connection.sendall(b"endless_metric 1\n" * 4096)
            elif path == "/gigabyte":
                connection.sendall(head + b"Content-Length: 1073741824\r\n\r\n" + b"a 1\n" * 1000)
            elif path == "/html":
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 14\r\n\r\n<h1>hello</h1>")
            elif path == "/half":
                connection.sendall(head + b"Content-Length: 12\r\n\r\na 1\nhalf_a_li")
            elif path == "/cut":
                connection.sendall(head + b"Content-Length: 100\r\n\r\na 1\nb 2\n")
            elif path == "/missing":
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            elif path == "/reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            elif path == "/many":
                body = b"".join(b"m{i=\"%d\"} 1\n" % i for i in range(100))
                connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            elif path == "/bomb":
                connection.sendall(head + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB)
        except OSError:
            pass
        finally:
            connection.close()


class Tls(threading.Thread):
    """A page behind a certificate that nobody signed."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.certificate = f"{folder}/cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{folder}/key.pem", "-out", self.certificate,
                        "-days", "2", "-subj", "/CN=target.example", "-addext", "subjectAltName=DNS:target.example"],
                       check=True, capture_output=True)

        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.end_headers()
                self.wfile.write(b"secure 1\n")

            def log_message(self, *arguments):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, f"{folder}/key.pem")
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.start()

    def run(self):
        self.server.serve_forever()


BROKEN = {  # path: what lastError must contain
    "/slow": "timed out after 1 s",
    "/endless": "body size limit exceeded",
    "/gigabyte": "body size limit exceeded",
    "/html": "text/html",
    "/half": "line 2",
    "/cut": "the body was cut off",
    "/missing": "server returned HTTP status 404 Not Found",
    "/reset": "reset",
    "/many": "sample limit exceeded",
    "/bomb": "body size limit exceeded",
}


def broken_configuration(broken, tls, node, extra=""):
    jobs = "".join(f"""
  - job_name: 'broken {path}'
    metrics_path: {path}
    sample_limit: 50
    body_size_limit: 8MB
    static_configs: [{{targets: ['127.0.0.1:{broken.port}']}}]""" for path in BROKEN)
    return f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: good
    static_configs: [{{targets: ['{node}']}}]{jobs}
  - job_name: untrusted
    scheme: https
    static_configs: [{{targets: ['127.0.0.1:{tls.port}']}}]
  - job_name: wrong name
    scheme: https
    tls_config: {{ca_file: '{tls.certificate}', server_name: other.example}}
    static_configs: [{{targets: ['127.0.0.1:{tls.port}']}}]
  - job_name: trusted
    scheme: https
    tls_config: {{ca_file: '{tls.certificate}', server_name: target.example}}
    static_configs: [{{targets: ['127.0.0.1:{tls.port}']}}]
  - job_name: careless
    scheme: https
    tls_config: {{insecure_skip_verify: true}}
    static_configs: [{{targets: ['127.0.0.1:{tls.port}']}}]
{extra}"""


def misbehave(tap, folder, exporters):
    broken, tls = Broken(), Tls(folder)
    path = f"{folder}/broken.yml"
    pathlib.Path(path).write_text(broken_configuration(broken, tls, exporters.address("node")))
    server = Server("--config", path)
    try:
        server.start()
        wait_for(lambda: all(target["health"] != "unknown" for target in targets(server).values()))
        time.sleep(3)
        found = {target["scrapePool"]: target for target in ask(server.port, "/api/v1/targets")["activeTargets"]}
        for name, words in {**{f"broken {path}": words for path, words in BROKEN.items()}, "untrusted": "certificate refused",
                            "wrong name": "certificate refused"}.items():
            target = found.get(name, {})
            tap.check(target.get("health") == "down" and words in target.get("lastError", ""), f"{name}: {words}", target)
        for name in ("good", "trusted", "careless"):
            tap.check(found[name]["health"] == "up", f"{name} goes on", found[name])
        rhythm = ask(server.port, "/api/v1/query", query='count_over_time(up{job="good"}[4s])', time=time.time())["result"]
        tap.check(rhythm and float(rhythm[0]["value"][1]) >= 3, "the good target is not late for them", rhythm)
        rss = [line for line in pathlib.Path(f"/proc/{server.process.pid}/status").read_text().splitlines() if line.startswith("VmHWM")][0]
        tap.check(int(rss.split()[1]) < 700 * 1024, f"memory stays bounded ({rss})", rss)
        tap.check(server.stop() == 0, "and it stops cleanly", server.tail())
    finally:
        server.close()


# ---- Discovery and reload -------------------------------------------------------------------------


class Found(http.server.BaseHTTPRequestHandler):
    answer = b"[]"
    seen = {}

    def do_GET(self):
        Found.seen = dict(self.headers)
        self.send_response(200 if Found.answer else 500)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(Found.answer or b"")

    def log_message(self, *arguments):
        pass


def discover(tap, folder, exporters):
    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Found)
    threading.Thread(target=http_server.serve_forever, daemon=True).start()
    path, listed = f"{folder}/discovery.yml", f"{folder}/targets.json"
    node, redis, bind = (exporters.address(name) for name in ("node", "redis", "bind"))
    Found.answer = json.dumps([{"targets": [redis], "labels": {"__meta_team": "cache"}}]).encode()
    pathlib.Path(listed).write_text(json.dumps([{"targets": [node], "labels": {"env": "test"}}]))
    base = f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: file
    file_sd_configs: [{{files: ['{folder}/targets*.json'], refresh_interval: 1s}}]
    relabel_configs: [{{source_labels: [__meta_filepath], target_label: file}}]
  - job_name: http
    http_sd_configs: [{{url: 'http://127.0.0.1:{http_server.server_address[1]}/sd', refresh_interval: 1s}}]
    relabel_configs: [{{source_labels: [__meta_team], target_label: team}}]
"""
    more = f"  - job_name: later\n    static_configs: [{{targets: ['{bind}']}}]\n"
    pathlib.Path(path).write_text(base)
    server = Server("--config", path)
    urls = lambda: {(target["scrapePool"], target["labels"].get("file"), target["labels"].get("team"), target["labels"]["instance"])
                    for target in targets(server).values() if target["health"] == "up"}
    try:
        server.start()
        first = ("file", listed, None, node), ("http", None, "cache", redis)
        tap.check(wait_for(lambda: urls() == set(first)), "targets are found by file and by HTTP", urls())
        tap.check(Found.seen.get("X-Prometheus-Refresh-Interval-Seconds") == "1" and Found.seen.get("User-Agent", "").startswith("Traceo/"),
                  "the HTTP server is told who asks and how often", Found.seen)
        pathlib.Path(listed).write_text('[{"targets": ["half')
        Found.answer = None
        time.sleep(2.5)
        tap.check(urls() == set(first), "a broken file and a failing server keep the targets", urls())
        pathlib.Path(f"{folder}/targets2.json").write_text(json.dumps([{"targets": [bind]}]))
        pathlib.Path(listed).write_text("[]")
        Found.answer = b"[]"
        tap.check(wait_for(lambda: urls() == {("file", f"{folder}/targets2.json", None, bind)}), "changes are followed", urls())
        tap.check(wait_for(lambda: not vector(server.port, '{job="http"}', time.time())), "what a vanished target said ends",
                  vector(server.port, '{job="http"}', time.time())[:3])
        pathlib.Path(path).write_text(base + more)
        status = urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{server.port}/-/reload", method="POST"), timeout=10).status
        tap.check(status == 200 and wait_for(lambda: ("later", None, None, bind) in urls()), "a reload adds a job", urls())
        added = vector(server.port, 'sum_over_time(scrape_series_added{job="file"}[4s])', time.time())
        tap.check(added and float(added[0]["value"][1]) == 0, "and the others keep what they know of their rows", added)
        pathlib.Path(path).write_text(base + "  - job_nam: later\n")
        try:
            urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{server.port}/-/reload", method="POST"), timeout=10)
            tap.check(False, "a broken configuration is refused")
        except urllib.error.HTTPError as error:
            said = error.read().decode()
            tap.check("discovery.yml:" in said and "job_nam" in said, "a broken configuration is refused, with its place", said)
        tap.check(("later", None, None, bind) in urls(), "and the old one stays in force", urls())
        pathlib.Path(path).write_text(base)
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{server.port}/-/reload", method="POST"), timeout=10)
        tap.check(wait_for(lambda: not vector(server.port, '{job="later"}', time.time())), "a job taken away ends",
                  vector(server.port, '{job="later"}', time.time())[:3])
        tap.check(server.stop() == 0, "and it stops cleanly", server.tail())
    finally:
        server.close()
        http_server.shutdown()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("traceo", nargs="?")
    parser.add_argument("--seconds", type=int, default=14)
    options = parser.parse_args()
    tap = Tap()
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        tap.skip("real exporters", "missing: " + " ".join(missing) + " (tools/setup check)")
        return tap.end()
    folder = tempfile.mkdtemp(prefix="traceo-scrape-")
    exporters = Exporters()
    prometheus = server = None
    try:
        blackbox = f"{folder}/blackbox.yml"
        pathlib.Path(blackbox).write_text("modules: {http_2xx: {prober: http, timeout: 500ms, http: {preferred_ip_protocol: ip4}}}\n")
        exporters.start("node", "--no-collector.wifi")
        exporters.start("process", "-procnames", "prometheus-redis-exporter,prometheus-pushgateway")
        exporters.start("blackbox", f"--config.file={blackbox}")
        exporters.start("redis", "--redis.addr=redis://127.0.0.1:1")
        exporters.start("pushgateway")
        exporters.start("bind", "--bind.stats-url=http://127.0.0.1:1/")
        wait_for(lambda: push(exporters.ports["pushgateway"]) or True)
        config = configuration(exporters)
        path = f"{folder}/traceo.yml"
        pathlib.Path(path).write_text(config)
        prometheus, server = Prometheus(config), Server("--config", path)
        server.start()
        time.sleep(options.seconds)
        compare(tap, server, prometheus, options.seconds - 6)
        ends(tap, server, prometheus, exporters)
        tap.check(server.stop() == 0, "and it stops cleanly", server.tail())
        misbehave(tap, folder, exporters)
        discover(tap, folder, exporters)
    finally:
        exporters.close()
        if prometheus:
            prometheus.close()
        if server:
            server.close()
        shutil.rmtree(folder, ignore_errors=True)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
