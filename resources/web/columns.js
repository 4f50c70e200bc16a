// The columns of the scanner: what they say, how they sort, how wide they are (rem) and which go first when the screen
// is narrow.

import { capital, grouped, isNumber, known, percent, plain, price, ratio, shortAge, signed, UNKNOWN, volume } from "./text.js";

const number = (name) => (row) => (isNumber(row.data[name]) ? row.data[name] : NaN);
const sided = (value) => (value > 0 ? "up" : value < 0 ? "down" : "");
const arrow = (value) => (value > 0 ? "▲ " : value < 0 ? "▼ " : "");

const CODES = { binance: "BN", bybit: "BY", hyperliquid: "HL" };

/** Return venue and market in a few letters, for where there is no room for their columns: "BN·F". */
export function placeCode(row) {
  return `${CODES[row.venue] || plain(row.venue, 2).toUpperCase()}·${plain(row.data.marketType, 40).slice(0, 1)}`;
}

/** Return the age of a row in ms. */
export function ageOf(row, at) {
  return (isNumber(row.data.age_ms) ? row.data.age_ms : NaN) + (at - row.at);
}

/** Return what a funding comes to in a year, "" where that is not known. */
function yearly({ data }) {
  if (!isNumber(data.funding_year_pct)) return "";
  return `${percent(data.funding_year_pct)} a year${isNumber(data.funding_hours) ? `, paid every ${data.funding_hours} h` : ""}`;
}

export const COLUMNS = [
  { key: "venue", label: "Venue", width: 7, rank: 8, isText: true, value: (row) => row.venue, text: (row) => capital(row.venue) },
  { key: "marketType", label: "Market", width: 5.6, rank: 7, isText: true, value: (row) => row.data.marketType,
    text: (row) => plain(row.data.marketType) },
  { key: "symbol", label: "Symbol", width: 10.2, rank: 0, isText: true, value: (row) => row.data.symbol,
    text: (row) => plain(row.data.symbol, 30), title: (row) => `${plain(row.data.symbol)} · ${plain(row.data.marketType)} · ${capital(row.venue)}` },
  { key: "price", label: "Last", width: 6.9, rank: 1, value: number("price"), text: (row) => price(row.data.price),
    moves: true },
  { key: "change_24h", label: "24 h %", long: "Change in 24 h, percent", width: 5.4, rank: 2, value: number("change_24h"),
    text: (row) => arrow(row.data.change_24h) + signed(row.data.change_24h, 2), dress: (row) => sided(row.data.change_24h) },
  { key: "volume_24h", label: "Volume", long: "Turnover in 24 h, in quote currency", width: 5.8, rank: 3,
    value: number("volume_24h"), text: (row) => volume(row.data.volume_24h), title: (row) => grouped(row.data.volume_24h) },
  { key: "high_24h", label: "High", long: "Highest price in 24 h", width: 6.6, rank: 10, value: number("high_24h"), text: (row) => price(row.data.high_24h) },
  { key: "low_24h", label: "Low", long: "Lowest price in 24 h", width: 6.6, rank: 11, value: number("low_24h"), text: (row) => price(row.data.low_24h) },
  { key: "bid", label: "Bid", width: 6.6, rank: 12, value: number("bid"), text: (row) => price(row.data.bid) },
  { key: "ask", label: "Ask", width: 6.6, rank: 13, value: number("ask"), text: (row) => price(row.data.ask) },
  { key: "spread_bp", label: "Spread bp", width: 6.4, rank: 5, value: number("spread_bp"), text: (row) => grouped(row.data.spread_bp, 2) },
  { key: "funding", label: "Funding %", long: "Funding per interval, percent", width: 6.4, rank: 6, value: number("funding"),
    text: (row) => (isNumber(row.data.funding) ? signed(row.data.funding * 100, 4) : UNKNOWN),
    dress: (row) => sided(Math.round(row.data.funding * 1e6)),
    title: yearly },
  { key: "open_interest_usd", label: "Open int.", long: "Open interest in USD", width: 5.8, rank: 9, value: number("open_interest_usd"),
    text: (row) => volume(row.data.open_interest_usd), title: (row) => grouped(row.data.open_interest_usd) },
  { key: "delta", label: "Delta", long: "Depth bid/ask", width: 5.2, rank: 4, value: number("delta"),
    text: (row) => (isNumber(row.data.delta) ? arrow(Math.round((row.data.delta - 1) * 100)) : "")
      + known(row.data.delta, row.data.delta_coverage || "exact", (value) => ratio(value, 2)),
    dress: (row) => (isNumber(row.data.delta) ? sided(Math.round((row.data.delta - 1) * 100)) : "") },
  { key: "events", label: "Events", long: "Recent events of the instrument", width: 4.8, rank: 7.5, value: number("events"),
    text: (row) => grouped(row.data.events) },
  { key: "age", label: "Age", long: "Time since the last change", width: 4.2, rank: 4.5, value: (row, at) => ageOf(row, at),
    text: (row, at) => shortAge(ageOf(row, at)) },
];

/** Return the columns that fit into a width (rem), the most important ones first, in their usual order. */
export function fitting(width, hidden) {
  const chosen = new Set();
  let used = 0;
  for (const column of [...COLUMNS].filter((each) => !hidden.has(each.key)).sort((a, b) => a.rank - b.rank)) {
    if (chosen.size >= 4 && used + column.width > width) break;
    used += column.width;
    chosen.add(column.key);
  }
  return COLUMNS.filter((column) => chosen.has(column.key));
}

/** Return a comparison of rows by a column; what is unknown comes last, equal rows stay in a lasting order. */
export function comparison(column, isDown, at) {
  return (first, second) => {
    const a = column.value(first, at);
    const b = column.value(second, at);
    const byKey = first.key < second.key ? -1 : 1;
    if (column.isText) return a === b ? byKey : (a < b ? -1 : 1) * (isDown ? -1 : 1);
    if (a !== a || b !== b) return a !== a && b !== b ? byKey : a !== a ? 1 : -1;
    return a === b ? byKey : (isDown ? b - a : a - b);
  };
}
