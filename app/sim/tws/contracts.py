"""Answers what clients ask of instruments: details, option chains, symbols, scans."""

from __future__ import annotations

from app.sim.ibkr.instruments import Catalogue, SimContract
from app.sim.ibkr.scans import CODES, ScanFilter
from app.sim.ibkr.world import World
from app.sim.tws import encoders
from app.sim.tws.client import TwsClient
from app.sim.tws.requests import AskedContract, AskedScan, Fields, read_contract, read_scan

UNKNOWN_CONTRACT = "No security definition has been found for the request"
_MOST_SCANS = 10
_MOST_SAMPLES = 16
_CHAIN_EXCHANGES = ("SMART", "CBOE", "AMEX", "PHLX")


def candidates(catalogue: Catalogue, asked: AskedContract) -> list[SimContract]:
    """Return the contracts that fit what a client names, by number where there is one."""
    if asked.con_id:
        found = catalogue.contracts.get(asked.con_id)
        return [found] if found is not None else []
    if not asked.sec_type:
        return []
    return catalogue.find(
        asked.symbol,
        sec_type="FUT" if asked.sec_type == "CONTFUT" else asked.sec_type,
        currency=asked.currency,
        expiry=asked.expiry,
        strike=asked.strike,
        right=asked.right,
        exchange=asked.exchange,
        local_symbol=asked.local_symbol,
        primary_exchange=asked.primary_exchange,
    )


def resolve(catalogue: Catalogue, asked: AskedContract) -> SimContract | None:
    """Return the one contract that fits, None without one or with several."""
    found = candidates(catalogue, asked)
    return found[0] if len(found) == 1 else None


class ContractDesk:
    """Everything about instruments. `scan_every_s` is how often a scan is told anew."""

    def __init__(self, world: World, *, scan_every_s: float) -> None:
        """Take the world."""
        self._world = world
        self._scan_every_s = scan_every_s
        self._scan_due_s = world.now_s + scan_every_s

    def details(self, client: TwsClient, fields: Fields) -> None:
        """Tell everything about the contracts that fit."""
        fields.text()
        req_id = fields.whole()
        asked = read_contract(fields)
        found = candidates(self._world.catalogue, asked)
        if not found:
            client.say(encoders.error(req_id, 200, UNKNOWN_CONTRACT))
            return
        for contract in found:
            hours = self._world.hours_texts(contract.con_id)
            underlying = self._world.contract(contract.underlying_con_id)
            exchange = asked.exchange or contract.exchange
            client.say(encoders.contract_details(req_id, contract, exchange, hours, underlying))
        client.say(encoders.contract_details_end(req_id))

    def option_parameters(self, client: TwsClient, fields: Fields) -> None:
        """Tell expiries and strikes of an underlying at each exchange."""
        req_id = fields.whole()
        fields.skip(3)  # symbol, exchange of futures, kind
        chain = self._world.chain(fields.whole())
        if chain is not None:
            for exchange in _CHAIN_EXCHANGES:
                client.say(encoders.option_parameters(req_id, chain, exchange))
        client.say(encoders.option_parameters_end(req_id))

    def symbols(self, client: TwsClient, fields: Fields) -> None:
        """Tell stocks whose symbol or name matches."""
        req_id, pattern = fields.whole(), fields.text()
        found = self._world.catalogue.matching(pattern)[:_MOST_SAMPLES]
        rows = [(each, each.con_id in self._world.catalogue.chains) for each in found]
        client.say(encoders.symbol_samples(req_id, rows))

    # Scans

    def scan(self, client: TwsClient, fields: Fields) -> None:
        """Tell a scan now and again from time to time."""
        asked = read_scan(fields)
        if len(client.subscriptions.scans) >= _MOST_SCANS:
            text = "Historical Market Data Service error message:API scanner subscriptions are limited to 10"
            client.say(encoders.error(asked.req_id, 162, text))
        elif asked.code not in CODES or not asked.instrument.startswith("STK"):
            text = f"Error validating request.-'bA' : cause - Scanner type {asked.code} is not supported."
            client.say(encoders.error(asked.req_id, 321, text))
        else:
            client.subscriptions.scans[asked.req_id] = asked
            self._tell_scan(client, asked)

    def cancel_scan(self, client: TwsClient, fields: Fields) -> None:
        """End a scan."""
        fields.text()
        client.subscriptions.scans.pop(fields.whole(), None)

    def scan_parameters(self, client: TwsClient, fields: Fields) -> None:
        """Tell which scans there are."""
        kinds = "".join(
            f"<ScanType><displayName>{name.replace('%', 'Perc')}</displayName><scanCode>{code}</scanCode>"
            "<instruments>STK</instruments></ScanType>"
            for code, (name, _) in CODES.items()
        )
        client.say(
            encoders.scanner_parameters(
                '<?xml version="1.0" encoding="UTF-8"?>\n<ScanParameterResponse><InstrumentList><Instrument>'
                "<name>US Stocks</name><type>STK</type></Instrument></InstrumentList><LocationTree><Location>"
                "<displayName>US Stocks</displayName><locationCode>STK.US.MAJOR</locationCode></Location>"
                f"</LocationTree><ScanTypeList>{kinds}</ScanTypeList></ScanParameterResponse>"
            )
        )

    def publish(self, clients: list[TwsClient]) -> None:
        """Tell scans anew when it is time."""
        if self._world.now_s < self._scan_due_s:
            return
        self._scan_due_s = self._world.now_s + self._scan_every_s
        for client in clients:
            for asked in client.subscriptions.scans.values():
                self._tell_scan(client, asked)

    def _tell_scan(self, client: TwsClient, asked: AskedScan) -> None:
        limits = ScanFilter(
            above_price=asked.above_price, below_price=asked.below_price, above_volume=asked.above_volume
        )
        found = self._world.scan(asked.code, rows=asked.rows, limits=limits)
        if not found:
            text = "Historical Market Data Service query message:no items retrieved"
            client.say(encoders.error(asked.req_id, 165, text))
        client.say(encoders.scanner_data(asked.req_id, found))
