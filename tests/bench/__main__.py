"""Run all benchmarks and print their tables: `make bench`, or `make bench ARGS="books window --minutes 10"`.

Each benchmark runs in a process of its own, so that none inherits another's memory or caches.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys

BENCHES = (
    "books",
    "200_books",
    "venues",
    "storage",
    "charts",
    "window",
    "scanner",
    "scanner_table",
    "server",
    "broker",
)


def main() -> int:
    """Run the named benchmarks, or all."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(BENCHES)}")
    parser.add_argument("--minutes", type=float, default=2.0, help="how long the window is watched")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    unknown = set(args.names) - set(BENCHES)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(BENCHES)}")
    if args.child:
        os.environ["FATHOM_BENCH_MINUTES"] = str(args.minutes)
        print(json.dumps(importlib.import_module(f"tests.bench.bench_{args.names[0]}").run()))
        return 0
    print(f"CPython {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}\n")
    failed = 0
    for name in args.names or BENCHES:
        command = [sys.executable, "-m", "tests.bench", name, "--child", "--minutes", str(args.minutes)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        print(f"== {name}")
        if done.returncode:
            print(f"   failed with exit code {done.returncode}\n")
            failed += 1
            continue
        for row in json.loads(done.stdout.splitlines()[-1]):
            value = row["value"]
            shown = f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else f"{value}"
            if isinstance(value, float) and abs(value) >= 1000:
                shown = f"{value:,.0f}"
            print(f"   {row['name']:<52}{shown:>10} {row['unit']:<10}{row['target']:<14}{row['note']}")
        print()
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
