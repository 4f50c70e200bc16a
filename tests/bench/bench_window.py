"""The whole program under `--demo`: start-up, loop lag, event to painted, CPU of the window's process, memory slope.

The window runs as a user would start it, in a process of its own, beside the simulated venue in another. It is watched
for FATHOM_BENCH_MINUTES (2 by default; the memory target is meant for 10).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
Row = dict[str, object]


def run() -> list[Row]:
    """Return the rows of the table."""
    paints = [_window(3.0)["first_paint_s"] for _ in range(5)]
    seconds = 60.0 * float(os.environ.get("FATHOM_BENCH_MINUTES", "2"))
    report = _window(seconds)
    frames = sum(feed["frames"] for feed in report["feeds"].values())
    primed = sum(feed["books_primed"] for feed in report["feeds"].values())
    bad = {name: sum(feed[name] for feed in report["feeds"].values()) for name in ("gaps", "crossed", "bad_frames")}
    lag, painted = report["lag_ms"], report["event_to_painted_ms"]
    slope, span = _slope(report["rss_mib"])
    return [
        _row("first paint, median of 5", statistics.median(paints), "s", "< 0.4", "from the first line of the program"),
        _row("first indicator value", report["first_indicator_s"], "s", "< 10", ""),
        _row("all books primed", report["all_primed_s"], "s", "< 60", f"{primed} books"),
        _row("frames", frames / report["uptime_s"], "/s", "2000", f"over {report['uptime_s']:.0f} s"),
        _row("event loop lag p50", lag["p50"], "ms", "", "last 60 s"),
        _row("event loop lag p99", lag["p99"], "ms", "< 25", ""),
        _row("event loop lag max", lag["max"], "ms", "", ""),
        _row("event to painted p50", painted["p50"], "ms", "< 50", "venue's event time until painted"),
        _row("event to painted p95", painted["p95"], "ms", "", ""),
        _row("event to painted p99", painted["p99"], "ms", "< 85", f"{painted['samples']} samples"),
        _row("CPU of the window's process", 100 * report["cpu_s"] / report["uptime_s"], "% core", "", "start included"),
        _row("memory at the end", report["rss_mib"][-1][1], "MiB", "", ""),
        _row("memory slope", slope, "MiB/min", "< 1", f"second half of the run, {span:.0f} s"),
        _row("gaps / crossed / bad frames", sum(bad.values()), "", "0", json.dumps(bad)),
    ]


def _window(seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "measure.json"
        command = [sys.executable, str(ROOT / "main.py"), "--demo", "--basedir", folder]
        command += ["--after", str(seconds), "--measure", str(out), "--quit"]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        report: dict[str, Any] = json.loads(out.read_text())
        return report


def _slope(memory: list[list[float]]) -> tuple[float, float]:
    """Return MiB per minute over the second half of the samples, by least squares, and its span in seconds."""
    half = memory[len(memory) // 2 :]
    if len(half) < 3:
        return 0.0, 0.0
    times = [at for at, _ in half]
    line = statistics.linear_regression(times, [mib for _, mib in half])
    return line.slope * 60.0, times[-1] - times[0]


def _row(name: str, value: object, unit: str, target: str, note: str) -> Row:
    return {"name": name, "value": value, "unit": unit, "target": target, "note": note}


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']!s:<32}{row['value']!s:>22} {row['unit']!s:<8}{row['target']!s:<8}{row['note']}")
