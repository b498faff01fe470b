#!/usr/bin/env python3
"""Every PromQL expression of real dashboards, alerts and recording rules is answered, and like a real prometheus answers it.

    dashboards_test.py TRACEO [--only TEXT]

The expressions lie in TRACEO_TEST_DATA/dashboards/expressions.jsonl.zst (Prometheus' monitoring mixins). Grafana's variables
are filled in, each is parsed, series that its selectors find are made up, and all are evaluated at one moment and over time. With
a Debian prometheus at hand both are asked, and the answers have to be the same. Where the made-up series do not fit
together (a match of many to many), both have to refuse alike.
"""

import argparse
import collections
import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.parse
import zlib

from beside import Client, both, difference, fill
from differential_data import BASE_MS
from traceo import ROOT, Tap, series

MINUTES, INTERVAL_MS = 30, 30_000
WORLDS = ("w1", "w2", "w3")  # all labels of a series differ together, so that what is matched on any label meets its like
BUCKETS = ("0.005", "0.1", "1", "10", "+Inf")
NUMBERS = {"$k": "3"}
# Not PromQL, and refused by Prometheus too: a piece of the expression.
WRONG_THEMSELVES = ("sum_over_time(increase(loki_discarded_samples_total",)
TIMES = {"__rate_interval": "2m", "__interval": "1m", "__range": "20m", "__auto": "2m"}


def expressions(path):
    text = subprocess.run(["zstd", "-dc", path], capture_output=True, check=True).stdout.decode()
    for line in text.splitlines():
        row = json.loads(line)
        if "loki" not in (row["datasource"] or "") and row["expr"]:
            yield row


def fill_in(text):
    """The expression as Grafana sends it: several values behind =~ and !~, one behind = and !=."""
    for name, value in TIMES.items():
        text = re.sub(r"\$\{?" + name + r"(_s|_ms)?(:\w+)?\}?", value, text)
    for name, value in NUMBERS.items():
        text = text.replace(name + ",", value + ",")
    variable = r"(\[\[\w+\]\]|\$\{\w*[A-Za-z]\w*(:\w+)?\}|\$[A-Za-z]\w*)"

    def matcher(found):
        one = found.group(1) in ("=", "!=")
        return found.group(1) + found.group(2) + re.sub(variable, "w1" if one else "w1|w2|w3", found.group(3)) + found.group(4)

    text = re.sub(r"(=~|!~|!=|=)(\s*[\"'])((?:[^\"'\\]|\\.)*)([\"'])", matcher, text)
    return re.sub(variable, "w1", text)


# ---- Series that the selectors find ---------------------------------------------------------------


def walk(node):
    yield node
    for value in node.values():
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, dict):
                yield from walk(child)


def value_for(matcher, world):
    """A value of a label that the matcher lets through, that of the world where it may be."""
    kind, wanted = matcher["type"], matcher["value"]
    if kind == "=":
        return wanted
    if kind == "=~":
        for guess in [world, *wanted.strip("()").replace("\\", "").split("|"), "", "200", "500", "404", "x", "1"]:
            if re.fullmatch(wanted, guess):
                return guess
        return re.sub(r"[^\w/-]", "", wanted)
    banned = re.fullmatch(wanted, world) if kind == "!~" else wanted == world
    return "other" if banned else world


def made_up(tree):
    """Label sets for every selector of an expression."""
    names = set()
    for node in walk(tree):
        names.update(node.get("grouping") or [])
        matching = node.get("matching") or {}
        names.update(matching.get("labels") or [])
        names.update(matching.get("include") or [])
    nodes = [node for node in walk(tree) if node.get("type") in ("vectorSelector", "matrixSelector")]
    for node in nodes:
        names.update(matcher["name"] for matcher in node["matchers"])
    names -= {"__name__", "le"}
    for node in nodes:
        for world in WORLDS:
            labels = {name: world for name in names}
            for matcher in node["matchers"]:
                labels[matcher["name"]] = value_for(matcher, world)
            labels["__name__"] = node["name"] or labels.get("__name__", "made_up")
            labels = {name: value for name, value in labels.items() if value}
            if labels["__name__"].endswith("_bucket") and "le" not in labels:
                for le in BUCKETS:
                    yield {**labels, "le": le}
            else:
                yield labels


