#!/usr/bin/env python3
"""The page's types and unit tests for `make test`, as TAP. Without Node they are skipped, and the run says so."""

import pathlib
import shutil
import subprocess
import sys

WEB = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(WEB))
import embed  # noqa: E402


def main():
    npm = shutil.which("npm")
    why = embed.install_locked(npm) if npm else "there is no npm"
    if why:
        print(f"1..1\nok 1 - the page # SKIP {why}\n# skipped: the page's unit tests: {why}")
        return 0
    types = subprocess.run(["node", "node_modules/typescript/bin/tsc", "--noEmit"], cwd=WEB, capture_output=True, text=True)
    print(types.stdout, end="", file=sys.stderr)
    run = subprocess.run(["node", "node_modules/vitest/vitest.mjs", "run", "--reporter=tap-flat"], cwd=WEB, capture_output=True, text=True)
    lines = [line for line in run.stdout.splitlines() if line.startswith(("ok ", "not ok ", " ", "1.."))]
    count = sum(line.startswith(("ok ", "not ok ")) for line in lines)
    print(f"1..{count + 1}")
    print("\n".join(line for line in lines if not line.startswith("1..")))
    print(f"{'ok' if types.returncode == 0 else 'not ok'} {count + 1} - the page's types hold")
    print(run.stderr, end="", file=sys.stderr)
    return 0 if count > 0 and run.returncode == 0 and types.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
