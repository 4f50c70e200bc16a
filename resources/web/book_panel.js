// One order book: best prices, volumes per depth band with how well they are known, and the top of the ladder.

import { dress, element, mark, write } from "./dom.js";
import { bookKey } from "./link.js";
import { Panel, refusalWords, STALE_MS, staleWords } from "./panel.js";
import { capital, coverageWords, isNumber, known, plain, price, ratio, UNKNOWN, volume } from "./text.js";

const LEVELS = { narrow: 10, wide: 20 };

export class BookPanel extends Panel {
  constructor(tile) {
    const name = `${plain(tile.symbol)} · ${tile.market} · ${capital(tile.venue)}`;
    super("book", `Order book ${name}`);
    this.tile = tile;
    write(this.title, name);
    this.state = element("p", { class: "state" });
    this.quote = ["Bid", "Mid", "Ask"].map((label) => [element("dt", { text: label }), element("dd")]);
    const quotes = element("dl", { class: "quote" }, ...this.quote.map((pair) => element("div", {}, ...pair)));
    this.bands = element("tbody");
    const bands = table("Volume per depth", ["Depth", "Bid USD", "Ask USD", "Bid/ask"], this.bands);
    this.ladder = element("tbody");
    const ladder = table("Best levels", ["Bid size", "Bid", "Ask", "Ask size"], this.ladder);
    this.body.append(quotes, this.state, bands, ladder);
    this.revision = "";
  }

  needs() {
    const { symbol, venue, market } = this.tile;
    return { books: [{ symbol, venue, marketType: market }] };
  }

  render(scene) {
    const held = this.find(scene.store);
    const tick = held && held.tick;
    const snapshot = held && held.snapshot;
    const time = tick && isNumber(tick.time) ? tick.time : NaN;
    const ageMs = scene.now - time;
    this.cover(this.veilWords(scene, tick, snapshot, time, ageMs));
    const revision = `${held ? held.revision : 0}`;
    if (!tick || revision === this.revision) return;
    this.revision = revision;
    const isLive = tick.state === "live";
    write(this.detail, "");
    const reach = snapshot && Array.isArray(snapshot.known_to_pct) ? snapshot.known_to_pct : [];
    write(this.state, [`${isLive ? "●" : "◐"} ${plain(tick.state)}`, plain((snapshot && snapshot.reason) || "", 120),
      snapshot ? `known: bid ${reachWords(reach[0], snapshot.bid_complete)}, ask ${reachWords(reach[1], snapshot.ask_complete)}` : ""].filter(Boolean).join(" · "));
    dress(this.state, `state ${isLive ? "up" : "warning"}`);
    this.fillQuote(tick);
    this.fillBands(tick);
    if (snapshot) this.fillLadder(snapshot);
  }

  /** Return what is held of the book; a venue may spell the symbol in its own way. */
  find(store) {
    const { symbol, venue, market } = this.tile;
    let found = null;
    for (const held of store.books.values()) {
      const said = held.tick || held.snapshot;
      if (!said || said.venue !== venue || said.marketType !== market) continue;
      if (said.symbol === symbol) return held;
      const letters = String(said.symbol).toUpperCase().replace(/[^A-Z0-9]/g, "");
      if (letters && symbol.startsWith(letters)) found = held;
    }
    return found;
  }

  veilWords(scene, tick, snapshot, time, ageMs) {
    if (scene.isLost) return "";
    const { symbol, venue, market } = this.tile;
    if (!tick) {
      return refusalWords(scene.store, this.needs().books.map(bookKey)) || `Waiting for the book of ${plain(symbol)}.`;
    }
    if (!(ageMs <= STALE_MS)) return staleWords(scene.store.status, venue, [market], time, ageMs, scene.zone);
    if (tick.state === "live") return "";
    const reason = (snapshot && snapshot.reason) || "";
    return `${plain(symbol)}: ${plain(tick.state)}${reason ? ` (${plain(reason, 160)})` : ""}. What is shown is not live.`;
  }

  fillQuote(tick) {
    const isTwoSided = isNumber(tick.bid) && isNumber(tick.ask);
    const middle = isTwoSided ? (tick.bid + tick.ask) / 2 : NaN;
    const spread = isTwoSided && middle > 0 ? ((tick.ask - tick.bid) / middle) * 10000 : NaN;
    [tick.bid, middle, tick.ask].forEach((value, index) => write(this.quote[index][1], price(value)));
    mark(this.quote[1][1], "title", isNumber(spread) ? `spread ${spread.toFixed(2)} bp` : null);
    dress(this.quote[0][1], "up");
    dress(this.quote[2][1], "down");
  }

  fillBands(tick) {
    const depths = tick.depths || [];
    fit(this.bands, depths.length, 4);
    depths.forEach((depth, index) => {
      const cells = this.bands.children[index].children;
      write(cells[0], `${depth} %`);
      const sides = ["bid", "ask"].map((side) => {
        const value = (tick[`${side}_usd`] || [])[index];
        const share = (tick[`${side}_unconfirmed`] || [])[index];
        const word = (tick[`${side}_coverage`] || [])[index] || "missing";
        return { value, coverage: word === "floor" && share > 0 ? "partial" : word };
      });
      sides.forEach(({ value, coverage }, side) => {
        write(cells[side + 1], known(value, coverage, volume));
        mark(cells[side + 1], "title", coverageWords(coverage));
        dress(cells[side + 1], coverage === "exact" ? "" : "loose");
      });
      const [bid, ask] = sides;
      const isExact = bid.coverage === "exact" && ask.coverage === "exact";
      const isKnown = isNumber(bid.value) && isNumber(ask.value) && ask.value > 0;
      const value = isKnown ? bid.value / ask.value : NaN;
      const sign = isKnown ? (value > 1 ? "▲ " : value < 1 ? "▼ " : "") : "";
      write(cells[3], isKnown ? sign + known(value, isExact ? "exact" : "partial", (each) => ratio(each, 2)) : UNKNOWN);
      dress(cells[3], value > 1 ? "up" : value < 1 ? "down" : "");
    });
  }

  fillLadder(snapshot) {
    const bids = snapshot.bids || [];
    const asks = snapshot.asks || [];
    const most = LEVELS[document.documentElement.dataset.width === "narrow" ? "narrow" : "wide"];
    const count = Math.min(most, Math.max(bids.length, asks.length));
    fit(this.ladder, count, 4);
    for (let i = 0; i < count; i += 1) {
      const [bid, ask] = [bids[i] || [], asks[i] || []].map((level) => level.map(Number));
      const cells = this.ladder.children[i].children;
      [volume(bid[1]), price(bid[0]), price(ask[0]), volume(ask[1])].forEach((text, index) => write(cells[index], text));
      dress(cells[1], "up");
      dress(cells[2], "down");
    }
  }
}

/** Return how far a side is known: "to 3.8 %", "all", "—". */
function reachWords(reach, isComplete) {
  if (isComplete || reach >= 100) return "all";
  return isNumber(reach) ? `to ${reach.toFixed(reach < 1 ? 2 : reach < 10 ? 1 : 0)} %` : UNKNOWN;
}

function table(caption, heads, body) {
  return element("table", { class: "small" }, element("caption", { class: "unseen", text: caption }),
    element("thead", {}, element("tr", {}, ...heads.map((text) => element("th", { scope: "col", text })))), body);
}

function fit(body, rows, columns) {
  while (body.children.length > rows) body.lastChild.remove();
  while (body.children.length < rows) {
    const cells = Array.from({ length: columns }, () => element("td"));
    body.append(element("tr", {}, ...cells));
  }
}
