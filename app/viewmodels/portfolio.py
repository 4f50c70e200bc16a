"""Turns the ledger of a source into the Portfolio: rows in a tree or flat, sums, account bar, allocation, day curve.

Pace: values are computed anew every second while something held trades, every five seconds while nothing does. Prices
(with bid, ask and change) follow the quotes frame by frame in between, so a row's value may be up to a second behind
its price.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time
from typing import Final

from app.domain.account import Source
from app.domain.clock import Clock
from app.domain.contracts import ContractDetails
from app.domain.units import NS_PER_MS, NS_PER_S
from app.portfolio.currency import RateBook
from app.portfolio.exposure import Index, index_contract
from app.portfolio.groups import By, Share, allocation
from app.portfolio.holdings import Holding, holdings, lines_wanted
from app.portfolio.hours import NEW_YORK, ContractHours, new_york_day, utc_ns
from app.portfolio.ledger import Ledger
from app.portfolio.lines import LineGroup
from app.portfolio.pricing import Pricing, pricing
from app.viewmodels.linking import LINK_GROUPS, LinkBus
from app.viewmodels.portfolio_accounts import AccountView, account_view, common_base
from app.viewmodels.portfolio_columns import BY_KEY, KEYS, USUAL, chosen_columns
from app.viewmodels.portfolio_curve import Curve, CurveOf, DayCurve, PnlHistory
from app.viewmodels.portfolio_nodes import Lines
from app.viewmodels.portfolio_source import NONE_ON, BrokeragePort, DeskPort, SourceState, source_state
from app.viewmodels.portfolio_whys import Whys

PACE_S: Final = 1.0
QUIET_PACE_S: Final = 5.0
ALL: Final = ""
_NO_ACCOUNT: Final = AccountView(base="", figures=(), checks=(), cash_base=(), conversions=())
_NO_STATE: Final = SourceState("", "", NONE_ON, True)


class PortfolioModel:
    """What the Portfolio shows of one source at a time. `revision` moves when values or choices
    change, `lines.structure` when lines come, go or change places."""

    def __init__(
        self, brokerage: BrokeragePort, links: LinkBus, *, clock: Clock, history: PnlHistory | None = None
    ) -> None:
        self._brokerage = brokerage
        self._links = links
        self._clock = clock
        self._rates = RateBook()
        self._hours: dict[int, tuple[ContractDetails, ContractHours]] = {}
        self._due_ns = 0
        self._wanted: Source | None = None
        self._source: Source | None = None
        self._prices_revision = -1
        self.account = ALL
        self.columns = USUAL
        self.collapsed: set[str] = set()
        self.link_group: str | None = None
        self.by = By.UNDERLYING
        self.curve_of = CurveOf.DAILY
        self.revision = 0
        self.rows: list[Holding] = []
        self.view = _NO_ACCOUNT
        self.state = _NO_STATE
        self.prices: dict[tuple[str, int], Pricing] = {}
        self.in_session = False
        self.day_curve = DayCurve(history)
        self.cells = Whys(self._details)
        self.lines = Lines(self.cells, self.price_of)

    # -- source and accounts -------------------------------------------------------------------------------------

    @property
    def sources(self) -> tuple[Source, ...]:
        """Return the sources that are switched on."""
        return tuple(self._brokerage.desks)

    @property
    def source(self) -> Source | None:
        """Return the source that is shown: the chosen one, else the first; None when none is on."""
        desks = self._brokerage.desks
        return self._source if self._source in desks else next(iter(desks), None)

    @property
    def desk(self) -> DeskPort | None:
        """Return the desk of the shown source."""
        source = self.source
        return None if source is None else self._brokerage.desks[source]

    def set_source(self, source: Source) -> None:
        """Show another source; quotes that were asked of the former one are given up."""
        if source is self.source:
            return
        self._release()
        self._source = source
        self.day_curve.clear()
        self.compute()

    @property
    def known_accounts(self) -> tuple[str, ...]:
        """Return the accounts of the source."""
        desk = self.desk
        if desk is None:
            return ()
        ledger = desk.ledger
        seen = ledger.accounts or tuple(dict.fromkeys((*ledger.values, *(key[0] for key in ledger.positions))))
        return tuple(account for account in seen if account)

    @property
    def accounts(self) -> tuple[str, ...]:
        """Return the accounts that are shown; all when the chosen one is gone."""
        known = self.known_accounts
        return (self.account,) if self.account in known else known

    def set_account(self, account: str) -> None:
        """Show one account, or ALL."""
        self.account = account
        self.compute()

    # -- pace ----------------------------------------------------------------------------------------------------

    def poll(self, *, hold: bool = False) -> None:
        """Compute anew when it is time. hold: leave the rows in their places (the mouse is over them)."""
        now_ns = self._clock.wall_ns()
        if now_ns >= self._due_ns:
            self.compute(hold=hold)

    def compute(self, *, hold: bool = False) -> None:
        """Compute everything as of now."""
        now_ns = self._clock.wall_ns()
        self.cells.now_ns = now_ns
        self._due_ns = now_ns + int(PACE_S * NS_PER_S)
        self.revision += 1
        desk = self.desk
        if desk is None:
            self.rows, self.view, self.state, self.prices = [], _NO_ACCOUNT, _NO_STATE, {}
            self.lines.arrange(self.rows, self.view.base, hold=False)
            return
        ledger = desk.ledger
        self.state = source_state(desk.health, ledger, now_ns)
        self.in_session = self._trades(ledger, now_ns)
        if not self.in_session:
            self._due_ns = now_ns + int(QUIET_PACE_S * NS_PER_S)
        self.cells.index = self._index(desk, now_ns)
        self.rows = holdings(
            ledger,
            self.accounts,
            rates=self._rates,
            now_ns=now_ns,
            day_start_ns=day_start_ns(now_ns),
            betas=desk.betas,
            index=self.cells.index,
        )
        self.prices = {row.key: row.price for row in self.rows}
        self._prices_revision = ledger.revisions.quotes
        self.view = account_view(ledger, self.accounts, self.rows, self._rates, now_ns)
        if not self.state.is_stale:
            self.day_curve.note(ledger, now_ns, day_start_ns(now_ns) // NS_PER_MS)
        self._want(desk)
        self.lines.arrange(self.rows, self.view.base, hold=hold)

    def follow_prices(self) -> list[tuple[str, int]]:
        """Bring prices up to the quotes of this frame; return the rows whose price has news."""
        desk = self.desk
        if desk is None or desk.ledger.revisions.quotes == self._prices_revision:
            return []
        self._prices_revision = desk.ledger.revisions.quotes
        self.cells.now_ns = self._clock.wall_ns()
        moved = []
        for row in self.rows:
            quote = desk.ledger.quote(row.contract.con_id)
            held = self.prices[row.key]
            if quote is not None and quote.updated_ns != held.updated_ns:
                found = pricing(row.contract, quote, row.position.market_price)
                if found != held:
                    self.prices[row.key] = found
                    moved.append(row.key)
        return moved

    @property
    def quotes_revision(self) -> int:
        """Return what moves with every news of quotes."""
        desk = self.desk
        return -1 if desk is None else desk.ledger.revisions.quotes

    def _trades(self, ledger: Ledger, now_ns: int) -> bool:
        """Tell whether anything held trades now, by its own hours or the calendar; nothing held: no."""
        for account, con_id in ledger.positions:
            details = ledger.details.get(con_id)
            held = self._hours.get(con_id)
            if held is None or held[0] is not details:
                if details is None:
                    details = ContractDetails(contract=ledger.positions[account, con_id].contract)
                    hours = held[1] if held is not None else ContractHours()
                else:
                    hours = ContractHours(details)
                held = self._hours[con_id] = (details, hours)
            if held[1].at(now_ns).phase.trades:
                return True
        return False

    def _index(self, desk: DeskPort, now_ns: int) -> Index:
        symbol, ledger = desk.beta_against, desk.ledger
        contract = index_contract(ledger, symbol)
        if contract is None:
            return Index(None, symbol)
        price = pricing(contract, ledger.quote(contract.con_id), None)
        rate = self._rates.rate(ledger, self.accounts[0], contract.currency, now_ns) if self.accounts else None
        same = common_base(ledger, self.accounts) is not None
        worth = price.value * rate.value if price.value is not None and rate is not None and same else None
        return Index(contract, symbol, worth)

    def _details(self, con_id: int) -> ContractDetails | None:
        desk = self.desk
        return None if desk is None else desk.ledger.details.get(con_id)

    # -- lines ---------------------------------------------------------------------------------------------------

    def _want(self, desk: DeskPort) -> None:
        """Ask for quotes of what is held; again every time, since another panel on the source may have let go."""
        self._wanted = desk.source
        desk.want_lines(LineGroup.POSITIONS, lines_wanted(desk.ledger, desk.beta_against))

    def _release(self) -> None:
        if self._wanted is not None:
            desk = self._brokerage.desks.get(self._wanted)
            if desk is not None:
                desk.want_lines(LineGroup.POSITIONS, ())
            self._wanted = None

    def shut(self) -> None:
        """Give up the quotes that were asked for."""
        self._release()

    # -- choices -------------------------------------------------------------------------------------------------

    def set_tree(self, tree: bool) -> None:
        """Group by underlying, or not."""
        self.lines.is_tree = tree
        self._rearrange()

    def set_sorting(self, key: str) -> None:
        """Sort by a column: numbers from the largest, words from A; once more turns it round."""
        self.lines.sort_by(key)
        self._rearrange()

    def set_filter(self, text: str) -> None:
        """Show only rows that contain every word."""
        self.lines.filter_text = text.strip()
        self._rearrange()

    @property
    def shown_columns(self) -> tuple[str, ...]:
        """Return the columns on screen: the chosen ones, with the account where several are shown."""
        if "account" in self.columns or len(self.accounts) < 2:
            return self.columns
        return (self.columns[0], "account", *self.columns[1:])

    def set_columns(self, columns: Sequence[str]) -> None:
        """Show these columns in this order."""
        self.columns = chosen_columns(list(columns))
        self.revision += 1

    def toggle_column(self, key: str) -> None:
        """Show a column at its usual place, or hide it; the instrument stays."""
        if key in self.columns:
            self.columns = tuple(each for each in self.columns if each != key or each == "instrument")
        else:
            places = {each: place for place, each in enumerate(KEYS)}
            later = [place for place, each in enumerate(self.columns) if places[each] > places[key]]
            at = later[0] if later else len(self.columns)
            self.columns = (*self.columns[:at], key, *self.columns[at:])
        self.revision += 1

    def set_by(self, by: By) -> None:
        """Form the shares of the whole by something else."""
        self.by = by
        self.revision += 1

    def set_curve(self, figure: CurveOf) -> None:
        """Draw another figure."""
        self.curve_of = figure
        self.revision += 1

    def _rearrange(self) -> None:
        self.lines.arrange(self.rows, self.view.base, hold=False)
        self.revision += 1

    def pick(self, row: Holding) -> None:
        """Show the symbol of a row in every panel of the link group."""
        if self.link_group is not None:
            self._links.publish(self.link_group, row.contract.symbol)

    # -- what is shown -------------------------------------------------------------------------------------------

    def price_of(self, row: Holding) -> Pricing:
        """Return the price of this frame."""
        return self.prices.get(row.key, row.price)

    def shares(self) -> list[Share]:
        """Return the shares of the whole, of all rows whatever the filter."""
        return allocation(self.rows, self.by, self.view.cash_base)

    def curve(self) -> Curve:
        """Return the curve of the day."""
        return self.day_curve.curve(self.accounts, self.curve_of)

    async def load_curve(self) -> None:
        """Read the stored minutes of the day."""
        source, now_ns = self.source, self._clock.wall_ns()
        if source is not None:
            start_ms = day_start_ns(now_ns) // NS_PER_MS
            await self.day_curve.load(source.value, self.accounts, start_ms, now_ns // NS_PER_MS + 1)

    @property
    def day(self) -> tuple[int, int]:
        """Return the day of the curve: its start and now, UTC epoch ms."""
        now_ns = self._clock.wall_ns()
        return day_start_ns(now_ns) // NS_PER_MS, now_ns // NS_PER_MS

    def message(self) -> str:
        """Return what to say where there is no row, "" while there are some."""
        desk = self.desk
        if desk is None:
            return NONE_ON
        if self.lines.nodes:
            return ""
        if self.rows:
            return f"None of {len(self.rows)} positions contains “{self.lines.filter_text}”."
        name = desk.source.full_name
        if not desk.ledger.positions_ns:
            return f"Waiting for the positions of {name}…"
        return f"{name} shows no open position."

    def export_header(self) -> list[str]:
        """Return the header of a file."""
        return ["Account", "Group", *(BY_KEY[key].title for key in self.shown_columns if key != "account")]

    # -- layout --------------------------------------------------------------------------------------------------

    def save(self) -> dict[str, object]:
        """Return the choices as JSON values."""
        return {
            "source": None if self._source is None else self._source.value,
            "account": self.account,
            "tree": self.lines.is_tree,
            "sort": [self.lines.sort_key, self.lines.descending],
            "columns": list(self.columns),
            "collapsed": sorted(self.collapsed),
            "link": self.link_group,
            "by": self.by.value,
            "curve": self.curve_of.value,
        }

    def restore(self, state: dict[str, object]) -> None:
        """Take what fits of stored choices."""
        source, account, sort = state.get("source"), state.get("account"), state.get("sort")
        if isinstance(source, str) and source in Source._value2member_map_:
            self._source = Source(source)
        self.account = account if isinstance(account, str) else ALL
        self.lines.is_tree = state.get("tree") is not False
        if isinstance(sort, list) and len(sort) == 2 and sort[0] in BY_KEY:
            self.lines.sort_key, self.lines.descending = sort[0], bool(sort[1])
        self.columns = chosen_columns(state.get("columns"))
        collapsed = state.get("collapsed")
        self.collapsed = {each for each in collapsed if isinstance(each, str)} if isinstance(collapsed, list) else set()
        link, by, curve = state.get("link"), state.get("by"), state.get("curve")
        self.link_group = link if isinstance(link, str) and link in LINK_GROUPS else None
        self.by = By(by) if isinstance(by, str) and by in By._value2member_map_ else By.UNDERLYING
        self.curve_of = (
            CurveOf(curve) if isinstance(curve, str) and curve in CurveOf._value2member_map_ else CurveOf.DAILY
        )
        self.compute()


def day_start_ns(now_ns: int) -> int:
    """Return when the day of profit and loss began: midnight in New York, UTC ns."""
    return utc_ns(datetime.combine(new_york_day(now_ns), time(0), NEW_YORK))
