#!/usr/bin/env python3
"""The clients that people use for InfluxDB, StatsD, Datadog, Graphite and remote write 2.0 send to Traceo; PromQL gives back what they sent.

    clients_test.py TRACEO

They are installed into build/clients (pinned in test/scenario/clients); where that cannot be done the test says so and skips.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

from packages import CLIENTS_PYTHON, CLIENTS_RW2, install_clients, install_rw2
from traceo import Server, Tap, free_port

HERE = pathlib.Path(__file__).resolve().parent / "clients"


def run(command):
    """What a client prints, or an error as a text."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin:/bin"})
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else f"{command}: {done.stderr[-1500:]}"


def rows(server, query):
    status, body = server.get("/api/v1/query?" + urllib.parse.urlencode({"query": query}))
    return json.loads(body)["data"]["result"] if status == 200 else body.decode()


def wrong(server, expected):
    """The first query whose answer is not what was sent, as a sentence; waits up to five seconds for it."""
    for query, value in expected:
        found = None
        for _ in range(100):
            found = rows(server, query)
            if isinstance(found, list) and [float(row["value"][1]) for row in found] == value:
                break
            time.sleep(0.05)
        else:
            return f"{query}: {found}, not {value}"
    return None


EXPECTED = {
    "influx1": [('influx1_load{host="a b",dc="x,y",db="shop"}', [1.5]), ('influx1_up', [1]), ('influx1_n', [7]), ('influx1{host="c"}', [3]),
                ('influx1_last', [1]), ('{__name__="influx1_note"}', [])],
    "influx2": [('influx2_load{host="a",db=""}', [2.5]), ('influx2_n', [7]), ('influx2_last', [1])],
    "statsd": [('shop_orders', [4]), ('shop_carts', [5]), ('shop_took_bucket{le="0.5"}', [1]), ('shop_took_bucket{le="0.25"}', [0]),
               ('shop_took_sum', [0.32]), ('shop_piped', [2]), ('max_over_time(shop_users[1m])', [2])],
    "dogstatsd": [('dog_orders{kind="book",beta="true"}', [5]), ('dog_carts{kind="book"}', [4]), ('dog_size_count', [1]),
                  ('dog_spread_bucket{le="0.5"}', [1]), ('dog_took_sum', [0.02]), ('max_over_time(dog_users[1m])', [1])],
    "datadog": [('dd_orders{kind="book",host="a"}', [7]), ('count_over_time(dd_orders[1m])', [2]), ('dd_one', [1]), ('dd_two', [2])],
    "graphite": [('graph_web1_load', [0.5]), ('graph_web1_tagged{dc="x"}', [1.5]), ('graph_udp', [7])],
}

SAW = {
    "influx1": lambda saw: saw["version"] == "1.8.10" and saw["databases"] == [{"name": "shop"}] and "line 1" in saw["refused"],
    "influx2": lambda saw: saw["ping"] is True and saw["health"] == "pass" and saw["refused"].startswith("400") and "line 1" in saw["refused"],
    "datadog": lambda saw: saw["sent"]["status"] == saw["many"]["status"] == saw["check"]["status"] == "ok",
}


def check_rw2(tap, server):
    why = install_rw2()
    if why:
        tap.skip("Prometheus' own library sends remote write 2.0", why)
        return
    saw = run([CLIENTS_RW2, f"http://127.0.0.1:{server.port}", int(time.time() * 1000)])
    kept = {"Samples": 2, "Histograms": 2, "Exemplars": 1}
    good = not isinstance(saw, str) and saw["good"] == {**kept, "Error": ""}
    tap.check(good, "Prometheus' own library sends remote write 2.0 and is told what was kept", str(saw))
    partial = not isinstance(saw, str) and {**saw["partial"], "Error": ""} == {**kept, "Error": ""} and "999" in saw["partial"]["Error"]
    tap.check(partial, "a partial write is told with what was kept", str(saw))
    fault = wrong(server, [('rw2_orders_total{kind="book"}', [7])])
    tap.check(fault is None, "what it sent is what is asked back", fault)
    names = json.loads(server.get("/api/v1/label/__name__/values")[1])["data"]
    tap.check({"rw2_size", "rw2_custom"} <= set(names), "its native histograms are there", str(names))
    metadata = json.loads(server.get("/api/v1/metadata?metric=rw2_orders_total")[1])["data"]
    tap.check(metadata.get("rw2_orders_total", [{}])[0].get("help") == "Orders taken.", "its metadata is known", str(metadata))


