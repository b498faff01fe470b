#!/usr/bin/env python3
"""Tests of tools/tidy.py: a small house with one planted fault each, which tidy has to find."""

import pathlib
import subprocess
import sys
import tempfile

TIDY = pathlib.Path(__file__).resolve().parent / "tidy.py"

HOUSE = {
    "src/FLOORS": "cli\nstore\nstore/log store/other\nbase\n",
    "src/meson.build": "files('main.c', 'store.c', 'log.c', 'inside.c', 'other.c', 'text.c')\n",
    "src/cli/main.c": '#include "store/store.h"\n#include "base/text.h"\n',
    "src/store/store.h": '#include "base/text.h"\n',
    "src/store/store.c": '#include "store/store.h"\n#include "store/log/log.h"\n',
    "src/store/log/log.h": "",
    "src/store/log/inside.h": "",
    "src/store/log/log.c": '#include "store/log/log.h"\n#include "store/log/inside.h"\n',
    "src/store/log/inside.c": '#include "store/log/inside.h"\n',
    "src/store/other/other.c": '#include "base/text.h"\n',
    "src/base/text.h": "",
    "src/base/text.c": '#include "base/text.h"\n// strcpy(a, b) in a comment is fine\n',
}

FAULTS = [
    ("an include that climbs a floor", {"src/base/text.c": '#include "base/text.h"\n#include "store/store.h"\n'}, "must not include"),
    ("an include of a neighbour", {"src/store/other/other.c": '#include "store/log/log.h"\n'}, "must not include"),
    ("a private header used outside", {"src/store/store.c": '#include "store/store.h"\n#include "store/log/log.h"\n#include "store/log/inside.h"\n'}, "private room"),
    ("a banned function", {"src/base/text.c": '#include "base/text.h"\nvoid f(void) { strcpy(a, b); }\n'}, "strcpy() is banned"),
    ("a dead source file", {"src/base/gone.c": '#include "base/text.h"\n'}, "no meson.build names it"),
    ("a dead header", {"src/base/gone.h": ""}, "nothing includes it"),
    ("a missing header", {"src/base/text.c": '#include "base/text.h"\n#include "base/never.h"\n'}, "does not exist"),
    ("a folder without a floor", {"src/attic/old.c": ""}, "not in src/FLOORS"),
    ("a path of one machine", {"src/base/text.c": '#include "base/text.h"\n// see /work/main/x\n'}, "names one machine"),
]


def run(files):
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        (pathlib.Path(folder) / "bench").mkdir(exist_ok=True)
        (pathlib.Path(folder) / "test").mkdir(exist_ok=True)
        done = subprocess.run([sys.executable, str(TIDY), folder], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr


def main():
    print(f"1..{len(FAULTS) + 1}")
    bad = 0
    code, out = run(HOUSE)
    bad += code != 0
    print(("ok" if code == 0 else "not ok") + " 1 - a clean house passes" + ("" if code == 0 else "\n# " + out.replace("\n", "\n# ")))
    for number, (what, change, says) in enumerate(FAULTS, 2):
        code, out = run({**HOUSE, **change})
        found = code == 1 and says in out
        bad += not found
        print(("ok" if found else "not ok") + f" {number} - {what} is found" + ("" if found else "\n# " + out.replace("\n", "\n# ")))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
