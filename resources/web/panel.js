// What every panel has: a title line, room for its content, and a veil that covers it with a sentence when it has
// nothing current to show.

import { element, mark, show, write } from "./dom.js";
import { age, clock, isNumber, plain } from "./text.js";

const FUTURES_WORDS = { binance: "usdm", bybit: "linear", hyperliquid: "perp" };
export const STALE_MS = 5000;

export class Panel {
  constructor(kind, label) {
    this.title = element("h2", { class: "title" });
    this.detail = element("span", { class: "detail" });
    this.head = element("div", { class: "head" }, this.title, this.detail);
    this.body = element("div", { class: "body" });
    this.veil = element("p", { class: "veil", hidden: true });
    this.node = element("section", { class: `panel ${kind}`, "aria-label": label, "data-kind": kind }, this.head,
      element("div", { class: "frame" }, this.body, this.veil));
  }

  /** Return what the panel wants from the server. */
  needs() {
    return {};
  }

  /** Cover the panel with a sentence, or uncover it (""). */
  cover(sentence) {
    write(this.veil, sentence);
    show(this.veil, sentence !== "");
    mark(this.node, "data-stale", sentence ? "yes" : null);
  }

  /** Let go of observers and listeners outside the panel's own elements. */
  close() {}
}

/** Return the feed that brings a market. */
export function feedOf(venue, market) {
  return `${venue}.${market === "SPOT" ? "spot" : FUTURES_WORDS[venue] || "futures"}`;
}

/** Return which feeds of a venue's markets are not well, in sentences; "" when all are. */
export function feedWords(status, venue, markets) {
  const feeds = (status && status.feeds) || [];
  const ill = markets.map((market) => feeds.find((feed) => feed.feed === feedOf(venue, market)))
    .filter((feed) => feed && feed.light !== "green")
    .map((feed) => `${plain(feed.title)} is ${plain(feed.word)}${feed.reason ? ` (${plain(feed.reason, 120)})` : ""}`);
  return ill.length ? ` ${ill.join("; ")}.` : "";
}

/** Return why a value of a market does not move, in sentences. */
export function staleWords(status, venue, markets, time, ageMs, zone) {
  const since = isNumber(time) ? ` since ${clock(time, zone)} (${age(ageMs)})` : " yet";
  return `No new value${since}.${feedWords(status, venue, markets)} It goes on by itself.`;
}

/** Return the server's own sentence on why it does not have any of these, "" when it has one of them. */
export function refusalWords(store, keys) {
  const said = keys.map((key) => store.refusals.get(key));
  return said.length && said.every(Boolean) ? `The server says: ${said[0]}.` : "";
}
