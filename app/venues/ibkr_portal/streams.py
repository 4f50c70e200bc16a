"""Which topics are asked for on a connection, each exactly once, and what they follow: accounts, currencies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from app.domain.account import BASE
from app.venues.ibkr_portal import protocol


class Streams:
    """Topics of one connection."""

    def __init__(self, send: Callable[[str], Awaitable[None]]) -> None:
        self._send = send
        self._asked: dict[str, tuple[str, str]] = {}

    @property
    def asked(self) -> tuple[str, ...]:
        """Texts that were sent and hold."""
        return tuple(text for text, _end in self._asked.values())

    async def follow_trading(self) -> None:
        """Ask for profit and loss and for fills."""
        await self._ask("spl", protocol.PNL, protocol.PNL_END)
        await self._ask("str", protocol.TRADES, protocol.TRADES_END)

    async def follow_orders(self) -> None:
        """Ask for orders; they must have been listed before, or nothing comes."""
        await self._ask("sor", protocol.ORDERS, protocol.ORDERS_END)

    async def follow_accounts(self, accounts: Sequence[str], currencies: Mapping[str, Sequence[str]]) -> None:
        """Ask for figures of exactly these accounts, and for their cash in those currencies."""
        for key in [key for key in self._asked if key[:4] in ("ssd+", "sld+") and key[4:] not in accounts]:
            await self._stop(key)
        for account in accounts:
            await self._ask(f"ssd+{account}", protocol.summary(account), protocol.summary_end(account))
            words = currencies.get(account) or (BASE,)
            await self._ask(f"sld+{account}", protocol.ledger(account, words), protocol.ledger_end(account))

    async def stop(self) -> None:
        """Take everything back."""
        for key in list(self._asked):
            await self._stop(key)

    async def _ask(self, key: str, text: str, end: str) -> None:
        held = self._asked.get(key)
        if held is not None and held[0] == text:
            return
        if held is not None:
            await self._stop(key)
        self._asked[key] = (text, end)
        await self._send(text)

    async def _stop(self, key: str) -> None:
        _text, end = self._asked.pop(key)
        await self._send(end)
