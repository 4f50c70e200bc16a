"""Lines of a literal TWS that answers as it is told: warnings, refusals that end, messages that were dropped."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from tws_rig import Rig, framed, stand_in, tws_rig

from app.domain.account import LineRefused
from app.domain.contracts import Contract
from app.domain.health import LinkState
from app.domain.quotes import DataKind, QuoteField
from app.venues.broker import BrokerError
from app.venues.ibkr_tws.lines import GENERIC_TICKS

AAPL = Contract(con_id=265598, symbol="AAPL")
KO = Contract(con_id=8894, symbol="KO")
Send = Callable[..., None]


class LiteralTws:
    """Answers the start of a session, and what is asked of lines by `on_line(send, request, con_id, generic ticks)`."""

    def __init__(self, on_line: Callable[[Send, str, str, str], None]) -> None:
        self.on_line = on_line
        self.lines: list[str] = []
        self.ended: list[str] = []
        self.send: Send | None = None
        self.on_details: Callable[[Send, str], None] = lambda send, request: send(52, 1, request)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def send(*fields: object) -> None:
            writer.write(framed(*map(str, fields)))

        self.send = send
        await reader.readuntil(b"v157..178")
        send(178, "20261120 09:30:00 EST")
        while True:
            (size,) = struct.unpack(">I", await reader.readexactly(4))
            self._answer(send, (await reader.readexactly(size)).decode().split("\0")[:-1])
            await writer.drain()

    def _answer(self, send: Send, asked: list[str]) -> None:
        match asked[0]:
            case "71":
                send(15, 1, "DU111")
                send(9, 1, 1)
            case "61":
                send(62, 1)
            case "6":
                send(6, 2, "NetLiquidation", "1000.5", "USD", "DU111")
                send(54, 1, "DU111")
            case "7":
                send(55, 1, asked[2])
            case "16":
                send(53, 1)
            case "99":
                send(102)
            case "49":
                send(49, 1, 1763650000)
            case "9":
                self.on_details(send, asked[2])
            case "1":
                self.lines.append(asked[3])
                self.on_line(send, asked[2], asked[3], asked[16] if len(asked) > 16 else "")
            case "2":
                self.ended.append(asked[2])


@asynccontextmanager
async def literal(
    on_line: Callable[[Send, str, str, str], None], **changes: object
) -> AsyncIterator[tuple[LiteralTws, Rig]]:
    tws = LiteralTws(on_line)
    async with stand_in(tws.serve) as port, tws_rig(None, port=port, **changes) as rig:
        await rig.live()
        yield tws, rig


def refusals(rig: Rig) -> list[tuple[int, int]]:
    return [(event.con_id, event.code) for event in rig.told if isinstance(event, LineRefused)]


async def test_a_warned_line_is_kept_when_prices_come() -> None:
    def on_line(send: Send, request: str, con_id: str, generic: str) -> None:
        send(4, 2, request, 10089, "Requested market data requires additional subscription for API.", "")
        send(58, 1, request, 3)
        send(1, 6, request, 68, 190.45, 100, 0)

    async with literal(on_line, quiet_s=0.2) as (tws, rig):
        rig.session.set_lines([AAPL])
        await rig.quoted((AAPL.con_id,))
        await asyncio.sleep(0.4)
        assert refusals(rig) == []
        assert tws.ended == []
        assert rig.price(AAPL.con_id, QuoteField.KIND) == DataKind.DELAYED


async def test_a_warned_line_without_a_price_is_refused_after_a_while() -> None:
    def on_line(send: Send, request: str, con_id: str, generic: str) -> None:
        send(4, 2, request, 10090, "Part of requested market data is not subscribed.", "")
        send(58, 1, request, 3)

    async with literal(on_line, quiet_s=0.2) as (tws, rig):
        rig.session.set_lines([AAPL])
        await rig.until(lambda: refusals(rig) == [(AAPL.con_id, 10090)], "the refusal")
        await rig.until(lambda: len(tws.ended) == 1, "the end of the line")
        assert rig.health.lines_open == 0
        rig.session.set_lines([AAPL])
        await asyncio.sleep(0.2)
        assert tws.lines == [str(AAPL.con_id)]  # it is not asked again at once
        rig.session.wake()
        await rig.until(lambda: len(tws.lines) == 2, "another try when the user wants it")


async def test_extra_figures_that_are_not_to_be_had_do_not_cost_the_prices() -> None:
    asked = []

    def on_line(send: Send, request: str, con_id: str, generic: str) -> None:
        asked.append(generic)
        if generic:
            send(4, 2, request, 321, "Error validating request.-'bW' : cause - Incorrect generic tick list", "")
        else:
            send(1, 6, request, 4, 190.45, 100, 0)

    async with literal(on_line) as (_, rig):
        rig.session.set_lines([AAPL])
        await rig.quoted((AAPL.con_id,))
        assert asked == [GENERIC_TICKS[AAPL.sec_type], ""]
        assert refusals(rig) == []
        # 321 means other things too
        await rig.until(lambda: rig.health.read_only is False, "what the probe found")


async def test_lines_that_tws_dropped_for_haste_are_asked_for_again() -> None:
    haste = [True]

    def on_line(send: Send, request: str, con_id: str, generic: str) -> None:
        if con_id == str(KO.con_id) and haste:
            haste.clear()
            send(4, 2, -1, 100, "Max rate of messages per second has been exceeded: max=50 rec=51 (1)", "")
        else:
            send(1, 6, request, 4, 190.45, 100, 0)

    async with literal(on_line) as (tws, rig):
        rig.session.set_lines([AAPL, KO])
        await rig.quoted((AAPL.con_id, KO.con_id))
        assert tws.lines == [str(AAPL.con_id), str(KO.con_id), str(KO.con_id)]


async def test_late_ticks_of_an_ended_line_are_not_told() -> None:
    requests: dict[str, str] = {}

    def on_line(send: Send, request: str, con_id: str, generic: str) -> None:
        requests[con_id] = request
        send(1, 6, request, 4, 190.45, 100, 0)

    async with literal(on_line) as (tws, rig):
        rig.session.set_lines([AAPL, KO])
        await rig.quoted((AAPL.con_id, KO.con_id))
        rig.session.set_lines([KO])
        await rig.until(lambda: tws.ended == [requests[str(AAPL.con_id)]], "the end of the line")
        assert tws.send is not None
        tws.send(1, 6, requests[str(AAPL.con_id)], 4, 7.0, 100, 0)
        tws.send(1, 6, requests[str(KO.con_id)], 4, 8.0, 100, 0)
        await rig.until(lambda: rig.price(KO.con_id) == 8.0, "the other line")
        assert rig.price(AAPL.con_id) == 190.45
        assert rig.complaints == []


async def test_a_message_that_ends_the_connection_makes_a_new_one() -> None:
    def on_line(send: Send, request: str, con_id: str, generic: str) -> None:
        send(1, 6, request, 4, 190.45, 100, 0)

    async with literal(on_line) as (tws, rig):
        for number, (code, text) in enumerate(
            [(507, "Bad Message Length"), (1300, "TWS socket port has been reset")], 1
        ):
            assert tws.send is not None
            tws.send(4, 2, -1, code, text, "")
            await rig.until(lambda number=number: rig.health.reconnects == number, "the loss")  # type: ignore[misc]
            await rig.live()
        assert any("1300" in event.text for event in rig.log)


async def test_figures_that_do_not_come_are_no_live_session() -> None:
    class Mute(LiteralTws):
        def _answer(self, send: Send, asked: list[str]) -> None:
            if asked[0] != "6":
                super()._answer(send, asked)

    tws = Mute(lambda *_: None)
    async with stand_in(tws.serve) as port, tws_rig(None, port=port, timeout_s=0.3) as rig:
        await rig.until(lambda: "account figures" in rig.health.reason, "the reason")
        assert LinkState.LIVE is not rig.health.state
        assert rig.health.reconnects == 0


async def test_a_stock_that_smart_does_not_know_is_asked_for_at_its_exchange() -> None:
    tencent = Contract(con_id=152811343, symbol="700", currency="HKD")
    asked: list[str] = []

    class HongKong(LiteralTws):
        def _answer(self, send: Send, asked_for: list[str]) -> None:
            if asked_for[0] == "1":
                asked.append(asked_for[10])
                if asked_for[10] == "SMART":
                    send(4, 2, asked_for[2], 200, "No security definition has been found for the request", "")
                else:
                    send(1, 6, asked_for[2], 4, 443.6, 100, 0)
            else:
                super()._answer(send, asked_for)

    def on_details(send: Send, request: str) -> None:
        send(
            *(10, request, "700", "STK", "", 0, "", "SEHK", "HKD", "700", "700", "700", 152811343, 0.2, "", "LMT"),
            *("SEHK", 1, 0, "TENCENT", "SEHK", "", "", "", "", "Hongkong", "", "", "", 0, 0, 1, "", "", "", "", ""),
            *(1, 1, 100),
        )
        send(52, 1, request)

    tws = HongKong(lambda *_: None)
    tws.on_details = on_details
    async with stand_in(tws.serve) as port, tws_rig(None, port=port) as rig:
        rig.session.set_lines([tencent])
        await rig.live()
        await rig.until(lambda: rig.price(tencent.con_id) == 443.6, "the price")
        assert asked == ["SMART", "SEHK"]
        assert refusals(rig) == []
        tws_lines = rig.health.lines_open
        rig.session.wake()
        await asyncio.sleep(0.1)
        assert (rig.health.lines_open, len(asked)) == (tws_lines, 2)


async def test_silence_about_open_orders_is_said_and_does_not_hold_up_the_rest() -> None:
    class Mute(LiteralTws):
        def _answer(self, send: Send, asked: list[str]) -> None:
            if asked[0] != "16":
                super()._answer(send, asked)

    tws = Mute(lambda send, request, con_id, generic: send(1, 6, request, 4, 190.45, 100, 0))
    async with stand_in(tws.serve) as port, tws_rig(None, port=port, probe_s=0.2) as rig:
        rig.session.set_lines([AAPL])
        await rig.live()
        await rig.until(lambda: rig.price(AAPL.con_id) == 190.45, "the price")
        await rig.until(lambda: "does not answer for open orders" in rig.health.orders_reason, "the reason")
        assert rig.health.orders_known is False
        assert rig.health.state is LinkState.LIVE


async def test_the_port_tws_moved_to_is_named() -> None:
    tws = LiteralTws(lambda *_: None)
    async with AsyncExitStack() as stack:
        server = AsyncExitStack()
        port = await server.enter_async_context(stand_in(tws.serve))
        rig = await stack.enter_async_context(tws_rig(None, port=port))
        await rig.live()
        assert tws.send is not None
        text = "TWS socket port has been reset and this connection is being dropped. The new port - 7497"
        tws.send(4, 2, -1, 1300, text, "")
        await server.aclose()
        await rig.until(lambda: "nothing listens" in rig.health.reason, "the closed port")
        assert "7497" in rig.health.needs
        assert "ibkr.tws.port" in rig.health.needs


async def test_an_answer_that_comes_too_late_is_no_complaint_and_the_question_can_be_asked_again() -> None:
    waiting: list[str] = []

    def on_details(send: Send, request: str) -> None:
        waiting.append(request)
        for asked in waiting if len(waiting) > 1 else []:
            send(
                *(10, asked, "KO", "STK", "", 0, "", "SMART", "USD", "KO", "KO", "KO", KO.con_id, 0.01, "", "LMT"),
                *("SMART", 1, 0, "COCA-COLA", "NYSE", "", "", "", "", "US/Eastern", "", "", "", 0, 0, 1, "", "", ""),
                *("", "", 1, 1, 100),
            )
            send(52, 1, asked)

    async with literal(lambda *_: None, timeout_s=0.2) as (tws, rig):
        tws.on_details = on_details
        with pytest.raises(BrokerError, match=r"contract details within 0\.2 s"):
            await rig.session.details(KO)
        details = await rig.session.details(KO)
        assert details.contract.name == "COCA-COLA"
        assert rig.complaints == []
        assert rig.health.bad_messages == 0
