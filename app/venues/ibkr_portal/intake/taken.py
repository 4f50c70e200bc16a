"""What the subjects of the intake share: what was asked, what is said, the contracts, the accounts and the counts."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from msgspec import Raw

from app.domain.broker_events import BrokerEvent
from app.domain.errors import BadFrameError
from app.domain.quotes import QuoteUpdate
from app.venues.ibkr_portal.contracts import ContractBook
from app.venues.ibkr_portal.decoding import Rows
from app.venues.ibkr_portal.protocol import News
from app.venues.ibkr_portal.trading import account_of

T = TypeVar("T")


class Taken(NamedTuple):
    """What a frame or an answer says. Quotes are to be told before events, which may say why there are none."""

    events: list[BrokerEvent]
    quotes: list[QuoteUpdate]
    news: list[News]


class Asked(NamedTuple):
    """An answer: what its path says, and its body."""

    recv_ns: int
    groups: tuple[str, ...]
    query: dict[str, list[str]]
    body: bytes


class Common:
    """What every subject reads and adds to. bad_rows: rows of lists that made no sense; dropped: what was let go."""

    def __init__(self) -> None:
        self.contracts = ContractBook()
        self.accounts: tuple[str, ...] = ()
        self.bad_rows = 0
        self.dropped = 0

    def counted(self, rows: Rows[T]) -> Rows[T]:
        """Count the rows that made no sense."""
        self.bad_rows += rows.bad
        return rows

    def is_ours(self, account: str) -> bool:
        """Return whether an account is one of the login's; any is until they are known."""
        return not self.accounts or account in self.accounts

    def named(self, raw: str) -> str:
        """Return an account's id. Raises BadFrameError for one that is none; "" for one that is gone."""
        account = account_of(raw)
        if not account:
            raise BadFrameError("expected the id of an account")
        return account if self.is_ours(account) else ""


def part(raw: Raw) -> Raw:
    """Return a part of a frame. Raises BadFrameError when the frame has none."""
    if not bytes(raw):
        raise BadFrameError("expected a frame with content")
    return raw