TELEGRAF = """
[agent]
  interval = "1s"
  omit_hostname = true
[global_tags]
  dc = "x y"
[[inputs.mem]]
  fieldinclude = ["total"]
[[inputs.cpu]]
  percpu = false
  totalcpu = true
  report_active = true
[[outputs.influxdb]]
  urls = ["http://127.0.0.1:{port}"]
  database = "tele1"
  skip_database_creation = false
  name_prefix = "v1_"
[[outputs.influxdb_v2]]
  urls = ["http://127.0.0.1:{port}"]
  organization = "o"
  bucket = "tele2"
  token = "t"
  name_prefix = "v2_"
[[outputs.http]]
  url = "http://127.0.0.1:{port}/api/v1/write"
  data_format = "prometheusremotewrite"
  name_prefix = "rw_"
  [outputs.http.headers]
    Content-Type = "application/x-protobuf"
    Content-Encoding = "snappy"
    X-Prometheus-Remote-Write-Version = "0.1.0"
[[outputs.graphite]]
  servers = ["127.0.0.1:{graphite}"]
  prefix = "gr"
  graphite_tag_support = true
"""


def check_telegraf(tap, server, graphite):
    """Where it is installed; the test does not do it, as its Go module takes ten minutes to build."""
    name = "Telegraf sends by four of its outputs"
    telegraf = shutil.which("telegraf")
    if telegraf is None:
        tap.skip(name, "telegraf is not installed")
        return
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder, "telegraf.conf")
        config.write_text(TELEGRAF.replace("{port}", str(server.port)).replace("{graphite}", str(graphite)))
        done = subprocess.run([telegraf, "--config", str(config), "--once"], capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin:/bin", "HOME": folder})
    total = int(pathlib.Path("/proc/meminfo").read_text().split()[1]) * 1024
    fault = wrong(server, [(query, [total]) for query in ('v1_mem_total{dc="x y",db="tele1"}', 'v2_mem_total{dc="x y",db=""}', 'rw_mem_total{dc="x y"}',
                                                         'gr_mem_total{dc="x_y"}')])
    tap.check(done.returncode == 0 and "E!" not in done.stderr and fault is None, name, f"{fault}\n{done.stderr[-2000:]}")


def main():
    tap = Tap()
    statsd, graphite = free_port(), free_port()
    server = Server("--statsd.listen", f"127.0.0.1:{statsd}", "--statsd.flush_interval", "200ms", "--graphite.listen", f"127.0.0.1:{graphite}")
    server.start()
    try:
        check_rw2(tap, server)
        check_telegraf(tap, server, graphite)
        why = install_clients()
        for kind, expected in EXPECTED.items():
            name = f"what a client of {kind} sends is what is asked back"
            if why:
                tap.skip(name, why)
                continue
            port = {"statsd": statsd, "dogstatsd": statsd, "graphite": graphite}.get(kind, server.port)
            saw = run([CLIENTS_PYTHON, HERE / "send.py", kind, port])
            fault = saw if isinstance(saw, str) else wrong(server, expected)
            if fault is None and kind in SAW and not SAW[kind](saw):
                fault = f"the client saw {saw}"
            tap.check(fault is None, name, fault)
        own = server.get("/metrics")[1].decode()
        counted = all(f"\n{line}\n" in own for line in (
            "traceo_statsd_events_dropped_total 1", "traceo_statsd_service_checks_dropped_total 1", "traceo_influx_texts_total 1",
            "traceo_influx_lines_refused_total 2"))
        if not why:
            tap.check(counted, "what is not kept is counted", "\n".join(line for line in own.splitlines() if "statsd" in line or "influx" in line))
    finally:
        server.close()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
