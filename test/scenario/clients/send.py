"""Sends with the clients that people use; one kind per call.

    send.py influx1|influx2|statsd|dogstatsd|datadog|graphite PORT

Prints what the client saw, as JSON. Times are given where the client allows it, so that the answers are known.
"""

import json
import sys
import time


def influx1(port):
    from influxdb import InfluxDBClient

    client = InfluxDBClient("127.0.0.1", port, "user", "password", "shop")
    version = client.ping()
    client.create_database("shop")
    databases = client.get_list_database()
    now = int(time.time())
    client.write_points([
        {"measurement": "influx1", "tags": {"host": "a b", "dc": "x,y"}, "time": now, "fields": {"load": 1.5, "up": True, "n": 7, "note": "no"}},
        {"measurement": "influx1", "tags": {"host": "c"}, "time": now, "fields": {"value": 3.0}}], time_precision="s")
    refused = ""
    try:
        client.write("broken\ninflux1 last=1i\n", params={"db": "shop"}, protocol="line")
    except Exception as error:
        refused = str(error)
    return {"version": version, "databases": databases, "refused": refused}


def influx2(port):
    from influxdb_client import InfluxDBClient, Point, WritePrecision
    from influxdb_client.client.write_api import SYNCHRONOUS

    with InfluxDBClient(url=f"http://127.0.0.1:{port}", token="any", org="o", enable_gzip=True) as client:
        ping, health = client.ping(), client.health().status
        write = client.write_api(write_options=SYNCHRONOUS)
        write.write(bucket="b", record=[Point("influx2").tag("host", "a").field("load", 2.5).field("n", 7).time(int(time.time() * 1000), WritePrecision.MS)],
                    write_precision=WritePrecision.MS)
        refused = ""
        try:
            write.write(bucket="b", record="broken\ninflux2 last=1i")
        except Exception as error:
            refused = f"{error.status} {error.body if hasattr(error, 'body') else error}"
        return {"ping": ping, "health": health, "refused": str(refused)}


def statsd(port):
    from statsd import StatsClient

    client = StatsClient("127.0.0.1", port, prefix="shop")
    client.incr("orders", 3)
    client.incr("orders", 2)
    client.decr("orders")
    client.gauge("carts", 7)
    client.gauge("carts", -2, delta=True)
    client.timing("took", 320)
    client.set("users", "anna")
    client.set("users", "ben")
    with client.pipeline() as pipe:
        pipe.incr("piped")
        pipe.incr("piped")
    return {}


def dogstatsd(port):
    from datadog.dogstatsd import DogStatsd

    client = DogStatsd(host="127.0.0.1", port=port, disable_telemetry=True)
    client.increment("dog.orders", 5, tags=["kind:book", "beta"])
    client.gauge("dog.carts", 4, tags=["kind:book"])
    client.histogram("dog.size", 0.3)
    client.distribution("dog.spread", 0.3)
    client.timing("dog.took", 20)
    client.set("dog.users", "anna")
    client.event("title", "text")
    client.service_check("check", 0)
    client.flush()
    return {}


def datadog(port):
    from datadog import api, initialize

    initialize(api_key="any", app_key="any", api_host=f"http://127.0.0.1:{port}", mute=False)
    now = int(time.time())
    sent = api.Metric.send(metric="dd.orders", points=[(now - 10, 3), (now, 7)], tags=["kind:book"], host="a", type="count")
    many = api.Metric.send([{"metric": "dd.one", "points": 1}, {"metric": "dd.two", "points": (now, 2)}])
    check = api.ServiceCheck.check(check="c", host_name="a", status=0)
    return {"sent": sent, "many": many, "check": check}


def graphite(port):
    import graphyte

    graphyte.init("127.0.0.1", port=port, prefix="graph")
    graphyte.send("web1.load", 0.5)
    graphyte.send("web1.tagged", 1.5, tags={"dc": "x"})
    sender = graphyte.Sender("127.0.0.1", port=port, prefix="graph", protocol="udp")
    sender.send("udp", 7)
    return {}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](int(sys.argv[2])), default=str))
