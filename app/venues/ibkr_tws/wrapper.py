"""ib_async's store of answers, with the facts it drops handed to a listener.

Dropped are: fills of orders it does not know (in Read-Only mode: all), the status of such orders, what completed orders
say of their end, warnings of orders, the list of accounts when it changes, and that a realised profit is unset.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any, Final, Protocol

import ib_async
from ib_async.wrapper import RequestError, Wrapper

from app.venues.ibkr_tws.numbers import UNSET_DOUBLE

_READ_ONLY: Final = 321
_WARNINGS_KEPT: Final = 2000
_LATE: Final = 200

Completed = tuple[ib_async.Contract, ib_async.Order, ib_async.OrderState]


class StoreListener(Protocol):
    """What the store tells beside ib_async's own events."""

    def on_accounts(self, accounts: tuple[str, ...]) -> None:
        """Take the accounts of the login."""
        ...

    def on_fill(self, fill: ib_async.Fill) -> None:
        """Take a fill, or the same with its commission."""
        ...

    def on_unknown_order(self) -> None:
        """Take that an order changed that is not known: the open orders have to be asked for."""
        ...


class ReadingWrapper(Wrapper):
    """Keeps what TWS answers. warnings: TWS' words to open orders by permanent number."""

    def __init__(self, ib: ib_async.IB, listener: StoreListener) -> None:
        self.listener = listener
        self.completed: list[Completed] = []
        self.warnings: dict[int, str] = {}
        self._late: deque[int] = deque()
        super().__init__(ib)

    def managedAccounts(self, accountsList: str) -> None:
        super().managedAccounts(accountsList)
        self.listener.on_accounts(tuple(self.accounts))

    def openOrder(
        self, orderId: int, contract: ib_async.Contract, order: ib_async.Order, orderState: ib_async.OrderState
    ) -> None:
        if order.permId and (orderState.warningText or order.permId in self.warnings):
            self.warnings[order.permId] = orderState.warningText
            while len(self.warnings) > _WARNINGS_KEPT:
                self.warnings.pop(next(iter(self.warnings)))
        super().openOrder(orderId, contract, order, orderState)

    def completedOrder(
        self, contract: ib_async.Contract, order: ib_async.Order, orderState: ib_async.OrderState
    ) -> None:
        self.completed.append((contract, order, orderState))

    def orderStatus(
        self,
        orderId: int,
        status: str,
        filled: float,
        remaining: float,
        avgFillPrice: float,
        permId: int,
        parentId: int,
        lastFillPrice: float,
        clientId: int,
        *rest: Any,
    ) -> None:
        if self.orderKey(clientId, orderId, permId) not in self.trades:
            self.listener.on_unknown_order()
            return
        super().orderStatus(
            orderId, status, filled, remaining, avgFillPrice, permId, parentId, lastFillPrice, clientId, *rest
        )

    def execDetails(self, reqId: int, contract: ib_async.Contract, execution: ib_async.Execution) -> None:
        super().execDetails(reqId, contract, execution)
        self.listener.on_fill(self.fills[execution.execId])

    def commissionReport(self, commissionReport: ib_async.CommissionReport) -> None:
        if commissionReport.realizedPNL == UNSET_DOUBLE:
            commissionReport.realizedPNL = math.nan  # the base would make a real-looking 0.0 of it
        super().commissionReport(commissionReport)
        fill = self.fills.get(commissionReport.execId)
        if fill is not None:
            self.listener.on_fill(fill)

    def error(self, reqId: int, errorCode: int, errorString: str, advancedOrderRejectJson: str) -> None:
        super().error(reqId, errorCode, errorString, advancedOrderRejectJson)
        if errorCode == _READ_ONLY and reqId in self._futures:  # a mere warning to the base: nobody would be answered
            self._endReq(  # type: ignore[no-untyped-call]
                reqId, RequestError(reqId, errorCode, errorString), success=False
            )

    def forget(self, key: object) -> None:
        """Let go of a question, answered or not. The base has no place for an answer that comes late and complains of
        it, so that one is kept for a while for the latest that were not answered."""
        unanswered = self._futures.pop(key, None) is not None
        self._results.pop(key, None)
        self._reqId2Contract.pop(key, None)  # type: ignore[call-overload]
        if unanswered and isinstance(key, int):
            self._results[key] = []
            self._late.append(key)
            if len(self._late) > _LATE:
                self._results.pop(self._late.popleft(), None)
