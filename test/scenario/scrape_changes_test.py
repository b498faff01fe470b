#!/usr/bin/env python3
"""What happens to scraped series when the configuration changes, a job moves, a page is huge or a target hangs.

    scrape_changes_test.py TRACEO
"""

import http.server
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from scrape_test import ask, targets, vector, wait_for
from traceo import Server, Tap


class Pages(http.server.ThreadingHTTPServer):
    """/small: two gauges that count; /many: 50,000 short rows; /found: this server; /hang: never answers."""

    daemon_threads = True

    def __init__(self):
        many = b"".join(b"m%d 1\n" % i for i in range(50000))
        address = self.address
        pages = {"/found": lambda: f'[{{"targets": ["{address()}"]}}]'.encode(), "/small": lambda: b"kept %.3f\ngone %.3f\n" % (time.time(), time.time()), "/many": lambda: many}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path == "/hang":
                    time.sleep(30)
                    return
                body = pages[self.path]()
                self.send_response(200)
                self.send_header("Content-Type", "application/json" if self.path == "/found" else "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def address(self):
        return f"127.0.0.1:{self.server_address[1]}"


def job(name, path, more="", interval="1s"):
    return f"""
- job_name: {name}
  scrape_interval: {interval}
  scrape_timeout: {interval}
  metrics_path: {path}
{more}"""


def static(address, labels=""):
    return f"  static_configs: [{{targets: ['{address}'], labels: {{{labels}}}}}]\n"


class World:
    def __init__(self, tap):
        self.tap = tap
        self.pages = Pages()
        self.folder = tempfile.mkdtemp(prefix="traceo-changes-")
        self.path = os.path.join(self.folder, "prometheus.yml")
        self.server = None

    def write(self, *jobs):
        with open(self.path, "w") as file:
            file.write("scrape_configs:" + "".join(jobs))

    def start(self, *jobs):
        self.write(*jobs)
        self.server = Server("--config", self.path)
        self.server.start()

    def reload(self, *jobs):
        self.write(*jobs)
        request = urllib.request.Request(f"http://127.0.0.1:{self.server.port}/-/reload", method="POST")
        urllib.request.urlopen(request, timeout=10).read()

    def now(self, query):
        return vector(self.server.port, query, time.time())


def relabelling_changes(world):
    address = static(world.pages.address())
    world.reload(job("j", "/small", address))
    world.tap.check(wait_for(lambda: len(world.now('{__name__=~"kept|gone"}')) == 2), "both rows of a page are there")
    drop = "  metric_relabel_configs: [{source_labels: [__name__], regex: gone, action: drop}]\n"
    world.reload(job("j", "/small", address + drop))
    world.tap.check(wait_for(lambda: not world.now("gone"), 5), "what a reload drops ends at once", world.now("gone"))
    world.tap.check(world.now("kept"), "and the rest goes on")


def a_job_moves(world):
    same = "  relabel_configs: [{target_label: job, replacement: same}]\n" + static(world.pages.address())
    world.reload(job("before", "/small", same))
    wait_for(lambda: world.now('kept{job="same"}'))
    time.sleep(1.5)
    begun = time.time()
    world.reload(job("after", "/small", same))
    time.sleep(5)
    answer = ask(world.server.port, "/api/v1/query_range", query='kept{job="same"}', start=begun, end=time.time() - 0.3, step=0.1)
    times = [at for at, _ in answer["result"][0]["values"]]
    widest = max(b - a for a, b in zip(times, times[1:]))
    world.tap.check(widest < 0.15, "a target that moves to another job goes on without a hole", f"{widest:.1f} s without a value")


def discovery_moves(world):
    discovery = job("found", "/small", f"  http_sd_configs: [{{url: 'http://{world.pages.address()}/FOUND', refresh_interval: 1s}}]\n")
    world.reload(discovery.replace("FOUND", "found"))
    world.tap.check(wait_for(lambda: targets(world.server)), "a web server names a target")
    world.reload(discovery.replace("FOUND", "hang"))
    world.tap.check(wait_for(lambda: not targets(world.server), 5), "it is gone when another address is asked, even one that is silent",
                    list(targets(world.server)))


def a_huge_page(world):
    world.reload(job("huge", "/many", static(world.pages.address(), "pad: " + "x" * 1500), "5s"))
    stored = wait_for(lambda: world.now('count({job="huge",__name__=~"m.*"}) == 50000'), 25)
    world.tap.check(stored, "a page of 80 MB of rows is stored", (stored, world.server.tail()))
    world.tap.check(world.now('up{job="huge"} == 1'), "and its up")


def a_target_hangs(world):
    world.reload(job("hang", "/hang", static(world.pages.address())))
    wait_for(lambda: world.now('up{job="hang"}'))
    time.sleep(8)
    counted = float(world.now('count_over_time(up{job="hang"}[8s])')[0]["value"][1])
    world.tap.check(counted > 5, "a target that hangs for its whole interval is down every interval", counted)


def certificate(folder, name):
    pair = [os.path.join(folder, f"{name}.{part}") for part in ("crt", "key")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-out", pair[0], "-keyout", pair[1],
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"], check=True, capture_output=True)
    return pair


def an_authority_is_replaced(world):
    first, second = certificate(world.folder, "first"), certificate(world.folder, "second")
    authorities = os.path.join(world.folder, "ca.pem")
    shutil.copy(first[0], authorities)
    pages, context = Pages(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*first)
    pages.socket = context.wrap_socket(pages.socket, server_side=True)
    world.reload(job("tls", "/small", f"  scheme: https\n  tls_config: {{ca_file: '{authorities}'}}\n" + static(pages.address())))
    healths = lambda: [target["health"] for target in targets(world.server).values()]
    world.tap.check(wait_for(lambda: healths() == ["up"]), "a target with an authority of its own is up", targets(world.server))
    context.load_cert_chain(*second)
    wait_for(lambda: healths() == ["down"])
    shutil.copy(second[0], authorities)
    world.tap.check(wait_for(lambda: healths() == ["up"], 5), "the file of authorities is read again when it changes", targets(world.server))


def main():
    tap = Tap()
    world = World(tap)
    world.start(job("j", "/small", static(world.pages.address())))
    try:
        for step in (relabelling_changes, a_job_moves, discovery_moves, an_authority_is_replaced, a_target_hangs, a_huge_page):
            try:
                step(world)
            except (OSError, ValueError, KeyError, IndexError) as fault:
                tap.check(False, step.__name__, f"{fault!r}\n{world.server.tail()}")
    finally:
        world.server.close()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
