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
    lag, panels = report["lag_ms"], report["event_to_painted_by_panel_ms"]
    symbols = _worst(panels, ("Order book", "BTCUSDT"))
    groups = _worst(panels, ("TOTAL",))
    slope, span = _slope(report["rss_mib"])
    return [
        _row("first paint, median of 5", statistics.median(paints), "s", "< 0.4", "from the first line of the program"),
        _row("first indicator value", report["first_indicator_s"], "s", "< 10", ""),
        _row("all books primed", report["all_primed_s"], "s", "< 60", f"{primed} books"),
        _row("frames", frames / report["uptime_s"], "/s", "2000", f"over {report['uptime_s']:.0f} s"),
        _row("event loop lag p50", lag["p50"], "ms", "", "last 60 s"),
        _row("event loop lag p99", lag["p99"], "ms", "< 25", ""),
        _row("event loop lag max", lag["max"], "ms", "", ""),
        _row("event to painted, symbols on screen, p50", symbols["p50_ms"], "ms", "< 50", "ladder and coin chart"),
        _row("event to painted, symbols on screen, p95", symbols["p95_ms"], "ms", "", ""),
        _row(
            "event to painted, symbols on screen, p99", symbols["p99_ms"], "ms", "< 85", f"{symbols['samples']} samples"
        ),
        _row(
            "event to painted, groups on screen, p50", groups["p50_ms"], "ms", "", "mean event of 100 symbols a market"
        ),
        _row("event to painted, groups on screen, p99", groups["p99_ms"], "ms", "", ""),
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


def _worst(panels: dict[str, dict[str, Any]], words: tuple[str, ...]) -> dict[str, Any]:
    """Return the figures of the slowest panel whose title has one of the words."""
    chosen = [figures for title, figures in panels.items() if any(word in title for word in words)]
    return max((f for f in chosen if f["samples"]), key=lambda f: f["p50_ms"])


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
