"""Orders and fills for tests, written in one line each."""

from __future__ import annotations

from app.domain.contracts import Contract, Right, SecType
from app.domain.orders import Execution, OrderState, OrderStatus, Side

S = 1_000_000_000
T0 = 1_800_000_000 * S
AAPL = Contract(con_id=265598, symbol="AAPL", primary_exchange="NASDAQ", name="APPLE INC")
CALL = Contract(
    con_id=700001,
    symbol="AAPL",
    sec_type=SecType.OPTION,
    expiry="20261218",
    strike=200,
    right=Right.CALL,
    multiplier=100,
)


def order(
    status: OrderStatus = OrderStatus.SUBMITTED,
    at_s: float = 0,
    *,
    order_id: str = "1001",
    contract: Contract = AAPL,
    quantity: float = 100,
    filled: float = 0,
    limit: float | None = 189.5,
    reason: str = "",
    side: Side = Side.BUY,
    account: str = "DU1234567",
    average: float | None = None,
) -> OrderState:
    """Return a state of an order as told `at_s` seconds after T0."""
    return OrderState(
        account=account,
        order_id=order_id,
        contract=contract,
        side=side,
        quantity=quantity,
        order_type="LMT" if limit is not None else "MKT",
        status=status,
        status_text=status.value,
        filled=filled,
        limit_price=limit,
        time_in_force="DAY",
        reason=reason,
        average_price=average,
        updated_ns=T0 + int(at_s * S),
    )


def fill(
    exec_id: str = "0000e0d5.65c1.01.01",
    at_s: float = 1,
    *,
    order_id: str = "1001",
    contract: Contract = AAPL,
    quantity: float = 30,
    price: float = 189.5,
    cumulative: float | None = None,
    commission: float | None = None,
    side: Side = Side.BUY,
    account: str = "DU1234567",
) -> Execution:
    """Return a fill of `at_s` seconds after T0."""
    return Execution(
        exec_id=exec_id,
        account=account,
        order_id=order_id,
        contract=contract,
        side=side,
        quantity=quantity,
        price=price,
        time_ns=T0 + int(at_s * S),
        exchange="NASDAQ",
        cumulative=cumulative,
        commission=commission,
        commission_currency="USD" if commission is not None else "",
    )
