"""Our figures beside those of the simulated broker, whose sums were written independently of ours."""

from __future__ import annotations

import pytest
from portfolio_desk import ACCOUNT, SAP, SPY, WorldDesk, world_desk

from app.portfolio.currency import RateBook
from app.portfolio.exposure import Index
from app.portfolio.groups import subtotal
from app.portfolio.holdings import Holding, Origin, holdings
from app.viewmodels.portfolio import day_start_ns


def rows_of(desk: WorldDesk) -> list[Holding]:
    return holdings(
        desk.ledger,
        (ACCOUNT,),
        rates=RateBook(),
        now_ns=desk.time.now_ns,
        day_start_ns=day_start_ns(desk.time.now_ns),
        betas=desk.betas,
        index=Index(),
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_all_figures_agree_over_half_an_hour_of_trading(seed: int) -> None:
    desk = world_desk(seed=seed, rate=4.0)

    for _ in range(30):
        desk.step(60.0)
        rows = rows_of(desk)
        assert {row.contract.con_id for row in rows if row.notable} == set()
        assert all(row.daily.origin is Origin.OWN for row in rows if row.quantity)
        sums = subtotal(rows, one_underlying=False).in_base
        told = desk.ledger.pnl[ACCOUNT]
        fees = sum(
            abs(row.in_base(row.trades.commission.value or 0.0) or 0.0) for row in rows if row.trades is not None
        )
        allowed = sum(row.in_base(row.allowed) or 0.0 for row in rows) + fees
        assert sums["unrealised"].is_whole
        assert sums["unrealised"].value == pytest.approx(told.unrealised, abs=allowed)
        assert sums["daily"].value == pytest.approx(told.daily, abs=allowed)
    assert desk.ledger.orders.executions


def test_average_costs_values_and_greeks_come_out_by_the_unit() -> None:
    desk = world_desk()
    rows = {row.contract.con_id: row for row in rows_of(desk) if row.quantity}
    kinds = {row.contract.sec_type.value for row in rows.values()}
    assert kinds >= {"STK", "OPT", "FUT"}
    assert any(row.quantity < 0 for row in rows.values())
    for con_id, row in rows.items():
        sim = desk.world.position(ACCOUNT, con_id)
        assert sim is not None
        assert row.average == pytest.approx(sim.average_price)
        if row.contract.sec_type.is_option:
            delta = desk.world.quote(con_id).delta
            assert delta is not None
            assert row.exposure.greeks.delta == pytest.approx(delta * 100 * row.quantity)
    assert rows[SAP.con_id].contract.currency == "EUR"
    assert rows[SAP.con_id].rate is not None


def test_betas_of_the_simulated_closes_are_near_those_they_were_made_with() -> None:
    desk = world_desk()
    assert SPY.con_id in desk.betas
    assert desk.betas[SPY.con_id].value == pytest.approx(1.0)
    for con_id, found in desk.betas.items():
        sim = desk.world.contract(con_id)
        assert sim is not None
        if sim.sec_type == "STK" and sim.currency == "USD":
            assert found.value == pytest.approx(sim.beta, abs=0.75)
