// Turns the address of the page into what it shows, and back:
//   /?view=total-delta&market=spot&depth=5        one chart; also view=avg, total3-totals, btcusdt-delta, ...
//   /?view=scanner&sort=change_24h&top=50         the table; also view=feeds, alerts, book, coin, overview
//   /?view=wall&tiles=delta:TOTAL:spot:5,avg,delta:BTCUSDT:both:5:bybit,scanner&columns=2
//   theme=light|dark|auto  pair=colour-blind|red-up  scale=1.5  zone=utc|local  span=15m  controls=off
// A value that does not fit takes its default and is named in `notes`.

export const GROUPS = ["TOTAL", "TOTAL1", "TOTAL2", "TOTAL3", "OTHERS"];
export const VENUES = ["binance", "bybit", "hyperliquid"];
export const MARKETS = { spot: ["SPOT"], futures: ["FUTURES"], both: ["SPOT", "FUTURES"] };
export const DEPTHS = [1.5, 3, 5, 8, 15, 30, 60];
export const SPANS = { "2m": 120, "15m": 900, "1h": 3600, "4h": 14400, "24h": 86400 };
export const INDICATORS = {
  delta: { heading: "Delta", depths: [3, 5, 8, 15, 30], coin: true, money: false, reference: 1 },
  totals: { heading: "BID/ASK TOTAL", depths: DEPTHS, coin: false, money: true, reference: null },
  avg: { heading: "AVG bid/ask", depths: [60], coin: false, money: false, reference: 1 },
  "bid-ask": { heading: "BID/ASK", depths: [1.5, 3, 5, 8, 15, 30], coin: true, money: true, reference: null },
};
export const VIEWS = [
  ["overview", "Overview"],
  ["total-delta", "Delta"],
  ["total-totals", "Totals"],
  ["total-avg", "AVG"],
  ["coin", "Coin"],
  ["scanner", "Scanner"],
  ["feeds", "Feeds"],
  ["alerts", "Alerts"],
  ["wall", "Wall"],
];
const PLAIN_KINDS = ["scanner", "feeds", "alerts", "book"];
const WALL = "delta:TOTAL:spot,delta:TOTAL:futures,totals,avg,bid-ask,feeds";
const SYMBOL = /^[^\s,:&]{1,40}$/;
const MOST_TILES = 16;

/** Return what an address asks for. */
export function parse(search) {
  const given = new URLSearchParams(search);
  const notes = [];
  const one = (name, known, fallback) => {
    const raw = given.get(name);
    if (raw === null || raw === "") return fallback;
    const word = raw.trim().toLowerCase();
    if (known.includes(word)) return word;
    notes.push(`${name}=${raw.slice(0, 30)} is not known; ${fallback || "the usual one"} is shown.`);
    return fallback;
  };
  const number = (name, low, high, fallback) => {
    const raw = given.get(name);
    if (raw === null || raw === "") return fallback;
    const value = Number(raw);
    if (Number.isFinite(value) && value >= low && value <= high) return value;
    notes.push(`${name} must be ${low} to ${high}, was ${raw.slice(0, 30)}.`);
    return fallback;
  };
  const options = {
    notes,
    view: (given.get("view") || "overview").trim().toLowerCase(),
    venue: one("venue", VENUES, ""),
    market: one("market", Object.keys(MARKETS), "both"),
    group: one("group", GROUPS.map((word) => word.toLowerCase()), "total").toUpperCase(),
    ...symbolOf(given.get("symbol"), notes),
    depths: depthsOf(given.get("depth"), notes),
    span: one("span", Object.keys(SPANS), "15m"),
    lines: (given.get("lines") || "bid,ask").toLowerCase().split(",").filter((word) => ["bid", "ask", "diff"].includes(word)),
    theme: one("theme", ["dark", "light", "auto"], "dark"),
    pair: one("pair", ["standard", "colour-blind", "red-up"], "standard"),
    scale: number("scale", 0.5, 4, 1),
    zone: one("zone", ["utc", "local"], "utc"),
    controls: one("controls", ["on", "off"], "on"),
    columns: number("columns", 1, 8, 0),
    tiles: given.get("tiles") || "",
    top: Math.round(number("top", 1, 200, 100)),
    sort: (given.get("sort") || "volume_24h").slice(0, 40),
    order: one("order", ["up", "down"], "down"),
    filter: (given.get("filter") || "").slice(0, 60),
  };
  options.layout = layout(options);
  return options;
}

/** Return the address of options: only what differs from the usual. */
export function address(options) {
  const usual = parse("");
  const given = new URLSearchParams();
  for (const name of ["view", "venue", "market", "span", "theme", "pair", "scale", "zone", "controls",
    "columns", "tiles", "top", "sort", "order", "filter"]) {
    if (options[name] !== usual[name]) given.set(name, String(options[name]));
  }
  if (symbolText(options) !== symbolText(usual)) given.set("symbol", symbolText(options));
  if (options.group !== usual.group) given.set("group", options.group);
  if (String(options.depths) !== String(usual.depths)) given.set("depth", options.depths ? options.depths.join(",") : "all");
  if (String(options.lines) !== String(usual.lines)) given.set("lines", options.lines.join(","));
  const text = given.toString().replace(/%2C/g, ",").replace(/%3A/g, ":");
  return text ? `/?${text}` : "/";
}

