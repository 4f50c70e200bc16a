"""Real bars and quotes from the captures, and a board that is fed with them."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from app.domain.ids import Market
from app.domain.market import Field, TickerUpdate
from app.domain.units import NS_PER_MS, NS_PER_S
from app.scanner.board import Board
from app.scanner.detectors import Detectors
from app.scanner.events import ScanEvent
from app.scanner.gaps import Refused
from app.scanner.thresholds import Thresholds

MINUTE_NS = 60 * NS_PER_S
MINUTES_A_DAY = 1440
Figures = Mapping[int, float]


class Session(NamedTuple):
    """One session of a share: its date (20200316), and prices as traded."""

    date: str
    open: float
    close: float

    def at_ns(self, hour: int, minute: int = 0) -> int:
        """Return a UTC time of the day in ns."""
        return utc_ns(datetime.strptime(self.date, "%Y%m%d").replace(tzinfo=UTC, hour=hour, minute=minute))


def utc_ns(when: datetime) -> int:
    """Return a time of whole seconds in ns since 1970."""
    return int(when.timestamp()) * NS_PER_S


def date_of(ts_ns: int) -> str:
    """Return the UTC date of a time, 20200316."""
    return datetime.fromtimestamp(ts_ns / NS_PER_S, UTC).strftime("%Y%m%d")


def _rows_of(path: Path) -> Iterator[list[str]]:
    with zipfile.ZipFile(path) as archive:
        yield from csv.reader(io.TextIOWrapper(archive.open(archive.namelist()[0])))


def daily(captures: Path, symbol: str) -> list[Session]:
    """Return the sessions of a US share, not adjusted for splits."""
    rows = _rows_of(captures / f"lean/equity/usa/daily/{symbol}.zip")
    return [Session(row[0][:8], float(row[1]) / 1e4, float(row[4]) / 1e4) for row in rows]


def split_dates(captures: Path, symbol: str) -> set[str]:
    """Return the last session before each split, from the factor file."""
    text = (captures / f"lean/equity/usa/factor_files/{symbol}.csv").read_text()
    rows = [line.split(",") for line in text.split()]
    return {row[0] for row, after in pairwise(rows) if row[2] != after[2]}


def minute_bars(captures: Path, symbol: str, date: str) -> list[tuple[int, float]]:
    """Return time (UTC ns, New York is 4 h behind) and last price of the minutes of a share's session."""
    day_ns = utc_ns(datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC)) + 4 * 3600 * NS_PER_S
    rows = _rows_of(captures / f"lean/equity/usa/minute/{symbol}/{date}_trade.zip")
    return [(day_ns + int(row[0]) * NS_PER_MS, float(row[4]) / 1e4) for row in rows]


def btc_days(captures: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the 31 days of January 2022 of a BTC perpetual, by day and minute: last price, turnover of the minute in
    USD, turnover of the 24 h up to then (NaN on the first day, before which nothing is known)."""
    closes, volumes = [], []
    path = captures / "history/nautilus_btc-perp-20211231-20220201_1m.csv.gz"
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            if row["timestamp"].startswith("2022-01"):
                closes.append(float(row["close"]))
                volumes.append(float(row["volume"]))
    total = np.cumsum(volumes)
    rolling = np.full(total.size, np.nan)
    rolling[MINUTES_A_DAY:] = total[MINUTES_A_DAY:] - total[:-MINUTES_A_DAY]
    shape = (31, MINUTES_A_DAY)
    return np.reshape(closes, shape), np.reshape(volumes, shape), rolling.reshape(shape)


def bybit_quotes(captures: Path) -> list[tuple[float, float]]:
    """Return bid and ask of BTCUSDT minute by minute from 2022-12-13 00:00."""
    rows = _rows_of(captures / "lean/crypto/bybit/minute/btcusdt/20221213_quote.zip")
    return [(float(row[4]), float(row[9])) for row in rows]


def scan(
    news: Iterable[tuple[int, Sequence[Figures]]], thresholds: Thresholds
) -> tuple[list[ScanEvent], list[Refused]]:
    """Feed the figures of instruments 0, 1, ... at the times given (UTC ns); return events and refused jumps."""
    board, detectors = Board(), Detectors(thresholds)
    events: list[ScanEvent] = []
    refused: list[Refused] = []
    for now_ns, instruments in news:
        updates = [TickerUpdate(f"{number}", 0, figures) for number, figures in enumerate(instruments)]
        board.apply(Market.BINANCE_USDM, updates, now_ns)
        board.refresh(now_ns)
        events += detectors.advance(board, now_ns)
        fresh = detectors.gaps.refusals.total() - len(refused)
        refused += list(detectors.gaps.refused)[len(detectors.gaps.refused) - fresh :]
    return events, refused


def as_news(shares: Sequence[Sequence[Session]]) -> Iterator[tuple[int, list[Figures]]]:
    """Yield open and close of each session of the first share as news of all; a share that did not trade tells none."""
    by_date = [{session.date: session for session in sessions} for sessions in shares]
    for session in shares[0]:
        today = [sessions.get(session.date) for sessions in by_date]
        yield session.at_ns(14, 30), [{Field.LAST: each.open} if each else {} for each in today]
        yield session.at_ns(21), [{Field.LAST: each.close} if each else {} for each in today]