def samples(labels):
    """High counters, buckets that add up, gauges of many sizes; never at a whole, half or quarter second."""
    name = labels["__name__"]
    place = zlib.crc32(json.dumps({**labels, "le": ""}, sort_keys=True).encode())
    counts = name.endswith(("_total", "_count", "_sum", "_bucket"))
    high = BUCKETS.index(labels["le"]) if labels.get("le") in BUCKETS else 0
    phase = place % 200 + 1
    scale = (0, 1, 1, 0.5, 100, 4096)[place % 6]
    for i in range(MINUTES * 60_000 // INTERVAL_MS):
        if counts:
            value = (1 << 24) + place % (1 << 20) + i * (place % 37) + high * (4096 + i * (place % 5))
        else:
            value = scale * (1 if place % 3 else 1 + (place >> (i % 8)) % 8 / 8)
        yield BASE_MS + i * INTERVAL_MS + phase, float(value)


def bodies(label_sets):
    for at in range(0, len(label_sets), 1000):
        yield b"".join(series(labels, samples(labels)) for labels in label_sets[at:at + 1000])


# ---- Asking ---------------------------------------------------------------------------------------

END = BASE_MS // 1000 + MINUTES * 60 - 60
ASKED = [("/api/v1/query", {"time": f"{END}.5"}), ("/api/v1/query_range", {"start": f"{END - 600}.5", "end": f"{END}.5", "step": "60"})]
LABEL_VALUES = re.compile(r"^\s*label_values\(\s*(?:(.*),)?\s*(\w*)\s*\)\s*$", re.S)


def get(port, path, **arguments):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path + "?" + urllib.parse.urlencode(arguments))
    return json.loads(connection.getresponse().read())


def compare(mine, theirs, text, known):
    """What is wrong with an expression, or None."""
    for path, arguments in ASKED:
        a = mine.ask(path, query=text, **arguments)
        if theirs is None:
            if a["status"] != "success" and "many" not in a["error"]:
                return f"{path}: {a['error']}"
            continue
        why = difference(a, theirs.ask(path, query=text, **arguments), False)
        if why:
            return f"{path}: {why}"
        known["refused alike" if a["status"] != "success" else "empty" if not a["data"]["result"] else "answered"] += 1
    return None


def compare_values(mine, theirs, selector, label):
    """label_values() of a variable of Grafana: what the label API says."""
    arguments = {"match[]": selector} if selector else {}
    a = get(mine.port, f"/api/v1/label/{label}/values", **arguments)
    if a["status"] != "success":
        return a["error"]
    if theirs and a["data"] != (b := get(theirs.port, f"/api/v1/label/{label}/values", **arguments))["data"]:
        return f"{a['data'][:5]}, not {b['data'][:5]}"
    return None


def run(tap, rows, server, prometheus, options):
    trees, label_sets, unparsed, wrong_themselves = {}, {}, [], []
    for row in rows:
        text = fill_in(row["expr"])
        variable = LABEL_VALUES.match(text) if row["kind"] == "variable" else None
        row["text"] = (variable.group(1) or "").strip() if variable else text
        row["label"] = variable.group(2) if variable else None
        if row["label"] == "":
            wrong_themselves.append(f"{row['file']}: {row['expr']}: no label")
        if not row["text"] or row["text"] in trees:
            continue
        answer = get(server.port, "/api/v1/parse_query", query=row["text"])
        if answer["status"] != "success":
            line = f"{row['file']}: {row['title']}: {row['text']}\n    {answer['error']}"
            known = any(piece in row["text"] for piece in WRONG_THEMSELVES)
            theirs_too = not prometheus or Client(prometheus.port).ask("/api/v1/query", query=row["text"]).get("errorType") == "bad_data"
            (wrong_themselves if known and theirs_too else unparsed).append(line)
            continue
        trees[row["text"]] = answer["data"]
        for labels in made_up(answer["data"]):
            label_sets[json.dumps(labels, sort_keys=True)] = labels
    tap.check(not unparsed, f"{len(rows)} expressions ({len(trees)} different) parse", "\n".join(unparsed[:20]))
    for line in wrong_themselves:
        print("# prometheus refuses it as well: " + line.replace("\n", "\n# "))
    fill([server, prometheus], bodies(list(label_sets.values())))
    mine, theirs = Client(server.port), Client(prometheus.port) if prometheus else None
    wrong, known, seen = [], collections.Counter(), set()
    for row in rows:
        if (row["text"], row["label"]) in seen or (row["text"] and row["text"] not in trees):
            continue
        if row["label"] == "":
            continue
        seen.add((row["text"], row["label"]))
        if row["label"]:
            why = compare_values(mine, theirs, row["text"], row["label"])
        else:
            why = compare(mine, theirs, row["text"], known)
        if why:
            wrong.append(f"{row['file']}: {row['title']}:\n    {row['text']}\n    {why}")
    print(f"# {len(label_sets)} series made up; answers: {dict(known)}")
    tap.check(not wrong, f"{len(seen)} are evaluated" + (" like prometheus" if prometheus else ""),
              f"{len(wrong)} are not\n" + "\n".join(wrong[:options.shown]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traceo")
    parser.add_argument("--only", help="expressions that hold this text")
    parser.add_argument("--shown", type=int, default=20)
    options = parser.parse_args()
    tap = Tap()
    data = pathlib.Path(os.environ.get("TRACEO_TEST_DATA", ROOT.parent / "shared/data"), "dashboards/expressions.jsonl.zst")
    if not data.exists() or not shutil.which("zstd"):
        tap.skip("expressions of dashboards", f"{data} or zstd is not there")
        return tap.end()
    rows = [row for row in expressions(data) if not options.only or options.only in row["expr"]]
    with both() as (server, prometheus):
        run(tap, rows, server, prometheus, options)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
