// Holds the newest of everything the server says, whichever way it came: socket and polled answers are ordered by the
// time they carry, so that a late answer never replaces a newer value.

import { Series } from "./series.js";
import { isNumber, plain } from "./text.js";

const MOST_ALERTS = 200;

/** Return the name of an indicator of a subject on one market: what a chart asks for and a message answers. */
export function indicatorKey(indicator, subject, venue, market, depth) {
  return [indicator, subject, venue, market, isNumber(depth) ? depth : "all"].join("|");
}

/** Return the name of a book or a row. */
export function symbolKey(venue, market, symbol) {
  return `${venue}|${market}|${symbol}`;
}

export class Store {
  constructor() {
    this.spanMs = 900000;
    this.clear();
  }

  /** Forget everything: another run of the program has answered. */
  clear() {
    this.status = null;
    this.statusAt = 0;
    this.rows = new Map();
    this.rowsRevision = 0;
    this.series = new Map();
    this.books = new Map();
    this.alerts = [];
    this.alertsRevision = 0;
    this.refusals = new Map();
    this.clockTime = 0;
    this.clockAt = 0;
  }

  /** Return the time of the run (UTC ms), NaN before the first word of it. */
  now(at) {
    return this.clockTime ? this.clockTime + Math.min(Math.max(0, at - this.clockAt), 5000) : NaN;
  }

  /** Take in one message; `at` is the page's own monotonic time. Return whether it carried values. */
  apply(message, at) {
    if (!message || typeof message !== "object") return false;
    if (message.type === "status" && this.startsAnew(message)) this.clear();
    if (isNumber(message.time) && message.time > this.clockTime) {
      this.clockTime = message.time;
      this.clockAt = at;
    }
    switch (message.type) {
      case "status":
        if (!this.status || !(message.time < this.status.time)) {
          this.status = message;
          this.statusAt = at;
        }
        return true;
      case "initial_data":
      case "market_data":
        for (const row of message.data || []) this.takeRow(row, message, at);
        this.rowsRevision += 1;
        return true;
      case "indicator":
        this.seriesOf(keyOf(message)).append(message);
        return true;
      case "tick":
      case "snapshot":
        this.takeBook(message, at);
        return true;
      case "alert":
        this.takeAlert(message);
        return true;
      default:
        return false;
    }
  }

  /** Tell whether a status comes from another run: another mode, or a clock that went back. */
  startsAnew(status) {
    const held = this.status;
    if (!held) return false;
    if (isNumber(status.run) && isNumber(held.run) && status.run !== held.run) return true;
    return status.mode !== held.mode || status.time < held.time - 60000;
  }

  /** Return the series of a key, empty when it is new. */
  seriesOf(key) {
    let series = this.series.get(key);
    if (!series) this.series.set(key, (series = new Series(this.spanMs)));
    return series;
  }

  /** Let go of series, books and rows that nothing on the page shows; charts now show so many ms. */
  keepOnly(seriesKeys, bookKeys, spanMs) {
    this.spanMs = spanMs;
    for (const series of this.series.values()) series.spanMs = spanMs;
    for (const key of this.series.keys()) if (!seriesKeys.has(key)) this.series.delete(key);
    for (const key of this.books.keys()) if (!bookKeys.has(key)) this.books.delete(key);
    this.rows.clear();
    this.rowsRevision += 1;
    this.refusals.clear();
  }

  /** Remember what the server says of something it does not have. */
  refuse(key, sentence) {
    this.refusals.set(key, plain(sentence, 160));
  }

  takeRow(row, message, at) {
    if (!row || typeof row.symbol !== "string") return;
    const venue = row.venue || message.venue || "";
    const key = symbolKey(venue, row.marketType, row.symbol);
    const held = this.rows.get(key);
    const time = isNumber(message.time) ? message.time : 0;
    if (held && time < held.time) return;
    let direction = held ? held.direction : 0;
    let movedAt = held ? held.movedAt : -Infinity;
    if (held && isNumber(row.price) && isNumber(held.data.price) && row.price !== held.data.price) {
      direction = row.price > held.data.price ? 1 : -1;
      movedAt = at;
    }
    this.rows.set(key, { key, venue, data: row, time, at, direction, movedAt });
  }

  takeBook(message, at) {
    const key = symbolKey(message.venue, message.marketType, message.symbol);
    const held = this.books.get(key) || { tick: null, snapshot: null, at, revision: 0 };
    const before = held[message.type];
    if (before && message.time < before.time) return;
    held[message.type] = message;
    held.at = at;
    held.revision += 1;
    this.books.set(key, held);
  }

  takeAlert(message) {
    if (!isNumber(message.seq) || this.alerts.some((alert) => alert.seq === message.seq)) return;
    this.alerts.push(message);
    this.alerts.sort((a, b) => b.seq - a.seq);
    this.alerts.length = Math.min(this.alerts.length, MOST_ALERTS);
    this.alertsRevision += 1;
  }
}

/** Return the key of an indicator message. */
export function keyOf(message) {
  return indicatorKey(message.indicator, message.category, message.venue, message.marketType, message.depth);
}
