"""Routes of contracts: stocks by symbol, definitions, option chains, trading hours, exchange rates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.sim.ibkr import World
from app.sim.ibkr.hours import day_of
from app.sim.ibkr.instruments import SimContract
from app.sim.portal import contracts
from app.sim.portal.refusals import Query, Refusal, number_in
from app.sim.portal.session import GatewaySession

_MOST_DEFINITIONS = 200
_CURRENCIES = ("USD", "EUR")


@dataclass(slots=True)
class ContractRest:
    """Answers about contracts; what was looked up here may be streamed afterwards."""

    world: World
    session: GatewaySession

    def routes(self) -> list[tuple[str, str, Callable[[Query], object]]]:
        """Return (methods, pattern of the path, function)."""
        return [
            ("GET", r"/trsrv/stocks", lambda asked: contracts.stocks_answer(self.world.catalogue, _symbols(asked))),
            ("GET", r"/trsrv/futures", lambda asked: contracts.futures_answer(self.world.catalogue, _symbols(asked))),
            ("GET", r"/trsrv/secdef", self._definitions),
            ("GET", r"/trsrv/secdef/schedule", self._schedule_by_symbol),
            ("GET", r"/contract/trading-schedule", self._schedule_by_number),
            ("GET|POST", r"/iserver/secdef/search", self._search),
            ("GET", r"/iserver/secdef/strikes", self._strikes),
            ("GET", r"/iserver/secdef/info", self._derivatives),
            ("GET", r"/iserver/contract/(\d+)/info", lambda asked: self._info(asked)),
            ("GET", r"/iserver/contract/(\d+)/info-and-rules", self._info_and_rules),
            ("GET", r"/iserver/exchangerate", self._rate),
            ("GET", r"/iserver/currency/pairs", self._pairs),
        ]

    def _known(self, con_id: int) -> SimContract:
        contract = self.world.contract(con_id)
        if contract is None:
            raise Refusal(400, "Bad Request: invalid conid")
        return contract

    def _definitions(self, asked: Query) -> object:
        texts = [text for text in str(asked.query.get("conids", "")).split(",") if text.isdecimal()]
        if not texts or len(texts) > _MOST_DEFINITIONS:
            raise Refusal(400, "Bad Request: 1 to 200 conids expected")
        found = [self.world.contract(int(text)) for text in texts]
        return {"secdef": [contracts.definition(self.world.catalogue, each) for each in found if each is not None]}

    def _schedule_by_symbol(self, asked: Query) -> object:
        symbol, kind = str(asked.query.get("symbol", "")), str(asked.query.get("assetClass", "STK"))
        found = self.world.catalogue.find(symbol.upper(), sec_type=kind)
        if not found:
            raise Refusal(400, "Bad Request: no such symbol")
        return contracts.schedule_by_venue(found[0], day_of(self.world.now_s, found[0].venue))

    def _schedule_by_number(self, asked: Query) -> object:
        contract = self._known(number_in(asked, "conid"))
        return contracts.schedule_by_day(contract, day_of(self.world.now_s, contract.venue))

    def _search(self, asked: Query) -> object:
        given = {**asked.query, **asked.body}
        text = str(given.get("symbol", "")).strip()
        if not text:
            raise Refusal(400, "Bad Request: symbol expected")
        by_name = str(given.get("name", "")).lower() == "true"
        rows = contracts.search_answer(self.world.catalogue, text, str(given.get("secType", "")), by_name=by_name)
        if not rows:
            raise Refusal(400, "No symbol found")
        self.session.looked_up.update(int(str(row["conid"])) for row in rows)
        return rows

    def _strikes(self, asked: Query) -> object:
        underlying = number_in(asked, "conid")
        if underlying not in self.session.looked_up:  # the search comes first
            return {"call": [], "put": []}
        return contracts.strikes_answer(self.world.catalogue, underlying, str(asked.query.get("month", "")))

    def _derivatives(self, asked: Query) -> object:
        con_id, kind = number_in(asked, "conid"), str(asked.query.get("sectype", asked.query.get("secType", "")))
        if kind not in ("OPT", "FUT"):
            return [contracts.derivative_row(self._known(con_id))]
        if con_id not in self.session.looked_up:
            raise Refusal(500, "no contracts retrieved")
        text = str(asked.query.get("strike", ""))
        try:
            strike = float(text) if text else None
        except ValueError:
            raise Refusal(400, "Bad Request: strike expected") from None
        found = contracts.derivatives(
            self.world.catalogue,
            con_id,
            kind,
            str(asked.query.get("month", "")),
            strike,
            str(asked.query.get("right", "")),
        )
        if not found:
            raise Refusal(500, "no contracts retrieved")
        self.session.looked_up.update(each.con_id for each in found)
        return [contracts.derivative_row(each) for each in found]

    def _info(self, asked: Query) -> object:
        contract = self._known(int(asked.parts[0]))
        self.session.looked_up.add(contract.con_id)
        return contracts.info(self.world.catalogue, contract)

    def _info_and_rules(self, asked: Query) -> object:
        contract = self._known(int(asked.parts[0]))
        self.session.looked_up.add(contract.con_id)
        price = self.world.quote(contract.con_id).mark
        return contracts.info_and_rules(self.world.catalogue, contract, round(price, 6))

    def _rate(self, asked: Query) -> object:
        source, target = str(asked.query.get("source", "")), str(asked.query.get("target", ""))
        if source not in _CURRENCIES or target not in _CURRENCIES:
            raise Refusal(400, "Bad Request: invalid currency")
        return {"rate": round(self.world.rate_of(source) / self.world.rate_of(target), 8)}

    def _pairs(self, asked: Query) -> object:
        currency = str(asked.query.get("currency", ""))
        rows = [
            {"symbol": each.local_symbol, "conid": each.con_id, "ccyPair": each.currency}
            for each in self.world.catalogue.contracts.values()
            if each.sec_type == "CASH" and currency in (each.symbol, each.currency)
        ]
        return {currency: rows}


def _symbols(asked: Query) -> list[str]:
    found = [text.strip().upper() for text in str(asked.query.get("symbols", "")).split(",") if text.strip()]
    if not found:
        raise Refusal(400, "Bad Request: symbols expected")
    return found
