#!/usr/bin/env python3
"""The browser tests for `make test`, as TAP: web/test/browser.py TRACEO. Skipped without Node or Chromium, and the run says so."""

import os
import pathlib
import shutil
import sys

WEB = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(WEB))
import embed  # noqa: E402


def main():
    npm = shutil.which("npm")
    why = embed.install_locked(npm) if npm else "there is no npm"
    if why:
        print(f"1..1\nok 1 - the page in a browser # SKIP {why}\n# skipped: the page in a browser: {why}")
        return
    sys.stdout.flush()
    os.environ["TRACEO_BIN"] = os.path.abspath(sys.argv[1])
    os.execvp("node", ["node", str(WEB / "test/browser/run.mjs"), *sys.argv[2:]])


if __name__ == "__main__":
    main()
