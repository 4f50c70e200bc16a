"""Everything a broker's session can tell besides quotes."""

from __future__ import annotations

from app.domain.account import (
    AccountPnl,
    AccountsSeen,
    AccountValue,
    DetailsSeen,
    LineRefused,
    PositionPnl,
    PositionSeen,
    PositionsListed,
    ScanSeen,
)
from app.domain.orders import ExecutionSeen, OrderSeen, OrdersListed

BrokerEvent = (
    AccountsSeen
    | AccountValue
    | PositionSeen
    | PositionsListed
    | PositionPnl
    | AccountPnl
    | DetailsSeen
    | LineRefused
    | ScanSeen
    | OrderSeen
    | OrdersListed
    | ExecutionSeen
)
