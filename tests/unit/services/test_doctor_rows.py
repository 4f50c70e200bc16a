"""What the doctor says of sessions, certificates, logins and clocks; and that one look never stops another."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.domain.account import LineRefused, Notice, Severity, Source
from app.domain.broker_health import BrokerHealth
from app.domain.clock import SystemClock
from app.domain.health import LinkState
from app.domain.quotes import DataKind, QuoteField, QuoteUpdate
from app.domain.units import NS_PER_S
from app.portfolio.ledger import Ledger
from app.services import doctor as doctor_module
from app.services.doctor import SERVICES, Doctor, DoctorFiles, failed, report_text
from app.services.doctor_checks import machine, portal, tws
from app.services.doctor_checks.broker_rows import session_rows
from app.services.doctor_checks.finding import Finding, Rows, State
from app.services.doctor_checks.tws import skew_ms
from app.settings.store import Settings
from app.venues.ibkr_portal.tls import Certificate, Trust

NOW = 1_795_276_800 * NS_PER_S
ROWS = Rows("IBKR TWS")


def live() -> BrokerHealth:
    """Return a session in the best of health."""
    return BrokerHealth(
        source=Source.TWS,
        address="127.0.0.1:7497",
        state=LinkState.LIVE,
        connected_ns=NOW - 3600 * NS_PER_S,
        last_message_ns=NOW - NS_PER_S,
        server_version="178",
        client_id=417,
        accounts=("DU1234567",),
        paper=True,
        paper_why="the id begins with D",
        read_only=True,
        orders_known=True,
        farms={"usfarm": True, "ushmds": None},
        clock_offset_ms=40.0,
        lines_open=12,
        lines_limit=100,
    )


def by_check(health: BrokerHealth, ledger: Ledger | None = None) -> dict[str, Finding]:
    return {row.check: row for row in session_rows(ROWS, health, ledger, NOW)}


def quoted(*kinds: DataKind) -> Ledger:
    ledger = Ledger(Source.TWS)
    ledger.on_quotes(NOW, [QuoteUpdate(k + 1, 0, {QuoteField.KIND: float(kind)}) for k, kind in enumerate(kinds)])
    return ledger


def test_a_healthy_session_has_no_advice_that_alarms() -> None:
    rows = by_check(live(), quoted(DataKind.LIVE, DataKind.LIVE))
    assert {row.state for row in rows.values()} == {State.OK}
    assert rows["session"].cause == "Connected for 60 min."
    assert rows["account"].cause == "DU•••67: paper trading (the id begins with D)."
    assert rows["market data"].cause == "2 live."
    assert rows["data farms"].cause == "1 of 2 working, 1 idle until asked."


@pytest.mark.parametrize(
    ("check", "changes", "state", "words"),
    [
        ("session", {"state": LinkState.STALE, "reason": "1100: no link"}, State.FAIL, "1100: no link."),
        ("session", {"state": LinkState.CONNECTING}, State.WARN, "being opened"),
        ("session", {"state": LinkState.IDLE}, State.OFF, "not been started"),
        ("session", {"needs": "Log in at https://localhost:5000", "reason": "401"}, State.FAIL, "401."),
        ("session", {"last_message_ns": NOW - 300 * NS_PER_S}, State.WARN, "silent for 5 min"),
        ("account", {"paper": False, "accounts": ("U7654321",)}, State.OK, "U•••21: live money"),
        ("account", {"paper": None}, State.WARN, "paper or live cannot be told"),
        ("account", {"accounts": ()}, State.UNKNOWN, "No account"),
        ("client id", {"client_id": None}, State.UNKNOWN, "None"),
        ("read-only", {"read_only": False}, State.OK, "would take orders of other programs; Fathom has none"),
        ("read-only", {"read_only": None}, State.UNKNOWN, "Not probed"),
        ("orders", {"orders_known": False, "orders_reason": "Read-Only API"}, State.WARN, "Read-Only API."),
        ("data farms", {"farms": {"usfarm.nj": False, "ushmds": True}}, State.FAIL, "Broken: usfarm.nj"),
        ("data farms", {"farms": {}}, State.UNKNOWN, "Nothing"),
        ("other logins", {"competing": True}, State.FAIL, "Another login"),
        ("lines", {"lines_open": 100}, State.WARN, "100 of 100"),
        ("lines", {"lines_limit": 0}, State.UNKNOWN, "Not known"),
        ("clock", {"clock_offset_ms": -4200.0}, State.WARN, "4.2 s behind this machine's"),
        ("clock", {"clock_offset_ms": 61_000.0}, State.FAIL, "61.0 s ahead of"),
        ("clock", {"clock_offset_ms": None}, State.UNKNOWN, "has not told"),
    ],
)
def test_what_is_wrong_with_a_session_is_said(check: str, changes: dict[str, object], state: State, words: str) -> None:
    row = by_check(replace(live(), **changes))[check]  # type: ignore[arg-type]
    assert row.state is state
    assert words in row.cause
    assert bool(row.advice) or state not in (State.FAIL, State.WARN)


def test_a_next_try_is_announced() -> None:
    health = replace(live(), state=LinkState.BACKOFF, reason="refused", retry_at_ns=NOW + 12 * NS_PER_S)
    assert by_check(health)["session"].advice == "It is tried again by itself in 12 s."


def test_entitlements_are_read_from_quotes_and_notices() -> None:
    ledger = quoted(DataKind.LIVE, DataKind.DELAYED, DataKind.FROZEN)
    ledger.on_events(NOW, (LineRefused(9, 354, "not subscribed", limit=False),))
    row = by_check(live(), ledger)["market data"]
    assert (row.state, row.cause) == (State.WARN, "1 live, 1 delayed, 1 frozen, 1 refused (not subscribed).")
    alone = Ledger(Source.TWS)
    alone.on_events(NOW, (LineRefused(9, 354, "not subscribed", limit=False),))
    assert by_check(live(), alone)["market data"].state is State.FAIL
    assert by_check(live(), Ledger(Source.TWS))["market data"].state is State.UNKNOWN
    health = live()
    health.note(NOW, Notice(code=10167, severity=Severity.FAILED, text="…", advice="…"))
    said = by_check(health, quoted(DataKind.LIVE))["market data"]
    assert (said.state, "delayed shown" in said.cause) == (State.WARN, True)


def test_a_portal_has_neither_client_id_nor_read_only_mode() -> None:
    assert not {"client id", "read-only"} & set(by_check(replace(live(), source=Source.PORTAL)))


# -- TWS's clock ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone_s", [0, -5 * 3600, 5.5 * 3600, 8.75 * 3600])
@pytest.mark.parametrize("ahead_s", [-40.0, 0.0, 7.0])
def test_the_clock_of_tws_is_compared_whatever_its_zone_is_called(zone_s: float, ahead_s: float) -> None:
    local = datetime.fromtimestamp(NOW / NS_PER_S, UTC) + timedelta(seconds=zone_s + ahead_s)
    found = skew_ms(f"{local:%Y%m%d %H:%M:%S} XYZ", NOW)
    assert found is not None
    assert abs(found - ahead_s * 1000) <= 500


@pytest.mark.parametrize("text", ["", "now", "20261120", "20261340 10:00:00 EST"])
def test_a_time_that_cannot_be_read_is_none(text: str) -> None:
    assert skew_ms(text, NOW) is None


# -- certificate and login -----------------------------------------------------------------------------------------


def certificate(days_left: float = 300) -> Certificate:
    now = datetime.fromtimestamp(NOW / NS_PER_S, UTC)
    return Certificate("", ":".join(["AB"] * 32), now - timedelta(days=10), now + timedelta(days=days_left))


@pytest.mark.parametrize(
    ("trust", "days", "state", "words"),
    [
        (Trust.TRUSTED, 300, State.OK, "The trusted one"),
        (Trust.TRUSTED, 9, State.WARN, "ends in 9 days"),
        (Trust.FIRST, 300, State.FAIL, "AB:AB"),
        (Trust.CHANGED, 300, State.FAIL, "trusted was 0F:0F, now it is AB:AB"),
        (Trust.EXPIRED, -1, State.FAIL, "expired on"),
        (Trust.EARLY, 300, State.FAIL, "valid only from"),
    ],
)
def test_every_kind_of_certificate_has_its_words(trust: Trust, days: float, state: State, words: str) -> None:
    row = portal.certificate_row(Rows("x"), certificate(days), trust, "0F:0F", NOW)
    assert row.state is state
    assert words in row.cause
    assert bool(row.advice) is (state is not State.OK)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, b"", {"login": State.FAIL}),
        (200, b'{"authenticated":true,"connected":true}', {"who answers": State.OK, "login": State.OK}),
        (200, b'{"authenticated":false,"connected":true}', {"who answers": State.OK, "login": State.WARN}),
        (200, b'{"authenticated":false,"connected":false}', {"who answers": State.OK, "login": State.FAIL}),
        (
            200,
            b'{"authenticated":false,"connected":true,"competing":true}',
            {"who answers": State.OK, "other logins": State.FAIL, "login": State.WARN},
        ),
        (200, b"<html>", {"login": State.FAIL}),
        (200, b"[]", {"login": State.FAIL}),
        (503, b"", {"login": State.FAIL}),
    ],
)
def test_every_answer_about_the_login_is_understood(status: int, body: bytes, expected: dict[str, State]) -> None:
    rows = portal.login_rows(Rows("x"), "https://localhost:5000", status, body, 1.0)
    assert {row.check: row.state for row in rows} == expected
    if status == 401:
        assert rows[0].link == "https://localhost:5000"


def test_an_answer_about_the_login_gives_no_more_than_its_version_away() -> None:
    body = b'{"authenticated":true,"MAC":"98:F2:B3","serverInfo":{"serverVersion":"Build 10.25.0a\\u0000"}}'
    text = " ".join(row.cause for row in portal.login_rows(Rows("x"), "u", 200, body, 1.0))
    assert "Build 10.25.0a." in text
    assert "98:F2" not in text


# -- the clock of this machine ------------------------------------------------------------------------------------


def test_one_venue_with_a_wrong_clock_does_not_make_ours_wrong() -> None:
    row = machine.clock_row({"A": 12.0, "B": 9_000.0, "C": -4.0})
    assert row.state is State.OK
    assert "B differs" in row.advice.replace("The clock of ", "")
    assert machine.clock_row({"A": 3_000.0, "B": 2_500.0}).state is State.WARN
    assert machine.clock_row({"A": -90_000.0}).state is State.FAIL
    assert machine.clock_row({}).state is State.UNKNOWN


# -- the doctor itself --------------------------------------------------------------------------------------------


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """A doctor whose venues and brokers are off, so that nothing is asked."""
    settings = Settings()
    switches = ("binance.spot", "binance.usdm", "bybit.spot", "bybit.linear", "hyperliquid.perp", "hyperliquid.spot")
    settings.override([f"{name}.enabled=false" for name in switches])

    async def quiet(*_: object, **__: object) -> list[Finding]:
        return [ROWS.ok("port", "account DU1234567 at /home/anna/x with token=abc")]

    monkeypatch.setattr(doctor_module.tws, "check_tws", quiet)
    monkeypatch.setattr(doctor_module.portal, "check_portal", quiet)
    files = DoctorFiles(base=tmp_path, database=tmp_path / "x.sqlite", bans=tmp_path / "bans.json")
    return Doctor(settings, files, SystemClock(), limit_s=0.2)


async def test_rows_come_service_by_service_masked_and_in_order(doctor: Doctor) -> None:
    heard: list[str] = []
    findings = await doctor.run(lambda service, rows: heard.append(service))
    assert sorted(heard) == sorted(SERVICES)
    named = [row.service for row in findings]
    assert named == sorted(named, key=lambda name: (name != ROWS.service, SERVICES.index(name)))
    assert findings[0].cause == "account DU•••67 at /home/•••/x with token=•••"
    assert failed(findings) == 0


async def test_a_look_that_hangs_or_has_a_bug_leaves_the_others_alone(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def hang(*_: object, **__: object) -> list[Finding]:
        await asyncio.Event().wait()
        return []

    async def fail(*_: object, **__: object) -> list[Finding]:
        raise KeyError("bug")

    monkeypatch.setattr(doctor_module.tws, "check_tws", hang)
    monkeypatch.setattr(doctor_module.portal, "check_portal", fail)
    findings = {(row.service, row.check): row for row in await doctor.run()}
    assert findings[tws.SERVICE, "look"].state is State.FAIL
    assert findings[portal.SERVICE, "look"].state is State.UNKNOWN
    assert findings["Data folder", "writable"].state is State.OK
    assert [record.name for record in caplog.records] == ["fathom.doctor"]


async def test_a_cancelled_doctor_leaves_no_task_behind(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = asyncio.Event()

    async def hang(*_: object, **__: object) -> list[Finding]:
        begun.set()
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(doctor_module.tws, "check_tws", hang)
    task = asyncio.create_task(doctor.run())
    await begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_the_report_names_every_service_and_what_to_do() -> None:
    rows = [ROWS.fail("port", "Nothing listens.", "Start it.", took_ms=3.4), Rows("Redis").off("connection", "Off.")]
    lines = report_text(rows, "head").splitlines()
    assert lines[0] == "head"
    assert re.fullmatch(r" *FAIL +port +Nothing listens\. +\(3 ms\)", lines[3])
    assert lines[4].strip() == "-> Start it."
    assert lines[6:] == ["Redis", "  OFF     connection     Off."]
