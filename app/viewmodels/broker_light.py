"""Turns the health of a broker's connection into one light of the status bar and the lines beneath it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from app.domain.broker_health import BrokerHealth
from app.domain.health import LinkState
from app.domain.masking import masked_account

_WORDS: Final = {
    LinkState.IDLE: "off",
    LinkState.STOPPED: "stopped",
    LinkState.CONNECTING: "connecting",
    LinkState.SYNCING: "loading account",
    LinkState.POLLING: "polling slowly",
    LinkState.LIVE: "connected",
    LinkState.STALE: "no link to IBKR",
    LinkState.BACKOFF: "down, retrying",
    LinkState.BANNED: "needs you",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerLight:
    """One way to a broker in the status bar.

    feed: name in event logs ("ibkr.tws"); light: grey, amber, green or red; word: the state in words; money: "PAPER",
    "LIVE" or "" (not known), money_why from what that is judged; needs: what the user must do, "" for nothing. accounts
    are masked. farms: data farms in words. Ages in ns (None: never).
    """

    feed: str
    title: str
    light: str
    word: str
    money: str
    money_why: str
    reason: str
    needs: str
    accounts: tuple[str, ...]
    since_age_ns: int | None
    last_message_age_ns: int | None
    latency_ms: float | None
    reconnects: int
    farms: str
    lines_open: int
    lines_limit: int


def broker_light(health: BrokerHealth, now_ns: int) -> BrokerLight:
    """Return the light of a source at a moment (UTC ns)."""
    return BrokerLight(
        feed=health.source.feed,
        title=broker_title(health),
        light=broker_colour(health),
        word=broker_word(health),
        money=money_word(health),
        money_why=health.paper_why,
        reason="" if health.state is LinkState.LIVE and health.retry_at_ns is None else health.reason,
        needs=health.needs,
        accounts=tuple(masked_account(account) for account in health.accounts),
        since_age_ns=_age(health.since_ns, now_ns),
        last_message_age_ns=_age(health.last_message_ns, now_ns),
        latency_ms=health.latency_ms,
        reconnects=health.reconnects,
        farms=farm_words(health),
        lines_open=health.lines_open,
        lines_limit=health.lines_limit,
    )


def broker_title(health: BrokerHealth) -> str:
    """Return a source's name for people: "IBKR TWS"."""
    return f"IBKR {health.source.full_name}"


def broker_word(health: BrokerHealth) -> str:
    """Return the state of a source in a word or two."""
    if health.state is LinkState.LIVE and health.competing:
        return "another login has the data"
    return _WORDS[health.state]


def broker_colour(health: BrokerHealth) -> str:
    """Return grey, amber, green or red; live with a broken farm or a rival for the data is amber."""
    worn = health.competing or False in health.farms.values() or bool(health.needs)
    return "amber" if health.state is LinkState.LIVE and worn else health.state.light


def money_word(health: BrokerHealth) -> str:
    """Return PAPER or LIVE, "" while it is not known which."""
    if health.paper is None:
        return ""
    return "PAPER" if health.paper else "LIVE"


def farm_words(health: BrokerHealth) -> str:
    """Return the state of the data farms in words, "" when nothing was said of any."""
    broken = sorted(name for name, is_well in health.farms.items() if is_well is False)
    if broken:
        return f"broken: {', '.join(broken)}"
    working = sum(is_well is True for is_well in health.farms.values())
    idle = sum(is_well is None for is_well in health.farms.values())
    words = [f"{working} working"] if working else []
    words += [f"{idle} idle until asked"] if idle else []
    return ", ".join(words)


def _age(stamp_ns: int | None, now_ns: int) -> int | None:
    return None if stamp_ns is None else max(0, now_ns - stamp_ns)