/** Return the parts of "BTCUSDT", "bybit:ETHUSDT" or "bybit.futures:ETHUSDT". */
function symbolOf(raw, notes) {
  const usual = { symbol: "BTCUSDT", symbolVenue: "", symbolMarket: "" };
  if (raw === null || raw.trim() === "") return usual;
  const [, place, name] = /^(?:([a-z.]*):)?(.*)$/i.exec(raw.trim());
  const [venue, market] = (place || "").toLowerCase().split(".");
  // Hyperliquid has small letters of its own: kPEPE
  const symbol = name === name.toLowerCase() ? name.toUpperCase() : name;
  if (SYMBOL.test(symbol) && (!venue || VENUES.includes(venue)) && (!market || MARKETS[market])) {
    return { symbol, symbolVenue: venue || "", symbolMarket: market && market !== "both" ? market : "" };
  }
  notes.push(`symbol=${raw.slice(0, 30)} is no symbol; ${usual.symbol} is shown.`);
  return usual;
}

/** Return how the chosen symbol is written in the address. */
export function symbolText({ symbol, symbolVenue, symbolMarket }) {
  if (symbol.includes(":") || !(symbolVenue || symbolMarket)) return symbol;
  return `${symbolVenue || "binance"}${symbolMarket ? `.${symbolMarket}` : ""}:${symbol}`;
}

/** Return the depths of "5", "3,5,8" or "all" (null). */
function depthsOf(raw, notes) {
  if (raw === null || raw === "") return [5];
  if (raw.trim().toLowerCase() === "all") return null;
  const found = raw.split(",").map(Number).filter((depth) => DEPTHS.includes(depth));
  if (found.length) return [...new Set(found)].sort((a, b) => a - b);
  notes.push(`depth must be one of ${DEPTHS.join(", ")} or all, was ${raw.slice(0, 30)}; 5 is shown.`);
  return [5];
}

/** Return the tiles of a view: {shape, tiles}. */
function layout(options) {
  const chart = (indicator, subject) => chartTile(options, indicator, subject);
  const { view, group, symbol } = options;
  if (view === "wall") {
    const specs = (options.tiles || WALL).split(",").filter((spec) => spec.trim());
    if (specs.length > MOST_TILES) options.notes.push(`A wall has at most ${MOST_TILES} tiles.`);
    const tiles = specs.slice(0, MOST_TILES).map((spec) => tileOf(options, spec)).filter(Boolean);
    return { shape: "wall", tiles: tiles.length ? tiles : [chart("delta", group)] };
  }
  if (view === "coin") {
    return { shape: "coin", tiles: [bookTile(options), chart("bid-ask", symbol), chart("delta", symbol)] };
  }
  if (PLAIN_KINDS.includes(view)) {
    return { shape: "single", tiles: [view === "book" ? bookTile(options) : { kind: view }] };
  }
  const named = Object.keys(INDICATORS).find((name) => view === name || view.endsWith(`-${name}`));
  if (named) {
    const subject = view === named ? "" : view.slice(0, -named.length - 1).toUpperCase();
    // "total-bid-ask" is what people call the totals of a group
    const indicator = named === "bid-ask" && GROUPS.includes(subject) ? "totals" : named;
    return { shape: "single", tiles: [chart(indicator, subject === "TOTAL" || !subject ? "" : subject)] };
  }
  if (view !== "overview") options.notes.push(`view=${view.slice(0, 30)} is not known; the overview is shown.`);
  return {
    shape: "overview",
    tiles: [bookTile(options), chart("delta", group), chart("totals", group), chart("avg", group),
      chart("bid-ask", symbol), { kind: "scanner" }, { kind: "feeds" }],
  };
}

/** Return the tile of "delta:BTCUSDT:spot:5:bybit", null (and a note) for one that is not understood. */
function tileOf(options, spec) {
  const [kind, subject, market, depth, venue] = spec.trim().split(":");
  const name = kind.toLowerCase();
  if (name === "book") {
    return bookTile({ ...options, symbol: (subject || options.symbol).toUpperCase(), market: market || options.market, symbolMarket: "" });
  }
  if (PLAIN_KINDS.includes(name)) return { kind: name };
  if (!INDICATORS[name]) {
    options.notes.push(`tile ${kind.slice(0, 30)} is not known.`);
    return null;
  }
  const own = { ...options };
  if (market && MARKETS[market.toLowerCase()]) own.market = market.toLowerCase();
  if (depth) own.depths = depthsOf(depth.replace(/\+/g, ","), options.notes);
  if (venue && VENUES.includes(venue.toLowerCase())) own.venue = venue.toLowerCase();
  return chartTile(own, name, (subject || "").toUpperCase());
}

/** Return a chart; without a subject the chosen group, or for BID/ASK the chosen symbol. */
function chartTile(options, indicator, subject) {
  const facts = INDICATORS[indicator];
  let about = subject || (indicator === "bid-ask" ? options.symbol : options.group);
  const venue = about === options.symbol ? options.symbolVenue : "";
  if (!SYMBOL.test(about)) about = options.group;
  if (!facts.coin && !GROUPS.includes(about)) {
    options.notes.push(`${facts.heading} exists for groups only, not for ${about.slice(0, 30)}; ${options.group} is shown.`);
    about = options.group;
  }
  return {
    kind: "chart",
    indicator,
    subject: about,
    venue: venue || options.venue || "binance",
    markets: MARKETS[options.market],
    depths: options.depths === null ? facts.depths : nearest(options.depths, facts.depths),
  };
}

function bookTile(options) {
  return {
    kind: "book",
    symbol: options.symbol,
    venue: options.symbolVenue || options.venue || "binance",
    market: (options.symbolMarket || options.market) === "futures" ? "FUTURES" : "SPOT",
  };
}

/** Return the offered depths nearest to the wanted ones. */
function nearest(wanted, offered) {
  const found = wanted.map((depth) => offered.reduce((best, each) => (
    Math.abs(Math.log(each / depth)) < Math.abs(Math.log(best / depth)) ? each : best)));
  return [...new Set(found)].sort((a, b) => a - b);
}
