#!/usr/bin/env python3
"""Random relabelling rules: Debian's prometheus and Traceo read the same jobs and end with the same targets and labels.

    relabel_test.py TRACEO [--jobs 300] [--seed 1]

Each job has one static target and one to five rules; what both servers say of their targets (/api/v1/targets) is
compared: kept or dropped, and every label. Nothing listens at the addresses, so nothing is scraped.
"""

import argparse
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

from traceo import Server, Tap, free_port

LABELS = ["env", "zone", "team", "app_name", "tmp_a", "tmp_b"]
VALUES = ["prod", "Prod-EU", "eu-west-1", "a;b", "x.y.z", "42", "", "ÄÖ ü", "$1"]  # no line feed: `.` matches it since 3.0 only
REGEXES = ["(.*)", "(.+)", "", "prod|dev", "([^-]+)-(.*)", "(?i)PROD.*", "a;b", ".*;(.*)", "(?P<first>[a-z]+).*", "\\d+", "x\\.(.)\\.z", "a.b"]
REPLACEMENTS = ["$1", "${1}", "${2}-$1", "static", "", "$$1", "[$1x]", "${first}!", "$0$0", "a$"]
# No two labels to one name: which of them wins has another order since 3.0.
NAME_REGEXES = ["(env|zone)", "(team)", "tmp_(.)", "(.*)_name", "(app).*"]


def rule(chance):
    action = chance.choice(["replace"] * 6 + ["keep", "drop", "hashmod", "hashmod", "labelmap", "labelmap", "labeldrop", "lowercase",
                                              "uppercase", "keepequal", "dropequal"])
    sources = chance.sample(LABELS + ["missing", "__address__"], chance.randint(0 if action == "replace" else 1, 3))
    made = {"action": action}
    if action in ("labelmap", "labeldrop"):
        made["regex"] = chance.choice(NAME_REGEXES)
        if action == "labelmap":
            made["replacement"] = chance.choice(["copy_$1", "m_${1}_x"])
        return made
    made["source_labels"] = sources
    if action in ("replace", "keep", "drop"):
        made["regex"] = chance.choice(REGEXES)
    if action in ("keep", "drop") and chance.random() < 0.7:
        made["regex"] = ".*" if action == "keep" else "never"
    if action not in ("keep", "drop"):
        made["target_label"] = chance.choice(LABELS + ["fresh"])
    if action == "replace":
        made["replacement"] = chance.choice(REPLACEMENTS)
        if chance.random() < 0.2:
            made["target_label"] = chance.choice(["t_${1}", "${1}", "$2_x"])
    if action not in ("keepequal", "dropequal") and chance.random() < 0.3:
        made["separator"] = chance.choice(["", "-", "::"])
    if action == "hashmod":
        made["modulus"] = chance.choice([1, 8, 1000, 2**63])
    return made


def configuration(chance, jobs):
    made = []
    for number in range(jobs):
        labels = {name: chance.choice(VALUES) for name in LABELS if chance.random() < 0.8}
        made.append({"job_name": f"job-{number}",
                     "static_configs": [{"targets": [f"127.0.0.1:{1 + number % 3}"], "labels": labels}],
                     "relabel_configs": [rule(chance) for _ in range(chance.randint(1, 5))]})
    return {"global": {"scrape_interval": "1h"}, "scrape_configs": made}


def targets(port):
    """The labels of kept targets by the job they were configured in, and how many targets there are at all."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/targets", timeout=30) as answer:
        data = json.loads(answer.read())["data"]
    # Not by discoveredLabels: 2.42 now and then shows those after relabelling.
    return {target["scrapePool"]: target["labels"] for target in data["activeTargets"]}, len(data["activeTargets"]) + len(data["droppedTargets"])


def wait_for(port, jobs):
    found, count = {}, 0
    for _ in range(150):
        try:
            found, count = targets(port)
        except OSError:
            pass
        if count == jobs:
            break
        time.sleep(0.2)
    return found, count


def compare(tap, config, mine, theirs):
    jobs = config["scrape_configs"]
    tap.check(mine[1] == theirs[1] == len(jobs), f"both show {len(jobs)} targets, {len(theirs[0])} of them kept", f"{mine[1]} and {theirs[1]}")
    different = [f"{job['job_name']}: {mine[0].get(job['job_name'])} is not {theirs[0].get(job['job_name'])}, of {json.dumps(job, ensure_ascii=False)}"
                 for job in jobs if mine[0].get(job["job_name"]) != theirs[0].get(job["job_name"])]
    tap.check(not different, f"what is kept, and its labels, are the same in {len(jobs)} jobs", "\n".join(different[:3]) + f"\n{len(different)} differ")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("traceo")
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    tap = Tap()
    if shutil.which("prometheus") is None:
        tap.skip("relabelling beside a real prometheus", "prometheus is not installed")
        return tap.end()
    config = configuration(random.Random(arguments.seed), arguments.jobs)
    folder = tempfile.mkdtemp(prefix="traceo-relabel-")
    path, own_path = pathlib.Path(folder, "prometheus.yml"), pathlib.Path(folder, "traceo.yml")
    path.write_text(json.dumps(config))
    # 2.42 knows no names but plain ones, and not the key that says so.
    own_path.write_text(json.dumps({**config, "global": {**config["global"], "metric_name_validation_scheme": "legacy"}}))
    port = free_port()
    log = open(pathlib.Path(folder, "log"), "ab")
    prometheus = subprocess.Popen(["prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder}/data",
                                   f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"], stdout=log, stderr=log)
    server = Server("--config", str(own_path))
    try:
        server.start()
        compare(tap, config, wait_for(server.port, arguments.jobs), wait_for(port, arguments.jobs))
    finally:
        prometheus.terminate()
        prometheus.wait(timeout=30)
        server.close()
        shutil.rmtree(folder, ignore_errors=True)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
